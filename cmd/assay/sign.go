package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// Where the signing key comes from. At most one of the first three is set; none: the key store. An empty
// variable is none, because that is what CI makes of a secret that it withholds; but then no key is made for
// the run: somebody meant to sign with another one.
const (
	envKey     = "ASSAY_SIGNING_KEY"      // the seed in base64, as in ID.key.b64
	envKeyFile = "ASSAY_SIGNING_KEY_FILE" // a file of that, of the 32 bytes, or of either in an age file
	envSigner  = "ASSAY_SIGNER"           // exec:/path/to/helper [ARG...]: see keystore.Helper
	envID      = "ASSAY_SIGNER_ID"        // the id of that key (default: ci-key), or of one in the store

	// What opens an encrypted key; at most one is set. The passphrase itself is never in the environment.
	envPassphraseFile = "ASSAY_KEY_PASSPHRASE_FILE"
	envPassphraseFD   = "ASSAY_KEY_PASSPHRASE_FD"
	envIdentityFile   = "ASSAY_KEY_IDENTITY_FILE" // of age
)

// keyVariables never reach a program that we run.
var keyVariables = []string{envKey, envKeyFile, envSigner, envID, envPassphraseFile, envPassphraseFD, envIdentityFile}

const (
	ciKeyID       = "ci-key"
	maxPassphrase = 4 << 10
)

// withoutKeys is an environment for a program that is no business of the signing key.
func withoutKeys(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		// Windows does not tell the cases of names apart.
		return slices.ContainsFunc(keyVariables, func(v string) bool { return strings.EqualFold(v, name) })
	})
}

// signingKey is the key that signs: the one that --signer or the environment names or gives, else the active
// one of the store. An id that is not empty must be the key's. A first run makes a key unless that was forbidden.
func signingKey(s cmd.Streams, h home, id string, generate bool) (pack.Signer, error) {
	cmd.HoldSecret()
	store := openKeys(s, h)
	named := s.Env(envID)
	if id != "" && named != "" && id != named {
		return nil, cmd.BadInput("unset "+envID, "--signer %s, and %s=%s", id, envID, named)
	}
	if id == "" {
		id = named
	}
	source, err := onlyOne(s, envKey, envKeyFile, envSigner)
	if err != nil {
		return nil, err
	}
	switch source {
	case envKey, envKeyFile:
		return environmentKey(s, store, source, id)
	case envSigner:
		return helperKey(s, store, id)
	}
	if id != "" {
		return signerOrNil(loadKey(store, id))
	}
	for _, name := range []string{envKey, envKeyFile, envSigner} {
		if generate && s.SetButEmpty(name) {
			key, err := activeKey(s, store, false)
			if errors.Is(err, keystore.ErrNotFound) {
				return nil, cmd.BadInput("does CI withhold the secret, as from a fork? unset "+name+" to sign with a key that is made for this run", "%s is empty, and there is no other signing key", name)
			}
			return key, err
		}
	}
	return activeKey(s, store, generate)
}

// onlyOne is the name of the variable that is set, "" if none is.
func onlyOne(s cmd.Streams, names ...string) (string, error) {
	var set []string
	for _, name := range names {
		if s.Env(name) != "" {
			set = append(set, name)
		}
	}
	switch len(set) {
	case 0:
		return "", nil
	case 1:
		return set[0], nil
	}
	return "", cmd.BadInput("unset all but one", "%s are set: which one is meant?", strings.Join(set, " and "))
}

// environmentKey is a key that is on no disk of ours. No error quotes it.
func environmentKey(s cmd.Streams, store *keystore.Store, source, id string) (pack.Signer, error) {
	if id == "" {
		id = ciKeyID
	}
	text := []byte(s.Env(source))
	wipeVariable(envKey)
	if source == envKeyFile {
		var err error
		if text, err = cmd.ReadSecret(s.Env(source)); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		if keystore.IsEncrypted(text) {
			if text, err = openEncrypted(store, text); err != nil {
				return nil, fmt.Errorf("%s: %w", source, err)
			}
		}
	} else if len(text) == 32 { // raw bytes do not pass through an environment whole
		return nil, cmd.BadInput("put the text of ID.key.b64 there: assay key export ID --private", "%s: expected base64", source)
	}
	defer clear(text)
	seed, err := keystore.ParseSeed(text)
	if err != nil {
		return nil, cmd.BadInput("put the text of ID.key.b64 there: assay key export ID --private", "%s: %w", source, err)
	}
	defer clear(seed)
	if err := refusePublic(store, source, s.Env(source), seed); err != nil {
		return nil, err
	}
	key, err := keystore.NewKey(id, seed)
	if err != nil {
		return nil, cmd.BadInput("", "%s: %w", envID, err)
	}
	return key, refuseRevoked(store, key)
}

