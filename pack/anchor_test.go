package pack

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// anchored is a world with one log, one witness and one logged pack.
type anchored struct {
	files   memoryFS
	m       *manifest.Manifest
	log     *trusttest.Log
	witness *trusttest.Witness
	policy  *trust.Policy
}

func newAnchored(t testing.TB) anchored {
	p := mustBuild(t, smallSpec(t))
	w := anchored{files: p.FS().(memoryFS), m: p.Manifest, log: trusttest.NewLog("example.com/log"),
		witness: trusttest.NewWitness("w1", trust.Ed25519Cosigner)}
	w.policy = trusttest.Policy(w.log, []*trusttest.Witness{w.witness}, 1)
	w.log.Append([]byte("something else"))
	return w
}

// logEntry logs the entry and returns its proof.
func (w anchored) logEntry(e entry.Entry) []byte {
	leaf := e.Leaf()
	proof := w.log.Prove(w.log.Append(leaf), w.witness)
	proof.Extra = leaf
	return proof.Marshal()
}

// ENT-6, ENT-58
func TestALoggedPackIsAnchored(t *testing.T) {
	w := newAnchored(t)
	text := w.logEntry(mustEntry(t, w.m, entry.Source{Repo: "acme/app"}, nil))
	check := func(what string, r *Result) {
		t.Helper()
		if r.ExitCode() != 0 || r.Anchor.Verdict != Pass || r.Anchor.Checkpoint == nil || r.Anchor.Entry == nil || r.Anchor.Entry.Index != 1 || r.Anchor.Time != nil {
			t.Fatalf("%s: exit %d, anchor %s: %v %v", what, r.ExitCode(), r.Anchor.Verdict, r.Findings, r.Warnings)
		}
		if r.Anchor.Checkpoint.Origin != "example.com/log" || r.Anchor.Entry.Entry.ManifestSHA256 != w.m.Digest() || !bytes.Equal(r.Anchor.Entry.Leaf, r.Anchor.Entry.Entry.Leaf()) {
			t.Errorf("%s: %+v %+v", what, r.Anchor.Checkpoint, r.Anchor.Entry)
		}
	}
	o := Options{Now: builtAt, Policy: w.policy, RequireAnchor: true, Proof: text}
	check("given", mustVerify(t, w.files, o))
	w.files[manifest.ProofName], o.Proof = text, nil
	check("in the pack", mustVerify(t, w.files, o))
	// Respelling the manifest does not lose the anchor.
	w.files[manifest.Name] = jcstest.Plain(jcstest.Parse(t, string(w.files[manifest.Name])))
	check("reformatted", mustVerify(t, w.files, o))

	r := mustVerify(t, w.files, Options{Now: builtAt})
	if r.Anchor.Verdict != Skipped || r.ExitCode() != 0 || !warns(r, manifest.WarnAnchor) {
		t.Errorf("without a policy: anchor %s: %v", r.Anchor.Verdict, r.Warnings)
	}
	if r := mustVerify(t, w.files, Options{Now: builtAt, RequireAnchor: true}); r.ExitCode() != 2 {
		t.Errorf("required without a policy: exit %d", r.ExitCode())
	}
}

// ENT-59
func TestAMissingProofIsNeverAWeakerPass(t *testing.T) {
	w := newAnchored(t)
	r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy})
	if r.Anchor.Verdict != Skipped || r.ExitCode() != 0 || !warns(r, manifest.WarnAnchor) {
		t.Errorf("anchor %s, exit %d: %v", r.Anchor.Verdict, r.ExitCode(), r.Warnings)
	}
	if r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy, RequireAnchor: true}); r.ExitCode() != 2 {
		t.Errorf("required: exit %d", r.ExitCode())
	}
}

