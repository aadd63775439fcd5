// Package keystore holds the signing keys under ~/.assay/keys:
//
//	keys/                          0700
//	keys/assay-local.key           0600  the 32 bytes of an Ed25519 seed
//	keys/assay-local.pub           0644  the 32 bytes of its public key
//	keys/.active_signer                  the id of the key that signs unless another is named, and a newline
//
// These the reference tool reads and writes too. The rest is ours, and it reads over it:
//
//	keys/ci.key.age                0600  a seed in an age file, instead of ci.key
//	keys/release.pub                     alone: somebody else's key, for allowlists
//	keys/<fingerprint>.revoked           when and why a key was revoked; it outlives the key
//	keys/<new fingerprint>.rotation      the old key's signature over the new one
//	keys/.keys_lock                      one process at a time changes the store
//
// A key that somebody else could have read, or put there, is not a key: Load refuses directories and
// files with any group or other permission, of another owner, or that are not regular, and a public key
// that is not the seed's. Key bytes appear in no error and no output. Where permissions and owners cannot
// be judged (PermissionsChecked) they are not, and whoever shows keys should say so.
package keystore

import (
	"bytes"
	"context"
	"crypto/ed25519"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
)

// DefaultID is the id of the key that a first run makes.
const DefaultID = "assay-local"

const (
	activeMarker = ".active_signer"
	lockFile     = ".keys_lock"
	maxKeyID     = 128
	lockPatience = 30 * time.Second // for what takes milliseconds, and with a passphrase seconds
)

// What callers branch on.
var (
	ErrExists     = errors.New("a key with this id exists")
	ErrNotFound   = errors.New("no such key")
	ErrPublicOnly = errors.New("only the public key is here")
	ErrRevoked    = errors.New("this key was revoked")
	ErrExposed    = errors.New("others could have read or changed it")
)

// Store is the keys directory. It need not exist before the first key. Any number of processes may use
// one store at once.
type Store struct {
	Dir string
	// Unlock gives what opens and closes encrypted key files; nil: they cannot be used. It is asked
	// only when it is needed.
	Unlock func() (*Unlocker, error)
}

// Kind is what is there of a key.
type Kind string

// The kinds of keys.
const (
	Plain      Kind = "plain"
	Encrypted  Kind = "encrypted"
	PublicOnly Kind = "public only"
)

// Info is one line of a listing.
type Info struct {
	ID      string
	Kind    Kind
	Public  ed25519.PublicKey // of an encrypted key: what ID.pub says; it is checked when the key is used
	Active  bool
	Since   time.Time   // of the oldest of its files
	Revoked *Revocation // nil: it was not
	Err     error       // why Load refuses the key, or nobody should trust it

	Fingerprint trust.Digest // of Public; zero if Err leaves no doubt-free public key
}

// FingerprintText is the fingerprint in hex digits, "" if there is none.
func (i Info) FingerprintText() string {
	if i.Public == nil {
		return ""
	}
	return i.Fingerprint.String()
}

// Key is a signing key; it implements pack.Signer. It prints as its id and fingerprint.
type Key struct {
	id     string
	public ed25519.PublicKey
	// A function, because package fmt reads unexported fields, but not into functions.
	private func() ed25519.PrivateKey
}

// NewKey is a key that is in no store. seed has 32 bytes and is not kept.
func NewKey(id string, seed []byte) (*Key, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("key %s: the seed has %d bytes, expected %d", id, len(seed), ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	return &Key{id: id, public: private.Public().(ed25519.PublicKey), private: func() ed25519.PrivateKey { return private }}, nil
}

// ID is the signer id.
func (k *Key) ID() string { return k.id }

// Public is the public key, of 32 bytes.
func (k *Key) Public() ed25519.PublicKey { return slices.Clone(k.public) }

// Sign makes an Ed25519 signature of 64 bytes; the error is always nil.
func (k *Key) Sign(message []byte) ([]byte, error) { return ed25519.Sign(k.private(), message), nil }

// Fingerprint is SHA-256 of the public key.
func (k *Key) Fingerprint() trust.Digest { return Fingerprint(k.public) }

// Seed is the secret, of 32 bytes. The caller clears it.
func (k *Key) Seed() []byte { return k.private().Seed() }

// Format keeps to the id and the fingerprint under every verb.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "key %s (fingerprint %s)", k.id, k.Fingerprint())
}

