// Package form is how the documents of a pack are read: the rules of their schemas (Object, List, Text and
// the rules made of them), members of JSON values (Get, Str, ReadCount), date-times, and text of a pack inside
// our own messages (Quote, Printable, OneLine). Whoever reads a document makes a rule of its members, and calls
// it once:
//
//	form.Object(members)("", value, func(problem string) { … })
package form

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Member is one row of a schema: a name ("?" at its end: it may be absent) and what its value must be.
type Member struct {
	Name string
	must Rule
}

// M is one row: the member name, "?" at its end if it may be absent, and its rule.
func M(name string, must Rule) Member { return Member{name, must} }

// Rule reports what is wrong with v, which stands at path, as "path: what was expected".
type Rule func(path string, v jcs.Value, report func(string))

// Object is the rule of an object that has these members and no others.
func Object(members []Member) Rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.Object {
			report(path + ": not an object")
			return
		}
		for _, got := range v.Members {
			// Exact names: nothing is folded, nothing unknown is skipped (threats.md P02, P20).
			if !slices.ContainsFunc(members, func(m Member) bool { return strings.TrimSuffix(m.Name, "?") == got.Name }) {
				report(join(path, Printable(got.Name)) + ": unknown member")
			}
		}
		for _, m := range members {
			name, optional := strings.CutSuffix(m.Name, "?")
			value, ok := v.Get(name)
			switch {
			case ok:
				m.must(join(path, name), value, report)
			case !optional:
				report(join(path, name) + ": missing")
			}
		}
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// List is the rule of an array of at least min items, each of which keeps a rule.
func List(min int, each Rule) Rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.Array || len(v.Items) < min {
			report(fmt.Sprintf("%s: not a list of %d or more", path, min))
			return
		}
		for i, item := range v.Items {
			each(path+"["+strconv.Itoa(i)+"]", item, report)
		}
	}
}

// OrNull is the rule of a value that may be null instead.
func OrNull(must Rule) Rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.Null {
			must(path, v, report)
		}
	}
}

// Text makes a rule of a rule for strings.
func Text(expected string, ok func(string) bool) Rule {
	return func(path string, v jcs.Value, report func(string)) {
		if v.Kind != jcs.String {
			report(path + ": not a string")
		} else if !ok(v.Text) {
			report(path + ": " + Quote(v.Text) + " is not " + expected)
		}
	}
}

// OneOf is the rule of a string that is one of these words.
func OneOf(words ...string) Rule {
	return Text(strings.Join(words, " or "), func(s string) bool { return slices.Contains(words, s) })
}

// The rules of strings.
var (
	AnyString  = Text("a string", func(string) bool { return true })
	NonEmpty   = Text("a non-empty string", func(s string) bool { return s != "" })
	Identifier = Text("1 to 256 printable ASCII characters", IsIdentifier)
	Hex64      = Text("64 lowercase hex digits", func(s string) bool { return len(s) == 64 && isHex(s) })
	Commit     = Text("40 or 64 lowercase hex digits", IsCommit)
	DateTime   = Text("an RFC 3339 date-time", IsDateTime)
	Version    = Text("1 to 64 of A-Z a-z 0-9 . _ -", regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString)
)

// Count is an integer that every JSON reader reads alike: 0 to 2^53-1, no sign, fraction or exponent.
func Count(path string, v jcs.Value, report func(string)) {
	if _, ok := ReadCount(v); !ok {
		report(path + ": not an integer between 0 and 2^53-1")
	}
}

// ReadCount reads what count admits.
func ReadCount(v jcs.Value) (int64, bool) {
	if v.Kind != jcs.Number || v.Text == "" || len(v.Text) > 16 || v.Text[0] == '0' && v.Text != "0" {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return n, err == nil && n >= 0 && n < 1<<53 && v.Text[0] != '+' && v.Text[0] != '-'
}

// One is the rule of the number 1.
func One(path string, v jcs.Value, report func(string)) {
	if n, ok := ReadCount(v); !ok || n != 1 {
		report(path + ": not 1")
	}
}

// Boolean is the rule of true and false.
func Boolean(path string, v jcs.Value, report func(string)) {
	if v.Kind != jcs.Bool {
		report(path + ": not true or false")
	}
}

// AnyValue is the rule of what somebody else reads.
func AnyValue(string, jcs.Value, func(string)) {}
