package pack

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// Manifest is a verified-in-form pack_manifest.json.
type Manifest struct {
	PackID, RunID, SignerID string
	SignerKey               ed25519.PublicKey // nil if signer_pubkey is not a usable key
	Attestation             Attestation
	PackRoot                [32]byte
	Files                   []File
	Receipts                int64
	value                   jcs.Value
	digest                  [32]byte
}

// File is one member of the manifest's files.
type File struct {
	Path   string
	SHA256 [32]byte
	Bytes  int64
}

// Attestation holds the members of pack.md §3.4 under their own names. What is null or absent is "".
type Attestation struct {
	PackID, RunID, SuiteID, VerifierVersion, ClaimSetID                          string
	ClaimSetHash, PolicyHash, SuiteHash, HeadHash, DiscrepancyFingerprint        string
	ReceiptIntegrity, ClaimCheck, AssuranceLevel, ProofTier, Mode, TimeAuthority string
	NReceipts                                                                    int64
	TimestampStart, TimestampEnd, ValidUntil, SupersededBy                       string
	CIBinding                                                                    *CIBinding
}

// CIBinding says which CI run built the pack, in the signer's words. What is absent is "".
type CIBinding struct{ Provider, CommitSHA, Repo, Ref, RunID, RunAttempt, WorkflowRef, Actor string }

// Digest is SHA-256 of the canonical whole manifest, signature and pack root included:
// the pack's identity. How the file is spelled (spaces, escapes, order) does not change it.
func (m *Manifest) Digest() [32]byte { return m.digest }

// Value is the whole document, as it was read.
func (m *Manifest) Value() jcs.Value { return m.value }

// SignerFingerprint is SHA-256 of the signer's public key, zero without a usable key.
func (m *Manifest) SignerFingerprint() (sum [32]byte) {
	if m.SignerKey != nil {
		sum = sha256.Sum256(m.SignerKey)
	}
	return sum
}

// VerifyManifest judges what a manifest alone can show (schema, H1-H4, H9, hashes, signature, D12).
// m is nil when the form is too broken to read. No findings: admitted.
func VerifyManifest(text []byte) (m *Manifest, list []Finding) {
	var fs findings
	m = readManifest(text, &fs)
	if m != nil {
		m.checkPaths(&fs)
		m.checkAttestation(&fs)
		m.checkSignature(&fs)
		m.checkRoot(&fs)
	}
	return m, fs
}

// The values that this verifier knows. Another value announces rules that it does not.
const (
	packFormat    = "0.1.0"
	manifestForm  = "1.0.0"
	canonVersion  = "jcs-rfc8785"
	headAlgorithm = "last-receipt-digest-v0"
	scope         = "JCS(pack_manifest_excluding_signature_and_pack_root_sha256)"
	scopeLegacy   = "JCS(pack_manifest_without_signature)"
)

// manifestMembers is pack.md §3.3, in its order.
var manifestMembers = []member{
	memberOf("pack_id", identifier),
	memberOf("pack_version", oneOf(packFormat)),
	memberOf("manifest_version", oneOf(manifestForm)),
	memberOf("hash_alg", oneOf("sha256")),
	memberOf("attestation", object(attestationMembers)),
	memberOf("attestation_sha256", hex64),
	memberOf("suite_hash", hex64),
	memberOf("claim_set_id", nonEmpty),
	memberOf("claim_set_hash", hex64),
	memberOf("receipt_count_expected", count),
	memberOf("files", list(3, object(fileMembers))),
	memberOf("expected_files", list(1, anyString)),
	memberOf("signer_id", identifier),
	memberOf("signer_pubkey", anyString),
	memberOf("signer_pubkey_sha256", hex64),
	memberOf("signature_alg", oneOf("ed25519")),
	memberOf("signature_scope", oneOf(scope, scopeLegacy)),
	memberOf("signature", anyString),
	memberOf("pack_root_sha256", hex64),
	memberOf("redaction_policy_sha256?", hex64),
}

