package pack

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// This file compares a pack with what the relying party said it expects: of its age, its CI run and its
// successors (the expectations), and of the lock and the signer (drift). None of that says that a byte was
// altered. What is asked for and cannot be told, because no time was given, does not hold.

// Expectation is one thing that the relying party expects of a pack, and what came of it.
type Expectation struct {
	Name     string  // age, expiry, superseded, ci_system, repository, ref, workflow, commit, run
	Verdict  Verdict // SKIPPED: nobody asked, or it could not be judged
	Expected string  // what was asked for, in words of ours or the caller's; "" if nobody asked
	Actual   string  // what the pack says, any text; "" if nothing, and of a pack that is not intact
	Field    string  // the member of the pack that it is about
	Code     string  // E_…; "" if nothing is wrong. Beside SKIPPED: it would not hold, and nobody asked
	Message  string  // printable ASCII
}

// ends are the two expectations about the time that the signer gave the pack: that it is over is an honest
// failure. All others are about another pack than this one.
var ends = []string{"expiry", "superseded"}

// ExpectationFindings are those of the expectations that do not hold.
func (r *Result) ExpectationFindings() []manifest.Finding {
	var found manifest.Findings
	for _, e := range r.Expectations.Results {
		if e.Verdict == Fail {
			found.Of(manifest.ChannelExpectations).Add(e.Code, e.Field, "%s", e.Message)
		}
	}
	return found
}

// Expectation is the one of that name, its zero value if there was nothing to tell.
func (r *Result) Expectation(name string) Expectation {
	for _, e := range r.Expectations.Results {
		if e.Name == name {
			return e
		}
	}
	return Expectation{}
}

// unmet reports whether an expectation fails that is none of the ends.
func (r *Result) unmet() bool {
	return slices.ContainsFunc(r.Expectations.Results, func(e Expectation) bool {
		return e.Verdict == Fail && !slices.Contains(ends, e.Name)
	})
}

// expectations judges an intact pack. Of another one nothing is known that could be compared.
func (v *verifier) expectations() {
	o, r := v.o, v.r
	v.expect("age", o.MaxAge != 0, "at most "+o.MaxAge.String(), v.age)
	v.expect("expiry", o.CheckExpiry, "not expired", v.expiry)
	v.expect("superseded", o.RefuseSuperseded, "not superseded", v.superseded)
	if o.RequireCI {
		v.expect("ci_system", true, "any", v.bound("", "provider", func(b *manifest.CIBinding) string { return b.Provider }))
	}
	for _, e := range []struct {
		name, want, member string
		of                 func(*manifest.CIBinding) string
	}{
		{"repository", o.Repo, "repo", func(b *manifest.CIBinding) string { return b.Repo }},
		{"ref", o.Ref, "ref", func(b *manifest.CIBinding) string { return b.Ref }},
		{"workflow", o.Workflow, "workflow_ref", func(b *manifest.CIBinding) string { return b.WorkflowRef }},
		{"commit", o.CommitSHA, "commit_sha", func(b *manifest.CIBinding) string { return b.CommitSHA }},
		{"run", o.Run, "run_id", func(b *manifest.CIBinding) string { return b.RunID }},
	} {
		if e.want != "" {
			v.expect(e.name, true, e.want, v.bound(e.want, e.member, e.of))
		}
	}
	for _, e := range r.Expectations.Results {
		if e.Verdict == Fail || r.Expectations.Verdict == Skipped {
			r.Expectations.Verdict = e.Verdict
		}
	}
}

// expect adds what judge says, unless nobody asked and there is nothing to tell.
func (v *verifier) expect(name string, asked bool, expected string, judge func() Expectation) {
	e := Expectation{Verdict: Skipped, Message: "not judged: the evidence is not intact"}
	if v.r.Integrity == Pass {
		e = judge()
	}
	if e.Name = name; asked {
		e.Expected = expected
	} else if e.Verdict == "" || v.r.Integrity != Pass {
		return
	} else if e.Code != manifest.CodeTimestampInvalid { // a pack from the future is refused unasked
		e.Verdict = Skipped
	}
	v.r.Expectations.Results = append(v.r.Expectations.Results, e)
}

