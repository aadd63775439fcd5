package cli

import (
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
)

// secretText is what a secret key looks like where it should not be: in a policy, a flag, a file of another kind.
// Parsers quote what they do not understand, and what they are given by mistake may be a key. It ends before a
// quote, escaped or not, so that JSON stays JSON. The prefix alone is none: an error names it as what was expected.
var secretText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`PRIVATE\+KEY\+[^\s"'\\]+|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:\\+[nr]|[A-Za-z0-9+/=\s:;,-])*`)
})

const redacted = "(a secret key, which is not shown)"

// Redact takes secret keys of a log, a witness or a PEM file out of a text. Everything that is shown by Safe and
// SafeJSON, and everything that Logger logs, goes through it.
func Redact(text string) string {
	if !strings.Contains(text, "PRIVATE") {
		return text
	}
	return secretText().ReplaceAllString(text, redacted)
}

// Logger writes JSON lines to w, without secret keys.
func Logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(Redact(v))
		case error, fmt.Stringer:
			if text := fmt.Sprint(v); strings.Contains(text, "PRIVATE") {
				a.Value = slog.StringValue(Redact(text))
			}
		}
		return a
	}}))
}
