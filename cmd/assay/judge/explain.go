package judge

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// explain is one run of 'explain', with its flags.
type explain struct {
	s cli.Streams
	expect.Flags
	format, output string
	json           bool
}

func explainCmd(s cli.Streams) *cobra.Command {
	o := explain{s: s}
	c := &cobra.Command{
		Use:   "explain PACK",
		Short: "Say in plain words what a pack proves and what it does not",
		Long: `explain verifies a pack as verify-pack does, with the same expectations and exit codes, and says in
plain words what happened, what follows from that, what does not, and how to check it with other people's
programs. Five limits are always named: completeness, source, time, witness, confidentiality. One
is narrowed only by evidence that was verified just now.`,
		Example: `  assay explain ./pack
  assay explain ./pack --policy policy --tsa-roots roots.pem
  assay explain ./pack --format md -o EXPLANATION.md`,
		Args: cli.Args(cobra.ExactArgs(1), "one pack directory"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *explain) add(c *cobra.Command) {
	o.Flags.Add(c)
	c.Flags().StringVarP(&o.format, "format", "f", "text", "`text, md or json`")
	c.Flags().StringVarP(&o.output, "output", "o", "", "write it to `FILE`")
	c.Flags().BoolVar(&o.json, "json", false, "the same as --format json")
}

// check settles the format.
func (o *explain) check(c *cobra.Command) error {
	if o.json && !c.Flags().Changed("format") {
		o.format = "json"
	}
	if o.format != "text" && o.format != "md" && o.format != "json" || o.json && o.format != "json" {
		return cli.BadInput("the formats are text, md and json", "--format %q is none of them, or not what --json says", o.format)
	}
	return nil
}

func (o *explain) run(c *cobra.Command, args []string) error {
	if err := o.check(c); err != nil {
		return err
	}
	options, err := o.Options(c)
	if err != nil {
		return err
	}
	if err := o.MayWrite(c, args, "output"); err != nil {
		return err
	}
	r, err := expect.VerifyDir(args[0], options)
	if err != nil {
		return err
	}
	text, err := explanation(o.Report(args[0], r, options), o.format)
	if err != nil {
		return err
	}
	if o.output == "" {
		_, err = o.s.Out.Write(text)
	} else {
		err = durable.WriteFile(o.output, text, 0o644)
	}
	return cli.Judged(r.ExitCode(), err)
}

func explanation(r *report.Report, format string) ([]byte, error) {
	switch format {
	case "md":
		return r.Markdown(), nil
	case "json":
		text, err := jcs.AppendPretty(nil, r.ExplainJSON())
		return terminal.SafeJSON(append(text, '\n')), err
	}
	return []byte(r.ExplainText()), nil
}
