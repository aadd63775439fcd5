package witness_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/witness"
)

// fullStore is what both implementations have beyond the contract.
type fullStore interface {
	witness.Store
	Origins(context.Context) ([]string, error)
	KeepEvidence(context.Context, witness.Evidence) (bool, error)
	Evidence(context.Context, string) ([]witness.Evidence, error)
}

// TestStoreContract runs on every implementation.
// WIT-23
func TestStoreContract(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			s := open(t).(fullStore)
			wantLatest := func(origin, want string) {
				t.Helper()
				got, err := s.Latest(ctx, origin)
				if err != nil || string(got) != want || (want == "") != (got == nil) {
					t.Errorf("latest of %q is %q, %v; want %q", origin, got, err, want)
				}
			}
			swap := func(origin, old, new string, want error) {
				t.Helper()
				var oldNote []byte
				if old != "" {
					oldNote = []byte(old)
				}
				if err := s.Swap(ctx, origin, oldNote, []byte(new)); !errors.Is(err, want) {
					t.Errorf("swap %q from %q to %q: %v, want %v", origin, old, new, err, want)
				}
			}
			wantLatest("a", "")
			swap("a", "1", "2", witness.ErrConflict) // nothing there yet
			swap("a", "", "1", nil)
			wantLatest("a", "1")
			swap("a", "", "2", witness.ErrConflict) // something there already
			swap("a", "0", "2", witness.ErrConflict)
			swap("a", "1 ", "2", witness.ErrConflict)
			wantLatest("a", "1")
			swap("a", "1", "1", nil)
			swap("a", "1", "2\x00\xff", nil)
			wantLatest("a", "2\x00\xff")
			wantLatest("A", "") // origins are bytes
			wantLatest("a ", "")
			swap("é", "", "composed", nil)
			wantLatest("e\u0301", "")
			swap("a' OR '1", "", "quoted", nil)
			wantLatest("a", "2\x00\xff")
			if err := s.Swap(ctx, "b", nil, nil); err == nil || errors.Is(err, witness.ErrConflict) {
				t.Errorf("an empty note was stored: %v", err)
			}
			got, err := s.Latest(ctx, "a")
			if err != nil {
				t.Fatal(err)
			}
			got[0] = 'x' // the caller's copy
			wantLatest("a", "2\x00\xff")
			origins, err := s.Origins(ctx)
			if err != nil || fmt.Sprint(origins) != fmt.Sprint([]string{"a", "a' OR '1", "é"}) {
				t.Errorf("origins %q, %v", origins, err)
			}
		})
	}
}

// The first note may be stored between any two looks of a reader: it sees none or that one, and is never told of damage.
// WIT-23
func TestAFirstNoteThatArrivesWhileItIsLookedForIsNoDamage(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			for i := range 200 {
				origin, note := fmt.Sprint("log ", i), []byte("note")
				var stored sync.WaitGroup
				stored.Go(func() {
					if err := s.Swap(t.Context(), origin, nil, note); err != nil {
						t.Error(err)
					}
				})
				for got := []byte(nil); got == nil && !t.Failed(); {
					var err error
					if got, err = s.Latest(t.Context(), origin); err != nil || got != nil && !bytes.Equal(got, note) {
						t.Errorf("latest of %q is %q, %v", origin, got, err)
					}
				}
				stored.Wait()
			}
		})
	}
}

func TestOfManySwapsFromOneStateOneSucceeds(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			var old []byte
			for round := range 20 {
				var wg sync.WaitGroup
				errs := make([]error, 32)
				for i := range errs {
					wg.Go(func() { errs[i] = s.Swap(t.Context(), "log", old, fmt.Appendf(nil, "%d by %d", round, i)) })
				}
				wg.Wait()
				winner := -1
				for i, err := range errs {
					switch {
					case err == nil && winner >= 0:
						t.Fatalf("round %d: both %d and %d swapped", round, winner, i)
					case err == nil:
						winner = i
					case !errors.Is(err, witness.ErrConflict):
						t.Fatal(err)
					}
				}
				old = fmt.Appendf(nil, "%d by %d", round, winner)
				if got, err := s.Latest(t.Context(), "log"); err != nil || !bytes.Equal(got, old) {
					t.Fatalf("round %d: stored %q, %v; want %q", round, got, err, old)
				}
			}
		})
	}
}

// Swaps of many logs share transactions; a lost one takes none of the others with it.
func TestSwapsOfOneGroupAreJudgedOneByOne(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					origin := fmt.Sprintf("log %d", i)
					if i%3 == 0 {
						if err := s.Swap(t.Context(), origin, []byte("never"), []byte("x")); !errors.Is(err, witness.ErrConflict) {
							t.Errorf("%s: %v, want a conflict", origin, err)
						}
						return
					}
					var old []byte
					for n := range 5 {
						next := fmt.Appendf(nil, "note %d", n)
						if err := s.Swap(t.Context(), origin, old, next); err != nil {
							t.Errorf("%s: %v", origin, err)
						}
						old = next
					}
				})
			}
			wg.Wait()
			for i := range 200 {
				got, err := s.Latest(t.Context(), fmt.Sprintf("log %d", i))
				if want := map[bool]string{true: "", false: "note 4"}[i%3 == 0]; err != nil || string(got) != want {
					t.Errorf("log %d: %q, %v; want %q", i, got, err, want)
				}
			}
		})
	}
}

