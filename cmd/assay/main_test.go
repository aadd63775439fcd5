package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/Haserjian/assay-ledger/cmd/cmdtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"assay": main})
}

func TestScripts(t *testing.T) { cmdtest.Scripts(t) }
