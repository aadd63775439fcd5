// Package entry is the leaf of the ledger: what a log says of one manifest. New makes one of a manifest that
// manifest.Verify admitted, Leaf writes it, and Parse reads exactly what Leaf writes. Whoever holds a pack and
// a proof asks Describes whether the entry is of that pack.
package entry

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// Source says where a submission comes from; Attestation is "self", "ci_binding" or "oidc":
// who says so. The zero Source says nothing.
type Source struct{ Repo, Workflow, Commit, Attestation string }

// Entry is the leaf of the ledger, schema_version 2:
//
//	{"assurance_level":"L0","claim_check":"PASS","manifest_sha256":"…","mode":"shadow","n_receipts":2,…}
//
// canonical JSON (RFC 8785) of at most 32 KiB. What is empty is absent.
type Entry struct {
	ManifestSHA256, PackRootSHA256                trust.Digest
	PackID, ReceiptIntegrity, AssuranceLevel      string
	ClaimCheck                                    manifest.ClaimCheck
	Mode                                          manifest.Mode
	NReceipts                                     int64
	TimestampStart, TimestampEnd, VerifierVersion string
	SignerID                                      string
	SignerKeySHA256                               trust.Digest
	Source                                        Source
	WitnessStatus                                 string
	SubmittedAt                                   time.Time // milliseconds
	TimestampToken                                []byte    // DER; nil: none
}

// Logged is an entry with its place in the log.
type Logged struct {
	Index int64
	Leaf  []byte
	Entry Entry
}

// Anchored is a ledger's answer to a submission, from a log in this process or far away:
// Proof.Extra and Entry.Leaf are the same bytes, and Proof proves them at Entry.Index.
type Anchored struct {
	Proof *trust.Proof
	Entry Logged
	New   bool // false: it was there before; the entry is the first one
}

const (
	entryVersion = 2
	maxEntry     = 32 << 10 // bytes of a leaf
	submittedAt  = "2006-01-02T15:04:05.000Z"
)

// New makes the entry of a manifest that manifest.Verify admitted. The source is the one
// that the signed attestation binds, if it does; otherwise src, which is the submitter's word
// unless it says "oidc": then the ledger verified it.
func New(m *manifest.Manifest, src Source, at time.Time, token []byte) (Entry, error) {
	e := entryOf(m)
	bound := BoundSource(m)
	switch {
	case src.Attestation == "oidc":
		e.Source = src
	case bound != Source{}:
		e.Source = bound
	case src.Repo != "":
		e.Source = src
		e.Source.Attestation = "self"
	case src != Source{}:
		return Entry{}, errors.New("source: no repository")
	}
	e.WitnessStatus = "signature_verified"
	e.SubmittedAt = at.UTC().Truncate(time.Millisecond)
	e.TimestampToken = token
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	if n := len(e.marshal()); n > maxEntry {
		return Entry{}, fmt.Errorf("entry: %d bytes, at most %d", n, maxEntry)
	}
	return e, nil
}

// entryOf holds the members that are copied from the manifest, never from the submitter.
func entryOf(m *manifest.Manifest) Entry {
	a := m.Attestation
	return Entry{
		ManifestSHA256: m.Digest(), PackRootSHA256: m.PackRoot,
		PackID: m.PackID, ReceiptIntegrity: a.ReceiptIntegrity, ClaimCheck: a.ClaimCheck,
		Mode: a.Mode, AssuranceLevel: a.AssuranceLevel, NReceipts: a.NReceipts,
		TimestampStart: a.TimestampStart, TimestampEnd: a.TimestampEnd, VerifierVersion: a.VerifierVersion,
		SignerID: m.SignerID, SignerKeySHA256: m.SignerFingerprint(),
	}
}

// BoundSource is what the signed attestation says of its CI run, zero if it names no repository
// that a ledger can show.
func BoundSource(m *manifest.Manifest) Source {
	ci := m.Attestation.CIBinding
	if ci == nil {
		return Source{}
	}
	s := Source{Repo: ci.Repo, Workflow: ci.WorkflowRef, Commit: ci.CommitSHA, Attestation: "ci_binding"}
	if s.check() != nil {
		return Source{}
	}
	return s
}

// ParseSource reads a submitter's words. All empty: no source.
func ParseSource(repo, workflow, commit string) (Source, error) {
	if repo == "" && workflow == "" && commit == "" {
		return Source{}, nil
	}
	if repo == "" {
		return Source{}, errors.New("a source workflow or commit says nothing without a source repository")
	}
	s := Source{repo, workflow, commit, "self"}
	return s, s.check()
}

var repoPattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$`)

// check reports which part of a source that is there has not its form. The forms keep
// out what would lead a reader, a link or a terminal astray (threats.md A10).
func (s Source) check() error {
	_, name, _ := bytes.Cut([]byte(s.Repo), []byte("/"))
	switch {
	case !repoPattern.MatchString(s.Repo), string(name) == ".", string(name) == "..":
		return fmt.Errorf("source repository %s is not owner/name", form.Quote(s.Repo))
	case s.Workflow != "" && (len(s.Workflow) > 512 || !form.IsPrintableASCII(s.Workflow)):
		return errors.New("source workflow is not at most 512 printable ASCII characters")
	case s.Commit != "" && !form.IsCommit(s.Commit):
		return fmt.Errorf("source commit %s is not 40 or 64 lowercase hex digits", form.Quote(s.Commit))
	case !slices.Contains([]string{"self", "ci_binding", "oidc"}, s.Attestation):
		return fmt.Errorf("source attestation %s is not self, ci_binding or oidc", form.Quote(s.Attestation))
	}
	return nil
}

// check reports the first field that cannot be in an entry.
func (e Entry) check() error {
	for _, f := range []struct {
		name, value string
		must        form.Rule
	}{
		{"pack_id", e.PackID, form.Identifier},
		{"receipt_integrity", e.ReceiptIntegrity, form.OneOf("PASS", "FAIL")},
		{"claim_check", string(e.ClaimCheck), form.OneOf("PASS", "FAIL", "N/A")},
		{"mode", string(e.Mode), form.OneOf("shadow", "enforced", "breakglass")},
		{"assurance_level", e.AssuranceLevel, form.OneOf("L0", "L1", "L2", "L3")},
		{"timestamp_start", e.TimestampStart, form.DateTime},
		{"timestamp_end", e.TimestampEnd, form.DateTime},
		{"verifier_version", e.VerifierVersion, form.Version},
		{"signer_id", e.SignerID, form.Identifier},
		{"witness_status", e.WitnessStatus, form.OneOf("signature_verified", "hash_verified", "unwitnessed")},
	} {
		var problem error
		f.must(f.name, jcs.Str(f.value), func(s string) { problem = errors.New("entry: " + s) })
		if problem != nil {
			return problem
		}
	}
	if e.NReceipts < 0 || e.NReceipts >= 1<<53 {
		return fmt.Errorf("entry: n_receipts is %d", e.NReceipts)
	}
	if year := e.SubmittedAt.UTC().Year(); year < 1 || year > 9999 || e.SubmittedAt.Nanosecond()%int(time.Millisecond) != 0 {
		return errors.New("entry: submitted_at is not a time in whole milliseconds")
	}
	if e.TimestampToken != nil && len(e.TimestampToken) == 0 {
		return errors.New("entry: timestamp_token is empty")
	}
	if e.Source != (Source{}) {
		if err := e.Source.check(); err != nil {
			return fmt.Errorf("entry: %w", err)
		}
	}
	return nil
}

// Leaf is the bytes that the log stores; nil for an entry that Parse would not return.
func (e Entry) Leaf() []byte {
	if e.check() != nil {
		return nil
	}
	if leaf := e.marshal(); len(leaf) <= maxEntry {
		return leaf
	}
	return nil
}

// marshal writes canonical JSON. The pack profile and RFC 8785 write strings and small
// integers alike, and an entry holds nothing else.
func (e Entry) marshal() []byte {
	// In canonical order already, so that the writer has nothing to sort.
	members := make([]jcs.Member, 0, 21)
	text := func(name, value string) { members = append(members, jcs.M(name, jcs.Str(value))) }
	optional := func(name, value string) {
		if value != "" {
			text(name, value)
		}
	}
	text("assurance_level", e.AssuranceLevel)
	text("claim_check", string(e.ClaimCheck))
	text("manifest_sha256", e.ManifestSHA256.String())
	text("mode", string(e.Mode))
	members = append(members, jcs.M("n_receipts", jcs.Int(e.NReceipts)))
	text("pack_id", e.PackID)
	text("pack_root_sha256", e.PackRootSHA256.String())
	text("receipt_integrity", e.ReceiptIntegrity)
	members = append(members, jcs.M("schema_version", jcs.Int(entryVersion)))
	text("signer_id", e.SignerID)
	text("signer_pubkey_sha256", e.SignerKeySHA256.String())
	optional("source_attestation", e.Source.Attestation)
	optional("source_commit", e.Source.Commit)
	optional("source_repo", e.Source.Repo)
	optional("source_workflow", e.Source.Workflow)
	text("submitted_at", e.SubmittedAt.UTC().Format(submittedAt))
	text("timestamp_end", e.TimestampEnd)
	text("timestamp_start", e.TimestampStart)
	optional("timestamp_token", base64.StdEncoding.EncodeToString(e.TimestampToken))
	text("verifier_version", e.VerifierVersion)
	text("witness_status", e.WitnessStatus)
	leaf, err := jcs.AppendPack(nil, jcs.Obj(members...))
	if err != nil {
		return nil
	}
	return leaf
}

// Parse reads a leaf. It accepts exactly what Leaf writes.
func Parse(leaf []byte) (Entry, error) {
	v, err := form.Parse(leaf, maxEntry)
	if err != nil {
		return Entry{}, fmt.Errorf("entry: %w", err)
	}
	at, err := time.Parse(submittedAt, form.Str(v, "submitted_at"))
	if err != nil {
		return Entry{}, errors.New("entry: submitted_at is not a UTC time with milliseconds")
	}
	n, _ := form.ReadCount(form.Get(v, "n_receipts"))
	e := Entry{
		ManifestSHA256: form.Digest(form.Str(v, "manifest_sha256")), PackRootSHA256: form.Digest(form.Str(v, "pack_root_sha256")),
		PackID: form.Str(v, "pack_id"), ReceiptIntegrity: form.Str(v, "receipt_integrity"), ClaimCheck: manifest.ClaimCheck(form.Str(v, "claim_check")),
		Mode: manifest.Mode(form.Str(v, "mode")), AssuranceLevel: form.Str(v, "assurance_level"), NReceipts: n,
		TimestampStart: form.Str(v, "timestamp_start"), TimestampEnd: form.Str(v, "timestamp_end"),
		VerifierVersion: form.Str(v, "verifier_version"), SignerID: form.Str(v, "signer_id"),
		SignerKeySHA256: form.Digest(form.Str(v, "signer_pubkey_sha256")), WitnessStatus: form.Str(v, "witness_status"),
		SubmittedAt: at,
		Source: Source{Repo: form.Str(v, "source_repo"), Workflow: form.Str(v, "source_workflow"),
			Commit: form.Str(v, "source_commit"), Attestation: form.Str(v, "source_attestation")},
	}
	if token := form.Str(v, "timestamp_token"); token != "" {
		if e.TimestampToken, err = form.Decode64(token); err != nil {
			return Entry{}, errors.New("entry: timestamp_token is not canonical base64")
		}
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	// Another order, spelling, member or type is not what Leaf writes.
	if !bytes.Equal(e.marshal(), leaf) {
		return Entry{}, errors.New("entry: not in canonical form")
	}
	return e, nil
}

// Describes reports whether the entry is of that manifest and says of it nothing else than it does.
func (e Entry) Describes(m *manifest.Manifest) error {
	if e.ManifestSHA256 != m.Digest() {
		return errors.New("the proof is of another pack")
	}
	want := entryOf(m)
	want.Source, want.WitnessStatus, want.SubmittedAt = e.Source, e.WitnessStatus, e.SubmittedAt
	if string(want.marshal()) != string(withoutToken(e).marshal()) {
		return errors.New("the entry does not agree with the manifest it names")
	}
	if e.Source.Attestation == "ci_binding" && e.Source != BoundSource(m) {
		return errors.New("the entry names a CI run that the manifest does not")
	}
	return nil
}

func withoutToken(e Entry) Entry {
	e.TimestampToken = nil
	return e
}

// MaxAhead is how far a clock may be ahead of another before what it says is refused.
const MaxAhead = 24 * time.Hour

// Contradiction compares a timestamp, whose token was made at a time and was there by another, with the last receipt of the
// pack: who had the token had the manifest by then, which names that receipt. It is "" if they agree, and fails beyond
// what a clock may be wrong.
func (e Entry) Contradiction(at, by time.Time) (text string, fails bool) {
	end, ok := form.ParseDateTime(e.TimestampEnd)
	if ok && !end.After(by) {
		return "", false
	}
	text = fmt.Sprintf("the timestamp %s contradicts the pack, whose own end is %s", at.UTC().Format(time.RFC3339), e.TimestampEnd)
	if fails = !ok || end.After(by.Add(MaxAhead)); fails {
		text += fmt.Sprintf(", more than %s later", MaxAhead)
	}
	return text, fails
}