// attestationMembers is pack.md §3.4, in its order.
var attestationMembers = []member{
	memberOf("pack_format_version", oneOf(packFormat)),
	memberOf("fingerprint_version", one),
	memberOf("pack_id", identifier),
	memberOf("run_id", identifier),
	memberOf("suite_id", nonEmpty),
	memberOf("suite_hash", hex64),
	memberOf("verifier_version", version),
	memberOf("canon_version", oneOf(canonVersion)),
	memberOf("canon_impl", anyString),
	memberOf("canon_impl_version", anyString),
	memberOf("policy_hash", hex64),
	memberOf("claim_set_id", nonEmpty),
	memberOf("claim_set_hash", hex64),
	memberOf("receipt_integrity", oneOf("PASS", "FAIL")),
	memberOf("claim_check", oneOf("PASS", "FAIL", "N/A")),
	memberOf("discrepancy_fingerprint?", orNull(hex64)),
	memberOf("assurance_level", oneOf("L0", "L1", "L2", "L3")),
	memberOf("proof_tier", oneOf("hash-only", "signed-pack", "signed-receipts")),
	memberOf("mode", oneOf("shadow", "enforced", "breakglass")),
	memberOf("head_hash", hex64),
	memberOf("head_hash_algorithm", oneOf(headAlgorithm)),
	memberOf("time_authority", anyString),
	memberOf("n_receipts", count),
	memberOf("timestamp_start", dateTime),
	memberOf("timestamp_end", dateTime),
	memberOf("ci_binding?", orNull(object(ciMembers))),
	memberOf("valid_until?", orNull(dateTime)),
	memberOf("superseded_by?", orNull(nonEmpty)),
}

var ciMembers = []member{
	memberOf("provider", oneOf("github_actions", "gitlab_ci", "circleci", "jenkins", "local")),
	memberOf("commit_sha", commit),
	memberOf("repo?", nonEmpty),
	memberOf("ref?", nonEmpty),
	memberOf("run_id?", nonEmpty),
	memberOf("run_attempt?", nonEmpty),
	memberOf("workflow_ref?", anyString),
	memberOf("actor?", anyString),
}

var fileMembers = []member{
	memberOf("path", nonEmpty),
	memberOf("sha256", hex64),
	memberOf("bytes", count),
}

// member is one row of a schema: a name ("?" at its end: it may be absent) and what its value must be.
type member struct {
	name string
	must rule
}

// memberOf is one row: the member name, "?" at its end if it may be absent, and its rule.
func memberOf(name string, must rule) member { return member{name, must} }

// rule reports what is wrong with v, which stands at path, as "path: what was expected".
type rule func(path string, v jcs.Value, report func(string))

// object is the rule of an object that has these members and no others.
func object(members []member) rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.Object {
			report(path + ": not an object")
			return
		}
		for _, got := range v.Members {
			// Exact names: nothing is folded, nothing unknown is skipped (threats.md P02, P20).
			if !slices.ContainsFunc(members, func(m member) bool { return strings.TrimSuffix(m.name, "?") == got.Name }) {
				report(join(path, printable(got.Name)) + ": unknown member")
			}
		}
		for _, m := range members {
			name, optional := strings.CutSuffix(m.name, "?")
			value, ok := v.Get(name)
			switch {
			case ok:
				m.must(join(path, name), value, report)
			case !optional:
				report(join(path, name) + ": missing")
			}
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list is the rule of an array of at least min items, each of which keeps a rule.
func list(min int, each rule) rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.Array || len(v.Items) < min {
			report(fmt.Sprintf("%s: not a list of %d or more", path, min))
			return
		}
		for i, item := range v.Items {
			each(path+"["+strconv.Itoa(i)+"]", item, report)
		}
	}
}

// orNull is the rule of a value that may be null instead.
func orNull(must rule) rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.Null {
			must(path, v, report)
		}
	}
}

// text makes a rule of a rule for strings.
func text(expected string, ok func(string) bool) rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.String {
			report(path + ": not a string")
		} else if !ok(v.Text) {
			report(path + ": " + quote(v.Text) + " is not " + expected)
		}
	}
}

