package timestamp

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
)

// DevelopmentPolicy is the policy of every Authority. It lies under 2.999, the arc that ITU-T
// X.660 sets aside for examples, so nobody can take it for the promise of a real TSA.
// The certificates and the status text of each answer say the same in words.
var DevelopmentPolicy = asn1.ObjectIdentifier{2, 999, 3161, 1}

const (
	developmentName = "Assay development TSA - not a trusted time source"
	developmentRoot = "Assay development TSA root - not a trusted time source"
	developmentText = "development TSA: not a trusted time source"

	validYears   = 10
	backdated    = time.Hour // certificates begin so far before now, for clocks behind ours
	accuracySecs = 1         // covers the fraction of a second that genTime leaves out
	maxNonce     = 32        // bytes; it is echoed
)

var (
	oidKeyUsage     = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

// Authority is a development TSA: P-256, its own CA, in process. It says so in every answer.
// Several goroutines may use it.
type Authority struct {
	root, cert *x509.Certificate
	key        *ecdsa.PrivateKey // of cert; the root's is gone
}

// NewAuthority makes a CA, lets it sign one TSA certificate, and forgets the CA's key. Both
// certificates are good for ten years. random (nil: crypto/rand) gives their serial numbers;
// keys come from crypto/rand always.
func NewAuthority(random io.Reader, now time.Time) (*Authority, error) {
	a, err := newAuthority(random, now)
	if err != nil {
		return nil, fmt.Errorf("making a development TSA: %w", err)
	}
	return a, nil
}

func newAuthority(random io.Reader, now time.Time) (*Authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		Subject:  pkix.Name{CommonName: developmentRoot},
		IsCA:     true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	if root, err = signCertificate(random, root, root, &rootKey.PublicKey, rootKey, now); err != nil {
		return nil, err
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		Subject:  pkix.Name{CommonName: developmentName},
		KeyUsage: x509.KeyUsageDigitalSignature,
		// ExtKeyUsage would be written without the critical flag that RFC 3161 demands.
		ExtraExtensions: []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: usage}},
	}
	if cert, err = signCertificate(random, cert, root, &key.PublicKey, rootKey, now); err != nil {
		return nil, err
	}
	return &Authority{root: root, cert: cert, key: key}, nil
}

func signCertificate(random io.Reader, c, parent *x509.Certificate, pub *ecdsa.PublicKey, by *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, error) {
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	c.SerialNumber = serial
	c.NotBefore = now.Add(-backdated)
	c.NotAfter = now.AddDate(validYears, 0, 0)
	c.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newSerial gives a random number of 160 bits that fits the 20 octets RFC 5280 allows: the
// first bit, the sign in DER, is 0. The second is 1, so that it is never short.
func newSerial(random io.Reader) (*big.Int, error) {
	if random == nil {
		random = rand.Reader
	}
	var b [20]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:]), nil
}

// The PEM types of MarshalPEM, in order.
var authorityBlocks = [3]string{"CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"}

// MarshalPEM returns the CA certificate, the TSA certificate and the TSA's private key (PKCS #8).
// It is a secret.
func (a *Authority) MarshalPEM() ([]byte, error) {
	if a == nil || a.key == nil {
		return nil, errors.New("development TSA: no key; make one with NewAuthority")
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, fmt.Errorf("development TSA: %w", err)
	}
	var out []byte
	for i, der := range [][]byte{a.root.Raw, a.cert.Raw, key} {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: authorityBlocks[i], Bytes: der})...)
	}
	return out, nil
}

// ParseAuthority reads what MarshalPEM wrote, and nothing else.
func ParseAuthority(text []byte) (*Authority, error) {
	a, err := parseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("development TSA file: %w", err)
	}
	if again, err := a.MarshalPEM(); err != nil || !bytes.Equal(again, text) {
		return nil, errors.New("development TSA file: not as MarshalPEM writes it")
	}
	return a, nil
}

func parseAuthority(text []byte) (*Authority, error) {
	var ders [len(authorityBlocks)][]byte
	for i, want := range authorityBlocks {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil || block.Type != want {
			return nil, fmt.Errorf("block %d: want a %s", i+1, want)
		}
		ders[i] = block.Bytes
	}
	root, err := x509.ParseCertificate(ders[0])
	if err != nil {
		return nil, fmt.Errorf("CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(ders[1])
	if err != nil {
		return nil, fmt.Errorf("TSA certificate: %w", err)
	}
	private, err := x509.ParsePKCS8PrivateKey(ders[2])
	if err != nil {
		return nil, errors.New("TSA key: not PKCS #8") // x509's own words might quote the key
	}
	key, ok := private.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("TSA key: want the P-256 key of the TSA certificate")
	}
	if err := checkSigner(cert); err != nil {
		return nil, fmt.Errorf("TSA certificate: %w", err)
	}
	if err := cert.CheckSignatureFrom(root); err != nil {
		return nil, fmt.Errorf("TSA certificate: %w", err)
	}
	return &Authority{root: root, cert: cert, key: key}, nil
}

// RootPEM returns the CA certificate: what a verifier must trust, on purpose, to believe this TSA.
func (a *Authority) RootPEM() []byte {
	if a == nil || a.root == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})
}

