package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
)

// child is how run treats its program.
type child struct {
	output    string // where its stdout goes; empty: to ours, or with --json to our stderr
	noSession bool
}

func runCmd(s cmd.Streams) *cobra.Command {
	p, how := packing{}, child{}
	c := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG...]",
		Short: "Run a program, pack the receipts it emits, verify the pack",
		Long: `run starts CMD with ASSAY_TRACE_ID set, packs and signs every receipt emitted under that id,
and verifies the pack. It exits with the program's own code if that is not 0 (128 + the signal
if a signal ended it, 126 or 127 if it could not be started), else 2 if the pack does not verify, else 1 if a declared check fails;
--exit-policy child exits with the program's code alone whenever a pack was made.
Signals that reach assay are passed on; the pack is made when CMD has ended. The receipts are
also left in ./.assay/receipts. stdout is CMD's alone: what assay has to say goes to stderr, or
with --json to stdout as one object, and CMD's stdout to stderr.

A session_metadata receipt says how CMD ended (its exit code, the signal that ended it, those that
were passed on), when it ran, and the SHA-256 of its arguments, each followed by a NUL byte;
nothing else of the command line and the environment is recorded. It is no evidence of what CMD
did: a CMD that recorded nothing makes no pack. --no-session leaves it out. --mode breakglass
wants a --reason, and records it before CMD starts.

In GitHub Actions, GitLab CI, CircleCI and Jenkins the pack names the CI run: commit, repository,
ref, run, workflow, actor. Elsewhere ASSAY_CI_COMMIT_SHA, ASSAY_CI_REPO, ASSAY_CI_REF,
ASSAY_CI_RUN_ID, ASSAY_CI_RUN_ATTEMPT, ASSAY_CI_WORKFLOW_REF and ASSAY_CI_ACTOR do, and they win
over what the system says: for pull requests GitHub's own commit is the merge with the base, and
ASSAY_CI_COMMIT_SHA can name the head.`,
		Example: `  assay run -c receipt_completeness -- python agent.py
  assay run -c guardian_enforcement -o ./evidence -- ./agent --task invoices
  assay run --mode breakglass --reason 'INC-1234: payments are down' -- ./repair`,
		Args: cmd.Args(cobra.MinimumNArgs(1), "a command after --"),
		RunE: func(c *cobra.Command, args []string) error {
			trace, err := capture.NewTraceID(time.Now(), rand.Reader)
			if err != nil {
				return err
			}
			// Everything that can be wrong is found before the program runs.
			job, err := p.prepare(s, c, trace)
			if err != nil {
				return err
			}
			return job.run(how, args)
		},
	}
	p.flags(c)
	c.Flags().StringVar(&p.exitPolicy, "exit-policy", "merged", "`POLICY`: merged, or child for the program's exit code alone")
	c.Flags().StringVar(&how.output, "child-output", "", "write the program's stdout to `FILE`, which must be new or empty")
	c.Flags().BoolVar(&how.noSession, "no-session", false, "record no session_metadata receipt of how the program ended")
	c.Flags().SetInterspersed(false)
	return c
}

// openChildOutput opens a file for what the program says. One that holds something is kept, as any output that
// stands is: it may be a lock, or of a pack.
func openChildOutput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the program's output: %w", err)
	}
	if info, err := f.Stat(); err != nil || info.Size() > 0 {
		return nil, errors.Join(err, cmd.BadInput("name another with --child-output, or remove it", "%s is there and not empty", path), f.Close())
	}
	return f, nil
}

// catchSignals keeps signals from ending us until stop is called: not while the program runs, to
// which they are passed on, and not while its pack is made.
func catchSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return c, func() { signal.Stop(c) }
}

// startError is what a shell would exit with.
func startError(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &cmd.Error{Code: 127, Err: err, Hint: "is the command spelled right?"}
	}
	return &cmd.Error{Code: 126, Err: err, Hint: "is it a program, and may you execute it?"}
}

// ending is how a program ended.
type ending struct {
	code     int      // of its exit; 128 + n if signal n ended it
	signal   string   // that ended it, such as "killed"; "" if none did
	passedOn []string // the first signals that reached us meanwhile
}

const maxPassedOn = 16 // signals that are named

// runChild runs the program in a process group of its own and returns how it ended. Signals that reach us are passed on, so that the program can
// finish and its receipts are packed all the same; how long it takes is between it and the sender.
func runChild(j *job, stdout io.Writer, args []string, signals <-chan os.Signal) (end ending, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(home.WithoutKeys(os.Environ()), "ASSAY_TRACE_ID="+j.trace, "ASSAY_HOME="+string(j.home))
	c.Stdin, c.Stdout, c.Stderr = j.s.In, stdout, j.s.Err
	// A group in the background could not read from the terminal, which signals both of us anyway.
	grouped := !onTerminal(j.s.In)
	if grouped {
		cmd.OwnGroup(c)
	}
	if err := c.Start(); err != nil {
		return end, startError(err)
	}
	done := make(chan error, 1)
	go func() { // ends with the program
		defer func() {
			if r := recover(); r != nil {
				done <- &cmd.Error{Code: cmd.ExitInternal, Err: fmt.Errorf("internal error: %v", r)}
			}
		}()
		done <- c.Wait()
	}()
	for {
		select {
		case err := <-done:
			if c.ProcessState == nil {
				return end, err
			}
			end.code, end.signal = exitCode(c.ProcessState)
			return end, nil // whatever else Wait says is about its streams
		case sig := <-signals:
			if len(end.passedOn) < maxPassedOn {
				end.passedOn = append(end.passedOn, sig.String())
			}
			passOn(c.Process, sig, grouped)
		}
	}
}
