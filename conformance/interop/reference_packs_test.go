package interop

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// buildTime is when the packs of fixed bytes were built.
var buildTime = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

const buildStamp = "2026-01-15T12:00:00.000000+00:00"

// shape is a pack that both tools build.
type shape struct {
	name     string
	receipts []string // data members of receipts whose core is filled in, see receiptsOf
	raw      []string // whole receipts instead
	cards    []string // built-in ids or keys of cardFiles
	mode     string
	suite    string
	until    string
	by       string
	ci       *manifest.CIBinding
	floor    bool // ours alone: the shape for old verifiers
	ownCheck bool // ours alone: it has a check or a value that the reference does not know
}

var cardFiles = map[string]string{
	"custom.json": `{"card_id":"gpt4_only","name":"GPT-4 only","description":"Ünïcode \u2028 description",
 "claims":[{"claim_id":"one_model","description":"every call is to gpt-4","check":"field_value_matches",
  "params":{"receipt_type":"model_call","field_name":"model_id","expected_value":"gpt-4"},"severity":"critical"},
  {"claim_id":"few","description":"","check":"receipt_count_ge","params":{"min_count":2},"severity":"warning"}]}`,
	"floats.json": `{"card_id":"floats","name":"floats","claims":[
  {"claim_id":"c1","description":"d","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":"n","expected_value":1.0},"severity":"critical"},
  {"claim_id":"c2","description":"d","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":"o","expected_value":{"a":[1e16,1e-5,true,null,"it's \u00a0"]}},"severity":"critical"}]}`,
	"posture.json": `{"card_id":"posture","name":"posture","claims":[
  {"claim_id":"clean","description":"d","check":"posture_eligible","params":{},"severity":"critical"},
  {"claim_id":"any","description":"d","check":"posture_eligible","params":{"required_posture":null},"severity":"warning"}]}`,
	"odd.json": `{"card_id":"odd","name":"odd","claims":[
  {"claim_id":"name","description":"d","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":7.0,"expected_value":null},"severity":"critical"},
  {"claim_id":"order","description":"d","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":"o","expected_value":{"b":1.0,"a":"\ud83e\udee8"}},"severity":"critical"}]}`,
	"dropped.json": `{"card_id":"dropped","name":"dropped","claims":[
  {"claim_id":"hash","description":"d","check":"field_value_matches","params":{"receipt_type":"model_call","field_name":"receipt_hash","expected_value":"h"},"severity":"critical"}]}`,
	"unknown.json": `{"card_id":"unknown","name":"unknown check","claims":[{"claim_id":"u","description":"d","check":"no_such_check","params":{},"severity":"critical"}]}`,
	"ours.json":    `{"card_id":"ours","name":"a check of ours","claims":[{"claim_id":"le","description":"d","check":"receipt_count_le","params":{"max_count":5},"severity":"critical"}]}`,
}

var admittedTypes = []string{"ai_workflow", "capability_use", "challenge", "decision_v1", "governance_posture_snapshot", "grace_check",
	"guardian_check", "guardian_verdict", "mcp_tool_call", "model_call", "refusal", "revocation", "session_metadata", "supersession",
	"acme.review", "acme.review/v1", "a_1.b_2.c_3/d_4", "episode.opened", "rce.step/v0", "assay.breakglass/v1"}