// Respond answers a DER TimeStampReq with a DER TimeStampResp, also when the request is bad:
// then the response is a rejection that says why.
func (a *Authority) Respond(request []byte, now time.Time) []byte {
	if a == nil || a.key == nil {
		return rejection(SystemFailure, "no key")
	}
	req, failure, err := parseRequest(request)
	if err != nil {
		return rejection(failure, err.Error())
	}
	if now.Before(a.cert.NotBefore) || now.After(a.cert.NotAfter) {
		return rejection(TimeNotAvailable, "the clock is outside the validity of the TSA certificate")
	}
	token, err := a.token(req, now)
	if err != nil {
		return rejection(SystemFailure, "signing failed")
	}
	response, err := asn1.Marshal(timeStampResp{
		Status: pkiStatusInfo{Text: utf8Strings(developmentText)},
		Token:  asn1.RawValue{FullBytes: token},
	})
	if err != nil {
		return rejection(SystemFailure, "encoding failed")
	}
	return response
}

type request struct {
	imprint imprint
	nonce   *big.Int
	certReq bool
}

// parseRequest reads a TimeStampReq (RFC 3161 §2.4.1). The failure goes with the error.
func parseRequest(der []byte) (request, FailureInfo, error) {
	var q request
	if len(der) > MaxSize {
		return q, BadDataFormat, fmt.Errorf("request has %d bytes, want at most %d", len(der), MaxSize)
	}
	r := newReader(der)
	fields := r.enter(tagSequence, "request")
	r.end("request")
	fields.number(tagInteger, 1, 1, "request version")
	q.imprint = parseImprint(&fields)
	var policy asn1.ObjectIdentifier
	if fields.has(tagOID) {
		policy = fields.oid("requested policy")
	}
	if fields.has(tagInteger) {
		q.nonce = fields.integer(tagInteger, "nonce")
	}
	q.certReq = fields.flag("certReq")
	extensions := fields.has(tagContext0)
	if extensions {
		fields.element(tagContext0, "extensions")
	}
	fields.end("request")
	switch {
	case *r.err != nil:
		return q, BadDataFormat, *r.err
	case !q.imprint.algorithm.Equal(oidSHA256):
		return q, BadAlgorithm, errors.New("message imprint: want SHA-256")
	case len(q.imprint.digest) != sha256.Size:
		return q, BadDataFormat, fmt.Errorf("message imprint: %d bytes, want %d", len(q.imprint.digest), sha256.Size)
	case policy != nil && !policy.Equal(DevelopmentPolicy):
		return q, UnacceptedPolicy, fmt.Errorf("policy: want %v or none", DevelopmentPolicy)
	case q.nonce != nil && q.nonce.BitLen() > 8*maxNonce:
		return q, BadRequest, fmt.Errorf("nonce: want at most %d bytes", maxNonce)
	case extensions:
		return q, UnacceptedExtension, errors.New("extensions: none is known")
	}
	return q, NoFailureInfo, nil
}

// What Respond writes. The reading side (cms.go, tstinfo.go, response.go) does not share these:
// it reads element by element, because encoding/asn1 skips what it was not asked for.
type (
	timeStampResp struct {
		Status pkiStatusInfo
		Token  asn1.RawValue `asn1:"optional"`
	}
	pkiStatusInfo struct {
		Status  int
		Text    []asn1.RawValue // encoding/asn1 would write PrintableString for most strings
		Failure asn1.BitString  `asn1:"optional"`
	}
	tstInfoDER struct {
		Version  int
		Policy   asn1.ObjectIdentifier
		Imprint  asn1.RawValue
		Serial   *big.Int
		Time     time.Time `asn1:"generalized"`
		Accuracy accuracyDER
		Nonce    *big.Int `asn1:"optional"`
	}
	accuracyDER    struct{ Seconds int }
	contentInfoDER struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	encapsulatedDER struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	signedDataDER struct {
		Version      int
		Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
		Content      encapsulatedDER
		Certificates asn1.RawValue   `asn1:"optional"`
		Signers      []signerInfoDER `asn1:"set"`
	}
	signerInfoDER struct {
		Version    int
		Signer     issuerAndSerialDER
		Digest     pkix.AlgorithmIdentifier
		Attributes asn1.RawValue
		Algorithm  pkix.AlgorithmIdentifier
		Signature  []byte
	}
	issuerAndSerialDER struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	attributeDER struct {
		Type   asn1.ObjectIdentifier
		Values []any `asn1:"set"`
	}
	signingCertificateV2DER struct {
		Certs []essCertIDv2DER
	}
	essCertIDv2DER struct {
		Hash   []byte // by SHA-256, the default, which DER leaves out
		Issuer issuerSerialDER
	}
	issuerSerialDER struct {
		Names  []asn1.RawValue
		Serial *big.Int
	}
)

