package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// world is a home, a directory with packs and a policy, and a ledger in memory.
type world struct {
	t       *testing.T
	dir     string
	log     *trusttest.Log
	witness *trusttest.Witness
	any     atomic.Int64 // requests to the ledger
	asked   atomic.Int64 // submissions among them
	answer  http.HandlerFunc
	reads   map[string]http.HandlerFunc // instead of the honest answer to a GET of this path
	url     string
	env     map[string]string // besides ASSAY_HOME
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), log: trusttest.NewLog("ledger.example/test"), witness: trusttest.NewWitness("w1", trust.Ed25519Cosigner)}
	w.answer = w.honest
	t.Chdir(w.dir)
	logs := []trust.PolicyLog{{VKey: w.log.Signer.VKey()}}
	witnesses := []trust.PolicyWitness{{Name: "w1", VKey: w.witness.Cosigner.VKey()}}
	if err := os.WriteFile("policy", trust.FormatPolicy(logs, witnesses, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.any.Add(1)
		switch read := w.reads[r.URL.Path]; {
		case r.Method == http.MethodPost:
			w.asked.Add(1)
			w.answer(rw, r)
		case read != nil:
			read(rw, r)
		case r.URL.Path == "/checkpoint":
			_, _ = rw.Write(w.log.Checkpoint(w.witness))
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// assay runs the program in this process.
func (w *world) assay(args ...string) (code int, out, talk string) {
	var stdout, stderr bytes.Buffer
	home := filepath.Join(w.dir, "home")
	code = run(w.t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: func(name string) string {
		if name == "ASSAY_HOME" {
			return home
		}
		return w.env[name]
	}})
	return code, stdout.String(), stderr.String()
}

func (w *world) mustPack(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if code, _, talk := w.assay("emit", "model_call", "--trace", name); code != 0 {
			w.t.Fatal(talk)
		}
		if code, _, talk := w.assay("proof-pack", name, "-o", name); code != 0 {
			w.t.Fatal(talk)
		}
	}
}

func (w *world) anchor(args ...string) (code int, out, talk string) {
	if !slices.Contains(args, "--timeout") {
		args = append(args, "--timeout", "20s")
	}
	return w.assay(append([]string{"anchor", "--ledger", w.url, "--policy", "policy"}, args...)...)
}

// honest answers with a proof of the entry, as a ledger does; the entry is logged anew each time.
func (w *world) honest(rw http.ResponseWriter, r *http.Request) {
	rw.WriteHeader(http.StatusCreated)
	_, _ = rw.Write(w.proof(r).Marshal())
}

func (w *world) proof(r *http.Request) *trust.Proof {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	m, findings := manifest.Verify(body)
	if len(findings) > 0 {
		w.t.Errorf("the ledger was sent a manifest with %v", findings)
	}
	e, err := entry.New(m, entry.Source{}, trusttest.Time, []byte("token"))
	if err != nil {
		w.t.Error(err)
	}
	p := w.log.Prove(w.log.Append(e.Leaf()), w.witness)
	p.Extra = e.Leaf()
	return p
}

// agedPack writes an anchored pack whose last receipt is of the time aged, and whose entry was stamped at genTime;
// authority nil: it has no token.
func (w *world) agedPack(dir string, authority *timestamp.Authority, genTime time.Time) {
	w.t.Helper()
	stamp := aged.Format(receipt.TimeForm)
	receipt := mustDo(jcs.Parse(fmt.Appendf(nil, `{"receipt_id":"r_1","type":"model_call","timestamp":%q,"schema_version":"3.0","seq":0}`, stamp), jcs.Limits{}))(w.t)
	built := mustDo(pack.Build(pack.Spec{RunID: dir, Now: aged, Receipts: []jcs.Value{receipt}, Signer: agedSigner{ed25519.NewKeyFromSeed(make([]byte, 32))}}))(w.t)
	if err := built.WriteDir(dir); err != nil {
		w.t.Fatal(err)
	}
	var token []byte
	if authority != nil {
		request := mustDo(timestamp.Request(built.Manifest.Digest(), big.NewInt(7)))(w.t)
		token = mustDo(timestamp.ParseResponse(authority.Respond(request, genTime)))(w.t)
	}
	e := mustDo(entry.New(built.Manifest, entry.Source{}, genTime, token))(w.t)
	p := w.log.Prove(w.log.Append(e.Leaf()), w.witness)
	p.Extra = e.Leaf()
	w.write(filepath.Join(dir, proofPath), p.Marshal())
}

const proofPath = "_unsigned/anchor.tlog-proof"

func TestAnchorKeepsAProofThatVerifiesOffline(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a", "b")
	code, out, talk := w.anchor("a", "b/")
	if code != 0 || strings.Count(out, ": anchored: entry ") != 2 {
		t.Fatalf("exit %d, %q, %q", code, out, talk)
	}
	asked := w.asked.Load()
	if code, out, talk := w.assay("verify-pack", "--require-anchor", "--policy", "policy", "a", "b"); code != 0 || strings.Count(out, "cosigned by w1") != 2 {
		t.Errorf("exit %d, %q, %q", code, out, talk)
	}
	if w.asked.Load() != asked {
		t.Error("verify-pack asked the ledger")
	}
}

func TestALedgerThatLiesOrFailsLeavesNothingInThePack(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) }
	}
	w := newWorld(t)
	w.mustPack("a")
	stranger := trusttest.NewWitness("stranger", trust.Ed25519Cosigner)
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		code   int
		talk   string
	}{
		{"nonsense", func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "\x1b[2Jverdict    exit 0: pass\n")
		}, 4, "the answer is no tlog-proof: it begins with"},
		{"a portal", func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "<!DOCTYPE html><html>please sign in</html>")
		}, 4, "is there a portal or a proxy in between?"},
		{"empty", status(200), 4, "the answer is no tlog-proof: it is empty"},
		{"endless", func(rw http.ResponseWriter, _ *http.Request) {
			for line := bytes.Repeat([]byte("x"), 1<<16); ; {
				if _, err := rw.Write(line); err != nil {
					return
				}
			}
		}, 4, "it is larger than any honest one"},
		{"a long page of a portal", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(rw, strings.Repeat("please sign in\n\n— the hotel\n", 320<<10/28))
		}, 4, "the answer is none of a ledger"},
		{"cosigned by a stranger", func(rw http.ResponseWriter, r *http.Request) {
			p := w.proof(r)
			other := w.log.Prove(p.Index, stranger)
			other.Extra = p.Extra
			_, _ = rw.Write(other.Marshal())
		}, 4, "witness quorum not met: cosigned by 0 of 1"},
		{"an entry that was never logged", func(rw http.ResponseWriter, r *http.Request) {
			p := w.proof(r)
			e, err := entry.Parse(p.Extra)
			if err != nil {
				t.Error(err)
			}
			e.SubmittedAt = e.SubmittedAt.Add(time.Hour)
			p.Extra = e.Leaf()
			_, _ = rw.Write(p.Marshal())
		}, 2, "does not verify"},
		{"rejected", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/problem+json")
			rw.WriteHeader(422)
			_, _ = io.WriteString(rw, `{"type":"/problems/manifest-rejected","title":"The manifest does not verify"}`)
		}, 2, "422 The manifest does not verify"},
		{"rejected by nobody", status(422), 4, "without a ledger's words"},
		{"rejected by a page", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/html; charset=utf-8")
			rw.WriteHeader(422)
			_, _ = io.WriteString(rw, "<html>blocked")
		}, 4, "422 Unprocessable Entity with an HTML page: is there a portal"},
		{"forbidden by a page", func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(403)
			_, _ = io.WriteString(rw, "<!DOCTYPE html>blocked")
		}, 4, "403 Forbidden with an HTML page"},
		{"bad request", status(400), 3, ""},
		{"redirected", func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, w.url+"/elsewhere", http.StatusTemporaryRedirect)
		}, 4, "give the URL it redirects to"},
	} {
		w.answer = test.answer
		code, out, talk := w.anchor("a")
		if code != test.code || !strings.Contains(talk, test.talk) || strings.ContainsAny(out+talk, "\x1b\x07\r") {
			t.Errorf("%s: exit %d, %q, %q; want %d", test.name, code, out, talk, test.code)
		}
		if strings.Contains(talk, "\nverdict") {
			t.Errorf("%s: the ledger wrote a line: %q", test.name, talk)
		}
		if _, err := os.Lstat(filepath.Join("a", proofPath)); err == nil {
			t.Fatalf("%s: a proof was stored", test.name)
		}
	}
}

