// Package manifest is pack_manifest.json: what a pack holds, what its signer attests of it, and the signature.
//
// Verify judges a manifest by itself, without the pack: it is what a ledger asks before it logs one. A pack is
// judged by pack.Verify, which calls Read and the four Check methods with its own steps between. What is wrong
// is a Finding with one of the codes of this package, whoever found it.
package manifest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// Manifest is a verified-in-form pack_manifest.json.
type Manifest struct {
	PackID, RunID, SignerID string
	SignerKey               ed25519.PublicKey // nil if signer_pubkey is not a usable key
	Attestation             Attestation
	PackRoot                trust.Digest
	Files                   []File
	Receipts                int64
	value                   jcs.Value
	digest                  trust.Digest
}

// File is one member of the manifest's files.
type File struct {
	Path   string
	SHA256 trust.Digest
	Bytes  int64
}

// Attestation holds the members of the attestation under their own names. What is null or absent is "".
type Attestation struct {
	PackID, RunID, SuiteID, VerifierVersion, ClaimSetID                   string
	ClaimSetHash, PolicyHash, SuiteHash, HeadHash, DiscrepancyFingerprint string
	ReceiptIntegrity, AssuranceLevel, ProofTier, TimeAuthority            string
	ClaimCheck                                                            ClaimCheck
	Mode                                                                  Mode
	NReceipts                                                             int64
	TimestampStart, TimestampEnd, ValidUntil, SupersededBy                string
	CIBinding                                                             *CIBinding
}

// ClaimCheck is what the signer attests of the claims.
type ClaimCheck string

const (
	ClaimsPass ClaimCheck = "PASS"
	ClaimsFail ClaimCheck = "FAIL" // a critical one does not hold
	ClaimsNone ClaimCheck = "N/A"  // there are none
)

// Mode is what guarded the run, as its signer says.
type Mode string

const (
	ModeShadow     Mode = "shadow"     // observed, nothing was blocked
	ModeEnforced   Mode = "enforced"   // guards could block
	ModeBreakglass Mode = "breakglass" // the guards were overridden on purpose
)

// CIBinding says which CI run built the pack, in the signer's words. What is absent is "".
type CIBinding struct{ Provider, CommitSHA, Repo, Ref, RunID, RunAttempt, WorkflowRef, Actor string }

// Digest is SHA-256 of the canonical whole manifest, signature and pack root included:
// the pack's identity. How the file is spelled (spaces, escapes, order) does not change it.
func (m *Manifest) Digest() trust.Digest { return m.digest }

// Value is the whole document, as it was read.
func (m *Manifest) Value() jcs.Value { return m.value }

// SignerFingerprint is SHA-256 of the signer's public key, zero without a usable key.
func (m *Manifest) SignerFingerprint() (sum trust.Digest) {
	if m.SignerKey != nil {
		sum = sha256.Sum256(m.SignerKey)
	}
	return sum
}

// Verify judges what a manifest alone can show: its form, what it says twice, hashes, and the signature.
// m is nil when the form is too broken to read. No findings: admitted.
func Verify(text []byte) (m *Manifest, list []Finding) {
	var fs Findings
	m = Read(text, &fs)
	if m != nil {
		m.CheckPaths(&fs)
		m.CheckAttestation(&fs)
		m.CheckSignature(&fs)
		m.CheckRoot(&fs)
	}
	return m, fs
}

// The values that this verifier knows. Another value announces rules that it does not.
const (
	PackFormat    = "0.1.0"
	FormVersion   = "1.0.0"
	CanonVersion  = "jcs-rfc8785"
	HeadAlgorithm = "last-receipt-digest-v0"
	Scope         = "JCS(pack_manifest_excluding_signature_and_pack_root_sha256)"
	ScopeLegacy   = "JCS(pack_manifest_without_signature)"
)

// manifestMembers is pack.md §4, in its order.
var manifestMembers = []form.Member{
	form.M("pack_id", form.Identifier),
	form.M("pack_version", form.OneOf(PackFormat)),
	form.M("manifest_version", form.OneOf(FormVersion)),
	form.M("hash_alg", form.OneOf("sha256")),
	form.M("attestation", form.Object(attestationMembers)),
	form.M("attestation_sha256", form.Hex64),
	form.M("suite_hash", form.Hex64),
	form.M("claim_set_id", form.NonEmpty),
	form.M("claim_set_hash", form.Hex64),
	form.M("receipt_count_expected", form.Count),
	form.M("files", form.List(3, form.Object(fileMembers))),
	form.M("expected_files", form.List(1, form.AnyString)),
	form.M("signer_id", form.Identifier),
	form.M("signer_pubkey", form.AnyString),
	form.M("signer_pubkey_sha256", form.Hex64),
	form.M("signature_alg", form.OneOf("ed25519")),
	form.M("signature_scope", form.OneOf(Scope, ScopeLegacy)),
	form.M("signature", form.AnyString),
	form.M("pack_root_sha256", form.Hex64),
	form.M("redaction_policy_sha256?", form.Hex64),
}

