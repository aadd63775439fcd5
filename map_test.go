package assayledger_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

//go:generate go test -run ^TestTheMapIsThatOfTheTable$ -update .

var update = flag.Bool("update", false, "write docs/rooms.svg again")

// TestTheMapIsThatOfTheTable draws the table of rooms of layout_test.go; go generate writes it.
func TestTheMapIsThatOfTheTable(t *testing.T) {
	const path = "docs/rooms.svg"
	groups, legend := groupsOf(t)
	drawn := drawMap(layout, groups, legend)
	if *update {
		if err := os.WriteFile(path, []byte(drawn), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if there, err := os.ReadFile(path); err != nil || string(there) != drawn {
		t.Errorf("%s is not the picture of the table (%v): run go generate", path, err)
	}
}

// groupsOf reads which comment of the table stands above each room, as its number in legend, which holds the
// first sentence of each.
func groupsOf(t *testing.T) (groups map[string]int, legend []string) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "layout_test.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	groups = map[string]int{}
	for _, decl := range file.Decls {
		d, ok := decl.(*ast.GenDecl)
		if !ok || d.Tok != token.VAR || d.Specs[0].(*ast.ValueSpec).Names[0].Name != "layout" {
			continue
		}
		for _, c := range file.Comments {
			if c.Pos() > d.Pos() && c.End() < d.End() {
				sentence, _, _ := strings.Cut(strings.ReplaceAll(c.Text(), "\n", " "), ".")
				legend = append(legend, sentence)
			}
		}
		for _, e := range d.Specs[0].(*ast.ValueSpec).Values[0].(*ast.CompositeLit).Elts {
			key := e.(*ast.KeyValueExpr).Key.(*ast.BasicLit)
			group := -1
			for _, c := range file.Comments {
				if c.Pos() > d.Specs[0].Pos() && c.Pos() < key.Pos() {
					group++
				}
			}
			groups[strings.Trim(key.Value, `"`)] = group
		}
	}
	return groups, legend
}

// drawMap puts every room above all that it imports. A line is drawn where no other room stands between.
func drawMap(table map[string][]string, groups map[string]int, legend []string) string {
	const boxWidth, boxHeight, across, down = 136, 26, 12, 62
	rows := placeRooms(table)
	most := 0
	for _, row := range rows {
		most = max(most, len(row))
	}
	width, height := most*(boxWidth+across)+across, len(rows)*down
	const entry = 18 // the height of a line of the legend
	type point struct{ x, y int }
	at := map[string]point{}
	for level, row := range rows {
		left := (width - len(row)*(boxWidth+across) + across) / 2
		for i, name := range row {
			at[name] = point{left + i*(boxWidth+across), height - (level+1)*down + (down-boxHeight)/2}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="ui-monospace,monospace" font-size="11" role="img">
<title>The rooms of this repository: each imports only rooms below it</title>
<style>
path{fill:none;stroke:#888;stroke-opacity:.55} rect{stroke:#555;rx:4} text{fill:#111;text-anchor:middle} .legend{text-anchor:start}
.g0{fill:#cfe8cf} .g1{fill:#cfdff5} .g2{fill:#f5dfc0} .g3{fill:#e6d5f0} .g4{fill:#e2e2e2} .g5{fill:#f4f0c4} .g6{fill:#f2cfd4} .g7{fill:#d0ecec}
</style>
<rect width="%d" height="%d" fill="#fff" stroke="none"/>
`, width, height+len(legend)*entry+across, width, height+len(legend)*entry+across)
	for i, sentence := range legend {
		y := height + i*entry
		fmt.Fprintf(&b, "<rect class=\"g%d\" x=\"%d\" y=\"%d\" width=\"22\" height=\"12\"/><text class=\"legend\" x=\"%d\" y=\"%d\">%s</text>\n", i, across, y, across+30, y+10, sentence)
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		for _, target := range directly(table, name) {
			from, to := at[name], at[target]
			x1, y1, x2, y2 := from.x+boxWidth/2, from.y+boxHeight, to.x+boxWidth/2, to.y
			fmt.Fprintf(&b, "<path d=\"M%d %dC%d %d %d %d %d %d\"/>\n", x1, y1, x1, y1+down/2, x2, y2-down/2, x2, y2)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		p := at[name]
		fmt.Fprintf(&b, "<rect class=\"g%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/><text x=\"%d\" y=\"%d\">%s</text>\n",
			groups[name], p.x, p.y, boxWidth, boxHeight, p.x+boxWidth/2, p.y+17, name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// placeRooms puts each room one row above the highest that it imports, and in the row near what it imports.
func placeRooms(table map[string][]string) (rows [][]string) {
	level := map[string]int{}
	var height func(name string) int
	height = func(name string) int {
		h, known := level[name]
		if !known {
			for _, target := range table[name] {
				h = max(h, height(target)+1)
			}
			level[name] = h
		}
		return h
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		for len(rows) <= height(name) {
			rows = append(rows, nil)
		}
		rows[level[name]] = append(rows[level[name]], name)
	}
	at := map[string]float64{}
	number := func(row []string) {
		for i, name := range row {
			at[name] = float64(i) - float64(len(row))/2
		}
	}
	mean := func(names []string, otherwise float64) float64 {
		sum := 0.0
		for _, n := range names {
			sum += at[n]
		}
		if len(names) == 0 {
			return otherwise
		}
		return sum / float64(len(names))
	}
	importers := map[string][]string{}
	for name := range table {
		for _, target := range directly(table, name) {
			importers[target] = append(importers[target], name)
		}
	}
	for _, row := range rows {
		number(row)
	}
	for range 8 {
		for _, neighbours := range []func(string) []string{func(n string) []string { return directly(table, n) }, func(n string) []string { return importers[n] }} {
			for _, row := range rows {
				near := map[string]float64{}
				for _, name := range row {
					near[name] = mean(neighbours(name), at[name])
				}
				slices.SortStableFunc(row, func(a, b string) int { return cmp.Or(cmp.Compare(near[a], near[b]), cmp.Compare(a, b)) })
				number(row)
			}
		}
	}
	return rows
}

// directly are the rooms that name imports and that none of the others it imports does.
func directly(table map[string][]string, name string) (direct []string) {
	var reaches func(from, to string) bool
	reaches = func(from, to string) bool {
		return slices.ContainsFunc(table[from], func(n string) bool { return n == to || reaches(n, to) })
	}
	for _, target := range table[name] {
		if !slices.ContainsFunc(table[name], func(other string) bool { return other != target && reaches(other, target) }) {
			direct = append(direct, target)
		}
	}
	return direct
}
