package timestamp

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// authorities makes n roots, as text.
func authorities(t testing.TB, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		list[i] = string(pemOf(certify(t, nil, "root", newP256(t), asCA).cert))
	}
	return list
}

// rootText is a file of roots: how many certificates it holds, or what the error says.
type rootText struct {
	name, text string
	want       int
	err        string
}

func rootTexts(t testing.TB) []rootText {
	t.Helper()
	list := authorities(t, 3)
	a, b, c := list[0], list[1], list[2]
	a64 := strings.Split(a, "\n")[1]
	der, _ := pem.Decode([]byte(a))
	block := func(label string, body []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: body}))
	}
	headed := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"Name": "root"}, Bytes: der.Bytes}))
	const bom = "\ufeff"
	texts := []rootText{
		{"one", a, 1, ""},
		{"three", a + b + c, 3, ""},
		{"text around", "Issuer: CN=root\n    Serial:\n        2b:a2\n\n" + a + "\n# the other one --\n===\n" + b + "the end", 2, ""},
		{"text in Latin-1", "# T\xfcrktrust\n" + a, 1, ""},
		{"CRLF", strings.ReplaceAll(a+b, "\n", "\r\n"), 2, ""},
		{"blanks at the ends of lines", strings.ReplaceAll(a, "\n", " \t\n"), 1, ""},
		{"no newline at the end", strings.TrimSuffix(a+b, "\n"), 2, ""},
		{"longer lines", strings.Replace(a, a64+"\n", a64, 1), 1, ""},

		{"empty", "", 0, "it is empty"},
		{"only text", "my roots\n", 0, "no certificate in it"},
		{"DER", string(der.Bytes), 0, "in DER, want PEM"},
		{"too long", a + strings.Repeat("#\n", MaxRoots/2), 0, "want at most 1048576"},

		{"a key", a + block("PRIVATE KEY", []byte("secret")), 0, `certificate 2: line NEXT: a "PRIVATE KEY" block: a private key does not belong here`},
		{"a key first", block("EC PRIVATE KEY", []byte("secret")) + a, 0, `certificate 1: line 1: a "EC PRIVATE KEY" block: a private key`},
		{"an encrypted key", a + block("ENCRYPTED PRIVATE KEY", []byte("secret")), 0, `a private key does not belong here`},
		{"a public key", a + block("PUBLIC KEY", []byte("key")), 0, `certificate 2: line NEXT: a "PUBLIC KEY" block, want`},
		{"an unknown block", a + block("SOMETHING", []byte("x")) + b, 0, `certificate 2: line NEXT: a "SOMETHING" block, want`},
		{"openssl's trusted certificate", block("TRUSTED CERTIFICATE", der.Bytes), 0, `a "TRUSTED CERTIFICATE" block`},
		{"another label of old", block("X509 CERTIFICATE", der.Bytes), 0, `a "X509 CERTIFICATE" block`},
		{"lower case", strings.ToLower(a[:28]) + a[28:] + b, 0, "nearly the edge"},

		{"headers", headed, 0, "certificate 1: line 2: a header in the block"},
		{"cut in its base64", a + b[:200], 0, "certificate 2: it has no END line"},
		{"cut before its end line", a + strings.Replace(b, "-----END CERTIFICATE-----\n", "", 1), 0, "certificate 2: it has no END line"},
		{"cut in its end line", a + strings.TrimSuffix(b, "TIFICATE-----\n"), 0, "\"-----END CER\", want -----END CERTIFICATE-----"},
		{"cut, another follows", b[:200] + "\n" + a, 0, "certificate 1: line 5: \"-----BEGIN CERTIFICATE-----\", want -----END CERTIFICATE-----: the block is cut short"},
		{"another end", strings.Replace(a, "END CERTIFICATE", "END PRIVATE KEY", 1) + b, 0, "want -----END CERTIFICATE-----"},
		{"an end without beginning", a + strings.SplitN(b, "\n", 2)[1], 0, "its BEGIN line is missing"},
		{"only an end", a + "-----END CERTIFICATE-----\n", 0, "certificate 2: line NEXT: the end of a block that did not begin"},
		{"four dashes", a + b[1:], 0, "certificate 2: line NEXT: \"----BEGIN CERTIFICATE-----\" is nearly the edge"},
		{"other dashes", a + strings.ReplaceAll(b, "-----", "–––––"), 0, "nearly the edge"},
		{"indented", a + "  " + b, 0, "nearly the edge"},
		{"quoted", a + "> " + strings.ReplaceAll(b, "\n", "\n> "), 0, "nearly the edge"},
		{"behind text", a + "root: " + b, 0, "nearly the edge"},
		{"CR alone", strings.ReplaceAll(a, "\n", "\r"), 0, "nearly the edge"},

		{"a corrupt letter", strings.Replace(a, a64, "!"+a64[1:], 1) + b, 0, "certificate 1: line 2: no base64"},
		{"an empty line", strings.Replace(a, a64, a64+"\n", 1) + b, 0, "certificate 1: line 3: no base64"},
		{"indented base64", strings.Replace(a, a64, " "+a64, 1) + b, 0, "certificate 1: line 2: no base64"},
		{"a line lost", a + strings.Replace(b, strings.Split(b, "\n")[2]+"\n", "", 1), 0, "what ends here is no"},
		{"something behind the certificate", block("CERTIFICATE", append(bytes.Clone(der.Bytes), 0)), 0, "what ends here is no certificate"},
		{"something behind the padding", strings.Replace(block("CERTIFICATE", append([]byte{0x30, 0x02, 0x05}, 0)), "=", "==AAAA", 1), 0, "no base64"},
		{"an empty block", a + beginCertificate + "\n" + endCertificate + "\n", 0, "what ends here is no certificate"},
		{"no certificate", block("CERTIFICATE", []byte("hello")), 0, "certificate 1: line 3: what ends here is no certificate"},

		{"a byte order mark", bom + a + b, 0, "certificate 1: line 1: a byte order mark"},
		{"a byte order mark later", a + bom + b, 0, "certificate 2: line NEXT: a byte order mark"},
		{"a byte order mark inside", strings.Replace(a, a64, bom+a64, 1), 0, "certificate 1: line 2: no base64"},
		{"UTF-16", "\xff\xfe" + strings.Join(strings.Split(a, ""), "\x00"), 0, "no certificate in it"},
		{"NUL", a + "\x00\n" + b, 0, "a NUL byte"},
		{"twice", a + b + a, 0, "what ends here is certificate 1 again"},
	}
	for i := range texts {
		texts[i].err = strings.ReplaceAll(texts[i].err, "NEXT", strconv.Itoa(strings.Count(a, "\n")+1))
	}
	return texts
}

