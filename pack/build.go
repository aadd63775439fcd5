package pack

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/trust"
)

// Signer holds a pack signing key.
type Signer interface {
	ID() string
	Public() ed25519.PublicKey
	Sign(message []byte) ([]byte, error)
}

// Spec is all that a pack is made of. Same Spec, same bytes.
type Spec struct {
	RunID    string
	PackID   string      // empty: derived from what the pack holds
	Receipts []jcs.Value // in any order; nobody changes them

	// Stream gives the receipts one by one instead of Receipts, again in any order. A value need only
	// be good until the next one is asked for; its strings must stay. The first error ends the build.
	Stream iter.Seq2[jcs.Value, error]

	Cards     []claim.Card  // whose claims to evaluate, in this order; none: no claims
	Mode      manifest.Mode // empty: shadow
	Now       time.Time     // the time of the build; required
	Signer    Signer
	CIBinding *manifest.CIBinding // nil: not built in CI

	SuiteID    string // empty: manual
	PolicyHash string // 64 lowercase hex digits; empty: the hash of "default-policy-v0"
	ClaimSetID string // empty: none

	// ValidUntil is an RFC 3339 date-time; empty: no end. A pack that is born expired is a mistake, so
	// it must not lie before Now; but with a derived PackID, which makes an old pack again or one for a
	// test, Now is data like any other, and ValidUntil may be.
	ValidUntil   string
	SupersededBy string // empty: by nothing

	// OldShape leaves out what verifiers before 1.19 refuse: ci_binding, valid_until
	// and superseded_by, which must then be empty, and the newer signature_scope.
	OldShape bool
}

// Pack is a built pack in memory.
type Pack struct {
	Manifest *manifest.Manifest
	Files    []NamedFile // the five, then _unsigned/…
}

// NamedFile is one file of a pack; Name is relative, with slashes.
type NamedFile struct {
	Name string
	Data []byte
}

// Build makes a pack in memory. It refuses what Verify or another verifier would reject, and what
// another JSON reader would read differently; the error names the receipt and the member:
//
//	building pack: receipt 17 (r_ab12): usage.tokens: integer 9007199254740993 is outside …
//
// It verifies what it made before it returns it.
func Build(s Spec) (*Pack, error) {
	m := &memoryTarget{}
	r, err := s.assemble(m)
	if err != nil {
		return nil, fmt.Errorf("building pack: %w", err)
	}
	return &Pack{Manifest: r.Manifest, Files: m.namedFiles()}, nil
}

// BuildDir makes the same pack, byte for byte, as a new directory, in memory that hardly grows with the
// receipts: about 100 bytes for each, whatever their length. It fails with fs.ErrExist if dir exists.
//
// The pack is put together under a name beside dir, verified there, and published by one rename: after
// an error or a crash there is no dir. Each file is fsynced before it is verified, each directory before
// the rename, and the parent after it. A crash leaves a directory .assay_pack_staging_*, mode 0700, which
// no program reads and which may be deleted.
//
// The Result is that of the pack's own verification: with Cards its exit code is 1 if a claim failed.
func BuildDir(dir string, s Spec) (r *Result, err error) {
	staging, err := durable.Stage(dir, 0o755, 0o644)
	if err != nil {
		return nil, fmt.Errorf("building pack: %w", err)
	}
	defer func() { // also when the stream of receipts panics
		err = errors.Join(err, staging.Discard())
	}()
	if r, err = s.assemble(&diskTarget{staging}); err != nil {
		return nil, fmt.Errorf("building pack %s: %w", dir, err)
	}
	if err := staging.Publish(); err != nil {
		return nil, fmt.Errorf("building pack: %w", err)
	}
	return r, nil
}

// builder is a pack in the making; each step fills what the next ones need.
type builder struct {
	Spec
	target  target
	lines   receiptLines // receipt_pack.jsonl
	claims  []claim.Claim
	results []claim.Result

	attestation         jcs.Value            // as it is written, all members
	root                string               // hash of the attestation
	attested            manifest.Attestation // the attestation as its reader takes it
	report, transcript  []byte
	manifest, signature []byte
}

// assemble makes a pack in p, step by step, and verifies it there. Each step needs what the ones before it have filled:
// the attestation holds digests of the receipts and claims, the report that of the attestation, and the manifest, which
// is signed, those of all three files.
func (s Spec) assemble(p target) (*Result, error) {
	b := &builder{Spec: s, target: p}
	for _, step := range []func() error{b.defaults, b.readReceipts, b.makeAttestation, b.writeReport, b.signManifest, b.writeFiles} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return b.verify()
}

func (b *builder) now() string { return b.Now.UTC().Format(receipt.TimeForm) }

