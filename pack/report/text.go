package report

import (
	"fmt"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/terminal"
)

// Text is the judgement for a person at a terminal. The verdict line is last; nothing that a pack says
// can look like one, because every pack text is escaped and stands behind a word of ours. Print it with one
// write, so that what is cut short has no verdict line.
func (r *Report) Text() string { return r.channelLines() + r.verdictLine() }

// ExplainText is Text with the explanation before the verdict.
func (r *Report) ExplainText() string {
	w := new(strings.Builder)
	w.WriteString(r.channelLines())
	for _, section := range r.Explain() {
		fmt.Fprintf(w, "\n%s\n", section.Title)
		for _, line := range section.Lines {
			fmt.Fprintf(w, "  - %s\n", terminal.Safe(line.String()))
		}
		if section.Code != "" {
			w.WriteString("\n")
		}
		for line := range strings.Lines(section.Code) {
			fmt.Fprintf(w, "    %s\n", terminal.Safe(strings.TrimSuffix(line, "\n")))
		}
	}
	return w.String() + "\n" + r.verdictLine()
}

func (r *Report) verdictLine() string { return "verdict    " + r.Verdict() + "\n" }

// channelLines are the lines before the verdict.
func (r *Report) channelLines() string {
	w := new(strings.Builder)
	fmt.Fprintf(w, "pack       %s\n", terminal.Safe(r.Title().String()))
	for _, c := range r.Channels() {
		fmt.Fprintf(w, "%-10s %s  %s\n", c.Label(), c.Word, terminal.Safe(c.Text.String()))
		for _, p := range c.Parts {
			fmt.Fprintf(w, "  %-8s %s  %s\n", p.Name, p.Word, terminal.Safe(p.Text.String()))
		}
		if c.Name != "claims" {
			continue
		}
		for _, c := range r.Claims.Results {
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
	return w.String()
}
