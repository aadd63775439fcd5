package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyExport is one run of 'key export', with its flags.
type keyExport struct {
	s             cli.Streams
	output        string
	private, json bool
}

func keyExportCmd(s cli.Streams) *cobra.Command {
	o := keyExport{s: s}
	c := &cobra.Command{
		Use:   "export [ID]",
		Short: "Write a key's public half, and on request the secret one, as text files",
		Long: `export makes a directory (mode 0700) with ID.pub.b64 and ID.fingerprint, and with --private also
ID.key.b64, whose text is what ASSAY_SIGNING_KEY takes. A secret key is never printed. An existing
directory is refused.`,
		Example: `  assay key export
  assay key export ci-key --private -o ./for-the-secret-store`,
		Args: cli.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *keyExport) add(c *cobra.Command) {
	c.Flags().StringVarP(&o.output, "output", "o", "", "`DIR` to make (default: ID-export)")
	c.Flags().BoolVar(&o.private, "private", false, "write the secret key too")
	cli.JSONFlag(c, &o.json)
}

func (o *keyExport) run(_ *cobra.Command, args []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	id, err := store.Active()
	if err != nil {
		return err
	}
	if len(args) == 1 {
		id = args[0]
	}
	if o.output == "" {
		o.output = id + "-export"
	}
	k, files, err := exported(store, id, o.private)
	if err != nil {
		return keyError(store, id, err)
	}
	defer clear(files[len(files)-1])
	names := []string{id + ".pub.b64", id + ".fingerprint", id + ".key.b64"}[:len(files)]
	if err := durable.WriteDir(o.output, names, files, 0o700, 0o600); errors.Is(err, fs.ErrExist) {
		return cli.BadInput("name another with --output", "%s exists", o.output)
	} else if err != nil {
		return err
	}
	list, text := jcs.Arr(), ""
	for _, name := range names {
		path := filepath.Join(o.output, name)
		list.Items = append(list.Items, jcs.Loose(path))
		text += terminal.Safe(path) + "\n"
	}
	if o.private {
		fmt.Fprintf(o.s.Err, "%s is the secret key, readable: put it where it belongs, then delete the directory\n", terminal.Safe(names[2]))
	}
	return keyAnswer(o.s, o.json, "export", text, jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(k.FingerprintText())),
		jcs.M("files", list), jcs.M("includes_private", jcs.Boolean(o.private)))
}

// exported are the texts of the export: public key, fingerprint and perhaps the seed.
func exported(store *keystore.Store, id string, private bool) (keystore.Info, [][]byte, error) {
	k, err := store.Find(id)
	if err == nil && k.Err != nil && k.Revoked == nil {
		err = k.Err
	}
	if err != nil {
		return k, nil, err
	}
	files := [][]byte{keystore.Base64(k.Public), []byte(k.FingerprintText() + "\n")}
	if private {
		key, err := home.LoadKey(store, id)
		if err != nil {
			return k, nil, err
		}
		seed := key.Seed()
		defer clear(seed)
		files = append(files, keystore.Base64(seed))
	}
	return k, files, nil
}
