package interop

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
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
	theirs := must(torchwood.ParsePolicy(w.policy.Text()))(t)
	anchored, refused := 0, 0
	indexes := map[int64]string{}
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
			_, findings := pack.VerifyManifest(manifest)
			status, body := w.post(t, manifest)
			if len(findings) > 0 {
				if want.Exit != 2 {
					t.Fatalf("an honest pack has findings in its manifest: %v", findings)
				}
				if status != http.StatusUnprocessableEntity || !bytes.Contains(body, []byte(findings[0].Code)) {
					t.Errorf("status %d, expected 422 with %s: %s", status, findings[0].Code, body)
				}
				refused++
				return
			}
			if want.Exit == 2 {
				return // the manifest is what was signed; the fault is in other files, which a ledger never sees
			}
			if status != http.StatusCreated && status != http.StatusOK {
				t.Fatalf("status %d: %s", status, body)
			}
			anchored++
			proof := must(trust.ParseProof(body))(t)
			if twin, taken := indexes[proof.Index]; taken && !sameManifest(t, vectors, twin, name) {
				t.Errorf("%s and %s share entry %d", name, twin, proof.Index)
			}
			indexes[proof.Index] = name

			// Ours, as verify-pack does it.
			r := verify(t, dir, pack.Options{Now: time.Now(), Policy: w.policy, TSARoots: w.roots, Proof: body, RequireAnchor: true})
			if r.Anchor != pack.Pass || r.Time == nil {
				t.Fatalf("anchor %s, time %v: %v", r.Anchor, r.Time, r.Findings)
			}
			if got := r.ExitCode(); got != want.Exit {
				t.Errorf("with its proof: exit %d, expected %d", got, want.Exit)
			}
			// Theirs.
			if err := torchwood.VerifyProof(theirs, tlog.RecordHash(proof.Extra), body); err != nil {
				t.Errorf("torchwood refuses our proof: %v", err)
			}
			opensslVerify(t, w, r)
		})
	}
	t.Logf("%d packs anchored and proven three ways, %d refused", anchored, refused)
	if anchored < 20 || refused < 5 {
		t.Errorf("only %d packs were anchored and %d refused", anchored, refused)
	}
}

// sameManifest: mall_manifest_reformat and mall_extra_file are pass_minimal in other clothes.
func sameManifest(t *testing.T, vectors, a, b string) bool {
	t.Helper()
	digest := func(name string) [32]byte {
		m, findings := pack.VerifyManifest(must(os.ReadFile(filepath.Join(vectors, "packs", name, "pack_manifest.json")))(t))
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
		manifest := must(os.ReadFile(filepath.Join(vectors, "packs", name, "pack_manifest.json")))(t)
		m, findings := pack.VerifyManifest(manifest)
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		root = hex.EncodeToString(m.PackRoot[:])
		if status, body := w.post(t, manifest); status != http.StatusCreated {
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
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Log("SKIP openssl ts: not installed")
		return
	}
	dir := t.TempDir()
	token, root := filepath.Join(dir, "token.der"), filepath.Join(dir, "root.pem")
	for path, data := range map[string][]byte{token: r.Logged.Entry.TimestampToken, root: w.rootPEM} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digest := r.Manifest.Digest()
	out, err := exec.Command("openssl", "ts", "-verify", "-digest", hex.EncodeToString(digest[:]),
		"-in", token, "-token_in", "-CAfile", root).CombinedOutput()
	if err != nil || !slices.Contains(strings.Fields(string(out)), "OK") {
		t.Errorf("openssl ts refuses the token: %v: %s", err, out)
	}
}
