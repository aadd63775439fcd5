package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/site/single"
	"github.com/Haserjian/assay-ledger/site/verifier"
)

// bundle makes the script of a module of testdata and of the verifier, as single makes that of its pages.
func bundle(t *testing.T, name string) string {
	t.Helper()
	modules := fstest.MapFS{name: {Data: must[[]byte](t)(os.ReadFile(filepath.Join("testdata", name)))}}
	for _, e := range must[[]fs.DirEntry](t)(fs.ReadDir(verifier.Files, ".")) {
		modules[e.Name()] = &fstest.MapFile{Data: must[[]byte](t)(fs.ReadFile(verifier.Files, e.Name()))}
	}
	return string(must[[]byte](t)(single.Bundle(modules, name)))
}

// shown is what the page gets of a file: its bytes, or what stands in its place.
type shown struct {
	Kind   string `json:"kind"`
	Base64 string `json:"base64"`
}

// shownPack is a pack as a page gets it.
type shownPack struct {
	Files        map[string]shown `json:"files"`
	Unsigned     map[string]shown `json:"unsigned"`
	UnsignedKind string           `json:"unsigned_kind"`
	Extra        []string         `json:"extra"`
}

// look reads a file for a page. One of more than a gigabyte is shown as too long: no page gets one.
func look(t *testing.T, path string, most int64) (s shown, there bool) {
	t.Helper()
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, false
	case err != nil:
		t.Fatal(err)
	case info.Mode()&fs.ModeSymlink != 0:
		return shown{Kind: "link"}, true
	case !info.Mode().IsRegular():
		return shown{Kind: "other"}, true
	case info.Size() > most:
		return shown{Kind: "long"}, true
	}
	return shown{"file", base64.StdEncoding.EncodeToString(must[[]byte](t)(os.ReadFile(path)))}, true
}

const mostFile = 16 << 20

// most is how long a file may be.
func most(name string) int64 {
	switch name {
	case manifest.Name:
		return 1 << 20
	case manifest.ReceiptsName:
		return 64 << 20 // of the corpus: a longer one there is longer than any may be
	}
	return mostFile
}

// readPack gives a pack as a page gets it, nil if there is none.
func readPack(t *testing.T, dir string) *shownPack {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	p := &shownPack{map[string]shown{}, map[string]shown{}, "", []string{}}
	for _, name := range manifest.FileNames() {
		if s, there := look(t, filepath.Join(dir, name), most(name)); there {
			p.Files[name] = s
		}
	}
	if len(p.Files) == 0 {
		return nil
	}
	for _, e := range entries {
		if name := e.Name(); name == manifest.UnsignedName && !e.IsDir() {
			s, _ := look(t, filepath.Join(dir, name), 0)
			if p.UnsignedKind = s.Kind; s.Kind == "long" || s.Kind == "file" {
				p.UnsignedKind = "other"
			}
		} else if name != manifest.UnsignedName && !slices.Contains(manifest.FileNames(), name) {
			p.Extra = append(p.Extra, name)
		}
	}
	for _, name := range []string{manifest.CardsName, manifest.ProofName} {
		if p.UnsignedKind != "" {
			break
		}
		if s, there := look(t, filepath.Join(dir, name), mostFile); there {
			p.Unsigned[filepath.Base(name)] = s
		}
	}
	return p
}

// answer is what the page says.
type answer struct {
	Exit  int             `json:"exit"`
	Said  json.RawMessage `json:"said"`
	Shown []string        `json:"shown"`
	MS    float64         `json:"ms"`
}

// judge asks the verifier in the page about a pack.
func (b *tab) judge(pack *shownPack, args []string) answer {
	b.Helper()
	files := map[string]shown{}
	for i, arg := range args {
		if i > 0 && strings.HasPrefix(args[i-1], "--") && !strings.HasPrefix(arg, "--") {
			if s, there := look(b.T, arg, mostFile); there {
				files[arg] = s
			}
		}
	}
	text := func(v any) string { return string(must[[]byte](b.T)(json.Marshal(v))) }
	return value[answer](b, "judge(%s, %s, %s)", text(append([]string{}, args...)), text(pack), text(files))
}

// judgePage opens the page with the verifier for the test.
func judgePage(t *testing.T) *tab {
	t.Helper()
	b := newTab(t)
	page := filepath.Join(t.TempDir(), "judge.html")
	text := "<!DOCTYPE html><meta charset=utf-8><title>judge</title><script>" + bundle(t, "corpus.mjs") + "</script>"
	if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.open(fileURL(t, page))
	return b
}

// TestTheVerifierAgreesOnTheCorpusInABrowser: exit codes, verdicts and finding codes of every case, as in Node.
func TestTheVerifierAgreesOnTheCorpusInABrowser(t *testing.T) {
	b := judgePage(t)
	corpus := must[*conformance.Corpus](t)(conformance.Open("../corpus"))
	ask := func(_ context.Context, pack string, args []string) (conformance.Answer, error) {
		a := b.judge(readPack(t, pack), args)
		return conformance.Answer{Exit: a.Exit, Output: a.Said}, nil
	}
	ran := 0
	for _, o := range must[[]conformance.Outcome](t)(corpus.Run(t.Context(), conformance.Options{Judge: ask, Extensions: true})) {
		switch o.State {
		case conformance.Disagrees:
			t.Errorf("%s: %s: %s\n%s", o.Case.ID, o.Case.Title, o.Problem, o.Answer.Output)
			ran++
		case conformance.Agrees:
			ran++
		}
	}
	if t.Logf("%d cases were asked", ran); ran < 250 {
		t.Errorf("only %d cases were asked", ran)
	}
}
