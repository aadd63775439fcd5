package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/report"
)

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
