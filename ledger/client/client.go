// Package client is a remote ledger with the local one's methods. It verifies
// everything it returns against a policy: the server is a carrier of proofs,
// and nothing it says is believed.
package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// Client is a ledger at a URL. It is safe for concurrent use once its fields are set.
type Client struct {
	URL    string        // "https://ledger.example/2026"; http only to loopback
	Policy *trust.Policy // required: whom to believe

	HTTP     *http.Client  // nil: one with timeouts; redirects are refused whatever it says
	Timeout  time.Duration // for one attempt, all of its answer; zero: 60 s
	Attempts int           // at most so many requests for one answer; zero: 4; negative: until the context's deadline
	Insecure bool          // http to anybody: proofs still verify, but outsiders see and drop what you send

	Waiting func(err error) // nil, or told of each failure after which the same question is asked again
}

var (
	// ErrUnavailable: no answer, or one that says to come back later. Safe to retry.
	ErrUnavailable = errors.New("ledger unavailable")
	// ErrBadProof: the ledger answered, and the answer does not verify. The error is a *BadProof.
	ErrBadProof = errors.New("the ledger's answer does not verify")
	// ErrOtherLog: a checkpoint by a log, or under a log key, that the policy does not name. It is the
	// wrong ledger or the wrong policy, and nobody is accused: no ErrBadProof.
	ErrOtherLog = errors.New("the ledger is not the log of the policy")
)

// BadProof is an answer that does not verify, with its bytes: it accuses who gave it.
type BadProof struct {
	What   string // proof, checkpoint, entry, …
	Answer []byte // as it was sent; nil where it came in several parts
	Err    error
}

func (e *BadProof) Error() string   { return fmt.Sprintf("%v: %s: %v", ErrBadProof, e.What, e.Err) }
func (e *BadProof) Unwrap() []error { return []error{ErrBadProof, e.Err} }

// Caps on answers, in bytes. A checkpoint may carry 16 post-quantum signatures
// of some 5 KiB each, a proof one checkpoint, 63 hashes and an entry of 32 KiB in base64.
const (
	maxCheckpoint = 128 << 10
	maxProof      = maxCheckpoint + 64<<10
	maxProblem    = 64 << 10
)

// Add logs a pack_manifest.json and returns its proof. Adding again returns the proof of
// the first entry. A refusal is a *Problem.
func (c *Client) Add(ctx context.Context, text []byte, src entry.Source) (*entry.Anchored, error) {
	m, findings := manifest.Verify(text)
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
	a, err := c.do(ctx, request{method: http.MethodPost, path: "v1/entries", query: query.Encode(), body: text,
		accept: "text/plain", limit: maxProof, ok: []int{http.StatusCreated, http.StatusOK}})
	if err != nil {
		return nil, fmt.Errorf("adding to the ledger: %w", err)
	}
	anchored, err := c.check(a.body, m.Digest())
	if err != nil {
		return nil, err
	}
	if err := copiedFrom(m, anchored.Entry); err != nil {
		return nil, &BadProof{"entry", a.body, err}
	}
	anchored.New = a.status == http.StatusCreated
	return anchored, nil
}

// notAdmitted is the answer that the ledger would give, without asking it.
func notAdmitted(findings []manifest.Finding) *Problem {
	return &Problem{
		Type:     manifestRejected,
		Title:    "The manifest does not verify",
		Status:   http.StatusUnprocessableEntity,
		Detail:   "Nothing was sent: verify the pack first.",
		Findings: findings,
	}
}