func shapes() []shape {
	many := make([]string, 1500)
	for i := range many {
		many[i] = fmt.Sprintf(`{"model_id":"gpt-4","i":%d,"x":%d.5e-%d}`, i, i, i%300)
	}
	var types []string
	for i, typ := range admittedTypes {
		types = append(types, fmt.Sprintf(`{"receipt_id":"t%d","type":%q,"timestamp":"2026-01-15T10:00:%02d.000000+00:00","schema_version":"3.0","seq":%d}`, i, typ, i, i))
	}
	full := &manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("0a", 20), Repo: "o/r", Ref: "refs/heads/ü", RunID: "1",
		RunAttempt: "2", WorkflowRef: "o/r/.github/workflows/x.yml@refs/heads/main", Actor: "a b"}
	model := `{"model_id":"gpt-4"}`
	return []shape{
		{name: "minimal", receipts: []string{model}},
		{name: "empty"},
		{name: "empty with claims", cards: []string{"receipt_completeness"}},
		{name: "claims pass", receipts: []string{model, model}, cards: []string{"receipt_completeness", "timestamp_ordering", "schema_consistency", "no_breakglass"}},
		{name: "claims fail", receipts: []string{model}, cards: []string{"guardian_enforcement", "receipt_completeness"}},
		{name: "a card twice", receipts: []string{model}, cards: []string{"receipt_completeness", "receipt_completeness"}},
		{name: "a warning fails", raw: []string{`{"receipt_id":"r","type":"model_call","timestamp":"2026-01-15T10:00:00.000000+00:00","schema_version":"2.0","seq":0}`}, cards: []string{"schema_consistency"}},
		{name: "custom card", receipts: []string{model, model}, cards: []string{"custom.json"}},
		{name: "custom card fails", receipts: []string{model, `{"model_id":"gpt-3.5"}`, `{"model_id":null}`, `{}`}, cards: []string{"custom.json", "timestamp_ordering"}},
		{name: "custom card with floats", receipts: []string{`{"n":1,"o":{"a":[10000000000000000.0,0.00001,1,null,"it's \u00a0"]}}`}, cards: []string{"floats.json"}},
		{name: "custom card with an unknown check", receipts: []string{model}, cards: []string{"unknown.json"}},
		{name: "a check of ours", receipts: []string{model}, cards: []string{"ours.json"}, ownCheck: true},
		{name: "coverage_contract", receipts: []string{model}, cards: []string{"coverage_contract"}},
		{name: "1500 receipts", receipts: many, cards: []string{"receipt_completeness", "timestamp_ordering"}},
		{name: "unicode", receipts: []string{`{"text":"naïve 日本 \ud83d\ude00 \ud800\udc00 \uffff \ufffe \u200b \u202e","nul":"\u0000\u0001\u001f\u007f\u0080\u00ad\"\\/\b\f\n\r\t"}`,
			`{"pairs":["e\u0301","\u00e9","\u212b","\u00c5"],"":"empty name"}`}, cards: []string{"receipt_completeness"}},
		{name: "line separators", receipts: []string{`{"text":"a\u0085b\u2028c\u2029d"}`, `{"text":"\u001c\u001d\u001e\u000b\u000c"}`}, cards: []string{"receipt_completeness"}},
		{name: "floats", receipts: []string{`{"n":[1e21,1.5e-9,0.1,-0.0,5e-324,1.7976931348623157e308,1e-6,1e-7,123456789012345680000.0,1e20,999999999999999900000.0,0.0,-0,1.0,100.0,4.35,2.2250738585072014e-308,9007199254740991,-9007199254740991]}`},
			cards: []string{"receipt_completeness"}},
		{name: "deep", receipts: []string{`{"d":` + strings.Repeat(`[{"a":`, 25) + `1` + strings.Repeat(`}]`, 25) + `}`}},
		{name: "names in UTF-16 order", receipts: []string{`{"~":1,"}":2,"a":{"Z":1,"z":2,"_":3,"0":4},"A":3,"\u007f":4,"\u0001":5}`}},
		{name: "projected members", receipts: []string{`{"signature":"x","signatures":[1],"cose_signature":"c","receipt_hash":"h","anchor":{"a":1},"inner":{"signature":"stays"}}`}, cards: []string{"receipt_completeness"}},
		{name: "every admitted type", raw: types, cards: []string{"guardian_enforcement"}},
		{name: "ci binding", receipts: []string{model}, ci: full},
		{name: "ci binding, least", receipts: []string{model}, ci: &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("f", 40)}},
		{name: "a commit of 64 digits", receipts: []string{model}, ci: &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("f0", 32)}, ownCheck: true},
		{name: "valid until", receipts: []string{model}, until: "2099-01-01T00:00:00Z"},
		{name: "expired", receipts: []string{model}, until: "2020-01-01T00:00:00.5+02:00"},
		{name: "superseded", receipts: []string{model}, by: "pack_20270101T000000_00000000"},
		{name: "all three", receipts: []string{model}, until: "2099-01-01T00:00:00.123456+00:00", by: "p", ci: full, suite: "nightly"},
		{name: "enforced", receipts: []string{model}, mode: "enforced"},
		{name: "breakglass", raw: []string{`{"receipt_id":"b","type":"assay.breakglass/v1","timestamp":"2026-01-15T10:00:00.000000+00:00","seq":0,"reason":"INC-1"}`}, mode: "breakglass", cards: []string{"no_breakglass"}},
		{name: "old shape", receipts: []string{model}, cards: []string{"receipt_completeness"}, floor: true},
		{name: "hostile strings", receipts: []string{`{"html":"</script><img src=x onerror=1>","path":"../../etc/passwd","csv":"=1+1","ansi":"\u001b[2J\u001b]0;x\u0007","md":"|x|\n# y","sql":"'; --","fmt":"%s%n {0} ${x}"}`,
			`{"receipt":{"type":"loom.x","receipt_id":"","constructor":1,"toString":2,"hasOwnProperty":3}}`}, cards: []string{"receipt_completeness"}},
		{name: "no seq, by id", raw: []string{
			`{"receipt_id":"b","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00"}`,
			`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:00.000000+00:00"}`,
			`{"receipt_id":"\ud83d\ude00","type":"model_call","timestamp":"2026-01-15T10:00:02.000000+00:00"}`,
			`{"receipt_id":"\uffff","type":"model_call","timestamp":"2026-01-15T10:00:03.000000+00:00"}`,
			`{"receipt_id":"é","type":"model_call","timestamp":"2026-01-15T10:00:04.000000+00:00","seq":-1}`}, cards: []string{"timestamp_ordering"}},
		{name: "run ids", raw: []string{
			`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","run_id":"run_1","seq":1}`,
			`{"receipt_id":"b","type":"model_call","timestamp":"2026-01-15T10:00:00.000000+00:00","_trace_id":"run_1","seq":0,"_stored_at":"2026-01-15T10:00:00.000000+00:00","_store_seq":7}`}},
		{name: "times of every honest spelling", raw: []string{
			`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:00Z","seq":0}`,
			`{"receipt_id":"b","type":"model_call","timestamp":"2026-01-15T10:00:00.5+00:00","seq":1}`,
			`{"receipt_id":"c","type":"model_call","timestamp":"2026-01-15T12:00:00.123456789+02:00","seq":2}`,
			`{"receipt_id":"d","type":"model_call","timestamp":"2026-01-15T10:00:00.500-00:00","seq":3}`}, cards: []string{"timestamp_ordering"}},
	}
}

