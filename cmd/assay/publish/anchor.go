package publish

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/report"
	"github.com/Haserjian/assay-ledger/trust"
)

// anchor is one run of 'anchor', with its flags.
type anchor struct {
	s cli.Streams
	expect.AnchorFlags
	ledger, output, repo, workflow, commit string
	timeout                                time.Duration
}

func anchorCmd(s cli.Streams) *cobra.Command {
	o := anchor{s: s}
	c := &cobra.Command{
		Use:   "anchor PACK...",
		Short: "Log packs publicly and keep the proofs in them",
		Long: `anchor verifies the packs, then asks the ledger for its checkpoint: unless that is one of a log of
--policy, cosigned by its quorum, nothing is sent. It sends the manifest of each pack (nothing else
of it), waits until the entry is public and cosigned, checks the proof that comes back, and writes
it to _unsigned/anchor.tlog-proof in the pack. An answer that does not verify is kept beside the
pack, in PACK.ledger-answer-DIGEST.

A pack that was logged before gets a proof of the same entry, so it is always safe to run again;
tries last as long as --timeout. Of several packs each is tried, and the gravest exit code is the
answer.`,
		Example: `  assay anchor ./proof_pack_* --ledger https://ledger.example --policy policy
  assay anchor ./pack --ledger http://127.0.0.1:8080 --policy policy -o pack.tlog-proof`,
		Args: cli.Args(cobra.MinimumNArgs(1), "at least one pack directory"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *anchor) add(c *cobra.Command) {
	o.AnchorFlags.Add(c)
	c.Flags().StringVar(&o.ledger, "ledger", "", "`URL` of the ledger (required)")
	c.Flags().StringVarP(&o.output, "output", "o", "", "write the proof to `FILE` instead of into the pack")
	c.Flags().StringVar(&o.repo, "source-repo", "", "`OWNER/NAME` that a pack without a CI binding comes from: your word, logged as such")
	c.Flags().StringVar(&o.workflow, "source-workflow", "", "`WORKFLOW` that made it, with --source-repo")
	c.Flags().StringVar(&o.commit, "source-commit", "", "`COMMIT` it was made from (40 or 64 hex digits), with --source-repo")
	c.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for each pack")
}

// check says what of the flags can be wrong before any file is read.
func (o *anchor) check(packs []string) error {
	switch {
	case o.ledger == "":
		return cli.BadInput("name the ledger with --ledger URL", "there is no ledger to send it to")
	case o.Policy == "":
		return cli.BadInput("the ledger's operator publishes it; check it, then pass --policy FILE", "a proof can only be checked under a policy")
	case o.output != "" && len(packs) > 1:
		return cli.BadInput("", "--output is for one pack, not %d", len(packs))
	case o.timeout <= 0:
		return cli.BadInput("", "--timeout %s is no time at all", o.timeout)
	}
	return nil
}

func (o *anchor) run(c *cobra.Command, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	source, err := entry.ParseSource(o.repo, o.workflow, o.commit)
	if err != nil {
		return cli.BadInput("name it with --source-repo OWNER/NAME", "%w", err)
	}
	options, err := o.Options()
	if err != nil {
		return err
	}
	if o.output != "" {
		if parent, err := cli.FolderOf(o.output); err != nil {
			return err
		} else if cli.Within(args[0], parent) {
			return cli.BadInput("without --output the proof goes where verifiers look for it", "--output %s is inside the pack", o.output)
		}
	}
	options.RequireAnchor = true
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := anchoring{s: o.s, source: source, options: options, output: o.output, timeout: o.timeout,
		ledger: &client.Client{URL: o.ledger, Policy: options.Policy, Timeout: o.timeout, Attempts: -1}}
	return a.all(ctx, c, args)
}

// anchoring is what all packs of one command have in common.
type anchoring struct {
	s       cli.Streams
	ledger  *client.Client
	source  entry.Source
	options pack.Options
	output  string // of the one proof; empty: into the pack
	timeout time.Duration
	asked   bool // the ledger's checkpoint was one under the policy
}

// all anchors what it can and ends with the gravest code. What can be wrong here is found before the
// network is touched. A ledger that does not answer, or is not that of the policy, ends it at once:
// it would not be another one for the next pack.
func (a *anchoring) all(ctx context.Context, c *cobra.Command, dirs []string) error {
	worst := cli.ExitPass
	failed := func(dir string, err error) error { // the error that ends everything, nil: go on
		var verdict cli.Verdict
		switch {
		case err == nil:
		case len(dirs) == 1:
			return err
		case errors.As(err, &verdict):
			worst = cli.Graver(worst, int(verdict))
		default:
			code := a.s.Tell(c, fmt.Errorf("%s: %w", dir, err)).Code
			if worst = cli.Graver(worst, code); code == cli.ExitUnavailable {
				return cli.Verdict(worst)
			}
		}
		return nil
	}
	var good []prepared
	for _, dir := range dirs {
		p, err := a.prepare(dir)
		if stop := failed(dir, err); stop != nil {
			return stop
		} else if err == nil {
			good = append(good, p)
		}
	}
	for _, p := range good {
		err := a.one(ctx, p)
		if stop := failed(p.dir, err); stop != nil {
			return stop
		} else if !a.asked {
			break
		}
	}
	return cli.Judged(worst, nil)
}

// prepared is a pack that verified, its manifest, and a place for its proof.
type prepared struct {
	dir      string
	id       string
	manifest []byte
}

func (a *anchoring) prepare(dir string) (p prepared, err error) {
	// What does not verify is not sent: a public log is for ever.
	before, err := expect.VerifyDir(dir, pack.Options{Now: time.Now()})
	if err != nil {
		return p, err
	}
	if before.ExitCode() == cli.ExitTampered { // or from the future
		return p, a.refuse(dir, before)
	}
	if bound := entry.BoundSource(before.Manifest); bound != (entry.Source{}) && a.source != (entry.Source{}) {
		return p, cli.BadInput("leave --source-repo, --source-workflow and --source-commit out: what is signed is logged, and nothing beside it",
			"%s names where it comes from in its signed CI binding: %s", before.Manifest.PackID, bound.Repo)
	}
	p = prepared{dir: dir, id: before.Manifest.PackID}
	if p.manifest, err = cli.ReadFile(filepath.Join(dir, expect.ManifestName), expect.MaxManifest); err != nil {
		return p, err
	}
	folder := filepath.Dir(a.proofPath(dir))
	if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		folder = dir
	}
	if err := cli.Writable(folder); err != nil {
		return p, fmt.Errorf("a proof could not be kept, so nothing is sent: %w", err)
	}
	if info, err := os.Lstat(a.output); a.output != "" && err == nil && !info.Mode().IsRegular() {
		return p, cli.BadInput("name another with --output FILE", "a proof could not be kept, so nothing is sent: %s is not a regular file", a.output)
	}
	return p, nil
}

func (a *anchoring) proofPath(dir string) string {
	return cmp.Or(a.output, filepath.Join(dir, "_unsigned", "anchor.tlog-proof"))
}

// one has a.timeout for everything, and keeps a little of that to ask why there was no answer.
func (a *anchoring) one(ctx context.Context, p prepared) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	patience, cancel := context.WithTimeout(ctx, a.timeout-min(2*time.Second, a.timeout/10))
	defer cancel()
	waiting := false
	a.ledger.Waiting = func(err error) {
		if !waiting {
			fmt.Fprintf(a.s.Err, "waiting, at most %s: %s\n", a.timeout, terminal.Safe(err.Error()))
		}
		waiting = true
	}
	anchored, err := a.add(patience, p)
	if err != nil {
		return a.accuse(p.dir, a.whyNot(ctx, err))
	}
	proof := anchored.Proof.Marshal()
	o := a.options
	o.Proof, o.Now = proof, time.Now()
	// All of it again: the ledger was slow, and the proof goes into the pack that is there now.
	after, err := expect.VerifyDir(p.dir, o)
	if err != nil {
		return a.accuse(p.dir, &client.BadProof{What: "proof", Answer: proof, Err: err})
	}
	if after.ExitCode() != cli.ExitPass {
		fmt.Fprintf(a.s.Err, "the entry is logged, and its proof is not accepted: %s\n", terminal.Safe(a.keepAnswer(p.dir, proof)))
		return a.refuse(p.dir, after)
	}
	output, err := a.keep(p.dir, proof)
	if err != nil {
		return fmt.Errorf("keeping the proof of an entry that is logged (run it again with --output FILE to keep it elsewhere): %w", err)
	}
	word := "anchored"
	if !anchored.New {
		word = "logged before"
	}
	fmt.Fprintf(a.s.Err, "proof: %s\n", terminal.Safe(output))
	_, err = fmt.Fprintf(a.s.Out, "%s: %s: %s\n", terminal.Safe(p.id), word, terminal.Safe(report.AnchorText(after).String()))
	return err
}

