package timestamp

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// node is a DER element taken apart.
type node struct {
	tag  byte
	body []byte  // of a primitive element
	in   []*node // of a constructed one
}

func parseNodes(t testing.TB, der []byte) (nodes []*node) {
	t.Helper()
	for len(der) > 0 {
		full, body, ok := cutElement(der)
		if !ok {
			t.Fatalf("no DER: % x", der)
		}
		n := &node{tag: full[0], body: body}
		if full[0]&0x20 != 0 {
			n.in = parseNodes(t, body)
		}
		nodes, der = append(nodes, n), der[len(full):]
	}
	return nodes
}

func (n *node) encode() []byte {
	body := n.body
	if n.tag&0x20 != 0 {
		body = nil
		for _, inner := range n.in {
			body = append(body, inner.encode()...)
		}
	}
	head := []byte{n.tag}
	switch l := len(body); {
	case l < 0x80:
		head = append(head, byte(l))
	case l < 0x100:
		head = append(head, 0x81, byte(l))
	default:
		head = append(head, 0x82, byte(l>>8), byte(l))
	}
	return append(head, body...)
}

// each calls f with the path of every element: "0.1.0" is the first in the second in the first.
func (n *node) each(path string, f func(path string, n *node)) {
	f(path, n)
	for i, inner := range n.in {
		inner.each(fmt.Sprintf("%s.%d", path, i), f)
	}
}

// wellTrodden is a token with every part that the parser reads.
func wellTrodden(t testing.TB, bySubjectKey bool) []byte {
	w := newWorld(t)
	m := newMint(t, w.tsa)
	m.bySubjectKey = bySubjectKey
	type withPolicies struct {
		Certs    []essCertIDv2DER
		Policies []asn1.RawValue
	}
	sum := crypto.SHA256.New()
	sum.Write(w.tsa.cert.Raw)
	entry := essCertIDv2DER{Hash: sum.Sum(nil), Issuer: issuerSerialOf(w.tsa.cert)}
	m.ess = attributeDER{oidSigningCertificateV2, []any{withPolicies{[]essCertIDv2DER{entry}, []asn1.RawValue{asn1.NullRawValue}}}}
	m.editAttribute = func(list []attributeDER) []attributeDER { return append(list, essV1(w.tsa.cert)) }
	token := m.token()
	if _, err := Verify(token, testDigest, w.options()); err != nil {
		t.Fatal(err)
	}
	return token
}

