package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"time"
)

// Row is one pack in a table: a judgement, or why there is none.
type Row struct {
	Path   string
	Report *Report // nil: nothing could be judged
	Err    string
	Code   int // exit code
}

var columns = []string{"path", "exit_code", "status", "integrity", "claims", "anchor", "lock", "expectations", "signer", "signer_fingerprint",
	"pack_id", "receipts", "from", "to", "expiry", "superseded_by", "manifest_sha256", "verified_at", "first_finding",
	"cards", "verdict", "program_ended"}

// CSV is one row a pack, under a header. What a spreadsheet would compute begins with a '.
func CSV(rows []Row) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(columns) // a bytes.Buffer takes everything
	for _, row := range rows {
		cells := row.cells()
		for i := range cells {
			cells[i] = csvCell(cells[i])
		}
		_ = w.Write(cells)
	}
	w.Flush()
	return b.Bytes()
}

func (row Row) cells() []string {
	cells := make([]string, len(columns))
	set := func(name, value string) { cells[slices.Index(columns, name)] = value }
	set("path", row.Path)
	set("exit_code", fmt.Sprint(row.Code))
	r := row.Report
	if r == nil {
		set("status", "error")
		set("first_finding", row.Err)
		return cells
	}
	set("status", string(r.Status()))
	set("integrity", string(r.Integrity))
	set("claims", string(r.ClaimsHere()))
	set("anchor", string(r.Anchor.Verdict))
	set("lock", string(r.Result.Lock.Verdict))
	set("expectations", string(r.Expectations.Verdict))
	if m := r.Manifest; m != nil {
		set("signer", r.signer().Word)
		set("signer_fingerprint", m.SignerFingerprint().String())
		set("manifest_sha256", m.Digest().String())
		if a := m.Attestation; r.intact() {
			set("pack_id", a.PackID)
			set("receipts", fmt.Sprint(r.Receipts))
			set("program_ended", r.ended())
			set("from", a.TimestampStart)
			set("to", a.TimestampEnd)
			set("expiry", r.expiryStatus())
			set("superseded_by", a.SupersededBy)
		}
	}
	set("verified_at", r.At.UTC().Format(time.RFC3339))
	if len(r.Claims.Cards) > 0 {
		set("cards", r.cardsText().String())
	}
	set("verdict", r.Verdict())
	if findings := slices.Concat(r.Findings, r.Result.Lock.Findings, r.ExpectationFindings()); len(findings) > 0 {
		set("first_finding", findings[0].String())
	}
	return cells
}
