package pack

import (
	"crypto/sha256"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

func (r *Result) codes() (codes []string) {
	for _, f := range slices.Concat(r.Findings, r.Lock.Findings, r.ExpectationFindings()) {
		codes = append(codes, f.Code+" "+f.Field)
	}
	return codes
}

// VFY-66
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
		if r.ExitCode() != c.exit || c.exit == 2 && (!slices.Contains(r.codes(), "E_PACK_STALE timestamp_end") || r.Status() != StatusExpected) || r.Integrity != Pass || r.Claims.Verdict != Pass {
			t.Errorf("at %s, at most %s: exit %d: %v", c.now, c.age, r.ExitCode(), r.codes())
		}
	}
	if m := (manifest.Finding{Code: manifest.CodePackStale}).Mechanism(); m != "stale_evidence" {
		t.Errorf("the mechanism is %s", m)
	}
}

// The schema refuses such an end first; an age must not be told from it all the same.
func TestAnEndThatIsNoTimeIsOlderThanAnyAge(t *testing.T) {
	m := &manifest.Manifest{Attestation: manifest.Attestation{TimestampEnd: "yesterday"}}
	for _, age := range []time.Duration{1 << 62, 0} {
		v := &verifier{m: m, r: &Result{}, o: Options{Now: time.Now(), MaxAge: age}}
		if e := v.age(); e.Verdict != Fail || e.Code != manifest.CodeTimestampInvalid {
			t.Errorf("at most %v: %+v", age, e)
		}
	}
}

// VFY-65
func TestAPackMustNameTheCIRunThatIsAskedFor(t *testing.T) {
	sha, long := strings.Repeat("ab", 20), strings.Repeat("ab", 32)
	bound, bare, newer := smallSpec(t), smallSpec(t), smallSpec(t)
	bound.CIBinding = &manifest.CIBinding{Provider: "github_actions", CommitSHA: sha, Repo: "acme/app", Ref: "refs/heads/main", RunID: "7", WorkflowRef: "acme/app/.github/workflows/ci.yml@refs/heads/main"}
	bare.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: sha}
	newer.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: long}
	const missing, other = "E_CI_BINDING_MISSING ci_binding", "E_CI_BINDING_MISMATCH ci_binding."
	for i, c := range []struct {
		s    Spec
		o    Options
		want []string
	}{
		{smallSpec(t), Options{}, nil},
		{smallSpec(t), Options{RequireCI: true}, []string{missing}},
		{smallSpec(t), Options{CommitSHA: sha}, []string{missing}},
		{smallSpec(t), Options{CommitSHA: sha, RequireCI: true}, []string{missing, missing}},
		{bound, Options{RequireCI: true}, nil},
		{bound, Options{CommitSHA: sha, RequireCI: true}, nil},
		{bound, Options{CommitSHA: sha}, nil},
		{bound, Options{CommitSHA: strings.ToUpper(sha)}, []string{other + "commit_sha"}},
		{bound, Options{CommitSHA: sha[:7]}, []string{other + "commit_sha"}},
		{bound, Options{CommitSHA: long}, []string{other + "commit_sha"}},
		{newer, Options{CommitSHA: long}, nil},
		{newer, Options{CommitSHA: sha}, []string{other + "commit_sha"}},
		{bound, Options{Repo: "acme/app", Ref: "refs/heads/main", Run: "7", Workflow: "acme/app/.github/workflows/ci.yml@refs/heads/main"}, nil},
		{bound, Options{Repo: "acme/App"}, []string{other + "repo"}},
		{bound, Options{Ref: "main"}, []string{other + "ref"}},
		{bound, Options{Workflow: "acme/app/.github/workflows/ci.yml"}, []string{other + "workflow_ref"}},
		{bound, Options{Run: "70"}, []string{other + "run_id"}},
		{bare, Options{Repo: "acme/app", Ref: "refs/heads/main", Workflow: "w", Run: "7"}, []string{other + "repo", other + "ref", other + "workflow_ref", other + "run_id"}},
		{smallSpec(t), Options{Repo: "acme/app", Run: "7"}, []string{missing, missing}},
	} {
		c.o.Now = builtAt
		r := mustVerify(t, mustBuild(t, c.s).FS(), c.o)
		exit, word := 0, Pass
		if c.want != nil {
			exit, word = 2, Fail
		} else if i == 0 {
			word = Skipped
		}
		if i == 0 && len(r.Expectations.Results) > 0 {
			t.Errorf("nobody asked: %+v", r.Expectations.Results)
		}
		if !slices.Equal(r.codes(), c.want) || r.ExitCode() != exit || r.Expectations.Verdict != word || r.Integrity != Pass || r.Claims.Verdict != Pass {
			t.Errorf("case %d: exit %d, expectations %s, integrity %s, claims %s, %v", i, r.ExitCode(), r.Expectations.Verdict, r.Integrity, r.Claims.Verdict, r.codes())
		}
	}
	if m := (manifest.Finding{Code: manifest.CodeCIMissing}).Mechanism(); m != "policy_conflict" {
		t.Errorf("the mechanism is %s", m)
	}
	if r := mustVerify(t, mustBuild(t, newer).FS(), Options{Now: builtAt}); !warns(r, manifest.WarnPortability) {
		t.Errorf("a commit of 64 digits: %v", r.Warnings)
	}
}