// Fingerprint is SHA-256 of a public key.
func Fingerprint(public ed25519.PublicKey) trust.Digest {
	return sha256.Sum256(public)
}

// ParseSeed reads a seed as this package writes it: the 32 bytes of ID.key, or the base64 of ID.key.b64 with
// or without its newline. The error says nothing of the text.
func ParseSeed(text []byte) ([]byte, error) {
	if len(text) == ed25519.SeedSize {
		return slices.Clone(text), nil
	}
	seed, err := parseBase64(text)
	if err != nil {
		return nil, fmt.Errorf("not a signing key: %w", err)
	}
	return seed, nil
}

// parseBase64 reads 32 bytes in standard base64, padded, in one line.
func parseBase64(text []byte) ([]byte, error) {
	if len(text) == 45 && text[44] == '\n' {
		text = text[:44]
	}
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	// The decoder reads over newlines; 44 characters that are 32 bytes hold none.
	if err != nil || len(text) != 44 || n != 32 {
		clear(data)
		return nil, errors.New("expected 32 bytes in standard base64: 44 characters and at most a newline")
	}
	return data[:n], nil
}

// Base64 is half a key, of 32 bytes, as ID.pub.b64 and ID.key.b64 hold it: with a newline.
func Base64(half []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(nil, half), '\n')
}

// Generate makes a key from 32 bytes of rand (nil: crypto/rand). Of any number that generate one id at
// once, in any number of processes, one wins; the others get ErrExists and may Load the winner's key.
// The active key stays the same, unless there was none.
func (s *Store) Generate(rand io.Reader, id string) (key *Key, err error) {
	err = s.locked(func() error {
		key, err = s.generate(rand, id, Plain)
		return err
	})
	return key, err
}

// GenerateEncrypted is Generate of a key whose seed is never on disk but in an age file.
func (s *Store) GenerateEncrypted(rand io.Reader, id string) (key *Key, err error) {
	err = s.locked(func() error {
		key, err = s.generate(rand, id, Encrypted)
		return err
	})
	return key, err
}

func (s *Store) generate(rand io.Reader, id string, kind Kind) (*Key, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if s.has(id) { // before a passphrase is asked for
		return nil, fmt.Errorf("generating key %s: %w", id, ErrExists)
	}
	if rand == nil {
		rand = cryptorand.Reader
	}
	seed := make([]byte, ed25519.SeedSize)
	defer clear(seed)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("generating key %s: %w", id, err)
	}
	if err := s.keepActive(); err != nil {
		return nil, err
	}
	key, err := s.put(id, seed, kind)
	if err != nil {
		return nil, fmt.Errorf("generating key %s: %w", id, err)
	}
	return key, nil
}

// put places a new key. The link that puts the seed in place decides who wins. If we stop after it, Load
// writes the public key.
func (s *Store) put(id string, seed []byte, kind Kind) (*Key, error) {
	key, err := NewKey(id, seed)
	if err != nil {
		return nil, err
	}
	path, data := s.path(id, "key"), seed
	if kind == Encrypted {
		path = s.path(id, ageSuffix)
		if data, err = s.encryptSeed(seed); err != nil {
			return nil, err
		}
		// What closes the file must open it again, or the key would be lost.
		if err := s.reopens(data, seed); err != nil {
			return nil, err
		}
	}
	if err := durable.CreateFile(path, data, 0o600); errors.Is(err, fs.ErrExist) {
		return nil, ErrExists
	} else if err != nil {
		return nil, err
	}
	if err := s.pair(key); err != nil {
		return nil, err
	}
	return key, nil
}

// locked runs change while no other process of ours changes the store, which it makes if need be.
func (s *Store) locked(change func() error) error {
	if err := durable.Mkdir(s.Dir, 0o700); err != nil {
		return fmt.Errorf("making the keys directory: %w", err)
	}
	if err := checkDir(s.Dir); err != nil {
		return err
	}
	path := filepath.Join(s.Dir, lockFile)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() { // opening a FIFO would never end
		return fmt.Errorf("keys directory %s: %s is not a regular file: take it away", s.Dir, lockFile)
	}
	lock := flock.New(path, flock.SetPermissions(0o600))
	ctx, stop := context.WithTimeout(context.Background(), lockPatience)
	defer stop()
	if ok, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil || !ok {
		return fmt.Errorf("keys directory %s: another process keeps it locked: %w", s.Dir, err)
	}
	err := change()
	return errors.Join(err, lock.Close()) // the file stays: whoever waits has it open
}

