// Program ledger runs a public log of proof packs, its witnesses and a development TSA.
//
// Results go to stdout, talk and logs to stderr. The exit codes are those of package cli.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	slog.SetDefault(cli.Logger(os.Stderr)) // what Tessera says past its logger: one JSON line as the rest
	code := run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv})
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, s cli.Streams) int {
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
	root.AddCommand(initCmd(s), cli.Judges(serveCmd(s, "ledger "+version), cli.ExitTampered), witnessCmd(s), tsaCmd(s), siteCmd(s, "ledger "+version), cli.Judges(fsckCmd(s), cli.ExitTampered), guardCmd(s), healthCmd(s), demoCmd(s), testnetCmd(s), versionCmd(s), appenderCmd(s))
	return cli.Run(ctx, root, args, s)
}

func versionCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cli.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(s.Out, "ledger "+version+"\n")
			return err
		},
	}
}

func newLogger(s cli.Streams) *slog.Logger { return cli.Logger(s.Err) }