// attestationMembers is pack.md §5, in its order.
var attestationMembers = []form.Member{
	form.M("pack_format_version", form.OneOf(PackFormat)),
	form.M("fingerprint_version", form.One),
	form.M("pack_id", form.Identifier),
	form.M("run_id", form.Identifier),
	form.M("suite_id", form.NonEmpty),
	form.M("suite_hash", form.Hex64),
	form.M("verifier_version", form.Version),
	form.M("canon_version", form.OneOf(CanonVersion)),
	form.M("canon_impl", form.AnyString),
	form.M("canon_impl_version", form.AnyString),
	form.M("policy_hash", form.Hex64),
	form.M("claim_set_id", form.NonEmpty),
	form.M("claim_set_hash", form.Hex64),
	form.M("receipt_integrity", form.OneOf("PASS", "FAIL")),
	form.M("claim_check", form.OneOf(string(ClaimsPass), string(ClaimsFail), string(ClaimsNone))),
	form.M("discrepancy_fingerprint?", form.OrNull(form.Hex64)),
	form.M("assurance_level", form.OneOf("L0", "L1", "L2", "L3")),
	form.M("proof_tier", form.OneOf("hash-only", "signed-pack", "signed-receipts")),
	form.M("mode", form.OneOf(string(ModeShadow), string(ModeEnforced), string(ModeBreakglass))),
	form.M("head_hash", form.Hex64),
	form.M("head_hash_algorithm", form.OneOf(HeadAlgorithm)),
	form.M("time_authority", form.AnyString),
	form.M("n_receipts", form.Count),
	form.M("timestamp_start", form.DateTime),
	form.M("timestamp_end", form.DateTime),
	form.M("ci_binding?", form.OrNull(form.Object(ciMembers))),
	form.M("valid_until?", form.OrNull(form.DateTime)),
	form.M("superseded_by?", form.OrNull(form.NonEmpty)),
}

var ciMembers = []form.Member{
	form.M("provider", form.OneOf("github_actions", "gitlab_ci", "circleci", "jenkins", "local")),
	form.M("commit_sha", form.Commit),
	form.M("repo?", form.NonEmpty),
	form.M("ref?", form.NonEmpty),
	form.M("run_id?", form.NonEmpty),
	form.M("run_attempt?", form.NonEmpty),
	form.M("workflow_ref?", form.AnyString),
	form.M("actor?", form.AnyString),
}

var fileMembers = []form.Member{
	form.M("path", form.NonEmpty),
	form.M("sha256", form.Hex64),
	form.M("bytes", form.Count),
}

// Read reads a manifest. What is not of the form is not read further: then there are findings, and no manifest.
func Read(text []byte, fs *Findings) *Manifest { // verify.md §4
	at := fs.At(StageSchema)
	v, err := form.Parse(text, MaxSize)
	if err != nil {
		at.Add(JSONCode(err), Name, "not strict JSON: %s", form.OneLine(err))
		return nil
	}
	before := len(*fs)
	form.Object(manifestMembers)("", v, func(problem string) { at.Add(CodeManifestTamper, Name, "%s", strings.TrimPrefix(problem, ": ")) })
	if len(*fs) > before {
		return nil
	}
	canonical, err := jcs.AppendPack(nil, v)
	if err != nil {
		at.Add(CodeCanonMismatch, Name, "has no canonical form: %s", form.OneLine(err))
		return nil
	}
	m := &Manifest{value: v, digest: sha256.Sum256(canonical)}
	m.PackID, m.SignerID = form.Str(v, "pack_id"), form.Str(v, "signer_id")
	m.PackRoot = form.Digest(form.Str(v, "pack_root_sha256"))
	m.Receipts, _ = form.ReadCount(form.Get(v, "receipt_count_expected"))
	for _, f := range form.Get(v, "files").Items {
		n, _ := form.ReadCount(form.Get(f, "bytes"))
		m.Files = append(m.Files, File{Path: form.Str(f, "path"), SHA256: form.Digest(form.Str(f, "sha256")), Bytes: n})
	}
	m.Attestation = readAttestation(form.Get(v, "attestation"))
	m.RunID = m.Attestation.RunID
	if key, err := form.Decode64(form.Str(v, "signer_pubkey")); err == nil && len(key) == ed25519.PublicKeySize {
		m.SignerKey = key
	}
	return m
}

