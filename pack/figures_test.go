package pack

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// modelCall is a model call, or whatever its members say.
func modelCall(i int, members string) string {
	return fmt.Sprintf(`{%s"receipt_id":"r_%06d","schema_version":"3.0","seq":%d,"timestamp":"2026-01-15T10:00:%02d.000000+00:00","type":"model_call"}`, members, i, i, min(i, 1))
}

func factsOf(t *testing.T, lines ...string) *Result {
	t.Helper()
	files, _, _ := plainPack(t)
	files = withReceipts(t, files, strings.Join(lines, "\n")+"\n")
	r := mustVerify(t, files, Options{Now: builtAt})
	if r.ExitCode() != 0 {
		t.Fatalf("%v", r.Findings)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(files[manifest.ReceiptsName])); r.Facts.ReceiptsFileSHA256 != want {
		t.Errorf("receipts' SHA-256 %q, want %s", r.Facts.ReceiptsFileSHA256, want)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(files[manifest.Name])); r.Facts.ManifestFileSHA256 != want {
		t.Errorf("manifest's SHA-256 %q, want %s", r.Facts.ManifestFileSHA256, want)
	}
	// PCK-24: the digest of the last receipt in canonical form.
	last, err := jcs.Pack(nil, []byte(lines[len(lines)-1]), jcs.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", sha256.Sum256(last)); r.Facts.HeadHash != want || r.Receipts != len(lines) {
		t.Errorf("%d receipts with the head %s, want %d and %s", r.Receipts, r.Facts.HeadHash, len(lines), want)
	}
	return r
}

func TestTheFactsOfAPackAreWhatItsReceiptsSay(t *testing.T) {
	f := factsOf(t,
		modelCall(0, `"input_tokens":1000,"model_id":"a","output_tokens":7,"provider":"p",`),
		modelCall(1, `"input_tokens":234,"model_id":"b","output_tokens":0,"provider":"p",`),
		modelCall(2, `"model_id":"a","output_tokens":20,`),
		strings.Replace(modelCall(3, ""), "model_call", "guardian_verdict", 1),
	).Facts
	if f.InputTokens != 1234 || f.OutputTokens != 27 {
		t.Errorf("%d tokens in and %d out, want 1234 and 27", f.InputTokens, f.OutputTokens)
	}
	for name, c := range map[string]struct{ got, want []Tally }{
		"types":     {f.Types, []Tally{{"model_call", 3}, {"guardian_verdict", 1}}},
		"providers": {f.Providers, []Tally{{"p", 2}}},
		"models":    {f.Models, []Tally{{"a", 2}, {"b", 1}}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s %v, want %v", name, c.got, c.want)
		}
	}
}

// What is no count of tokens counts nothing, and no sum goes round.
func TestOnlyCountsAreCounted(t *testing.T) {
	f := factsOf(t,
		modelCall(0, `"input_tokens":-5,"output_tokens":"7",`),
		modelCall(1, `"input_tokens":1.5,"output_tokens":null,`),
		modelCall(2, `"input_tokens":9223372036854775000,"output_tokens":92233720368547758070,`),
		modelCall(3, `"input_tokens":1000,"output_tokens":3,`),
		modelCall(4, `"input_tokens":7,"model_id":7,"output_tokens":[9],"provider":{},`),
	).Facts
	if f.InputTokens != 9223372036854775007 || f.OutputTokens != 3 || f.Models != nil || f.Providers != nil {
		t.Errorf("facts %+v", f)
	}
}

// A figure that was not counted is not silently left out of the sum.
func TestFiguresThatAreNotCountedAreNumbered(t *testing.T) {
	f := factsOf(t,
		modelCall(0, `"input_tokens":0,"output_tokens":"7",`),
		modelCall(1, `"input_tokens":1.5,"output_tokens":null,`),
		modelCall(2, `"input_tokens":3,"output_tokens":4,`),
		modelCall(3, `"input_tokens":9223372036854775807,`),
		modelCall(4, ""),
	).Facts
	if f.InputTokens != 3 || f.OutputTokens != 4 || f.UnreadTokens != 3 {
		t.Errorf("facts %+v", f)
	}
}

