package check

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

func conformanceCmd(s cli.Streams, assay program) *cobra.Command {
	c := &cobra.Command{
		Use:   "conformance",
		Short: "Run a verifier over the corpus of packs that all must judge alike",
		Example: `  assay conformance run conformance/corpus
  assay conformance run conformance/corpus --command 'python verify.py {pack}'`,
	}
	c.AddCommand(cli.Judges(conformanceRunCmd(s, assay), cli.ExitHonestFail))
	return c
}
