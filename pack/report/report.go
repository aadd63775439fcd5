// Package report shows a judgement, a pack.Result, to people and to machines: as the JSON of
// assay.verify_report.v0.1, as one HTML page, as a badge, as rows of CSV, and in the words of
// 'assay explain'. It decides nothing. The channels (integrity, claims, anchor, and what else was asked
// for) stay apart in each of them.
//
// Of a pack that is not intact nothing is told as a fact: its ids appear only behind the word "unverified".
// Texts that are returned as Go strings may hold whatever the pack holds; who prints them escapes them.
// What is returned as bytes is escaped for its format.
package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// Report is a judgement and what its reader needs besides.
type Report struct {
	*pack.Result
	Path    string     // of the pack, as the reader named it: any bytes
	At      time.Time  // when it was judged, in any zone
	Version string     // of this verifier
	Lock    *lock.Lock // the lock that the pack was held to, nil without

	MaxAgeHours float64 // as asked for, 0 if not
	MinCoverage float64 // as asked for
}

// The words of verify.md §17, which also colour pages and badges.
const (
	wordPass         = "PASS"
	wordHonestFail   = "HONEST_FAIL"
	wordTampered     = "TAMPERED"
	wordInsufficient = "INSUFFICIENT_EVIDENCE"

	// Ours, for channels that the reference does not have: what was asked for does not hold. It says nothing
	// of the bytes, as TAMPERED would.
	wordUnmet = "UNMET"
)

// New is a judgement that was made without a lock, and asked for no age and no coverage.
func New(path string, r *pack.Result) *Report {
	return &Report{Result: r, Path: path, At: r.Now(), Version: manifest.Version}
}

// Channel is one thing that was judged by itself.
type Channel struct {
	Name    string // integrity, claims, anchor, lock, expectations, coverage, signer
	Word    string // PASS, FAIL, SKIPPED; of claims NOT_EVALUATED too; of the signer PINNED, UNPINNED, UNTRUSTED
	Verdict string // PASS, HONEST_FAIL, TAMPERED, INSUFFICIENT_EVIDENCE or UNMET
	Text    Text   // why, in one line
	asked   bool   // it belongs on a badge
	Parts   []Part // the facts that it comes from, where they do not all hold
}

// Label is the name as people read it, in every format for them; it fits the column of names.
func (c Channel) Label() string {
	if c.Name == "expectations" {
		return "expected"
	}
	return c.Name
}

// Part is one fact of a channel, with a line of its own.
type Part struct {
	Name, Word string // PASS or FAIL
	Text       Text
}

// Channels are integrity, claims and anchor, then what else was asked for.
func (r *Report) Channels() []Channel {
	list := []Channel{
		{"integrity", string(r.Integrity), r.choose(r.Integrity, wordTampered), r.integrityText(), true, nil},
		{"claims", string(r.ClaimsHere()), r.choose(r.ClaimsHere(), wordHonestFail), r.claimText(), true, nil},
		{"anchor", string(r.Anchor.Verdict), r.choose(r.Anchor.Verdict, wordUnmet), AnchorText(r.Result), r.Anchor.Verdict != pack.Skipped || r.Status() == pack.StatusWitness, r.anchorParts()},
	}
	if r.Lock != nil {
		word := r.Result.Lock.Verdict
		list = append(list, Channel{"lock", string(word), r.choose(word, wordUnmet), r.lockText(), word == pack.Fail, nil})
	}
	if c, ok := r.expectations(); ok {
		list = append(list, c)
	}
	if c := r.Coverage; c != nil && len(c.Covered)+len(c.Uncovered) == 0 {
		list = append(list, Channel{"coverage", string(c.Verdict), r.choose(c.Verdict, wordHonestFail), say("the contract names no call sites: nothing was asked for"), c.Verdict == pack.Fail, nil})
	} else if c != nil {
		list = append(list, Channel{"coverage", string(c.Verdict), r.choose(c.Verdict, wordHonestFail), say("%d of %s in the contract have receipts (%.1f%%), at least %g%% asked for",
			len(c.Covered), word(Count(len(c.Covered)+len(c.Uncovered), "call site")), 100*c.Share, 100*r.MinCoverage), c.Verdict == pack.Fail, nil})
	}
	if r.Manifest != nil {
		list = append(list, r.signer())
	}
	return list
}

