package witness_test

import (
	"net/http"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"golang.org/x/mod/sumdb/tlog"
)

// WIT-5, WIT-11: the same limits hold for requests that no body was parsed for.
func TestARequestMadeByHandHasTheLimitsOfTheWire(t *testing.T) {
	w := newWorld(t)
	w.mustAdd(t, request(w.log, 0, 3))
	good := request(w.log, 3, 5)
	for _, old := range []int64{-1, -1 << 63} {
		bad := good
		bad.OldSize = old
		w.mustRefuse(t, bad, http.StatusBadRequest)
	}
	bad := good
	bad.Proof = make([]tlog.Hash, 64)
	w.mustRefuse(t, bad, http.StatusBadRequest)
	bad.Proof = make([]tlog.Hash, 63)
	w.mustRefuse(t, bad, http.StatusUnprocessableEntity)
	w.mustRefuse(t, trust.AddCheckpoint{}, http.StatusBadRequest)
	w.mustAdd(t, good)
}
