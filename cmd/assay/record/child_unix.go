//go:build unix

package record

import (
	"io"
	"os"
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
