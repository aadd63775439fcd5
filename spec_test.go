package assayledger_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// This file keeps docs/spec alive: what the source cites is there, every rule of the pages has a test that names it,
// and who reads the documentation of a package meets no code of a page.

// rulePrefixes say which page defines the rules of a prefix.
var rulePrefixes = map[string]string{
	"RCP": "receipts.md", "JCS": "jcs.md", "PCK": "pack.md", "VFY": "verify.md", "CLM": "claims.md", "LCK": "lock.md",
	"ENT": "ledger.md", "API": "http.md", "WIT": "witness.md", "STO": "storage.md", "SIT": "site.md",
	"ROW": "rows.md", "CAP": "capture.md",
}

var (
	ruleCode = regexp.MustCompile(`\b(RCP|JCS|PCK|VFY|CLM|LCK|ENT|API|WIT|STO|SIT|ROW|CAP)-([0-9]+)\b`)
	// attackCode is a code of threats.md, in a text or in the name of a test.
	attackCode = regexp.MustCompile(`\b[PKASWYRC][0-9]{2}\b`)
	attackTest = regexp.MustCompile(`TestAtk_([A-Z][0-9]+)`)
	// formerCode is one that the pages do not have: of notes that were never in this repository.
	formerCode = regexp.MustCompile(`\b(WI|SN|CK|PO|CO|PR)-[0-9]+\b|\b[HD]1?[0-9]\b`)
	section    = regexp.MustCompile(`(?:([a-z]+\.md)\)? |RFC [0-9]+ (?:and [0-9]+ )?)?§ ?([0-9]+(?:\.[0-9]+)*)?`)
	heading    = regexp.MustCompile(`(?m)^#{2,3} ([0-9]+(?:\.[0-9]+)*)\.? `)
)

// specification is what the pages define.
type specification struct {
	pages    map[string]string          // name to text
	headings map[string]map[string]bool // page, number
	rules    map[string]bool
	retired  map[string]bool
	attacks  map[string]bool
}

