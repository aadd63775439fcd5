package timestamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	digitorus "github.com/digitorus/timestamp"
)

func (a *Authority) roots(t testing.TB) *x509.CertPool {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.RootPEM()) {
		t.Fatal("RootPEM gives no certificate")
	}
	return roots
}

func TestAuthorityAnswersARequestWithATokenThatVerifies(t *testing.T) {
	a := newTestAuthority(t)
	now := testTime.Add(1234567890 * time.Nanosecond).In(time.FixedZone("east", 3600))
	serials := map[string]bool{}
	for range 20 {
		der, err := ParseResponse(a.Respond(must(Request(testDigest, testNonce)), now))
		if err != nil {
			t.Fatal(err)
		}
		token, err := Verify(der, testDigest, Options{
			Roots: a.roots(t), Nonce: testNonce, Policies: []asn1.ObjectIdentifier{DevelopmentPolicy}, NotAfter: now,
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := now.Sub(token.Time); d < 0 || d > token.Accuracy || token.Accuracy != time.Second {
			t.Errorf("asked at %s, stamped %s ± %s", now, token.Time, token.Accuracy)
		}
		if !strings.Contains(token.Signer, "not a trusted time source") {
			t.Errorf("signer %s does not say what it is", token.Signer)
		}
		if token.Serial.Sign() <= 0 || token.Serial.BitLen() < 150 || token.Serial.BitLen() > 160 || serials[token.Serial.String()] {
			t.Errorf("serial %x", token.Serial)
		}
		serials[token.Serial.String()] = true
	}
}

func TestAnotherImplementationReadsTheAuthority(t *testing.T) {
	a, err := NewAuthority(nil, time.Now()) // it judges certificates now
	if err != nil {
		t.Fatal(err)
	}
	got, err := digitorus.ParseResponse(a.Respond(must(Request(testDigest, testNonce)), time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.HashedMessage, testDigest[:]) || got.Nonce.Cmp(testNonce) != 0 || got.Accuracy != time.Second ||
		!got.Policy.Equal(DevelopmentPolicy) || len(got.Certificates) != 1 || got.Ordering {
		t.Errorf("read as %+v", got)
	}
}

func TestTokensOfAnotherImplementationVerify(t *testing.T) {
	root := certify(t, nil, "root", newP256(t), asCA)
	for name, key := range map[string]*identity{
		"P-256":    certify(t, root, "tsa", newP256(t), asTSA(t)),
		"RSA-2048": certify(t, root, "tsa", newRSA(t, 2048), asTSA(t)),
	} {
		stamp := digitorus.Timestamp{
			HashAlgorithm: crypto.SHA256,
			HashedMessage: testDigest[:], Time: testTime, Accuracy: 1500 * time.Millisecond, Policy: testPolicy,
			Nonce: testNonce, Ordering: true, AddTSACertificate: true, Qualified: true,
		}
		for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			response, err := stamp.CreateResponseWithOpts(key.cert, key.key, hash)
			if err != nil {
				t.Fatal(err)
			}
			der, err := ParseResponse(response)
			if err != nil {
				t.Fatal(err)
			}
			token, err := Verify(der, testDigest, Options{Roots: poolOf(root.cert), Nonce: testNonce})
			if err != nil {
				t.Errorf("%s, %s: %v", name, hash, err)
			} else if token.Accuracy != 1500*time.Millisecond || !token.Time.Equal(testTime) {
				t.Errorf("%s, %s: %+v", name, hash, token)
			}
		}
	}
}

func TestAuthorityRefusesBadRequestsAndSaysWhy(t *testing.T) {
	a := newTestAuthority(t)
	type request struct {
		Version    int
		Imprint    messageImprint
		Policy     asn1.ObjectIdentifier `asn1:"optional"`
		Nonce      *big.Int              `asn1:"optional"`
		CertReq    bool                  `asn1:"optional"`
		Extensions asn1.RawValue         `asn1:"optional"`
	}
	with := func(edit func(*request)) []byte {
		r := request{Version: 1, Imprint: imprintOf(oidSHA256, testDigest[:]), Nonce: testNonce, CertReq: true}
		edit(&r)
		return mustMarshal(t, r, "")
	}
	good := with(func(*request) {})
	if !bytes.Equal(good, must(Request(testDigest, testNonce))) {
		t.Fatal("this test does not write what Request writes")
	}
	for _, tt := range []struct {
		name string
		der  []byte
		want FailureInfo
	}{
		{"good", good, NoFailureInfo},
		{"our policy", with(func(r *request) { r.Policy = DevelopmentPolicy }), NoFailureInfo},
		{"no nonce", with(func(r *request) { r.Nonce = nil }), NoFailureInfo},
		{"32-byte nonce", with(func(r *request) { r.Nonce = new(big.Int).Lsh(big.NewInt(1), 255) }), NoFailureInfo},
		{"33-byte nonce", with(func(r *request) { r.Nonce = new(big.Int).Lsh(big.NewInt(1), 256) }), BadRequest},
		{"other policy", with(func(r *request) { r.Policy = testPolicy }), UnacceptedPolicy},
		{"extension", with(func(r *request) { r.Extensions = inContext(0, []byte{tagSequence, 0}) }), UnacceptedExtension},
		{"version 2", with(func(r *request) { r.Version = 2 }), BadDataFormat},
		{"SHA-1", with(func(r *request) { r.Imprint = imprintOf(oidSHA1, testDigest[:20]) }), BadAlgorithm},
		{"SHA-512", with(func(r *request) { r.Imprint = imprintOf(oidSHA512, make([]byte, 64)) }), BadAlgorithm},
		{"three-byte SHA-256", with(func(r *request) { r.Imprint = imprintOf(oidSHA256, testDigest[:3]) }), BadDataFormat},
		{"33-byte SHA-256", with(func(r *request) { r.Imprint = imprintOf(oidSHA256, make([]byte, 33)) }), BadDataFormat},
		{"empty", nil, BadDataFormat},
		{"trailing byte", append(bytes.Clone(good), 0), BadDataFormat},
		{"certReq FALSE spelt out", append(append([]byte{tagSequence, good[1]}, good[2:len(good)-1]...), 0), BadDataFormat},
		{"cut short", good[:len(good)-1], BadDataFormat},
		{"a mountain", make([]byte, MaxSize+1), BadDataFormat},
	} {
		_, err := ParseResponse(a.Respond(tt.der, testTime))
		refused := (*StatusError)(nil)
		switch {
		case tt.want == NoFailureInfo && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != NoFailureInfo && (!errors.As(err, &refused) || refused.Status != 2 || refused.Failure != tt.want):
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		case refused != nil && !strings.HasPrefix(refused.Text, developmentText):
			t.Errorf("%s: %q does not say what this TSA is", tt.name, refused.Text)
		}
	}
}

func TestWithoutCertReqTheTokenCarriesNoCertificate(t *testing.T) {
	a := newTestAuthority(t)
	request := must(Request(testDigest, testNonce))
	request = append([]byte{tagSequence, request[1] - 3}, request[2:len(request)-3]...) // certReq is last
	der, err := ParseResponse(a.Respond(request, testTime))
	if err != nil {
		t.Fatal(err)
	}
	if signed, err := parseSignedData(der); err != nil || len(signed.certificates) != 0 {
		t.Errorf("%d certificates, %v", len(signed.certificates), err)
	}
}

func TestAuthorityHasNoTimeOutsideItsCertificate(t *testing.T) {
	a := newTestAuthority(t)
	for _, tt := range []struct {
		now time.Time
		ok  bool
	}{
		{testTime.Add(-backdated - time.Second), false},
		{testTime.Add(-backdated), true},
		{testTime.AddDate(validYears, 0, 0), true},
		{testTime.AddDate(validYears, 0, 1), false},
		{time.Time{}, false},
	} {
		_, err := ParseResponse(a.Respond(must(Request(testDigest, nil)), tt.now))
		refused := (*StatusError)(nil)
		if tt.ok && err != nil || !tt.ok && (!errors.As(err, &refused) || refused.Failure != TimeNotAvailable) {
			t.Errorf("%s: %v", tt.now, err)
		}
	}
}

func TestAnAuthorityWithoutAKeyRefuses(t *testing.T) {
	for _, a := range []*Authority{nil, {}} {
		if _, err := ParseResponse(a.Respond(must(Request(testDigest, nil)), testTime)); err == nil || !strings.Contains(err.Error(), "systemFailure") {
			t.Error(err)
		}
		if _, err := a.MarshalPEM(); err == nil {
			t.Error("marshalled nothing")
		}
		if a.RootPEM() != nil {
			t.Error("a root out of nothing")
		}
	}
}

func TestParseAuthorityReadsExactlyWhatMarshalPEMWrites(t *testing.T) {
	a, b := newTestAuthority(t), newTestAuthority(t)
	text, err := a.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	const certificate = `-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n`
	if !regexp.MustCompile(`^` + certificate + certificate + `-----BEGIN PRIVATE KEY-----\n[A-Za-z0-9+/=\n]+-----END PRIVATE KEY-----\n$`).Match(text) {
		t.Errorf("the file is not two certificates and a key in PEM")
	}
	again, err := ParseAuthority(text)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ParseResponse(again.Respond(must(Request(testDigest, nil)), testTime))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(der, testDigest, Options{Roots: a.roots(t)}); err != nil {
		t.Error(err)
	}

	blocks := func(text []byte) (out [][]byte) {
		for {
			block, rest := pem.Decode(text)
			if block == nil {
				return out
			}
			out, text = append(out, pem.EncodeToMemory(block)), rest
		}
	}
	own, other := blocks(text), blocks(must(b.MarshalPEM()))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, text := range map[string][]byte{
		"empty":                 nil,
		"another's key":         join(own[0], own[1], other[2]),
		"another's root":        join(other[0], own[1], own[2]),
		"another's certificate": join(own[0], other[1], own[2]),
		"the root twice":        join(own[0], own[0], own[2]),
		"no key":                join(own[0], own[1]),
		"other order":           join(own[1], own[0], own[2]),
		"text before":           join([]byte("hello\n"), text),
		"text after":            join(text, []byte("\n")),
		"a fourth block":        join(text, own[0]),
		"CRLF":                  bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"cut short":             text[:len(text)-1],
		"a root that is none":   join(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{tagSequence, 0}}), own[1], own[2]),
		"a certificate of none": join(own[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{tagSequence, 0}}), own[2]),
		"a certificate of a CA": asTSAFile(t, func(c *x509.Certificate) { asTSA(t)(c); c.IsCA = true }),
		"one for mail":          asTSAFile(t, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }),
		"RSA key":               join(own[0], own[1], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(newRSA(t, 2048)))})),
		"certificate as key":    join(own[0], own[1], bytes.ReplaceAll(own[1], []byte("CERTIFICATE"), []byte("PRIVATE KEY"))),
	} {
		if _, err := ParseAuthority(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// asTSAFile is the file of an authority whose certificate is of the given form; honest ones are read.
func asTSAFile(t *testing.T, form func(*x509.Certificate)) []byte {
	t.Helper()
	file := func(form func(*x509.Certificate)) []byte {
		root := certify(t, nil, "root", newP256(t), asCA)
		tsa := certify(t, root, "tsa", newP256(t), form)
		a := &Authority{root: root.cert, cert: tsa.cert, key: tsa.key.(*ecdsa.PrivateKey)}
		return must(a.MarshalPEM())
	}
	if _, err := ParseAuthority(file(asTSA(t))); err != nil {
		t.Fatal(err)
	}
	return file(form)
}

// An authority without a serial number of its own would give certificates the numbers of others.
func TestAnAuthorityNeedsItsRandomness(t *testing.T) {
	for n := range 41 { // two serial numbers of 20 bytes
		_, err := NewAuthority(bytes.NewReader(bytes.Repeat([]byte{0xff}, n)), testTime)
		if (err == nil) != (n == 40) {
			t.Errorf("with %d random bytes: %v", n, err)
		}
	}
	for _, b := range []byte{0, 1, 0x7f, 0x80, 0xff} { // SPEC RFC 5280: positive, at most 20 octets
		serial, err := newSerial(bytes.NewReader(bytes.Repeat([]byte{b}, 20)))
		if err != nil || serial.Sign() <= 0 || serial.BitLen() != 159 {
			t.Errorf("serial of bytes %#x: %v, %v", b, serial, err)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	a := newTestAuthority(b)
	request := must(Request(testDigest, testNonce))
	b.ReportAllocs()
	for b.Loop() {
		a.Respond(request, testTime)
	}
}