// add asks first, and publishes then: an entry in the wrong log stays there for ever.
func (a *anchoring) add(ctx context.Context, p prepared) (*entry.Anchored, error) {
	if !a.asked {
		if _, err := a.ledger.Checkpoint(ctx); err != nil {
			return nil, fmt.Errorf("nothing was sent: %w", err)
		}
		a.asked = true
	}
	return a.ledger.Add(ctx, p.manifest, a.source)
}

// whyNot lets a ledger that took the submission and fell silent say what it waits for.
func (a *anchoring) whyNot(ctx context.Context, err error) error {
	var problem, why *client.Problem
	if !a.asked || errors.As(err, &problem) || !errors.Is(err, client.ErrUnavailable) {
		return err
	}
	if errors.As(a.ledger.Ready(ctx), &why) && why.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("%w; asked why, %w", err, why)
	}
	return err
}

func (a *anchoring) refuse(dir string, r *pack.Result) error {
	_, err := io.WriteString(a.s.Out, report.New(dir, r).Text())
	return cli.Judged(cli.ExitTampered, err)
}

// keep writes the proof. Verify has just refused an _unsigned that is a link out of the pack, and
// a link in place of the proof itself is replaced, not followed.
func (a *anchoring) keep(dir string, proof []byte) (output string, err error) {
	if output = a.proofPath(dir); a.output == "" {
		if err := durable.Mkdir(filepath.Dir(output), 0o755); err != nil {
			return "", err
		}
		if info, err := os.Lstat(output); err == nil && info.Mode()&os.ModeSymlink != 0 {
			if err := os.Remove(output); err != nil {
				return "", err
			}
		}
	}
	return output, durable.WriteFile(output, proof, 0o644)
}

