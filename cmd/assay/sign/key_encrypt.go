package sign

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyEncryptCmd(s cli.Streams) *cobra.Command {
	return keyRewrapCmd(keyRewrap{s: s, name: "encrypt", change: (*keystore.Store).Encrypt}, "Keep a key in an age file from now on")
}
