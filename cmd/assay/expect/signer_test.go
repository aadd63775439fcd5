package expect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

func TestAPublicKeyFileIsReadAsTheKeyStoreWritesIt(t *testing.T) {
	key, err := keystore.NewKey("k", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	want, err := lock.KeyFingerprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSuffix(string(keystore.Base64(key.Public())), "\n")
	path := filepath.Join(t.TempDir(), "k.pub")
	read := func(text string) ([32]byte, error) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadFingerprint(path)
	}
	for _, text := range []string{string(key.Public()), line, line + "\n"} {
		if got, err := read(text); err != nil || got != want {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
	loose := line[:42] + string(line[42]+1) + "=" // the last two bits are of no byte
	for _, text := range []string{"", line + "\r\n", line + "\n\n", "\n" + line, line[:20] + "\n" + line[20:], line + line, line[:43], loose, string(key.Public()[:31])} {
		if got, err := read(text); err == nil || !strings.Contains(err.Error(), "is not a public key: expected 32 bytes, or those in base64") {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
}
