package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/conformance"
)

const committed = "../corpus"

func tree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = os.ReadFile(filepath.Join(dir, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheCommittedCorpusIsWhatTheGeneratorWrites(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "corpus")
	if _, err := write(dir); err != nil {
		t.Fatal(err)
	}
	want, got := tree(t, dir), tree(t, committed)
	size := 0
	for name, data := range want {
		size += len(data)
		if !bytes.Equal(got[name], data) {
			t.Errorf("%s differs or is missing: go run ./conformance/gen writes it", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not of the generator", name)
		}
	}
	if size > 3<<20 {
		t.Errorf("the corpus has %d bytes, more than 3 MiB", size)
	}
	// Over what is there already, and with leftovers in it.
	if err := os.WriteFile(filepath.Join(dir, "packs", "leftover"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := write(dir); err != nil {
		t.Fatal(err)
	}
	again := tree(t, dir)
	if len(again) != len(want) {
		t.Errorf("%d files the second time, %d the first", len(again), len(want))
	}
	for name, data := range want {
		if !bytes.Equal(again[name], data) {
			t.Errorf("%s is not the same the second time", name)
		}
	}
}

func TestEveryNamedAttackHasACase(t *testing.T) {
	c, err := conformance.Open(committed)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, k := range c.Cases {
		for _, id := range k.Attacks {
			has[id] = true
		}
	}
	wanted := strings.Fields("U1 U2 U3b U3c U4 U5 U6 U8 U9 U12 U13 U14a U14b U14c U22 U30 W1 W2 L1 L2 T1 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 T15 T17")
	for i := range 26 {
		wanted = append(wanted, fmt.Sprintf("P%02d", i+1))
	}
	for i := range 8 {
		wanted = append(wanted, fmt.Sprintf("K%02d", i+1))
	}
	for _, id := range wanted {
		if !has[id] {
			t.Errorf("no case answers %s", id)
		}
	}
	for _, id := range strings.Fields("good_01 good_02 good_03 claimfail_01 tampered_01 tampered_02") {
		if !slices.ContainsFunc(c.Cases, func(k conformance.Case) bool { return k.ID == id }) {
			t.Errorf("no case %s", id)
		}
	}
}

func TestTheTestsThatCarryCasesExist(t *testing.T) {
	c, err := conformance.Open(committed)
	if err != nil {
		t.Fatal(err)
	}
	var source []byte
	for _, pattern := range []string{"../../pack/*_test.go", "../../pack/*/*_test.go", "../../cmd/assay/*_test.go", "../../cmd/assay/*/*_test.go", "../../conformance/*_test.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, text...)
		}
	}
	for _, k := range c.Cases {
		if k.Test != "" && !regexp.MustCompile(`(?m)^func `+k.Test+`\(`).Match(source) {
			t.Errorf("%s: no test is called %s", k.ID, k.Test)
		}
	}
}
