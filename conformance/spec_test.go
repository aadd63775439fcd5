package conformance_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/capture/call"
	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
	"github.com/Haserjian/assay-ledger/trust"
)

// example is a fenced block of a page of docs/spec: what it is an example of stands last in its info string.
type example struct {
	page string
	line int // of the fence
	kind string
	text string // the last newline included
}

func (e example) String() string { return fmt.Sprintf("%s:%d (%s)", e.page, e.line, e.kind) }

// examplesOf takes the blocks out of a page. One without a language, and text without a kind, is an illustration.
func examplesOf(t *testing.T, page string) (list []example) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var open *example
	line := 0
	for l := range strings.Lines(string(text)) {
		line++
		info, fence := strings.CutPrefix(l, "```")
		switch {
		case fence && open == nil:
			language, kind, _ := strings.Cut(strings.TrimSpace(info), " ")
			open = &example{page: filepath.Base(page), line: line, kind: kind}
			if kind == "" && language != "" && language != "text" {
				t.Errorf("%s: %s of no kind", open, language)
			}
		case fence:
			if open.kind != "" {
				list = append(list, *open)
			}
			open = nil
		case open != nil:
			open.text += l
		}
	}
	if open != nil {
		t.Errorf("%s: the block does not end", open)
	}
	return list
}

// reader gives the examples of a page to the code that they are about.
type reader struct {
	t      *testing.T
	before example           // the one before on the same page, for what comes in pairs
	policy *trust.Policy     // of ledger.md: notes on all pages are of its log and witnesses
	asked  *trust.Checkpoint // in the request before to a witness
	checks map[string]bool   // that claims were shown of
}

// kinds is what is done with an example of each kind.
var kinds = map[string]func(r *reader, e example){
	"jcs-in": (*reader).paired, "jcs-out": (*reader).canonical,
	"receipts": (*reader).receipts, "manifest": (*reader).manifest, "verdicts": (*reader).verdicts,
	"claim": (*reader).claim, "card": (*reader).card, "cards": (*reader).cards, "claim-set-hashes": (*reader).claimSetHashes,
	"claims": (*reader).claims, "claim-results": (*reader).claimResults, "contract": (*reader).contract,
	"lock": (*reader).lock, "lock-refused": (*reader).paired, "lock-issues": (*reader).lockIssues, "small-order-keys": (*reader).smallOrderKeys,
	"revocation": (*reader).revocation, "rotation": (*reader).rotation,
	"entry": (*reader).entry, "policy": (*reader).policyText, "proof": (*reader).proof,
	"checkpoint": (*reader).checkpoint, "checkpoint-text": (*reader).checkpointText, "tree-state": (*reader).treeState,
	"site-description": (*reader).siteDescription, "site-growth": (*reader).siteGrowth, "site-lookup": (*reader).siteLookup,
	"site-heads": (*reader).siteHeads, "site-prev": (*reader).sitePrev, "site-equivocation": (*reader).siteTwins,
	"site-feed": (*reader).siteFile, "site-newest": (*reader).siteFile,
	"request": (*reader).request, "response": (*reader).response, "corpus": (*reader).corpus,
	"rows": (*reader).rows, "calls": (*reader).calls, "intents": (*reader).intents,
}

