package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Algorithm is the signature type byte of a vkey (C2SP signed-note, tlog-cosignature).
type Algorithm byte

const (
	Ed25519         Algorithm = 0x01 // log signature on a note
	Ed25519Cosigner Algorithm = 0x04 // cosignature/v1
	MLDSA44Cosigner Algorithm = 0x06 // subtree/v1
)

func (a Algorithm) String() string {
	switch a {
	case Ed25519:
		return "Ed25519"
	case Ed25519Cosigner:
		return "Ed25519 cosignature"
	case MLDSA44Cosigner:
		return "ML-DSA-44 cosignature"
	}
	return fmt.Sprintf("signature type 0x%02x", byte(a))
}

const seedSize = 32 // of an Ed25519 and of an ML-DSA-44 secret key

// publicKey is a parsed vkey.
type publicKey struct {
	keyRef
	alg   Algorithm
	bytes []byte           // the raw key: two vkeys are duplicates if these are equal
	mldsa *mldsa.PublicKey // of an MLDSA44Cosigner
}

func newPublicKey(name string, alg Algorithm, raw []byte) (*publicKey, error) {
	if err := checkKeyName(name); err != nil {
		return nil, err
	}
	k := &publicKey{keyRef: keyRef{name, keyID(name, alg, raw)}, alg: alg, bytes: raw}
	switch alg {
	case Ed25519, Ed25519Cosigner:
		return k, CheckEd25519Key(raw)
	case MLDSA44Cosigner:
		// SPEC tlog-cosignature: "opaque cosigner_name<1..2^8-1>"
		if len(name) > maxSubtreeName {
			return nil, fmt.Errorf("an ML-DSA-44 key name has at most %d bytes", maxSubtreeName)
		}
		var err error
		if k.mldsa, err = mldsa.NewPublicKey(mldsa.MLDSA44(), raw); err != nil {
			return nil, fmt.Errorf("not an ML-DSA-44 key of %d bytes", mldsa.MLDSA44PublicKeySize)
		}
		return k, nil
	}
	return nil, fmt.Errorf("%v is not supported", alg)
}

// keyID computes the recommended key ID, which our three algorithms demand.
//
// SPEC signed-note: "key ID = SHA-256(key name || 0x0A || signature type || public key)[:4]"
func keyID(name string, alg Algorithm, raw []byte) uint32 {
	h := sha256.New()
	io.WriteString(h, name)
	h.Write([]byte{'\n', byte(alg)})
	h.Write(raw)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// parseVKey parses "name+8 hex digits+base64(type || key)" and recomputes the ID in the middle.
func parseVKey(vkey string) (*publicKey, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, encoded, ok := strings.Cut(rest, "+") // base64 may contain more of them
	if !ok {
		return nil, errors.New("vkey is not name+id+key")
	}
	blob, err := DecodeBase64(encoded)
	if err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	if len(blob) == 0 {
		return nil, errors.New("vkey: no key")
	}
	k, err := newPublicKey(name, Algorithm(blob[0]), blob[1:])
	if err != nil {
		return nil, fmt.Errorf("vkey: %w", err)
	}
	if want := fmt.Sprintf("%08x", k.id); id != want {
		return nil, fmt.Errorf("vkey: ID is %q, its name and key make %q", id, want)
	}
	return k, nil
}

func (k *publicKey) vkey() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id, base64.StdEncoding.EncodeToString(append([]byte{byte(k.alg)}, k.bytes...)))
}

// secretKey is a parsed secret key. The secret itself is only inside sign: fmt prints every field
// it can reach, unexported and behind pointers, but not what a function holds.
type secretKey struct {
	publicKey
	sign func(message []byte) ([]byte, error)
}

func newSecretKey(name string, alg Algorithm, seed []byte) (*secretKey, error) {
	if len(seed) != seedSize {
		return nil, fmt.Errorf("secret key has %d bytes, want %d", len(seed), seedSize)
	}
	var raw []byte
	var sign func([]byte) ([]byte, error)
	switch alg {
	case Ed25519, Ed25519Cosigner:
		private := ed25519.NewKeyFromSeed(seed)
		raw = bytes.Clone(private[seedSize:])
		sign = func(message []byte) ([]byte, error) { return ed25519.Sign(private, message), nil }
	case MLDSA44Cosigner:
		private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
		if err != nil {
			return nil, errors.New("not an ML-DSA-44 seed")
		}
		raw = private.PublicKey().Bytes()
		sign = func(message []byte) ([]byte, error) { return private.Sign(nil, message, nil) }
	default:
		return nil, fmt.Errorf("%v is not supported", alg)
	}
	public, err := newPublicKey(name, alg, raw)
	if err != nil {
		return nil, err
	}
	return &secretKey{*public, sign}, nil
}

// parseSecretKey parses "PRIVATE+KEY+name+8 hex digits+base64(type || seed)". No error shows any of it.
func parseSecretKey(skey string) (*secretKey, error) {
	rest, ok := strings.CutPrefix(skey, "PRIVATE+KEY+")
	if !ok {
		return nil, errors.New("secret key does not begin with PRIVATE+KEY+")
	}
	name, rest, _ := strings.Cut(rest, "+")
	id, encoded, ok := strings.Cut(rest, "+")
	if !ok {
		return nil, errors.New("secret key is not PRIVATE+KEY+name+id+seed")
	}
	blob, err := DecodeBase64(encoded)
	if err != nil || len(blob) == 0 {
		return nil, errors.New("secret key: base64 is not canonical")
	}
	s, err := newSecretKey(name, Algorithm(blob[0]), blob[1:])
	if err != nil {
		return nil, fmt.Errorf("secret key: %w", err)
	}
	if id != fmt.Sprintf("%08x", s.id) {
		return nil, errors.New("secret key: ID does not belong to its name and key")
	}
	return s, nil
}

