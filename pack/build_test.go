package pack

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

var builtAt = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

var (
	testSigner  = packtest.KeyFrom("test-signer", "pack test signer")
	otherSigner = packtest.KeyFrom("other-signer", "another pack test signer")
)

func receiptOf(i int) string {
	kind := "model_call"
	if i%2 == 1 {
		kind = "guardian_verdict"
	}
	return fmt.Sprintf(`{"receipt_id":"r_%06d","type":%q,"timestamp":"2026-01-15T10:%02d:%02d.000000+00:00","schema_version":"3.0","seq":%d}`,
		i, kind, i/60%60, i%60, i)
}

// smallSpec is two receipts and two built-in cards: claims that pass.
func smallSpec(t testing.TB) Spec {
	cards := claim.BuiltinCards()
	return Spec{
		RunID: "run-small", Signer: testSigner, Now: builtAt, Cards: []claim.Card{cards[1], cards[0]},
		Receipts: []jcs.Value{jcstest.Parse(t, receiptOf(1)), jcstest.Parse(t, receiptOf(0))},
	}
}

func mustBuild(t testing.TB, s Spec) *Pack {
	t.Helper()
	p, err := Build(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Pack) file(name string) []byte {
	for _, f := range p.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func mustVerify(t testing.TB, fsys fs.FS, o Options) *Result {
	t.Helper()
	r, err := Verify(fsys, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSameSpecSameBytesInAnyOrderOfReceipts(t *testing.T) {
	s := smallSpec(t)
	a := mustBuild(t, s)
	s.Receipts = []jcs.Value{s.Receipts[1], s.Receipts[0]}
	b := mustBuild(t, s)
	if len(a.Files) != 7 || len(b.Files) != 7 {
		t.Fatalf("%d and %d files, want the five and two unsigned", len(a.Files), len(b.Files))
	}
	for i := range a.Files {
		if a.Files[i].Name != b.Files[i].Name || !bytes.Equal(a.Files[i].Data, b.Files[i].Data) {
			t.Errorf("%s differs", a.Files[i].Name)
		}
	}
	r := mustVerify(t, a.FS(), Options{Now: builtAt, RequireClaims: true})
	if r.ExitCode() != 0 || r.Claims.Verdict != Pass || !r.Claims.Reexecuted || len(r.Claims.Results) != 3 || len(r.Warnings) != 0 {
		t.Errorf("exit %d: %+v", r.ExitCode(), r)
	}
}

// rebuildSpec makes the Spec a reference pack was built from.
func rebuildSpec(t *testing.T, dir string) Spec {
	t.Helper()
	seed, err := os.ReadFile("../../shared/vectors/keys/alice.key")
	if err != nil {
		t.Fatal(err)
	}
	r := verifyDir(t, dir, Options{})
	if r.Integrity != Pass {
		t.Fatalf("%s: %v", dir, r.Findings)
	}
	a := r.Manifest.Attestation
	s := Spec{RunID: a.RunID, Now: builtAt, Signer: packtest.Key{Name: "alice", Private: ed25519.NewKeyFromSeed(seed)}, Mode: a.Mode,
		SuiteID: a.SuiteID, PolicyHash: a.PolicyHash, ClaimSetID: a.ClaimSetID, ValidUntil: a.ValidUntil, CIBinding: a.CIBinding}
	if a.ClaimCheck != "N/A" {
		if s.Cards = claim.FindCards(a.ClaimSetHash, nil, nil, nil, r.Claims.Results); s.Cards == nil {
			t.Fatalf("%s: no cards", dir)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, manifest.ReceiptsName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		s.Receipts = append(s.Receipts, refloat(jcstest.Parse(t, line)))
	}
	return s
}

// checkSignedAlike puts what each builder says of itself, and the report and transcript that each words in its
// own way, from the reference's manifest into ours: what is hashed and signed must then be the same bytes.
func checkSignedAlike(t *testing.T, dir string, signer Signer, ours, theirs jcs.Value) {
	t.Helper()
	attestation := form.Get(theirs, "attestation")
	for _, name := range []string{"verifier_version", "canon_impl", "canon_impl_version"} {
		ours = with(ours, form.Get(attestation, name), "attestation", name)
	}
	canonical, err := jcs.AppendPack(nil, form.Get(ours, "attestation"))
	if err != nil {
		t.Fatal(err)
	}
	root := jcs.Str(form.HexSum(canonical))
	ours = with(with(ours, root, "attestation_sha256"), root, "pack_root_sha256")
	if f, g := form.Get(ours, "files").Items[0], form.Get(theirs, "files").Items[0]; !bytes.Equal(mustPack(t, f), mustPack(t, g)) {
		t.Errorf("%s: another entry for the receipts", dir)
	}
	ours = with(ours, form.Get(theirs, "files"), "files")
	signature, err := signer.Sign(mustPack(t, manifest.Unsigned(ours)))
	if err != nil {
		t.Fatal(err)
	}
	ours = with(ours, jcs.Str(base64.StdEncoding.EncodeToString(signature)), "signature")
	if got, want := mustPack(t, ours), mustPack(t, theirs); !bytes.Equal(got, want) {
		t.Errorf("%s: the manifest is\n%s\nwant\n%s", dir, got, want)
	}
}

func mustPack(t *testing.T, v jcs.Value) []byte {
	t.Helper()
	text, err := jcs.AppendPack(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// with is v with another value at that path of names.
func with(v, value jcs.Value, path ...string) jcs.Value {
	if len(path) == 0 {
		return value
	}
	v.Members = slices.Clone(v.Members)
	for i, m := range v.Members {
		if m.Name == path[0] {
			v.Members[i].Value = with(m.Value, value, path[1:]...)
		}
	}
	return v
}

// refloat makes floats of the integers that only a float can have been: C() writes 1e20 as 100000000000000000000.
func refloat(v jcs.Value) jcs.Value {
	switch v.Kind {
	case jcs.Number:
		if n, ok := v.Int64(); !strings.ContainsAny(v.Text, ".eE") && (!ok || n >= 1<<53 || n <= -1<<53) {
			v.Text += ".0"
		}
	case jcs.Array:
		items := make([]jcs.Value, len(v.Items))
		for i := range v.Items {
			items[i] = refloat(v.Items[i])
		}
		v.Items = items
	case jcs.Object:
		members := make([]jcs.Member, len(v.Members))
		for i, m := range v.Members {
			members[i] = jcs.M(m.Name, refloat(m.Value))
		}
		v.Members = members
	}
	return v
}

func TestRebuildingReferencePacksGivesTheSameReceiptsAttestationAndSignature(t *testing.T) {
	needShared(t)
	dirs, _ := filepath.Glob(filepath.Join(sharedPacks, "pass_*"))
	if len(dirs) < 10 {
		t.Fatalf("only %d packs", len(dirs))
	}
	ours := map[string]bool{"verifier_version": true, "canon_impl": true, "canon_impl_version": true}
	edited := filepath.Join(sharedPacks, "div_u2028_escaped") // after its id was derived
	for _, dir := range append(dirs, edited, filepath.Join(sharedPacks, "claimfail_guardian"), filepath.Join(sharedPacks, "claimwarn_schema_version")) {
		s := rebuildSpec(t, dir)
		p := mustBuild(t, s)
		want, _ := os.ReadFile(filepath.Join(dir, manifest.ReceiptsName))
		if !bytes.Equal(p.file(manifest.ReceiptsName), want) {
			t.Errorf("%s: other receipts", dir)
		}
		manifest, _ := os.ReadFile(filepath.Join(dir, manifest.Name))
		reference := jcstest.Parse(t, string(manifest))
		if dir != edited && filepath.Base(dir) != "pass_empty" {
			checkSignedAlike(t, dir, s.Signer, p.Manifest.Value(), reference)
		}
		theirs, mine := form.Get(reference, "attestation"), form.Get(p.Manifest.Value(), "attestation")
		if len(theirs.Members) != len(mine.Members) {
			t.Errorf("%s: %d members, want %d", dir, len(mine.Members), len(theirs.Members))
		}
		for i, m := range theirs.Members {
			got := mine.Members[i]
			if strings.HasSuffix(dir, "pass_empty") && strings.HasPrefix(m.Name, "timestamp_") {
				continue // the time of the build, which we spell with a fraction
			}
			if dir == edited && m.Name == "pack_id" {
				continue
			}
			if !ours[m.Name] && (got.Name != m.Name || got.Value.Text != m.Value.Text || got.Value.Kind != m.Value.Kind) {
				t.Errorf("%s: %s is %q, want %s %q", dir, got.Name, got.Value.Text, m.Name, m.Value.Text)
			}
		}
	}
}

// TestBuildRefusesWhatAnyVerifierWouldRejectAndNamesReceiptAndMember has a row for each rule.
// PCK-35
func TestBuildRefusesWhatAnyVerifierWouldRejectAndNamesReceiptAndMember(t *testing.T) {
	with := func(members string) string {
		return `{"receipt_id":"r_x","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00",` + members + `}`
	}
	at := func(timestamp string) string {
		return `{"receipt_id":"r_x","type":"model_call","timestamp":"` + timestamp + `"}`
	}
	typed := func(kind string) string {
		return `{"receipt_id":"r_x","type":"` + kind + `","timestamp":"2026-01-15T10:00:00+00:00"}`
	}
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct{ receipt, want string }{
		// RCP-1: the three members
		{`[1]`, `receipt 2: expected an object`},
		{`null`, `receipt 2: expected an object`},
		{`{"type":"model_call","timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2: receipt_id: it is missing, empty or not a string`},
		{`{"receipt_id":"","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2: receipt_id: it is missing`},
		{`{"receipt_id":7,"type":"model_call","timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2: receipt_id: it is missing`},
		{`{"receipt_id":"r_x","timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2 (r_x): type: it is missing`},
		{`{"receipt_id":"r_x","receipt_type":"model_call","timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2 (r_x): type: it is missing`},
		{`{"receipt_id":"r_x","type":["model_call"],"timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2 (r_x): type: it is missing`},
		{`{"receipt_id":"r_x","type":"model_call"}`, `receipt 2 (r_x): timestamp: it is missing`},
		{`{"receipt_id":"r_x","type":"model_call","timestamp":true}`, `receipt 2 (r_x): timestamp: it is missing`},
		{`{"receipt_id":"r_000001","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00"}`, `receipt 2 (r_000001): receipt_id: it is that of receipt 0`},
		// RCP-3 to RCP-5: types
		{typed("policy_impact"), `receipt 2 (r_x): type: "policy_impact" is not admitted: use a known type or a namespaced one such as "acme.policy_impact/v1"`},
		{typed("loom.x"), `type: "loom.x" is not admitted`},
		{typed("loom.x/v1"), `type: "loom.x/v1" is not admitted`},
		{typed(`a.b\n`), `type: "a.b\n" is not admitted`},
		{typed("Model_call"), `"acme.model_call/v1"`},
		{typed("\u0430cme.x"), `type: "\u0430cme.x" is not admitted`},
		// RCP-7, PCK-4: timestamps
		{at("yesterday"), `receipt 2 (r_x): timestamp: "yesterday" is not ISO 8601`},
		{at("2026-01-15T10:00:60+00:00"), `timestamp: "2026-01-15T10:00:60+00:00" is not ISO 8601`},
		{at("2026-01-15T10:00:00z"), `is not ISO 8601`},
		{at("2026-01-15T24:00:00Z"), `is not ISO 8601`},
		{at("2026-01-15"), `timestamp: "2026-01-15" is the least of all, and timestamp_start of the attestation must be an RFC 3339 date-time`},
		{at("20260115T120000Z"), `timestamp: "20260115T120000Z" is the greatest of all, and timestamp_end`},
		{at("2026-01-16T12:00:00.000001Z"), `receipt 2 (r_x): timestamp: "2026-01-16T12:00:00.000001Z" is more than 24h0m0s after the time of the build, 2026-01-15T12:00:00.000000+00:00`},
		// RCP-10 to RCP-12: what readers read differently
		{with(`"usage":{"tokens":9007199254740992}`), `receipt 2 (r_x): usage.tokens: integer 9007199254740992 is outside -(2^53-1) to 2^53-1: send it as a string`},
		{with(`"n":[-9007199254740992]`), `n[0]: integer -9007199254740992 is outside`},
		{with(`"n":1` + strings.Repeat("0", 4299)), `n: integer "1000`},
		{with(`"a":[0,[{"b":1e400}]]`), `a[1][0].b: number 1e400 is out of the range of a double`},
		{with(`"n":1e-400`), `n: number 1e-400 is out of the range of a double`},
		{with(`"n":0.000e5,"m":-1E-999`), `m: number -1E-999 is out of the range`},
		{with(`"a":{"naïve":1}`), `a."na\u00efve": the name is not portable: it is not ASCII`},
		{with(`"a":[{"__proto__":1}]`), `a[0].__proto__: the name is not portable: it means`},
		{with(`"signatures":[{"\u00e9":1}]`), `signatures[0]."\u00e9": the name is not portable: it is not ASCII`}, // checked before it is dropped
		{with(`"x":` + nested(form.MaxDepth)), `x[0][0][0]`},
		// RCP-9: names that differ by case
		{with(`"Signature":"x"`), `receipt 2 (r_x): Signature: the name differs from signature only by case`},
		{with(`"SEQ":1`), `SEQ: the name differs from seq only by case`},
		{with(`"Receipt_Type":"x"`), `Receipt_Type: the name differs from receipt_type`},
		{with(`"\u017feq":1`), `"\u017feq": the name differs from seq only by case`},
		// PCK-8, PCK-9: order and run
		{with(`"seq":"1"`), `seq: it is not an integer`},
		{with(`"seq":null`), `seq: it is not an integer`},
		{with(`"seq":true`), `seq: it is not an integer`},
		{with(`"seq":1.0`), `seq: it is not an integer`},
		{with(`"_trace_id":"other"`), `receipt 2 (r_x): _trace_id: it is not the run id of the pack, "run-small"`},
		{with(`"_trace_id":7`), `_trace_id: it is not the run id`},
		{with(`"run_id":"other"`), `run_id: it is not the run id`},
		{with(`"_trace_id":"run-small","run_id":"other"`), `run_id: it is not the run id`},
		// our own limits
		{with(`"x":"` + strings.Repeat("x", receipt.MaxLine) + `"`), `receipt 2 (r_x): its line has 10486`},
	} {
		s := smallSpec(t)
		v, err := jcs.Parse([]byte(c.receipt), jcs.Limits{Bytes: 1 << 24, Depth: 100})
		if err != nil {
			t.Fatalf("%s: %v", c.receipt, err)
		}
		s.Receipts = append(s.Receipts, v)
		_, err = Build(s)
		if err == nil || !strings.HasPrefix(err.Error(), "building pack: receipt 2") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.120s:\n%.300v, want\n%q", c.receipt, err, c.want)
		}
		dir := filepath.Join(t.TempDir(), "pack")
		if _, again := BuildDir(dir, s); err != nil && (again == nil || !strings.HasSuffix(again.Error(), strings.TrimPrefix(err.Error(), "building pack: "))) {
			t.Errorf("%.120s: into a directory %v", c.receipt, again)
		}
		if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) > 0 {
			t.Errorf("%.120s: %v is left, %v", c.receipt, left, err)
		}
	}
}

func TestBuildTakesWhatEveryVerifierAccepts(t *testing.T) {
	for _, receipt := range []string{
		`{"receipt_id":"r_x","type":"refusal","timestamp":"2026-01-15T10:00:00.5+00","seq":-9007199254740991}`,
		`{"receipt_id":"r_x","type":"refusal","timestamp":"2026-01-15T10:00:00.123456789Z","n":9007199254740991}`,
		`{"receipt_id":"r_x","type":"refusal","timestamp":"2026-01-16T12:00:00Z","x":[1e20,-0.0,0.0e9,1e21,5e-324]}`,
		`{"receipt_id":"r_x","type":"rce.x/v0","timestamp":"2026-01-15T10:00:00+00:00","x":` + strings.Repeat("[", form.MaxDepth-1) + strings.Repeat("]", form.MaxDepth-1) + `}`,
		`{"receipt_id":"\u0430 \"id\" | <b>","type":"a.b","timestamp":"2026-01-15T10:00:00+00:00","run_id":"","_trace_id":null,"s":"\u0000\u007f\u0085\u2028\u2029\ufffe\ud83d\ude00"}`,
		`{"receipt_id":"r_x","type":"refusal","timestamp":"2026-01-15T10:00:00+00:00","a":{"Seq":1,"signature":2},"signature":"x","anchor":1}`,
	} {
		s := smallSpec(t)
		v, err := jcs.Parse([]byte(receipt), jcs.Limits{Depth: 100})
		if err != nil {
			t.Fatal(err)
		}
		s.Receipts = append(s.Receipts, v)
		mustBuild(t, s)
	}
}

func TestBuildRefusesHandMadeValuesThatAreNoJSON(t *testing.T) {
	base := jcstest.Parse(t, receiptOf(7))
	deep := jcs.Value{}
	for range 100000 {
		deep = jcs.Arr(deep)
	}
	for name, v := range map[string]jcs.Value{
		"lone surrogate": jcs.Str("\xed\xa0\x80"),
		"bad name":       jcs.Obj(jcs.M("\xff", jcs.Value{})),
		"duplicate":      jcs.Obj(jcs.M("a", jcs.Value{}), jcs.M("a", jcs.Value{})),
		"not a number":   jcs.Float(math.NaN()),
		"infinity":       jcs.Float(math.Inf(1)),
		"bad token":      {Kind: jcs.Number, Text: "01"},
		"empty token":    {Kind: jcs.Number},
		"bad kind":       {Kind: 99},
		"deep":           deep,
	} {
		s := smallSpec(t)
		r := base
		r.Members = append(r.Members[:len(r.Members):len(r.Members)], jcs.M("x", v))
		s.Receipts = append(s.Receipts, r)
		if _, err := Build(s); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	s := smallSpec(t)
	r := base
	r.Members = append(r.Members[:len(r.Members):len(r.Members)], jcs.M("receipt_id", jcs.Str("twice")))
	s.Receipts = append(s.Receipts, r)
	if _, err := Build(s); err == nil {
		t.Error("a second receipt_id: built")
	}
}

// PCK-38, PCK-40
func TestBuildRefusesBadSpecs(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"no run":        func(s *Spec) { s.RunID = "" },
		"homoglyph run": func(s *Spec) { s.RunID = "run-\u0430" },
		"control id":    func(s *Spec) { s.PackID = "a\x1b[2J" },
		"no time":       func(s *Spec) { s.Now = time.Time{} },
		"no signer":     func(s *Spec) { s.Signer = nil },
		"odd mode":      func(s *Spec) { s.Mode = "loud" },
		"policy hash":   func(s *Spec) { s.PolicyHash = "xyz" },
		"valid until":   func(s *Spec) { s.ValidUntil = "tomorrow" },
		"lower case":    func(s *Spec) { s.ValidUntil = "2027-01-15t12:00:00z" },
		"leap second":   func(s *Spec) { s.ValidUntil = "2026-12-31T23:59:60Z" },
		"born expired":  func(s *Spec) { s.PackID, s.ValidUntil = "pack_1", "2026-01-15T12:59:59+01:00" },
		"old shape ci": func(s *Spec) {
			s.OldShape, s.CIBinding = true, &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("a", 40)}
		},
		"old shape end": func(s *Spec) { s.OldShape, s.ValidUntil = true, "2027-01-15T12:00:00Z" },
		"long text":     func(s *Spec) { s.SuiteID = strings.Repeat("s", manifest.MaxSize) },
		"bad text":      func(s *Spec) { s.SupersededBy = "\xff" },
		"claim set id":  func(s *Spec) { s.ClaimSetID = "\xed\xa0\x80" },
		"ci provider":   func(s *Spec) { s.CIBinding = &manifest.CIBinding{Provider: "acme", CommitSHA: strings.Repeat("a", 40)} },
		"ci commit":     func(s *Spec) { s.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: "HEAD"} },
		"old shape":     func(s *Spec) { s.OldShape, s.SupersededBy = true, "x" },
		"duplicate id":  func(s *Spec) { s.Receipts = append(s.Receipts, s.Receipts[0]) },
		"small key":     func(s *Spec) { s.Signer = smallOrderSigner{} },
		"lying signer":  func(s *Spec) { s.Signer = lyingSigner{testSigner} },
	} {
		s := smallSpec(t)
		change(&s)
		if p, err := Build(s); err == nil {
			t.Errorf("%s: built %v", name, p.Manifest)
		} else if strings.Contains(err.Error(), "verifying the built pack") {
			t.Errorf("%s: seen only by the verifier: %v", name, err)
		}
	}
}

type smallOrderSigner struct{}

func (smallOrderSigner) ID() string                { return "small" }
func (smallOrderSigner) Public() ed25519.PublicKey { return append([]byte{1}, make([]byte, 31)...) }
func (smallOrderSigner) Sign([]byte) ([]byte, error) {
	return append([]byte{1}, make([]byte, 63)...), nil
}

type lyingSigner struct{ packtest.Key }

func (lyingSigner) Public() ed25519.PublicKey { return otherSigner.Public() }

// PCK-44
func TestBuiltShapesVerify(t *testing.T) {
	for name, change := range map[string]func(*Spec){
		"old shape":   func(s *Spec) { s.OldShape = true },
		"no claims":   func(s *Spec) { s.Cards = nil },
		"empty":       func(s *Spec) { s.Receipts, s.Cards = nil, nil },
		"empty fails": func(s *Spec) { s.Receipts = nil },
		"six cards":   func(s *Spec) { s.Cards = claim.BuiltinCards() },
		"given id":    func(s *Spec) { s.PackID = "pack_20260115T120000_0123abcd" },
		"ends now":    func(s *Spec) { s.PackID, s.ValidUntil = "pack_1", "2026-01-15T12:00:00Z" },
		"ended":       func(s *Spec) { s.ValidUntil, s.SupersededBy = "2026-01-01T00:00:00Z", "pack_2" }, // made again: a derived id
		"set":         func(s *Spec) { s.ClaimSetID, s.SuiteID, s.Cards = "my claims", "my suite", nil },
		"breakglass":  func(s *Spec) { s.Mode = "breakglass" },
		"ci": func(s *Spec) {
			s.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("a", 40), Repo: "acme/app"}
		},
		"separators": func(s *Spec) {
			s.Receipts = append(s.Receipts, jcstest.Parse(t, `{"receipt_id":"u","type":"a.b/v1","timestamp":"2026-01-15T10:00:00Z","t":"\u0085\u2028\u2029"}`))
		},
		"dropped members": func(s *Spec) {
			s.Receipts = append(s.Receipts, jcstest.Parse(t, `{"receipt_id":"u","type":"a.b/v1","timestamp":"2026-01-15T10:00:00Z","signature":"x","anchor":{"signature":1},"n":{"anchor":1}}`))
		},
		"hostile texts": func(s *Spec) { s.RunID, s.SuiteID = "`|<b>\\", "\u202e\x1b]0;x\a\n# PASS" },
	} {
		s := smallSpec(t)
		change(&s)
		p, err := Build(s)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r := mustVerify(t, p.FS(), Options{Now: builtAt})
		if r.ExitCode() != 0 || r.Receipts != len(s.Receipts) {
			t.Errorf("%s: %+v", name, r)
		}
		a := r.Manifest.Attestation
		if a.Mode != cmp.Or(s.Mode, "shadow") || a.ValidUntil != s.ValidUntil || a.SupersededBy != s.SupersededBy || (a.CIBinding == nil) != (s.CIBinding == nil) ||
			a.ClaimSetID != cmp.Or(s.ClaimSetID, "none") || a.SuiteID != cmp.Or(s.SuiteID, "manual") || a.SuiteHash != form.HexSum([]byte(a.SuiteID)) ||
			s.CIBinding != nil && *a.CIBinding != *s.CIBinding || len(s.Cards) == 0 && a.ClaimSetHash != form.HexSum([]byte(a.ClaimSetID)) {
			t.Errorf("%s: attested %+v", name, a)
		}
		attested := len(form.Get(r.Manifest.Value(), "attestation").Members)
		if word := form.Str(r.Manifest.Value(), "signature_scope"); s.OldShape != (attested == 25) || s.OldShape != (word == manifest.ScopeLegacy) {
			t.Errorf("%s: %d members attested, signed as %s", name, attested, word)
		}
		for _, f := range []string{manifest.TranscriptName, manifest.SummaryName} {
			if i := bytes.IndexFunc(p.file(f), func(c rune) bool { return c != '\n' && (c < 0x20 || c > 0x7e) }); i >= 0 {
				t.Errorf("%s: %s holds %q", name, f, p.file(f)[i:i+8])
			}
		}
	}
}

// PCK-34, VFY-42, VFY-50
func TestCustomCardsTravelWithThePackAndAreReexecuted(t *testing.T) {
	card, err := claim.ParseCard([]byte(`{"card_id":"mine","name":"Mine","claims":[
		{"claim_id":"c1","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":"seq","expected_value":0.0}},
		{"claim_id":"c2","check":"receipt_count_ge","params":{"min_count":100}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	s := smallSpec(t)
	s.Cards = []claim.Card{card, claim.BuiltinCards()[3]}
	p := mustBuild(t, s)
	r := mustVerify(t, p.FS(), Options{Now: builtAt, RequireClaims: true})
	if r.ExitCode() != 1 || r.Claims.Verdict != Fail || !r.Claims.Reexecuted || len(r.Claims.Results) != 3 {
		t.Fatalf("exit %d: %+v", r.ExitCode(), r)
	}
	files := p.FS().(memoryFS)
	delete(files, manifest.CardsName)
	if r := mustVerify(t, files, Options{RequireClaims: true}); r.ExitCode() != 1 || r.Claims.Reexecuted || !warns(r, manifest.WarnNotReexecuted) {
		t.Errorf("without the cards: exit %d: %+v", r.ExitCode(), r)
	}
	if r := mustVerify(t, files, Options{Cards: s.Cards}); r.ExitCode() != 0 || !r.Claims.Reexecuted || warns(r, manifest.WarnNotReexecuted) {
		t.Errorf("with the cards given: %+v", r)
	}
	// A card given alone is put together with the built-in by the claim ids of the report.
	if r := mustVerify(t, files, Options{Cards: s.Cards[:1]}); r.ExitCode() != 0 || !r.Claims.Reexecuted {
		t.Errorf("with one card given: %+v", r)
	}
	for _, lie := range []string{"", "[]", "{}", `[{"card_id":"x"}]`, `[{"card_id":"x","name":"x","claims":[{"claim_id":"c","check":"receipt_count_ge","params":{"min_count":0}}]}]`} {
		files[manifest.CardsName] = []byte(lie)
		r := mustVerify(t, files, Options{RequireClaims: true})
		if r.ExitCode() != 1 || r.Claims.Reexecuted || warns(r, manifest.WarnSidecar) != (lie != "[]") {
			t.Errorf("cards %q: exit %d: %+v", lie, r.ExitCode(), r)
		}
	}
}

func warns(r *Result, code string) bool {
	for _, w := range r.Warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

// RCP-5
func TestABreakglassReceiptIsPackedUnderANamespacedType(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = append(s.Receipts, jcstest.Parse(t, `{"receipt_id":"r_bg","type":"breakglass","timestamp":"2026-01-15T10:00:02+00:00","reason":"fire"}`))
	p := mustBuild(t, s)
	if lines := p.file(manifest.ReceiptsName); bytes.Contains(lines, []byte(`"breakglass"`)) || bytes.Count(lines, []byte(`"type":"assay.breakglass/v1"`)) != 1 {
		t.Errorf("packed as %s", lines)
	}
	if form.Str(s.Receipts[2], "type") != "breakglass" {
		t.Error("the caller's receipt was changed")
	}
}

func TestWriteDirThenVerify(t *testing.T) {
	p := mustBuild(t, smallSpec(t))
	dir := filepath.Join(t.TempDir(), "proof_pack")
	if err := p.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	if r := verifyDir(t, dir, Options{Now: builtAt}); r.ExitCode() != 0 || len(r.Warnings) > 0 || r.Manifest.Digest() != p.Manifest.Digest() {
		t.Errorf("%+v", r)
	}
	if err := p.WriteDir(dir); err == nil {
		t.Error("an existing directory was overwritten")
	}
}

// PCK-37
func TestReceiptsOfNextCenturyAreNotPacked(t *testing.T) {
	s := smallSpec(t)
	s.Now = s.Now.AddDate(-100, 0, 0)
	if _, err := Build(s); err == nil || !strings.Contains(err.Error(), "after the time of the build") {
		t.Errorf("%v", err)
	}
}

// PCK-26
func TestADerivedPackIDFollowsFromWhatThePackHolds(t *testing.T) {
	s := smallSpec(t)
	s.PackID = ""
	p := mustBuild(t, s)
	a := p.Manifest.Attestation
	seed := fmt.Sprintf(`{"ci_binding":null,"claim_set_hash":"%s","claim_set_id":"none","mode":"shadow","pack_format_version":"0.1.0",`+
		`"policy_hash":"%s","receipt_pack_sha256":"%x","run_id":"%s","suite_hash":"%s","superseded_by":null,"valid_until":null}`,
		a.ClaimSetHash, a.PolicyHash, sha256.Sum256(p.file(manifest.ReceiptsName)), a.RunID, a.SuiteHash)
	once := fmt.Sprintf("%x", sha256.Sum256([]byte(seed)))
	if want := fmt.Sprintf("pack_deterministic_%x", sha256.Sum256([]byte(once)))[:len("pack_deterministic_")+8]; p.Manifest.PackID != want {
		t.Errorf("%s, expected %s", p.Manifest.PackID, want)
	}
}

// RCP-14: what is dropped is dropped at the root only.
func TestMembersOfThoseNamesDeeperDownArePacked(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	s.Receipts = []jcs.Value{jcstest.Parse(t, `{"receipt_id":"r_x","type":"refusal","timestamp":"2026-01-15T10:00:00+00:00","anchor":1,"signatures":[],`+
		`"signature":"x","cose_signature":null,"receipt_hash":"h","a":{"signature":"kept","anchor":2}}`)}
	const want = `{"a":{"anchor":2,"signature":"kept"},"receipt_id":"r_x","timestamp":"2026-01-15T10:00:00+00:00","type":"refusal"}` + "\n"
	if got := mustBuild(t, s).file(manifest.ReceiptsName); string(got) != want {
		t.Errorf("%s", got)
	}
}

// PCK-33: hashes and signature are made after the report.
func TestABuilderDoesNotVouchForWhatItMakesLater(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*Spec)
		want   string
	}{
		"claims that pass": {func(*Spec) {}, `["receipt_sequence_integrity","claim_set_evaluated","claim_set_satisfied"]`},
		"one that fails":   {func(s *Spec) { s.Receipts = s.Receipts[1:] }, `["receipt_sequence_integrity","claim_set_evaluated"]`},
		"no claims":        {func(s *Spec) { s.Cards = nil }, `["receipt_sequence_integrity"]`},
	} {
		s := smallSpec(t)
		c.change(&s)
		report := jcstest.Parse(t, string(mustBuild(t, s).file(manifest.ReportName)))
		if got := jcstest.Plain(form.Get(form.Get(report, "scope"), "proves")); string(got) != c.want {
			t.Errorf("%s: %s", what, got)
		}
	}
}
