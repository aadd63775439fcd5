package faults

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// scrubbing is a world whose ledger reads everything again each second, with n entries.
func scrubbing(t *testing.T, n int) *world {
	w := newWorld(t, 2, 1)
	w.servers["ledger"].args = append(w.servers["ledger"].args, "--scrub", "1s")
	w.start("ledger")
	w.awaitReady()
	answers := make([]answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { answers[i] = w.submit(i) })
	}
	all.Wait()
	for _, a := range answers {
		a.want(http.StatusCreated)
	}
	if !strings.Contains(w.log("ledger"), "read again and verified") {
		t.Error("it does not say how often everything is read again")
	}
	return w
}

// flip changes bits of a file in place, as a disk does: every process that has it open reads it so.
func flip(t *testing.T, path string, offsets ...int) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	for _, at := range offsets {
		data[at] ^= 4
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt(data, 0)
	must(t, err)
}

func TestABitFlippedInTheIndexLogsNoManifestTwice(t *testing.T) {
	const entries = 12
	w := scrubbing(t, entries)
	w.stop("ledger") // which writes the index
	for name, test := range map[string]struct {
		running bool
		where   func(size int) []int
	}{
		"one bit in the middle":           {false, func(size int) []int { return []int{size / 2} }},
		"one bit in every block":          {false, everyBlock},
		"one bit in the header":           {false, func(int) []int { return []int{30} }},
		"one bit in every block, running": {true, everyBlock},
	} {
		if test.running {
			w.start("ledger")
		}
		files, err := filepath.Glob(w.path("ledger", "index", "run-*"))
		must(t, err)
		if len(files) == 0 {
			t.Fatal("the index has no file")
		}
		for _, path := range files {
			info, err := os.Stat(path)
			must(t, err)
			flip(t, path, test.where(int(info.Size()))...)
		}
		if !test.running {
			w.start("ledger")
		}
		for n := range entries {
			var a answer
			w.eventually("an answer", func() bool {
				a = w.submit(n)
				return a.status != http.StatusServiceUnavailable // indexing
			}, func() string { return string(a.body) })
			a.want(http.StatusOK) // 201 would be a second entry
		}
		w.awaitReady()
		if cp := w.checkpoint(); cp.Size != entries {
			t.Errorf("%s: size %d", name, cp.Size)
		}
		w.stop("ledger")
	}
	if out := w.run(0, "fsck", w.path("ledger")); !strings.Contains(out, "12 entries") {
		t.Error(out)
	}
}

func everyBlock(size int) (at []int) {
	for i := 1034; i < size; i += 1024 {
		at = append(at, i)
	}
	return at
}

func TestADamagedTileIsNeverServedAndReadyzNamesIt(t *testing.T) {
	w := scrubbing(t, 260)
	for _, path := range []string{"tile/0/000", "tile/entries/000", "tile/0/001.p/4", "tile/1/000.p/1"} {
		whole := w.get("/" + path).want(http.StatusOK)
		if whole.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s, whole: %v", path, whole.header)
		}
		file := w.path("ledger", "log", filepath.FromSlash(path))
		flip(t, file, len(whole.body)/2)
		got := w.get("/"+path).want(http.StatusServiceUnavailable, "/problems/unreadable")
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s, damaged: %v", path, got.header)
		}
		w.awaitNotReady("damage", path)
		flip(t, file, len(whole.body)/2) // whole again
		w.awaitReady()
		if again := w.get("/" + path).want(http.StatusOK); !bytes.Equal(again.body, whole.body) {
			t.Errorf("%s, mended: other bytes", path)
		}
	}
	// The scrub finds what nobody asks for, and says it once.
	flip(t, w.path("ledger", "log", "tile", "entries", "000"), 5000)
	w.awaitNotReady("damage", "tile/entries/000")
	if n := strings.Count(w.log("ledger"), `"file":"tile/entries/000","start":`); n != 2 {
		t.Errorf("two damages of one file were logged %d times", n)
	}
}
