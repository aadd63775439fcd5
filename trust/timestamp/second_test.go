package timestamp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// judged is a token, or a file of roots, with our verdict.
type judged struct {
	Roots  []byte `json:"roots"`
	Token  []byte `json:"token,omitempty"`
	Digest []byte `json:"digest,omitempty"`
	Now    string `json:"now,omitempty"`

	what string
	said said
	free bool // the other verifier may believe what we refuse
	odd  bool // or call the certificate of a signer or a root none
}

// said is what a verifier says: what a token says, or why it is refused.
type said struct{ Time, Accuracy, Refused string }

// second collects cases for the verifier in site/verifier.
type second struct {
	cases    []judged
	good     int
	timeless bool // tokens are of any time
}

func (s *second) add(j judged) {
	s.cases = append(s.cases, j)
	if j.said.Refused == "" {
		s.good++
	}
}

func (s *second) token(what string, der []byte, roots ...*x509.Certificate) (good bool) {
	var text []byte
	for _, c := range roots {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	j, o := judged{what: what, Roots: text, Token: der, Digest: testDigest[:]}, Options{Roots: poolOf(roots...)}
	if now := testTime.Add(time.Hour); !s.timeless {
		j.Now, o.NotAfter = now.Format(time.RFC3339), now.Add(5*time.Minute)
	}
	token, err := Verify(der, testDigest, o)
	if err != nil {
		j.said.Refused = err.Error()
		// The page leaves free what becomes of embedded certificates that are not used and cannot be read.
		j.free = strings.HasPrefix(j.said.Refused, "timestamp token: certificate ")
	} else {
		j.said = said{Time: fmt.Sprint(token.Time.UnixNano()), Accuracy: fmt.Sprint(token.Accuracy.Nanoseconds())}
	}
	s.add(j)
	return err == nil
}

func (s *second) roots(what string, text []byte) {
	j := judged{what: what, Roots: text, odd: true}
	if _, err := ParseRoots(text); err != nil {
		j.said.Refused = err.Error()
		// The page leaves free which oddities of a certificate a reader refuses.
		j.free = strings.Contains(j.said.Refused, "what ends here is no certificate: ")
	}
	s.add(j)
}

// ask gives the cases to the other verifier, and says where it disagrees.
func (s *second) ask(t *testing.T) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("NOT RUN: there is no node, so nobody asked the second verifier")
	}
	modules, err := filepath.Glob("../../site/verifier/*.mjs")
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules (%v)", err)
	}
	for _, name := range append(modules, "../../conformance/second/testdata/serve.mjs") { // go test notes what is opened
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	question, err := json.Marshal(map[string]any{"op": "token", "items": s.cases})
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(node, "../../conformance/second/testdata/serve.mjs")
	c.Stdin, c.Stderr = bytes.NewReader(append(question, '\n')), os.Stderr
	out, err := c.Output()
	var answers []said
	if err != nil || json.Unmarshal(out, &answers) != nil || len(answers) != len(s.cases) {
		t.Fatalf("%v, %d answers to %d questions: %.300s", err, len(answers), len(s.cases), out)
	}
	differ := 0
	for i, got := range answers {
		j := s.cases[i]
		here := strings.HasPrefix(got.Refused, "not here: ")
		alike := (got.Refused != "") == (j.said.Refused != "") && (got.Refused != "" || got == j.said) || j.odd && (strings.Contains(got.Refused, "without the certificate of its signer") || strings.HasPrefix(got.Refused, "no certificate: "))
		if here && j.said.Refused == "" || !alike && !(j.free && got.Refused == "") {
			if differ++; differ < 20 {
				t.Errorf("%s: we say %+v, the other %+v", j.what, j.said, got)
			}
		}
	}
	t.Logf("%d cases, %d of them good", len(s.cases), s.good)
	if s.good == 0 || differ > 0 {
		t.Errorf("%d are good, %d differ", s.good, differ)
	}
}

// ENT-47, ENT-48, ENT-49, ENT-50, ENT-51, ENT-52, ENT-53, ENT-54, ENT-55: two programs that share nothing but the pages
// judge every token alike.
func TestASecondVerifierJudgesTokensAlike(t *testing.T) {
	w, s := newWorld(t), &second{}
	for _, a := range w.attacks(t) {
		token, _ := a.token(t, w)
		s.token(a.name, token, w.root.cert)
	}
	for _, kind := range w.kinds(t) {
		m := newMint(t, w.tsa)
		kind.mint(m)
		s.token(kind.name, m.token(), w.root.cert)
	}
	s.ask(t)
}

