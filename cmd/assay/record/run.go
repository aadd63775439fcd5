package record

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// run is one run of 'run', with its flags.
type run struct {
	s cli.Streams
	packing
	childOutput string // the file of the program's stdout; empty: it is ours, or with --json our stderr
	noSession   bool
}

func runCmd(s cli.Streams) *cobra.Command {
	o := run{s: s}
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
		Args: cli.Args(cobra.MinimumNArgs(1), "a command after --"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *run) add(c *cobra.Command) {
	o.packing.add(c)
	c.Flags().StringVar(&o.exitPolicy, "exit-policy", "merged", "`POLICY`: merged, or child for the program's exit code alone")
	c.Flags().StringVar(&o.childOutput, "child-output", "", "write the program's stdout to `FILE`, which must be new or empty")
	c.Flags().BoolVar(&o.noSession, "no-session", false, "record no session_metadata receipt of how the program ended")
	c.Flags().SetInterspersed(false)
}

func (o *run) run(c *cobra.Command, args []string) error {
	trace, err := capture.NewTraceID(time.Now(), rand.Reader)
	if err != nil {
		return err
	}
	// Everything that can be wrong is found before the program runs.
	job, err := o.prepare(o.s, c, trace)
	if err != nil {
		return err
	}
	return o.program(job, args)
}

// program runs the program, and packs what was emitted.
func (o *run) program(j *job, args []string) error {
	if _, err := exec.LookPath(args[0]); err != nil { // before anything is recorded of it
		return startError(err)
	}
	stdout := j.s.Out
	if j.json {
		stdout = j.s.Err
	}
	if o.childOutput != "" {
		f, err := openChildOutput(o.childOutput)
		if err != nil {
			return err
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
	end, err := runChild(j, stdout, args, signals)
	if err != nil {
		return err
	}
	if !o.noSession {
		if err := j.session(args, began, end); err != nil {
			return j.afterChild(end.code, j.packLater(err))
		}
	}
	return j.finish(end.code)
}

// openChildOutput opens a file for what the program says. One that holds something is kept, as any output that
// stands is: it may be a lock, or of a pack.
func openChildOutput(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the program's output: %w", err)
	}
	if info, err := f.Stat(); err != nil || info.Size() > 0 {
		return nil, errors.Join(err, cli.BadInput("name another with --child-output, or remove it", "%s is there and not empty", path), f.Close())
	}
	return f, nil
}

// session records the run itself. The arguments may hold secrets: of them there is a digest only.
func (j *job) session(args []string, began time.Time, end ending) error {
	argv := sha256.New()
	for _, arg := range args {
		io.WriteString(argv, arg+"\x00")
	}
	ended := time.Now()
	data := jcs.Obj(
		jcs.M("recorded_by", jcs.Str(receipt.Recorder)),
		jcs.M("argv_sha256", jcs.Str(fmt.Sprintf("sha256:%x", argv.Sum(nil)))),
		jcs.M("started_at", jcs.Str(began.UTC().Format(receipt.TimeForm))),
		jcs.M("ended_at", jcs.Str(ended.UTC().Format(receipt.TimeForm))),
		jcs.M("duration_ms", jcs.Int(ended.Sub(began).Milliseconds())),
		jcs.M("child_exit_code", jcs.Int(int64(end.code))),
	)
	if end.signal != "" {
		data.Members = append(data.Members, jcs.M("child_signal", jcs.Str(end.signal)))
	}
	if len(end.passedOn) > 0 {
		list := jcs.Arr()
		for _, name := range end.passedOn {
			list.Items = append(list.Items, jcs.Str(name))
		}
		data.Members = append(data.Members, jcs.M("signals_passed_on", list))
	}
	if _, err := j.home.Receipts().Emit(j.trace, receipt.SessionType, data); err != nil {
		return fmt.Errorf("recording the session: %w", j.home.StoreError(err))
	}
	return nil
}

// startError is what a shell would exit with.
func startError(err error) error {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return &cli.Error{Code: 127, Err: err, Hint: "is the command spelled right?"}
	}
	return &cli.Error{Code: 126, Err: err, Hint: "is it a program, and may you execute it?"}
}
