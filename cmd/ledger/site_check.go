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
		theirs, json bool
	}
	c := &cobra.Command{
		Use:   "check DIR|URL",
		Short: "Verify every file of a site, and follow every link",
		Long: `check verifies the checkpoint under the policy (by default the one that the site names itself: its
own word), every entry bundle to its root, and every checkpoint of the history. Of these it builds
the site again and compares every file byte for byte: tiles, the files that lead to entries, feeds,
tables, pages. Then it follows the links of every page. Files that are not of the site are named.

It exits 2 if anything is not as the log makes it. A site says itself which program made its pages.
If that is another one than this, its pages, and the verifier that it offers, cannot be compared,
whatever they say: their links are followed, they are named, and check exits 1, which
--foreign-pages accepts. What the log makes is compared all the same.

It exits 3 if files of the folder cannot be read here, and 4 if the host did not send some.`,
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
			said := &checkedSite{Checked: found, ownWord: policy == nil, program: program}
			said.judge(o.theirs, remote, err)
			return cli.Judged(said.code, cmp.Or(said.say(s, o.json), said.unfinished(remote, err)))
		},
	}
	c.Flags().StringVar(&o.policy, "policy", "", "whom to believe (default: whom the site names itself)")
	c.Flags().StringVar(&o.temp, "temp", "", "a directory with room for a copy of the site (default: the system's)")
	c.Flags().BoolVar(&o.theirs, "foreign-pages", false, "accept pages that another program made, which are not compared")
	cli.JSONFlag(c, &o.json)
	return c
}

// checkedSite is what is said of a site.
type checkedSite struct {
	*site.Checked
	ownWord bool
	program string // this one
	status  string
	code    int
}

// judge gives the exit code: a check that could not be made has not passed. err is why the check did not end.
func (c *checkedSite) judge(acceptPages, remote bool, err error) {
	c.status, c.code = "whole", cli.ExitPass
	if len(c.NotCompared) > 0 {
		if c.status = "pages_not_compared"; !acceptPages {
			c.code = cli.ExitHonestFail
		}
	}
	if len(c.Unread) > 0 {
		if c.status, c.code = "not_all_read", cli.ExitBadInput; remote {
			c.code = cli.ExitUnavailable
		}
	} else if err != nil {
		if c.status, c.code = "not_all_read", cli.ExitUnavailable; errors.Is(err, site.ErrChanged) {
			c.status = "changed"
		}
	}
	if len(c.Damaged) > 0 {
		c.status, c.code = "damaged", cli.ExitTampered
	}
}

// unfinished is why the check did not end: what could not be read is no fault of the site.
func (c *checkedSite) unfinished(remote bool, err error) error {
	if len(c.Unread) == 0 {
		if err == nil {
			return nil
		}
		return checkFailed(err, remote)
	}
	more := ""
	if err != nil {
		more = "; the rest was not looked at"
	}
	err = fmt.Errorf("%d files could not be read, the first of them %s: %w%s", len(c.Unread), terminal.Safe(c.Unread[0].Path), c.Unread[0].Err, more)
	if remote {
		return cli.Unavailable("not everything was checked, which accuses nobody; try again later", "%w", err)
	}
	return cli.BadInput("make them readable, and check the site again", "%w", err)
}

func (c *checkedSite) say(s cli.Streams, asJSON bool) error {
	if asJSON {
		return c.sayJSON(s)
	}
	var out error
	say := func(format string, args ...any) {
		_, err := fmt.Fprintf(s.Out, format, args...)
		out = cmp.Or(out, err)
	}
	for _, f := range c.Damaged {
		say("damaged  %s %s\n", terminal.Safe(f.Path), terminal.Safe(f.Problem))
	}
	for _, u := range c.Unread {
		say("unread   %s: %s\n", terminal.Safe(u.Path), terminal.Safe(u.Err.Error()))
	}
	for _, name := range c.Foreign {
		say("foreign  %s is not of the site\n", terminal.Safe(name))
	}
	say("%d entries, root %s, %d checkpoints\n", c.Size, c.Root, c.Checkpoints)
	say("%d files compared, %d links followed, %d damaged, %d foreign\n", c.Files, c.Links, len(c.Damaged), len(c.Foreign))
	if len(c.NotCompared) > 0 {
		say("not compared: %d files of another program, %s (this is %s): its pages, modules and verify.html may do anything\n",
			len(c.NotCompared), terminal.Safe(fmt.Sprintf("%.80q", c.Program)), c.program)
	}
	if c.Unfollowed > 0 {
		say("not followed: %d links of these pages\n", c.Unfollowed)
	}
	if c.Unlisted {
		say("not looked for: other files that the host may have\n")
	}
	if c.code == cli.ExitHonestFail {
		fmt.Fprintln(s.Err, "what the log makes of the site is right; to have all of it compared, check it with the program that made it, or accept its pages with --foreign-pages")
	}
	if c.ownWord {
		fmt.Fprintln(s.Err, "the policy is the site's own word: --policy FILE holds it to yours")
	}
	return out
}

func (c *checkedSite) sayJSON(s cli.Streams) error {
	var damaged, unread, foreign, pages []jcs.Value
	for _, f := range c.Damaged {
		damaged = append(damaged, jcs.Obj(jcs.M("path", jcs.Loose(f.Path)), jcs.M("problem", jcs.Loose(f.Problem))))
	}
	for _, u := range c.Unread {
		unread = append(unread, jcs.Obj(jcs.M("path", jcs.Loose(u.Path)), jcs.M("error", jcs.Loose(u.Err.Error()))))
	}
	for _, name := range c.Foreign {
		foreign = append(foreign, jcs.Loose(name))
	}
	for _, name := range c.NotCompared {
		pages = append(pages, jcs.Loose(name))
	}
	return cli.PrintJSON(s.Out, cli.Answer("site check", c.status, c.code,
		jcs.M("size", jcs.Int(c.Size)), jcs.M("root", jcs.Str(c.Root.String())), jcs.M("checkpoints", jcs.Int(c.Checkpoints)),
		jcs.M("program", jcs.Loose(c.Program)), jcs.M("files", jcs.Int(int64(c.Files))), jcs.M("links", jcs.Int(int64(c.Links))),
		jcs.M("damaged", jcs.Arr(damaged...)), jcs.M("unread", jcs.Arr(unread...)), jcs.M("not_compared", jcs.Arr(pages...)),
		jcs.M("links_not_followed", jcs.Int(int64(c.Unfollowed))),
		jcs.M("foreign", jcs.Arr(foreign...)), jcs.M("foreign_not_looked_for", jcs.Boolean(c.Unlisted))))
}