func rejection(failure FailureInfo, text string) []byte {
	bits := make([]byte, failure/8+1)
	bits[failure/8] = 0x80 >> (failure % 8)
	response, err := asn1.Marshal(timeStampResp{Status: pkiStatusInfo{
		Status:  2,
		Text:    utf8Strings(developmentText, text),
		Failure: asn1.BitString{Bytes: bits, BitLength: int(failure) + 1},
	}})
	if err != nil { // cannot be: nothing above depends on the caller
		return []byte{tagSequence, 5, tagSequence, 3, tagInteger, 1, 2}
	}
	return response
}

func utf8Strings(lines ...string) []asn1.RawValue {
	var values []asn1.RawValue
	for _, line := range lines {
		values = append(values, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(line)})
	}
	return values
}

// token signs the time. now loses its fraction: genTime <= now < genTime + accuracy.
func (a *Authority) token(req request, now time.Time) ([]byte, error) {
	serial, err := newSerial(nil)
	if err != nil {
		return nil, err
	}
	content, err := asn1.Marshal(tstInfoDER{
		Version:  1,
		Policy:   DevelopmentPolicy,
		Imprint:  asn1.RawValue{FullBytes: req.imprint.der},
		Serial:   serial,
		Time:     now.UTC(),
		Accuracy: accuracyDER{Seconds: accuracySecs},
		Nonce:    req.nonce,
	})
	if err != nil {
		return nil, err
	}
	var certificates []byte
	if req.certReq {
		certificates = a.cert.Raw
	}
	return a.sign(content, certificates)
}

// sign wraps the DER of a TSTInfo in a SignedData.
func (a *Authority) sign(content, certificates []byte) ([]byte, error) {
	attributes, err := a.attributes(content)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(attributes)
	signature, err := a.key.Sign(rand.Reader, hash[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	digest := pkix.AlgorithmIdentifier{Algorithm: oidSHA256}
	signed := signedDataDER{
		Version: 3,
		Digests: []pkix.AlgorithmIdentifier{digest},
		Content: encapsulatedDER{Type: oidTSTInfo, Content: content},
		Signers: []signerInfoDER{{
			Version: 1,
			Signer:  issuerAndSerialDER{Issuer: asn1.RawValue{FullBytes: a.cert.RawIssuer}, Serial: a.cert.SerialNumber},
			Digest:  digest,
			// The same bytes as were signed, but tagged [0].
			Attributes: asn1.RawValue{FullBytes: append([]byte{tagContext0}, attributes[1:]...)},
			Algorithm:  pkix.AlgorithmIdentifier{Algorithm: oidECDSASHA256},
			Signature:  signature,
		}},
	}
	if certificates != nil {
		signed.Certificates = inContext(0, certificates)
	}
	inner, err := asn1.Marshal(signed)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(contentInfoDER{Type: oidSignedData, Content: inContext(0, inner)})
}

// inContext is [tag] around an encoding.
func inContext(tag int, body []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: body}
}

// attributes returns the DER of the SET OF signed attributes, which encoding/asn1 sorts.
func (a *Authority) attributes(content []byte) ([]byte, error) {
	digest := sha256.Sum256(content)
	hash := sha256.Sum256(a.cert.Raw)
	id := essCertIDv2DER{Hash: hash[:], Issuer: issuerSerialDER{
		Names:  []asn1.RawValue{inContext(4, a.cert.RawIssuer)},
		Serial: a.cert.SerialNumber,
	}}
	return asn1.MarshalWithParams([]attributeDER{
		{oidContentType, []any{oidTSTInfo}},
		{oidMessageDigest, []any{digest[:]}},
		{oidSigningCertificateV2, []any{signingCertificateV2DER{Certs: []essCertIDv2DER{id}}}},
	}, "set")
}