// VFY-68
func TestOfAPackThatIsNotIntactNothingIsExpected(t *testing.T) {
	broken := smallPack(t)
	broken[manifest.TranscriptName] = []byte("x")
	o := Options{Now: builtAt.AddDate(9, 0, 0), MaxAge: 1, CheckExpiry: true, RefuseSuperseded: true, RequireCI: true, Run: "7"}
	r := mustVerify(t, broken, o)
	if r.Expectations.Verdict != Skipped || r.Status() != StatusFailed || len(r.Expectations.Results) != 5 {
		t.Errorf("%s, %s, %+v", r.Expectations.Verdict, r.Status(), r.Expectations.Results)
	}
	for _, e := range r.Expectations.Results {
		if e.Verdict != Skipped || e.Code+e.Actual != "" || e.Expected == "" {
			t.Errorf("%+v", e)
		}
	}
}

// VFY-67, VFY-69
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
		code  string
	}{
		{files, until, true, Pass, ""},
		{files, until.Add(1), true, Fail, manifest.CodePackExpired},
		{files, until, false, Skipped, ""},
		{files, until.Add(1), false, Skipped, manifest.CodePackExpired}, // told, and nobody asked
		{files, time.Time{}, true, Fail, manifest.CodePackExpired},
		{files, time.Time{}, false, "", ""},
		{mustBuild(t, smallSpec(t)).FS(), until, true, Skipped, ""},
		{mustBuild(t, smallSpec(t)).FS(), time.Time{}, true, Skipped, ""},
	} {
		r := mustVerify(t, c.files, Options{Now: c.now, CheckExpiry: c.check})
		want, e := map[Verdict]int{Fail: 1}[c.want], r.Expectation("expiry")
		if (r.Expectations.Verdict != c.want && c.want != "") || e.Verdict != c.want || e.Code != c.code || r.ExitCode() != want || (r.Status() == StatusExpired) != (want == 1) || r.Integrity != Pass {
			t.Errorf("at %s, check %v: %+v, exit %d, %s", c.now, c.check, e, r.ExitCode(), r.Status())
		}
	}
	needShared(t)
	dir := filepath.Join(sharedPacks, "pass_expired")
	if r := verifyDir(t, dir, Options{Now: testNow.AddDate(1, 0, 0), CheckExpiry: true}); r.ExitCode() != 1 || r.Status() != StatusExpired {
		t.Errorf("pass_expired: exit %d, %s", r.ExitCode(), r.Status())
	}
}

