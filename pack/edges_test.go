package pack

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// This file holds what a second implementer can get wrong at the edges of a rule: which findings there are, all of them,
// where two rules meet.

// told are the codes and fields of findings, in their order.
func told(list []manifest.Finding) string {
	var all []string
	for _, f := range list {
		all = append(all, f.Code+" "+f.Field)
	}
	return strings.Join(all, ", ")
}

// VFY-15: a signature file that cannot be read is missed in two steps, one of another length is read and compared.
func TestASignatureFileThatIsNotReadIsFoundTwiceAndALongOneOnce(t *testing.T) {
	files := smallPack(t)
	signature := files[manifest.SignatureName]
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"missing":           {nil, "E_MANIFEST_TAMPER pack_signature.sig, E_PACK_SIG_INVALID pack_signature.sig"},
		"above 16 MiB":      {make([]byte, form.MaxFile+1), "E_MANIFEST_TAMPER pack_signature.sig, E_PACK_SIG_INVALID pack_signature.sig"},
		"16 MiB":            {make([]byte, form.MaxFile), "E_PACK_SIG_INVALID pack_signature.sig"},
		"65 bytes":          {append(slices.Clone(signature), 0), "E_PACK_SIG_INVALID pack_signature.sig"},
		"63 bytes":          {signature[:63], "E_PACK_SIG_INVALID pack_signature.sig"},
		"nothing":           {[]byte{}, "E_PACK_SIG_INVALID pack_signature.sig"},
		"what it has to be": {signature, ""},
	} {
		if files[manifest.SignatureName] = c.data; c.data == nil {
			delete(files, manifest.SignatureName)
		}
		if r := mustVerify(t, files, Options{Now: builtAt}); told(r.Findings) != c.want {
			t.Errorf("%s: %s", what, told(r.Findings))
		}
	}
}

// VFY-16: what is compared of a file are the entries with its name, the first that does not hold; without one nothing is.
func TestOnlyEntriesOfItsNameSayWhatAFileIs(t *testing.T) {
	files := smallPack(t)
	m := jcstest.Parse(t, string(files[manifest.Name]))
	entry := func(name, path, digits string, more int64) jcs.Value {
		v := fileValue(name, files[name])
		v = jcstest.Set(v, "path", jcs.Str(path))
		if digits != "" {
			v = jcstest.Set(v, "sha256", jcs.Str(strings.Repeat(digits, 64)))
		}
		return jcstest.Set(v, "bytes", jcs.Int(int64(len(files[name]))+more))
	}
	right := func(name string) jcs.Value { return entry(name, name, "", 0) }
	receipts, report, transcript := right(manifest.ReceiptsName), right(manifest.ReportName), right(manifest.TranscriptName)
	for what, c := range map[string]struct {
		list []jcs.Value
		want string
	}{
		"as it is to be":       {[]jcs.Value{receipts, report, transcript}, ""},
		"no entry of a file":   {[]jcs.Value{receipts, report, entry(manifest.TranscriptName, "x", "0", 0)}, "E_MANIFEST_TAMPER files"},
		"twice, both right":    {[]jcs.Value{receipts, report, transcript, transcript}, "E_MANIFEST_TAMPER files"},
		"twice, the second no": {[]jcs.Value{receipts, report, transcript, entry(manifest.TranscriptName, manifest.TranscriptName, "0", 0)}, "E_MANIFEST_TAMPER files, E_MANIFEST_TAMPER verify_transcript.md"},
		"twice, both not":      {[]jcs.Value{receipts, report, entry(manifest.TranscriptName, manifest.TranscriptName, "", 1), entry(manifest.TranscriptName, manifest.TranscriptName, "0", 0)}, "E_MANIFEST_TAMPER files, E_MANIFEST_TAMPER verify_transcript.md"},
	} {
		forged := resign(t, files, jcstest.Set(m, "files", jcs.Arr(c.list...)), testSigner, "files")
		if r := mustVerify(t, forged, Options{Now: builtAt}); told(r.Findings) != c.want {
			t.Errorf("%s: %s", what, told(r.Findings))
		}
	}
}

