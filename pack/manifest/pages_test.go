package manifest

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// rowsBetween are the names in the first cells of the tables of a page between two texts, with "?" behind one that
// may be absent.
func rowsBetween(t *testing.T, page, from, to string) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/spec/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(text), from)
	part, _, end := strings.Cut(part, to)
	if !ok || !end {
		t.Fatalf("%s has nothing between %q and %q", page, from, to)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|(.*)$").FindAllStringSubmatch(part, -1) {
		for _, name := range regexp.MustCompile("`([A-Za-z0-9_]+)`").FindAllStringSubmatch(row[1], -1) {
			if strings.Contains(row[2], "may be absent") {
				name[1] += "?"
			}
			names = append(names, name[1])
		}
	}
	return names
}

// PCK-10
func TestTheMembersAreThoseOfTheSpecificationInItsOrder(t *testing.T) {
	for _, c := range []struct {
		from, to string
		members  []form.Member
	}{
		{"## 4. Manifest", "**PCK-10.**", manifestMembers},
		{"## 5. Attestation", "### 5.1", attestationMembers},
		{"### 5.5 ci_binding", "`assay` reads it", ciMembers},
	} {
		var names []string
		for _, m := range c.members {
			names = append(names, m.Name)
		}
		if want := rowsBetween(t, "pack.md", c.from, c.to); !slices.Equal(names, want) {
			t.Errorf("%s:\n%v\npack.md has\n%v", c.from, names, want)
		}
	}
}

// VFY-92
func TestTheCodesAreThoseOfTheSpecification(t *testing.T) {
	source, err := os.ReadFile("finding.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/spec/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## 19. Codes")
	table, _, _ = strings.Cut(table, "**VFY-92.**")
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*) \\|[^|]*\\| ?`?([a-z_]*)`? ?\\|$").FindAllStringSubmatch(table, -1) {
		for _, code := range regexp.MustCompile("[EW]_[A-Z_]+").FindAllString(row[1], -1) {
			told[code] = true
			if got := (Finding{Code: code}).Mechanism(); got != row[2] {
				t.Errorf("%s: %q, verify.md has %q", code, got, row[2])
			}
		}
	}
	made := regexp.MustCompile(`(?m)^\t\w+ += "([EW]_[A-Z_]+)"$`).FindAllStringSubmatch(string(source), -1)
	for _, m := range made {
		if !told[m[1]] {
			t.Errorf("verify.md does not have %s", m[1])
		}
	}
	if len(made) != len(told) || len(made) < 25 {
		t.Errorf("%d codes, verify.md has %d", len(made), len(told))
	}
}
