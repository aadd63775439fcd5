package check

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

func schemaCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "JSON Schemas of every document",
		Example: `  assay schema list
  assay schema export pack-manifest`,
	}
	c.AddCommand(schemaListCmd(s), schemaExportCmd(s))
	return c
}
