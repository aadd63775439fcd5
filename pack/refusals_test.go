package pack

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// oddSigner is a signer with another name, key or answer than a good one.
type oddSigner struct {
	Signer
	id  string
	key ed25519.PublicKey
	err error
	sig func(sig []byte) []byte
}

func (s oddSigner) ID() string {
	if s.id != "" {
		return s.id
	}
	return s.Signer.ID()
}

func (s oddSigner) Public() ed25519.PublicKey {
	if s.key != nil {
		return s.key
	}
	return s.Signer.Public()
}

func (s oddSigner) Sign(message []byte) ([]byte, error) {
	sig, err := s.Signer.Sign(message)
	if s.sig != nil {
		sig = s.sig(sig)
	}
	return sig, errors.Join(err, s.err)
}

func TestWhatCannotBeSignedIsNoPack(t *testing.T) {
	trouble := errors.New("the token was taken out")
	short := func(sig []byte) []byte { return sig[:63] }
	flipped := func(sig []byte) []byte { sig[10] ^= 1; return sig }
	for name, test := range map[string]struct {
		signer oddSigner
		says   string
	}{
		"a name beyond ASCII":      {oddSigner{id: "tést"}, "signer id"},
		"a name of two lines":      {oddSigner{id: "test\nsigner"}, "signer id"},
		"a name that is too long":  {oddSigner{id: strings.Repeat("x", 257)}, "signer id"},
		"a key of 31 bytes":        {oddSigner{key: testSigner.Public()[:31]}, "key of signer"},
		"a key of small order":     {oddSigner{key: make([]byte, 32)}, "key of signer"},
		"another key":              {oddSigner{key: otherSigner.Public()}, ""},
		"an error":                 {oddSigner{err: trouble}, trouble.Error()},
		"a signature of 63 bytes":  {oddSigner{sig: short}, ""},
		"a signature that is none": {oddSigner{sig: flipped}, ""},
	} {
		s := smallSpec(t)
		test.signer.Signer = testSigner
		s.Signer = test.signer
		if p, err := Build(s); err == nil || p != nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := smallSpec(t)
	s.Signer = oddSigner{Signer: testSigner}
	mustBuild(t, s)
}

// What a verifier would not read is not built.
// PCK-39
func TestWhatIsTooLargeForAVerifierIsNotBuilt(t *testing.T) {
	claims := func(n int) Spec {
		s := smallSpec(t)
		s.Cards = nil
		for i := range n {
			s.Cards = append(s.Cards, packtest.OneCard(t, "receipt_count_ge", `{"min_count": 1}`))
			card := &s.Cards[i]
			card.ID = fmt.Sprintf("card_%d", i)
			card.Claims[0].ID = fmt.Sprintf("claim_%d", i)
		}
		return s
	}
	if _, err := Build(claims(3)); err != nil {
		t.Fatal(err)
	}
	if p, err := Build(claims(claim.MaxClaims + 1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("%d claims: %v, %v", claim.MaxClaims+1, p != nil, err)
	}
	s := smallSpec(t)
	s.RunID = strings.Repeat("x", 256)
	if _, err := Build(s); err != nil {
		t.Errorf("a run id of 256 bytes: %v", err)
	}
	for name, change := range map[string]func(*Spec){
		"a run id of 257 bytes":       func(s *Spec) { s.RunID = strings.Repeat("x", 257) },
		"no run id":                   func(s *Spec) { s.RunID = "" },
		"a pack id with a newline":    func(s *Spec) { s.PackID = "pack\n1" },
		"no signer":                   func(s *Spec) { s.Signer = nil },
		"no time":                     func(s *Spec) { s.Now = time.Time{} },
		"an old shape with an expiry": func(s *Spec) { s.OldShape, s.ValidUntil = true, "2027-01-01T00:00:00+00:00" },
	} {
		s := smallSpec(t)
		change(&s)
		if p, err := Build(s); err == nil {
			t.Errorf("%s: built %v", name, p.Manifest.PackID)
		}
	}
}

// Receipts after a line that cannot be read were not counted, so nobody says that some are missing.
// VFY-22
func TestReceiptsThatWereNotReadAreNotCalledMissing(t *testing.T) {
	files := smallPack(t)
	lines := strings.SplitAfter(string(files[manifest.ReceiptsName]), "\n")
	for name, text := range map[string]string{"a first line that is none": "not JSON\n" + lines[1], "a second one": lines[0] + "not JSON\n", "a cut one": lines[0] + lines[1][:20]} {
		changed := maps.Clone(files)
		changed[manifest.ReceiptsName] = []byte(text)
		if r := wantTampered(t, name, changed); finds(r, manifest.CodePackOmission) {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
	changed := maps.Clone(files)
	changed[manifest.ReceiptsName] = []byte(lines[0])
	if r := wantTampered(t, "a line that is gone", changed); !finds(r, manifest.CodePackOmission) {
		t.Errorf("a line that is gone: %v", r.Findings)
	}
}
