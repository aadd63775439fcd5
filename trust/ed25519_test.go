package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"

	"filippo.io/edwards25519"
)

// edKey is a key from a fixed seed.
func edKey(seed string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte((seed + strings.Repeat(".", 32))[:32]))
}

// lowOrderPoints are the encodings of points of order 1, 2, 4 and 8, canonical and not
// (C2SP CCTV ed25519).
var lowOrderPoints = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHonestKeysAndSignaturesVerify(t *testing.T) {
	for _, seed := range []string{"a", "b", "c"} {
		key := edKey(seed)
		pub := key.Public().(ed25519.PublicKey)
		if err := CheckEd25519Key(pub); err != nil {
			t.Error(err)
		}
		sig := ed25519.Sign(key, []byte("message"))
		if !VerifyEd25519(pub, []byte("message"), sig) {
			t.Errorf("key %s: honest signature refused", seed)
		}
		if VerifyEd25519(pub, []byte("another"), sig) {
			t.Errorf("key %s: signature of another message accepted", seed)
		}
	}
}

// VFY-53
func TestLowOrderKeysAreRefused(t *testing.T) {
	for _, encoded := range lowOrderPoints {
		pub := fromHex(t, encoded)
		if CheckEd25519Key(pub) == nil {
			t.Errorf("key %s accepted", encoded)
		}
		// crypto/ed25519 accepts this for any message under the identity.
		sig := append(bytes.Clone(pub), make([]byte, 32)...)
		if VerifyEd25519(pub, []byte("any message"), sig) {
			t.Errorf("forgery under %s accepted", encoded)
		}
	}
}

// y and y+p are the same coordinate; below 2^255 that leaves y from 0 to 18.
// VFY-52
func TestSecondEncodingsOfPointsAreRefused(t *testing.T) {
	decoded := 0
	for y := range byte(19) {
		for _, sign := range []byte{0, 0x80} {
			second := bytes.Repeat([]byte{0xff}, 32)
			second[0], second[31] = 0xed+y, 0x7f|sign
			if _, err := new(edwards25519.Point).SetBytes(second); err == nil {
				decoded++
			}
			if _, err := decodeCanonical(second); err == nil {
				t.Errorf("y = p+%d decoded", y)
			}
			if CheckEd25519Key(second) == nil {
				t.Errorf("y = p+%d accepted", y)
			}
		}
	}
	if decoded == 0 {
		t.Error("the decoder below refuses them all, so the test shows nothing")
	}
}