// VFY-22
func TestReceiptsThatCannotBeReadAreNotCountedAndHaveTheHeadOfNone(t *testing.T) {
	const receipts = manifest.ReceiptsName
	for what, c := range map[string]struct {
		place func(path string) error
		want  string
	}{
		"a link":      {func(path string) error { return os.Symlink("nowhere", path) }, "E_PATH_ESCAPE receipt_pack.jsonl, E_MANIFEST_TAMPER receipt_integrity, E_MANIFEST_TAMPER head_hash"},
		"a directory": {func(path string) error { return os.Mkdir(path, 0o755) }, "E_MANIFEST_TAMPER receipt_pack.jsonl, E_MANIFEST_TAMPER receipt_integrity, E_MANIFEST_TAMPER head_hash"},
		"missing":     {func(string) error { return nil }, "E_MANIFEST_TAMPER receipt_pack.jsonl, E_PACK_OMISSION_DETECTED receipt_count_expected, E_MANIFEST_TAMPER head_hash, E_MANIFEST_TAMPER claim_check"},
	} {
		dir := writePack(t, smallPack(t))
		if err := os.Remove(filepath.Join(dir, receipts)); err != nil {
			t.Fatal(err)
		}
		if err := c.place(filepath.Join(dir, receipts)); err != nil {
			t.Logf("%s cannot be made here: %v", what, err)
			continue
		}
		if r := verifyDir(t, dir, Options{Now: builtAt}); told(r.Findings) != c.want {
			t.Errorf("%s: %s", what, told(r.Findings))
		}
	}
}

// PCK-25, VFY-18: the times are those of the receipts that were read and say one in a text.
func TestTimestampsThatAreNoTextsAreLeftOutOfTheRange(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	line := func(id, at string) string {
		return `{"receipt_id":"` + id + `","timestamp":` + at + `,"type":"model_call"}` + "\n"
	}
	start := `"2026-01-15T10:00:00.000000+00:00"`
	const schema, span, lines = "E_SCHEMA_UNKNOWN timestamp", "E_MANIFEST_TAMPER timestamp_range", "E_MANIFEST_TAMPER receipt_integrity"
	for what, c := range map[string]struct{ jsonl, want string }{
		"one is a number": {line("r1", "5") + line("r2", start), schema + ", " + lines},
		"one is empty":    {line("r1", `""`) + line("r2", start), schema + ", " + lines},
		"all are numbers": {line("r1", "5") + line("r2", "6"), schema + ", " + schema + ", " + lines + ", " + span},
		"one is no time":  {line("r1", `"0"`) + line("r2", start), "E_TIMESTAMP_INVALID timestamp, " + lines + ", " + span},
	} {
		forged := withReceipts(t, files, c.jsonl)
		m := jcstest.Parse(t, string(forged[manifest.Name]))
		m = jcstest.Set(m, "attestation.timestamp_start", jcstest.Parse(t, start))
		m = jcstest.Set(m, "attestation.timestamp_end", jcstest.Parse(t, start))
		if r := mustVerify(t, resign(t, forged, m, testSigner), Options{Now: builtAt}); told(r.Findings) != c.want {
			t.Errorf("%s: %s", what, told(r.Findings))
		}
	}
}

// VFY-24, VFY-26: these are no comparisons of values: neither true nor 2.0 is a count, and 1 is not true.
func TestCountsAndTruthOfAReportHaveTheirTypes(t *testing.T) {
	files := smallPack(t)
	double := jcs.Value{Kind: jcs.Number, Text: "2.0"}
	for _, c := range []struct {
		path string
		to   jcs.Value
		want string
	}{
		{"receipt_count", double, "receipt_count"}, {"receipt_count", jcs.Boolean(true), "receipt_count"}, {"receipt_count", jcs.Str("2"), "receipt_count"},
		{"passed", jcs.Int(1), "passed"}, {"passed", jcs.Str("true"), "passed"}, {"head_hash", jcs.Value{}, "head_hash"},
		{"claim_verification.n_claims", jcs.Value{Kind: jcs.Number, Text: "3.0"}, "claim_verification.n_claims"},
		{"claim_verification.passed", jcs.Int(1), "claim_verification.passed"},
		// These are.
		{"required_channels", words("integrity", "claim"), ""},
	} {
		want := ""
		if c.want != "" {
			want = "E_MANIFEST_TAMPER verify_report." + c.want
		}
		if r := mustVerify(t, reporting(t, files, c.path, c.to), Options{Now: builtAt}); told(r.Findings) != want {
			t.Errorf("%s %v: %s", c.path, c.to, told(r.Findings))
		}
	}
	empty := smallSpec(t)
	empty.Receipts, empty.Cards = nil, nil
	files = mustBuild(t, empty).FS().(memoryFS)
	for _, head := range []jcs.Value{{}, jcs.Str(emptyHead)} { // of a pack without receipts either
		if r := mustVerify(t, reporting(t, files, "head_hash", head), Options{Now: builtAt}); len(r.Findings) > 0 {
			t.Errorf("%v: %s", head, told(r.Findings))
		}
	}
}

