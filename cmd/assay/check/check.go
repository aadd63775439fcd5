// Package check holds verifiers and documents to what is written down: the commands conformance (a corpus of packs
// that every verifier must judge alike) and schema (what form each document has).
package check

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Commands hold other programs, and this one, to what is written down. assay runs a whole command line of
// this program.
func Commands(s cli.Streams, assay program) []*cobra.Command {
	return []*cobra.Command{conformanceCmd(s, assay), schemaCmd(s)}
}
