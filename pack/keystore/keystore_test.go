package keystore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
)

func TestALockThatIsAFIFOIsRefusedAndNotWaitedFor(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if err := os.Chmod(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(s.Dir, lockFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.locked(func() error { return nil }); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a FIFO for the lock: %v", err)
	}
}

// generatorDir makes the test binary a process that generates keys there; see TestMain.
const generatorDir = "KEYSTORE_TEST_GENERATE_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(generatorDir); dir != "" {
		generateFour(dir)
		os.Exit(0)
	}
	if dir := os.Getenv(rotatorDir); dir != "" {
		os.Exit(rotateFour(dir))
	}
	if how := os.Getenv(helperMode); how != "" {
		os.Exit(helpAs(how))
	}
	os.Exit(m.Run())
}

// generateFour generates one id four times at once and prints "won" or "lost" and the fingerprint.
func generateFour(dir string) {
	s := &Store{Dir: dir}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			key, err := s.Generate(nil, "one")
			word := "won"
			if errors.Is(err, ErrExists) {
				word = "lost"
				key, err = s.Load("one")
			}
			if err != nil {
				fmt.Println("error", err)
				return
			}
			fmt.Println(word, key.Fingerprint())
		})
	}
	all.Wait()
}

func newStore(t *testing.T) *Store {
	return &Store{Dir: filepath.Join(t.TempDir(), "home", "keys")}
}

// seed is 32 bytes that no other key has.
func seed(n byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{n}, 32)) }

