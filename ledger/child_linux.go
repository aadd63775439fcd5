package ledger

import (
	"os/exec"
	"syscall"
)

// killWithParent has the kernel kill the child at once when this process ends, however it ends; the
// programs' cmd.EndWithParent lets a child end by itself. (The kernel looks at the thread that started
// the child; Go ends a thread only with a goroutine that locked it.)
func killWithParent(c *exec.Cmd) {
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