// RCP-16
func TestHowAProgramEndedIsReadFromItsSessionReceiptAlone(t *testing.T) {
	session := func(members string) string {
		return fmt.Sprintf(`{%s"receipt_id":"r_000000","recorded_by":"assay run","schema_version":"3.0","seq":0,"timestamp":"2026-01-15T10:00:00.000000+00:00","type":"session_metadata"}`, members)
	}
	for members, want := range map[string]struct {
		text        string
		bad, killed int
	}{
		`"child_exit_code":0,`:                                   {"exit 0", 0, 0},
		`"child_exit_code":3,`:                                   {"exit 3", 1, 0},
		`"child_exit_code":137,"child_signal":"killed",`:         {"exit 137 (signal killed)", 1, 1},
		`"child_exit_code":0,"child_signal":"killed",`:           {"exit 0 (signal killed)", 1, 1},
		`"child_exit_code":0,"child_signal":"` + "\u202e" + `",`: {"exit 0 (signal \"\\u202e\")", 1, 1},
		`"child_exit_code":0,"child_signal":null,`:               {receipt.UnreadableEnding, 1, 0},
		`"child_exit_code":"0",`:                                 {receipt.UnreadableEnding, 1, 0},
		`"child_exit_code":1.5,`:                                 {receipt.UnreadableEnding, 1, 0},
		``:                                                       {receipt.UnreadableEnding, 1, 0},
	} {
		f := factsOf(t, session(members), modelCall(1, "")).Facts
		if !slices.Equal(f.Endings, []Tally{{want.text, 1}}) || f.EndedBadly != want.bad || f.Killed != want.killed {
			t.Errorf("%s: %+v", members, f)
		}
	}
	other := strings.Replace(session(`"child_exit_code":3,`), "assay run", "agent", 1)
	if f := factsOf(t, other, modelCall(1, "")).Facts; f.Endings != nil || f.EndedBadly != 0 {
		t.Errorf("of receipts that assay run did not write: %+v", f)
	}
}

// PCK-18, VFY-16: with the right digest, only the length lies.
func TestALengthThatTheFileHasNotIsTampering(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	items := form.Get(text, "files").Items
	for i, item := range items {
		for _, by := range []int64{-1, 1} {
			n, _ := form.Get(item, "bytes").Int64()
			changed := slices.Clone(items)
			changed[i] = jcstest.Set(item, "bytes", jcs.Int(n+by))
			r := wantTampered(t, "bytes", resign(t, files, jcstest.Set(text, "files", jcs.Arr(changed...)), testSigner, "files"))
			path := form.Str(item, "path")
			if !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Code == manifest.CodeManifestTamper && f.Field == path }) {
				t.Errorf("%s with %d bytes more: %v", path, by, r.Findings)
			}
		}
	}
}

func TestTheCountsOfAnEntryEndBelow2To53(t *testing.T) {
	e := mustEntry(t, mustBuild(t, smallSpec(t)).Manifest, entry.Source{}, nil)
	leaf := string(e.Leaf())
	for n, good := range map[string]bool{
		"0": true, "2": true, "9007199254740991": true, "9007199254740992": false, "9007199254740993": false,
		"9223372036854775807": false, "9223372036854775808": false, "-1": false, "-0": false, "02": false, "2.0": false, `"2"`: false, "null": false,
	} {
		text := strings.Replace(leaf, `"n_receipts":2,`, `"n_receipts":`+n+`,`, 1)
		got, err := entry.Parse([]byte(text))
		if (err == nil) != good || good && string(got.Leaf()) != text {
			t.Errorf("n_receipts %s: %v", n, err)
		}
	}
	for n, good := range map[int64]bool{-1: false, 0: true, 1<<53 - 1: true, 1 << 53: false} {
		e.NReceipts = n
		if (e.Leaf() != nil) != good {
			t.Errorf("%d receipts: leaf %s", n, e.Leaf())
		}
	}
}
