package timestamp

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// attack is one way to make a token that must not be believed, although its signature is good
// (unless the attack is about the signature).
type attack struct {
	name    string
	want    string // in the error
	openssl bool   // `openssl ts -verify` believes it: we are stricter
	mint    func(m *mint)
	options func(o *Options)
	mangle  func(token []byte) []byte
}

// tsaWorld is a root, an honest TSA under it, and the certificates the attacks want.
type tsaWorld struct {
	root, tsa *identity
}

func newWorld(t testing.TB) *tsaWorld {
	t.Helper()
	root := certify(t, nil, "root", newP256(t), asCA)
	return &tsaWorld{root: root, tsa: certify(t, root, "tsa", newP256(t), asTSA(t))}
}

func (w *tsaWorld) options() Options { return testOptions(poolOf(w.root.cert)) }

func testOptions(roots *x509.CertPool) Options {
	return Options{
		Roots:    roots,
		Policies: []asn1.ObjectIdentifier{testPolicy},
		Nonce:    testNonce,
		NotAfter: testTime.Add(time.Hour),
	}
}

// as signs with another certificate of the world's root, and names it everywhere.
func (w *tsaWorld) as(t testing.TB, key crypto.Signer, edit func(*x509.Certificate)) func(*mint) {
	return func(m *mint) { *m = *newMint(t, certify(t, w.root, "other", key, edit)) }
}

