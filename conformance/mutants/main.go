// Mutants asks what no test sees: it changes the program in one place at a time (a check that is never
// made, a bound that is off by one, an error that is dropped, a statement that is not executed, a
// constant that is another, a result that is nothing) and runs the tests. A change that every test
// survives is a line that nobody watches.
//
//	go run ./conformance/mutants                            # 40 mutants of each package
//	go run ./conformance/mutants -pkg trust,ledger -n 100 -seed 7
//	go run ./conformance/mutants -only 'checkpoint.go Policy.OpenCheckpoint' -n 1000
//
// The sample depends on the seed and on the mutants' names alone: an edit elsewhere draws the same
// ones again. Nothing in the tree is touched; the compiler reads the changed file from elsewhere.
// First the package's own short tests run, then, for survivors, those of the packages that use it.
// A failure counts if the unchanged program passes right after it; what stays unsure counts as not killed.
// Survivors that were judged to be the same program (equivalents.txt) are left out of the score.
//
// Exit 0: every package scores at least -min; 1: one does not; 3: bad input, or nothing to judge.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// watched are the packages whose score counts, with those whose tests look at survivors as well.
var watched = []subject{
	{pkg: "trust", rooms: []string{"trust/tiles"}, dependents: []string{"witness", "pack", "ledger"}},
	{pkg: "trust/timestamp", dependents: []string{"pack", "ledger", "conformance"}},
	{pkg: "pack", rooms: []string{"pack/internal/form", "pack/internal/python", "pack/receipt", "pack/manifest", "pack/entry", "pack/claim", "pack/lock"}, dependents: []string{"conformance", "cmd/assay", "cmd/assay/expect", "cmd/assay/judge"}},
	{pkg: "witness", dependents: []string{"ledger", "cmd/ledger"}},
	{pkg: "ledger", dependents: []string{"ledger/api", "cmd/ledger"}},
	{pkg: "capture", dependents: []string{"cmd/assay"}},
}

type subject struct {
	pkg        string
	rooms      []string // packages that are drawn from and judged as a part of it; its tests are theirs, too
	dependents []string
}

type settings struct {
	pkgs    []string
	n       int
	seed    string
	only    string
	min     float64
	own     bool
	list    bool
	verbose bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s settings
	var pkgs string
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&pkgs, "pkg", "", "packages, comma-separated (default: all that are watched)")
	flags.IntVar(&s.n, "n", 40, "mutants drawn from each package")
	flags.StringVar(&s.seed, "seed", "1", "what the sample depends on, besides the mutants' names")
	flags.StringVar(&s.only, "only", "", "draw from the mutants whose name contains this")
	flags.Float64Var(&s.min, "min", 0.95, "the score that each package must reach")
	flags.BoolVar(&s.own, "own", false, "run the package's own tests only: faster, and harder on it")
	flags.BoolVar(&s.list, "list", false, "print the sample and judge nothing")
	flags.BoolVar(&s.verbose, "v", false, "print killed mutants too, and the test that saw each")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || s.n < 1 {
		fmt.Fprintln(stderr, "mutants: want flags and nothing else, and -n of at least 1")
		return 3
	}
	if pkgs != "" {
		s.pkgs = strings.Split(pkgs, ",")
	}
	good, err := judgeAll(ctx, s, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "mutants:", err)
		return 3
	}
	if !good {
		return 1
	}
	return 0
}

func judgeAll(ctx context.Context, s settings, stdout io.Writer) (bool, error) {
	root, err := os.Getwd()
	if err != nil {
		return false, err
	}
	equivalents, err := parseEquivalents(equivalentsText)
	if err != nil {
		return false, err
	}
	scratch, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	r := &runner{root: root, scratch: scratch}
	if err := areWatched(s.pkgs); err != nil {
		return false, err
	}
	good := true
	for _, w := range watched {
		if s.pkgs != nil && !slices.Contains(s.pkgs, w.pkg) {
			continue
		}
		var all []*mutant
		for _, pkg := range append([]string{w.pkg}, w.rooms...) {
			found, err := mutantsOf(root, pkg)
			if err != nil {
				return false, err
			}
			all = append(all, found...)
			for _, name := range stale(equivalents, pkg, found) {
				fmt.Fprintf(stdout, "no longer in the source: %s\n", name)
			}
		}
		p := &pass{settings: s, runner: r, equivalents: equivalents, stdout: stdout}
		if len(w.rooms) > 0 {
			p.dependents = []string{w.pkg}
		}
		if !s.own {
			p.dependents = append(p.dependents, w.dependents...)
		}
		if err := p.judge(ctx, w.pkg, all); err != nil {
			return false, fmt.Errorf("%s: %w", w.pkg, err)
		}
		good = good && (s.list || p.score() >= s.min)
	}
	return good, nil
}

// areWatched refuses a package that nobody would judge.
func areWatched(pkgs []string) error {
	for _, pkg := range pkgs {
		if !slices.ContainsFunc(watched, func(w subject) bool { return w.pkg == pkg }) {
			return fmt.Errorf("package %q is not watched", pkg)
		}
	}
	return nil
}

