package keystore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// An encrypted key is an age file (age-encryption.org/v1, binary) of the 32 bytes of the seed: for one
// passphrase (scrypt), or for age identities. 'age -d ci.key.age' opens it too.
const maxAgeFile = 16 << 10

// The work factor of scrypt: 2^18 takes a second and 256 MiB. A file that wants more is refused before
// any of it is done: whoever wrote it could otherwise stop us for hours.
const workFactor = 18

// ErrLocked: an encrypted key, and nothing to open it with.
var ErrLocked = errors.New("the key is encrypted, and no passphrase or identity was given")

// ErrWrongPassphrase: what was given does not open the file.
var ErrWrongPassphrase = errors.New("the passphrase or identity does not open it")

// Unlocker opens and closes encrypted key files. It prints as nothing.
type Unlocker struct {
	identities func() []age.Identity
	recipients func() []age.Recipient
}

// Passphrase is an Unlocker for one passphrase; factor is the scrypt work factor of what it writes, 1 to
// 18 (0: 18).
func Passphrase(passphrase string, factor int) (*Unlocker, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, errors.New("the passphrase is empty")
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, errors.New("the passphrase is empty")
	}
	if factor < 1 || factor > workFactor {
		factor = workFactor
	}
	identity.SetMaxWorkFactor(workFactor)
	recipient.SetWorkFactor(factor)
	return newUnlocker([]age.Identity{identity}, []age.Recipient{recipient}), nil
}

// Identities is an Unlocker for the X25519 or hybrid identities of an age identity file. What it writes can
// be opened with any of them. The error says nothing of the text.
func Identities(file []byte) (*Unlocker, error) {
	identities, err := age.ParseIdentities(bytes.NewReader(file))
	if err != nil { // age's error quotes no line, but who knows of the next one
		return nil, errors.New("not an age identity file")
	}
	var recipients []age.Recipient
	for _, identity := range identities {
		switch i := identity.(type) {
		case *age.X25519Identity:
			recipients = append(recipients, i.Recipient())
		case *age.HybridIdentity:
			recipients = append(recipients, i.Recipient())
		default:
			return nil, errors.New("an age identity that is neither X25519 nor hybrid")
		}
	}
	return newUnlocker(identities, recipients), nil
}

func newUnlocker(identities []age.Identity, recipients []age.Recipient) *Unlocker {
	return &Unlocker{
		identities: func() []age.Identity { return identities },
		recipients: func() []age.Recipient { return recipients },
	}
}

// Format keeps secrets out of every %v, %+v and %#v.
func (u Unlocker) Format(f fmt.State, _ rune) { io.WriteString(f, "unlocker") }

// IsEncrypted says whether text is an age file.
func IsEncrypted(text []byte) bool { return bytes.HasPrefix(text, []byte("age-encryption.org/v1\n")) }

// Decrypt opens an encrypted key file. The seed has 32 bytes; the caller clears it.
func (u *Unlocker) Decrypt(file []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(file), u.identities()...)
	if none := new(age.NoIdentityMatchError); errors.As(err, &none) {
		return nil, ErrWrongPassphrase
	} else if err != nil {
		return nil, fmt.Errorf("not an encrypted key that can be opened: %w", err)
	}
	seed := make([]byte, ed25519.SeedSize+1)
	n, err := io.ReadFull(r, seed)
	if n != ed25519.SeedSize || !errors.Is(err, io.ErrUnexpectedEOF) {
		clear(seed)
		return nil, fmt.Errorf("the age file is damaged, or holds something else than the %d bytes of a key", ed25519.SeedSize)
	}
	return seed[:n:n], nil
}

func (u *Unlocker) encrypt(seed []byte) ([]byte, error) {
	var file bytes.Buffer
	w, err := age.Encrypt(&file, u.recipients()...)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	if _, err := w.Write(seed); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return file.Bytes(), nil
}

func (s *Store) unlocker() (*Unlocker, error) {
	if s.Unlock == nil {
		return nil, ErrLocked
	}
	return s.Unlock()
}

func (s *Store) encryptSeed(seed []byte) ([]byte, error) {
	u, err := s.unlocker()
	if err != nil {
		return nil, err
	}
	return u.encrypt(seed)
}

// reopens fails unless the file holds seed.
func (s *Store) reopens(file, seed []byte) error {
	u, err := s.unlocker()
	if err != nil {
		return err
	}
	again, err := u.Decrypt(file)
	defer clear(again)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(again, seed) != 1 {
		return errors.New("the encrypted file holds another key")
	}
	return nil
}

// readEncrypted is the seed of ID.key.age; the error is fs.ErrNotExist if there is none.
func (s *Store) readEncrypted(id string) ([]byte, error) {
	file, err := readUpTo(s.path(id, ageSuffix), maxAgeFile, 0o077)
	if err != nil {
		return nil, err
	}
	u, err := s.unlocker()
	if err != nil {
		return nil, err
	}
	return u.Decrypt(file)
}

// Encrypt replaces ID.key by ID.key.age. The old file is removed last, after the new one was opened
// again; if we stop before, both are there, the key works, Audit says so, and Encrypt goes on from there.
// What the disk keeps of a removed file is not overwritten.
func (s *Store) Encrypt(id string) error {
	return s.replace(id, Plain, Encrypted, func(seed []byte) error {
		path := s.path(id, ageSuffix)
		file, err := readUpTo(path, maxAgeFile, 0o077)
		if errors.Is(err, fs.ErrNotExist) {
			if file, err = s.encryptSeed(seed); err != nil {
				return err
			}
			if err := s.reopens(file, seed); err != nil {
				return err
			}
			err = durable.CreateFile(path, file, 0o600)
		} else if err == nil {
			err = s.reopens(file, seed)
		}
		if err != nil {
			return err
		}
		return s.remove(s.path(id, "key"))
	})
}

// Decrypt replaces ID.key.age by ID.key.
func (s *Store) Decrypt(id string) error {
	return s.replace(id, Encrypted, Plain, func(seed []byte) error {
		if err := durable.CreateFile(s.path(id, "key"), seed, 0o600); err != nil {
			return err
		}
		return s.remove(s.path(id, ageSuffix))
	})
}

func (s *Store) replace(id string, from, to Kind, change func(seed []byte) error) error {
	return s.locked(func() error {
		key, err := s.read(id)
		if err != nil {
			return err
		}
		if kind := s.kind(id); kind != from {
			return fmt.Errorf("key %s: is %s already", id, to)
		}
		seed := key.Seed()
		defer clear(seed)
		if err := change(seed); err != nil {
			return fmt.Errorf("key %s: %w", id, err)
		}
		return nil
	})
}

// remove removes files of the store, for good. One that is not there is no error.
func (s *Store) remove(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("deleting %s: %w", filepath.Base(path), err)
		}
	}
	return durable.SyncDir(s.Dir)
}
