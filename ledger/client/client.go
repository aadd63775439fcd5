// Package client is a remote ledger with the local one's methods. It verifies
// everything it returns against a policy: the server is a carrier of proofs,
// and nothing it says is believed.
package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/trust"
)

// Client is a ledger at a URL. It is safe for concurrent use once its fields are set.
type Client struct {
	URL    string        // "https://ledger.example/2026"; http only to loopback
	Policy *trust.Policy // required: whom to believe

	HTTP     *http.Client  // nil: one with timeouts; redirects are refused whatever it says
	Timeout  time.Duration // for one attempt, all of its answer; zero: 60 s
	Attempts int           // at most so many requests for one answer; zero: 4
	Insecure bool          // http to anybody: proofs still verify, but outsiders see and drop what you send
}

var (
	// ErrUnavailable: no answer, or one that says to come back later. Safe to retry.
	ErrUnavailable = errors.New("ledger unavailable")
	// ErrBadProof: the ledger answered, and the answer does not verify.
	ErrBadProof = errors.New("the ledger's answer does not verify")
)

// Caps on answers, in bytes. A checkpoint may carry 16 post-quantum signatures
// of some 5 KiB each, a proof one checkpoint, 63 hashes and an entry of 32 KiB in base64.
const (
	maxCheckpoint = 128 << 10
	maxProof      = maxCheckpoint + 64<<10
	maxBundle     = 256 * (2 + 65535)
	maxProblem    = 64 << 10
)

// Add logs a pack_manifest.json and returns its proof. Adding again returns the proof of
// the first entry. A refusal is a *Problem.
func (c *Client) Add(ctx context.Context, manifest []byte, src pack.Source) (*pack.Anchored, error) {
	m, findings := pack.VerifyManifest(manifest)
	if m == nil || len(findings) > 0 {
		return nil, notAdmitted(findings)
	}
	query := url.Values{}
	for name, value := range map[string]string{
		"source_repo": src.Repo, "source_workflow": src.Workflow, "source_commit": src.Commit,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	a, err := c.do(ctx, request{method: http.MethodPost, path: "v1/entries", query: query.Encode(), body: manifest,
		accept: "text/plain", limit: maxProof, ok: []int{http.StatusCreated, http.StatusOK}})
	if err != nil {
		return nil, fmt.Errorf("adding to the ledger: %w", err)
	}
	anchored, err := c.check(a.body, m.Digest())
	if err != nil {
		return nil, err
	}
	if err := copiedFrom(m, anchored.Entry); err != nil {
		return nil, err
	}
	anchored.New = a.status == http.StatusCreated
	return anchored, nil
}

// notAdmitted is the answer that the ledger would give, without asking it.
func notAdmitted(findings []pack.Finding) *Problem {
	return &Problem{
		Type:     "/problems/manifest-rejected",
		Title:    "The manifest does not verify",
		Status:   http.StatusUnprocessableEntity,
		Detail:   "Nothing was sent: verify the pack first.",
		Findings: findings,
	}
}

// Prove returns a fresh proof of the entry of a manifest.
func (c *Client) Prove(ctx context.Context, manifest [32]byte) (*pack.Anchored, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "v1/entries/" + hex.EncodeToString(manifest[:]) + "/proof",
		accept: "text/plain", limit: maxProof})
	if err != nil {
		return nil, fmt.Errorf("asking for a proof: %w", err)
	}
	return c.check(a.body, manifest)
}

// Checkpoint returns the published checkpoint. That it is not older than another one
// is for the caller to check, who may have seen another one.
func (c *Client) Checkpoint(ctx context.Context) (*trust.Checkpoint, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "checkpoint", limit: maxCheckpoint})
	if err != nil {
		return nil, fmt.Errorf("fetching the checkpoint: %w", err)
	}
	cp, err := c.Policy.OpenCheckpoint(a.body)
	if err != nil {
		return nil, badProof("checkpoint", err)
	}
	return cp, nil
}

// check believes a tlog-proof only if all of it verifies and it is about this manifest.
func (c *Client) check(text []byte, manifest [32]byte) (*pack.Anchored, error) {
	proof, err := trust.ParseProof(text)
	if err != nil {
		return nil, badProof("proof", err)
	}
	entry, err := pack.ParseEntry(proof.Extra)
	if err != nil {
		return nil, badProof("proof: extra", err)
	}
	if entry.ManifestSHA256 != manifest {
		return nil, badProof("proof", fmt.Errorf("it is of manifest %x, not of %x", entry.ManifestSHA256, manifest))
	}
	if _, err := c.Policy.CheckProof(proof, proof.Extra); err != nil {
		return nil, badProof("proof", err)
	}
	return &pack.Anchored{Proof: proof, Entry: pack.Logged{Index: proof.Index, Leaf: proof.Extra, Entry: entry}}, nil
}

// copiedFrom checks that the ledger took from the manifest what it has to take from there.
// Source, time and token are its own words.
func copiedFrom(m *pack.Manifest, logged pack.Logged) error {
	want, err := pack.NewEntry(m, logged.Entry.Source, logged.Entry.SubmittedAt, logged.Entry.TimestampToken)
	if err != nil {
		return badProof("entry", err)
	}
	want.WitnessStatus = logged.Entry.WitnessStatus
	if !bytes.Equal(want.Leaf(), logged.Leaf) {
		return badProof("entry", errors.New("it does not say what the manifest says"))
	}
	return nil
}

func badProof(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrBadProof, what, err)
}
