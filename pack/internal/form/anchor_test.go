package form

import (
	"errors"
	"strings"
	"testing"
)

func TestALongErrorIsCutAndWrittenInOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                  "plain",
		strings.Repeat("x", 300): strings.Repeat("x", 300),
		strings.Repeat("x", 301): strings.Repeat("x", 300) + "...",
		"two\nlines":             `"two\nlines"`,
	} {
		if got := OneLine(errors.New(text)); got != want {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}