// expectations is there if anything was expected, or the pack tells unasked that its time is over.
func (r *Report) expectations() (c Channel, there bool) {
	var met, unmet, told []Text
	fail := wordHonestFail
	for _, e := range r.Expectations.Results {
		switch {
		case e.Verdict == pack.Pass:
			met = append(met, expectedWord(e.Name, "not "))
		case e.Verdict == pack.Fail:
			unmet = append(unmet, expectedWord(e.Name, ""))
			if e.Name != "expiry" && e.Name != "superseded" {
				fail = wordUnmet
			}
		case !r.intact():
			told = []Text{say("%s", e.Message)} // one for all
		case e.Expected != "":
			told = append(told, say("%s", e.Message))
		case e.Code != "":
			told = append(told, say("%s, and nobody asked", e.Message))
		}
	}
	c = Channel{Name: "expectations", Word: string(r.Expectations.Verdict), Verdict: r.choose(r.Expectations.Verdict, fail), asked: r.Expectations.Verdict == pack.Fail}
	add := func(part Text) {
		if c.Text = say("%s; %s", c.Text, part); !there {
			c.Text, there = part, true
		}
	}
	if len(unmet) > 0 {
		add(say("not as expected: %s", unmet))
	}
	if len(met) > 0 {
		add(say("as expected: %s", met))
	}
	for _, part := range told {
		add(part)
	}
	return c, there
}

// expectedWord names an expectation. Who expects the end of a pack expects that it has not come.
func expectedWord(name, negated string) Text {
	switch name {
	case "expiry":
		return say("%s", word(negated+"expired"))
	case "superseded":
		return say("%s", word(negated+"superseded"))
	}
	return say("%s", word(name))
}

func (r *Report) choose(v pack.Verdict, fail string) string {
	switch v {
	case pack.Pass:
		return wordPass
	case pack.Fail:
		return fail
	}
	return wordInsufficient
}

func (r *Report) intact() bool { return r.Integrity == pack.Pass }

// Title names the pack. One that is not intact has no name but its path.
func (r *Report) Title() Text {
	switch {
	case r.Manifest == nil:
		return say("%s", r.Path)
	case !r.intact():
		return say("%s (calls itself %s: unverified)", r.Path, r.Manifest.PackID)
	}
	return say("%s", r.Manifest.PackID)
}

func (r *Report) integrityText() Text {
	if !r.intact() {
		return say("%s", word(Count(len(r.Findings.In(manifest.ChannelIntegrity)), "finding")))
	}
	if r.AboutRun > 0 && r.Evidence() == 0 {
		return say("%s, about the run itself, hashes and signature hold", word(Count(r.Receipts, "receipt")))
	}
	if r.AboutRun > 0 {
		return say("%s, %d of them about the run itself, hashes and signature hold", word(Count(r.Receipts, "receipt")), r.AboutRun)
	}
	return say("%s, hashes and signature hold", word(Count(r.Receipts, "receipt")))
}

func (r *Report) claimText() Text {
	passed := 0
	for _, c := range r.Claims.Results {
		if c.Passed {
			passed++
		}
	}
	switch {
	case !r.intact():
		return say("not judged: the evidence is not intact")
	case r.Claims.Verdict == pack.Skipped:
		return say("no checks were declared")
	case r.ClaimsHere() == pack.NotEvaluated:
		return say("that they hold is the signer's word; not executed again, because what that takes is not here (--run-card, --coverage-contract)")
	case !r.Claims.Reexecuted:
		return say("says the signer; not executed again, because the definitions are not here (--run-card)")
	}
	text := say("%d of %d checks hold, executed again", passed, len(r.Claims.Results))
	if len(r.Claims.Cards) > 0 {
		text = say("%s; %s", text, r.cardsText())
	}
	if r.cannotFail() {
		text = say("%s; none of them can fail the claims", text)
	}
	return text
}

// cannotFail reports that whatever the checks came to, the claims would pass.
func (r *Report) cannotFail() bool { return len(r.Claims.Cards) > 0 && !claim.CanFail(r.Claims.Cards) }

// cardsText names the cards that were executed, and whose each of them is.
func (r *Report) cardsText() Text {
	const most = 8
	var names []Text
	for i, c := range r.Claims.Cards {
		if i == most {
			names = append(names, say("%d more", len(r.Claims.Cards)-most))
			break
		}
		names = append(names, say("%s (%s)", c.Label(), word(r.Claims.Sources[i])))
	}
	return say("cards: %s", names)
}

// signersOwn is how many cards came with the pack, unsigned.
func (r *Report) signersOwn() (n int) {
	for _, s := range r.Claims.Sources {
		if s == pack.SourceSigner {
			n++
		}
	}
	return n
}

