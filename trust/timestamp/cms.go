package timestamp

import (
	"bytes"
	"crypto"
	"crypto/sha1" // ESSCertID of RFC 2634 names the certificate by SHA-1 and nothing else
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

var (
	oidSignedData           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}

	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}

	oidRSA         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidRSAPSS      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidRSASHA256   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidRSASHA384   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	oidRSASHA512   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidECDSASHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSASHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECDSASHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
)

// maxCertificates bounds the work of building a chain.
const maxCertificates = 16

// signedData is a CMS SignedData (RFC 5652 §5) with one signer, taken apart but not believed.
type signedData struct {
	content      []byte // eContent, the DER of a TSTInfo
	certificates []*x509.Certificate
	digests      []asn1.ObjectIdentifier
	signer       signerInfo
}

type signerInfo struct {
	issuer     []byte // DER Name, with serial; or
	serial     *big.Int
	keyID      []byte // the SubjectKeyIdentifier
	digest     asn1.ObjectIdentifier
	attributes []byte // DER of the SET OF Attribute: what the signature is over
	algorithm  asn1.ObjectIdentifier
	signature  []byte

	contentType     asn1.ObjectIdentifier
	messageDigest   []byte
	certificateIDs  []certificateID // the first entry of each signing-certificate attribute
	seenContentType bool
	seenDigest      bool
}

// certificateID is an ESSCertID (RFC 2634, SHA-1) or ESSCertIDv2 (RFC 5035).
type certificateID struct {
	hash   crypto.Hash
	sum    []byte
	issuer []byte   // DER Name; nil: no issuerSerial
	serial *big.Int // with issuer
}

// parseSignedData reads a ContentInfo that holds a SignedData. DER only, every byte accounted for.
func parseSignedData(der []byte) (*signedData, error) {
	r := newReader(der)
	info := r.enter(tagSequence, "content info")
	r.end("token")
	if oid := info.oid("content type"); !oid.Equal(oidSignedData) {
		r.fail("content type is %v, want signedData", oid)
	}
	explicit := info.enter(tagContext0, "content")
	info.end("content info")
	fields := explicit.enter(tagSequence, "signed data")
	explicit.end("content")

	s := new(signedData)
	fields.number(tagInteger, 1, 5, "signed data version")
	digests := fields.enter(tagSet, "digest algorithms")
	for digests.more() {
		s.digests = append(s.digests, digests.algorithm("digest algorithm"))
	}
	s.content = parseEncapsulated(&fields)
	if fields.has(tagContext0) {
		s.certificates = parseCertificates(fields.enter(tagContext0, "certificates"))
	}
	if fields.has(tagContext1) {
		fields.element(tagContext1, "crls") // evidence for people; revocation is not looked at here
	}
	signers := fields.enter(tagSet, "signer infos")
	s.signer = parseSignerInfo(&signers)
	// SPEC RFC 3161 §2.4.2: "The time-stamp token MUST NOT contain any signatures other than the signature of the TSA."
	signers.end("signer infos: want exactly one")
	fields.end("signed data")
	return s, *r.err
}

func parseEncapsulated(r *reader) []byte {
	encapsulated := r.enter(tagSequence, "encapsulated content")
	// SPEC RFC 3161 §2.4.2: eContentType is id-ct-TSTInfo. Without this check anything the TSA's
	// key ever signed as plain data would be a token.
	if oid := encapsulated.oid("encapsulated content type"); !oid.Equal(oidTSTInfo) {
		r.fail("encapsulated content type is %v, want id-ct-TSTInfo", oid)
	}
	explicit := encapsulated.enter(tagContext0, "encapsulated content")
	encapsulated.end("encapsulated content")
	_, content := explicit.element(tagOctetString, "encapsulated content")
	explicit.end("encapsulated content")
	return content
}

func parseCertificates(set reader) []*x509.Certificate {
	var certificates []*x509.Certificate
	for set.more() {
		full, _ := set.element(tagSequence, "certificate")
		if full == nil {
			return nil
		}
		if len(certificates) == maxCertificates {
			set.fail("more than %d certificates", maxCertificates)
			return nil
		}
		c, err := x509.ParseCertificate(full)
		if err != nil {
			set.fail("certificate %d: %w", len(certificates)+1, err)
			return nil
		}
		certificates = append(certificates, c)
	}
	return certificates
}