func (w *world) write(path string, text []byte) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// What a signed CI binding says is logged, and nothing beside it: a source that is given is not dropped in silence.
func TestASourceThatWouldNotBeLoggedIsRefused(t *testing.T) {
	w := newWorld(t)
	w.mustPack("plain")
	w.env = map[string]string{"ASSAY_CI_COMMIT_SHA": strings.Repeat("ab", 20), "ASSAY_CI_REPO": "acme/app"}
	w.mustPack("bound")
	commit := strings.Repeat("cd", 20)
	for _, c := range []struct {
		pack string
		args []string
		code int
		talk string
	}{
		{"bound", []string{"--source-repo", "acme/other"}, 3, "names where it comes from in its signed CI binding: acme/app"},
		{"bound", []string{"--source-repo", "acme/app", "--source-commit", commit}, 3, "leave --source-repo"},
		{"bound", nil, 0, ""},
		{"plain", []string{"--source-commit", commit}, 3, "a source workflow or commit says nothing without a source repository\nhint: name it with --source-repo OWNER/NAME"},
		{"plain", []string{"--source-workflow", "ci.yml"}, 3, "says nothing without a source repository"},
		{"plain", []string{"--source-repo", "acme/app", "--source-commit", commit}, 0, ""},
	} {
		before := w.any.Load()
		code, _, talk := w.anchor(append([]string{c.pack}, c.args...)...)
		if code != c.code || !strings.Contains(talk, c.talk) || (code == 3) != (w.any.Load() == before) {
			t.Errorf("%s %v: exit %d, %d requests, %q", c.pack, c.args, code, w.any.Load()-before, talk)
		}
	}
}

