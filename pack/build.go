package pack

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/jcs"
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
	RunID     string
	PackID    string      // empty: derived deterministically (pack.md §3.4)
	Receipts  []jcs.Value // in any order; Build does not change them
	Cards     []Card      // whose claims to evaluate, in this order; none: no claims
	Mode      string      // shadow, enforced, breakglass; empty: shadow
	Now       time.Time   // the time of the build; required
	Signer    Signer
	CIBinding *CIBinding // nil: not built in CI

	SuiteID      string // empty: manual
	PolicyHash   string // 64 lowercase hex digits; empty: the hash of "default-policy-v0"
	ClaimSetID   string // empty: none
	ValidUntil   string // RFC 3339; empty: no end
	SupersededBy string // empty: by nothing

	// OldShape leaves out what verifiers before 1.19 refuse (pack.md §3.6): ci_binding, valid_until
	// and superseded_by, which must then be empty, and the newer signature_scope.
	OldShape bool
}

// Pack is a built pack in memory.
type Pack struct {
	Manifest *Manifest
	Files    []NamedFile // the five, then _unsigned/…
}

// NamedFile is one file of a pack; Name is relative, with slashes.
type NamedFile struct {
	Name string
	Data []byte
}

// Build makes a pack. It refuses what Verify would reject and what another JSON reader
// would read differently, and it verifies what it made before it returns it.
func Build(s Spec) (*Pack, error) {
	b := &build{Spec: s}
	for _, step := range []func() error{b.defaults, b.order, b.lines, b.evaluate, b.attest, b.writeReport, b.sign} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("building pack: %w", err)
		}
	}
	p := &Pack{Files: []NamedFile{
		{receiptsName, b.jsonl},
		{reportName, b.report},
		{transcriptName, b.transcript},
		{manifestName, b.manifest},
		{signatureName, b.signature},
		{summaryName, b.summary()},
	}}
	if len(s.Cards) > 0 {
		cards := make([]jcs.Value, len(s.Cards))
		for i, c := range s.Cards {
			cards[i] = c.value()
		}
		text, err := jcs.AppendPretty(nil, jcs.Arr(cards...))
		if err != nil {
			return nil, fmt.Errorf("building pack: run cards: %w", err)
		}
		p.Files = append(p.Files, NamedFile{cardsName, append(text, '\n')})
	}
	r, err := Verify(p.FS(), Options{Cards: s.Cards, Now: s.Now})
	if err != nil {
		return nil, fmt.Errorf("verifying the built pack: %w", err)
	}
	if r.Integrity != Pass {
		f := r.Findings[0]
		return nil, fmt.Errorf("verifying the built pack: %s %s: %s", f.Code, f.Field, f.Message)
	}
	if len(b.claims) > 0 && !r.ClaimsReexecuted && !slices.ContainsFunc(b.claims, func(c Claim) bool { return c.Check == coverageCheck }) {
		return nil, errors.New("verifying the built pack: the claims could not be re-executed")
	}
	p.Manifest = r.Manifest
	return p, nil
}

// build is a pack in the making; each step fills what the next ones need.
type build struct {
	Spec
	receipts []jcs.Value // projected, sorted
	jsonl    []byte
	head     string
	start    string // timestamps
	end      string
	claims   []Claim
	results  []ClaimResult

	attestation         jcs.Value
	root                string // hash of the attestation
	a                   Attestation
	report, transcript  []byte
	manifest, signature []byte
}

const buildTime = "2006-01-02T15:04:05.000000+00:00"

func (b *build) now() string { return b.Now.UTC().Format(buildTime) }