// respelled are card files with the hashes of those of the same name: what the builder's own do not say of
// numbers and of the order of members, whoever relies on a pack need not have kept.
var respelled = map[string]string{
	"odd.json": strings.NewReplacer("7.0", "7", `"b":1.0,"a":"\ud83e\udee8"`, `"a":"\ud83e\udee8","b":1`).Replace(cardFiles["odd.json"]),
}

// receiptsOf are the whole receipts, as JSON.
func (s shape) receiptsOf() []string {
	if s.raw != nil {
		return s.raw
	}
	var all []string
	for i, data := range s.receipts {
		core := fmt.Sprintf(`{"receipt_id":"r_%d","type":"model_call","timestamp":"2026-01-15T10:%02d:%02d.000000+00:00","schema_version":"3.0","seq":%d`, i, i/60, i%60, i)
		if data != "{}" {
			core += ","
		}
		all = append(all, core+strings.TrimPrefix(data, "{"))
	}
	return all
}

// inputs writes what the tools read: the receipts, the card files and the key.
func (s shape) inputs(t *testing.T, dir string, key signer) map[string]any {
	t.Helper()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	write("keys/"+key.id+".key", key.key.Seed())
	write("keys/"+key.id+".pub", key.Public())
	spec := map[string]any{
		"run_id": "run_1", "signer": key.id, "keys": keys, "now": buildStamp,
		"receipts": write("receipts.json", []byte("["+strings.Join(s.receiptsOf(), ",")+"]")),
	}
	var cards []string
	for _, card := range s.cards {
		if text, ok := cardFiles[card]; ok {
			card = write(card, []byte(text))
		}
		cards = append(cards, card)
	}
	spec["cards"] = cards
	for name, value := range map[string]string{"mode": s.mode, "suite_id": s.suite, "valid_until": s.until, "superseded_by": s.by} {
		if value != "" {
			spec[name] = value
		}
	}
	if ci := s.ci; ci != nil {
		binding := map[string]string{}
		for name, value := range map[string]string{"provider": ci.Provider, "commit_sha": ci.CommitSHA, "repo": ci.Repo, "ref": ci.Ref,
			"run_id": ci.RunID, "run_attempt": ci.RunAttempt, "workflow_ref": ci.WorkflowRef, "actor": ci.Actor} {
			if value != "" {
				binding[name] = value
			}
		}
		spec["ci_binding"] = binding
	}
	return spec
}

