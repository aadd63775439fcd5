package main

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// siteCmd knows the program by which sites are made: its name stands in them.
func siteCmd(s cli.Streams, program string) *cobra.Command {
	c := &cobra.Command{
		Use:   "site",
		Short: "Make a log a folder of plain files that anyone can check",
		Args:  cli.Args(cobra.NoArgs, "a subcommand: build, check or serve"),
		RunE: func(*cobra.Command, []string) error {
			return cli.BadInput("run 'ledger site --help'", "site wants a subcommand: build, check or serve")
		},
	}
	c.AddCommand(cli.Judges(siteBuildCmd(s, program), cli.ExitTampered), cli.Judges(siteCheckCmd(s, program), cli.ExitHonestFail, cli.ExitTampered), siteServeCmd(s))
	return c
}
