package home

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

const maxPassphrase = 4 << 10 // bytes

// OpenKeys is the key store, with what opens its encrypted keys.
func OpenKeys(s cli.Streams, h Home) *keystore.Store {
	// Before we open files of our own: the number of one that was not handed to us must not mean ours.
	var fd *os.File
	if n, err := strconv.ParseUint(s.Env(envPassphraseFD), 10, 16); err == nil && n > 2 && inherited(int(n)) {
		fd = os.NewFile(uintptr(n), "passphrase")
	}
	store := h.Keys()
	store.Unlock = sync.OnceValues(func() (*keystore.Unlocker, error) { return unlocker(s, fd) })
	return store
}

func unlocker(s cli.Streams, fd *os.File) (*keystore.Unlocker, error) {
	source, err := OnlyOne(s, envPassphraseFile, envPassphraseFD, envIdentityFile)
	if err != nil {
		return nil, err
	}
	var text []byte
	defer func() { clear(text) }()
	switch source {
	case "":
		return nil, LockedHint(keystore.ErrLocked)
	case envPassphraseFD:
		text, err = readDescriptor(fd)
	default:
		text, err = cli.ReadSecret(s.Env(source))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if source == envIdentityFile {
		unlocker, err := keystore.Identities(text)
		if err != nil {
			return nil, cli.BadInput("make one with age-keygen", "%s: %w", source, err)
		}
		return unlocker, nil
	}
	if len(text) > maxPassphrase {
		return nil, cli.BadInput("", "%s: the passphrase has more than %d bytes", source, maxPassphrase)
	}
	passphrase := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	unlocker, err := keystore.Passphrase(passphrase, 0)
	if err != nil {
		return nil, cli.BadInput("", "%s: %w", source, err)
	}
	return unlocker, nil
}

// readDescriptor reads a descriptor that we inherited to its end, and closes it.
func readDescriptor(fd *os.File) ([]byte, error) {
	if fd == nil {
		return nil, cli.BadInput("such as "+envPassphraseFD+"=3 with 3< <(pass show assay)", "expected the number of an open file that was handed to assay, 3 or more")
	}
	defer fd.Close()
	text, err := io.ReadAll(io.LimitReader(fd, maxPassphrase+2))
	if err != nil {
		return nil, cli.BadInput("", "cannot be read: %w", err)
	}
	return text, nil
}

func openEncrypted(store *keystore.Store, file []byte) ([]byte, error) {
	unlocker, err := store.Unlock()
	if err != nil {
		return nil, err
	}
	seed, err := unlocker.Decrypt(file)
	return seed, LockedHint(err)
}

// LockedHint says how an encrypted key is opened, and what to do about one that is too open.
func LockedHint(err error) error {
	switch {
	case errors.Is(err, keystore.ErrExposed):
		return cli.BadInput("if you know that nobody did, chmod 700 the directory and 600 the key; else make another key", "%w", err)
	case errors.Is(err, keystore.ErrLocked):
		return cli.BadInput("set "+envPassphraseFile+", "+envPassphraseFD+" or "+envIdentityFile, "%w", err)
	case errors.Is(err, keystore.ErrWrongPassphrase):
		return cli.BadInput("is that the passphrase, or the identity, of this key?", "%w", err)
	}
	return err
}
