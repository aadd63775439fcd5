package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/trust"
)

func siteBuildCmd(s cli.Streams, program string) *cobra.Command {
	var o struct {
		log, out, policy, base string
		contact                []string
		json                   bool
	}
	c := &cobra.Command{
		Use:   "build --log DIR|URL --out DIR",
		Short: "Build the site of a ledger, or what is new of it",
		Long: `build writes a folder that any static host serves: the log itself as tiles, the history of its
checkpoints, files to look entries up without a server, feeds, and pages that prove what they show
in the reader's browser. The log is a ledger's directory, running or stopped, or the URL of a ledger
or of another site of it. Everything is verified before the folder is touched: the checkpoint under
the policy (by default the ledger's own word), every entry to its root, and every checkpoint of
the history. The next build of the same folder reads and writes only what is new.

Whatever goes wrong, the last good site stays. It exits 2 if the log is damaged or was rolled back,
3 if the folder is not the site of this log, 4 if the log did not answer.`,
		Example: `  ledger site build --log ./myledger --out ./public
  ledger site build --log https://ledger.example/2026 --policy policy --out public --base-path /repo/`,
		Args: cli.Args(cobra.NoArgs, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if o.log == "" || o.out == "" {
				return cli.BadInput("ledger site build --log ./myledger --out ./public", "a build wants --log and --out")
			}
			if err := site.CheckBasePath(o.base); err != nil {
				return cli.BadInput("for example --base-path /repo/, for https://name.example/repo/", "%w", err)
			}
			if err := site.CheckContacts(o.contact); err != nil {
				return cli.BadInput("for example --contact mailto:security@name.example", "%w", err)
			}
			policy, err := givenPolicy(o.policy)
			if err != nil {
				return err
			}
			src, remote, err := openLog(o.log)
			if err != nil {
				return err
			}
			built, err := site.Build(c.Context(), site.Config{Log: src, Out: o.out, Policy: policy, BasePath: o.base, Contact: o.contact, Program: program})
			if err != nil {
				return siteFailed(err, remote)
			}
			return sayBuilt(s, o.out, built, o.json)
		},
	}
	c.Flags().StringVar(&o.log, "log", "", "the ledger: its directory, or a URL")
	c.Flags().StringVar(&o.out, "out", "", "the folder of the site: new, empty, or built before")
	c.Flags().StringVar(&o.policy, "policy", "", "whom to believe (default: whom the ledger names itself)")
	c.Flags().StringVar(&o.base, "base-path", "/", "where on its host the site will stand, such as /repo/")
	c.Flags().StringArrayVar(&o.contact, "contact", nil, "a mailto:, https: or tel: URI for .well-known/security.txt; may be given several times")
	cli.JSONFlag(c, &o.json)
	return c
}

func givenPolicy(path string) (*trust.Policy, error) {
	if path == "" {
		return nil, nil
	}
	return readPolicy(path)
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// openLog is what a site is built from.
func openLog(log string) (src site.Source, remote bool, err error) {
	if isURL(log) {
		return client.Files{Client: &client.Client{URL: log}}, true, nil
	}
	d := ledgerHome(log)
	conf, err := readConfig(d)
	if err != nil {
		return nil, false, err
	}
	policy, err := readPolicy(d.policy())
	if err != nil {
		return nil, false, err
	}
	roots, err := trustedRoots(d, conf)
	if err != nil {
		return nil, false, err
	}
	return d.files(conf, policy, roots), false, nil
}

// siteFailed gives an error its exit code. What a host does not have or does not send accuses nobody; what is missing in
// a directory of this machine is damage.
func siteFailed(err error, remote bool) error {
	code, hint := cli.ExitTampered, ""
	switch {
	case errors.Is(err, site.ErrNotOurs), errors.Is(err, site.ErrOtherLog):
		return cli.BadInput("choose another folder: nothing was written", "%w", err)
	case errors.Is(err, trust.ErrUnknownLog):
		return cli.BadInput("is it the right log, and the right policy?", "%w", err)
	case errors.Is(err, site.ErrSiteDamaged):
		hint = "move the folder away and build the site again"
	case errors.Is(err, site.ErrDamaged), errors.Is(err, site.ErrRolledBack), errors.Is(err, ledger.ErrDamaged):
		hint = "the site stays as it was; see 'ledger fsck'"
	case errors.Is(err, trust.ErrSignature), errors.Is(err, trust.ErrMalformed), errors.Is(err, trust.ErrEmptyTree):
	case errors.Is(err, site.ErrMissing) && !remote:
		hint = "the site stays as it was; see 'ledger fsck'"
	case errors.Is(err, trust.ErrQuorum), errors.Is(err, site.ErrChanged), errors.Is(err, client.ErrUnavailable), errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.EAGAIN), remote && errors.Is(err, fs.ErrNotExist):
		return cli.Unavailable("the site stays as it was; try again later", "%w", err)
	default:
		return err
	}
	return &cli.Error{Code: code, Err: err, Hint: hint}
}

// checkFailed is siteFailed of what only reads: there is nothing that would stay as it was.
func checkFailed(err error, remote bool) error {
	err = siteFailed(err, remote)
	var told *cli.Error
	if !errors.As(err, &told) {
		return err
	}
	again := *told
	switch {
	case told.Code == cli.ExitUnavailable:
		again.Hint = "not everything was checked, which accuses nobody; try again later"
	case told.Code == cli.ExitBadInput:
		again.Hint = "is it the right log, and the right policy?"
	case told.Hint != "":
		again.Hint = "tell whoever publishes it"
	}
	return &again
}

func sayBuilt(s cli.Streams, out string, b *site.Built, asJSON bool) error {
	if asJSON {
		return cli.PrintJSON(s.Out, cli.Answer("site build", "built", cli.ExitPass,
			jcs.M("out", jcs.Loose(out)), jcs.M("size_before", jcs.Int(b.Before)), jcs.M("size", jcs.Int(b.Size)), jcs.M("root", jcs.Str(b.Root.String())),
			jcs.M("checkpoints", jcs.Int(b.Checkpoints)), jcs.M("unparsed", jcs.Int(b.Unparsed)),
			jcs.M("files_written", jcs.Int(int64(b.Files))), jcs.M("files_removed", jcs.Int(int64(b.Removed))), jcs.M("bytes_written", jcs.Int(b.Bytes))))
	}
	_, err := fmt.Fprintf(s.Out, "%s: %d entries, %d of them new, %d checkpoints\n%d files written, %d removed, %d bytes\n",
		terminal.Safe(out), b.Size, b.Size-b.Before, b.Checkpoints, b.Files, b.Removed, b.Bytes)
	if b.Unparsed > 0 {
		_, said := fmt.Fprintf(s.Out, "%d of the new leaves are no entries of a ledger, and are shown as such\n", b.Unparsed)
		err = cmp.Or(err, said)
	}
	return err
}
