package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Both have found the directories empty before either writes.
// STO-1
func TestAnInitThatComesSecondTakesNothingAway(t *testing.T) {
	for name, second := range map[string]string{"the same directory": "led", "another directory with the same guard": "other"} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			o := initFlags{origin: "a.example", timestamps: "off", listen: "127.0.0.1:0", guard: filepath.Join(top, "guard")}
			var dirs [2]ledgerHome
			var plans [2]*newLedger
			for i, name := range []string{"led", second} {
				dirs[i] = ledgerHome(filepath.Join(top, name))
				var err error
				if plans[i], err = o.plan(dirs[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := plans[0].write(t.Context(), dirs[0]); err != nil {
				t.Fatal(err)
			}
			before := filesBelow(t, top)
			var refused *cli.Error
			if err := plans[1].write(t.Context(), dirs[1]); err == nil {
				t.Fatal("the second was made too")
			} else if !errors.Is(err, fs.ErrExist) && !errors.As(err, &refused) {
				t.Errorf("refused with %v", err)
			}
			if after := filesBelow(t, top); !maps.Equal(before, after) {
				t.Errorf("%q became %q", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
			}
		})
	}
}

// STO-1
func TestOfManyInitsOfOneDirectoryExactlyOneWins(t *testing.T) {
	for _, args := range [][]string{{"init", "--origin", "a.example", "--timestamps", "off"}, {"witness", "init", "--name", "w.example", "--algorithm", "both"}} {
		t.Run(args[0], func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "new")
			var outs, errs [8]strings.Builder
			var codes [8]int
			begin := make(chan struct{})
			var racing sync.WaitGroup
			for i := range codes {
				racing.Go(func() {
					<-begin
					codes[i] = run(t.Context(), append(slices.Clone(args), path), cli.Streams{Out: &outs[i], Err: &errs[i], Env: func(string) string { return "" }})
				})
			}
			close(begin)
			racing.Wait()
			winner := slices.Index(codes[:], 0)
			if winner < 0 {
				t.Fatalf("nobody won: %s", errs[0].String())
			}
			for i, code := range codes {
				if i != winner && (code != cli.ExitBadInput || !strings.Contains(errs[i].String(), "is not empty")) {
					t.Errorf("%d ended with %d: %s", i, code, errs[i].String())
				}
			}
			if args[0] == "init" {
				if code := run(t.Context(), []string{"fsck", path}, cli.Streams{Out: &outs[winner], Err: &errs[winner], Env: func(string) string { return "" }}); code != 0 {
					t.Errorf("fsck: %d, %s", code, errs[winner].String())
				}
			} else if files := filesBelow(t, path); len(files) != 3 {
				t.Errorf("%q", slices.Sorted(maps.Keys(files)))
			}
		})
	}
}

func TestAWitnessFollowsNoLogWhoseNameIsNotAllSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "w1")
	o := witnessFlags{name: "w1.example", algorithm: "ed25519"}
	made, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	if err := made.write(dir, []byte("quorum none\n")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"ledger.example": true, "ledger\u202e.example": false, "ledger\u200b.example": false} {
		log, err := logToFollow(trusttest.Policy(trusttest.NewLog(name), nil, 0).Logs()[0].VKey)
		if err != nil {
			t.Fatal(err)
		}
		if added, err := addLog(dir, log); added != want || (err == nil) != want {
			t.Errorf("%q: %v, %v", name, added, err)
		}
	}
	if policy, err := readPolicy(filepath.Join(dir, "policy")); err != nil || len(policy.Logs()) != 1 {
		t.Errorf("it follows %v, %v", policy.Logs(), err)
	}
}
