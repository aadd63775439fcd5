package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLicencesOfWhatIsLinkedAreTheOnesInTheFile(t *testing.T) {
	want, err := licences()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join("..", "..", "THIRD_PARTY_LICENSES.txt"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("THIRD_PARTY_LICENSES.txt is not what the programs link now (%v): run make licences", err)
	}
	for _, work := range []string{"Go, its runtime and standard library", "modernc.org/sqlite v", "github.com/spf13/cobra v", "filippo.io/age v"} {
		if !strings.Contains(string(want), "\n"+work) {
			t.Errorf("%s is not among them", work)
		}
	}
}
