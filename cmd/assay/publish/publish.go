// Package publish speaks to ledgers: anchor brings packs into one, and policy fetch asks one for its policy and roots.
// An entry is for ever, so a ledger is held to the policy before it is sent anything. It knows no keys.
package publish

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Commands speak to ledgers.
func Commands(s cli.Streams) []*cobra.Command {
	return []*cobra.Command{cli.Judges(anchorCmd(s), cli.ExitHonestFail, cli.ExitTampered), policyCmd(s)}
}
