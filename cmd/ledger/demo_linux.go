package main

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel end the child when this process ends, however it ends: a demo that
// was killed with kill -9 leaves no server behind. (The kernel looks at the thread that started the
// child; Go ends a thread only with a goroutine that locked it, and nothing here locks one.)
func endWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
}
