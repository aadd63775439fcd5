package timestamp

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxRoots bounds a text of roots, in bytes.
const MaxRoots = 1 << 20

// Roots are the certificates that somebody trusts to vouch for timestamps, in the order given. There is
// at least one.
type Roots struct{ certificates []*x509.Certificate }

// ParseRoots reads PEM certificates:
//
//	whatever people write between the blocks
//	-----BEGIN CERTIFICATE-----
//	MIIDFTCCAf2gAwIBAgIUK6LfWhcQnrtIFLMecxRhFK3ciOcwDQYJKoZIhvcNAQEL
//	…
//	-----END CERTIFICATE-----
//
// It takes the whole text or none of it: who trusts three authorities must not silently trust two. Any
// other block (a private key above all), a block that is cut short, is no base64 or no certificate or
// has headers, a certificate twice, a line that is nearly the edge of a block, a byte order mark, and a
// text without any certificate are errors, which name the certificate by its number and the line.
// Lines may end in CRLF.
func ParseRoots(text []byte) (*Roots, error) {
	switch {
	case len(text) == 0:
		return nil, errors.New("it is empty, want certificates in PEM")
	case len(text) > MaxRoots:
		return nil, fmt.Errorf("%d bytes, want at most %d", len(text), MaxRoots)
	case isDERCertificate(text):
		return nil, errors.New("a certificate in DER, want PEM")
	case !bytes.Contains(text, []byte(beginEdge)):
		return nil, errors.New("no certificate in it: want blocks of PEM, -----BEGIN CERTIFICATE-----")
	}
	var r rootsReader
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if err := r.line(string(bytes.TrimRight(line, " \t\r\n"))); err != nil {
			return nil, fmt.Errorf("certificate %d: line %d: %w", len(r.certificates)+1, n, err)
		}
	}
	switch {
	case r.inside:
		return nil, fmt.Errorf("certificate %d: it has no END line: the text is cut short", len(r.certificates)+1)
	case len(r.certificates) == 0:
		return nil, errors.New("no certificate in it")
	}
	return &r.Roots, nil
}

func isDERCertificate(text []byte) bool {
	_, err := x509.ParseCertificate(text)
	return err == nil
}

const (
	beginEdge  = "-----BEGIN "
	endEdge    = "-----END "
	edgeDashes = "-----"

	beginCertificate = beginEdge + "CERTIFICATE" + edgeDashes
	endCertificate   = endEdge + "CERTIFICATE" + edgeDashes

	base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
)

// rootsReader are roots on their way.
type rootsReader struct {
	Roots
	inside bool // of a block
	body   []byte
}

// line takes the next line, without the blanks at its end.
func (r *rootsReader) line(line string) error {
	switch {
	case line == beginCertificate && !r.inside:
		r.inside, r.body = true, nil
		return nil
	case line == endCertificate && r.inside:
		r.inside = false
		return r.add(r.body)
	case r.inside:
		return r.bodyLine(line)
	}
	return outsideLine(line)
}

func (r *rootsReader) bodyLine(line string) error {
	switch {
	case strings.HasPrefix(line, edgeDashes):
		return fmt.Errorf("%.60q, want %s: the block is cut short", line, endCertificate)
	case strings.Contains(line, ":"):
		return errors.New("a header in the block, want base64 only")
	case line == "" || strings.Trim(line, base64Alphabet) != "":
		return errors.New("no base64")
	}
	r.body = append(r.body, line...)
	return nil
}

// outsideLine allows everything that nobody could have meant as a part of a block.
func outsideLine(line string) error {
	label, block := blockLabel(line)
	upper := strings.ToUpper(line)
	switch {
	case strings.Contains(line, "\ufeff"):
		return errors.New("a byte order mark: save the text as UTF-8 without one")
	case strings.ContainsRune(line, 0):
		return errors.New("a NUL byte: this is no text")
	case block && strings.Contains(label, "PRIVATE KEY"):
		return fmt.Errorf("a %.40q block: a private key does not belong here", label)
	case block:
		return fmt.Errorf("a %.40q block, want %s", label, beginCertificate)
	case line == endCertificate:
		return errors.New("the end of a block that did not begin")
	case strings.Contains(upper, strings.TrimSpace(beginEdge)), strings.Contains(upper, strings.TrimSpace(endEdge)),
		strings.Contains(line, "BEGIN CERTIFICATE"), strings.Contains(line, "END CERTIFICATE"), strings.Contains(line, "PRIVATE KEY-"):
		return fmt.Errorf("%.60q is nearly the edge of a block, want %s", line, beginCertificate)
	// The first bytes of a certificate of 256 to 65,535 bytes.
	case len(line) >= 60 && strings.HasPrefix(line, "MII") && strings.Trim(line, base64Alphabet) == "":
		return errors.New("base64 of a certificate outside of a block: its BEGIN line is missing")
	}
	return nil
}

// blockLabel is the label of a block that line begins, such as PRIVATE KEY.
func blockLabel(line string) (label string, ok bool) {
	label, begins := strings.CutPrefix(line, beginEdge)
	label, ends := strings.CutSuffix(label, edgeDashes)
	return label, begins && ends && strings.Trim(label, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") == ""
}

func (r *rootsReader) add(body []byte) error {
	der, err := base64.StdEncoding.Strict().DecodeString(string(body))
	if err != nil {
		return errors.New("what ends here is no base64")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("what ends here is no certificate: %w", err)
	}
	for i, other := range r.certificates {
		if c.Equal(other) {
			return fmt.Errorf("what ends here is certificate %d again", i+1)
		}
	}
	r.certificates = append(r.certificates, c)
	return nil
}

// Pool is what Options.Roots takes.
func (r *Roots) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range r.certificates {
		pool.AddCert(c)
	}
	return pool
}

// Certificates are the roots in the order given.
func (r *Roots) Certificates() []*x509.Certificate { return slices.Clone(r.certificates) }

// PEM is the certificates written anew: nothing of the text that they were read from, which may say
// things that are nobody's business. No roots (nil) are an empty text.
func (r *Roots) PEM() []byte {
	if r == nil {
		return nil
	}
	var text []byte
	for _, c := range r.certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}
