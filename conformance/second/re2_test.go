package second

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestAPatternMatchesAsItDoesInGo: what is refused, what matches, and what is counted (CLM-22, CLM-23) of patterns that
// nobody wrote, in both programs.
func TestAPatternMatchesAsItDoesInGo(t *testing.T) {
	s, rng, want := serve(t), rand.New(rand.NewPCG(22, 23)), 6_000
	if long {
		want = 400_000
	}
	asked, refused, matched, differ := 0, 0, 0, 0
	for n := 0; asked < want && differ < 20; n++ {
		var items []patternCase
		for range 500 {
			items = append(items, somePattern(rng, n))
		}
		for i, answer := range askSecond[*patternAnswer](t, s, "pattern", items) {
			p := items[i]
			if refusal := samePattern(p, answer); refusal != "" {
				t.Errorf("%q: %s", p.Pattern, refusal)
				differ++
			}
			asked += len(p.Texts)
			if answer == nil {
				refused++
				continue
			}
			for _, m := range answer.Matches {
				if m {
					matched++
				}
			}
		}
	}
	t.Logf("%d pairs; %d patterns refused, %d texts matched", asked, refused, matched)
	if refused < asked/100 || matched < asked/20 {
		t.Error("patterns and texts that say little")
	}
}

type patternCase struct {
	Pattern string   `json:"pattern"`
	Texts   []string `json:"texts"`
}

type patternAnswer struct {
	Elements     int    `json:"elements"`
	Instructions int    `json:"instructions"`
	Matches      []bool `json:"matches"`
}

func samePattern(p patternCase, answer *patternAnswer) string {
	_, err := syntax.Parse(p.Pattern, syntax.Perl)
	whole, err2 := syntax.Parse(`\A(?:`+p.Pattern+`)\z`, syntax.Perl)
	if err := cmp.Or(err, err2); err != nil || answer == nil {
		if err != nil && answer == nil {
			return ""
		}
		return fmt.Sprintf("Go says %v, the other verifier refuses: %v", err, answer == nil)
	}
	program, err := syntax.Compile(whole.Simplify())
	if err != nil {
		return err.Error()
	}
	if n := elements(whole); n != answer.Elements {
		return fmt.Sprintf("%d elements, and the other verifier counts %d", n, answer.Elements)
	}
	if n := len(program.Inst); n != answer.Instructions {
		return fmt.Sprintf("%d instructions, and the other verifier counts %d", n, answer.Instructions)
	}
	re := regexp.MustCompile(`\A(?:` + p.Pattern + `)\z`)
	for i, text := range p.Texts {
		if re.MatchString(text) != answer.Matches[i] {
			return fmt.Sprintf("of %q the other verifier says %v", text, answer.Matches[i])
		}
	}
	return ""
}

