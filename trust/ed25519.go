package trust

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"filippo.io/edwards25519"
)

// CheckEd25519Key refuses the keys that crypto/ed25519 accepts and no key generation makes:
// an encoding that is not the point's one canonical encoding, a point of small order (one
// signature then fits every message) and a point with a small-order component.
// It returns nil for a point of the prime-order subgroup, canonically encoded.
//
// The check costs about one signature verification. Keys that passed are remembered.
func CheckEd25519Key(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("ed25519 key has %d bytes, want %d", len(pub), ed25519.PublicKeySize)
	}
	slot := &checkedKeys[binary.LittleEndian.Uint64(pub)%uint64(len(checkedKeys))]
	if known := slot.Load(); known != nil && bytes.Equal(known[:], pub) {
		return nil
	}
	if err := checkEd25519Key(pub); err != nil {
		return err
	}
	slot.Store((*[ed25519.PublicKeySize]byte)(bytes.Clone(pub)))
	return nil
}

// checkedKeys remembers keys that passed checkEd25519Key: each slot holds the last such key
// that hashed to it. It is the one package variable that changes. It only ever answers what
// checkEd25519Key would answer again; somebody who makes keys that collide wins a slower check.
var checkedKeys [1024]atomic.Pointer[[ed25519.PublicKeySize]byte]

// minusOne as an integer is L−1, where L is the order of the prime-order subgroup.
var minusOne = func() *edwards25519.Scalar {
	one := make([]byte, 32)
	one[0] = 1
	s, err := edwards25519.NewScalar().SetCanonicalBytes(one)
	if err != nil {
		panic(err) // one is canonical
	}
	return s.Negate(s)
}()

func checkEd25519Key(pub []byte) error {
	a, err := decodeCanonical(pub)
	if err != nil {
		return fmt.Errorf("ed25519 key: %w", err)
	}
	if smallOrder(a) {
		return errors.New("ed25519 key: point of small order")
	}
	// [L]A = 0 exactly if [L−1]A = −A.
	product := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(minusOne, a, edwards25519.NewScalar())
	if product.Equal(new(edwards25519.Point).Negate(a)) != 1 {
		return errors.New("ed25519 key: point of mixed order")
	}
	return nil
}

// VerifyEd25519 is crypto/ed25519.Verify for keys that pass CheckEd25519Key and signatures whose
// R is canonical and not of small order. It never panics; a wrong length is false.
//
// Of C2SP's 914 edge-case vectors crypto/ed25519 accepts 208; this accepts one, the honest one.
func VerifyEd25519(pub ed25519.PublicKey, message, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize || CheckEd25519Key(pub) != nil {
		return false
	}
	r, err := decodeCanonical(sig[:32])
	if err != nil || smallOrder(r) {
		return false
	}
	return ed25519.Verify(pub, message, sig) // refuses S ≥ L
}

// decodeCanonical decodes a point from its one canonical encoding.
func decodeCanonical(encoded []byte) (*edwards25519.Point, error) {
	p, err := new(edwards25519.Point).SetBytes(encoded)
	if err != nil {
		return nil, errors.New("not a point")
	}
	if !bytes.Equal(p.Bytes(), encoded) {
		return nil, errors.New("not the canonical encoding of its point")
	}
	return p, nil
}

func smallOrder(p *edwards25519.Point) bool {
	return new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}
