package faults

import (
	"net/http"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
)

// restored is a ledger whose guard lies inside its directory, restored from a backup of that
// directory: it has one entry of three, and only w1 has cosigned the other two. No server runs but w2.
func restored(t *testing.T) *world {
	w := newWorld(t, 2, 1)
	w.guardInside()
	w.start("ledger")
	w.submit(0).wantEntry(0)
	w.awaitCosignatures(2)
	w.stop("ledger")
	w.copyDir("ledger", "backup")

	w.start("ledger")
	w.awaitReady()
	w.stop("w2")
	w.submit(1).wantEntry(1)
	w.submit(2).wantEntry(2)
	w.stop("ledger")
	w.stop("w1")
	w.copyDir("backup", "ledger")
	w.start("w2")
	return w
}

// readsButSignsNothing checks that the ledger serves what it has, and gives its key to nothing new.
func (w *world) readsButSignsNothing(witnesses string) {
	w.t.Helper()
	sentence := "Nothing new is signed yet: the witnesses not heard from since the start (" + witnesses + ") could form a quorum by themselves."
	w.awaitNotReady(sentence)
	w.submit(7).want(http.StatusServiceUnavailable, "witnesses-unheard", sentence)
	w.submit(7, "Prefer", "respond-async").want(http.StatusServiceUnavailable, "witnesses-unheard", sentence)
	if cp := w.checkpoint(); cp.Size != 1 {
		w.t.Errorf("size %d is published", cp.Size)
	}
	w.submit(0).wantEntry(0) // it is logged already: the answer is a proof of what was published
	for _, path := range []string{"/v1/entries", "/v1/entries/0", "/v1/entries/0/proof", "/tile/0/000.p/1", "/tile/entries/000.p/1", "/v1/log"} {
		w.get(path).want(http.StatusOK)
	}
	w.get("/tile/0/000.p/2").want(http.StatusNotFound)
}

func TestALedgerRestoredFromABackupSignsNothingWhileTheWitnessThatKnowsMoreIsAway(t *testing.T) {
	w := restored(t)
	w.start("ledger")
	w.readsButSignsNothing("w1")
	// Nor after the next start.
	w.stop("ledger")
	w.start("ledger")
	w.readsButSignsNothing("w1")
	// The witness comes back with the evidence: the log freezes, and refuses to start again.
	w.start("w1")
	w.awaitNotReady(`"about":"frozen"`)
	w.submit(7).want(http.StatusServiceUnavailable, "/problems/frozen")
	w.submit(7, "Prefer", "respond-async").want(http.StatusServiceUnavailable, "/problems/frozen")
	w.get("/v1/entries/0/proof").want(http.StatusOK)
	w.stop("ledger")
	if err := w.tryStart("ledger"); err == nil || !strings.Contains(err.Error(), "rolled back") {
		t.Errorf("with both witnesses it starts: %v", err)
	}
}

func TestALedgerRestoredFromABackupSignsNothingWhileNoWitnessIsReachable(t *testing.T) {
	w := restored(t)
	w.stop("w2")
	w.start("ledger")
	w.readsButSignsNothing("w1, w2")
	w.start("w2")
	w.awaitNotReady("(w1)")
	w.readsButSignsNothing("w1")
}

func TestALedgerGoesOnByItselfWhenItsWitnessesComeBack(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.start("ledger")
	w.submit(0).wantEntry(0)
	w.awaitCosignatures(2)
	w.kill("ledger")
	w.stop("w1")
	w.stop("w2")
	w.start("ledger")
	w.readsButSignsNothing("w1, w2")
	w.start("w1")
	w.start("w2")
	w.awaitReady()
	w.submit(1).wantEntry(1)
}

// The way out of a witness that is gone for good.
// STO-17
func TestAWitnessThatIsGoneIsTakenOutOfThePolicyAndThatIsLogged(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.start("ledger")
	w.submit(0).wantEntry(0)
	w.awaitCosignatures(2)
	w.stop("ledger")
	w.stop("w2")
	w.start("ledger")
	w.readsButSignsNothing("w2")
	w.stop("ledger")
	w.writePolicy(trust.FormatPolicy(w.policy.Logs(), w.policy.Witnesses()[:1], 1))
	w.start("ledger")
	w.awaitReady()
	w.submit(1).wantEntry(1)
	if log := w.log("ledger"); !strings.Contains(log, "the policy is not the one of the last start") || !strings.Contains(log, `"removed":["w2 w2.example+`) {
		t.Error("the log does not tell of the change")
	}
	w.stop("ledger")
	before := len(w.log("ledger"))
	w.start("ledger")
	if strings.Contains(w.log("ledger")[before:], "the policy is not the one of the last start") {
		t.Error("the change is told at the next start too")
	}
}

func TestEachStartSaysWhatTheOperatorHasNotSecured(t *testing.T) {
	w := newWorld(t, 0, 0)
	const unwitnessed = "nobody would notice if this log were rolled back"
	const inside = "the guard lies inside the ledger's directory: a backup takes it along"
	for start := 1; start <= 2; start++ {
		w.start("ledger")
		w.stop("ledger")
		if n := strings.Count(w.log("ledger"), unwitnessed); n != start {
			t.Errorf("%d starts: %d times %q", start, n, unwitnessed)
		}
	}
	if strings.Contains(w.log("ledger"), inside) {
		t.Error("it warns of a guard that lies beside the directory")
	}
	w.guardInside()
	for start := 1; start <= 2; start++ {
		w.start("ledger")
		w.stop("ledger")
		if n := strings.Count(w.log("ledger"), inside); n != start {
			t.Errorf("%d starts: %d times %q", start, n, inside)
		}
	}
	w.run(0, "fsck", w.path("ledger")) // finds it there too
}
