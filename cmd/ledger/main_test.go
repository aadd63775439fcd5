package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/cli/clitest"
)

func TestMain(m *testing.M) {
	testscript.Main(builder{m}, map[string]func(){"ledger": main})
}

// builder takes away what the tests have built, at their end.
type builder struct{ *testing.M }

func (b builder) Run() int {
	code := b.M.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	return code
}

func TestScripts(t *testing.T) { clitest.Scripts(t) }

// built is where both programs are, as a user would build them; empty: no test has wanted them.
var built string

var buildOnce = sync.OnceValue(func() (err error) {
	if built, err = os.MkdirTemp("", "ledger-test-"); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", built, "../assay", ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
})

// programs returns a demo that runs both programs.
func programs(t *testing.T) *demo {
	t.Helper()
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
	d, err := newDemo(io.Discard, t.TempDir(), filepath.Join(built, "assay"))
	if err != nil {
		t.Fatal(err)
	}
	d.self = filepath.Join(built, "ledger")
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
	site := filepath.Join(t.TempDir(), "site")
	if err := d.keepSite(t.Context(), site); err != nil {
		t.Fatal(err)
	}
	if _, err := d.program(t.Context(), 0, d.self, "site", "check", site, "--policy", d.policy()); err != nil {
		t.Error(err)
	}
	// The ledger that runs shows the same log, at its own address.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := http.Get(d.url("ledger") + "/entries/")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err == nil && r.StatusCode == 200 && bytes.Contains(text, []byte("demo.example/ledger")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("entries: %d, %v", r.StatusCode, err)
		}
	}
	if _, err := d.program(t.Context(), 0, d.self, "site", "build", "--log", d.url("ledger"), "--out", filepath.Join(t.TempDir(), "from-url")); err != nil {
		t.Error(err)
	}
}

func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	clitest.Documented(t, "ledger", func(words ...string) string {
		var out strings.Builder
		run(t.Context(), append(words, "--help"), cli.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard, Env: func(string) string { return "" }})
		return out.String()
	}, "../../README.md", "../../docs/RELIABILITY.md", "../../docs/OPERATING.md")
}
