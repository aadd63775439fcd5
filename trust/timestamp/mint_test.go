package timestamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"sync"
	"testing"
	"time"
)

// The world of these tests: one digest, stamped on one afternoon.
var (
	testTime   = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	testDigest = sha256.Sum256([]byte("the manifest"))
	testNonce  = big.NewInt(0x5eed5eed5eed)
	testPolicy = asn1.ObjectIdentifier{1, 2, 3, 4, 1}

	oidSHA1 = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
)

// identity is a certificate with its key.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newP256(t testing.TB) crypto.Signer { return newCurve(t, elliptic.P256()) }

func newCurve(t testing.TB, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaKeys are slow to make: each size once.
var rsaKeys sync.Map

func newRSA(t testing.TB, bits int) crypto.Signer {
	t.Helper()
	if key, ok := rsaKeys.Load(bits); ok {
		return key.(crypto.Signer)
	}
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	rsaKeys.Store(bits, key)
	return key
}

func eku(t testing.TB, critical bool, usages ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	return pkix.Extension{Id: oidExtKeyUsage, Critical: critical, Value: mustMarshal(t, usages, "")}
}

func mustMarshal(t testing.TB, v any, params string) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(v, params)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var nextSerial = struct {
	sync.Mutex
	n int64
}{n: 1000}

// certify signs a certificate for the key; a nil issuer signs itself.
func certify(t testing.TB, issuer *identity, name string, key crypto.Signer, edit func(*x509.Certificate)) *identity {
	t.Helper()
	nextSerial.Lock()
	nextSerial.n++
	serial := nextSerial.n
	nextSerial.Unlock()
	c := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             testTime.AddDate(-1, 0, 0),
		NotAfter:              testTime.AddDate(20, 0, 0),
		BasicConstraintsValid: true,
		SubjectKeyId:          big.NewInt(serial << 16).Bytes(),
	}
	edit(c)
	parent, by := c, key
	if issuer != nil {
		parent, by = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert: cert, key: key}
}

func asCA(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign
}

// asTSA makes the template of an honest TSA.
func asTSA(t testing.TB) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature
		c.ExtraExtensions = []pkix.Extension{eku(t, true, oidTimeStamping)}
	}
}

// testInfo is a TSTInfo with the fields that our own authority leaves out.
type testInfo struct {
	Version    int
	Policy     asn1.ObjectIdentifier
	Imprint    asn1.RawValue
	Serial     *big.Int
	Time       time.Time `asn1:"generalized"`
	Accuracy   accuracyDER
	Nonce      *big.Int      `asn1:"optional"`
	Extensions asn1.RawValue `asn1:"optional"`
}

// mint is everything that goes into a token. newMint gives an honest one; tests bend it.
type mint struct {
	t             testing.TB
	signer        *identity
	info          testInfo
	afterInfo     []byte // behind the TSTInfo, inside the signed content
	contentType   asn1.ObjectIdentifier
	hash          crypto.Hash
	digestOID     asn1.ObjectIdentifier
	algorithm     pkix.AlgorithmIdentifier
	pss           bool
	ess           attributeDER
	certificates  [][]byte
	bySubjectKey  bool
	unsigned      []byte // [1] of the signer info
	crls          []byte // [1] of the signed data
	signers       int
	version       int
	editAttribute func([]attributeDER) []attributeDER
	editContent   func([]byte) []byte // of what is signed
	editSet       func([]byte) []byte // of the attributes, before they are signed
	editSignature func([]byte)
}

func newMint(t testing.TB, signer *identity) *mint {
	m := &mint{
		t:            t,
		signer:       signer,
		contentType:  oidTSTInfo,
		hash:         crypto.SHA256,
		digestOID:    oidSHA256,
		algorithm:    pkix.AlgorithmIdentifier{Algorithm: oidECDSASHA256},
		certificates: [][]byte{signer.cert.Raw},
		ess:          essV2(signer.cert),
		signers:      1,
		version:      3,
		info: testInfo{
			Version:  1,
			Policy:   testPolicy,
			Imprint:  asn1.RawValue{FullBytes: mustMarshal(t, imprintOf(oidSHA256, testDigest[:]), "")},
			Serial:   big.NewInt(42),
			Time:     testTime,
			Accuracy: accuracyDER{Seconds: 1},
			Nonce:    testNonce,
		},
	}
	if _, ok := signer.key.(*rsa.PrivateKey); ok {
		m.algorithm = pkix.AlgorithmIdentifier{Algorithm: oidRSA, Parameters: asn1.NullRawValue}
	}
	return m
}

func imprintOf(hash asn1.ObjectIdentifier, digest []byte) messageImprint {
	return messageImprint{
		HashAlgorithm: pkix.AlgorithmIdentifier{Algorithm: hash, Parameters: asn1.NullRawValue},
		HashedMessage: digest,
	}
}

func essV2(c *x509.Certificate) attributeDER {
	sum := sha256.Sum256(c.Raw)
	return attributeDER{oidSigningCertificateV2, []any{signingCertificateV2DER{Certs: []essCertIDv2DER{{
		Hash: sum[:], Issuer: issuerSerialOf(c),
	}}}}}
}

func issuerSerialOf(c *x509.Certificate) issuerSerialDER {
	return issuerSerialDER{Names: []asn1.RawValue{inContext(4, c.RawIssuer)}, Serial: c.SerialNumber}
}