func TestASupersededPackIsToldAndRefusedOnRequest(t *testing.T) {
	s := smallSpec(t)
	s.SupersededBy = "pack_next"
	replaced, alone := mustBuild(t, s).FS(), mustBuild(t, smallSpec(t)).FS()
	for _, c := range []struct {
		files  fs.FS
		refuse bool
		want   Verdict
		told   bool
		exit   int
	}{
		{replaced, false, Skipped, true, 0}, {replaced, true, Fail, true, 1}, {alone, true, Pass, false, 0}, {alone, false, "", false, 0},
	} {
		r := mustVerify(t, c.files, Options{Now: builtAt, RefuseSuperseded: c.refuse})
		e := r.Expectation("superseded")
		if e.Verdict != c.want || (e.Code == manifest.CodePackSuperseded) != c.told || r.ExitCode() != c.exit || (r.Status() == StatusReplaced) != (c.exit == 1) {
			t.Errorf("refuse %v: %+v, exit %d", c.refuse, e, r.ExitCode())
		}
	}
}

// The graver exit wins: an unmet expectation of another run (2) before an expiry (1), an expiry before nothing.
func TestOfSeveralExpectationsTheGraverOneDecides(t *testing.T) {
	s := smallSpec(t)
	s.ValidUntil, s.SupersededBy = builtAt.Add(time.Hour).Format(time.RFC3339), "pack_next"
	o := Options{Now: builtAt.AddDate(1, 0, 0), CheckExpiry: true, RefuseSuperseded: true, Run: "7"}
	r := mustVerify(t, mustBuild(t, s).FS(), o)
	if want := []string{"E_PACK_EXPIRED valid_until", "E_PACK_SUPERSEDED superseded_by", "E_CI_BINDING_MISSING ci_binding"}; !slices.Equal(r.codes(), want) || r.ExitCode() != 2 || r.Status() != StatusExpected {
		t.Errorf("exit %d, %s, %v", r.ExitCode(), r.Status(), r.codes())
	}
}

// VFY-72, VFY-73, VFY-75
func TestOnlyTrustedSignersAreTrusted(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS()
	me, you := [32]byte(sha256.Sum256(testSigner.Public())), [32]byte(sha256.Sum256(otherSigner.Public()))
	cards := smallSpec(t).Cards
	l := func(signers ...[32]byte) *lock.Lock {
		s := lock.Spec{Cards: cards}
		for _, key := range signers { // without any: every key
			s.Signers = s.Signers.With(key)
		}
		return mustLock(t, s)
	}
	others := mustLock(t, lock.Spec{Cards: claim.BuiltinCards()[:1], Signers: lock.Only(me)})
	claims := []string{"E_LOCK_MISMATCH claim_set_hash", "E_LOCK_MISMATCH attestation.claim_set_hash"}
	drift, none := "E_SIGNER_UNTRUSTED signer_pubkey_sha256", []string(nil)
	for i, c := range []struct {
		o      Options
		codes  []string
		status Status
		pinned bool
		lock   Verdict
	}{
		{Options{}, none, StatusOK, false, Skipped},
		{Options{TrustedSigners: lock.Only(me)}, none, StatusOK, true, Skipped},
		{Options{TrustedSigners: lock.Only(you, me)}, none, StatusOK, true, Skipped},
		{Options{TrustedSigners: lock.Only(you)}, []string{drift}, StatusSigner, false, Skipped},
		{Options{TrustedSigners: lock.Only([32]byte{})}, []string{drift}, StatusSigner, false, Skipped},
		{Options{TrustedSigners: lock.Only()}, []string{drift}, StatusSigner, false, Skipped},
		{Options{Lock: l()}, none, StatusOK, false, Pass},
		{Options{Lock: l(me)}, none, StatusOK, true, Pass},
		{Options{Lock: l(you)}, []string{drift}, StatusLock, false, Fail},
		{Options{Lock: mustLock(t, lock.Spec{Cards: cards, Signers: lock.Only()})}, []string{drift}, StatusLock, false, Fail},
		{Options{Lock: l(), TrustedSigners: lock.Only(me)}, none, StatusOK, true, Pass},
		{Options{Lock: l(me), TrustedSigners: lock.Only(you)}, []string{drift}, StatusSigner, false, Pass},
		{Options{Lock: l(you), TrustedSigners: lock.Only(me)}, []string{drift}, StatusLock, false, Fail},
		// Whose key it is does not depend on what else drifts.
		{Options{Lock: others}, claims, StatusLock, true, Fail},
		{Options{Lock: others, TrustedSigners: lock.Only(you)}, append(claims, drift), StatusLock, false, Fail},
	} {
		c.o.Now = builtAt
		r := mustVerify(t, files, c.o)
		if !slices.Equal(r.codes(), c.codes) || r.Status() != c.status || r.Signer.Pinned != c.pinned || r.Lock.Verdict != c.lock || r.Integrity != Pass {
			t.Errorf("case %d: %v, %s, pinned %v, lock %s", i, r.codes(), r.Status(), r.Signer.Pinned, r.Lock.Verdict)
		}
		if want := map[bool]int{true: 0, false: 2}[c.status == StatusOK]; r.ExitCode() != want {
			t.Errorf("case %d: exit %d", i, r.ExitCode())
		}
	}
}

