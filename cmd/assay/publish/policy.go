package publish

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

func policyCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "policy",
		Short:   "Get the policy and the time roots of a ledger",
		Example: "  assay policy fetch https://ledger.example",
	}
	c.AddCommand(policyFetchCmd(s))
	return c
}
