package terminal

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestUntrustedTextIsHarmlessOnATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain naïve 日本":         "plain naïve 日本",
		"\x1b]0;PASS\x07":        `\u{1b}]0;PASS\u{7}`,
		"a\u202eb":               `a\u{202e}b`,
		"line\nVERDICT\r\u2028":  `line\u{a}VERDICT\u{d}\u{2028}`,
		"bad\xffutf8":            "bad\ufffdutf8",
		"c1\u009b2J":             `c1\u{9b}2J`,
		"no\u00a0\u3000break":    `no\u{a0}\u{3000}break`,
		"\u180e\u2062\u206e":     `\u{180e}\u{2062}\u{206e}`,
		"\ufff9\ue000\U000e0041": `\u{fff9}\u{e000}\u{e0041}`,
	} {
		if got := Safe(text); got != want {
			t.Errorf("Safe(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTextThatWouldNotBeShownAsItStandsIsNotPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"log a\nquorum none\n":   "",
		"witness naïve 日本\n":     "",
		"one\ntwo\u202e\n":       "line 2 holds U+202E, which is not printable",
		"zero\u200bwidth":        "line 1 holds U+200B, which is not printable",
		"no\u00a0break":          "line 1 holds U+00A0, which is not printable",
		"a\tb":                   "line 1 holds U+0009, which is not printable",
		"one\n\ufffd\ntwo\xff\n": "line 3 is not UTF-8",
	} {
		got := ""
		if err := Printable([]byte(text)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Printable(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzSafe(f *testing.F) {
	f.Add("a\x1b[2J\u202e\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := Safe(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, hidden) {
			t.Errorf("Safe(%q) = %q", text, got)
		}
	})
}
