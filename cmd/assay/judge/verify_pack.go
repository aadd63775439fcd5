package judge

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// verifyPack is one run of 'verify-pack', with its flags.
type verifyPack struct {
	s cli.Streams
	expect.Flags
	html, badge, out, csv string
	latest, json, quiet   bool

	c *cobra.Command // by the name that it was called by
}

func verifyPackCmd(s cli.Streams) *cobra.Command {
	o := verifyPack{s: s}
	c := &cobra.Command{
		Use:     "verify-pack PACK...",
		Aliases: []string{"verify"},
		Short:   "Verify proof packs, offline",
		Long: `verify-pack judges each pack in channels that are never merged: integrity (were these bytes
altered?), claims (does the evidence meet the declared checks? they are executed again, not
believed), anchor (does a log that you trust hold it?), and what else is asked for, such as the
expectations (is it of the age and of the CI run that you mean?). It reads the packs and the
files it is given, nothing else, and opens no connection. A lock is validated before any pack is touched.

Patterns are expanded where the shell has not done it. With --latest each argument is a directory
(default: this one), of which the newest pack is judged, by the time in its manifest. A pack whose
manifest is missing, damaged or unreadable counts as the newest: move it away to judge the others.`,
		Example: `  assay verify-pack ./proof_pack_trace_20260115T100000_5f2c9a01
  assay verify-pack ./proof_pack_*/ --lock assay.lock --require-claim-pass
  assay verify-pack ./pack --trusted-signer ci.pub --require-ci-binding --html report.html --badge badge.svg
  assay verify-pack 'vendor/*/' --lock vendor.lock --csv vendors.csv
  assay verify-pack ./pack --policy policy --require-anchor --tsa-roots roots.pem`,
		Args: func(c *cobra.Command, args []string) error {
			if latest, _ := c.Flags().GetBool("latest"); latest {
				return nil
			}
			if proof, _ := c.Flags().GetString("proof"); proof != "" && len(args) == 0 {
				return cli.BadInput(expect.ProofAlone, "expected the pack that --proof %s is about", proof)
			}
			return cli.Args(cobra.MinimumNArgs(1), "at least one pack directory")(c, args)
		},
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *verifyPack) add(c *cobra.Command) {
	o.Flags.Add(c)
	c.Flags().BoolVar(&o.latest, "latest", false, "judge only the newest pack of each directory")
	c.Flags().StringVar(&o.html, "html", "", "write a page about the one pack to `FILE`")
	c.Flags().StringVar(&o.badge, "badge", "", "write an SVG badge of the one pack to `FILE`")
	c.Flags().StringVar(&o.out, "out", "", "write the judgement of the one pack, assay.verify_report.v0.1, to `FILE`")
	c.Flags().StringVar(&o.csv, "csv", "", "write a table with a row for each pack to `FILE`")
	cli.JSONFlag(c, &o.json)
	c.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "nothing on stdout: the exit code says it")
}

// judged is one argument after its pack was judged, or an error in its place.
type judged struct {
	dir    string
	report *report.Report
	err    *cli.Error
	code   int
}

func (o *verifyPack) check() error {
	if o.json && o.quiet {
		return cli.BadInput("", "--json and --quiet exclude each other")
	}
	return nil
}

// run judges each pack and ends with the gravest code.
func (o *verifyPack) run(c *cobra.Command, args []string) error {
	o.c = c
	if err := o.check(); err != nil {
		return err
	}
	options, err := o.Options(o.c)
	if err != nil {
		return err
	}
	dirs, err := o.packs(args)
	if err != nil {
		return err
	}
	if err := o.checkOutputs(dirs); err != nil {
		return err
	}
	list := make([]judged, len(dirs))
	worst := cli.ExitPass
	var shown error // of the first verdict that could not be written; the others are judged all the same
	for i, dir := range dirs {
		r, err := expect.VerifyDir(dir, options)
		if err != nil && len(dirs) == 1 {
			return err
		}
		list[i] = judged{dir: dir}
		if err != nil {
			list[i].err = o.s.Tell(o.c, err)
			list[i].code = list[i].err.Code
		} else {
			list[i].report = o.Report(dir, r, options)
			list[i].code = r.ExitCode()
			if !o.json && !o.quiet {
				_, err := io.WriteString(o.s.Out, list[i].report.Text())
				shown = cmp.Or(shown, err)
			}
		}
		worst = cli.Graver(worst, list[i].code)
	}
	// A page that could not be written is not there for whoever asked for it, whatever the verdict.
	failed := o.write(list)
	if failed != nil {
		worst = cli.Graver(worst, o.s.Tell(o.c, failed).Code)
	}
	if !o.json && !o.quiet && (len(dirs) > 1 || failed != nil) {
		shown = cmp.Or(shown, printClosing(o.s.Out, list, worst, failed))
	}
	if o.json {
		shown = cli.PrintJSON(o.s.Out, o.object(list, worst, failed))
	}
	return cli.Judged(worst, shown)
}

