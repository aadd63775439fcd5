package second

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write the tables of Unicode anew")

const unicodeTables = "../../site/verifier/unicode_tables.mjs"

// TestTheTablesOfUnicodeAreThoseOfTheSpecification: the pages name Unicode 15.0.0, an engine of JavaScript has whichever
// it came with, and Go's library has tables of its own. -update writes the file.
func TestTheTablesOfUnicodeAreThoseOfTheSpecification(t *testing.T) {
	if unicode.Version != "15.0.0" {
		t.Skipf("NOT RUN: this Go has Unicode %s, the pages 15.0.0", unicode.Version)
	}
	want := tablesOfUnicode()
	if *update {
		if err := os.WriteFile(unicodeTables, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(unicodeTables); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what go test -run Unicode -update writes (%v)", unicodeTables, err)
	}
}

// runsOf spells what name says of each code point: a length in base 36, nothing for one, and a code of the name, which is
// unassigned for what has none.
func runsOf(name func(rune) string, code map[string]string) string {
	var b strings.Builder
	for r := rune(0); r <= unicode.MaxRune; {
		first, n := name(r), rune(0)
		for r+n <= unicode.MaxRune && name(r+n) == first {
			n++
		}
		if n > 1 {
			b.WriteString(strconv.FormatInt(int64(n), 36))
		}
		b.WriteString(code[first])
		r += n
	}
	return b.String()
}

// nameOf gives the first table that holds a code point, looked up once for all of them.
func nameOf(tables map[string]*unicode.RangeTable, names []string) func(rune) string {
	all := make([]string, unicode.MaxRune+1)
	for _, name := range names {
		each(tables[name], func(r rune) { all[r] = name })
	}
	return func(r rune) string { return all[r] }
}

func each(t *unicode.RangeTable, do func(rune)) {
	for _, x := range t.R16 {
		for r := rune(x.Lo); r <= rune(x.Hi); r += rune(x.Stride) {
			do(r)
		}
	}
	for _, x := range t.R32 {
		for r := rune(x.Lo); r <= rune(x.Hi); r += rune(x.Stride) {
			do(r)
		}
	}
}

// orbits spells the code points that simple case folding takes for one another, as runs of pairs (the lower one, its
// distance from the other, how many such pairs, how far one is from the next) and then those of three or more.
func orbits() string {
	type run struct{ lo, delta, n, step rune }
	var pairs []run
	var more []string
	for r := rune(0); r <= unicode.MaxRune; r++ {
		orbit := []rune{r}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			orbit = append(orbit, f)
		}
		if len(orbit) == 1 || slices.Min(orbit) != r {
			continue
		}
		slices.Sort(orbit)
		if len(orbit) > 2 {
			var texts []string
			for _, o := range orbit {
				texts = append(texts, strconv.FormatInt(int64(o), 36))
			}
			more = append(more, strings.Join(texts, " "))
			continue
		}
		delta := orbit[1] - r
		if n := len(pairs) - 1; n >= 0 && pairs[n].delta == delta {
			last := &pairs[n]
			if step := r - last.lo - (last.n-1)*last.step; last.n == 1 && step <= 2 || step == last.step {
				last.n, last.step = last.n+1, step
				continue
			}
		}
		pairs = append(pairs, run{r, delta, 1, 1})
	}
	var texts []string
	for _, p := range pairs {
		text := strconv.FormatInt(int64(p.lo), 36) + " " + strconv.FormatInt(int64(p.delta), 36)
		if p.n > 1 {
			text += " " + strconv.FormatInt(int64(p.n), 36) + " " + strconv.FormatInt(int64(p.step), 36)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",") + ";" + strings.Join(more, ",")
}

func tablesOfUnicode() []byte {
	var categories []string
	for name := range unicode.Categories {
		if len(name) == 2 && name != "Cn" && name != "LC" {
			categories = append(categories, name)
		}
	}
	slices.Sort(categories)
	scripts := slices.Sorted(maps.Keys(unicode.Scripts))
	short, long := map[string]string{}, map[string]string{}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#&%"
	for i, name := range append([]string{""}, categories...) {
		short[name] = letters[i : i+1]
	}
	for i, name := range append([]string{""}, scripts...) {
		long[name] = letters[i/36:i/36+1] + strconv.FormatInt(int64(i%36), 36)
	}
	var aliases []string
	for alias, name := range unicode.CategoryAliases {
		aliases = append(aliases, alias+" "+name)
	}
	slices.Sort(aliases)

	var b bytes.Buffer
	fmt.Fprintf(&b, "// Unicode %s, which the pages name: written by conformance/second. unicode.mjs says how it is read.\n", unicode.Version)
	wrapped := func(name, text string) {
		fmt.Fprintf(&b, "\nexport const %s = `\\\n", name)
		for ; len(text) > 118; text = text[118:] {
			b.WriteString(text[:118] + "\\\n")
		}
		b.WriteString(text + "`;\n")
	}
	wrapped("CATEGORY_NAMES", strings.Join(categories, " "))
	wrapped("CATEGORIES", runsOf(nameOf(unicode.Categories, categories), short))
	wrapped("ALIASES", strings.Join(aliases, ","))
	wrapped("SCRIPT_NAMES", strings.Join(scripts, " "))
	wrapped("SCRIPTS", runsOf(nameOf(unicode.Scripts, scripts), long))
	wrapped("ORBITS", orbits())
	return b.Bytes()
}
