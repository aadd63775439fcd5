package sign

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyGenerate is one run of 'key generate', with its flags.
type keyGenerate struct {
	s                                    cli.Streams
	keepActive, encrypt, setActive, json bool
}

func keyGenerateCmd(s cli.Streams) *cobra.Command {
	o := keyGenerate{s: s}
	c := &cobra.Command{
		Use:   "generate [ID]",
		Short: "Make an Ed25519 signing key and make it the active one",
		Example: `  assay key generate ci-key --no-set-active
  assay key generate release --encrypt`,
		Args: cli.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *keyGenerate) add(c *cobra.Command) {
	activeFlags(c, &o.setActive, &o.keepActive)
	c.Flags().BoolVar(&o.encrypt, "encrypt", false, "keep the key in an age file: see 'assay key --help' for its passphrase")
	cli.JSONFlag(c, &o.json)
}

func (o *keyGenerate) run(_ *cobra.Command, args []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	id := keystore.DefaultID
	if len(args) == 1 {
		id = args[0]
	}
	generate := store.Generate
	if o.encrypt {
		generate = store.GenerateEncrypted
	}
	key, err := generate(nil, id)
	if err != nil {
		return keyError(store, id, err)
	}
	if o.setActive && !o.keepActive {
		if err := store.SetActive(id); err != nil {
			return err
		}
	}
	active, err := store.Active()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.s.Err, "the secret key is in %s; nobody else should ever read it\n", terminal.Safe(store.Dir))
	return keyAnswer(o.s, o.json, "generate", fmt.Sprintf("%s  %s\n", id, key.Fingerprint()),
		jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(key.Fingerprint().String())),
		jcs.M("active_signer", jcs.Str(active)), jcs.M("encrypted", jcs.Boolean(o.encrypt)))
}
