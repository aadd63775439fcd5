package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/cmdtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ledger": main})
}

func TestScripts(t *testing.T) { cmdtest.Scripts(t) }

// programs builds both programs as a user would, and returns a demo that runs them.
func programs(t *testing.T) *demo {
	t.Helper()
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../assay", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	d, err := newDemo(io.Discard, t.TempDir(), filepath.Join(bin, "assay"))
	if err != nil {
		t.Fatal(err)
	}
	d.self = filepath.Join(bin, "ledger")
	t.Cleanup(d.stopAll)
	return d
}

func TestEveryExpectationOfTheDemoHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers")
	}
	d := programs(t)
	if err := d.run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	cmdtest.Documented(t, "ledger", func(words ...string) string {
		var out strings.Builder
		run(t.Context(), append(words, "--help"), cmd.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard, Env: func(string) string { return "" }})
		return out.String()
	}, "../../README.md", "../../docs/RELIABILITY.md")
}
