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

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

func verifyPackCmd(s cmd.Streams) *cobra.Command {
	v := verifying{s: s}
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
			return cmd.Args(cobra.MinimumNArgs(1), "at least one pack directory")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			v.c = c
			return v.all(args)
		},
	}
	v.Add(c)
	c.Flags().BoolVar(&v.latest, "latest", false, "judge only the newest pack of each directory")
	c.Flags().StringVar(&v.html, "html", "", "write a page about the one pack to `FILE`")
	c.Flags().StringVar(&v.badge, "badge", "", "write an SVG badge of the one pack to `FILE`")
	c.Flags().StringVar(&v.out, "out", "", "write the judgement of the one pack, assay.verify_report.v0.1, to `FILE`")
	c.Flags().StringVar(&v.csv, "csv", "", "write a table with a row for each pack to `FILE`")
	c.Flags().BoolVar(&v.json, "json", false, "one JSON object on stdout")
	c.Flags().BoolVarP(&v.quiet, "quiet", "q", false, "nothing on stdout: the exit code says it")
	return c
}

// verifying is one run of verify-pack.
type verifying struct {
	expect.Flags
	s                     cmd.Streams
	c                     *cobra.Command
	html, badge, out, csv string
	latest, json, quiet   bool
}

// judged is one argument after its pack was judged, or an error in its place.
type judged struct {
	dir    string
	report *report.Report
	err    *cmd.Error
	code   int
}

// all judges each pack and ends with the gravest code.
func (v *verifying) all(args []string) error {
	if v.json && v.quiet {
		return cmd.BadInput("", "--json and --quiet exclude each other")
	}
	options, err := v.Options(v.c)
	if err != nil {
		return err
	}
	dirs, err := v.packs(args)
	if err != nil {
		return err
	}
	if err := v.checkOutputs(dirs); err != nil {
		return err
	}
	list := make([]judged, len(dirs))
	worst := cmd.ExitPass
	var shown error // of the first verdict that could not be written; the others are judged all the same
	for i, dir := range dirs {
		r, err := expect.VerifyDir(dir, options)
		if err != nil && len(dirs) == 1 {
			return err
		}
		list[i] = judged{dir: dir}
		if err != nil {
			list[i].err = v.s.Tell(v.c, err)
			list[i].code = list[i].err.Code
		} else {
			list[i].report = v.Report(dir, r, options)
			list[i].code = r.ExitCode()
			if !v.json && !v.quiet {
				shown = cmp.Or(shown, report.Print(v.s.Out, list[i].report))
			}
		}
		worst = cmd.Graver(worst, list[i].code)
	}
	// A page that could not be written is not there for whoever asked for it, whatever the verdict.
	failed := v.write(list)
	if failed != nil {
		worst = cmd.Graver(worst, v.s.Tell(v.c, failed).Code)
	}
	if !v.json && !v.quiet && (len(dirs) > 1 || failed != nil) {
		shown = cmp.Or(shown, printClosing(v.s.Out, list, worst, failed))
	}
	if v.json {
		shown = cmd.PrintJSON(v.s.Out, v.object(list, worst, failed))
	}
	return cmd.Judged(worst, shown)
}

// checkOutputs refuses, before anything is judged, what cannot be written or would be written over evidence.
func (v *verifying) checkOutputs(dirs []string) error {
	for _, o := range []struct{ flag, path string }{{"html", v.html}, {"badge", v.badge}, {"out", v.out}} {
		if o.path != "" && len(dirs) > 1 {
			return cmd.BadInput("--csv writes a row for each of several packs, --json prints them all", "--%s is for one pack, not %d", o.flag, len(dirs))
		}
	}
	if v.Proof != "" && len(dirs) > 1 {
		return cmd.BadInput("", "--proof is for one pack, not %d", len(dirs))
	}
	return v.MayWrite(v.c, dirs, "html", "badge", "out", "csv")
}

// object is the result for machines: of one pack its judgement, of several a list of them.
func (v *verifying) object(list []judged, worst int, failed error) jcs.Value {
	var object jcs.Value
	if len(list) == 1 {
		object = list[0].report.JSON(v.c.Name())
	} else {
		status, packs := "ok", jcs.Arr()
		for _, j := range list {
			if j.err == nil {
				packs.Items = append(packs.Items, j.report.JSON(v.c.Name()))
			} else {
				packs.Items = append(packs.Items, cmd.Answer(v.c.Name(), "error", j.code,
					jcs.M("path", jcs.Loose(j.dir)), jcs.M("error", jcs.Loose(j.err.Error()))))
			}
			if j.code == worst && worst != cmd.ExitPass {
				if status = "failed"; j.err != nil {
					status = "error"
				}
			}
		}
		object = cmd.Answer(v.c.Name(), status, worst,
			jcs.M("verifier", jcs.Obj(jcs.M("name", jcs.Str("assay verify-pack")), jcs.M("version", jcs.Str(pack.Version)))),
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
	} else if written := v.artifacts(); len(written.Members) > 0 {
		object.Members = append(object.Members, jcs.M("artifacts", written))
	}
	return object
}

func (v *verifying) artifacts() jcs.Value {
	o := jcs.Obj()
	for _, a := range []struct{ name, path string }{{"html", v.html}, {"badge", v.badge}, {"verify_report", v.out}, {"csv", v.csv}} {
		if a.path != "" {
			o.Members = append(o.Members, jcs.M(a.name, jcs.Loose(a.path)))
		}
	}
	return o
}

func (v *verifying) write(list []judged) error {
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
	err := put(v.csv, report.CSV(rows))
	if one := list[0].report; len(list) == 1 {
		if v.html != "" {
			page, madeErr := one.HTML()
			err = errors.Join(err, madeErr, put(v.html, page))
		}
		if v.out != "" {
			text, madeErr := jcs.AppendPretty(nil, one.Public())
			err = errors.Join(err, madeErr, put(v.out, cmd.SafeJSON(append(text, '\n'))))
		}
		err = errors.Join(err, put(v.badge, one.Badge()))
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
