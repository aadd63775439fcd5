//go:build !unix

package record

import (
	"io"
	"os"
)

func onTerminal(io.Reader) bool { return false }

func passOn(p *os.Process, sig os.Signal, _ bool) { _ = p.Signal(sig) }

func exitCode(state *os.ProcessState) (code int, signal string) { return state.ExitCode(), "" }
