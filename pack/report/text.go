package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// PrintResult shows a judgement that was made without flags.
func PrintResult(out io.Writer, dir string, r *pack.Result) error {
	return Print(out, &Report{Result: r, Path: dir, Version: manifest.Version})
}

// Print shows a judgement to a person. The verdict line is last; nothing that a pack says
// can look like one, because every pack text is escaped and stands behind a word of ours. It is one
// write, so that what is cut short has no verdict line.
func Print(out io.Writer, r *Report) error {
	w := new(strings.Builder)
	ChannelLines(w, r)
	fmt.Fprintf(w, "verdict    %s\n", r.Verdict())
	_, err := io.WriteString(out, w.String())
	return err
}

// ChannelLines writes the lines of Print before the verdict.
func ChannelLines(w *strings.Builder, r *Report) {
	fmt.Fprintf(w, "pack       %s\n", terminal.Safe(r.Title().String()))
	for _, c := range r.Channels() {
		fmt.Fprintf(w, "%-10s %s  %s\n", c.Label(), c.Word, terminal.Safe(c.Text.String()))
		for _, p := range c.Parts {
			fmt.Fprintf(w, "  %-8s %s  %s\n", p.Name, p.Word, terminal.Safe(p.Text.String()))
		}
		if c.Name != "claims" {
			continue
		}
		for _, c := range r.ClaimResults {
			if !c.Passed {
				fmt.Fprintf(w, "           %s (%s): expected %s; %s\n", terminal.Safe(c.ClaimID), terminal.Safe(string(c.Severity)), terminal.Safe(c.Expected), terminal.Safe(c.Actual))
			}
		}
	}
	if word, text, there := r.EndedBadly(); there {
		fmt.Fprintf(w, "%-10s %s  %s\n", "program", word, terminal.Safe(text.String()))
	}
	findings, warnings := r.Problems()
	for _, f := range findings {
		fmt.Fprintf(w, "  finding  %s\n", terminal.Safe(f.String()))
	}
	for _, f := range warnings {
		fmt.Fprintf(w, "  warning  %s\n", terminal.Safe(f.String()))
	}
}
