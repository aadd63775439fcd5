package timestamp

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var updateForeign = flag.Bool("update-openssl", false, "let the openssl program make testdata/openssl.pem anew")

// foreignFile is a PEM file that the openssl program made, all but the headers: roots, tokens and
// requests. Our own mint takes every number that names an algorithm or an attribute from the same
// table as the verifier; these bytes say what the rest of the world writes.
const foreignFile = "testdata/openssl.pem"

func foreignBlocks(t *testing.T) (roots *x509.CertPool, blocks []*pem.Block) {
	t.Helper()
	text, err := os.ReadFile(foreignFile)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			t.Fatalf("%s: not PEM at %.40q", foreignFile, text)
		}
		if text = rest; block.Type != "CERTIFICATE" {
			blocks = append(blocks, block)
			continue
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		roots.AddCert(root)
	}
	return roots, blocks
}

func TestTokensThatOpenSSLMadeAreJudgedAsEver(t *testing.T) {
	if *updateForeign {
		makeForeign(t)
	}
	roots, blocks := foreignBlocks(t)
	believed, refused := 0, 0
	for _, b := range blocks {
		if b.Type != "TIMESTAMP TOKEN" {
			continue
		}
		name, want := b.Headers["Name"], b.Headers["Want"]
		token, err := Verify(b.Bytes, testDigest, Options{Roots: roots})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case want == "" && (token.Signer != "CN=tsa" || !token.Policy.Equal(testPolicy) || token.Accuracy != time.Second):
			t.Errorf("%s: %+v", name, token)
		case want == "":
			believed++
		case err == nil || !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", name, err, want)
		default:
			refused++
		}
	}
	if believed < 20 || refused < 5 {
		t.Errorf("%d tokens believed and %d refused: the file is not whole", believed, refused)
	}
}

func TestRequestsThatOpenSSLMadeAreTheBytesThatWeWrite(t *testing.T) {
	_, blocks := foreignBlocks(t)
	read := 0
	for _, b := range blocks {
		switch b.Type {
		case "TIMESTAMP REQUEST":
			q, _, err := parseRequest(b.Bytes)
			if err != nil || !bytes.Equal(q.imprint.digest, testDigest[:]) || !q.certReq {
				t.Fatalf("%s: %+v, %v", b.Headers["Name"], q, err)
			}
			again, err := Request(testDigest, q.nonce)
			if err != nil || !bytes.Equal(again, b.Bytes) {
				t.Errorf("%s: we write % x, %v", b.Headers["Name"], again, err)
			}
		case "TIMESTAMP REPLY":
			_, err := ParseResponse(b.Bytes)
			var status *StatusError
			if want := b.Headers["Want"]; want == "" && err != nil || want != "" && (!errors.As(err, &status) || !strings.Contains(err.Error(), want)) {
				t.Errorf("%s: %v, want %q", b.Headers["Name"], err, want)
			}
		default:
			continue
		}
		read++
	}
	if read < 4 {
		t.Errorf("%d requests and replies: the file is not whole", read)
	}
}
