// Program gen writes the conformance corpus: the same bytes every time, on every machine.
//
//	go run ./conformance/gen            writes conformance/corpus
//	go run ./conformance/gen -o DIR     writes DIR
//
// A folder that is there is replaced whole.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/Haserjian/assay-ledger/conformance"
)

func main() {
	out := flag.String("o", filepath.Join("conformance", "corpus"), "`DIR` to write")
	flag.Parse()
	n, err := write(*out)
	if err != nil {
		fmt.Fprintf(os.Stderr, "gen: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("%d cases in %s\n", n, *out)
}

// write replaces the corpus in dir. It removes only what a corpus of ours may have put there.
func write(dir string) (int, error) {
	if _, err := os.Stat(filepath.Join(dir, conformance.IndexName)); err == nil {
		for _, name := range []string{conformance.IndexName, "packs", "locks", "cards", "policy"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return 0, err
			}
		}
	}
	w := &world{files: files{}}
	w.cases()
	index, err := conformance.MarshalIndex(w.index)
	if err != nil {
		return 0, err
	}
	w.files[conformance.IndexName] = index
	for name, data := range w.files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return 0, err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return 0, err
		}
	}
	return len(w.index), nil
}
