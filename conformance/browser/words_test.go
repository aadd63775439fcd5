package browser

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// TestThePageSaysItInTheWordsOfTheCommandLine compares the lines of the channels and of the verdict, of every pack that the
// corpus shows without flags. A list of findings may be longer in one verifier than in the other: its length is not compared.
func TestThePageSaysItInTheWordsOfTheCommandLine(t *testing.T) {
	b := judgePage(t)
	var seen []string
	for _, c := range must[*conformance.Corpus](t)(conformance.Open("../corpus")).Cases {
		if c.Path == "" || len(c.Make) > 0 || slices.Contains(seen, c.Path) {
			continue
		}
		seen = append(seen, c.Path)
		dir := filepath.Join("..", "corpus", filepath.FromSlash(c.Path))
		r, err := pack.VerifyDir(dir, pack.Options{Now: time.Now()})
		if err != nil {
			continue // nothing to judge, and nothing to say
		}
		want, got := lines(report.New("pack", r).Text()), lines(strings.Join(b.judge(readPack(t, dir), nil).Shown, "\n"))
		if !slices.Equal(got, want) {
			t.Errorf("%s:\nthe page         %s\nthe command line %s", c.ID, strings.Join(got, "\n                 "), strings.Join(want, "\n                 "))
		}
	}
	if len(seen) < 200 {
		t.Errorf("only %d packs were compared", len(seen))
	}
}

// unflagged takes out what a page does not have: the flags that would say more.
var unflagged = strings.NewReplacer(" (--require-claim-pass)", "", " (--policy)", "", " (--require-anchor)", "")

// lines are those of channels and verdict.
func lines(text string) (list []string) {
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		name, _, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "integrity  FAIL"):
			list = append(list, "integrity  FAIL")
		case slices.Contains([]string{"integrity", "claims", "anchor", "lock", "expected", "coverage", "signer", "verdict"}, name):
			list = append(list, unflagged.Replace(line))
		}
	}
	return list
}
