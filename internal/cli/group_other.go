//go:build !unix

package cli

import (
	"os"
	"os/exec"
)

// OwnGroup does nothing here.
func OwnGroup(*exec.Cmd) {}

// EndGroup kills a program; what it started may go on.
func EndGroup(p *os.Process) error { return p.Kill() }
