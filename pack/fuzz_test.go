package pack

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// The targets here sign what they make, so that no hash stands between the fuzzer and the parsers behind
// the signature. Their seeds are the files of the conformance corpus.

// corpusFiles are the different files of that name in the packs of the corpus.
func corpusFiles(f *testing.F, name string) (list [][]byte) {
	f.Helper()
	paths, err := filepath.Glob("../conformance/corpus/packs/*/" + name)
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if !seen[string(text)] && len(text) < 32<<10 {
			seen[string(text)] = true
			list = append(list, text)
		}
	}
	return list
}

func seed(f *testing.F, name string, atLeast int) {
	f.Helper()
	texts := corpusFiles(f, name)
	if len(texts) < atLeast {
		f.Fatalf("%d seeds, want %d", len(texts), atLeast)
	}
	for _, text := range texts {
		f.Add(text)
	}
}

// FuzzSignedManifest signs whatever is JSON as a manifest.
func FuzzSignedManifest(f *testing.F) {
	seed(f, manifest.Name, 100)
	files := smallPack(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := form.Parse(text, manifest.MaxSize)
		changed := maps.Clone(files)
		changed[manifest.Name] = text
		if err == nil && v.Kind == jcs.Object {
			changed = resign(t, files, v, testSigner, "files")
		}
		r, err := Verify(changed, Options{Now: builtAt, RequireClaims: true})
		if err != nil {
			t.Fatal(err)
		}
		checkSane(t, r)
	})
}

// FuzzSignedReceipts signs whatever there is as receipts. What is admitted is lines that a builder wrote.
func FuzzSignedReceipts(f *testing.F) {
	seed(f, manifest.ReceiptsName, 50)
	files, first, second := plainPack(f)
	f.Add([]byte(first + "\n" + second + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Verify(withReceipts(t, files, string(text)), Options{Now: builtAt})
		if err != nil {
			t.Fatal(err)
		}
		checkSane(t, r)
		if r.Integrity != Pass {
			return
		}
		lines := bytes.Split(text, []byte("\n"))
		if len(lines[len(lines)-1]) != 0 || r.Receipts != len(lines)-1 {
			t.Fatalf("%d receipts of %q", r.Receipts, text)
		}
		for _, line := range lines[:len(lines)-1] {
			if v, canonical, err := jcs.IsPackLine(line, jcs.Limits{}); err != nil || !canonical || v.Kind != jcs.Object {
				t.Fatalf("%q is admitted", line)
			}
		}
	})
}

// FuzzSignedReport signs whatever there is as the report. Claims are executed, so it cannot change them.
func FuzzSignedReport(f *testing.F) {
	seed(f, manifest.ReportName, 20)
	files := smallPack(f)
	f.Add(files[manifest.ReportName])
	m, err := form.Parse(files[manifest.Name], manifest.MaxSize)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		changed := maps.Clone(files)
		changed[manifest.ReportName] = text
		r, err := Verify(resign(t, changed, m, testSigner), Options{Now: builtAt, RequireClaims: true})
		if err != nil {
			t.Fatal(err)
		}
		checkSane(t, r)
		if r.Integrity == Pass && (r.Claims.Verdict != Pass || !r.Claims.Reexecuted) {
			t.Fatalf("the report changes the claims: %+v", r)
		}
	})
}

// FuzzSidecar puts whatever there is where the cards of a pack stand. Nothing unsigned makes an intact
// pack bad, or its claims other than they are.
func FuzzSidecar(f *testing.F) {
	p := mustBuild(f, smallSpec(f))
	f.Add(p.file(manifest.CardsName))
	for _, text := range corpusFiles(f, "_unsigned/run_cards.json") {
		f.Add(text)
	}
	f.Add([]byte(`[{"card_id":"a","name":"A","claims":[{"claim_id":"c","check":"receipt_count_ge","params":{"min_count":1.0}}]}]`))
	files := smallPack(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		changed := maps.Clone(files)
		changed[manifest.CardsName] = text
		r, err := Verify(changed, Options{Now: builtAt, RequireClaims: true})
		if err != nil {
			t.Fatal(err)
		}
		checkSane(t, r)
		if r.ExitCode() != 0 || !r.Claims.Reexecuted {
			t.Fatalf("the sidecar decides: exit %d, %v", r.ExitCode(), r.Findings)
		}
	})
}
