package main

import (
	"path/filepath"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli/clitest"
)

// notRun is how many blocks of commands the documents have that no test can run, each with its reason beside it.
const notRun = 9

func TestEveryCommandBlockInTheDocumentsRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	if err := buildOnce(); err != nil {
		t.Fatal(err)
	}
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(docs) < 4 {
		t.Fatalf("%q, %v", docs, err)
	}
	clitest.RunBlocks(t, built, "ledger testnet down net", notRun, append([]string{"../../README.md"}, docs...)...)
}
