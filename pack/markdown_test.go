package pack

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

func TestMarkdownShowsHostileTextAsText(t *testing.T) {
	for text, want := range map[string]string{
		"trace_1":                     "`trace_1`",
		"":                            "",
		" a ":                         `&#32;a&#32;`,
		"a  b":                        "`a  b`",
		"x|y":                         `x&#124;y`,
		"`x`":                         "\\`x\\`",
		"<img src=x onerror=alert()>": `&lt;img src\=x onerror\=alert\(\)&gt;`,
		"[x](javascript:1)":           "`[x](javascript:1)`",
		"a&lt;":                       `a&amp;lt\;`,
		`a\`:                          `a\\`,
		"a\nb":                        `\"a\\nb\"`,
		"\x1b[2J\u202e":               `\"\\x1b\[2J\\u202e\"`,
		"# PASS":                      "`# PASS`",
		">= 1 receipts":               "`>= 1 receipts`",
		strings.Repeat("a", 301):      "`\"" + strings.Repeat("a", 300) + "\"...`",
	} {
		if got := Markdown(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// FuzzMarkdown reads the text back as Markdown would, which must give what was put in.
func FuzzMarkdown(f *testing.F) {
	for _, seed := range []string{"", "`", "|", "a|`b`", "<!-- -->", "\\", "\\|", "&#124;", " x", "*_~[]()!#-+.:", "\u2028\x00", "https://x.y/?a=1&b=2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Markdown(text)
		if !form.IsPrintableASCII(got) || len(got) > 12*maxMarkdown {
			t.Fatalf("%q: %q", text, got)
		}
		if len(text) <= maxMarkdown && form.IsPrintableASCII(text) {
			if back := readMarkdown(t, got); back != text {
				t.Errorf("%q: %s reads %q", text, got, back)
			}
		}
	})
}

func readMarkdown(t *testing.T, s string) string {
	if inside, ok := strings.CutPrefix(s, "`"); ok {
		inside, ok = strings.CutSuffix(inside, "`")
		if !ok || strings.ContainsAny(inside, "`|\\<&") {
			t.Errorf("%s is no safe code span", s)
		}
		return inside
	}
	var w strings.Builder
	for len(s) > 0 {
		entity, rest, _ := strings.Cut(s, ";")
		switch c, known := map[string]string{"&lt": "<", "&gt": ">", "&amp": "&", "&#124": "|", "&#32": " "}[entity]; {
		case known:
			w.WriteString(c)
			s = rest
		case s[0] == '\\' && len(s) > 1:
			w.WriteByte(s[1])
			s = s[2:]
		case strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", rune(s[0])):
			t.Fatalf("%q is not escaped", s)
		default:
			w.WriteByte(s[0])
			s = s[1:]
		}
	}
	return w.String()
}