// defaults fills what is empty and refuses what no verifier would take.
func (b *builder) defaults() error {
	b.Mode = cmp.Or(b.Mode, manifest.ModeShadow)
	b.SuiteID = cmp.Or(b.SuiteID, "manual")
	b.ClaimSetID = cmp.Or(b.ClaimSetID, "none")
	b.PolicyHash = cmp.Or(b.PolicyHash, form.HexSum([]byte("default-policy-v0")))
	for _, c := range b.Cards {
		// PCK-39: "a card that nobody could read back" is one that nobody can execute again.
		if _, err := claim.CardOf(c.Definition()); err != nil {
			return err
		}
		for _, claim := range c.Claims {
			b.claims = append(b.claims, claim.Canonical())
		}
	}
	switch {
	case b.Now.IsZero():
		return errors.New("no time given")
	case b.Signer == nil:
		return errors.New("no signer given")
	case b.Receipts != nil && b.Stream != nil:
		return errors.New("both a list and a stream of receipts given, expected one")
	case !form.IsIdentifier(b.RunID):
		return fmt.Errorf("run id %s is not 1 to 256 printable ASCII characters", form.Quote(b.RunID))
	case b.PackID != "" && !form.IsIdentifier(b.PackID):
		return fmt.Errorf("pack id %s is not 1 to 256 printable ASCII characters", form.Quote(b.PackID))
	case !form.IsIdentifier(b.Signer.ID()):
		return fmt.Errorf("signer id %s is not 1 to 256 printable ASCII characters", form.Quote(b.Signer.ID()))
	case b.OldShape && (b.CIBinding != nil || b.ValidUntil != "" || b.SupersededBy != ""):
		return errors.New("the old shape has no room for ci_binding, valid_until or superseded_by")
	case len(b.claims) > claim.MaxClaims:
		return fmt.Errorf("%d claims, at most %d", len(b.claims), claim.MaxClaims)
	}
	// PCK-40: "refuse a key that a verifier would refuse".
	if err := trust.CheckEd25519Key(b.Signer.Public()); err != nil {
		return fmt.Errorf("key of signer %s: %w", b.Signer.ID(), err)
	}
	return b.checkValidUntil()
}

// checkValidUntil (PCK-38) refuses an end "that is no date-time, and, unless the id is derived, one before the time of
// the build". Who derives the id makes an old pack again.
func (b *builder) checkValidUntil() error {
	if b.ValidUntil == "" {
		return nil
	}
	until, ok := form.ParseDateTime(b.ValidUntil)
	if !ok {
		return fmt.Errorf("valid_until %s is not an RFC 3339 date-time", form.Quote(b.ValidUntil))
	}
	if b.PackID != "" && until.Before(b.Now) {
		return fmt.Errorf("valid_until %s is before the time of the build, %s: the pack would be expired already", b.ValidUntil, b.now())
	}
	return nil
}

// writeFiles writes all files but that of the receipts, which readReceipts has written.
func (b *builder) writeFiles() error {
	list := []NamedFile{
		{manifest.ReportName, b.report},
		{manifest.TranscriptName, b.transcript},
		{manifest.Name, b.manifest},
		{manifest.SignatureName, b.signature},
		{manifest.SummaryName, b.summary()},
	}
	if len(b.Cards) > 0 {
		cards := make([]jcs.Value, len(b.Cards))
		for i, c := range b.Cards {
			cards[i] = c.Definition()
		}
		text, err := jcs.AppendPretty(nil, jcs.Arr(cards...))
		if err != nil {
			return fmt.Errorf("run cards: %w", err)
		}
		list = append(list, NamedFile{manifest.CardsName, append(text, '\n')})
	}
	for _, f := range list {
		if len(f.Data) > form.MaxFile { // PCK-39: more than a verifier reads
			return fmt.Errorf("%s has %d bytes, at most %d", f.Name, len(f.Data), form.MaxFile)
		}
		d, err := b.target.create(f.Name)
		if err == nil {
			_, err = d.Write(f.Data)
			err = errors.Join(err, d.seal())
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", f.Name, err)
		}
	}
	return nil
}

// verify reads the whole pack again, where it lies, as a stranger would: what it was made of is not asked.
//
// PCK-42: "verify the pack that it made, from the files that it wrote, and publish nothing if that fails".
func (b *builder) verify() (r *Result, err error) {
	fsys, done, err := b.target.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	r, err = Verify(fsys, Options{Cards: b.Cards, Now: b.Now, RequireClaims: len(b.claims) > 0})
	if err != nil {
		return nil, fmt.Errorf("verifying the built pack: %w", err)
	}
	if r.Integrity != Pass {
		f := r.Findings[0]
		return nil, fmt.Errorf("verifying the built pack: %s %s: %s", f.Code, f.Field, f.Message)
	}
	if len(b.claims) > 0 && !r.Claims.Reexecuted && !slices.ContainsFunc(b.claims, func(c claim.Claim) bool { return c.Check == claim.CoverageCheck }) {
		return nil, errors.New("verifying the built pack: the claims could not be re-executed")
	}
	return r, nil
}

// WriteDir publishes the pack as a new directory in one step: after a crash the
// directory is there whole or not at all. It fails with fs.ErrExist if dir exists.
func (p *Pack) WriteDir(dir string) error {
	names := make([]string, len(p.Files))
	data := make([][]byte, len(p.Files))
	for i, f := range p.Files {
		names[i], data[i] = f.Name, f.Data
	}
	if err := durable.WriteDir(dir, names, data, 0o755, 0o644); err != nil {
		return fmt.Errorf("writing pack %s: %w", dir, err)
	}
	return nil
}

// FS returns the pack's files as a read-only file system, as Verify wants them.
func (p *Pack) FS() fs.FS {
	m := make(memoryFS, len(p.Files))
	for _, f := range p.Files {
		m[f.Name] = f.Data
	}
	return m
}
