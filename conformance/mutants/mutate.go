package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/scanner"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mutant is one change of one file. Its name survives edits of other lines: it says file, function
// and what becomes of which piece of source, and counts where a function has that piece twice.
type mutant struct {
	pkg, file string // "trust", "note.go"
	function  string // "parseSignature", "Policy.Quorum"; "-" outside of functions
	line      int
	before    string // source, in one line
	after     string
	nth       int // of those with the same file, function, before and after; from 1

	from, to int    // bytes of the file that are replaced
	text     string // by this
	weight   float64
}

func (m *mutant) name() string {
	name := fmt.Sprintf("%s/%s %s: %s → %s", m.pkg, m.file, m.function, m.before, m.after)
	if m.nth > 1 {
		name += fmt.Sprintf(" #%d", m.nth)
	}
	return name
}

// mutantsOf returns every mutant of a package under root, in the order of its source. Files of other
// systems and tests are left out.
func mutantsOf(root, pkg string) ([]*mutant, error) {
	dir := filepath.Join(root, pkg)
	listed, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	var all []*mutant
	for _, name := range listed.GoFiles {
		source, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		found, err := mutantsOfFile(pkg, name, source)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func mutantsOfFile(pkg, name string, source []byte) ([]*mutant, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	f := &finder{pkg: pkg, file: name, fset: fset, source: source, before: map[ast.Stmt]ast.Stmt{}}
	for _, d := range file.Decls {
		f.function, f.results = "-", nil
		if fn, ok := d.(*ast.FuncDecl); ok {
			f.function, f.results = functionName(fn), fn.Type.Results
		}
		f.walk(d)
	}
	seen := map[string]int{}
	for _, m := range f.found {
		seen[m.name()]++
		m.nth = seen[m.name()]
	}
	return f.found, nil
}

func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	return fmt.Sprint(t) + "." + fn.Name.Name
}

// finder collects the mutants of one file.
type finder struct {
	pkg, file, function string
	results             *ast.FieldList // of the innermost function
	fset                *token.FileSet
	source              []byte
	parents             []ast.Node            // of the node that walk is at, outermost first
	before              map[ast.Stmt]ast.Stmt // the statement that stands before another in its list
	found               []*mutant
}

// What survives most often is drawn most often.
const (
	often    = 3.0
	normal   = 2.0
	seldom   = 1.0
	seldomer = 0.5
)

// add notes that the piece of source from one position to another becomes text. It is shown within node.
func (f *finder) add(weight float64, shown ast.Node, from, to token.Pos, text string) {
	at := func(p token.Pos) int { return f.fset.Position(p).Offset }
	before := f.source[at(shown.Pos()):at(shown.End())]
	after := slices.Concat(f.source[at(shown.Pos()):at(from)], []byte(text), f.source[at(to):at(shown.End())])
	f.found = append(f.found, &mutant{
		pkg: f.pkg, file: f.file, function: f.function, line: f.fset.Position(from).Line,
		before: oneLine(before), after: oneLine(after),
		from: at(from), to: at(to), text: text, weight: weight,
	})
}

// span is a piece of source that is no node by itself.
type span struct{ from, to token.Pos }

func (s span) Pos() token.Pos { return s.from }
func (s span) End() token.Pos { return s.to }

func (f *finder) replace(weight float64, n ast.Node, text string) {
	f.add(weight, n, n.Pos(), n.End(), text)
}

func (f *finder) text(n ast.Node) string {
	return string(f.source[f.fset.Position(n.Pos()).Offset:f.fset.Position(n.End()).Offset])
}

const longest = 160 // bytes of a piece of source in a name

// oneLine leaves out comments and line breaks.
func oneLine(source []byte) string {
	var s scanner.Scanner
	code := bytes.Clone(source)
	file := token.NewFileSet().AddFile("", -1, len(source))
	s.Init(file, source, func(token.Position, string) {}, scanner.ScanComments)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.COMMENT {
			at := file.Offset(pos)
			copy(code[at:], bytes.Repeat([]byte(" "), len(text)))
		}
	}
	line := strings.Join(strings.Fields(string(code)), " ")
	if len(line) > longest {
		line = strings.ToValidUTF8(line[:longest-40], "") + "…" + strings.ToValidUTF8(line[len(line)-30:], "")
	}
	return line
}

