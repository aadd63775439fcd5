package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/site"
)

func fsckCmd(s cli.Streams) *cobra.Command {
	var policyFile string
	c := &cobra.Command{
		Use:   "fsck DIR|URL",
		Short: "Read a whole ledger and report every damaged range",
		Long: `fsck compares every entry with its leaf hash, every tile with the tiles around it, the top
with what the guard signed last, the index with the entries, and the log with every checkpoint that
it ever published. It changes nothing, and may run beside 'ledger serve'. It exits 2 if anything is damaged, and 3 if the guard, the key, the policy
or a part of the log that nothing can be compared without is missing.

It does not look at partial tiles of earlier sizes (tile/…/….p/N below the latest one), which nothing
reads any more, nor at spool/.

Of a URL, a ledger's or its site's, it reads every entry and every tile and compares them with the
checkpoint, which it opens under --policy (by default the log's own word). 'ledger site check' looks at
the other files of a site too.`,
		Example: "  ledger fsck ./myledger\n  ledger fsck https://ledger.example/2026 --policy policy",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory or URL"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if isURL(args[0]) {
				return fsckURL(c.Context(), s, args[0], policyFile)
			}
			if policyFile != "" {
				return cli.BadInput("a directory has a policy of its own", "--policy is for a URL")
			}
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
			if kept == 0 && size > 0 {
				fmt.Fprintf(s.Err, "no checkpoint is kept in %s: either only releases that keep none have published, or they are lost\n", terminal.Safe(d.checkpoints()))
			}
			say("%d entries, root %s, %d checkpoints, %d damaged\n", size, root, kept, damaged)
			return cli.Judged(code, cmp.Or(out, incomplete))
		},
	}
	c.Flags().StringVar(&policyFile, "policy", "", "whom to believe about a URL (default: whom the log names itself)")
	return c
}

// fsckURL looks at a log that is served: whatever does not fit its checkpoint is damaged, by whomever.
func fsckURL(ctx context.Context, s cli.Streams, url, policyFile string) error {
	policy, err := givenPolicy(policyFile)
	if err != nil {
		return err
	}
	code, damaged, out := cli.ExitPass, 0, error(nil)
	cp, err := site.Fsck(ctx, client.Files{Client: &client.Client{URL: url}}, policy, func(f site.Finding) {
		damaged++
		code = cli.ExitTampered
		_, err := fmt.Fprintf(s.Out, "damaged  %s %s\n", terminal.Safe(f.Path), terminal.Safe(f.Problem))
		out = cmp.Or(out, err)
	})
	if err != nil {
		return cli.Judged(code, checkFailed(err, true))
	}
	_, err = fmt.Fprintf(s.Out, "%d entries, root %s, %d damaged\n", cp.Size, cp.Root, damaged)
	if policy == nil {
		fmt.Fprintln(s.Err, "the policy is the log's own word: --policy FILE holds it to yours")
	}
	return cli.Judged(code, cmp.Or(out, err))
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