// checkOutputs refuses, before anything is judged, what cannot be written or would be written over evidence.
func (o *verifyPack) checkOutputs(dirs []string) error {
	for _, output := range []struct{ flag, path string }{{"html", o.html}, {"badge", o.badge}, {"out", o.out}} {
		if output.path != "" && len(dirs) > 1 {
			return cli.BadInput("--csv writes a row for each of several packs, --json prints them all", "--%s is for one pack, not %d", output.flag, len(dirs))
		}
	}
	if o.Proof != "" && len(dirs) > 1 {
		return cli.BadInput("", "--proof is for one pack, not %d", len(dirs))
	}
	return o.MayWrite(o.c, dirs, "html", "badge", "out", "csv")
}

// object is the result for machines: of one pack its judgement, of several a list of them.
func (o *verifyPack) object(list []judged, worst int, failed error) jcs.Value {
	var object jcs.Value
	if len(list) == 1 {
		object = list[0].report.JSON(o.c.Name())
	} else {
		status, packs := "ok", jcs.Arr()
		for _, j := range list {
			if j.err == nil {
				packs.Items = append(packs.Items, j.report.JSON(o.c.Name()))
			} else {
				packs.Items = append(packs.Items, cli.Answer(o.c.Name(), "error", j.code,
					jcs.M("path", jcs.Loose(j.dir)), jcs.M("error", jcs.Loose(j.err.Error()))))
			}
			if j.code == worst && worst != cli.ExitPass {
				if status = "failed"; j.err != nil {
					status = "error"
				}
			}
		}
		object = cli.Answer(o.c.Name(), status, worst,
			jcs.M("verifier", jcs.Obj(jcs.M("name", jcs.Str("assay verify-pack")), jcs.M("version", jcs.Str(manifest.Version)))),
			jcs.M("packs", packs))
	}
	if failed != nil {
		for i := range object.Members {
			switch m := &object.Members[i]; {
			case m.Name == "exit_code":
				m.Value = jcs.Int(int64(worst))
			case m.Name == "status" && m.Value.Text == "ok":
				m.Value = jcs.Str("error")
			}
		}
		object.Members = append(object.Members, jcs.M("error", jcs.Loose(failed.Error())))
	} else if written := o.artifacts(); len(written.Members) > 0 {
		object.Members = append(object.Members, jcs.M("artifacts", written))
	}
	return object
}

func (o *verifyPack) artifacts() jcs.Value {
	list := jcs.Obj()
	for _, a := range []struct{ name, path string }{{"html", o.html}, {"badge", o.badge}, {"verify_report", o.out}, {"csv", o.csv}} {
		if a.path != "" {
			list.Members = append(list.Members, jcs.M(a.name, jcs.Loose(a.path)))
		}
	}
	return list
}

func (o *verifyPack) write(list []judged) error {
	put := func(path string, data []byte) error {
		if path == "" {
			return nil
		}
		return durable.WriteFile(path, data, 0o644)
	}
	rows := make([]report.Row, len(list))
	for i, j := range list {
		rows[i] = report.Row{Path: j.dir, Report: j.report, Code: j.code}
		if j.err != nil {
			rows[i].Err = j.err.Error()
		}
	}
	err := put(o.csv, report.CSV(rows))
	if one := list[0].report; len(list) == 1 {
		if o.html != "" {
			page, madeErr := one.HTML()
			err = errors.Join(err, madeErr, put(o.html, page))
		}
		if o.out != "" {
			text, madeErr := jcs.AppendPretty(nil, one.Public())
			err = errors.Join(err, madeErr, put(o.out, terminal.SafeJSON(append(text, '\n'))))
		}
		err = errors.Join(err, put(o.badge, one.Badge()))
	}
	return err
}

// printClosing ends a run of several packs, or one whose files could not be written: the last line of the
// output is of the exit code that the run has, not of the pack that happened to be the last.
func printClosing(out io.Writer, list []judged, worst int, failed error) error {
	counts := map[int]int{}
	for _, j := range list {
		counts[j.code]++
	}
	parts := make([]string, 0, len(counts)+1)
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d with exit %d", counts[code], code))
	}
	if failed != nil {
		parts = append(parts, "and what was asked for could not be written")
	}
	_, err := fmt.Fprintf(out, "verdict    exit %d: of the whole run: %s: %s\n", worst, report.Count(len(list), "pack"), strings.Join(parts, ", "))
	return err
}
