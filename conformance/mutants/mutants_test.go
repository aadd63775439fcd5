package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `package p

import "errors"

// open has a check of every kind.
func open(b []byte, strict bool) (int, error) {
	if len(b) < 5 || strict && b[0] == 'x' {
		return 0, errors.New("shorter than 5")
	}
	n, err := count(b)
	if err != nil {
		return 0, err
	}
	total = n
	note(n)
	return n + 1, nil
}
`

func names(t *testing.T, source string) (names []string) {
	t.Helper()
	found, err := mutantsOfFile("p", "p.go", []byte(source))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range found {
		mutated := source[:m.from] + m.text + source[m.to:]
		if mutated == source {
			t.Errorf("%s changes nothing", m.name())
		}
		names = append(names, m.name())
	}
	return names
}

func TestEveryKindOfChangeIsMade(t *testing.T) {
	got := names(t, sample)
	for _, want := range []string{
		"len(b) < 5 || strict && b[0] == 'x' → (len(b) < 5 || strict && b[0] == 'x') && false", // a check is never made
		"len(b) < 5 || strict && b[0] == 'x' → len(b) < 5",                                     // or loses a part
		"strict && b[0] == 'x' → b[0] == 'x'",
		"len(b) < 5 → len(b) <= 5",
		"len(b) < 5 || strict && b[0] == 'x' → len(b) < 6 || strict && b[0] == 'x'",
		"strict && b[0] == 'x' → strict || b[0] == 'x'",
		"n, err := count(b) if err != nil → n, err := count(b) if err != nil && false", // an error is dropped
		"return 0, err → return 0, nil",
		"total = n → _ = n",
		"note(n) → ",
		"return n + 1, nil → return 0, nil",
		"return n + 1, nil → return n + 2, nil",
		"n + 1 → n - 1",
	} {
		if !slices.Contains(got, "p/p.go open: "+want) {
			t.Errorf("not made: %s", want)
		}
	}
	for _, name := range got {
		if strings.Contains(name, "shorter than 5x") || strings.Contains(name, "shorter than 6") {
			t.Errorf("a message is changed: %s", name)
		}
		if strings.Contains(name, "return 1, err") {
			t.Errorf("a value that nobody reads is changed: %s", name)
		}
	}
	if len(got) != len(slices.Compact(slices.Sorted(slices.Values(got)))) {
		t.Error("two mutants have one name")
	}
}

// The sample says what was measured: it must be the same again, and stay so when other lines change.
func TestASampleDependsOnTheSeedAndTheNamesAlone(t *testing.T) {
	draw := func(source, seed string) (drawnNames []string) {
		found, err := mutantsOfFile("p", "p.go", []byte(source))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range drawn(found, seed) {
			drawnNames = append(drawnNames, m.name())
		}
		return drawnNames
	}
	first := draw(sample, "1")
	if !slices.Equal(first, draw(sample, "1")) {
		t.Error("the same seed draws another order")
	}
	if slices.Equal(first, draw(sample, "2")) {
		t.Error("another seed draws the same order")
	}
	more := strings.Replace(sample, "func open", "func earlier(n int) bool { return n > 7 }\n\nfunc open", 1)
	without := slices.DeleteFunc(draw(more, "1"), func(name string) bool { return strings.Contains(name, " earlier: ") })
	if !slices.Equal(first, without) {
		t.Error("a new function draws the others in another order")
	}
}

