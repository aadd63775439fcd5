package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

const origin = "log.example/2026"

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func open(t testing.TB, path string) *Index {
	t.Helper()
	x, err := Open(path, origin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

// entry i: three signers, two repositories, two verdicts, one pack root for two neighbours.
func entryOf(i int64) entry.Logged {
	return entry.Logged{Index: i, Entry: entry.Entry{
		ManifestSHA256:  sha256.Sum256(fmt.Append(nil, "manifest ", i)),
		PackRootSHA256:  sha256.Sum256(fmt.Append(nil, "root ", i/2)),
		SignerKeySHA256: sha256.Sum256(fmt.Append(nil, "signer ", i%3)),
		Source:          entry.Source{Repo: []string{"a/a", "b/b"}[i%2]},
		ClaimCheck:      []manifest.ClaimCheck{"PASS", "PASS", "FAIL"}[i%3],
		SubmittedAt:     epoch.Add(time.Duration(i) * time.Second),
	}}
}

func entries(start, end int64) (list []entry.Logged) {
	for i := start; i < end; i++ {
		list = append(list, entryOf(i))
	}
	return list
}

func TestAppendedEntriesAreFoundAndSurviveReopening(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "a b?#%")
	x := open(t, path)
	if size, err := x.Size(ctx); err != nil || size != 0 {
		t.Fatalf("size of a new index: %d, %v", size, err)
	}
	if err := x.Append(ctx, 0, entries(0, 10)); err != nil {
		t.Fatal(err)
	}
	if err := x.Append(ctx, 10, entries(10, 12)); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x = open(t, path)
	if size, err := x.Size(ctx); err != nil || size != 12 {
		t.Fatalf("size after reopening: %d, %v", size, err)
	}
	for i := range int64(12) {
		if got, ok, err := x.Find(ctx, entryOf(i).Entry.ManifestSHA256); err != nil || !ok || got != i {
			t.Errorf("Find(%d) = %d, %v, %v", i, got, ok, err)
		}
	}
	if _, ok, err := x.Find(ctx, entryOf(12).Entry.ManifestSHA256); ok || err != nil {
		t.Errorf("found what was never added: %v, %v", ok, err)
	}
	if roots, err := x.FindPackRoot(ctx, entryOf(4).Entry.PackRootSHA256); err != nil || !slices.Equal(roots, []int64{4, 5}) {
		t.Errorf("FindPackRoot = %v, %v", roots, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAppendTakesOnlyTheNextEntriesAndAllOrNothing(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index"))
	if err := x.Append(ctx, 0, entries(0, 5)); err != nil {
		t.Fatal(err)
	}
	holed := entries(5, 8)
	holed[2].Index = 9
	for name, test := range map[string]struct {
		start int64
		list  []entry.Logged
	}{
		"again": {0, entries(0, 5)},
		"gap":   {6, entries(6, 8)},
		"hole":  {5, holed},
	} {
		if err := x.Append(ctx, test.start, test.list); !errors.Is(err, ErrOutOfOrder) {
			t.Errorf("%s: %v", name, err)
		}
		if size, err := x.Size(ctx); err != nil || size != 5 {
			t.Errorf("%s left %d entries, %v", name, size, err)
		}
	}
}

// A log that an earlier release wrote may hold a manifest twice. Its index must not be stuck there.
func TestOfAManifestThatIsLoggedTwiceTheFirstIsFound(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	list := entries(0, 8)
	list[6].Entry.ManifestSHA256 = list[2].Entry.ManifestSHA256
	for i, l := range list {
		if err := x.Append(t.Context(), int64(i), []entry.Logged{l}); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			if err := x.merge(); err != nil { // the first in a file, the second in memory
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		if at, ok, err := x.Find(t.Context(), list[2].Entry.ManifestSHA256); at != 2 || !ok || err != nil {
			t.Errorf("%d, %v, %v", at, ok, err)
		}
		if err := x.merge(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcurrentAppendsFormOneSequence(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index"))
	const writers, total = 8, 64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for {
				size, err := x.Size(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				if size == total {
					return
				}
				if err := x.Append(ctx, size, entries(size, size+1)); err != nil && !errors.Is(err, ErrOutOfOrder) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i := range int64(total) {
		if got, ok, err := x.Find(ctx, entryOf(i).Entry.ManifestSHA256); err != nil || !ok || got != i {
			t.Fatalf("Find(%d) = %d, %v, %v", i, got, ok, err)
		}
	}
}

// API-19
func TestSearchIsNewestFirstAndCombinesItsFields(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index"))
	const total = 120
	for _, end := range []int64{70, 100, 110, total} { // three runs and memory
		size := x.size()
		if err := x.Append(ctx, size, entries(size, end)); err != nil {
			t.Fatal(err)
		}
		if end < total {
			if err := x.merge(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(x.runs) != 3 || len(x.rows) != 10 {
		t.Fatalf("%d runs, %d rows", len(x.runs), len(x.rows))
	}
	signers := []string{""}
	for i := range int64(3) {
		key := entryOf(i).Entry.SignerKeySHA256
		signers = append(signers, hex.EncodeToString(key[:]))
	}
	for _, signer := range signers {
		for _, repo := range []string{"", "a/a", "b/b", "c/c", "' OR 1=1 --", "%"} {
			for _, claim := range []string{"", "PASS", "FAIL"} {
				for _, since := range []time.Time{{}, epoch.Add(60 * time.Second)} {
					for _, before := range []int64{0, 1, 77} {
						for _, limit := range []int{0, 1, 7, 100} {
							q := Query{signer, repo, claim, since, before, limit}
							got, err := x.Search(ctx, q)
							if want := search(total, q); err != nil || !slices.Equal(got, want) {
								t.Fatalf("Search(%+v) = %v, %v; want %v", q, got, err, want)
							}
						}
					}
				}
			}
		}
	}
	for _, q := range []Query{{Limit: -1}, {Limit: 101}, {Before: -1}, {SignerKeySHA256: "AB"}, {SignerKeySHA256: "zz"}} {
		if _, err := x.Search(ctx, q); err == nil {
			t.Errorf("Search(%+v) succeeds", q)
		}
	}
}

// search is Search by brute force.
func search(total int64, q Query) (found []int64) {
	limit := q.Limit
	if limit == 0 {
		limit = 50
	}
	for i := total - 1; i >= 0 && len(found) < limit; i-- {
		e := entryOf(i).Entry
		if (q.Before == 0 || i < q.Before) &&
			(q.SignerKeySHA256 == "" || q.SignerKeySHA256 == hex.EncodeToString(e.SignerKeySHA256[:])) &&
			(q.SourceRepo == "" || q.SourceRepo == e.Source.Repo) &&
			(q.ClaimCheck == "" || q.ClaimCheck == string(e.ClaimCheck)) &&
			!e.SubmittedAt.Before(q.Since) {
			found = append(found, i)
		}
	}
	return found
}

func TestAnIndexOfAnotherLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index")
	x := open(t, path)
	if err := x.Append(t.Context(), 0, entries(0, 5)); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "other.example/log"); !errors.Is(err, ErrForeign) {
		t.Errorf("another origin: %v", err)
	}
	for _, origin := range []string{"", "two\nlines"} {
		if _, err := Open(filepath.Join(dir, "new"), origin); err == nil {
			t.Errorf("origin %q: opened", origin)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "file"), origin); err == nil {
		t.Error("a file: opened")
	}
}

func TestACancelledContextEndsACall(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Append(ctx, 0, entries(0, 1)); err == nil {
		t.Error("Append ignores its context")
	}
	if size, err := x.Size(t.Context()); err != nil || size != 0 {
		t.Errorf("a cancelled Append left %d entries, %v", size, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int64{1, 256} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			x := open(b, filepath.Join(b.TempDir(), "index"))
			var size int64
			for b.Loop() {
				if err := x.Append(b.Context(), size, entries(size, size+batch)); err != nil {
					b.Fatal(err)
				}
				size += batch
			}
			b.ReportMetric(float64(size)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func BenchmarkFind(b *testing.B) {
	x := open(b, filepath.Join(b.TempDir(), "index"))
	fill(b, x, 10000)
	var i int64
	for b.Loop() {
		if _, ok, err := x.Find(b.Context(), entryOf(i%10000).Entry.ManifestSHA256); err != nil || !ok {
			b.Fatal(ok, err)
		}
		i++
	}
}