// oneOf is the rule of a string that is one of these words.
func oneOf(words ...string) rule {
	return text(strings.Join(words, " or "), func(s string) bool { return slices.Contains(words, s) })
}

// The rules of strings.
var (
	anyString  = text("a string", func(string) bool { return true })
	nonEmpty   = text("a non-empty string", func(s string) bool { return s != "" })
	identifier = text("1 to 256 printable ASCII characters", isIdentifier)
	hex64      = text("64 lowercase hex digits", func(s string) bool { return len(s) == 64 && isHex(s) })
	commit     = text("40 or 64 lowercase hex digits", isCommit)
	dateTime   = text("an RFC 3339 date-time", isSchemaTime)
	version    = text("1 to 64 of A-Z a-z 0-9 . _ -", regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString)
)

// isIdentifier is the rule for names that stand for something: what looks the same
// must be the same, so no homoglyph, bidi or invisible character (threats.md P04).
func isIdentifier(s string) bool { return s != "" && len(s) <= 256 && printableASCII(s) }

// printableASCII reports whether s is printable ASCII: 0x20 to 0x7e.
func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// isHex reports whether s is lowercase hex digits only.
func isHex(s string) bool {
	for i := range len(s) {
		if !('0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f') {
			return false
		}
	}
	return true
}

// isCommit is the name of a commit: SHA-1, or SHA-256 in the newer repositories. The reference's schema
// knows the former only.
func isCommit(s string) bool { return (len(s) == 40 || len(s) == 64) && isHex(s) }

// isSchemaTime reports whether s is a date-time of at most 64 bytes that parseSchemaTime reads.
func isSchemaTime(s string) bool {
	if len(s) > 64 {
		return false
	}
	_, ok := parseSchemaTime(s)
	return ok
}

// count is an integer that every JSON reader reads alike: 0 to 2^53-1, no sign, fraction or exponent.
func count(path string, v jcs.Value, report func(string)) {
	if _, ok := readCount(v); !ok {
		report(path + ": not an integer between 0 and 2^53-1")
	}
}

