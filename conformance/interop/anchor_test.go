package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// expectation is one pack of packs-expected.json.
type expectation struct {
	Exit             int `json:"exit"`
	ExitRequireClaim int `json:"exit_require_claim_pass"`
}

func expectations(t *testing.T, vectors string) map[string]expectation {
	t.Helper()
	var file struct {
		Packs map[string]expectation `json:"packs"`
	}
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(vectors, "packs-expected.json")))(t), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Packs) == 0 {
		t.Fatal("packs-expected.json names no pack")
	}
	return file.Packs
}

// Every honest pack becomes an entry whose proof holds under our verifier and under torchwood,
// and whose timestamp holds under openssl ts; every pack that is tampered with in its manifest
// is refused with 422 and its finding codes.
func TestEveryPackOfTheSpecificationIsAnchoredOrRefused(t *testing.T) {
	vectors := shared(t)
	w := newWorld(t)
	anchored := 0
	indexes := map[int64]string{}
	var refused []string
	for name, want := range expectations(t, vectors) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(vectors, "packs", name)
			result := verify(t, dir, pack.Options{Now: time.Now()})
			if got := result.ExitCode(); got != want.Exit {
				t.Fatalf("exit %d, expected %d: %v", got, want.Exit, result.Findings)
			}
			if got := verify(t, dir, pack.Options{Now: time.Now(), RequireClaims: true}).ExitCode(); got != want.ExitRequireClaim {
				t.Errorf("with required claims: exit %d, expected %d", got, want.ExitRequireClaim)
			}
			manifest, err := os.ReadFile(filepath.Join(dir, "pack_manifest.json"))
			if err != nil {
				if want.Exit != 2 {
					t.Fatal(err)
				}
				return // nothing to send
			}
			if want.Exit == 2 {
				// Where the fault is in other files, which a ledger never sees, the manifest is as it was signed.
				if status, body := w.post(t, manifest); status == http.StatusUnprocessableEntity && bytes.Contains(body, []byte(`"code":"E_`)) {
					refused = append(refused, name)
				} else if status != http.StatusCreated && status != http.StatusOK {
					t.Errorf("status %d: %s", status, body)
				}
				return
			}
			index := anchorAndProve(t, w, dir, want.Exit)
			anchored++
			if twin, taken := indexes[index]; taken && !sameManifest(t, vectors, twin, name) {
				t.Errorf("%s and %s share entry %d", name, twin, index)
			}
			indexes[index] = name
		})
	}
	slices.Sort(refused)
	if !slices.Equal(refused, faultInManifest) {
		t.Errorf("refused with finding codes: %q\nexpected: %q", refused, faultInManifest)
	}
	if anchored < 20 {
		t.Errorf("only %d packs were anchored", anchored)
	}
	t.Logf("%d packs anchored and proven three ways, %d refused", anchored, len(refused))
}

// faultInManifest are the packs whose manifest alone shows that something is wrong.
var faultInManifest = []string{
	"div_bad_timestamp_attested_fail", "div_dup_receipt_id",
	"lie_files_omit_receipts", "lie_n_receipts",
	"tamper_manifest_extra_field", "tamper_manifest_pack_root", "tamper_manifest_pubkey_swap", "tamper_manifest_truncated",
	"tamper_resigned_d12", "tamper_resigned_path_traversal", "tamper_resigned_small_order_key",
}

// The same for packs that we build here, so that it is shown wherever the tests run.
func TestPacksOfEveryShapeAreAnchoredAndProvenThreeWays(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		name     string
		receipts []string
		cards    []claim.Card
		exit     int // with required claims
	}{
		{"empty", nil, nil, 1},
		{"plain", []string{`{"provider":"openai","model_id":"gpt-4"}`}, claim.BuiltinCards()[1:2], 0},
		{"honest failure", []string{`{"model_id":"gpt-4"}`}, claim.BuiltinCards()[:2], 1},
		{"unicode", []string{`{"text":"naïve 日本 \u2028 \ud83d\ude00 \u0085"}`, `{"n":[1E21,1e-7,0.1,-0.0,9007199254740991]}`}, claim.BuiltinCards()[3:4], 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			spec := pack.Spec{RunID: "run " + test.name, Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Signer: newSigner(test.name), Cards: test.cards}
			spec.RunID = strings.ReplaceAll(spec.RunID, " ", "_")
			for i, data := range test.receipts {
				receipt := must(jcs.Parse([]byte(data), jcs.Limits{}))(t)
				receipt.Members = append(receipt.Members,
					jcs.M("receipt_id", jcs.Str(fmt.Sprintf("r_%d", i))), jcs.M("type", jcs.Str("model_call")), jcs.M("schema_version", jcs.Str("3.0")),
					jcs.M("timestamp", jcs.Str(fmt.Sprintf("2026-01-15T10:00:%02d.000000+00:00", i))), jcs.M("seq", jcs.Int(int64(i))))
				spec.Receipts = append(spec.Receipts, receipt)
			}
			dir := filepath.Join(t.TempDir(), "pack")
			if err := must(pack.Build(spec))(t).WriteDir(dir); err != nil {
				t.Fatal(err)
			}
			anchorAndProve(t, w, dir, 0)
			if got := verify(t, dir, pack.Options{RequireClaims: true}).ExitCode(); got != test.exit {
				t.Errorf("with required claims: exit %d, expected %d", got, test.exit)
			}
		})
	}
}

