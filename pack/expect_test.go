package pack

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func (r *Result) codes() (codes []string) {
	for _, f := range slices.Concat(r.Findings, r.LockFindings) {
		codes = append(codes, f.Code+" "+f.Field)
	}
	return codes
}

func TestAPackTooOldForItsReaderIsStale(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS()
	end := time.Date(2026, 1, 15, 10, 0, 1, 0, time.UTC)
	for _, c := range []struct {
		now  time.Time
		age  time.Duration
		exit int
	}{
		{end.Add(time.Hour), time.Hour, 0},
		{end.Add(time.Hour + 1), time.Hour, 2},
		{end.Add(time.Hour), 0, 0},
		{end, 1, 0},
		{end.Add(-time.Hour), 1, 0}, // from ahead, within a day
		{end.Add(time.Hour), -1, 2},
		{end.AddDate(900, 0, 0), math.MaxInt64 - 1, 2},
		{time.Time{}, time.Hour, 2}, // no clock: it cannot be told
		{time.Time{}, math.MaxInt64, 2},
	} {
		r := mustVerify(t, files, Options{Now: c.now, MaxAge: c.age})
		if r.ExitCode() != c.exit || c.exit == 2 && (!slices.Contains(r.codes(), "E_PACK_STALE timestamp_end") || r.Status() != StatusFailed) {
			t.Errorf("at %s, at most %s: exit %d: %v", c.now, c.age, r.ExitCode(), r.codes())
		}
	}
	if m := (Finding{Code: eStale}).Mechanism(); m != "stale_evidence" {
		t.Errorf("the mechanism is %s", m)
	}
}

// The schema refuses such an end first; an age must not be told from it all the same.
func TestAnEndThatIsNoTimeIsOlderThanAnyAge(t *testing.T) {
	m := &Manifest{Attestation: Attestation{TimestampEnd: "yesterday"}}
	for age, stale := range map[time.Duration]int{1 << 62: 1, 0: 0} {
		v := &verifier{m: m, o: Options{Now: time.Now(), MaxAge: age}}
		if v.stale(); len(v.found) != stale || stale > 0 && v.found[0].Code != eStale {
			t.Errorf("at most %v: %v", age, v.found)
		}
	}
}

func TestAPackMustNameTheCIRunThatIsAskedFor(t *testing.T) {
	sha := strings.Repeat("ab", 20)
	bound := smallSpec(t)
	bound.CIBinding = &CIBinding{Provider: "github_actions", CommitSHA: sha}
	missing, other := "E_CI_BINDING_MISSING ci_binding", "E_CI_BINDING_MISMATCH ci_binding.commit_sha"
	for i, c := range []struct {
		s    Spec
		o    Options
		want []string
	}{
		{smallSpec(t), Options{}, nil},
		{smallSpec(t), Options{RequireCI: true}, []string{missing}},
		{smallSpec(t), Options{CommitSHA: sha}, []string{missing}},
		{smallSpec(t), Options{CommitSHA: sha, RequireCI: true}, []string{missing}},
		{bound, Options{RequireCI: true}, nil},
		{bound, Options{CommitSHA: sha, RequireCI: true}, nil},
		{bound, Options{CommitSHA: sha}, nil},
		{bound, Options{CommitSHA: strings.ToUpper(sha)}, []string{other}},
		{bound, Options{CommitSHA: sha[:7]}, []string{other}},
		{bound, Options{CommitSHA: strings.Repeat("cd", 20)}, []string{other}},
	} {
		c.o.Now = builtAt
		r := mustVerify(t, mustBuild(t, c.s).FS(), c.o)
		if !slices.Equal(r.codes(), c.want) || r.ExitCode() != 2*len(c.want) {
			t.Errorf("case %d: exit %d, %v", i, r.ExitCode(), r.codes())
		}
	}
	if m := (Finding{Code: eNoCI}).Mechanism(); m != "policy_conflict" {
		t.Errorf("the mechanism is %s", m)
	}
}

