package trust_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
)

// ENT-15, ENT-18: no note could carry a key name with a control character.
func TestNoKeyIsMadeForANameThatNoNoteCarries(t *testing.T) {
	for _, alg := range []trust.Algorithm{trust.Ed25519, trust.Ed25519Cosigner, trust.MLDSA44Cosigner} {
		for c := range rune(0x20) {
			if _, vkey, err := trust.GenerateKey(bytes.NewReader(make([]byte, 32)), "a"+string(c)+"b", alg); err == nil {
				t.Errorf("%v: %q", alg, vkey)
			}
		}
	}
}

// ENT-40
func TestAPolicyMayBeAsLargeAsItsLimit(t *testing.T) {
	text := "quorum none\n"
	text += "#" + strings.Repeat("x", trust.MaxSize-len(text)-2) + "\n"
	if _, err := trust.ParsePolicy([]byte(text)); err != nil {
		t.Errorf("%d bytes: %v", len(text), err)
	}
	if _, err := trust.ParsePolicy([]byte(text[:len(text)-1] + "x\n")); err == nil {
		t.Errorf("%d bytes are taken", len(text)+1)
	}
}

// ENT-43
func TestAProofMayBeAsLargeAsItsLimit(t *testing.T) {
	w := newWorld()
	p := w.log.Prove(1)
	for n := trust.MaxSize/4*3 - 2048; ; n++ {
		p.Extra = make([]byte, n)
		text := p.Marshal()
		_, err := trust.ParseProof(text)
		if (err == nil) != (len(text) <= trust.MaxSize) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
		if len(text) > trust.MaxSize {
			break
		}
		n += max(0, (trust.MaxSize-len(text))/4*3-6) // to the edge, then byte by byte
	}
}

// What is one item for the writer is one for the reader, or the text is refused.
func TestNoItemOfAPolicyBecomesTwoOrNone(t *testing.T) {
	vkey := func(alg trust.Algorithm) string {
		_, vkey, err := trust.GenerateKey(nil, "example.com/k", alg)
		if err != nil {
			t.Fatal(err)
		}
		return vkey
	}
	log, witness := vkey(trust.Ed25519), vkey(trust.Ed25519Cosigner)
	for what, text := range map[string][]byte{
		"a URL in a vkey":   trust.FormatPolicy([]trust.PolicyLog{{VKey: log + " https://other.example"}}, nil, 0),
		"a tab in a vkey":   trust.FormatPolicy([]trust.PolicyLog{{VKey: log + "\thttps://other.example"}}, nil, 0),
		"a witness's URL":   trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "w", VKey: witness + " https://other.example"}}, 1),
		"a delete in a URL": trust.FormatPolicy([]trust.PolicyLog{{VKey: log, URL: "https://other.example/\x7f"}}, nil, 0),
		"an empty vkey":     trust.FormatPolicy([]trust.PolicyLog{{URL: log}}, nil, 0),
		"an empty name":     trust.FormatPolicy(nil, []trust.PolicyWitness{{VKey: "w", URL: witness}}, 1),
	} {
		if _, err := trust.ParsePolicy(text); err == nil {
			t.Errorf("%s: %s", what, text)
		}
	}
}
