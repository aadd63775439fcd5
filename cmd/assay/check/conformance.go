package check

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

func conformanceCmd(s cmd.Streams, assay program) *cobra.Command {
	c := &cobra.Command{
		Use:   "conformance",
		Short: "Run a verifier over the corpus of packs that all must judge alike",
		Example: `  assay conformance run conformance/corpus
  assay conformance run conformance/corpus --command 'python verify.py {pack}'`,
	}
	c.AddCommand(cmd.Judges(conformanceRunCmd(s, assay), cmd.ExitHonestFail))
	return c
}
