package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	maxPage     = 100 // entries in one answer
	defaultPage = 50
)

type entryJSON struct {
	Index          int64           `json:"index"`
	ManifestSHA256 string          `json:"manifest_sha256"`
	PackRootSHA256 string          `json:"pack_root_sha256"`
	Entry          json.RawMessage `json:"entry"`     // the leaf, which is JSON
	Leaf           []byte          `json:"leaf"`      // the same bytes, base64: what is hashed
	ProofURL       string          `json:"proof_url"` // a fresh tlog-proof
}

func entryOf(l entry.Logged) entryJSON {
	digest := l.Entry.ManifestSHA256.String()
	return entryJSON{
		Index:          l.Index,
		ManifestSHA256: digest,
		PackRootSHA256: l.Entry.PackRootSHA256.String(),
		Entry:          l.Leaf,
		Leaf:           l.Leaf,
		ProofURL:       "/v1/entries/" + digest + "/proof",
	}
}

// entryName names entries: by index, or by a digest that a manifest or a pack root has.
type entryName struct {
	text   string
	digest trust.Digest
	index  int64
	hashed bool
}

func parseEntryName(text string) (entryName, bool) {
	if len(text) == 64 {
		digest, err := trust.ParseDigest(text)
		return entryName{text: text, digest: digest, hashed: true}, err == nil
	}
	n, err := trust.ParseDecimal(text)
	return entryName{text: text, index: n}, err == nil
}

// matches reports whether the log holds under this key what the index said.
func (k entryName) matches(l entry.Logged) bool {
	if !k.hashed {
		return l.Index == k.index
	}
	return l.Entry.ManifestSHA256 == k.digest || l.Entry.PackRootSHA256 == k.digest
}

// find says where the entries of a key are: the manifest of this digest, or else
// every manifest of this pack root.
func (h *Handler) find(ctx context.Context, id string) (entryName, []int64, error) {
	k, ok := parseEntryName(id)
	if !ok {
		return k, nil, refuseRequest(notFound, "")
	}
	if !k.hashed {
		return k, []int64{k.index}, nil
	}
	accepted := h.cfg.Log.Accepted(k.digest) // before the index is asked, where it goes from there
	at, ok, err := h.cfg.Index.Find(ctx, k.digest)
	if err != nil {
		return k, nil, fmt.Errorf("finding a manifest: %w", err)
	}
	if ok {
		return k, []int64{at}, nil
	}
	all, err := h.cfg.Index.FindPackRoot(ctx, k.digest)
	if err != nil {
		return k, nil, fmt.Errorf("finding a pack root: %w", err)
	}
	if len(all) == 0 {
		if accepted {
			return k, nil, &refusal{problem: notYet}
		}
		return k, nil, refuseRequest(notFound, "")
	}
	return k, all, nil
}

// entry answers with every entry of a key.
func (h *Handler) entry(c echo.Context) error {
	if _, err := strictQuery(c.Request().URL.RawQuery); err != nil {
		return err
	}
	ctx := c.Request().Context()
	k, at, err := h.find(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	found, err := h.readMatching(ctx, k, at[:min(len(at), maxPage)])
	if err != nil {
		return err
	}
	// pack_root_sha256 covers the attestation only, so a signer can make different
	// packs that share it: that is said, also to those who ask for one of them.
	all := len(at)
	if len(at) == 1 {
		roots, err := h.cfg.Index.FindPackRoot(ctx, found[0].Entry.PackRootSHA256)
		if err != nil {
			return fmt.Errorf("finding a pack root: %w", err)
		}
		all = len(roots)
	}
	cp, err := h.cfg.Log.Checkpoint(ctx) // after the entries, so that its tree has them
	if err != nil {
		return err
	}
	answer := struct {
		TreeSize     int64       `json:"tree_size"`
		Equivocation bool        `json:"equivocation"` // several manifests have this pack root
		Manifests    int         `json:"manifests"`    // how many, should entries not hold them all
		Entries      []entryJSON `json:"entries"`
	}{cp.Size, all > 1, max(all, 1), nil}
	for _, l := range found {
		answer.Entries = append(answer.Entries, entryOf(l))
	}
	return writeJSON(c, http.StatusOK, "no-cache", answer)
}

func (h *Handler) readMatching(ctx context.Context, k entryName, at []int64) ([]entry.Logged, error) {
	found, err := h.read(ctx, at)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, h.absent(k)
	}
	for _, l := range found {
		if !k.matches(l) {
			return nil, fmt.Errorf("index points %s at entry %d, which is another", k.text, l.Index)
		}
	}
	return found, nil
}

