package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack"
)

// Text is a sentence of ours about things that the pack, a file or a log named.
type Text struct {
	format string
	args   []any // strings of every type: theirs; Text, word and numbers: ours
}

// word is a string of ours among the arguments of a Text.
type word string

func say(format string, args ...any) Text { return Text{format, args} }

// String is the text as it is: for a terminal it goes through its escaper.
func (t Text) String() string { return t.render(func(theirs string) string { return theirs }) }

func (t Text) markdown() string { return t.render(pack.Markdown) }

func (t Text) render(escape func(string) string) string {
	args := make([]any, len(t.args))
	for i, arg := range t.args {
		switch arg := arg.(type) {
		case string:
			args[i] = escape(arg)
		case Text:
			args[i] = arg.render(escape)
		case []Text:
			var list []string
			for _, item := range arg {
				list = append(list, item.render(escape))
			}
			args[i] = strings.Join(list, ", ")
		case word:
			args[i] = arg
		default:
			args[i] = arg
			if v := reflect.ValueOf(arg); v.Kind() == reflect.String { // such as a severity, which may be any text of a pack
				args[i] = escape(v.String())
			}
		}
	}
	return fmt.Sprintf(t.format, args...)
}

// One escaper for each format (threats.md P24, A11): HTML has html/template, Markdown pack.Markdown. The
// others begin with visible, as does all that goes into HTML, so that no text leaves here with a control character, a bidirectional mark, a separator of
// lines or broken UTF-8 in it, and none without an end.

// maxText is how much of one text is shown, in bytes. The JSON has all of it.
const maxText = 2000

// visible shows what would not be seen, or would move what is seen, as \u{…}.
func visible(text string) string {
	rest := 0
	if len(text) > maxText {
		cut := maxText
		for cut > maxText-4 && text[cut]&0xc0 == 0x80 { // not inside a character
			cut--
		}
		text, rest = text[:cut], len(text)-cut
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "\\u{%x}", r)
		}
	}
	if rest > 0 {
		fmt.Fprintf(&b, "… (%d bytes more)", rest)
	}
	return b.String()
}

// csvCell neutralises what spreadsheets take for a formula; quotes and commas are encoding/csv's.
func csvCell(text string) string {
	text = visible(text)
	if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(text, " '\"")); strings.ContainsRune("=+-@|%＝＋－＠", first) {
		return "'" + text
	}
	return text
}

// xmlText is text or an attribute's value in SVG.
func xmlText(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(visible(text))) // a bytes.Buffer takes everything
	return b.String()
}
