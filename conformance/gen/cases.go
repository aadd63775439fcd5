package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/trust"
)

// The finding codes of verify.md §19.
const (
	tamper    = "E_MANIFEST_TAMPER"
	omission  = "E_PACK_OMISSION_DETECTED"
	badSig    = "E_PACK_SIG_INVALID"
	escape    = "E_PATH_ESCAPE"
	unknown   = "E_SCHEMA_UNKNOWN"
	canon     = "E_CANON_MISMATCH"
	duplicate = "E_DUPLICATE_ID"
	badTime   = "E_TIMESTAMP_INVALID"
	stale     = "E_PACK_STALE"
	otherCI   = "E_CI_BINDING_MISMATCH"
	extraFile = "W_EXTRA_FILE"
)

const gate = "--require-claim-pass"

// world collects the cases and their files.
type world struct {
	files files
	index []conformance.Case

	// The packs that attacks start from.
	base   files // two receipts, two cards that pass
	plain  files // the same receipts, no claims
	lying  files // a card fails, and the pack says so
	loaded files // ci_binding, valid_until, superseded_by
}

// last is the case that was added last, to be amended.
func (w *world) last() *conformance.Case { return &w.index[len(w.index)-1] }

// add puts a pack and its case into the corpus. attacks are ids separated by spaces.
func (w *world) add(id, attacks, title string, f files, e conformance.Expect, args ...string) {
	path := "packs/" + id
	for name, data := range f {
		w.files[path+"/"+name] = data
	}
	w.index = append(w.index, conformance.Case{ID: id, Title: title, Attacks: strings.Fields(attacks), Path: path, Args: args, Expect: e})
}

// again adds a case about a pack that is there already.
func (w *world) again(id, attacks, title, path string, e conformance.Expect, args ...string) {
	w.index = append(w.index, conformance.Case{ID: id, Title: title, Attacks: strings.Fields(attacks), Path: path, Args: args, Expect: e})
}

// bad adds a pack that must exit 2 with a code, whatever is required of its claims. Of a pack without
// claims nothing is required: a verifier that believes it would exit 1 for that, and hide that it does.
func (w *world) bad(id, attacks, title string, f files, codes ...string) {
	if bytes.Contains(f[manifestFile], []byte(`"claim_check": "N/A"`)) {
		w.add(id, attacks, title, f, tampered(codes...))
		return
	}
	w.add(id, attacks, title, f, tampered(codes...), gate)
}

// made is bad about a pack that steps are done to first.
func (w *world) made(id, attacks, title, path string, e conformance.Expect, steps ...conformance.Step) {
	w.again(id, attacks, title, path, e, gate)
	w.last().Make = steps
}

// carried adds a case that a Go test carries.
func (w *world) carried(attack, title, test string) {
	w.index = append(w.index, conformance.Case{ID: attack + "_test", Title: title, Attacks: []string{attack}, Test: test, Expect: conformance.Expect{Exit: 2}})
}

func passes(claims string, codes ...string) conformance.Expect {
	return conformance.Expect{Exit: 0, Integrity: "PASS", Claims: claims, Codes: codes}
}

func tampered(codes ...string) conformance.Expect {
	return conformance.Expect{Exit: 2, Integrity: "FAIL", Claims: "SKIPPED", Codes: codes}
}

// unexpected is an intact pack that is not the one that was expected.
func unexpected(code string) conformance.Expect {
	return conformance.Expect{Exit: 2, Integrity: "PASS", Claims: "PASS", Codes: []string{code}}
}

var honestFailure = conformance.Expect{Exit: 1, Integrity: "PASS", Claims: "FAIL"}

// card is a built-in card.
func card(id string) claim.Card {
	for _, c := range claim.BuiltinCards() {
		if c.ID == id {
			return c
		}
	}
	panic("no card " + id)
}

func cards(ids ...string) (list []claim.Card) {
	for _, id := range ids {
		list = append(list, card(id))
	}
	return list
}

// line is a receipt of a run: its id comes from the run and its number, its time is fixed.
func line(run string, i int, kind, members string) jcs.Value {
	if members != "" {
		members = "," + members
	}
	return parse(fmt.Sprintf(`{"receipt_id":"r_%s","type":%q,"timestamp":"2026-01-15T11:%02d:%02d.000000+00:00","schema_version":"3.0","seq":%d%s}`,
		hexSum(fmt.Appendf(nil, "%s:%d", run, i))[:12], kind, i/60, i%60, i, members))
}

const modelCall = `"provider":"openai","model_id":"gpt-4","input_tokens":500,"output_tokens":200,"total_tokens":700,"latency_ms":812,"finish_reason":"stop"`

// run makes the usual receipts of a run: model calls, and guardian verdicts of that word unless it is empty.
func run(id, verdict string, calls int) pack.Spec {
	s := pack.Spec{RunID: "corpus_" + id}
	for i := range calls {
		s.Receipts = append(s.Receipts, line(id, len(s.Receipts), "model_call", modelCall))
		if verdict != "" && i%2 == 0 {
			s.Receipts = append(s.Receipts, line(id, len(s.Receipts), "guardian_verdict",
				fmt.Sprintf(`"verdict":%q,"action":"send_email","reason":"policy v1","risk_score":0.25`, verdict)))
		}
	}
	return s
}

func (s spec) cards(ids ...string) spec { s.Cards = append(s.Cards, cards(ids...)...); return s }

// spec is pack.Spec with words.
type spec struct{ pack.Spec }

func (w *world) cases() {
	w.base = honest(spec{run("base", "allow", 1)}.cards("receipt_completeness", "guardian_enforcement").Spec)
	w.plain = honest(run("plain", "allow", 1))
	w.lying = honest(spec{run("lying", "", 2)}.cards("receipt_completeness", "guardian_enforcement").Spec)
	full := spec{run("loaded", "allow", 1)}.cards("receipt_completeness").Spec
	full.CIBinding = &manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("a1", 20), Repo: "acme/app",
		Ref: "refs/heads/main", RunID: "7", RunAttempt: "1", WorkflowRef: "acme/app/.github/workflows/ci.yml@refs/heads/main", Actor: "bot"}
	full.ValidUntil, full.SupersededBy = "2030-01-01T00:00:00+00:00", "pack_next"
	w.loaded = honest(full)

	w.seed()
	w.shapes()
	w.duplicates()
	w.names()
	w.texts()
	w.forms()
	w.fileSystem()
	w.signatures()
	w.contradictions()
	w.reports()
	w.open()
	w.times()
	w.crashes()
	w.bits()
	w.locks()
	w.anchors()
	w.tests()
}

