package faults

import "testing"

// Nobody submits anything: what /readyz knows it has asked for itself.
func TestReadyzTellsThatNoQuorumAnswersBeforeASubmissionFails(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.start("ledger")
	w.awaitReady()
	w.kill("w1")
	w.kill("w2")
	w.awaitNotReady("There is no quorum of witnesses: w1, w2 did not cosign when last asked.")
	w.start("w1")
	w.awaitReady()
}