// DER only, no trailing bytes. Each element of a token, a TSTInfo, a response and a
// request is given one more element, another tag, or taken out. The parsers see that before any signature.
// ENT-47
func TestNoPartOfATokenTakesOneMoreElement(t *testing.T) {
	extension := mustMarshal(t, pkix.Extension{Id: testPolicy, Value: []byte{1}}, "")
	info := mustMarshal(t, struct {
		Version    int
		Policy     asn1.ObjectIdentifier
		Imprint    messageImprint
		Serial     int
		Time       asn1.RawValue
		Accuracy   struct{ Seconds int }
		Nonce      int
		Extensions asn1.RawValue
	}{1, testPolicy, imprintOf(oidSHA256, testDigest[:]), 42, asn1.RawValue{Tag: 24, Bytes: []byte("20260314150926Z")}, struct{ Seconds int }{1}, 7,
		inContext(1, extension)}, "")
	request := mustMarshal(t, struct {
		Version int
		Imprint messageImprint
		Policy  asn1.ObjectIdentifier
		Nonce   int
		CertReq bool
	}{1, imprintOf(oidSHA256, testDigest[:]), DevelopmentPolicy, 7, true}, "")
	refusal := []byte("\x30\x0d\x30\x0b\x02\x01\x02\x30\x02\x0c\x00\x03\x02\x05\x20")
	const essOld, ess = "0.1.0.4.0.3.1.1.0", "0.1.0.4.0.3.3.1.0" // SigningCertificate and SigningCertificateV2
	for _, c := range []struct {
		name  string
		der   []byte
		parse func([]byte) error
		// What is taken as it is (certificates, names, policies of the attribute), and lists that may be longer.
		opaque, open []string
	}{
		{"token", wellTrodden(t, false), tokenError,
			[]string{"0.1.0.3.0", "0.1.0.4.0.1.0", ess + ".0.0.1.0.0.0", ess + ".1"}, []string{ess + ".0", essOld + ".0"}},
		{"token by key", wellTrodden(t, true), tokenError,
			[]string{"0.1.0.3.0", ess + ".0.0.1.0.0.0", ess + ".1"}, []string{ess + ".0", essOld + ".0"}},
		{"TSTInfo", info, func(der []byte) error { _, err := parseTSTInfo(der); return err }, nil, nil},
		{"response", response(t, wellTrodden(t, false)), func(der []byte) error { _, err := parseResponse(der); return err }, []string{"0.1"}, nil},
		{"refusal", refusal, func(der []byte) error {
			_, err := parseResponse(der)
			if _, refused := err.(*StatusError); refused {
				return nil
			}
			return err
		}, nil, nil},
		{"request", request, func(der []byte) error { _, _, err := parseRequest(der); return err }, nil, nil},
	} {
		root := parseNodes(t, c.der)[0]
		if !bytes.Equal(root.encode(), c.der) {
			t.Fatalf("%s: the test cannot take it apart", c.name)
		}
		if err := c.parse(c.der); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		refused := func(path, what string) {
			t.Helper()
			if c.parse(root.encode()) == nil {
				t.Errorf("%s: %s at %s is read", c.name, what, path)
			}
		}
		root.each("0", func(path string, n *node) {
			for _, prefix := range c.opaque {
				if strings.HasPrefix(path, prefix+".") {
					return
				}
			}
			tag := n.tag
			n.tag ^= 0x40
			refused(path, "another tag")
			n.tag = tag
			if n.tag&0x20 == 0 || slices.Contains(c.open, path) || slices.Contains(c.opaque, path) {
				return
			}
			in := n.in
			n.in = append(slices.Clone(in), &node{tag: tagOctetString})
			refused(path, "one more element")
			n.in = in
		})
	}
}

func tokenError(der []byte) error { _, err := parseSignedData(der); return err }

// RFC 5652 §11: content-type and message-digest stand in the signed attributes once.
// ENT-49
func TestAnAttributeThatStandsTwiceIsRefused(t *testing.T) {
	w := newWorld(t)
	for i, name := range []string{"content-type", "message-digest"} {
		m := newMint(t, w.tsa)
		m.editAttribute = func(list []attributeDER) []attributeDER { return append(list, list[i]) }
		if tok, err := Verify(m.token(), testDigest, w.options()); err == nil {
			t.Errorf("%s twice: %+v", name, tok)
		}
	}
}

// SPEC RFC 5652 §5.3: version 1 goes with issuerAndSerialNumber, 3 with subjectKeyIdentifier.
// ENT-48
func TestTheVersionOfASignerGoesWithItsIdentifier(t *testing.T) {
	for bySubjectKey, want := range map[bool]byte{false: 1, true: 3} {
		root := parseNodes(t, wellTrodden(t, bySubjectKey))[0]
		version := root.in[1].in[0].in[4].in[0].in[0]
		for v := range byte(6) {
			version.body = []byte{v}
			if err := tokenError(root.encode()); (err == nil) != (v == want) {
				t.Errorf("by subject key %t, version %d: %v", bySubjectKey, v, err)
			}
		}
	}
}

func TestFlagsAndParametersHaveOneForm(t *testing.T) {
	for _, body := range []string{"\x01\x01\x01", "\x01\x01\x00", "\x01\x00", "\x01\x02\xff\xff", "\x01\x02\xff\x00"} {
		r := newReader([]byte(body))
		if r.flag("flag"); *r.err == nil {
			t.Errorf("flag % x", body)
		}
	}
	oid := mustMarshal(t, oidSHA256, "")
	for params, ok := range map[string]bool{"": true, "\x05\x00": true, "\x05\x01\x00": false, "\x04\x00": false, "\x05\x00\x05\x00": false} {
		sequence := (&node{tag: tagSequence, in: parseNodes(t, append(bytes.Clone(oid), params...))}).encode()
		r := newReader(sequence)
		if r.algorithm("algorithm"); (*r.err == nil) != ok {
			t.Errorf("parameters % x: %v", params, *r.err)
		}
	}
	for _, version := range []string{"\x02\x08\x7f\xff\xff\xff\xff\xff\xff\xff", "\x02\x09\x01\x00\x00\x00\x00\x00\x00\x00\x01", "\x02\x01\xff"} {
		r := newReader([]byte(version)) // the second is 1 when cut to 64 bits
		if n := r.number(tagInteger, 1, 5, "version"); *r.err == nil {
			t.Errorf("% x is %d", version, n)
		}
	}
	huge := append([]byte("\x30\x83\x01\x00\x00"), make([]byte, 1<<16)...)
	if _, _, err := parseRequest(huge); err == nil || len(huge) <= MaxSize {
		t.Errorf("a request of %d bytes: %v", len(huge), err)
	}
}

