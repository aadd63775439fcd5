package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
)

func explainCmd(s cmd.Streams) *cobra.Command {
	var o anchorFlags
	c := &cobra.Command{
		Use:   "explain PACK",
		Short: "Say in plain words what a pack proves and what it does not",
		Long: `explain verifies a pack as verify-pack does, with the same exit code, and says in plain words
what follows from that and what does not.`,
		Example: `  assay explain ./pack
  assay explain ./pack --policy policy --tsa-roots roots.pem`,
		Args: cmd.Args(cobra.ExactArgs(1), "one pack directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			options, err := o.options()
			if err != nil {
				return err
			}
			options.Now = time.Now()
			r, err := verifyDir(args[0], options)
			if err != nil {
				return err
			}
			if err := printResult(s.Out, args[0], r); err != nil {
				return err
			}
			if _, err := io.WriteString(s.Out, explanation(r)); err != nil {
				return err
			}
			return verdict(r.ExitCode())
		},
	}
	o.add(c)
	return c
}

// explanation never says more than was verified just now. The limits are those of the seed
// document §5.2; each is dropped or softened only when its evidence held.
func explanation(r *pack.Result) string {
	w := new(strings.Builder)
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	if r.Integrity != pack.Pass {
		p("\nThis pack is not intact. Nothing in it can be relied on, and nothing of it is shown.")
		return w.String()
	}
	a := r.Manifest.Attestation
	p("\nwhat happened, as the pack tells it")
	p("  run %s, mode %s: %s between %s and %s", cmd.Safe(a.RunID), cmd.Safe(a.Mode), count(int(a.NReceipts), "receipt"), cmd.Safe(a.TimestampStart), cmd.Safe(a.TimestampEnd))
	p("\nwhat it proves")
	p("  - whoever holds the key %x signed exactly these bytes, and they were not altered since", r.Manifest.SignerFingerprint())
	if len(r.ClaimResults) > 0 {
		p("  - the declared checks, executed again here, gave the results above")
	}
	if r.Anchor == pack.Pass {
		p("  - the log %s holds this very manifest as entry %d and cannot drop or change it unnoticed", cmd.Safe(r.Log.Origin), r.Logged.Index)
		if n := len(r.Log.Cosignatures); n > 0 {
			p("  - of the witnesses in your policy %d saw that log at size %d and only ever growing", n, r.Log.Size)
		}
	}
	if r.Time != nil {
		p("  - the manifest existed by %s (within %s), says the timestamp authority %s", r.Time.Time.UTC().Format(time.RFC3339), r.Time.Accuracy, cmd.Safe(r.Time.Signer))
	}
	p("\nwhat it does not prove")
	p("  - completeness: a receipt that was never emitted is not missed here")
	p("  - honest creation: a compromised program can emit false receipts and sign them")
	if r.Time == nil {
		p("  - time: the times are the signer's own clock; no timestamp authority was checked")
	} else {
		p("  - the times inside the receipts: the timestamp says only that they were written before it")
	}
	if r.Anchor != pack.Pass || len(r.Log.Cosignatures) == 0 {
		p("  - that others saw it: no witness cosignature was checked")
	} else {
		p("  - that the witnesses looked inside: they vouch that the log only grows, not for what it holds")
	}
	p("  - secrecy: hashes of guessable contents can be guessed")
	p("  - that the outputs are right, safe or lawful, or whose key that is")
	p("\nhow to check it without us: the format is SHA-256, Ed25519 and canonical JSON (RFC 8785 family);")
	p("any verifier of proof packs, C2SP tlog-proof and RFC 3161 can repeat all of the above")
	return w.String()
}
