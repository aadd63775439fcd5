package report

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// Limit is one of the five things that a pack does not show. It stands as it is, or narrowed
// by evidence that was verified in this very judgement; a file that merely lies there narrows nothing.
type Limit struct {
	Name     string // completeness, source, time, witness, confidentiality
	Narrowed bool
	Text     Text
}

// Limits are always all five, in this order.
func (r *Report) Limits() []Limit {
	return []Limit{r.completeness(), r.source(), r.time(), r.witness(),
		{"confidentiality", false, say("hashes of guessable contents can be guessed: no hash in a pack is keyed")}}
}

func (r *Report) completeness() Limit {
	if c := r.Coverage; c != nil && r.intact() && c.Verdict == pack.Pass {
		return Limit{"completeness", true, say("%d of %s in the coverage contract have receipts here; how often each was called, and calls elsewhere, are not known",
			len(c.Covered), word(Count(len(c.Covered)+len(c.Uncovered), "call site")))}
	}
	return Limit{"completeness", false, say("a receipt that was never emitted is not missed here: only what was recorded is in the pack")}
}

func (r *Report) source() Limit {
	if r.Signer.Pinned {
		return Limit{"source", true, say("a key that you trust signed this; that its holder recorded honestly, and that nobody else held the key, it does not show")}
	}
	return Limit{"source", false, say("not altered since it was signed is not honestly made: a compromised program can record falsehoods, and anybody can make a key")}
}

func (r *Report) time() Limit {
	switch {
	case r.Anchor.Time != nil:
		return Limit{"time", true, say("it existed by then: timestamped %s; the times inside are still the signer's own clock", stampText(r.Anchor.Time))}
	case r.witnessed():
		return Limit{"time", true, say("it existed by %s, say the witnesses' clocks; the times inside are still the signer's own clock",
			word(r.lastCosigned().UTC().Format(time.RFC3339)))}
	}
	return Limit{"time", false, say("all times are the signer's own clock: no timestamp authority was checked")}
}

func (r *Report) witnessed() bool {
	return logged(r.Result) && len(r.Anchor.Checkpoint.Cosignatures) > 0
}

// lastCosigned is when the last witness had seen it: all of them had by then, whichever of them one believes.
func (r *Report) lastCosigned() (last time.Time) {
	for _, c := range r.Anchor.Checkpoint.Cosignatures {
		if c.Time.After(last) {
			last = c.Time
		}
	}
	return last
}

func (r *Report) witness() Limit {
	switch {
	case r.witnessed():
		return Limit{"witness", true, say("%s of your policy saw the log %s hold it at size %d and only ever growing; they vouch for the log, not for what the pack says",
			word(Count(len(r.Anchor.Checkpoint.Cosignatures), "witness")), r.Anchor.Checkpoint.Origin, r.Anchor.Checkpoint.Size)}
	case logged(r.Result):
		return Limit{"witness", true, say("the log %s holds it, on the word of the log alone: your policy asks for no witness", r.Anchor.Checkpoint.Origin)}
	}
	return Limit{"witness", false, say("the pack vouches for itself: no proof that others saw it was checked")}
}

