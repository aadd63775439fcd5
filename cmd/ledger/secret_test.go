//go:build unix

package main

import (
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli/clitest"
)

func TestNoCrashOfAServerLeavesItsKey(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	must := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := here(t, args...)
		if code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
		return stdout
	}
	must("init", path("led"), "--origin", "a.example", "--timestamps", "off")
	policy, err := os.ReadFile(path("led/policy"))
	if err != nil {
		t.Fatal(err)
	}
	log, _, _ := strings.Cut(strings.TrimPrefix(string(policy), "log "), "\n")
	must("witness", "init", path("w"), "--name", "w.example", "--algorithm", "both", "--log", log)
	authority, err := newAuthority(t).MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path("tsa"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("tsa/authority.pem"), authority, 0o600); err != nil {
		t.Fatal(err)
	}
	_, rest := pem.Decode(authority)
	_, rest = pem.Decode(rest)
	tsaKey, _ := pem.Decode(rest)
	for _, tt := range []struct {
		serve []string
		keys  [][]byte
	}{
		{[]string{"serve", path("led")}, [][]byte{noteKey(t, path("led/keys/log.key"))}},
		{[]string{"witness", "serve", path("w")}, [][]byte{noteKey(t, path("w/keys/ed25519.key")), noteKey(t, path("w/keys/ml-dsa-44.key"))}},
		{[]string{"tsa", "serve", path("tsa")}, [][]byte{tsaKey.Bytes}},
	} {
		clitest.Crash(t, "listening on", tt.keys, nil, append(append([]string{"ledger"}, tt.serve...), "--listen", "127.0.0.1:0")...)
	}
}

// noteKey is the secret of a key file: PRIVATE+KEY+NAME+ID+BASE64, the algorithm and the seed.
func noteKey(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.SplitN(strings.TrimSpace(string(text)), "+", 5)
	key, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(key) < 33 {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	return key[1:]
}