func (f *finder) walk(n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		if n == nil {
			f.parents = f.parents[:len(f.parents)-1]
			return true
		}
		into := f.node(n)
		if into {
			f.parents = append(f.parents, n)
		}
		return into
	})
}

// node adds the mutants of one node and says whether those inside of it are wanted.
func (f *finder) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncLit:
		outer := f.results
		f.results = n.Type.Results
		f.walk(n.Body)
		f.results = outer
		return false
	case *ast.ImportSpec:
		return false
	case *ast.CallExpr:
		f.call(n)
		if fun, ok := n.Fun.(*ast.Ident); ok && fun.Name == "make" {
			return false // how much room is made at first
		}
		return !tellsPeople(n) // words and figures of messages are for people
	case *ast.BlockStmt:
		f.list(n.List)
	case *ast.CaseClause:
		f.list(n.Body)
	case *ast.CommClause:
		f.list(n.Body)
	case *ast.IfStmt:
		f.condition(f.around(n), n.Cond, isErrorCheck(n.Cond))
	case *ast.ForStmt:
		if n.Cond != nil {
			f.operands(n.Cond)
		}
	case *ast.SwitchStmt:
		f.cases(n)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.replace(seldomer, n, f.text(n.X))
		}
	case *ast.Ident:
		if flipped := map[string]string{"true": "false", "false": "true"}[n.Name]; flipped != "" && !besideAnError(f.parents[len(f.parents)-1]) {
			f.replace(normal, n, flipped)
		}
	case *ast.ValueSpec:
		f.texts(n.Values...)
	case *ast.BasicLit:
		f.number(n)
	case *ast.ExprStmt:
		f.statement(n, n.X)
	case *ast.DeferStmt:
		f.statement(n, n.Call)
	case *ast.AssignStmt:
		f.assignment(n)
	case *ast.IncDecStmt:
		f.replace(normal, n, "")
	case *ast.BranchStmt:
		if n.Label == nil && n.Tok == token.CONTINUE {
			f.replace(normal, n, "break")
		} else if n.Label == nil && n.Tok == token.BREAK {
			f.replace(seldom, n, "")
		}
	case *ast.ReturnStmt:
		f.returned(n)
	}
	return true
}

func (f *finder) list(statements []ast.Stmt) {
	for i := 1; i < len(statements); i++ {
		f.before[statements[i]] = statements[i-1]
	}
}

var talk = regexp.MustCompile(`^(Errorf|New|fail|refuse|failf|findf|Sprintf|Printf|Fprintf|Println|Fprintln|Debug|Info|Warn|Error|Log|panic)$`)

// tellsPeople says whether a call makes an error, a message or a line of the log.
func tellsPeople(call *ast.CallExpr) bool {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return talk.MatchString(fun.Name)
	case *ast.SelectorExpr:
		x, _ := fun.X.(*ast.Ident)
		return talk.MatchString(fun.Sel.Name) && (fun.Sel.Name != "New" || x != nil && x.Name == "errors")
	}
	return false
}

func isErrorCheck(cond ast.Expr) bool {
	b, ok := cond.(*ast.BinaryExpr)
	if !ok || b.Op != token.NEQ {
		return false
	}
	x, _ := b.X.(*ast.Ident)
	y, _ := b.Y.(*ast.Ident)
	return x != nil && y != nil && y.Name == "nil" && strings.Contains(strings.ToLower(x.Name), "err")
}

