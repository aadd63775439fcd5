// Package timestamp makes and verifies RFC 3161 timestamps. It opens no connection.
//
// A TimeStampToken is a CMS SignedData whose content is a TSTInfo: the time at which a
// timestamping authority (TSA) saw a digest.
//
//	ContentInfo signedData
//	  eContentType id-ct-TSTInfo
//	  eContent     TSTInfo {version 1, policy, imprint {SHA-256, digest}, serial, genTime, accuracy, nonce}
//	  certificates the TSA's and its issuers'
//	  signerInfo   signed attributes {content-type, message-digest, signing-certificate}, signature
//
// Verify believes a token only when everything in it fits together and the certificate leads to
// a root the caller has pinned. It implements RFC 3161, RFC 5816 and the parts of RFC 5652 and
// RFC 5035 they need, in DER and for SHA-256 digests only. Revocation is not looked at.
package timestamp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// MaxSize bounds requests, responses and tokens, in bytes.
const MaxSize = 64 << 10

// Options says which tokens are believed. Roots is required.
type Options struct {
	Roots    *x509.CertPool
	Policies []asn1.ObjectIdentifier // empty: any
	Nonce    *big.Int                // nil: not compared
	NotAfter time.Time               // genTime later than this is refused; zero: not checked
}

// Token is what a verified TimeStampToken says. The time is somewhere in [Time-Accuracy, Time+Accuracy].
type Token struct {
	Time     time.Time
	Accuracy time.Duration // 0: the TSA does not say
	Policy   asn1.ObjectIdentifier
	Serial   *big.Int
	Signer   string // subject of the TSA certificate
	DER      []byte
}

// By is the latest time at which what the token is about can have been made. genTime may leave out the fraction of its
// second.
func (t *Token) By() time.Time { return t.Time.Add(max(t.Accuracy, time.Second)) }

// Verify checks a DER TimeStampToken over a SHA-256 digest. The certificates are judged at the
// time the token names, so a token outlives its certificate.
func Verify(der []byte, digest [32]byte, o Options) (*Token, error) {
	t, err := verify(der, digest, o)
	if err != nil {
		return nil, fmt.Errorf("timestamp token: %w", err)
	}
	return t, nil
}

func verify(der []byte, digest [32]byte, o Options) (*Token, error) {
	if o.Roots == nil {
		return nil, errors.New("no roots to trust: Options.Roots is required")
	}
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(der), MaxSize)
	}
	signed, err := parseSignedData(der)
	if err != nil {
		return nil, err
	}
	info, err := parseTSTInfo(signed.content)
	if err != nil {
		return nil, err
	}
	if err := info.check(digest, o); err != nil {
		return nil, err
	}
	signer, err := signed.signerCertificate()
	if err != nil {
		return nil, err
	}
	if err := checkSigner(signer); err != nil {
		return nil, fmt.Errorf("certificate %q: %w", signer.Subject, err)
	}
	if err := signed.checkCertificateIDs(signer); err != nil {
		return nil, err
	}
	if err := signed.checkSignature(signer); err != nil {
		return nil, err
	}
	if err := checkChain(signer, signed.certificates, o.Roots, info.time); err != nil {
		return nil, err
	}
	return &Token{
		Time:     info.time,
		Accuracy: info.accuracy,
		Policy:   info.policy,
		Serial:   info.serial,
		Signer:   signer.Subject.String(),
		DER:      bytes.Clone(der),
	}, nil
}

func (t *tstInfo) check(digest [32]byte, o Options) error {
	switch {
	case !t.imprint.algorithm.Equal(oidSHA256):
		return fmt.Errorf("message imprint hash algorithm %v, want SHA-256", t.imprint.algorithm)
	case !bytes.Equal(t.imprint.digest, digest[:]):
		return errors.New("message imprint is another digest")
	case o.Nonce != nil && (t.nonce == nil || t.nonce.Cmp(o.Nonce) != 0):
		return errors.New("nonce is not the one of the request")
	case len(o.Policies) > 0 && !contains(o.Policies, t.policy):
		return fmt.Errorf("policy %v is not allowed", t.policy)
	case !o.NotAfter.IsZero() && t.time.After(o.NotAfter):
		return fmt.Errorf("genTime %s is after %s", t.time.Format(time.RFC3339), o.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkSigner checks what a TSA's certificate must say of itself.
func checkSigner(c *x509.Certificate) error {
	if c.IsCA {
		return errors.New("is a CA, want a certificate for timestamping only")
	}
	if err := checkKey(c); err != nil {
		return err
	}
	const may = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	// A key usage without any bit says that the key is for nothing; crypto/x509 reads it as none.
	used := slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidKeyUsage) })
	if used && (c.KeyUsage&may == 0 || c.KeyUsage&^may != 0) {
		return errors.New("key usage: want digitalSignature or nonRepudiation, and nothing else")
	}
	// SPEC RFC 3161 §2.3: "The corresponding certificate MUST contain only one instance of the
	// extended key usage field extension … with KeyPurposeID having value id-kp-timeStamping.
	// This extension MUST be critical." crypto/x509 takes a missing one for "any".
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) != 0 {
		return errors.New("extended key usage: want timeStamping and nothing else")
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidExtKeyUsage) && e.Critical {
			return nil
		}
	}
	return errors.New("extended key usage: want it critical")
}

// checkKey bounds keys from below for safety and from above for time: a modulus may fill the
// whole token, and one operation with such a key takes seconds.
func checkKey(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if bits := key.Curve.Params().BitSize; bits < 256 {
			return fmt.Errorf("%d-bit ECDSA key, want at least 256", bits)
		}
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 || bits > 8192 {
			return fmt.Errorf("%d-bit RSA key, want 2048 to 8192", bits)
		}
	default:
		return fmt.Errorf("%v key, want ECDSA or RSA", c.PublicKeyAlgorithm)
	}
	return nil
}

// checkChain builds a chain from the signer over the embedded certificates to a root, all valid at the time.
func checkChain(signer *x509.Certificate, embedded []*x509.Certificate, roots *x509.CertPool, at time.Time) error {
	intermediates := x509.NewCertPool()
	for _, c := range embedded {
		if checkKey(c) == nil {
			intermediates.AddCert(c)
		}
	}
	_, err := signer.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	return err
}