// seed is the corpus that every release of the tool has had, and what upstream added to it.
func (w *world) seed() {
	w.add("good_01", "", "receipts and a card that they satisfy", honest(spec{run("good_01", "", 1)}.cards("receipt_completeness").Spec), passes("PASS"), gate)
	w.add("good_02", "", "two cards", honest(spec{run("good_02", "allow", 2)}.cards("receipt_completeness", "guardian_enforcement").Spec), passes("PASS"), gate)
	w.add("good_03", "", "all cards that look at receipts only", honest(spec{run("good_03", "allow", 5)}.cards(
		"guardian_enforcement", "receipt_completeness", "no_breakglass", "timestamp_ordering", "schema_consistency").Spec), passes("PASS"), gate)
	w.add("claimfail_01", "", "honest failure: no guardian verdict, and the pack says so", w.lying, honestFailure, gate)
	w.add("tampered_01", "P26", "a field is injected into a receipt after signing",
		w.base.swap(receipts, `"input_tokens":500`, `"injected":true,"input_tokens":500`), tampered(tamper), gate)
	first, _, _ := bytes.Cut(w.base[receipts], []byte("\n"))
	w.add("tampered_02", "P26", "a receipt line is deleted after signing", w.base.with(receipts, append(first, '\n')), tampered(tamper, omission), gate)

	s := spec{run("stale_01", "allow", 1)}.cards("receipt_completeness").Spec
	s.ValidUntil = "2026-01-16T00:00:00+00:00"
	w.add("stale_01", "", "valid_until has passed, and --check-expiry asks for it", honest(s),
		conformance.Expect{Exit: 1, Integrity: "PASS", Claims: "PASS"}, gate, "--check-expiry")
	w.again("stale_01_unasked", "", "valid_until has passed, and nobody asks", "packs/stale_01", passes("PASS"), gate)
	w.add("aged_01", "P22", "older than --max-age-hours", honest(spec{run("aged_01", "allow", 1)}.cards("receipt_completeness").Spec),
		unexpected(stale), gate, "--max-age-hours", "24")
	w.again("aged_01_young", "P22", "the same pack on the next morning", "packs/aged_01", passes("PASS"), gate, "--max-age-hours", "24", "--now", "2026-01-16T06:00:00Z")
	w.last().Extension = true
	s = spec{run("superseded_01", "allow", 1)}.cards("receipt_completeness").Spec
	s.SupersededBy = "pack_newer"
	w.add("superseded_01", "", "superseded_by names a newer pack: intact all the same", honest(s), passes("PASS"), gate)
	w.again("superseded_02", "", "the same pack, and --refuse-superseded asks for it", "packs/superseded_01",
		conformance.Expect{Exit: 1, Integrity: "PASS", Claims: "PASS", Codes: []string{"E_PACK_SUPERSEDED"}}, gate, "--refuse-superseded")
	w.last().Extension = true
	w.add("deny_01", "", "the guardian denied an action: that is evidence, not failure",
		honest(spec{run("deny_01", "deny", 1)}.cards("receipt_completeness", "guardian_enforcement").Spec), passes("PASS"), gate)
	mcp := pack.Spec{RunID: "corpus_mcp_deny_01", Receipts: []jcs.Value{line("mcp_deny_01", 0, "mcp_tool_call",
		`"invocation_id":"inv_0123456789abcdef","session_id":"mcp_0123456789abcdef","server_id":"files","tool_name":"delete","outcome":"denied","policy_verdict":"deny","policy_reason":"tool_denied"`)}}
	w.add("mcp_deny_01", "", "a tool call was denied, no claims", honest(mcp), passes("SKIPPED"))
}

// shapes are honest packs that a strict verifier might refuse by mistake, and honest failures.
func (w *world) shapes() {
	w.add("base_01", "", "the pack that most attacks start from", w.base, passes("PASS"), gate)
	w.add("empty_01", "", "a run without receipts", honest(pack.Spec{RunID: "corpus_empty_01"}), passes("SKIPPED"))
	w.add("noclaims_01", "", "no claims declared", w.plain, passes("SKIPPED"))
	w.again("noclaims_02", "", "no claims declared, but required", "packs/noclaims_01", conformance.Expect{Exit: 1, Integrity: "PASS", Claims: "SKIPPED"}, gate)
	w.again("claimfail_02", "", "a failing claim that nobody requires", "packs/claimfail_01", conformance.Expect{Exit: 0, Integrity: "PASS", Claims: "FAIL"})
	s := spec{run("floor_01", "allow", 1)}.cards("receipt_completeness").Spec
	s.OldShape = true
	w.add("floor_01", "", "the shape that every release since 1.2.0 reads", honest(s), passes("PASS"), gate)
	w.add("ci_01", "", "bound to a CI run, valid, superseded", w.loaded, passes("PASS"), gate)
	sha := strings.Repeat("a1", 20)
	w.again("ci_02", "", "the commit that is expected", "packs/ci_01", passes("PASS"), gate, "--require-ci-binding", "--expected-commit-sha", sha)
	w.again("ci_03", "", "another commit than expected", "packs/ci_01", unexpected(otherCI), gate, "--expected-commit-sha", strings.Repeat("b2", 20))
	w.again("ci_04", "", "no CI binding, but required", "packs/base_01", unexpected("E_CI_BINDING_MISSING"), gate, "--require-ci-binding")
	w.again("ci_05", "", "the repository, ref, workflow and run that are expected", "packs/ci_01", passes("PASS"), gate, "--expected-repo", "acme/app",
		"--expected-ref", "refs/heads/main", "--expected-workflow", "acme/app/.github/workflows/ci.yml@refs/heads/main", "--expected-run", "7")
	w.last().Extension = true
	for i, other := range [][]string{{"--expected-repo", "acme/App"}, {"--expected-ref", "refs/heads/mai"}, {"--expected-workflow", "acme/app/.github/workflows/ci.yml"}, {"--expected-run", "70"}} {
		w.again(fmt.Sprintf("ci_%02d", 6+i), "", "another one than "+other[0], "packs/ci_01", unexpected(otherCI), append([]string{gate}, other...)...)
		w.last().Extension = true
	}
	newer := spec{run("ci_10", "allow", 1)}.cards("receipt_completeness").Spec
	newer.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("c3", 32)}
	w.add("ci_10", "", "a commit of 64 digits, which the reference does not read", honest(newer), passes("PASS", "W_PORTABILITY"), gate, "--expected-commit-sha", strings.Repeat("c3", 32))
	w.last().Extension = true

	custom := claim.Card{ID: "acme.tokens", Name: "Token budget", Description: "Two calls or more", Claims: []claim.Claim{
		{ID: "two_calls", Description: "At least two receipts", Check: "receipt_count_ge", Severity: "critical", Params: jcs.Obj(jcs.M("min_count", jcs.Int(2)))}}}
	c := run("custom_01", "allow", 1)
	c.Cards = []claim.Card{custom}
	w.add("custom_01", "", "a custom card travels with the pack and is executed again", honest(c), passes("PASS"), gate)
	posing := run("custom_02", "", 1)
	posing.Cards = []claim.Card{{ID: "guardian-enforcement", Name: "Guardian Enforcement", Claims: []claim.Claim{
		{ID: "guardian_verdict_present", Check: "receipt_count_ge", Severity: "critical", Params: jcs.Obj(jcs.M("min_count", jcs.Int(0)))}}}}
	w.add("custom_02", "K04", "the signer's own card, which cannot fail, under an id that reads like a built-in's: it passes, and that is told", honest(posing), passes("PASS", "W_CARD_LOOKALIKE"), gate)
	breakglass := run("claimfail_03", "allow", 1)
	breakglass.Receipts = append(breakglass.Receipts, line("claimfail_03", 2, receipt.BreakglassType, `"reason":"on call"`))
	w.add("claimfail_03", "", "honest failure: a breakglass receipt, and the card that forbids it",
		honest(spec{breakglass}.cards("no_breakglass").Spec), honestFailure, gate)
	odd := run("claimfail_04", "", 1)
	odd.Receipts = append(odd.Receipts, line("claimfail_04", 1, "governance_posture_snapshot", `"posture":null,"evaluated_at":"2026-01-15T11:00:00Z"`))
	odd.Cards = []claim.Card{{ID: "acme.odd", Name: "Odd claims", Claims: []claim.Claim{
		{ID: "clean", Check: "posture_eligible", Severity: "critical", Params: jcs.Obj()},
		{ID: "none", Check: "posture_eligible", Severity: "warning", Params: jcs.Obj(jcs.M("required_posture", jcs.Value{}))},
		{ID: "seven", Check: "field_value_matches", Severity: "critical", Params: jcs.Obj(jcs.M("receipt_type", jcs.Str("model_call")),
			jcs.M("field_name", jcs.Int(7)), jcs.M("expected_value", jcs.Value{}))}}}}
	w.add("claimfail_04", "", "honest failure: a posture that is null, and claims that nobody means", honest(odd), honestFailure, gate)
	quoted := run("claimfail_05", "", 2)
	quoted.Receipts[0] = jcstest.Set(quoted.Receipts[0], "total_tokens", jcs.Str("9999999"))
	quoted.Cards = []claim.Card{{ID: "acme.budget", Name: "Token budget", Claims: []claim.Claim{{ID: "few", Check: "token_max", Severity: "critical",
		Params: jcs.Obj(jcs.M("max_tokens", jcs.Int(1000)), jcs.M("allow_missing", jcs.Boolean(true)))}}}}
	w.add("claimfail_05", "", "honest failure: a figure in quotes is not a missing one", honest(quoted), honestFailure, gate)
	warn := run("claimwarn_01", "", 1)
	warn.Receipts[0] = jcstest.Set(warn.Receipts[0], "schema_version", jcs.Str("2.0"))
	w.add("claimwarn_01", "", "a failing warning is no failure", honest(spec{warn}.cards("schema_consistency").Spec), passes("PASS"), gate)

	u := run("unicode_01", "allow", 1)
	u.Receipts = append(u.Receipts, line("unicode_01", 2, "model_call", `"note":"naïve 日本語 \ud83d\ude00 \u2028 \u2029 \u0085 \u007f e\u0301 \u00e9","cost":1.5e-9,"big":1e21,"third":0.3333333333333333`))
	w.add("unicode_01", "P09", "an honest receipt holds U+2028, U+2029 and U+0085, escaped as our builder writes them", honest(u), passes("SKIPPED"))
	text := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029", `\u0085`, "\u0085").Replace(string(honest(u)[receipts]))
	w.add("unicode_02", "P09", "the same unescaped, as the reference builder writes them", withLines(honest(u), text), passes("SKIPPED", "W_PORTABILITY"))
	bigInt := strings.Replace(string(w.plain[receipts]), `"latency_ms":812`, `"latency_ms":9007199254740993`, 1)
	w.add("bigint_01", "P06", "an integer beyond 2^53 keeps its digits", withLines(w.plain, bigInt), passes("SKIPPED"))
	w.add("many_01", "", "a hundred receipts", honest(run("many_01", "allow", 67)), passes("SKIPPED"))
}