// ENT-60, ENT-61, ENT-62, ENT-63, VFY-60
func TestProofsThatProveSomethingElseFail(t *testing.T) {
	w := newAnchored(t)
	s := smallSpec(t)
	s.RunID = "run-other"
	other := mustBuild(t, s).Manifest
	good := mustEntry(t, w.m, entry.Source{}, nil)
	text := w.logEntry(good)
	foreign := newAnchored(t)
	foreign.log = trusttest.NewLog("example.com/foreign")
	stranger := trusttest.NewWitness("w2", trust.Ed25519Cosigner)

	unlogged := good
	unlogged.SubmittedAt = unlogged.SubmittedAt.Add(time.Second)
	swapped, err := trust.ParseProof(text)
	if err != nil {
		t.Fatal(err)
	}
	swapped.Extra = unlogged.Leaf()
	bare := *swapped
	bare.Extra = nil
	unwitnessed := w.log.Prove(1)
	unwitnessed.Extra = good.Leaf()
	wrongly := w.log.Prove(1, stranger)
	wrongly.Extra = good.Leaf()
	lies := map[string][]byte{}
	for what, lie := range map[string]func(*entry.Entry){
		"claim_check":     func(e *entry.Entry) { e.ClaimCheck = "FAIL" },
		"n_receipts":      func(e *entry.Entry) { e.NReceipts++ },
		"pack_id":         func(e *entry.Entry) { e.PackID = "x" },
		"pack_root":       func(e *entry.Entry) { e.PackRootSHA256[0] ^= 1 },
		"signer":          func(e *entry.Entry) { e.SignerID = "x" },
		"signer key":      func(e *entry.Entry) { e.SignerKeySHA256[0] ^= 1 },
		"mode":            func(e *entry.Entry) { e.Mode = "enforced" },
		"timestamp_start": func(e *entry.Entry) { e.TimestampStart = e.TimestampEnd },
		"ci binding":      func(e *entry.Entry) { e.Source = entry.Source{Repo: "acme/app", Attestation: "ci_binding"} },
	} {
		e := good
		lie(&e)
		lies["entry lies about "+what] = w.logEntry(e)
	}
	lies["other pack"] = w.logEntry(mustEntry(t, other, entry.Source{}, nil))
	lies["other log"] = foreign.logEntry(good)
	lies["entry not logged"] = swapped.Marshal()
	lies["no entry"] = bare.Marshal()
	lies["no cosignature"] = unwitnessed.Marshal()
	lies["cosignature of a stranger"] = wrongly.Marshal()
	lies["cut"] = text[:len(text)-2]
	lies["tail"] = append(bytes.Clone(text), '\n')
	lies["empty"] = []byte{}
	lies["large"] = bytes.Repeat([]byte("x"), maxProof+1)
	for what, proof := range lies {
		r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy, Proof: proof})
		if r.Anchor.Verdict != Fail || r.ExitCode() != 2 || r.Integrity != Pass || r.Claims.Verdict != Pass || r.Anchor.Checkpoint != nil || r.Anchor.Entry != nil {
			t.Errorf("%s: anchor %s, integrity %s, exit %d", what, r.Anchor.Verdict, r.Integrity, r.ExitCode())
		}
		if len(r.Findings) != 1 || r.Findings[0].Code != manifest.CodeAnchorInvalid || !form.IsPrintableASCII(r.Findings[0].Message) {
			t.Errorf("%s: %v", what, r.Findings)
		}
	}
	for i := range text {
		mutant := bytes.Clone(text)
		mutant[i] ^= 1
		if r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy, Proof: mutant}); r.Anchor.Verdict == Pass {
			t.Errorf("byte %d of the proof flipped: anchor %s", i, r.Anchor.Verdict)
		}
	}
}

// Whoever deletes a bad proof turns a failure into nothing to check; the last line then says so.
// ENT-59
func TestAProofThatWasDeletedIsToldUnderAPolicy(t *testing.T) {
	w := newAnchored(t)
	if r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy}); !r.Anchor.NoProof || r.Anchor.Verdict != Skipped {
		t.Errorf("anchor %s, no proof %v", r.Anchor.Verdict, r.Anchor.NoProof)
	}
	if r := mustVerify(t, w.files, Options{Now: builtAt}); r.Anchor.NoProof || r.Anchor.Unchecked {
		t.Error("nobody asked for one")
	}
	w.files[manifest.ProofName] = w.logEntry(mustEntry(t, w.m, entry.Source{}, nil))
	if r := mustVerify(t, w.files, Options{Now: builtAt}); !r.Anchor.Unchecked || r.Anchor.NoProof || r.Anchor.Verdict != Skipped {
		t.Errorf("without a policy: anchor %s, unchecked %v", r.Anchor.Verdict, r.Anchor.Unchecked)
	}
	if r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy}); r.Anchor.NoProof || r.Anchor.Verdict != Pass {
		t.Errorf("anchor %s, no proof %v", r.Anchor.Verdict, r.Anchor.NoProof)
	}
}