func parseSignerInfo(r *reader) signerInfo {
	var s signerInfo
	fields := r.enter(tagSequence, "signer info")
	version := fields.number(tagInteger, 1, 3, "signer info version")
	if fields.has(tagContext0Prim) {
		_, s.keyID = fields.element(tagContext0Prim, "signer key identifier")
	} else {
		name := fields.enter(tagSequence, "signer identifier")
		s.issuer, _ = name.element(tagSequence, "signer issuer")
		s.serial = name.integer(tagInteger, "signer serial number")
		name.end("signer identifier")
	}
	// SPEC RFC 5652 §5.3: version 1 goes with issuerAndSerialNumber, 3 with subjectKeyIdentifier.
	if *r.err == nil && version != 1 && version != 3 || (version == 3) != (s.keyID != nil) {
		r.fail("signer info version %d does not go with its signer identifier", version)
	}
	s.digest = fields.algorithm("signer digest algorithm")
	full, body := fields.element(tagContext0, "signed attributes")
	if full != nil {
		// SPEC RFC 5652 §5.4: "the IMPLICIT [0] tag … is not used for the DER encoding, rather an EXPLICIT SET OF tag is used."
		s.attributes = append([]byte{tagSet}, full[1:]...)
		s.parseAttributes(reader{rest: body, err: r.err})
	}
	s.algorithm = parseSignatureAlgorithm(&fields)
	_, s.signature = fields.element(tagOctetString, "signature")
	if fields.has(tagContext1) {
		fields.element(tagContext1, "unsigned attributes") // nobody signed them: not read
	}
	fields.end("signer info")
	return s
}

// parseSignatureAlgorithm leaves the parameters of RSASSA-PSS unread: they are not signed, and
// checkSignature allows one set of them only.
func parseSignatureAlgorithm(r *reader) asn1.ObjectIdentifier {
	peek := *r
	sequence := peek.enter(tagSequence, "signature algorithm")
	if oid := sequence.oid("signature algorithm"); !oid.Equal(oidRSAPSS) {
		return r.algorithm("signature algorithm")
	}
	if sequence.more() {
		sequence.element(tagSequence, "signature algorithm parameters")
	}
	sequence.end("signature algorithm")
	r.rest = peek.rest
	return oidRSAPSS
}

func (s *signerInfo) parseAttributes(set reader) {
	for set.more() {
		attribute := set.enter(tagSequence, "signed attribute")
		oid := attribute.oid("signed attribute type")
		values := attribute.enter(tagSet, "signed attribute values")
		attribute.end("signed attribute")
		switch {
		case oid.Equal(oidContentType):
			onlyOnce(&set, &s.seenContentType, "content-type")
			s.contentType = values.oid("content-type attribute")
		case oid.Equal(oidMessageDigest):
			onlyOnce(&set, &s.seenDigest, "message-digest")
			_, s.messageDigest = values.element(tagOctetString, "message-digest attribute")
		case oid.Equal(oidSigningCertificate):
			s.certificateIDs = append(s.certificateIDs, parseSigningCertificate(&values, false))
		case oid.Equal(oidSigningCertificateV2):
			s.certificateIDs = append(s.certificateIDs, parseSigningCertificate(&values, true))
		default:
			continue
		}
		values.end("signed attribute values")
	}
}

func onlyOnce(r *reader, seen *bool, what string) {
	if *seen {
		r.fail("two %s attributes", what)
	}
	*seen = true
}

// parseSigningCertificate reads the first ESSCertID of a SigningCertificate or SigningCertificateV2.
// The entries after it may name the issuers; the chain is checked without them.
func parseSigningCertificate(r *reader, v2 bool) certificateID {
	const what = "signing-certificate attribute"
	outer := r.enter(tagSequence, what)
	list := outer.enter(tagSequence, what)
	if outer.has(tagSequence) {
		outer.element(tagSequence, what+" policies")
	}
	outer.end(what)

	entry := list.enter(tagSequence, what)
	id := certificateID{hash: crypto.SHA1}
	if v2 {
		id.hash = crypto.SHA256
		if entry.has(tagSequence) {
			oid := entry.algorithm(what + " hash algorithm")
			if id.hash = hashByOID(oid); id.hash == 0 {
				r.fail("%s: hash algorithm %v, want SHA-256, SHA-384 or SHA-512", what, oid)
			}
		}
	}
	_, id.sum = entry.element(tagOctetString, what+" hash")
	if entry.has(tagSequence) {
		id.issuer, id.serial = parseIssuerSerial(&entry)
	}
	entry.end(what)
	return id
}

// parseIssuerSerial wants one directoryName, which is all a certificate's issuer can be.
func parseIssuerSerial(r *reader) (issuer []byte, serial *big.Int) {
	const what = "signing-certificate issuer"
	both := r.enter(tagSequence, what)
	names := both.enter(tagSequence, what)
	directory := names.enter(tagContext4, what)
	names.end(what)
	issuer, _ = directory.element(tagSequence, what)
	directory.end(what)
	serial = both.integer(tagInteger, "signing-certificate serial number")
	both.end(what)
	return issuer, serial
}

// hashByOID gives the hash functions that a token may use; 0 for any other, SHA-1 included.
func hashByOID(oid asn1.ObjectIdentifier) crypto.Hash {
	switch {
	case oid.Equal(oidSHA256):
		return crypto.SHA256
	case oid.Equal(oidSHA384):
		return crypto.SHA384
	case oid.Equal(oidSHA512):
		return crypto.SHA512
	}
	return 0
}

