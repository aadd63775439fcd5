package sign

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// keyList is one run of 'key list', with its flags.
type keyList struct {
	s    cli.Streams
	json bool
}

func keyListCmd(s cli.Streams) *cobra.Command {
	o := keyList{s: s}
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the signing keys; * marks the active one",
		Example: "  assay key list",
		Args:    cli.Args(cobra.NoArgs, "no argument"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keyList) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *keyList) run(*cobra.Command, []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	keys, err := store.List()
	if err != nil {
		return home.LockedHint(err)
	}
	if len(keys) == 0 {
		fmt.Fprintf(o.s.Err, "no key yet; 'assay key generate' makes one\n")
	}
	active, err := store.Active()
	if err != nil {
		return err
	}
	var text strings.Builder
	list := jcs.Arr()
	for _, k := range keys {
		text.WriteString(keyLine(k))
		list.Items = append(list.Items, jcs.Obj(keyMembers(store, k)...))
	}
	return keyAnswer(o.s, o.json, "list", text.String(), jcs.M("active_signer", jcs.Str(active)), jcs.M("signers", list))
}