// Proves is what follows from what was verified just now.
func (r *Report) Proves() []Text {
	if !r.intact() {
		return []Text{say("nothing: these bytes are not what somebody signed, and nothing of them is told as fact")}
	}
	m := r.Manifest
	list := []Text{say("whoever holds the key %s signed exactly what is in this pack, and none of it was altered since", m.SignerFingerprint())}
	if r.Signer.Pinned {
		list = append(list, say("that key is one that you named"))
	}
	if r.Claims.Reexecuted {
		passed := 0
		for _, c := range r.Claims.Results {
			if c.Passed {
				passed++
			}
		}
		list = append(list, say("of %s that the pack declares, %d hold on these receipts: they were executed again here, not believed",
			word(Count(len(r.Claims.Results), "check")), passed))
	}
	if n := r.signersOwn(); n > 0 {
		list = append(list, say("of the cards of these checks %d came with the pack, unsigned: what they ask is what its signer chose to ask", n))
	}
	if r.cannotFail() {
		list = append(list, say("the claims would pass whatever the receipts say: every declared check is a warning, or one that no receipts fail"))
	}
	if r.Lock != nil && r.Result.Lock.Verdict == pack.Pass {
		list = append(list, say("the pack declares the checks, and the form, that the lock demands"))
	}
	if r.Expectations.Verdict == pack.Pass {
		list = append(list, say("its signer says of it what you expected: that binds the signer, and nobody else"))
	}
	if logged(r.Result) {
		list = append(list, say("the log %s holds this very manifest as entry %d, and cannot drop or change it unnoticed", r.Anchor.Checkpoint.Origin, r.Anchor.Entry.Index))
	}
	return list
}

// Never is what no evidence of this kind ever shows, the limits apart.
func (r *Report) Never() []Text {
	list := []Text{
		say("that the outputs of the models are right, safe, lawful or fit for anything"),
		say("that the key was in the right hands"),
		say("what happens now: a pack is a record of one run, not a monitor"),
	}
	if r.intact() && r.Manifest.Attestation.CIBinding != nil {
		list = append(list, say("that the CI run it names built it: that is the signer's word"))
	}
	if r.intact() && r.Claims.Verdict != pack.Skipped && !r.Claims.Reexecuted {
		list = append(list, say("that its claims hold: their definitions are not here, so they are the signer's word"))
	}
	return list
}

// plainPath is what a shell takes as it stands.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]*$`)

// Needs is what Script runs.
const Needs = "sh, jq, openssl 3 and sha256sum (macOS: brew install coreutils)"

// Script checks a pack with other people's programs: files, signature, key and attestation. It ends with
// 0 if all of them hold. No text of the pack is in it.
func (r *Report) Script() string {
	dir := "PACK # the directory of the pack"
	if plainPath.MatchString(r.Path) {
		dir = r.Path
	}
	w := new(strings.Builder)
	fmt.Fprintf(w, `set -eu
cd %s
t=$(mktemp -d)
trap 'rm -r "$t"' EXIT
# the files are those that the manifest lists
for f in receipt_pack.jsonl verify_report.json verify_transcript.md; do
  jq -r --arg f $f '.files[] | select(.path == $f) | .sha256 + "  " + .path' pack_manifest.json | sha256sum -c -
done
# the signature is of the manifest's canonical form, without the two members that are added last
jq -cjS 'del(.signature, .pack_root_sha256)' pack_manifest.json >"$t"/signed
{ printf '\060\052\060\005\006\003\053\145\160\003\041\000'; jq -r .signer_pubkey pack_manifest.json | base64 -d; } >"$t"/key
openssl pkeyutl -verify -pubin -keyform DER -inkey "$t"/key -rawin -in "$t"/signed -sigfile pack_signature.sig
# the attestation is what its hash says
test $(jq -cjS .attestation pack_manifest.json | sha256sum | cut -c1-64) = $(jq -r .pack_root_sha256 pack_manifest.json)
# the key; ask its holder, by another way, whether it is theirs
tail -c 32 "$t"/key | sha256sum
`, dir)
	if m := r.Manifest; r.intact() {
		fmt.Fprintf(w, "test $(tail -c 32 \"$t\"/key | sha256sum | cut -c1-64) = %s\n", m.SignerFingerprint())
	}
	w.WriteString(`# the receipts, by type; any claim can be counted out of them in the same way
jq -r .type receipt_pack.jsonl | sort | uniq -c
`)
	if logged(r.Result) && r.Anchor.Entry != nil {
		d := r.Manifest.Digest()
		fmt.Fprintf(w, `# what the log entry names is this manifest
test $(jq -cjS . pack_manifest.json | sha256sum | cut -c1-64) = %s
`, d)
		if r.Anchor.Time != nil {
			at := r.Anchor.Time.Time.UTC()
			fmt.Fprintf(w, `# the timestamp of the entry; ROOTS is the file that you gave as --tsa-roots. Certificates are judged at the
# time that the token names, since it outlives them, and each one in ROOTS is trusted, a root or not
sed -n 's/^extra //p' _unsigned/anchor.tlog-proof | base64 -d | jq -r .timestamp_token | base64 -d >"$t"/token
openssl ts -reply -in "$t"/token -token_in -text | grep -q 'Time stamp: %s.* %d GMT'
[ ! "${ROOTS:-}" ] || openssl ts -verify -digest %s -in "$t"/token -token_in -CAfile "$ROOTS" -partial_chain -attime %d
`, at.Format("Jan _2 15:04:05"), at.Year(), d, at.Unix())
		}
	}
	return w.String()
}

