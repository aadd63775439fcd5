package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/serve"
)

func siteServeCmd(s cli.Streams) *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "serve DIR",
		Short: "Serve a site on this machine, for a look",
		Long: `serve shows a site as a static host would. It is for a look at it: to publish it, copy the folder to
any host of static files.`,
		Example: "  ledger site serve ./public",
		Args:    cli.Args(cobra.ExactArgs(1), "one folder"),
		RunE: func(c *cobra.Command, args []string) error {
			root, err := os.OpenRoot(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return cli.BadInput("'ledger site build' makes it", "%s does not exist", args[0])
			} else if err != nil {
				return err
			}
			if err := root.Close(); err != nil {
				return err
			}
			return listenAndServe(c.Context(), s, address, pages(args[0]), cli.Logger(s.Err), serve.Limits{})
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8080", "address to listen on")
	return c
}
