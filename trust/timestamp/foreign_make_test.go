package timestamp

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// foreigner makes testdata/openssl.pem with the openssl program alone, certificates included.
type foreigner struct {
	t   *testing.T
	dir string
	out bytes.Buffer
}

func makeForeign(t *testing.T) {
	needOpenSSL(t)
	f := &foreigner{t: t, dir: t.TempDir()}
	f.write("info", "the manifest") // what testDigest is the digest of
	f.authorities()
	f.requests()
	f.timestamps()
	f.signatures()
	f.others()
	if err := os.WriteFile(foreignFile, f.out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (f *foreigner) path(name string) string { return filepath.Join(f.dir, name) }

func (f *foreigner) write(name, text string) { writeFile(f.t, f.dir, name, []byte(text)) }

func (f *foreigner) read(name string) []byte {
	f.t.Helper()
	b, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// openssl runs in the directory, so that arguments are plain file names.
func (f *foreigner) openssl(args ...string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), "openssl", args...)
	cmd.Dir = f.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

func (f *foreigner) add(kind, name, want string, der []byte) {
	headers := map[string]string{"Name": name}
	if want != "" {
		headers["Want"] = want
	}
	f.out.Write(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: der}))
}

// keys that tokens are signed with, and how openssl is told to make one.
var foreignKeys = map[string][]string{
	"rsa":  {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
	"p256": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	"p384": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
	"p521": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
	"p224": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-224"},
}

// authorities makes root.crt, ca.crt below it, and a TSA certificate for every key under the root;
// below.crt is under ca.crt, mail.crt is for something else.
func (f *foreigner) authorities() {
	for key, how := range foreignKeys {
		f.openssl(append([]string{"genpkey", "-out", key + ".key"}, how...)...)
	}
	f.write("ca.ext", "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n")
	f.write("tsa.ext", "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\nsubjectKeyIdentifier=hash\n")
	f.write("mail.ext", "keyUsage=critical,digitalSignature\nextendedKeyUsage=critical,emailProtection\nsubjectKeyIdentifier=hash\n")
	f.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "root.key",
		"-subj", "/CN=root", "-days", "7300", "-out", "root.crt", "-addext", "keyUsage=critical,keyCertSign")
	serial := 1
	certify := func(name, key, extensions, issuer, subject string) {
		serial++
		f.openssl("req", "-new", "-key", key+".key", "-subj", "/CN="+subject, "-out", "request")
		f.openssl("x509", "-req", "-in", "request", "-CA", issuer+".crt", "-CAkey", issuer+".key", "-set_serial", fmt.Sprint(serial),
			"-days", "7000", "-extfile", extensions, "-out", name+".crt")
	}
	for _, key := range []string{"rsa", "p256", "p384", "p521", "p224"} {
		certify(key, key, "tsa.ext", "root", "tsa")
	}
	f.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key")
	certify("ca", "ca", "ca.ext", "root", "intermediate")
	certify("below", "p256", "tsa.ext", "ca", "tsa")
	certify("mail", "p256", "mail.ext", "root", "tsa")
	f.out.Write(f.read("root.crt"))
}

// requests stores two requests, and a reply to each of two digests, of which the TSA knows one.
func (f *foreigner) requests() {
	digest := fmt.Sprintf("%x", testDigest)
	f.openssl("ts", "-query", "-digest", digest, "-sha256", "-cert", "-no_nonce", "-out", "query")
	f.add("TIMESTAMP REQUEST", "without a nonce", "", f.read("query"))
	f.openssl("ts", "-query", "-digest", digest, "-sha256", "-cert", "-out", "nonced")
	f.add("TIMESTAMP REQUEST", "with a nonce", "", f.read("nonced"))
	f.openssl("ts", "-query", "-data", "info", "-sha512", "-cert", "-no_nonce", "-out", "sha512")
	f.configure("p256", "sha256", "")
	f.openssl("ts", "-reply", "-config", "config", "-queryfile", "query", "-out", "reply")
	f.add("TIMESTAMP REPLY", "granted", "", f.read("reply"))
	f.openssl("ts", "-reply", "-config", "config", "-queryfile", "sha512", "-out", "reply")
	f.add("TIMESTAMP REPLY", "refused", "badAlg", f.read("reply"))
}

func (f *foreigner) configure(signer, digest, more string) {
	key := signer
	if signer == "below" || signer == "mail" {
		key = "p256"
	}
	f.write("serial", "2a\n")
	f.write("config", fmt.Sprintf("[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_cert = %s.crt\nsigner_key = %s.key\n"+
		"default_policy = 1.2.3.4.1\ndigests = sha256\nsigner_digest = %s\naccuracy = secs:1\n%s\n", signer, key, digest, more))
}

// stamp lets openssl ts answer the request without a nonce.
func (f *foreigner) stamp(signer, digest, more string) []byte {
	f.configure(signer, digest, more)
	f.openssl("ts", "-reply", "-config", "config", "-queryfile", "query", "-token_out", "-out", "token")
	return f.read("token")
}