// beyond is what the script cannot do.
func (r *Report) beyond() []Text {
	list := []Text{say("The script is a second opinion, not a second verifier: it does not execute the claims, and reads JSON more laxly. The Python tool assay-ai, or any other verifier of this format, is one.")}
	if logged(r.Result) {
		list = append(list, say("The proof of being logged is a C2SP tlog-proof: any verifier of those can check it under your policy."))
	}
	return list
}

// Section is one part of an explanation.
type Section struct {
	Title string
	Lines []Text
	Code  string // a script, behind the lines
}

// Explain is 'assay explain' between the channels and the verdict.
func (r *Report) Explain() []Section {
	var happened, limits, claims []Text
	for _, f := range r.Facts() {
		happened = append(happened, say("%s: %s", word(f.Label()), f.Value))
	}
	if !r.intact() {
		happened = []Text{say("not told: this pack is not what somebody signed. Nothing in it can be relied on")}
	}
	for i, c := range r.Claims.Cards {
		claims = append(claims, say("card %s, %s: %s", c.Label(), word(r.Claims.Sources[i]), word(Count(len(c.Claims), "check"))))
	}
	for _, c := range r.Claims.Results {
		claims = append(claims, r.claimLine(c))
	}
	for _, l := range r.Limits() {
		if l.Narrowed {
			limits = append(limits, say("%s (narrowed): %s", word(l.Name), l.Text))
		} else {
			limits = append(limits, say("%s: %s", word(l.Name), l.Text))
		}
	}
	sections := []Section{{Title: "what happened, as the pack tells it", Lines: happened}}
	if len(claims) > 0 {
		sections = append(sections, Section{Title: "claims", Lines: claims})
	}
	return append(sections,
		Section{Title: "what it proves", Lines: r.Proves()},
		Section{Title: "what it does not prove", Lines: append(limits, r.Never()...)},
		Section{Title: "how to check it without us", Lines: append(r.beyond(), say("It needs %s:", word(Needs))), Code: r.Script()})
}

func (r *Report) claimLine(c claim.Result) Text {
	switch {
	case c.Passed && !r.Claims.Reexecuted:
		return say("NOT EVALUATED %s (%s): in the signer's words: expected %s; %s", c.ClaimID, c.Severity, c.Expected, c.Actual)
	case c.Passed:
		return say("PASS %s (%s): expected %s; %s", c.ClaimID, c.Severity, c.Expected, c.Actual)
	}
	return say("FAIL %s (%s): expected %s; %s", c.ClaimID, c.Severity, c.Expected, c.Actual)
}

// Problems are the findings of all channels, then the warnings, one line each.
func (r *Report) Problems() (findings, warnings []Text) {
	for _, list := range [][]manifest.Finding{r.Findings, r.Result.Lock.Findings, r.ExpectationFindings()} {
		for _, f := range list {
			findings = append(findings, say("%s", f.String()))
		}
	}
	for _, f := range r.Warnings {
		warnings = append(warnings, say("%s", f.String()))
	}
	return findings, warnings
}

