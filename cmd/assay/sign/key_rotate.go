package sign

import (
	"cmp"
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// keyRotate is one run of 'key rotate', with its flags.
type keyRotate struct {
	s                           cli.Streams
	spec                        keystore.RotateSpec
	lock                        string
	setActive, keepActive, json bool
}

func keyRotateCmd(s cli.Streams) *cobra.Command {
	o := keyRotate{s: s}
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Make a key that follows another, signed for by the old one",
		Long: `rotate makes a new key, has the old one sign a statement over it, and makes it the active one. The
old key stays until it is revoked. On a machine without keys it makes the first one. With --lock
the lockfile admits both keys from then on; one that admitted any key admits only these two.`,
		Example: `  assay key rotate --lock assay.lock
  assay key rotate --signer ci-key --new-signer ci-key-2026q3 --no-set-active`,
		Args: cli.Args(cobra.NoArgs, "no argument"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *keyRotate) add(c *cobra.Command) {
	c.Flags().StringVar(&o.spec.Old, "signer", "", "`ID` of the old key (default: the active one)")
	c.Flags().StringVar(&o.spec.New, "new-signer", "", "`ID` of the new key (default: OLD-YYYYMMDDHHMMSS)")
	c.Flags().StringVar(&o.lock, "lock", "", "lockfile `FILE` to which both fingerprints are added")
	activeFlags(c, &o.setActive, &o.keepActive)
	cli.JSONFlag(c, &o.json)
}

func (o *keyRotate) run(*cobra.Command, []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	if o.lock != "" { // what is wrong with the lock is found before a key is made
		if _, err := expect.ReadLockToReplace(o.lock); err != nil {
			return err
		}
		o.spec.Publish = func(old, new ed25519.PublicKey) error { return admitKey(o.s, o.lock, old, new) }
	}
	o.spec.At, o.spec.Active = time.Now(), o.setActive && !o.keepActive
	done, err := store.Rotate(o.spec)
	if err != nil {
		return keyError(store, cmp.Or(o.spec.New, o.spec.Old), err)
	}
	active, err := store.Active()
	if err != nil {
		return err
	}
	if o.lock == "" {
		noteStaleLock(o.s, done)
	}
	return reportRotation(o.s, o.json, done, active, o.lock)
}

// noteStaleLock tells that the lock of this directory admits the old key and not the new one. A lock that is not
// there, or cannot be read, is not what was asked about.
func noteStaleLock(s cli.Streams, done *keystore.Rotated) {
	l, err := expect.ReadLockToReplace(expect.DefaultLock)
	if err != nil || done.Old == nil {
		return
	}
	admits := func(key *keystore.Key) bool {
		fingerprint, err := lock.KeyFingerprint(key.Public())
		return err != nil || l.Signers().Admits(fingerprint)
	}
	if admits(done.Old) && !admits(done.New) {
		fmt.Fprintf(s.Err, "note: %s admits the old key and not the new one: packs that it signs are refused until 'assay lock write' names it with --signer-allowlist\n", expect.DefaultLock)
	}
}

func reportRotation(s cli.Streams, asJSON bool, done *keystore.Rotated, active, lock string) error {
	null := jcs.Value{Kind: jcs.Null}
	oldID, oldFingerprint, lockPath := null, null, null
	var text strings.Builder
	if done.Old != nil {
		oldID, oldFingerprint = jcs.Str(done.Old.ID()), jcs.Str(done.Old.Fingerprint().String())
		fmt.Fprintf(&text, "old    %s  %s\n", done.Old.ID(), done.Old.Fingerprint())
		if done.Statement == nil {
			fmt.Fprintf(s.Err, "note: the old key was revoked: it signed no statement over the new one\n")
		}
	} else {
		fmt.Fprintf(s.Err, "there was no key here: this is the first\n")
	}
	fmt.Fprintf(&text, "new    %s  %s\nactive %s\n", done.New.ID(), done.New.Fingerprint(), active)
	if lock != "" {
		lockPath = jcs.Loose(lock)
		fmt.Fprintf(&text, "lock   %s\n", terminal.Safe(lock))
	}
	return keyAnswer(s, asJSON, "rotate", text.String(),
		jcs.M("old_signer", oldID), jcs.M("new_signer", jcs.Str(done.New.ID())), jcs.M("active_signer", jcs.Str(active)),
		jcs.M("old_fingerprint", oldFingerprint), jcs.M("new_fingerprint", jcs.Str(done.New.Fingerprint().String())),
		jcs.M("statement", jcs.Boolean(done.Statement != nil)),
		jcs.M("lock_updated", jcs.Boolean(lock != "")), jcs.M("lock_path", lockPath))
}
