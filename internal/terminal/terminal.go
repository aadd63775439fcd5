// Package terminal shows text that others wrote: harmless to a terminal, and without the secret keys that it may
// hold by mistake.
package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Safe makes text that came from a pack, a server or a file name harmless on a terminal: control
// characters (C0, C1, ESC), line and paragraph separators, bidirectional and zero-width marks, odd
// spaces and broken UTF-8 are shown as \u{…}. The result has no byte below 0x20.
func Safe(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(Redact(text), "\ufffd") {
		if hidden(r) {
			fmt.Fprintf(&b, "\\u{%x}", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// SafeJSON is Safe for JSON text: the same characters become escapes that mean the same. The
// newlines between members stay.
func SafeJSON(text []byte) []byte {
	var out []byte
	for _, r := range Redact(string(text)) {
		switch {
		case r == '\n' || !hidden(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// hidden: what is no letter, mark, number, punctuation, symbol or plain space. Control, bidirectional, zero
// width, separating and private characters are not; nor is what Unicode has not assigned yet.
func hidden(r rune) bool { return !unicode.IsPrint(r) }

// Printable refuses a text of lines that holds what Safe would not show as it stands: two such texts can look alike
// where they are compared by eye. The error names the line.
func Printable(text []byte) error {
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if !utf8.ValidString(line) {
			return fmt.Errorf("line %d is not UTF-8", n)
		}
		for _, r := range line {
			if hidden(r) {
				return fmt.Errorf("line %d holds %U, which is not printable", n, r)
			}
		}
	}
	return nil
}

// secretText is what a secret key looks like where it should not be: in a policy, a flag, a file of another kind.
// Parsers quote what they do not understand, and what they are given by mistake may be a key. It ends before a
// quote, escaped or not, so that JSON stays JSON. The prefix alone is none: an error names it as what was expected.
var secretText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`PRIVATE\+KEY\+[^\s"'\\]+|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:\\+[nr]|[A-Za-z0-9+/=\s:;,-])*`)
})

// Redacted stands where a secret key was.
const Redacted = "(a secret key, which is not shown)"

// Redact takes secret keys of a log, a witness or a PEM file out of a text. Everything that is shown by Safe and
// SafeJSON, and everything that a program logs, goes through it.
func Redact(text string) string {
	if !strings.Contains(text, "PRIVATE") {
		return text
	}
	return secretText().ReplaceAllString(text, Redacted)
}
