package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// run is the script. Every step returns an error if anything is not as it must be.
func (d *demo) run(ctx context.Context) error {
	began := time.Now()
	for _, step := range []func(context.Context) error{
		d.startServers, d.recordAndPack, d.anchor, d.verifyOffline,
		d.honestFailure, d.tampered, d.duplicate, d.oneWitnessDead, d.twoWitnessesDead, d.forkRefused,
	} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("demo step %d: %w", d.steps+1, err)
		}
	}
	fmt.Fprintf(d.out, "every expectation held, in %.1f s\n", time.Since(began).Seconds())
	return nil
}

func (d *demo) startServers(ctx context.Context) error {
	if err := d.build(ctx); err != nil {
		return err
	}
	d.say("started: a ledger, a development TSA, witnesses w1 and w2 (Ed25519) and w3 (ML-DSA-44); two of three must cosign")
	return nil
}

func (d *demo) proof(p string) string { return filepath.Join(p, "_unsigned", "anchor.tlog-proof") }

// verify judges a pack with all that a stranger can ask for, offline.
func (d *demo) verify(ctx context.Context, exit int, packDir string) (string, error) {
	return d.program(ctx, exit, d.assay, "verify-pack", packDir, "--require-claim-pass",
		"--policy", d.policy(), "--require-anchor", "--tsa-roots", d.roots())
}

func (d *demo) recordAndPack(ctx context.Context) error {
	p, err := d.record(ctx, 0, "pack-1", "receipt_completeness")
	if err != nil {
		return err
	}
	m, err := d.manifest(p)
	if err != nil {
		return err
	}
	d.say("assay run: packed and signed %d receipts, one of them about the run itself: %s, claims %s", m.Attestation.NReceipts, m.PackID, m.Attestation.ClaimCheck)
	return nil
}

func (d *demo) anchor(ctx context.Context) error {
	if err := d.anchorPack(ctx, 0, d.path("pack-1")); err != nil {
		return err
	}
	proof, cp, err := d.openProof(d.path("pack-1"))
	if err != nil {
		return err
	}
	if len(cp.Cosignatures) < 2 {
		return fmt.Errorf("the checkpoint has %d cosignatures, the quorum is 2", len(cp.Cosignatures))
	}
	d.say("assay anchor: entry %d of a tree of %d, cosigned by %s", proof.Index, cp.Size, witnessNames(cp))
	return nil
}

func (d *demo) verifyOffline(ctx context.Context) error {
	for _, name := range []string{"ledger", "w1", "w2", "w3", "tsa"} {
		if err := d.stop(name); err != nil {
			return err
		}
	}
	out, err := d.verify(ctx, 0, d.path("pack-1"))
	if err != nil {
		return err
	}
	d.say("every server stopped; assay verify-pack, offline, exit 0: %s", channels(out))
	for _, name := range serverNames {
		if err := d.start(ctx, name); err != nil {
			return err
		}
	}
	d.say("servers started again on the same files")
	return nil
}

func (d *demo) honestFailure(ctx context.Context) error {
	p, err := d.record(ctx, 1, "pack-honest-failure", "guardian_enforcement")
	if err != nil {
		return err
	}
	if err := d.anchorPack(ctx, 0, p); err != nil {
		return err
	}
	if _, err := d.verify(ctx, 1, p); err != nil {
		return err
	}
	d.say("honest failure: the guardian never spoke; the pack says so, is anchored all the same, and verifies with exit 1")
	return nil
}

