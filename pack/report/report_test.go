package report

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// hostile are texts that try to be more than text, in one format or another.
var hostile = []string{
	"\x1b[2J\x1b[H", "\x1b]0;owned\x07", "\x9b31m", "\u009b2J", "\u0085next", "\u202eevil\u202c", "\u2066x\u2069", "\u200b\u200d\ufeff",
	"\u2028verdict    exit 0: pass", "a\nverdict    exit 0: pass", "a\rverdict    exit 0: pass\r\n", "\nintegrity  PASS", "\x00", "a\x00b", "\xff\xfe", "\xed\xa0\x80",
	"<img src=x onerror=alert(1)>", "</title><script>alert(1)</script>", "</style><style>*{display:none}", "<!--", "]]>", "--></svg>", "&lt;b&gt;", "&amp;#x3c;", "\"onmouseover=\"x", "' autofocus onfocus='x",
	"`", "``` \n# heading", "a | b | c", "[x](javascript:alert(1))", "![x](http://evil.example/a.png)", "<http://evil.example>", "https://evil.example", "**bold** _x_ ~~y~~", "\\", "\\`\\", "| --- |", "@everyone #1", "$(rm -rf /)", "'; rm -rf / #",
	"=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "  =1+1", "\t=1", "＝1+1", "a,b;c\t\"d\"", "%0aevil", strings.Repeat("x", 100_000), strings.Repeat("`", 5000), strings.Repeat("界", 3000), "{{.}}", "%s%n%d", "",
}

// reportOf is a judgement in which every text that a pack, a log or a path controls is text.
func reportOf(text string, integrity pack.Verdict) *Report {
	m := &manifest.Manifest{PackID: text, RunID: text, SignerID: text}
	m.Attestation = manifest.Attestation{PackID: text, RunID: text, SuiteID: text, VerifierVersion: text, ClaimSetID: text, Mode: manifest.Mode(text), TimeAuthority: text,
		TimestampStart: text, TimestampEnd: text, ValidUntil: text, SupersededBy: text, ClaimCheck: "FAIL",
		CIBinding: &manifest.CIBinding{Provider: text, CommitSHA: text, Repo: text, Ref: text, RunID: text, RunAttempt: text, WorkflowRef: text, Actor: text}}
	finding := manifest.Finding{Code: "E_MANIFEST_TAMPER", Field: text, Receipt: 3, Message: text}
	r := &pack.Result{Integrity: integrity, Manifest: m, Receipts: 2,
		Claims: pack.ClaimsResult{Verdict: pack.Fail, Reexecuted: true,
			Results: []claim.Result{{ClaimID: text, Expected: text, Actual: text, Severity: claim.Severity(text), Evidence: []string{text}}}},
		Anchor: pack.AnchorResult{Verdict: pack.Pass,
			Checkpoint: &trust.Checkpoint{Origin: text, Size: 3, Cosignatures: []trust.Cosignature{{Witness: text}}}, Entry: &entry.Logged{Index: 2}},
		Lock: pack.LockResult{Verdict: pack.Fail, Findings: []manifest.Finding{finding}},
		Expectations: pack.ExpectationsResult{Verdict: pack.Fail, Results: []pack.Expectation{
			{Name: "expiry", Verdict: pack.Fail, Expected: "x", Actual: text, Code: "E_PACK_EXPIRED", Message: text},
			{Name: "superseded", Verdict: pack.Skipped, Actual: text, Code: "E_PACK_SUPERSEDED", Message: text},
			{Name: "repository", Verdict: pack.Fail, Expected: text, Actual: text, Code: "E_CI_BINDING_MISMATCH", Message: text}}},
		Coverage: &pack.CoverageResult{Verdict: pack.Fail, Coverage: claim.Coverage{Covered: []string{text}, Uncovered: []string{text}, Extra: []string{text}}},
		Findings: []manifest.Finding{finding}, Warnings: []manifest.Finding{finding},
		Facts: pack.Facts{Types: []pack.Tally{{Name: text + "t", N: 1}}, Models: []pack.Tally{{Name: text + "m", N: 2}}, Providers: []pack.Tally{{Name: text + "p", N: 2}}}}
	return &Report{Result: r, Path: text, At: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC), Version: "0.1.0"}
}