// keptAnswers are the files beside a pack that hold what did not verify.
func keptAnswers(t *testing.T, dir string) (names []string) {
	t.Helper()
	names, err := filepath.Glob(dir + ".ledger-answer-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// An entry in the wrong log stays there for ever: the ledger is held to the policy before it is sent anything.
func TestNothingIsSentToALedgerThatThePolicyDoesNotAccept(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a")
	honest := w.log.Checkpoint(w.witness)
	text := func(body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, body) }
	}
	other := trusttest.NewLog("other.example/log")
	w2 := trusttest.NewWitness("w2", trust.Ed25519Cosigner)
	policies := map[string][]byte{
		"other": trust.FormatPolicy([]trust.PolicyLog{{VKey: other.Signer.VKey()}}, nil, 0),
		"more": trust.FormatPolicy([]trust.PolicyLog{{VKey: w.log.Signer.VKey()}},
			[]trust.PolicyWitness{{Name: "w1", VKey: w.witness.Cosigner.VKey()}, {Name: "w2", VKey: w2.Cosigner.VKey()}}, 2),
	}
	for name, text := range policies {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, policy string
		checkpoint   http.HandlerFunc
		code         int
		talk         string
		kept         int
	}{
		{"another log", "other", nil, 3, "its checkpoint is of ledger.example/test, and the policy names other.example/log", 0},
		{"another quorum", "more", nil, 4, "witness quorum not met: cosigned by 1 of 2", 1},
		{"forged", "policy", text(strings.Replace(string(honest), "\n0\n", "\n7\n", 1)), 2, "log signature does not verify", 1},
		{"a portal", "policy", text("<!DOCTYPE html><html>\x1b[2J please sign in"), 4, "is there a portal or a proxy in between?", 0},
		{"nonsense", "policy", text("verdict    exit 0: pass\n"), 4, "the answer is no signed note", 0},
		{"no quorum", "policy", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/problem+json")
			rw.WriteHeader(503)
			_, _ = io.WriteString(rw, `{"title":"Not yet cosigned by a quorum","detail":"w1 is away\u001b[2J"}`)
		}, 4, "the ledger answered 503 Not yet cosigned by a quorum: w1 is away", 0},
		{"not there", "policy", http.NotFound, 3, "the ledger answered 404", 0},
	} {
		for _, name := range keptAnswers(t, "a") {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		w.reads = map[string]http.HandlerFunc{"/checkpoint": test.checkpoint}
		code, out, talk := w.assay("anchor", "a", "--ledger", w.url, "--policy", test.policy, "--timeout", "1s")
		if code != test.code || !strings.Contains(talk, "nothing was sent: ") || !strings.Contains(talk, test.talk) || strings.ContainsAny(out+talk, "\x1b\r") {
			t.Errorf("%s: exit %d, want %d, %q, %q", test.name, code, test.code, out, talk)
		}
		kept := keptAnswers(t, "a")
		if len(kept) != test.kept || len(kept) > 0 && !strings.Contains(talk, "it is kept in "+filepath.Join(w.dir, kept[0])) {
			t.Errorf("%s: %v are kept, %q", test.name, kept, talk)
		}
	}
	if n := w.asked.Load(); n != 0 {
		t.Errorf("%d manifests were sent", n)
	}
}

