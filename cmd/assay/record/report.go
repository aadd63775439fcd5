package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// noteLate tells of receipts that came after an earlier pack of the trace, and of those that came while this one
// was made; and leaves word, so that a program that emits after this is told.
func (j *job) noteLate(trace *capture.Trace, r *pack.Result) {
	note := func(format string, args ...any) {
		fmt.Fprintf(j.s.Err, "note: %s\n", terminal.Safe(fmt.Sprintf(format, args...)))
	}
	switch earlier, err := trace.Packed(); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		note("whether a pack was made of this run before cannot be told: %v", err)
	case trace.Size > earlier.Bytes:
		note("%s was made of this run before, and is without the receipts that came after it", earlier.PackID)
	}
	if err := trace.MarkPacked(r.Manifest.PackID); err != nil {
		note("who emits to this run from now on is not told that it is packed: %v", err)
	}
	if info, err := os.Stat(trace.Path); err == nil && info.Size() > trace.Size+trace.TornTail {
		note("receipts came while the pack was made, and are not in it: 'assay proof-pack %s' makes one with them", trace.ID)
	}
}

// noteLosses says what of a trace is not in its pack.
func noteLosses(s cli.Streams, trace *capture.Trace) {
	if trace.TornTail > 0 {
		fmt.Fprintf(s.Err, "note: an unfinished last line of %d bytes was left out\n", trace.TornTail)
	}
	if n := trace.Torn - int(min(1, trace.TornTail)); n > 0 {
		fmt.Fprintf(s.Err, "note: %s set aside earlier left out\n", report.Count(n, "unfinished line"))
	}
	if trace.NumBad > 0 {
		fmt.Fprintf(s.Err, "note: %s of %s left out, as no receipts: %s\n", report.Count(trace.NumBad, "line"), terminal.Safe(trace.Path), terminal.Safe(trace.Bad[0].String()))
	}
}

// nothing reports that there is nothing to pack, and every cause of it that can be seen from here.
func (j *job) nothing(child int, trace *capture.Trace) error {
	code, source := child, "child"
	if child == 0 {
		code, source = cli.ExitBadInput, "pack"
	}
	text := "no receipts were recorded under " + j.trace
	if child != 0 {
		text = fmt.Sprintf("the program failed (%d), and %s", child, text)
	}
	fixes := j.diagnose(child, trace)
	fmt.Fprintf(j.s.Err, "%s: %s\n", j.command.CommandPath(), terminal.Safe(text))
	list := jcs.Arr()
	for _, fix := range fixes {
		fmt.Fprintf(j.s.Err, "hint: %s\n", terminal.Safe(fix))
		list.Items = append(list.Items, jcs.Loose(fix))
	}
	var err error
	if j.json {
		err = cli.PrintJSON(j.s.Out, cli.Answer(j.command.Name(), "error", code,
			jcs.M("exit_code_source", jcs.Str(source)),
			jcs.M("child_exit_code", jcs.Int(int64(child))),
			jcs.M("trace_id", jcs.Loose(j.trace)),
			jcs.M("error", jcs.Loose(text)),
			jcs.M("fixes", list),
		))
	}
	return cli.Judged(code, err)
}

func (j *job) diagnose(child int, trace *capture.Trace) (fixes []string) {
	add := func(format string, args ...any) { fixes = append(fixes, fmt.Sprintf(format, args...)) }
	if trace != nil && trace.Torn > 0 {
		add("it was killed while it recorded its first receipt: %s left", report.Count(trace.Torn, "unfinished line"))
	}
	if trace != nil && trace.NumBad > 0 {
		add("%s has %s, and no receipt: %s", trace.Path, report.Count(trace.NumBad, "line"), trace.Bad[0])
	}
	for _, dir := range []string{".assay", filepath.Join(".loom", "assay")} {
		dir = filepath.Join(j.s.Env("HOME"), dir)
		if dir == string(j.home) || !filepath.IsAbs(dir) {
			continue
		}
		if other, err := (&capture.Store{Dir: dir}).Open(j.trace); err == nil {
			other.Close()
			add("its receipts are in %s: the Python tool does not know ASSAY_HOME; run without it, or 'ASSAY_HOME=%s assay proof-pack %s'", dir, dir, j.trace)
		}
	}
	if j.command.Name() != "run" {
		add("is that the id, and is this the ASSAY_HOME, of the run?")
		if ids := j.home.Receipts().Recent(time.Time{}, 3); len(ids) > 0 {
			add("the latest runs in %s are %s", string(j.home), strings.Join(ids, ", "))
		}
		return fixes
	}
	if child != 0 {
		add("the program ended with %d: its own output may say why", child)
	}
	// The clock of the file system is the coarser one.
	ids := j.home.Receipts().Recent(j.began.Add(-10*time.Millisecond), 4)
	if ids = slices.DeleteFunc(ids, func(id string) bool { return id == j.trace }); len(ids) > 0 {
		add("meanwhile receipts were recorded under %s: does the program keep ASSAY_TRACE_ID?", strings.Join(ids, ", "))
	}
	add("the program records with: assay emit TYPE --data JSON")
	if !j.own {
		add("--allow-empty makes a pack all the same")
	}
	return fixes
}

func (j *job) report(child int, trace *capture.Trace, r *pack.Result) error {
	code, source := child, "child"
	if child == 0 && j.exitPolicy == "merged" {
		code, source = r.ExitCode(), "pack"
	}
	var err error
	if j.json {
		err = cli.PrintJSON(j.s.Out, j.object(code, source, child, trace, r))
	} else {
		out := j.s.Out
		if j.command.Name() == "run" { // whose stdout is the program's
			out = j.s.Err
		}
		_, err = io.WriteString(out, report.New(j.output, r).Text())
		switch {
		case child != 0:
			fmt.Fprintf(j.s.Err, "the program failed: exit code %d is its own\n", child)
		case source == "child":
			fmt.Fprintf(j.s.Err, "the program ended with 0, and --exit-policy child looks at nothing else\n")
		}
		fmt.Fprintf(j.s.Err, "recorded under %s\n", terminal.Safe(j.trace))
		fmt.Fprintf(j.s.Err, "next: assay verify-pack %s\n", terminal.Safe(j.output))
	}
	return cli.Judged(code, err)
}

// object is the result for machines: what happened here, and the pack as verify-pack shows it.
func (j *job) object(code int, source string, child int, trace *capture.Trace, r *pack.Result) jcs.Value {
	torn, bad, status, claims := 0, 0, "ok", string(r.Claims.Verdict)
	if trace != nil {
		torn, bad = trace.Torn, trace.NumBad
	}
	if code != cli.ExitPass {
		status = "failed"
	}
	if r.Claims.Verdict == pack.Skipped {
		claims = "N/A" // as packs spell it
	}
	return cli.Answer(j.command.Name(), status, code,
		jcs.M("exit_code_source", jcs.Str(source)),
		jcs.M("child_exit_code", jcs.Int(int64(child))),
		jcs.M("trace_id", jcs.Str(j.trace)),
		jcs.M("output_dir", jcs.Loose(j.output)),
		jcs.M("mode", jcs.Str(string(j.mode))),
		jcs.M("torn_lines", jcs.Int(int64(torn))),
		jcs.M("bad_lines", jcs.Int(int64(bad))),
		jcs.M("receipt_integrity", jcs.Str(string(r.Integrity))),
		jcs.M("claim_check", jcs.Str(claims)),
		jcs.M("pack", report.New(j.output, r).JSON("verify-pack")),
	)
}
