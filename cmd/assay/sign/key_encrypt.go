package sign

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyEncryptCmd(s cmd.Streams) *cobra.Command {
	return keyRewrap(s, "encrypt", "Keep a key in an age file from now on", (*keystore.Store).Encrypt)
}

func keyDecryptCmd(s cmd.Streams) *cobra.Command {
	return keyRewrap(s, "decrypt", "Keep a key unencrypted from now on", (*keystore.Store).Decrypt)
}

func keyRewrap(s cmd.Streams, name, short string, change func(*keystore.Store, string) error) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     name + " ID",
		Short:   short,
		Example: "  assay key " + name + " release",
		Args:    cmd.Args(cobra.ExactArgs(1), "one id"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		if err := change(store, args[0]); err != nil {
			return keyError(store, args[0], err)
		}
		k, err := store.Find(args[0])
		if err != nil {
			return err
		}
		if name == "encrypt" {
			fmt.Fprintf(s.Err, "note: what the disk keeps of the deleted file is not overwritten\n")
		}
		return keyAnswer(s, asJSON, name, keyLine(k), keyMembers(store, k)...)
	}
	jsonFlag(c, &asJSON)
	return c
}
