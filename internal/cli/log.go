package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/terminal"
)

// Logger writes JSON lines to w, without secret keys.
func Logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Any().(type) {
		case string:
			a.Value = slog.StringValue(terminal.Redact(v))
		case error, fmt.Stringer:
			if text := fmt.Sprint(v); strings.Contains(text, "PRIVATE") {
				a.Value = slog.StringValue(terminal.Redact(text))
			}
		}
		return a
	}}))
}