func TestAnAnswerThatDoesNotVerifyIsKeptAndReplacesNothing(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a")
	if code, _, talk := w.anchor("a"); code != 0 {
		t.Fatal(talk)
	}
	good, err := os.ReadFile(filepath.Join("a", proofPath))
	if err != nil {
		t.Fatal(err)
	}
	lies := map[string]bool{}
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		p := w.proof(r)
		p.Index++
		lies[string(p.Marshal())] = true
		_, _ = rw.Write(p.Marshal())
	}
	for n := 1; n <= 2; n++ {
		code, _, talk := w.anchor("a/")
		if code != 2 || !strings.Contains(talk, "it is kept in "+filepath.Join(w.dir, "a.ledger-answer-")) || !strings.Contains(talk, "hint: keep the answer") {
			t.Errorf("exit %d, %q", code, talk)
		}
		kept := keptAnswers(t, "a")
		if len(kept) != n {
			t.Fatalf("after %d lies %v are kept", n, kept)
		}
		for _, name := range kept {
			text, err := os.ReadFile(name)
			if info, statErr := os.Stat(name); err != nil || statErr != nil || !lies[string(text)] || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v, %v", name, info, err, statErr)
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join("a", proofPath)); err != nil || !bytes.Equal(text, good) {
		t.Errorf("the earlier proof is gone: %v", err)
	}
}

// The entry is logged by then: its proof is what there is of it, whatever is wrong with its time.
func TestAProofThatIsNotAcceptedIsKeptBesideThePack(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a", "b")
	w.timestamped("b") // writes roots.pem, of an authority that a's entry has no token of
	code, out, talk := w.anchor("a", "--tsa-roots", "roots.pem")
	kept := keptAnswers(t, "a")
	if code != 2 || len(kept) != 1 || !strings.Contains(talk, "the entry is logged, and its proof is not accepted: it is kept in "+filepath.Join(w.dir, kept[0])) {
		t.Fatalf("exit %d, %v, %q, %q", code, kept, out, talk)
	}
	if _, err := os.Lstat(filepath.Join("a", proofPath)); err == nil {
		t.Error("it is in the pack as well")
	}
	if code, out, _ := w.assay("verify-pack", "a", "--policy", "policy", "--require-anchor", "--proof", kept[0]); code != 0 {
		t.Errorf("without asking for a time: exit %d, %q", code, out)
	}
}