func TestAnExpiredPackIsAnHonestFailure(t *testing.T) {
	until := builtAt.Add(time.Hour)
	s := smallSpec(t)
	s.ValidUntil = until.Format(time.RFC3339)
	files := mustBuild(t, s).FS()
	for _, c := range []struct {
		files fs.FS
		now   time.Time
		check bool
		want  Verdict
	}{
		{files, until, true, Pass},
		{files, until.Add(1), true, Fail},
		{files, until.Add(1), false, Skipped},
		{files, time.Time{}, true, Fail},
		{mustBuild(t, smallSpec(t)).FS(), until, true, Skipped},
		{mustBuild(t, smallSpec(t)).FS(), time.Time{}, true, Skipped},
	} {
		r := mustVerify(t, c.files, Options{Now: c.now, CheckExpiry: c.check})
		want := map[Verdict]int{Fail: 1}[c.want]
		if r.Expiry != c.want || r.ExitCode() != want || (r.Status() == StatusExpired) != (want == 1) || r.Integrity != Pass {
			t.Errorf("at %s, check %v: %s, exit %d, %s", c.now, c.check, r.Expiry, r.ExitCode(), r.Status())
		}
	}
	broken := smallPack(t)
	broken[transcriptName] = []byte("x")
	if r := mustVerify(t, broken, Options{Now: until, CheckExpiry: true}); r.Expiry != Skipped || r.ExitCode() != 2 {
		t.Errorf("of a pack that is not intact: %s", r.Expiry)
	}
	needShared(t)
	dir := filepath.Join(sharedPacks, "pass_expired")
	if r := verifyDir(t, dir, Options{Now: testNow.AddDate(1, 0, 0), CheckExpiry: true}); r.ExitCode() != 1 || r.Status() != StatusExpired {
		t.Errorf("pass_expired: exit %d, %s", r.ExitCode(), r.Status())
	}
}

func TestOnlyTrustedSignersAreTrusted(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS()
	me, you := [32]byte(sha256.Sum256(testSigner.Public())), [32]byte(sha256.Sum256(otherSigner.Public()))
	cards := smallSpec(t).Cards
	lock := func(signers ...[32]byte) *Lock { return mustLock(t, LockSpec{Cards: cards, Signers: signers}) }
	others := mustLock(t, LockSpec{Cards: BuiltinCards()[:1], Signers: [][32]byte{me}})
	claims := []string{"E_LOCK_MISMATCH claim_set_hash", "E_LOCK_MISMATCH attestation.claim_set_hash"}
	drift, none := "E_SIGNER_UNTRUSTED signer_pubkey_sha256", []string(nil)
	for i, c := range []struct {
		o      Options
		codes  []string
		status string
		pinned bool
		lock   Verdict
	}{
		{Options{}, none, StatusOK, false, Skipped},
		{Options{TrustedSigners: [][32]byte{me}}, none, StatusOK, true, Skipped},
		{Options{TrustedSigners: [][32]byte{you, me}}, none, StatusOK, true, Skipped},
		{Options{TrustedSigners: [][32]byte{you}}, []string{drift}, StatusSigner, false, Skipped},
		{Options{TrustedSigners: [][32]byte{{}}}, []string{drift}, StatusSigner, false, Skipped},
		{Options{TrustedSigners: [][32]byte{}}, []string{drift}, StatusSigner, false, Skipped},
		{Options{Lock: lock()}, none, StatusOK, false, Pass},
		{Options{Lock: lock(me)}, none, StatusOK, true, Pass},
		{Options{Lock: lock(you)}, []string{drift}, StatusLock, false, Fail},
		{Options{Lock: mustLock(t, LockSpec{Cards: cards, Signers: [][32]byte{}})}, []string{drift}, StatusLock, false, Fail},
		{Options{Lock: lock(), TrustedSigners: [][32]byte{me}}, none, StatusOK, true, Pass},
		{Options{Lock: lock(me), TrustedSigners: [][32]byte{you}}, []string{drift}, StatusSigner, false, Pass},
		{Options{Lock: lock(you), TrustedSigners: [][32]byte{me}}, []string{drift}, StatusLock, false, Fail},
		// Whose key it is does not depend on what else drifts.
		{Options{Lock: others}, claims, StatusLock, true, Fail},
		{Options{Lock: others, TrustedSigners: [][32]byte{you}}, append(claims, drift), StatusLock, false, Fail},
	} {
		c.o.Now = builtAt
		r := mustVerify(t, files, c.o)
		if !slices.Equal(r.codes(), c.codes) || r.Status() != c.status || r.Pinned != c.pinned || r.Lock != c.lock || r.Integrity != Pass {
			t.Errorf("case %d: %v, %s, pinned %v, lock %s", i, r.codes(), r.Status(), r.Pinned, r.Lock)
		}
		if want := map[bool]int{true: 0, false: 2}[c.status == StatusOK]; r.ExitCode() != want {
			t.Errorf("case %d: exit %d", i, r.ExitCode())
		}
	}
}

