// Package trust decides, offline, whether a leaf stands in a log that the relying party trusts.
package trust

import (
	"crypto/ed25519"
	"errors"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

var errStub = errors.New("not built yet")

// Algorithm is the signature type byte of a vkey (C2SP signed-note, tlog-cosignature).
type Algorithm byte

const (
	Ed25519         Algorithm = 0x01 // log signature on a note
	Ed25519Cosigner Algorithm = 0x04 // cosignature/v1
	MLDSA44Cosigner Algorithm = 0x06 // subtree/v1
)

// Policy is a parsed C2SP tlog-policy.
type Policy struct{ text []byte }

// PolicyLog is one log line. VKey is the exact vkey text; Origin its key name.
type PolicyLog struct {
	Origin, VKey, URL string
}

// PolicyWitness is one witness line. Name is the policy's word for it, KeyName the vkey's name.
type PolicyWitness struct {
	Name, KeyName, VKey, URL string
	Algorithm                Algorithm
}

func ParsePolicy(text []byte) (*Policy, error) { return nil, errStub }
func (p *Policy) Logs() []PolicyLog            { return nil }
func (p *Policy) Witnesses() []PolicyWitness   { return nil }
func (p *Policy) Text() []byte                 { return p.text } // exact bytes given to ParsePolicy
// Quorum reports whether the named witnesses (policy names) satisfy the quorum.
func (p *Policy) Quorum(witnesses map[string]bool) bool { return false }

// Cosignature is one verified cosignature by a witness of the policy.
type Cosignature struct {
	Witness   string // policy name
	KeyName   string
	Algorithm Algorithm
	Time      time.Time
	Line      []byte // the whole signature line, with its newline
}

// Checkpoint is what an opened note says. Cosignatures hold only verified ones, in policy order.
type Checkpoint struct {
	Origin       string
	Size         int64
	Root         tlog.Hash
	Extensions   []string
	Cosignatures []Cosignature
	Signed       []byte // canonical note: text, verified log signature(s), verified cosignatures; nothing unverified
}

// Text returns the note text that is signed: origin, size, root, extension lines, each with newline.
func (c *Checkpoint) Text() []byte { return nil }

// ParseCheckpointText parses an unsigned note text (SN/CP rules); used by guard and witness.
func ParseCheckpointText(text []byte) (*Checkpoint, error) { return nil, errStub }

// OpenCheckpoint verifies the log signature and the witness quorum.
func (p *Policy) OpenCheckpoint(signed []byte) (*Checkpoint, error) { return nil, errStub }

// OpenLogSignature verifies only the log signature (no quorum); Cosignatures still lists verified ones.
func (p *Policy) OpenLogSignature(signed []byte) (*Checkpoint, error) { return nil, errStub }

// Cosignatures verifies signature lines as a witness returned them over cp's text; unknown keys are ignored.
func (p *Policy) VerifyCosignatures(cp *Checkpoint, lines []byte) ([]Cosignature, error) {
	return nil, errStub
}

// ErrQuorum: log signature fine, not enough cosignatures. ErrUnknownLog: no log of the policy has this origin.
var (
	ErrQuorum     = errors.New("witness quorum not met")
	ErrUnknownLog = errors.New("origin is no log of the policy")
	ErrSignature  = errors.New("log signature does not verify")
)

// Proof is a C2SP tlog-proof.
type Proof struct {
	Extra      []byte // nil: no extra line; empty but non-nil: an empty one
	Index      int64
	Hashes     []tlog.Hash
	Checkpoint []byte // the signed note, verbatim
}

func ParseProof(text []byte) (*Proof, error)                                { return nil, errStub }
func (p *Proof) Marshal() []byte                                            { return nil }
func (p *Policy) CheckProof(proof *Proof, leaf []byte) (*Checkpoint, error) { return nil, errStub }

// GenerateKey returns the secret ("PRIVATE+KEY+…") and the vkey text of a fresh key.
func GenerateKey(rand io.Reader, name string, alg Algorithm) (skey, vkey string, err error) {
	return "", "", errStub
}

// LogSigner signs checkpoints with an Ed25519 note key (0x01).
type LogSigner struct{}

func NewLogSigner(skey string) (*LogSigner, error) { return nil, errStub }
func (s *LogSigner) Origin() string                { return "" }
func (s *LogSigner) VKey() string                  { return "" }
func (s *LogSigner) Sign(origin string, size int64, root tlog.Hash) ([]byte, error) {
	return nil, errStub
} // the signed note

// Cosigner is a witness key, 0x04 or 0x06.
type Cosigner struct{}

func NewCosigner(skey string) (*Cosigner, error)                                 { return nil, errStub }
func (c *Cosigner) Name() string                                                 { return "" }
func (c *Cosigner) VKey() string                                                 { return "" }
func (c *Cosigner) Cosign(cp *Checkpoint, at time.Time) (line []byte, err error) { return nil, errStub }

// CheckEd25519Key refuses non-canonical, small-order and mixed-order keys (threats.md §3.5).
func CheckEd25519Key(pub ed25519.PublicKey) error { return errStub }

// VerifyEd25519 is crypto/ed25519.Verify plus strict key and strict signature; never panics.
func VerifyEd25519(pub ed25519.PublicKey, message, sig []byte) bool { return false }