// around is what names a condition: with what it is about, if that stands before it.
func (f *finder) around(n *ast.IfStmt) ast.Node {
	switch last := f.before[n]; {
	case n.Init != nil:
		return span{n.Init.Pos(), n.Cond.End()}
	case isErrorCheck(n.Cond) || f.text(n.Cond) == "!ok":
		if assign, ok := last.(*ast.AssignStmt); ok {
			return span{assign.Pos(), n.Cond.End()}
		}
	}
	return n.Cond
}

// condition: a check is never made, always holds, or is turned round.
func (f *finder) condition(shown ast.Node, cond ast.Expr, errorCheck bool) {
	text := f.text(cond)
	become := func(weight float64, text string) { f.add(weight, shown, cond.Pos(), cond.End(), text) }
	if errorCheck {
		become(often, text+" && false")
		become(seldomer, "!("+text+")")
		return
	}
	become(often, "("+text+") && false")
	become(seldom, "("+text+") || true")
	become(seldomer, "!("+text+")")
	f.operands(cond)
}

// operands: one side of && and || is dropped.
func (f *finder) operands(cond ast.Expr) {
	ast.Inspect(cond, func(n ast.Node) bool {
		b, ok := n.(*ast.BinaryExpr)
		if ok && (b.Op == token.LAND || b.Op == token.LOR) {
			f.replace(normal, b, f.text(b.X))
			f.replace(normal, b, f.text(b.Y))
		}
		_, isFunc := n.(*ast.FuncLit)
		return !isFunc
	})
}

// cases: a case never holds, or loses one of its values.
func (f *finder) cases(s *ast.SwitchStmt) {
	for _, clause := range s.Body.List {
		list := clause.(*ast.CaseClause).List
		if s.Tag == nil {
			for _, cond := range list {
				f.condition(cond, cond, false)
			}
			continue
		}
		f.texts(list...)
		for i, value := range list {
			if i > 0 {
				f.add(normal, span{list[0].Pos(), list[len(list)-1].End()}, list[i-1].End(), value.End(), "")
			}
		}
	}
}

var swaps = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">",
	token.EQL: "!=", token.NEQ: "==", token.LAND: "||", token.LOR: "&&",
	token.ADD: "-", token.SUB: "+", token.MUL: "/", token.QUO: "*", token.REM: "*",
	token.SHL: ">>", token.SHR: "<<", token.AND: "|", token.OR: "&", token.XOR: "&",
}

func (f *finder) binary(b *ast.BinaryExpr) {
	swap, ok := swaps[b.Op]
	if !ok || b.Op == token.ADD && (isText(b.X) || isText(b.Y)) {
		return
	}
	weight := seldom
	switch b.Op {
	case token.LSS, token.LEQ, token.GTR, token.GEQ:
		weight = normal
	case token.EQL, token.NEQ:
		f.texts(b.X, b.Y)
		weight = seldomer
	}
	f.add(weight, b, b.OpPos, b.OpPos+token.Pos(len(b.Op.String())), swap)
}

func isText(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING
}

// texts changes words that a program compares or declares.
func (f *finder) texts(values ...ast.Expr) {
	for _, v := range values {
		if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			f.replace(normal, lit, lit.Value+` + "x"`)
		} else if list, ok := v.(*ast.CompositeLit); ok {
			for _, e := range list.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					f.texts(kv.Key, kv.Value)
				} else {
					f.texts(e)
				}
			}
		}
	}
}

func (f *finder) number(lit *ast.BasicLit) {
	n, err := strconv.ParseInt(lit.Value, 0, 64)
	if lit.Kind != token.INT || err != nil || besideAnError(f.parents[len(f.parents)-1]) {
		return
	}
	var shown ast.Node = lit
	for i := len(f.parents) - 1; i >= 0 && f.parents[i].End()-f.parents[i].Pos() < longest; i-- {
		if holdsStatements(f.parents[i]) {
			break
		}
		shown = f.parents[i]
	}
	f.add(seldom, shown, lit.Pos(), lit.End(), strconv.FormatInt(n+1, 10))
	if n > 0 {
		f.add(seldomer, shown, lit.Pos(), lit.End(), strconv.FormatInt(n-1, 10))
	}
}