// threats.md P17: the signer id says nothing about the key.
func TestAtk_P17_AnotherKeyUnderTheSameSignerIDIsNotTheLocksSigner(t *testing.T) {
	s := smallSpec(t)
	lock := mustLock(t, LockSpec{Cards: s.Cards, Signers: [][32]byte{sha256.Sum256(testSigner.Public())}})
	files := smallPack(t)
	forged := resign(t, files, mustParse(t, string(files[manifestName])), testKey{testSigner.id, otherSigner.priv})
	r := mustVerify(t, forged, Options{Now: builtAt, Lock: lock})
	if r.Integrity != Pass || r.ExitCode() != 2 || r.Pinned || r.Manifest.SignerID != testSigner.id {
		t.Errorf("exit %d, integrity %s, pinned %v", r.ExitCode(), r.Integrity, r.Pinned)
	}
	if r := mustVerify(t, forged, Options{Now: builtAt}); r.ExitCode() != 0 || r.Pinned {
		t.Errorf("without a lock: exit %d, pinned %v", r.ExitCode(), r.Pinned)
	}
}

func TestTheCardsOfALockAreExecutedAgain(t *testing.T) {
	s := smallSpec(t)
	s.Cards = []Card{callsCard(t), builtin("receipt_completeness")}
	files := mustBuild(t, s).FS().(memFS)
	delete(files, cardsName) // nothing but the lock holds the definitions
	o := Options{Now: builtAt, RequireClaims: true}
	if r := mustVerify(t, files, o); r.ExitCode() != 1 || r.ClaimsReexecuted {
		t.Fatalf("without them: exit %d", r.ExitCode())
	}
	o.Lock = mustLock(t, LockSpec{Cards: s.Cards})
	r := mustVerify(t, files, o)
	if r.ExitCode() != 0 || !r.ClaimsReexecuted || r.Lock != Pass || len(r.Cards) != 2 || r.Cards[0].ID != "acme.calls" {
		t.Errorf("exit %d, %v, cards %v", r.ExitCode(), r.codes(), r.Cards)
	}
	// The order matters, and so does every card.
	for _, cards := range [][]Card{{s.Cards[1], s.Cards[0]}, s.Cards[:1], s.Cards[1:], {s.Cards[0], s.Cards[1], s.Cards[1]}} {
		o.Lock = mustLock(t, LockSpec{Cards: cards})
		r := mustVerify(t, files, o)
		if want := []string{"E_LOCK_MISMATCH claim_set_hash", "E_LOCK_MISMATCH attestation.claim_set_hash"}; !slices.Equal(r.codes(), want) || r.Status() != StatusLock {
			t.Errorf("%d cards: %v, %s", len(cards), r.codes(), r.Status())
		}
	}
}