func (w *tsaWorld) attacks(t testing.TB) []attack {
	tsa := asTSA(t)
	with := func(more func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) { tsa(c); more(c) }
	}
	other := certify(t, w.root, "other", newP256(t), tsa)
	clientAuth := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	private := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	stranger := certify(t, nil, "root", newP256(t), asCA) // the same name, another key
	sum1 := sha1.Sum([]byte("the manifest"))
	return []attack{
		// What is signed.
		{name: "wrong imprint", want: "another digest", mint: func(m *mint) {
			m.info.Imprint.FullBytes = mustMarshal(t, imprintOf(oidSHA256, make([]byte, 32)), "")
		}},
		{name: "imprint by SHA-1", want: "want SHA-256", mint: func(m *mint) {
			m.info.Imprint.FullBytes = mustMarshal(t, imprintOf(oidSHA1, sum1[:]), "")
		}},
		{name: "imprint called SHA-512 with our digest", want: "want SHA-256", mint: func(m *mint) {
			m.info.Imprint.FullBytes = mustMarshal(t, imprintOf(oidSHA512, testDigest[:]), "")
		}},
		{name: "imprint with a prefix of our digest", want: "another digest", mint: func(m *mint) {
			m.info.Imprint.FullBytes = mustMarshal(t, imprintOf(oidSHA256, testDigest[:31]), "")
		}},
		{name: "wrong nonce", want: "nonce", mint: func(m *mint) { m.info.Nonce = big.NewInt(7) }},
		{name: "no nonce", want: "nonce", mint: func(m *mint) { m.info.Nonce = nil }},
		{name: "other policy", want: "policy 1.2.3.4.2", openssl: true, mint: func(m *mint) {
			m.info.Policy = asn1.ObjectIdentifier{1, 2, 3, 4, 2}
		}},
		{name: "TSTInfo version 2", want: "version", mint: func(m *mint) { m.info.Version = 2 }},
		{name: "trailing bytes after TSTInfo", want: "trailing", openssl: true, mint: func(m *mint) { m.afterInfo = []byte{5, 0} }},
		{name: "eContentType data", want: "id-ct-TSTInfo", mint: func(m *mint) {
			m.contentType = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
		}},

		// When.
		{name: "genTime 2099", want: "after", mint: func(m *mint) { m.info.Time = testTime.AddDate(73, 0, 0) }},
		{name: "genTime two hours ahead", want: "is after", openssl: true, mint: func(m *mint) { m.info.Time = testTime.Add(2 * time.Hour) }},
		{name: "genTime 2099 without NotAfter, when the certificate has expired", want: "expired",
			mint:    func(m *mint) { m.info.Time = testTime.AddDate(73, 0, 0) },
			options: func(o *Options) { o.NotAfter = time.Time{} }},
		{name: "genTime 2001, before the certificate", want: "not yet valid", mint: func(m *mint) { m.info.Time = testTime.AddDate(-25, 0, 0) }},
		{name: "genTime 1969", want: "genTime", openssl: true, mint: func(m *mint) { m.info.Time = testTime.AddDate(-57, 0, 0) }},
		{name: "genTime in year 1, the zero time", want: "genTime", openssl: true, mint: func(m *mint) { m.info.Time = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{name: "expired certificate", want: "expired", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.NotAfter = testTime.Add(-time.Second)
		}))},
		{name: "certificate not yet valid", want: "not yet valid", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.NotBefore = testTime.Add(time.Second)
		}))},

		// Who.
		{name: "untrusted root", want: "unknown authority", options: func(o *Options) {
			o.Roots = poolOf(certify(t, nil, "elsewhere", newP256(t), asCA).cert)
		}, openssl: true}, // openssl is given the world's root in any case
		{name: "root of the same name with another key", want: "unknown authority", mint: func(m *mint) {
			*m = *newMint(t, certify(t, stranger, "tsa", newP256(t), tsa))
		}},
		{name: "stranger who brings the root along", want: "unknown authority", mint: func(m *mint) {
			*m = *newMint(t, certify(t, stranger, "tsa", newP256(t), tsa))
			m.certificates = append(m.certificates, stranger.cert.Raw)
		}},
		{name: "no certificate", want: "no certificate", mint: func(m *mint) { m.certificates = nil }},
		{name: "only another certificate", want: "no certificate", mint: func(m *mint) { m.certificates = [][]byte{other.cert.Raw} }},
		{name: "CA as leaf", want: "is a CA", openssl: true, mint: w.as(t, newP256(t), with(func(c *x509.Certificate) { c.IsCA = true }))},
		{name: "the root itself", want: "is a CA", mint: func(m *mint) { *m = *newMint(t, w.root) }},
		{name: "no EKU", want: "extended key usage", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) { c.ExtraExtensions = nil }))},
		{name: "other EKU", want: "extended key usage", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{eku(t, true, clientAuth)}
		}))},
		{name: "extra EKU", want: "extended key usage", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{eku(t, true, oidTimeStamping, clientAuth)}
		}))},
		{name: "extra EKU nobody knows", want: "extended key usage", openssl: true, mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{eku(t, true, oidTimeStamping, private)}
		}))},
		{name: "non-critical EKU", want: "critical", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{eku(t, false, oidTimeStamping)}
		}))},
		{name: "key usage keyEncipherment", want: "key usage", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageKeyEncipherment
		}))},
		{name: "key usage digitalSignature and certSign", want: "key usage", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.KeyUsage |= x509.KeyUsageCertSign
		}))},
		{name: "key usage for nothing", want: "key usage", mint: w.as(t, newP256(t), with(func(c *x509.Certificate) {
			c.KeyUsage = 0
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidKeyUsage, Critical: true, Value: []byte{3, 2, 7, 0}})
		}))},
		{name: "RSA-1024", want: "1024-bit", openssl: true, mint: w.as(t, newRSA(t, 1024), tsa)},
		{name: "P-224", want: "224-bit", openssl: true, mint: w.as(t, newCurve(t, elliptic.P224()), tsa)},
		{name: "intermediate with RSA-1024", want: "unknown authority", openssl: true, mint: func(m *mint) {
			weak := certify(t, w.root, "weak", newRSA(t, 1024), asCA)
			*m = *newMint(t, certify(t, weak, "tsa", newP256(t), tsa))
			m.certificates = append(m.certificates, weak.cert.Raw)
		}},
		{name: "certificate issued by a TSA, not a CA", want: "unknown authority", mint: func(m *mint) {
			*m = *newMint(t, certify(t, w.tsa, "below", newP256(t), tsa))
			m.certificates = append(m.certificates, w.tsa.cert.Raw)
		}},

		// The signature.
		{name: "corrupted signature", want: "signature", mint: func(m *mint) {
			m.editSignature = func(s []byte) { s[len(s)-1] ^= 1 }
		}},
		{name: "signed by another key", want: "signature", mint: func(m *mint) { m.signer = &identity{w.tsa.cert, newP256(t)} }},
		{name: "two signer infos", want: "exactly one", mint: func(m *mint) { m.signers = 2 }},
		{name: "no signer info", want: "signer info", mint: func(m *mint) { m.signers = 0 }},
		{name: "SHA-1 digest algorithm", want: "digest algorithm", openssl: true, mint: func(m *mint) {
			m.hash, m.digestOID = crypto.SHA1, oidSHA1
			m.algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
		}},
		{name: "signature algorithm of another hash", want: "does not go with", openssl: true, mint: func(m *mint) { m.algorithm.Algorithm = oidECDSASHA512 }},
		{name: "signature algorithm of another key", want: "signature", openssl: true, mint: func(m *mint) { m.algorithm.Algorithm = oidRSASHA256 }},
		{name: "no content-type attribute", want: "content-type", openssl: true, mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { return a[1:] }
		}},
		{name: "content-type attribute says data", want: "content-type", openssl: true, mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER {
				a[0].Values = []any{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}
				return a
			}
		}},
		{name: "no message-digest attribute", want: "message-digest", mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { return append(a[:1], a[2:]...) }
		}},
		{name: "message-digest of something else", want: "message-digest", mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { a[1].Values = []any{make([]byte, 32)}; return a }
		}},
		{name: "two message-digest attributes", want: "two message-digest", openssl: true, mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { return append(a, a[1]) }
		}},
		{name: "message-digest with two values", want: "trailing", openssl: true, mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { a[1].Values = append(a[1].Values, a[1].Values[0]); return a }
		}},

		// Whose certificate the signer meant.
		{name: "no signing-certificate attribute", want: "no signing-certificate", mint: func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { return a[:2] }
		}},
		{name: "ESSCertIDv2 of another certificate", want: "another certificate", mint: func(m *mint) { m.ess = essV2(other.cert) }},
		{name: "ESSCertID of another certificate", want: "another certificate", mint: func(m *mint) { m.ess = essV1(other.cert) }},
		{name: "ESSCertIDv2 with the right hash and another serial", want: "another certificate", mint: func(m *mint) {
			value := m.ess.Values[0].(signingCertificateV2DER)
			value.Certs[0].Issuer.Serial = big.NewInt(1)
		}},
		{name: "ESSCertIDv2 with the right hash and another issuer", want: "another certificate", mint: func(m *mint) {
			value := m.ess.Values[0].(signingCertificateV2DER)
			value.Certs[0].Issuer.Names = []asn1.RawValue{inContext(4, w.tsa.cert.RawSubject)}
		}},
		{name: "ESSCertID right, ESSCertIDv2 wrong", want: "another certificate", mint: func(m *mint) {
			m.ess = essV2(other.cert)
			m.editAttribute = func(a []attributeDER) []attributeDER { return append(a, essV1(w.tsa.cert)) }
		}},
		{name: "ESSCertIDv2 by SHA-1", want: "want SHA-256", openssl: true, mint: func(m *mint) {
			m.ess = essV2With(w.tsa.cert, crypto.SHA1, oidSHA1)
		}},
		{name: "ESSCertIDv2 names the signer second", want: "another certificate", mint: func(m *mint) {
			first := essV2(other.cert).Values[0].(signingCertificateV2DER)
			second := m.ess.Values[0].(signingCertificateV2DER)
			m.ess.Values = []any{signingCertificateV2DER{Certs: append(first.Certs, second.Certs...)}}
		}},
		{name: "another certificate with the same key", want: "another certificate", mint: func(m *mint) {
			twin := certify(t, w.root, "twin", w.tsa.key, tsa)
			m.signer = twin
			m.certificates = [][]byte{twin.cert.Raw}
		}},

		// The bytes.
		{name: "trailing byte after the token", want: "trailing", openssl: true, mangle: func(b []byte) []byte { return append(b, 0) }},
		{name: "cut short", want: "DER", mangle: func(b []byte) []byte { return b[:len(b)-1] }},
		{name: "too large", want: "at most", mint: func(m *mint) { m.unsigned = make([]byte, MaxSize) }},
		{name: "seventeen certificates", want: "more than 16", openssl: true, mint: func(m *mint) {
			m.certificates = slices.Repeat(m.certificates, maxCertificates+1)
		}},
		{name: "signed data version 9", want: "version", openssl: true, mint: func(m *mint) { m.version = 9 }},
		{name: "a critical extension", want: "critical extension", openssl: true, mint: func(m *mint) {
			m.info.Extensions = inContext(1, mustMarshal(t, pkix.Extension{Id: private, Critical: true, Value: []byte{5, 0}}, ""))
		}},
	}
}

