package sign

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyDecryptCmd(s cli.Streams) *cobra.Command {
	return keyRewrapCmd(keyRewrap{s: s, name: "decrypt", change: (*keystore.Store).Decrypt}, "Keep a key unencrypted from now on")
}
