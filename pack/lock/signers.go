package lock

import (
	"slices"

	"github.com/Haserjian/assay-ledger/trust"
)

// Signers says whose signatures count, by the fingerprints of their keys. The zero value counts every key, because
// nobody named any; Only() counts none. The two are never one by accident.
type Signers struct {
	named bool // keys are all that count, also if there are none
	keys  []trust.Digest
}

// Only counts these keys and no other; without any, none at all.
func Only(fingerprints ...trust.Digest) Signers { return Signers{true, slices.Clone(fingerprints)} }

// Any reports whether every key counts.
func (s Signers) Any() bool { return !s.named }

// Admits reports whether this key counts, by its name or because every key does.
func (s Signers) Admits(fingerprint trust.Digest) bool {
	return !s.named || slices.Contains(s.keys, fingerprint)
}

// Fingerprints are the keys that are named, in their order.
func (s Signers) Fingerprints() []trust.Digest { return slices.Clone(s.keys) }

// With names a key besides those that are named, unless it is one of them; of any key it makes only this one.
func (s Signers) With(fingerprint trust.Digest) Signers {
	if slices.Contains(s.keys, fingerprint) {
		return s
	}
	return Only(append(s.Fingerprints(), fingerprint)...)
}