func (a attack) token(t testing.TB, w *tsaWorld) ([]byte, Options) {
	t.Helper()
	m := newMint(t, w.tsa)
	if a.mint != nil {
		a.mint(m)
	}
	token := m.token()
	if a.mangle != nil {
		token = a.mangle(token)
	}
	o := w.options()
	if a.options != nil {
		a.options(&o)
	}
	return token, o
}

// ENT-46, ENT-48, ENT-49, ENT-50, ENT-52, ENT-53, ENT-54
func TestOnlyTheGoodTokenIsBelieved(t *testing.T) {
	w := newWorld(t)
	token, err := Verify(newMint(t, w.tsa).token(), testDigest, w.options())
	if err != nil {
		t.Fatalf("good token: %v", err)
	}
	if !token.Time.Equal(testTime) || token.Accuracy != time.Second || !token.Policy.Equal(testPolicy) ||
		token.Serial.Int64() != 42 || token.Signer != "CN=tsa" {
		t.Errorf("good token says %+v", token)
	}
	names := map[string]bool{}
	for _, a := range w.attacks(t) {
		if names[a.name] {
			t.Fatalf("two attacks called %q", a.name)
		}
		names[a.name] = true
		der, o := a.token(t, w)
		token, err := Verify(der, testDigest, o)
		if err == nil {
			t.Errorf("%s: believed: %+v", a.name, token)
		} else if !strings.Contains(err.Error(), a.want) {
			t.Errorf("%s: refused for another reason: %v; want one with %q", a.name, err, a.want)
		}
	}
}

