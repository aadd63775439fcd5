package pages

import (
	"fmt"
	"strings"
	"time"
)

// chart is the curve of a log's growth, in a box of 640 by 200.
type chart struct {
	Title      string
	Line, Area string // of SVG paths
	Days       []Day  // what is drawn, oldest first
	From, To   time.Time
	Top        int64
}

const mostPoints = 60

// newChart draws at most 60 days, the last one among them; nil if there is nothing to draw.
func newChart(growth []Day) *chart {
	if len(growth) < 2 {
		return nil
	}
	step := (len(growth) + mostPoints - 2) / (mostPoints - 1)
	var days []Day
	for i := (len(growth) - 1) % step; i < len(growth); i += step {
		days = append(days, growth[i])
	}
	if len(days) < 2 {
		return nil
	}
	from, to := days[0].Date, days[len(days)-1].Date
	c := &chart{Days: days, From: from, To: to, Top: days[len(days)-1].Size}
	span := max(to.Sub(from).Hours(), 1)
	var line strings.Builder
	for i, d := range days {
		x := 640 * d.Date.Sub(from).Hours() / span
		y := 196 - 188*float64(d.Size)/float64(max(c.Top, 1))
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], x, y)
	}
	c.Line = line.String()
	c.Area = c.Line + "L640 200L0 200Z"
	c.Title = fmt.Sprintf("From %s entries on %s to %s on %s", count(days[0].Size), date(from), count(c.Top), date(to))
	return c
}