// AttestationOf reads an attestation. The error names the first member that has not its form.
func AttestationOf(v jcs.Value) (a Attestation, problem error) {
	form.Object(attestationMembers)("attestation", v, func(s string) {
		if problem == nil {
			problem = errors.New(s)
		}
	})
	if problem != nil {
		return a, problem
	}
	return readAttestation(v), nil
}

func readAttestation(v jcs.Value) Attestation {
	a := Attestation{
		PackID: form.Str(v, "pack_id"), RunID: form.Str(v, "run_id"), SuiteID: form.Str(v, "suite_id"),
		VerifierVersion: form.Str(v, "verifier_version"), ClaimSetID: form.Str(v, "claim_set_id"),
		ClaimSetHash: form.Str(v, "claim_set_hash"), PolicyHash: form.Str(v, "policy_hash"),
		SuiteHash: form.Str(v, "suite_hash"), HeadHash: form.Str(v, "head_hash"),
		DiscrepancyFingerprint: form.Str(v, "discrepancy_fingerprint"),
		ReceiptIntegrity:       form.Str(v, "receipt_integrity"), ClaimCheck: ClaimCheck(form.Str(v, "claim_check")),
		AssuranceLevel: form.Str(v, "assurance_level"), ProofTier: form.Str(v, "proof_tier"),
		Mode: Mode(form.Str(v, "mode")), TimeAuthority: form.Str(v, "time_authority"),
		TimestampStart: form.Str(v, "timestamp_start"), TimestampEnd: form.Str(v, "timestamp_end"),
		ValidUntil: form.Str(v, "valid_until"), SupersededBy: form.Str(v, "superseded_by"),
	}
	a.NReceipts, _ = form.ReadCount(form.Get(v, "n_receipts"))
	if ci := form.Get(v, "ci_binding"); ci.Kind == jcs.Object {
		a.CIBinding = &CIBinding{
			Provider: form.Str(ci, "provider"), CommitSHA: form.Str(ci, "commit_sha"), Repo: form.Str(ci, "repo"), Ref: form.Str(ci, "ref"),
			RunID: form.Str(ci, "run_id"), RunAttempt: form.Str(ci, "run_attempt"), WorkflowRef: form.Str(ci, "workflow_ref"), Actor: form.Str(ci, "actor"),
		}
	}
	return a
}

// CheckPaths judges the names in files and expected_files: the manifest names
// exactly the files of a pack, so no name of its own choosing is ever opened.
func (m *Manifest) CheckPaths(fs *Findings) {
	at := fs.At(StagePaths)
	same := len(m.Files) == len(contentFiles) // PCK-16
	for i, f := range m.Files {
		if !containedPath(f.Path) {
			at.Add(CodePathEscape, f.Path, "files[%d] leaves the pack", i)
		}
		same = same && f.Path == contentFiles[i]
	}
	if !same {
		at.Add(CodeManifestTamper, "files", "files are not exactly %s", strings.Join(contentFiles, ", "))
	}
	names := form.Get(m.value, "expected_files").Items
	same = len(names) == len(expectedFiles) // PCK-17
	for i, name := range names {
		if !containedPath(name.Text) {
			at.Add(CodePathEscape, name.Text, "expected_files[%d] leaves the pack", i)
		}
		same = same && name.Text == expectedFiles[i]
	}
	if !same {
		at.Add(CodeManifestTamper, "expected_files", "expected_files are not exactly %s", strings.Join(expectedFiles, ", "))
	}
}

// containedPath reports whether p stays inside the directory it is relative to, on every system.
func containedPath(p string) bool {
	return p != "" && !path.IsAbs(p) && !strings.ContainsAny(p, "\\:\x00") &&
		!slices.Contains(strings.Split(p, "/"), "..")
}

// CheckAttestation judges what manifest and attestation both say, and the hash of the attestation.
func (m *Manifest) CheckAttestation(fs *Findings) {
	at := fs.At(StageAttestation)
	attestation := form.Get(m.value, "attestation")
	for _, name := range []string{"pack_id", "suite_hash", "claim_set_id", "claim_set_hash"} { // PCK-12
		if form.Str(m.value, name) != form.Str(attestation, name) {
			at.Add(CodeManifestTamper, name, "%s of the manifest is not the attestation's", name)
		}
	}
	a := m.Attestation
	if a.NReceipts != m.Receipts { // PCK-13
		at.Add(CodeManifestTamper, "n_receipts", "n_receipts is %d, receipt_count_expected is %d", a.NReceipts, m.Receipts)
	}
	if a.ReceiptIntegrity != "PASS" { // PCK-22
		at.Add(CodeManifestTamper, "receipt_integrity", "the signer attests receipt_integrity FAIL")
	}
	if (a.ClaimCheck == ClaimsNone) != (a.DiscrepancyFingerprint == "") { // PCK-23
		at.Add(CodeManifestTamper, "discrepancy_fingerprint", "claim_check is %s, and there is %s fingerprint of claim results",
			a.ClaimCheck, map[bool]string{true: "no", false: "a"}[a.DiscrepancyFingerprint == ""])
	}
	canonical, err := jcs.AppendPack(nil, attestation) // PCK-14
	if sum := sha256.Sum256(canonical); err != nil || sum != form.Digest(form.Str(m.value, "attestation_sha256")) {
		at.Add(CodeManifestTamper, "attestation_sha256", "attestation_sha256 is not the hash of the attestation")
	}
}

