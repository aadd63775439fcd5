package sign

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyImport is one run of 'key import', with its flags.
type keyImport struct {
	s               cli.Streams
	private, id     string
	setActive, json bool
}

func keyImportCmd(s cli.Streams) *cobra.Command {
	o := keyImport{s: s}
	c := &cobra.Command{
		Use:   "import ID.pub.b64",
		Short: "Add a key from exported files; without its secret half it is for allowlists",
		Example: `  assay key import ci-key-export/ci-key.pub.b64 --private ci-key-export/ci-key.key.b64
  assay key import release.pub.b64 --signer release-2026`,
		Args: cli.Args(cobra.ExactArgs(1), "the file of a public key"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *keyImport) add(c *cobra.Command) {
	c.Flags().StringVar(&o.private, "private", "", "`FILE` of the secret half, ID.key.b64, mode 0600")
	c.Flags().StringVar(&o.id, "signer", "", "`ID` of the key here (default: from the file's name)")
	c.Flags().BoolVar(&o.setActive, "set-active", false, "make it the active key")
	cli.JSONFlag(c, &o.json)
}

func (o *keyImport) check() error {
	if o.setActive && o.private == "" {
		return cli.BadInput("give its other half with --private", "--set-active: a public key alone cannot sign")
	}
	return nil
}

func (o *keyImport) run(_ *cobra.Command, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.id == "" {
		name, ok := strings.CutSuffix(filepath.Base(args[0]), ".pub.b64")
		if !ok {
			return cli.BadInput("name it with --signer", "%s is not called ID.pub.b64", args[0])
		}
		o.id = name
	}
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	public, err := cli.ReadFile(args[0], 1<<10)
	if err != nil {
		return err
	}
	var secret []byte
	if o.private != "" {
		if secret, err = cli.ReadSecret(o.private); err != nil {
			return err
		}
		defer clear(secret)
	}
	k, err := store.Import(o.id, public, secret)
	if err == nil && o.setActive {
		err = store.SetActive(o.id)
	}
	if err != nil {
		return keyError(store, o.id, err)
	}
	active, err := store.Active()
	if err != nil {
		return err
	}
	k.Active = k.ID == active && k.Kind != keystore.PublicOnly
	return keyAnswer(o.s, o.json, "import", keyLine(k), jcs.M("signer_id", jcs.Str(o.id)), jcs.M("fingerprint", jcs.Str(k.FingerprintText())),
		jcs.M("has_private", jcs.Boolean(o.private != "")), jcs.M("active_signer", jcs.Str(active)))
}