// WIT-28
func TestEvidenceIsBoundedAndLeadsDoNotCrowdOutProofs(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := open(t).(fullStore)
			keep := func(origin string, kind witness.EvidenceKind, theirs string, want bool) {
				t.Helper()
				e := witness.Evidence{Origin: origin, Kind: kind, Ours: []byte("ours"), Theirs: []byte(theirs), Seen: time.Unix(1e9, 0)}
				if kept, err := s.KeepEvidence(t.Context(), e); err != nil || kept != want {
					t.Fatalf("%s %s: %v, %v; want %v", kind, theirs, kept, err, want)
				}
			}
			for i := range 110 {
				keep("log", witness.Unproven, fmt.Sprint(i), i < 100)
			}
			keep("log", witness.Unproven, "0", false)
			keep("log", witness.Fork, "0", true)
			keep("log", witness.Fork, "0", false)
			keep("other", witness.Unproven, "other", true)
			kept, err := s.Evidence(t.Context(), "log")
			if err != nil || len(kept) != 101 || string(kept[99].Theirs) != "99" || kept[100].Kind != witness.Fork {
				t.Errorf("%d kept, %v", len(kept), err)
			}
		})
	}
}

func TestSQLiteRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd ?#%41 name.db")
	for i := range 3 {
		s, err := witness.OpenSQLite(path)
		if err != nil {
			t.Fatal(err)
		}
		old, err := s.Latest(t.Context(), "log")
		if err != nil || (i > 0) != (string(old) == fmt.Sprint(i)) {
			t.Fatalf("opening %d: found %q, %v", i, old, err)
		}
		if err := s.Swap(t.Context(), "log", old, fmt.Append(nil, i+1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestTwoProcessesShareOneSQLiteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.db")
	var wg sync.WaitGroup
	for range 2 { // also opening a new file at once must work
		wg.Go(func() {
			s, err := witness.OpenSQLite(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for done := 0; done < 50; {
				old, err := s.Latest(t.Context(), "log")
				if err != nil {
					t.Error(err)
					return
				}
				switch err := s.Swap(t.Context(), "log", old, append(old, 'x')); {
				case err == nil:
					done++
				case !errors.Is(err, witness.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s, err := witness.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, err := s.Latest(t.Context(), "log"); err != nil || len(got) != 100 {
		t.Errorf("%d swaps counted, %v; want 100: an update was lost", len(got), err)
	}
}

// SQLite does not wait where several processes turn one new file into a journalled one.
func TestProcessesThatOpenOneNewStoreAtOnceAllOpenIt(t *testing.T) {
	for range 50 {
		path := filepath.Join(t.TempDir(), "witness.db")
		var wg sync.WaitGroup
		start := make(chan bool)
		for range 4 {
			wg.Go(func() {
				<-start
				s, err := witness.OpenSQLite(path)
				if err != nil {
					t.Error(err)
					return
				}
				s.Close()
			})
		}
		close(start)
		wg.Wait()
	}
}

func TestSQLiteRefusesFilesThatAreNotItsOwn(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	db, err := sql.Open("sqlite", foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE other (x)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	newer := filepath.Join(dir, "newer.db")
	s, err := witness.OpenSQLite(newer)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if db, err = sql.Open("sqlite", newer); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 2"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("not a database\n"), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{foreign, newer, text, link, dir, filepath.Join(dir, "missing", "x.db")} {
		if s, err := witness.OpenSQLite(path); err == nil {
			s.Close()
			t.Errorf("%s was opened", path)
		}
	}
}

func TestAClosedStoreAnswers(t *testing.T) {
	s, err := witness.OpenSQLite(filepath.Join(t.TempDir(), "witness.db"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 50 { // some before, some during, some after Close: each gets an answer
		wg.Go(func() {
			s.Swap(t.Context(), fmt.Sprint(i), nil, []byte("x"))
		})
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := s.Swap(t.Context(), "late", nil, []byte("x")); err == nil || errors.Is(err, witness.ErrConflict) {
		t.Errorf("swap after close: %v", err)
	}
	if note, err := s.Latest(t.Context(), "late"); err == nil {
		t.Errorf("latest after close: %q", note)
	}
	if origins, err := s.Origins(t.Context()); err == nil {
		t.Errorf("origins after close: %q", origins)
	}
	if kept, err := s.Evidence(t.Context(), "late"); err == nil {
		t.Errorf("evidence after close: %v", kept)
	}
	if kept, err := s.KeepEvidence(t.Context(), witness.Evidence{Origin: "late", Kind: witness.Fork}); err == nil || kept {
		t.Errorf("evidence kept after close: %t, %v", kept, err)
	}
}

func TestACancelledSwapEnds(t *testing.T) {
	s := openSQLite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 20 {
		if err := s.Swap(ctx, fmt.Sprint(i), nil, []byte("x")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}