// AnchorText says in one line what a log vouches for, and when.
func AnchorText(r *pack.Result) Text {
	switch {
	case r.Anchor.Verdict == pack.Skipped && r.Anchor.NoProof:
		return say("there is no proof in the pack that a log holds it")
	case r.Anchor.Verdict == pack.Skipped:
		return say("not checked against any log")
	case r.Anchor.Verdict != pack.Pass && logged(r):
		return say("logged, but not at a time that holds")
	case r.Anchor.Verdict != pack.Pass:
		return say("no proof that holds under the policy")
	case r.Anchor.Time != nil:
		return say("%s; timestamped %s", logText(r), stampText(r.Anchor.Time))
	case r.Anchor.Entry.Entry.TimestampToken == nil:
		return say("%s; it has no timestamp", logText(r))
	}
	return say("%s; its time was not checked (--tsa-roots)", logText(r))
}

// logged reports that the proof holds, whatever became of the time.
func logged(r *pack.Result) bool { return r.Anchor.Verdict == pack.Pass || r.Anchor.Timed == pack.Fail }

func logText(r *pack.Result) Text {
	var witnesses []Text
	for _, c := range r.Anchor.Checkpoint.Cosignatures {
		witnesses = append(witnesses, say("%s", c.Witness))
	}
	if len(witnesses) == 0 {
		witnesses = []Text{say("nobody (the policy asks for nobody)")}
	}
	return say("entry %d of %s, tree size %d, cosigned by %s", r.Anchor.Entry.Index, r.Anchor.Checkpoint.Origin, r.Anchor.Checkpoint.Size, witnesses)
}

// anchorParts tells a log that holds the pack from a time that does not hold.
func (r *Report) anchorParts() []Part {
	if r.Anchor.Timed != pack.Fail {
		return nil
	}
	why := say("no timestamp that holds")
	for _, f := range r.Findings.In(manifest.ChannelAnchor) {
		why = say("%s", f.Message)
	}
	return []Part{{"log", string(pack.Pass), logText(r.Result)}, {"time", string(pack.Fail), why}}
}

// stampText is a time as its authority states it: an accuracy of 0 is one that is not stated.
func stampText(t *timestamp.Token) Text {
	at := word(t.Time.UTC().Format(time.RFC3339))
	if t.Accuracy == 0 {
		return say("%s (accuracy not stated) by %s", at, t.Signer)
	}
	return say("%s (within %s) by %s", at, t.Accuracy, t.Signer)
}

func (r *Report) lockText() Text {
	switch r.Result.Lock.Verdict {
	case pack.Pass:
		return say("the pack is what the lock says")
	case pack.Skipped:
		return say("not judged: the evidence is not intact")
	}
	return say("the pack drifts from the lock")
}

// signer is threats.md P17: "signer_id never shown without fingerprint", and never as if it were known.
func (r *Report) signer() Channel {
	m := r.Manifest
	who := say("%s, key %s", m.SignerID, m.SignerFingerprint())
	switch {
	case !r.intact():
		return Channel{"signer", "UNVERIFIED", wordInsufficient, say("says it is %s: unverified", m.SignerID), false, nil}
	case r.Signer.Untrusted:
		return Channel{"signer", "UNTRUSTED", wordUnmet, say("%s: none of the keys that may sign", who), true, nil}
	case r.Signer.Pinned:
		return Channel{"signer", "PINNED", wordPass, say("%s: one of the keys that may sign", who), false, nil}
	}
	return Channel{"signer", "UNPINNED", wordInsufficient, say("%s: nobody here says whose key that is", who), r.Status() == pack.StatusSigner, nil}
}

// gaps are what a verdict of 0 leaves open, in words of ours: what was not asked for, and is not so.
func (r *Report) gaps() (list []string) {
	add := func(gap bool, text string) {
		if gap {
			list = append(list, text)
		}
	}
	failed := 0
	for _, c := range r.Claims.Results {
		if !c.Passed {
			failed++
		}
	}
	add(r.Claims.Verdict == pack.Fail, Count(failed, "claim")+" failed and not required to pass (--require-claim-pass)")
	add(r.Claims.Verdict == pack.Pass && failed > 0, Count(failed, "failed warning"))
	expiry := r.Expectation("expiry")
	add(expiry.Code != "", "expired")
	add(expiry.Expected != "" && expiry.Verdict == pack.Skipped, "its signer set no expiry date") // null passes (VFY-67)
	add(r.Expectation("superseded").Code != "", "superseded")
	add(!r.Signer.Pinned, "signer unpinned")
	add(r.Anchor.Verdict == pack.Skipped && !r.Anchor.NoProof && !r.Anchor.Unchecked, "not anchored")
	add(r.Anchor.Unchecked, "its proof not checked (--policy)")
	add(r.Anchor.NoProof, "not anchored: there is no proof in it to check (--require-anchor)")
	add(r.Anchor.Verdict == pack.Pass && r.Anchor.Time == nil, "anchored without a time that was checked")
	add(r.Anchor.TimeContradicts, "its timestamp contradicts its own times")
	add(r.Claims.Verdict == pack.Skipped, "no checks declared")
	add(r.ClaimsHere() == pack.NotEvaluated, "claims not executed here")
	add(r.Claims.Verdict == pack.Pass && r.cannotFail(), "no check that can fail")
	add(r.Coverage != nil && len(r.Coverage.Covered)+len(r.Coverage.Uncovered) == 0, "a coverage contract without call sites")
	add(r.signersOwn() > 0, Count(r.signersOwn(), "card")+" of the signer's own")
	add(r.Evidence() == 0, Count(r.Evidence(), "receipt"))
	add(r.Result.Facts.Killed > 0, "the program was killed")
	add(r.Result.Facts.Killed == 0 && r.Result.Facts.EndedBadly > 0, "the program failed")
	return list
}