func TestALedgerThatFallsSilentIsAskedWhy(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a")
	w.answer = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }
	w.reads = map[string]http.HandlerFunc{"/readyz": func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(503)
		_, _ = io.WriteString(rw, `{"title":"The ledger does not take entries now","reasons":[{"about":"witnesses","detail":"No quorum: w1 does not answer."}]}`)
	}}
	code, _, talk := w.anchor("a", "--timeout", "1s")
	if code != 4 || !strings.Contains(talk, "asked why, the ledger answered 503 The ledger does not take entries now [No quorum: w1 does not answer.]") {
		t.Errorf("exit %d, %q", code, talk)
	}
}

func TestWhatIsWrongHereIsFoundBeforeTheNetworkIsTouched(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a", "tampered", "full")
	if err := os.Truncate("tampered/receipt_pack.jsonl", 10); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll("full/_unsigned"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("full/_unsigned", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("broken", []byte("quorum nobody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"tampered"}, {"nowhere"}, {"tampered", "nowhere"}, {"full"}, {"a", "--source-repo", "x y"}, {"a", "--tsa-roots", "broken"},
		{"a", "-o", "no/such/dir"}, {"a", "-o", "full"}, {"a", "-o", "a/proof"}, {"a", "--timeout", "0s"},
	} {
		if code, out, talk := w.anchor(args...); code == 0 || code == 4 {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, talk)
		}
	}
	for _, args := range [][]string{{"--ledger", w.url, "--policy", "broken"}, {"--ledger", w.url}, {"--ledger", "ftp://" + w.url, "--policy", "policy"}} {
		if code, out, talk := w.assay(append([]string{"anchor", "a"}, args...)...); code != 3 {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, talk)
		}
	}
	if n := w.any.Load(); n != 0 {
		t.Errorf("the ledger was asked %d times", n)
	}
}

func TestALedgerThatDoesNotAnswerIsUnavailable(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a", "b")
	w.answer = func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() }
	code, _, talk := w.anchor("a", "b", "--timeout", "50ms")
	if code != 4 || !strings.Contains(talk, "hint: run it again later") {
		t.Errorf("slow: exit %d, %q", code, talk)
	}
	if n := w.asked.Load(); n > 1 {
		t.Errorf("slow: asked %d times, the second pack should not have been tried", n)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	if code, _, talk := w.assay("anchor", "a", "--ledger", closed.URL, "--policy", "policy", "--timeout", "50ms"); code != 4 {
		t.Errorf("unreachable: exit %d, %q", code, talk)
	}
}

// timestamped logs the manifest of a pack with a token of an authority of its own, and keeps the proof.
func (w *world) timestamped(dir string) {
	w.t.Helper()
	now := time.Now() // after the receipts
	authority, err := timestamp.NewAuthority(nil, now)
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.RootPEM())
	client := timestamp.Client{URL: "tsa", Options: timestamp.Options{Roots: roots}, Now: func() time.Time { return now },
		Post: func(_ context.Context, _ string, request []byte) ([]byte, error) {
			return authority.Respond(request, now), nil
		}}
	text, err := os.ReadFile(filepath.Join(dir, "pack_manifest.json"))
	if err != nil {
		w.t.Fatal(err)
	}
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		w.t.Fatal(findings)
	}
	token, err := client.Timestamp(w.t.Context(), m.Digest())
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := entry.New(m, entry.Source{}, now, token.DER)
	if err != nil {
		w.t.Fatal(err)
	}
	proof := w.log.Prove(w.log.Append(e.Leaf()), w.witness)
	proof.Extra = e.Leaf()
	for path, data := range map[string][]byte{filepath.Join(dir, proofPath): proof.Marshal(), "roots.pem": authority.RootPEM()} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestOfSeveralPacksEachIsTriedAndTheGravestCodeWins(t *testing.T) {
	w := newWorld(t)
	w.mustPack("good", "tampered")
	if err := os.Truncate("tampered/receipt_pack.jsonl", 10); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		packs []string
		code  int
	}{
		{[]string{"nowhere", "good"}, 3},
		{[]string{"nowhere", "tampered", "good"}, 2},
		{[]string{"tampered", "nowhere", "good"}, 2},
	} {
		_ = os.Remove(filepath.Join("good", proofPath))
		code, out, talk := w.anchor(test.packs...)
		if code != test.code || !strings.Contains(out, "anchored: entry") {
			t.Errorf("%v: exit %d, %q, %q", test.packs, code, out, talk)
		}
		if _, err := os.Lstat(filepath.Join("good", proofPath)); err != nil {
			t.Errorf("%v: %v", test.packs, err)
		}
	}
}

