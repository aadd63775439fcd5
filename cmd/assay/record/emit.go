package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/pack/report"
)

const (
	maxData  = 1 << 20  // bytes of one receipt; a line of a pack holds no more
	maxBatch = 16 << 20 // bytes of a batch, which is in memory twelve times over
)

// knownTypes are the types without a namespace that packs may hold.
const knownTypes = `ai_workflow, capability_use, challenge, decision_v1,
governance_posture_snapshot, grace_check, guardian_check, guardian_verdict, mcp_tool_call,
model_call, refusal, revocation, session_metadata, supersession`

// emit is one run of 'emit', with its flags.
type emit struct {
	s                          cli.Streams
	data, parent, batch, trace string
	sync, ids, json            bool
}

func emitCmd(s cli.Streams) *cobra.Command {
	o := emit{s: s}
	c := &cobra.Command{
		Use:   "emit {TYPE | --batch FILE}",
		Short: "Record receipts",
		Long: `emit appends a receipt to the store, under the run that ASSAY_TRACE_ID names ('assay run'
sets it). Its stdout is mostly that of a program which has better things to say: the id goes to
stderr, and with --ids or --json to stdout. TYPE is one of
` + knownTypes + `,
or one of your own with a namespace, such as acme.review/v1. breakglass is recorded as
` + receipt.BreakglassType + `: verifiers refuse the bare word. The data is a JSON object; it may not
overwrite the members that the store writes (receipt_id, type, timestamp, schema_version,
seq). What no pack could hold is refused here.

--batch reads many receipts, one JSON object a line, each with its own "type" and perhaps a
"parent_receipt_id": all are recorded, next to each other, or none (16 MiB at most).

What is recorded after a pack was made of the run is not in that pack: emit says so.

A receipt survives the end of this program as soon as emit has returned. It is left to the
system when it reaches the disk, so that a power cut may lose the last seconds, unless
--sync (or ASSAY_SYNC=1) is given: then emit returns after an fsync.`,
		Example: `  assay emit model_call --data '{"provider":"openai","model_id":"gpt-4"}'
  assay emit capability_use --data @call.json --parent r_9f86d081884c
  some-tool | assay emit session_metadata --data -
  another-tool | assay emit --batch -`,
		Args: cli.Args(cobra.MaximumNArgs(1), "one receipt type, or --batch"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *emit) add(c *cobra.Command) {
	c.Flags().StringVar(&o.data, "data", "{}", "a `JSON` object, @FILE, or - for stdin")
	c.Flags().StringVar(&o.parent, "parent", "", "the `ID` of the receipt that caused this one")
	c.Flags().StringVar(&o.batch, "batch", "", "record the receipts of `FILE`, one a line; - for stdin")
	c.Flags().StringVar(&o.trace, "trace", "", "the `TRACE` to record to (default: ASSAY_TRACE_ID)")
	c.Flags().BoolVar(&o.ids, "ids", false, "the ids on stdout, one a line, and nothing on stderr")
	cli.JSONFlag(c, &o.json)
	c.Flags().BoolVar(&o.sync, "sync", false, "return after an fsync (default: ASSAY_SYNC)")
}

func (o *emit) run(c *cobra.Command, args []string) error {
	drafts, err := o.drafts(c, args)
	if err != nil {
		return err
	}
	return o.record(drafts)
}

// drafts reads what is to be recorded.
func (o *emit) drafts(c *cobra.Command, args []string) ([]capture.Draft, error) {
	batch := c.Flags().Changed("batch")
	switch {
	case batch && (len(args) > 0 || c.Flags().Changed("data") || c.Flags().Changed("parent")):
		return nil, cli.BadInput("give each line its own \"type\" and \"parent_receipt_id\"", "--batch goes with no TYPE, --data or --parent")
	case batch:
		return readBatch(o.s, o.batch)
	case len(args) == 0:
		return nil, cli.BadInput("run 'assay emit --help'", "emit wants one receipt type, or --batch")
	}
	text, err := readInput(o.s, o.data, maxData)
	if err != nil {
		return nil, err
	}
	v, err := jcs.Parse(text, jcs.Limits{Bytes: maxData})
	if err == nil && v.Kind != jcs.Object { // to the store null is no data
		err = errors.New("expected an object")
	}
	if err != nil {
		return nil, cli.BadInput("--data wants a JSON object, @FILE or - (stdin)", "data: %v", err)
	}
	if c.Flags().Changed("parent") && o.parent == "" {
		return nil, cli.BadInput("", "--parent is empty")
	}
	return []capture.Draft{{Type: args[0], Parent: o.parent, Data: v}}, nil
}

// readBatch reads JSON lines: objects with a type.
func readBatch(s cli.Streams, name string) ([]capture.Draft, error) {
	if name != "-" {
		name = "@" + name
	}
	text, err := readInput(s, name, maxBatch)
	if err != nil {
		return nil, err
	}
	if len(text) > maxBatch {
		return nil, cli.BadInput("record it in several", "the batch has more than %d bytes", maxBatch)
	}
	var drafts []capture.Draft
	for line := range bytes.Lines(text) {
		const hint = "each line wants a JSON object with a \"type\""
		v, err := jcs.Parse(bytes.TrimRight(line, "\r\n"), jcs.Limits{Bytes: maxData})
		if err != nil {
			return nil, cli.BadInput(hint, "line %d: %v", len(drafts)+1, err)
		}
		typ, _ := v.Get("type")
		if v.Kind != jcs.Object || typ.Kind != jcs.String {
			return nil, cli.BadInput(hint, "line %d: expected an object whose type is a string", len(drafts)+1)
		}
		drafts = append(drafts, capture.Draft{Type: typ.Text, Data: v.Without("type")})
	}
	if len(drafts) == 0 {
		return nil, cli.BadInput("", "the batch is empty")
	}
	return drafts, nil
}

func (o *emit) record(drafts []capture.Draft) error {
	if o.trace == "" {
		o.trace = o.s.Env("ASSAY_TRACE_ID")
	}
	if o.trace == "" {
		return cli.BadInput("run it under 'assay run -- CMD', or name a run with --trace", "no run to record to: ASSAY_TRACE_ID is not set")
	}
	renamed := false // here already: the store is shared with a tool that would pack the bare word
	for i := range drafts {
		if drafts[i].Type == "breakglass" {
			drafts[i].Type, renamed = receipt.BreakglassType, true
		}
	}
	h, err := home.Open(o.s)
	if err != nil {
		return err
	}
	store := h.Receipts()
	switch env := o.s.Env("ASSAY_SYNC"); env {
	case "", "0", "1":
		store.Sync = o.sync || env == "1"
	default:
		return cli.BadInput("", "ASSAY_SYNC is %q, expected 0 or 1", env)
	}
	receipts, err := store.EmitAll(o.trace, drafts)
	if err != nil {
		return h.StoreError(err)
	}
	if renamed {
		fmt.Fprintf(o.s.Err, "note: breakglass is recorded as %s, which verifiers admit\n", receipt.BreakglassType)
	}
	noteLeftOut(o.s, drafts)
	noteClosed(o.s, store, o.trace)
	return o.tell(receipts)
}

// tell prints the ids.
func (o *emit) tell(receipts []jcs.Value) error {
	list := jcs.Arr()
	var lines strings.Builder
	for _, r := range receipts {
		id, _ := r.Get("receipt_id")
		list.Items = append(list.Items, id)
		lines.WriteString(id.Text + "\n")
	}
	var err error
	switch {
	case o.json:
		err = cli.PrintJSON(o.s.Out, cli.Answer("emit", "ok", cli.ExitPass, jcs.M("trace_id", jcs.Str(o.trace)), jcs.M("receipt_ids", list)))
	case o.ids:
		_, err = io.WriteString(o.s.Out, lines.String())
	default:
		_, _ = io.WriteString(o.s.Err, lines.String()) // it is recorded, whoever listens
	}
	if err != nil { // not unavailable, which would be safe to retry: there would be two of each
		return cli.Judged(cli.ExitBadInput, cli.BadInput("do not emit it again", "%s recorded, and not told: %w", report.Count(len(receipts), "receipt"), err))
	}
	return nil
}

// noteClosed tells a program that is late: a pack was made of its run already.
func noteClosed(s cli.Streams, store *capture.Store, trace string) {
	packed, err := store.Packed(trace)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		fmt.Fprintf(s.Err, "note: a pack may have been made without this: %s\n", terminal.Safe(err.Error()))
	default:
		fmt.Fprintf(s.Err, "note: this is recorded, but %s was made of the run before: 'assay proof-pack %s' makes one with it\n", terminal.Safe(packed.PackID), terminal.Safe(trace))
	}
}

// noteLeftOut names the members that no pack has (RCP-14): they are in the store only.
func noteLeftOut(s cli.Streams, drafts []capture.Draft) {
	for _, name := range []string{"signatures", "signature", "cose_signature", "receipt_hash", "anchor"} {
		if slices.ContainsFunc(drafts, func(d capture.Draft) bool { _, ok := d.Data.Get(name); return ok }) {
			fmt.Fprintf(s.Err, "note: packs leave out a member named %s\n", name)
		}
	}
}

// readInput reads stdin for -, a file for @FILE, else the text is what was given. Of more than limit
// bytes it returns more than limit, or an error.
func readInput(s cli.Streams, name string, limit int64) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(s.In, limit+1))
	}
	if path, ok := strings.CutPrefix(name, "@"); ok {
		return cli.ReadFile(path, limit)
	}
	return []byte(name), nil
}
