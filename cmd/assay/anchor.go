package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack"
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
same entry, so it is always safe to run again.`,
		Example: `  assay anchor ./proof_pack_* --ledger https://ledger.example --policy policy
  assay anchor ./pack --ledger http://127.0.0.1:8080 --policy policy -o pack.tlog-proof`,
		Args: cmd.Args(cobra.MinimumNArgs(1), "at least one pack directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.policy == "" {
				return cmd.BadInput("the ledger's operator publishes it; check it, then pass --policy FILE", "a proof can only be checked under a policy")
			}
			if o.output != "" && len(args) > 1 {
				return cmd.BadInput("", "--output is for one pack, not %d", len(args))
			}
			source, err := pack.ParseSource(o.repo, o.workflow, o.commit)
			if err != nil {
				return cmd.BadInput("", "%v", err)
			}
			options, err := o.options()
			if err != nil {
				return err
			}
			options.RequireAnchor = true
			remote := &client.Client{URL: o.ledger, Policy: options.Policy}
			for _, dir := range args {
				ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
				err := anchorOne(ctx, s, remote, dir, o.output, source, options)
				cancel()
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
	o.add(c)
	c.Flags().StringVar(&o.ledger, "ledger", "", "URL of the ledger (required)")
	c.Flags().StringVarP(&o.output, "output", "o", "", "write the proof here instead of into the pack")
	c.Flags().StringVar(&o.repo, "source-repo", "", "owner/name that the pack comes from: your word, logged as such")
	c.Flags().StringVar(&o.workflow, "source-workflow", "", "workflow that made it")
	c.Flags().StringVar(&o.commit, "source-commit", "", "commit it was made from (40 hex digits)")
	c.Flags().DurationVar(&o.timeout, "timeout", time.Minute, "how long to wait for each pack")
	_ = c.MarkFlagRequired("ledger")
	return c
}

func anchorOne(ctx context.Context, s cmd.Streams, remote *client.Client, dir, output string, source pack.Source, o pack.Options) error {
	// What does not verify is not sent: a public log is for ever.
	before, err := verifyDir(dir, pack.Options{Now: time.Now()})
	if err != nil {
		return err
	}
	if before.Integrity != pack.Pass {
		printResult(s.Out, dir, before)
		return cmd.Verdict(cmd.ExitTampered)
	}
	manifest, err := cmd.ReadFile(filepath.Join(dir, "pack_manifest.json"), 1<<20)
	if err != nil {
		return err
	}
	anchored, err := remote.Add(ctx, manifest, source)
	if err != nil {
		return anchorError(err)
	}
	proof := anchored.Proof.Marshal()
	o.Proof, o.Now = proof, time.Now()
	after, err := verifyDir(dir, o)
	if err != nil {
		return err
	}
	if after.Anchor != pack.Pass {
		printResult(s.Out, dir, after)
		return cmd.Verdict(cmd.ExitTampered)
	}
	if output == "" {
		output = filepath.Join(dir, "_unsigned", "anchor.tlog-proof")
		if err := durable.Mkdir(filepath.Dir(output), 0o755); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(output, proof, 0o644); err != nil {
		return err
	}
	word := "anchored"
	if !anchored.New {
		word = "logged before"
	}
	fmt.Fprintf(s.Out, "%s: %s: %s\n", cmd.Safe(before.Manifest.PackID), word, anchorWords(after))
	fmt.Fprintf(s.Err, "proof: %s\n", cmd.Safe(output))
	return nil
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