func TestAnchorWritesNowhereButIntoThePack(t *testing.T) {
	w := newWorld(t)
	outside := t.TempDir()
	w.mustPack("linked", "later", "kept")

	// An _unsigned that leads elsewhere: refused before anything is sent.
	if err := os.RemoveAll("linked/_unsigned"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, "linked/_unsigned"); err != nil {
		t.Fatal(err)
	}
	if code, out, talk := w.anchor("linked"); code != 2 || w.asked.Load() != 0 {
		t.Errorf("exit %d after %d requests, %q, %q", code, w.asked.Load(), out, talk)
	}

	// The same, put there while the ledger thinks.
	w.answer = func(rw http.ResponseWriter, r *http.Request) {
		if err := os.RemoveAll("later/_unsigned"); err != nil {
			t.Error(err)
		}
		if err := os.Symlink(outside, "later/_unsigned"); err != nil {
			t.Error(err)
		}
		w.honest(rw, r)
	}
	if code, out, talk := w.anchor("later"); code != 2 {
		t.Errorf("exit %d, %q, %q", code, out, talk)
	}

	// A link in place of the proof is replaced, not followed.
	w.answer = w.honest
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join("kept", proofPath)); err != nil {
		t.Fatal(err)
	}
	if code, out, talk := w.anchor("kept"); code != 0 {
		t.Errorf("exit %d, %q, %q", code, out, talk)
	}
	if info, err := os.Lstat(filepath.Join("kept", proofPath)); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v", entries, err)
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "mine" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAProofThatCannotBeKeptSaysWhereItCouldBe(t *testing.T) {
	w := newWorld(t)
	w.mustPack("a")
	if code, _, talk := w.anchor("a", "-o", "no/such/dir"); code != 3 || strings.Contains(talk, "is logged") {
		t.Errorf("found only after the entry was logged: exit %d, %q", code, talk)
	}
	if err := os.Mkdir("taken", 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, talk := w.anchor("a", "-o", "taken"); code != 3 || !strings.Contains(talk, "--output FILE") {
		t.Errorf("exit %d, %q", code, talk)
	}
	if code, _, talk := w.anchor("a", "-o", "a.tlog-proof"); code != 0 {
		t.Errorf("exit %d, %q", code, talk)
	}
	if code, out, _ := w.assay("verify-pack", "a", "--policy", "policy", "--require-anchor"); code != 2 || !strings.Contains(out, "not proven to be logged") {
		t.Errorf("without the proof: exit %d, %q", code, out)
	}
	if code, out, _ := w.assay("verify-pack", "a", "--policy", "policy", "--require-anchor", "--proof", "a.tlog-proof"); code != 0 {
		t.Errorf("with the proof: exit %d, %q", code, out)
	}
}
