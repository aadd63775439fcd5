package second

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	receiptsFile = "receipt_pack.jsonl"
	reportFile   = "verify_report.json"
	textFile     = "verify_transcript.md"
	manifestFile = "pack_manifest.json"
	signFile     = "pack_signature.sig"
	cardsFile    = "_unsigned/run_cards.json"
)

// TestPacksThatNobodyBuildsAreJudgedAlike: packs of many shapes, then changed as whoever holds the key can, and as
// whoever does not, are judged by both verifiers: the same status, exit code, channels and findings
// (VFY-1 to VFY-86).
func TestPacksThatNobodyBuildsAreJudgedAlike(t *testing.T) {
	s, rng, want := serve(t), rand.New(rand.NewPCG(2, 86)), 200
	if long {
		want = 15_000
	}
	if n, err := strconv.Atoi(os.Getenv("ASSAY_PACKS")); err == nil {
		want, rng = n, rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	}
	bases := basePacks(t)
	asked, intact, differ, codes := 0, 0, 0, map[string]int{}
	for asked < want && differ < 15 {
		var items []packCase
		var answers []string
		for range 100 {
			c := somePack(t, rng, bases)
			items, answers = append(items, c.packCase), append(answers, c.judge(t))
		}
		for i, theirs := range askSecond[string](t, s, "pack", items) {
			asked++
			if strings.Contains(theirs, "integrity:PASS") {
				intact++
			}
			for word := range strings.FieldsSeq(theirs) {
				if strings.HasPrefix(word, "E_") || strings.HasPrefix(word, "W_") {
					codes[word]++
				}
			}
			if answers[i] != theirs {
				differ++
				t.Errorf("%s\n%v\n%s, and the other verifier\n%s", items[i].What, items[i].Args, answers[i], theirs)
				if dir := os.Getenv("ASSAY_KEEP"); dir != "" {
					items[i].keep(t, fmt.Sprintf("%s/%d", dir, differ))
				}
			}
		}
	}
	t.Logf("%d packs, %d intact; %v", asked, intact, codes)
	if intact < asked/10 || intact > asked*9/10 || len(codes) < 12 {
		t.Error("packs that say little")
	}
}

// packCase is what the second verifier is asked.
type packCase struct {
	What  string            `json:"what"`
	Files map[string][]byte `json:"files"`
	Args  []string          `json:"args"`
	Given map[string][]byte `json:"given"` // files that flags name
}

type askedPack struct {
	packCase
	options pack.Options
}

