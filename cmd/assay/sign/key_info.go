package sign

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyInfo is one run of 'key info', with its flags.
type keyInfo struct {
	s    cli.Streams
	json bool
}

func keyInfoCmd(s cli.Streams) *cobra.Command {
	o := keyInfo{s: s}
	c := &cobra.Command{
		Use:     "info [ID]",
		Short:   "Show a signing key (default: the active one)",
		Example: "  assay key info",
		Args:    cli.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keyInfo) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *keyInfo) run(_ *cobra.Command, args []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	id, err := store.Active()
	if err != nil {
		return home.LockedHint(err)
	}
	if source, err := home.OnlyOne(o.s, home.EnvKey, home.EnvKeyFile, home.EnvSigner, home.EnvID); err != nil || source != "" {
		fmt.Fprintf(o.s.Err, "note: the environment names another key (%s): packs are signed with that one\n", cmp.Or(source, "several ways"))
	}
	if len(args) == 1 {
		id = args[0]
	}
	k, err := store.Find(id)
	if errors.Is(err, keystore.ErrNotFound) {
		return cli.BadInput("make it with 'assay key generate "+id+"'", "%w in %s", err, store.Dir)
	} else if err != nil {
		return err
	}
	if k.Err != nil && k.Revoked == nil {
		return home.LockedHint(fmt.Errorf("key %s: %w", id, k.Err))
	}
	var text strings.Builder
	fmt.Fprintf(&text, "id          %s\nalgorithm   ed25519\npublic key  %x\nfingerprint %s\nkept        %s\nactive      %v\n",
		k.ID, []byte(k.Public), k.FingerprintText(), k.Kind, k.Active)
	if k.Revoked != nil {
		fmt.Fprintf(&text, "revoked     %s %s\n", revokedOn(*k.Revoked), terminal.Safe(k.Revoked.Reason))
	}
	return keyAnswer(o.s, o.json, "info", text.String(), append(keyMembers(store, k),
		jcs.M("algorithm", jcs.Str("Ed25519")), jcs.M("is_active", jcs.Boolean(k.Active)),
		jcs.M("pubkey_b64", jcs.Str(base64.StdEncoding.EncodeToString(k.Public))))...)
}
