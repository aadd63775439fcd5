package manifest

import (
	"os"
	"testing"
)

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
}