// Load reads a key, to sign with it. The error is ErrNotFound if there is none of that id, ErrPublicOnly
// if its seed is elsewhere, ErrRevoked if it was revoked, under whatever id.
func (s *Store) Load(id string) (*Key, error) {
	key, err := s.read(id)
	if err != nil {
		return nil, err
	}
	if err := s.CheckRevoked(key.public); err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	return key, nil
}

// read is Load that reads revoked keys too.
func (s *Store) read(id string) (*Key, error) {
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
		seed, err = s.readEncrypted(id)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
		if _, statErr := os.Lstat(s.path(id, "pub")); statErr == nil {
			err = ErrPublicOnly
		}
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", id, err)
	}
	defer clear(seed)
	key, err := NewKey(id, seed)
	if err != nil {
		return nil, err
	}
	return key, s.pair(key)
}

// pair checks that the public key file is that of key, and writes it if whoever made the seed was
// stopped before. Its mode does not matter: it is believed for nothing.
func (s *Store) pair(key *Key) error {
	path := s.path(key.id, "pub")
	public, err := readFile(path, ed25519.PublicKeySize, 0)
	if errors.Is(err, fs.ErrNotExist) {
		err = durable.CreateFile(path, key.public, 0o644)
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
	if !key.public.Equal(ed25519.PublicKey(public)) {
		return fmt.Errorf("key %s: %s is not the public key of %s", key.id, filepath.Base(path), filepath.Base(s.path(key.id, "key")))
	}
	return nil
}

// public is what the public key file says.
func (s *Store) public(id string) (ed25519.PublicKey, error) {
	public, err := readFile(s.path(id, "pub"), ed25519.PublicKeySize, 0)
	if err != nil {
		return nil, err
	}
	if err := trust.CheckEd25519Key(public); err != nil {
		return nil, fmt.Errorf("%s.pub: %w", id, err)
	}
	return public, nil
}

// List returns the keys sorted by id. A key that cannot be used is in the list with its Err; one that
// was revoked is there with its Revoked, its Err (ErrRevoked) and its Fingerprint.
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
		infos[i] = s.describe(id)
		infos[i].Active = id == active && infos[i].Kind != PublicOnly
	}
	return infos, nil
}

// Find is the entry of List of one id; the error is ErrNotFound if there is none.
func (s *Store) Find(id string) (Info, error) {
	if err := checkID(id); err != nil {
		return Info{}, err
	}
	infos, err := s.List()
	if err != nil {
		return Info{}, err
	}
	at := slices.IndexFunc(infos, func(i Info) bool { return i.ID == id })
	if at < 0 {
		return Info{}, fmt.Errorf("key %s: %w", id, ErrNotFound)
	}
	return infos[at], nil
}

// FindPublic is the id of the key whose public half is public, "" if there is none in the store.
func (s *Store) FindPublic(public []byte) (id string, err error) {
	ids, err := s.ids()
	for _, id := range ids {
		if bytes.Equal(s.describe(id).Public, public) {
			return id, nil
		}
	}
	return "", err
}

func (s *Store) describe(id string) Info {
	info := Info{ID: id, Kind: s.kind(id), Since: s.since(id)}
	var err error
	if info.Kind == Plain {
		var key *Key
		if key, err = s.read(id); err == nil {
			info.Public = key.Public()
		}
	} else {
		if info.Kind == Encrypted { // of the mode and the owner; what it holds needs the passphrase
			_, err = readUpTo(s.path(id, ageSuffix), maxAgeFile, 0o077)
		}
		if err == nil {
			info.Public, err = s.public(id)
		}
	}
	if err != nil {
		info.Public, info.Err = nil, err
		return info
	}
	info.Fingerprint = Fingerprint(info.Public)
	info.Revoked, info.Err = s.revoked(info.Fingerprint)
	return info
}

