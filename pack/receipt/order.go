package receipt

import (
	"math/big"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// SortKey orders receipts: run, then sequence number, then id.
type SortKey struct {
	Kind jcs.Kind // of the run id; one that is null or missing is a text
	Run  string   // "" unless it is a text
	Seq  jcs.Value
	ID   string
}

// Compare is negative if k comes before l. Run ids and sequence numbers of different kinds have no order.
func (k *SortKey) Compare(l *SortKey) (c int, ok bool) { // PCK-7, PCK-8
	if k.Kind != l.Kind {
		return 0, false
	}
	if c = strings.Compare(k.Run, l.Run); c != 0 {
		return c, true
	}
	if c, ok = compareSeq(&k.Seq, &l.Seq); c != 0 || !ok {
		return c, ok
	}
	return strings.Compare(k.ID, l.ID), true
}

// SameRun reports whether a run id that is there names the run, as Python writes it: 7 names the run "7". What
// it takes for false (null, "", 0) names none.
func SameRun(v *jcs.Value, runID string) bool {
	return v == nil || !python.Truth(v) || python.Phrase{python.Bare(v)}.Says(runID)
}

func compareSeq(a, b *jcs.Value) (c int, ok bool) {
	if a.Kind == jcs.String && b.Kind == jcs.String {
		return strings.Compare(a.Text, b.Text), true
	}
	if m, ok := a.Int64(); ok {
		if n, ok := b.Int64(); ok {
			switch {
			case m < n:
				return -1, true
			case m > n:
				return +1, true
			}
			return 0, true
		}
	}
	m, ok1 := exactNumber(a)
	n, ok2 := exactNumber(b)
	if !ok1 || !ok2 {
		return 0, false
	}
	return m.Cmp(n), true
}

// exactNumber reads the sequence numbers that do not fit 64 bits or are no integers. What is
// packed holds no exponent below -324 and at most python.MaxDigits digits, so this stays small.
func exactNumber(v *jcs.Value) (*big.Rat, bool) {
	switch v.Kind {
	case jcs.Bool: // the reference implementation counts true as 1
		if v.Bool {
			return big.NewRat(1, 1), true
		}
		return new(big.Rat), true
	case jcs.Number:
		if !strings.ContainsAny(v.Text, ".eE") {
			return new(big.Rat).SetString(v.Text)
		}
		if f, ok := v.Float64(); ok {
			return new(big.Rat).SetFloat64(f), true
		}
	}
	return nil, false
}
