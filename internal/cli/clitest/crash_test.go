//go:build unix

package clitest

import (
	"crypto/sha256"
	"fmt"
	"testing"
)

func TestAKeyIsSeenInWhateverFormItIsShown(t *testing.T) {
	key := sha256.Sum256([]byte("key"))
	for form, text := range map[string]string{
		"bytes": "…" + string(key[3:11]) + "…", "hex": fmt.Sprintf("%x", key), "a list": fmt.Sprint(key),
		"a hex list": fmt.Sprintf("main.sign({%#x, %#x, %#x, %#x, %#x, %#x, %#x, %#x, ...})", key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]),
		"a word":     fmt.Sprintf("main.sign(0x%x%08x)", uint32(key[7])<<24|uint32(key[6])<<16|uint32(key[5])<<8|uint32(key[4]), uint32(key[3])<<24|uint32(key[2])<<16|uint32(key[1])<<8|uint32(key[0])),
	} {
		if got := shown(text, key[:]); got == "" {
			t.Errorf("not seen as %s in %q", form, text)
		}
	}
	if got := shown(fmt.Sprint(sha256.Sum256([]byte("another"))), key[:]); got != "" {
		t.Errorf("seen as %s where it is not", got)
	}
}