// Tokens that the openssl program made, and those that were stored.
func TestASecondVerifierJudgesTokensOfOthersAlike(t *testing.T) {
	s := &second{timeless: true}
	for _, name := range []string{foreignFile, storedTokens} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var roots []*x509.Certificate
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			switch block.Type {
			case "CERTIFICATE":
				root, err := x509.ParseCertificate(block.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				roots = append(roots, root)
			case "TIMESTAMP TOKEN":
				s.token(block.Headers["Name"], block.Bytes, roots...)
			}
		}
	}
	s.ask(t)
	if len(s.cases) < 60 || s.good < 20 {
		t.Errorf("%d tokens, %d of them good: the files are not whole", len(s.cases), s.good)
	}
}

// ENT-52, ENT-53, ENT-54
func TestASecondVerifierJudgesChainsAlike(t *testing.T) {
	s, tsa := &second{}, asTSA(t)
	ca := func(more func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) { asCA(c); more(c) }
	}
	ed25519Key := func() crypto.Signer {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	never := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 7}, Critical: true, Value: []byte{5, 0}}
	clientAuth := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	serverAuth := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 1}
	anyUse := asn1.ObjectIdentifier{2, 5, 29, 37, 0}
	for _, c := range []struct {
		name               string
		root, intermediate func(*x509.Certificate)
		rootKey, key       crypto.Signer
		leaf               func(*x509.Certificate)
		good               bool
	}{
		{name: "an honest one", good: true},
		{name: "a root that has expired", root: func(c *x509.Certificate) { c.NotAfter = testTime.Add(-time.Second) }},
		{name: "a root that expires then", root: func(c *x509.Certificate) { c.NotAfter = testTime }, good: true},
		{name: "a root that is not yet valid", root: func(c *x509.Certificate) { c.NotBefore = testTime.Add(time.Second) }},
		{name: "an intermediate that has expired", intermediate: func(c *x509.Certificate) { c.NotAfter = testTime.Add(-time.Second) }},
		{name: "a root that is no CA", root: func(c *x509.Certificate) { c.IsCA = false }},
		{name: "a root without constraints", root: func(c *x509.Certificate) { c.BasicConstraintsValid, c.IsCA = false, false }},
		{name: "an intermediate that is no CA", intermediate: func(c *x509.Certificate) { c.IsCA = false }},
		{name: "a root that signs no certificates", root: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }},
		{name: "a root of every use", root: func(c *x509.Certificate) { c.KeyUsage = 0 }, good: true},
		{name: "an intermediate that signs no certificates", intermediate: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }},
		{name: "an intermediate that does more", intermediate: func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign | x509.KeyUsageDecipherOnly }, good: true},
		{name: "a root with path length 0", root: func(c *x509.Certificate) { c.MaxPathLenZero = true }},
		{name: "a root with path length 1", root: func(c *x509.Certificate) { c.MaxPathLen = 1 }, good: true},
		{name: "an intermediate with path length 0", intermediate: func(c *x509.Certificate) { c.MaxPathLenZero = true }, good: true},
		{name: "an intermediate for servers", intermediate: func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{eku(t, false, serverAuth)} }},
		{name: "an intermediate for timestamps too", good: true,
			intermediate: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{eku(t, false, clientAuth, oidTimeStamping)}
			}},
		{name: "an intermediate for anything", intermediate: func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{eku(t, true, anyUse)} }, good: true},
		{name: "a root for clients", root: func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{eku(t, false, clientAuth)} }},
		{name: "a root for uses that nobody knows", root: func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{eku(t, false, never.Id)} }},
		{name: "a root of version 1", good: true},
		{name: "an intermediate of version 1"},
		{name: "a root with a critical extension", root: func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{never} }},
		{name: "an intermediate with a critical extension", intermediate: func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{never} }},
		{name: "a signer with a critical extension", leaf: func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, never) }},
		{name: "an intermediate with many extensions", good: true, intermediate: func(c *x509.Certificate) {
			c.OCSPServer, c.CRLDistributionPoints, c.DNSNames = []string{"http://ca.example"}, []string{"http://ca.example/crl"}, []string{"ca.example"}
			c.PolicyIdentifiers = []asn1.ObjectIdentifier{{1, 2, 3}}
		}},
		{name: "an intermediate with Ed25519", key: ed25519Key()},
		{name: "a root with Ed25519", rootKey: ed25519Key(), good: true},
		{name: "a root with P-384", rootKey: newCurve(t, elliptic.P384()), good: true},
		{name: "a root with P-521, an intermediate with P-384", rootKey: newCurve(t, elliptic.P521()), key: newCurve(t, elliptic.P384()), good: true},
		{name: "a root with RSA-1024", rootKey: newRSA(t, 1024), good: true},
		{name: "a root with RSA", rootKey: newRSA(t, 2048), key: newRSA(t, 2048), good: true},
		{name: "an intermediate signed by RSASSA-PSS", rootKey: newRSA(t, 2048), good: true,
			intermediate: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA384WithRSAPSS }},
		{name: "a signer signed by RSASSA-PSS", key: newRSA(t, 2048), good: true, leaf: func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS }},
		{name: "a signer without constraints", leaf: func(c *x509.Certificate) { c.BasicConstraintsValid = false }, good: true},
		{name: "an issuer of another key identifier", intermediate: func(c *x509.Certificate) { c.AuthorityKeyId = []byte("another") }, good: true},
	} {
		or := func(edits ...func(*x509.Certificate)) func(*x509.Certificate) {
			return func(c *x509.Certificate) {
				for _, edit := range edits {
					if edit != nil {
						edit(c)
					}
				}
			}
		}
		if c.rootKey == nil {
			c.rootKey = newP256(t)
		}
		if c.key == nil {
			c.key = newP256(t)
		}
		root := certify(t, nil, "root", c.rootKey, ca(or(c.root)))
		intermediate := certify(t, root, "intermediate", c.key, ca(or(c.intermediate)))
		if c.name == "a root of version 1" {
			root.cert = firstVersion(t, root.cert, root.key)
		}
		if c.name == "an intermediate of version 1" {
			intermediate.cert = firstVersion(t, intermediate.cert, root.key)
		}
		leaf := certify(t, intermediate, "tsa", newP256(t), or(tsa, c.leaf))
		m := newMint(t, leaf)
		m.certificates = append(m.certificates, intermediate.cert.Raw)
		for _, way := range []struct {
			name  string
			roots []*x509.Certificate
			good  bool
		}{
			{c.name, []*x509.Certificate{root.cert}, c.good},
			{c.name + ", and the intermediate is a root too", []*x509.Certificate{root.cert, intermediate.cert}, false},
			{c.name + ", only the intermediate is a root", []*x509.Certificate{intermediate.cert}, false},
			{c.name + ", the signer is a root itself", []*x509.Certificate{leaf.cert}, false},
		} {
			if got := s.token(way.name, m.token(), way.roots...); len(way.roots) == 1 && way.roots[0] == root.cert && got != way.good {
				t.Errorf("%s: believed: %t", way.name, got)
			}
		}
	}
	s.ask(t)
}

