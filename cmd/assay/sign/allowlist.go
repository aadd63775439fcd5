package sign

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/trust"
)

// editAllowlist reads the lock again, now that no other rotation runs, and writes it with another list.
func editAllowlist(path string, edit func(lock.Signers) (lock.Signers, error)) error {
	l, err := expect.ReadLockToReplace(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	before := l.Signers()
	after, err := edit(before)
	if err != nil || !before.Any() && slices.Equal(before.Fingerprints(), after.Fingerprints()) {
		return err
	}
	changed, err := l.WithSigners(after, time.Now())
	if err != nil {
		return err
	}
	return durable.WriteFile(path, changed.Marshal(), info.Mode().Perm())
}

func admitKey(s cli.Streams, path string, keys ...ed25519.PublicKey) error {
	return editAllowlist(path, func(signers lock.Signers) (lock.Signers, error) {
		if signers.Any() {
			fmt.Fprintf(s.Err, "note: %s admitted every signer; from now on only those of its list\n", terminal.Safe(path))
		}
		for _, key := range keys {
			if key == nil {
				continue
			}
			fingerprint, err := lock.KeyFingerprint(key)
			if err != nil {
				return signers, err
			}
			signers = signers.With(fingerprint)
		}
		return signers, nil
	})
}

// dismiss takes keys off the list. What is left may be nobody: that admits none, never every one.
func dismiss(path string, fingerprints []trust.Digest) (removed bool, err error) {
	err = editAllowlist(path, func(signers lock.Signers) (lock.Signers, error) {
		if signers.Any() {
			return signers, fmt.Errorf("%s admits every signer", path)
		}
		list := signers.Fingerprints()
		rest := slices.DeleteFunc(slices.Clone(list), func(f trust.Digest) bool { return slices.Contains(fingerprints, f) })
		removed = len(rest) < len(list)
		return lock.Only(rest...), nil
	})
	return removed, err
}
