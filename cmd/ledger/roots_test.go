package main

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// here runs the program in this process.
func here(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	code = run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &talk, Env: func(string) string { return "" }})
	return code, out.String(), talk.String()
}

func newAuthority(t *testing.T) *timestamp.Authority {
	t.Helper()
	authority, err := timestamp.NewAuthority(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// Everything that init writes from it is published by serve: the file of an authority, its key behind
// its certificates, is what an operator may well name by mistake.
func TestRootsWithAKeyOrAnotherFaultMakeNoLedger(t *testing.T) {
	authority := newAuthority(t)
	whole, err := authority.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	good, other := string(authority.RootPEM()), string(newAuthority(t).RootPEM())
	for _, tt := range []struct{ name, text, want string }{
		{"the authority's own file", string(whole), `certificate 3: line`},
		{"a key first", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("secret")})) + good, "certificate 1: line 1: a \"EC PRIVATE KEY\" block: a private key does not belong here"},
		{"corrupt, another behind", strings.Replace(good, "MII", "!II", 1) + other, "certificate 1: line 2: no base64"},
		{"byte order mark", "\ufeff" + good, "byte order mark"},
		{"twice", good + good, "certificate 1 again"},
		{"empty", "", "it is empty"},
	} {
		dir := t.TempDir()
		roots, led := filepath.Join(dir, "roots.pem"), filepath.Join(dir, "led")
		if err := os.WriteFile(roots, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := here(t, "init", led, "--origin", "a.example", "--tsa", "https://tsa.example/", "--tsa-roots", roots)
		if code != 3 || !strings.Contains(stderr, "roots.pem: ") || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit %d: %s", tt.name, code, stderr)
		}
		if _, err := os.Stat(led); err == nil {
			t.Errorf("%s: a ledger was made", tt.name)
		}
	}
}

func TestALedgerKeepsTheCertificatesOfItsRootsAndNothingElseOfTheFile(t *testing.T) {
	dir := t.TempDir()
	good := string(newAuthority(t).RootPEM())
	roots, led := filepath.Join(dir, "roots.pem"), filepath.Join(dir, "led")
	if err := os.WriteFile(roots, []byte("the pager is 555-0100\r\n"+good), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := here(t, "init", led, "--origin", "a.example", "--tsa", "https://tsa.example/", "--tsa-roots", roots); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if kept, err := os.ReadFile(filepath.Join(led, "tsa-roots.pem")); err != nil || string(kept) != good {
		t.Errorf("%q, %v", kept, err)
	}
	// serve reads it as strictly: what it reads is published.
	for text, want := range map[string]string{
		good + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})): "a private key does not belong here",
		good[:200]: "it has no END line", "": "it is empty",
	} {
		if err := os.WriteFile(filepath.Join(led, "tsa-roots.pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := here(t, "serve", led, "--listen", "127.0.0.1:0"); code != 3 || stdout != "" || !strings.Contains(stderr, "tsa-roots.pem: ") || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d: %s%s", want, code, stdout, stderr)
		}
	}
}