// firstVersion makes a certificate anew without its version and its extensions.
func firstVersion(t *testing.T, c *x509.Certificate, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der := parseNodes(t, c.Raw)[0]
	tbs := der.in[0]
	tbs.in = tbs.in[1 : len(tbs.in)-1]
	sum := sha256.Sum256(tbs.encode())
	signature, err := by.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der.in[2].body = append([]byte{0}, signature...)
	first, err := x509.ParseCertificate(der.encode())
	if err != nil || first.Version != 1 {
		t.Fatal(first, err)
	}
	return first
}

// ENT-56
func TestASecondVerifierReadsRootsAlike(t *testing.T) {
	s := &second{}
	for _, tt := range rootTexts(t) {
		s.roots(tt.name, []byte(tt.text))
	}
	list := authorities(t, 3)
	whole, random := []byte("# roots\n"+list[0]+"the other\n"+list[1]+"end\n"), mathrand.New(mathrand.NewPCG(3, 5))
	for _, text := range []string{"----------\n" + list[0], "--\n" + list[0], "---\n" + list[0], "----\n" + list[0], "a -----\n" + list[0], "BEGIN\n" + list[0],
		"BEGIN CERTIFICATE\n" + list[0], "-- BEGIN CERTIFICATE --\n" + list[0], "END\n" + list[0], "\u2014\u2014\u2014\n" + list[0], "\u2013 BEGIN\n" + list[0],
		"-----\n" + list[0], "=====BEGIN=====\n" + list[0], "-----BEGIN-----\n" + list[0], "----- begin certificate -----\n" + list[0], "\u2500\u2500\u2500\u2500\n" + list[0],
		"x -----BEGIN X\n" + list[0], "x-----end\n" + list[0], "----- END\n" + list[0], "the END CERTIFICATE of\n" + list[0]} {
		s.roots(fmt.Sprintf("%q", text[:20]), []byte(text))
	}
	most := 300
	if os.Getenv("ASSAY_LONG") != "" {
		most = 5000
	}
	for range most {
		changed, at := bytes.Clone(whole), random.IntN(len(whole))
		switch random.IntN(3) {
		case 0:
			changed[at] ^= 1 << random.IntN(8)
		case 1:
			changed = slices.Insert(changed, at, []byte("\n- =A\r\x00\t")[random.IntN(8)])
		default:
			changed = slices.Delete(changed, at, at+1)
		}
		s.roots(fmt.Sprintf("byte %d, %q", at, changed[max(0, at-20):min(at+20, len(changed))]), changed)
	}
	s.ask(t)
}

