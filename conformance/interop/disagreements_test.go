package interop

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// disagreement is one case in which the Python tool and ours do not say the same, and why.
type disagreement struct{ python, ours, reason string }

// disagreements is complete: what is not here is a failure, and so is what is here and no longer so.
var disagreements = map[string]disagreement{}

// checkTable finds entries that no case of their group met.
func (w *reference) checkTable(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(disagreements)) {
		group, _, _ := strings.Cut(name, "/")
		if w.whole[group] && !w.compared[name] {
			t.Errorf("%s is listed as a disagreement, and nothing compares it", name)
		}
	}
	t.Logf("%d cases compared, %d disagreements listed", len(w.compared), len(disagreements))
}

// TestDISAGREEMENTSIsTheTable keeps the page that people read.
func TestDISAGREEMENTSIsTheTable(t *testing.T) {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Where assay and the Python tool disagree\n\nassay-ai %s and this tool judge the same packs, locks, stores and keys in `make interop`. These are all\ncases in which they do not say the same. `go test -update` writes this page from the table in\ndisagreements_test.go; a disagreement that is not listed fails that test, and so does one that is gone.\n", referenceVersion)
	group := ""
	for _, name := range slices.Sorted(maps.Keys(disagreements)) {
		d := disagreements[name]
		g, rest, _ := strings.Cut(name, "/")
		if g != group {
			group = g
			title, ok := groups[g]
			if !ok {
				t.Fatalf("group %s of %s has no title", g, name)
			}
			fmt.Fprintf(&page, "\n## %s\n\n| case | Python | ours | why |\n|---|---|---|---|\n", title)
		}
		if d.reason == "" || d.python == d.ours {
			t.Errorf("%s: a disagreement has two sides and a reason", name)
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", rest, d.python, d.ours, d.reason)
	}
	if *update {
		if err := os.WriteFile("DISAGREEMENTS.md", page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(page.Bytes(), must(os.ReadFile("DISAGREEMENTS.md"))(t)) {
		t.Error("DISAGREEMENTS.md is not the table: run go test -update")
	}
}

var groups = map[string]string{
	"go":     "Packs that we built",
	"python": "Packs that the Python tool built",
	"bytes":  "Bytes of packs built of the same receipts with the same key",
	"run":    "Running a program",
	"store":  "Receipt stores",
	"keys":   "Keys",
	"lock":   "Locks that either wrote",
	"vector": "Packs of the specification",
	"locks":  "Locks of the specification",
}
