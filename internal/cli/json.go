package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Answer is what --json prints: the members that every object begins with, and those of its command.
func Answer(command, status string, code int, members ...jcs.Member) jcs.Value {
	head := jcs.Obj(jcs.M("command", jcs.Str(command)), jcs.M("status", jcs.Str(status)), jcs.M("exit_code", jcs.Int(int64(code))))
	head.Members = append(head.Members, members...)
	return head
}

// JSONFlag adds --json, by which a command prints an Answer.
func JSONFlag(c *cobra.Command, asked *bool) {
	c.Flags().BoolVar(asked, "json", false, "one JSON object on stdout")
}

// PrintJSON writes an answer, with nothing in it that moves a terminal.
func PrintJSON(w io.Writer, v jcs.Value) error {
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		return err
	}
	_, err = w.Write(terminal.SafeJSON(append(text, '\n')))
	return err
}