// defaults fills what is empty and refuses what no verifier would take.
func (b *build) defaults() error {
	b.Mode = or(b.Mode, "shadow")
	b.SuiteID = or(b.SuiteID, "manual")
	b.ClaimSetID = or(b.ClaimSetID, "none")
	b.PolicyHash = or(b.PolicyHash, hexSum([]byte("default-policy-v0")))
	switch {
	case b.Now.IsZero():
		return errors.New("no time given")
	case b.Signer == nil:
		return errors.New("no signer given")
	case !isIdentifier(b.RunID):
		return fmt.Errorf("run id %s is not 1 to 256 printable ASCII characters", quote(b.RunID))
	case b.PackID != "" && !isIdentifier(b.PackID):
		return fmt.Errorf("pack id %s is not 1 to 256 printable ASCII characters", quote(b.PackID))
	case !isIdentifier(b.Signer.ID()):
		return fmt.Errorf("signer id %s is not 1 to 256 printable ASCII characters", quote(b.Signer.ID()))
	case b.OldShape && (b.CIBinding != nil || b.ValidUntil != "" || b.SupersededBy != ""):
		return errors.New("the old shape has no room for ci_binding, valid_until or superseded_by")
	case len(b.Receipts) > maxReceipts:
		return fmt.Errorf("%d receipts, at most %d", len(b.Receipts), maxReceipts)
	case numClaims(b.Cards) > maxClaims:
		return fmt.Errorf("%d claims, at most %d", numClaims(b.Cards), maxClaims)
	}
	if err := trust.CheckEd25519Key(b.Signer.Public()); err != nil {
		return fmt.Errorf("key of signer %s: %w", b.Signer.ID(), err)
	}
	return nil
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// order checks each receipt, projects it (pack.md §1.4) and sorts them (§3.2).
func (b *build) order() error {
	type keyed struct {
		key     sortKey
		receipt jcs.Value
		at      int // index in the Spec, for messages
	}
	ids := make(map[string]int, len(b.Receipts))
	all := make([]keyed, len(b.Receipts))
	for i, r := range b.Receipts {
		if err := CheckData(r); err != nil {
			return fmt.Errorf("receipt %d: %w", i, err)
		}
		r = namespaced(r.Without(projected...))
		key, err := b.checkReceipt(r)
		if err != nil {
			return fmt.Errorf("receipt %d: %w", i, err)
		}
		if j, ok := ids[key.id]; ok {
			return fmt.Errorf("receipt %d: receipt_id %s is receipt %d's", i, quote(key.id), j)
		}
		ids[key.id] = i
		all[i] = keyed{key, r, i}
	}
	slices.SortStableFunc(all, func(x, y keyed) int {
		c, _ := x.key.compare(&y.key) // integers all: always ordered
		return c
	})
	b.receipts = make([]jcs.Value, len(all))
	for i, k := range all {
		b.receipts[i] = k.receipt
	}
	return nil
}

// namespaced gives a receipt of type breakglass the type that verifiers admit (BreakglassType).
func namespaced(r jcs.Value) jcs.Value {
	if str(r, "type") != breakglass {
		return r
	}
	r.Members = slices.Clone(r.Members)
	for i := range r.Members {
		if m := &r.Members[i]; m.Name == "type" {
			m.Value = jcs.Str(BreakglassType)
		}
	}
	return r
}

// coreNames are members that have a meaning here. A name that differs from one of them only
// by case is read as that member by lenient readers (pack.md W9).
var coreNames = append([]string{"receipt_id", "type", "receipt_type", "timestamp", "schema_version", "seq",
	"parent_receipt_id", "run_id", "_trace_id", "_stored_at", "_store_seq"}, projected...)

func (b *build) checkReceipt(r jcs.Value) (key sortKey, err error) {
	c := coreOf(&r)
	if name := c.missing(); name != "" {
		return key, fmt.Errorf("%s is missing, empty or not a string", name)
	}
	if !admitted(c.kind) {
		return key, fmt.Errorf("type %s is not admitted: use a known type or a namespaced one such as \"acme.%s/v1\"", quote(c.kind), suggest(c.kind))
	}
	// Stricter than Verify: the extremes become date-times of the attestation.
	if !isSchemaTime(c.at) {
		return key, fmt.Errorf("timestamp %s is not an RFC 3339 date-time", quote(c.at))
	}
	if c.seq != nil {
		if _, ok := c.seq.Int64(); !ok {
			return key, errors.New("seq is not an integer")
		}
	}
	key, problem := c.sortKey(b.RunID)
	if problem != "" {
		return key, errors.New(strings.ReplaceAll(problem, "of the attestation", quote(b.RunID)))
	}
	return key, nil
}

// suggest makes a word of a refused type, for a message.
func suggest(kind string) string {
	kind = strings.ToLower(kind[strings.LastIndexAny(kind, "./")+1:])
	if !word(kind) || len(kind) > 40 {
		return "event"
	}
	return kind
}

// portable refuses values that not every JSON reader reads alike (pack.md §1.6): lone surrogates,
// integers that a double cannot hold, numbers out of range, names that are not ASCII or that
// JavaScript takes for something else.
func portable(v jcs.Value, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch v.Kind {
	case jcs.String:
		if !utf8.ValidString(v.Text) {
			return errors.New("a string is not Unicode text")
		}
	case jcs.Number:
		return portableNumber(v)
	case jcs.Array:
		for i := range v.Items {
			if err := portable(v.Items[i], depth+1); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case jcs.Object:
		for _, m := range v.Members {
			if m.Name == "__proto__" || !isASCII(m.Name) {
				return fmt.Errorf("member name %s is not portable", quote(m.Name))
			}
			if err := portable(m.Value, depth+1); err != nil {
				return fmt.Errorf("%s: %w", printable(m.Name), err)
			}
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 0x7f {
			return false
		}
	}
	return true
}

func portableNumber(v jcs.Value) error {
	if strings.ContainsAny(v.Text, ".eE") {
		f, ok := v.Float64()
		mantissa, _, _ := strings.Cut(strings.ToLower(v.Text), "e")
		if !ok || f == 0 && strings.ContainsAny(mantissa, "123456789") {
			return fmt.Errorf("%s is out of range: send it as a string", printable(v.Text))
		}
		return nil
	}
	if n, ok := v.Int64(); !ok || n <= -1<<53 || n >= 1<<53 {
		return fmt.Errorf("integer %s is outside -(2^53-1) to 2^53-1: send it as a string", printable(v.Text))
	}
	return nil
}

// lines writes receipt_pack.jsonl and what is attested of it.
func (b *build) lines() error {
	b.head, b.start, b.end = emptyHead, b.now(), b.now()
	for i, r := range b.receipts {
		from := len(b.jsonl)
		var err error
		if b.jsonl, err = jcs.AppendPackLine(b.jsonl, r); err != nil {
			return fmt.Errorf("receipt_id %s: %w", quote(str(r, "receipt_id")), err)
		}
		if n := len(b.jsonl) - from; n > maxLine {
			return fmt.Errorf("receipt_id %s: %d bytes, at most %d", quote(str(r, "receipt_id")), n, maxLine)
		}
		b.jsonl = append(b.jsonl, '\n')
		at := str(r, "timestamp")
		if i == 0 {
			b.start, b.end = at, at
		}
		b.start, b.end = min(b.start, at), max(b.end, at)
	}
	if n := len(b.receipts); n > 0 {
		last, err := jcs.AppendPack(nil, b.receipts[n-1])
		if err != nil {
			return err
		}
		b.head = hexSum(last)
	}
	return nil
}

func (b *build) evaluate() error {
	for _, c := range b.Cards {
		b.claims = append(b.claims, c.Claims...)
	}
	if len(b.claims) == 0 {
		return nil
	}
	run := newClaimRun(b.claims)
	for _, r := range b.receipts {
		run.add(r)
	}
	b.results = run.results()
	return nil
}

// attest makes the attestation of pack.md §3.4.
func (b *build) attest() error {
	claimSetHash, fingerprintValue := hexSum([]byte(b.ClaimSetID)), jcs.Value{}
	suiteHash := hexSum([]byte(b.SuiteID))
	if len(b.claims) > 0 {
		if claimSetHash = ClaimSetHash(b.Cards); claimSetHash == "" {
			return errors.New("a run card has no canonical form")
		}
		fingerprintValue = jcs.Str(discrepancyFingerprint(b.PolicyHash, suiteHash, b.results))
	}
	if b.PackID == "" {
		id, err := b.derivePackID(suiteHash, claimSetHash)
		if err != nil {
			return err
		}
		b.PackID = id
	}
	members := []jcs.Member{
		jcs.M("pack_format_version", jcs.Str(packFormat)),
		jcs.M("fingerprint_version", jcs.Int(1)),
		jcs.M("pack_id", jcs.Str(b.PackID)),
		jcs.M("run_id", jcs.Str(b.RunID)),
		jcs.M("suite_id", jcs.Str(b.SuiteID)),
		jcs.M("suite_hash", jcs.Str(suiteHash)),
		jcs.M("verifier_version", jcs.Str(Version)),
		jcs.M("canon_version", jcs.Str(canonVersion)),
		jcs.M("canon_impl", jcs.Str("assay-ledger/pack/jcs")),
		jcs.M("canon_impl_version", jcs.Str(Version)),
		jcs.M("policy_hash", jcs.Str(b.PolicyHash)),
		jcs.M("claim_set_id", jcs.Str(b.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(claimSetHash)),
		jcs.M("receipt_integrity", jcs.Str("PASS")),
		jcs.M("claim_check", jcs.Str(claimVerdict(b.results))),
		jcs.M("discrepancy_fingerprint", fingerprintValue),
		jcs.M("assurance_level", jcs.Str("L0")),
		jcs.M("proof_tier", jcs.Str("signed-pack")),
		jcs.M("mode", jcs.Str(b.Mode)),
		jcs.M("head_hash", jcs.Str(b.head)),
		jcs.M("head_hash_algorithm", jcs.Str(headAlgorithm)),
		jcs.M("time_authority", jcs.Str("local_clock")),
		jcs.M("n_receipts", jcs.Int(int64(len(b.receipts)))),
		jcs.M("timestamp_start", jcs.Str(b.start)),
		jcs.M("timestamp_end", jcs.Str(b.end)),
	}
	if !b.OldShape {
		members = append(members,
			jcs.M("ci_binding", b.CIBinding.value()),
			jcs.M("valid_until", stringOrNull(b.ValidUntil)),
			jcs.M("superseded_by", stringOrNull(b.SupersededBy)))
	}
	b.attestation = jcs.Obj(members...)
	var problem error
	object(attestationMembers)("attestation", b.attestation, func(s string) {
		if problem == nil {
			problem = errors.New(s)
		}
	})
	if problem != nil {
		return problem
	}
	canonical, err := jcs.AppendPack(nil, b.attestation)
	if err != nil {
		return fmt.Errorf("attestation: %w", err)
	}
	b.root, b.a = hexSum(canonical), readAttestation(b.attestation)
	return nil
}

// derivePackID is the deterministic id of pack.md §3.4.
func (b *build) derivePackID(suiteHash, claimSetHash string) (string, error) {
	seed, err := jcs.AppendPack(nil, jcs.Obj(
		jcs.M("pack_format_version", jcs.Str(packFormat)),
		jcs.M("run_id", jcs.Str(b.RunID)),
		jcs.M("receipt_pack_sha256", jcs.Str(hexSum(b.jsonl))),
		jcs.M("policy_hash", jcs.Str(b.PolicyHash)),
		jcs.M("suite_hash", jcs.Str(suiteHash)),
		jcs.M("claim_set_id", jcs.Str(b.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(claimSetHash)),
		jcs.M("mode", jcs.Str(b.Mode)),
		jcs.M("ci_binding", b.CIBinding.value()),
		jcs.M("valid_until", stringOrNull(b.ValidUntil)),
		jcs.M("superseded_by", stringOrNull(b.SupersededBy))))
	if err != nil {
		return "", fmt.Errorf("deriving the pack id: %w", err)
	}
	return "pack_deterministic_" + hexSum([]byte(hexSum(seed)))[:8], nil
}

func stringOrNull(s string) jcs.Value {
	if s == "" {
		return jcs.Value{}
	}
	return jcs.Str(s)
}

// value is ci_binding as the attestation holds it, null for none.
func (ci *CIBinding) value() jcs.Value {
	if ci == nil {
		return jcs.Value{}
	}
	members := []jcs.Member{jcs.M("provider", jcs.Str(ci.Provider)), jcs.M("commit_sha", jcs.Str(ci.CommitSHA))}
	for _, m := range []struct{ name, value string }{
		{"repo", ci.Repo}, {"ref", ci.Ref}, {"run_id", ci.RunID}, {"run_attempt", ci.RunAttempt},
		{"workflow_ref", ci.WorkflowRef}, {"actor", ci.Actor},
	} {
		members = appendText(members, m.name, m.value)
	}
	return jcs.Obj(members...)
}

// sign makes the manifest of pack.md §3.3, signs it (§3.5) and writes both files.
func (b *build) sign() error {
	key := b.Signer.Public()
	scopeWord := scope
	if b.OldShape {
		scopeWord = scopeLegacy
	}
	names := make([]jcs.Value, len(expectedFiles))
	for i, name := range expectedFiles {
		names[i] = jcs.Str(name)
	}
	members := []jcs.Member{
		jcs.M("pack_id", jcs.Str(b.PackID)),
		jcs.M("pack_version", jcs.Str(packFormat)),
		jcs.M("manifest_version", jcs.Str(manifestForm)),
		jcs.M("hash_alg", jcs.Str("sha256")),
		jcs.M("attestation", b.attestation),
		jcs.M("attestation_sha256", jcs.Str(b.root)),
		jcs.M("suite_hash", jcs.Str(b.a.SuiteHash)),
		jcs.M("claim_set_id", jcs.Str(b.a.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(b.a.ClaimSetHash)),
		jcs.M("receipt_count_expected", jcs.Int(b.a.NReceipts)),
		jcs.M("files", jcs.Arr(
			fileValue(receiptsName, b.jsonl), fileValue(reportName, b.report), fileValue(transcriptName, b.transcript))),
		jcs.M("expected_files", jcs.Arr(names...)),
		jcs.M("signer_id", jcs.Str(b.Signer.ID())),
		jcs.M("signer_pubkey", jcs.Str(base64.StdEncoding.EncodeToString(key))),
		jcs.M("signer_pubkey_sha256", jcs.Str(hexSum(key))),
		jcs.M("signature_alg", jcs.Str("ed25519")),
		jcs.M("signature_scope", jcs.Str(scopeWord)),
	}
	message, err := jcs.AppendPack(nil, jcs.Obj(members...))
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if b.signature, err = b.Signer.Sign(message); err != nil {
		return fmt.Errorf("signing as %s: %w", b.Signer.ID(), err)
	}
	members = append(members,
		jcs.M("signature", jcs.Str(base64.StdEncoding.EncodeToString(b.signature))),
		jcs.M("pack_root_sha256", jcs.Str(b.root)))
	b.manifest, err = jcs.AppendPretty(nil, jcs.Obj(members...))
	return err
}

func fileValue(name string, data []byte) jcs.Value {
	return jcs.Obj(jcs.M("path", jcs.Str(name)), jcs.M("sha256", jcs.Str(hexSum(data))), jcs.M("bytes", jcs.Int(int64(len(data)))))
}

// appendText adds a string member, unless it is empty.
func appendText(members []jcs.Member, name, value string) []jcs.Member {
	if value == "" {
		return members
	}
	return append(members, jcs.M(name, jcs.Str(value)))
}