// cardPaths are files of the cards that are not built in.
func (s shape) cardPaths(t *testing.T) (paths []string) {
	t.Helper()
	for _, name := range s.cards {
		if text, ok := cardFiles[name]; ok {
			if other, ok := respelled[name]; ok {
				text = other
			}
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	return paths
}

func (s shape) buildOurs(t *testing.T, key signer) (*pack.Pack, error) {
	t.Helper()
	spec := pack.Spec{RunID: "run_1", Now: buildTime, Signer: key, Mode: manifest.Mode(s.mode), SuiteID: s.suite, ValidUntil: s.until, SupersededBy: s.by, CIBinding: s.ci, OldShape: s.floor}
	for _, text := range s.receiptsOf() {
		spec.Receipts = append(spec.Receipts, must(jcs.Parse([]byte(text), jcs.Limits{}))(t))
	}
	for _, name := range s.cards {
		if text, ok := cardFiles[name]; ok {
			spec.Cards = append(spec.Cards, must(claim.ParseCard([]byte(text)))(t))
			continue
		}
		i := slices.IndexFunc(claim.BuiltinCards(), func(c claim.Card) bool { return c.ID == name })
		spec.Cards = append(spec.Cards, claim.BuiltinCards()[i])
	}
	return pack.Build(spec)
}

func (s shape) buildTheirs(t *testing.T, w *reference, dir string, key signer) (string, answer) {
	t.Helper()
	spec := s.inputs(t, dir, key)
	out := filepath.Join(dir, "theirs")
	spec["output"] = out
	return out, w.ask(t, map[string]any{"op": "build", "spec": spec}, dir)()
}

// judgeEveryWay asks both tools with each of the flags that they share.
func (w *reference) judgeEveryWay(t *testing.T, name, dir string, cards ...string) {
	t.Helper()
	w.judge(t, name, dir)
	w.judge(t, name+" --require-claim-pass", dir, "--require-claim-pass")
	if len(cards) > 0 { // the reference takes no definitions: it believes what is attested
		args := []string{"verify-pack", dir, "--require-claim-pass"}
		python, ours := w.theirs(t, w.home, args...), args
		for _, card := range cards {
			ours = append(ours, "--run-card", card)
		}
		w.compare(t, name+" --require-claim-pass, with the definitions", fmt.Sprint("exit ", python.Exit), fmt.Sprint("exit ", w.ours(t, w.home, ours...).Exit))
	}
	for _, flag := range sharedFlags {
		if strings.HasPrefix(flag[0], "--require-ci") && !strings.Contains(name, "ci binding") && !strings.HasSuffix(name, "minimal") ||
			flag[0] == "--check-expiry" && !strings.Contains(name, "expired") && !strings.Contains(name, "valid until") && !strings.HasSuffix(name, "minimal") ||
			flag[0] != "--check-expiry" && !strings.HasPrefix(flag[0], "--require-ci") && !strings.HasSuffix(name, "/ci binding") && !strings.HasSuffix(name, "minimal") {
			continue // says the same of every pack
		}
		w.judge(t, name+" "+strings.Join(flag, " "), dir, flag...)
	}
}

var sharedFlags = [][]string{
	{"--check-expiry"},
	{"--require-ci-binding"},
	{"--expected-commit-sha", strings.Repeat("0a", 20)},
	{"--expected-commit-sha", strings.Repeat("0b", 20)},
	{"--expected-commit-sha", "0a0a"},
	{"--max-age-hours", "1"},
	{"--max-age-hours", "1000000"},
	{"--max-age-hours", "0"},
	{"--max-age-hours", "NaN"},
	{"--min-coverage", "1.5"},
	{"--require-ci-binding", "--require-claim-pass"},
}

// packsOfOurs: what we build, the reference verifies.
func packsOfOurs(t *testing.T, w *reference) {
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "pack")
			if err := must(s.buildOurs(t, newSigner("interop")))(t).WriteDir(dir); err != nil {
				t.Fatal(err)
			}
			w.judgeEveryWay(t, "go/"+s.name, dir)
		})
	}
}

