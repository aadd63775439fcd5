package timestamp

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// openssl runs `openssl ts`, the oracle of these tests.
func openssl(t testing.TB, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", append([]string{"ts"}, args...)...)
	out, err := cmd.CombinedOutput()
	return out, err
}

func needOpenSSL(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("NOT CHECKED against openssl ts: there is no openssl on this machine")
	}
}

func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func TestOpenSSLVerifiesTheAuthority(t *testing.T) {
	needOpenSSL(t)
	dir := t.TempDir()
	a, err := NewAuthority(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root := writeFile(t, dir, "root.pem", a.RootPEM())
	for _, withNonce := range []bool{true, false} {
		nonce := testNonce
		if !withNonce {
			nonce = nil
		}
		request := must(Request(testDigest, nonce))
		query := writeFile(t, dir, "q.tsq", request)
		reply := writeFile(t, dir, "r.tsr", a.Respond(request, time.Now()))
		for _, by := range [][]string{{"-queryfile", query}, {"-digest", fmt.Sprintf("%x", testDigest)}} {
			if out, err := openssl(t, append([]string{"-verify", "-in", reply, "-CAfile", root}, by...)...); err != nil {
				t.Errorf("by %s: %v\n%s", by[0], err, out)
			}
		}
		if out, err := openssl(t, "-verify", "-in", reply, "-CAfile", root, "-digest", fmt.Sprintf("%x", [32]byte{})); err == nil {
			t.Errorf("verifies over another digest:\n%s", out)
		}
	}
	refused := writeFile(t, dir, "no.tsr", a.Respond(nil, time.Now()))
	out, err := openssl(t, "-reply", "-in", refused, "-text")
	if err != nil || !strings.Contains(string(out), "Rejected") || !strings.Contains(string(out), developmentText) ||
		!strings.Contains(string(out), "the data submitted has the wrong format") {
		t.Errorf("a rejection reads as %v\n%s", err, out)
	}
}

// opensslTSA is a TSA made of files for `openssl ts -reply`.
func opensslTSA(t *testing.T, signer *identity, chain []*x509.Certificate, more string) (config string) {
	t.Helper()
	dir := t.TempDir()
	key := must(x509.MarshalPKCS8PrivateKey(signer.key))
	keyFile := writeFile(t, dir, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	cert := writeFile(t, dir, "cert.pem", pemOf(signer.cert))
	serial := writeFile(t, dir, "serial", []byte("01\n"))
	text := fmt.Sprintf(`[tsa]
default_tsa = t
[t]
serial = %s
signer_cert = %s
signer_key = %s
default_policy = 1.2.3.4.1
digests = sha256
signer_digest = sha256
%s
`, serial, cert, keyFile, more)
	if len(chain) > 0 {
		text += "certs = " + writeFile(t, dir, "chain.pem", pemOf(chain...)) + "\n"
	}
	return writeFile(t, dir, "ts.cnf", []byte(text))
}

func TestTokensOfOpenSSLVerify(t *testing.T) {
	needOpenSSL(t)
	root := certify(t, nil, "root", newP256(t), asCA)
	rsaRoot := certify(t, nil, "RSA root", newRSA(t, 2048), asCA)
	intermediate := certify(t, root, "intermediate", newP256(t), asCA)
	for _, tt := range []struct {
		name     string
		signer   *identity
		chain    []*x509.Certificate
		config   string
		accuracy time.Duration
		lacking  []*x509.Certificate // with these roots instead it must fail
	}{
		{name: "P-256", signer: certify(t, root, "tsa", newP256(t), asTSA(t))},
		{name: "RSA-2048", signer: certify(t, rsaRoot, "tsa", newRSA(t, 2048), asTSA(t))},
		{name: "accuracy, ordering, name, fractions", signer: certify(t, root, "tsa", newRSA(t, 2048), asTSA(t)),
			config:   "accuracy = secs:1, millisecs:500, microsecs:100\nordering = yes\ntsa_name = yes\nclock_precision_digits = 3",
			accuracy: 1500100 * time.Microsecond},
		{name: "accuracy in microseconds only", signer: certify(t, root, "tsa", newP256(t), asTSA(t)),
			config: "accuracy = microsecs:7\nclock_precision_digits = 6", accuracy: 7 * time.Microsecond},
		{name: "ESSCertID by SHA-1", signer: certify(t, root, "tsa", newP256(t), asTSA(t)), config: "ess_cert_id_alg = sha1"},
		{name: "ESSCertIDv2 by SHA-512", signer: certify(t, root, "tsa", newP256(t), asTSA(t)), config: "ess_cert_id_alg = sha512"},
		{name: "intermediate", signer: certify(t, intermediate, "tsa", newP256(t), asTSA(t)), chain: []*x509.Certificate{intermediate.cert}},
		{name: "intermediate and root, whole chain in ESSCertID", signer: certify(t, intermediate, "tsa", newRSA(t, 2048), asTSA(t)),
			chain: []*x509.Certificate{intermediate.cert, root.cert}, config: "ess_cert_id_chain = yes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			config := opensslTSA(t, tt.signer, tt.chain, tt.config)
			query := writeFile(t, dir, "q.tsq", must(Request(testDigest, testNonce)))
			reply := filepath.Join(dir, "r.tsr")
			before := time.Now().Add(-2 * time.Second)
			if out, err := openssl(t, "-reply", "-config", config, "-queryfile", query, "-out", reply); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			answer, err := os.ReadFile(reply)
			if err != nil {
				t.Fatal(err)
			}
			der, err := ParseResponse(answer)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Roots: poolOf(root.cert, rsaRoot.cert), Nonce: testNonce, NotAfter: time.Now().Add(time.Minute)}
			o.Policies = append(o.Policies, testPolicy)
			token, err := Verify(der, testDigest, o)
			if err != nil {
				t.Fatal(err)
			}
			if token.Accuracy != tt.accuracy || token.Time.Before(before) || token.Time.After(time.Now().Add(time.Second)) || token.Signer != "CN=tsa" {
				t.Errorf("got %+v", token)
			}
			o.Roots = poolOf(intermediateStranger(t).cert)
			if _, err := Verify(der, testDigest, o); err == nil {
				t.Error("believed under another root")
			}
		})
	}
}

