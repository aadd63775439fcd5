package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// aged is when the packs of these tests were made: all certificates of their time have expired.
var aged = time.Date(2012, 3, 4, 5, 6, 7, 0, time.UTC)

type agedSigner struct{ key ed25519.PrivateKey }

func (s agedSigner) ID() string { return "aged" }

func (s agedSigner) Public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func (s agedSigner) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func certificate(t *testing.T, der []byte) *x509.Certificate {
	return mustDo(x509.ParseCertificate(der))(t)
}

func mustDo[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// chainOf makes a root, an intermediate and the authority that it vouches for, all valid for an hour.
func chainOf(t *testing.T, at time.Time) (authority *timestamp.Authority, root, intermediate []byte) {
	t.Helper()
	issue := func(name string, ca bool, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key := mustDo(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: name}, NotBefore: at.Add(-time.Hour / 2), NotAfter: at.Add(time.Hour / 2),
			BasicConstraintsValid: true, IsCA: ca, KeyUsage: x509.KeyUsageCertSign}
		if !ca {
			c.KeyUsage = x509.KeyUsageDigitalSignature
			usage := mustDo(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))(t)
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}
		}
		if parent == nil {
			parent, by = c, key
		}
		return mustDo(x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by))(t), key
	}
	rootDER, rootKey := issue("an aged root", true, nil, nil)
	middleDER, middleKey := issue("an aged intermediate", true, certificate(t, rootDER), rootKey)
	leafDER, leafKey := issue("an aged TSA", false, certificate(t, middleDER), middleKey)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: mustDo(x509.MarshalPKCS8PrivateKey(leafKey))(t)})
	root, intermediate = certificatePEM(rootDER), certificatePEM(middleDER)
	return mustDo(timestamp.ParseAuthority([]byte(string(intermediate) + string(certificatePEM(leafDER)) + string(secret))))(t), root, intermediate
}

func TestRootsAskForATimeAndTheLogIsAFactOfItsOwn(t *testing.T) {
	w := newWorld(t)
	authority, root, intermediate := chainOf(t, aged)
	_, stranger, _ := chainOf(t, aged)
	w.write("roots", append(root, intermediate...))
	w.write("stranger", stranger)
	w.agedPack("good", authority, aged.Add(time.Minute))
	w.agedPack("bare", nil, aged.Add(time.Minute))
	w.agedPack("early", authority, aged.Add(-10*time.Minute))
	old, oldRoot, _ := func() (*timestamp.Authority, []byte, error) {
		a, err := timestamp.NewAuthority(nil, aged.AddDate(-1, 0, 0))
		return a, a.RootPEM(), err
	}()
	w.write("old", oldRoot)
	w.agedPack("months", old, aged.AddDate(0, -3, 0))
	for _, test := range []struct {
		args  string
		code  int
		lines []string
	}{
		{"good --tsa-roots roots", 0, []string{"anchor     PASS  entry 0 of ledger.example/test, tree size 1, cosigned by w1; timestamped 2012-03-04T05:07:07Z"}},
		{"good", 0, []string{"cosigned by w1; its time was not checked (--tsa-roots)"}},
		{"good --tsa-roots stranger", 2, []string{"anchor     FAIL  logged, but not at a time that holds", "  log      PASS  entry 0 of ledger.example/test", "  time     FAIL  timestamp token: ",
			"verdict    exit 2: the pack is intact and logged, but the time that was asked for does not hold"}},
		{"bare", 0, []string{"cosigned by w1; it has no timestamp"}},
		{"bare --tsa-roots roots", 2, []string{"anchor     FAIL  ", "  log      PASS  entry 1", "  time     FAIL  the entry has no timestamp token, and a time was asked for"}},
		{"bare --tsa-roots roots --timestamp required", 2, []string{"  time     FAIL  "}},
		{"bare --tsa-roots roots --timestamp optional", 0, []string{"anchor     PASS  ", "it has no timestamp", "W_NO_TIMESTAMP timestamp_token"}},
		{"early --tsa-roots roots", 0, []string{"anchor     PASS  ", "W_TIME_CONTRADICTION timestamp_token: the timestamp 2012-03-04T04:56:07Z contradicts the pack, whose own end is 2012-03-04T05:06:07"}},
		{"months --tsa-roots old", 2, []string{"anchor     FAIL  ", "  time     FAIL  the timestamp 2011-12-04T05:06:07Z contradicts the pack, whose own end is 2012-03-04T05:06:07.000000+00:00, more than 24h0m0s later"}},
		{"good --timestamp optional", 3, nil},
		{"good --strict", 3, nil},
		{"good --strict --tsa-roots roots", 3, nil},
		{"good --strict --tsa-roots roots --timestamp optional --trusted-signer " + strings.Repeat("0", 64), 3, nil},
		{"good --strict --tsa-roots roots --trusted-signer " + strings.Repeat("0", 64), 2, []string{"UNTRUSTED"}},
		{"good --strict --tsa-roots roots --trusted-signer " + fmt.Sprintf("%x", sha256.Sum256(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))), 1,
			[]string{"verdict    exit 1: honest failure: claims are required, and the pack declares none"}},
		{"good --tsa-roots roots --timestamp later", 3, nil},
	} {
		code, out, talk := w.assay(append([]string{"verify-pack", "--require-anchor", "--policy", "policy"}, strings.Fields(test.args)...)...)
		for _, line := range test.lines {
			if !strings.Contains(out, line) {
				t.Errorf("%s: no %q in\n%s", test.args, line, out)
			}
		}
		if code != test.code {
			t.Errorf("%s: exit %d, want %d: %s %s", test.args, code, test.code, out, talk)
		}
	}
	_, object, _ := w.assay("verify-pack", "good", "--policy", "policy", "--tsa-roots", "stranger", "--json")
	for _, member := range []string{`"log_verdict": "PASS"`, `"time_verdict": "FAIL"`, `"log": "ledger.example/test"`, `"timestamp": null`} {
		if !strings.Contains(object, member) {
			t.Errorf("no %s in %s", member, object)
		}
	}
}

