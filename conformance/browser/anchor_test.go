package browser

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// anchored is a pack that a log holds, with a time, and what it may be held to, as files.
type anchored struct{ dir, policy, proof, roots, strangers string }

// anchor builds a pack, logs it under witnesses with keys of both kinds, and has an authority say when.
func anchor(t *testing.T) anchored {
	t.Helper()
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	dir := filepath.Join(t.TempDir(), "pack")
	r := must[*pack.Result](t)(pack.BuildDir(dir, pack.Spec{RunID: "run", Now: at, Signer: packtest.KeyFrom("acme", "anchor"), Stream: calls(5),
		Cards: []claim.Card{packtest.Builtin("receipt_completeness")}}))
	authority := must[*timestamp.Authority](t)(timestamp.NewAuthority(nil, at.Add(-24*time.Hour)))
	stranger := must[*timestamp.Authority](t)(timestamp.NewAuthority(nil, at.Add(-24*time.Hour)))
	request := must[[]byte](t)(timestamp.Request(r.Manifest.Digest(), nil))
	token := must[[]byte](t)(timestamp.ParseResponse(authority.Respond(request, at.Add(time.Minute))))
	e := must[entry.Entry](t)(entry.New(r.Manifest, entry.Source{}, at.Add(2*time.Minute), token))
	log := trusttest.NewLog("ledger.example/2026")
	for i := range 6 {
		log.Append([]byte{byte(i)})
	}
	index := log.Append(e.Leaf())
	log.Append([]byte("later"))
	w1, w2 := trusttest.NewWitness("w1", trust.Ed25519Cosigner), trusttest.NewWitness("w2", trust.MLDSA44Cosigner)
	proof := log.Prove(index, w1, w2)
	proof.Extra = e.Leaf()
	return anchored{dir, write(t, "policy", string(trusttest.Policy(log, []*trusttest.Witness{w1, w2}, 2).Text())), write(t, "pack.tlog-proof", string(proof.Marshal())),
		write(t, "roots.pem", string(authority.RootPEM())), write(t, "strangers.pem", string(stranger.RootPEM()))}
}

// TestAPageHoldsAllThatAPackIsHeldTo: proof, policy, roots of a time, and a lock; and says what of it does not hold.
func TestAPageHoldsAllThatAPackIsHeldTo(t *testing.T) {
	a := anchor(t)
	page := filepath.Join(t.TempDir(), "pack.html")
	locked := write(t, "assay.lock", "")
	if err := os.Remove(locked); err != nil {
		t.Fatal(err)
	}
	if code, out := assay(t, "lock", "write", "--cards", "receipt_completeness", "-o", locked); code != 0 {
		t.Fatal(out)
	}
	must[*lock.Lock](t)(lock.Parse(must[[]byte](t)(os.ReadFile(locked))))
	b := newTab(t)
	for _, c := range []struct {
		name  string
		args  []string
		exit  int
		class string
		words map[string]string
		says  string
	}{
		{"all", []string{"--policy", a.policy, "--proof", a.proof, "--tsa-roots", a.roots, "--lock", locked, "--require-anchor", "--require-claim-pass"}, 0, "exit0",
			map[string]string{"integrity": "PASS", "claims": "PASS", "anchor": "PASS", "lock": "PASS"}, "cosigned by w1, w2; timestamped "},
		{"no roots", []string{"--policy", a.policy, "--proof", a.proof}, 0, "none", map[string]string{"anchor": "PASS"}, "its time was not checked"},
		{"roots of others", []string{"--policy", a.policy, "--proof", a.proof, "--tsa-roots", a.strangers}, 2, "exit2", map[string]string{"integrity": "PASS", "anchor": "FAIL"}, "logged, but not at a time that holds"},
		{"a stranger's key alone", []string{"--trusted-signer", strings.Repeat("ab", 32)}, 2, "exit2", map[string]string{"integrity": "PASS", "signer": "UNTRUSTED"}, "none of the keys that may sign"},
		{"no anchor at all", []string{"--policy", a.policy, "--require-anchor"}, 2, "exit2", map[string]string{"anchor": "SKIPPED"}, "there is no proof in the pack that a log holds it"},
	} {
		code, out := assay(t, append(append([]string{"page", a.dir}, c.args...), "-o", page)...)
		if code != c.exit {
			t.Errorf("%s: exit %d: %s", c.name, code, out)
		}
		b.open(fileURL(t, page))
		class, text := b.settled(nil)
		if class != "outcome "+c.class {
			t.Errorf("%s: %s: %s", c.name, class, text)
		}
		for channel, word := range c.words {
			if got := b.word(channel); got != word {
				t.Errorf("%s: %s %s, expected %s", c.name, channel, got, word)
			}
		}
		if text := value[string](b, `document.querySelector('#channels').textContent`); !strings.Contains(text, c.says) {
			t.Errorf("%s: %s", c.name, text)
		}
		// Line by line what the command line says, but for findings.
		want := lines(out)
		got := lines(strings.Join(value[[]string](b, `[...document.querySelectorAll('.channel')].map((c) => c.querySelector('.name').textContent.padEnd(10) + ' ' + c.querySelector('.word').textContent + '  ' + c.querySelector('p').textContent)`), "\n"))
		if want = want[:len(want)-1]; len(want) != len(got) { // all but the verdict
			t.Errorf("%s: %d channels, %d on the command line", c.name, len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("%s:\nthe page         %s\nthe command line %s", c.name, got[i], want[i])
			}
		}
		b.quiet(fileURL(t, page))
	}
}

