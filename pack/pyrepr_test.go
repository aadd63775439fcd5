package pack

import (
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func parsed(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 16 << 20})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}