// VFY-53
func TestMixedOrderKeysAreRefused(t *testing.T) {
	honest, err := new(edwards25519.Point).SetBytes(edKey("a").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	mixed := 0
	for _, encoded := range lowOrderPoints {
		low, err := new(edwards25519.Point).SetBytes(fromHex(t, encoded))
		if err != nil {
			t.Fatal(err)
		}
		sum := new(edwards25519.Point).Add(honest, low)
		isHonest := sum.Equal(honest) == 1
		if err := CheckEd25519Key(sum.Bytes()); (err == nil) != isHonest {
			t.Errorf("honest key plus %s: %v", encoded, err)
		}
		if !isHonest {
			mixed++
		}
	}
	if mixed != 10 { // the identity has four encodings
		t.Errorf("%d mixed keys tried, want 10", mixed)
	}
}

// VFY-55
func TestSignaturesWithAMalleableHalfAreRefused(t *testing.T) {
	key := edKey("a")
	pub := key.Public().(ed25519.PublicKey)
	sig := ed25519.Sign(key, []byte("message"))

	// S + L is the same scalar. L = 2^252 + 27742317777372353535851937790883648493.
	order := fromHex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	malleable := bytes.Clone(sig)
	carry := 0
	for i := range 32 {
		sum := int(malleable[32+i]) + int(order[i]) + carry
		malleable[32+i], carry = byte(sum), sum>>8
	}
	if VerifyEd25519(pub, []byte("message"), malleable) {
		t.Error("S + L accepted")
	}
	for _, encoded := range lowOrderPoints {
		if VerifyEd25519(pub, []byte("message"), append(fromHex(t, encoded), sig[32:]...)) {
			t.Errorf("R %s accepted", encoded)
		}
	}
}

// A signer can make R of small order: with nonce 0, R is the identity and S = k·a.
// VFY-54
func TestSmallOrderRIsRefusedEvenFromTheSigner(t *testing.T) {
	key := edKey("a")
	pub := key.Public().(ed25519.PublicKey)
	identity := fromHex(t, lowOrderPoints[4])
	message := []byte("message")
	expanded := sha512.Sum512(key.Seed())
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	if err != nil {
		t.Fatal(err)
	}
	hash := sha512.Sum512(bytes.Join([][]byte{identity, pub, message}, nil))
	k, err := edwards25519.NewScalar().SetUniformBytes(hash[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := append(bytes.Clone(identity), edwards25519.NewScalar().Multiply(k, secret).Bytes()...)
	if !ed25519.Verify(pub, message, sig) {
		t.Fatal("crypto/ed25519 refuses the signature, so the test shows nothing")
	}
	if VerifyEd25519(pub, message, sig) {
		t.Error("signature with R = identity accepted")
	}
}

func TestWrongLengthsAreFalseAndDoNotPanic(t *testing.T) {
	key := edKey("a")
	pub := key.Public().(ed25519.PublicKey)
	sig := ed25519.Sign(key, nil)
	for n := range 80 {
		if n != 32 && (VerifyEd25519(make([]byte, n), nil, sig) || CheckEd25519Key(make([]byte, n)) == nil) {
			t.Errorf("key of %d bytes accepted", n)
		}
		if n != 64 && VerifyEd25519(pub, nil, append(bytes.Clone(sig), make([]byte, 80)...)[:n]) {
			t.Errorf("signature of %d bytes accepted", n)
		}
	}
	if VerifyEd25519(nil, nil, nil) {
		t.Error("nothing accepted")
	}
}

func TestARememberedKeyDoesNotVouchForAnotherInItsSlot(t *testing.T) {
	good := edKey("a").Public().(ed25519.PublicKey)
	if err := CheckEd25519Key(good); err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	bad[31] ^= 0x80 // same slot: another sign is another point, which may be a good key
	bad[20] ^= 1
	for range 3 {
		if got, want := CheckEd25519Key(bad), checkEd25519Key(bad); (got == nil) != (want == nil) {
			t.Errorf("remembered: %v, checked: %v", got, want)
		}
	}
}

func TestKeysAreCheckedConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 20 {
				seed := string(rune('a' + (g+i)%5))
				if err := CheckEd25519Key(edKey(seed).Public().(ed25519.PublicKey)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// VFY-52 to VFY-56
func TestOfTheEdgeCaseVectorsOnlyTheHonestOneVerifies(t *testing.T) {
	text, err := os.ReadFile("../../shared/vectors/third-party/ed25519-cctv/ed25519vectors.json")
	if err != nil {
		t.Skipf("SKIPPED: the C2SP CCTV vectors are not here: %v", err)
	}
	var vectors []struct {
		Number        int
		Key, Sig, Msg string
		Flags         []string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 914 {
		t.Errorf("%d vectors, want 914", len(vectors))
	}
	accepted := 0
	for _, v := range vectors {
		ok := VerifyEd25519(fromHex(t, v.Key), []byte(v.Msg), fromHex(t, v.Sig))
		if ok {
			accepted++
		}
		if ok != (len(v.Flags) == 0) {
			t.Errorf("vector %d with flags %v: accepted %v", v.Number, v.Flags, ok)
		}
	}
	if accepted != 1 {
		t.Errorf("%d vectors accepted, want 1", accepted)
	}
}

func BenchmarkCheckEd25519KeyAnew(b *testing.B) {
	pub := edKey("a").Public().(ed25519.PublicKey)
	for b.Loop() {
		if err := checkEd25519Key(pub); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckEd25519KeyRemembered(b *testing.B) {
	pub := edKey("a").Public().(ed25519.PublicKey)
	for b.Loop() {
		if err := CheckEd25519Key(pub); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyEd25519(b *testing.B) {
	key := edKey("a")
	pub := key.Public().(ed25519.PublicKey)
	sig := ed25519.Sign(key, []byte("message"))
	for b.Loop() {
		if !VerifyEd25519(pub, []byte("message"), sig) {
			b.Fatal("refused")
		}
	}
}
