package expect

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// AnchorFlags say whom to believe about a proof.
type AnchorFlags struct{ Policy, roots, Proof, timestamp string }

// Add adds the flags to c.
func (f *AnchorFlags) Add(c *cobra.Command) {
	c.Flags().StringVar(&f.Policy, "policy", "", "C2SP tlog-policy `FILE`: the logs, witnesses and quorum you trust")
	c.Flags().StringVar(&f.roots, "tsa-roots", "", "PEM `FILE` with the roots of the timestamp authorities you trust: an entry without their time is not anchored")
	c.Flags().StringVar(&f.timestamp, "timestamp", "", "with --tsa-roots, whether an entry must have a timestamp: `required` (the default) or optional")
}

// Options reads the files once, before any pack is touched.
func (f *AnchorFlags) Options() (o pack.Options, err error) {
	// What is given to be checked is checked, or refused: never passed over.
	for _, given := range []struct{ flag, file string }{{"--proof", f.Proof}, {"--tsa-roots", f.roots}} {
		if given.file != "" && f.Policy == "" {
			return o, cli.BadInput("name the logs and witnesses you trust with --policy FILE", "%s says nothing without a policy", given.flag)
		}
	}
	switch o.TimeOptional = f.timestamp == "optional"; {
	case f.timestamp != "" && f.timestamp != "required" && !o.TimeOptional:
		return o, cli.BadInput("", "--timestamp %q is neither required nor optional", f.timestamp)
	case f.timestamp != "" && f.roots == "":
		return o, cli.BadInput("name the authorities that you trust with --tsa-roots FILE", "--timestamp %s says nothing without roots", f.timestamp)
	}
	if f.Policy != "" {
		if o.Policy, err = cli.ReadAs(f.Policy, trust.MaxSize, "see c2sp.org/tlog-policy", trust.ParsePolicy); err != nil {
			return o, err
		}
	}
	if f.roots != "" {
		roots, err := cli.ReadAs(f.roots, timestamp.MaxRoots, "--tsa-roots takes the certificates of authorities, and nothing else in PEM", timestamp.ParseRoots)
		if err != nil {
			return o, err
		}
		o.TSARoots = roots.Pool()
	}
	if f.Proof != "" {
		if o.Proof, err = cli.ReadFile(f.Proof, 1<<20); err != nil {
			return o, err
		}
	}
	return o, nil
}
