package keystore

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/trust"
)

var day = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// rotatorDir makes the test binary a process that rotates the key there four times; see TestMain.
const rotatorDir = "KEYSTORE_TEST_ROTATE_IN"

func rotateFour(dir string) int {
	s := &Store{Dir: dir}
	for range 4 {
		if _, err := s.Rotate(RotateSpec{At: day, Active: true}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func rotate(t *testing.T, s *Store, spec RotateSpec) *Rotated {
	t.Helper()
	if spec.At.IsZero() {
		spec.At = day
	}
	done, err := s.Rotate(spec)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func revoke(t *testing.T, s *Store, spec RevokeSpec) []Revocation {
	t.Helper()
	if spec.At.IsZero() {
		spec.At = day
	}
	records, err := s.Revoke(spec)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func active(t *testing.T, s *Store, want string) {
	t.Helper()
	if got, err := s.Active(); err != nil || got != want {
		t.Errorf("active is %q, %v; want %q", got, err, want)
	}
}

func TestRotationOnAFreshMachineMakesTheFirstKey(t *testing.T) {
	s := newStore(t)
	done := rotate(t, s, RotateSpec{Active: true})
	if done.Old != nil || done.Statement != nil || done.New.ID() != DefaultID {
		t.Errorf("%+v", done)
	}
	active(t, s, DefaultID)
	if _, err := newStore(t).Rotate(RotateSpec{Old: "nobody", At: day}); !errors.Is(err, ErrNotFound) {
		t.Errorf("rotated from nobody: %v", err)
	}
}

func TestTheOldKeySignsForTheNewOne(t *testing.T) {
	s := newStore(t)
	old := generate(t, s, 1, "ci")
	var told []ed25519.PublicKey
	done := rotate(t, s, RotateSpec{Active: true, Publish: func(old, new ed25519.PublicKey) error {
		active(t, s, "ci") // until whoever verifies knows the new key
		told = []ed25519.PublicKey{old, new}
		return nil
	}})
	if done.New.ID() != "ci-20260115100000" || !told[0].Equal(old.Public()) || !told[1].Equal(done.New.Public()) {
		t.Errorf("new key %v, told %x", done.New, told)
	}
	active(t, s, done.New.ID())
	rotations, err := s.Rotations()
	if err != nil || len(rotations) != 1 || !rotations[0].Old.Equal(old.Public()) || !rotations[0].New.Equal(done.New.Public()) {
		t.Fatalf("%+v, %v", rotations, err)
	}
	// Every single flipped bit of the statement is found.
	text, err := rotations[0].Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 * len(text) {
		flipped := bytes.Clone(text)
		flipped[i/8] ^= 1 << (i % 8)
		if r, err := ParseRotation(flipped); err == nil {
			t.Fatalf("bit %d flipped: accepted %+v", i, r)
		}
	}
}

// LCK-24
func TestAStatementOfAnotherKeyIsNone(t *testing.T) {
	s := newStore(t)
	old, other := generate(t, s, 1, "old"), generate(t, s, 2, "other")
	r := Rotation{OldID: "old", NewID: "new", Old: old.Public(), New: generate(t, s, 3, "new").Public(), At: day}
	message, err := r.message()
	if err != nil {
		t.Fatal(err)
	}
	r.Signature, _ = other.Sign(message)
	text, err := r.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRotation(text); err == nil || !strings.Contains(err.Error(), "not the old key's") {
		t.Errorf("%v", err)
	}
}

func TestARotationLeavesTheActiveKeyIfToldSoOrIfItFails(t *testing.T) {
	s := newStore(t)
	generate(t, s, 1, "zed")
	rotate(t, s, RotateSpec{New: "a"})
	active(t, s, "zed")
	_, err := s.Rotate(RotateSpec{At: day, Active: true, Publish: func(_, _ ed25519.PublicKey) error { return errors.New("disk full") }})
	if err == nil || !strings.Contains(err.Error(), "is not active: disk full") {
		t.Errorf("%v", err)
	}
	active(t, s, "zed")
	if _, err := s.Rotate(RotateSpec{At: day, New: "a"}); !errors.Is(err, ErrExists) {
		t.Errorf("replaced a key: %v", err)
	}
}

func TestIdsDoNotGrowWithRotations(t *testing.T) {
	for _, first := range []string{strings.Repeat("a", maxKeyID), "ci", "ci-2", "ci-20261"} {
		s := newStore(t)
		generate(t, s, 1, first)
		var ids, want []string
		base := first[:min(len(first), maxKeyID-19)]
		for i := range 6 {
			ids = append(ids, rotate(t, s, RotateSpec{At: day.Add(time.Duration(i/3) * time.Second), Active: true}).New.ID())
			want = append(want, base+[]string{"-20260115100000", "-20260115100000-2", "-20260115100000-3", "-20260115100001", "-20260115100001-2", "-20260115100001-3"}[i])
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%q, want %q", ids, want)
		}
	}
}

func TestSixteenProcessesRotateOneStore(t *testing.T) {
	racetest.OneGoroutine(t)
	s := newStore(t)
	generate(t, s, 1, "ci")
	const processes = 16
	var started []*exec.Cmd
	for range processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), rotatorDir+"="+s.Dir)
		cmd.Stderr = os.Stderr
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
	a, err := s.Audit(time.Now())
	if err != nil || len(a.Findings) > 0 {
		t.Errorf("findings %+v, %v", a.Findings, err)
	}
	if len(a.Keys) != 4*processes+1 || len(a.Rotations) != 4*processes {
		t.Errorf("%d keys, %d rotations", len(a.Keys), len(a.Rotations))
	}
	// One after the other: each key was followed once, and the last one is active.
	followed := map[trust.Digest]int{}
	for _, r := range a.Rotations {
		followed[Fingerprint(r.Old)]++
	}
	for _, k := range a.Keys {
		want := 1
		if k.Active {
			want = 0
		}
		if followed[k.Fingerprint] != want {
			t.Errorf("%s was followed %d times, want %d", k.ID, followed[k.Fingerprint], want)
		}
	}
}

// LCK-22, LCK-23
func TestARevokedKeyDoesNotSignUnderAnyID(t *testing.T) {
	s := newStore(t)
	key := generate(t, s, 1, "ci")
	generate(t, s, 1, "copy") // the same seed
	records := revoke(t, s, RevokeSpec{ID: "ci", Reason: "laptop \x1b[31m lost"})
	if len(records) != 1 || records[0].Fingerprint != key.Fingerprint() || records[0].Reason != "laptop \x1b[31m lost" || !records[0].At.Equal(day) {
		t.Errorf("%+v", records)
	}
	for _, id := range []string{"ci", "copy"} {
		if _, err := s.Load(id); !errors.Is(err, ErrRevoked) || !strings.Contains(err.Error(), "2026-01-15T10:00:00Z") {
			t.Errorf("%s: %v", id, err)
		}
		if err := s.SetActive(id); !errors.Is(err, ErrRevoked) {
			t.Errorf("%s is active: %v", id, err)
		}
		if info, err := s.Find(id); err != nil || info.Revoked == nil || info.Fingerprint != key.Fingerprint() {
			t.Errorf("%s: %+v, %v", id, info, err)
		}
	}
	again := revoke(t, s, RevokeSpec{ID: "ci", At: day.Add(time.Hour), Reason: "another"})
	if !again[0].At.Equal(day) || again[0].Reason != records[0].Reason {
		t.Errorf("the record was changed: %+v", again)
	}
	if _, err := s.Import("third", Base64(key.public), Base64(key.Seed())); !errors.Is(err, ErrRevoked) {
		t.Errorf("a revoked key came back: %v", err)
	}
	if _, err := s.Import("third", Base64(key.public), nil); !errors.Is(err, ErrRevoked) || s.has("third") {
		t.Errorf("a revoked key came back, for allowlists: %v, %v", err, s.Paths("third"))
	}
	done := rotate(t, s, RotateSpec{Active: true})
	if done.Statement != nil {
		t.Error("a revoked key signed a statement")
	}
	if _, err := s.Load(done.New.ID()); err != nil {
		t.Error(err)
	}
}

func TestARecordOutlivesItsKey(t *testing.T) {
	s := newStore(t)
	key := generate(t, s, 1, "ci")
	generate(t, s, 2, "next")
	revoke(t, s, RevokeSpec{ID: "ci", Delete: true})
	if left := s.Paths("ci"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := s.Load("ci"); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	active(t, s, "next")
	all, err := s.Revocations()
	if err != nil || len(all) != 1 || all[0].Fingerprint != key.Fingerprint() || all[0].SignerID != "ci" {
		t.Errorf("%+v, %v", all, err)
	}
	generate(t, s, 3, "ci") // the id is free, with another key
	if _, err := s.Load("ci"); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeUsedCanBeRevoked(t *testing.T) {
	s := newStore(t)
	key, other := generate(t, s, 1, "open"), generate(t, s, 2, "other")
	if err := os.Chmod(s.path("open", "key"), 0o644); err != nil {
		t.Fatal(err)
	}
	revoke(t, s, RevokeSpec{ID: "open"})
	if err := s.CheckRevoked(key.Public()); !errors.Is(err, ErrRevoked) {
		t.Errorf("%v", err)
	}
	third := generate(t, s, 3, "third")
	if err := os.WriteFile(s.path("third", "pub"), other.Public(), 0o644); err != nil {
		t.Fatal(err)
	}
	if records := revoke(t, s, RevokeSpec{ID: "third"}); len(records) != 2 || s.CheckRevoked(third.Public()) == nil || s.CheckRevoked(other.Public()) == nil {
		t.Errorf("halves of two keys: %+v", records)
	}
	away, _ := NewKey("away", bytes.Repeat([]byte{9}, 32))
	if revoke(t, s, RevokeSpec{ID: away.Fingerprint().String(), Delete: true}); s.CheckRevoked(away.Public()) == nil {
		t.Error("a key that is elsewhere was not revoked")
	}
	for _, spec := range []RevokeSpec{{ID: "nobody"}, {ID: "../x"}, {ID: "other", Reason: strings.Repeat("x", 1001)}, {ID: "other", Reason: "\xff"}} {
		if _, err := s.Revoke(spec); err == nil {
			t.Errorf("revoked %+v", spec)
		}
	}
}

// LCK-22: of a record that cannot be read.
func TestADamagedRecordStillRevokes(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "torn": `{"fingerprint":`, "of another": ""} {
		s := newStore(t)
		key := generate(t, s, 1, "ci")
		if name == "of another" {
			record, _ := Revocation{Fingerprint: trust.Digest(bytes.Repeat([]byte{0xaa}, 32)), At: day}.Marshal()
			text = string(record)
		}
		if err := os.WriteFile(filepath.Join(s.Dir, key.Fingerprint().String()+revokedSuffix), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load("ci"); !errors.Is(err, ErrRevoked) {
			t.Errorf("%s: %v", name, err)
		}
		if a, err := s.Audit(day); err != nil || !has(a, "RECORD_DAMAGED") {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func has(a *Audited, code string) bool {
	return slices.ContainsFunc(a.Findings, func(f Finding) bool { return f.Code == code && f.Serious })
}

func TestHalvesMustMatchToBeImported(t *testing.T) {
	one, _ := NewKey("one", bytes.Repeat([]byte{1}, 32))
	two, _ := NewKey("two", bytes.Repeat([]byte{2}, 32))
	public, private := Base64(one.public), Base64(one.Seed())
	text := base64.StdEncoding.EncodeToString(one.public)
	for name, c := range map[string]struct {
		public, private []byte
		says            string
	}{
		"another's half":    {public, Base64(two.Seed()), "not halves of one key"},
		"halves exchanged":  {private, public, "public key"},
		"two newlines":      {[]byte(text + "\n\n"), nil, "base64"},
		"a newline within":  {[]byte(text[:10] + "\n" + text[10:]), nil, "base64"},
		"CRLF":              {[]byte(text + "\r\n"), nil, "base64"},
		"a space":           {[]byte(text + " "), nil, "base64"},
		"no padding":        {[]byte(text[:43]), nil, "base64"},
		"URL alphabet":      {[]byte(strings.NewReplacer("+", "-", "/", "_").Replace("+" + text[1:])), nil, "base64"},
		"bits behind":       {[]byte(text[:42] + string(text[42]+1) + "="), nil, ""},
		"empty":             {nil, nil, "base64"},
		"31 bytes":          {Base64(one.public[:31]), nil, "base64"},
		"64 bytes":          {public, Base64(bytes.Repeat([]byte{1}, 64)), "base64"},
		"small order":       {Base64(make([]byte, 32)), nil, "small order"},
		"not canonical":     {Base64(bytes.Repeat([]byte{0xff}, 32)), nil, "public key"},
		"empty private key": {public, []byte{}, "private key"},
	} {
		s := newStore(t)
		if _, err := s.Import("x", c.public, c.private); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, expected %q", name, err, c.says)
		}
		if infos, _ := s.List(); len(infos) > 0 {
			t.Errorf("%s: left %+v", name, infos)
		}
	}
}

func TestAPublicKeyAloneIsListedAndNeverSigns(t *testing.T) {
	s := newStore(t)
	one, _ := NewKey("one", bytes.Repeat([]byte{1}, 32))
	info, err := s.Import("away", Base64(one.public), nil)
	if err != nil || info.Kind != PublicOnly || info.Fingerprint != one.Fingerprint() || info.Active {
		t.Fatalf("%+v, %v", info, err)
	}
	active(t, s, DefaultID)
	if _, err := s.Load("away"); !errors.Is(err, ErrPublicOnly) {
		t.Errorf("%v", err)
	}
	if err := s.SetActive("away"); !errors.Is(err, ErrPublicOnly) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, activeMarker), []byte("away\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	active(t, s, DefaultID) // whatever the marker says
	if _, err := s.Import("away", Base64(one.public), nil); !errors.Is(err, ErrExists) {
		t.Errorf("imported twice: %v", err)
	}
	two, _ := NewKey("two", bytes.Repeat([]byte{2}, 32))
	if _, err := s.Import("away", Base64(two.public), Base64(two.Seed())); !errors.Is(err, ErrExists) {
		t.Errorf("replaced by another key: %v", err)
	}
	if info, err := s.Import("away", Base64(one.public), Base64(one.Seed())); err != nil || info.Kind != Plain {
		t.Errorf("its other half: %+v, %v", info, err)
	}
	for path, mode := range map[string]os.FileMode{"key": 0o600, "pub": 0o644} {
		if info, err := os.Stat(s.path("away", path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestAuditFindsWhatIsWrong(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		spoil   func(t *testing.T, s *Store)
		code    string
		serious bool
		now     time.Time
	}{
		"key mode":       {func(t *testing.T, s *Store) { os.Chmod(s.path("one", "key"), 0o644) }, "KEY_REFUSED", true, soon},
		"dir mode":       {func(t *testing.T, s *Store) { os.Chmod(s.Dir, 0o755) }, "STORE_REFUSED", true, soon},
		"halves":         {func(t *testing.T, s *Store) { os.WriteFile(s.path("one", "pub"), make([]byte, 32), 0o644) }, "KEY_REFUSED", true, soon},
		"old":            {func(t *testing.T, s *Store) {}, "KEY_OLD", true, soon.Add(MaxAge)},
		"active revoked": {func(t *testing.T, s *Store) { s.SetActive("one"); revoke(t, s, RevokeSpec{ID: "one"}) }, "ACTIVE_REVOKED", true, soon},
		"active gone":    {func(t *testing.T, s *Store) { s.mark("nobody") }, "ACTIVE_MISSING", true, soon},
		"unknown":        {func(t *testing.T, s *Store) { os.WriteFile(filepath.Join(s.Dir, "x.txt"), nil, 0o600) }, "UNKNOWN_FILE", true, soon},
		"crash":          {func(t *testing.T, s *Store) { os.WriteFile(filepath.Join(s.Dir, ".assay_tmp_1"), nil, 0o600) }, "UNKNOWN_FILE", true, soon},
		"python's crash": {func(t *testing.T, s *Store) { os.WriteFile(filepath.Join(s.Dir, "a.key.tmp"), nil, 0o600) }, "UNKNOWN_FILE", true, soon},
		"revoked": {func(t *testing.T, s *Store) {
			generate(t, s, 2, "two")
			revoke(t, s, RevokeSpec{ID: "two"})
		}, "REVOKED_KEY_KEPT", false, soon},
	} {
		s := newStore(t)
		generate(t, s, 1, "one")
		if a, err := s.Audit(soon); err != nil || len(a.Findings) > 0 || a.Active != "one" {
			t.Fatalf("%s: before: %+v, %v", name, a, err)
		}
		c.spoil(t, s)
		a, err := s.Audit(c.now)
		if err != nil || len(a.Findings) != 1 || a.Findings[0].Code != c.code || a.Findings[0].Serious != c.serious {
			t.Errorf("%s: %+v, %v", name, a.Findings, err)
		}
	}
	if a, err := newStore(t).Audit(soon); err != nil || len(a.Findings) > 0 {
		t.Errorf("no store: %+v, %v", a, err)
	}
}

func FuzzRevocation(f *testing.F) {
	seed, _ := Revocation{Fingerprint: trust.Digest(bytes.Repeat([]byte{0x0a}, 32)), SignerID: "ci", Reason: "\u2028 é \x1b", At: day}.Marshal()
	f.Add(seed)
	f.Add([]byte(`{"fingerprint":"","reason":"","revoked_at":"","signer_id":"","version":""}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := ParseRevocation(text); err == nil {
			if again, err := r.Marshal(); err != nil || !bytes.Equal(again, text) {
				t.Errorf("%q becomes %q, %v", text, again, err)
			}
		}
	})
}

func FuzzRotation(f *testing.F) {
	old, _ := NewKey("old", bytes.Repeat([]byte{1}, 32))
	new, _ := NewKey("new", bytes.Repeat([]byte{2}, 32))
	r := Rotation{OldID: "old", NewID: "new", Old: old.Public(), New: new.Public(), At: day}
	message, _ := r.message()
	r.Signature, _ = old.Sign(message)
	seed, _ := r.Marshal()
	if _, err := ParseRotation(seed); err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := ParseRotation(text); err == nil {
			if again, err := r.Marshal(); err != nil || !bytes.Equal(again, text) {
				t.Errorf("%q becomes %q, %v", text, again, err)
			}
		}
	})
}

func FuzzParseSeed(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, 32))
	f.Add(Base64(bytes.Repeat([]byte{1}, 32)))
	f.Fuzz(func(t *testing.T, text []byte) {
		seed, err := ParseSeed(text)
		if err != nil {
			if len(text) > 8 && strings.Contains(err.Error(), string(text)) {
				t.Errorf("the error quotes the text: %v", err)
			}
			return
		}
		if !bytes.Equal(text, seed) && !bytes.Equal(text, Base64(seed)) && !bytes.Equal(text, bytes.TrimSuffix(Base64(seed), []byte("\n"))) {
			t.Errorf("%q is read as %x", text, seed)
		}
	})
}
