package sign

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func keySetActiveCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "set-active ID",
		Short:   "Name the key that signs from now on",
		Example: "  assay key set-active release",
		Args:    cmd.Args(cobra.ExactArgs(1), "one id"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		store, err := keysOf(s)
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
		return keyAnswer(s, asJSON, "set-active", fmt.Sprintf("%s  %s\n", k.ID, k.Fingerprint),
			jcs.M("active_signer", jcs.Str(k.ID)), jcs.M("fingerprint", jcs.Str(k.Fingerprint)))
	}
	jsonFlag(c, &asJSON)
	return c
}
