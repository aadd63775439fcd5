package lock

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/trust"
)

func ExampleDiff() {
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	cards := claim.BuiltinCards()
	old, _ := New(Spec{Cards: cards[:2], Signers: Only(trust.Digest{1}), At: at})
	now, _ := New(Spec{Cards: cards[1:3], At: at})
	for _, change := range Diff(old, now) {
		fmt.Println(change.Effect+":", change.Message)
	}
	// Output:
	// weaker: any key may sign; an allowlist said which
	// weaker: card guardian_enforcement is not demanded any more
	// stronger: card no_breakglass is demanded as well
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
		l, err := Parse(sharedLock(t, filepath.Base(path)))
		if (err != nil) != bad {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && string(l.Marshal()) != string(sharedLock(t, filepath.Base(path))) {
			t.Errorf("%s: the text changed", name)
		}
	}
}

// wholeLock has every member that a lock can have.
func wholeLock(t testing.TB) *Lock {
	contract, err := claim.ParseContract([]byte(packtest.ContractText))
	if err != nil {
		t.Fatal(err)
	}
	return mustLock(t, Spec{
		Cards:    []claim.Card{claim.BuiltinCards()[1], packtest.CallsCard(t)},
		Signers:  Only(sha256.Sum256(testSigner.Public())),
		Contract: contract,
	})
}

// LCK-16
func TestANewLockIsWrittenInTheOrderOfTheSpecification(t *testing.T) {
	l := wholeLock(t)
	text := string(l.Marshal())
	at := -1
	for _, m := range members {
		i := strings.Index(text, "\n  \""+strings.TrimSuffix(m.Name, "?")+"\": ")
		if i <= at {
			t.Errorf("%s is missing, not two spaces in, or out of order", m.Name)
		}
		at = i
	}
	if !strings.HasPrefix(text, "{\n  \"lock_version\"") || !strings.HasSuffix(text, "\"\n}\n") {
		t.Errorf("not pretty: %q", text)
	}
	if l.Digest() != sha256.Sum256([]byte(text)) {
		t.Error("the digest is not that of the file")
	}
	if !strings.Contains(text, `"locked_at": "2026-01-15T12:00:00.000000+00:00"`) {
		t.Error("not locked at the time given")
	}
	cards := l.Cards()
	if len(cards) != 2 || claim.SetHash(cards) != l.ClaimSetHash() || cards[1].Claims[1].Severity != "warning" {
		t.Errorf("the cards are %+v", cards)
	}
	// The same hashes as the reference's own lock of that card.
	rc := mustLock(t, Spec{Cards: claim.BuiltinCards()[1:2]})
	if rc.CompositeHash() != "df2e18533a1433cf2a21645d00862cced6355b62da7d969c7e9a377e65b26663" ||
		rc.ClaimSetHash() != "0b9affe4a6e67d069cb3413aaf982fc05110dae0af8a0b4dce180e63e5d564dc" {
		t.Errorf("hashes %s and %s", rc.CompositeHash(), rc.ClaimSetHash())
	}
}

// LCK-8, LCK-9, LCK-12
func TestALockThatHoldsPacksToNothingIsNotWritten(t *testing.T) {
	builtin := claim.BuiltinCards()[1]
	changed := builtin
	changed.Claims = builtin.Claims[:1]
	strange, long := packtest.CallsCard(t), packtest.CallsCard(t)
	strange.ID = "r\u0435ceipt_completeness" // a Cyrillic e
	long.ID = "Receipt_Completeness"
	twice := packtest.CallsCard(t)
	twice.Claims = twice.Claims[:1]
	for name, s := range map[string]Spec{
		"no cards":                    {At: builtAt},
		"no time":                     {Cards: []claim.Card{builtin}},
		"a card without claims":       {Cards: []claim.Card{{ID: "x", Name: "x"}}, At: builtAt},
		"a built-in's id":             {Cards: []claim.Card{changed}, At: builtAt},
		"what looks like a built-in":  {Cards: []claim.Card{strange}, At: builtAt},
		"a built-in but for its case": {Cards: []claim.Card{long}, At: builtAt},
		"one id for two cards":        {Cards: []claim.Card{packtest.CallsCard(t), twice}, At: builtAt},
		"a key twice":                 {Cards: []claim.Card{builtin}, Signers: Only(trust.Digest{}, trust.Digest{}), At: builtAt},
	} {
		if l, err := New(s); err == nil {
			t.Errorf("%s: %s", name, l.Marshal())
		}
	}
	// One card several times is another claim set, and legal, up to what a verifier evaluates.
	for n, ok := range map[int]bool{2: true, claim.MaxClaims / 2: true, claim.MaxClaims/2 + 1: false} {
		l, err := New(Spec{Cards: slices.Repeat([]claim.Card{builtin}, n), At: builtAt})
		if (err == nil) != ok || ok && len(l.Cards()) != n {
			t.Errorf("a card %d times: %v", n, err)
		}
	}
}