// TestTheExamplesOfTheSpecificationAreWhatTheProgramsReadAndWrite takes the examples out of docs/spec and gives
// each to the code that its kind is about. What another implementer reads there is so.
func TestTheExamplesOfTheSpecificationAreWhatTheProgramsReadAndWrite(t *testing.T) {
	pages, err := filepath.Glob("../docs/spec/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	r := &reader{t: t, checks: map[string]bool{}}
	for _, e := range examplesOf(t, "../docs/spec/ledger.md") {
		if e.kind == "policy" {
			r.policyText(e)
		}
	}
	used := map[string]bool{}
	for _, page := range pages {
		examples := examplesOf(t, page)
		if name := filepath.Base(page); len(examples) == 0 && name != "README.md" && name != "threats.md" {
			t.Errorf("%s shows no example", name)
		}
		r.before = example{}
		for i, e := range examples {
			read, known := kinds[e.kind]
			if !known {
				t.Errorf("%s: of a kind that nobody reads", e)
				continue
			}
			if second := pairs[e.kind]; second != "" && (i+1 == len(examples) || examples[i+1].kind != second) {
				t.Errorf("%s: no %s follows", e, second)
			}
			used[e.kind] = true
			read(r, e)
			r.before = e
		}
	}
	for kind := range kinds {
		if !used[kind] {
			t.Errorf("no example of kind %s: delete its reader", kind)
		}
	}
	for _, p := range claim.Predicates() {
		if !r.checks[p.Name] {
			t.Errorf("claims.md has no example of the check %s", p.Name)
		}
	}
}

// pairs says which kind must follow which.
var pairs = map[string]string{"jcs-in": "jcs-out", "lock-refused": "lock-issues"}

// paired is the first of a pair; the second is read with it.
func (r *reader) paired(example) {}

func (r *reader) fail(e example, format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%s: %s", e, fmt.Sprintf(format, args...))
}

// value reads JSON as the programs do.
func (r *reader) value(e example, text string) jcs.Value {
	r.t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{})
	if err != nil {
		r.fail(e, "%v", err)
	}
	return v
}

