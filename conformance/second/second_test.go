// Package second runs the corpus through the verifier in site/verifier, which was written from docs/spec alone: where
// two programs that share nothing but the pages agree, the pages say enough.
package second

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/conformance"
)

// TestASecondVerifierAgreesOnTheCorpus: exit codes, verdicts and finding codes of every case, but for those of differs.
// A case there that agrees fails too, so that the list says neither too much nor too little.
func TestASecondVerifierAgreesOnTheCorpus(t *testing.T) {
	node := findNode(t)
	program, err := filepath.Abs("../../site/verifier/cli.mjs")
	if err != nil {
		t.Fatal(err)
	}
	corpus, err := conformance.Open("../corpus")
	if err != nil {
		t.Fatal(err)
	}
	for id := range differs {
		if !slices.ContainsFunc(corpus.Cases, func(c conformance.Case) bool { return c.ID == id }) {
			t.Errorf("%s is in the list and not in the corpus", id)
		}
	}
	judge := ask(node, program)
	if !long { // make soak starts the program for each case
		judge = askRunning(t, serve(t))
	}
	outcomes, err := corpus.Run(t.Context(), conformance.Options{Judge: judge, Extensions: true})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, o := range outcomes {
		reason, listed := differs[o.Case.ID]
		switch {
		case o.State == conformance.Agrees && listed:
			t.Errorf("%s agrees: delete it from the list (%s)", o.Case.ID, reason)
		case o.State == conformance.Disagrees && !listed:
			t.Errorf("%s: %s: %s", o.Case.ID, o.Case.Title, o.Problem)
		}
		if o.State == conformance.Agrees || o.State == conformance.Disagrees {
			ran++
		}
	}
	t.Logf("%d cases were asked", ran)
	if ran < 280 {
		t.Errorf("only %d cases were asked", ran)
	}
}

// ask judges by the program.
func ask(node, program string) conformance.Judge {
	return func(ctx context.Context, pack string, args []string) (conformance.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		var out bytes.Buffer
		c := exec.CommandContext(ctx, node, append([]string{program, "verify", pack, "--json"}, args...)...)
		c.Stdout, c.Stderr, c.WaitDelay = &out, os.Stderr, time.Second
		err := c.Run()
		if exited, ok := errors.AsType[*exec.ExitError](err); ok && exited.Exited() {
			err = nil
		}
		return conformance.Answer{Exit: c.ProcessState.ExitCode(), Output: out.Bytes()}, err
	}
}

// askRunning judges by the program that runs already.
func askRunning(t *testing.T, s *second) conformance.Judge {
	return func(_ context.Context, pack string, args []string) (conformance.Answer, error) {
		here, err := os.Getwd()
		if err != nil {
			return conformance.Answer{}, err
		}
		type line struct {
			Dir  string   `json:"dir"`
			Args []string `json:"args"`
		}
		said := askSecond[answer](t, s, "command", []line{{here, append([]string{"verify", pack, "--json"}, args...)}})[0]
		return conformance.Answer{Exit: said.Exit, Output: []byte(said.Out)}, nil
	}
}

// TestASecondVerifierReadsTheExamplesOfThePages: canonical forms, results of claims, hashes, locks and proofs, of which
// the corpus holds few.
func TestASecondVerifierReadsTheExamplesOfThePages(t *testing.T) {
	out, err := exec.Command(findNode(t), "testdata/examples.mjs", "../../docs/spec", "../corpus/packs").CombinedOutput()
	if n := 0; err != nil || !counted(string(out), &n) || n < 70 {
		t.Errorf("%v:\n%s", err, out)
	}
}

// counted tells whether nothing but the number of examples was printed.
func counted(out string, n *int) bool {
	_, err := fmt.Sscanf(out, "%d examples\n", n)
	return err == nil && strings.Count(out, "\n") == 1
}

// findNode also opens what node will read, so that go test knows when a result that it kept is out of date.
func findNode(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"../../site/verifier/*.mjs", "testdata/*.mjs", "../../docs/spec/*.md"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("nothing is called %s (%v)", pattern, err)
		}
		for _, name := range names {
			if _, err := os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("NOT RUN: there is no node, so nobody asked the second verifier")
	}
	return node
}