// Prove returns a fresh proof of the entry of a manifest.
func (c *Client) Prove(ctx context.Context, manifest trust.Digest) (*entry.Anchored, error) {
	a, err := c.do(ctx, request{method: http.MethodGet, path: "v1/entries/" + manifest.String() + "/proof",
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
	switch {
	case err == nil:
		return cp, nil
	case !isNote(a.body):
		return nil, fmt.Errorf("fetching the checkpoint: %w", notOfALedger(a.body, "signed note"))
	}
	if other := c.otherLog(a.body); other != nil {
		return nil, other
	}
	return nil, &BadProof{"checkpoint", a.body, err}
}

// otherLog is the error of a note that no key of the policy pretends to have signed, nil if one does.
func (c *Client) otherLog(note []byte) error {
	text, signatures, _ := bytes.Cut(note, []byte("\n\n"))
	origin, _, _ := bytes.Cut(text, []byte("\n"))
	var named []string
	for _, l := range c.Policy.Logs() {
		name, rest, _ := strings.Cut(l.VKey, "+")
		id, _, _ := strings.Cut(rest, "+")
		if name == string(origin) && signedUnder(signatures, name, id) {
			return nil
		}
		named = append(named, name+" with key "+id)
	}
	return fmt.Errorf("%w: its checkpoint is of %s, and the policy names %s", ErrOtherLog, printable(string(origin)), strings.Join(named, ", "))
}

// signedUnder reports whether one of the signature lines is under this name and key id (8 hex digits).
// SPEC signed-note: a line is "— <key name> base64(4-byte key ID || signature)".
func signedUnder(signatures []byte, name, id string) bool {
	for line := range bytes.Lines(signatures) {
		blob, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("— "+name+" "))
		if raw, err := base64.StdEncoding.DecodeString(string(blob)); ok && err == nil && len(raw) > 4 && hex.EncodeToString(raw[:4]) == id {
			return true
		}
	}
	return false
}

// Ready asks the ledger whether a submission made now would get its proof: nil, or its *Problem with the
// reasons. It is the ledger's word, for people; nothing is decided by it.
func (c *Client) Ready(ctx context.Context) error {
	once := *c
	once.Attempts = 1
	_, err := once.do(ctx, request{method: http.MethodGet, path: "readyz", limit: maxProblem})
	return err
}

// check believes a tlog-proof only if all of it verifies and it is about this manifest.
func (c *Client) check(text []byte, manifest trust.Digest) (*entry.Anchored, error) {
	if !isProof(text) && !isNote(text) {
		return nil, notOfALedger(text, "tlog-proof")
	}
	proof, err := trust.ParseProof(text)
	if err != nil {
		return nil, &BadProof{"proof", text, err}
	}
	e, err := entry.Parse(proof.Extra)
	if err != nil {
		return nil, &BadProof{"proof: extra", text, err}
	}
	if e.ManifestSHA256 != manifest {
		return nil, &BadProof{"proof", text, fmt.Errorf("it is of manifest %s, not of %s", e.ManifestSHA256, manifest)}
	}
	if _, err := c.Policy.CheckProof(proof, proof.Extra); err != nil {
		return nil, &BadProof{"proof", text, err}
	}
	return &entry.Anchored{Proof: proof, Entry: entry.Logged{Index: proof.Index, Leaf: proof.Extra, Entry: e}}, nil
}

// What a ledger answers is known by its first bytes. Anything else came from somebody in between, a portal
// or a proxy, who signs nothing: no evidence against a ledger, and a reason to try again later.
func isProof(text []byte) bool { return bytes.HasPrefix(text, []byte("c2sp.org/tlog-proof@")) }
func isNote(text []byte) bool  { return bytes.Contains(text, []byte("\n\n— ")) }

func notOfALedger(text []byte, want string) error {
	looks := "begins with " + strconv.Quote(printable(string(text[:min(len(text), 40)])))
	switch {
	case len(text) == 0:
		looks = "is empty"
	case isHTML(text):
		looks = "is an HTML page: is there a portal or a proxy in between?"
	}
	return fmt.Errorf("%w: the answer is no %s: it %s", ErrUnavailable, want, looks)
}

func isHTML(text []byte) bool { return strings.HasPrefix(http.DetectContentType(text), "text/html") }

// copiedFrom checks that the ledger took from the manifest what it has to take from there.
// Source, time and token are its own words.
func copiedFrom(m *manifest.Manifest, logged entry.Logged) error {
	want, err := entry.New(m, logged.Entry.Source, logged.Entry.SubmittedAt, logged.Entry.TimestampToken)
	if err != nil {
		return err
	}
	want.WitnessStatus = logged.Entry.WitnessStatus
	if !bytes.Equal(want.Leaf(), logged.Leaf) {
		return errors.New("it does not say what the manifest says")
	}
	return nil
}

func badProof(what string, err error) error { return &BadProof{What: what, Err: err} }
