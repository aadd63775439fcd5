package assayledger_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// upward is how many times, in each room, a file uses what stands in a file that uses it in turn, directly or
// through others. Such files can only be read together. The numbers may fall and never rise: a new arrow wants
// its declaration moved to the file below, or its two files made one.
var upward = map[string]int{
	"capture":          9,
	"cmd/assay":        1,
	"cmd/assay/demo":   3,
	"cmd/assay/govern": 13,
	"cmd/assay/judge":  2,
	"cmd/assay/record": 1,
	"cmd/assay/sign":   33,
	"cmd/ledger":       8,
	"conformance":      1,
	"internal/cli":     7,
	"internal/durable": 2,
	"ledger":           56,
	"ledger/api":       18,
	"ledger/client":    5,
	"pack":             28,
	"pack/claim":       36,
	"pack/jcs":         12,
	"pack/keystore":    14,
	"pack/receipt":     4,
	"pack/report":      2,
	"site":             2,
	"trust":            10,
	"trust/timestamp":  3,
	"witness":          1,
}

// TestNoFileImportsUpwardAnew reads a room as Go's packages are read: its files should form layers.
func TestNoFileImportsUpwardAnew(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the numbers are those of the files that Linux builds")
	}
	for _, r := range readRooms(t) {
		arrows := r.upwardArrows()
		if len(arrows) > upward[r.name] {
			t.Errorf("%s: %d arrows go upward between its files, %d may:\n%s", r.name, len(arrows), upward[r.name], strings.Join(arrows, "\n"))
		}
		if len(arrows) < upward[r.name] {
			t.Errorf("%s: only %d arrows go upward between its files now: write that number into the table", r.name, len(arrows))
		}
	}
}

// TestFiguresOfTheSource prints what can be said of the tree in numbers (make figures): it judges nothing.
func TestFiguresOfTheSource(t *testing.T) {
	if !testing.Verbose() {
		t.Skip("prints: run it with -v")
	}
	rooms := readRooms(t)
	slices.SortFunc(rooms, func(a, b *room) int { return cmp.Or(b.lines-a.lines, strings.Compare(a.name, b.name)) })
	fmt.Println("the largest rooms, in lines without tests:")
	for _, r := range rooms[:10] {
		fmt.Printf("  %-20s %6d lines %3d files %4d exported names %3d arrows upward\n", r.name, r.lines, len(r.files), len(r.exported), len(r.upwardArrows()))
	}
	sum := 0
	for _, r := range rooms {
		sum += len(r.upwardArrows())
	}
	fmt.Printf("arrows upward in all rooms: %d\n", sum)
	unused := unusedOutside(rooms)
	fmt.Printf("exported names that nothing outside their room uses: %d\n", len(unused))
	for room, names := range groupByRoom(unused) {
		fmt.Printf("  %s: %s\n", room, strings.Join(names, " "))
	}
	runs := duplicateRuns(rooms)
	fmt.Printf("runs of more than six equal lines in two rooms: %d\n", len(runs))
	for _, run := range runs {
		fmt.Println("  " + run)
	}
	fmt.Println("comment lines to code lines in the ten largest files:")
	var files []*sourceFile
	for _, r := range rooms {
		files = append(files, r.files...)
	}
	slices.SortFunc(files, func(a, b *sourceFile) int { return cmp.Or(b.code-a.code, strings.Compare(a.path, b.path)) })
	for _, f := range files[:10] {
		fmt.Printf("  %-36s %4d code lines, %.2f\n", f.path, f.code, float64(f.comments)/float64(f.code))
	}
}

// room is a package of the product, type-checked, without its tests.
type room struct {
	name     string
	files    []*sourceFile
	lines    int
	exported map[string]bool // package-level names, and methods as Type.Method
	fset     *token.FileSet
	info     *types.Info
	pkg      *types.Package
}

type sourceFile struct {
	path           string
	syntax         *ast.File
	text           []string
	code, comments int // lines
}

// readRooms type-checks every room against the export data of what it imports, which the build has cached.
func readRooms(t *testing.T) []*room {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	export, ours := map[string]string{}, []listed(nil)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		export[p.ImportPath] = p.Export
		if name, ok := strings.CutPrefix(p.ImportPath, module+"/"); ok && !strings.HasPrefix(name, "conformance/") {
			ours = append(ours, p)
		}
	}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(export[path]) }
	var rooms []*room
	for _, p := range ours {
		r := &room{name: strings.TrimPrefix(p.ImportPath, module+"/"), exported: map[string]bool{}, fset: token.NewFileSet()}
		var syntax []*ast.File
		for _, name := range p.GoFiles {
			f := readSource(t, r.fset, filepath.Join(p.Dir, name), r.name)
			r.files, syntax, r.lines = append(r.files, f), append(syntax, f.syntax), r.lines+len(f.text)
		}
		r.info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{}}
		config := types.Config{Importer: importer.ForCompiler(r.fset, "gc", lookup)}
		if r.pkg, err = config.Check(p.ImportPath, r.fset, syntax, r.info); err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		for _, o := range r.info.Defs {
			if o != nil && o.Exported() && nameOf(o) != "" {
				r.exported[nameOf(o)] = true
			}
		}
		rooms = append(rooms, r)
	}
	return rooms
}

