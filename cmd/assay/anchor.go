package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/report"
)

func anchorCmd(s cmd.Streams) *cobra.Command {
	var o struct {
		anchorFlags
		ledger, output, repo, workflow, commit string
		timeout                                time.Duration
	}
	c := &cobra.Command{
		Use:   "anchor PACK...",
		Short: "Log packs publicly and keep the proofs in them",
		Long: `anchor verifies each pack, sends its manifest (nothing else of it) to a ledger, waits until the
entry is public and cosigned, checks the proof that comes back under --policy, and writes it to
_unsigned/anchor.tlog-proof in the pack. A pack that was logged before gets a proof of the
same entry, so it is always safe to run again. Of several packs each is tried, and the gravest
exit code is the answer.`,
		Example: `  assay anchor ./proof_pack_* --ledger https://ledger.example --policy policy
  assay anchor ./pack --ledger http://127.0.0.1:8080 --policy policy -o pack.tlog-proof`,
		Args: cmd.Args(cobra.MinimumNArgs(1), "at least one pack directory"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.ledger == "":
				return cmd.BadInput("name the ledger with --ledger URL", "there is no ledger to send it to")
			case o.policy == "":
				return cmd.BadInput("the ledger's operator publishes it; check it, then pass --policy FILE", "a proof can only be checked under a policy")
			case o.output != "" && len(args) > 1:
				return cmd.BadInput("", "--output is for one pack, not %d", len(args))
			case o.timeout <= 0:
				return cmd.BadInput("", "--timeout %s is no time at all", o.timeout)
			}
			source, err := pack.ParseSource(o.repo, o.workflow, o.commit)
			if err != nil {
				return cmd.BadInput("", "%w", err)
			}
			options, err := o.options()
			if err != nil {
				return err
			}
			if o.output != "" {
				if parent, err := folderOf(o.output); err != nil {
					return err
				} else if within(args[0], parent) {
					return cmd.BadInput("without --output the proof goes where verifiers look for it", "--output %s is inside the pack", o.output)
				}
			}
			options.RequireAnchor = true
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			a := anchoring{s: s, source: source, options: options, output: o.output, timeout: o.timeout,
				ledger: &client.Client{URL: o.ledger, Policy: options.Policy}}
			return a.all(ctx, c, args)
		},
	}
	o.add(c)
	c.Flags().StringVar(&o.ledger, "ledger", "", "`URL` of the ledger (required)")
	c.Flags().StringVarP(&o.output, "output", "o", "", "write the proof to `FILE` instead of into the pack")
	c.Flags().StringVar(&o.repo, "source-repo", "", "`OWNER/NAME` that the pack comes from: your word, logged as such")
	c.Flags().StringVar(&o.workflow, "source-workflow", "", "`WORKFLOW` that made it")
	c.Flags().StringVar(&o.commit, "source-commit", "", "`COMMIT` it was made from (40 or 64 hex digits)")
	c.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for each pack")
	return c
}

// anchoring is what all packs of one command have in common.
type anchoring struct {
	s       cmd.Streams
	ledger  *client.Client
	source  pack.Source
	options pack.Options
	output  string // of the one proof; empty: into the pack
	timeout time.Duration
}

// all anchors what it can and ends with the gravest code. A ledger that does not answer ends it
// at once: it would not answer for the next pack either.
func (a *anchoring) all(ctx context.Context, c *cobra.Command, dirs []string) error {
	worst := cmd.ExitPass
	for _, dir := range dirs {
		err := a.one(ctx, dir)
		var verdict cmd.Verdict
		switch {
		case err == nil:
		case len(dirs) == 1:
			return err
		case errors.As(err, &verdict):
			worst = graver(worst, int(verdict))
		default:
			code := a.s.Tell(c, fmt.Errorf("%s: %w", dir, err)).Code
			if worst = graver(worst, code); code == cmd.ExitUnavailable {
				return cmd.Verdict(worst)
			}
		}
	}
	return verdict(worst)
}

func (a *anchoring) one(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	// What does not verify is not sent: a public log is for ever.
	before, err := verifyDir(dir, pack.Options{Now: time.Now()})
	if err != nil {
		return err
	}
	if before.ExitCode() == cmd.ExitTampered { // or from the future
		return a.refuse(dir, before)
	}
	manifest, err := cmd.ReadFile(filepath.Join(dir, "pack_manifest.json"), 1<<20)
	if err != nil {
		return err
	}
	anchored, err := a.ledger.Add(ctx, manifest, a.source)
	if err != nil {
		return anchorError(err)
	}
	proof := anchored.Proof.Marshal()
	o := a.options
	o.Proof, o.Now = proof, time.Now()
	// All of it again: the ledger was slow, and the proof goes into the pack that is there now.
	after, err := verifyDir(dir, o)
	if err != nil {
		return err
	}
	if after.ExitCode() != cmd.ExitPass {
		return a.refuse(dir, after)
	}
	output, err := a.keep(dir, proof)
	if err != nil {
		return cmd.BadInput("the entry is logged; run it again with --output FILE to keep its proof elsewhere", "keeping the proof: %w", err)
	}
	word := "anchored"
	if !anchored.New {
		word = "logged before"
	}
	fmt.Fprintf(a.s.Err, "proof: %s\n", cmd.Safe(output))
	_, err = fmt.Fprintf(a.s.Out, "%s: %s: %s\n", cmd.Safe(before.Manifest.PackID), word, cmd.Safe(report.AnchorText(after).String()))
	return err
}

func (a *anchoring) refuse(dir string, r *pack.Result) error {
	if err := printResult(a.s.Out, dir, r); err != nil {
		return err
	}
	return cmd.Verdict(cmd.ExitTampered)
}

// keep writes the proof. Verify has just refused an _unsigned that is a link out of the pack, and
// a link in place of the proof itself is replaced, not followed.
func (a *anchoring) keep(dir string, proof []byte) (output string, err error) {
	if output = a.output; output == "" {
		output = filepath.Join(dir, "_unsigned", "anchor.tlog-proof")
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

// anchorError gives the client's errors their exit codes.
func anchorError(err error) error {
	var problem *client.Problem
	switch {
	case errors.Is(err, client.ErrBadProof):
		return &cmd.Error{Code: cmd.ExitTampered, Err: err, Hint: "keep the answer: it may be evidence against the ledger"}
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return cmd.Unavailable("run it again later: the same pack always gets the same entry", "%w", err)
	case errors.As(err, &problem) && problem.Status == 422:
		return &cmd.Error{Code: cmd.ExitTampered, Err: err}
	}
	return &cmd.Error{Code: cmd.ExitBadInput, Err: err}
}
