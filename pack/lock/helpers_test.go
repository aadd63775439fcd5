package lock

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/packtest"
)

var builtAt = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

var testSigner = packtest.KeyFrom("test-signer", "pack test signer")

const sharedLocks = sharedPacks + "/../locks"

func sharedLock(t testing.TB, name string) []byte {
	t.Helper()
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedLocks, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustLock(t testing.TB, s Spec) *Lock {
	t.Helper()
	if s.At.IsZero() {
		s.At = builtAt
	}
	l, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
}