// essV1 names a certificate by SHA-1; without issuerSerial.
func essV1(c *x509.Certificate) attributeDER {
	sum := sha1.Sum(c.Raw)
	type essCertID struct{ Hash []byte }
	return attributeDER{oidSigningCertificate, []any{struct{ Certs []essCertID }{[]essCertID{{sum[:]}}}}}
}

// essV2With names a certificate by another hash than the default; without issuerSerial.
func essV2With(c *x509.Certificate, hash crypto.Hash, oid asn1.ObjectIdentifier) attributeDER {
	h := hash.New()
	h.Write(c.Raw)
	type essCertIDv2 struct {
		Algorithm pkix.AlgorithmIdentifier
		Hash      []byte
	}
	return attributeDER{oidSigningCertificateV2, []any{struct{ Certs []essCertIDv2 }{[]essCertIDv2{{
		pkix.AlgorithmIdentifier{Algorithm: oid}, h.Sum(nil),
	}}}}}
}

// token signs whatever it was told to.
func (m *mint) token() []byte {
	t := m.t
	t.Helper()
	content := append(mustMarshal(t, m.info, ""), m.afterInfo...)
	if m.editContent != nil {
		content = m.editContent(content)
	}
	h := m.hash.New()
	h.Write(content)
	attributes := []attributeDER{
		{oidContentType, []any{m.contentType}},
		{oidMessageDigest, []any{h.Sum(nil)}},
		m.ess,
	}
	if m.editAttribute != nil {
		attributes = m.editAttribute(attributes)
	}
	set := mustMarshal(t, attributes, "set")
	if m.editSet != nil {
		set = m.editSet(set)
	}
	h = m.hash.New()
	h.Write(set)
	var options crypto.SignerOpts = m.hash
	if m.pss {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: m.hash}
	}
	signature, err := m.signer.key.Sign(rand.Reader, h.Sum(nil), options)
	if err != nil {
		t.Fatal(err)
	}
	if m.editSignature != nil {
		m.editSignature(signature)
	}
	digest := pkix.AlgorithmIdentifier{Algorithm: m.digestOID}
	sid, version := asn1.RawValue{FullBytes: mustMarshal(t, issuerAndSerialDER{
		Issuer: asn1.RawValue{FullBytes: m.signer.cert.RawIssuer}, Serial: m.signer.cert.SerialNumber,
	}, "")}, 1
	if m.bySubjectKey {
		sid, version = asn1.RawValue{Class: 2, Tag: 0, Bytes: m.signer.cert.SubjectKeyId}, 3
	}
	type signerInfoRaw struct {
		Version    int
		Signer     asn1.RawValue
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue
		Algorithm  pkix.AlgorithmIdentifier
		Signature  []byte
		Unsigned   asn1.RawValue `asn1:"optional"`
	}
	info := signerInfoRaw{
		Version: version, Signer: sid, Digest: digest,
		Attributes: asn1.RawValue{FullBytes: append([]byte{tagContext0}, set[1:]...)},
		Algorithm:  m.algorithm, Signature: signature,
	}
	if m.unsigned != nil {
		info.Unsigned = inContext(1, m.unsigned)
	}
	type signedDataRaw struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      encapsulatedDER
		Certificates asn1.RawValue   `asn1:"optional"`
		CRLs         asn1.RawValue   `asn1:"optional"`
		Signers      []signerInfoRaw `asn1:"set"`
	}
	signed := signedDataRaw{
		Version: m.version,
		Digests: []pkix.AlgorithmIdentifier{digest},
		Content: encapsulatedDER{Type: m.contentType, Content: content},
	}
	for range m.signers {
		signed.Signers = append(signed.Signers, info)
	}
	var certificates []byte
	for _, c := range m.certificates {
		certificates = append(certificates, c...)
	}
	if certificates != nil {
		signed.Certificates = inContext(0, certificates)
	}
	if m.crls != nil {
		signed.CRLs = inContext(1, m.crls)
	}
	return mustMarshal(t, contentInfoDER{Type: oidSignedData, Content: inContext(0, mustMarshal(t, signed, ""))}, "")
}

// response puts a granted status before a token.
func response(t testing.TB, token []byte) []byte {
	t.Helper()
	return mustMarshal(t, timeStampResp{Token: asn1.RawValue{FullBytes: token}}, "")
}

func poolOf(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

// slowChain is a signer whose certificate claims to be signed by an RSA key of some 220,000 bits,
// and the certificate of that key. To look at that signature takes many seconds.
func slowChain(t testing.TB) (signer *identity, issuer []byte) {
	t.Helper()
	const size = 28_000 // bytes; twice that still fits a token
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, size)), E: 1<<31 - 1}
	root := certify(t, nil, "slow", newRSA(t, 2048), asCA)
	der, err := x509.CreateCertificate(rand.Reader, root.cert, root.cert, key, root.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := certify(t, root, "tsa", newP256(t), asTSA(t))
	var parts struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(leaf.cert.Raw, &parts); err != nil {
		t.Fatal(err)
	}
	parts.Signature = asn1.BitString{Bytes: bytes.Repeat([]byte{0x5a}, size), BitLength: 8 * size}
	cert, err := x509.ParseCertificate(mustMarshal(t, parts, ""))
	if err != nil {
		t.Fatal(err)
	}
	return &identity{cert: cert, key: leaf.key}, der
}
