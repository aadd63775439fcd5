package keystore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// Records are files of one canonical JSON line each, named after the key that they are about. They are
// created and never changed: no lock, no torn line, and of two that revoke one key the first one's date
// stands.
const (
	revokedSuffix  = ".revoked"
	rotationSuffix = ".rotation"

	revocationVersion = "assay.key_revocation.v1"
	rotationVersion   = "assay.key_rotation.v1"

	maxRecord = 16 << 10
	maxReason = 1000
	stampForm = "2006-01-02T15:04:05Z"
)

// Revocation says that a key is not used any more:
//
//	{"fingerprint":"0d54f48d…","reason":"laptop lost","revoked_at":"2026-01-15T10:00:00Z","signer_id":"ci","version":"assay.key_revocation.v1"}
//
// It is a note of this machine: nobody signed it, and a verifier elsewhere never sees it. Verifiers learn of
// a revocation from the lockfile or their --trusted-signer. Neither tells packs from before it from
// packs from after, which the key's thief may have dated back: only a ledger's time does.
type Revocation struct {
	Fingerprint trust.Digest
	SignerID    string // what the key was called here; empty: it was not here
	Reason      string // at most 1000 bytes; may be empty
	At          time.Time
}

func (r Revocation) value() jcs.Value {
	return jcs.Obj(
		jcs.M("fingerprint", jcs.Str(r.Fingerprint.String())),
		jcs.M("reason", jcs.Str(r.Reason)),
		jcs.M("revoked_at", jcs.Str(r.At.UTC().Format(stampForm))),
		jcs.M("signer_id", jcs.Str(r.SignerID)),
		jcs.M("version", jcs.Str(revocationVersion)))
}

// Marshal is the record's file.
func (r Revocation) Marshal() ([]byte, error) { return marshalRecord(r.value()) }

// ParseRevocation reads what Marshal writes, and nothing else.
func ParseRevocation(text []byte) (Revocation, error) {
	var r Revocation
	v, err := parseRecord(text)
	if err != nil {
		return r, fmt.Errorf("revocation: %w", err)
	}
	fingerprint, badFingerprint := trust.ParseDigest(memberText(v, "fingerprint"))
	r = Revocation{Fingerprint: fingerprint, SignerID: memberText(v, "signer_id"), Reason: memberText(v, "reason")}
	if r.At, err = time.Parse(stampForm, memberText(v, "revoked_at")); err != nil {
		return r, errors.New("revocation: revoked_at: expected a time such as 2026-01-15T10:00:00Z")
	}
	if badFingerprint != nil || len(r.Reason) > maxReason || r.SignerID != "" && checkID(r.SignerID) != nil {
		return r, errors.New("revocation: expected a fingerprint, a signer id or none, and a reason of at most 1000 bytes")
	}
	if again, err := r.Marshal(); err != nil || !bytes.Equal(again, text) {
		return r, errors.New("revocation: not as it is written")
	}
	return r, nil
}

// Rotation is the old key's word that the new one follows it. Signature is the old key's over the
// canonical JSON of the other members:
//
//	{"at":"2026-01-15T10:00:00Z","new_fingerprint":"…","new_public_key":"<base64>","new_signer_id":"ci-2026",
//	 "old_fingerprint":"…","old_public_key":"<base64>","old_signer_id":"ci","signature":"<base64>","version":"assay.key_rotation.v1"}
//
// Whoever trusts the old key can check it; the time in it is the machine's own.
type Rotation struct {
	OldID, NewID string
	Old, New     ed25519.PublicKey
	At           time.Time
	Signature    []byte
}

