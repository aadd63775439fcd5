package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// staticSite serves the files given as any server of files does.
func staticSite(t *testing.T, files map[string]string) (Files, string) {
	t.Helper()
	dir := t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := httptest.NewServer(http.StripPrefix("/repo", http.FileServer(http.Dir(dir))))
	t.Cleanup(s.Close)
	return Files{&Client{URL: s.URL + "/repo/", Attempts: 1}}, dir
}

func TestFilesOfAnyStaticCopyAreReadAsTheyAre(t *testing.T) {
	hashes := strings.Repeat("h", 256*tlog.HashSize)
	bundle := string(tiles.AppendEntry(tiles.AppendEntry(nil, []byte("a")), []byte("bc")))
	f, _ := staticSite(t, map[string]string{
		"checkpoint": "note", "policy": "log x\n", "tsa-roots.pem": "roots",
		"tile/0/000": hashes, "tile/entries/000.p/2": bundle, "tile/0/001.p/3": hashes[:95],
	})
	for name, c := range map[string]struct {
		get  func() ([]byte, error)
		want string
	}{
		"checkpoint":        {func() ([]byte, error) { return f.Checkpoint(t.Context()) }, "note"},
		"policy":            {func() ([]byte, error) { return f.Policy(t.Context()) }, "log x\n"},
		"roots":             {func() ([]byte, error) { return f.Roots(t.Context()) }, "roots"},
		"tile":              {func() ([]byte, error) { return f.Tile(t.Context(), "tile/0/000") }, hashes},
		"bundle":            {func() ([]byte, error) { return f.Tile(t.Context(), "tile/entries/000.p/2") }, bundle},
		"a partial of full": {func() ([]byte, error) { return f.Tile(t.Context(), "tile/0/000.p/2") }, hashes[:64]},
	} {
		if got, err := c.get(); err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, path := range []string{"tile/0/002", "tile/0/002.p/1", "tile/entries/000", "checkpoint", "tile/../policy"} {
		if _, err := f.Tile(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := f.Tile(t.Context(), "tile/0/001.p/3"); !errors.Is(err, ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a tile of the wrong length: %v", err)
	}
	gone, _ := staticSite(t, nil)
	for name, get := range map[string]func() ([]byte, error){
		"checkpoint": func() ([]byte, error) { return gone.Checkpoint(t.Context()) },
		"policy":     func() ([]byte, error) { return gone.Policy(t.Context()) },
		"roots":      func() ([]byte, error) { return gone.Roots(t.Context()) },
	} {
		if _, err := get(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no %s: %v", name, err)
		}
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	if _, err := (Files{&Client{URL: closed.URL, Attempts: 1}}).Checkpoint(t.Context()); !errors.Is(err, ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody answers: %v", err)
	}
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>log in") }))
	defer portal.Close()
	for _, err := range (Files{&Client{URL: portal.URL, Attempts: 1}}).Checkpoints(t.Context(), 0) {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("a portal: %v", err)
		}
	}
}

func TestTheHistoryOfAStaticCopyIsReadFromAnyNumberOn(t *testing.T) {
	const count = 2*tiles.Width + 5
	files := map[string]string{tiles.CheckpointCount: fmt.Sprintln(count)}
	note := func(i int) []byte { return fmt.Appendf(nil, "note %d", i) }
	for n := range 3 {
		width := min(tiles.Width, count-n*tiles.Width)
		var bundle []byte
		for i := range width {
			bundle = tiles.AppendEntry(bundle, note(n*tiles.Width+i))
		}
		files[tiles.CheckpointPath(int64(n), width)] = string(bundle)
	}
	f, dir := staticSite(t, files)
	read := func(start int64) (count int, err error) {
		for got, err := range f.Checkpoints(t.Context(), start) {
			if err != nil {
				return count, err
			}
			if !bytes.Equal(got, note(int(max(start, 0))+count)) {
				t.Fatalf("from %d on: note %d is %q", start, count, got)
			}
			count++
		}
		return count, nil
	}
	for _, start := range []int64{-1, 0, 1, 255, 256, 511, 512, 516, 517} {
		if got, err := read(start); err != nil || got != count-int(max(start, 0)) {
			t.Errorf("from %d on: %d, %v", start, got, err)
		}
	}
	for _, start := range []int64{518, 768, 1 << 50} {
		if got, err := read(start); got != 0 || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("from %d on: %d, %v", start, got, err)
		}
	}
	for range f.Checkpoints(t.Context(), 0) {
		break // and asks for no more
	}
	for name, text := range map[string]string{"no newline": "517", "a sign": "+517\n", "nothing": "", "a long one": strings.Repeat("1", 40) + "\n", "two": "1\n2\n"} {
		if err := os.WriteFile(filepath.Join(dir, "checkpoints", "count"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := read(0); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoints", "count"), []byte("514\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := read(0); got != 512 || !errors.Is(err, fs.ErrNotExist) { // the partial one of 514 is gone, and the full one not there
		t.Errorf("a bundle that is gone: %d, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checkpoints", "001"), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := read(300); got != 0 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("a torn bundle: %d, %v", got, err)
	}
}

func TestAHistoryThatGrowsWhileItIsReadLacksNothing(t *testing.T) {
	var bundle []byte
	for i := range 5 {
		bundle = tiles.AppendEntry(bundle, fmt.Appendf(nil, "note %d", i))
	}
	_, dir := staticSite(t, map[string]string{tiles.CheckpointCount: "5\n", tiles.CheckpointPath(0, 5): string(bundle)})
	asked, plain := 0, http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+tiles.CheckpointCount {
			plain.ServeHTTP(w, r)
			return
		}
		if asked++; asked == 1 {
			fmt.Fprintln(w, 3) // as a cache has it
		} else {
			fmt.Fprintln(w, 5)
		}
	}))
	t.Cleanup(s.Close)
	got := 0
	for note, err := range (Files{&Client{URL: s.URL, Attempts: 1}}).Checkpoints(t.Context(), 0) {
		if want := fmt.Sprintf("note %d", got); err != nil || string(note) != want {
			t.Fatalf("%q, %v, want %q", note, err, want)
		}
		got++
	}
	if got != 3 || asked != 2 {
		t.Errorf("%d notes, and %d questions how many there are", got, asked)
	}
}
