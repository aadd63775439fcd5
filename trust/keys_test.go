package trust_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// rawKeyID is the key ID the way signed-note writes it down.
func rawKeyID(name string, typeAndKey []byte) uint32 {
	sum := sha256.Sum256([]byte(name + "\n" + string(typeAndKey)))
	return binary.BigEndian.Uint32(sum[:4])
}

// ENT-14
func TestOtherImplementationsTakeOurKeys(t *testing.T) {
	skey, vkey, err := trust.GenerateKey(nil, "example.com/log", trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := trust.NewLogSigner(skey)
	if err != nil || ours.VKey() != vkey || ours.Origin() != "example.com/log" {
		t.Fatalf("vkey %s, %v", ours.VKey(), err)
	}
	signed, err := ours.Sign("example.com/log", 0, trust.EmptyRoot)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		t.Errorf("sumdb/note refuses our note: %v", err)
	}
	theirs, err := note.Sign(&note.Note{Text: "example.com/log\n0\n" + trust.EmptyRoot.String() + "\n"}, signer)
	if err != nil || !bytes.Equal(theirs, signed) {
		t.Errorf("sumdb/note signs %q, %v", theirs, err)
	}

	skey, vkey, err = trust.GenerateKey(nil, "w.example", trust.MLDSA44Cosigner)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := formatsnote.NewMLDSASigner(skey); err != nil {
		t.Error(err)
	}
	if _, err := formatsnote.NewMLDSAVerifier(vkey); err != nil {
		t.Error(err)
	}
	skey, vkey, err = trust.GenerateKey(nil, "w.example", trust.Ed25519Cosigner)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := trust.NewCosigner(skey); err != nil || c.VKey() != vkey || c.Name() != "w.example" || c.Algorithm() != trust.Ed25519Cosigner {
		t.Errorf("%v", err)
	}
}

func TestSameSeedSameKeyAndFreshSeedFreshKey(t *testing.T) {
	for _, alg := range []trust.Algorithm{trust.Ed25519, trust.Ed25519Cosigner, trust.MLDSA44Cosigner} {
		seed := bytes.Repeat([]byte{7}, 32)
		s1, v1, err1 := trust.GenerateKey(bytes.NewReader(seed), "x", alg)
		s2, v2, err2 := trust.GenerateKey(bytes.NewReader(seed), "x", alg)
		if err1 != nil || err2 != nil || s1 != s2 || v1 != v2 {
			t.Errorf("%v: %v, %v", alg, err1, err2)
		}
		s3, v3, err := trust.GenerateKey(nil, "x", alg)
		s4, v4, err4 := trust.GenerateKey(nil, "x", alg)
		if err != nil || err4 != nil || s3 == s4 || v3 == v4 {
			t.Errorf("%v: fresh keys are equal", alg)
		}
		if _, _, err := trust.GenerateKey(bytes.NewReader(seed[1:]), "x", alg); err == nil {
			t.Errorf("%v: key of 31 bytes of randomness", alg)
		}
	}
	if _, _, err := trust.GenerateKey(nil, "x", 0x02); err == nil {
		t.Error("key of another algorithm made")
	}
}

func TestSecretKeysThatAreRefusedAreNotShown(t *testing.T) {
	secret := strings.Repeat("S", 32)
	skey, vkey, err := trust.GenerateKey(strings.NewReader(secret), "example.com/log", trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(skey, "+", 5)
	encoded := parts[4]
	encode := func(alg byte, seed string) string {
		return base64.StdEncoding.EncodeToString(append([]byte{alg}, seed...))
	}
	for name, bad := range map[string]string{
		"empty":            "",
		"vkey":             vkey,
		"newline":          skey + "\n",
		"space":            " " + skey,
		"padded":           skey + "=",
		"newline inside":   strings.Replace(skey, encoded, encoded[:10]+"\n"+encoded[10:], 1),
		"another ID":       strings.Replace(skey, parts[3], "00000000", 1),
		"ID in capitals":   strings.Replace(skey, parts[3], strings.ToUpper(parts[3])+" ", 1),
		"another name":     strings.Replace(skey, "example.com/log", "example.com/other", 1),
		"no name":          strings.Replace(skey, "example.com/log", "", 1),
		"31 bytes":         strings.Replace(skey, encoded, encode(1, secret[1:]), 1),
		"64 bytes":         strings.Replace(skey, encoded, encode(1, secret+secret), 1),
		"no seed":          strings.Replace(skey, encoded, "", 1),
		"another type":     strings.Replace(skey, encoded, encode(2, secret), 1),
		"cosigner's type":  strings.Replace(skey, encoded, encode(4, secret), 1),
		"lower case words": strings.Replace(skey, "PRIVATE+KEY", "private+key", 1),
	} {
		_, err1 := trust.NewLogSigner(bad)
		_, err2 := trust.NewCosigner(bad)
		for _, err := range []error{err1, err2} {
			if err == nil {
				t.Errorf("%s: accepted", name)
			} else if strings.Contains(err.Error(), encoded[8:24]) || strings.Contains(err.Error(), "SSSS") {
				t.Errorf("%s: the error shows the secret: %v", name, err)
			}
		}
	}
	if _, err := trust.NewCosigner(skey); err == nil {
		t.Error("a log key cosigns")
	}
	cosigner, _, err := trust.GenerateKey(nil, "example.com/log", trust.Ed25519Cosigner)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trust.NewLogSigner(cosigner); err == nil {
		t.Error("a cosigner key signs for a log")
	}
}

func TestPrintingASignerShowsNoSecret(t *testing.T) {
	secret := strings.Repeat("S", 32)
	skey, _, err := trust.GenerateKey(strings.NewReader(secret), "example.com/log", trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := trust.NewLogSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	cosigners := trusttest.NewWitness("w", trust.Ed25519Cosigner).Cosigner
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{signer, *signer, signer.NoteSigner(), cosigners, *cosigners} {
			printed := fmt.Sprintf(format, v)
			if strings.Contains(printed, "SSSS") || strings.Contains(printed, "53535353") || strings.Contains(printed, "83 83 83") || strings.Contains(printed, "0x53, 0x53") || len(printed) > 1000 {
				t.Errorf("%s: %s", format, printed)
			}
		}
	}
}

func TestRandomnessThatFailsMakesNoKey(t *testing.T) {
	_, _, err := trust.GenerateKey(failingReader{}, "x", trust.Ed25519)
	if !errors.Is(err, errNoRandomness) {
		t.Errorf("error %v", err)
	}
}

var errNoRandomness = errors.New("no randomness")

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errNoRandomness }

func TestAlgorithmsHaveNames(t *testing.T) {
	for alg, want := range map[trust.Algorithm]string{
		0x01: "Ed25519", 0x04: "Ed25519 cosignature", 0x06: "ML-DSA-44 cosignature", 0: "signature type 0x00", 0xff: "signature type 0xff",
	} {
		if got := alg.String(); got != want {
			t.Errorf("type %d is %q, want %q", byte(alg), got, want)
		}
	}
}
