package sign

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyEncryptCmd(s cmd.Streams) *cobra.Command {
	return keyRewrapCmd(keyRewrap{s: s, name: "encrypt", change: (*keystore.Store).Encrypt}, "Keep a key in an age file from now on")
}
