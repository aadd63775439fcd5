package expect

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// LCK-14: a lock that is checked and then read again could be two locks: who swaps the file in between gets
// what was never checked.
func TestAtk_K03_ALockIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, signers lock.Signers) string {
		l, err := lock.New(lock.Spec{Cards: claim.BuiltinCards()[:1], Signers: signers, At: time.Unix(1<<30, 0)})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		text := l.Marshal()
		if signers.Any() {
			text = bytes.Replace(text, []byte(`"any"`), []byte(`"evil"`), 1)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad, path := write("good", lock.Only([32]byte{1})), write("bad", lock.Signers{}), filepath.Join(dir, "assay.lock")
	if err := os.Link(good, path); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			tmp := filepath.Join(dir, "tmp")
			if err := errors.Join(os.Link([]string{good, bad}[i%2], tmp), os.Rename(tmp, path), ignoreMissing(os.Remove(tmp))); err != nil {
				done <- err
				return
			}
		}
	}()
	accepted, refused := 0, 0
	for range 3000 {
		l, err := ReadLock(path)
		if err != nil {
			var broken *lock.Error
			if !errors.As(err, &broken) || len(broken.Issues) != 1 {
				t.Fatal(err)
			}
			refused++
			continue
		}
		accepted++
		if signers := l.Signers(); signers.Any() || len(signers.Fingerprints()) != 1 || l.Digest() != [32]byte(sum(t, good)) {
			t.Fatalf("%s", l.Marshal())
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
}

// ignoreMissing is for a rename onto another name of the same file, which leaves both.
func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func sum(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lock.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	digest := l.Digest()
	return digest[:]
}
