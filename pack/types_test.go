package pack

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

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

func TestDataThatBuildWouldRefuseIsRefused(t *testing.T) {
	for _, good := range []string{`{}`, `{"a":9007199254740991,"b":[-0.5,{"c":null}],"nested":{"Type":1}}`} {
		if err := CheckData(parsed(t, good)); err != nil {
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
