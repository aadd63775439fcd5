package main

import (
	_ "embed"
	"fmt"
	"strings"
)

// equivalentsText lists the mutants that were judged to change nothing that anybody could hold
// against the program, each with the reason on the indented lines after it:
//
//	trust/note.go parseSignature: len(blob) < 5 → len(blob) <= 5
//		why no test can tell, or need tell, the two apart
//
// A mutant is named by file, function and text, so an edit elsewhere in the file keeps the judgement,
// and an edit of the line itself ends it.
//
//go:embed equivalents.txt
var equivalentsText string

func parseEquivalents(text string) (map[string]string, error) {
	reasons := map[string]string{}
	name := ""
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "\t") && name != "":
			reasons[name] = strings.TrimSpace(reasons[name] + " " + strings.TrimSpace(line))
		case line == "" || strings.HasPrefix(line, "#"):
			name = ""
		case strings.Contains(line, ": ") && strings.Contains(line, " → "):
			name = line
			if _, twice := reasons[name]; twice {
				return nil, fmt.Errorf("equivalents line %d: listed twice: %s", i+1, name)
			}
			reasons[name] = ""
		default:
			return nil, fmt.Errorf("equivalents line %d: want a mutant, or a tab and a reason: %q", i+1, line)
		}
	}
	for name, reason := range reasons {
		if reason == "" {
			return nil, fmt.Errorf("equivalents: no reason for %s", name)
		}
	}
	return reasons, nil
}
