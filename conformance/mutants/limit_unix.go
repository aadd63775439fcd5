//go:build unix

package main

import (
	"context"
	"os/exec"
	"syscall"
)

// runAlone runs a command in a process group of its own, which ends with it, and with a bound on memory:
// a mutant may start processes that nobody stops, and allocate without end.
func runAlone(ctx context.Context, prepare func(*exec.Cmd), name string, args ...string) error {
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -v 12000000 2>/dev/null; exec "$0" "$@"`, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	prepare(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return cmd.Wait()
}
