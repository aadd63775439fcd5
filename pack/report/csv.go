package report

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
)

// Row is one pack in a table: a judgement, or why there is none.
type Row struct {
	Path   string
	Report *Report // nil: nothing could be judged
	Err    string
	Code   int // exit code
}

var columns = []string{"path", "exit_code", "status", "integrity", "claims", "anchor", "lock", "signer", "signer_fingerprint",
	"pack_id", "receipts", "from", "to", "manifest_sha256", "verified_at", "first_finding"}

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
	cells[0], cells[1] = row.Path, fmt.Sprint(row.Code)
	r := row.Report
	if r == nil {
		cells[2], cells[len(cells)-1] = "error", row.Err
		return cells
	}
	cells[2], cells[3], cells[4], cells[5], cells[6] = r.Status(), string(r.Integrity), string(r.Claims), string(r.Anchor), string(r.Result.Lock)
	if m := r.Manifest; m != nil {
		sum := m.Digest()
		cells[7], cells[8], cells[13] = r.signer().Word, fmt.Sprintf("%x", m.SignerFingerprint()), fmt.Sprintf("%x", sum)
		if r.intact() {
			a := m.Attestation
			cells[9], cells[10], cells[11], cells[12] = a.PackID, fmt.Sprint(r.Receipts), a.TimestampStart, a.TimestampEnd
		}
	}
	cells[14] = r.At.UTC().Format(time.RFC3339)
	for _, list := range [][]pack.Finding{r.Findings, r.LockFindings} {
		if len(list) > 0 && cells[15] == "" {
			cells[15] = list[0].String()
		}
	}
	return cells
}