// A byte that was changed anywhere is refused by both, or changes nothing for both.
func TestASecondVerifierJudgesMutatedTokensAlike(t *testing.T) {
	w, s := newWorld(t), &second{}
	random, most := mathrand.New(mathrand.NewPCG(31, 61)), 100
	if os.Getenv("ASSAY_LONG") != "" {
		most = 1500
	}
	for _, kind := range w.kinds(t) {
		m := newMint(t, w.tsa)
		kind.mint(m)
		token := m.token()
		s.mutate(random, most, kind.name, token, w.root.cert)
		if kind.name == "with an intermediate and the root, leaf last" || kind.name == "unsigned attributes and CRLs" {
			s.mutate(random, 5*most, kind.name, token, w.root.cert) // much of them nobody signed
		}
	}
	s.ask(t)
}

// What a trusted authority signed may be odd as well: a TSTInfo and attributes that were changed before they were signed.
// ENT-46, ENT-47, ENT-49, ENT-51
func TestASecondVerifierJudgesWhatWasSignedOddlyAlike(t *testing.T) {
	w, s := newWorld(t), &second{}
	random, most := mathrand.New(mathrand.NewPCG(46, 51)), 400
	if os.Getenv("ASSAY_LONG") != "" {
		most = 20_000
	}
	sign := func(what string, edit func(m *mint)) {
		m := newMint(t, w.tsa)
		edit(m)
		s.token(what, m.token(), w.root.cert)
	}
	leaf := func(tag byte, body string) *node { return &node{tag: tag, body: []byte(body)} }
	replace := func(path int, with ...*node) func(*mint) {
		return func(m *mint) {
			m.editContent = func(content []byte) []byte {
				info := parseNodes(t, content)[0]
				info.in = slices.Replace(info.in, path, path+1, with...)
				return info.encode()
			}
		}
	}
	for _, text := range []string{"20260314150926Z", "20260314150926.5Z", "20260314150926.50Z", "20260314150926.Z", "20260314150926.0Z", "20260314150926.123456789Z",
		"20260314150926.1234567891Z", "20260314150926.000000001Z", "20260314150926.0000000001Z", "20260314150926,5Z", "2026031415092Z", "202603141509Z",
		"20260314150926", "20260314150926+0000", "20260314150926.5+0100", "20260314150960Z", "20260314156026Z", "20260314240000Z", "20260229000000Z", "20260431000000Z",
		"20260014000000Z", "00000314150926Z", "19700101000000Z", "19691231235959Z", "19691231235959.9Z", "99990314150926Z", "260314150926Z", " 20260314150926Z",
		"20260314150926z", "+2026031415092Z", "20260314150926.5Z ", "20260314 50926Z", "\uff12026031415092Z"} {
		sign("genTime "+text, replace(4, leaf(24, text)))
		sign("genTime as UTCTime "+text, replace(4, leaf(23, text)))
	}
	accuracy := func(in ...*node) *node { return &node{tag: tagSequence, in: in} }
	for what, parts := range map[string][]*node{
		"nothing": {}, "0 s": {leaf(2, "\x00")}, "1 s and 999 ms and 999 us": {leaf(2, "\x01"), leaf(0x80, "\x03\xe7"), leaf(0x81, "\x03\xe7")},
		"0 ms": {leaf(0x80, "\x00")}, "1000 ms": {leaf(0x80, "\x03\xe8")}, "0 us": {leaf(0x81, "\x00")}, "1000 us": {leaf(0x81, "\x03\xe8")},
		"-1 s": {leaf(2, "\xff")}, "2^31 s": {leaf(2, "\x00\x80\x00\x00\x00")}, "2^31-1 s": {leaf(2, "\x7f\xff\xff\xff")}, "2^33 s": {leaf(2, "\x02\x00\x00\x00\x00")},
		"2^40 s": {leaf(2, "\x01\x00\x00\x00\x00\x00")}, "a day": {leaf(2, "\x01\x51\x80")}, "10 years": {leaf(2, "\x12\xcc\x03\x00")}, "300 years": {leaf(2, "\x02\x34\x00\x00\x00")},
		"us before ms": {leaf(0x81, "\x01"), leaf(0x80, "\x01")}, "s twice": {leaf(2, "\x01"), leaf(2, "\x01")}, "of another tag": {leaf(0x82, "\x01")},
		"ms in a long form": {leaf(0x80, "\x00\x01")}, "empty s": {leaf(2, "")},
	} {
		sign("accuracy of "+what, replace(5, accuracy(parts...)))
	}
	sign("no accuracy", replace(5))
	for what, flag := range map[string]string{"true": "\xff", "false": "\x00", "one": "\x01", "of two bytes": "\xff\xff", "empty": ""} {
		sign("ordering "+what, replace(6, leaf(1, flag), leaf(2, "\x01")))
	}
	for range most {
		change := func(b []byte) []byte {
			b, at := bytes.Clone(b), random.IntN(len(b))
			b[at] ^= 1 << random.IntN(8)
			return b
		}
		sign("TSTInfo", func(m *mint) { m.editContent = change })
		sign("attributes", func(m *mint) { m.editSet = func(set []byte) []byte { return append(set[:1:1], change(set[1:])...) } })
	}
	s.ask(t)
}