// threats.md P17: the signer id says nothing about the key.
func TestAtk_P17_AnotherKeyUnderTheSameSignerIDIsNotTheLocksSigner(t *testing.T) {
	s := smallSpec(t)
	lock := mustLock(t, lock.Spec{Cards: s.Cards, Signers: lock.Only(sha256.Sum256(testSigner.Public()))})
	files := smallPack(t)
	forged := resign(t, files, jcstest.Parse(t, string(files[manifest.Name])), packtest.Key{Name: testSigner.Name, Private: otherSigner.Private})
	r := mustVerify(t, forged, Options{Now: builtAt, Lock: lock})
	if r.Integrity != Pass || r.ExitCode() != 2 || r.Signer.Pinned || r.Manifest.SignerID != testSigner.Name {
		t.Errorf("exit %d, integrity %s, pinned %v", r.ExitCode(), r.Integrity, r.Signer.Pinned)
	}
	if r := mustVerify(t, forged, Options{Now: builtAt}); r.ExitCode() != 0 || r.Signer.Pinned {
		t.Errorf("without a lock: exit %d, pinned %v", r.ExitCode(), r.Signer.Pinned)
	}
}

// VFY-74
func TestTheCardsOfALockAreExecutedAgain(t *testing.T) {
	s := smallSpec(t)
	s.Cards = []claim.Card{packtest.CallsCard(t), packtest.Builtin("receipt_completeness")}
	files := mustBuild(t, s).FS().(memoryFS)
	delete(files, manifest.CardsName) // nothing but the lock holds the definitions
	o := Options{Now: builtAt, RequireClaims: true}
	if r := mustVerify(t, files, o); r.ExitCode() != 1 || r.Claims.Reexecuted {
		t.Fatalf("without them: exit %d", r.ExitCode())
	}
	o.Lock = mustLock(t, lock.Spec{Cards: s.Cards})
	r := mustVerify(t, files, o)
	if r.ExitCode() != 0 || !r.Claims.Reexecuted || r.Lock.Verdict != Pass || len(r.Claims.Cards) != 2 || r.Claims.Cards[0].ID != "acme.calls" {
		t.Errorf("exit %d, %v, cards %v", r.ExitCode(), r.codes(), r.Claims.Cards)
	}
	// The order matters, and so does every card.
	for _, cards := range [][]claim.Card{{s.Cards[1], s.Cards[0]}, s.Cards[:1], s.Cards[1:], {s.Cards[0], s.Cards[1], s.Cards[1]}} {
		o.Lock = mustLock(t, lock.Spec{Cards: cards})
		r := mustVerify(t, files, o)
		if want := []string{"E_LOCK_MISMATCH claim_set_hash", "E_LOCK_MISMATCH attestation.claim_set_hash"}; !slices.Equal(r.codes(), want) || r.Status() != StatusLock {
			t.Errorf("%d cards: %v, %s", len(cards), r.codes(), r.Status())
		}
	}
}