// GenerateKey returns the secret ("PRIVATE+KEY+…") and the vkey text of a fresh key. The seed is
// read from random, 32 bytes; nil means the system's. The same seed under two names or algorithms
// gives two keys with two IDs.
//
//	PRIVATE+KEY+example.com/log+b1f0c2d3+AQ…   keep this
//	example.com/log+b1f0c2d3+AW…               publish this
func GenerateKey(random io.Reader, name string, alg Algorithm) (skey, vkey string, err error) {
	if random == nil {
		random = rand.Reader
	}
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return "", "", fmt.Errorf("reading randomness: %w", err)
	}
	s, err := newSecretKey(name, alg, seed)
	if err != nil {
		return "", "", err
	}
	encoded := base64.StdEncoding.EncodeToString(append([]byte{byte(alg)}, seed...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, s.id, encoded), s.vkey(), nil
}

// LogSigner signs checkpoints with an Ed25519 note key (0x01). Its key name is the log's origin.
// It is safe for concurrent use.
type LogSigner struct{ key *secretKey }

// NewLogSigner takes the secret as GenerateKey wrote it, for algorithm Ed25519.
func NewLogSigner(skey string) (*LogSigner, error) {
	key, err := parseSecretKey(skey)
	if err != nil {
		return nil, err
	}
	if key.alg != Ed25519 {
		return nil, fmt.Errorf("secret key: %v cannot sign for a log, want %v", key.alg, Ed25519)
	}
	return &LogSigner{key}, nil
}

func (s *LogSigner) Origin() string { return s.key.name }
func (s *LogSigner) VKey() string   { return s.key.vkey() }

// Sign returns the signed note of a checkpoint without extension lines. It refuses an origin that
// is not the key's name, and a size and root that no tree has. Whether the tree is consistent with
// what was signed before is for the caller to know.
func (s *LogSigner) Sign(origin string, size int64, root tlog.Hash) ([]byte, error) {
	text := (&Checkpoint{Origin: origin, Size: size, Root: root}).Text()
	sig, err := s.signText(text)
	if err != nil {
		return nil, err
	}
	return append(append(text, '\n'), formatSignature(s.key.keyRef, sig)...), nil
}

// signText signs nothing but a checkpoint of its own log.
func (s *LogSigner) signText(text []byte) ([]byte, error) {
	cp, err := ParseCheckpointText(text)
	if err != nil {
		return nil, fmt.Errorf("refusing to sign: %w", err)
	}
	// SPEC tlog-checkpoint: "The log's key name in its signature line SHOULD match the origin line."
	if cp.Origin != s.key.name {
		return nil, fmt.Errorf("refusing to sign for origin %q with the key of %q", cp.Origin, s.key.name)
	}
	if len(cp.Extensions) > 0 {
		return nil, errors.New("refusing to sign extension lines")
	}
	return s.key.sign(text)
}

// NoteSigner returns s in the shape that golang.org/x/mod/sumdb/note and Tessera ask for.
// It refuses every text but a checkpoint of its own log without extension lines.
func (s *LogSigner) NoteSigner() note.Signer { return noteSigner{s} }

type noteSigner struct{ *LogSigner }

func (n noteSigner) Name() string                     { return n.key.name }
func (n noteSigner) KeyHash() uint32                  { return n.key.id }
func (n noteSigner) Sign(text []byte) ([]byte, error) { return n.signText(text) }

// Cosigner is a witness key, Ed25519Cosigner (0x04) or MLDSA44Cosigner (0x06).
// It is safe for concurrent use.
type Cosigner struct{ key *secretKey }

// NewCosigner takes the secret as GenerateKey wrote it, for one of the two cosigner algorithms.
func NewCosigner(skey string) (*Cosigner, error) {
	key, err := parseSecretKey(skey)
	if err != nil {
		return nil, err
	}
	if key.alg == Ed25519 {
		return nil, fmt.Errorf("secret key: %v cannot cosign, want type 0x04 or 0x06", key.alg)
	}
	return &Cosigner{key}, nil
}

func (c *Cosigner) Name() string         { return c.key.name }
func (c *Cosigner) VKey() string         { return c.key.vkey() }
func (c *Cosigner) Algorithm() Algorithm { return c.key.alg }

// Cosign returns the signature line of a cosignature over the whole tree of cp, made at the given
// time in whole seconds. It signs cp.Text(), a re-encoding, never bytes that somebody sent. It
// refuses a checkpoint that cannot be parsed, a time at or before 1970-01-01T00:00:00Z, and with
// ML-DSA-44 an origin over 255 bytes.
//
// An ML-DSA-44 cosignature does not cover extension lines. Whether cp is consistent with all that
// was cosigned before is for the witness to know.
func (c *Cosigner) Cosign(cp *Checkpoint, at time.Time) (line []byte, err error) {
	text := cp.Text()
	if cp, err = ParseCheckpointText(text); err != nil {
		return nil, fmt.Errorf("refusing to cosign: %w", err)
	}
	seconds := at.Unix()
	if seconds <= 0 {
		return nil, errors.New("refusing to cosign at a time that is not after 1970")
	}
	message, err := c.key.cosignedMessage(cp, text, uint64(seconds))
	if err != nil {
		return nil, fmt.Errorf("refusing to cosign: %w", err)
	}
	sig, err := c.key.sign(message)
	if err != nil {
		return nil, fmt.Errorf("cosigning: %w", err)
	}
	timestamped := append(binary.BigEndian.AppendUint64(nil, uint64(seconds)), sig...)
	return formatSignature(c.key.keyRef, timestamped), nil
}
