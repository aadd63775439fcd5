// Program ledger runs a public log of proof packs, its witnesses and a development TSA.
//
// Results go to stdout, talk and logs to stderr. The exit codes are those of package cmd.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	slog.SetDefault(cmd.Logger(os.Stderr)) // what Tessera says past its logger: one JSON line as the rest
	code := run(ctx, os.Args[1:], cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, s cmd.Streams) int {
	root := &cobra.Command{
		Use:     "ledger",
		Short:   "An append-only log of proof packs that witnesses cosign",
		Version: version,
		Long: `ledger keeps an append-only Merkle log of proof pack manifests. Every entry carries an
RFC 3161 timestamp (unless timestamps are off, or preferred and no authority answered), every
checkpoint is cosigned by the witnesses of the log's policy before anyone sees it, and every
answer is a proof that verifies offline for ever.`,
		Example: `  ledger demo
  ledger testnet up ./net
  ledger init /var/lib/ledger --origin ledger.example/2026
  ledger serve /var/lib/ledger`,
	}
	root.AddCommand(initCmd(s), cmd.Judges(serveCmd(s), cmd.ExitTampered), witnessCmd(s), tsaCmd(s), cmd.Judges(fsckCmd(s), cmd.ExitTampered), guardCmd(s), healthCmd(s), demoCmd(s), testnetCmd(s), versionCmd(s), appenderCmd(s))
	return cmd.Run(ctx, root, args, s)
}

func versionCmd(s cmd.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(s.Out, "ledger "+version+"\n")
			return err
		},
	}
}

func logger(s cmd.Streams) *slog.Logger { return cmd.Logger(s.Err) }
