package expect

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/trust"
)

// trustedSigner is the fingerprint that name is, or of the public key file that it names. Unlike a lock's
// author, who verifies has no keys: nothing is looked up in a home directory.
func trustedSigner(name string) (key trust.Digest, err error) {
	if key, is, err := ParseFingerprint(name); is {
		return key, err
	}
	key, err = ReadFingerprint(name)
	if errors.Is(err, fs.ErrNotExist) {
		return key, cli.BadInput("a trusted signer is a fingerprint of 64 hex digits or a public key file", "no key file at %s", name)
	}
	return key, err
}

// ParseFingerprint reads the 64 hex digits of a fingerprint; is says that name is one, in whatever case.
func ParseFingerprint(name string) (key trust.Digest, is bool, err error) {
	lower := strings.ToLower(name)
	if key, err = trust.ParseDigest(lower); err != nil {
		return key, false, nil
	}
	if name != lower {
		return key, true, cli.BadInput("write it as "+lower, "fingerprint %s is not in lowercase", name)
	}
	return key, true, nil
}

// ReadFingerprint is the fingerprint of the public key in a file, as the key store writes or exports it.
func ReadFingerprint(path string) (key trust.Digest, err error) {
	text, err := cli.ReadFile(path, 4<<10)
	if err != nil {
		return key, err
	}
	public, ok := parsePublic(text)
	if !ok {
		return key, cli.BadInput("", "%s is not a public key: expected 32 bytes, or those in base64", path)
	}
	if key, err = lock.KeyFingerprint(public); err != nil {
		return key, cli.BadInput("nobody's key generator makes such a key; do not trust who gave it to you", "%s: %v", path, err)
	}
	return key, nil
}

// parsePublic reads a public key as the key store writes it: the 32 bytes of ID.pub, or the base64 of ID.pub.b64
// with or without its newline. Here and not in the key store, because who verifies links no store of keys.
func parsePublic(text []byte) (key ed25519.PublicKey, ok bool) {
	if len(text) == ed25519.PublicKeySize {
		return text, true
	}
	key, err := trust.DecodeBase64(strings.TrimSuffix(string(text), "\n"))
	return key, err == nil && len(key) == ed25519.PublicKeySize
}
