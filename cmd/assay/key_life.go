package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyRotateCmd(s cmd.Streams) *cobra.Command {
	var spec keystore.RotateSpec
	var lock string
	var setActive, keepActive, asJSON bool
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Make a key that follows another, signed for by the old one",
		Long: `rotate makes a new key, has the old one sign a statement over it, and makes it the active one. The
old key stays until it is revoked. On a machine without keys it makes the first one. With --lock
the lockfile admits both keys from then on; one that admitted any key admits only these two.`,
		Example: `  assay key rotate --lock assay.lock
  assay key rotate --signer ci-key --new-signer ci-key-2026q3 --no-set-active`,
		Args: cmd.Args(cobra.NoArgs, "no argument"),
	}
	c.RunE = func(*cobra.Command, []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		if lock != "" { // what is wrong with the lock is found before a key is made
			if _, err := expect.ReadLockToReplace(lock); err != nil {
				return err
			}
			spec.Publish = func(old, new ed25519.PublicKey) error { return admit(s, lock, old, new) }
		}
		spec.At, spec.Active = time.Now(), setActive && !keepActive
		done, err := store.Rotate(spec)
		if err != nil {
			return keyError(store, first(spec.New, spec.Old), err)
		}
		active, err := store.Active()
		if err != nil {
			return err
		}
		if lock == "" {
			noteStaleLock(s, done)
		}
		return reportRotation(s, asJSON, done, active, lock)
	}
	c.Flags().StringVar(&spec.Old, "signer", "", "`ID` of the old key (default: the active one)")
	c.Flags().StringVar(&spec.New, "new-signer", "", "`ID` of the new key (default: OLD-YYYYMMDDHHMMSS)")
	c.Flags().StringVar(&lock, "lock", "", "lockfile `FILE` to which both fingerprints are added")
	activeFlags(c, &setActive, &keepActive)
	jsonFlag(c, &asJSON)
	return c
}

