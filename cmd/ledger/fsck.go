package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/index"
)

func fsckCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "fsck DIR",
		Short: "Read a whole ledger and report every damaged range",
		Long: `fsck compares every entry with its leaf hash, every tile with the tiles around it, the top
with what the guard signed last, the index with the entries, and the log with every checkpoint that
it ever published. It changes nothing, and may run beside 'ledger serve'. It exits 2 if anything is damaged, and 3 if the guard, the key, the policy
or a part of the log that nothing can be compared without is missing.

It does not look at partial tiles of earlier sizes (tile/…/….p/N below the latest one), which nothing
reads any more, nor at spool/.`,
		Example: "  ledger fsck ./myledger",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			d := ledgerHome(args[0])
			conf, err := readConfig(d)
			if err != nil {
				return err
			}
			incomplete := d.startable(conf) // said in the end: the log is looked at all the same
			guard := d.guard(conf.Guard)
			x, err := index.Open(d.index(), conf.Origin)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, x.Close()) }()
			code, out := cli.ExitPass, error(nil) // out: of the first line that could not be written
			say := func(format string, args ...any) {
				_, err := fmt.Fprintf(s.Out, format, args...)
				out = cmp.Or(out, err)
			}
			damaged := 0
			report := func(damage ledger.Damage) {
				damaged++
				code = cli.ExitTampered
				say("damaged  %s\n", terminal.Safe(damage.String()))
			}
			size, root, err := ledger.Fsck(c.Context(), d.log(), guard, x, report)
			if err != nil { // what was found before stays found
				return cli.Judged(code, err)
			}
			kept, err := ledger.FsckHistory(c.Context(), d.log(), guard, d.checkpoints(), report)
			if err != nil {
				return cli.Judged(code, err)
			}
			say("%d entries, root %s, %d checkpoints, %d damaged\n", size, root, kept, damaged)
			return cli.Judged(code, cmp.Or(out, incomplete))
		},
	}
}

// startable is nil if the key and the policy are there and fit each other: no entry depends on them, but a ledger
// without them is not sound.
func (d ledgerHome) startable(conf ledgerConfig) error {
	signer, err := logSigner(d, conf)
	if err != nil {
		return err
	}
	_, err = ledgerPolicy(d, signer)
	return err
}
