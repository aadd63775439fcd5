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

	"github.com/Haserjian/assay-ledger/pack"
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
func entry(i int64) pack.Logged {
	return pack.Logged{Index: i, Entry: pack.Entry{
		ManifestSHA256:  sha256.Sum256(fmt.Append(nil, "manifest ", i)),
		PackRootSHA256:  sha256.Sum256(fmt.Append(nil, "root ", i/2)),
		SignerKeySHA256: sha256.Sum256(fmt.Append(nil, "signer ", i%3)),
		Source:          pack.Source{Repo: []string{"a/a", "b/b"}[i%2]},
		ClaimCheck:      []string{"PASS", "PASS", "FAIL"}[i%3],
		SubmittedAt:     epoch.Add(time.Duration(i) * time.Second),
	}}
}

func entries(start, end int64) (list []pack.Logged) {
	for i := start; i < end; i++ {
		list = append(list, entry(i))
	}
	return list
}

func TestAppendedEntriesAreFoundAndSurviveReopening(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "a b?#%.db") // a path is not a URL
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
		if got, ok, err := x.Find(ctx, entry(i).Entry.ManifestSHA256); err != nil || !ok || got != i {
			t.Errorf("Find(%d) = %d, %v, %v", i, got, ok, err)
		}
	}
	if _, ok, err := x.Find(ctx, entry(12).Entry.ManifestSHA256); ok || err != nil {
		t.Errorf("found what was never added: %v, %v", ok, err)
	}
	if roots, err := x.FindPackRoot(ctx, entry(4).Entry.PackRootSHA256); err != nil || !slices.Equal(roots, []int64{4, 5}) {
		t.Errorf("FindPackRoot = %v, %v", roots, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAppendTakesOnlyTheNextEntriesAndAllOrNothing(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	if err := x.Append(ctx, 0, entries(0, 5)); err != nil {
		t.Fatal(err)
	}
	holed := entries(5, 8)
	holed[2].Index = 9
	duplicate := entries(5, 8)
	duplicate[2].Entry.ManifestSHA256 = entry(1).Entry.ManifestSHA256
	for name, test := range map[string]struct {
		start int64
		list  []pack.Logged
		want  error
	}{
		"again":     {0, entries(0, 5), ErrOutOfOrder},
		"gap":       {6, entries(6, 8), ErrOutOfOrder},
		"hole":      {5, holed, ErrOutOfOrder},
		"duplicate": {5, duplicate, nil},
	} {
		err := x.Append(ctx, test.start, test.list)
		if err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if size, err := x.Size(ctx); err != nil || size != 5 {
			t.Errorf("%s left %d entries, %v", name, size, err)
		}
	}
}

func TestConcurrentAppendsFormOneSequence(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
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
		if got, ok, err := x.Find(ctx, entry(i).Entry.ManifestSHA256); err != nil || !ok || got != i {
			t.Fatalf("Find(%d) = %d, %v, %v", i, got, ok, err)
		}
	}
}

func TestSearchIsNewestFirstAndCombinesItsFields(t *testing.T) {
	ctx := t.Context()
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
	const total = 120
	if err := x.Append(ctx, 0, entries(0, total)); err != nil {
		t.Fatal(err)
	}
	signers := []string{""}
	for i := range int64(3) {
		key := entry(i).Entry.SignerKeySHA256
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
		e := entry(i).Entry
		if (q.Before == 0 || i < q.Before) &&
			(q.SignerKeySHA256 == "" || q.SignerKeySHA256 == hex.EncodeToString(e.SignerKeySHA256[:])) &&
			(q.SourceRepo == "" || q.SourceRepo == e.Source.Repo) &&
			(q.ClaimCheck == "" || q.ClaimCheck == e.ClaimCheck) &&
			!e.SubmittedAt.Before(q.Since) {
			found = append(found, i)
		}
	}
	return found
}

func TestAnIndexOfSomethingElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index.db")
	x := open(t, path)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, "other.example/log"); !errors.Is(err, ErrForeign) {
		t.Errorf("another origin: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "new.db"), ""); err == nil {
		t.Error("no origin: opened")
	}

	x = open(t, path)
	if _, err := x.write.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, origin); !errors.Is(err, ErrForeign) {
		t.Errorf("another schema: %v", err)
	}

	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte("these are the wrong bytes, and enough of them to be no empty file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(garbage, origin); err == nil {
		t.Error("garbage: opened")
	}
}

func TestAFlippedByteInTheFileIsNoticedOrHarmless(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	path := filepath.Join(dir, "index.db")
	x := open(t, path)
	if err := x.Append(ctx, 0, entries(0, 300)); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 997 {
		bad := slices.Clone(whole)
		bad[at] ^= 0x40
		path := filepath.Join(dir, fmt.Sprintf("bad%d.db", at))
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		x, err := Open(path, origin)
		if err != nil {
			continue
		}
		for i := int64(0); i < 300; i += 37 { // whatever it answers, it does not panic or hang
			x.Find(ctx, entry(i).Entry.ManifestSHA256)
		}
		x.Close()
	}
}

func TestACancelledContextEndsACall(t *testing.T) {
	x := open(t, filepath.Join(t.TempDir(), "index.db"))
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
			x := open(b, filepath.Join(b.TempDir(), "index.db"))
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
	x := open(b, filepath.Join(b.TempDir(), "index.db"))
	if err := x.Append(b.Context(), 0, entries(0, 10000)); err != nil {
		b.Fatal(err)
	}
	var i int64
	for b.Loop() {
		if _, ok, err := x.Find(b.Context(), entry(i%10000).Entry.ManifestSHA256); err != nil || !ok {
			b.Fatal(ok, err)
		}
		i++
	}
}
