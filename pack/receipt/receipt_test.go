package receipt

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

// Sequence numbers are compared as the reference does, booleans among them.
// PCK-8
func TestSequenceNumbersAreComparedExactly(t *testing.T) {
	order := []string{"-1E300", "-9223372036854775809", "-1", "-0.5", "false", "0.5", "true", "1.5", "2", "9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808", "1E300"}
	for i, a := range order {
		for j, b := range order {
			x, y := jcstest.Parse(t, a), jcstest.Parse(t, b)
			got, ok := compareSeq(&x, &y)
			if want := min(max(i-j, -1), 1); !ok || got != want {
				t.Errorf("%s and %s: %d, %t; want %d", a, b, got, ok, want)
			}
		}
		for _, none := range []string{`"1"`, "null", "[1]", "{}"} {
			x, y := jcstest.Parse(t, a), jcstest.Parse(t, none)
			if got, ok := compareSeq(&x, &y); ok {
				t.Errorf("%s and %s: %d", a, none, got)
			}
		}
	}
	for pair, want := range map[[2]string]int{{"1", "true"}: 0, {"0", "false"}: 0, {"1", "1.0"}: 0, {"0", "true"}: -1, {"2", "true"}: 1} {
		x, y := jcstest.Parse(t, pair[0]), jcstest.Parse(t, pair[1])
		if got, ok := compareSeq(&x, &y); !ok || got != want {
			t.Errorf("%s and %s: %d, %t; want %d", pair[0], pair[1], got, ok, want)
		}
	}
}

func TestAnIntegerThatIsTooLargeIsToldAsOne(t *testing.T) {
	for text, says := range map[string]string{
		"99999999999999999999": "outside", "-99999999999999999999": "outside", "9007199254740992": "outside", "-9007199254740992": "outside",
		"9007199254740991": "", "-9007199254740991": "",
	} {
		err := CheckData(jcstest.Parse(t, `{"n": `+text+`}`))
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// RCP-3, RCP-4
func TestAdmittedTypes(t *testing.T) {
	for typ, want := range map[string]bool{
		"model_call": true, "guardian_verdict": true, "acme.review": true, "acme.review/v2": true, "rce.x/v0": true, "a.b.c": true,
		"breakglass": true, BreakglassType: true, "": false, "Breakglass": false, "Model_call": false, "model_call\n": false, "acme.review\n": false, "acme.": false, ".a": false,
		"acme": false, "acme/v1": false, "a.b/": false, "a.b/c/d": false, "loom.x": false, "loom.x/v1": false, "a..b": false, "é.b": false,
	} {
		if AdmittedType(typ) != want {
			t.Errorf("%q: want %v", typ, want)
		}
	}
}

// RCP-9, RCP-10, RCP-11, RCP-12
func TestDataThatBuildWouldRefuseIsRefused(t *testing.T) {
	for _, good := range []string{`{}`, `{"a":9007199254740991,"b":[-0.5,{"c":null}],"nested":{"Type":1}}`} {
		if err := CheckData(jcstest.Parse(t, good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, says := range map[string]string{
		`[]`:                     "object",
		`null`:                   "object",
		`{"n":9007199254740992}`: "n",
		`{"a":[0,{"n":-1e400}]}`: "a[1].n: number -1e400",
		`{"n":1e-400}`:           "n",
		`{"a":{"caf\u00e9":1}}`:  "caf",
		`{"Type":"x"}`:           "type",
		`{"Signature":"x"}`:      "signature",
		`{"a":{"__proto__":1}}`:  "__proto__",
		`{"\u017feq":1}`:         "seq", // folds to seq
		strings.Repeat(`{"a":`, form.MaxDepth+1) + `1` + strings.Repeat(`}`, form.MaxDepth+1): "deep",
	} {
		v := parsedDeep(t, bad)
		if err := CheckData(v); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, expected an error with %q", bad, err, says)
		}
	}
}

func parsedDeep(t *testing.T, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Depth: 512})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// RCP-15
func TestOnlyWhatAssayRunWroteAboutTheRunIsNoEvidence(t *testing.T) {
	for text, want := range map[string]bool{
		`{"type":"session_metadata","recorded_by":"assay run"}`:    true,
		`{"type":"session_metadata","recorded_by":"a proxy"}`:      false,
		`{"type":"assay.breakglass/v1","recorded_by":"assay run"}`: true,
		`{"type":"assay.breakglass/v1","recorded_by":"ops"}`:       false,
		`{"type":"assay.breakglass/v1","reason":"x"}`:              false,
		`{"type":"session_metadata","recorded_by":["assay run"]}`:  false,
		`{"type":"session_metadata"}`:                              false,
		`{"type":"model_call","recorded_by":"assay run"}`:          false,
		`{}`: false,
	} {
		v, err := jcs.Parse([]byte(text), jcs.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if AboutRun(v) != want {
			t.Errorf("%s: expected %v", text, want)
		}
	}
}
