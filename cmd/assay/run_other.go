//go:build !unix

package main

import (
	"io"
	"os"
	"os/exec"
)

func onTerminal(io.Reader) bool { return false }

func ownGroup(*exec.Cmd) {}

func endGroup(p *os.Process) error { return p.Kill() }

func passOn(p *os.Process, sig os.Signal, _ bool) { _ = p.Signal(sig) }

func exitCode(state *os.ProcessState) (code int, signal string) { return state.ExitCode(), "" }