func TestDriftFromALockNamesTheCards(t *testing.T) {
	s := smallSpec(t)
	calls, whole, guardian := packtest.CallsCard(t), packtest.Builtin("receipt_completeness"), packtest.Builtin("guardian_enforcement")
	changed := packtest.CallsCard(t)
	changed.Claims = slices.Clone(changed.Claims)
	changed.Claims[0].ID = "another"
	for _, c := range []struct {
		declared, locked []claim.Card
		unsigned         bool // the definitions do not travel with the pack
		want             string
	}{
		{[]claim.Card{whole}, []claim.Card{whole, guardian}, true, "the lock also demands guardian_enforcement;"},
		{[]claim.Card{whole, guardian}, []claim.Card{whole}, true, "the lock does not know guardian_enforcement;"},
		{[]claim.Card{whole}, []claim.Card{guardian}, true, "the lock also demands guardian_enforcement; the lock does not know receipt_completeness;"},
		{[]claim.Card{calls}, []claim.Card{changed}, false, "the lock has other claims under acme.calls;"},
		{[]claim.Card{whole, guardian}, []claim.Card{guardian, whole}, true, "in another order, or another number of times;"},
		{nil, []claim.Card{whole}, true, "it declares none, the lock demands receipt_completeness;"},
		{[]claim.Card{calls}, []claim.Card{whole}, true, "not known here, the lock demands receipt_completeness;"},
	} {
		s.Cards = c.declared
		files := mustBuild(t, s).FS().(memoryFS)
		if c.unsigned {
			delete(files, manifest.CardsName)
		}
		r := mustVerify(t, files, Options{Now: builtAt, Lock: mustLock(t, lock.Spec{Cards: c.locked})})
		if len(r.Lock.Findings) == 0 || !strings.Contains(r.Lock.Findings[0].Message, c.want) || r.ExitCode() != 2 {
			t.Errorf("exit %d, %v, want %q", r.ExitCode(), r.Lock.Findings, c.want)
		}
	}
}

func TestAPackWithoutClaimsIsNotWhatALockDemands(t *testing.T) {
	s := smallSpec(t)
	lock := mustLock(t, lock.Spec{Cards: s.Cards})
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	if r := mustVerify(t, files, Options{Now: builtAt, Lock: lock}); r.ExitCode() != 2 || r.Status() != StatusLock {
		t.Errorf("exit %d, %s", r.ExitCode(), r.Status())
	}
	// The hash of the lock's claims on a pack that evaluated none.
	text := jcstest.Parse(t, string(files[manifest.Name]))
	hash := jcs.Str(lock.ClaimSetHash())
	files[manifest.ReportName] = jcstest.Plain(jcstest.Set(jcstest.Parse(t, string(files[manifest.ReportName])), "expectations.claim_set_hash", hash))
	lie := resign(t, files, jcstest.Set(jcstest.Set(text, "claim_set_hash", hash), "attestation.claim_set_hash", hash), testSigner)
	if r := mustVerify(t, lie, Options{Now: builtAt, Lock: lock}); r.ExitCode() != 2 || r.Lock.Verdict == Pass {
		t.Errorf("with the lock's hash: exit %d, lock %s", r.ExitCode(), r.Lock.Verdict)
	}
	// The two copies of the hash split: the reference compares one of them.
	split := resign(t, files, jcstest.Set(text, "claim_set_hash", hash), testSigner)
	if r := mustVerify(t, split, Options{Now: builtAt, Lock: lock}); r.ExitCode() != 2 || r.Lock.Verdict != Fail || len(r.Lock.Findings) != 1 {
		t.Errorf("split: exit %d, %v", r.ExitCode(), r.Lock.Findings)
	}
}