// absent is for what the index knows and the published tree does not hold yet.
func (h *Handler) absent(k entryName) error {
	if k.hashed {
		return &refusal{problem: notYet}
	}
	return refuseRequest(notFound, "")
}

// proof answers with a fresh proof of one entry.
func (h *Handler) proof(c echo.Context) error {
	if _, err := strictQuery(c.Request().URL.RawQuery); err != nil {
		return err
	}
	ctx := c.Request().Context()
	k, at, err := h.find(ctx, c.Param("id"))
	if err != nil {
		return err
	}
	if len(at) > 1 {
		return h.ambiguous(ctx, k, at)
	}
	a, err := h.cfg.Log.Prove(ctx, at[0])
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return h.absent(k)
	case err != nil:
		return err
	case !k.matches(a.Entry):
		return fmt.Errorf("index points %s at entry %d, which is another", k.text, a.Entry.Index)
	}
	return writeAnchored(c, http.StatusOK, "no-cache", a)
}

func (h *Handler) ambiguous(ctx context.Context, k entryName, at []int64) error {
	found, err := h.readMatching(ctx, k, at[:min(len(at), maxPage)])
	if err != nil {
		return err
	}
	p := several
	for _, l := range found {
		p.digests = append(p.digests, l.Entry.ManifestSHA256.String())
	}
	return &refusal{problem: p}
}

// search answers with a page of entries, newest first.
func (h *Handler) search(c echo.Context) error {
	values, err := strictQuery(c.Request().URL.RawQuery, "signer", "source_repo", "claim_check", "since", "cursor", "limit")
	if err != nil {
		return err
	}
	q, err := parseSearch(values)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	at, err := h.cfg.Index.Search(ctx, q)
	if err != nil {
		return fmt.Errorf("searching: %w", err)
	}
	found, err := h.read(ctx, at)
	if err != nil {
		return err
	}
	cp, err := h.cfg.Log.Checkpoint(ctx) // after the entries, so that its tree has them
	if err != nil {
		return err
	}
	answer := struct {
		TreeSize int64       `json:"tree_size"`
		Entries  []entryJSON `json:"entries"`
		Cursor   string      `json:"cursor,omitempty"` // of the next page; absent on the last
	}{TreeSize: cp.Size, Entries: []entryJSON{}}
	for _, l := range found {
		answer.Entries = append(answer.Entries, entryOf(l))
	}
	if len(at) == q.Limit && at[len(at)-1] > 0 {
		answer.Cursor = strconv.FormatInt(at[len(at)-1], 10)
	}
	return writeJSON(c, http.StatusOK, "no-cache", answer)
}

func parseSearch(v url.Values) (index.Query, error) {
	q := index.Query{Limit: defaultPage}
	for name, values := range v {
		s := values[0]
		ok := true
		switch name {
		case "signer":
			_, err := trust.ParseDigest(s)
			ok = err == nil
			q.SignerKeySHA256 = s
		case "source_repo":
			src, err := entry.ParseSource(s, "", "")
			ok = err == nil && s != ""
			q.SourceRepo = src.Repo
		case "claim_check":
			ok = s == "PASS" || s == "FAIL" || s == "N/A"
			q.ClaimCheck = s
		case "since":
			t, err := time.Parse(time.RFC3339, s)
			ok = err == nil
			q.Since = t
		case "cursor":
			n, err := trust.ParseDecimal(s)
			ok = err == nil && n > 0
			q.Before = n
		case "limit":
			n, err := trust.ParseDecimal(s)
			ok = err == nil && n >= 1 && n <= maxPage
			q.Limit = int(n)
		}
		if !ok {
			return q, refuseRequest(malformed, searchHelp[name])
		}
	}
	return q, nil
}

