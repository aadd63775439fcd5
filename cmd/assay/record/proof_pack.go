package record

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// proofPack is one run of 'proof-pack', with its flags.
type proofPack struct {
	s cli.Streams
	packing
}

func proofPackCmd(s cli.Streams) *cobra.Command {
	o := proofPack{s: s, packing: packing{exitPolicy: "merged"}}
	c := &cobra.Command{
		Use:   "proof-pack TRACE",
		Short: "Pack the receipts of an earlier run",
		Long: `proof-pack packs, signs and verifies what the store holds of a run: the receipts of an 'assay run'
that could make no pack, or those that 'assay emit --trace TRACE' recorded. TRACE is also the
name of a file in ./.assay/receipts, without .jsonl.

--deterministic makes the same bytes of the same receipts, key and flags: the time of the build
is that of --now or SOURCE_DATE_EPOCH, the pack id is made of what the pack holds, and there is no
CI binding unless --ci asks for one.`,
		Example: `  assay proof-pack trace_20260115T100000_5f2c9a01 -c receipt_completeness
  assay proof-pack nightly-7 --deterministic --now 2026-01-15T12:00:00Z --valid-until 90d`,
		Args: cli.Args(cobra.ExactArgs(1), "one trace id"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *proofPack) add(c *cobra.Command) {
	o.packing.add(c)
	c.Flags().BoolVar(&o.deterministic, "deterministic", false, "same receipts and key, same bytes; wants --now or SOURCE_DATE_EPOCH")
	c.Flags().StringVar(&o.now, "now", "", "the `TIME` (RFC 3339) of a --deterministic build")
}

func (o *proofPack) run(c *cobra.Command, args []string) error {
	job, err := o.prepare(o.s, c, args[0])
	if err != nil {
		return err
	}
	_, stop := catchSignals()
	defer stop()
	if err := job.breakglass(); err != nil {
		return err
	}
	return job.finish(0)
}