// signatureAlgorithms lists what a signer may use, by the hash of its digest algorithm: the
// two must agree. RSASSA-PSS is the one with MGF1 and salt of the same hash.
var signatureAlgorithms = []struct {
	oid       asn1.ObjectIdentifier
	hash      crypto.Hash
	algorithm x509.SignatureAlgorithm
}{
	{oidRSA, crypto.SHA256, x509.SHA256WithRSA},
	{oidRSA, crypto.SHA384, x509.SHA384WithRSA},
	{oidRSA, crypto.SHA512, x509.SHA512WithRSA},
	{oidRSASHA256, crypto.SHA256, x509.SHA256WithRSA},
	{oidRSASHA384, crypto.SHA384, x509.SHA384WithRSA},
	{oidRSASHA512, crypto.SHA512, x509.SHA512WithRSA},
	{oidRSAPSS, crypto.SHA256, x509.SHA256WithRSAPSS},
	{oidRSAPSS, crypto.SHA384, x509.SHA384WithRSAPSS},
	{oidRSAPSS, crypto.SHA512, x509.SHA512WithRSAPSS},
	{oidECDSASHA256, crypto.SHA256, x509.ECDSAWithSHA256},
	{oidECDSASHA384, crypto.SHA384, x509.ECDSAWithSHA384},
	{oidECDSASHA512, crypto.SHA512, x509.ECDSAWithSHA512},
}

// signerCertificate finds the embedded certificate that the signer info names.
func (s *signedData) signerCertificate() (*x509.Certificate, error) {
	for _, c := range s.certificates {
		if s.signer.keyID != nil && bytes.Equal(c.SubjectKeyId, s.signer.keyID) ||
			s.signer.issuer != nil && isIssuedAs(c, s.signer.issuer, s.signer.serial) {
			return c, nil
		}
	}
	return nil, errors.New("no certificate of the signer in the token")
}

func isIssuedAs(c *x509.Certificate, issuer []byte, serial *big.Int) bool {
	return bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0
}

// checkSignature checks that the signer's key signed the attributes, and the attributes the content.
func (s *signedData) checkSignature(signer *x509.Certificate) error {
	hash := hashByOID(s.signer.digest)
	if hash == 0 {
		return fmt.Errorf("digest algorithm %v, want SHA-256, SHA-384 or SHA-512", s.signer.digest)
	}
	if !contains(s.digests, s.signer.digest) {
		return errors.New("the signer's digest algorithm is not among those of the signed data")
	}
	if !s.signer.contentType.Equal(oidTSTInfo) {
		return errors.New("content-type attribute: want one that says id-ct-TSTInfo")
	}
	h := hash.New()
	h.Write(s.content)
	if !bytes.Equal(s.signer.messageDigest, h.Sum(nil)) {
		return errors.New("message-digest attribute is not the digest of the content")
	}
	for _, a := range signatureAlgorithms {
		if a.hash == hash && a.oid.Equal(s.signer.algorithm) {
			if err := signer.CheckSignature(a.algorithm, s.signer.attributes, s.signer.signature); err != nil {
				return fmt.Errorf("signature: %w", err)
			}
			return nil
		}
	}
	return fmt.Errorf("signature algorithm %v does not go with digest algorithm %v", s.signer.algorithm, s.signer.digest)
}

func contains(list []asn1.ObjectIdentifier, oid asn1.ObjectIdentifier) bool {
	for _, o := range list {
		if o.Equal(oid) {
			return true
		}
	}
	return false
}

// checkCertificateIDs checks that the signed attributes name the signer's certificate. Otherwise
// a token could be passed off as made under another certificate with the same key.
func (s *signedData) checkCertificateIDs(signer *x509.Certificate) error {
	// SPEC RFC 3161 §2.4.2: "The certificate identifier (ESSCertID) of the TSA certificate MUST be
	// included as a signerInfo attribute inside a SigningCertificate attribute."
	if len(s.signer.certificateIDs) == 0 {
		return errors.New("no signing-certificate attribute")
	}
	for _, id := range s.signer.certificateIDs {
		if !id.matches(signer) {
			return errors.New("signing-certificate attribute names another certificate")
		}
	}
	return nil
}

func (id certificateID) matches(c *x509.Certificate) bool {
	if id.issuer != nil && !isIssuedAs(c, id.issuer, id.serial) {
		return false
	}
	if id.hash == crypto.SHA1 {
		sum := sha1.Sum(c.Raw)
		return bytes.Equal(id.sum, sum[:])
	}
	h := id.hash.New()
	h.Write(c.Raw)
	return bytes.Equal(id.sum, h.Sum(nil))
}
