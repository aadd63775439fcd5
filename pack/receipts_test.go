package pack

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// endless gives the same bytes for ever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestReceiptsWithoutEndAreReadToTheirLimit(t *testing.T) {
	for _, text := range []string{"x", "\n", "{}\n", receiptOf(0) + "\n"} {
		s := receiptScan{runID: "run-small"}
		if err := s.read(endless(text), 3<<20); !errors.Is(err, errTooLarge) || s.size > 4<<20 || len(s.found) > manifest.MaxFindings+1 {
			t.Errorf("%.10q: %v after %d bytes, %d findings", text, err, s.size, len(s.found))
		}
	}
	line := receiptOf(0) + "\n"
	s := receiptScan{runID: "run-small"}
	if err := s.read(strings.NewReader(line), int64(len(line))); err != nil || s.size != int64(len(line)) {
		t.Errorf("exactly the limit: %v", err)
	}
	s = receiptScan{runID: "run-small"}
	if err := s.read(strings.NewReader(line), int64(len(line))-1); !errors.Is(err, errTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
}

func TestTheReceiptAfterTheLastOneAllowedIsRefused(t *testing.T) {
	s := receiptScan{count: receipt.MaxReceipts - 1, ids: map[[16]byte]struct{}{}, complete: true}
	s.line([]byte(receiptOf(0)))
	if s.count != receipt.MaxReceipts || !s.complete {
		t.Fatalf("%d receipts: %v", s.count, s.found)
	}
	s.line([]byte(receiptOf(1)))
	if s.count != receipt.MaxReceipts || s.complete || s.found[len(s.found)-1].Code != manifest.CodeManifestTamper {
		t.Errorf("%d receipts, complete %t: %v", s.count, s.complete, s.found)
	}
}

// PCK-7, PCK-8: the key is (_trace_id if it is there, else run_id, else ""), seq or 0, receipt_id or "".
func TestReceiptsStandInTheOrderOfTheirKeys(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	line := func(id, more string) string {
		// Canonical order: "_…" stands before "receipt_id", "run_id" and "seq" behind it.
		before, after, _ := strings.Cut(more, "|")
		return `{` + before + `"receipt_id":"` + id + `",` + after + `"timestamp":"2026-01-15T10:00:0` + id[1:] + `.000000+00:00","type":"model_call"}`
	}
	for _, c := range []struct {
		what, a, b string
		exit       int
	}{
		{"by seq", `|"seq":1,`, `|"seq":2,`, 0},
		{"against seq", `|"seq":2,`, `|"seq":1,`, 2},
		{"by id", `|"seq":1,`, `|"seq":1,`, 0},
		{"no seq is 0", `|`, `|"seq":1,`, 0},
		{"no seq is 0, against", `|"seq":1,`, `|`, 2},
		{"negative seq", `|"seq":-1,`, `|`, 0},
		{"seq as digits, not as text", `|"seq":9,`, `|"seq":10,`, 0},
		{"huge seq", `|"seq":9223372036854775807,`, `|"seq":9223372036854775808,`, 0},
		{"huge seq, against", `|"seq":9223372036854775809,`, `|"seq":9223372036854775808,`, 2},
		{"texts", `|"seq":"a",`, `|"seq":"b",`, 0},
		{"texts, against", `|"seq":"b",`, `|"seq":"a",`, 2},
		{"text and number", `|"seq":1,`, `|"seq":"2",`, 2},
		{"number and text", `|"seq":"1",`, `|"seq":2,`, 2},
		{"no run before a run", `|"seq":2,`, `"_trace_id":"run-small",|"seq":1,`, 0},
		{"a run before none", `"_trace_id":"run-small",|"seq":1,`, `|"seq":2,`, 2},
		{"run_id before none", `|"run_id":"run-small","seq":1,`, `|"seq":2,`, 2},
		{"none before run_id", `|"seq":2,`, `|"run_id":"run-small","seq":1,`, 0},
		{"_trace_id goes before run_id", `"_trace_id":"",|"run_id":"run-small","seq":2,`, `|"run_id":"run-small","seq":1,`, 0},
		{"null is a _trace_id that is there", `"_trace_id":null,|"run_id":"run-small","seq":2,`, `|"run_id":"run-small","seq":1,`, 0},
		{"another run_id", `"_trace_id":"run-small",|"run_id":"x","seq":1,`, `"_trace_id":"run-small",|"seq":2,`, 2},
		{"a number for a run", `"_trace_id":0,|"seq":1,`, `"_trace_id":"run-small",|"seq":2,`, 2},
		{"what names no run in Python", `"_trace_id":0,|"seq":1,`, `"_trace_id":0,|"seq":2,`, 0},
		{"a number that names another run", `"_trace_id":1,|"seq":1,`, `"_trace_id":1,|"seq":2,`, 2},
	} {
		jsonl := line("r1", c.a) + "\n" + line("r2", c.b) + "\n"
		forged := withReceipts(t, files, jsonl)
		text := jcstest.Parse(t, string(forged[manifest.Name]))
		text = jcstest.Set(text, "attestation.timestamp_start", form.Get(jcstest.Parse(t, line("r1", "|")), "timestamp"))
		text = jcstest.Set(text, "attestation.timestamp_end", form.Get(jcstest.Parse(t, line("r2", "|")), "timestamp"))
		r := mustVerify(t, resign(t, forged, text, testSigner), Options{Now: builtAt})
		if r.ExitCode() != c.exit || c.exit == 2 && !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Field == "receipt_order" || f.Field == "run_id" }) {
			t.Errorf("%s: exit %d: %v", c.what, r.ExitCode(), r.Findings)
		}
	}
}