// Sentence is the verdict in words, of ours alone.
func (r *Report) Sentence() string {
	switch r.Status() {
	case pack.StatusOK:
		sentence := "intact"
		if r.Signer.Pinned && r.Anchor.Verdict == pack.Pass && r.Anchor.Time != nil && r.Claims.Verdict == pack.Pass && r.Claims.Reexecuted && r.Evidence() > 0 {
			sentence += ", signer pinned, anchored with a time, claims hold, " + Count(r.Evidence(), "receipt")
		}
		if gaps := r.gaps(); len(gaps) > 0 {
			sentence += "; " + strings.Join(gaps, ", ")
		}
		return sentence
	case pack.StatusClaims:
		switch r.Claims.Verdict {
		case pack.Skipped:
			return "honest failure: claims are required, and the pack declares none"
		case pack.Pass:
			if r.Claims.Reexecuted {
				return "honest failure: not one of the declared checks holds, failed warnings among them"
			}
			return "honest failure: the required claims cannot be executed again here; --run-card names their definitions"
		}
		return "honest failure: authentic evidence, and a required check does not hold"
	case pack.StatusEmpty:
		return "honest failure: authentic, and there is no evidence in it: 0 receipts of what a program did"
	case pack.StatusExpired:
		return "honest failure: authentic evidence, and its time is over"
	case pack.StatusReplaced:
		return "honest failure: authentic evidence, and its signer names a pack that replaces it"
	case pack.StatusUncovered:
		return "honest failure: authentic evidence of too few call sites"
	case pack.StatusLock:
		return "governance drift: the pack is not what the lock says"
	case pack.StatusSigner:
		if r.Signer.Untrusted {
			return "not signed by a key that may sign: do not rely on this pack"
		}
		return "the signer must be pinned: name the key with --trusted-signer, or in a lock"
	case pack.StatusWitness:
		if logged(r.Result) && r.Anchor.Timed == pack.Fail {
			return "the pack is intact and logged, but the time that was asked for does not hold"
		}
		if r.Anchor.Verdict == pack.Fail {
			return "the pack is intact, but its proof of being logged does not hold"
		}
		if r.Anchor.TimeContradicts {
			return "the pack is intact and logged, but its timestamp contradicts its own times"
		}
		return "the pack is intact, but not proven to be logged, as required"
	case pack.StatusExpected:
		return "not the pack that was expected: it is intact, and " + r.unmet()
	}
	return "tampered or malformed: do not rely on this pack"
}

// expiryStatus is expired or valid, whether anybody asked or not; "" if the pack does not say until when it
// is valid, or nobody can tell.
func (r *Report) expiryStatus() string {
	switch e := r.Expectation("expiry"); {
	case e.Code != "":
		return "expired"
	case e.Actual != "":
		return "valid"
	}
	return ""
}

