package pack

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// A pack in memory says of its files what a directory would say.
func TestFilesInMemoryAreFiles(t *testing.T) {
	files := memoryFS{"a/b.json": []byte("text")}
	for name, want := range map[string]struct {
		base string
		dir  bool
		mode fs.FileMode
		size int64
	}{"a/b.json": {"b.json", false, 0o444, 4}, ".": {".", true, fs.ModeDir | 0o555, 0}} {
		info, err := fs.Stat(files, name)
		if err != nil || info.Name() != want.base || info.IsDir() != want.dir || info.Mode() != want.mode || info.Size() != want.size || !info.ModTime().IsZero() || info.Sys() != nil {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
	}
	if _, err := fs.Stat(files, "b.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a name that is not there: %v", err)
	}
}

// Where there is no directory there is nothing to judge, and that is another answer than that it holds no pack.
func TestWhatIsNoDirectoryIsNotJudged(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, judge := range map[string]func() (*Result, error){
		"a directory that is missing":             func() (*Result, error) { return VerifyDir(filepath.Join(dir, "gone"), Options{}) },
		"a file system of one that is missing":    func() (*Result, error) { return Verify(os.DirFS(filepath.Join(dir, "gone")), Options{}) },
		"a file in its place":                     func() (*Result, error) { return VerifyDir(file, Options{}) },
		"a directory without any file of a pack":  func() (*Result, error) { return VerifyDir(dir, Options{}) },
		"a file system without any file of these": func() (*Result, error) { return Verify(memoryFS{"x": nil}, Options{}) },
	} {
		r, err := judge()
		missing, none := strings.Contains(what, "missing"), strings.Contains(what, "without")
		if r != nil || err == nil || errors.Is(err, fs.ErrNotExist) != missing || errors.Is(err, ErrNoPack) != none {
			t.Errorf("%s: %v, %v", what, r, err)
		}
	}
	if _, err := VerifyDir(file, Options{}); !errors.Is(err, errNotDirectory) {
		t.Errorf("a file: %v", err)
	}
	fsys, done, err := DirFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, name := range []string{"file/below", "file/below/that"} {
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fs.ReadDir(fsys, "file"); !errors.Is(err, errNotDirectory) {
		t.Errorf("a list of a file: %v", err)
	}
	if list, err := fs.ReadDir(fsys, "."); err != nil || len(list) != 1 || list[0].Name() != "file" {
		t.Errorf("a list: %v, %v", list, err)
	}
	if to, err := fsys.(interface{ ReadLink(string) (string, error) }).ReadLink("file"); err == nil || to != "" {
		t.Errorf("a link: %q, %v", to, err)
	}
}

// A signature is bytes, and git converts those that look like line ends unless it is told not to.
// VFY-16
func TestASignatureWhoseLineEndsWereConvertedIsSaidToBe(t *testing.T) {
	for i := range 200 {
		spec := smallSpec(t)
		spec.RunID = fmt.Sprint("run-", i)
		files := maps.Clone(mustBuild(t, spec).FS().(memoryFS))
		signature := files[manifest.SignatureName]
		if !bytes.Contains(signature, []byte("\n")) || bytes.Contains(signature, []byte("\r")) {
			continue
		}
		for name, c := range map[string]struct {
			text      []byte
			converted bool
		}{"converted": {bytes.ReplaceAll(signature, []byte("\n"), []byte("\r\n")), true}, "another": {append([]byte{signature[0] ^ 1}, signature[1:]...), false}} {
			files[manifest.SignatureName] = c.text
			r := mustVerify(t, files, Options{Now: builtAt})
			if told(r.Findings) != "E_PACK_SIG_INVALID pack_signature.sig" || strings.Contains(r.Findings[0].Message, "line ends were converted") != c.converted {
				t.Errorf("%s: %+v", name, r.Findings)
			}
		}
		return
	}
	t.Error("no signature with a line end")
}

// A lock may name many cards; a sentence names eight.
func TestASentenceNamesEightCards(t *testing.T) {
	for n, want := range map[int]string{1: "c0", 8: "c0, c1, c2, c3, c4, c5, c6, c7", 9: "c0, c1, c2, c3, c4, c5, c6, c7, 1 more", 20: "c0, c1, c2, c3, c4, c5, c6, c7, 12 more"} {
		cards := make([]claim.Card, n)
		for i := range cards {
			cards[i].ID = fmt.Sprint("c", i)
		}
		if got := cardNames(cards); got != want {
			t.Errorf("%d cards: %s", n, got)
		}
	}
}

// A key that is none is said to be none, once: there is nothing whose hash or signature could be compared.
func TestAKeyThatIsNoneIsSaidToBeNone(t *testing.T) {
	for what, key := range map[string]string{"nothing": "", "31 bytes": base64.StdEncoding.EncodeToString(make([]byte, 31)), "no base64": "!"} {
		files := maps.Clone(smallPack(t))
		text := jcstest.Set(jcstest.Parse(t, string(files[manifest.Name])), "signer_pubkey", jcs.Str(key))
		var err error
		if files[manifest.Name], err = jcs.AppendPretty(nil, text); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range mustVerify(t, files, Options{Now: builtAt}).Findings {
			if strings.HasPrefix(f.Field, "signer_pubkey") {
				said = append(said, f.Field+": "+f.Message)
			}
		}
		if len(said) != 1 || !strings.HasPrefix(said[0], "signer_pubkey: signer_pubkey is not 32 bytes in canonical base64") {
			t.Errorf("%s: %q", what, said)
		}
	}
}