func TestEquivalentsHaveANameAndAReason(t *testing.T) {
	list, err := parseEquivalents(equivalentsText)
	if err != nil {
		t.Error(err)
	}
	for name, reason := range list {
		if len(strings.Fields(reason)) < 3 {
			t.Errorf("%s: %q is no reason", name, reason)
		}
		file, _, _ := strings.Cut(name, " ")
		if _, err := os.Stat(filepath.Join("..", "..", filepath.FromSlash(file))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"a/b.go f: x → y\n", "a/b.go f: x → y\n\twhy\n\na/b.go f: x → y\n\twhy\n", "\twhy\n", "a/b.go f\n\twhy\n"} {
		if _, err := parseEquivalents(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// module makes a small module.
func module(t *testing.T) (root string, write func(name, text string)) {
	t.Helper()
	root = t.TempDir()
	t.Setenv("GOFLAGS", "") // it has no vendor directory or the like
	write = func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/m\n\ngo 1.26\n")
	return root, write
}

// The whole way on a small module: a test that sees one mutant and not the other, one that hangs,
// one that was judged, one that does not build.
func TestSurvivorsAreTheMutantsThatNoTestSees(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module a dozen times")
	}
	root, write := module(t)
	write("p/p.go", "package p\n\nfunc Seen(n int) bool { return n < 5 }\n\nfunc Unseen(n int) bool { return n < 5 }\n\n"+
		"func Elsewhere(n int) bool { return n < 5 }\n")
	write("p/p_test.go", "package p\n\nimport \"testing\"\n\nfunc TestSeen(t *testing.T) {\n\tif Seen(5) || !Seen(4) {\n\t\tt.Error()\n\t}\n}\n")
	write("q/q_test.go", "package q\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/p\"\n)\n\nfunc TestElsewhere(t *testing.T) {\n\tif p.Elsewhere(5) || !p.Elsewhere(4) {\n\t\tt.Error()\n\t}\n}\n")
	all, err := mutantsOf(root, "p")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := &pass{settings: settings{seed: "1", n: 100, only: "<=", verbose: true, min: 0.95}, runner: &runner{root: root, scratch: t.TempDir()},
		dependents: []string{"p", "q"}, stdout: &out, equivalents: map[string]string{}}
	if err := p.judge(context.Background(), "p", all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"killed    line 3  p/p.go Seen: n < 5 → n <= 5\n          by TestSeen", "SURVIVED  line 5  p/p.go Unseen: n < 5 → n <= 5",
		"killed    line 7  p/p.go Elsewhere: n < 5 → n <= 5\n          by TestElsewhere", "2 killed, 0 hung, 1 survived, 0 unsure, 0 the same program; score 0.667"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	p.equivalents["p/p.go Unseen: n < 5 → n <= 5"] = "judged in this test"
	out.Reset()
	if err := p.judge(context.Background(), "p", all); err != nil || p.score() != 1 {
		t.Errorf("with the judgement: %v\n%s", err, &out)
	}
	if gone := stale(map[string]string{"p/p.go Gone: n < 5 → n <= 5": "why", "q/q.go F: a → b": "why"}, "p", all); fmt.Sprint(gone) != "[p/p.go Gone: n < 5 → n <= 5]" {
		t.Errorf("stale %v", gone)
	}
	for text, want := range map[string]outcome{"n <": doesNotBuild, "func() bool { for { } }() ||": timedOut} {
		m := *all[slices.IndexFunc(all, func(m *mutant) bool { return m.function == "Seen" && m.after == "n <= 5" })]
		m.from, m.to, m.text = m.from-2, m.from-2, text
		result, _, err := p.runner.judge(context.Background(), &m, nil, map[string]time.Duration{"p": 2 * time.Second})
		if err != nil || result != want {
			t.Errorf("%q: outcome %d, %v; want %d", text, result, err, want)
		}
	}
	before, err := os.ReadFile(filepath.Join(root, "p/p.go"))
	if err != nil || bytes.Contains(before, []byte("<=")) {
		t.Errorf("the tree was changed: %s, %v", before, err)
	}
}

// The machine is busy while a test runs the first so many times, whatever the program is: that is no kill.
func TestWhatFailsWithoutTheMutantToo(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module a dozen times")
	}
	root, write := module(t)
	write("f/f.go", "package f\n\nfunc F(n int) bool { return n < 5 }\n")
	all, err := mutantsOf(root, "f")
	if err != nil {
		t.Fatal(err)
	}
	sample := []*mutant{all[slices.IndexFunc(all, func(m *mutant) bool { return m.after == "n <= 5" })]}
	const fail, hang, exit = "t.Error()", "select {}", "os.Exit(3)"
	for _, c := range []struct {
		busy string // what the test does then
		runs int
		also string // a test beside it
		want outcome
		by   string
	}{
		{fail, 1, "", survived, "TestBusy"}, // it does not fail again
		{fail, 3, "", survived, ""},         // twice with the mutant, once without, and no more when the mutant is run again
		{fail, 99, "", unsure, "TestBusy"},
		{hang, 1, "", timedOut, ""}, // the unchanged program ends in time
		{hang, 2, "", survived, ""},
		{hang, 99, "", unsure, ""},
		{exit, 99, "", unsure, "a panic or an exit"},
		{fail, 1, "func TestSeen(t *testing.T) {\n\tif F(5) {\n\t\tt.Error()\n\t}\n}\n", killed, "TestSeen"},
		{fail, 3, "func TestSeen(t *testing.T) {\n\tif F(5) {\n\t\tt.Error()\n\t}\n}\n", killed, "TestSeen"},
	} {
		write("f/runs", "")
		write("f/f_test.go", "package f\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestBusy(t *testing.T) {\n\truns, _ := os.ReadFile(\"runs\")\n"+
			"\tos.WriteFile(\"runs\", append(runs, '.'), 0o600)\n"+fmt.Sprintf("\tif len(runs) < %d {\n\t\t%s\n\t}\n}\n\n%s", c.runs, c.busy, c.also))
		p := &pass{runner: &runner{root: root, scratch: t.TempDir()}, settings: settings{n: 1}, equivalents: map[string]string{},
			stdout: &bytes.Buffer{}, count: map[outcome]int{}, limits: map[string]time.Duration{"f": time.Second}}
		result, by, err := p.runner.judge(t.Context(), sample[0], nil, p.limits)
		if err != nil || result != c.want || by != c.by {
			t.Errorf("%+v: outcome %d by %q, %v", c, result, by, err)
		}
		if c.want != unsure || c.busy == hang {
			continue
		}
		if err := p.all(t.Context(), sample); err != nil || p.score() != 0 || !strings.Contains(fmt.Sprint(p.stdout), "UNSURE    line 3  f/f.go F: n < 5 → n <= 5\n") {
			t.Errorf("%+v: score %f, %v\n%s", c, p.score(), err, p.stdout)
		}
	}
}

func TestASampleWithoutMutantsIsBadInput(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for _, c := range []struct{ pkgs, only, want string }{
		{"capture,nosuch", "Packed", `package "nosuch" is not watched`},
		{"capture,", "Packed", `package "" is not watched`},
		{"capture", "nosuchname", `capture: none of `},
	} {
		for _, list := range []string{"-list=true", "-list=false"} {
			var out, talk bytes.Buffer
			if code := run(t.Context(), []string{"-pkg", c.pkgs, "-only", c.only, list}, &out, &talk); code != 3 || !strings.Contains(talk.String(), c.want) {
				t.Errorf("%+v %s: exit %d, %s%s", c, list, code, &out, &talk)
			}
		}
	}
	equivalent := &mutant{pkg: "p", file: "p.go", function: "F", weight: 1}
	p := &pass{runner: &runner{}, settings: settings{n: 1}, equivalents: map[string]string{equivalent.name(): "judged"}, count: map[outcome]int{}}
	if err := p.all(t.Context(), []*mutant{equivalent}); err == nil || !strings.Contains(err.Error(), "1 are the same program") {
		t.Errorf("a sample of equivalents alone: %v", err)
	}
}

func TestTheTestsThatNameAFunctionAreRunFirst(t *testing.T) {
	dir := t.TempDir()
	text := "package p\n\nfunc TestOpen(t *testing.T) {\n\topen(1)\n}\n\nfunc TestReopen(t *testing.T) {\n\treopen(1)\n}\n\nfunc helper() { open(2) }\n\nfunc FuzzOpen(f *testing.F) { open(3) }\n\nfunc TestDoor(t *testing.T) {\n\td.open(4)\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "p_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for function, want := range map[string]string{"open": "[TestOpen TestDoor]", "Door.open": "[TestOpen TestDoor]", "-": "[]", "close": "[]"} {
		if got, err := near(dir, function); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v", function, got, err)
		}
	}
}
