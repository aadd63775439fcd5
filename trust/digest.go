package trust

import (
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256 value that names something outside the tree: a manifest, a file, a public key. Hashes of the
// tree are tlog.Hash, which writes itself in another way.
//
// Print it with %s or %v: %x takes a type that has String by its text, and writes the digits of the digits.
type Digest [32]byte

// String is the digest in 64 lowercase hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads exactly what String writes.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("a digest of %d characters, expected 64 lowercase hex digits", len(text))
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil || d.String() != text { // the decoder reads uppercase too
		return Digest{}, fmt.Errorf("digest %q is not 64 lowercase hex digits", text)
	}
	return d, nil
}
