package pack

import (
	"os"
	"testing"
)

// sharedVector reads a file of the shared vectors, which are not part of the repository.
func sharedVector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../shared/vectors/derived/" + name)
	if err != nil {
		t.Skipf("SKIPPED: the shared vectors are not here: %v", err)
	}
	return text
}
