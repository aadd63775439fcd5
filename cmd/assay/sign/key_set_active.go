package sign

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// keySetActive is one run of 'key set-active', with its flags.
type keySetActive struct {
	s    cli.Streams
	json bool
}

func keySetActiveCmd(s cli.Streams) *cobra.Command {
	o := keySetActive{s: s}
	c := &cobra.Command{
		Use:     "set-active ID",
		Short:   "Name the key that signs from now on",
		Example: "  assay key set-active release",
		Args:    cli.Args(cobra.ExactArgs(1), "one id"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keySetActive) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *keySetActive) run(_ *cobra.Command, args []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	if err := store.SetActive(args[0]); err != nil {
		return keyError(store, args[0], err)
	}
	k, err := store.Find(args[0])
	if err != nil {
		return err
	}
	return keyAnswer(o.s, o.json, "set-active", fmt.Sprintf("%s  %s\n", k.ID, k.FingerprintText()),
		jcs.M("active_signer", jcs.Str(k.ID)), jcs.M("fingerprint", jcs.Str(k.FingerprintText())))
}