func TestAnchorWithRootsWantsATime(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a")
	authority := mustDo(timestamp.NewAuthority(nil, time.Now()))(t)
	w.write("roots", authority.RootPEM())
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		m, _ := manifest.Verify(mustDo(io.ReadAll(r.Body))(t))
		e := mustDo(entry.New(m, entry.Source{}, time.Now(), nil))(t)
		p := w.log.Prove(w.log.Append(e.Leaf()), w.witness)
		p.Extra = e.Leaf()
		rw.WriteHeader(http.StatusCreated)
		_, _ = rw.Write(p.Marshal())
	}
	code, out, talk := w.anchor("a", "--tsa-roots", "roots")
	if code != 2 || !strings.Contains(out, "  log      PASS  entry 0") || !strings.Contains(out, "  time     FAIL  the entry has no timestamp token") {
		t.Errorf("exit %d, %s, %s", code, out, talk)
	}
	if _, err := os.Stat(filepath.Join("a", proofPath)); err == nil {
		t.Error("the proof was kept where verifiers look for it")
	}
	if code, out, talk := w.anchor("a", "--tsa-roots", "roots", "--timestamp", "optional"); code != 0 || !strings.Contains(out, "it has no timestamp") {
		t.Errorf("optional: exit %d, %s, %s", code, out, talk)
	}
}

// The commands that explain prints follow the verifier's rules: certificates are judged at the time that the token
// names, and what stands in the roots file is trusted, whether it signed itself or not.
func TestTheTimestampRecipeOfExplainHoldsForExpiredCertificatesAndIntermediates(t *testing.T) {
	for _, program := range []string{"sh", "jq", "openssl", "sha256sum", "base64"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not here", program)
		}
	}
	w := newWorld(t)
	authority, _, intermediate := chainOf(t, aged)
	_, stranger, strange := chainOf(t, aged)
	w.write("intermediate", intermediate)
	w.write("strangers", append(append([]byte{}, stranger...), strange...))
	w.agedPack("pack", authority, aged.Add(time.Minute))
	folders := map[string][2]string{"intermediate": {"pack", "policy"}}
	if findings, err := filepath.Abs(filepath.Join(sourceDir, sharedVectors, "findings")); err == nil {
		if _, err := os.Stat(findings); err == nil {
			folders[findings+"/expired_tsa/root.pem"] = [2]string{findings + "/expired_tsa/pack", findings + "/expired_tsa/policy"}
		}
	}
	for roots, f := range folders {
		script := scriptOf(t, f[0], "--policy", f[1], "--tsa-roots", roots)
		run := func(roots string) (string, error) {
			c := exec.Command("sh", "-c", script)
			c.Env = append(os.Environ(), "ROOTS="+mustDo(filepath.Abs(roots))(t))
			out, err := c.CombinedOutput()
			return string(out), err
		}
		if out, err := run(roots); err != nil || !strings.Contains(out, "Verification: OK") {
			t.Errorf("%s: %v\n%s\n%s", roots, err, out, script)
		}
		if out, err := run("strangers"); err == nil {
			t.Errorf("%s: strangers are believed: %s", roots, out)
		}
		other := strings.Replace(script, " GMT'", "1 GMT'", 1)
		if err := exec.Command("sh", "-c", other).Run(); err == nil || other == script {
			t.Errorf("%s: another time is believed", roots)
		}
	}
}