// VFY-32, VFY-35, VFY-36, VFY-39: what is there has to be whole, and the field is the path as the specification spells it.
func TestWhatAReportHalfSaysIsAContradictionUnderTheNameOfItsList(t *testing.T) {
	files := smallPack(t)
	sum := form.Get(form.Get(jcstest.Parse(t, string(files[manifest.Name])), "files").Items[0], "sha256")
	scope := form.Get(jcstest.Parse(t, string(files[manifest.ReportName])), "scope")
	without := func(v jcs.Value, name string) jcs.Value {
		v.Members = slices.DeleteFunc(slices.Clone(v.Members), func(m jcs.Member) bool { return m.Name == name })
		return v
	}
	times := func(n int, field string) string {
		return strings.TrimSuffix(strings.Repeat("E_MANIFEST_TAMPER verify_report."+field+", ", n), ", ")
	}
	ref := func(pairs ...string) jcs.Value { return jcs.Arr(form.Strs(pairs...)) }
	for _, c := range []struct {
		path     string
		to       jcs.Value
		want     string
		warnings string
	}{
		{"scope", without(scope, "channels"), times(1, "scope.channels"), ""},
		{"scope", without(scope, "proves"), "", ""},
		{"scope", without(scope, "does_not_prove"), times(6, "scope.does_not_prove"), ""},
		{"scope", jcs.Value{}, times(1, "scope"), ""},
		{"checks", ref("name", "anything"), times(1, "checks"), ""},
		{"checks", ref("verdict", "PASS"), "", ""},
		{"checks", jcs.Arr(form.Strs("name", "a"), form.Strs("name", "b")), times(2, "checks"), ""},
		{"checks", jcs.Arr(jcs.Obj(jcs.M("verdict", jcs.Int(1)))), times(1, "checks.verdict") + ", " + times(1, "checks"), ""},
		{"stages", ref("status", "fail"), times(1, "stages"), ""},
		{"stages", jcs.Arr(jcs.Obj(jcs.M("stage", jcs.Int(1)))), times(1, "stages.stage"), ""},
		{"evidence_refs", ref("kind", "receipt_pack", "sha256", sum.Text), times(1, "evidence_refs"), ""},
		{"evidence_refs", ref("path", manifest.Name), times(1, "evidence_refs"), ""},
		{"evidence_refs", ref("kind", "pack_manifest", "path", manifest.Name), "", ""},
		{"evidence_refs", ref("kind", "receipt_pack", "path", manifest.ReceiptsName, "sha256", sum.Text), "", ""},
		{"evidence_refs", ref("kind", "receipt_pack", "path", manifest.ReceiptsName), "", "W_REPORT verify_report.evidence_refs"},
		{"expectations.policy_sha256", jcs.Str("x"), times(1, "policy_sha256"), ""},
		{"expectations.claim_set_id", jcs.Value{}, times(1, "claim_set_id"), ""},
		{"expectations.claim_set_hash", jcs.Str("x"), times(1, "claim_set_hash"), ""},
		{"verifier.version", jcs.Str("9.9.9"), times(1, "verifier.version"), ""},
		{"summary.claim", jcs.Int(1), times(1, "summary.claim"), ""},
	} {
		r := mustVerify(t, reporting(t, files, c.path, c.to), Options{Now: builtAt})
		if told(r.Findings) != c.want || told(r.Warnings) != c.warnings {
			t.Errorf("%s %v: %s; %s", c.path, c.to, told(r.Findings), told(r.Warnings))
		}
	}
}

// VFY-33
func TestAReportIDIsMadeOfNothingWhereTheReportSaysNothing(t *testing.T) {
	files := smallPack(t)
	report := jcstest.Parse(t, string(files[manifest.ReportName]))
	root, version := form.Str(report, "pack_root_sha256"), form.Str(form.Get(report, "verifier"), "version")
	report.Members = slices.DeleteFunc(report.Members, func(m jcs.Member) bool { return m.Name == "verified_at" })
	for _, c := range []struct{ id, want string }{
		{reportID(root, "", "PASS", version), ""},
		{reportID(root, "x", "PASS", version), "E_MANIFEST_TAMPER verify_report.report_id"},
	} {
		files[manifest.ReportName] = jcstest.Plain(jcstest.Set(report, "report_id", jcs.Str(c.id)))
		r := mustVerify(t, resign(t, files, jcstest.Parse(t, string(files[manifest.Name])), testSigner), Options{Now: builtAt})
		if told(r.Findings) != c.want {
			t.Errorf("%s: %s", c.id, told(r.Findings))
		}
	}
}

