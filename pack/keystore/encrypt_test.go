package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// locked is a store whose keys are encrypted with a passphrase, cheaply.
func lockedStore(t *testing.T, passphrase string) *Store {
	s := newStore(t)
	unlockWith(t, s, passphrase)
	return s
}

func unlockWith(t *testing.T, s *Store, passphrase string) {
	t.Helper()
	u, err := Passphrase(passphrase, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Unlock = func() (*Unlocker, error) { return u, nil }
}

func TestAnEncryptedKeyIsNeverOnDiskInTheOpen(t *testing.T) {
	s := lockedStore(t, "correct horse")
	key, err := s.GenerateEncrypted(seed('K'), "ci")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range s.Paths("ci") {
		if text, err := os.ReadFile(path); err != nil || bytes.Contains(text, []byte("KKKK")) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if info, err := os.Stat(s.path("ci", ageSuffix)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := s.Find("ci"); err != nil || info.Kind != Encrypted || info.Fingerprint != key.Fingerprint() || !info.Active {
		t.Errorf("%+v, %v", info, err)
	}
	loaded, err := s.Load("ci")
	if err != nil || loaded.Fingerprint() != key.Fingerprint() {
		t.Errorf("%v, %v", loaded, err)
	}
	unlockWith(t, s, "wrong")
	if _, err := s.Load("ci"); !errors.Is(err, ErrWrongPassphrase) || strings.Contains(err.Error(), "wrong horse") {
		t.Errorf("a wrong passphrase: %v", err)
	}
	s.Unlock = nil
	if _, err := s.Load("ci"); !errors.Is(err, ErrLocked) {
		t.Errorf("no passphrase: %v", err)
	}
	if err := s.SetActive("ci"); err != nil {
		t.Errorf("active without its passphrase: %v", err)
	}
}

func TestEncryptAndDecryptGiveTheSameKeyBack(t *testing.T) {
	s := lockedStore(t, "p")
	key := generate(t, s, 'K', "ci")
	if err := s.Decrypt("ci"); err == nil {
		t.Error("decrypted a plain key")
	}
	if err := s.Encrypt("ci"); err != nil {
		t.Fatal(err)
	}
	if s.kind("ci") != Encrypted {
		t.Error("the plain file is still there")
	}
	if err := s.Encrypt("ci"); err == nil {
		t.Error("encrypted twice")
	}
	if loaded, err := s.Load("ci"); err != nil || loaded.Fingerprint() != key.Fingerprint() {
		t.Errorf("%v, %v", loaded, err)
	}
	if done := rotate(t, s, RotateSpec{Active: true}); s.kind(done.New.ID()) != Encrypted {
		t.Error("the successor of an encrypted key is not encrypted")
	}
	if err := s.Decrypt("ci"); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(s.path("ci", "key")); err != nil || !bytes.Equal(text, key.Seed()) {
		t.Errorf("%v", err)
	}
	if err := s.Encrypt("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestEncryptGoesOnWhereACrashStoppedIt(t *testing.T) {
	s := lockedStore(t, "p")
	key := generate(t, s, 'K', "ci")
	file, err := s.encryptSeed(key.Seed())
	if err != nil {
		t.Fatal(err)
	}
	if err := durable.CreateFile(s.path("ci", ageSuffix), file, 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Audit(time.Now()); err != nil || !has(a, "KEY_TWICE") {
		t.Errorf("%+v, %v", a, err)
	}
	if _, err := s.Load("ci"); err != nil {
		t.Error(err)
	}
	unlockWith(t, s, "another")
	if err := s.Encrypt("ci"); !errors.Is(err, ErrWrongPassphrase) || s.kind("ci") != Plain {
		t.Errorf("deleted the key that only a lost passphrase opens: %v", err)
	}
	unlockWith(t, s, "p")
	if err := s.Encrypt("ci"); err != nil || s.kind("ci") != Encrypted {
		t.Errorf("%v", err)
	}
}

func TestIdentitiesOpenAndCloseKeys(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	h, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{x.String(), "# comment\n" + h.String() + "\n"} {
		u, err := Identities([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		s := newStore(t)
		s.Unlock = func() (*Unlocker, error) { return u, nil }
		if _, err := s.GenerateEncrypted(nil, "ci"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load("ci"); err != nil {
			t.Error(err)
		}
		unlockWith(t, s, "p")
		if _, err := s.Load("ci"); !errors.Is(err, ErrWrongPassphrase) {
			t.Errorf("a passphrase for a file of an identity: %v", err)
		}
	}
	secret := x.String()[:40]
	for _, text := range []string{"", "\n", secret, "AGE-SECRET-KEY-1" + strings.Repeat("X", 58)} {
		if _, err := Identities([]byte(text)); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAHostileEncryptedFileCannotStopUs(t *testing.T) {
	u, err := Passphrase("p", 1)
	if err != nil {
		t.Fatal(err)
	}
	good, err := u.encrypt(bytes.Repeat([]byte{'K'}, 32))
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := strings.Cut(string(good), "\n---")
	began := time.Now()
	for _, factor := range []string{"19", "22", "30", "64", "99999999999999999999", "-1", "0", "01", "x"} {
		hostile := strings.Replace(string(good), " 1\n", " "+factor+"\n", 1)
		if hostile == string(good) || !strings.Contains(header, " 1\n") {
			t.Fatal("no work factor in the header")
		}
		_, err := u.Decrypt([]byte(hostile))
		// An error alone would not show that the work was not done first.
		if err == nil || errors.Is(err, ErrWrongPassphrase) || !strings.Contains(err.Error(), "work factor") {
			t.Errorf("factor %s: %v", factor, err)
		}
	}
	for n := range good {
		if _, err := u.Decrypt(good[:n]); err == nil {
			t.Errorf("the first %d bytes were accepted", n)
		}
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
	for _, size := range []int{0, 31, 33, 64, 70000} {
		file, err := u.encrypt(make([]byte, size))
		if err != nil {
			t.Fatal(err)
		}
		if seed, err := u.Decrypt(file); err == nil {
			t.Errorf("a file of %d bytes is a key of %d", size, len(seed))
		}
	}
	if _, err := u.Decrypt(append(bytes.Clone(good), 'x')); err == nil {
		t.Error("trailing bytes were accepted")
	}
}

func TestPassphrasesAreNotEmptyAndNotPrinted(t *testing.T) {
	if _, err := Passphrase("", 1); err == nil {
		t.Error("an empty passphrase")
	}
	u, err := Passphrase("CANARY", 1)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{Unlock: func() (*Unlocker, error) { return u, nil }}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, arg := range []any{u, *u, s, *s, struct{ u Unlocker }{*u}} {
			if text := fmt.Sprintf(verb, arg); strings.Contains(text, "CANARY") || strings.Contains(text, "43414e41") || strings.Contains(text, "67 65 78") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	identity, err := age.ParseX25519Identity("AGE-SECRET-KEY-184JMZMVQH3E6U0PSL869004Y3U2NYV7R30EU99CSEDNPH02YUVFSZW44VU")
	if err != nil {
		f.Fatal(err)
	}
	u := newUnlocker([]age.Identity{identity}, []age.Recipient{identity.Recipient()})
	file, err := u.encrypt(make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Fuzz(func(t *testing.T, file []byte) {
		if seed, err := u.Decrypt(file); err == nil && len(seed) != 32 {
			t.Errorf("a key of %d bytes", len(seed))
		}
	})
}