// kind is a variation that honest TSAs use.
type kind struct {
	name string
	mint func(*mint)
}

func (w *tsaWorld) kinds(t testing.TB) []kind {
	t.Helper()
	tsa := asTSA(t)
	rsa2048 := w.as(t, newRSA(t, 2048), tsa)
	intermediate := certify(t, w.root, "intermediate", newP256(t), asCA)
	under := certify(t, intermediate, "tsa", newP256(t), tsa)
	rsaWith := func(hash crypto.Hash, digest, algorithm asn1.ObjectIdentifier, pss bool) func(*mint) {
		return func(m *mint) {
			rsa2048(m)
			m.hash, m.digestOID, m.algorithm.Algorithm, m.pss = hash, digest, algorithm, pss
			if pss {
				m.algorithm.Parameters = asn1.RawValue{FullBytes: []byte{tagSequence, 0}}
			}
		}
	}
	ecWith := func(curve elliptic.Curve, hash crypto.Hash, digest, algorithm asn1.ObjectIdentifier) func(*mint) {
		return func(m *mint) {
			w.as(t, newCurve(t, curve), tsa)(m)
			m.hash, m.digestOID, m.algorithm.Algorithm = hash, digest, algorithm
		}
	}
	return []kind{
		{"P-256", func(m *mint) {}},
		{"P-384 with SHA-384", ecWith(elliptic.P384(), crypto.SHA384, oidSHA384, oidECDSASHA384)},
		{"P-521 with SHA-512", ecWith(elliptic.P521(), crypto.SHA512, oidSHA512, oidECDSASHA512)},
		{"RSA-2048", rsa2048},
		{"RSA-2048, sha256WithRSAEncryption", rsaWith(crypto.SHA256, oidSHA256, oidRSASHA256, false)},
		{"RSA-2048, sha384WithRSAEncryption", rsaWith(crypto.SHA384, oidSHA384, oidRSASHA384, false)},
		{"RSA-2048, rsaEncryption with SHA-512", rsaWith(crypto.SHA512, oidSHA512, oidRSA, false)},
		{"RSA-2048, PSS with SHA-256", rsaWith(crypto.SHA256, oidSHA256, oidRSAPSS, true)},
		{"RSA-2048, PSS with SHA-512", rsaWith(crypto.SHA512, oidSHA512, oidRSAPSS, true)},
		{"nonRepudiation", w.as(t, newP256(t), func(c *x509.Certificate) { tsa(c); c.KeyUsage = x509.KeyUsageContentCommitment })},
		{"no key usage", w.as(t, newP256(t), func(c *x509.Certificate) { tsa(c); c.KeyUsage = 0 })},
		{"certificate expired since", w.as(t, newP256(t), func(c *x509.Certificate) { tsa(c); c.NotAfter = testTime })},
		{"ESSCertID v1", func(m *mint) { m.ess = essV1(m.signer.cert) }},
		{"ESSCertID v1 and v2", func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER { return append(a, essV1(m.signer.cert)) }
		}},
		{"ESSCertIDv2 by SHA-512", func(m *mint) { m.ess = essV2With(m.signer.cert, crypto.SHA512, oidSHA512) }},
		{"ESSCertIDv2 of the chain", func(m *mint) {
			value := m.ess.Values[0].(signingCertificateV2DER)
			issuer := essV2(w.root.cert).Values[0].(signingCertificateV2DER)
			m.ess.Values = []any{signingCertificateV2DER{Certs: append(value.Certs, issuer.Certs...)}}
		}},
		{"with an intermediate", func(m *mint) {
			*m = *newMint(t, under)
			m.certificates = append(m.certificates, intermediate.cert.Raw)
		}},
		{"with an intermediate and the root, leaf last", func(m *mint) {
			*m = *newMint(t, under)
			m.certificates = [][]byte{w.root.cert.Raw, intermediate.cert.Raw, under.cert.Raw}
		}},
		{"signer by subject key identifier", func(m *mint) { m.bySubjectKey = true }},
		{"signed data version 1", func(m *mint) { m.version = 1 }},
		{"unsigned attributes and CRLs", func(m *mint) { m.unsigned, m.crls = []byte{tagSequence, 0}, []byte{tagSequence, 0} }},
		{"more signed attributes", func(m *mint) {
			m.editAttribute = func(a []attributeDER) []attributeDER {
				return append(a, attributeDER{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}, []any{testTime}})
			}
		}},
		{"a non-critical extension", func(m *mint) {
			m.info.Extensions = inContext(1, mustMarshal(t, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 3}, Value: []byte{tagSequence, 0}}, ""))
		}},
	}
}