func generate(t *testing.T, s *Store, n byte, id string) *Key {
	t.Helper()
	key, err := s.Generate(seed(n), id)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// LCK-19: modes.
func TestAKeyIsItsFilesAndTheFilesAreTheKey(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	s := newStore(t)
	key := generate(t, s, 7, "ci.bot-1")
	for name, want := range map[string]os.FileMode{"": 0o700, "ci.bot-1.key": 0o600, "ci.bot-1.pub": 0o644} {
		info, err := os.Stat(filepath.Join(s.Dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v %v, want mode %v", name, info.Mode(), err, want)
		}
	}
	secret, err := os.ReadFile(s.path("ci.bot-1", "key"))
	if err != nil || !bytes.Equal(secret, bytes.Repeat([]byte{7}, 32)) {
		t.Errorf("key file: %d bytes, %v", len(secret), err)
	}
	public, err := os.ReadFile(s.path("ci.bot-1", "pub"))
	if err != nil || !key.Public().Equal(ed25519.PublicKey(public)) {
		t.Errorf("public key file: %x, %v", public, err)
	}
	loaded, err := s.Load("ci.bot-1")
	if err != nil {
		t.Fatal(err)
	}
	signature, err := loaded.Sign([]byte("message"))
	if err != nil || !ed25519.Verify(key.Public(), []byte("message"), signature) {
		t.Errorf("the loaded key signs for another: %v", err)
	}
	if entries, _ := os.ReadDir(s.Dir); len(entries) != 3 { // with .keys_lock
		t.Errorf("left in the directory: %v", entries)
	}
}

func TestAFingerprintIsThatOfTheContractVectors(t *testing.T) {
	s := newStore(t)
	key, err := s.Generate(bytes.NewReader(make([]byte, 32)), "zero")
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(key.Public()); got != "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29" {
		t.Errorf("public key of the zero seed: %s", got)
	}
	if got := key.Fingerprint().String(); got != "139e3940e64b5491722088d9a0d741628fc826e09475d341a780acde3c4b8070" {
		t.Errorf("fingerprint: %s", got)
	}
}

func TestAKeyIsNeverPrinted(t *testing.T) {
	key := generate(t, newStore(t), 'K', "one")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, arg := range []any{key, []*Key{key}, struct{ K *Key }{key}, *key, struct{ k Key }{*key}, &struct{ k *Key }{key}} {
			if text := fmt.Sprintf(verb, arg); strings.Contains(text, "KKKK") || strings.Contains(text, "75 75") || strings.Contains(text, "4b4b") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}

// LCK-21
func TestGenerateNeverReplacesAKey(t *testing.T) {
	s := newStore(t)
	first := generate(t, s, 1, "one")
	if _, err := s.Generate(seed(2), "one"); !errors.Is(err, ErrExists) {
		t.Errorf("generated again: %v", err)
	}
	if loaded, err := s.Load("one"); err != nil || loaded.Fingerprint() != first.Fingerprint() {
		t.Errorf("the key has changed: %v", err)
	}
	if err := os.WriteFile(s.path("two", "pub"), make([]byte, 32), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Generate(seed(2), "two"); !errors.Is(err, ErrExists) {
		t.Errorf("generated beside a public key: %v", err)
	}
	if _, err := s.Generate(strings.NewReader("short"), "three"); err == nil || errors.Is(err, ErrExists) {
		t.Errorf("a seed of 5 bytes: %v", err)
	}
}

// LCK-21: by many processes at once.
func TestOneOf64GeneratorsWinsAndTheOthersLoadItsKey(t *testing.T) {
	s := newStore(t)
	const processes = 16
	outputs := make([]bytes.Buffer, processes)
	var started []*exec.Cmd
	for i := range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), generatorDir+"="+s.Dir)
		cmd.Stdout, cmd.Stderr = &outputs[i], os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started = append(started, cmd)
	}
	for _, cmd := range started {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	key, err := s.Load("one")
	if err != nil {
		t.Fatal(err)
	}
	won, lost := 0, 0
	for i := range outputs {
		for line := range strings.Lines(outputs[i].String()) {
			word, fingerprint, _ := strings.Cut(strings.TrimSpace(line), " ")
			if fingerprint != key.Fingerprint().String() {
				t.Errorf("a generator says: %s", line)
			}
			switch word {
			case "won":
				won++
			case "lost":
				lost++
			}
		}
	}
	if won != 1 || lost != 4*processes-1 {
		t.Errorf("%d won and %d lost, want 1 and %d", won, lost, 4*processes-1)
	}
	if entries, _ := os.ReadDir(s.Dir); len(entries) != 3 { // with .keys_lock
		t.Errorf("left in the directory: %v", entries)
	}
}

func TestAPublicKeyThatWasNotWrittenIsWrittenByLoad(t *testing.T) {
	s := newStore(t)
	key := generate(t, s, 1, "one")
	if err := os.Remove(s.path("one", "pub")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("one"); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(s.path("one", "pub"))
	if err != nil || !key.Public().Equal(ed25519.PublicKey(public)) {
		t.Errorf("public key file: %x, %v", public, err)
	}
}

// LCK-20
func TestKeysThatOthersCouldHaveTouchedAreRefused(t *testing.T) {
	swap := func(t *testing.T, path string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	move := func(t *testing.T, path string, put func(moved string) error) {
		moved := path + ".moved"
		if err := os.Rename(path, moved); err != nil {
			t.Fatal(err)
		}
		if err := put(moved); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(t *testing.T, s *Store, path string)
		says  string
	}{
		"key 0644": {func(t *testing.T, s *Store, path string) { os.Chmod(path, 0o644) }, "has mode 0644, expected 0600"},
		"key 0640": {func(t *testing.T, s *Store, path string) { os.Chmod(path, 0o640) }, "has mode 0640"},
		"key 0620": {func(t *testing.T, s *Store, path string) { os.Chmod(path, 0o620) }, "has mode 0620"},
		"key 0601": {func(t *testing.T, s *Store, path string) { os.Chmod(path, 0o601) }, "has mode 0601"},
		"dir 0755": {func(t *testing.T, s *Store, path string) { os.Chmod(s.Dir, 0o755) }, "has mode 0755, expected 0700"},
		"dir 0720": {func(t *testing.T, s *Store, path string) { os.Chmod(s.Dir, 0o720) }, "has mode 0720"},
		"dir link": {func(t *testing.T, s *Store, path string) {
			move(t, s.Dir, func(moved string) error { return os.Symlink(moved, s.Dir) })
		}, "is not a directory"},
		"key link": {func(t *testing.T, s *Store, path string) {
			move(t, path, func(moved string) error { return os.Symlink(moved, path) })
		}, "symbolic link"},
		"key FIFO": {func(t *testing.T, s *Store, path string) {
			move(t, path, func(string) error { return syscall.Mkfifo(path, 0o600) })
		}, "not a regular file"},
		"key directory": {func(t *testing.T, s *Store, path string) {
			move(t, path, func(string) error { return os.Mkdir(path, 0o700) })
		}, "not a regular file"},
		"short key":    {func(t *testing.T, s *Store, path string) { swap(t, path, make([]byte, 31)) }, "has 31 bytes"},
		"long key":     {func(t *testing.T, s *Store, path string) { swap(t, path, make([]byte, 64)) }, "more than 32 bytes"},
		"empty key":    {func(t *testing.T, s *Store, path string) { swap(t, path, nil) }, "has 0 bytes"},
		"other key":    {func(t *testing.T, s *Store, path string) { swap(t, path, make([]byte, 32)) }, "is not the public key of"},
		"other public": {func(t *testing.T, s *Store, path string) { swap(t, s.path("one", "pub"), make([]byte, 32)) }, "is not the public key of"},
		"short public": {func(t *testing.T, s *Store, path string) { swap(t, s.path("one", "pub"), make([]byte, 31)) }, "has 31 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			generate(t, s, 'K', "one")
			c.spoil(t, s, s.path("one", "key"))
			key, err := s.Load("one")
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrNotFound) {
				t.Fatalf("%v, %v; expected an error with %q", key, err, c.says)
			}
			if strings.Contains(err.Error(), "KKKK") || strings.Contains(err.Error(), "4b4b") {
				t.Errorf("the error holds the key: %v", err)
			}
			if err := s.SetActive("one"); err == nil {
				t.Error("a refused key became active")
			}
			if strings.HasPrefix(name, "dir") {
				if _, err := s.List(); err == nil {
					t.Error("a refused directory was listed")
				}
				if _, err := s.Generate(nil, "two"); err == nil {
					t.Error("a key was put into a refused directory")
				}
			} else if infos, err := s.List(); err != nil || len(infos) != 1 || infos[0].Err == nil || infos[0].Fingerprint != (trust.Digest{}) || infos[0].FingerprintText() != "" {
				t.Errorf("listed as %+v, %v", infos, err)
			}
		})
	}
}

// LCK-20
func TestAKeyOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give a file away")
	}
	for _, name := range []string{"", "one.key"} {
		s := newStore(t)
		generate(t, s, 1, "one")
		if err := os.Chown(filepath.Join(s.Dir, name), 4242, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load("one"); err == nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// LCK-19: ids.
func TestSignerIDsCannotLeaveTheDirectory(t *testing.T) {
	s := newStore(t)
	for _, id := range []string{"", ".", "..", "../one", "a/b", ".hidden", "a b", "a\n", "a\x00", "é", strings.Repeat("a", maxKeyID+1)} {
		if _, err := s.Generate(seed(1), id); err == nil {
			t.Errorf("generated %q", id)
		}
		if _, err := s.Load(id); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
		if err := s.SetActive(id); err == nil {
			t.Errorf("%q is active", id)
		}
	}
	for _, id := range []string{"a", "A-b_c.d", "1", "-", strings.Repeat("a", maxKeyID)} {
		generate(t, s, 1, id)
	}
}

func TestTheActiveKey(t *testing.T) {
	s := newStore(t)
	active := func(want string) {
		t.Helper()
		if got, err := s.Active(); err != nil || got != want {
			t.Errorf("active is %q, %v; want %q", got, err, want)
		}
	}
	mark := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.Dir, activeMarker), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	active(DefaultID) // no directory yet
	if infos, err := s.List(); err != nil || infos != nil {
		t.Errorf("listed %v, %v", infos, err)
	}
	if _, err := s.Load(DefaultID); !errors.Is(err, ErrNotFound) {
		t.Errorf("loaded from nothing: %v", err)
	}
	unmark := func() {
		t.Helper()
		if err := os.Remove(filepath.Join(s.Dir, activeMarker)); err != nil {
			t.Fatal(err)
		}
	}
	generate(t, s, 1, "zed")
	active("zed")
	generate(t, s, 2, "bob")
	active("zed") // another key is made, not made active
	unmark()
	active("bob") // first of the list
	generate(t, s, 3, DefaultID)
	active("bob")
	unmark()
	active(DefaultID)
	if err := s.SetActive("zed"); err != nil {
		t.Fatal(err)
	}
	active("zed")
	if text, err := os.ReadFile(filepath.Join(s.Dir, activeMarker)); err != nil || string(text) != "zed\n" {
		t.Errorf("marker %q, %v", text, err)
	}
	infos, err := s.List()
	if err != nil || len(infos) != 3 || infos[0].ID != DefaultID || infos[1].ID != "bob" || infos[2].ID != "zed" || !infos[2].Active || infos[0].Active || infos[1].Active {
		t.Errorf("listed %+v, %v", infos, err)
	}
	if err := s.SetActive("nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("set to nobody: %v", err)
	}
	mark("bob") // without a newline
	active("bob")
	for _, text := range []string{"nobody\n", "", "\n", "../bob\n"} {
		mark(text)
		active(DefaultID)
	}
	mark(strings.Repeat("x", 1000))
	if id, err := s.Active(); err == nil {
		t.Errorf("a marker of 1000 bytes names %q", id)
	}
}