// LCK-1, LCK-2, LCK-4
func TestEveryMemberOfALockDeletedNulledDoubledRenamedOrAlteredIsRefused(t *testing.T) {
	l := wholeLock(t)
	seen := 0
	refused := func(what, name string, v jcs.Value) {
		t.Helper()
		if _, err := Parse(jcstest.Plain(v)); err == nil {
			t.Errorf("%s %s is accepted", what, name)
		}
	}
	jcstest.EachMember(l.value, func(owner jcs.Value, change func(func([]jcs.Member, int) []jcs.Member) jcs.Value, i int) {
		name, was := owner.Members[i].Name, owner.Members[i].Value
		seen++
		put := func(v jcs.Value) jcs.Value {
			return change(func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = v; return ms })
		}
		if name != "coverage_contract_hash" { // the one that may be absent: to delete it is for lock diff to tell
			refused("deleted", name, change(func(ms []jcs.Member, i int) []jcs.Member { return slices.Delete(ms, i, i+1) }))
		}
		refused("nulled", name, put(jcs.Value{}))
		refused("doubled", name, change(func(ms []jcs.Member, i int) []jcs.Member { return append(ms, ms[i]) }))
		refused("renamed", name, change(func(ms []jcs.Member, i int) []jcs.Member { ms[i].Name = strings.ToUpper(name) + "_"; return ms }))
		refused("preceded by an unknown one", name, change(func(ms []jcs.Member, i int) []jcs.Member {
			return slices.Insert(ms, i, jcs.M("unknown", jcs.Int(1)))
		}))
		for _, other := range []jcs.Value{jcs.Int(7), jcs.Boolean(true), jcs.Str("\n"), jcs.Arr(jcs.Int(7)), jcs.Obj(jcs.M("a", jcs.Int(7)))} {
			refused("altered", name, put(other))
		}
		switch custom := form.Get(owner, "claims").Kind == jcs.Array; {
		case was.Kind == jcs.Array && name != "allowed_fingerprints":
			refused("emptied", name, put(jcs.Arr()))
		case was.Kind == jcs.Number:
			refused("altered", name, put(jcs.Int(1)))
		case was.Kind != jcs.String, was.Text == "":
		case name == "id" && custom, name == "name" && custom: // what a card is called is no part of what it is
		case name == "coverage_contract_hash", name == "locked_at", name == "locked_by_assay_version", strings.HasSuffix(name, "_format_version"):
		case strings.HasPrefix(name, "assay_version_"):
			refused("unreadable", name, put(jcs.Str("v"+was.Text)))
		default: // what is hashed, or has one value
			refused("lengthened", name, put(jcs.Str(was.Text+"0")))
			refused("altered by one character in", name, put(jcs.Str("x"+was.Text[1:])))
			if strings.HasSuffix(name, "_hash") { // of the same form
				refused("altered by one digit in", name, put(jcs.Str(was.Text[1:]+was.Text[:1])))
			}
		}
	})
	if seen < 35 {
		t.Errorf("only %d members were changed", seen)
	}
}