// elements counts as claims.md says: nodes of the tree and ends of ranges, times the repeat counts.
func elements(re *syntax.Regexp) int {
	n := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		n += elements(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return n
}

// pieces is what patterns are made of; some of it is refused, or only together with something else.
var pieces = strings.Split(`a b c ab abc k K é ß ſ 😀 \n - ^ $ . .* .+? a* b+ c? a{2} b{1,3} c{0,2}? a{2,} x{0} \d \D \s \S \w \W \pL \PL `+
	`\p{Greek} \P{Greek} \p{^Lu} \p{Lu} \pN \p{Letter} \p{lc} \p{Any} \p{Old_Italic} \p{No} \p{nope} \pq \b \B \A \z \Z \Q*+\E \Q \E \x41 \x{1F600} `+
	`\x{110000} \07 \101 \8 \t \. \\ \- \_ \é [abc] [^abc] [a-c] [^a-c] [a-] [-a] []a] [^]a] [[:alpha:]] [[:^digit:]] [[:nope:]] [\d-x] [a\-c] `+
	`[\pL\d] [^\pL] [c-a] [a [\x00-\x{10FFFF}] [^\x00-\x{10FFFF}] [^\n] [k] [Kk] [ſ-ƀ] ( ) (?: (?i: (?i) (?s) (?m) (?U) (?-i) (?i-s: (?P<n> (?<n> (?P<> `+
	`(?P<é> (?= (?! (?-) (?i-) (?z) | | | || * + ? {2} {,2} {2,1} {1001} {1000} {2}{2} ** (a|b) (a|b|c)* (?:ab|ac|ad) (a*)* (a|)* (|a)+ (?i:k|K) `+
	`(?:(?:a{10}){10}){10} (?:a{32}){32} ab|ac|b .|\n a|[^a] K|k (?:^)* (?:$)+ (?:\b)? a|b|cd|ce|[xy] a{1}|a{1}b [ab]c|[ab]d`, " ")

// somePattern puts some together, closes what is open, and mostly makes texts that have something to do with it.
func somePattern(rng *rand.Rand, n int) patternCase {
	var b strings.Builder
	for range 1 + rng.IntN(3+n%9) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	p := b.String()
	if rng.IntN(4) > 0 {
		p += strings.Repeat(")", max(0, strings.Count(p, "(")-strings.Count(p, ")")-strings.Count(p, "(?i)")))
	}
	c := patternCase{Pattern: p, Texts: []string{"", "a"}}
	for range 3 {
		c.Texts = append(c.Texts, someText(rng, p))
	}
	if tree, err := syntax.Parse(p, syntax.Perl); err == nil && elements(tree) < 3000 {
		for range 2 {
			c.Texts = append(c.Texts, textOf(rng, tree))
		}
	}
	return c
}

func someText(rng *rand.Rand, p string) string {
	var b strings.Builder
	letters := []rune(p + "abcABCkKKßẞéſsS \n_19αΑ😀")
	for range rng.IntN(8) {
		b.WriteRune(letters[rng.IntN(len(letters))])
	}
	return b.String()
}

// textOf makes a text that a tree matches, if its edges let it.
func textOf(rng *rand.Rand, re *syntax.Regexp) string {
	var b strings.Builder
	times := func(n int, sub *syntax.Regexp) {
		for range n {
			b.WriteString(textOf(rng, sub))
		}
	}
	fold := func(r rune) rune {
		for range rng.IntN(3) {
			r = unicode.SimpleFold(r)
		}
		return r
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 {
				r = fold(r)
			}
			b.WriteRune(r)
		}
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			i := 2 * rng.IntN(len(re.Rune)/2)
			r := re.Rune[i] + rune(rng.IntN(int(re.Rune[i+1]-re.Rune[i])+1))
			if r >= 0xd800 && r < 0xe000 {
				r = '\ufffd'
			}
			b.WriteRune(r)
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune([]rune("a\nk😀 ")[rng.IntN(5)])
	case syntax.OpAlternate:
		times(1, re.Sub[rng.IntN(len(re.Sub))])
	case syntax.OpStar, syntax.OpQuest, syntax.OpPlus:
		times(rng.IntN(3), re.Sub[0])
	case syntax.OpRepeat:
		times(re.Min+rng.IntN(max(re.Max-re.Min, 0)+1), re.Sub[0])
	default:
		for _, sub := range re.Sub {
			times(1, sub)
		}
	}
	return b.String()
}

// TestAClassOfUnicodeHoldsTheSameCodePoints: every name that stands in a \p{}, in both programs; the second is asked for
// all its code points.
func TestAClassOfUnicodeHoldsTheSameCodePoints(t *testing.T) {
	if unicode.Version != "15.0.0" {
		t.Skipf("NOT RUN: this Go has Unicode %s, the pages 15.0.0", unicode.Version)
	}
	names := []string{"Any", "ASCII", "Assigned", "LC", "lu", " g r e-ek", "Old_Italic", "nope", ""}
	for name := range unicode.Categories {
		names = append(names, name)
	}
	for name := range unicode.Scripts {
		names = append(names, name)
	}
	for name := range unicode.CategoryAliases {
		names = append(names, name)
	}
	type class struct{ Ranges, Folded []rune }
	none := 0
	for i, answer := range askSecond[*class](t, serve(t), "class", names) {
		for _, flag := range []string{"", "(?i)"} {
			tree, err := syntax.Parse(flag+`\p{`+names[i]+`}`, syntax.Perl)
			if err != nil || answer == nil {
				if none++; err == nil || answer != nil {
					t.Errorf("%q: Go says %v, the other verifier knows it: %v", names[i], err, answer != nil)
				}
				continue
			}
			got, want := answer.Ranges, tree.Rune
			if flag != "" && tree.Op == syntax.OpCharClass && !(names[i] == "LC" || names[i] == "Cased_Letter") {
				got = answer.Folded
			}
			if tree.Op == syntax.OpLiteral {
				want = []rune{want[0], want[0]}
			}
			if tree.Op == syntax.OpAnyChar {
				want = []rune{0, unicode.MaxRune}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s%s holds %d ranges, and in the other verifier %d", flag, names[i], len(want)/2, len(got)/2)
			}
		}
	}
	t.Logf("%d names, %d of them are of two words or of nothing", len(names), none/2)
}