// allPrintable reports text of which nothing moves, hides or rings.
func allPrintable(t *testing.T, what string, out []byte) {
	t.Helper()
	if !utf8.Valid(out) {
		t.Errorf("%s: not UTF-8", what)
	}
	for _, r := range string(out) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s: holds %U", what, r)
			return
		}
	}
}

func eachHostile(t *testing.T, check func(t *testing.T, hostile, benign *Report)) {
	for _, integrity := range []pack.Verdict{pack.Pass, pack.Fail} {
		for _, text := range hostile {
			name := visible(text)
			t.Run(string(integrity)+" "+name[:min(len(name), 20)], func(t *testing.T) { check(t, reportOf(text, integrity), reportOf("x", integrity)) })
		}
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

func TestNoTextOfAPackIsMarkupOfAPage(t *testing.T) {
	eachHostile(t, func(t *testing.T, hostile, benign *Report) {
		page, err := hostile.HTML()
		if err != nil {
			t.Fatal(err)
		}
		allPrintable(t, "page", page)
		want, err := benign.HTML()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := tag.FindAll(skeleton(page), -1), tag.FindAll(skeleton(want), -1); !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("the page has other tags than that of a harmless pack:\n%q\n%q", got, want)
		}
		if len(page) > 200_000 {
			t.Errorf("%d bytes", len(page))
		}
	})
}

// skeleton leaves out facts and severities, which are there only if they are not empty.
func skeleton(page []byte) []byte {
	page = regexp.MustCompile(`(?s)<dt>.*?</dd>`).ReplaceAll(page, nil)
	return regexp.MustCompile(` <span class="tag">.*?</span>`).ReplaceAll(page, nil)
}

// In a code span of ours there is no backslash.
var escaped, codeSpan = regexp.MustCompile(`\\.`), regexp.MustCompile("`[^`\n]*`")

// What the escaper does with a text is for its own tests; here, that every text goes through it.
func TestNoTextOfAPackIsMarkupInMarkdown(t *testing.T) {
	lines := func(r *Report) (lines []string) {
		for line := range strings.Lines(string(r.Markdown())) {
			if fact, _, ok := strings.Cut(line, ":"); !ok || !slices.Contains([]string{"- CI run", "- valid until", "- superseded by", "- clock", "- built with", "- from", "- to", "- pack", "- run", "- mode"}, fact) {
				lines = append(lines, line) // facts: only what is not empty
			}
		}
		return lines
	}
	eachHostile(t, func(t *testing.T, hostile, benign *Report) {
		allPrintable(t, "markdown", hostile.Markdown())
		got, want := lines(hostile), lines(benign)
		if len(got) != len(want) {
			t.Fatalf("%d lines, %d of a harmless pack", len(got), len(want))
		}
		script := false
		for i := range got {
			if strings.HasPrefix(want[i], "```") {
				script = !script
			} else if bare := codeSpan.ReplaceAllString(escaped.ReplaceAllString(got[i], ""), ""); !script &&
				(strings.ContainsAny(bare, "<>`") || got[i][:min(2, len(got[i]))] != want[i][:min(2, len(want[i]))]) {
				t.Errorf("line %q, of a harmless pack %q", got[i], want[i])
			}
		}
	})
}

func TestNoCellIsAFormulaOrMoreThanOneCell(t *testing.T) {
	eachHostile(t, func(t *testing.T, hostile, _ *Report) {
		out := CSV([]Row{{Path: hostile.Path, Report: hostile}, {Path: hostile.Path, Err: hostile.Path, Code: 3}})
		allPrintable(t, "csv", out)
		rows, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
		if err != nil || len(rows) != 3 || bytes.Count(out, []byte("\n")) != 3 {
			t.Fatalf("%d rows, %v: %q", len(rows), err, out)
		}
		for _, row := range rows {
			for _, cell := range row {
				if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(cell, " \"")); strings.ContainsRune("=+-@|%＝＋－＠", first) && cell != "" {
					t.Errorf("cell %q", cell)
				}
			}
		}
	})
}