// Verdict is the last line of everything for people.
func (r *Report) Verdict() string { return fmt.Sprintf("exit %d: %s", r.ExitCode(), r.Sentence()) }

// Markdown is the explanation as Markdown: headings, lists and one code block. Whatever the pack, a path
// or a log named is escaped.
func (r *Report) Markdown() []byte {
	w := new(strings.Builder)
	fmt.Fprintf(w, "# Proof pack %s\n\n", r.Title().markdown())
	for _, c := range r.Channels() {
		fmt.Fprintf(w, "- **%s: %s** %s\n", c.Label(), strings.ReplaceAll(c.Word, "_", " "), c.Text.markdown())
		for _, p := range c.Parts {
			fmt.Fprintf(w, "  - **%s: %s** %s\n", p.Name, p.Word, p.Text.markdown())
		}
	}
	findings, warnings := r.Problems()
	for _, part := range []struct {
		title string
		lines []Text
	}{{"Findings", findings}, {"Warnings", warnings}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(w, "\n## %s\n\n", part.title)
			markdownList(w, part.lines)
		}
	}
	for _, s := range r.Explain() {
		fmt.Fprintf(w, "\n## %s%s\n\n", strings.ToUpper(s.Title[:1]), s.Title[1:])
		markdownList(w, s.Lines)
		if s.Code != "" {
			fmt.Fprintf(w, "\n```sh\n%s```\n", s.Code)
		}
	}
	fmt.Fprintf(w, "\n**Verdict: %s**\n", r.Verdict())
	return []byte(w.String())
}

func markdownList(w *strings.Builder, lines []Text) {
	for _, line := range lines {
		fmt.Fprintf(w, "- %s\n", line.markdown())
	}
}

// ExplainJSON is the judgement, as verify-pack prints it, and the explanation.
func (r *Report) ExplainJSON() jcs.Value {
	v := r.JSON("explain")
	happened, limits := jcs.Obj(), jcs.Arr()
	for _, f := range r.Facts() {
		happened.Members = append(happened.Members, jcs.M(strings.ReplaceAll(f.Name, " ", "_"), jcs.Loose(f.Value)))
	}
	if r.intact() {
		happened.Members = append(happened.Members, jcs.M("receipts_by_type", tallyObject(r.Result.Facts.Types)),
			jcs.M("receipts_by_provider", tallyObject(r.Result.Facts.Providers)), jcs.M("receipts_by_model", tallyObject(r.Result.Facts.Models)))
	}
	for _, l := range r.Limits() {
		limits.Items = append(limits.Items, jcs.Obj(jcs.M("limit", jcs.Str(l.Name)), jcs.M("narrowed", jcs.Boolean(l.Narrowed)), jcs.M("text", jcs.Loose(l.Text.String()))))
	}
	v.Members = append(v.Members, jcs.M("explanation", jcs.Obj(
		jcs.M("what_happened", happened),
		jcs.M("proves", texts(r.Proves())),
		jcs.M("limits", limits),
		jcs.M("does_not_prove", texts(r.Never())),
		jcs.M("check_without_us", jcs.Obj(jcs.M("needs", jcs.Str(Needs)), jcs.M("script", jcs.Str(r.Script())), jcs.M("beyond", texts(r.beyond())))))))
	return v
}

func texts(lines []Text) jcs.Value {
	v := jcs.Arr()
	for _, line := range lines {
		v.Items = append(v.Items, jcs.Loose(line.String()))
	}
	return v
}

// tallyObject lists kinds as objects: a pack's words are no member names of ours.
func tallyObject(list []pack.Tally) jcs.Value {
	v := jcs.Arr()
	for _, t := range list {
		kind := jcs.Value{} // null: all others
		if t.Name != "" {
			kind = jcs.Loose(t.Name)
		}
		v.Items = append(v.Items, jcs.Obj(jcs.M("name", kind), jcs.M("count", jcs.Int(int64(t.N)))))
	}
	return v
}
