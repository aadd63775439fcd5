// Package keystore holds the signing keys under ~/.assay/keys (pack.md §7):
//
//	keys/                    0700
//	keys/assay-local.key     0600  the 32 bytes of an Ed25519 seed
//	keys/assay-local.pub     0644  the 32 bytes of its public key
//	keys/.active_signer      the id of the key that signs unless another is named, and a newline
//
// A key that somebody else could have read, or put there, is not a key: Load refuses directories and
// files with any group or other permission, of another owner, or that are not regular, and a public key
// that is not the seed's. Key bytes appear in no error and no output.
package keystore

import (
	"crypto/ed25519"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// DefaultID is the id of the key that a first run makes.
const DefaultID = "assay-local"

const (
	activeMarker = ".active_signer"
	maxID        = 128
)

// What callers branch on.
var (
	ErrExists   = errors.New("a key with this id exists")
	ErrNotFound = errors.New("no such key")
)

// Store is the keys directory. It need not exist before the first key. Any number of processes may use
// one store at once.
type Store struct{ Dir string }

// Info is one line of a listing.
type Info struct {
	ID, Fingerprint string
	Active          bool
	Err             error // why Load refuses the key; then Fingerprint is empty
}

// Key is a signing key; it implements pack.Signer. It prints as its id and fingerprint.
type Key struct {
	id      string
	private ed25519.PrivateKey
}

// ID is the signer id.
func (k *Key) ID() string { return k.id }

// Public is the public key, of 32 bytes.
func (k *Key) Public() ed25519.PublicKey {
	return slices.Clone(k.private.Public().(ed25519.PublicKey))
}

// Sign makes an Ed25519 signature of 64 bytes; the error is always nil.
func (k *Key) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.private, message), nil }

// Fingerprint is the hex SHA-256 of the public key.
func (k *Key) Fingerprint() string {
	sum := sha256.Sum256(k.private.Public().(ed25519.PublicKey))
	return hex.EncodeToString(sum[:])
}

// Format keeps the private key out of every %v, %+v and %#v.
func (k *Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "key %s (fingerprint %s)", k.id, k.Fingerprint())
}

// Generate makes a key from 32 bytes of rand (nil: crypto/rand). Of any number that generate one id at
// once, in any number of processes, one wins; the others get ErrExists and may Load the winner's key.
func (s *Store) Generate(rand io.Reader, id string) (*Key, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := durable.Mkdir(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the keys directory: %w", err)
	}
	if err := checkDir(s.Dir); err != nil {
		return nil, err
	}
	if rand == nil {
		rand = cryptorand.Reader
	}
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("generating key %s: %w", id, err)
	}
	// A public key alone was imported: a new seed beside it would be a pair that does not match.
	if _, err := os.Lstat(s.path(id, "pub")); err == nil {
		return nil, fmt.Errorf("generating key %s: %w", id, ErrExists)
	}
	// The link that puts the seed in place decides who wins. If we stop after it, Load writes the
	// public key.
	err := durable.CreateFile(s.path(id, "key"), seed, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("generating key %s: %w", id, ErrExists)
	} else if err != nil {
		return nil, fmt.Errorf("generating key %s: %w", id, err)
	}
	return s.keyOf(id, seed)
}

// Load reads a key. The error is ErrNotFound if there is none of that id.
func (s *Store) Load(id string) (*Key, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := checkDir(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key %s: %w", id, ErrNotFound)
	} else if err != nil {
		return nil, err
	}
	seed, err := readFile(s.path(id, "key"), ed25519.SeedSize, 0o077)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("key %s: %w", id, ErrNotFound)
	} else if err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	defer clear(seed)
	return s.keyOf(id, seed)
}

// keyOf is the key of a seed that is in place.
func (s *Store) keyOf(id string, seed []byte) (*Key, error) {
	key := &Key{id: id, private: ed25519.NewKeyFromSeed(seed)}
	if err := s.pair(key); err != nil {
		return nil, err
	}
	return key, nil
}

// pair checks that the public key file is that of key, and writes it if whoever made the seed was
// stopped before. Its mode does not matter: it is believed for nothing.
func (s *Store) pair(key *Key) error {
	path := s.path(key.id, "pub")
	public, err := readFile(path, ed25519.PublicKeySize, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = durable.CreateFile(path, key.Public(), 0o644)
		if err == nil {
			return nil
		}
		if errors.Is(err, fs.ErrExist) { // another process wrote it meanwhile
			public, err = readFile(path, ed25519.PublicKeySize, 0)
		}
	}
	if err != nil {
		return fmt.Errorf("key %s: public key: %w", key.id, err)
	}
	if !key.Public().Equal(ed25519.PublicKey(public)) {
		return fmt.Errorf("key %s: %s is not the public key of %s", key.id, filepath.Base(path), filepath.Base(s.path(key.id, "key")))
	}
	return nil
}

// List returns the keys sorted by id. A key that cannot be used is in the list with its Err.
func (s *Store) List() ([]Info, error) {
	ids, err := s.ids()
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	active, err := s.Active()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(ids))
	for i, id := range ids {
		infos[i] = Info{ID: id, Active: id == active}
		if key, err := s.Load(id); err != nil {
			infos[i].Err = err
		} else {
			infos[i].Fingerprint = key.Fingerprint()
		}
	}
	return infos, nil
}

// Active is the id of the key that signs: the one that was set, if it is there; else assay-local, if it
// is there; else the first of the list; else assay-local, for Generate.
func (s *Store) Active() (string, error) {
	ids, err := s.ids()
	if err != nil {
		return "", err
	}
	if set, err := s.marked(); err != nil {
		return "", err
	} else if slices.Contains(ids, set) {
		return set, nil
	}
	if slices.Contains(ids, DefaultID) || len(ids) == 0 {
		return DefaultID, nil
	}
	return ids[0], nil
}

// SetActive names the key that signs from now on. It must be one that Load gives.
func (s *Store) SetActive(id string) error {
	if _, err := s.Load(id); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(s.Dir, activeMarker), []byte(id+"\n"), 0o600); err != nil {
		return fmt.Errorf("setting the active key: %w", err)
	}
	return nil
}

// ids lists the seeds, whether they can be used or not.
func (s *Store) ids() ([]string, error) {
	if err := checkDir(s.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("listing keys: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		if id, ok := strings.CutSuffix(entry.Name(), ".key"); ok && checkID(id) == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// marked is what .active_signer says, "" if there is none.
func (s *Store) marked() (string, error) {
	text, err := readUpTo(filepath.Join(s.Dir, activeMarker), maxID+1, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("active key: %w", err)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

func (s *Store) path(id, suffix string) string { return filepath.Join(s.Dir, id+"."+suffix) }

// checkID is ^[A-Za-z0-9._-]+$ without a leading dot, at most 128 bytes.
func checkID(id string) error {
	ok := id != "" && len(id) <= maxID && id[0] != '.'
	for _, c := range []byte(id) {
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("signer id %q: expected 1 to %d letters, digits, dots, underscores or hyphens, no dot first", id, maxID)
	}
	return nil
}
