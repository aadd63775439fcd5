package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

const sharedLocks = "../../../shared/vectors/locks"

func TestLockCheckGivesReferenceLocksOneExitInTextAndJSON(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(sharedLocks, "*.lock"))
	if err != nil || len(paths) == 0 {
		t.Skipf("SKIPPED: the reference locks are not here: %v", err)
	}
	code := regexp.MustCompile(`"exit_code": (\d)`)
	for _, path := range paths {
		name := filepath.Base(path)
		want := 0
		if strings.HasPrefix(name, "bad_") || strings.HasPrefix(name, "weak_") {
			want = 2
		}
		if name == "bad_empty_allowlist.lock" || name == "bad_pack_format.lock" {
			want = 0 // good files that no pack satisfies
		}
		for _, flag := range []string{"--json", "--json=false"} {
			var out, errs bytes.Buffer
			got := run(context.Background(), []string{"lock", "check", path, flag}, cli.Streams{Out: &out, Err: &errs, Env: os.Getenv})
			if got != want || errs.Len() > 0 {
				t.Errorf("%s %s: exit %d, want %d: %s", name, flag, got, want, &errs)
			}
			if said := code.FindSubmatch(out.Bytes()); flag == "--json" && (said == nil || int(said[1][0]-'0') != want) {
				t.Errorf("%s: %s", name, &out)
			}
		}
	}
}
