package sign

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyGenerateCmd(s cmd.Streams) *cobra.Command {
	var keepActive, encrypt, setActive, asJSON bool
	c := &cobra.Command{
		Use:   "generate [ID]",
		Short: "Make an Ed25519 signing key and make it the active one",
		Example: `  assay key generate ci-key --no-set-active
  assay key generate release --encrypt`,
		Args: cmd.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		id := keystore.DefaultID
		if len(args) == 1 {
			id = args[0]
		}
		generate := store.Generate
		if encrypt {
			generate = store.GenerateEncrypted
		}
		key, err := generate(nil, id)
		if err != nil {
			return keyError(store, id, err)
		}
		if setActive && !keepActive {
			if err := store.SetActive(id); err != nil {
				return err
			}
		}
		active, err := store.Active()
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "the secret key is in %s; nobody else should ever read it\n", cmd.Safe(store.Dir))
		return keyAnswer(s, asJSON, "generate", fmt.Sprintf("%s  %s\n", id, key.Fingerprint()),
			jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(key.Fingerprint())),
			jcs.M("active_signer", jcs.Str(active)), jcs.M("encrypted", jcs.Boolean(encrypt)))
	}
	activeFlags(c, &setActive, &keepActive)
	c.Flags().BoolVar(&encrypt, "encrypt", false, "keep the key in an age file: see 'assay key --help' for its passphrase")
	jsonFlag(c, &asJSON)
	return c
}
