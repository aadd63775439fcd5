package faults

import "testing"

// The longer form, under load, is cmd/ledger's TestAKilledLedgerLosesNoAcknowledgedEntry.
func TestAKilledLedgerGoesOnWithWhatItAcknowledged(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.start("ledger")
	w.submit(0).wantEntry(0)
	w.submit(1).wantEntry(1)
	w.kill("ledger")
	w.start("ledger")
	w.awaitReady()
	w.submit(1).wantEntry(1)
	w.submit(2).wantEntry(2)
	if cp := w.checkpoint(); cp.Size != 3 {
		t.Errorf("size %d, want 3", cp.Size)
	}
}

func TestATimestampedLedgerIsReadyAndLogs(t *testing.T) {
	w := newTimestampedWorld(t, 1, 1)
	w.start("ledger")
	w.awaitReady()
	w.submit(0).wantEntry(0)
}