func (r Rotation) value() jcs.Value {
	return jcs.Obj(
		jcs.M("at", jcs.Str(r.At.UTC().Format(stampForm))),
		jcs.M("new_fingerprint", jcs.Str(Fingerprint(r.New).String())),
		jcs.M("new_public_key", jcs.Str(base64.StdEncoding.EncodeToString(r.New))),
		jcs.M("new_signer_id", jcs.Str(r.NewID)),
		jcs.M("old_fingerprint", jcs.Str(Fingerprint(r.Old).String())),
		jcs.M("old_public_key", jcs.Str(base64.StdEncoding.EncodeToString(r.Old))),
		jcs.M("old_signer_id", jcs.Str(r.OldID)),
		jcs.M("signature", jcs.Str(base64.StdEncoding.EncodeToString(r.Signature))),
		jcs.M("version", jcs.Str(rotationVersion)))
}

// message is what the old key signs.
func (r Rotation) message() ([]byte, error) {
	return jcs.AppendPack(nil, r.value().Without("signature"))
}

// Marshal is the record's file.
func (r Rotation) Marshal() ([]byte, error) { return marshalRecord(r.value()) }

// ParseRotation reads what Marshal writes, and verifies its signature.
func ParseRotation(text []byte) (Rotation, error) {
	var r Rotation
	v, err := parseRecord(text)
	if err != nil {
		return r, fmt.Errorf("rotation: %w", err)
	}
	r = Rotation{OldID: memberText(v, "old_signer_id"), NewID: memberText(v, "new_signer_id")}
	old, errOld := parseBase64([]byte(memberText(v, "old_public_key")))
	new, errNew := parseBase64([]byte(memberText(v, "new_public_key")))
	signature, errSignature := trust.DecodeBase64(memberText(v, "signature"))
	at, errAt := time.Parse(stampForm, memberText(v, "at"))
	if err := errors.Join(errOld, errNew, errSignature, errAt, checkID(r.OldID), checkID(r.NewID)); err != nil {
		return r, errors.New("rotation: expected two signer ids, two public keys, a signature and a time")
	}
	r.Old, r.New, r.Signature, r.At = old, new, signature, at
	if again, err := r.Marshal(); err != nil || !bytes.Equal(again, text) {
		return r, errors.New("rotation: not as it is written")
	}
	message, err := r.message()
	if err != nil {
		return r, fmt.Errorf("rotation: %w", err)
	}
	if err := trust.CheckEd25519Key(r.New); err != nil {
		return r, fmt.Errorf("rotation: new key: %w", err)
	}
	if !trust.VerifyEd25519(r.Old, message, r.Signature) { // LCK-24
		return r, errors.New("rotation: the signature is not the old key's")
	}
	return r, nil
}