// readCount reads what count admits.
func readCount(v jcs.Value) (int64, bool) {
	if v.Kind != jcs.Number || v.Text == "" || len(v.Text) > 16 || v.Text[0] == '0' && v.Text != "0" {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return n, err == nil && n >= 0 && n < 1<<53 && v.Text[0] != '+' && v.Text[0] != '-'
}

// one is the rule of the number 1.
func one(path string, v jcs.Value, report func(string)) {
	if n, ok := readCount(v); !ok || n != 1 {
		report(path + ": not 1")
	}
}

// readManifest is step (a) of pack.md §4.2: what is not of the form is not read further.
func readManifest(text []byte, fs *findings) *Manifest {
	v, err := parse(text, maxManifest)
	if err != nil {
		fs.add(jsonCode(err), manifestName, "not strict JSON: %s", oneLine(err))
		return nil
	}
	before := len(*fs)
	object(manifestMembers)("", v, func(problem string) { fs.add(eTamper, manifestName, "%s", strings.TrimPrefix(problem, ": ")) })
	if len(*fs) > before {
		return nil
	}
	canonical, err := jcs.AppendPack(nil, v)
	if err != nil {
		fs.add(eCanon, manifestName, "has no canonical form: %s", oneLine(err))
		return nil
	}
	m := &Manifest{value: v, digest: sha256.Sum256(canonical)}
	m.PackID, m.SignerID = str(v, "pack_id"), str(v, "signer_id")
	m.PackRoot = digest(str(v, "pack_root_sha256"))
	m.Receipts, _ = readCount(get(v, "receipt_count_expected"))
	for _, f := range get(v, "files").Items {
		n, _ := readCount(get(f, "bytes"))
		m.Files = append(m.Files, File{Path: str(f, "path"), SHA256: digest(str(f, "sha256")), Bytes: n})
	}
	m.Attestation = readAttestation(get(v, "attestation"))
	m.RunID = m.Attestation.RunID
	if key, err := decode64(str(v, "signer_pubkey")); err == nil && len(key) == ed25519.PublicKeySize {
		m.SignerKey = key
	}
	return m
}

// parse reads untrusted JSON text through the one strict reader (threats.md D1).
func parse(text []byte, limit int) (jcs.Value, error) {
	return jcs.Parse(text, jcs.Limits{Bytes: limit, Depth: maxDepth})
}

// get is the member of that name, null if there is none.
func get(v jcs.Value, name string) jcs.Value {
	got, _ := v.Get(name)
	return got
}

// str is the string member of that name, "" if there is none or it is not a string.
func str(v jcs.Value, name string) string {
	if got, ok := v.Get(name); ok && got.Kind == jcs.String {
		return got.Text
	}
	return ""
}

// digest is the hash behind 64 hex digits that were checked before.
func digest(s string) (sum [32]byte) {
	hex.Decode(sum[:], []byte(s[:min(len(s), 64)]))
	return sum
}

// AttestationOf reads an attestation. The error names the first member that has not its form.
func AttestationOf(v jcs.Value) (a Attestation, problem error) {
	object(attestationMembers)("attestation", v, func(s string) {
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
		PackID: str(v, "pack_id"), RunID: str(v, "run_id"), SuiteID: str(v, "suite_id"),
		VerifierVersion: str(v, "verifier_version"), ClaimSetID: str(v, "claim_set_id"),
		ClaimSetHash: str(v, "claim_set_hash"), PolicyHash: str(v, "policy_hash"),
		SuiteHash: str(v, "suite_hash"), HeadHash: str(v, "head_hash"),
		DiscrepancyFingerprint: str(v, "discrepancy_fingerprint"),
		ReceiptIntegrity:       str(v, "receipt_integrity"), ClaimCheck: str(v, "claim_check"),
		AssuranceLevel: str(v, "assurance_level"), ProofTier: str(v, "proof_tier"),
		Mode: str(v, "mode"), TimeAuthority: str(v, "time_authority"),
		TimestampStart: str(v, "timestamp_start"), TimestampEnd: str(v, "timestamp_end"),
		ValidUntil: str(v, "valid_until"), SupersededBy: str(v, "superseded_by"),
	}
	a.NReceipts, _ = readCount(get(v, "n_receipts"))
	if ci := get(v, "ci_binding"); ci.Kind == jcs.Object {
		a.CIBinding = &CIBinding{
			Provider: str(ci, "provider"), CommitSHA: str(ci, "commit_sha"), Repo: str(ci, "repo"), Ref: str(ci, "ref"),
			RunID: str(ci, "run_id"), RunAttempt: str(ci, "run_attempt"), WorkflowRef: str(ci, "workflow_ref"), Actor: str(ci, "actor"),
		}
	}
	return a
}

// checkPaths is H3, H4 and the path part of steps (c) and (d): the manifest names
// exactly the files of a pack, so no name of its own choosing is ever opened.
func (m *Manifest) checkPaths(fs *findings) {
	same := len(m.Files) == len(contentFiles)
	for i, f := range m.Files {
		if !containedPath(f.Path) {
			fs.add(ePath, f.Path, "files[%d] leaves the pack", i)
		}
		same = same && f.Path == contentFiles[i]
	}
	if !same {
		fs.add(eTamper, "files", "files are not exactly %s", strings.Join(contentFiles, ", "))
	}
	names := get(m.value, "expected_files").Items
	same = len(names) == len(expectedFiles)
	for i, name := range names {
		if !containedPath(name.Text) {
			fs.add(ePath, name.Text, "expected_files[%d] leaves the pack", i)
		}
		same = same && name.Text == expectedFiles[i]
	}
	if !same {
		fs.add(eTamper, "expected_files", "expected_files are not exactly %s", strings.Join(expectedFiles, ", "))
	}
}

// containedPath reports whether p stays inside the directory it is relative to, on every system.
func containedPath(p string) bool {
	return p != "" && !path.IsAbs(p) && !strings.ContainsAny(p, "\\:\x00") &&
		!slices.Contains(strings.Split(p, "/"), "..")
}

// checkAttestation is H1, H2 and step (i).
func (m *Manifest) checkAttestation(fs *findings) {
	attestation := get(m.value, "attestation")
	for _, name := range []string{"pack_id", "suite_hash", "claim_set_id", "claim_set_hash"} {
		if str(m.value, name) != str(attestation, name) {
			fs.add(eTamper, name, "%s of the manifest is not the attestation's", name)
		}
	}
	a := m.Attestation
	if a.NReceipts != m.Receipts {
		fs.add(eTamper, "n_receipts", "n_receipts is %d, receipt_count_expected is %d", a.NReceipts, m.Receipts)
	}
	if a.ReceiptIntegrity != "PASS" {
		fs.add(eTamper, "receipt_integrity", "the signer attests receipt_integrity FAIL")
	}
	if (a.ClaimCheck == "N/A") != (a.DiscrepancyFingerprint == "") {
		fs.add(eTamper, "discrepancy_fingerprint", "claim_check is %s, and there is %s fingerprint of claim results",
			a.ClaimCheck, map[bool]string{true: "no", false: "a"}[a.DiscrepancyFingerprint == ""])
	}
	canonical, err := jcs.AppendPack(nil, attestation)
	if sum := sha256.Sum256(canonical); err != nil || sum != digest(str(m.value, "attestation_sha256")) {
		fs.add(eTamper, "attestation_sha256", "attestation_sha256 is not the hash of the attestation")
	}
}

// checkSignature is step (j) without the signature file, and H9. Neither the
// algorithm nor what is signed is taken from descriptive members (pack.md §3.5).
func (m *Manifest) checkSignature(fs *findings) {
	signature, err := m.Signature()
	if err != nil {
		fs.add(eSignature, "signature", "signature is not %d bytes in canonical base64", ed25519.SignatureSize)
	}
	if m.SignerKey == nil {
		fs.add(eSignature, "signer_pubkey", "signer_pubkey is not %d bytes in canonical base64", ed25519.PublicKeySize)
		return
	}
	if m.SignerFingerprint() != digest(str(m.value, "signer_pubkey_sha256")) {
		fs.add(eSignature, "signer_pubkey_sha256", "signer_pubkey_sha256 is not the hash of signer_pubkey")
	}
	if err != nil {
		return
	}
	message, err := jcs.AppendPack(nil, unsigned(m.value))
	if err == nil && trust.VerifyEd25519(m.SignerKey, message, signature) {
		return
	}
	if err := trust.CheckEd25519Key(m.SignerKey); err != nil {
		fs.add(eSignature, "signer_pubkey", "signer_pubkey is refused: %s", oneLine(err))
		return
	}
	fs.add(eSignature, "signer_pubkey", "the signature does not verify")
}

// unsigned is the manifest that is signed. The two names are fixed, never derived (pack.md §3.5).
func unsigned(manifest jcs.Value) jcs.Value {
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
	signature, err := decode64(str(m.value, "signature"))
	if err == nil && len(signature) != ed25519.SignatureSize {
		err = fmt.Errorf("%d bytes", len(signature))
	}
	return signature, err
}

// checkRoot is D12, step (k).
func (m *Manifest) checkRoot(fs *findings) {
	if str(m.value, "pack_root_sha256") != str(m.value, "attestation_sha256") {
		fs.add(eTamper, "pack_root_sha256", "pack_root_sha256 is not attestation_sha256")
	}
}

// decode64 reads standard padded base64 of which there is one spelling only (H9).
func decode64(s string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, err
	}
	// The decoder skips line ends; re-encoding does not write them.
	if !bytes.Equal(base64.StdEncoding.AppendEncode(nil, data), []byte(s)) {
		return nil, fmt.Errorf("not canonical base64")
	}
	return data, nil
}