// VFY-20: literal U+0085, U+2028 and U+2029 are accepted, with a warning.
func TestLiteralLineSeparatorsAreWarnedOf(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	for text, warned := range map[string]bool{"\u0085": true, "\u2028": true, "\u2029": true, `\u0085`: false, `\u2028`: false, `\u2029`: false, "\u2027": false} {
		jsonl := `{"receipt_id":"r_0","seq":0,"timestamp":"2026-01-15T10:00:00.000000+00:00","type":"model_call"}` + "\n" +
			`{"receipt_id":"r_1","seq":1,"t":"` + text + `","timestamp":"2026-01-15T10:00:01.000000+00:00","type":"model_call"}` + "\n"
		r := mustVerify(t, withReceipts(t, files, jsonl), Options{Now: builtAt})
		if r.ExitCode() != 0 || warns(r, manifest.WarnPortability) != warned {
			t.Errorf("%q: exit %d: %v %v", text, r.ExitCode(), r.Findings, r.Warnings)
		}
	}
}

// PCK-25: the time range is that of the receipts: the extremes, or the first and the last (up to 1.15.1), not one of each.
func TestTheTimeRangeIsOneOfTwo(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	at := func(second string) string { return "2026-01-15T10:00:0" + second + ".000000+00:00" }
	var jsonl string
	for i, second := range []string{"2", "1", "4", "3"} { // extremes 1 and 4, ends 2 and 3
		jsonl += `{"receipt_id":"r_` + string(rune('0'+i)) + `","timestamp":"` + at(second) + `","type":"model_call"}` + "\n"
	}
	forged := withReceipts(t, files, jsonl)
	for _, start := range []string{"1", "2", "3", "4"} {
		for _, end := range []string{"1", "2", "3", "4"} {
			manifest := jcstest.Parse(t, string(forged[manifest.Name]))
			manifest = jcstest.Set(manifest, "attestation.timestamp_start", jcstest.Parse(t, `"`+at(start)+`"`))
			manifest = jcstest.Set(manifest, "attestation.timestamp_end", jcstest.Parse(t, `"`+at(end)+`"`))
			want := 2
			if start+end == "14" || start+end == "23" {
				want = 0
			}
			if r := mustVerify(t, resign(t, forged, manifest, testSigner), Options{Now: builtAt}); r.ExitCode() != want {
				t.Errorf("%s to %s: exit %d: %v", start, end, r.ExitCode(), r.Findings)
			}
		}
	}
}