func TestWithSignersChangesTheAllowlistAndNothingElse(t *testing.T) {
	needShared(t)
	python, err := Parse(sharedLock(t, "rc_any.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Lock{python, wholeLock(t)} {
		for _, keys := range [][]trust.Digest{{{1}, {2}}, {}, nil} {
			next, err := l.WithSigners(Only(keys...), builtAt.Add(1))
			if err != nil {
				t.Fatal(err)
			}
			got := next.Signers()
			if got.Any() || !slices.Equal(got.Fingerprints(), keys) || next.ClaimSetHash() != l.ClaimSetHash() || next.ContractHash() != l.ContractHash() {
				t.Errorf("%s", next.Marshal())
			}
			a, b := l.value.Without("signer_policy", "locked_at", "locked_by_assay_version"), next.value.Without("signer_policy", "locked_at", "locked_by_assay_version")
			if form.CanonicalHash(a) != form.CanonicalHash(b) {
				t.Errorf("more than the signers changed: %s", next.Marshal())
			}
		}
	}
}

// LCK-10
func TestReleasesHaveTheOrderOfPEP440(t *testing.T) {
	order := []string{"0", "0.9.99", "1.0.dev1", "1.0a1.dev2", "1.0a1", "1.0a2", "1.0b1", "1.0rc1", "1.0", "1.0.post1.dev3", "1.0.post1", "1.0.1", "1.2", "1.10", "1.24.0", "2.0.0", "10"}
	for i, a := range order {
		x, ok := parseRelease(a)
		if !ok {
			t.Fatalf("%s is refused", a)
		}
		for j, b := range order {
			y, _ := parseRelease(b)
			if got := slices.Compare(x[:], y[:]); got != cmp.Compare(i, j) {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
	if a, _ := parseRelease("1.24"); a != func() [9]int { b, _ := parseRelease("1.24.0"); return b }() {
		t.Error("1.24 is not 1.24.0")
	}
	for _, bad := range []string{"", "v1.0", "1.", ".1", "1..0", "1.0+local", "1!1.0", " 1.0", "1.0\n", "1.0-1", "1.0.0.0.0.0", "1.0x", "latest", "1234567", strings.Repeat("1.", 40) + "1"} {
		if _, ok := parseRelease(bad); ok {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// LCK-10
func TestALockIsOnlyForVerifiersInItsWindow(t *testing.T) {
	text := string(wholeLock(t).Marshal())
	for _, c := range []struct {
		min, max string
		ok       bool
	}{
		{"1.19.0", "2.0.0", true}, {CompatVersion, "1.24.1", true}, {"1.24.0rc1", "2.0.0", true}, {"1.24.0.dev1", "2.0.0", true},
		{"1.24.1", "2.0.0", false}, {"1.24.0.post1", "2.0.0", false}, {"1.19.0", CompatVersion, false}, {"1.19.0", "1.24.0rc1", false}, {"99.0.0", "2.0.0", false}, {"1.24.0", "1.0.0", false},
	} {
		window := strings.Replace(strings.Replace(text, `"1.19.0"`, `"`+c.min+`"`, 1), `"2.0.0"`, `"`+c.max+`"`, 1)
		if _, err := Parse([]byte(window)); (err == nil) != c.ok {
			t.Errorf("%s to %s: %v", c.min, c.max, err)
		}
	}
}

// LCK-18
func TestDiffSaysWhatALockDemandsMoreAndLess(t *testing.T) {
	rc, ge, own := packtest.Builtin("receipt_completeness"), packtest.Builtin("guardian_enforcement"), packtest.CallsCard(t)
	claims := func(change func([]claim.Claim) []claim.Claim) claim.Card {
		c := own
		c.Claims = change(slices.Clone(own.Claims))
		return c
	}
	// twice has two claims under the id of the first.
	twice := func(card claim.Card, of ...int) claim.Card {
		var cs []claim.Claim
		for _, i := range of {
			cs = append(cs, own.Claims[i])
			cs[len(cs)-1].ID = own.Claims[0].ID
		}
		card.Claims = cs
		return card
	}
	named := own
	named.Name = "Other"
	base := Spec{Cards: []claim.Card{rc, own}, Signers: Only(trust.Digest{1})}
	with := func(cards ...claim.Card) Spec { s := base; s.Cards = cards; return s }
	keys := func(keys ...trust.Digest) Spec { // without any: every key
		s := base
		s.Signers = Signers{}
		for _, key := range keys {
			s.Signers = s.Signers.With(key)
		}
		return s
	}
	pinned := base
	pinned.Contract = packtest.Contract(t, "a")
	other := base
	other.Contract = packtest.Contract(t, "b")
	for i, c := range []struct {
		old, new  Spec
		want      string // effects
		reversely string
	}{
		{base, base, "", ""},
		{base, keys(), "weaker", "stronger"},
		{base, keys(trust.Digest{1}, trust.Digest{2}), "weaker", "stronger"},
		{base, keys(trust.Digest{2}), "weaker stronger", "weaker stronger"},
		{base, with(rc), "weaker", "stronger"},
		{base, with(rc, ge, own), "stronger", "weaker"},
		{base, with(ge, own), "weaker stronger", "weaker stronger"},
		{base, with(own, rc), "other", "other"},
		{base, with(rc, own, own), "other", "other"},
		{base, with(rc, named), "other", "other"},
		{base, with(rc, claims(func(cs []claim.Claim) []claim.Claim { return cs[:1] })), "weaker", "stronger"},
		{base, with(rc, claims(func(cs []claim.Claim) []claim.Claim { cs[0].Severity = "warning"; return cs })), "weaker", "stronger"},
		{base, with(rc, claims(func(cs []claim.Claim) []claim.Claim { cs[0].Description = "x"; return cs })), "other", "other"},
		{base, with(rc, claims(func(cs []claim.Claim) []claim.Claim {
			cs[0].Params = jcs.Obj(jcs.M("min_count", jcs.Int(1)))
			return cs
		})), "weaker", "weaker"},
		{base, with(rc, claims(func(cs []claim.Claim) []claim.Claim { cs[1].Check = "no_receipt_type"; return cs })), "weaker", "weaker"},
		{base, with(rc, claims(func(cs []claim.Claim) []claim.Claim { return []claim.Claim{cs[1], cs[0]} })), "weaker", "weaker"},
		{with(rc, twice(own, 0, 1)), with(rc, own), "weaker stronger", "weaker stronger"},
		{with(rc, twice(own, 0, 1)), with(rc, twice(own, 0)), "weaker", "stronger"},
		{base, pinned, "stronger", "weaker"},
		{pinned, other, "weaker", "weaker"},
	} {
		old, now := mustLock(t, c.old), mustLock(t, c.new)
		for _, d := range []struct {
			changes []Change
			want    string
		}{{Diff(old, now), c.want}, {Diff(now, old), c.reversely}} {
			var effects []string
			for _, change := range d.changes {
				effects = append(effects, string(change.Effect))
				if change.Message == "" || !form.IsPrintableASCII(change.Message) {
					t.Errorf("case %d: message %q", i, change.Message)
				}
			}
			if got := strings.Join(effects, " "); got != d.want {
				t.Errorf("case %d: %v, want %s", i, d.changes, d.want)
			}
		}
	}
	window := func(min, max string) *Lock {
		l, err := Parse(jcstest.Plain(jcstest.Set(jcstest.Set(mustLock(t, base).value, "assay_version_min", jcs.Str(min)), "assay_version_max", jcs.Str(max))))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for _, c := range []struct {
		min, max string
		want     Effect
	}{{"1.20.0", "2.0.0", Stronger}, {"1.2.0", "2.0.0", Weaker}, {"1.19.0", "3.0.0", Weaker}, {"1.19.0", "1.25.0", Stronger}} {
		if got := Diff(mustLock(t, base), window(c.min, c.max)); len(got) != 1 || got[0].Effect != c.want {
			t.Errorf("%s to %s: %v", c.min, c.max, got)
		}
	}
	if got := Diff(mustLock(t, base), window("1.19", "2.0")); len(got) != 0 {
		t.Errorf("another spelling: %v", got)
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add(wholeLock(f).Marshal())
	f.Add(mustLock(f, Spec{Cards: claim.BuiltinCards()}).Marshal())
	f.Add([]byte(`{"lock_version":"1.0","run_cards":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			if len(err.(*Error).Issues) == 0 || !form.IsPrintableASCII(err.Error()) {
				t.Errorf("%q", err)
			}
			return
		}
		if len(l.Cards()) == 0 || claim.SetHash(l.Cards()) != l.ClaimSetHash() || string(l.Marshal()) != string(text) {
			t.Errorf("accepted: %q", text)
		}
		// Spelled anew, and made anew of what it says, it demands the same.
		pretty, err := jcs.AppendPretty(nil, l.value)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(pretty)
		if err != nil || len(Diff(l, again)) != 0 {
			t.Errorf("%v: %s", err, pretty)
		}
	})
}

func TestAContractThatComesOrGoesIsSaidInADiff(t *testing.T) {
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	for pair, want := range map[[2]string]Change{
		{one, ""}:  {Weaker, "no coverage contract is pinned; " + one + " was"},
		{"", one}:  {Stronger, "the coverage contract " + one + " is pinned"},
		{one, two}: {Weaker, "another coverage contract is pinned, which may ask for less: " + two + ", was " + one},
	} {
		d := &differ{}
		if d.contract(pair[0], pair[1]); len(d.changes) != 1 || d.changes[0] != want {
			t.Errorf("%q: %+v, want %+v", pair, d.changes, want)
		}
	}
	for _, same := range []string{"", one} {
		d := &differ{}
		if d.contract(same, same); len(d.changes) != 0 {
			t.Errorf("%q twice: %+v", same, d.changes)
		}
	}
}

// LCK-6
func TestALockRefusesCardsThatReadLikeABuiltIn(t *testing.T) {
	for _, id := range []string{"guardian-enforcement", "guardian_enforcement ", "Guardian_Enforcement", "receipt_completenes"} {
		_, err := New(Spec{Cards: []claim.Card{packtest.Always(t, id, "critical")}, At: builtAt})
		if err == nil || !strings.Contains(err.Error(), "looks like the built-in ") {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := New(Spec{Cards: []claim.Card{packtest.Always(t, "acme.guardian_enforcement", "critical")}, At: builtAt}); err != nil {
		t.Error(err)
	}
}
