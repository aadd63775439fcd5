//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the program in a process group of its own: a signal to the group reaches all it started.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func passOn(p *os.Process, sig os.Signal, grouped bool) {
	n, ok := sig.(syscall.Signal)
	switch {
	case ok && grouped:
		_ = syscall.Kill(-p.Pid, n) // gone already: Wait will tell
	case ok && n != syscall.SIGINT: // the terminal has sent ^C to the program too
		_ = p.Signal(sig)
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