// VFY-44: a claim_check that does not follow is the one finding; only one that does has its fingerprint compared.
func TestClaimCheckOrFingerprintIsWrongNeverBoth(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = s.Receipts[1:] // no guardian verdict: one claim fails
	files := mustBuild(t, s).FS().(memoryFS)
	lie := attesting(t, files, func(v jcs.Value) jcs.Value { return jcstest.Set(v, "passed", jcs.Boolean(true)) })
	if r := mustVerify(t, lie, Options{Now: builtAt}); told(r.Findings) != "E_MANIFEST_TAMPER claim_check" {
		t.Error(told(r.Findings))
	}
	lie = attesting(t, files, func(v jcs.Value) jcs.Value { return jcstest.Set(v, "actual", jcs.Str("found 7")) })
	if r := mustVerify(t, lie, Options{Now: builtAt}); told(r.Findings) != "E_MANIFEST_TAMPER discrepancy_fingerprint" {
		t.Error(told(r.Findings))
	}
}

// VFY-45, VFY-46: the report has to name the evidence of the reading that it attests. Shown is ours if a critical claim
// fails in it, else the other.
func TestEvidenceIsThatOfTheReadingWhichIsAttested(t *testing.T) {
	wanted := claim.Card{ID: "c", Name: "c", Claims: []claim.Claim{{ID: "c", Check: "receipt_type_present", Severity: "critical",
		Params: jcs.Obj(jcs.M("receipt_type", jcs.Str("breakglass")))}}}
	for _, c := range []struct {
		card     claim.Card
		passed   bool // of the reference
		evidence jcs.Value
		shown    string
		want     string
	}{
		{packtest.Builtin("no_breakglass"), true, jcs.Arr(), "found 1", ""},
		{packtest.Builtin("no_breakglass"), true, words("r_9"), "", "E_MANIFEST_TAMPER verify_report.claim_verification.results"},
		{wanted, false, jcs.Arr(), "found 0", ""},
		{wanted, false, words("r_9"), "", "E_MANIFEST_TAMPER verify_report.claim_verification.results"},
	} {
		files := mustBuild(t, brokenGlass(t, c.card)).FS().(memoryFS)
		files = attesting(t, files, func(v jcs.Value) jcs.Value {
			return jcstest.Set(jcstest.Set(jcstest.Set(v, "passed", jcs.Boolean(c.passed)), "actual", jcs.Str("found 0")), "evidence_receipt_ids", c.evidence)
		})
		r := mustVerify(t, files, Options{Now: builtAt})
		if told(r.Findings) != c.want || !warns(r, manifest.WarnBreakglass) {
			t.Errorf("%s, evidence %v: %s", c.card.ID, c.evidence, told(r.Findings))
		}
		if c.want == "" && r.Claims.Results[0].Actual != c.shown {
			t.Errorf("%s: %s is shown", c.card.ID, r.Claims.Results[0].Actual)
		}
	}
}

