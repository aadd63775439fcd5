// Package judge says what packs prove: the commands verify-pack, explain, page and audit bundle. It reads the packs and
// the files that it is given, nothing else: it knows no keys (it imports neither home nor pack/keystore) and opens no
// connection (it links no net/http). layout_test.go holds it to both.
package judge

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Commands say what a pack proves.
func Commands(s cli.Streams) []*cobra.Command {
	return []*cobra.Command{
		cli.Judges(verifyPackCmd(s), cli.ExitHonestFail, cli.ExitTampered),
		cli.Judges(explainCmd(s), cli.ExitHonestFail, cli.ExitTampered),
		cli.Judges(pageCmd(s), cli.ExitHonestFail, cli.ExitTampered),
		auditCmd(s),
	}
}