// VFY-79
func TestEveryExpectationHasItsStatusAndItsRank(t *testing.T) {
	words := []Verdict{Pass, Fail, Skipped, ""}
	lock, contract := new(lock.Lock), new(claim.Contract)
	n := 0
	for i := range 4 * 4 * 4 * 4 * 4 * 256 {
		pick := func(n int) int { k := i % n; i /= n; return k }
		r := &Result{Integrity: words[pick(4)], Claims: ClaimsResult{Verdict: words[pick(4)]}, Anchor: AnchorResult{Verdict: words[pick(4)]}, Lock: LockResult{Verdict: words[pick(4)]}}
		r.Expectations.Results = []Expectation{{Name: "expiry", Verdict: words[pick(4)]}, {Name: "superseded", Verdict: words[pick(2)]}, {Name: "run", Verdict: words[pick(2)]}}
		r.Claims.Reexecuted = pick(2) == 1
		r.require.RequireClaims, r.require.RequireAnchor = pick(2) == 1, pick(2) == 1
		if pick(2) == 1 {
			r.require.Lock = lock
		}
		if pick(2) == 1 {
			r.Lock.Findings = []manifest.Finding{{Code: manifest.CodeSignerUntrusted}}
		}
		if pick(2) == 1 {
			r.require.Contract = contract
		}
		want := []struct {
			status Status
			exit   int
			holds  bool
		}{
			{"failed", 2, r.Integrity != Pass},
			{"lock_mismatch", 2, r.Lock.Verdict == Fail || r.require.Lock != nil && r.Lock.Verdict != Pass},
			{"signer_untrusted", 2, r.Lock.Findings != nil},
			{"witness_failed", 2, r.Anchor.Verdict == Fail || r.require.RequireAnchor && r.Anchor.Verdict != Pass},
			{"expectation_failed", 2, r.Expectations.Results[2].Verdict == Fail},
			{"claim_gate_failed", 1, r.require.RequireClaims && (r.Claims.Verdict != Pass || !r.Claims.Reexecuted)},
			{"expired", 1, r.Expectations.Results[0].Verdict == Fail},
			{"superseded", 1, r.Expectations.Results[1].Verdict == Fail},
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
	if n != 4*4*4*4*4*256 {
		t.Error(n)
	}
	for _, v := range words {
		r := &Result{Integrity: Pass, require: Options{Contract: contract}, Coverage: &CoverageResult{Verdict: v}}
		if (r.ExitCode() == 0) != (v == Pass) {
			t.Errorf("coverage %q: exit %d", v, r.ExitCode())
		}
	}
}

// With Strict a verdict of 0 has no gap: each thing taken away is an exit of its own.
// VFY-4, VFY-77, VFY-80
func TestStrictLeavesNoGapOpen(t *testing.T) {
	s := smallSpec(t)
	w := anchored{log: trusttest.NewLog("example.com/log"), witness: trusttest.NewWitness("w1", trust.Ed25519Cosigner)}
	w.policy = trusttest.Policy(w.log, []*trusttest.Witness{w.witness}, 1)
	authority, roots := newAuthority(t, loggedAt)
	me := [32]byte(sha256.Sum256(testSigner.Public()))
	warning := packtest.CallsCard(t)
	warning.Claims = slices.Clone(warning.Claims)
	for i := range warning.Claims {
		warning.Claims[i].Severity, warning.Claims[i].Check, warning.Claims[i].Params = "warning", "receipt_count_ge", jcstest.Parse(t, `{"min_count":99}`)
	}
	session := jcstest.Parse(t, `{"receipt_id":"r_s","type":"session_metadata","recorded_by":"assay run","timestamp":"2026-01-15T10:00:00.000000+00:00","schema_version":"3.0","seq":0}`)
	for _, c := range []struct {
		what   string
		spec   func(*Spec)
		o      func(*Options)
		bare   bool // the entry has no token
		status Status
		exit   int
	}{
		{"nothing", nil, nil, false, StatusOK, 0},
		{"the pin", nil, func(o *Options) { o.TrustedSigners = lock.Signers{} }, false, StatusSigner, 2},
		{"the proof", nil, func(o *Options) { o.Proof = nil }, false, StatusWitness, 2},
		{"the policy", nil, func(o *Options) { o.Policy = nil }, false, StatusWitness, 2},
		{"the roots", nil, func(o *Options) { o.TSARoots = nil }, false, StatusWitness, 2},
		{"the token", nil, nil, true, StatusWitness, 2},
		{"the token, and that were allowed", nil, func(o *Options) { o.TimeOptional = true }, true, StatusWitness, 2},
		{"the checks", func(s *Spec) { s.Cards = nil }, nil, false, StatusClaims, 1},
		{"their success", func(s *Spec) {
			s.Cards = []claim.Card{packtest.Builtin("no_breakglass"), packtest.CallsCard(t)}
			s.Receipts = s.Receipts[:1]
		}, nil, false, StatusClaims, 1},
		{"all but warnings that fail", func(s *Spec) { s.Cards = []claim.Card{warning} }, nil, false, StatusClaims, 1},
		{"its validity", func(s *Spec) { s.ValidUntil = builtAt.Add(time.Second).Format(time.RFC3339) }, nil, false, StatusExpired, 1},
		{"its being the latest", func(s *Spec) { s.SupersededBy = "pack_next" }, nil, false, StatusReplaced, 1},
		{"the receipts", func(s *Spec) { s.Cards, s.Receipts = []claim.Card{packtest.Builtin("no_breakglass")}, nil }, nil, false, StatusEmpty, 1},
		{"the receipts but that of the run itself", func(s *Spec) {
			s.Cards, s.Receipts = []claim.Card{packtest.Builtin("no_breakglass")}, []jcs.Value{session}
		}, nil, false, StatusEmpty, 1},
	} {
		spec := s
		if c.spec != nil {
			c.spec(&spec)
		}
		p := mustBuild(t, spec)
		var token []byte
		if !c.bare {
			token = timestampOf(t, authority, p.Manifest.Digest(), loggedAt)
		}
		o := Options{Now: loggedAt, Strict: true, Policy: w.policy, TSARoots: roots, TrustedSigners: lock.Only(me), Proof: w.logEntry(mustEntry(t, p.Manifest, entry.Source{}, token))}
		if c.o != nil {
			c.o(&o)
		}
		if r := mustVerify(t, p.FS(), o); r.Status() != c.status || r.ExitCode() != c.exit || r.Integrity != Pass {
			t.Errorf("without %s: %s, exit %d; claims %s, anchor %s, time %s, %v", c.what, r.Status(), r.ExitCode(), r.Claims.Verdict, r.Anchor.Verdict, r.Anchor.Timed, r.Findings)
		}
	}
}

func TestStrictRefusesATimestampThatContradictsThePack(t *testing.T) {
	w := newAnchored(t)
	end := time.Date(2026, 1, 15, 10, 0, 1, 0, time.UTC)
	authority, roots := newAuthority(t, end.AddDate(-1, 0, 0))
	for before, refused := range map[time.Duration]bool{0: false, time.Hour: true} {
		proof := w.logEntry(mustEntry(t, w.m, entry.Source{}, timestampOf(t, authority, w.m.Digest(), end.Add(-before))))
		o := Options{Now: loggedAt, Policy: w.policy, TSARoots: roots, Proof: proof, TrustedSigners: lock.Only(sha256.Sum256(testSigner.Public()))}
		if r := mustVerify(t, w.files, o); r.ExitCode() != 0 || r.Anchor.TimeContradicts != refused {
			t.Errorf("%s before, unasked: exit %d, contradicts %v", before, r.ExitCode(), r.Anchor.TimeContradicts)
		}
		o.Strict = true
		if r := mustVerify(t, w.files, o); (r.ExitCode() == 2 && r.Status() == StatusWitness) != refused {
			t.Errorf("%s before: exit %d, %s", before, r.ExitCode(), r.Status())
		}
	}
}
