package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/ledger"
)

func guardCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "guard",
		Short: "Make a new guard for a ledger whose guard was lost",
		Args:  cli.Args(cobra.NoArgs, "a subcommand: init"),
		RunE: func(*cobra.Command, []string) error {
			return cli.BadInput("run 'ledger guard --help'", "guard wants a subcommand: init")
		},
	}
	c.AddCommand(guardInitCmd(s))
	return c
}

func guardInitCmd(s cli.Streams) *cobra.Command {
	var risk bool
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a guard for an existing ledger, which learns from the witnesses what was signed",
		Long: `init makes the guard that ledger.json of DIR names, for a ledger that exists and whose guard is
lost: after a backup of DIR was brought to a new machine, say. The new guard knows of nothing that
was signed. The next 'ledger serve' asks the witnesses: it signs nothing before enough of them were
heard from, learns what they show to be signed, and refuses a DIR that is older than that.

A guard that is there is never replaced. Where the policy names no witness that has to cosign,
nobody could tell that DIR is an old copy: then a guard is made only with --risk-second-history.`,
		Example: "  ledger guard init ./myledger",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			d := ledgerHome(args[0])
			conf, err := readConfig(d)
			if err != nil {
				return err
			}
			logConfig, err := openConfig(d, conf, nil, nil)
			if err != nil {
				return err
			}
			size, err := ledger.RemakeGuard(c.Context(), logConfig, risk)
			switch {
			case errors.Is(err, fs.ErrExist):
				return cli.BadInput("a guard that is there knows more than a new one; one that is beyond repair is moved away by hand first", "%v", err)
			case errors.Is(err, ledger.ErrGuard):
				return cli.BadInput("if you are sure that it is, or accept that, add --risk-second-history", "%v", err)
			case err != nil:
				return err
			}
			fmt.Fprintf(s.Out, "made a guard for %s in %s; the log has size %d\n", conf.Origin, logConfig.GuardDir, size)
			if logConfig.Policy.Quorum(nil) {
				fmt.Fprintf(s.Err, "warning: no witness has to cosign: if %s is not the newest copy, a second history will be signed and nobody will notice\n", string(d))
			} else {
				fmt.Fprintf(s.Err, "it knows of nothing that was signed: nothing new is signed before enough witnesses were heard from\n")
			}
			fmt.Fprintf(s.Err, "next: ledger serve %s\n", string(d))
			return nil
		},
	}
	c.Flags().BoolVar(&risk, "risk-second-history", false, "make it although no witness could tell that DIR is an old copy, and what was signed since would be signed again, differently")
	return c
}
