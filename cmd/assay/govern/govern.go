// Package govern looks after what packs are held to: the commands lock (which claims packs must declare, and who may
// sign them) and cards (the claims themselves).
package govern

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Commands look after what packs are held to.
func Commands(s cli.Streams) []*cobra.Command {
	return []*cobra.Command{lockCmd(s), cardsCmd(s)}
}

func printText(s cli.Streams, w *strings.Builder, code int) error {
	_, err := io.WriteString(s.Out, w.String())
	return cli.Judged(code, err)
}
