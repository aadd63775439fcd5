package trust

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

// Every byte at every place is written in two lowercase digits, and read back.
func TestDigestIsReadAsItIsWritten(t *testing.T) {
	for i := range len(Digest{}) {
		for b := range 256 {
			var d Digest
			d[i] = byte(b)
			want := strings.Repeat("00", i) + fmt.Sprintf("%02x", b) + strings.Repeat("00", len(d)-1-i)
			if got, err := ParseDigest(want); d.String() != want || err != nil || got != d {
				t.Fatalf("byte %d of value %d: written as %s, read as %v, %v", i, b, d, got, err)
			}
		}
	}
	if d := Digest(sha256.Sum256(nil)); fmt.Sprintf("%s %v", d, d) != strings.Repeat(" e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 2)[1:] {
		t.Errorf("of nothing: %s", d)
	}
}

// Any other character at any place is refused, and so is any other length.
func TestDigestHasOneSpelling(t *testing.T) {
	good := strings.Repeat("0a", 32)
	for i := range len(good) {
		for c := range 256 {
			text := good[:i] + string([]byte{byte(c)}) + good[i+1:]
			d, err := ParseDigest(text)
			if hex := strings.IndexByte("0123456789abcdef", byte(c)) >= 0; hex != (err == nil) || hex != (d.String() == text) || !hex && d != (Digest{}) {
				t.Fatalf("%q at %d: %v, %v", byte(c), i, d, err)
			}
		}
	}
	for _, text := range []string{"", "0a", good[1:], good[2:], good + "0", good + "0a", good + "\n", "sha256:" + good, "0x" + good[2:],
		" " + good[1:], strings.ToUpper(good), good[:62] + "é"} {
		if d, err := ParseDigest(text); err == nil || d != (Digest{}) {
			t.Errorf("%q is read as %v", text, d)
		}
	}
}
