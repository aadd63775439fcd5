package lock

import (
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
)

// VFY-73: a list that became empty admits nobody, and never everybody.
func TestNobodyIsNotAnybody(t *testing.T) {
	a, b := trust.Digest{1}, trust.Digest{2}
	for name, test := range map[string]struct {
		s         Signers
		any, a, b bool
		n         int
	}{
		"nobody named any": {Signers{}, true, true, true, 0},
		"none":             {Only(), false, false, false, 0},
		"none of a list":   {Only([]trust.Digest{}...), false, false, false, 0},
		"one":              {Only(a), false, true, false, 1},
		"one of any":       {Signers{}.With(a), false, true, false, 1},
		"one of none":      {Only().With(a), false, true, false, 1},
		"two":              {Only(a).With(b), false, true, true, 2},
		"one twice":        {Only(a).With(a), false, true, false, 1},
	} {
		if test.s.Any() != test.any || test.s.Admits(a) != test.a || test.s.Admits(b) != test.b || len(test.s.Fingerprints()) != test.n {
			t.Errorf("%s: %+v", name, test.s)
		}
	}
	s := Only(a)
	s.Fingerprints()[0] = b
	if _ = s.With(b); !s.Admits(a) || s.Admits(b) {
		t.Errorf("a list is not who reads it: %+v", s)
	}
}
