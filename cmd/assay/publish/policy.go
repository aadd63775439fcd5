package publish

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

func policyCmd(s cmd.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Get the policy and the time roots of a ledger",
		Example: "  assay policy fetch https://ledger.example",
	}
	c.AddCommand(policyFetchCmd(s))
	return c
}
