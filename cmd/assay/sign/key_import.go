package sign

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyImportCmd(s cmd.Streams) *cobra.Command {
	var private, id string
	var setActive, asJSON bool
	c := &cobra.Command{
		Use:   "import ID.pub.b64",
		Short: "Add a key from exported files; without its secret half it is for allowlists",
		Example: `  assay key import ci-key-export/ci-key.pub.b64 --private ci-key-export/ci-key.key.b64
  assay key import release.pub.b64 --signer release-2026`,
		Args: cmd.Args(cobra.ExactArgs(1), "the file of a public key"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		if setActive && private == "" {
			return cmd.BadInput("give its other half with --private", "--set-active: a public key alone cannot sign")
		}
		if id == "" {
			name, ok := strings.CutSuffix(filepath.Base(args[0]), ".pub.b64")
			if !ok {
				return cmd.BadInput("name it with --signer", "%s is not called ID.pub.b64", args[0])
			}
			id = name
		}
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		public, err := cmd.ReadFile(args[0], 1<<10)
		if err != nil {
			return err
		}
		var secret []byte
		if private != "" {
			if secret, err = cmd.ReadSecret(private); err != nil {
				return err
			}
			defer clear(secret)
		}
		k, err := store.Import(id, public, secret)
		if err == nil && setActive {
			err = store.SetActive(id)
		}
		if err != nil {
			return keyError(store, id, err)
		}
		active, err := store.Active()
		if err != nil {
			return err
		}
		k.Active = k.ID == active && k.Kind != keystore.PublicOnly
		return keyAnswer(s, asJSON, "import", keyLine(k), jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(k.Fingerprint)),
			jcs.M("has_private", jcs.Boolean(private != "")), jcs.M("active_signer", jcs.Str(active)))
	}
	c.Flags().StringVar(&private, "private", "", "`FILE` of the secret half, ID.key.b64, mode 0600")
	c.Flags().StringVar(&id, "signer", "", "`ID` of the key here (default: from the file's name)")
	c.Flags().BoolVar(&setActive, "set-active", false, "make it the active key")
	jsonFlag(c, &asJSON)
	return c
}
