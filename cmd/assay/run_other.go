//go:build !unix

package main

import (
	"os"
	"os/exec"
)

func ownGroup(*exec.Cmd) {}

func passOn(p *os.Process, sig os.Signal, _ bool) { _ = p.Signal(sig) }

func exitCode(state *os.ProcessState) int { return state.ExitCode() }