// VFY-42: the cards in it have the rules of a card, and of a card file neither its length nor its depth. One that is
// refused takes the others with it.
func TestCardsThatTravelHaveTheRulesOfACardAndNotOfAFile(t *testing.T) {
	deep := packtest.OneCard(t, "field_value_matches", `{"receipt_type":"model_call","field_name":"x","expected_value":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`}`)
	long := packtest.OneCard(t, "receipt_type_present", `{"receipt_type":"`+strings.Repeat("x", 300<<10)+`"}`)
	for what, card := range map[string]claim.Card{"deep": deep, "long": long} {
		files, hash := mustBuild(t, smallSpec(t)).FS().(memoryFS), jcs.Str(claim.SetHash([]claim.Card{card}))
		m := jcstest.Set(jcstest.Parse(t, string(files[manifest.Name])), "attestation.claim_set_hash", hash)
		m = jcstest.Set(m, "claim_set_hash", hash)
		files[manifest.CardsName] = jcstest.Plain(jcs.Arr(card.Value()))
		if r := mustVerify(t, resign(t, files, m, testSigner), Options{Now: builtAt}); warns(r, manifest.WarnSidecar) || !strings.Contains(told(r.Findings), "claim_check") {
			t.Errorf("%s: the claims were not executed: %s; %s", what, told(r.Findings), told(r.Warnings))
		}
	}

	s := smallSpec(t)
	s.Cards = []claim.Card{packtest.OneCard(t, "receipt_count_ge", `{"min_count":1}`)}
	files := mustBuild(t, s).FS().(memoryFS)
	good := bytes.TrimSuffix(bytes.TrimSpace(files[manifest.CardsName]), []byte("]"))
	for _, bad := range []string{
		`{"card_id":"x","name":"x","more":1,"claims":[{"claim_id":"c","check":"no_such"}]}`,
		`{"card_id":"x","name":"x","stochastic":true,"trials":2,"claims":[{"claim_id":"c","check":"no_such"}]}`,
		`{"card_id":"no_breakglass","name":"x","claims":[{"claim_id":"c","check":"no_such"}]}`,
		`{"card_id":"x","name":"x","claims":[{"claim_id":"c","check":"coverage_contract","params":{"contract_path":"../x"}}]}`,
		`{"card_id":"x","name":"x","claims":[{"claim_id":"c","check":"receipt_count_le","params":{}}]}`,
		`{"card_id":"x","name":"x","claims":[]}`,
	} {
		files[manifest.CardsName] = []byte(string(good) + "," + bad + "]")
		if r := mustVerify(t, files, Options{Now: builtAt}); r.Claims.Reexecuted || !warns(r, manifest.WarnSidecar) {
			t.Errorf("%s: %s", bad, told(r.Warnings))
		}
	}
}

// VFY-48: of the cards that were executed, wherever they come from.
func TestOnlyCardsThatWereExecutedAreSaidToLookLikeOthers(t *testing.T) {
	twin := packtest.OneCard(t, "receipt_count_ge", `{"min_count":1}`)
	twin.ID = "n0_breakglass"
	s := smallSpec(t)
	s.Cards = []claim.Card{twin}
	files := mustBuild(t, s).FS().(memoryFS)
	delete(files, manifest.CardsName)
	if r := mustVerify(t, files, Options{Now: builtAt, Cards: s.Cards}); told(r.Warnings) != "W_CARD_LOOKALIKE _unsigned/run_cards.json" {
		t.Errorf("given: %s", told(r.Warnings))
	}
	files = mustBuild(t, smallSpec(t)).FS().(memoryFS)
	files[manifest.CardsName] = jcstest.Plain(jcs.Arr(twin.Value()))
	if r := mustVerify(t, files, Options{Now: builtAt, Cards: s.Cards}); len(r.Warnings) > 0 {
		t.Errorf("not executed: %s", told(r.Warnings))
	}
}

// PCK-8
func TestFirstPartsOfKeysHaveTheKindOfTheirValue(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	line := func(id, run, seq string) string {
		return `{"_trace_id":` + run + `,"receipt_id":` + id + `,"seq":` + seq + `,"timestamp":"2026-01-15T10:00:00.000000+00:00","type":"model_call"}` + "\n"
	}
	for what, c := range map[string]struct {
		first, second string
		ordered       bool
	}{
		"false and 0":                {line(`"r1"`, "false", "0"), line(`"r2"`, "0", "0"), false},
		"0 and 0.0 are numbers":      {line(`"r1"`, "0", "0"), line(`"r2"`, "0", "0"), true},
		"null is the empty text":     {line(`"r1"`, "null", "1"), line(`"r2"`, `""`, "2"), true},
		"null and 0":                 {line(`"r1"`, "null", "1"), line(`"r2"`, "0", "2"), false},
		"empty list and object":      {line(`"r1"`, "[]", "1"), line(`"r2"`, "{}", "2"), false},
		"two empty lists":            {line(`"r1"`, "[]", "1"), line(`"r2"`, "[]", "2"), true},
		"true and false as seq":      {line(`"r1"`, "0", "false"), line(`"r2"`, "0", "true"), true},
		"null as seq twice":          {line(`"r1"`, "0", "null"), line(`"r2"`, "0", "null"), false},
		"null as seq and 0":          {line(`"r1"`, "0", "null"), line(`"r2"`, "0", "0"), false},
		"two equal lists as seq":     {line(`"r1"`, "0", "[]"), line(`"r2"`, "0", "[]"), false},
		"an id that is no text":      {line("5", "0", "0"), line(`"r2"`, "0", "0"), true},
		"and it behind one":          {line(`"r1"`, "0", "0"), line("5", "0", "0"), false},
		"two ids that are no texts":  {line("6", "0", "0"), line("5", "0", "0"), true},
		"a run that is named as one": {line(`"r1"`, `""`, "9"), line(`"r2"`, `"run-small"`, "0"), true},
	} {
		r := mustVerify(t, withReceipts(t, files, c.first+c.second), Options{Now: builtAt})
		if ordered := !strings.Contains(told(r.Findings), "receipt_order"); ordered != c.ordered {
			t.Errorf("%s: %s", what, told(r.Findings))
		}
	}
}