func holdsStatements(n ast.Node) bool {
	switch n.(type) {
	case *ast.BlockStmt, *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.CaseClause, *ast.CommClause, *ast.FuncDecl, *ast.FuncLit:
		return true
	}
	return false
}

// call: what is cut, cloned or rounded is not.
func (f *finder) call(call *ast.CallExpr) {
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return
	}
	switch fun.Sel.Name {
	case "Clone", "TrimSpace", "TrimSuffix", "TrimPrefix", "ToLower", "ToSlash", "Clean":
		f.replace(seldom, call, f.text(call.Args[0]))
	}
}

// statement: a call is not made.
func (f *finder) statement(s ast.Stmt, x ast.Expr) {
	call, ok := x.(*ast.CallExpr)
	if !ok || isLogLine(call) {
		return
	}
	f.replace(normal, s, "")
}

func isLogLine(call *ast.CallExpr) bool {
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, fun.Sel.Name) {
		return false
	}
	var b bytes.Buffer
	printer.Fprint(&b, token.NewFileSet(), fun.X)
	return strings.HasSuffix(strings.ToLower(b.String()), "log") || b.String() == "slog"
}

// assignment: what was computed is thrown away. The new names of := stay.
func (f *finder) assignment(a *ast.AssignStmt) {
	if a.Tok == token.DEFINE {
		return
	}
	blank := strings.TrimSuffix(strings.Repeat("_, ", len(a.Lhs)), ", ")
	if a.Tok == token.ASSIGN && blank == f.textOf(a.Lhs) {
		return
	}
	f.add(normal, a, a.Pos(), a.Rhs[0].Pos(), blank+" = ")
}

func (f *finder) textOf(list []ast.Expr) string {
	var texts []string
	for _, e := range list {
		texts = append(texts, f.text(e))
	}
	return strings.Join(texts, ", ")
}

// returned: each result in turn is the zero value of its type.
func (f *finder) returned(r *ast.ReturnStmt) {
	if f.results == nil {
		return
	}
	var types []ast.Expr
	for _, field := range f.results.List {
		types = append(types, field.Type)
		for range max(len(field.Names)-1, 0) {
			types = append(types, field.Type)
		}
	}
	if len(r.Results) != len(types) {
		return
	}
	for i, result := range r.Results {
		zero, nilable := zeroOf(types[i], f.text(types[i]))
		if text := f.text(result); text == zero || text == "nil" || text == `""` || strings.HasSuffix(text, "{}") {
			continue
		}
		weight := seldom
		if nilable && f.text(types[i]) == "error" && tellsError(result) {
			weight = normal
		}
		f.add(weight, r, result.Pos(), result.End(), zero)
	}
}

// besideAnError says whether n returns an error, and so values that nobody reads.
func besideAnError(n ast.Node) bool {
	r, ok := n.(*ast.ReturnStmt)
	if !ok || len(r.Results) == 0 {
		return false
	}
	last := r.Results[len(r.Results)-1]
	call, isCall := last.(*ast.CallExpr)
	return tellsError(last) || isCall && tellsPeople(call)
}

func tellsError(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && strings.Contains(strings.ToLower(id.Name), "err")
}

func zeroOf(t ast.Expr, text string) (zero string, nilable bool) {
	switch t := t.(type) {
	case *ast.StarExpr, *ast.MapType, *ast.FuncType, *ast.ChanType, *ast.InterfaceType:
		return "nil", true
	case *ast.ArrayType:
		if t.Len == nil {
			return "nil", true
		}
	case *ast.Ident:
		switch text {
		case "error":
			return "nil", true
		case "bool":
			return "false", false
		case "string":
			return `""`, false
		case "int", "int64", "uint64", "uint32", "byte":
			return "0", false
		}
	}
	return "*new(" + text + ")", false
}