// keepAnswer writes what does not verify to a file of its own beside the pack, or beside --output, and says
// where. The name is made of the answer, so an earlier one is never replaced, and the same one is kept once.
func (a *anchoring) keepAnswer(dir string, answer []byte) string {
	beside, err := filepath.Abs(cmp.Or(a.output, dir))
	if err != nil {
		return "it could not be kept: " + err.Error()
	}
	path := fmt.Sprintf("%s.ledger-answer-%.8x", beside, sha256.Sum256(answer))
	if err := durable.CreateFile(path, answer, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return "it could not be kept: " + err.Error()
	}
	return "it is kept in " + path
}

// accuse gives the client's errors their exit codes, and keeps what may be evidence.
func (a *anchoring) accuse(dir string, err error) error {
	const again = "run it again later: the same pack always gets the same entry"
	var problem *client.Problem
	var bad *client.BadProof
	kept := ""
	if errors.As(err, &bad) && bad.Answer != nil {
		kept = "; " + a.keepAnswer(dir, bad.Answer)
	}
	switch {
	// The log signed, and too few witnesses have cosigned yet, or the policy asks for others.
	case errors.Is(err, trust.ErrQuorum):
		return cli.Unavailable(again+"; if it stays so, --policy names other witnesses than the ledger has", "%w%s", err, kept)
	case errors.Is(err, client.ErrBadProof):
		return &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("%w%s", err, kept), Hint: "keep the answer: it may be evidence against the ledger"}
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return cli.Unavailable(again, "%w", err)
	case errors.Is(err, client.ErrOtherLog):
		return cli.BadInput("is --ledger the right one, and --policy its policy?", "%w", err)
	case errors.As(err, &problem) && problem.Status == http.StatusUnprocessableEntity:
		return &cli.Error{Code: cli.ExitTampered, Err: err}
	}
	return &cli.Error{Code: cli.ExitBadInput, Err: err}
}
