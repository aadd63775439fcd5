package faults

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// location is where a client finds manifest n.
func location(t *testing.T, n int) string {
	t.Helper()
	m, findings := manifest.Verify(manifestOf(t, n))
	if m == nil || len(findings) > 0 {
		t.Fatal(findings)
	}
	digest := m.Digest()
	return "/v1/entries/" + hex.EncodeToString(digest[:sha256.Size])
}

// STO-25
func TestWhatWasAcceptedWith202IsLoggedAfterAKill(t *testing.T) {
	w := newTimestampedWorld(t, 2, 1)
	w.start("ledger")
	w.awaitReady()
	w.submit(0).wantEntry(0)
	w.kill("tsa") // so that what is accepted cannot be logged before the ledger is killed
	const accepted = 60
	for n := 1; n <= accepted; n++ {
		if at := w.submit(n, "Prefer", "respond-async").want(http.StatusAccepted).header.Get("Location"); at != location(t, n) {
			t.Fatalf("location %s, want %s", at, location(t, n))
		}
	}
	w.kill("ledger")
	w.start("ledger")
	for n := 1; n <= accepted; n++ {
		a := w.get(location(t, n)).want(http.StatusNotFound, "was accepted")
		if a.header.Get("Retry-After") == "" {
			t.Fatalf("manifest %d: no Retry-After: %s", n, a.body)
		}
	}
	w.start("tsa")
	for n := 1; n <= accepted; n++ {
		var last answer
		w.eventually(fmt.Sprintf("manifest %d is logged", n), func() bool {
			last = w.get(location(t, n))
			return last.status == http.StatusOK
		}, func() string { return fmt.Sprintf("%d %s", last.status, last.body) })
	}
	w.awaitReady()
	if cp := w.checkpoint(); cp.Size != 1+accepted {
		t.Errorf("size %d, want %d", cp.Size, 1+accepted)
	}
}
