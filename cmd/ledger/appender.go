package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/ledger"
)

// appenderCmd is the child process of serve that writes the log. It is not for people.
func appenderCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:    "appender",
		Short:  "Write entries for 'ledger serve', which starts it",
		Hidden: true,
		Args:   cli.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			// SIGINT and SIGTERM, which a terminal or a service manager sends to every process of a
			// group, end nothing here: serve finishes what is on its way and then closes our stdin.
			return ledger.ServeAppender(s.In, s.Out, newLogger(s))
		},
	}
}

// appender makes the command of such a child: this very program, also when the file has been replaced
// since, with nothing of our environment. Its log lines join ours.
func appender(log io.Writer) (func() *exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(runningProgram); err == nil {
		self = runningProgram
	}
	name := filepath.Base(os.Args[0])
	return func() *exec.Cmd {
		return &exec.Cmd{Path: self, Args: []string{name, "appender"}, Env: []string{}, Stderr: log}
	}, nil
}

// runningProgram is a link of Linux to the program of whoever follows it.
const runningProgram = "/proc/self/exe"
