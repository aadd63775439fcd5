package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// printResult shows a judgement that was made without flags.
func printResult(out io.Writer, dir string, r *pack.Result) error {
	return printReport(out, &report.Report{Result: r, Path: dir, Version: pack.Version})
}

// printReport shows a judgement to a person. The verdict line is last; nothing that a pack says
// can look like one, because every pack text is escaped and stands behind a word of ours. It is one
// write, so that what is cut short has no verdict line.
func printReport(out io.Writer, r *report.Report) error {
	w := new(strings.Builder)
	channelLines(w, r)
	fmt.Fprintf(w, "verdict    %s\n", r.Verdict())
	_, err := io.WriteString(out, w.String())
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

func channelLines(w *strings.Builder, r *report.Report) {
	fmt.Fprintf(w, "pack       %s\n", cmd.Safe(r.Title().String()))
	for _, c := range r.Channels() {
		fmt.Fprintf(w, "%-10s %s  %s\n", c.Label(), c.Word, cmd.Safe(c.Text.String()))
		for _, p := range c.Parts {
			fmt.Fprintf(w, "  %-8s %s  %s\n", p.Name, p.Word, cmd.Safe(p.Text.String()))
		}
		if c.Name != "claims" {
			continue
		}
		for _, c := range r.ClaimResults {
			if !c.Passed {
				fmt.Fprintf(w, "           %s (%s): expected %s; %s\n", cmd.Safe(c.ClaimID), cmd.Safe(c.Severity), cmd.Safe(c.Expected), cmd.Safe(c.Actual))
			}
		}
	}
	if word, text, there := r.EndedBadly(); there {
		fmt.Fprintf(w, "%-10s %s  %s\n", "program", word, cmd.Safe(text.String()))
	}
	findings, warnings := r.Problems()
	for _, f := range findings {
		fmt.Fprintf(w, "  finding  %s\n", cmd.Safe(f.String()))
	}
	for _, f := range warnings {
		fmt.Fprintf(w, "  warning  %s\n", cmd.Safe(f.String()))
	}
}

// packObject is the small view of a pack for commands whose result is something else.
func packObject(dir string, r *pack.Result) jcs.Value {
	v := jcs.Obj(
		jcs.M("path", jcsText(dir)),
		jcs.M("integrity", jcs.Str(string(r.Integrity))),
		jcs.M("claims", jcs.Str(string(r.ClaimsHere()))),
		jcs.M("anchor", jcs.Str(string(r.Anchor))),
		jcs.M("n_receipts", jcs.Int(int64(r.Receipts))),
	)
	add := func(name string, value jcs.Value) {
		v.Members = append(v.Members, jcs.M(name, value))
	}
	if m := r.Manifest; m != nil {
		add("pack_id", jcs.Str(m.PackID))
		add("manifest_sha256", jcs.Str(fmt.Sprintf("%x", m.Digest())))
		add("pack_root_sha256", jcs.Str(fmt.Sprintf("%x", m.PackRoot)))
		add("signer_id", jcs.Str(m.SignerID))
		add("signer_pubkey_sha256", jcs.Str(fmt.Sprintf("%x", m.SignerFingerprint())))
		add("signer_pinned", jcs.Boolean(r.Pinned))
	}
	add("claim_results", claimObjects(r.ClaimResults))
	add("findings", findingsArray(slices.Concat(r.Findings, r.ExpectationFindings())))
	add("warnings", findingsArray(r.Warnings))
	return v
}

func findingsArray(findings []pack.Finding) jcs.Value {
	v := jcs.Arr()
	for _, f := range findings {
		o := jcs.Obj(
			jcs.M("code", jcs.Str(f.Code)),
			jcs.M("field", jcs.Str(f.Field)),
			jcs.M("message", jcs.Str(f.Message)),
		)
		if f.Receipt >= 0 {
			o.Members = append(o.Members, jcs.M("receipt_index", jcs.Int(int64(f.Receipt))))
		}
		v.Items = append(v.Items, o)
	}
	return v
}

// jcsText is text of the file system, which need not be UTF-8.
func jcsText(text string) jcs.Value { return jcs.Str(strings.ToValidUTF8(text, "\ufffd")) }

// answer is what --json prints: the members that every object begins with, and those of its command.
func answer(command, status string, code int, members ...jcs.Member) jcs.Value {
	head := jcs.Obj(jcs.M("command", jcs.Str(command)), jcs.M("status", jcs.Str(status)), jcs.M("exit_code", jcs.Int(int64(code))))
	head.Members = append(head.Members, members...)
	return head
}

func printJSON(w io.Writer, v jcs.Value) error {
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		return err
	}
	_, err = w.Write(cmd.SafeJSON(append(text, '\n')))
	return err
}
