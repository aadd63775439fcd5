package faults

import "testing"

// Nobody submits anything: what /readyz knows it has asked for itself, and it tells all of it at once.
func TestReadyzTellsThatWitnessesAndTSAAreDeadBeforeASubmissionFails(t *testing.T) {
	w := newTimestampedWorld(t, 3, 2)
	w.start("ledger")
	w.awaitReady()
	w.kill("w1")
	w.kill("w2")
	w.kill("tsa")
	w.awaitNotReady("There is no quorum of witnesses: w1, w2 did not cosign when last asked.", `"about":"timestamps"`)
	w.start("w1")
	w.start("tsa")
	w.awaitReady()
	w.submit(0).wantEntry(0)
}
