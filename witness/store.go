package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"
)

// ErrConflict says that the stored checkpoint is not the one the caller judged.
var ErrConflict = errors.New("the stored checkpoint has changed")

// errEmptyNote guards the contract: nil means "none", so nothing may be stored as nothing.
var errEmptyNote = errors.New("an empty checkpoint cannot be stored")

// Store keeps the latest cosigned checkpoint of each origin: the signed note
// with the log's signatures and our cosignatures. A transaction would hide the
// check in the choice of connection; compare and swap keeps it in sight.
//
// When Swap returns an error other than ErrConflict, also because ctx ended, it
// may have happened all the same; the caller reads again.
type Store interface {
	Latest(ctx context.Context, origin string) ([]byte, error)      // nil if none
	Swap(ctx context.Context, origin string, old, new []byte) error // durable, atomic; ErrConflict if old is not current
}

// EvidenceKind says how two notes of one log disagree.
type EvidenceKind string

const (
	// Fork: one size, two roots. The two notes prove it.
	Fork EvidenceKind = "fork"
	// Unproven: a checkpoint came with a proof that does not lead to it. The
	// log may be honest and the sender not; it is a lead, not a proof.
	Unproven EvidenceKind = "unproven"
)

// Evidence is two notes signed by one log that do not go together.
type Evidence struct {
	Origin string
	Kind   EvidenceKind
	Ours   []byte // the stored note it was compared with
	Theirs []byte // the note that came, with the log signatures that verified
	Seen   time.Time
}

// maxEvidence bounds the rows of each origin and kind. Each note counts once,
// and the kinds apart, so that leads cannot crowd out a proof.
const maxEvidence = 100

// Memory is a Store that forgets with the process: for tests and demos only.
type Memory struct {
	mu       sync.Mutex
	notes    map[string][]byte
	evidence []Evidence
	seen     map[[sha256.Size]byte]bool // of kind and Theirs
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{notes: map[string][]byte{}, seen: map[[sha256.Size]byte]bool{}}
}

// Latest returns the stored note, nil if there is none.
func (m *Memory) Latest(ctx context.Context, origin string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.notes[origin]), nil
}

// Swap replaces old, nil for none, by new.
func (m *Memory) Swap(ctx context.Context, origin string, old, new []byte) error {
	if len(new) == 0 {
		return errEmptyNote
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.notes[origin], old) {
		return ErrConflict
	}
	m.notes[origin] = bytes.Clone(new)
	return nil
}

// Origins returns every origin that has a note, sorted.
func (m *Memory) Origins(ctx context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var origins []string
	for origin := range m.notes {
		origins = append(origins, origin)
	}
	slices.Sort(origins)
	return origins, nil
}

// KeepEvidence reports whether e is new and there was room for it.
func (m *Memory) KeepEvidence(ctx context.Context, e Evidence) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := sha256.Sum256(append([]byte(e.Kind+"\n"), e.Theirs...))
	n := 0
	for _, have := range m.evidence {
		if have.Origin == e.Origin && have.Kind == e.Kind {
			n++
		}
	}
	if m.seen[id] || n >= maxEvidence {
		return false, nil
	}
	m.seen[id] = true
	m.evidence = append(m.evidence, e)
	return true, nil
}

// Evidence returns what is kept about an origin, oldest first.
func (m *Memory) Evidence(ctx context.Context, origin string) ([]Evidence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var kept []Evidence
	for _, e := range m.evidence {
		if e.Origin == origin {
			kept = append(kept, e)
		}
	}
	return kept, nil
}