// ENT-60, VFY-59
func TestAnAnchorOfATamperedPackDoesNotSaveIt(t *testing.T) {
	w := newAnchored(t)
	w.files[manifest.ProofName] = w.logEntry(mustEntry(t, w.m, entry.Source{}, nil))
	for _, name := range manifest.FileNames() {
		changed := maps.Clone(w.files)
		changed[name] = append(bytes.Clone(changed[name]), ' ', 'x')
		if r := mustVerify(t, changed, Options{Now: builtAt, Policy: w.policy, RequireAnchor: true}); r.ExitCode() != 2 || r.Integrity != Fail {
			t.Errorf("%s changed: exit %d", name, r.ExitCode())
		}
		delete(changed, name)
		if r := mustVerify(t, changed, Options{Now: builtAt, Policy: w.policy}); r.ExitCode() != 2 {
			t.Errorf("%s missing: exit %d", name, r.ExitCode())
		}
	}
}

// ENT-55, ENT-64, ENT-65, ENT-66
func TestTheTimestampOfAnEntryIsBelievedOnlyUnderGivenRoots(t *testing.T) {
	w := newAnchored(t)
	now := loggedAt
	authority, roots := newAuthority(t, now)
	_, strangers := newAuthority(t, now)
	token := timestampOf(t, authority, w.m.Digest(), now)
	stamped := w.logEntry(mustEntry(t, w.m, entry.Source{}, token))
	s := smallSpec(t)
	s.RunID = "run-other"
	replayed := w.logEntry(mustEntry(t, w.m, entry.Source{}, timestampOf(t, authority, mustBuild(t, s).Manifest.Digest(), now)))
	garbage := w.logEntry(mustEntry(t, w.m, entry.Source{}, []byte("not DER")))
	bare := w.logEntry(mustEntry(t, w.m, entry.Source{}, nil))
	// genTime of the authority against the pack's end, 10:00:01: half a second, an hour, a day and months before.
	end := time.Date(2026, 1, 15, 10, 0, 1, 0, time.UTC)
	authority, old := newAuthority(t, end.AddDate(-1, 0, 0))
	at := func(genTime time.Time) []byte {
		return w.logEntry(mustEntry(t, w.m, entry.Source{}, timestampOf(t, authority, w.m.Digest(), genTime)))
	}
	const contradiction = manifest.WarnTime + " " + tokenField
	for _, c := range []struct {
		what     string
		proof    []byte
		roots    *x509.CertPool
		now      time.Time
		optional bool
		anchor   Verdict
		timed    Verdict
		warning  string
	}{
		{"good", stamped, roots, now, false, Pass, Pass, ""},
		{"no clock", stamped, roots, time.Time{}, false, Pass, Pass, ""},
		{"no roots", stamped, nil, now, false, Pass, Skipped, ""},
		{"other roots", stamped, strangers, now, false, Fail, Fail, ""},
		{"from the future", stamped, roots, now.Add(-10 * time.Minute), false, Fail, Fail, ""},
		{"of another pack", replayed, roots, now, false, Fail, Fail, ""},
		{"garbage", garbage, roots, now, false, Fail, Fail, ""},
		{"garbage is not optional", garbage, roots, now, true, Fail, Fail, ""},
		{"garbage nobody asks for", garbage, nil, now, false, Pass, Skipped, ""},
		{"none", bare, roots, now, false, Fail, Fail, ""},
		{"none, and that is allowed", bare, roots, now, true, Pass, Skipped, manifest.WarnNoTimestamp + " " + tokenField},
		{"none, and nobody asks", bare, nil, now, false, Pass, Skipped, ""},
		{"in the second of the end", at(end.Add(-time.Second / 2)), old, now, false, Pass, Pass, ""},
		{"an hour before the end", at(end.Add(-time.Hour)), old, now, false, Pass, Pass, contradiction},
		{"a day before the end", at(end.Add(-24*time.Hour - time.Second)), old, now, false, Pass, Pass, contradiction},
		{"more than a day before the end", at(end.Add(-24*time.Hour - 2*time.Second)), old, now, false, Fail, Fail, ""},
		{"months before the end", at(end.AddDate(0, -6, 0)), old, now, false, Fail, Fail, ""},
	} {
		r := mustVerify(t, w.files, Options{Now: c.now, Policy: w.policy, TSARoots: c.roots, TimeOptional: c.optional, Proof: c.proof})
		if r.Anchor.Verdict != c.anchor || r.Anchor.Timed != c.timed || (r.Anchor.Time != nil) != (c.timed == Pass) || (r.ExitCode() == 0) != (c.anchor == Pass) || r.Integrity != Pass {
			t.Errorf("%s: anchor %s, time %s %v: %v", c.what, r.Anchor.Verdict, r.Anchor.Timed, r.Anchor.Time, r.Findings)
		}
		// Whatever became of the time, the log holds it.
		if r.Anchor.Checkpoint == nil || r.Anchor.Entry == nil || r.Anchor.Entry.Index < 1 {
			t.Errorf("%s: the log is lost with the time", c.what)
		}
		told := ""
		for _, f := range r.Warnings {
			if f.Field == tokenField {
				told = f.Code + " " + f.Field
			}
		}
		if told != c.warning {
			t.Errorf("%s: %v", c.what, r.Warnings)
		}
	}
}

