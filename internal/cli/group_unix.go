//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"
)

// OwnGroup puts the program in a process group of its own: a signal to the group reaches all it started.
func OwnGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// EndGroup kills a program with all that it started and that did not leave its group.
func EndGroup(p *os.Process) error {
	if p.Pid <= 1 { // released: -1 would be everybody
		return os.ErrProcessDone
	}
	return syscall.Kill(-p.Pid, syscall.SIGKILL)
}