func (d *demo) tampered(ctx context.Context) error {
	p := d.path("pack-tampered")
	if err := os.CopyFS(p, os.DirFS(d.path("pack-1"))); err != nil {
		return err
	}
	receipts := filepath.Join(p, "receipt_pack.jsonl")
	if err := replaceIn(receipts, `"output_tokens":7`, `"output_tokens":8`); err != nil {
		return err
	}
	if _, err := d.verify(ctx, 2, p); err != nil {
		return err
	}
	d.say("tampered: one digit of one receipt changed; exit 2")

	if err := replaceIn(filepath.Join(p, "pack_manifest.json"), `"n_receipts": 4`, `"n_receipts": 3`); err != nil {
		return err
	}
	status, body, err := d.post(ctx, p)
	if err != nil {
		return err
	}
	if status != http.StatusUnprocessableEntity || !bytes.Contains(body, []byte(manifest.CodeManifestTamper)) {
		return fmt.Errorf("the ledger answered %d to a tampered manifest: %s", status, body)
	}
	d.say("its manifest changed too: the ledger refuses it with 422 and the finding codes %s", findingCodes(body))
	return nil
}

func (d *demo) duplicate(ctx context.Context) error {
	first, _, err := d.openProof(d.path("pack-1"))
	if err != nil {
		return err
	}
	status, body, err := d.post(ctx, d.path("pack-1"))
	if err != nil {
		return err
	}
	again, err := trust.ParseProof(body)
	if err != nil {
		return fmt.Errorf("POST of a duplicate answered %d: %w", status, err)
	}
	if status != http.StatusOK || again.Index != first.Index || !bytes.Equal(again.Extra, first.Extra) {
		return fmt.Errorf("POST of a duplicate answered %d, entry %d, not 200 and entry %d", status, again.Index, first.Index)
	}
	d.say("duplicate: the same manifest again gets 200 and a proof of the same entry %d, same bytes", again.Index)
	return nil
}

func (d *demo) oneWitnessDead(ctx context.Context) error {
	d.kill("w2")
	p, err := d.record(ctx, 0, "pack-2", "receipt_completeness")
	if err != nil {
		return err
	}
	if err := d.anchorPack(ctx, 0, p); err != nil {
		return err
	}
	_, cp, err := d.openProof(p)
	if err != nil {
		return err
	}
	d.say("witness w2 killed: still published, cosigned by %s", witnessNames(cp))
	return nil
}

func (d *demo) twoWitnessesDead(ctx context.Context) error {
	d.kill("w3")
	before, err := d.checkpoint(ctx)
	if err != nil {
		return err
	}
	p, err := d.record(ctx, 0, "pack-3", "receipt_completeness")
	if err != nil {
		return err
	}
	if err := d.anchorPack(ctx, 4, p, "--timeout", "2s"); err != nil {
		return err
	}
	after, err := d.checkpoint(ctx)
	if err != nil {
		return err
	}
	if after.Size != before.Size {
		return fmt.Errorf("a tree of %d was published without a quorum", after.Size)
	}
	d.say("w3 killed too: no quorum, nothing published (the tree stays at %d), assay anchor says retry (exit 4)", after.Size)

	for _, name := range []string{"w2", "w3"} {
		if err := d.start(ctx, name); err != nil {
			return err
		}
	}
	if err := d.anchorPack(ctx, 0, p); err != nil {
		return err
	}
	if _, err := d.verify(ctx, 0, p); err != nil {
		return err
	}
	proof, cp, err := d.openProof(p)
	if err != nil {
		return err
	}
	if cp.Size != before.Size+1 {
		return fmt.Errorf("the retry made a second entry: the tree went from %d to %d", before.Size, cp.Size)
	}
	d.say("witnesses back: the retry gets entry %d, logged once; a tree of %d is public", proof.Index, cp.Size)
	return nil
}