func (f *foreigner) timestamps() {
	for _, v := range []struct{ signer, digest, more, want string }{
		{"rsa", "sha256", "", ""},
		{"rsa", "sha384", "", ""},
		{"rsa", "sha512", "", ""},
		{"p256", "sha256", "", ""},
		{"p256", "sha512", "", ""},
		{"p384", "sha384", "", ""},
		{"p521", "sha512", "", ""},
		{"p256", "sha256", "ess_cert_id_alg = sha1", ""},
		{"p256", "sha256", "ess_cert_id_alg = sha384", ""},
		{"p256", "sha256", "ess_cert_id_alg = sha512", ""},
		{"below", "sha256", "certs = ca.crt\ness_cert_id_chain = yes", ""},
		{"p256", "sha256", "ordering = yes\ntsa_name = yes\nclock_precision_digits = 3", ""},
		{"below", "sha256", "", "unknown authority"},
		{"p224", "sha256", "", "224-bit"},
		{"p256", "sha224", "", "digest algorithm 2.16.840.1.101.3.4.2.4"},
		{"rsa", "sha1", "", "digest algorithm 1.3.14.3.2.26"},
		{"p256", "sha256", "ess_cert_id_alg = sha224", "hash algorithm 2.16.840.1.101.3.4.2.4"},
	} {
		token := f.stamp(v.signer, v.digest, v.more)
		name := strings.TrimSpace("ts " + v.signer + " " + v.digest + " " + strings.ReplaceAll(v.more, "\n", "; "))
		f.add("TIMESTAMP TOKEN", name, v.want, token)
		if v.signer == "rsa" && v.want == "" {
			f.withNamedAlgorithm(token, v.digest)
		}
	}
}

// withNamedAlgorithm writes into the token, where openssl ts says rsaEncryption, what other programs
// say: sha256WithRSAEncryption. Nothing signed changes.
func (f *foreigner) withNamedAlgorithm(token []byte, digest string) {
	f.openssl("asn1parse", "-noout", "-genstr", "OID:rsaEncryption", "-out", "old")
	f.openssl("asn1parse", "-noout", "-genstr", "OID:"+digest+"WithRSAEncryption", "-out", "new")
	old, named := f.read("old"), f.read("new")
	at := bytes.LastIndex(token, old) // that of the certificate's key stands before
	if at < 0 || len(old) != len(named) {
		f.t.Fatalf("no rsaEncryption in a token by %s", digest)
	}
	f.add("TIMESTAMP TOKEN", "ts rsa "+digest+" by its own name", "", bytes.Join([][]byte{token[:at], named, token[at+len(old):]}, nil))
}

// signatures lets openssl cms sign the same TSTInfo in ways that openssl ts does not know.
func (f *foreigner) signatures() {
	f.stamp("p256", "sha256", "")
	f.openssl("cms", "-verify", "-noverify", "-inform", "DER", "-in", "token", "-out", "tstinfo", "-binary")
	const tstInfo = "1.2.840.113549.1.9.16.1.4"
	pss := func(salt string) []string {
		return []string{"-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:" + salt}
	}
	for _, v := range []struct {
		signer, digest, content, want string
		more                          []string
	}{
		{"rsa", "sha256", tstInfo, "", append(pss("digest"), "-cades")},
		{"rsa", "sha384", tstInfo, "", append(pss("digest"), "-cades")},
		{"rsa", "sha512", tstInfo, "", append(pss("digest"), "-cades")},
		{"rsa", "sha256", tstInfo, "", []string{"-cades", "-keyid"}},
		{"p384", "sha384", tstInfo, "", []string{"-cades", "-keyid", "-certfile", "ca.crt"}},
		{"p521", "sha512", tstInfo, "", []string{"-cades", "-certfile", "ca.crt"}},
		{"rsa", "sha256", tstInfo, "signature: ", append(pss("20"), "-cades")},
		{"p256", "sha256", tstInfo, "no signing-certificate", nil},
		{"p256", "sha256", "1.2.840.113549.1.7.1", "want id-ct-TSTInfo", []string{"-cades"}},
		{"mail", "sha256", tstInfo, "extended key usage", []string{"-cades"}},
		{"p256", "sha256", tstInfo, "no certificate", []string{"-cades", "-nocerts"}},
		{"p256", "sha256", tstInfo, "want exactly one", []string{"-cades", "-signer", "rsa.crt", "-inkey", "rsa.key"}},
	} {
		key := v.signer
		if key == "mail" {
			key = "p256"
		}
		f.openssl(append([]string{"cms", "-sign", "-binary", "-nodetach", "-in", "tstinfo", "-outform", "DER", "-out", "token", "-econtent_type", v.content,
			"-md", v.digest, "-nosmimecap", "-signer", v.signer + ".crt", "-inkey", key + ".key"}, v.more...)...)
		f.add("TIMESTAMP TOKEN", fmt.Sprintf("cms %s %s %s", v.signer, v.digest, v.more), v.want, f.read("token"))
	}
}

// others stores what is CMS and no token.
func (f *foreigner) others() {
	f.openssl("cms", "-digest_create", "-binary", "-nodetach", "-in", "tstinfo", "-outform", "DER", "-out", "token")
	f.add("TIMESTAMP TOKEN", "cms digested data", "want signedData", f.read("token"))
}
