// Package pack is the proof pack.
package pack

import (
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"io/fs"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

var errStub = errors.New("not built yet")

type Verdict string

const (
	Pass    Verdict = "PASS"
	Fail    Verdict = "FAIL"
	Skipped Verdict = "SKIPPED"
)

// Finding is one thing that is wrong (or, among Warnings, remarkable).
type Finding struct {
	Code    string // E_… of pack.md §4.4
	Field   string
	Receipt int // index of the receipt, -1 if none
	Message string
}

// Options: the zero value checks integrity, and claims whose definitions are built in or travel with the pack.
type Options struct {
	Cards         []Card         // more definitions that claim_set_hash may match
	Policy        *trust.Policy  // nil: the anchor is SKIPPED
	TSARoots      *x509.CertPool // nil: timestamps are not believed
	Proof         []byte         // a tlog-proof; nil: _unsigned/anchor.tlog-proof of the pack
	Now           time.Time      // zero: no check against the present (future guard)
	RequireClaims bool
	RequireAnchor bool
}

// Result is the judgement of one pack: three channels, never merged.
type Result struct {
	Integrity, Claims, Anchor Verdict
	Findings                  []Finding
	Warnings                  []Finding
	ClaimResults              []ClaimResult
	Manifest                  *Manifest // nil if it could not be read
	Receipts                  int
	Log                       *trust.Checkpoint // when Anchor is PASS
	Logged                    *Logged
	Time                      *timestamp.Token
	require                   Options
}

// ExitCode is 0, 1 or 2.
func (r *Result) ExitCode() int { return 2 }

// Manifest is a verified-in-form pack_manifest.json.
type Manifest struct {
	PackID, RunID, SignerID string
	SignerKey               ed25519.PublicKey
	Attestation             Attestation
	PackRoot                [32]byte
	Files                   []File
	Receipts                int64
	value                   jcs.Value
	digest                  [32]byte
}
type File struct {
	Path   string
	SHA256 [32]byte
	Bytes  int64
}

// Attestation holds the members of pack.md §3.4 under their own names.
type Attestation struct {
	PackID, RunID, SuiteID, VerifierVersion, ClaimSetID                          string
	ClaimSetHash, PolicyHash, SuiteHash, HeadHash, DiscrepancyFingerprint        string
	ReceiptIntegrity, ClaimCheck, AssuranceLevel, ProofTier, Mode, TimeAuthority string
	NReceipts                                                                    int64
	TimestampStart, TimestampEnd, ValidUntil, SupersededBy                       string
	CIBinding                                                                    *CIBinding
}
type CIBinding struct{ Provider, CommitSHA, Repo, Ref, RunID, RunAttempt, WorkflowRef, Actor string }

// Digest is SHA-256 of the canonical whole manifest: the pack's identity.
func (m *Manifest) Digest() [32]byte { return m.digest }

// VerifyManifest judges what a manifest alone can show (schema, H1-H4, H9, hashes, signature, D12).
// m is nil when the form is too broken to read. No findings: admitted.
func VerifyManifest(text []byte) (m *Manifest, findings []Finding) { return nil, nil }

// Verify judges a pack. A bad pack is a Result; an error means nothing could be judged (no such directory).
func Verify(fsys fs.FS, o Options) (*Result, error) { return nil, errStub }

// DirFS opens a pack directory: regular files only, no symlink followed, never blocks on a FIFO.
func DirFS(dir string) (fs.FS, func() error, error) { return nil, nil, errStub }

// Signer holds a pack signing key.
type Signer interface {
	ID() string
	Public() ed25519.PublicKey
	Sign(message []byte) ([]byte, error)
}

// Spec is all that a pack is made of. Same Spec, same bytes.
type Spec struct {
	RunID     string
	PackID    string      // empty: derived deterministically (pack.md §3.4)
	Receipts  []jcs.Value // in any order
	Cards     []Card
	Mode      string // shadow, enforced, breakglass; empty: shadow
	Now       time.Time
	Signer    Signer
	CIBinding *CIBinding
}

// Pack is a built pack in memory.
type Pack struct {
	Manifest *Manifest
	Files    []NamedFile // the five, then _unsigned/…
}
type NamedFile struct {
	Name string
	Data []byte
}

func Build(s Spec) (*Pack, error)         { return nil, errStub }
func (p *Pack) WriteDir(dir string) error { return errStub } // new directory, atomic, durable

// Source says where a submission comes from; Attestation is "self", "ci_binding" or "oidc".
type Source struct{ Repo, Workflow, Commit, Attestation string }

// Entry is the leaf of the ledger, schema_version 2 (design/ledger.md).
type Entry struct {
	ManifestSHA256, PackRootSHA256                             [32]byte
	PackID, ReceiptIntegrity, ClaimCheck, Mode, AssuranceLevel string
	NReceipts                                                  int64
	TimestampStart, TimestampEnd, VerifierVersion              string
	SignerID                                                   string
	SignerKeySHA256                                            [32]byte
	Source                                                     Source
	WitnessStatus                                              string
	SubmittedAt                                                time.Time // milliseconds
	TimestampToken                                             []byte    // DER; nil: none
}

// Logged is an entry with its place in the log.
type Logged struct {
	Index int64
	Leaf  []byte
	Entry Entry
}

func NewEntry(m *Manifest, src Source, submittedAt time.Time, token []byte) (Entry, error) {
	return Entry{}, errStub
}
func (e Entry) Leaf() []byte                                    { return nil }
func ParseEntry(leaf []byte) (Entry, error)                     { return Entry{}, errStub }
func ParseSource(repo, workflow, commit string) (Source, error) { return Source{}, errStub }