// forkRefused plays a ledger that rewrites history: it has the log's own key, so only the
// witnesses stand between it and two histories.
func (d *demo) forkRefused(ctx context.Context) error {
	secret, err := readKey(ledgerHome(d.path("ledger")).key())
	if err != nil {
		return err
	}
	signer, err := trust.NewLogSigner(secret)
	if err != nil {
		return err
	}
	cp, err := d.checkpoint(ctx)
	if err != nil {
		return err
	}
	forged := tlog.Hash(sha256.Sum256([]byte("another history")))
	for _, fork := range []struct {
		size  int64
		proof []tlog.Hash
	}{
		{cp.Size, nil},
		{cp.Size + 1, []tlog.Hash{cp.Root, forged}},
	} {
		note, err := signer.Sign(cp.Origin, fork.size, forged)
		if err != nil {
			return err
		}
		for _, name := range []string{"w1", "w2", "w3"} {
			var body bytes.Buffer
			fmt.Fprintf(&body, "old %d\n", cp.Size)
			for _, h := range fork.proof {
				fmt.Fprintf(&body, "%s\n", h)
			}
			fmt.Fprintf(&body, "\n%s", note)
			status, answer, err := d.send(ctx, d.url(name)+"/add-checkpoint", "text/plain", body.Bytes())
			if err != nil {
				return err
			}
			// 409: this witness is behind and first wants its own size; it signs nothing either.
			if status != http.StatusUnprocessableEntity && status != http.StatusConflict || bytes.Contains(answer, []byte("— ")) {
				return fmt.Errorf("%s answered %d to a forked tree of %d: %s", name, status, fork.size, answer)
			}
		}
	}
	d.say("forked log: two rewritten histories signed with the log's own key; no witness cosigns either")
	return nil
}

// checkpoint fetches what the ledger publishes and opens it under the policy.
func (d *demo) checkpoint(ctx context.Context) (*trust.Checkpoint, error) {
	policy, err := readPolicy(d.policy())
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url("ledger")+"/checkpoint", nil)
	if err != nil {
		return nil, err
	}
	_, body, err := d.do(req)
	if err != nil {
		return nil, err
	}
	return policy.OpenCheckpoint(body)
}

func (d *demo) post(ctx context.Context, packDir string) (int, []byte, error) {
	manifest, err := os.ReadFile(filepath.Join(packDir, "pack_manifest.json"))
	if err != nil {
		return 0, nil, err
	}
	return d.send(ctx, d.url("ledger")+"/v1/entries?source_repo=demo/agent", "application/json", manifest)
}

func (d *demo) send(ctx context.Context, url, contentType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	return d.do(req)
}

func (d *demo) do(req *http.Request) (int, []byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, body, err
}

func (d *demo) manifest(packDir string) (*manifest.Manifest, error) {
	text, err := os.ReadFile(filepath.Join(packDir, "pack_manifest.json"))
	if err != nil {
		return nil, err
	}
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		return nil, fmt.Errorf("%s: %s", findings[0].Code, findings[0].Message)
	}
	return m, nil
}

// openProof reads the proof that anchor left in a pack and checks it as a stranger would.
func (d *demo) openProof(packDir string) (*trust.Proof, *trust.Checkpoint, error) {
	text, err := os.ReadFile(d.proof(packDir))
	if err != nil {
		return nil, nil, err
	}
	proof, err := trust.ParseProof(text)
	if err != nil {
		return nil, nil, err
	}
	policy, err := readPolicy(d.policy())
	if err != nil {
		return nil, nil, err
	}
	cp, err := policy.CheckProof(proof, proof.Extra)
	return proof, cp, err
}

// channels are the three verdict lines of verify-pack, shortened to one.
func channels(out string) string {
	var words []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) > 1 && slices.Contains([]string{"integrity", "claims", "anchor"}, fields[0]) {
			words = append(words, strings.Join(fields, " "))
		}
	}
	return strings.Join(words, "; ")
}

func witnessNames(cp *trust.Checkpoint) string {
	names := make([]string, len(cp.Cosignatures))
	for i, c := range cp.Cosignatures {
		names[i] = c.Witness
	}
	return strings.Join(names, ", ")
}

func findingCodes(problem []byte) string {
	var p struct {
		Findings []struct{ Code, Field string }
	}
	_ = json.Unmarshal(problem, &p) // only shown, and its codes were checked by the caller
	codes := make([]string, len(p.Findings))
	for i, f := range p.Findings {
		codes[i] = f.Code + "(" + f.Field + ")"
	}
	return strings.Join(codes, ", ")
}

func replaceIn(path, old, new string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(old)) {
		return errors.New(path + " does not hold " + old)
	}
	return durable.WriteFile(path, bytes.Replace(text, []byte(old), []byte(new), 1), 0o644)
}