// noteStaleLock tells that the lock of this directory admits the old key and not the new one. A lock that is not
// there, or cannot be read, is not what was asked about.
func noteStaleLock(s cmd.Streams, done *keystore.Rotated) {
	lock, err := expect.ReadLockToReplace(expect.DefaultLock)
	if err != nil || done.Old == nil {
		return
	}
	admits := func(key *keystore.Key) bool {
		fingerprint, err := pack.KeyFingerprint(key.Public())
		admitted, any := lock.Signers()
		return err != nil || any || slices.Contains(admitted, fingerprint)
	}
	if admits(done.Old) && !admits(done.New) {
		fmt.Fprintf(s.Err, "note: %s admits the old key and not the new one: packs that it signs are refused until 'assay lock write' names it with --signer-allowlist\n", expect.DefaultLock)
	}
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func reportRotation(s cmd.Streams, asJSON bool, done *keystore.Rotated, active, lock string) error {
	null := jcs.Value{Kind: jcs.Null}
	oldID, oldFingerprint, lockPath := null, null, null
	var text strings.Builder
	if done.Old != nil {
		oldID, oldFingerprint = jcs.Str(done.Old.ID()), jcs.Str(done.Old.Fingerprint())
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
		fmt.Fprintf(&text, "lock   %s\n", cmd.Safe(lock))
	}
	return keyAnswer(s, asJSON, "rotate", text.String(),
		jcs.M("old_signer", oldID), jcs.M("new_signer", jcs.Str(done.New.ID())), jcs.M("active_signer", jcs.Str(active)),
		jcs.M("old_fingerprint", oldFingerprint), jcs.M("new_fingerprint", jcs.Str(done.New.Fingerprint())),
		jcs.M("statement", jcs.Boolean(done.Statement != nil)),
		jcs.M("lock_updated", jcs.Boolean(lock != "")), jcs.M("lock_path", lockPath))
}

// editAllowlist reads the lock again, now that no other rotation runs, and writes it with another list.
func editAllowlist(path string, edit func(list [][32]byte, any bool) ([][32]byte, error)) error {
	lock, err := expect.ReadLockToReplace(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	before, any := lock.Signers()
	after, err := edit(slices.Clone(before), any)
	if err != nil || !any && slices.Equal(before, after) {
		return err
	}
	changed, err := lock.WithSigners(after, time.Now())
	if err != nil {
		return err
	}
	return durable.WriteFile(path, changed.Marshal(), info.Mode().Perm())
}

func admit(s cmd.Streams, path string, keys ...ed25519.PublicKey) error {
	return editAllowlist(path, func(list [][32]byte, any bool) ([][32]byte, error) {
		if any {
			fmt.Fprintf(s.Err, "note: %s admitted every signer; from now on only those of its list\n", cmd.Safe(path))
		}
		for _, key := range keys {
			if key == nil {
				continue
			}
			fingerprint, err := pack.KeyFingerprint(key)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(list, fingerprint) {
				list = append(list, fingerprint)
			}
		}
		return list, nil
	})
}

func keyRevokeCmd(s cmd.Streams) *cobra.Command {
	var spec keystore.RevokeSpec
	var lock string
	var asJSON bool
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
		Args: cmd.Args(cobra.ExactArgs(1), "one id or fingerprint"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		removed := false
		if lock != "" {
			if l, err := expect.ReadLockToReplace(lock); err != nil {
				return err
			} else if _, any := l.Signers(); any {
				return cmd.BadInput("name those that it admits with 'assay lock write --signer-allowlist'; or revoke without --lock", "%s admits every signer: there is no list to take this key off", lock)
			}
			spec.Publish = func(fingerprints []string) (err error) {
				removed, err = dismiss(lock, fingerprints)
				return err
			}
		}
		spec.ID, spec.At = args[0], time.Now()
		records, err := store.Revoke(spec)
		if err != nil {
			return keyError(store, args[0], err)
		}
		return reportRevocation(s, asJSON, store, spec, records, lock, removed)
	}
	c.Flags().StringVar(&lock, "lock", "", "lockfile `FILE` from whose list the key is taken")
	c.Flags().BoolVar(&spec.Delete, "delete", false, "delete the files of the key too")
	c.Flags().StringVar(&spec.Reason, "reason", "", "why, in a few words: `TEXT` of the record")
	jsonFlag(c, &asJSON)
	return c
}

// dismiss takes keys off the list. What is left may be nobody: that admits none, never every one.
func dismiss(path string, fingerprints []string) (removed bool, err error) {
	err = editAllowlist(path, func(list [][32]byte, any bool) ([][32]byte, error) {
		if any {
			return nil, fmt.Errorf("%s admits every signer", path)
		}
		rest := slices.DeleteFunc(slices.Clone(list), func(f [32]byte) bool { return slices.Contains(fingerprints, hex.EncodeToString(f[:])) })
		removed = len(rest) < len(list)
		return rest, nil
	})
	return removed, err
}

func reportRevocation(s cmd.Streams, asJSON bool, store *keystore.Store, spec keystore.RevokeSpec, records []keystore.Revocation, lock string, removed bool) error {
	deleted := spec.Delete && records[0].SignerID != ""
	var text strings.Builder
	list := jcs.Arr()
	for _, r := range records {
		fmt.Fprintf(&text, "revoked %s  %s  %s\n", spec.ID, r.Fingerprint, revokedOn(r))
		list.Items = append(list.Items, jcs.Obj(append([]jcs.Member{jcs.M("fingerprint", jcs.Str(r.Fingerprint))}, revocationMembers(r)...)...))
	}
	if lock != "" && !removed {
		fmt.Fprintf(s.Err, "note: %s did not admit this key\n", cmd.Safe(lock))
	}
	if active, err := store.Find(spec.ID); err == nil && active.Active {
		fmt.Fprintf(s.Err, "note: it is the active key: nothing is signed until 'assay key rotate' or 'assay key set-active'\n")
	} else if id, err := store.Active(); err == nil && deleted {
		fmt.Fprintf(s.Err, "the active key is %s\n", id)
	}
	return keyAnswer(s, asJSON, "revoke", text.String(),
		jcs.M("signer_id", jcs.Str(spec.ID)), jcs.M("fingerprint", jcs.Str(records[0].Fingerprint)), jcs.M("revocations", list),
		jcs.M("lock_updated", jcs.Boolean(removed)), jcs.M("removed_from_allowlist", jcs.Boolean(removed)),
		jcs.M("key_deleted", jcs.Boolean(deleted)))
}

func keyExportCmd(s cmd.Streams) *cobra.Command {
	var output string
	var private, asJSON bool
	c := &cobra.Command{
		Use:   "export [ID]",
		Short: "Write a key's public half, and on request the secret one, as text files",
		Long: `export makes a directory (mode 0700) with ID.pub.b64 and ID.fingerprint, and with --private also
ID.key.b64, whose text is what ASSAY_SIGNING_KEY takes. A secret key is never printed. An existing
directory is refused.`,
		Example: `  assay key export
  assay key export ci-key --private -o ./for-the-secret-store`,
		Args: cmd.Args(cobra.MaximumNArgs(1), "at most one id"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		store, err := keysOf(s)
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
		if output == "" {
			output = id + "-export"
		}
		k, files, err := exported(store, id, private)
		if err != nil {
			return keyError(store, id, err)
		}
		defer clear(files[len(files)-1])
		names := []string{id + ".pub.b64", id + ".fingerprint", id + ".key.b64"}[:len(files)]
		if err := durable.WriteDir(output, names, files, 0o700, 0o600); errors.Is(err, fs.ErrExist) {
			return cmd.BadInput("name another with --output", "%s exists", output)
		} else if err != nil {
			return err
		}
		list, text := jcs.Arr(), ""
		for _, name := range names {
			path := filepath.Join(output, name)
			list.Items = append(list.Items, jcs.Loose(path))
			text += cmd.Safe(path) + "\n"
		}
		if private {
			fmt.Fprintf(s.Err, "%s is the secret key, readable: put it where it belongs, then delete the directory\n", cmd.Safe(names[2]))
		}
		return keyAnswer(s, asJSON, "export", text, jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(k.Fingerprint)),
			jcs.M("files", list), jcs.M("includes_private", jcs.Boolean(private)))
	}
	c.Flags().StringVarP(&output, "output", "o", "", "`DIR` to make (default: ID-export)")
	c.Flags().BoolVar(&private, "private", false, "write the secret key too")
	jsonFlag(c, &asJSON)
	return c
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
	files := [][]byte{keystore.Base64(k.Public), []byte(k.Fingerprint + "\n")}
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

func keyEncryptCmd(s cmd.Streams) *cobra.Command {
	return keyRewrap(s, "encrypt", "Keep a key in an age file from now on", (*keystore.Store).Encrypt)
}

func keyDecryptCmd(s cmd.Streams) *cobra.Command {
	return keyRewrap(s, "decrypt", "Keep a key unencrypted from now on", (*keystore.Store).Decrypt)
}

func keyRewrap(s cmd.Streams, name, short string, change func(*keystore.Store, string) error) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     name + " ID",
		Short:   short,
		Example: "  assay key " + name + " release",
		Args:    cmd.Args(cobra.ExactArgs(1), "one id"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		if err := change(store, args[0]); err != nil {
			return keyError(store, args[0], err)
		}
		k, err := store.Find(args[0])
		if err != nil {
			return err
		}
		if name == "encrypt" {
			fmt.Fprintf(s.Err, "note: what the disk keeps of the deleted file is not overwritten\n")
		}
		return keyAnswer(s, asJSON, name, keyLine(k), keyMembers(store, k)...)
	}
	jsonFlag(c, &asJSON)
	return c
}
