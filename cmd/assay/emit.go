package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// maxData bounds one receipt; a line of a pack holds at most 1 MiB.
const maxData = 1 << 20

func emitCmd(s cmd.Streams) *cobra.Command {
	var data, trace string
	c := &cobra.Command{
		Use:   "emit TYPE",
		Short: "Record one receipt",
		Long: `emit appends a receipt to the store, under the run that ASSAY_TRACE_ID names ('assay run'
sets it), and prints its id. TYPE is a known type, such as model_call, guardian_verdict,
capability_use or session_metadata, or one of your own with a namespace, such as
acme.review/v1. The data is a JSON object; it may not overwrite the members that the store
writes (receipt_id, type, timestamp, schema_version, seq).`,
		Example: `  assay emit model_call --data '{"provider":"openai","model_id":"gpt-4"}'
  assay emit capability_use --data @call.json
  some-tool | assay emit session_metadata --data -`,
		Args: cmd.Args(cobra.ExactArgs(1), "one receipt type"),
		RunE: func(_ *cobra.Command, args []string) error {
			if trace == "" {
				trace = s.Env("ASSAY_TRACE_ID")
			}
			if trace == "" {
				return cmd.BadInput("run it under 'assay run -- CMD', or name a run with --trace", "no run to record to: ASSAY_TRACE_ID is not set")
			}
			text, err := readData(s, data)
			if err != nil {
				return err
			}
			v, err := jcs.Parse(text, jcs.Limits{Bytes: maxData})
			if err != nil {
				return cmd.BadInput("--data wants a JSON object, @FILE or - (stdin)", "data: %v", err)
			}
			h, err := openHome(s)
			if err != nil {
				return err
			}
			receipt, err := h.receipts().Emit(trace, args[0], v)
			if err != nil {
				return err
			}
			id, _ := receipt.Get("receipt_id")
			_, err = fmt.Fprintln(s.Out, id.Text)
			return err
		},
	}
	c.Flags().StringVar(&data, "data", "{}", "a `JSON` object, @FILE, or - for stdin")
	c.Flags().StringVar(&trace, "trace", "", "the `TRACE` to record to (default: ASSAY_TRACE_ID)")
	return c
}

func readData(s cmd.Streams, data string) ([]byte, error) {
	if data == "-" {
		var b bytes.Buffer
		if _, err := io.Copy(&b, io.LimitReader(s.In, maxData+1)); err != nil {
			return nil, err
		}
		return b.Bytes(), nil
	}
	if path, ok := strings.CutPrefix(data, "@"); ok {
		return cmd.ReadFile(path, maxData)
	}
	return []byte(data), nil
}