// packsOfTheirs: what the reference builds, we verify; also what we would refuse to build.
func packsOfTheirs(t *testing.T, w *reference) {
	for _, s := range append(shapes(), theirShapes...) {
		if s.floor || s.ownCheck {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			dir, built := s.buildTheirs(t, w, t.TempDir(), newSigner("interop"))
			w.judgeBuilt(t, "python/"+s.name, built, s)
			if built.Exit == 0 {
				w.judgeEveryWay(t, "python/"+s.name, dir, s.cardPaths(t)...)
			}
		})
	}
}

// judgeBuilt compares whether the two builders take the receipts.
func (w *reference) judgeBuilt(t *testing.T, name string, built answer, s shape) {
	t.Helper()
	word := func(refused bool) string {
		if refused {
			return "refuses to build"
		}
		return "builds"
	}
	_, err := s.buildOurs(t, newSigner("interop"))
	if !w.compare(t, name+", built", word(built.Exit != 0), word(err != nil)) {
		t.Logf("Python: %v\nours: %v", built, err)
	}
}

// theirShapes are packs that we do not build, or that one of us should not.
var theirShapes = []shape{
	{name: "integers beyond 2^53", receipts: []string{`{"n":[9007199254740993,1000000000000000000000,-123456789012345678901234567890]}`}, cards: []string{"receipt_completeness"}},
	{name: "an id twice", raw: []string{
		`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`,
		`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:00.000000+00:00","seq":1}`}},
	{name: "no id", raw: []string{`{"type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "a number as id", raw: []string{`{"receipt_id":7,"type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "a timestamp that is none", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"yesterday","seq":0}`}},
	{name: "a date as timestamp", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15","seq":0}`}},
	{name: "a timestamp without offset", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15 10:00:01","seq":0}`}},
	{name: "a timestamp of next century", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2126-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "a type that is not admitted", raw: []string{`{"receipt_id":"a","type":"policy_impact","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "a bare breakglass", raw: []string{`{"receipt_id":"a","type":"breakglass","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}, cards: []string{"no_breakglass"}},
	{name: "a loom type", raw: []string{`{"receipt_id":"a","type":"loom.x/v1","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "a type with a newline", raw: []string{`{"receipt_id":"a","type":"acme.x\n","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "__proto__", receipts: []string{`{"__proto__":{"a":1}}`}},
	{name: "a name that is not ASCII", receipts: []string{`{"näme":1}`}},
	{name: "Type beside type", receipts: []string{`{"Type":"x"}`}},
	{name: "receipt_type alone", raw: []string{`{"receipt_id":"a","receipt_type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0}`}},
	{name: "a seq that is text", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":"0"}`}},
	{name: "a seq that is a float", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0.5}`}},
	{name: "another run's receipt", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0,"run_id":"run_2"}`}},
	{name: "a ci binding of a word", receipts: []string{`{}`}, ci: &manifest.CIBinding{Provider: "github_actions", CommitSHA: "main"}},
	{name: "valid until some day", receipts: []string{`{}`}, until: "some day"},
	{name: "a posture that is null", raw: []string{
		`{"receipt_id":"a","type":"governance_posture_snapshot","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0,"posture":null,"evaluated_at":"2026-01-15T10:00:01Z"}`}, cards: []string{"posture.json"}},
	{name: "a posture that is a number", raw: []string{
		`{"receipt_id":"a","type":"governance_posture_snapshot","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0,"posture":1.0,"evaluated_at":"2026-01-15T10:00:01Z"}`}, cards: []string{"posture.json"}},
	{name: "claims that nobody means", receipts: []string{`{"o":{"a":"\ud83e\udee8","b":1}}`}, cards: []string{"odd.json"}},
	{name: "a claim about what is not packed", receipts: []string{`{"receipt_hash":"h"}`}, cards: []string{"dropped.json"}},
	{name: "a run id that Python takes for none", raw: []string{`{"receipt_id":"a","type":"model_call","timestamp":"2026-01-15T10:00:01.000000+00:00","seq":0,"_trace_id":0}`}},
	{name: "a mode of its own", receipts: []string{`{}`}, mode: "yolo"},
}

// sameBytes: of the same receipts with the same key and time, the receipt file is the same to the byte,
// and the attestation to the member but for who says that it built it.
func sameBytes(t *testing.T, w *reference) {
	builder := map[string]bool{"verifier_version": true, "canon_impl": true, "canon_impl_version": true}
	for _, s := range shapes() {
		if s.floor || s.ownCheck {
			continue
		}
		key := newSigner("interop")
		ours := must(s.buildOurs(t, key))(t)
		dir, built := s.buildTheirs(t, w, t.TempDir(), key)
		built.ok(t)
		file := func(name string) []byte {
			i := slices.IndexFunc(ours.Files, func(f pack.NamedFile) bool { return f.Name == name })
			return ours.Files[i].Data
		}
		word := "equal"
		if !bytes.Equal(file("receipt_pack.jsonl"), must(os.ReadFile(filepath.Join(dir, "receipt_pack.jsonl")))(t)) {
			word = "differs"
		}
		w.compare(t, "bytes/receipt_pack.jsonl of "+s.name, "equal", word)
		own, peer := attestation(t, file("pack_manifest.json")), attestation(t, must(os.ReadFile(filepath.Join(dir, "pack_manifest.json")))(t))
		if word == "differs" { // the id of a deterministic pack is made of the file's digest
			delete(own, "pack_id")
			delete(peer, "pack_id")
		}
		var differ []string
		for _, name := range slices.Sorted(maps.Keys(own)) {
			if own[name] != peer[name] && !builder[name] {
				differ = append(differ, name)
			}
			if own[name] == peer[name] && builder[name] {
				t.Errorf("%s: %s is %s on both sides", s.name, name, own[name])
			}
		}
		if len(own) != len(peer) || len(own) < 27 {
			t.Errorf("%s: the attestation has %d members there and %d here, expected 28", s.name, len(peer), len(own))
		}
		word = "equal"
		if len(differ) > 0 {
			word = "differs in " + strings.Join(differ, ", ")
		}
		w.compare(t, "bytes/attestation of "+s.name, "equal", word)
	}
	for name := range builder {
		w.compare(t, "bytes/attestation."+name, "its own", "our own")
	}
}

// attestation is the members of the attestation in canonical form.
func attestation(t *testing.T, manifest []byte) map[string]string {
	t.Helper()
	a, _ := must(jcs.Parse(manifest, jcs.Limits{}))(t).Get("attestation")
	members := map[string]string{}
	for _, m := range a.Members {
		members[m.Name] = string(must(jcs.AppendPack(nil, m.Value))(t))
	}
	return members
}

// vectorPacks shows the verdicts on the packs of the specification side by side.
func vectorPacks(t *testing.T, w *reference) {
	vectors := sharedAloud(t)
	for name := range expectations(t, vectors) {
		w.judge(t, "vector/"+name, filepath.Join(vectors, "packs", name))
		w.judge(t, "vector/"+name+" --require-claim-pass", filepath.Join(vectors, "packs", name), "--require-claim-pass")
	}
}

func sharedAloud(t *testing.T) string {
	t.Helper()
	path := must(filepath.Abs(filepath.Join("..", "..", "..", "shared", "vectors")))(t)
	if _, err := os.Stat(path); err != nil {
		skip(t, "the specification's vectors are not here: %v", err)
	}
	return path
}