// duplicates is P01: two readers of one document must not see two documents.
func (w *world) duplicates() {
	prepend := strings.Replace(string(w.base[manifestFile]), "{", `{"signer_id": "mallory", "signature": "", "attestation": {"pack_id": "x"},`, 1)
	w.bad("p01_prepended", "P01 U5 T12", "signer_id, signature and attestation repeated in front of a signed manifest", w.base.with(manifestFile, []byte(prepend)), canon)
	w.bad("p01_root", "P01", "pack_id twice in the manifest, signed", before(w.base, "pack_id", jcs.Str("x")), canon)
	w.bad("p01_attestation", "P01", "claim_check twice in the attestation, signed", before(w.base, "attestation.claim_check", jcs.Str("FAIL")), canon)
	w.bad("p01_ci", "P01", "commit_sha twice in ci_binding, signed", before(w.loaded, "attestation.ci_binding.commit_sha", jcs.Str(strings.Repeat("0", 40))), canon)
	entry := get(w.base.parsed(manifestFile), "files").Items[0]
	entry.Members = append(slices.Clone(entry.Members), jcs.M("path", jcs.Str("x")))
	entries := slices.Clone(get(w.base.parsed(manifestFile), "files").Items)
	entries[0] = entry
	w.bad("p01_file", "P01", "path twice in an entry of files, signed", forged(w.base, "files", jcs.Arr(entries...)), canon)
	w.bad("p01_escaped", "P01", "the second spelling is escaped", w.base.swap(manifestFile, `"pack_id": `, `"p\u0061ck_id": "x", "pack_id": `), canon)
	w.bad("p01_receipt", "P01 U6", "model_id twice in each receipt, signed",
		withLines(w.plain, strings.ReplaceAll(string(w.plain[receipts]), `"model_id":"gpt-4"`, `"model_id":"gpt-4","model_id":"gpt-5"`)), canon)
	w.bad("p01_nested", "P01", "a nested member twice in a receipt, signed",
		withLines(w.plain, strings.Replace(string(w.plain[receipts]), `"model_id":"gpt-4"`, `"model_id":{"a":[{"b":1,"b":2}]}`, 1)), canon)
	r := w.base.parsed(report)
	w.bad("p01_report", "P01", "passed twice in the report, signed",
		resigned(w.base.with(report, pretty(jcstest.Edit(r, "passed", func(ms []jcs.Member, i int) []jcs.Member {
			return slices.Insert(ms, i, jcs.M("passed", jcs.Boolean(false)))
		}))), w.base.parsed(manifestFile), signer), canon)
}

// names is P02 to P04: members and identifiers that look like others.
func (w *world) names() {
	w.bad("p02_upper", "P02", "SIGNER_ID for signer_id", renamed(w.base, "signer_id", "SIGNER_ID"), tamper)
	w.bad("p02_long_s", "P02", "U+017F for s in signer_id", renamed(w.base, "signer_id", "\u017figner_id"), tamper)
	w.bad("p02_kelvin", "P02", "U+212A for k in claim_check", renamed(w.base, "attestation.claim_check", "claim_chec\u212a"), tamper)
	w.bad("p02_also", "P02", "Signature beside signature", added(w.base, "signature", "Signature"), tamper)
	for _, path := range []string{"signer_id", "files", "attestation", "attestation.claim_check", "attestation.run_id"} {
		w.bad("p03_"+strings.ReplaceAll(path, ".", "_"), "P03", path+" is null", forged(w.base, path, jcs.Value{}), tamper)
	}
	for name, id := range inOrder(map[string]string{"cyrillic": "p\u0430ck_x", "bidi": "pack_\u202ex", "zero_width": "pack\u200b_x", "nfd": "pac\u0301k"}) {
		w.bad("p04_"+name, "P04", "a pack_id that looks like another", reported(forged(w.base, "pack_id", jcs.Str(id), "attestation.pack_id", jcs.Str(id)), "pack_id", jcs.Str(id)), tamper)
	}
	w.bad("p04_name", "P04", "a member name of a receipt holds a Cyrillic letter",
		withLines(w.plain, strings.Replace(string(w.plain[receipts]), `"model_id"`, "\"m\u043edel_id\"", 1)), canon)
}

// texts is P05 to P10: what is not the JSON or the lines that a builder writes.
func (w *world) texts() {
	inReceipt := func(old, to string) files {
		return withLines(w.plain, strings.Replace(string(w.plain[receipts]), old, to, 1))
	}
	w.bad("p05_utf8", "P05 T3", "the byte FF in a receipt, signed", inReceipt("policy v1", "policy \xff1"), tamper)
	w.bad("p05_overlong", "P05", "an overlong slash in a receipt, signed", inReceipt("policy v1", "policy \xc0\xaf"), tamper)
	w.bad("p05_cesu", "P05", "a surrogate pair in UTF-8 in a receipt, signed", inReceipt("policy v1", "policy \xed\xa0\xbd\xed\xb8\x80"), tamper)
	w.bad("p05_surrogate", "P05 T6", "an escaped lone surrogate in a receipt, signed", inReceipt("policy v1", `policy \ud800`), tamper)
	w.bad("p05_manifest", "P05", "the byte FF in the manifest", w.base.swap(manifestFile, "corpus-signer", "corpus\xffsigner"), tamper)
	for name, number := range inOrder(map[string]string{"overflow": "1e400", "nan": "NaN", "infinity": "-Infinity", "octal": "01", "plus": "+1", "hex": "0x10",
		"underscore": "1_000", "digits": strings.Repeat("7", 5000), "float": "812.0", "minus_zero": "-0", "exponent": "8e2"}) {
		w.bad("p06_"+name, "P06", "a number spelled "+number[:min(len(number), 12)]+" in a receipt, signed", inReceipt(`"latency_ms":812`, `"latency_ms":`+number))
	}
	rounded := withLines(w.plain, strings.Replace(string(w.plain[receipts]), `"risk_score":0.25`, `"risk_score":9007199254740993`, 1))
	last := bytes.Split(bytes.TrimSpace(rounded[receipts]), []byte("\n"))
	doubled := bytes.Replace(last[len(last)-1], []byte("740993"), []byte("740992"), 1)
	w.bad("p06_rounded", "P06 T5", "head_hash computed with 2^53+1 rounded to a double",
		forged(reported(rounded, "head_hash", jcs.Str(hexSum(doubled))), "attestation.head_hash", jcs.Str(hexSum(doubled))), tamper)
	deep := strings.Repeat("[", 20000)
	w.bad("p07_receipt", "P07", "a receipt line of 20,000 open brackets, signed", withLines(w.plain, string(w.plain[receipts])+deep+"\n"), tamper)
	w.bad("p07_closed", "P07", "a receipt nested 20,000 deep, signed", inReceipt(`"risk_score":0.25`, `"risk_score":`+deep+strings.Repeat("]", 20000)), tamper)
	w.bad("p07_manifest", "P07 P25", "a manifest of 20,000 open brackets", w.base.with(manifestFile, []byte(deep)), tamper)
	w.bad("p07_report", "P07", "a report of 20,000 open brackets, signed", resigned(w.base.with(report, []byte(deep)), w.base.parsed(manifestFile), signer), tamper)

	text := string(w.plain[receipts])
	for name, to := range inOrder(map[string]string{
		"crlf": strings.ReplaceAll(text, "\n", "\r\n"), "cr": strings.ReplaceAll(text, "\n", "\r"), "bom": "\ufeff" + text,
		"blank_first": "\n" + text, "blank_last": text + "\n", "no_newline": strings.TrimSuffix(text, "\n"), "space": strings.Replace(text, `":`, `": `, 1),
		"vertical_tab": strings.Replace(text, "\n", "\v\n", 1), "form_feed": strings.Replace(text, "\n", "\f\n", 1),
		"nel": strings.Replace(text, "\n", "\u0085", 1), "separator": strings.Replace(text, "\n", "\u2028", 1), "unsorted": unsorted(text),
	}) {
		attacks := "P09"
		if name == "bom" {
			attacks = "P09 T4"
		}
		w.bad("p09_"+name, attacks, "receipt lines, signed: "+strings.ReplaceAll(name, "_", " "), withLines(w.plain, to), tamper)
	}
	checkedOut := w.plain
	for _, name := range []string{receipts, report, transcript, manifestFile} {
		checkedOut = checkedOut.with(name, bytes.ReplaceAll(checkedOut[name], []byte("\n"), []byte("\r\n")))
	}
	w.bad("p09_checkout", "P09", "every text as git checks it out on Windows: no line ends are forgiven", checkedOut, tamper)
	for name, tail := range inOrder(map[string]string{"nul": "\x00", "document": "{}", "letter": "x", "bracket": "]", "comma": ",", "form_feed": "\f"}) {
		w.bad("p10_"+name, "P10", fmt.Sprintf("%q behind the manifest", tail), w.base.with(manifestFile, append(bytes.Clone(w.base[manifestFile]), tail...)), tamper)
	}
}