// CheckSignature judges the key and the signature in the manifest. Neither the
// algorithm nor what is signed is taken from descriptive members.
func (m *Manifest) CheckSignature(fs *Findings) {
	at := fs.At(StageSignature)
	signature, err := m.Signature() // PCK-19
	if err != nil {
		at.Add(CodePackSignature, "signature", "signature is not %d bytes in canonical base64", ed25519.SignatureSize)
	}
	if m.SignerKey == nil {
		at.Add(CodePackSignature, "signer_pubkey", "signer_pubkey is not %d bytes in canonical base64", ed25519.PublicKeySize)
		return
	}
	if m.SignerFingerprint() != form.Digest(form.Str(m.value, "signer_pubkey_sha256")) { // PCK-20
		at.Add(CodePackSignature, "signer_pubkey_sha256", "signer_pubkey_sha256 is not the hash of signer_pubkey")
	}
	if err != nil {
		return
	}
	message, err := jcs.AppendPack(nil, Unsigned(m.value)) // PCK-30
	if err == nil && trust.VerifyEd25519(m.SignerKey, message, signature) {
		return
	}
	if err := trust.CheckEd25519Key(m.SignerKey); err != nil {
		at.Add(CodePackSignature, "signer_pubkey", "signer_pubkey is refused: %s", form.OneLine(err))
		return
	}
	at.Add(CodePackSignature, "signer_pubkey", "the signature does not verify")
}

// Unsigned is the manifest that is signed. The two names are fixed, never derived.
func Unsigned(manifest jcs.Value) jcs.Value {
	v := jcs.Value{Kind: jcs.Object}
	for _, m := range manifest.Members {
		if m.Name != "signature" && m.Name != "pack_root_sha256" {
			v.Members = append(v.Members, m)
		}
	}
	return v
}

// Signature is the 64 signature bytes.
func (m *Manifest) Signature() ([]byte, error) {
	signature, err := form.Decode64(form.Str(m.value, "signature"))
	if err == nil && len(signature) != ed25519.SignatureSize {
		err = fmt.Errorf("%d bytes", len(signature))
	}
	return signature, err
}

// CheckRoot judges pack_root_sha256.
func (m *Manifest) CheckRoot(fs *Findings) {
	if form.Str(m.value, "pack_root_sha256") != form.Str(m.value, "attestation_sha256") { // PCK-15
		fs.At(StageRoot).Add(CodeManifestTamper, "pack_root_sha256", "pack_root_sha256 is not attestation_sha256")
	}
}

// Version is what packs built here say in verifier_version and canon_impl_version.
const Version = "0.1.0"

// Limits on what a pack may hold. What exceeds one is a finding, never an error:
// a verifier of untrusted packs must answer in bounded time and memory.
const (
	MaxSize = 1 << 20 // bytes of pack_manifest.json
)

// Value is ci_binding as the attestation holds it, null for none.
func (ci *CIBinding) Value() jcs.Value {
	if ci == nil {
		return jcs.Value{}
	}
	members := []jcs.Member{jcs.M("provider", jcs.Str(ci.Provider)), jcs.M("commit_sha", jcs.Str(ci.CommitSHA))}
	for _, m := range []struct{ name, value string }{
		{"repo", ci.Repo}, {"ref", ci.Ref}, {"run_id", ci.RunID}, {"run_attempt", ci.RunAttempt},
		{"workflow_ref", ci.WorkflowRef}, {"actor", ci.Actor},
	} {
		members = form.AppendText(members, m.name, m.value)
	}
	return jcs.Obj(members...)
}

// FileSum is the SHA-256 of the file of that name in hex digits, "" if the manifest lists none.
func (m *Manifest) FileSum(name string) string {
	for _, f := range m.Files {
		if f.Path == name {
			return f.SHA256.String()
		}
	}
	return ""
}
