package judge

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

func auditCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "audit",
		Short:   "Hand evidence to an auditor",
		Long:    `audit makes what an auditor needs of a pack.`,
		Example: `  assay audit bundle ./proof_pack_trace_20260115T100000_5f2c9a01`,
	}
	c.AddCommand(cli.Judges(auditBundleCmd(s), cli.ExitHonestFail, cli.ExitTampered))
	return c
}
