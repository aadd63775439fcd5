// Program assay turns a run of an AI program into a proof pack and verifies proof packs.
//
// Results go to stdout, talk to stderr. The exit codes are those of package cli. Only anchor and policy fetch
// open a connection; verify-pack reads the pack and the files it is given, nothing else.
// A result that cannot be written is an error: an exit code that nobody can read up on is no verdict.
package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/check"
	"github.com/Haserjian/assay-ledger/cmd/assay/demo"
	"github.com/Haserjian/assay-ledger/cmd/assay/govern"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/cmd/assay/judge"
	"github.com/Haserjian/assay-ledger/cmd/assay/publish"
	"github.com/Haserjian/assay-ledger/cmd/assay/record"
	"github.com/Haserjian/assay-ledger/cmd/assay/sign"
	"github.com/Haserjian/assay-ledger/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	// No signal is caught here: ^C must end a verification or an emit that waits for its stdin.
	// Who does catch signals is run, which passes them on.
	os.Exit(run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, LookupEnv: os.LookupEnv}))
}

func run(ctx context.Context, args []string, s cli.Streams) int {
	if s.Env(home.EnvKey) != "" { // a key that has been in our memory since we began
		cli.HoldSecret()
	}
	return cli.Run(ctx, rootCmd(s), args, s)
}

func rootCmd(s cli.Streams) *cobra.Command {
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
	for _, room := range []struct {
		verb, title string
		commands    []*cobra.Command
	}{
		{"record", "Record what a program did:", record.Commands(s)},
		{"judge", "Judge packs, offline:", judge.Commands(s)},
		{"publish", "Publish packs in a ledger, and get its policy:", publish.Commands(s)},
		{"govern", "Govern what packs declare and who signs them:", govern.Commands(s)},
		{"sign", "Sign with keys of your own:", sign.Commands(s)},
		{"check", "Check verifiers and documents:", check.Commands(s, run)},
		{"demo", "See how it works:", demo.Commands(s)},
	} {
		root.AddGroup(&cobra.Group{ID: room.verb, Title: room.title})
		for _, c := range room.commands {
			c.GroupID = room.verb
			root.AddCommand(c)
		}
	}
	root.AddCommand(versionCmd(s))
	return root
}
