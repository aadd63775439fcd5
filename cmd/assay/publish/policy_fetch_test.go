package publish

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// Somebody made the second file after both places were looked at.
func TestAFileThatCouldNotBeWrittenIsToldWithTheOneThatWas(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("roots.pem", []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := publish([]*fetched{{path: "policy", text: []byte("x\n")}, {path: "roots.pem", text: []byte("y\n")}}, durable.CreateFile)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "writing roots.pem") || !strings.HasSuffix(err.Error(), "; there is already policy") {
		t.Errorf("got %v", err)
	}
}
