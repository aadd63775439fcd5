package main

import (
	"crypto/rand"
	"crypto/sha256"
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
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// child is how run treats its program.
type child struct {
	output  string // where its stdout goes; empty: to ours, or with --json to our stderr
	session bool
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
also left in ./.assay/receipts. Of the command line and the environment nothing is recorded but
what is named below.

--mode breakglass wants a --reason, and records it before CMD starts. --session records when CMD
ran, its exit code and the SHA-256 of its arguments, each followed by a NUL byte.

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
	c.Flags().StringVar(&how.output, "child-output", "", "write the program's stdout to `FILE`")
	c.Flags().BoolVar(&how.session, "session", false, "record a session_metadata receipt of the run")
	c.Flags().SetInterspersed(false)
	return c
}

// run runs the program, and packs.
func (j *job) run(how child, args []string) error {
	if _, err := exec.LookPath(args[0]); err != nil { // before anything is recorded of it
		return startError(err)
	}
	stdout := j.s.Out
	if j.json {
		stdout = j.s.Err
	}
	if how.output != "" {
		f, err := os.OpenFile(how.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("the program's output: %w", err)
		}
		defer f.Close()
		stdout = f
	}
	signals, stop := catchSignals()
	defer stop()
	if err := j.breakglass(); err != nil {
		return err
	}
	began := time.Now()
	code, err := runChild(j, stdout, args, signals)
	if err != nil {
		return err
	}
	if how.session {
		err = j.session(args, began, code)
	}
	if err != nil {
		return j.afterChild(code, err)
	}
	return j.finish(code)
}

// session records the run itself. The arguments may hold secrets: of them there is a digest only.
func (j *job) session(args []string, began time.Time, code int) error {
	argv := sha256.New()
	for _, arg := range args {
		io.WriteString(argv, arg+"\x00")
	}
	ended := time.Now()
	_, err := j.home.receipts().Emit(j.trace, "session_metadata", jcs.Obj(
		jcs.M("recorded_by", jcs.Str("assay run")),
		jcs.M("argv_sha256", jcs.Str(fmt.Sprintf("sha256:%x", argv.Sum(nil)))),
		jcs.M("started_at", jcs.Str(began.UTC().Format(pack.TimeForm))),
		jcs.M("ended_at", jcs.Str(ended.UTC().Format(pack.TimeForm))),
		jcs.M("duration_ms", jcs.Int(ended.Sub(began).Milliseconds())),
		jcs.M("child_exit_code", jcs.Int(int64(code))),
	))
	if err != nil {
		return fmt.Errorf("recording the session: %w", storeError(j.home, err))
	}
	j.own++
	return nil
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

// runChild runs the program in a process group of its own and returns its exit code,
// 128 + n if signal n ended it. Signals that reach us are passed on, so that the program can
// finish and its receipts are packed all the same; how long it takes is between it and the sender.
func runChild(j *job, stdout io.Writer, args []string, signals <-chan os.Signal) (code int, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(withoutKeys(os.Environ()), "ASSAY_TRACE_ID="+j.trace, "ASSAY_HOME="+string(j.home))
	c.Stdin, c.Stdout, c.Stderr = j.s.In, stdout, j.s.Err
	// A group in the background could not read from the terminal, which signals both of us anyway.
	grouped := !onTerminal(j.s.In)
	if grouped {
		ownGroup(c)
	}
	if err := c.Start(); err != nil {
		return 0, startError(err)
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
				return 0, err
			}
			return exitCode(c.ProcessState), nil // whatever else Wait says is about its streams
		case sig := <-signals:
			passOn(c.Process, sig, grouped)
		}
	}
}