func readSpecification(t *testing.T) specification {
	t.Helper()
	s := specification{map[string]string{}, map[string]map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	paths, err := filepath.Glob("docs/spec/*.md")
	if err != nil || len(paths) < len(rulePrefixes) {
		t.Fatalf("%d pages, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page := filepath.Base(path)
		s.pages[page], s.headings[page] = string(text), map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
			if s.headings[page][m[1]] {
				t.Errorf("%s has two sections %s", page, m[1])
			}
			s.headings[page][m[1]] = true
		}
		for _, m := range regexp.MustCompile(`[A-Z0-9, and-]+(?:is no rule|are no rules) any more`).FindAllString(string(text), -1) {
			for _, code := range ruleCode.FindAllString(m, -1) {
				s.retired[code] = true
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z][0-9]+[a-c]?(?:, [A-Z][0-9]+[a-c]?)*) \|`).FindAllStringSubmatch(s.pages["threats.md"], -1) {
		for _, code := range strings.Split(m[1], ", ") {
			if s.attacks[code] {
				t.Errorf("threats.md has %s twice", code)
			}
			s.attacks[code] = true
		}
	}
	s.readRules(t)
	return s
}

// readRules finds the rules: "**CLM-12.** A claim whose severity … MUST …", in rising numbers, each once.
func (s specification) readRules(t *testing.T) {
	t.Helper()
	for prefix, page := range rulePrefixes {
		last := 0
		for _, m := range regexp.MustCompile(`(?m)^\*\*([A-Z]{3})-([0-9]+)\.\*\* ((?:.+\n)+)`).FindAllStringSubmatch(s.pages[page], -1) {
			code := m[1] + "-" + m[2]
			n, _ := strconv.Atoi(m[2])
			switch {
			case m[1] != prefix:
				t.Errorf("%s defines %s", page, code)
			case s.rules[code] || s.retired[code]:
				t.Errorf("%s defines %s again", page, code)
			case n <= last:
				t.Errorf("%s: %s stands behind %s-%d", page, code, prefix, last)
			}
			if !regexp.MustCompile(`\b(MUST|SHOULD|MAY)\b`).MatchString(m[3]) {
				t.Errorf("%s: %s demands nothing", page, code)
			}
			last, s.rules[code] = n, true
		}
		if last < 10 {
			t.Errorf("%s has rules up to %s-%d: are they found?", page, prefix, last)
		}
	}
	if len(s.attacks) < 80 {
		t.Errorf("threats.md has %d attacks", len(s.attacks))
	}
}

// eachText gives the files of the repository that people wrote: Go, scripts of tests and pages.
func eachText(t *testing.T, check func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && (strings.HasPrefix(name, ".") && path != "." || name == "bin" || name == "corpus" || name == "dist"):
			return filepath.SkipDir
		case path == "spec_test.go" || !slices.Contains([]string{".go", ".txtar", ".md"}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			check(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryCitationLeadsToAHeadingOrARule(t *testing.T) {
	s := readSpecification(t)
	cited := 0
	eachText(t, func(path, text string) {
		page := ""
		if dir, name := filepath.Split(path); dir == "docs/spec/" {
			page = name
		}
		for _, m := range section.FindAllStringSubmatch(text, -1) {
			switch of := m[1]; {
			case strings.HasPrefix(m[0], "RFC "):
			case of == "" && page == "":
				t.Errorf("%s: %q names no page", path, m[0])
			case of == "" && !s.headings[page][m[2]], of != "" && !s.headings[of][m[2]]:
				t.Errorf("%s: %q is no section of docs/spec", path, m[0])
			}
			cited++
		}
		for _, code := range ruleCode.FindAllString(text, -1) {
			if !s.rules[code] && !(s.retired[code] && page != "") {
				t.Errorf("%s: %s is no rule of docs/spec", path, code)
			}
			cited++
		}
		for _, m := range attackTest.FindAllStringSubmatch(text, -1) {
			if !s.attacks[m[1]] {
				t.Errorf("%s: %s is no attack of threats.md", path, m[0])
			}
		}
		if strings.HasSuffix(path, ".go") {
			s.checkCodes(t, path, text)
		}
	})
	if cited < 500 {
		t.Errorf("%d citations found", cited)
	}
}

// checkCodes is about codes in the comments of a Go file.
func (s specification) checkCodes(t *testing.T, path, text string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Comments {
		for _, code := range attackCode.FindAllString(group.Text(), -1) {
			if !s.attacks[code] {
				t.Errorf("%s: %s is no attack of threats.md", path, code)
			}
		}
		if code := formerCode.FindString(group.Text()); code != "" {
			t.Errorf("%s: %s is a code of no page", path, code)
		}
		for _, page := range regexp.MustCompile(`\b([a-z0-9]+\.md)\b`).FindAllString(group.Text(), -1) {
			if _, known := s.pages[page]; !known {
				t.Errorf("%s: %s is no page of docs/spec", path, page)
			}
		}
	}
}

func TestEveryRuleIsNamedByATest(t *testing.T) {
	s := readSpecification(t)
	named := map[string]bool{}
	eachText(t, func(path, text string) {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".txtar") {
			for _, code := range ruleCode.FindAllString(text, -1) {
				named[code] = true
			}
		}
	})
	for code := range s.rules {
		if !named[code] {
			t.Errorf("no test names %s: write its code above the test that is red without the rule", code)
		}
	}
}

func TestEveryAttackOfTheCorpusIsInThreats(t *testing.T) {
	s := readSpecification(t)
	text, err := os.ReadFile("conformance/corpus/corpus.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct{ Cases []struct{ Attacks []string } }
	if err := json.Unmarshal(text, &corpus); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range corpus.Cases {
		for _, code := range c.Attacks {
			if n++; !s.attacks[code] {
				t.Errorf("the corpus has cases of %s, which is not in threats.md", code)
			}
		}
	}
	if n < 100 {
		t.Errorf("the corpus answers %d attacks", n)
	}
}

func TestNoCodeOfThePagesStandsInExportedDocumentation(t *testing.T) {
	files := 0
	eachText(t, func(path, text string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if file.Name.Name == "main" {
			return
		}
		files++
		for _, doc := range exportedDocs(file) {
			said := doc.Text()
			code := ruleCode.FindString(said)
			for _, find := range []*regexp.Regexp{attackCode, formerCode, regexp.MustCompile(`\b[a-z]+\.md\b`)} {
				if data := find == attackCode && file.Name.Name == "conformance"; code == "" && !data { // codes are what its cases hold
					code = find.FindString(said)
				}
			}
			for _, m := range section.FindAllString(said, -1) {
				if code == "" && !strings.HasPrefix(m, "RFC ") {
					code = m
				}
			}
			if code != "" {
				t.Errorf("%s: exported documentation says %q: say it in words, and cite at the line that enforces it", path, code)
			}
		}
	})
	if files < 60 {
		t.Errorf("%d files were read", files)
	}
}

// exportedDocs are the comments that go doc shows: of the package, and of what is exported.
func exportedDocs(file *ast.File) (docs []*ast.CommentGroup) {
	docs = append(docs, file.Doc)
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || exportedReceiver(d.Recv)) {
				docs = append(docs, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() {
						docs = append(docs, d.Doc, spec.Doc, spec.Comment)
						docs = append(docs, memberDocs(spec.Type)...)
					}
				case *ast.ValueSpec:
					if slices.ContainsFunc(spec.Names, (*ast.Ident).IsExported) {
						docs = append(docs, d.Doc, spec.Doc, spec.Comment)
					}
				}
			}
		}
	}
	return docs
}

func exportedReceiver(list *ast.FieldList) bool {
	of := list.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	if generic, ok := of.(*ast.IndexExpr); ok {
		of = generic.X
	}
	name, ok := of.(*ast.Ident)
	return ok && name.IsExported()
}

// memberDocs are those of exported fields and methods, of structs inside structs too.
func memberDocs(of ast.Expr) (docs []*ast.CommentGroup) {
	var fields *ast.FieldList
	switch of := of.(type) {
	case *ast.StructType:
		fields = of.Fields
	case *ast.InterfaceType:
		fields = of.Methods
	default:
		return nil
	}
	for _, f := range fields.List {
		if len(f.Names) > 0 && !slices.ContainsFunc(f.Names, (*ast.Ident).IsExported) {
			continue
		}
		docs = append(docs, f.Doc, f.Comment)
		docs = append(docs, memberDocs(f.Type)...)
	}
	return docs
}