// kind is Plain as soon as the seed lies there in the open, whatever else does.
func (s *Store) kind(id string) Kind {
	for _, k := range []struct {
		suffix string
		kind   Kind
	}{{"key", Plain}, {ageSuffix, Encrypted}} {
		if _, err := os.Lstat(s.path(id, k.suffix)); err == nil {
			return k.kind
		}
	}
	return PublicOnly
}

// since is the time of the oldest file: encrypting a key does not make it new.
func (s *Store) since(id string) (oldest time.Time) {
	for _, suffix := range keySuffixes {
		if info, err := os.Lstat(s.path(id, suffix)); err == nil && (oldest.IsZero() || info.ModTime().Before(oldest)) {
			oldest = info.ModTime()
		}
	}
	return oldest
}

// Active is the id of the key that signs: the one that was set, if it is there; else assay-local, if it
// is there; else the first of the list; else assay-local, for Generate. One that was set signs or
// nothing does; of the others those that were revoked come last.
func (s *Store) Active() (string, error) {
	ids, err := s.signers()
	if err != nil {
		return "", err
	}
	if set, err := s.marked(); err != nil {
		return "", err
	} else if slices.Contains(ids, set) {
		return set, nil
	}
	valid := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		public, err := s.public(id)
		return err == nil && s.CheckRevoked(public) != nil
	})
	if len(valid) > 0 {
		ids = valid
	}
	if slices.Contains(ids, DefaultID) || len(ids) == 0 {
		return DefaultID, nil
	}
	return ids[0], nil
}

// SetActive names the key that signs from now on. It must be one that Load gives; the passphrase of an
// encrypted one is not asked for.
func (s *Store) SetActive(id string) error {
	return s.locked(func() error { return s.setActive(id) })
}

func (s *Store) setActive(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	info := s.describe(id)
	switch {
	case info.Kind == PublicOnly && info.Since.IsZero():
		return fmt.Errorf("key %s: %w", id, ErrNotFound)
	case info.Err != nil:
		return fmt.Errorf("key %s: %w", id, info.Err)
	case info.Kind == PublicOnly:
		return fmt.Errorf("key %s: %w", id, ErrPublicOnly)
	}
	return s.mark(id)
}

func (s *Store) mark(id string) error {
	if err := durable.WriteFile(filepath.Join(s.Dir, activeMarker), []byte(id+"\n"), 0o600); err != nil {
		return fmt.Errorf("setting the active key: %w", err)
	}
	return nil
}

// keepActive writes down which key is active before another comes: without a marker the first of the
// list is, and a new key may come before it.
func (s *Store) keepActive() error {
	ids, err := s.signers()
	if err != nil || len(ids) == 0 {
		return err
	}
	if set, err := s.marked(); err != nil || slices.Contains(ids, set) {
		return err
	}
	active, err := s.Active()
	if err != nil {
		return err
	}
	return s.mark(active)
}

// The files of a key.
const ageSuffix = "key.age"

var keySuffixes = []string{"key", ageSuffix, "pub"}

// ids lists the keys, whether they can be used or not.
func (s *Store) ids() ([]string, error) { return s.idsWith(keySuffixes...) }

// signers lists the keys whose secret is here.
func (s *Store) signers() ([]string, error) { return s.idsWith("key", ageSuffix) }

func (s *Store) idsWith(suffixes ...string) ([]string, error) {
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
		for _, suffix := range suffixes {
			if id, ok := strings.CutSuffix(entry.Name(), "."+suffix); ok && checkID(id) == nil {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

func (s *Store) has(id string) bool {
	return slices.ContainsFunc(keySuffixes, func(suffix string) bool {
		_, err := os.Lstat(s.path(id, suffix))
		return err == nil
	})
}

// marked is what .active_signer says, "" if there is none.
func (s *Store) marked() (string, error) {
	text, err := readUpTo(filepath.Join(s.Dir, activeMarker), maxKeyID+1, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("active key: %w", err)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

func (s *Store) path(id, suffix string) string { return filepath.Join(s.Dir, id+"."+suffix) }

// checkID is ^[A-Za-z0-9._-]+$ without a leading dot, at most 128 bytes (LCK-19).
func checkID(id string) error {
	ok := id != "" && len(id) <= maxKeyID && id[0] != '.'
	for _, c := range []byte(id) {
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("signer id %q: expected 1 to %d letters, digits, dots, underscores or hyphens, no dot first", id, maxKeyID)
	}
	return nil
}