// anchorAndProve posts a pack's manifest and has the proof judged by us, by torchwood and,
// as to the time, by openssl. It returns the entry's index.
func anchorAndProve(t *testing.T, w *world, dir string, exit int) int64 {
	t.Helper()
	status, body := w.post(t, must(os.ReadFile(filepath.Join(dir, "pack_manifest.json")))(t))
	if status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	proof := must(trust.ParseProof(body))(t)
	// Ours, as verify-pack does it.
	r := verify(t, dir, pack.Options{Now: time.Now(), Policy: w.policy, TSARoots: w.roots, Proof: body, RequireAnchor: true})
	if r.Anchor.Verdict != pack.Pass || r.Anchor.Time == nil {
		t.Fatalf("anchor %s, time %v: %v", r.Anchor.Verdict, r.Anchor.Time, r.Findings)
	}
	if got := r.ExitCode(); got != exit {
		t.Errorf("with its proof: exit %d, expected %d", got, exit)
	}
	// Theirs.
	met("torchwood", true)
	theirs := must(torchwood.ParsePolicy(w.policy.Text()))(t)
	if err := torchwood.VerifyProof(theirs, tlog.RecordHash(proof.Extra), body); err != nil {
		t.Errorf("torchwood refuses our proof: %v", err)
	}
	opensslVerify(t, w, r)
	return proof.Index
}

// signer signs packs with a key that everybody knows.
type signer struct {
	id  string
	key ed25519.PrivateKey
}

func newSigner(name string) signer {
	seed := sha256.Sum256([]byte("interop signer of " + name))
	return signer{"interop", ed25519.NewKeyFromSeed(seed[:])}
}

func (s signer) fingerprint() string {
	return trust.Digest(sha256.Sum256(s.Public())).String()
}

func (s signer) ID() string                          { return s.id }
func (s signer) Public() ed25519.PublicKey           { return s.key.Public().(ed25519.PublicKey) }
func (s signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }

// sameManifest: mall_manifest_reformat and mall_extra_file are pass_minimal in other clothes.
func sameManifest(t *testing.T, vectors, a, b string) bool {
	t.Helper()
	digest := func(name string) trust.Digest {
		m, findings := manifest.Verify(must(os.ReadFile(filepath.Join(vectors, "packs", name, "pack_manifest.json")))(t))
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		return m.Digest()
	}
	return digest(a) == digest(b)
}

func TestTwoPacksWithOnePackRootAreTwoEntriesFoundTogetherAndFlagged(t *testing.T) {
	vectors := shared(t)
	w := newWorld(t)
	var root string
	for _, name := range []string{"sameroot_a", "sameroot_b"} {
		text := must(os.ReadFile(filepath.Join(vectors, "packs", name, "pack_manifest.json")))(t)
		m, findings := manifest.Verify(text)
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		root = m.PackRoot.String()
		if status, body := w.post(t, text); status != http.StatusCreated {
			t.Fatalf("%s: status %d: %s", name, status, body)
		}
	}
	resp, err := http.Get(w.ledgerURL + "/v1/entries/" + root)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var found struct {
		Entries []struct {
			Index int64 `json:"index"`
		} `json:"entries"`
		Equivocation bool `json:"equivocation"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	if len(found.Entries) != 2 || !found.Equivocation {
		t.Errorf("found %d entries, flagged %v", len(found.Entries), found.Equivocation)
	}
}

func verify(t *testing.T, dir string, o pack.Options) *pack.Result {
	t.Helper()
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closeDir()
	return must(pack.Verify(fsys, o))(t)
}

// opensslVerify checks the entry's token with openssl ts, which shares no code with us.
func opensslVerify(t *testing.T, w *world, r *pack.Result) {
	t.Helper()
	_, err := exec.LookPath("openssl")
	if met("openssl ts", err == nil); err != nil {
		t.Log("SKIP openssl ts: not installed")
		return
	}
	dir := t.TempDir()
	token, root := filepath.Join(dir, "token.der"), filepath.Join(dir, "root.pem")
	for path, data := range map[string][]byte{token: r.Anchor.Entry.Entry.TimestampToken, root: w.rootPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("openssl", "ts", "-verify", "-digest", r.Manifest.Digest().String(),
		"-in", token, "-token_in", "-CAfile", root).CombinedOutput()
	if err != nil || !slices.Contains(strings.Fields(string(out)), "OK") {
		t.Errorf("openssl ts refuses the token: %v: %s", err, out)
	}
}