// unmet names what fails, in words of ours.
func (r *Report) unmet() string {
	words := map[string]string{"age": "too old", "ci_system": "bound to no CI run", "repository": "of another repository", "ref": "of another ref",
		"workflow": "of another workflow", "commit": "of another commit", "run": "of another run"}
	var list []string
	for _, e := range r.Expectations.Results {
		text, ok := words[e.Name]
		switch {
		case e.Verdict != pack.Fail || !ok:
			continue
		case e.Code == manifest.CodeTimestampInvalid:
			text = "from the future"
		case e.Code == manifest.CodeCIMissing:
			text = words["ci_system"]
		}
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}

// Fact is one thing that an intact pack says of itself.
type Fact struct{ Name, Value string }

// Label is the name as people read it. Machines get Name alone.
func (f Fact) Label() string {
	if f.Name == manifestFact { // of the canonical form: sha256sum of the file is another
		return f.Name + " (canonical form, as logged)"
	}
	return f.Name
}

const manifestFact = "manifest SHA-256"

// Facts are what happened, as the pack tells it; none of a pack that is not intact.
func (r *Report) Facts() []Fact {
	if !r.intact() {
		return nil
	}
	a := r.Manifest.Attestation
	facts := []Fact{
		{"pack", a.PackID},
		{"run", a.RunID},
		{"mode", modeText(a.Mode)},
		{"receipts", fmt.Sprint(r.Receipts)},
		{"types", tallyText(r.Result.Facts.Types)},
		{"providers", tallyText(r.Result.Facts.Providers)},
		{"models", tallyText(r.Result.Facts.Models)},
	}
	if tokens := r.tokens(); tokens != "" {
		facts = append(facts, Fact{"tokens", tokens})
	}
	if ended := r.ended(); ended != "" {
		facts = append(facts, Fact{"program ended", ended + " (in the signer's words)"})
	}
	facts = append(facts,
		Fact{"from", a.TimestampStart}, Fact{"to", a.TimestampEnd},
		Fact{"clock", a.TimeAuthority},
		Fact{"built with", a.VerifierVersion})
	if b := a.CIBinding; b != nil {
		facts = append(facts, Fact{"CI run", ciText(b)})
	}
	if a.ValidUntil != "" {
		facts = append(facts, Fact{"valid until", a.ValidUntil})
	}
	if a.SupersededBy != "" {
		facts = append(facts, Fact{"superseded by", a.SupersededBy})
	}
	facts = append(facts, Fact{manifestFact, r.Manifest.Digest().String()}, Fact{"pack root", r.Manifest.PackRoot.String()})
	return slices.DeleteFunc(facts, func(f Fact) bool { return f.Value == "" })
}

// tokens leaves no figure out unsaid.
func (r *Report) tokens() string {
	f, text := r.Result.Facts, ""
	if f.InputTokens > 0 || f.OutputTokens > 0 {
		text = fmt.Sprintf("%d in, %d out", f.InputTokens, f.OutputTokens)
	}
	if f.UnreadTokens > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s, not counted: %s with a figure that cannot be read", text, Count(f.UnreadTokens, "receipt")), ", ")
	}
	return text
}

// ended is how the program ended, "" if no receipt tells; of several programs how many ended so.
func (r *Report) ended() string {
	if list := r.Result.Facts.Endings; len(list) == 1 && list[0].N == 1 {
		return list[0].Name
	}
	return tallyText(r.Result.Facts.Endings)
}

// EndedBadly says how the program ended if it was killed or failed, in the words of a session receipt, which are
// its signer's. There is false for a program that ended well, and where nothing is told.
func (r *Report) EndedBadly() (word string, text Text, there bool) {
	f := r.Result.Facts
	switch {
	case f.EndedBadly == 0:
		return "", Text{}, false
	case f.Killed > 0:
		word = "KILLED"
	default:
		word = "FAILED"
	}
	return word, say("%s, in the signer's words", r.ended()), true
}

func modeText(mode manifest.Mode) string {
	switch mode {
	case manifest.ModeBreakglass:
		return "breakglass: the guards were overridden on purpose"
	case manifest.ModeShadow:
		return "shadow: observed, nothing was blocked"
	case manifest.ModeEnforced:
		return "enforced: guards could block"
	}
	return string(mode)
}

func tallyText(list []pack.Tally) string {
	words := make([]string, len(list))
	for i, t := range list {
		if words[i] = fmt.Sprintf("%d %s", t.N, t.Name); t.Name == "" {
			words[i] = fmt.Sprintf("%d others", t.N)
		}
	}
	return strings.Join(words, ", ")
}

// ciText repeats what the signer says of the CI run; nobody checks it here.
func ciText(b *manifest.CIBinding) string {
	words := []string{b.Provider, "commit " + b.CommitSHA}
	for _, part := range []struct{ name, value string }{{"repo", b.Repo}, {"ref", b.Ref}, {"run", b.RunID}, {"attempt", b.RunAttempt}, {"workflow", b.WorkflowRef}, {"actor", b.Actor}} {
		if part.value != "" {
			words = append(words, part.name+" "+part.value)
		}
	}
	return strings.Join(words, ", ") + " (in the signer's words)"
}

// Count is "1 witness", "2 witnesses".
func Count(n int, word string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(word, "s"):
		word += "es"
	default:
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}
