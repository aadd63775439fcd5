// Program assay turns a run of an AI program into a proof pack and verifies proof packs.
//
// Results go to stdout, talk to stderr. The exit codes are those of package cmd. Only anchor
// opens a connection; verify-pack reads the pack and the files it is given, nothing else.
package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, s cmd.Streams) int {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Evidence of what an AI system did, that anyone can check",
		Long: `assay records what a program did as receipts, packs and signs them, and verifies such packs.
Integrity (were these bytes altered?) and claims (does the evidence meet the declared
checks?) are two verdicts and are never merged.`,
		Example: `  assay run -c receipt_completeness -- python agent.py
  assay verify-pack ./proof_pack_trace_20260115T100000_5f2c9a01 --require-claim-pass
  assay anchor ./proof_pack_* --ledger https://ledger.example --policy policy`,
	}
	root.AddCommand(runCmd(s), emitCmd(s), proofPackCmd(s), verifyPackCmd(s), anchorCmd(s), explainCmd(s), keyCmd(s), versionCmd(s))
	return cmd.Run(ctx, root, args, s)
}

// home is where keys and receipts of this user live.
type home string

func openHome(s cmd.Streams) (home, error) {
	path, err := capture.Home(s.Env)
	return home(path), err
}

func (h home) keys() *keystore.Store    { return &keystore.Store{Dir: filepath.Join(string(h), "keys")} }
func (h home) receipts() *capture.Store { return &capture.Store{Dir: string(h)} }
