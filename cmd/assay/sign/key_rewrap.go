package sign

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyRewrap is one run of 'key encrypt' or of 'key decrypt', with its flags.
type keyRewrap struct {
	s      cli.Streams
	name   string
	change func(*keystore.Store, string) error
	json   bool
}

func keyRewrapCmd(o keyRewrap, short string) *cobra.Command {
	c := &cobra.Command{
		Use:     o.name + " ID",
		Short:   short,
		Example: "  assay key " + o.name + " release",
		Args:    cli.Args(cobra.ExactArgs(1), "one id"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keyRewrap) add(c *cobra.Command) { cli.JSONFlag(c, &o.json) }

func (o *keyRewrap) run(_ *cobra.Command, args []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	if err := o.change(store, args[0]); err != nil {
		return keyError(store, args[0], err)
	}
	k, err := store.Find(args[0])
	if err != nil {
		return err
	}
	if o.name == "encrypt" {
		fmt.Fprintf(o.s.Err, "note: what the disk keeps of the deleted file is not overwritten\n")
	}
	return keyAnswer(o.s, o.json, o.name, keyLine(k), keyMembers(store, k)...)
}
