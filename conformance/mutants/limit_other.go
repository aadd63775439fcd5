//go:build !unix

package main

import (
	"context"
	"os/exec"
)

func runAlone(ctx context.Context, prepare func(*exec.Cmd), name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	prepare(cmd)
	return cmd.Run()
}
