// Package sign looks after the signing keys of this user: the command key. No command prints a secret key.
package sign

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Commands look after signing keys.
func Commands(s cli.Streams) []*cobra.Command { return []*cobra.Command{keyCmd(s)} }