// ENT-56
func TestRootsAreReadWholeOrNotAtAll(t *testing.T) {
	for _, tt := range rootTexts(t) {
		roots, err := ParseRoots([]byte(tt.text))
		switch {
		case tt.err == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.err == "" && len(roots.certificates) != tt.want:
			t.Errorf("%s: %d certificates, want %d", tt.name, len(roots.certificates), tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows the key: %v", tt.name, err)
		}
	}
}

// ENT-57
func TestRootsWrittenAnewAreTheCertificatesAlone(t *testing.T) {
	list := authorities(t, 2)
	roots, err := ParseRoots([]byte("the password is hunter2\r\n" + list[0] + "call me: 555\n" + list[1]))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(roots.PEM()), list[0]+list[1]; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if want := poolOf(roots.certificates...); !roots.Pool().Equal(want) {
		t.Error("the pool has other certificates")
	}
}

// TestRootsOfTheFindingsAreJudgedAsTheyShould reads the files of the specification's vectors.
func TestRootsOfTheFindingsAreJudgedAsTheyShould(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "vectors", "findings", "roots")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no vectors beside this repository")
	}
	for name, want := range map[string]string{
		"good.pem": "", "good_with_text.pem": "", "bom_then_good.pem": "certificate 1: line 1: a byte order mark",
		"corrupt_then_other.pem": "certificate 1: line 5: no base64", "good.der": "DER",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = ParseRoots(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// FuzzParseRoots holds ParseRoots to its word: what it accepts, the standard decoder reads as the same
// certificates, no beginning of a block is passed over, and what it writes it reads.
func FuzzParseRoots(f *testing.F) {
	stored, err := os.ReadFile(storedTokens)
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(stored)
	root := string(pem.EncodeToMemory(block))
	for _, seed := range []string{root, "text\n" + root + "text", strings.ReplaceAll(root, "\n", "\r\n"), root + root, "\ufeff" + root, root[:100]} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		roots, err := ParseRoots(text)
		if err != nil {
			return
		}
		if n := bytes.Count(text, []byte("BEGIN CERTIFICATE")); n != len(roots.certificates) || n == 0 {
			t.Errorf("%d certificates of %d blocks", len(roots.certificates), n)
		}
		again, err := ParseRoots(roots.PEM())
		if err != nil || !bytes.Equal(again.PEM(), roots.PEM()) {
			t.Errorf("written anew: %v", err)
		}
		rest := text
		for i, c := range roots.certificates {
			var b *pem.Block
			if b, rest = pem.Decode(rest); b == nil || b.Type != "CERTIFICATE" || !bytes.Equal(b.Bytes, c.Raw) {
				t.Fatalf("the standard decoder reads another certificate %d", i+1)
			}
		}
		pool := x509.NewCertPool()
		if b, _ := pem.Decode(rest); b != nil || !pool.AppendCertsFromPEM(text) || !pool.Equal(roots.Pool()) {
			t.Error("the standard decoder reads other certificates")
		}
	})
}
