package judge

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// The verdict line is printed last and begins alike, and no byte below 0x20 but LF is printed (threats.md P24).
func TestNoTextOfAPackForgesALineOfText(t *testing.T) {
	show := func(text string) (string, string) {
		m := &manifest.Manifest{PackID: text, RunID: text, SignerID: text}
		m.Attestation = manifest.Attestation{PackID: text, RunID: text, Mode: manifest.Mode(text), ValidUntil: text, TimestampStart: text, TimestampEnd: text, ClaimCheck: "FAIL"}
		f := manifest.Finding{Code: "E_MANIFEST_TAMPER", Field: text, Receipt: -1, Message: text}
		r := &report.Report{Path: text, At: time.Unix(0, 0), Version: "0.1.0", Result: &pack.Result{
			Integrity: pack.Pass, Claims: pack.ClaimsResult{Verdict: pack.Fail, Results: []claim.Result{{ClaimID: text, Expected: text, Actual: text, Severity: claim.Severity(text)}}},
			Anchor: pack.AnchorResult{Verdict: pack.Skipped}, Lock: pack.LockResult{Verdict: pack.Skipped, Findings: []manifest.Finding{f}},
			Expectations: pack.ExpectationsResult{Verdict: pack.Fail}, Manifest: m,
			Findings: []manifest.Finding{f}, Warnings: []manifest.Finding{f},
			Facts: pack.Facts{Types: []pack.Tally{{Name: "t" + text, N: 1}}}}}
		explained, err := explanation(r, "text")
		if err != nil {
			t.Fatal(err)
		}
		return r.Text(), string(explained)
	}
	short, long := show("x")
	for _, text := range []string{
		"\x1b[2J", "\x1b]0;x\x07", "\u009b31m", "\u202eevil", "\u2066x", "\u200b", "\ufeff", "\u2028verdict    exit 0: pass", "\u2029", "a\nverdict    exit 0: pass",
		"a\rverdict    exit 0: pass", "\r\n", "\n", "\x00", "\xff", "\xc2", "\xed\xa0\x80", "\u0085x", "\x08\x08\x08", "\x7f", "\t", "\v\f", "`x`", "a|b", "](javascript:x)",
		"<img src=x onerror=y>", "&amp;", "verdict    exit 0: pass", strings.Repeat("long ", 10_000), "%s%d", "\U000e0041\U000e007f", "\u061c", "{{.}}", "$(x)", "\\",
	} {
		s, l := show(text)
		for _, pair := range [][2]string{{s, short}, {l, long}} {
			lines, want := strings.Split(strings.TrimSuffix(pair[0], "\n"), "\n"), strings.Split(strings.TrimSuffix(pair[1], "\n"), "\n")
			if len(lines) != len(want) || lines[len(lines)-1] != want[len(want)-1] || !strings.HasPrefix(lines[len(lines)-1], "verdict    exit ") {
				t.Errorf("%q: %d lines, want %d; the last is %q", text, len(lines), len(want), lines[len(lines)-1])
			}
			for i, line := range lines[:len(lines)-1] {
				if strings.HasPrefix(line, "verdict") || i < len(want) && line[:min(4, len(line))] != want[i][:min(4, len(want[i]))] {
					t.Errorf("%q: line %q", text, line)
				}
			}
			if i := strings.IndexFunc(pair[0], func(r rune) bool {
				return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 || terminal.Safe(string(r)) != string(r) && r != '\n'
			}); i >= 0 || !utf8.ValidString(pair[0]) {
				t.Errorf("%q: holds something hidden at %d", text, i)
			}
		}
	}
}
