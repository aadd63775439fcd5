package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/report"
	"github.com/Haserjian/assay-ledger/pack/schema"
)

const corpus = "../corpus"

// schemas compiles all schemas with a library that others wrote.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	met("jsonschema", true)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	for _, name := range schema.Names() {
		text, _ := schema.Get(name)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.AddResource("urn:assay-ledger:schema:"+name, doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, name := range schema.Names() {
		s, err := c.Compile("urn:assay-ledger:schema:" + name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compiled[name] = s
	}
	return compiled
}

func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return s.Validate(doc)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tree(t *testing.T, text []byte) jcs.Value {
	t.Helper()
	v, err := jcs.Parse(text, jcs.Limits{Bytes: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func written(t *testing.T, v jcs.Value) []byte {
	t.Helper()
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// odd are packs whose signer wrote what no writer of ours does, and every reader takes.
var odd = map[string]string{
	"open_report_undated": "a report without verified_at",
	"open_false_traces":   "receipts whose _trace_id is false",
}

func TestHonestDocumentsOfTheCorpusAreOfTheirSchemas(t *testing.T) {
	s := schemas(t)
	index := read(t, corpus+"/"+conformance.IndexName)
	if err := validate(t, s["corpus-index"], index); err != nil {
		t.Errorf("the index: %v", err)
	}
	cases, err := conformance.ParseIndex(index)
	if err != nil {
		t.Fatal(err)
	}
	packs := 0
	for _, k := range cases {
		if k.Expect.Integrity != "PASS" || odd[k.ID] != "" || len(k.Make) > 0 || slices.Contains(k.Args, "--require-anchor") {
			continue
		}
		packs++
		dir := corpus + "/" + k.Path + "/"
		manifest := read(t, dir+"pack_manifest.json")
		if err := validate(t, s["pack-manifest"], manifest); err != nil {
			t.Errorf("%s: manifest: %v", k.ID, err)
		}
		attestation, _ := tree(t, manifest).Get("attestation")
		if err := validate(t, s["attestation"], written(t, attestation)); err != nil {
			t.Errorf("%s: attestation: %v", k.ID, err)
		}
		if err := validate(t, s["verify-report"], read(t, dir+"verify_report.json")); err != nil {
			t.Errorf("%s: report: %v", k.ID, err)
		}
		for i, line := range bytes.Split(bytes.TrimSuffix(read(t, dir+"receipt_pack.jsonl"), []byte("\n")), []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			if err := validate(t, s["receipt"], line); err != nil {
				t.Errorf("%s: receipt %d: %v", k.ID, i, err)
			}
		}
	}
	if packs < 20 {
		t.Errorf("only %d packs", packs)
	}
	for _, name := range []string{"any.lock", "signer.lock", "nobody.lock", "other_card.lock"} {
		if err := validate(t, s["lockfile"], read(t, corpus+"/locks/"+name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"k02", "bad_version", "bad_mode", "bad_list", "without_run_cards", "without_signer_policy", "without_exit_contract", "array"} {
		if err := validate(t, s["lockfile"], read(t, corpus+"/locks/"+name+".lock")); err == nil {
			t.Errorf("%s.lock is of the schema", name)
		}
	}
}

// What verify-pack prints is of its schema too, whatever was expected of the pack and came of it.
func TestWhatVerifyPackPrintsIsOfItsSchema(t *testing.T) {
	s := schemas(t)["verify-report"]
	cases, err := conformance.ParseIndex(read(t, corpus+"/"+conformance.IndexName))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 16, 0, 0, 0, 0, time.UTC)
	for _, k := range cases {
		if info, err := os.Stat(corpus + "/" + k.Path); k.Path == "" || len(k.Make) > 0 || err != nil || !info.IsDir() {
			continue
		}
		for _, o := range []pack.Options{{Now: now}, {Now: now.AddDate(9, 0, 0), RequireClaims: true, RequireCI: true, Repo: "acme/app", Run: "8", MaxAge: time.Hour, CheckExpiry: true, RefuseSuperseded: true}} {
			r, err := pack.Verify(os.DirFS(corpus+"/"+k.Path), o)
			if err != nil {
				t.Fatal(err)
			}
			v := (&report.Report{Result: r, Path: k.Path, At: o.Now, Version: manifest.Version}).JSON("verify-pack")
			if err := validate(t, s, written(t, v)); err != nil {
				t.Errorf("%s: %v", k.ID, err)
			}
		}
	}
}

// golden is one document of each kind, and what reads it here; nil where nothing alone does.
func golden(t *testing.T) map[string]struct {
	text []byte
	read func(text []byte) error
} {
	t.Helper()
	doc := read(t, corpus+"/packs/ci_01/pack_manifest.json")
	attestation, _ := tree(t, doc).Get("attestation")
	admit := func(text []byte) error {
		if _, findings := manifest.Verify(text); len(findings) > 0 {
			return fmt.Errorf("%v", findings)
		}
		return nil
	}
	m, findings := manifest.Verify(doc)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	e, err := entry.New(m, entry.Source{}, time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), []byte("token"))
	if err != nil {
		t.Fatal(err)
	}
	leaf := e.Leaf()
	contract := []byte(`{"contract_version":"1.0","generated_at":"2026-01-15T12:00:00+00:00","generated_by":"assay-scan","project_root":"/src","call_sites":[{"callsite_id":"bab787e3d70d","path":"app.py","line":3,` +
		`"call":"c.chat.completions.create","confidence":"high","instrumented":false,"framework":"openai"}],"summary":{"total_sites":1,"high":1,"medium":0,"low":0},"contract_hash":"%"}`)
	sites, _ := tree(t, contract).Get("call_sites")
	canonical, err := jcs.AppendPack(nil, sites)
	if err != nil {
		t.Fatal(err)
	}
	contract = bytes.Replace(contract, []byte("%"), fmt.Appendf(nil, "%x", sha256.Sum256(canonical)), 1)
	b64 := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	first, _, _ := bytes.Cut(read(t, corpus+"/packs/good_01/receipt_pack.jsonl"), []byte("\n"))
	type of = struct {
		text []byte
		read func(text []byte) error
	}
	return map[string]of{
		"pack-manifest": {doc, admit},
		"attestation":   {written(t, attestation), nil},
		"receipt":       {first, nil},
		"verify-report": {read(t, corpus+"/packs/good_03/verify_report.json"), nil},
		"lockfile":      {read(t, corpus+"/locks/signer.lock"), func(text []byte) error { _, err := lock.Parse(text); return err }},
		"run-card": {[]byte(`{"card_id":"acme.calls","name":"Calls","description":"d","rationale":"r","control":["soc2/CC7.2"],"claims":[{"claim_id":"c","description":"d","check":"receipt_count_ge","params":{"min_count":3},"severity":"critical"}],` +
			`"fixtures":{"pass":[{"name":"three","receipts":[{},{},{}]}],"fail":[{"name":"two","receipts":[{},{}],"fails":["c"]}]}}`), func(text []byte) error { _, err := claim.ParseCard(text); return err }},
		"coverage-contract": {contract, func(text []byte) error { _, err := claim.ParseContract(text); return err }},
		"ledger-entry":      {leaf, func(text []byte) error { _, err := entry.Parse(text); return err }},
		"corpus-index": {[]byte(`{"corpus_version":"1","cases":[{"id":"a","title":"t","attacks":["P01"],"path":"packs/a","args":["--require-claim-pass"],"make":[{"op":"repeat","name":"f","text":"y","size":3}],` +
			`"extension":true,"expect":{"exit":2,"integrity":"FAIL","claims":"SKIPPED","codes":["E"]}}]}`), func(text []byte) error { _, err := conformance.ParseIndex(text); return err }},
		"signer-request":  {[]byte(`{"message":"AAAA","op":"sign","version":"assay.signer.v1"}`), nil},
		"signer-response": {[]byte(`{"id":"release-2026","public_key":"` + b64(32) + `"}`), nil},
		"run-result":      {[]byte(`{"command":"run","status":"ok","exit_code":0,"exit_code_source":"pack","child_exit_code":0,"trace_id":"trace_x","output_dir":"d","mode":"shadow","torn_lines":0,"bad_lines":0,"receipt_integrity":"PASS","claim_check":"N/A"}`), nil},
	}
}

// TestEveryChangedMemberIsSeenByTheSchema changes each member of a golden document. What a schema refuses,
// our reader must refuse as well; and each schema must refuse most of what is done here.
func TestEveryChangedMemberIsSeenByTheSchema(t *testing.T) {
	s := schemas(t)
	documents := golden(t)
	for _, name := range schema.Names() {
		doc, ok := documents[name]
		if !ok {
			t.Errorf("no golden %s", name)
			continue
		}
		if err := validate(t, s[name], doc.text); err != nil {
			t.Errorf("the golden %s: %v", name, err)
			continue
		}
		if doc.read != nil {
			if err := doc.read(doc.text); err != nil {
				t.Errorf("the golden %s is not read: %v", name, err)
			}
		}
		refused, changes := 0, 0
		eachChange(tree(t, doc.text), func(what string, v jcs.Value) {
			changes++
			text := written(t, v)
			if validate(t, s[name], text) == nil {
				return
			}
			refused++
			if name == "ledger-entry" { // only canonical text is read
				text, _ = jcs.AppendPack(nil, v)
			}
			if doc.read != nil && doc.read(text) == nil {
				t.Errorf("%s: %s: the schema refuses what our reader takes", name, what)
			}
		})
		t.Logf("%s: %d of %d changes refused", name, refused, changes)
		if refused*5 < changes || refused == 0 {
			t.Errorf("%s: only %d of %d changes are refused", name, refused, changes)
		}
	}
}

// eachChange shows a value with one member deleted, added or given another kind of value, at any depth.
func eachChange(v jcs.Value, show func(what string, v jcs.Value)) {
	for i, m := range v.Members {
		with := func(what string, members []jcs.Member) { show(m.Name+" "+what, jcs.Obj(members...)) }
		with("deleted", slices.Delete(slices.Clone(v.Members), i, i+1))
		with("beside another", append(slices.Clone(v.Members), jcs.M(strings.ToUpper(m.Name)+"_X", jcs.Value{})))
		for what, to := range map[string]jcs.Value{"null": {}, "list": jcs.Arr(m.Value), "true": jcs.Boolean(true), "empty": jcs.Str(""), "negative": jcs.Int(-1), "half": jcs.Float(0.5), "text": jcs.Str("\u00e9\n")} {
			changed := slices.Clone(v.Members)
			changed[i].Value = to
			with(what, changed)
		}
		eachChange(m.Value, func(what string, inner jcs.Value) {
			changed := slices.Clone(v.Members)
			changed[i].Value = inner
			show(m.Name+"."+what, jcs.Obj(changed...))
		})
	}
	for i, item := range v.Items {
		eachChange(item, func(what string, inner jcs.Value) {
			changed := slices.Clone(v.Items)
			changed[i] = inner
			show(fmt.Sprintf("[%d].%s", i, what), jcs.Arr(changed...))
		})
	}
}
