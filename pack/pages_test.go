package pack

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// between is the part of verify.md between two texts.
func between(t *testing.T, from, to string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/spec/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, ok := strings.Cut(string(page), from)
	part, _, end := strings.Cut(part, to)
	if !ok || !end {
		t.Fatalf("verify.md has nothing between %q and %q", from, to)
	}
	return part
}

// VFY-30
func TestTheWordsOfAVerifierAreThoseOfTheSpecification(t *testing.T) {
	var told []string
	for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(between(t, "**VFY-30.**", "nor `reexecuted`"), -1) {
		told = append(told, m[1])
	}
	if !slices.Equal(told, verifierMembers) {
		t.Errorf("%v\nverify.md has\n%v", verifierMembers, told)
	}
}

// VFY-38
func TestTheSentencesOfReportsAreThoseOfTheSpecification(t *testing.T) {
	told := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.*\.) \| ([a-z]+ [A-Z_]+) \|$`).FindAllStringSubmatch(between(t, "**VFY-38.**", "**VFY-39.**"), -1) {
		told[plainSentence(m[1])] = m[2]
	}
	for sentence, means := range sentences {
		if told[sentence] != means {
			t.Errorf("%q means %s, in verify.md %q", sentence, means, told[sentence])
		}
	}
	if len(told) != len(sentences) {
		t.Errorf("%d sentences, verify.md has %d", len(sentences), len(told))
	}
}
