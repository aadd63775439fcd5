//go:build unix

package main

import (
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// onTerminal says whether in is the terminal that sends us ^C. /dev/null is a device too, and is not.
func onTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCGPGRP)
	return err == nil
}

// ownGroup puts the program in a process group of its own: a signal to the group reaches all it started.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup kills a program with all that it started and that did not leave its group.
func endGroup(p *os.Process) error {
	if p.Pid <= 1 { // released: -1 would be everybody
		return os.ErrProcessDone
	}
	return syscall.Kill(-p.Pid, syscall.SIGKILL)
}

func passOn(p *os.Process, sig os.Signal, grouped bool) {
	n, ok := sig.(syscall.Signal)
	switch {
	case ok && grouped:
		_ = syscall.Kill(-p.Pid, n) // gone already: Wait will tell
	case ok && n != syscall.SIGINT && n != syscall.SIGQUIT: // the terminal has sent ^C and ^\ to the program too
		_ = p.Signal(sig)
	}
}

func exitCode(state *os.ProcessState) (code int, signal string) {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), status.Signal().String()
	}
	return state.ExitCode(), ""
}
