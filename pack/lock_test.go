package pack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/lock"
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
		l, err := lock.Parse(sharedLock(t, name+".lock"))
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
				if (r.Lock.Verdict == Pass) != admitted || admitted != (len(r.Lock.Findings) == 0) || (r.Status() == StatusLock) == admitted {
					t.Errorf("%s under %s: lock %s, %s, %v", pack, name, r.Lock.Verdict, r.Status(), r.Lock.Findings)
				}
				if s := l.Signers(); r.Signer.Pinned != (!s.Any() && s.Admits(r.Manifest.SignerFingerprint())) {
					t.Errorf("%s under %s: pinned %v", pack, name, r.Signer.Pinned)
				}
			} else if r.Lock.Verdict == Pass || r.Signer.Pinned {
				t.Errorf("%s under %s: lock %s, pinned %v, of a pack that is not intact", pack, name, r.Lock.Verdict, r.Signer.Pinned)
			}
			if got := r.ExitCode(); got != exit {
				t.Errorf("%s under %s: exit %d, want %d: %v", pack, name, got, exit, r.Lock.Findings)
			}
		}
	}
	if passed == 0 {
		t.Error("no pack passed under any lock")
	}
}

func mustLock(t testing.TB, s lock.Spec) *lock.Lock {
	t.Helper()
	if s.At.IsZero() {
		s.At = builtAt
	}
	l, err := lock.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