// ENT-49, ENT-50, ENT-54
func TestGoodTokensOfEveryKindAreBelieved(t *testing.T) {
	w := newWorld(t)
	for _, tt := range w.kinds(t) {
		m := newMint(t, w.tsa)
		tt.mint(m)
		token, err := Verify(m.token(), testDigest, w.options())
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if !token.Time.Equal(testTime) {
			t.Errorf("%s: time %s", tt.name, token.Time)
		}
	}
}

func TestRootsAreRequired(t *testing.T) {
	w := newWorld(t)
	o := w.options()
	o.Roots = nil // crypto/x509 would take the system's
	if _, err := Verify(newMint(t, w.tsa).token(), testDigest, o); err == nil || !strings.Contains(err.Error(), "Roots is required") {
		t.Errorf("verified without roots: %v", err)
	}
	o.Roots = x509.NewCertPool()
	if _, err := Verify(newMint(t, w.tsa).token(), testDigest, o); err == nil {
		t.Error("verified with an empty pool")
	}
}

func TestZeroOptionsOtherThanRootsAskNothing(t *testing.T) {
	w := newWorld(t)
	m := newMint(t, w.tsa)
	m.info.Nonce = nil
	m.info.Time = testTime.AddDate(10, 0, 0)
	if _, err := Verify(m.token(), testDigest, Options{Roots: poolOf(w.root.cert)}); err != nil {
		t.Error(err)
	}
}