// inOrder ranges over a map by its sorted names: the corpus is the same every time.
func inOrder[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

// unsorted puts a member of the first line in front of those before it.
func unsorted(text string) string {
	return strings.Replace(strings.Replace(text, `,"type":"model_call"}`, "}", 1), "{", `{"type":"model_call",`, 1)
}

// forms is P18 to P21: members and files left out, added, repeated.
func (w *world) forms() {
	for _, path := range []string{"signature", "files", "expected_files", "attestation_sha256", "signer_pubkey", "pack_version", "receipt_count_expected",
		"attestation.head_hash", "attestation.n_receipts", "attestation.claim_set_hash", "attestation.receipt_integrity"} {
		w.bad("p19_"+strings.ReplaceAll(path, ".", "_"), "P19", path+" is left out", deleted(w.base, path), tamper)
	}
	w.bad("p19_version", "P19", "pack_version 0.0.0", forged(w.base, "pack_version", jcs.Str("0.0.0")), tamper)
	w.bad("p19_algorithm", "P19", "signature_alg none", forged(w.base, "signature_alg", jcs.Str("none")), tamper)
	w.bad("p20_root", "P20", "an unknown member of the manifest, signed", added(w.base, "pack_id", "x_extra"), tamper)
	w.bad("p20_attestation", "P20", "an unknown member of the attestation, signed", added(w.base, "attestation.pack_id", "x_extra"), tamper)
	w.bad("p20_ci", "P20", "an unknown member of ci_binding, signed", added(w.loaded, "attestation.ci_binding.repo", "x_extra"), tamper)
	// What nothing covers decides nothing: packs of old releases have such files (PCK-2).
	w.add("p20_file", "P20 U13", "an unsigned file in the folder: named in a warning, believed by nobody",
		w.base.with("evidence.txt", []byte("all is well\n")), passes("PASS", extraFile), gate)

	entries := get(w.base.parsed(manifestFile), "files").Items
	omitted := forged(w.base, "files", jcs.Arr(entries[1], entries[1], entries[2]))
	w.bad("p21_omitted", "P21 U1 T10", "files leaves the receipts out", omitted, tamper)
	w.bad("p21_rewritten", "P21 U1 T10", "files leaves the receipts out, and somebody rewrote them", omitted.swap(receipts, `"total_tokens":700`, `"total_tokens":7`), tamper)
	w.bad("p21_twice", "P21", "files lists the receipts twice", forged(w.base, "files", jcs.Arr(append(slices.Clone(entries), entries[0])...)), tamper)
	w.bad("p21_order", "P21", "files in another order", forged(w.base, "files", jcs.Arr(entries[1], entries[0], entries[2])), tamper)
	names := get(w.base.parsed(manifestFile), "expected_files").Items
	w.bad("p21_expected", "P21", "expected_files leaves the signature out", forged(w.base, "expected_files", jcs.Arr(names[:4]...)), tamper)
	w.bad("p21_dot", "P21", "expected_files names the folder", forged(w.base, "expected_files", jcs.Arr(append(slices.Clone(names), jcs.Str("."))...)), tamper)
}

// fileSystem is P08, P11, P12 and P14: files that are not what they seem.
func (w *world) fileSystem() {
	for name, path := range inOrder(map[string]string{"parent": "../receipt_pack.jsonl", "absolute": "/etc/passwd", "inner": "x/../receipt_pack.jsonl", "backslash": `..\receipt_pack.jsonl`}) {
		entries := slices.Clone(get(w.base.parsed(manifestFile), "files").Items)
		entries[0] = jcstest.Set(entries[0], "path", jcs.Str(path))
		w.bad("p11_"+name, "P11", "files names "+path+", signed", forged(w.base, "files", jcs.Arr(entries...)))
	}
	target := "packs/base_01"
	link := func(name, text string) conformance.Step {
		return conformance.Step{Op: "symlink", Name: name, Text: text}
	}
	w.made("p11_link_out", "P11 T15 U14c", "the receipts are a link to a device", target, tampered(escape), link(receipts, "/dev/zero"))
	w.made("p11_link_self", "P11", "the manifest is a link to itself", target, tampered(), link(manifestFile, manifestFile))
	w.made("p11_link_in", "P11", "the receipts are a link inside the pack", target, tampered(escape),
		conformance.Step{Op: "mkdir", Name: "_unsigned"}, conformance.Step{Op: "move", Name: receipts, Text: "_unsigned/x"}, link(receipts, "_unsigned/x"))
	w.made("p11_link_dangling", "P11", "the signature is a link to nothing", target, tampered(escape), link(signature, "nowhere"))
	for _, name := range []string{receipts, manifestFile, signature} {
		w.made("p12_fifo_"+strings.SplitN(name, ".", 2)[0], "P12 U14a", name+" is a FIFO that nobody writes to", target, tampered(tamper), conformance.Step{Op: "fifo", Name: name})
	}
	w.made("p12_sparse", "P12", "the transcript is a sparse tebibyte", target, tampered(tamper), conformance.Step{Op: "sparse", Name: transcript, Size: 1 << 40})
	w.made("p12_sparse_manifest", "P12", "the manifest is a sparse tebibyte", target, tampered(tamper), conformance.Step{Op: "sparse", Name: manifestFile, Size: 1 << 40})
	w.made("p08_line", "P08", "a receipt line of eight mebibytes", target, tampered(tamper), conformance.Step{Op: "repeat", Name: receipts, Text: "a", Size: 8 << 20})
	w.made("p08_lines", "P08", "four million empty lines", target, tampered(tamper), conformance.Step{Op: "repeat", Name: receipts, Text: "\n", Size: 4 << 20})
	w.made("p08_manifest", "P08", "sixteen mebibytes of spaces behind the manifest", target, tampered(tamper), conformance.Step{Op: "repeat", Name: manifestFile, Text: " ", Size: 16 << 20})
	w.files["packs/p14_archive.zip"] = []byte("PK\x05\x06" + strings.Repeat("\x00", 18))
	w.again("p14_archive", "P14", "an archive is not a pack", "packs/p14_archive.zip", conformance.Expect{Exit: 3}, gate)
	w.again("missing_01", "", "no pack at all", "packs/no_such_pack", conformance.Expect{Exit: 3}, gate)
}

// signatures is P15 to P17.
func (w *world) signatures() {
	sig := base64.StdEncoding.EncodeToString(w.base[signature])
	for name, spelling := range inOrder(map[string]string{"junk": sig[:8] + "*" + sig[8:], "newline": sig[:8] + "\n" + sig[8:], "space": sig + " ",
		"no_padding": strings.TrimRight(sig, "="), "url": strings.NewReplacer("+", "-", "/", "_").Replace(sig[:86]) + "==", "short": base64.StdEncoding.EncodeToString(w.base[signature][:63]),
		"long": base64.StdEncoding.EncodeToString(append(bytes.Clone(w.base[signature]), 0)), "empty": ""}) {
		if spelling == sig {
			panic("the signature of the base pack spells alike in both alphabets: change its run id")
		}
		attacks := "P15"
		if name == "junk" || name == "space" {
			attacks = "P15 U22"
		}
		m := jcstest.Set(w.base.parsed(manifestFile), "signature", jcs.Str(spelling))
		w.bad("p15_"+name, attacks, "another spelling of the signature: "+strings.ReplaceAll(name, "_", " "), w.base.with(manifestFile, pretty(m)), badSig)
	}
	plus := plusOrder(w.base[signature])
	w.bad("p15_plus_l", "P15", "S + L instead of S",
		w.base.with(manifestFile, pretty(jcstest.Set(w.base.parsed(manifestFile), "signature", encoded(plus)))).with(signature, plus), badSig)
	w.bad("p15_detached", "P15", "the detached signature is another one", w.base.with(signature, make([]byte, 64)), badSig)
	identity := append([]byte{1}, make([]byte, 31)...)
	one := append(bytes.Clone(identity), make([]byte, 32)...)
	m := w.base.parsed(manifestFile)
	for path, to := range inOrder(map[string]jcs.Value{"signer_pubkey": encoded(identity), "signer_pubkey_sha256": jcs.Str(hexSum(identity)), "signature": encoded(one)}) {
		m = jcstest.Set(m, path, to)
	}
	w.bad("p16_identity", "P16 T1", "the key is the identity: one signature fits every pack", w.base.with(manifestFile, pretty(m)).with(signature, one), badSig)
	swapped := resigned(w.base, w.base.parsed(manifestFile), mallory, "signer_id")
	w.add("p17_swapped", "P17 U30", "another key signed and kept the signer's name: intact, and the signer is nobody we know", swapped, passes("PASS"), gate)
	w.again("p17_locked", "P17 U30 U7", "the same under a lock that names the signer's key", "packs/p17_swapped", conformance.Expect{Exit: 2, Integrity: "PASS", Claims: "PASS", Codes: []string{"E_SIGNER_UNTRUSTED"}}, gate, "--lock", "{corpus}/locks/signer.lock")
}

// plusOrder adds the group's order to S: the same residue in another spelling.
func plusOrder(sig []byte) []byte {
	sig = bytes.Clone(sig)
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	carry := 0
	for i := range order {
		carry += int(sig[ed25519.SignatureSize/2+i]) + int(order[i])
		sig[ed25519.SignatureSize/2+i], carry = byte(carry), carry>>8
	}
	return sig
}

// contradictions is P18 and P23: facts told twice in two ways, and verdicts that are not so.
func (w *world) contradictions() {
	zeros := jcs.Str(strings.Repeat("0", 64))
	for id, c := range inOrder(map[string]struct {
		attacks, path string
		to            jcs.Value
	}{
		"p18_pack_id": {"P18 U9", "pack_id", jcs.Str("pack_x")}, "p18_suite_hash": {"P18", "suite_hash", zeros},
		"p18_claim_set_id": {"P18", "claim_set_id", jcs.Str("x")}, "p18_claim_set_hash": {"P18 U3c", "attestation.claim_set_hash", zeros},
		"p18_fingerprint": {"P18", "signer_pubkey_sha256", zeros}, "p18_attestation": {"P18", "attestation_sha256", zeros}, "p18_root": {"P18", "pack_root_sha256", zeros},
		"p23_integrity": {"P23 U4 T17", "attestation.receipt_integrity", jcs.Str("FAIL")}, "p23_count": {"P23 U8", "attestation.n_receipts", jcs.Int(10000)},
		"p23_expected": {"P23", "receipt_count_expected", jcs.Int(10000)}, "p23_head": {"P23", "attestation.head_hash", zeros},
		"p23_discrepancy": {"P23", "attestation.discrepancy_fingerprint", zeros}, "p23_not_evaluated": {"P23", "attestation.claim_check", jcs.Str("N/A")},
	}) {
		w.bad(id, c.attacks, c.path+" is a lie, signed", forged(w.base, c.path, c.to))
	}
	w.bad("p23_claim_check", "P23 U3b", "claim_check says PASS of claims that fail, signed", lie(w.lying), tamper)
	w.bad("p23_count_all", "P23 U8", "10,000 receipts are attested everywhere, two are there",
		reported(forged(w.base, "attestation.n_receipts", jcs.Int(10000), "receipt_count_expected", jcs.Int(10000)), "receipt_count", jcs.Int(10000)), omission)
	w.bad("p23_report", "P23", "the report says another claim verdict than the manifest", reported(w.lying, "claim_verdict", jcs.Str("PASS")), tamper)
	first, second, _ := strings.Cut(strings.TrimSuffix(string(w.plain[receipts]), "\n"), "\n")
	id := strings.SplitN(strings.SplitN(first, `"receipt_id":"`, 2)[1], `"`, 2)[0]
	other := strings.SplitN(strings.SplitN(second, `"receipt_id":"`, 2)[1], `"`, 2)[0]
	dup := withLines(w.plain, first+"\n"+strings.Replace(second, other, id, 1)+"\n")
	w.bad("p23_duplicate_id", "P23", "a receipt_id twice, signed", dup, duplicate)
	w.bad("p23_attested_fail", "P23 U4 T17", "a receipt_id twice, and the attestation says so",
		reported(forged(dup, "attestation.receipt_integrity", jcs.Str("FAIL")), "passed", jcs.Boolean(false), "integrity_verdict", jcs.Str("TAMPERED")), duplicate)
	w.bad("p23_numeric_ids", "P23 T8", "receipt ids are numbers", withLines(w.plain, strings.ReplaceAll(string(w.plain[receipts]), `"receipt_id":"r_`, `"receipt_id":7,"x":"r_`)), unknown)
	w.bad("p23_type", "P23", "a type that is not admitted", withLines(w.plain, strings.Replace(string(w.plain[receipts]), `"type":"model_call"`, `"type":"breakglass"`, 1)), unknown)
	w.bad("p23_swapped", "P23", "two lines change places, signed", withLines(w.plain, second+"\n"+first+"\n"), tamper)
}

// check is a line of a report's checks.
func check(name, verdict string) jcs.Value {
	return jcs.Obj(jcs.M("name", jcs.Str(name)), jcs.M("verdict", jcs.Str(verdict)))
}

// reports is P23 in the report: it is signed, and says something else than the pack that it is in.
func (w *world) reports() {
	pass := jcs.Str("PASS")
	for name, c := range inOrder(map[string]struct {
		path string
		to   jcs.Value
	}{
		"overall": {"overall_verdict", pass}, "reason": {"overall_reason", jcs.Str("required_channels_passed; optional_channels_not_evaluated=replay,trust")},
		"blocking": {"blocking_channel", jcs.Value{}}, "profile": {"evaluation_profile", jcs.Str("integrity_claim_replay_trust_required")},
		"required": {"required_channels", jcs.Arr(jcs.Str("integrity"))}, "unevaluated": {"unevaluated_channels", jcs.Arr()},
		"trust": {"trust_verdict", pass}, "replay": {"replay_verdict", jcs.Str("MATCH")}, "id": {"report_id", jcs.Str("vr_00000000000000000000")},
		"manifest": {"pack_manifest_sha256", jcs.Str(strings.Repeat("0", 64))}, "version": {"verifier.version", jcs.Str("9.9.9")},
		"check_claim": {"checks", jcs.Arr(check("claim_check", "PASS"))}, "check_trust": {"checks", jcs.Arr(check("trust", "PASS"))},
		"check_integrity": {"checks", jcs.Arr(check("receipt_pack_integrity", "TAMPERED"))},
		"summary":         {"summary.claim", jcs.Str("Evidence satisfied the evaluated claim set.")}, "errors": {"errors", jcs.Arr(jcs.Str("x"))},
		"check_object": {"checks", jcs.Obj(jcs.M("claim_check", pass))}, "check_text": {"checks", jcs.Str("claim_check PASS")},
		"summary_object": {"summary.claim", jcs.Obj(jcs.M("text", jcs.Str("Evidence satisfied the evaluated claim set.")))}, "summary_text": {"summary", pass},
	}) {
		w.bad("p23_report_"+name, "P23", "claims fail, and "+c.path+" of the report contradicts the pack, signed", reported(w.lying, c.path, c.to), tamper)
	}
	scoped := func(proves, not []string) jcs.Value {
		words := func(list []string) (v jcs.Value) {
			v = jcs.Arr()
			for _, s := range list {
				v.Items = append(v.Items, jcs.Str(s))
			}
			return v
		}
		ran := jcs.Obj(jcs.M("integrity", jcs.Str("ran")), jcs.M("claim", jcs.Str("ran")), jcs.M("replay", jcs.Str("not_run")), jcs.M("trust", jcs.Str("not_evaluated")))
		return jcs.Obj(jcs.M("schema", jcs.Str("assay.verify.scope.v1")), jcs.M("channels", ran), jcs.M("extensions", jcs.Obj()), jcs.M("proves", words(proves)), jcs.M("does_not_prove", words(not)))
	}
	never := []string{"output_correctness", "output_safety", "business_policy_fitness", "legal_compliance", "instrumentation_completeness", "signer_authority_beyond_configured_trust"}
	more := func(name string, v jcs.Value) files {
		r := w.lying.parsed(report)
		r.Members = append(slices.Clone(r.Members), jcs.M(name, v))
		return resigned(w.lying.with(report, pretty(r)), w.lying.parsed(manifestFile), signer)
	}
	with := func(scope jcs.Value) files { return more("scope", scope) }
	for name, v := range inOrder(map[string]jcs.Value{"channels": jcs.Obj(jcs.M("integrity", pass), jcs.M("claims", pass)), "claim_check": pass, "claims_reexecuted": jcs.Boolean(true),
		"signer": jcs.Obj(jcs.M("pinned", jcs.Boolean(true))), "stages": jcs.Obj(jcs.M("validate_schema", jcs.Str("fail")))}) {
		w.bad("p23_report_poses_"+name, "P23", "claims fail, and "+name+" of the report speaks as a verifier, or is of another type, signed", more(name, v), tamper)
	}
	w.add("scope_01", "", "honest failure: a scope that says what was evaluated", with(scoped([]string{"pack_integrity", "claim_set_evaluated"}, never)), honestFailure, gate)
	w.bad("p23_scope_proves", "P23", "claims fail, and the scope says that they are satisfied, signed", with(scoped([]string{"claim_set_satisfied"}, never)), tamper)
	object := jcstest.Set(scoped(nil, never), "proves", jcs.Obj(jcs.M("claim_set_satisfied", jcs.Boolean(true)), jcs.M("output_safety", jcs.Boolean(true))))
	w.bad("p23_scope_object", "P23", "claims fail, and the scope says in an object that they are satisfied, signed", with(object), tamper)
	w.bad("p23_scope_silent", "P23", "the scope leaves out what no pack proves, signed", with(scoped([]string{"claim_set_evaluated"}, never[:3])), tamper)
	results := slices.Clone(get(w.lying.parsed(report), "claim_verification.results").Items)
	for i := range results {
		if len(get(results[i], "evidence_receipt_ids").Items) > 0 {
			results[i] = jcstest.Set(results[i], "evidence_receipt_ids", jcs.Arr(jcs.Str("r_elsewhere")))
		}
	}
	w.bad("p23_report_evidence", "P23", "the report names receipts as evidence that are not there, signed", reported(w.lying, "claim_verification.results", jcs.Arr(results...)), tamper)
}

// lie makes a pack of failing claims say that they pass, in every place where a signer can.
func lie(f files) files {
	r, m := f.parsed(report), f.parsed(manifestFile)
	var results []jcs.Value
	for _, item := range get(r, "claim_verification.results").Items {
		results = append(results, jcstest.Set(item, "passed", jcs.Boolean(true)))
	}
	sum := fingerprint(get(m, "attestation.policy_hash"), get(m, "attestation.suite_hash"), results)
	n := jcs.Int(int64(len(results)))
	r = jcstest.Set(r, "claim_verification.results", jcs.Arr(results...))
	for path, to := range inOrder(map[string]jcs.Value{"claim_verification.passed": jcs.Boolean(true), "claim_verification.n_passed": n,
		"claim_verification.n_failed": jcs.Int(0), "claim_verification.discrepancy_fingerprint": sum, "claim_verdict": jcs.Str("PASS"), "overall_verdict": jcs.Str("PASS"),
		"overall_reason": jcs.Str("required_channels_passed; optional_channels_not_evaluated=replay,trust"), "blocking_channel": {},
		"checks": jcs.Arr(check("claim_check", "PASS"))}) {
		r = jcstest.Set(r, path, to)
	}
	r = identified(r)
	m = jcstest.Set(jcstest.Set(m, "attestation.claim_check", jcs.Str("PASS")), "attestation.discrepancy_fingerprint", sum)
	return resigned(f.with(report, pretty(r)), m, signer)
}

// fingerprint is the discrepancy_fingerprint of claims.md §4.5.
func fingerprint(policy, suite jcs.Value, results []jcs.Value) jcs.Value {
	list := jcs.Arr()
	for _, r := range results {
		item := jcs.Obj()
		for _, name := range []string{"claim_id", "passed", "expected", "actual", "severity"} {
			item.Members = append(item.Members, jcs.M(name, get(r, name)))
		}
		list.Items = append(list.Items, item)
	}
	slices.SortStableFunc(list.Items, func(a, b jcs.Value) int { return strings.Compare(get(a, "claim_id").Text, get(b, "claim_id").Text) })
	text, err := jcs.AppendPack(nil, jcs.Obj(jcs.M("policy_hash", policy), jcs.M("suite_hash", suite), jcs.M("results", list)))
	if err != nil {
		panic(err)
	}
	return jcs.Str(hexSum(text))
}

// times is P22.
func (w *world) times() {
	at := func(i int) string { return fmt.Sprintf("2026-01-15T11:00:%02d.000000+00:00", i) }
	w.bad("p22_future", "P22 T11", "an attestation of the year 2999", forged(w.base, "attestation.timestamp_end", jcs.Str("2999-01-01T00:00:00+00:00")), tamper)
	w.add("p22_receipts_future", "P22 U12", "receipts of the year 2099, attested as such: intact, and refused",
		forged(withLines(w.plain, strings.ReplaceAll(string(w.plain[receipts]), "2026-01-15", "2099-01-15")),
			"attestation.timestamp_start", jcs.Str("2099-01-15T11:00:00.000000+00:00"), "attestation.timestamp_end", jcs.Str("2099-01-15T11:00:01.000000+00:00")), conformance.Expect{Exit: 2, Integrity: "PASS", Claims: "SKIPPED", Codes: []string{badTime}})
	w.bad("p22_old_receipts", "P22 U12", "receipts 900 days older than what is attested", withLines(w.plain, strings.ReplaceAll(string(w.plain[receipts]), "2026-01-15", "2023-07-30")), tamper)
	w.bad("p22_range", "P22", "timestamp_start before the first receipt", forged(w.plain, "attestation.timestamp_start", jcs.Str("2026-01-15T10:00:00.000000+00:00")), tamper)
	w.bad("p22_yesterday", "P22 T9", `a receipt of "yesterday"`, withLines(w.plain, strings.Replace(string(w.plain[receipts]), at(0), "yesterday", 1)), badTime)
	w.bad("p22_second_60", "P22", "a leap second", withLines(w.plain, strings.Replace(string(w.plain[receipts]), at(1), "2026-01-15T11:00:60.000000+00:00", 1)), badTime)
	w.bad("p22_boolean", "P22", "a timestamp that is true", withLines(w.plain, strings.Replace(string(w.plain[receipts]), `"`+at(0)+`"`, "true", 1)), unknown)
	for name, text := range inOrder(map[string]string{"no_zone": "2026-01-15T11:00:00", "lower": "2026-01-15t11:00:00z", "space": "2026-01-15 11:00:00+00:00", "hour_24": "2026-01-15T24:00:00+00:00",
		"second_60": "2026-01-15T11:00:60+00:00", "year_0": "0000-01-15T11:00:00+00:00", "newline": "2026-01-15T11:00:00+00:00\n"}) {
		w.bad("p22_attested_"+name, "P22", fmt.Sprintf("timestamp_start %q", text), forged(w.base, "attestation.timestamp_start", jcs.Str(text)), tamper)
	}
}

// crashes is P24 and P25: what made a verifier show or answer something wrong.
func (w *world) crashes() {
	hostile := "x\x1b]0;PASS\x07\x1b[2K\rVERIFICATION PASSED"
	w.bad("p24_pack_id", "P24", "a pack_id that writes on the terminal", forged(w.base, "pack_id", jcs.Str(hostile), "attestation.pack_id", jcs.Str(hostile)), tamper)
	c := claim.Card{ID: "acme.hostile", Name: "Hostile", Claims: []claim.Claim{{ID: "hostile", Description: "<script>alert(1)</script>",
		Check: "field_value_matches", Severity: "critical", Params: jcs.Obj(jcs.M("receipt_type", jcs.Str("model_call")), jcs.M("field_name", jcs.Str("=cmd|' /C calc'!A0")), jcs.M("expected_value", jcs.Str(hostile)))}}}
	s := run("p24", "", 1)
	s.Cards = []claim.Card{c}
	w.add("p24_claim", "P24", "a failing claim whose words write on the terminal", honest(s), honestFailure, gate)
	for name, text := range inOrder(map[string]string{"empty": "", "list": "[]", "null": "null", "truncated": string(w.base[manifestFile][:len(w.base[manifestFile])/2]), "object": "{}"}) {
		w.bad("p25_manifest_"+name, "P25", "the manifest: "+name, w.base.with(manifestFile, []byte(text)), tamper)
	}
	w.bad("p25_no_manifest", "P25", "no manifest", w.base.without(manifestFile), tamper)
	w.bad("p25_enum", "P25", "a mode that nobody knows", w.base.swap(manifestFile, `"shadow"`, `"shadowy"`), tamper)
	w.bad("p25_unsigned", "P25 P19", "the signature is stripped", w.base.with(manifestFile, pretty(w.base.parsed(manifestFile).Without("signature"))), tamper)
	w.bad("p25_surrogate", "P25", "a lone surrogate in the manifest", w.base.swap(manifestFile, "corpus-signer", `corpus\ud800signer`), tamper)
	w.bad("p25_key", "P25", "signer_pubkey is empty", forged(w.base, "signer_pubkey", jcs.Str("")), badSig)
	for name, text := range inOrder(map[string]string{"null": "null", "list": "[1]", "number": "7", "string": `"x"`, "list_id": `{"receipt_id":["x"],"timestamp":"2026-01-15T11:00:02+00:00","type":"model_call"}`}) {
		attacks := "P25"
		if name == "null" {
			attacks = "P25 T7"
		}
		w.bad("p25_line_"+name, attacks, "a receipt line: "+name, withLines(w.plain, string(w.plain[receipts])+text+"\n"))
	}
}

// bits is P26, in samples: a test flips every bit.
func (w *world) bits() {
	for _, name := range []string{receipts, report, transcript, manifestFile, signature} {
		data := bytes.Clone(w.base[name])
		data[len(data)/2] ^= 1
		id := strings.SplitN(name, ".", 2)[0]
		w.bad("p26_bit_"+id, "P26", "one bit of "+name, w.base.with(name, data))
		w.bad("p26_cut_"+id, "P26", "half of "+name, w.base.with(name, w.base[name][:len(w.base[name])/2]))
		if name != manifestFile {
			w.bad("p26_gone_"+id, "P26", "without "+name, w.base.without(name), tamperOrSig(name))
		}
	}
	w.bad("p26_splice", "P26", "the receipts of another pack of the same signer", w.base.with(receipts, w.loaded[receipts]), tamper)
}

func tamperOrSig(name string) string {
	if name == signature {
		return badSig
	}
	return tamper
}

// locks is K01 to K08.
func (w *world) locks() {
	locked := func(name string, spec lock.Spec) []byte {
		spec.At = builtAt
		l, err := lock.New(spec)
		if err != nil {
			panic(err)
		}
		v := parse(string(l.Marshal()))
		text := append(pretty(jcstest.Set(v, "locked_by_assay_version", jcs.Str(producer))), '\n')
		w.files["locks/"+name] = text
		return text
	}
	two := cards("receipt_completeness", "guardian_enforcement")
	finger, err := lock.KeyFingerprint(signer.Public())
	if err != nil {
		panic(err)
	}
	anybody := locked("any.lock", lock.Spec{Cards: two})
	named := locked("signer.lock", lock.Spec{Cards: two, Signers: lock.Only(finger)})
	locked("other_card.lock", lock.Spec{Cards: cards("receipt_completeness")})
	locked("nobody.lock", lock.Spec{Cards: two, Signers: lock.Only()})
	with := func(name string, text []byte, path string, to jcs.Value) {
		w.files["locks/"+name] = append(pretty(jcstest.Set(parse(string(text)), path, to)), '\n')
	}
	refused := conformance.Expect{Exit: 2} // the lock is: no pack is judged
	drift := func(code string) conformance.Expect {
		return conformance.Expect{Exit: 2, Integrity: "PASS", Claims: "PASS", Codes: []string{code}}
	}
	use := func(id, attacks, title, name string, e conformance.Expect) {
		w.again(id, attacks, title, "packs/base_01", e, gate, "--lock", "{corpus}/locks/"+name)
	}
	use("lock_any", "", "a lock that names the cards of the pack", "any.lock", passes("PASS"))
	use("lock_signer", "", "a lock that names its cards and its signer", "signer.lock", passes("PASS"))
	use("lock_other_card", "", "a lock that names other cards", "other_card.lock", drift("E_LOCK_MISMATCH"))
	use("lock_nobody", "", "an allowlist that admits nobody", "nobody.lock", drift("E_SIGNER_UNTRUSTED"))
	use("lock_missing", "", "a lock that is not there", "no_such.lock", conformance.Expect{Exit: 2}) // VFY-89

	doubled := bytes.Replace(anybody, []byte(`"signer_policy": `), []byte(`"signer_policy": {"mode": "allowlist", "allowed_fingerprints": []}, "signer_policy": `), 1)
	w.files["locks/k01.lock"] = doubled
	use("k01", "K01 L2", "signer_policy twice: a reviewer reads one, a parser the other", "k01.lock", refused)
	with("k02.lock", anybody, "run_cards", jcs.Arr())
	use("k02", "K02 L1", "no run cards, and any claim_set_hash", "k02.lock", refused)
	entries := get(parse(string(anybody)), "run_cards").Items
	shadow := entries[0]
	shadow.Members = append(slices.Clone(shadow.Members), jcs.M("claims", jcs.Arr(parse(`{"claim_id":"nothing","description":"","check":"receipt_count_ge","params":{"min_count":0},"severity":"warning"}`))))
	with("k04_shadow.lock", anybody, "run_cards", jcs.Arr(shadow, entries[1]))
	use("k04_shadow", "K04", "a built-in id with claims of its own", "k04_shadow.lock", refused)
	posing := shadow
	posing.Members = slices.Clone(posing.Members)
	nothing := get(posing, "claims")
	digest, err := jcs.AppendPack(nil, nothing)
	if err != nil {
		panic(err)
	}
	sum := jcs.Str(hexSum(digest))
	composite, err := jcs.AppendPack(nil, jcs.Arr(sum))
	if err != nil {
		panic(err)
	}
	for name, id := range inOrder(map[string]string{"lookalike": "receipt-completeness", "drawn": "receipt_cornpleteness", "suffix": "receipt_completeness.v1",
		"prefix": "assay.receipt_completeness", "words": "acme (built in), x"}) {
		posing = jcstest.Set(jcstest.Set(posing, "id", jcs.Str(id)), "claim_set_hash", sum)
		v := jcstest.Set(jcstest.Set(parse(string(anybody)), "run_cards", jcs.Arr(posing)), "claim_set_hash", sum)
		with("k04_"+name+".lock", pretty(v), "run_cards_composite_hash", jcs.Str(hexSum(composite)))
		use("k04_"+name, "K04", "a card that cannot fail, under an id that reads like a built-in's", "k04_"+name+".lock", refused)
	}
	with("k04_hash.lock", anybody, "run_cards", jcs.Arr(jcstest.Set(entries[0], "claim_set_hash", jcs.Str(strings.Repeat("0", 64))), entries[1]))
	use("k04_hash", "K04", "a card of another hash under the same id", "k04_hash.lock", refused)
	with("k07.lock", anybody, "run_cards", jcs.Arr(parse(`{"id":"acme.coverage","name":"Coverage","claim_set_hash":"`+strings.Repeat("0", 64)+`",`+
		`"claims":[{"claim_id":"c","description":"","check":"coverage_contract","params":{"contract_path":"../../etc/passwd","min_coverage":0.8},"severity":"critical"}]}`)))
	use("k07", "K07", "a card that reads a file of the host", "k07.lock", refused)
	identity := append([]byte{1}, make([]byte, 31)...)
	with("k08.lock", named, "signer_policy.allowed_fingerprints", jcs.Arr(jcs.Str(hexSum(identity))))
	use("k08", "K08", "an allowlist that names the identity key", "k08.lock", refused)
	w.again("k08_pack", "K08", "a pack signed with that key under that lock", "packs/p16_identity", refused, gate, "--lock", "{corpus}/locks/k08.lock")
	for name, c := range inOrder(map[string]struct {
		path string
		to   jcs.Value
	}{
		"version": {"lock_version", jcs.Str("2.0")}, "mode": {"signer_policy.mode", jcs.Str("everybody")}, "min": {"assay_version_min", jcs.Str("99.0.0")},
		"max": {"assay_version_max", jcs.Str("1.0.0")}, "flat": {"claim_set_hash", jcs.Str(strings.Repeat("0", 64))},
		"composite": {"run_cards_composite_hash", jcs.Str(strings.Repeat("0", 64))}, "format": {"pack_format_version", jcs.Str("0.2.0")},
		"list": {"signer_policy.allowed_fingerprints", jcs.Str("x")},
	}) {
		with("bad_"+name+".lock", named, c.path, c.to)
		use("lock_bad_"+name, "", "a lock whose "+c.path+" is wrong", "bad_"+name+".lock", refused)
	}
	for _, name := range []string{"lock_version", "assay_version_min", "pack_format_version", "run_cards", "run_cards_composite_hash", "claim_set_hash", "exit_contract", "signer_policy"} {
		w.files["locks/without_"+name+".lock"] = append(pretty(parse(string(named)).Without(name)), '\n')
		use("lock_without_"+name, "P19", "a lock without "+name, "without_"+name+".lock", refused)
	}
	w.files["locks/array.lock"] = []byte("[]\n")
	use("lock_array", "P25", "a lock that is a list", "array.lock", refused)
	w.again("u3c_locked", "P18 U3c", "claim_set_hash split between manifest and attestation, under a lock", "packs/p18_claim_set_hash", tampered(tamper), gate, "--lock", "{corpus}/locks/any.lock")
	w.again("u3b_locked", "P23 U3b", "a lied claim_check under a lock", "packs/p23_claim_check", tampered(tamper), gate, "--lock", "{corpus}/locks/any.lock")
	w.again("order_01", "", "a broken lock is refused before the pack is looked at", "packs/tampered_01", refused, gate, "--lock", "{corpus}/locks/k02.lock")
}

// anchors is U2, W1 and W2, as far as files can hold them.
func (w *world) anchors() {
	a := run("u2", "allow", 2)
	b := run("u2", "allow", 2)
	a.PackID, b.PackID = "pack_u2", "pack_u2"
	b.Receipts[0] = jcstest.Set(b.Receipts[0], "model_id", jcs.Str("gpt-9"))
	w.add("u2_a", "U2", "one of two honest packs with one pack_root_sha256", honest(a), passes("SKIPPED"))
	w.add("u2_b", "U2", "the other, with another receipt: its manifest digest differs", honest(b), passes("SKIPPED"))
	bundle := `{"schema_version":"1.0.0","witness_type":"rfc3161","pack_root_sha256":"` + get(w.base.parsed(manifestFile), "pack_root_sha256").Text +
		`","tsa_url":"https://tsa.example","query_b64":"AA==","token_b64":"AA==","ca_cert_b64":"AA==","gen_time":"2020-01-01T00:00:00Z"}`
	self := w.base.with("witness_bundle.json", []byte(bundle+"\n"))
	seed := sha256.Sum256([]byte("assay-corpus-v1-log-key-seed"))
	_, vkey, err := trust.GenerateKey(bytes.NewReader(seed[:]), "log.example/corpus", trust.Ed25519)
	if err != nil {
		panic(err)
	}
	w.files["policy"] = trust.FormatPolicy([]trust.PolicyLog{{VKey: vkey}}, nil, 0)
	w.add("w1_bundle", "W1 W2 P19", "a witness bundle that brings its own authority proves nothing", self,
		conformance.Expect{Exit: 2, Integrity: "PASS"}, "--policy", "{corpus}/policy", "--require-anchor")
	w.last().Extension = true
	w.again("w1_unasked", "W1", "the same bundle, and nobody asks for an anchor", "packs/w1_bundle", passes("PASS", extraFile), gate)
	w.again("u7_signer", "U7 P17", "a signer that nobody trusts", "packs/base_01", conformance.Expect{Exit: 2, Integrity: "PASS", Claims: "PASS", Codes: []string{"E_SIGNER_UNTRUSTED"}}, gate, "--trusted-signer", strings.Repeat("0", 64))
	w.last().Extension = true
}

// tests are the attacks that no folder can hold.
func (w *world) tests() {
	w.carried("P13", "a file changes between its hash and its use", "TestAtk_P13_AFileThatChangesBetweenTwoReadsIsReadOnce")
	w.carried("U14b", "good bytes for the hash, others for the parser", "TestAtk_P13_AFileThatChangesBetweenTwoReadsIsReadOnce")
	w.carried("P07", "a million open brackets in every document", "TestAtk_P07_AMillionOpenBracketsAreRefusedAtOnce")
	w.carried("P08", "a gibibyte line, ten million lines", "TestAtk_P08_EndlessFilesTakeBoundedTimeAndMemory")
	w.carried("P16", "all edge keys of C2SP/CCTV", "TestAtk_P16_OnlyAnHonestKeySigns")
	w.carried("P26", "every bit of every file", "TestAtk_P26_EveryFlippedBitIsTampering")
	w.carried("K03", "a lock that changes between its check and its use", "TestAtk_K03_ALockIsReadOnce")
	w.carried("K05", "a change weakens the lock of a repository", "TestAtk_K05_AWeakerLockIsToldFromItsBase")
	w.carried("K06", "patterns that take exponential time elsewhere", "TestAtk_K06_PatternsTakeBoundedEffort")
	w.carried("W1", "tokens of authorities that nobody trusts", "TestTheTimestampOfAnEntryIsBelievedOnlyUnderGivenRoots")
	w.carried("W2", "proofs and tokens of another digest", "TestProofsThatProveSomethingElseFail")
}