// refusePublic refuses what everybody knows: any 32 bytes are a seed, those of a public key too.
func refusePublic(store *keystore.Store, source, value string, seed []byte) error {
	const hint = "put the text of ID.key.b64 there: assay key export ID --private"
	if source == envKeyFile && (strings.HasSuffix(value, ".pub") || strings.HasSuffix(value, ".pub.b64")) {
		return cmd.BadInput(hint, "%s: a file of that name holds a public key, which is no secret: nothing is signed with it", source)
	}
	id, err := store.FindPublic(seed)
	if err == nil && id != "" {
		err = cmd.BadInput(hint, "%s: that is the public key of %s, which is no secret: nothing is signed with it", source, id)
	}
	return err
}

func refuseRevoked(store *keystore.Store, key pack.Signer) error {
	if err := store.CheckRevoked(key.Public()); err != nil {
		return cmd.BadInput("sign with another key", "key %s: %w", key.ID(), err)
	}
	return nil
}

func openEncrypted(store *keystore.Store, file []byte) ([]byte, error) {
	unlocker, err := store.Unlock()
	if err != nil {
		return nil, err
	}
	seed, err := unlocker.Decrypt(file)
	return seed, lockedHint(err)
}

// helperKey asks the helper of ASSAY_SIGNER which key it keeps.
func helperKey(s cmd.Streams, store *keystore.Store, id string) (pack.Signer, error) {
	const hint = "such as exec:/usr/local/bin/kms-sign --key release: an absolute path, and arguments without spaces in them"
	command, ok := strings.CutPrefix(s.Env(envSigner), "exec:")
	argv := strings.Fields(command)
	if !ok || len(argv) == 0 {
		return nil, cmd.BadInput(hint, "%s: expected exec: and a program", envSigner)
	}
	helper := &keystore.Helper{Argv: argv, Env: withoutKeys(os.Environ()), Stderr: safeLines{s.Err}}
	key, err := helper.Key()
	if errors.Is(err, keystore.ErrHelper) {
		return nil, cmd.Unavailable("what it says is above", "%s: %w", envSigner, err)
	} else if err != nil {
		return nil, cmd.BadInput("what a helper has to do: assay key --help", "%s: %w", envSigner, err)
	}
	if id != "" && id != key.ID() {
		return nil, cmd.BadInput("", "the helper's key is called %s, not %s", key.ID(), id)
	}
	return key, refuseRevoked(store, key)
}

// safeLines escapes what somebody else's program says.
type safeLines struct{ w io.Writer }

func (l safeLines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if _, err := fmt.Fprintf(l.w, "helper: %s\n", cmd.Safe(strings.TrimSuffix(line, "\n"))); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// buildError is the error of a pack that was not built: of a helper that failed to sign it, or of its input.
func buildError(err error) error {
	if errors.Is(err, keystore.ErrHelper) {
		return cmd.Unavailable("the receipts are kept: 'assay proof-pack TRACE' packs them later", "%w", err)
	}
	return cmd.BadInput("", "%w", err)
}

func activeKey(s cmd.Streams, store *keystore.Store, generate bool) (pack.Signer, error) {
	id, err := store.Active()
	if err != nil {
		return nil, lockedHint(err)
	}
	key, err := loadKey(store, id)
	if !errors.Is(err, keystore.ErrNotFound) || !generate {
		return signerOrNil(key, err)
	}
	key, err = store.Generate(nil, id)
	if errors.Is(err, keystore.ErrExists) { // another process was faster: its key is ours
		return signerOrNil(loadKey(store, id))
	} else if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.Err, "made signing key %s (fingerprint %s)\n", key.ID(), key.Fingerprint())
	return key, nil
}

