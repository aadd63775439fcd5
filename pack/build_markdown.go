package pack

import (
	"strconv"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// maxMarkdown bounds a text that a pack controls: a document is for people.
const maxMarkdown = 300

// Markdown shows text that somebody else chose as one word of a Markdown document: inside a table, a
// list or a paragraph it stays text, whatever it holds. Plain text becomes a code span, so that it is
// copied as it is; anything else has every punctuation mark escaped. What is not printable ASCII is
// shown as in a Go string, and a long text is cut.
func Markdown(s string) string {
	if len(s) > maxMarkdown {
		s = strconv.QuoteToASCII(s[:maxMarkdown]) + "..."
	} else if !form.IsPrintableASCII(s) {
		s = strconv.QuoteToASCII(s)
	}
	// In a code span nothing is markup but what ends it; in a table, so does a pipe. A backslash there is
	// only a backslash, and the tools do not agree on it; < may begin HTML where they do not know the span.
	if s != "" && !strings.ContainsAny(s, "`|\\<&") && strings.TrimSpace(s) == s {
		return "`" + s + "`"
	}
	var w strings.Builder
	w.Grow(2 * len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '<':
			w.WriteString("&lt;")
		case c == '>':
			w.WriteString("&gt;")
		case c == '&':
			w.WriteString("&amp;")
		case c == '|': // in a table a backslash before it is not always enough
			w.WriteString("&#124;")
		case c == ' ' && (i == 0 || i == len(s)-1 || s[i-1] == ' '):
			w.WriteString("&#32;")
		case c <= ' ', '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
			w.WriteByte(c)
		default:
			w.WriteByte('\\')
			w.WriteByte(c)
		}
	}
	return w.String()
}