func TestNoTextOfAPackIsOnABadge(t *testing.T) {
	eachHostile(t, func(t *testing.T, hostile, benign *Report) {
		if !bytes.Equal(hostile.Badge(), benign.Badge()) {
			t.Error("the badge depends on text of the pack")
		}
		allPrintable(t, "badge", hostile.Badge())
	})
	for _, text := range hostile {
		var got struct {
			Text string `xml:",chardata"`
		}
		if err := xml.Unmarshal([]byte("<a>"+xmlText(text)+"</a>"), &got); err != nil || got.Text != visible(text) {
			t.Errorf("%q becomes %q, %v", text, got.Text, err)
		}
	}
}

func TestTheBadgeIsXMLWithBothChannels(t *testing.T) {
	for _, test := range []struct {
		integrity, claims pack.Verdict
		want              string
	}{
		{pack.Pass, pack.Pass, "integrity PASS | claims PASS"},
		{pack.Pass, pack.Fail, "integrity PASS | claims HONEST FAIL"},
		{pack.Fail, pack.Skipped, "integrity TAMPERED | claims NOT JUDGED"},
	} {
		r := &Report{Result: &pack.Result{Integrity: test.integrity, Claims: pack.ClaimsResult{Verdict: test.claims, Reexecuted: true}, Anchor: pack.AnchorResult{Verdict: pack.Skipped}, Lock: pack.LockResult{Verdict: pack.Skipped}, Expectations: pack.ExpectationsResult{Verdict: pack.Skipped}}}
		badge := r.Badge()
		if !strings.Contains(string(badge), "<title>"+test.want+"</title>") {
			t.Errorf("%s: %s", test.want, badge)
		}
		d := xml.NewDecoder(bytes.NewReader(badge))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestJSONHoldsTextsAsTheyAre(t *testing.T) {
	eachHostile(t, func(t *testing.T, hostile, _ *Report) {
		public := valid(hostile.ExplainJSON()) // what a real pack holds is UTF-8
		out, err := jcs.AppendPretty(nil, public)
		if err != nil {
			t.Fatal(err)
		}
		back, err := jcs.Parse(out, jcs.Limits{Bytes: 64 << 20, Depth: 20})
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := back.Get("pack_id"); id.Text != strings.ToValidUTF8(hostile.Manifest.PackID, "\ufffd") {
			t.Errorf("pack_id %q", id.Text)
		}
	})
}

func valid(v jcs.Value) jcs.Value {
	v.Text = strings.ToValidUTF8(v.Text, "\ufffd")
	for i := range v.Members {
		v.Members[i].Value = valid(v.Members[i].Value)
	}
	for i := range v.Items {
		v.Items[i] = valid(v.Items[i])
	}
	return v
}

// VFY-76, VFY-87
func TestAPackThatIsNotIntactIsNotToldAsFact(t *testing.T) {
	const secret = "TOLDASFACT"
	r := reportOf(secret, pack.Fail)
	r.Path = "dir"
	r.Findings, r.Result.Lock.Findings, r.Warnings = nil, nil, nil
	r.Claims.Results, r.Anchor.Verdict, r.Anchor.Checkpoint, r.Anchor.Entry, r.Coverage, r.Expectations.Verdict, r.Expectations.Results = nil, pack.Skipped, nil, nil, nil, pack.Skipped, nil
	r.Result.Facts = pack.Facts{}
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"page": string(page), "markdown": string(r.Markdown()), "csv": string(CSV([]Row{{Path: "dir", Report: r}}))} {
		for line := range strings.Lines(out) {
			if strings.Contains(line, secret) && !strings.Contains(line, "unverified") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	v := r.JSON("verify-pack")
	if verified, _ := v.Get("ids_verified"); verified.Bool {
		t.Error("ids_verified")
	}
	for _, member := range []string{"provenance", "expectations"} {
		value, _ := v.Get(member)
		if out, err := jcs.AppendPretty(nil, value); err != nil || bytes.Contains(out, []byte(secret)) {
			t.Errorf("%s: %s, %v", member, out, err)
		}
	}
}

// DD-11: "every explain lists the five limits … and drops one only when … evidence for it was verified".
func TestALimitIsNarrowedOnlyByEvidenceThatWasVerified(t *testing.T) {
	bare := func() *Report {
		r := reportOf("x", pack.Pass)
		r.Coverage, r.Anchor.Verdict, r.Result.Lock.Findings = nil, pack.Skipped, nil
		return r
	}
	narrowed := func(r *Report) (names []string) {
		limits := r.Limits()
		if len(limits) != 5 {
			t.Errorf("%d limits", len(limits))
		}
		for _, l := range limits {
			if l.Narrowed {
				names = append(names, l.Name)
			}
		}
		return names
	}
	for _, test := range []struct {
		name   string
		change func(*Report)
		want   []string
	}{
		{"nothing", func(*Report) {}, nil},
		{"a log and cosignatures that were not accepted", func(r *Report) { r.Anchor.Verdict = pack.Fail }, nil},
		{"a cosigned log", func(r *Report) { r.Anchor.Verdict = pack.Pass }, []string{"time", "witness"}},
		{"a log without witnesses", func(r *Report) { r.Anchor.Verdict, r.Anchor.Checkpoint.Cosignatures = pack.Pass, nil }, []string{"witness"}},
		{"a pinned signer", func(r *Report) { r.Signer.Pinned = true }, []string{"source"}},
		{"coverage below what was asked", func(r *Report) { r.Coverage = &pack.CoverageResult{Verdict: pack.Fail} }, nil},
		{"coverage", func(r *Report) { r.Coverage = &pack.CoverageResult{Verdict: pack.Pass} }, []string{"completeness"}},
	} {
		r := bare()
		if test.change(r); !slices.Equal(narrowed(r), test.want) {
			t.Errorf("%s: %v, want %v", test.name, narrowed(r), test.want)
		}
	}
}

func TestAPathThatAShellWouldReadOtherwiseIsNotInTheScript(t *testing.T) {
	for _, path := range append([]string{"-x", "a b", "a;b", "~", "$HOME", "a\nb", "*"}, hostile...) {
		r := reportOf("x", pack.Pass)
		r.Path = path
		if plainPath.MatchString(path) {
			continue
		}
		if script := r.Script(); !strings.Contains(script, "cd PACK #") || strings.Contains(script, "rm -rf") {
			t.Errorf("%q: %s", path, script)
		}
	}
}

func TestEveryFindingHasAStageAndEveryFailureShows(t *testing.T) {
	for _, stage := range stages {
		for _, receipt := range []int{-1, 0} {
			r := reportOf("x", pack.Fail)
			r.Findings = manifest.Findings{{Code: "E_ANY", Channel: manifest.ChannelIntegrity, Stage: stage, Field: "anything", Receipt: receipt}}
			var failed []string
			for _, check := range r.checks(r.words()).Items[:len(stages)] {
				if verdict, _ := check.Get("verdict"); verdict.Text == wordTampered {
					name, _ := check.Get("name")
					failed = append(failed, name.Text)
				}
			}
			if !slices.Equal(failed, []string{string(stage)}) {
				t.Errorf("a finding of %s at %d fails %q", stage, receipt, failed)
			}
		}
	}
}

// A severity, a mode or a status is a string of another type: as much theirs as any other.
func TestATextOfAnotherTypeIsEscapedLikeAnyOther(t *testing.T) {
	if got, want := say("%s", claim.Severity("<b>")).markdown(), say("%s", "<b>").markdown(); got != want || strings.Contains(got, "<b>") {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzNoEscaperLetsThroughWhatHides(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for what, out := range map[string]string{"visible": visible(text), "csv": csvCell(text), "xml": xmlText(text), "markdown": say("%s", text).markdown()} {
			allPrintable(t, what, []byte(out))
			if len(out) > 20*maxText {
				t.Errorf("%s: %d bytes", what, len(out))
			}
		}
		if strings.ContainsAny(xmlText(text), "<>\"'") {
			t.Errorf("xml: %q", xmlText(text))
		}
	})
}