func readSource(t *testing.T, fset *token.FileSet, path, room string) *sourceFile {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	syntax, err := parser.ParseFile(fset, path, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	f := &sourceFile{path: room + "/" + filepath.Base(path), syntax: syntax, text: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
	for _, line := range f.text {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "//"):
			f.comments++
		case line != "":
			f.code++
		}
	}
	return f
}

// nameOf is the name of a package-level declaration, or Type.Method of a method; "" of anything else.
func nameOf(o types.Object) string {
	if f, ok := o.(*types.Func); ok {
		if recv := f.Signature().Recv(); recv != nil {
			t := recv.Type()
			if p, ok := t.(*types.Pointer); ok {
				t = p.Elem()
			}
			if n, ok := t.(*types.Named); ok && n.Obj().Parent() == o.Pkg().Scope() {
				return n.Obj().Name() + "." + o.Name()
			}
			return ""
		}
	}
	if o.Pkg() == nil || o.Parent() != o.Pkg().Scope() {
		return ""
	}
	return o.Name()
}

// upwardArrows are the uses of one file by another that stands above it, as "a.go → b.go: name".
func (r *room) upwardArrows() []string {
	at := func(pos token.Pos) string { return filepath.Base(r.fset.Position(pos).Filename) }
	uses := map[[2]string]map[string]bool{}
	for id, o := range r.info.Uses {
		if o.Pkg() != r.pkg || nameOf(o) == "" {
			continue
		}
		if edge := [2]string{at(id.Pos()), at(o.Pos())}; edge[0] != edge[1] {
			if uses[edge] == nil {
				uses[edge] = map[string]bool{}
			}
			uses[edge][nameOf(o)] = true
		}
	}
	// The order in which the fewest names are used upward: repeatedly the file that uses least of the rest goes
	// below. Greedy, and the same at every run, which is all that a limit needs.
	var rest []string
	for _, f := range r.files {
		rest = append(rest, filepath.Base(f.path))
	}
	var arrows []string
	for len(rest) > 0 {
		best, least := "", -1
		for _, f := range rest {
			n := 0
			for _, g := range rest {
				n += len(uses[[2]string{f, g}])
			}
			if least < 0 || n < least {
				best, least = f, n
			}
		}
		rest = slices.DeleteFunc(rest, func(f string) bool { return f == best })
		for _, g := range rest {
			if names := uses[[2]string{best, g}]; len(names) > 0 {
				for _, name := range slices.Sorted(maps.Keys(names)) {
					arrows = append(arrows, fmt.Sprintf("  %s → %s: %s", best, g, name))
				}
			}
		}
	}
	return arrows
}

// unusedOutside are the exported names that no other room uses, the programs' own rooms left out.
func unusedOutside(rooms []*room) []string {
	used := map[string]bool{}
	for _, r := range rooms {
		for _, o := range r.info.Uses {
			if o.Pkg() != nil && o.Pkg() != r.pkg && nameOf(o) != "" {
				used[o.Pkg().Path()+"."+nameOf(o)] = true
			}
		}
	}
	var unused []string
	for _, r := range rooms {
		for name := range r.exported {
			if strings.Contains(name, ".") {
				continue // a method may be called through an interface
			}
			if !used[module+"/"+r.name+"."+name] {
				unused = append(unused, r.name+"."+name)
			}
		}
	}
	slices.Sort(unused)
	return unused
}

func groupByRoom(names []string) map[string][]string {
	rooms := map[string][]string{}
	for _, n := range names {
		at := strings.LastIndex(n, "/") + 1
		room, name, _ := strings.Cut(n[at:], ".")
		rooms[n[:at]+room] = append(rooms[n[:at]+room], name)
	}
	return rooms
}

// duplicateRuns are runs of more than six equal lines, blank ones and imports left out, that stand in two rooms.
func duplicateRuns(rooms []*room) (runs []string) {
	const least = 7
	type place struct {
		room, file string
		line       int
	}
	seen, last := map[string]place{}, map[[2]string]int{}
	for _, r := range rooms {
		for _, f := range r.files {
			var lines []string
			var numbers []int
			for i, line := range f.text {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, `"`) && !strings.HasPrefix(line, "//") {
					lines, numbers = append(lines, line), append(numbers, i+1)
				}
			}
			for i := 0; i+least <= len(lines); i++ {
				window := strings.Join(lines[i:i+least], "\n")
				first, ok := seen[window]
				switch {
				case !ok:
					seen[window] = place{r.name, f.path, numbers[i]}
				case first.room != r.name:
					pair := [2]string{first.file, f.path}
					if at, ok := last[pair]; !ok || i > at+1 {
						runs = append(runs, fmt.Sprintf("%s:%d and %s:%d", first.file, first.line, f.path, numbers[i]))
					}
					last[pair] = i
				}
			}
		}
	}
	return runs
}