func intermediateStranger(t *testing.T) *identity { return certify(t, nil, "root", newP256(t), asCA) }

func TestARefusalOfOpenSSLIsReadAsOne(t *testing.T) {
	needOpenSSL(t)
	root := certify(t, nil, "root", newP256(t), asCA)
	config := opensslTSA(t, certify(t, root, "tsa", newP256(t), asTSA(t)), nil, "")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "digests = sha256", "digests = sha512", 1))
	dir := t.TempDir()
	config = writeFile(t, dir, "ts.cnf", text)
	query := writeFile(t, dir, "q.tsq", must(Request(testDigest, testNonce)))
	reply := filepath.Join(dir, "r.tsr")
	if out, err := openssl(t, "-reply", "-config", config, "-queryfile", query, "-out", reply); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answer, err := os.ReadFile(reply)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseResponse(answer); err == nil || !strings.Contains(err.Error(), "badAlg") {
		t.Errorf("got %v", err)
	}
}

// The attacks of timestamp_test.go, as openssl sees them. What it believes and we refuse is
// marked there: mostly policy (key sizes, SHA-1, the allow-list), and DER.
func TestWhatOpenSSLRefusesWeRefuseToo(t *testing.T) {
	needOpenSSL(t)
	w := newWorld(t)
	dir := t.TempDir()
	query := writeFile(t, dir, "q.tsq", must(Request(testDigest, testNonce)))
	root := writeFile(t, dir, "root.pem", pemOf(w.root.cert))
	verify := func(token []byte, at time.Time) ([]byte, error) {
		path := writeFile(t, dir, "token", token)
		return openssl(t, "-verify", "-in", path, "-token_in", "-queryfile", query, "-CAfile", root,
			"-attime", strconv.FormatInt(at.Unix(), 10))
	}
	if out, err := verify(newMint(t, w.tsa).token(), testTime); err != nil {
		t.Fatalf("openssl refuses the good token: %v\n%s", err, out)
	}
	for _, a := range w.attacks(t) {
		token, _ := a.token(t, w)
		at := testTime
		if signed, err := parseSignedData(token); err == nil {
			if info, err := parseTSTInfo(signed.content); err == nil {
				at = info.time
			}
		}
		out, err := verify(token, at)
		if believed := err == nil; believed != a.openssl {
			t.Errorf("%s: openssl believes it: %v, the table says %v\n%s", a.name, believed, a.openssl, out)
		}
	}
}