func (c packCase) keep(t *testing.T, dir string) {
	for name, data := range c.Files {
		os.MkdirAll(dir+"/_unsigned", 0o755)
		if err := os.WriteFile(dir+"/"+name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// judge gives what Go says, in the words in which serve.mjs says it.
func (c askedPack) judge(t *testing.T) string {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, data := range c.Files {
		fsys[name] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	r, err := pack.Verify(fsys, c.options)
	if errors.Is(err, pack.ErrNoPack) {
		return "no pack"
	} else if err != nil {
		t.Fatal(err)
	}
	channels := []string{"integrity:" + string(r.Integrity), "claims:" + string(r.ClaimsHere()), "anchor:" + string(r.Anchor.Verdict)}
	if c.options.Lock != nil {
		channels = append(channels, "lock:"+string(r.Lock.Verdict))
	}
	channels = append(channels, "expectations:"+string(r.Expectations.Verdict))
	if r.Coverage != nil {
		channels = append(channels, "coverage:"+string(r.Coverage.Verdict))
	}
	var lines []string
	for _, list := range [][]manifest.Finding{r.Findings, r.ExpectationFindings(), r.Lock.Findings, r.Warnings} {
		for _, f := range list {
			line := f.Code + " " + f.Field
			if f.Receipt >= 0 {
				line += " " + strconv.Itoa(f.Receipt)
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines) // steps have an order, and what one of them finds has none
	return fmt.Sprintf("%s %d %s %s", r.Status(), r.ExitCode(), strings.Join(channels, " "), strings.Join(lines, "; "))
}

var packKey = packtest.KeyFrom("second", "the key of the second verifier's packs")

var packTime = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// basePacks builds packs of many shapes.
func basePacks(t *testing.T) (list []map[string][]byte) {
	t.Helper()
	receipt := func(i int, kind, more string) string {
		return fmt.Sprintf(`{"receipt_id":"r%d","type":%q,"timestamp":"2026-01-15T11:00:%02d.000000+00:00","schema_version":"3.0","seq":%d%s}`, i, kind, i, i, more)
	}
	call := `,"model_id":"gpt-4o","provider":"openai","total_tokens":7,"latency_ms":12.5,"callsite_id":"0c28b9b44d62"`
	runs := [][]string{
		{},
		{receipt(0, "model_call", call)},
		{receipt(0, "model_call", call), receipt(1, "guardian_verdict", `,"verdict":"allow","parent_receipt_id":"r0"`), receipt(2, "model_call", call)},
		{receipt(0, "model_call", `,"x":"\u2028","n":[1,2.5,1e21,-0,{"k":null}]`), receipt(1, "acme.review/v2", `,"ok":true,"status":"error"`)},
		{receipt(0, "session_metadata", `,"recorded_by":"assay run","child_exit_code":3,"requests_seen":2,"receipts_written":2`), receipt(1, "breakglass", `,"reason":"x"`), receipt(2, "model_call", call)},
		{receipt(0, "governance_posture_snapshot", `,"posture":"CLEAN","evaluated_at":"2026-01-15T10:00:00Z"`), receipt(1, "refusal", ``)},
	}
	own := func(text string) claim.Card {
		c, err := claim.ParseCard([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	sets := [][]claim.Card{nil, {packtest.Builtin("receipt_completeness")}, {packtest.Builtin("no_breakglass"), packtest.Builtin("timestamp_ordering")},
		{packtest.Builtin("schema_consistency"), packtest.Builtin("guardian_enforcement")}, {packtest.Builtin("coverage_contract")}, {packtest.CallsCard(t)},
		{own(`{"card_id":"acme.own","name":"Own","claims":[
			{"claim_id":"a","check":"field_matches","params":{"field_name":"model_id","pattern":"gpt-4o(-mini)?","receipt_type":"model_call","allow_none":true}},
			{"claim_id":"b","check":"receipt_count_ge","severity":"warning","params":{"min_count":1.0}},
			{"claim_id":"c","check":"posture_eligible","params":{}},
			{"claim_id":"d","check":"no_such_check","severity":"warning","params":{}},
			{"claim_id":"e","check":"field_value_matches","severity":"warning","params":{"receipt_type":"model_call","field_name":"signature","expected_value":null}},
			{"claim_id":"f","check":"no_receipt_type","severity":"warning","params":{"receipt_type":"breakglass"}}]}`), packtest.Builtin("receipt_completeness")}}
	for i, run := range runs {
		for j, cards := range sets {
			s := pack.Spec{RunID: fmt.Sprintf("run_%d_%d", i, j), Cards: cards, Now: packTime, Signer: packKey}
			for _, text := range run {
				s.Receipts = append(s.Receipts, jcstest.Parse(t, text))
			}
			switch (i + j) % 4 {
			case 1:
				s.CIBinding = &manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("ab", 20), Repo: "acme/app", Ref: "refs/heads/main"}
				s.ValidUntil = "2026-01-16T00:00:00Z"
			case 2:
				s.SupersededBy, s.ValidUntil = "pack_later", "2026-01-15T12:00:00+00:00"
			case 3:
				s.OldShape = true
			}
			built, err := pack.Build(s)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			for _, f := range built.Files {
				if f.Name != "_unsigned/PACK_SUMMARY.md" {
					files[f.Name] = f.Data
				}
			}
			list = append(list, files)
		}
	}
	return list
}

// somePack changes one of the packs, and asks something of it.
func somePack(t *testing.T, rng *rand.Rand, bases []map[string][]byte) askedPack {
	c := askedPack{packCase: packCase{Files: maps.Clone(pick(rng, bases)), Given: map[string][]byte{}}}
	for range rng.IntN(3) {
		change := pick(rng, changes)
		c.What += change.name + " " + change.do(t, rng, c.Files) + "\n"
	}
	c.ask(t, rng, bases)
	return c
}

// ask adds flags, and the options that they stand for.
func (c *askedPack) ask(t *testing.T, rng *rand.Rand, bases []map[string][]byte) {
	flag := func(args ...string) { c.Args = append(c.Args, args...) }
	c.Args = []string{}
	now := pick(rng, []string{"2026-01-15T12:00:00Z", "2026-01-14T11:00:01Z", "2026-01-14T10:00:00Z", "2026-01-17T00:00:00Z"})
	flag("--now", now)
	c.options.Now, _ = time.Parse(time.RFC3339, now)
	if rng.IntN(2) == 0 {
		flag("--require-claim-pass")
		c.options.RequireClaims = true
	}
	switch rng.IntN(12) {
	case 0:
		flag("--max-age-hours", "1")
		c.options.MaxAge = time.Hour
	case 1:
		flag("--check-expiry", "--refuse-superseded")
		c.options.CheckExpiry, c.options.RefuseSuperseded = true, true
	case 2:
		flag("--require-ci-binding", "--expected-repo", "acme/app", "--expected-ref", "x")
		c.options.RequireCI, c.options.Repo, c.options.Ref = true, "acme/app", "x"
	case 3:
		flag("--require-pinned", "--trusted-signer", hexSum(packKey.Public()))
		fingerprint, err := trust.ParseDigest(hexSum(packKey.Public()))
		if err != nil {
			t.Fatal(err)
		}
		c.options.RequirePinned, c.options.TrustedSigners = true, lock.Only(fingerprint)
	case 4:
		flag("--coverage-contract", "contract", "--min-coverage", "0.5")
		c.Given["contract"] = []byte(packtest.ContractText)
		contract, err := claim.ParseContract([]byte(packtest.ContractText))
		if err != nil {
			t.Fatal(err)
		}
		c.options.Contract, c.options.MinCoverage = contract, 0.5
	case 5, 6:
		cards := pick(rng, bases)[cardsFile]
		list, err := claim.ParseCards(cards)
		if err != nil || len(list) == 0 {
			return
		}
		for i, card := range list {
			name := fmt.Sprint("card", i)
			flag("--run-card", name)
			c.Given[name] = jcstest.Plain(card.Value())
		}
		c.options.Cards = list
	case 7:
		text := pick(rng, bases)[cardsFile]
		list, err := claim.ParseCards(text)
		if err != nil || len(list) == 0 {
			return
		}
		held, err := lock.New(lock.Spec{Cards: list, At: packTime})
		if err != nil {
			return
		}
		flag("--lock", "lock")
		c.Given["lock"] = held.Marshal()
		c.options.Lock = held
	}
}

type change struct {
	name string
	do   func(t *testing.T, rng *rand.Rand, f map[string][]byte) string
}

// changes are of who has the key, but for the first three.
var changes = []change{
	{"flip", func(t *testing.T, rng *rand.Rand, f map[string][]byte) string {
		name := pick(rng, slices.Sorted(maps.Keys(f)))
		data := bytes.Clone(f[name])
		if len(data) == 0 {
			return name
		}
		i := rng.IntN(len(data))
		data[i] ^= 1 << rng.IntN(8)
		f[name] = data
		return fmt.Sprint(name, " ", i)
	}},
	{"file", func(t *testing.T, rng *rand.Rand, f map[string][]byte) string {
		name := pick(rng, []string{receiptsFile, reportFile, textFile, manifestFile, signFile, cardsFile, "extra.txt", "_unsigned/anchor.tlog-proof", "_unsigned/other"})
		switch rng.IntN(5) {
		case 0:
			delete(f, name)
			return "delete " + name
		case 1:
			f[name] = pick(rng, [][]byte{{}, []byte("{}"), []byte("[]"), []byte("null\n"), []byte("\n"), []byte("{\"a\":1,\"a\":2}"), []byte("\xef\xbb\xbf{}")})
		case 2:
			f[name] = append(bytes.Clone(f[name]), pick(rng, []string{"\n", " ", "x", "{}\n"})...)
		case 3:
			f[name] = bytes.ReplaceAll(f[name], []byte("\n"), []byte("\r\n"))
		case 4:
			f[name] = f[name][:len(f[name])/2]
		}
		return name
	}},
	{"cards", func(t *testing.T, rng *rand.Rand, f map[string][]byte) string {
		if v, err := jcs.Parse(f[cardsFile], jcs.Limits{}); err == nil {
			return edit(rng, f, cardsFile, v, jcstest.Plain)
		}
		f[cardsFile] = pick(rng, [][]byte{[]byte("[]"), []byte("[{}]"), []byte(`[{"card_id":"rece1pt_completeness","name":"x","claims":[{"claim_id":"c","check":"receipt_count_ge","params":{"min_count":0}}]}]`)})
		return "new"
	}},
	{"manifest", editManifest}, {"manifest", editManifest}, {"report", editReport}, {"report", editReport}, {"report", editReport},
	{"receipts", editReceipts}, {"receipts", editReceipts},
}

// edit changes one member somewhere in a value.
func edit(rng *rand.Rand, f map[string][]byte, name string, v jcs.Value, write func(jcs.Value) []byte) string {
	type place struct {
		path   string
		change func(func([]jcs.Member, int) []jcs.Member) jcs.Value
	}
	var places []place
	jcstest.EachMember(v, func(owner jcs.Value, change func(func([]jcs.Member, int) []jcs.Member) jcs.Value, i int) {
		places = append(places, place{owner.Members[i].Name, change})
	})
	if len(places) == 0 {
		return "nothing"
	}
	p, to := pick(rng, places), oddValue(rng)
	what := rng.IntN(6)
	changed := p.change(func(ms []jcs.Member, i int) []jcs.Member {
		switch what {
		case 0:
			return slices.Delete(ms, i, i+1)
		case 1:
			return append(ms, jcs.M(pick(rng, names), to))
		case 2:
			ms[i].Name = pick(rng, names)
		default:
			ms[i].Value = to
		}
		return ms
	})
	f[name] = write(changed)
	return fmt.Sprintf("%d %s %s", what, p.path, jcstest.Plain(to))
}

// names and words are those of reports and manifests, and some that nobody knows.
var (
	names = strings.Fields(`x pack_id run_id checks stages summary scope channels proves does_not_prove note claim_check verdict status exit_code errors ` +
		`warnings passed provenance evidence_refs sha256 path kind name claim_verification results evidence_receipt_ids reexecuted integrity_verdict ` +
		`overall_verdict blocking_channel superseded_by valid_until ci_binding discrepancy_fingerprint policy_sha256 expectations verifier version failure_mechanisms ` +
		`stage detail report_id verifier_version gaps redaction_policy_sha256 receipt_count head_hash __proto__ constructor toString claim integrity replay trust`)
	words = strings.Split(`null|true|false|0|1|2|-0|1.0|3e0|""|"x"|[]|{}|"PASS"|"FAIL"|"N/A"|"HONEST_FAIL"|"NOT_EVALUATED"|"NOT_RUN"|"TAMPERED"|"ok"|"skipped"|"ran"|`+
		`"pack_manifest"|"receipt_pack"|"pack_manifest.json"|"receipt_pack.jsonl"|"claim_check"|"CLAIMS"|"Replay"|"trust"|["r0"]|["r0","r1"]|[null]|["pack_integrity"]|`+
		`["claim_set_evaluated"]|["claim_set_satisfied"]|["output_correctness"]|"No claims were executed."|"evidence  satisfied THE evaluated claim set!!. "|`+
		`"Replay was not run"|"The pack is not what was signed."|{"name":"x","verdict":"PASS"}|[{"name":"replay","verdict":"PASS"}]|[{"verdict":"PASS"}]|[{}]|`+
		`[{"stage":"x","status":"ok"}]|[{"status":"fail"}]|[{"passed":0}]|{"integrity":"ran","claim":"ran","replay":"not_run","trust":"not_evaluated"}|`+
		`"2026-01-15T11:00:00.000000+00:00"|"0001-01-01T00:00:00+14:00"|"2026-02-30T00:00:00Z"|"../x"|"a:b"|"pack_later"|9007199254740991|9007199254740992|`+
		`"140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe"|"2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"|"\u00e9"|`+
		`"acme/app"|"local"|"L1"|"enforced"|"hash-only"`, "|")
)

func oddValue(rng *rand.Rand) jcs.Value {
	v, err := jcs.Parse([]byte(pick(rng, words)), jcs.Limits{})
	if err != nil {
		panic(err)
	}
	return v
}

func editManifest(t *testing.T, rng *rand.Rand, f map[string][]byte) string {
	v, err := jcs.Parse(f[manifestFile], jcs.Limits{})
	if err != nil {
		return "none"
	}
	what := edit(rng, f, manifestFile, v, jcstest.Plain)
	sign(f, rng.IntN(3))
	return what
}

func editReport(t *testing.T, rng *rand.Rand, f map[string][]byte) string {
	v, err := jcs.Parse(f[reportFile], jcs.Limits{})
	if err != nil || v.Kind != jcs.Object {
		return "none"
	}
	var what string
	for range 1 + rng.IntN(3) {
		what += edit(rng, f, reportFile, v, jcstest.Plain) + ", "
		if v, err = jcs.Parse(f[reportFile], jcs.Limits{}); err != nil {
			break
		}
	}
	if _, ok := v.Get("report_id"); ok && rng.IntN(4) > 0 {
		f[reportFile] = jcstest.Plain(v.Without("report_id"))
	}
	sign(f, 0)
	return what
}

// editReceipts changes the lines, and what is attested of them or not.
func editReceipts(t *testing.T, rng *rand.Rand, f map[string][]byte) string {
	lines := strings.SplitAfter(string(f[receiptsFile]), "\n")
	lines = lines[:len(lines)-1]
	what := rng.IntN(7)
	i := 0
	if len(lines) > 0 {
		i = rng.IntN(len(lines))
	}
	switch {
	case what == 0 || len(lines) == 0:
		lines = append(lines, pick(rng, []string{"{}\n", "[]\n", "\n", "{\"receipt_id\":\"r\",\"timestamp\":\"2026\",\"type\":\"a.b\"}\n",
			"{\"receipt_id\":\"z\",\"timestamp\":\"2026-01-15\",\"type\":\"a.b\"}\n", "{\"a\":1e400}\n"}))
	case what == 1:
		lines = slices.Delete(lines, i, i+1)
	case what == 2:
		lines = slices.Insert(lines, i, lines[i])
	case what == 3:
		j := rng.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
	default:
		v, err := jcs.Parse([]byte(lines[i]), jcs.Limits{})
		if err != nil {
			return "none"
		}
		name := pick(rng, []string{"seq", "seq", "receipt_id", "type", "timestamp", "run_id", "_trace_id", "_trace_id", "signature", "é", "x", "status", "posture", "callsite_id"})
		to := pick(rng, strings.Split(`null|true|false|0|1|2|-0|1.5|"b"|"1"|"True"|""|[]|{}|"run_1_0"|"r0"|"2026-01-15T11:00:00"|"2026-W03"|"model_call"|"breakglass"|"loom.x"|"a.b/c"|`+
			`9007199254740993|1e2|"\u2028"|"\u00e9"|[1]|{"é":1}|"\ud83d\ude00"|"\uff21"`, "|"))
		v = jcs.Obj(append(slices.Clone(v.Without(name).Members), jcs.M(name, jcstest.Parse(t, to)))...)
		write := jcs.AppendPack
		if rng.IntN(3) == 0 {
			write = jcs.AppendPackLine
		}
		line, err := write(nil, v)
		if err != nil {
			return "none"
		}
		lines[i] = string(line) + "\n"
		if rng.IntN(10) == 0 {
			lines[i] = string(jcstest.Plain(v)) + "\n"
		}
		name += " " + to
		f[receiptsFile] = []byte(strings.Join(lines, ""))
		attest(rng, f, lines)
		sign(f, 0)
		return name
	}
	f[receiptsFile] = []byte(strings.Join(lines, ""))
	attest(rng, f, lines)
	sign(f, 0)
	return strconv.Itoa(what)
}

// attest says of the lines what a signer can, or leaves what was said before.
func attest(rng *rand.Rand, f map[string][]byte, lines []string) {
	m, err := jcs.Parse(f[manifestFile], jcs.Limits{})
	if err != nil || rng.IntN(4) == 0 {
		return
	}
	n, head := jcs.Int(int64(len(lines))), jcs.Str(hexSum([]byte("empty")))
	start, end := "", ""
	for _, line := range lines {
		v, err := jcs.Parse([]byte(line), jcs.Limits{})
		if err != nil {
			break
		}
		if text, err := jcs.AppendPack(nil, v); err == nil {
			head = jcs.Str(hexSum(text))
		}
		if at, ok := v.Get("timestamp"); ok && at.Kind == jcs.String {
			if start == "" || at.Text < start {
				start = at.Text
			}
			end = max(end, at.Text)
		}
	}
	sets := map[string]jcs.Value{"receipt_count_expected": n, "attestation.n_receipts": n, "attestation.head_hash": head}
	if rng.IntN(2) == 0 && start != "" {
		sets["attestation.timestamp_start"], sets["attestation.timestamp_end"] = jcs.Str(start), jcs.Str(end)
	}
	for path, to := range sets {
		m = put(m, path, to)
	}
	f[manifestFile] = jcstest.Plain(m)
	if r, err := jcs.Parse(f[reportFile], jcs.Limits{}); err == nil && rng.IntN(4) > 0 {
		r = put(put(r, "receipt_count", n), "head_hash", head)
		if len(lines) == 0 {
			r = put(r, "head_hash", jcs.Value{})
		}
		f[reportFile] = jcstest.Plain(r)
	}
}

// sign makes digests and signature right: all of them, all but those that are attested, or the signature only.
func sign(f map[string][]byte, how int) {
	m, err := jcs.Parse(f[manifestFile], jcs.Limits{})
	if err != nil || m.Kind != jcs.Object {
		return
	}
	if a, ok := m.Get("attestation"); ok && how == 0 {
		text, _ := jcs.AppendPack(nil, a)
		root := jcs.Str(hexSum(text))
		m = put(m, "attestation_sha256", root)
		m = put(m, "pack_root_sha256", root)
		if r, err := jcs.Parse(f[reportFile], jcs.Limits{}); err == nil {
			for _, name := range []string{"pack_root_sha256", "verification_inputs_sha256"} {
				if old, ok := r.Get(name); ok && len(old.Text) == 64 && old.Text != root.Text {
					r = jcstest.Set(r, name, root)
					f[reportFile] = jcstest.Plain(r.Without("report_id"))
				}
			}
		}
	}
	if how < 2 {
		var files []jcs.Value
		for _, name := range []string{receiptsFile, reportFile, textFile} {
			files = append(files, jcs.Obj(jcs.M("path", jcs.Str(name)), jcs.M("sha256", jcs.Str(hexSum(f[name]))), jcs.M("bytes", jcs.Int(int64(len(f[name]))))))
		}
		m = put(m, "files", jcs.Arr(files...))
	}
	message, err := jcs.AppendPack(nil, m.Without("signature", "pack_root_sha256"))
	if err != nil {
		return
	}
	f[signFile], _ = packKey.Sign(message)
	m = put(m, "signature", jcs.Str(base64.StdEncoding.EncodeToString(f[signFile])))
	f[manifestFile] = jcstest.Plain(m)
}

// put sets a member that is there.
func put(v jcs.Value, path string, to jcs.Value) jcs.Value {
	at := v
	for name := range strings.SplitSeq(path, ".") {
		var ok bool
		if at, ok = at.Get(name); !ok {
			return v
		}
	}
	return jcstest.Set(v, path, to)
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// TestOddKeysHaveOneOrder: PCK-7 and PCK-8 of every two kinds of values, and PCK-9.
func TestOddKeysHaveOneOrder(t *testing.T) {
	s, rng := serve(t), rand.New(rand.NewPCG(7, 8))
	traces := strings.Split(`|null|""|"run_0_0"|"zz"|"`+"\uff21"+`"|"😀"|true|false|0|1|1.5|1E21|[]|[1]|{}|{"a":1}`, "|")
	seqs := strings.Split(`|null|0|1|2|-1|true|false|0.5|1.5|1E21|1000000000000000000000|9007199254740993|9007199254740992|"a"|"b"|"`+"\uff21"+`"|"😀"|""|[]|{}`, "|")
	ids := strings.Split(`"a"|"b"|"`+"\uff21"+`"|"😀"|1|null|""|[]`, "|")
	base := basePacks(t)[0]
	ordered, differ := 0, 0
	for asked := 0; asked < times(60, 6000) && differ < 10; {
		var items []packCase
		var answers []string
		for range 60 {
			c := askedPack{packCase: packCase{What: "keys", Files: maps.Clone(base), Args: []string{"--now", "2026-01-15T12:00:00Z"}, Given: map[string][]byte{}}}
			c.options.Now = packTime
			var lines []string
			for i := range 12 {
				members := []string{`"timestamp":"2026-01-15T11:00:00Z"`, `"type":"a.b"`, `"receipt_id":` + pick(rng, ids)}
				if rng.IntN(3) == 0 {
					members[2] = fmt.Sprintf(`"receipt_id":"%02d"`, i)
				}
				if seq := pick(rng, seqs); seq != "" {
					members = append(members, `"seq":`+seq)
				}
				if trace := pick(rng, traces); trace != "" && rng.IntN(2) == 0 {
					members = append(members, pick(rng, []string{`"_trace_id":`, `"run_id":`})+trace)
				}
				line, err := jcs.AppendPack(nil, jcstest.Parse(t, "{"+strings.Join(members, ",")+"}"))
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, string(line)+"\n")
			}
			c.Files[receiptsFile] = []byte(strings.Join(lines, ""))
			attest(rng, c.Files, lines)
			sign(c.Files, 0)
			items, answers = append(items, c.packCase), append(answers, c.judge(t))
		}
		for i, theirs := range askSecond[string](t, s, "pack", items) {
			asked++
			ordered += 11 - strings.Count(theirs, "receipt_order")
			if answers[i] != theirs {
				differ++
				t.Errorf("%s\n%s, and the other verifier\n%s", items[i].Files[receiptsFile], answers[i], theirs)
			}
		}
	}
	if ordered < 60 {
		t.Errorf("%d pairs are in order", ordered)
	}
}

// TestThePacksOfEverybodyElseAreJudgedAlike: the packs that the reference tool and others built, where they are at hand.
func TestThePacksOfEverybodyElseAreJudgedAlike(t *testing.T) {
	root := "../../../shared/vectors"
	if _, err := os.Stat(root); err != nil {
		t.Skip("NOT RUN: the vectors are not at hand")
	}
	var items []packCase
	var answers []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != manifestFile {
			return err
		}
		files := map[string][]byte{}
		for _, pattern := range []string{"*", "_unsigned/*"} {
			names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), pattern))
			for _, name := range names {
				data, err := os.ReadFile(name)
				if err != nil {
					continue // a directory
				}
				inside, _ := filepath.Rel(filepath.Dir(path), name)
				files[filepath.ToSlash(inside)] = data
			}
		}
		for _, gate := range []bool{false, true} {
			c := askedPack{packCase: packCase{What: path, Files: files, Args: []string{"--now", "2026-06-01T12:00:00Z"}, Given: map[string][]byte{}}}
			c.options.Now, c.options.RequireClaims = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), gate
			if gate {
				c.Args = append(c.Args, "--require-claim-pass")
			}
			items, answers = append(items, c.packCase), append(answers, c.judge(t))
		}
		return nil
	})
	if err != nil || len(items) < 50 {
		t.Fatalf("%d packs: %v", len(items), err)
	}
	for i, theirs := range askSecond[string](t, serve(t), "pack", items) {
		if answers[i] != theirs {
			t.Errorf("%s %v\n%s, and the other verifier\n%s", items[i].What, items[i].Args, answers[i], theirs)
		}
	}
	t.Logf("%d judgements", len(items))
}