var searchHelp = map[string]string{
	"signer":      "Give signer as the SHA-256 of the signer's public key, 64 lower-case hex digits.",
	"source_repo": "Give source_repo as owner/name.",
	"claim_check": "Give claim_check as PASS, FAIL or N/A.",
	"since":       "Give since as an RFC 3339 time, as 2026-01-31T12:00:00Z.",
	"cursor":      "Give cursor as the last page gave it.",
	"limit":       fmt.Sprintf("Give limit as a number from 1 to %d.", maxPage),
}

// read returns the published entries at these indexes, in their order, each read back
// from the log and proved there. Those that are not published yet are left out.
func (h *Handler) read(ctx context.Context, at []int64) ([]entry.Logged, error) {
	found := make([]entry.Logged, 0, len(at))
	for _, n := range at {
		a, err := h.cfg.Log.Prove(ctx, n)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading entry %d: %w", n, err)
		}
		found = append(found, a.Entry)
	}
	return found, nil
}

// writeAnchored answers with a tlog-proof, or with JSON around it for those who ask.
func writeAnchored(c echo.Context, status int, cache string, a *entry.Anchored) error {
	c.Response().Header().Set("Vary", "Accept")
	text := a.Proof.Marshal()
	if !wantsJSON(c.Request().Header) {
		return writeBytes(c, status, typeText, cache, text)
	}
	return writeJSON(c, status, cache, struct {
		entryJSON
		New      bool   `json:"new"`
		TreeSize int64  `json:"tree_size"`
		Proof    string `json:"proof"`
	}{entryOf(a.Entry), a.New, noteSize(a.Proof.Checkpoint), string(text)})
}

// noteSize reads the size line of a checkpoint that the log verified.
func noteSize(signed []byte) int64 {
	_, rest, _ := bytes.Cut(signed, []byte("\n"))
	size, _, _ := bytes.Cut(rest, []byte("\n"))
	n, _ := trust.ParseDecimal(string(size))
	return n
}

// about says what one needs to verify and to use this ledger.
func (h *Handler) about(c echo.Context) error {
	if _, err := strictQuery(c.Request().URL.RawQuery); err != nil {
		return err
	}
	cp, err := h.cfg.Log.Checkpoint(c.Request().Context())
	if err != nil {
		return err
	}
	type limits struct {
		ManifestBytes int     `json:"manifest_bytes"`
		PageEntries   int     `json:"page_entries"`
		WaitSeconds   float64 `json:"wait_seconds"`
		RatePerSecond float64 `json:"rate_per_second"` // per client network; 0: unlimited
	}
	return writeJSON(c, http.StatusOK, "max-age=1", struct {
		Origin   string `json:"origin"`
		VKey     string `json:"vkey"`
		Policy   string `json:"policy"`
		TSARoots string `json:"tsa_roots"`
		Size     int64  `json:"size"`
		Root     []byte `json:"root"`
		Limits   limits `json:"limits"`
	}{h.origin, h.vkey, string(h.cfg.Policy.Text()), string(h.cfg.TSARoots.PEM()), cp.Size, cp.Root[:],
		limits{ledger.MaxManifest, maxPage, h.cfg.Wait.Seconds(), h.cfg.Rate}})
}

func writeJSON(c echo.Context, status int, cache string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // nosniff and the content type keep browsers from reading it as HTML
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	return writeBytes(c, status, typeJSON, cache, b.Bytes())
}

// wantsJSON reports whether Accept names application/json; */* (curl) means the proof as text.
func wantsJSON(header http.Header) bool {
	for _, line := range header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(media), typeJSON) {
				q := strings.ReplaceAll(params, " ", "")
				return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
			}
		}
	}
	return false
}