// age is verify.md §13.1, the guard against the future with it. The end that the signer claims is not believed
// against a token that shows the pack to be older.
func (v *verifier) age() Expectation {
	e := Expectation{Verdict: Fail, Field: "timestamp_end", Actual: v.m.Attestation.TimestampEnd}
	end, ok := form.ParseDateTime(e.Actual)
	last, what := end, "timestamp_end "+form.Quote(e.Actual)
	if t := v.r.Anchor.Time; t != nil && t.By().Before(end) { // the log had it by then, whatever its signer says
		last, what = t.By(), "the pack's timestamp "+t.Time.UTC().Format(time.RFC3339)
		e.Field = tokenField
	}
	switch {
	case v.o.MaxAge == 0 && v.o.Now.IsZero():
		v.warned.Of(manifest.ChannelExpectations).Add(manifest.WarnNoClock, "timestamp_end", "no time was given: whether the pack is from the future is not checked")
		return Expectation{}
	case v.o.Now.IsZero():
		e.Code, e.Message = manifest.CodePackStale, "an age was asked for, and no time was given to tell it by"
	case !ok || end.After(v.o.Now.Add(entry.MaxAhead)):
		e.Field = "timestamp_end"
		e.Code, e.Message = manifest.CodeTimestampInvalid, fmt.Sprintf("timestamp_end %s is more than %s in the future", form.Quote(e.Actual), entry.MaxAhead)
	case v.o.MaxAge == 0:
		return Expectation{}
	case v.o.Now.Sub(last) > v.o.MaxAge:
		e.Code, e.Message = manifest.CodePackStale, fmt.Sprintf("%s is more than %s ago", what, v.o.MaxAge)
	default:
		e.Verdict, e.Message = Pass, fmt.Sprintf("%s is not more than %s ago", what, v.o.MaxAge)
	}
	return e
}

// expiry judges valid_until. One that is null never passes, and does not fail.
func (v *verifier) expiry() Expectation {
	e := Expectation{Verdict: Fail, Field: "valid_until", Actual: v.m.Attestation.ValidUntil}
	end, ok := form.ParseDateTime(e.Actual)
	switch {
	case !v.o.CheckExpiry && (e.Actual == "" || v.o.Now.IsZero()):
		return Expectation{}
	case e.Actual == "":
		e.Verdict, e.Message = Skipped, "no expiry date in the pack"
	case v.o.Now.IsZero():
		e.Code, e.Message = manifest.CodePackExpired, "no time was given to tell whether the pack is still valid"
	case !ok || v.o.Now.After(end):
		e.Code, e.Message = manifest.CodePackExpired, fmt.Sprintf("was valid until %s", form.Quote(e.Actual))
	default:
		e.Verdict, e.Message = Pass, fmt.Sprintf("valid until %s", form.Quote(e.Actual))
	}
	return e
}

func (v *verifier) superseded() Expectation {
	by := v.m.Attestation.SupersededBy
	switch {
	case by != "":
		return Expectation{Verdict: Fail, Field: "superseded_by", Actual: by, Code: manifest.CodePackSuperseded, Message: "superseded by " + form.Quote(by) + ", says its signer"}
	case v.o.RefuseSuperseded:
		return Expectation{Verdict: Pass, Field: "superseded_by", Message: "its signer names no pack that supersedes it"}
	}
	return Expectation{}
}

// bound compares one member of ci_binding byte for byte (VFY-65). want "": any value.
func (v *verifier) bound(want, member string, of func(*manifest.CIBinding) string) func() Expectation {
	return func() Expectation {
		e := Expectation{Verdict: Fail, Field: "ci_binding." + member}
		if v.m.Attestation.CIBinding == nil {
			e.Field, e.Code, e.Message = "ci_binding", manifest.CodeCIMissing, "the pack does not say which CI run built it"
			return e
		}
		switch e.Actual = of(v.m.Attestation.CIBinding); {
		case want == "" || e.Actual == want:
			e.Verdict, e.Message = Pass, member+" is "+form.Quote(e.Actual)
		case e.Actual == "":
			e.Code, e.Message = manifest.CodeCIMismatch, "ci_binding names no "+member+", expected "+form.Quote(want)
		default:
			e.Code, e.Message = manifest.CodeCIMismatch, member+" is "+form.Quote(e.Actual)+", expected "+form.Quote(want)
		}
		return e
	}
}