// Every bit of a good token is flipped. Nothing panics, and what is still believed says the same
// thing, because only bytes outside the signature can change unnoticed: the version of the signed
// data, which tells the reader which syntax to expect and nothing else; in a token that brings the
// root along, that copy of it, which the pinned one outranks; and unsigned attributes and CRLs,
// which nobody reads.
// ENT-47
func TestAFlippedBitIsRefusedOrChangesNothing(t *testing.T) {
	w := newWorld(t)
	full := newMint(t, w.tsa)
	full.certificates = append(full.certificates, w.root.cert.Raw)
	full.unsigned = bytes.Repeat([]byte{0xaa}, 16)
	for name, token := range map[string][]byte{
		"plain": newMint(t, w.tsa).token(),
		"full":  full.token(),
	} {
		version := bytes.Index(token, []byte{tagInteger, 1, 3, tagSet}) + 2
		rootAt, rootEnd := -1, -1
		if i := bytes.Index(token, w.root.cert.Raw); i >= 0 {
			rootAt, rootEnd = i, i+len(w.root.cert.Raw)
		}
		unsignedAt := bytes.Index(token, full.unsigned)
		believed := 0
		for i := range token {
			for bit := range 8 {
				mutant := bytes.Clone(token)
				mutant[i] ^= 1 << bit
				got, err := Verify(mutant, testDigest, w.options())
				if err != nil {
					continue
				}
				believed++
				if !got.Time.Equal(testTime) || got.Accuracy != time.Second || got.Serial.Int64() != 42 ||
					!got.Policy.Equal(testPolicy) || got.Signer != "CN=tsa" {
					t.Errorf("%s: bit %d of byte %d: believed and says %+v", name, bit, i, got)
				}
				unread := i == version || rootAt <= i && i < rootEnd || unsignedAt >= 0 && unsignedAt <= i && i < unsignedAt+16
				if !unread {
					t.Errorf("%s: bit %d of byte %d is signed or read, and its flip is believed", name, bit, i)
				}
			}
		}
		if believed == 0 {
			t.Errorf("%s: not even the version byte could change: this test looks at nothing", name)
		}
		t.Logf("%s: %d of %d mutants believed, all alike", name, believed, 8*len(token))
	}
}

// ENT-47
func TestEveryPrefixIsRefused(t *testing.T) {
	w := newWorld(t)
	token := newMint(t, w.tsa).token()
	for n := range token {
		if _, err := Verify(token[:n], testDigest, w.options()); err == nil {
			t.Errorf("the first %d bytes of %d are believed", n, len(token))
		}
	}
}

// ENT-53
func TestAHugeRSAKeyCostsNoTime(t *testing.T) {
	w := newWorld(t)
	signer, issuer := slowChain(t)
	m := newMint(t, signer)
	m.certificates = append(m.certificates, issuer)
	token := m.token()
	_, err := Verify(token, testDigest, w.options())
	if err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("want unknown authority, got %v", err)
	}
	// So says crypto/x509 of a key that it has tried: seconds each time, and no clock has to measure them.
	if err != nil && strings.Contains(err.Error(), "crypto/rsa") {
		t.Errorf("the key was tried: %v", err)
	}
}

// ENT-51
func TestGenTimeIsDERInUTC(t *testing.T) {
	for text, ok := range map[string]bool{
		"20260314150926Z":            true,
		"20260314150926.5Z":          true,
		"20260314150926.123456789Z":  true,
		"20260314150926.50Z":         false, // DER has no trailing zeros
		"20260314150926.0Z":          false,
		"20260314150926.Z":           false,
		"20260314150926,5Z":          false,
		"20260314150926.1234567891Z": false,
		"20260314150926":             false,
		"20260314150926+0000":        false,
		"20260314150926-0100":        false,
		"202603141509Z":              false,
		"260314150926Z":              false,
		"20260314150960Z":            false,
		"20260230150926Z":            false,
		"2026031415092 Z":            false,
		"19691231235959Z":            false,
		"00010101000000Z":            false,
		"":                           false,
	} {
		r := newReader(append([]byte{tagGeneralizedTime, byte(len(text))}, text...))
		got := parseGenTime(&r)
		if (*r.err == nil) != ok {
			t.Errorf("%q: %v, %v", text, got, *r.err)
		}
	}
}

