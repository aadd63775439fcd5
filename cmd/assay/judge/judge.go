// Package judge says what packs prove: the commands verify-pack, explain and audit bundle. It reads the packs and
// the files that it is given, nothing else: it knows no keys (it imports neither home nor pack/keystore) and opens no
// connection (it links no net/http). layout_test.go holds it to both.
package judge

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

// Commands say what a pack proves.
func Commands(s cmd.Streams) []*cobra.Command {
	return []*cobra.Command{
		cmd.Judges(verifyPackCmd(s), cmd.ExitHonestFail, cmd.ExitTampered),
		cmd.Judges(explainCmd(s), cmd.ExitHonestFail, cmd.ExitTampered),
		auditCmd(s),
	}
}
