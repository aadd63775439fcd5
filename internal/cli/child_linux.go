package cli

import (
	"os/exec"
	"syscall"
)

// EndWithParent has the kernel end the child when this process ends, however it ends: a program that
// was killed with kill -9 leaves no server behind. (The kernel looks at the thread that started the
// child; Go ends a thread only with a goroutine that locked it, so a caller locks none.)
func EndWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