// drift is verify.md §14: the pack against the lock, and who may have signed. It says what is known of a pack whose
// integrity fails too; only a pack that is intact can be PASS or pinned.
func (v *verifier) drift() {
	r := v.r
	if v.m == nil {
		return
	}
	var found manifest.Findings
	at := found.Of(manifest.ChannelLock)
	if v.o.Lock != nil {
		v.compareLock(at)
	}
	if len(found) > 0 {
		r.Lock.Verdict = Fail
	} else if v.o.Lock != nil && r.Integrity == Pass {
		r.Lock.Verdict = Pass
	}
	signer := v.m.SignerFingerprint()
	trusted := v.o.TrustedSigners
	if !trusted.Admits(signer) {
		r.Signer.Untrusted = true
		at.Add(manifest.CodeSignerUntrusted, "signer_pubkey_sha256", "the key %s that signed is none of the trusted ones", signer)
	}
	r.Lock.Findings = found
	// Other drift does not make the signer somebody else.
	if r.Integrity == Pass && !r.Signer.Untrusted {
		r.Signer.Pinned = !trusted.Any() || v.o.Lock != nil && !v.o.Lock.Signers().Any()
	}
}

func (v *verifier) compareLock(at manifest.Place) {
	l, attestation := v.o.Lock, form.Get(v.m.Value(), "attestation")
	if got := form.Str(attestation, "pack_format_version"); got != l.PackFormat() {
		at.Add(manifest.CodeLockMismatch, "pack_format_version", "pack_format_version is %s, the lock says %s", form.Quote(got), form.Quote(l.PackFormat()))
	}
	// Both copies: the reference compares the manifest's only, so that a signer can split them.
	for i, got := range []string{form.Str(v.m.Value(), "claim_set_hash"), form.Str(attestation, "claim_set_hash")} {
		if name := []string{"claim_set_hash", "attestation.claim_set_hash"}[i]; got != l.ClaimSetHash() {
			at.Add(manifest.CodeLockMismatch, name, "the pack declares other claims than the lock: %s; %s is %s, the lock says %s", v.otherCards(l.Cards()), name, got, l.ClaimSetHash())
		}
	}
	signer := v.m.SignerFingerprint()
	if !l.Signers().Admits(signer) {
		v.r.Signer.Untrusted = true
		at.Add(manifest.CodeSignerUntrusted, "signer_pubkey_sha256", "the key %s that signed is not in the lock's allowlist", signer)
	}
	switch want := l.ContractHash(); {
	case want == "":
	case v.o.Contract == nil:
		at.Add(manifest.CodeLockMismatch, "coverage_contract_hash", "the lock pins the coverage contract %s, and none was given", want)
	case v.o.Contract.Hash() != want:
		at.Add(manifest.CodeLockMismatch, "coverage_contract_hash", "the coverage contract given is %s, the lock pins %s", v.o.Contract.Hash(), want)
	}
}

// otherCards says, by their names, what cards a lock demands that the pack does not declare, and the other way round.
func (v *verifier) otherCards(demanded []claim.Card) string {
	declared := v.r.Claims.Cards
	if declared == nil && v.m.Attestation.ClaimCheck == manifest.ClaimsNone {
		return "it declares none, the lock demands " + cardNames(demanded)
	} else if declared == nil {
		return "what it declares is not known here, the lock demands " + cardNames(demanded)
	}
	missing := func(from, in []claim.Card) (list []claim.Card) {
		for _, c := range from {
			if !slices.ContainsFunc(in, func(other claim.Card) bool { return other.ID == c.ID }) {
				list = append(list, c)
			}
		}
		return list
	}
	var parts []string
	if more := missing(demanded, declared); len(more) > 0 {
		parts = append(parts, "the lock also demands "+cardNames(more))
	}
	if more := missing(declared, demanded); len(more) > 0 {
		parts = append(parts, "the lock does not know "+cardNames(more))
	}
	var changed []claim.Card
	for _, c := range demanded {
		i := slices.IndexFunc(declared, func(other claim.Card) bool { return other.ID == c.ID })
		if i >= 0 && claim.SetHash([]claim.Card{declared[i]}) != claim.SetHash([]claim.Card{c}) {
			changed = append(changed, c)
		}
	}
	if len(changed) > 0 {
		parts = append(parts, "the lock has other claims under "+cardNames(changed))
	}
	if len(parts) == 0 {
		return "the cards of the lock in another order, or another number of times"
	}
	return strings.Join(parts, "; ")
}

// cardNames are the first few ids, printable.
func cardNames(cards []claim.Card) string {
	const most = 8
	var names []string
	for i, c := range cards {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(cards)-most))
			break
		}
		names = append(names, form.Printable(c.ID))
	}
	return strings.Join(names, ", ")
}