// ENT-51
func TestAccuracyAddsUpSecondsMillisAndMicros(t *testing.T) {
	for _, tt := range []struct {
		der  string
		want time.Duration // -1: refused
	}{
		{"", 0},
		{"\x02\x01\x01", time.Second},
		{"\x02\x01\x00", 0},
		{"\x80\x02\x01\xf4", 500 * time.Millisecond},
		{"\x81\x01\x64", 100 * time.Microsecond},
		{"\x02\x01\x01\x80\x02\x01\xf4\x81\x01\x64", time.Second + 500*time.Millisecond + 100*time.Microsecond},
		{"\x02\x04\x7f\xff\xff\xff", (1<<31 - 1) * time.Second},
		{"\x02\x05\x00\x80\x00\x00\x00", -1},
		{"\x02\x01\xff", -1},
		{"\x80\x02\x03\xe8", -1},
		{"\x81\x02\x03\xe8", -1},
		{"\x81\x01\x64\x80\x01\x01", -1},
		{"\x02\x02\x00\x01", -1},
		{"\x80\x00", -1},
	} {
		r := newReader([]byte(tt.der))
		got := parseAccuracy(r)
		if *r.err != nil {
			got = -1
		}
		if got != tt.want {
			t.Errorf("% x: %v, want %v (%v)", tt.der, got, tt.want, *r.err)
		}
	}
}

// ENT-47
func TestLengthsAreInTheirShortestForm(t *testing.T) {
	body := bytes.Repeat([]byte{7}, 300)
	for _, tt := range []struct {
		head string
		n    int // bytes of body taken; -1: refused
	}{
		{"\x04\x00", 0},
		{"\x04\x7f", 127},
		{"\x04\x81\x80", 128},
		{"\x04\x82\x01\x00", 256},
		{"\x04\x81\x7f", -1},     // fits the short form
		{"\x04\x82\x00\x80", -1}, // fits one byte
		{"\x04\x83\x00\x01\x00", -1},
		{"\x04\x80", -1}, // indefinite
		{"\x04\x84\x00\x00\x00\x01", -1},
		{"\x04\xff", -1},
		{"\x04\x82\x01", -1},
		{"\x1f\x04", -1}, // a tag of several bytes
		{"\x04", -1},
		{"", -1},
	} {
		input := []byte(tt.head)
		if len(tt.head) > 1 && tt.head != "\x04\x82\x01" {
			input = append(input, body...)
		}
		_, got, ok := cutElement(input)
		if n := len(got); ok && n != tt.n || !ok && tt.n != -1 {
			t.Errorf("% x: %d bytes, %v; want %d", tt.head, n, ok, tt.n)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	token, o := newMint(b, w.tsa).token(), w.options()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(token, testDigest, o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyRSA2048WithIntermediate(b *testing.B) {
	w := newWorld(b)
	intermediate := certify(b, w.root, "intermediate", newP256(b), asCA)
	m := newMint(b, certify(b, intermediate, "tsa", newRSA(b, 2048), asTSA(b)))
	m.certificates = append(m.certificates, intermediate.cert.Raw)
	token, o := m.token(), w.options()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(token, testDigest, o); err != nil {
			b.Fatal(err)
		}
	}
}

// RFC 5652: the certificates are a set. The signer's may stand anywhere in it, and others may lack what
// a signer info can name.
// ENT-52
func TestTheSignersCertificateIsFoundWhereverItStands(t *testing.T) {
	w := newWorld(t)
	bare := certify(t, w.root, "bare", newP256(t), func(c *x509.Certificate) { asTSA(t)(c); c.SubjectKeyId = nil })
	if len(bare.cert.SubjectKeyId) != 0 {
		t.Fatal("the test wants a certificate without a key identifier")
	}
	sibling := certify(t, w.root, "tsa", newP256(t), asTSA(t)) // the same issuer and name
	for name, before := range map[string][][]byte{
		"nothing":              nil,
		"the CA":               {w.root.cert.Raw},
		"one without a key ID": {bare.cert.Raw},
		"its sibling":          {sibling.cert.Raw},
		"all of them":          {bare.cert.Raw, sibling.cert.Raw, w.root.cert.Raw},
	} {
		for _, bySubjectKey := range []bool{false, true} {
			m := newMint(t, w.tsa)
			m.bySubjectKey = bySubjectKey
			m.certificates = append(slices.Clone(before), w.tsa.cert.Raw)
			if _, err := Verify(m.token(), testDigest, w.options()); err != nil {
				t.Errorf("after %s, by key %t: %v", name, bySubjectKey, err)
			}
			m.certificates = before
			if token, err := Verify(m.token(), testDigest, w.options()); err == nil || !strings.Contains(err.Error(), "no certificate") {
				t.Errorf("only %s, by key %t: %+v, %v", name, bySubjectKey, token, err)
			}
		}
	}
}