// signerOrNil keeps a nil key from becoming a Signer that is not nil.
func signerOrNil(key *keystore.Key, err error) (pack.Signer, error) {
	if err != nil {
		return nil, err
	}
	return key, nil
}

func loadKey(store *keystore.Store, id string) (*keystore.Key, error) {
	cmd.HoldSecret()
	key, err := store.Load(id)
	switch {
	case errors.Is(err, keystore.ErrNotFound):
		return nil, cmd.BadInput("make it with 'assay key generate "+id+"'", "%w in %s", err, store.Dir)
	case errors.Is(err, keystore.ErrRevoked):
		return nil, cmd.BadInput("make another with 'assay key rotate', or choose one with 'assay key set-active ID'", "%w", err)
	case errors.Is(err, keystore.ErrPublicOnly):
		return nil, cmd.BadInput("import its other half: assay key import "+id+".pub.b64 --private "+id+".key.b64", "%w", err)
	}
	return key, lockedHint(err)
}

// lockedHint says how an encrypted key is opened, and what to do about one that is too open.
func lockedHint(err error) error {
	switch {
	case errors.Is(err, keystore.ErrExposed):
		return cmd.BadInput("if you know that nobody did, chmod 700 the directory and 600 the key; else make another key", "%w", err)
	case errors.Is(err, keystore.ErrLocked):
		return cmd.BadInput("set "+envPassphraseFile+", "+envPassphraseFD+" or "+envIdentityFile, "%w", err)
	case errors.Is(err, keystore.ErrWrongPassphrase):
		return cmd.BadInput("is that the passphrase, or the identity, of this key?", "%w", err)
	}
	return err
}

// openKeys is the key store, with what opens its encrypted keys.
func openKeys(s cmd.Streams, h home) *keystore.Store {
	// Before we open files of our own: the number of one that was not handed to us must not mean ours.
	var fd *os.File
	if n, err := strconv.ParseUint(s.Env(envPassphraseFD), 10, 16); err == nil && n > 2 && inherited(int(n)) {
		fd = os.NewFile(uintptr(n), "passphrase")
	}
	store := h.keys()
	store.Unlock = sync.OnceValues(func() (*keystore.Unlocker, error) { return unlocker(s, fd) })
	return store
}

func unlocker(s cmd.Streams, fd *os.File) (*keystore.Unlocker, error) {
	source, err := onlyOne(s, envPassphraseFile, envPassphraseFD, envIdentityFile)
	if err != nil {
		return nil, err
	}
	var text []byte
	defer func() { clear(text) }()
	switch source {
	case "":
		return nil, lockedHint(keystore.ErrLocked)
	case envPassphraseFD:
		text, err = readDescriptor(fd)
	default:
		text, err = cmd.ReadSecret(s.Env(source))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if source == envIdentityFile {
		unlocker, err := keystore.Identities(text)
		if err != nil {
			return nil, cmd.BadInput("make one with age-keygen", "%s: %w", source, err)
		}
		return unlocker, nil
	}
	if len(text) > maxPassphrase {
		return nil, cmd.BadInput("", "%s: the passphrase has more than %d bytes", source, maxPassphrase)
	}
	passphrase := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	unlocker, err := keystore.Passphrase(passphrase, 0)
	if err != nil {
		return nil, cmd.BadInput("", "%s: %w", source, err)
	}
	return unlocker, nil
}

// readDescriptor reads a descriptor that we inherited to its end, and closes it.
func readDescriptor(fd *os.File) ([]byte, error) {
	if fd == nil {
		return nil, cmd.BadInput("such as "+envPassphraseFD+"=3 with 3< <(pass show assay)", "expected the number of an open file that was handed to assay, 3 or more")
	}
	defer fd.Close()
	text, err := io.ReadAll(io.LimitReader(fd, maxPassphrase+2))
	if err != nil {
		return nil, cmd.BadInput("", "cannot be read: %w", err)
	}
	return text, nil
}
