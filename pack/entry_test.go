package pack

import (
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

var loggedAt = time.Date(2026, 1, 15, 12, 0, 1, 234567890, time.UTC)

func mustEntry(t testing.TB, m *manifest.Manifest, src entry.Source, token []byte) entry.Entry {
	t.Helper()
	e, err := entry.New(m, src, loggedAt, token)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