// A buffer from elsewhere often has room behind its end, which hides a read beyond it: these have none.
// ENT-47
func TestAnElementThatSaysItIsLongerThanTheBytesIsNone(t *testing.T) {
	for length := range 0x100 {
		for _, fill := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			for more := range 5 {
				b := append([]byte{tagSequence, byte(length)}, bytes.Repeat([]byte{fill}, more)...)
				full, body, ok := cutElement(b[:len(b):len(b)])
				if short := length < 0x80 && length <= more; ok != short {
					t.Errorf("% x: %v", b, ok)
				} else if ok && (len(full) != 2+length || len(body) != length) {
					t.Errorf("% x: % x, % x", b, full, body)
				}
			}
		}
	}
	for length, head := range map[int]string{0x7f: "\x7f", 0x80: "\x81\x80", 0xff: "\x81\xff", 0x100: "\x82\x01\x00", 0xffff: "\x82\xff\xff", 0x10000: "\x83\x01\x00\x00"} {
		whole := append([]byte("\x30"+head), make([]byte, length)...)
		for n := range len(whole) + 1 {
			if n > 8 && n < len(whole)-1 && n != 1+len(head) {
				continue
			}
			if _, body, ok := cutElement(whole[:n:n]); ok != (n == len(whole)) || ok && len(body) != length {
				t.Errorf("the first %d bytes of an element of %d: %v", n, len(whole), ok)
			}
		}
	}
	for name, der := range map[string]string{
		"no byte": "", "one byte": "\x30", "a tag of several bytes": "\x1f\x01\x00", "the same, constructed": "\x3f\x01\x00",
		"a length without end": "\x30\x80\x00\x00", "16 MiB, a length in four bytes": "\x30\x84\x01\x00\x00\x00" + strings.Repeat("x", 1<<24),
		"a small length in four bytes": "\x30\x84\x00\x00\x00\x01\x00",
		"a length of 5 in two bytes":   "\x30\x81\x05\x01\x02\x03\x04\x05", "of 127": "\x30\x81\x7f" + strings.Repeat("x", 0x7f),
		"a length of 255 in three": "\x30\x82\x00\xff" + strings.Repeat("x", 0xff), "of 65535 in four": "\x30\x83\x00\xff\xff" + strings.Repeat("x", 0xffff),
	} {
		if _, _, ok := cutElement(slices.Clip([]byte(der))); ok {
			t.Errorf("%s is read", name)
		}
	}
}

func TestAnArcOfAnIdentifierThatDoesNotFitIsRefused(t *testing.T) {
	for der, want := range map[string]string{
		"\x06\x03\x2a\x03\x04":                             "1.2.3.4",
		"\x06\x06\x2a\x87\xff\xff\xff\x7f":                 "1.2.2147483647",
		"\x06\x06\x2a\x88\x80\x80\x80\x00":                 "", // 2^31
		"\x06\x0a\x2a\xff\xff\xff\xff\xff\xff\xff\xff\x7f": "",
		"\x06\x00":             "",
		"\x06\x02\x2a\x80":     "", // an arc that does not end
		"\x06\x03\x2a\x80\x01": "", // and one that begins with a zero
	} {
		r := newReader([]byte(der))
		oid := r.oid("policy")
		if got := oid.String(); (*r.err == nil) != (want != "") || want != "" && got != want {
			t.Errorf("% x: %s, %v; want %q", der, got, *r.err, want)
		}
	}
}
