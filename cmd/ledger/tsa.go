package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger/tsa"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

func tsaCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "tsa",
		Short: "Run a development timestamp authority (RFC 3161)",
		Args:  cli.Args(cobra.NoArgs, "a subcommand: serve"),
		RunE: func(*cobra.Command, []string) error {
			return cli.BadInput("run 'ledger tsa --help'", "tsa wants a subcommand: serve")
		},
	}
	c.AddCommand(tsaServeCmd(s))
	return c
}

func tsaServeCmd(s cli.Streams) *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "serve DIR",
		Short: "Serve timestamps from a key of our own: for development and tests",
		Long: `serve answers RFC 3161 requests with the clock of this machine and a certificate of its
own making. It proves nothing to anybody else: a public ledger names a timestamp authority
that others trust. DIR gets the authority (authority.pem, 0600) and its root (root.pem).`,
		Example: "  ledger tsa serve ./devtsa --listen 127.0.0.1:8082",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			authority, err := openAuthority(args[0], time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintf(s.Err, "development TSA; its root is %s\n", filepath.Join(args[0], "root.pem"))
			return listenAndServe(c.Context(), s, address, tsa.Handler(authority, time.Now), newLogger(s), serve.Limits{})
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8082", "address to listen on")
	return c
}

// openAuthority reads the authority of a directory, or makes one.
func openAuthority(dir string, now time.Time) (*timestamp.Authority, error) {
	path := filepath.Join(dir, "authority.pem")
	text, err := cli.ReadSecret(path)
	if err == nil {
		return timestamp.ParseAuthority(text)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	authority, err := timestamp.NewAuthority(rand.Reader, now)
	if err != nil {
		return nil, err
	}
	text, err = authority.MarshalPEM()
	if err != nil {
		return nil, err
	}
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := durable.CreateFile(path, text, 0o600); err != nil {
		return nil, err
	}
	return authority, durable.WriteFile(filepath.Join(dir, "root.pem"), authority.RootPEM(), 0o644)
}