func TestAPackWithoutClaimsIsNotWhatALockDemands(t *testing.T) {
	s := smallSpec(t)
	lock := mustLock(t, LockSpec{Cards: s.Cards})
	s.Cards = nil
	files := mustBuild(t, s).FS().(memFS)
	if r := mustVerify(t, files, Options{Now: builtAt, Lock: lock}); r.ExitCode() != 2 || r.Status() != StatusLock {
		t.Errorf("exit %d, %s", r.ExitCode(), r.Status())
	}
	// The hash of the lock's claims on a pack that evaluated none.
	manifest := mustParse(t, string(files[manifestName]))
	hash := jcs.Str(lock.ClaimSetHash())
	files[reportName] = plain(set(mustParse(t, string(files[reportName])), "expectations.claim_set_hash", hash))
	lie := resign(t, files, set(set(manifest, "claim_set_hash", hash), "attestation.claim_set_hash", hash), testSigner)
	if r := mustVerify(t, lie, Options{Now: builtAt, Lock: lock}); r.ExitCode() != 2 || r.Lock == Pass {
		t.Errorf("with the lock's hash: exit %d, lock %s", r.ExitCode(), r.Lock)
	}
	// The two copies of the hash split: the reference compares one of them.
	split := resign(t, files, set(manifest, "claim_set_hash", hash), testSigner)
	if r := mustVerify(t, split, Options{Now: builtAt, Lock: lock}); r.ExitCode() != 2 || r.Lock != Fail || len(r.LockFindings) != 1 {
		t.Errorf("split: exit %d, %v", r.ExitCode(), r.LockFindings)
	}
}

func TestEveryExpectationHasItsStatusAndItsRank(t *testing.T) {
	words := []Verdict{Pass, Fail, Skipped, ""}
	lock, contract := new(Lock), new(Contract)
	n := 0
	for i := range 4 * 4 * 4 * 4 * 4 * 64 {
		pick := func(n int) int { k := i % n; i /= n; return k }
		r := &Result{Integrity: words[pick(4)], Claims: words[pick(4)], Anchor: words[pick(4)], Lock: words[pick(4)], Expiry: words[pick(4)]}
		r.ClaimsReexecuted = pick(2) == 1
		r.require.RequireClaims, r.require.RequireAnchor = pick(2) == 1, pick(2) == 1
		if pick(2) == 1 {
			r.require.Lock = lock
		}
		if pick(2) == 1 {
			r.LockFindings = []Finding{{Code: eSigner}}
		}
		if pick(2) == 1 {
			r.require.Contract = contract
		}
		want := []struct {
			status string
			exit   int
			holds  bool
		}{
			{"failed", 2, r.Integrity != Pass},
			{"lock_mismatch", 2, r.Lock == Fail || r.require.Lock != nil && r.Lock != Pass},
			{"signer_untrusted", 2, r.LockFindings != nil},
			{"witness_failed", 2, r.Anchor == Fail || r.require.RequireAnchor && r.Anchor != Pass},
			{"claim_gate_failed", 1, r.require.RequireClaims && (r.Claims != Pass || !r.ClaimsReexecuted)},
			{"expired", 1, r.Expiry == Fail},
			{"coverage_below_threshold", 1, r.require.Contract != nil},
			{"ok", 0, true},
		}
		for _, w := range want {
			if !w.holds {
				continue
			}
			if n++; r.Status() != w.status || r.ExitCode() != w.exit {
				t.Fatalf("%+v: %s, exit %d, want %s", r, r.Status(), r.ExitCode(), w.status)
			}
			break
		}
	}
	if n != 4*4*4*4*4*64 {
		t.Error(n)
	}
	for _, v := range words {
		r := &Result{Integrity: Pass, require: Options{Contract: contract}, Coverage: &CoverageResult{Verdict: v}}
		if (r.ExitCode() == 0) != (v == Pass) {
			t.Errorf("coverage %q: exit %d", v, r.ExitCode())
		}
	}
}

func ExampleDiffLocks() {
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	cards := BuiltinCards()
	old, _ := NewLock(LockSpec{Cards: cards[:2], Signers: [][32]byte{{1}}, At: at})
	now, _ := NewLock(LockSpec{Cards: cards[1:3], At: at})
	for _, change := range DiffLocks(old, now) {
		fmt.Println(change.Effect+":", change.Message)
	}
	// Output:
	// weaker: any key may sign; an allowlist said which
	// weaker: card guardian_enforcement is not demanded any more
	// stronger: card no_breakglass is demanded as well
}
