package pack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sharedLocks = sharedPacks + "/../locks"

func sharedLock(t testing.TB, name string) []byte {
	t.Helper()
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedLocks, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Names of the reference locks tell what is to come out. bad_empty_allowlist and bad_pack_format are
// good files that admit no pack.
func TestReferenceLocksAreAcceptedOrRefusedByName(t *testing.T) {
	needShared(t)
	paths, err := filepath.Glob(filepath.Join(sharedLocks, "*.lock"))
	if err != nil || len(paths) < 19 {
		t.Fatalf("%d locks: %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".lock")
		bad := strings.HasPrefix(name, "bad_") && name != "bad_empty_allowlist" && name != "bad_pack_format" ||
			strings.HasPrefix(name, "weak_")
		l, err := ParseLock(sharedLock(t, filepath.Base(path)))
		if (err != nil) != bad {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && string(l.Marshal()) != string(sharedLock(t, filepath.Base(path))) {
			t.Errorf("%s: the text changed", name)
		}
	}
}

// The expected exit of each reference pack under each lock: what a pack comes to by itself, unless the
// lock is not for it.
func TestReferencePacksUnderReferenceLocks(t *testing.T) {
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedPacks, "../packs-expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct{ Packs map[string]expectedPack }
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	const rcHash = "0b9affe4a6e67d069cb3413aaf982fc05110dae0af8a0b4dce180e63e5d564dc"
	passed := 0
	for _, name := range []string{"all_any", "bad_empty_allowlist", "bad_pack_format", "rc_alice", "rc_any", "rc_ge_alice", "rc_mallory"} {
		l, err := ParseLock(sharedLock(t, name+".lock"))
		if err != nil {
			t.Fatal(err)
		}
		for pack, w := range want.Packs {
			r := verifyDir(t, filepath.Join(sharedPacks, pack), Options{Now: testNow, Lock: l, RequireClaims: true})
			exit := w.ExitRequire
			if exit != 2 {
				hash := r.Manifest.Attestation.ClaimSetHash
				alice := r.Manifest.SignerID == "alice"
				admitted := map[string]bool{
					"rc_any":      hash == rcHash,
					"rc_alice":    hash == rcHash && alice,
					"rc_mallory":  hash == rcHash && !alice,
					"rc_ge_alice": hash == l.ClaimSetHash() && alice,
					"all_any":     hash == l.ClaimSetHash(),
				}[name]
				if !admitted {
					exit = 2
				} else {
					passed++
				}
				if (r.Lock == Pass) != admitted || admitted != (len(r.LockFindings) == 0) || (r.Status() == StatusLock) == admitted {
					t.Errorf("%s under %s: lock %s, %s, %v", pack, name, r.Lock, r.Status(), r.LockFindings)
				}
				if _, any := l.Signers(); r.Pinned != (admitted && !any) {
					t.Errorf("%s under %s: pinned %v", pack, name, r.Pinned)
				}
			} else if r.Lock == Pass || r.Pinned {
				t.Errorf("%s under %s: lock %s, pinned %v, of a pack that is not intact", pack, name, r.Lock, r.Pinned)
			}
			if got := r.ExitCode(); got != exit {
				t.Errorf("%s under %s: exit %d, want %d: %v", pack, name, got, exit, r.LockFindings)
			}
		}
	}
	if passed == 0 {
		t.Error("no pack passed under any lock")
	}
}
