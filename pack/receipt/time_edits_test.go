package receipt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// timeSeeds have between them every part of both grammars of time.
var timeSeeds = []string{
	"2024-02-29T23:59:59.123456+05:30", "2026-01-15 11:00:00.5-00:00:15.25", "20260115T110000.123Z", "2026-W03-4T11:00+0530",
	"2026W034T1100Z", "2020-W53-7", "2026W53", "2015W531", "2026-W03-11", "2026-01-15T11:00:00Z", "2100-02-28", "2000-02-29T00:00:00Z", "1900-02-28T00:00:00Z",
	"0001-01-01", "9999-12-31T23:59:59+23:59", "9999-W52-5", "0001-W01-1", "2009-W53-1T05", "2032W53", "2026-04-30T10:20:30,123+05:30:15",
	"2026-12-31T00:00:60Z", "2026-06-30T10:00:00.1234567890-23:59",
}

// timeEdits is every seed, and what one replaced, removed or inserted character makes of it.
func timeEdits() []string {
	const alphabet = "012345679 +-:.,TWZxz/"
	edits := map[string]bool{}
	for _, seed := range timeSeeds {
		edits[seed] = true
		for i := range len(seed) + 1 {
			edits[seed[:i]] = true
			for _, c := range alphabet {
				edits[seed[:i]+string(c)+seed[i:]] = true
				if i < len(seed) {
					edits[seed[:i]+string(c)+seed[i+1:]] = true
				}
			}
			if i < len(seed) {
				edits[seed[:i]+seed[i+1:]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(edits))
}

// cpython answers for each text "r" if it is a receipt's time, "s" if it is one of the schema.
const cpython = `
import sys, json, re
from datetime import datetime
if sys.version_info < (3, 11): sys.exit("too old")
schema = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
def reads(s):
    try:
        datetime.fromisoformat(s.replace("Z", "+00:00"))
        return True
    except ValueError:
        return False
json.dump([("r" if reads(s) else "") + ("s" if schema.fullmatch(s) and reads(s) else "") for s in json.load(sys.stdin)], sys.stdout)
`

// What CPython 3.11 says of all edits. With a python3 at hand the test says where we differ.
const cpythonSays = "042d155cbf6c413fef8113066c1b413e41705055e318e2289cf26f736fa55480"

func TestEveryEditOfATimeIsReadAsCPythonReadsIt(t *testing.T) {
	edits := timeEdits()
	got := make([]string, len(edits))
	for i, text := range edits {
		if IsTime(text) {
			got[i] = "r"
		}
		if _, ok := form.ParseDateTime(text); ok {
			got[i] += "s"
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(got, "\n")))
	if says := hex.EncodeToString(sum[:]); says != cpythonSays {
		t.Errorf("the verdicts on %d texts hash to %s, want %s", len(edits), says, cpythonSays)
	}
	input, err := json.Marshal(edits)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.Command("python3", "-c", cpython)
	python.Stdin = strings.NewReader(string(input))
	output, err := python.Output()
	if err != nil {
		t.Skipf("SKIPPED: no python3 of 3.11 or later to compare with: %v", err)
	}
	var want []string
	if err := json.Unmarshal(output, &want); err != nil || len(want) != len(edits) {
		t.Fatalf("%d answers: %v", len(want), err)
	}
	differences := 0
	for i, text := range edits {
		if got[i] != want[i] {
			if differences++; differences <= 20 {
				t.Errorf("%q: %q, CPython says %q", text, got[i], want[i])
			}
		}
	}
	if differences > 0 {
		t.Errorf("%d of %d texts are read otherwise", differences, len(edits))
	}
}
