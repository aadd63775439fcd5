package receipt

import (
	"os"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func mustParse(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parsed(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 16 << 20})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// sharedVector reads a file of the shared vectors, which are not part of the repository.
func sharedVector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../shared/vectors/derived/" + name)
	if err != nil {
		t.Skipf("SKIPPED: the shared vectors are not here: %v", err)
	}
	return text
}
