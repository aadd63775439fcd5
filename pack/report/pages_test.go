package report

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// VFY-85
func TestTheMembersOfTheJSONAreThoseOfTheSpecificationInItsOrder(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "**VFY-85.**")
	table, _, _ = strings.Cut(table, "**VFY-86.**")
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|").FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, name[1])
		}
	}
	passing := reportOf("x", pack.Pass)
	passing.Findings, passing.Result.Lock.Findings, passing.Result.Lock.Verdict = nil, nil, pack.Skipped
	passing.Expectations.Verdict, passing.Expectations.Results[0].Verdict, passing.Expectations.Results[2].Verdict = pack.Pass, pack.Pass, pack.Pass
	passing.MaxAgeHours = 1
	passing.Claims.Cards, passing.Claims.Sources = claim.BuiltinCards()[:1], []pack.CardSource{pack.SourceBuiltIn}
	passing.Result.Facts.Endings = []pack.Tally{{Name: "exit 0", N: 1}}
	locked := reportOf("x", pack.Pass)
	locked.Lock = new(lock.Lock)
	unread := reportOf("x", pack.Fail)
	unread.Manifest, unread.Claims.Results = nil, nil
	failing := reportOf("x", pack.Fail)
	failing.Findings = manifest.Findings{{Code: manifest.CodeManifestTamper, Channel: manifest.ChannelIntegrity, Stage: manifest.StageRoot, Receipt: -1}}
	seen := map[string]bool{"claim_gate": true, "artifacts": true} // of scripts
	for what, r := range map[string]*Report{"passing": passing, "failing": failing, "locked": locked, "unread": unread} {
		last := -1
		for _, m := range r.JSON("verify-pack").Members {
			i := slices.Index(told, m.Name)
			if i <= last {
				t.Errorf("%s: %s is at %d of the table in verify.md, behind one at %d", what, m.Name, i, last)
			}
			last, seen[m.Name] = i, true
		}
	}
	for _, name := range told {
		if !seen[name] {
			t.Errorf("no judgement has %s", name)
		}
	}
}
