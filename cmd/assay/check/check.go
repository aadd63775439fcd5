// Package check holds verifiers and documents to what is written down: the commands conformance (a corpus of packs
// that every verifier must judge alike) and schema (what form each document has).
package check

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

// Commands hold other programs, and this one, to what is written down. program runs a whole command line of
// this program.
func Commands(s cmd.Streams, program func(context.Context, []string, cmd.Streams) int) []*cobra.Command {
	return []*cobra.Command{conformanceCmd(s, program), schemaCmd(s)}
}