// TestAPageGivesBackThePackThatItHolds: whoever has only the page can check the pack elsewhere.
func TestAPageGivesBackThePackThatItHolds(t *testing.T) {
	a := anchor(t)
	page := filepath.Join(t.TempDir(), "pack.html")
	assay(t, "page", a.dir, "--policy", a.policy, "--proof", a.proof, "-o", page)
	b := newTab(t)
	b.open(fileURL(t, page))
	b.settled(nil)
	got := untar(t, b.download("#save", "pack.tar"))
	for _, name := range []string{"pack_manifest.json", "receipt_pack.jsonl", "verify_report.json", "verify_transcript.md", "pack_signature.sig", "_unsigned/run_cards.json"} {
		want, err := os.ReadFile(filepath.Join(a.dir, filepath.FromSlash(name)))
		if file, there := got["pack/"+name]; there != (err == nil) || !bytes.Equal(file, want) {
			t.Errorf("%s: %d bytes, there were %d", name, len(file), len(want))
		}
	}
	if proof := must[[]byte](t)(os.ReadFile(a.proof)); !bytes.Equal(got["pack/_unsigned/anchor.tlog-proof"], proof) {
		t.Errorf("the proof is not in it: %d bytes", len(got["pack/_unsigned/anchor.tlog-proof"]))
	}
	for name := range got {
		if !strings.HasPrefix(name, "pack/") {
			t.Errorf("%s is in it: whom to trust does not come with a pack", name)
		}
	}
}

// TestAProofAloneIsJudged: who was given no more than a proof sees what it proves, and of what it says nothing.
func TestAProofAloneIsJudged(t *testing.T) {
	a := anchor(t)
	page := filepath.Join(t.TempDir(), "verify.html")
	assay(t, "page", "-o", page)
	b := newTab(t)
	b.open(fileURL(t, page))
	b.settled(nil)
	for _, step := range []struct {
		name, input, file, class, says string
	}{
		{"a proof", "#files", a.proof, "none", "no policy"},
		{"and a policy", "#policy", a.policy, "none", "a log holds this entry; the pack that it is about is not here"},
		{"and the roots of its time", "#roots", a.roots, "none", "a log holds this entry"},
		{"roots of others", "#roots", a.strangers, "exit2", "does not hold"},
		{"another policy", "#policy", example(t, "policy", "policy"), "exit2", "does not hold"},
	} {
		class, text := b.settled(func() { b.choose(step.input, step.file) })
		if class != "outcome "+step.class || !strings.Contains(text, step.says) {
			t.Errorf("%s: %s: %s", step.name, class, text)
		}
	}
	b.quiet(fileURL(t, page))
}

// untar reads an archive.
func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(must[[]byte](t)(os.ReadFile(path)))); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		} else if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = must[[]byte](t)(io.ReadAll(r))
	}
}
