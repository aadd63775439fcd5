package sign

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/trust"
)

// keyRevoke is one run of 'key revoke', with its flags.
type keyRevoke struct {
	s    cli.Streams
	spec keystore.RevokeSpec
	lock string
	json bool
}

func keyRevokeCmd(s cli.Streams) *cobra.Command {
	o := keyRevoke{s: s}
	c := &cobra.Command{
		Use:   "revoke ID|FINGERPRINT",
		Short: "Stop using a key: record it, and take it off a lockfile",
		Long: `revoke records when and why a key is not used any more; from then on assay refuses to sign with
it here, under whatever id. The record stays when the key is deleted.

A verifier elsewhere does not see the record: it learns of a revocation only from the lockfile
(--lock) or from its --trusted-signer. An allowlist without the key refuses its old packs too.
Only packs that a ledger logged before the revocation can be told from packs that a thief of the
key dates back.`,
		Example: `  assay key revoke ci-key --lock assay.lock --reason 'runner compromised' --delete
  assay key revoke 0d54f48d9d2a7f8b8b7e1c5a1f0e3d2c4b5a69788796a5b4c3d2e1f00f1e2d3c`,
		Args: cli.Args(cobra.ExactArgs(1), "one id or fingerprint"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *keyRevoke) add(c *cobra.Command) {
	c.Flags().StringVar(&o.lock, "lock", "", "lockfile `FILE` from whose list the key is taken")
	c.Flags().BoolVar(&o.spec.Delete, "delete", false, "delete the files of the key too")
	c.Flags().StringVar(&o.spec.Reason, "reason", "", "why, in a few words: `TEXT` of the record")
	cli.JSONFlag(c, &o.json)
}

func (o *keyRevoke) run(_ *cobra.Command, args []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	removed := false
	if o.lock != "" {
		if l, err := expect.ReadLockToReplace(o.lock); err != nil {
			return err
		} else if l.Signers().Any() {
			return cli.BadInput("name those that it admits with 'assay lock write --signer-allowlist'; or revoke without --lock", "%s admits every signer: there is no list to take this key off", o.lock)
		}
		o.spec.Publish = func(fingerprints []trust.Digest) (err error) {
			removed, err = dismiss(o.lock, fingerprints)
			return err
		}
	}
	o.spec.ID, o.spec.At = args[0], time.Now()
	records, err := store.Revoke(o.spec)
	if err != nil {
		return keyError(store, args[0], err)
	}
	return reportRevocation(o.s, o.json, store, o.spec, records, o.lock, removed)
}

func reportRevocation(s cli.Streams, asJSON bool, store *keystore.Store, spec keystore.RevokeSpec, records []keystore.Revocation, lock string, removed bool) error {
	deleted := spec.Delete && records[0].SignerID != ""
	var text strings.Builder
	list := jcs.Arr()
	for _, r := range records {
		fmt.Fprintf(&text, "revoked %s  %s  %s\n", spec.ID, r.Fingerprint, revokedOn(r))
		list.Items = append(list.Items, jcs.Obj(append([]jcs.Member{jcs.M("fingerprint", jcs.Str(r.Fingerprint.String()))}, revocationMembers(r)...)...))
	}
	if lock != "" && !removed {
		fmt.Fprintf(s.Err, "note: %s did not admit this key\n", terminal.Safe(lock))
	}
	if active, err := store.Find(spec.ID); err == nil && active.Active {
		fmt.Fprintf(s.Err, "note: it is the active key: nothing is signed until 'assay key rotate' or 'assay key set-active'\n")
	} else if id, err := store.Active(); err == nil && deleted {
		fmt.Fprintf(s.Err, "the active key is %s\n", id)
	}
	return keyAnswer(s, asJSON, "revoke", text.String(),
		jcs.M("signer_id", jcs.Str(spec.ID)), jcs.M("fingerprint", jcs.Str(records[0].Fingerprint.String())), jcs.M("revocations", list),
		jcs.M("lock_updated", jcs.Boolean(removed)), jcs.M("removed_from_allowlist", jcs.Boolean(removed)),
		jcs.M("key_deleted", jcs.Boolean(deleted)))
}
