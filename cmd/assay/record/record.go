// Package record makes evidence: the commands run, emit and proof-pack. They keep receipts in the store of this user
// and make signed packs of them. What assay has to say goes to stderr while a program runs: stdout is the program's.
package record

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Commands make receipts, and packs of them.
func Commands(s cli.Streams) []*cobra.Command {
	return []*cobra.Command{
		cli.Judges(runCmd(s), cli.ExitHonestFail, cli.ExitTampered),
		cli.Judges(proofPackCmd(s), cli.ExitHonestFail, cli.ExitTampered),
		emitCmd(s),
	}
}