func marshalRecord(v jcs.Value) ([]byte, error) {
	text, err := jcs.AppendPack(nil, v)
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func parseRecord(text []byte) (jcs.Value, error) {
	v, err := jcs.Parse(text, jcs.Limits{Bytes: maxRecord, Depth: 2})
	if err == nil && v.Kind != jcs.Object {
		err = errors.New("expected a JSON object")
	}
	return v, err
}

// memberText is the text of a member, "" if it is none.
func memberText(v jcs.Value, name string) string {
	if m, ok := v.Get(name); ok && m.Kind == jcs.String {
		return m.Text
	}
	return ""
}

// CheckRevoked is ErrRevoked, with the date, if the key was revoked on this machine. A record that cannot
// be read is one.
func (s *Store) CheckRevoked(public ed25519.PublicKey) error {
	_, err := s.revoked(Fingerprint(public))
	return err
}

// revoked is the record and ErrRevoked, or neither.
func (s *Store) revoked(fingerprint trust.Digest) (*Revocation, error) {
	text, err := readUpTo(filepath.Join(s.Dir, fingerprint.String()+revokedSuffix), maxRecord, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r := Revocation{Fingerprint: fingerprint}
	if err == nil {
		r, err = ParseRevocation(text)
	}
	if err == nil && r.Fingerprint != fingerprint {
		err = errors.New("it is about another key")
	}
	if err != nil {
		return &Revocation{Fingerprint: fingerprint}, fmt.Errorf("%w; its record cannot be read: %w", ErrRevoked, err)
	}
	return &r, fmt.Errorf("%w on %s", ErrRevoked, r.At.Format(stampForm))
}

// Revocations lists the records, oldest first. A damaged one is an error, and so is one that is called
// after another key.
func (s *Store) Revocations() ([]Revocation, error) {
	var all []Revocation
	err := s.eachRecord(revokedSuffix, func(name trust.Digest, text []byte) error {
		r, err := ParseRevocation(text)
		if err == nil && r.Fingerprint != name {
			err = errors.New("it is about another key")
		}
		all = append(all, r)
		return err
	})
	slices.SortStableFunc(all, func(a, b Revocation) int { return a.At.Compare(b.At) })
	return all, err
}

// Rotations lists the statements, oldest first. Their signatures verify.
func (s *Store) Rotations() ([]Rotation, error) {
	var all []Rotation
	err := s.eachRecord(rotationSuffix, func(name trust.Digest, text []byte) error {
		r, err := ParseRotation(text)
		if err == nil && Fingerprint(r.New) != name {
			err = errors.New("it is about another key")
		}
		all = append(all, r)
		return err
	})
	slices.SortStableFunc(all, func(a, b Rotation) int { return a.At.Compare(b.At) })
	return all, err
}

// recordName is the fingerprint that a file with this suffix is called after, if it is.
func recordName(file, suffix string) (fingerprint trust.Digest, ok bool) {
	text, ok := strings.CutSuffix(file, suffix)
	fingerprint, err := trust.ParseDigest(text)
	return fingerprint, ok && err == nil
}

func (s *Store) eachRecord(suffix string, read func(name trust.Digest, text []byte) error) error {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, entry := range entries {
		name, ok := recordName(entry.Name(), suffix)
		if !ok {
			continue
		}
		text, err := readUpTo(filepath.Join(s.Dir, entry.Name()), maxRecord, 0)
		if err == nil {
			err = read(name, text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", entry.Name(), err)
		}
	}
	return nil
}

// RotateSpec is how a key is followed by another.
type RotateSpec struct {
	Old    string    // the id of the old key; empty: the active one
	New    string    // the id of the new key; empty: OLD-YYYYMMDDHHMMSS
	At     time.Time // required
	Active bool      // the new key becomes the active one
	// Publish is told of both keys after they and the statement are on disk and before the new key signs:
	// whoever is to accept its signatures must know it by then. old is nil if there was none or it was
	// revoked. nil: nobody is told.
	Publish func(old, new ed25519.PublicKey) error
}

// Rotated is what Rotate has done.
type Rotated struct {
	Old       *Key // nil: there was none, and New is the first
	New       *Key
	Statement *Rotation // nil: there was no old key, or it was revoked and its word is worth nothing
}

// Rotate makes a key that follows another. On a machine without keys it makes the first one, called New
// or assay-local. The new key is encrypted if the old one is. A crash leaves at most a new key that is not
// active.
func (s *Store) Rotate(spec RotateSpec) (done *Rotated, err error) {
	err = s.locked(func() error {
		done, err = s.rotate(spec)
		return err
	})
	return done, err
}

func (s *Store) rotate(spec RotateSpec) (*Rotated, error) {
	done, kind := new(Rotated), Plain
	signers, err := s.signers()
	if err != nil {
		return nil, err
	}
	if len(signers) > 0 || spec.Old != "" {
		if spec.Old == "" {
			if spec.Old, err = s.Active(); err != nil {
				return nil, err
			}
		}
		if done.Old, err = s.read(spec.Old); err != nil {
			return nil, err
		}
		kind = s.kind(spec.Old)
	}
	if done.New, err = s.successor(spec, done.Old, kind); err != nil {
		return nil, err
	}
	var old ed25519.PublicKey
	if done.Old != nil && s.CheckRevoked(done.Old.public) == nil {
		old = done.Old.Public()
		if done.Statement, err = s.state(done.Old, done.New, spec.At); err != nil {
			return nil, fmt.Errorf("key %s was made and is not active: %w", done.New.id, err)
		}
	}
	if spec.Publish != nil {
		if err := spec.Publish(old, done.New.Public()); err != nil {
			return nil, fmt.Errorf("key %s was made and is not active: %w", done.New.id, err)
		}
	}
	if !spec.Active {
		return done, nil
	}
	return done, s.mark(done.New.id)
}

// successor makes the new key. Several rotations within a second get -2, -3, … behind the default id.
func (s *Store) successor(spec RotateSpec, old *Key, kind Kind) (*Key, error) {
	id := spec.New
	switch {
	case id != "":
	case old == nil:
		id = DefaultID
	default:
		stamp := "-" + spec.At.UTC().Format("20060102150405")
		// A rotated rotation replaces the stamp: ids would grow past what an id may be.
		base := unstamped(old.id)
		id = base[:min(len(base), maxKeyID-len(stamp)-4)] + stamp
		for n := 2; s.has(id) && n < 1000; n++ {
			id = fmt.Sprintf("%s-%d", strings.TrimSuffix(id, fmt.Sprintf("-%d", n-1)), n)
		}
	}
	return s.generate(nil, id, kind)
}

// unstamped is id without the -YYYYMMDDHHMMSS, or -YYYYMMDDHHMMSS-N, that a rotation gave it.
func unstamped(id string) string {
	counted := id
	if i := strings.LastIndexByte(id, '-'); i > 0 {
		if n, err := strconv.Atoi(id[i+1:]); err == nil && 2 <= n && n < 1000 {
			counted = id[:i]
		}
	}
	for _, text := range []string{id, counted} {
		if i := len(text) - len("-20060102150405"); i > 0 && isStamp(text[i:]) {
			return text[:i]
		}
	}
	return id
}

// isStamp reports whether text is -YYYYMMDDHHMMSS.
func isStamp(text string) bool {
	_, err := time.Parse("-20060102150405", text)
	return err == nil
}

func (s *Store) state(old, new *Key, at time.Time) (*Rotation, error) {
	r := Rotation{OldID: old.id, NewID: new.id, Old: old.Public(), New: new.Public(), At: at.UTC().Truncate(time.Second)}
	message, err := r.message()
	if err != nil {
		return nil, err
	}
	if r.Signature, err = old.Sign(message); err != nil {
		return nil, err
	}
	text, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	if _, err := ParseRotation(text); err != nil {
		return nil, err
	}
	return &r, durable.CreateFile(filepath.Join(s.Dir, Fingerprint(r.New).String()+rotationSuffix), text, 0o644)
}

// RevokeSpec is what is revoked, and why.
type RevokeSpec struct {
	ID     string // a key of the store, or the fingerprint of any key
	Reason string // at most 1000 bytes of UTF-8; may be empty
	At     time.Time
	Delete bool // the files of the key are deleted; the record stays
	// Publish is told of the fingerprints after the record is on disk. nil: nobody is told.
	Publish func(fingerprints []trust.Digest) error
}

// Revoke records that a key is not used any more; from then on Load refuses it, under whatever id. It works
// for keys that Load refuses already: one that others could read is why somebody revokes. If a key file and
// its public key file do not match, both keys are revoked. A key that was revoked keeps its first record.
func (s *Store) Revoke(spec RevokeSpec) (records []Revocation, err error) {
	if len(spec.Reason) > maxReason || !utf8.ValidString(spec.Reason) {
		return nil, fmt.Errorf("the reason has %d bytes, expected at most %d of UTF-8", len(spec.Reason), maxReason)
	}
	err = s.locked(func() error {
		records, err = s.revoke(spec)
		return err
	})
	return records, err
}

func (s *Store) revoke(spec RevokeSpec) ([]Revocation, error) {
	id := spec.ID
	fingerprints, err := s.fingerprints(id)
	named, notOne := trust.ParseDigest(id)
	switch {
	case errors.Is(err, ErrNotFound) && notOne == nil:
		fingerprints, id = []trust.Digest{named}, ""
	case err != nil:
		return nil, err
	}
	var records []Revocation
	for _, fingerprint := range fingerprints {
		r, err := s.record(Revocation{Fingerprint: fingerprint, SignerID: id, Reason: spec.Reason, At: spec.At.UTC().Truncate(time.Second)})
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if spec.Publish != nil {
		if err := spec.Publish(fingerprints); err != nil {
			return nil, fmt.Errorf("key %s is revoked here: %w", spec.ID, err)
		}
	}
	if !spec.Delete || id == "" {
		return records, nil
	}
	// The seed first: if we stop here, what is left is a public key.
	return records, s.remove(s.path(id, "key"), s.path(id, ageSuffix), s.path(id, "pub"))
}

// record writes a revocation, or returns the one that is there.
func (s *Store) record(r Revocation) (Revocation, error) {
	text, err := r.Marshal()
	if err == nil {
		_, err = ParseRevocation(text)
	}
	if err != nil {
		return r, err
	}
	err = durable.CreateFile(filepath.Join(s.Dir, r.Fingerprint.String()+revokedSuffix), text, 0o644)
	if errors.Is(err, fs.ErrExist) {
		if before, _ := s.revoked(r.Fingerprint); before != nil {
			return *before, nil
		}
	}
	return r, err
}

// fingerprints are those of the key, whatever state it is in: of the public key file, and of the seed if it
// can be read and is another's.
func (s *Store) fingerprints(id string) ([]trust.Digest, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if !s.has(id) {
		return nil, fmt.Errorf("key %s: %w", id, ErrNotFound)
	}
	var found []trust.Digest
	if public, err := readFile(s.path(id, "pub"), ed25519.PublicKeySize, 0); err == nil {
		found = append(found, Fingerprint(public))
	}
	if seed, err := readFile(s.path(id, "key"), ed25519.SeedSize, 0); err == nil {
		key, err := NewKey(id, seed)
		clear(seed)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(found, key.Fingerprint()) {
			found = append(found, key.Fingerprint())
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("key %s: neither of its halves can be read: revoke it by its fingerprint, and delete its files", id)
	}
	return found, nil
}

// Import adds a key from its exported halves, each 32 bytes in standard base64; private may be nil: then
// the key is for allowlists only. An id may be imported again only to add the private half to its public one.
func (s *Store) Import(id string, public, private []byte) (info Info, err error) {
	pub, err := parseBase64(public)
	if err != nil {
		return info, fmt.Errorf("public key: %w", err)
	}
	if err := trust.CheckEd25519Key(pub); err != nil {
		return info, fmt.Errorf("public key: %w", err)
	}
	var seed []byte
	if private != nil {
		if seed, err = parseBase64(private); err != nil {
			return info, fmt.Errorf("private key: %w", err)
		}
		defer clear(seed)
		key, err := NewKey(id, seed)
		if err != nil {
			return info, err
		}
		if !key.public.Equal(ed25519.PublicKey(pub)) {
			return info, errors.New("the private key and the public key are not halves of one key")
		}
	}
	err = s.locked(func() error {
		if err := s.imported(id, pub, seed); err != nil {
			return fmt.Errorf("importing key %s: %w", id, err)
		}
		info = s.describe(id)
		return info.Err
	})
	return info, err
}

func (s *Store) imported(id string, public ed25519.PublicKey, seed []byte) error {
	if err := checkID(id); err != nil {
		return err
	}
	if err := s.CheckRevoked(public); err != nil {
		return err
	}
	there, err := s.public(id)
	completes := err == nil && s.kind(id) == PublicOnly && there.Equal(public) && seed != nil
	if s.has(id) && !completes {
		return ErrExists
	}
	if seed == nil {
		return durable.CreateFile(s.path(id, "pub"), public, 0o644)
	}
	if err := s.keepActive(); err != nil {
		return err
	}
	_, err = s.put(id, seed, Plain)
	return err
}