// A signer who dates the receipts ahead makes the pack younger than it is; the token, if it is older, knows better.
// VFY-70
func TestAnAgeIsCountedFromTheTokenThatShowsThePackToBeOlder(t *testing.T) {
	w := newAnchored(t)
	end := time.Date(2026, 1, 15, 10, 0, 1, 0, time.UTC)
	authority, roots := newAuthority(t, end.AddDate(-1, 0, 0))
	for _, c := range []struct {
		token, now, max time.Duration // token and now since the pack's own end
		rooted          bool
		verdict         Verdict
		field           string
	}{
		{-24 * time.Hour, time.Hour, 2 * time.Hour, true, Fail, tokenField},
		{-24 * time.Hour, time.Hour, 2 * time.Hour, false, Pass, "timestamp_end"}, // no token was checked
		{-24 * time.Hour, time.Hour, 25 * time.Hour, true, Pass, tokenField},
		{time.Hour, 3 * time.Hour, 150 * time.Minute, true, Fail, "timestamp_end"}, // the claim is the older one
		{time.Hour, 3 * time.Hour, 4 * time.Hour, true, Pass, "timestamp_end"},
	} {
		proof := w.logEntry(mustEntry(t, w.m, entry.Source{}, timestampOf(t, authority, w.m.Digest(), end.Add(c.token))))
		o := Options{Now: end.Add(c.now), MaxAge: c.max, Policy: w.policy, Proof: proof}
		if c.rooted {
			o.TSARoots = roots
		}
		r := mustVerify(t, w.files, o)
		if e := r.Expectation("age"); r.Anchor.Verdict != Pass || e.Verdict != c.verdict || e.Field != c.field || (r.ExitCode() == 0) != (c.verdict == Pass) {
			t.Errorf("%+v: anchor %s, exit %d, %+v", c, r.Anchor.Verdict, r.ExitCode(), e)
		}
	}
}

// ENT-65
func TestATokenWithoutAccuracyIsGoodForItsSecond(t *testing.T) {
	at := time.Date(2026, 1, 15, 10, 0, 1, 0, time.UTC)
	for _, c := range []struct {
		accuracy time.Duration
		end      time.Time
		told     bool
		fails    bool
	}{
		{0, at, false, false}, {0, at.Add(time.Second), false, false}, {0, at.Add(time.Second + 1), true, false}, {time.Minute, at.Add(time.Minute), false, false},
		{time.Minute, at.Add(time.Minute + 1), true, false}, {0, at.Add(entry.MaxAhead + time.Second), true, false}, {0, at.Add(entry.MaxAhead + time.Second + 1), true, true}, {0, time.Time{}, true, true},
	} {
		end := c.end.Format(time.RFC3339Nano)
		if c.end.IsZero() {
			end = "yesterday"
		}
		if text, fails := (entry.Entry{TimestampEnd: end}).Contradiction(at, (&timestamp.Token{Time: at, Accuracy: c.accuracy}).By()); (text != "") != c.told || fails != c.fails {
			t.Errorf("%s, within %s: %q, %v", end, c.accuracy, text, fails)
		}
	}
}

func newAuthority(t *testing.T, now time.Time) (*timestamp.Authority, *x509.CertPool) {
	t.Helper()
	a, err := timestamp.NewAuthority(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(a.RootPEM())
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return a, pool
}

func timestampOf(t *testing.T, a *timestamp.Authority, digest [32]byte, now time.Time) []byte {
	t.Helper()
	request, err := timestamp.Request(digest, big.NewInt(7))
	if err != nil {
		t.Fatal(err)
	}
	token, err := timestamp.ParseResponse(a.Respond(request, now))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func FuzzVerifyProof(f *testing.F) {
	w := newAnchored(f)
	text := w.logEntry(mustEntry(f, w.m, entry.Source{}, nil))
	f.Add(text)
	f.Add([]byte(strings.Repeat("=", 100)))
	f.Fuzz(func(t *testing.T, proof []byte) {
		r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy, Proof: proof})
		checkSane(t, r)
		if r.Anchor.Verdict == Pass && !bytes.Equal(proof, text) {
			t.Fatalf("another proof passes: %q", proof)
		}
	})
}
