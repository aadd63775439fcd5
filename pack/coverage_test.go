package pack

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// covering is a pack whose receipts name call sites; "" names none.
func covering(t testing.TB, cards []claim.Card, sites ...string) memoryFS {
	s := smallSpec(t)
	s.Cards, s.Receipts = cards, nil
	for i, id := range sites {
		v := jcstest.Parse(t, receiptOf(i))
		if id != "" {
			v.Members = append(slices.Clone(v.Members), jcs.M("callsite_id", jcs.Str(id)))
		}
		s.Receipts = append(s.Receipts, v)
	}
	return mustBuild(t, s).FS().(memoryFS)
}

// CLM-26, VFY-78
func TestReceiptsAreComparedWithTheContract(t *testing.T) {
	for _, c := range []struct {
		contract, receipts []string
		least              float64
		want               CoverageResult
		exit               int
	}{
		{[]string{"a", "b"}, []string{"a", "a", "", "x"}, 0.5, CoverageResult{Pass, claim.Coverage{Share: 0.5, Covered: []string{"a"}, Uncovered: []string{"b"}, Extra: []string{"x"}}}, 0},
		{[]string{"a", "b"}, []string{"a", "a", "", "x"}, 0.51, CoverageResult{Fail, claim.Coverage{Share: 0.5, Covered: []string{"a"}, Uncovered: []string{"b"}, Extra: []string{"x"}}}, 1},
		{[]string{"b", "a", "a"}, []string{"a", "b"}, 1, CoverageResult{Pass, claim.Coverage{Share: 1, Covered: []string{"a", "b"}}}, 0},
		{nil, []string{"z", "y", ""}, 1, CoverageResult{Pass, claim.Coverage{Share: 1, Extra: []string{"y", "z"}}}, 0},
		{[]string{"a"}, []string{""}, 0, CoverageResult{Pass, claim.Coverage{Share: 0, Uncovered: []string{"a"}}}, 0},
		{[]string{"a"}, []string{"a"}, math.NaN(), CoverageResult{Fail, claim.Coverage{Share: 1, Covered: []string{"a"}}}, 1},
		{[]string{"a"}, []string{"a", strings.Repeat("x", 300)}, 1, CoverageResult{Pass, claim.Coverage{Share: 1, Covered: []string{"a"}, MoreExtra: true}}, 0},
	} {
		r := mustVerify(t, covering(t, nil, c.receipts...), Options{Now: builtAt, Contract: packtest.Contract(t, c.contract...), MinCoverage: c.least})
		if got := fmt.Sprint(*r.Coverage); got != fmt.Sprint(c.want) || r.ExitCode() != c.exit || (r.Status() == StatusUncovered) != (c.exit == 1) {
			t.Errorf("%v of %v: %s, want %v; exit %d", c.receipts, c.contract, got, c.want, r.ExitCode())
		}
	}
	var many []string
	for i := range 1000 + 1 {
		many = append(many, fmt.Sprint("x", i))
	}
	for n, more := range map[int]bool{1000: false, 1000 + 1: true} {
		r := mustVerify(t, covering(t, nil, many[:n]...), Options{Now: builtAt, Contract: packtest.Contract(t)})
		if len(r.Coverage.Extra) != 1000 || r.Coverage.MoreExtra != more {
			t.Errorf("%d strange sites: %d listed, more: %v", n, len(r.Coverage.Extra), r.Coverage.MoreExtra)
		}
	}
	broken := covering(t, nil, "a")
	broken[manifest.TranscriptName] = []byte("x")
	if r := mustVerify(t, broken, Options{Now: builtAt, Contract: packtest.Contract(t, "a")}); r.Coverage != nil || r.ExitCode() != 2 {
		t.Errorf("of a pack that is not intact: %+v", r.Coverage)
	}
}

// attestingCoverage is a pack whose signer says what a coverage claim came to.
func attestingCoverage(t *testing.T, actual string, passed bool) memoryFS {
	files := covering(t, []claim.Card{packtest.Builtin("coverage_contract")}, "a", "b", "")
	return attesting(t, files, func(v jcs.Value) jcs.Value {
		v = jcstest.Set(jcstest.Set(v, "expected", jcs.Str(">= 80% call site coverage")), "actual", jcs.Str(actual))
		return jcstest.Set(v, "passed", jcs.Boolean(passed))
	})
}

func TestACoverageClaimIsExecutedAgainOnlyUnderAContractThatGivesTheSameResult(t *testing.T) {
	full, half := packtest.Contract(t, "a", "b"), packtest.Contract(t, "a", "c")
	for i, c := range []struct {
		files    memoryFS
		contract *claim.Contract
		again    bool
		claims   Verdict
		exit     int
	}{
		{attestingCoverage(t, "100% (2/2)", true), full, true, Pass, 0},
		{attestingCoverage(t, "100% (2/2)", true), nil, false, Pass, 1},
		{attestingCoverage(t, "100% (2/2)", true), half, false, Pass, 1},
		{attestingCoverage(t, "100% (9/9)", true), full, false, Pass, 1}, // nobody need have lied: it may have been another contract
		{attestingCoverage(t, "50% (1/2)", false), half, true, Fail, 1},
	} {
		r := mustVerify(t, c.files, Options{Now: builtAt, Contract: c.contract, RequireClaims: true})
		if r.Claims.Reexecuted != c.again || r.Claims.Verdict != c.claims || r.ExitCode() != c.exit || r.Integrity != Pass || warns(r, manifest.WarnNotReexecuted) == c.again {
			t.Errorf("case %d: again %v, claims %s, exit %d, %v", i, r.Claims.Reexecuted, r.Claims.Verdict, r.ExitCode(), r.codes())
		}
	}
}

func TestTheContractThatALockPinsIsTheOneToGive(t *testing.T) {
	files, cards := attestingCoverage(t, "100% (2/2)", true), []claim.Card{packtest.Builtin("coverage_contract")}
	full, half := packtest.Contract(t, "a", "b"), packtest.Contract(t, "a", "c")
	for i, c := range []struct {
		pinned, given *claim.Contract
		exit          int
	}{{full, full, 0}, {full, half, 2}, {full, nil, 2}, {nil, full, 0}, {nil, half, 1}, {nil, nil, 1}} {
		lock := mustLock(t, lock.Spec{Cards: cards, Contract: c.pinned})
		r := mustVerify(t, files, Options{Now: builtAt, Lock: lock, Contract: c.given, RequireClaims: true})
		if r.ExitCode() != c.exit || c.exit == 2 && !slices.Equal(r.codes(), []string{"E_LOCK_MISMATCH coverage_contract_hash"}) {
			t.Errorf("case %d: exit %d, %v", i, r.ExitCode(), r.codes())
		}
	}
}