func canonical(t *testing.T, v jcs.Value) string {
	t.Helper()
	text, err := jcs.AppendPack(nil, v)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func member(v jcs.Value, name string) jcs.Value { m, _ := v.Get(name); return m }

func (r *reader) canonical(e example) {
	if got := canonical(r.t, r.value(e, r.before.text)); got+"\n" != e.text {
		r.fail(e, "the canonical form of the example before is\n%s", got)
	}
}

func (r *reader) receipts(e example) {
	for line := range strings.Lines(e.text) {
		v := r.value(e, line)
		if canonical(r.t, v)+"\n" != line {
			r.fail(e, "not canonical: %s", line)
		}
		if err := receipt.CheckData(v); err != nil || !receipt.AdmittedType(member(v, "type").Text) {
			r.fail(e, "no receipt for a pack: %s: %v", line, err)
		}
	}
}

func (r *reader) manifest(e example) {
	if _, findings := manifest.Verify([]byte(strings.TrimSuffix(e.text, "\n"))); len(findings) > 0 {
		r.fail(e, "%v", findings)
	}
}

// verdicts are packs of the corpus and what comes of them.
func (r *reader) verdicts(e example) {
	for line := range strings.Lines(e.text) {
		v := r.value(e, line)
		fsys, done, err := pack.DirFS(filepath.Join("corpus", "packs", filepath.FromSlash(member(v, "pack").Text)))
		if err != nil {
			r.t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, member(v, "now").Text)
		if err != nil {
			r.t.Fatal(err)
		}
		o := pack.Options{Now: now, RequireClaims: member(v, "require_claims").Bool}
		got, err := pack.Verify(fsys, o)
		if err != nil {
			r.t.Fatal(err)
		}
		findings := jcs.Arr()
		for _, f := range got.Findings {
			findings.Items = append(findings.Items, jcs.Obj(jcs.M("code", jcs.Str(f.Code)), jcs.M("field", jcs.Str(f.Field))))
		}
		want := jcs.Obj(jcs.M("pack", member(v, "pack")), jcs.M("now", member(v, "now")), jcs.M("require_claims", jcs.Boolean(o.RequireClaims)),
			jcs.M("integrity", jcs.Str(string(got.Integrity))), jcs.M("claims", jcs.Str(string(got.ClaimsHere()))), jcs.M("findings", findings),
			jcs.M("status", jcs.Str(string(got.Status()))), jcs.M("exit", jcs.Int(int64(got.ExitCode()))))
		if canonical(r.t, want) != canonical(r.t, v) {
			r.fail(e, "%s\nis judged\n%s", line, canonical(r.t, want))
		}
		if err := done(); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *reader) claim(e example) {
	card, err := claim.ParseCard([]byte(`{"card_id":"x","name":"x","claims":[` + e.text + `]}`))
	if err != nil {
		r.fail(e, "%v", err)
	} else if got := canonical(r.t, member(card.Value(), "claims").Items[0]); got != canonical(r.t, r.value(e, e.text)) {
		r.fail(e, "the specification of this claim is %s", got)
	}
}

func (r *reader) card(e example) {
	card, err := claim.ParseCard([]byte(e.text))
	if err != nil {
		r.fail(e, "%v", err)
	}
	for _, result := range card.Test() {
		if !result.OK() {
			r.fail(e, "fixture %s: %+v", result.Name, result)
		}
	}
}

// cards are the built-in ones, whole.
func (r *reader) cards(e example) {
	built := jcs.Arr()
	for _, c := range claim.BuiltinCards() {
		built.Items = append(built.Items, c.Value())
	}
	if canonical(r.t, r.value(e, e.text)) != canonical(r.t, built) {
		text, _ := jcs.AppendPretty(nil, built)
		r.fail(e, "the built-in cards are\n%s", text)
	}
}

// claimSetHashes are lists of built-in cards, each alone among them, and their hashes.
func (r *reader) claimSetHashes(e example) {
	alone := map[string]bool{}
	for line := range strings.Lines(e.text) {
		ids, want, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		var cards []claim.Card
		for _, c := range strings.Split(ids, ",") {
			cards = append(cards, builtIn(c))
		}
		alone[ids] = true
		if got := claim.SetHash(cards); got != want {
			r.fail(e, "%s has the hash %s", ids, got)
		}
	}
	for _, c := range claim.BuiltinCards() {
		if !alone[c.ID] {
			r.fail(e, "%s is missing", c.ID)
		}
	}
}

func builtIn(id string) (card claim.Card) {
	for _, c := range claim.BuiltinCards() {
		if c.ID == id {
			return c
		}
	}
	return card
}

// claims are single claims, the receipts that they are asked of, and what they come to.
func (r *reader) claims(e example) {
	for line := range strings.Lines(e.text) {
		v := r.value(e, line)
		c := claim.Claim{ID: "c", Check: member(v, "check").Text, Params: member(v, "params"), Severity: "critical"}
		if s, ok := v.Get("severity"); ok {
			c.Severity = claim.Severity(s.Text)
		}
		r.checks[c.Check] = true
		card := claim.Card{ID: "x", Name: "x", Claims: []claim.Claim{c}, Pass: []claim.Fixture{{Name: "x", Receipts: member(v, "receipts").Items}}}
		result := card.Test()[0]
		if result.Err != nil {
			r.fail(e, "%s: %v", line, result.Err)
			continue
		}
		got := result.Results[0]
		var evidence []string
		for _, id := range member(v, "evidence").Items {
			evidence = append(evidence, id.Text)
		}
		if got.Passed != member(v, "passed").Bool || got.Expected != member(v, "expected").Text || got.Actual != member(v, "actual").Text || !slices.Equal(got.Evidence, evidence) {
			r.fail(e, "%scomes to %v %q %q %q", line, got.Passed, got.Expected, got.Actual, got.Evidence)
		}
	}
}

// claimResults are the results of a pack of the corpus, and their fingerprint by the formula of the page.
func (r *reader) claimResults(e example) {
	v := r.value(e, e.text)
	results := slices.Clone(member(v, "results").Items)
	slices.SortStableFunc(results, func(a, b jcs.Value) int {
		return strings.Compare(member(a, "claim_id").Text, member(b, "claim_id").Text)
	})
	of := jcs.Obj(jcs.M("policy_hash", member(v, "policy_hash")), jcs.M("suite_hash", member(v, "suite_hash")), jcs.M("results", jcs.Arr(results...)))
	if got := hash(canonical(r.t, of)); got != member(v, "discrepancy_fingerprint").Text {
		r.fail(e, "the fingerprint is %s", got)
	}
	text, err := os.ReadFile(filepath.Join("corpus", "packs", "claimfail_01", "pack_manifest.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	attestation := member(r.value(e, string(text)), "attestation")
	for _, name := range []string{"policy_hash", "suite_hash", "discrepancy_fingerprint"} {
		if member(v, name).Text != member(attestation, name).Text {
			r.fail(e, "%s is not that of claimfail_01 of the corpus", name)
		}
	}
}

func (r *reader) contract(e example) {
	if _, err := claim.ParseContract([]byte(e.text)); err != nil {
		r.fail(e, "%v", err)
	}
}

// lock has every member that a lock can have, as the programs write it.
func (r *reader) lock(e example) {
	if _, err := lock.Parse([]byte(e.text)); err != nil {
		r.fail(e, "%v", err)
	}
	if text, err := jcs.AppendPretty(nil, r.value(e, e.text)); err != nil || string(text)+"\n" != e.text {
		r.fail(e, "not as it is written: %v\n%s", err, text)
	}
}

// corpus is an index, of cases of the committed corpus as they stand there.
func (r *reader) corpus(e example) {
	cases, err := conformance.ParseIndex([]byte(e.text))
	if err != nil {
		r.fail(e, "%v", err)
	}
	committed, err := conformance.Open("corpus")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range cases {
		if !slices.ContainsFunc(committed.Cases, func(k conformance.Case) bool { return reflect.DeepEqual(k, c) }) {
			r.fail(e, "the corpus has no such case %s", c.ID)
		}
	}
}

func (r *reader) lockIssues(e example) {
	_, err := lock.Parse([]byte(r.before.text))
	var broken *lock.Error
	if !errors.As(err, &broken) {
		r.fail(e, "the lock before gives %v", err)
	} else if got := strings.Join(broken.Issues, "\n") + "\n"; got != e.text {
		r.fail(e, "the issues are\n%s", got)
	}
}

func (r *reader) smallOrderKeys(e example) {
	if strings.Count(e.text, "\n") != 7 {
		r.fail(e, "expected seven encodings")
	}
	for line := range strings.Lines(e.text) {
		key, err := hex.DecodeString(strings.TrimSuffix(line, "\n"))
		if err != nil || len(key) != 32 {
			r.fail(e, "%s: no encoding of 32 bytes", line)
			continue
		}
		for range 2 {
			if _, err := lock.KeyFingerprint(key); err == nil {
				r.fail(e, "%x may be allowlisted", key)
			}
			key[31] ^= 0x80
		}
	}
}

func (r *reader) revocation(e example) {
	if _, err := keystore.ParseRevocation([]byte(e.text)); err != nil {
		r.fail(e, "%v", err)
	}
}

func (r *reader) rotation(e example) {
	if _, err := keystore.ParseRotation([]byte(e.text)); err != nil {
		r.fail(e, "%v", err)
	}
}

func (r *reader) entry(e example) {
	if _, err := entry.Parse([]byte(strings.TrimSuffix(e.text, "\n"))); err != nil {
		r.fail(e, "%v", err)
	}
}

func (r *reader) policyText(e example) {
	p, err := trust.ParsePolicy([]byte(e.text))
	if err != nil {
		r.t.Fatalf("%s: %v", e, err)
	}
	if string(p.Text()) != e.text {
		r.fail(e, "published it is\n%s", p.Text())
	}
	r.policy = p
}

func (r *reader) proof(e example) { r.checkProof(e, e.text) }

// checkProof holds a proof to the policy of ledger.md; its extra line is the entry.
func (r *reader) checkProof(e example, text string) {
	p, err := trust.ParseProof([]byte(text))
	if err != nil {
		r.fail(e, "%v", err)
		return
	}
	if _, err := entry.Parse(p.Extra); err != nil {
		r.fail(e, "the extra line is no entry: %v", err)
	}
	if _, err := r.policy.CheckProof(p, p.Extra); err != nil {
		r.fail(e, "%v", err)
	}
}

func (r *reader) checkpoint(e example) {
	if _, err := r.policy.OpenCheckpoint([]byte(e.text)); err != nil {
		r.fail(e, "%v", err)
	}
}

func (r *reader) checkpointText(e example) {
	if _, err := trust.ParseCheckpointText([]byte(e.text)); err != nil {
		r.fail(e, "%v", err)
	}
}

// treeState is one line, and the size and root of the checkpoint text after or before it.
func (r *reader) treeState(e example) {
	v := r.value(e, e.text)
	if want := fmt.Sprintf("{\"size\":%s,\"root\":%q}\n", member(v, "size").Text, member(v, "root").Text); e.text != want {
		r.fail(e, "expected %s", want)
	}
}

// crlf is a message of HTTP as it is on the wire: the page shows its head with line feeds alone.
func crlf(text string) (message string, body string) {
	head, body, _ := strings.Cut(text, "\n\n")
	return strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body, body
}

// lengthOf compares Content-Length with the body, which on a page ends in a newline that may not be its own.
func (r *reader) lengthOf(e example, header http.Header, body string) (exact string) {
	want, err := strconv.Atoi(header.Get("Content-Length"))
	if body == "" && header.Get("Content-Length") == "" {
		return ""
	}
	switch {
	case err != nil:
		r.fail(e, "a body and no Content-Length")
	case len(body) == want:
	case len(body)-1 == want && strings.HasSuffix(body, "\n"):
		body = body[:want]
	default:
		r.fail(e, "Content-Length is %d, the body has %d bytes", want, len(body))
	}
	return body
}

func (r *reader) request(e example) {
	message, body := crlf(e.text)
	q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(message)))
	if err != nil {
		r.fail(e, "%v", err)
		return
	}
	if q.Host == "" {
		r.fail(e, "no host")
	}
	if q.ContentLength > 0 {
		q.Header.Set("Content-Length", strconv.FormatInt(q.ContentLength, 10))
	}
	body = r.lengthOf(e, q.Header, body)
	if r.asked = nil; q.URL.Path == "/add-checkpoint" {
		asked, err := trust.ParseAddCheckpoint([]byte(body))
		if err == nil {
			r.asked, err = r.policy.OpenLogSignature(asked.Checkpoint)
		}
		if err != nil {
			r.fail(e, "%v", err)
		}
	}
}

func (r *reader) response(e example) {
	message, body := crlf(e.text)
	a, err := http.ReadResponse(bufio.NewReader(strings.NewReader(message)), nil)
	if err != nil {
		r.fail(e, "%v", err)
		return
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		r.fail(e, "%v", err)
	}
	body = r.lengthOf(e, a.Header, body)
	switch kind := a.Header.Get("Content-Type"); {
	case strings.HasPrefix(body, "c2sp.org/tlog-proof@"):
		r.checkProof(e, body)
	case r.asked != nil:
		if lines, err := r.policy.VerifyCosignatures(r.asked, []byte(body)); err != nil || len(lines) == 0 {
			r.fail(e, "%d cosignatures of the checkpoint in the request before, %v", len(lines), err)
		}
	case strings.HasSuffix(kind, "json"):
		r.value(e, body)
	case !bytes.HasPrefix([]byte(kind), []byte("text/plain")):
		r.fail(e, "what is %q", kind)
	}
}

// rows are made by the verifier in site/verifier alone so far: conformance/second compares them. Here they are JSON, with
// a row for each receipt.
func (r *reader) rows(e example) {
	for line := range strings.Lines(e.text) {
		v, err := jcs.Parse([]byte(line), jcs.Limits{})
		receipts, _ := v.Get("receipts")
		rows, _ := v.Get("rows")
		if err != nil || len(receipts.Items) == 0 || len(receipts.Items) != len(rows.Items) {
			r.t.Errorf("%s: %v: %s", e, err, line)
		}
	}
}

// intents are what a recorder that was killed has left: each becomes a receipt of its id.
func (r *reader) intents(e example) {
	store := &capture.Store{Dir: r.t.TempDir()}
	day := filepath.Join(store.Dir, "2026-01-15")
	if err := os.Mkdir(day, 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(day, "t1.intents"), []byte(e.text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if n, err := store.Unfinished("t1"); err != nil || n != strings.Count(e.text, "\n") {
		r.fail(e, "%d of these intents are read, %v", n, err)
	}
}

// calls are attempts at points of models, and members that are recorded of them. A response is JSON, or the messages of a
// stream; both of one prompt have one response_hash.
func (r *reader) calls(e example) {
	hashes := map[string]bool{}
	for line := range strings.Lines(e.text) {
		v := r.value(e, line)
		path := member(v, "path").Text
		c := call.Begin(call.Find("openai", "POST", path), call.RequestHead{Method: "POST", Path: path}, call.NewBudget(1<<20))
		c.Request([]byte(canonical(r.t, member(v, "request"))))
		c.RequestEnd(true)
		media, body := "application/json", canonical(r.t, member(v, "response"))
		if messages, ok := v.Get("events"); ok {
			media, body = "text/event-stream", ""
			for _, m := range messages.Items {
				body += "data: " + canonical(r.t, m) + "\n\n"
			}
		}
		c.Response(call.ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {media}}})
		c.Body([]byte(body))
		c.End(call.Whole)
		got := jcs.Obj(c.Members(call.Attempt{FirstByteMS: -1, LatencyMS: -1})...)
		of := got.Without("source", "provider", "request_bytes", "response_bytes", "request_body_sha256", "response_body_sha256")
		if want := member(v, "recorded"); len(want.Members) == 0 || canonical(r.t, want) != canonical(r.t, of) {
			r.fail(e, "recorded is\n%s", canonical(r.t, of))
		}
		hashes[member(got, "response_hash").Text] = true
		if outputs, ok := v.Get("outputs"); ok && "sha256:"+hash(canonical(r.t, jcs.Obj(jcs.M("outputs", outputs)))) != member(got, "response_hash").Text {
			r.fail(e, "response_hash is of something else")
		}
	}
	if len(hashes) != 1 || hashes[""] {
		r.fail(e, "%d hashes of the same response", len(hashes))
	}
}

// siteDescription and those below are files of a static site, which their readers take as they stand in site.md.
func (r *reader) siteDescription(e example) {
	d, err := site.ParseDescription([]byte(e.text))
	if err != nil || d.Origin != "ledger.example/2026" {
		r.t.Errorf("%s: %v", e, err)
	}
}

func (r *reader) siteGrowth(e example) {
	if days, err := site.ParseGrowth([]byte(e.text)); err != nil || len(days) != 2 {
		r.t.Errorf("%s: %d days, %v", e, len(days), err)
	}
}

func (r *reader) siteLookup(e example) {
	if found, err := site.ParseLookup([]byte(e.text)); err != nil || len(found) != 3 {
		r.t.Errorf("%s: %d lines, %v", e, len(found), err)
	}
}

func (r *reader) siteHeads(e example) {
	if heads, err := site.ParseHeads([]byte(e.text)); err != nil || len(heads) != 2 || heads[1].Count != 12 {
		r.t.Errorf("%s: %+v, %v", e, heads, err)
	}
}

func (r *reader) sitePrev(e example) {
	if lines, err := site.ParsePrev([]byte(e.text), 0, 4); err != nil || !slices.Equal(lines[3].Signer, []int64{2, 1, 0}) || !slices.Equal(lines[3].Repo, []int64{1}) {
		r.t.Errorf("%s: %+v, %v", e, lines, err)
	}
}

func (r *reader) siteTwins(e example) {
	if twins, err := site.ParseTwins([]byte(e.text)); err != nil || len(twins) != 2 || twins[1].First != 17 {
		r.t.Errorf("%s: %+v, %v", e, twins, err)
	}
}

// SIT-24, SIT-25: siteFile compares an example with the file of a small site.
func (r *reader) siteFile(e example) {
	name := map[string]string{"site-feed": "entries/feed.xml", "site-newest": "entries/newest.csv"}[e.kind]
	if got := specifiedSite(r.t)[name]; got != e.text {
		r.t.Errorf("%s: a build writes\n%s", e, got)
	}
}

// specifiedSite builds a site of two entries and a leaf that is none.
func specifiedSite(t *testing.T) map[string]string {
	t.Helper()
	l, err := sitetest.New("docs/spec/site.md")
	if err != nil {
		t.Fatal(err)
	}
	odd := sitetest.Entry(1)
	odd.PackID, odd.SignerID = `=pack "<1>"`, "a & b"
	for _, leaf := range [][]byte{sitetest.Entry(0).Leaf(), odd.Leaf(), []byte("x")} {
		if err := l.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Publish(sitetest.Began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := site.Build(t.Context(), site.Config{Log: l, Out: dir}); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range []string{"entries/feed.xml", "entries/newest.csv"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}
