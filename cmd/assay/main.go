// Program assay turns a run of an AI program into a proof pack and verifies proof packs.
//
// Results go to stdout, talk to stderr. The exit codes are those of package cmd. Only anchor
// opens a connection; verify-pack reads the pack and the files it is given, nothing else.
// A result that cannot be written is an error: an exit code that nobody can read up on is no verdict.
package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// version is set by the linker.
var version = "dev"

func main() {
	// No signal is caught here: ^C must end a verification or an emit that waits for its stdin.
	// Who does catch signals is run, which passes them on.
	os.Exit(run(context.Background(), os.Args[1:], cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, LookupEnv: os.LookupEnv}))
}

func run(ctx context.Context, args []string, s cmd.Streams) int {
	if s.Env(envKey) != "" { // a key that has been in our memory since we began
		cmd.HoldSecret()
	}
	return cmd.Run(ctx, rootCmd(s), args, s)
}

func rootCmd(s cmd.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Evidence of what an AI system did, that anyone can check",
		Long: `assay records what a program did as receipts, packs and signs them, and verifies such packs.
Integrity (were these bytes altered?) and claims (does the evidence meet the declared
checks?) are two verdicts and are never merged.`,
		Version: version,
		Example: `  assay run -c receipt_completeness -- python agent.py
  assay verify-pack ./proof_pack_trace_20260115T100000_5f2c9a01 --require-claim-pass
  assay anchor ./proof_pack_* --ledger https://ledger.example --policy policy`,
	}
	for _, c := range []*cobra.Command{runCmd(s), proofPackCmd(s), verifyPackCmd(s), explainCmd(s), anchorCmd(s)} {
		root.AddCommand(cmd.Judges(c, cmd.ExitHonestFail, cmd.ExitTampered))
	}
	root.AddCommand(
		emitCmd(s), lockCmd(s), cardsCmd(s), keyCmd(s),
		demoPackCmd(s), demoIncidentCmd(s), demoChallengeCmd(s), auditCmd(s),
		conformanceCmd(s), schemaCmd(s), versionCmd(s),
	)
	return root
}

// home is where keys and receipts of this user live.
type home string

func openHome(s cmd.Streams) (home, error) {
	path, err := capture.Home(s.Env)
	if err != nil {
		return "", cmd.BadInput("keys and receipts live there: set ASSAY_HOME=/some/directory", "%w", err)
	}
	return home(path), nil
}

func (h home) keys() *keystore.Store    { return &keystore.Store{Dir: filepath.Join(string(h), "keys")} }
func (h home) receipts() *capture.Store { return &capture.Store{Dir: string(h)} }