// A trusted root may sign an odd certificate.
// ENT-52, ENT-53, ENT-54
func TestASecondVerifierJudgesOddCertificatesAlike(t *testing.T) {
	w, s := newWorld(t), &second{}
	random, most := mathrand.New(mathrand.NewPCG(52, 54)), 400
	if os.Getenv("ASSAY_LONG") != "" {
		most = 20_000
	}
	for range most {
		der := parseNodes(t, w.tsa.cert.Raw)[0]
		tbs := der.in[0].encode()
		at := random.IntN(len(tbs))
		changed := bytes.Clone(tbs)
		changed[at] ^= 1 << random.IntN(8)
		sum := sha256.Sum256(changed)
		signature, err := w.root.key.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		der.in[2].body = append([]byte{0}, signature...)
		raw := append(append(bytes.Clone(changed), der.in[1].encode()...), der.in[2].encode()...)
		raw = append([]byte{0x30, 0x82, byte(len(raw) >> 8), byte(len(raw))}, raw...)
		odd := *w.tsa.cert
		odd.Raw = raw
		if read, err := x509.ParseCertificate(raw); err == nil {
			odd = *read
		}
		s.token(fmt.Sprintf("byte %d, % x for % x", at, changed[max(0, at-6):min(len(changed), at+6)], tbs[max(0, at-6):min(len(tbs), at+6)]), newMint(t, &identity{&odd, w.tsa.key}).token(), w.root.cert)
		s.cases[len(s.cases)-1].odd = true
	}
	s.ask(t)
}

// mutate changes single bytes, and takes some out.
func (s *second) mutate(random *mathrand.Rand, n int, name string, token []byte, root *x509.Certificate) {
	for range n {
		changed, at := bytes.Clone(token), random.IntN(len(token))
		switch random.IntN(4) {
		case 0:
			changed[at] ^= 1 << random.IntN(8)
		case 1:
			changed[at] = byte(random.IntN(256))
		case 2:
			changed[at]++
		default:
			changed = slices.Delete(changed, at, at+1)
		}
		if !bytes.Equal(changed, token) {
			s.token(fmt.Sprintf("%s, byte %d: % x for % x", name, at, changed[at:min(at+2, len(changed))], token[at:min(at+2, len(token))]), changed, root)
		}
	}
}
