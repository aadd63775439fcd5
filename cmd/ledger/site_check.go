package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/site"
)

func siteCheckCmd(s cli.Streams, program string) *cobra.Command {
	var o struct {
		policy, temp string
		json         bool
	}
	c := &cobra.Command{
		Use:   "check DIR|URL",
		Short: "Verify every file of a site, and follow every link",
		Long: `check verifies the checkpoint under the policy (by default the one that the site names itself: its
own word), every entry bundle to its root, and every checkpoint of the history. Of these it builds
the site again and compares every file byte for byte: tiles, the files that lead to entries, feeds,
pages. Then it follows the links of every page. Files that are not of the site are named.

It exits 2 if anything is not as the log makes it. Pages that another release of this program
made cannot be compared; their links are followed, and how many there are is said.`,
		Example: "  ledger site check ./public\n  ledger site check https://ledger.example/site --policy policy",
		Args:    cli.Args(cobra.ExactArgs(1), "one folder or URL"),
		RunE: func(c *cobra.Command, args []string) error {
			policy, err := givenPolicy(o.policy)
			if err != nil {
				return err
			}
			remote := isURL(args[0])
			var checked site.Site = client.Files{Client: &client.Client{URL: args[0]}}
			if !remote {
				folder, err := site.OpenFolder(args[0])
				if errors.Is(err, fs.ErrNotExist) {
					return cli.BadInput("check the path", "%s does not exist", args[0])
				} else if err != nil {
					return err
				}
				defer folder.Close()
				checked = folder
			}
			found, err := site.Check(c.Context(), site.CheckConfig{Site: checked, Policy: policy, Program: program, Temp: o.temp})
			if errors.Is(err, site.ErrNotOurs) {
				return cli.BadInput("is it a site that 'ledger site build' made?", "%w", err)
			}
			if found == nil {
				return checkFailed(err, remote)
			}
			if err != nil {
				err = checkFailed(err, remote)
			}
			code := cli.ExitPass
			if len(found.Damaged) > 0 {
				code = cli.ExitTampered
			}
			return cli.Judged(code, cmp.Or(sayChecked(s, code, found, policy == nil, o.json), err))
		},
	}
	c.Flags().StringVar(&o.policy, "policy", "", "whom to believe (default: whom the site names itself)")
	c.Flags().StringVar(&o.temp, "temp", "", "a directory with room for a copy of the site (default: the system's)")
	cli.JSONFlag(c, &o.json)
	return c
}

func sayChecked(s cli.Streams, code int, found *site.Checked, ownWord, asJSON bool) error {
	if asJSON {
		var damaged, foreign []jcs.Value
		for _, f := range found.Damaged {
			damaged = append(damaged, jcs.Obj(jcs.M("path", jcs.Loose(f.Path)), jcs.M("problem", jcs.Loose(f.Problem))))
		}
		for _, name := range found.Foreign {
			foreign = append(foreign, jcs.Loose(name))
		}
		status := "whole"
		if code != cli.ExitPass {
			status = "damaged"
		}
		return cli.PrintJSON(s.Out, cli.Answer("site check", status, code,
			jcs.M("size", jcs.Int(found.Size)), jcs.M("root", jcs.Str(found.Root.String())), jcs.M("checkpoints", jcs.Int(found.Checkpoints)),
			jcs.M("files", jcs.Int(int64(found.Files))), jcs.M("pages_not_compared", jcs.Int(int64(found.Pages))), jcs.M("links", jcs.Int(int64(found.Links))),
			jcs.M("damaged", jcs.Arr(damaged...)), jcs.M("foreign", jcs.Arr(foreign...)), jcs.M("foreign_not_looked_for", jcs.Boolean(found.Unlisted))))
	}
	var out error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(s.Out, format, args...)
		out = cmp.Or(out, err)
	}
	for _, f := range found.Damaged {
		say("damaged  %s %s\n", terminal.Safe(f.Path), terminal.Safe(f.Problem))
	}
	for _, name := range found.Foreign {
		say("foreign  %s is not of the site\n", terminal.Safe(name))
	}
	say("%d entries, root %s, %d checkpoints\n", found.Size, found.Root, found.Checkpoints)
	say("%d files compared, %d links followed, %d damaged, %d foreign\n", found.Files, found.Links, len(found.Damaged), len(found.Foreign))
	if found.Pages > 0 {
		say("not compared: %d files of pages, which another release made\n", found.Pages)
	}
	if found.Unlisted {
		say("not looked for: other files that the host may have\n")
	}
	if ownWord {
		fmt.Fprintln(s.Err, "the policy is the site's own word: --policy FILE holds it to yours")
	}
	return out
}
