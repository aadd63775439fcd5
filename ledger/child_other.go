//go:build !linux

package ledger

import "os/exec"

// killWithParent does nothing here: the child ends when its stdin does.
func killWithParent(*exec.Cmd) {}