// stale returns the judgements about a package that no longer name a mutant.
func stale(equivalents map[string]string, pkg string, all []*mutant) []string {
	names := map[string]bool{}
	for _, m := range all {
		names[m.name()] = true
	}
	var gone []string
	for name := range equivalents {
		file, _, _ := strings.Cut(name, " ")
		if dir := file[:max(strings.LastIndex(file, "/"), 0)]; dir == pkg && !names[name] {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	return gone
}

// drawn returns all mutants in the order in which a seed draws them: a mutant's place depends on its
// own name and weight only.
func drawn(all []*mutant, seed string) []*mutant {
	key := func(m *mutant) float64 {
		sum := sha256.Sum256([]byte(seed + "\n" + m.name()))
		u := (float64(binary.BigEndian.Uint64(sum[:])>>11) + 0.5) / (1 << 53)
		return math.Log(u) / m.weight // the larger, the earlier: weighted sampling without replacement
	}
	list := slices.Clone(all)
	slices.SortStableFunc(list, func(a, b *mutant) int { return cmp.Compare(key(b), key(a)) })
	return list
}

// pass judges the mutants of one package.
type pass struct {
	settings
	*runner
	equivalents map[string]string
	dependents  []string
	stdout      io.Writer

	limits     map[string]time.Duration // of the tests of each package
	count      map[outcome]int
	equivalent int
}

func (p *pass) judge(ctx context.Context, pkg string, all []*mutant) error {
	sample := slices.DeleteFunc(drawn(all, p.seed), func(m *mutant) bool { return !strings.Contains(m.name(), p.only) })
	p.count, p.equivalent = map[outcome]int{}, 0
	if len(sample) == 0 {
		return fmt.Errorf("none of %d mutants has %q in its name", len(all), p.only)
	}
	if p.list {
		for _, m := range sample[:min(p.n, len(sample))] {
			fmt.Fprintf(p.stdout, "line %d  %s\n", m.line, m.name())
		}
		return nil
	}
	if err := p.baseline(ctx, all); err != nil {
		return err
	}
	if err := p.all(ctx, sample); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%s: %d of %d mutants judged (seed %s, %d more did not build): %d killed, %d hung, %d survived, %d unsure, %d the same program; score %.3f\n",
		pkg, p.equivalent+p.judged(), len(all), p.seed, p.count[doesNotBuild], p.count[killed], p.count[timedOut], p.count[survived], p.count[unsure], p.equivalent, p.score())
	return nil
}

// all judges the first n of a sample that build.
func (p *pass) all(ctx context.Context, sample []*mutant) error {
	tried := 0
	for _, m := range sample {
		if tried-p.count[doesNotBuild] == p.n {
			break
		}
		tried++
		if err := p.one(ctx, m); err != nil {
			return err
		}
	}
	if p.judged() == 0 {
		return fmt.Errorf("no mutant of the sample could be judged: %d did not build, %d are the same program", p.count[doesNotBuild], p.equivalent)
	}
	return nil
}

// baseline runs all tests on the unchanged program; a mutant may take much longer than they do.
func (p *pass) baseline(ctx context.Context, all []*mutant) error {
	p.limits = map[string]time.Duration{}
	var dirs []string
	for _, m := range all {
		dirs = append(dirs, m.pkg)
	}
	dirs = append(slices.Compact(dirs), p.dependents...)
	for i, dir := range dirs {
		if slices.Contains(dirs[:i], dir) {
			continue // a package that was cut into rooms is one of their dependents
		}
		began := time.Now()
		result, by, err := p.test(ctx, dir, 10*time.Minute)
		if err != nil {
			return err
		}
		if result != survived {
			return fmt.Errorf("the tests of %s fail without a mutant: %s", dir, by)
		}
		p.limits[dir] = min(30*time.Second+4*time.Since(began), 10*time.Minute).Round(time.Second)
	}
	return nil
}

func (p *pass) one(ctx context.Context, m *mutant) error {
	if reason, ok := p.equivalents[m.name()]; ok {
		p.equivalent++
		if p.verbose {
			fmt.Fprintf(p.stdout, "same      line %d  %s\n          %s\n", m.line, m.name(), reason)
		}
		return nil
	}
	result, by, err := p.runner.judge(ctx, m, p.dependents, p.limits)
	if err != nil {
		return err
	}
	p.count[result]++
	switch {
	case result == survived:
		fmt.Fprintf(p.stdout, "SURVIVED  line %d  %s\n", m.line, m.name())
		if by != "" {
			fmt.Fprintf(p.stdout, "          %s failed once and not again\n", by)
		}
	case result == unsure:
		fmt.Fprintf(p.stdout, "UNSURE    line %d  %s\n          %s, as without the mutant\n", m.line, m.name(), cmp.Or(by, "hung"))
	case p.verbose && result == killed:
		fmt.Fprintf(p.stdout, "killed    line %d  %s\n          by %s\n", m.line, m.name(), by)
	case p.verbose && result == timedOut:
		fmt.Fprintf(p.stdout, "hung      line %d  %s\n", m.line, m.name())
	}
	return nil
}

// judged counts the mutants that are another program.
func (p *pass) judged() int {
	return p.count[killed] + p.count[timedOut] + p.count[survived] + p.count[unsure]
}

// score is the part of them that some test saw for sure; judge refuses a sample without any.
func (p *pass) score() float64 {
	return float64(p.count[killed]+p.count[timedOut]) / float64(p.judged())
}
