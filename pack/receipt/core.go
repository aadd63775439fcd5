package receipt

import (
	"fmt"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Core is what a pack asks of a receipt, read in one pass over its members.
type Core struct {
	ID, Type, Timestamp       string     // "" if missing, empty or no string
	Recorder                  string     // likewise
	TraceID, RunID, Seq       *jcs.Value // nil if missing
	Dropped                   string     // a member that is not packed, "" if there is none
	Provider, Model           string     // likewise
	InputTokens, OutputTokens *jcs.Value // nil if missing
	ExitCode, Signal          *jcs.Value // how a program ended, see ending; nil if missing
}

// SortKey is the key of a receipt of run runID. A run id that is there must be that one.
func (c *Core) SortKey(runID string) (key SortKey, problem string) {
	key = SortKey{Kind: jcs.String, Seq: jcs.Value{Kind: jcs.Number, Text: "0"}, ID: c.ID}
	if run := c.TraceID; run != nil || c.RunID != nil {
		if run == nil {
			run = c.RunID
		}
		if key.Run = stringOf(run); run.Kind != jcs.Null {
			key.Kind = run.Kind
		}
	}
	if !SameRun(c.TraceID, runID) {
		problem = "_trace_id is not the run_id of the attestation"
	} else if !SameRun(c.RunID, runID) {
		problem = "run_id is not the run_id of the attestation"
	}
	if c.Seq != nil {
		key.Seq = *c.Seq
	}
	return key, problem
}

// CoreOf reads the core of a receipt. It shares the memory of the receipt.
func CoreOf(v *jcs.Value) (c Core) {
	for i := range v.Members {
		m := &v.Members[i]
		switch m.Name {
		case "receipt_id":
			c.ID = stringOf(&m.Value)
		case "type":
			c.Type = stringOf(&m.Value)
		case "timestamp":
			c.Timestamp = stringOf(&m.Value)
		case "_trace_id":
			c.TraceID = &m.Value
		case "run_id":
			c.RunID = &m.Value
		case "seq":
			c.Seq = &m.Value
		case "recorded_by":
			c.Recorder = stringOf(&m.Value)
		case "provider":
			c.Provider = stringOf(&m.Value)
		case "model_id":
			c.Model = stringOf(&m.Value)
		case "input_tokens":
			c.InputTokens = &m.Value
		case "output_tokens":
			c.OutputTokens = &m.Value
		case "child_exit_code":
			c.ExitCode = &m.Value
		case "child_signal":
			c.Signal = &m.Value
		case "signatures", "signature", "cose_signature", "receipt_hash", "anchor":
			c.Dropped = m.Name
		}
	}
	return c
}

// Missing names the required member that is not there, "" if all are.
func (c *Core) Missing() string {
	switch {
	case c.ID == "":
		return "receipt_id"
	case c.Type == "":
		return "type"
	case c.Timestamp == "":
		return "timestamp"
	}
	return ""
}

// AboutRun is AboutRun.
func (c *Core) AboutRun() bool {
	return c.Recorder == Recorder && (c.Type == SessionType || c.Type == BreakglassType)
}

// Ending is how the program ended, as the session receipt of assay run says, "" for any other receipt. It went
// well with exit code 0 and no signal; what cannot be read has not gone well.
func (c *Core) Ending() (text string, well bool) {
	if c.Type != SessionType || c.Recorder != Recorder {
		return "", false
	}
	if c.ExitCode == nil || c.Signal != nil && c.Signal.Kind != jcs.String {
		return UnreadableEnding, false
	}
	code, ok := c.ExitCode.Int64()
	switch {
	case !ok:
		return UnreadableEnding, false
	case c.Signal != nil:
		return fmt.Sprintf("exit %d (signal %s)", code, form.Printable(c.Signal.Text)), false
	}
	return fmt.Sprintf("exit %d", code), code == 0
}

// UnreadableEnding is the text of an ending that its session receipt does not tell.
const UnreadableEnding = "in a way that cannot be read"

func stringOf(v *jcs.Value) string {
	if v.Kind == jcs.String {
		return v.Text
	}
	return ""
}
