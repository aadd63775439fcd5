package ledger

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the child when this process ends, however it ends. (The kernel
// looks at the thread that started the child; Go ends a thread only with a goroutine that locked it.)
func endWithParent(c *exec.Cmd) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
