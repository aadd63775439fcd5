package govern

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// lockCheck is one run of 'lock check', with its flags.
type lockCheck struct {
	s    cli.Streams
	json bool
}

func lockCheckCmd(s cli.Streams) *cobra.Command {
	o := lockCheck{s: s}
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Validate a lock (default: assay.lock)",
		Long: `check recomputes every hash of a lock and says every rule that it breaks. It exits 0 if the lock is
valid, 2 if it is not, and 3 if there is none.`,
		Example: "  assay lock check assay.lock --json",
		Args:    cli.Args(cobra.MaximumNArgs(1), "at most one lock file"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *lockCheck) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *lockCheck) run(c *cobra.Command, args []string) error {
	path := expect.DefaultLock
	if len(args) == 1 {
		path = args[0]
	}
	l, err := expect.ReadLock(path)
	var broken *lock.Error
	if err != nil && !errors.As(err, &broken) {
		return err
	}
	if broken != nil {
		err := tellBroken(o.s, path, broken, o.json)
		o.s.HintFormat(path)
		return cli.Judged(cli.ExitTampered, err)
	}
	warnIdle(o.s, l)
	if o.json {
		members := append([]jcs.Member{jcs.M("path", jcs.Loose(path)), jcs.M("issues", jcs.Arr())}, lockMembers(l)...)
		return cli.PrintJSON(o.s.Out, cli.Answer("lock check", "ok", cli.ExitPass, members...))
	}
	_, err = io.WriteString(o.s.Out, "valid   "+terminal.Safe(path)+"\n"+lockText(l))
	return err
}

func tellBroken(s cli.Streams, path string, broken *lock.Error, asJSON bool) error {
	if asJSON {
		issues := jcs.Arr()
		for _, issue := range broken.Issues {
			issues.Items = append(issues.Items, jcs.Str(issue))
		}
		return cli.PrintJSON(s.Out, cli.Answer("lock check", "lockfile_invalid", cli.ExitTampered, jcs.M("path", jcs.Loose(path)), jcs.M("issues", issues)))
	}
	w := new(strings.Builder)
	fmt.Fprintf(w, "invalid %s\n", terminal.Safe(path))
	for _, issue := range broken.Issues {
		fmt.Fprintf(w, "  issue %s\n", terminal.Safe(issue))
	}
	_, err := io.WriteString(s.Out, w.String())
	return err
}
