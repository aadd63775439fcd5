package govern

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// lockDiff is one run of 'lock diff', with its flags.
type lockDiff struct {
	s    cli.Streams
	json bool
}

func lockDiffCmd(s cli.Streams) *cobra.Command {
	o := lockDiff{s: s}
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what a new lock demands more and less than an old one",
		Long: `diff compares what two locks demand of packs, in words. It exits 0 if the new one demands all that
the old one did, 1 if something became weaker or may have, 2 if one of them is invalid, and 3 if one is
not there. In a pull request compare the lock of the base branch with the proposed one.`,
		Example: "  assay lock diff base.lock assay.lock",
		Args:    cli.Args(cobra.ExactArgs(2), "an old and a new lock file"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *lockDiff) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *lockDiff) run(c *cobra.Command, args []string) error {
	old, err := expect.ReadLock(args[0])
	if err != nil {
		return err
	}
	l, err := expect.ReadLock(args[1])
	if err != nil {
		return err
	}
	return tellDiff(o.s, lock.Diff(old, l), old.Digest() == l.Digest(), o.json)
}

func tellDiff(s cli.Streams, changes []lock.Change, identical, asJSON bool) error {
	code, status, words := cli.ExitPass, "same", "both demand the same"
	if identical {
		words = "the files are the same"
	}
	if len(changes) > 0 {
		status, words = "changed", "nothing became weaker"
	}
	if slices.ContainsFunc(changes, func(c lock.Change) bool { return c.Effect == lock.Weaker }) {
		code, status, words = cli.ExitHonestFail, "weaker", "the new lock demands less than the old one, or may"
	}
	w, list := new(strings.Builder), jcs.Arr()
	for _, change := range changes {
		fmt.Fprintf(w, "%-8s %s\n", change.Effect, terminal.Safe(change.Message))
		list.Items = append(list.Items, jcs.Obj(jcs.M("effect", jcs.Str(string(change.Effect))), jcs.M("message", jcs.Str(change.Message))))
	}
	if asJSON {
		return cli.Judged(code, cli.PrintJSON(s.Out, cli.Answer("lock diff", status, code, jcs.M("changes", list))))
	}
	fmt.Fprintf(w, "verdict  exit %d: %s\n", code, words)
	_, err := io.WriteString(s.Out, w.String())
	return cli.Judged(code, err)
}
