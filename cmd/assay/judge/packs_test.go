package judge

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// filepath.Glob ignores what it cannot read, and so would a verifier of 'vendor/*/pack'.
func TestAPatternPassesOverNoDirectoryThatCannotBeRead(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("SKIPPED: root reads everything")
	}
	t.Chdir(t.TempDir())
	for _, dir := range []string{"vendor/a/pack", "vendor/b/pack"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod("vendor/b", 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod("vendor/b", 0o700) })
	for _, pattern := range []string{"vendor/*/pack", "vendor/*/*", "vendor/?/pack/"} {
		if names, err := expand(pattern); err == nil {
			t.Errorf("%s: %v, and nothing about vendor/b", pattern, names)
		}
	}
	if found, err := latestPacks("vendor"); err != nil || len(found) != 1 || found[0].dir != "vendor/b" || found[0].undated == nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestAPatternFindsWhatFilepathGlobFinds(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"a/p1", "a/p2/x", "b/p1", "b/q"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("a/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*", "*/p1", "a/*", "*/*", "*/*/x", "?/[pq]*", "./*/p1", "*/file/*", "*/nothing/*", "none*", filepath.Join(here, "*", "p*")} {
		want, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		got, err := glob(pattern)
		for i := range want {
			want[i] = filepath.Clean(want[i])
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", pattern, got, err, want)
		}
	}
}
