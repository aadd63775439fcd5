package home

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// SigningKey is the key that signs: the one that --signer or the environment names or gives, else the active
// one of the store. An id that is not empty must be the key's. A first run makes a key unless that was forbidden.
func SigningKey(s cli.Streams, h Home, id string, generate bool) (pack.Signer, error) {
	cli.HoldSecret()
	store := OpenKeys(s, h)
	named := s.Env(EnvID)
	if id != "" && named != "" && id != named {
		return nil, cli.BadInput("unset "+EnvID, "--signer %s, and %s=%s", id, EnvID, named)
	}
	if id == "" {
		id = named
	}
	source, err := OnlyOne(s, EnvKey, EnvKeyFile, EnvSigner)
	if err != nil {
		return nil, err
	}
	switch source {
	case EnvKey, EnvKeyFile:
		return environmentKey(s, store, source, id)
	case EnvSigner:
		return helperKey(s, store, id)
	}
	if id != "" {
		return signerOrNil(LoadKey(store, id))
	}
	for _, name := range []string{EnvKey, EnvKeyFile, EnvSigner} {
		if generate && s.SetButEmpty(name) {
			key, err := activeKey(s, store, false)
			if errors.Is(err, keystore.ErrNotFound) {
				return nil, cli.BadInput("does CI withhold the secret, as from a fork? unset "+name+" to sign with a key that is made for this run", "%s is empty, and there is no other signing key", name)
			}
			return key, err
		}
	}
	return activeKey(s, store, generate)
}

// environmentKey is a key that is on no disk of ours. No error quotes it.
func environmentKey(s cli.Streams, store *keystore.Store, source, id string) (pack.Signer, error) {
	if id == "" {
		id = CIKeyID
	}
	text := []byte(s.Env(source))
	wipeVariable(EnvKey)
	if source == EnvKeyFile {
		var err error
		if text, err = cli.ReadSecret(s.Env(source)); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		if keystore.IsEncrypted(text) {
			if text, err = openEncrypted(store, text); err != nil {
				return nil, fmt.Errorf("%s: %w", source, err)
			}
		}
	} else if len(text) == 32 { // raw bytes do not pass through an environment whole
		return nil, cli.BadInput("put the text of ID.key.b64 there: assay key export ID --private", "%s: expected base64", source)
	}
	defer clear(text)
	seed, err := keystore.ParseSeed(text)
	if err != nil {
		return nil, cli.BadInput("put the text of ID.key.b64 there: assay key export ID --private", "%s: %w", source, err)
	}
	defer clear(seed)
	if err := refusePublic(store, source, s.Env(source), seed); err != nil {
		return nil, err
	}
	key, err := keystore.NewKey(id, seed)
	if err != nil {
		return nil, cli.BadInput("", "%s: %w", EnvID, err)
	}
	return key, refuseRevoked(store, key)
}

// refusePublic refuses what everybody knows: any 32 bytes are a seed, those of a public key too.
func refusePublic(store *keystore.Store, source, value string, seed []byte) error {
	const hint = "put the text of ID.key.b64 there: assay key export ID --private"
	if source == EnvKeyFile && (strings.HasSuffix(value, ".pub") || strings.HasSuffix(value, ".pub.b64")) {
		return cli.BadInput(hint, "%s: a file of that name holds a public key, which is no secret: nothing is signed with it", source)
	}
	id, err := store.FindPublic(seed)
	if err == nil && id != "" {
		err = cli.BadInput(hint, "%s: that is the public key of %s, which is no secret: nothing is signed with it", source, id)
	}
	return err
}

func refuseRevoked(store *keystore.Store, key pack.Signer) error {
	if err := store.CheckRevoked(key.Public()); err != nil {
		return cli.BadInput("sign with another key", "key %s: %w", key.ID(), err)
	}
	return nil
}

// helperKey asks the helper of ASSAY_SIGNER which key it keeps.
func helperKey(s cli.Streams, store *keystore.Store, id string) (pack.Signer, error) {
	const hint = "such as exec:/usr/local/bin/kms-sign --key release: an absolute path, and arguments without spaces in them"
	command, ok := strings.CutPrefix(s.Env(EnvSigner), "exec:")
	argv := strings.Fields(command)
	if !ok || len(argv) == 0 {
		return nil, cli.BadInput(hint, "%s: expected exec: and a program", EnvSigner)
	}
	helper := &keystore.Helper{Argv: argv, Env: WithoutKeys(os.Environ()), Stderr: safeLines{s.Err}}
	key, err := helper.Key()
	if errors.Is(err, keystore.ErrHelper) {
		return nil, cli.Unavailable("what it says is above", "%s: %w", EnvSigner, err)
	} else if err != nil {
		return nil, cli.BadInput("what a helper has to do: assay key --help", "%s: %w", EnvSigner, err)
	}
	if id != "" && id != key.ID() {
		return nil, cli.BadInput("", "the helper's key is called %s, not %s", key.ID(), id)
	}
	return key, refuseRevoked(store, key)
}

// safeLines escapes what somebody else's program says.
type safeLines struct{ w io.Writer }

func activeKey(s cli.Streams, store *keystore.Store, generate bool) (pack.Signer, error) {
	id, err := store.Active()
	if err != nil {
		return nil, LockedHint(err)
	}
	key, err := LoadKey(store, id)
	if !errors.Is(err, keystore.ErrNotFound) || !generate {
		return signerOrNil(key, err)
	}
	key, err = store.Generate(nil, id)
	if errors.Is(err, keystore.ErrExists) { // another process was faster: its key is ours
		return signerOrNil(LoadKey(store, id))
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

// LoadKey is a key of the store, with its secret half.
func LoadKey(store *keystore.Store, id string) (*keystore.Key, error) {
	cli.HoldSecret()
	key, err := store.Load(id)
	switch {
	case errors.Is(err, keystore.ErrNotFound):
		return nil, cli.BadInput("make it with 'assay key generate "+id+"'", "%w in %s", err, store.Dir)
	case errors.Is(err, keystore.ErrRevoked):
		return nil, cli.BadInput("make another with 'assay key rotate', or choose one with 'assay key set-active ID'", "%w", err)
	case errors.Is(err, keystore.ErrPublicOnly):
		return nil, cli.BadInput("import its other half: assay key import "+id+".pub.b64 --private "+id+".key.b64", "%w", err)
	}
	return key, LockedHint(err)
}

func (l safeLines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if _, err := fmt.Fprintf(l.w, "helper: %s\n", terminal.Safe(strings.TrimSuffix(line, "\n"))); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
