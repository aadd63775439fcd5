package sign

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyDecryptCmd(s cmd.Streams) *cobra.Command {
	return keyRewrapCmd(keyRewrap{s: s, name: "decrypt", change: (*keystore.Store).Decrypt}, "Keep a key unencrypted from now on")
}
