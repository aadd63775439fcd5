package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// problem is an RFC 9457 problem:
//
//	{"type":"/problems/manifest-rejected","title":"The manifest does not verify","status":422,
//	 "detail":"…one sentence that says what to do","findings":[{"code":"E_…","field":"…","message":"…"}]}
type problem struct {
	name       string // of the type; stable
	status     int
	title      string
	detail     string
	retryAfter int // seconds; zero: no header
	findings   []manifest.Finding
	digests    []string        // of several-entries
	reasons    []ledger.Reason // of not-ready and witnesses-unheard
}

// The problems. Their names are part of the API; the details may change.
var (
	malformed    = problem{name: "malformed-request", status: 400, title: "The request is malformed", detail: "Correct the request; it will not work as it is."}
	badSource    = problem{name: "malformed-source", status: 400, title: "The source is malformed", detail: "Give source_repo as owner/name, source_workflow and source_commit as they are in the repository, or leave them out."}
	notFound     = problem{name: "not-found", status: 404, title: "Nothing is here", detail: "Check the address: an entry is named by its manifest_sha256 or pack_root_sha256 (64 lower-case hex digits) or its index. manifest_sha256 is the digest of the canonical manifest, not that of its file."}
	notYet       = problem{name: "not-found", status: 404, title: "Not logged yet", detail: "The manifest was accepted and is being logged: ask again.", retryAfter: 1}
	badMethod    = problem{name: "method-not-allowed", status: 405, title: "The method is not allowed here", detail: "Use a method that the Allow header names."}
	several      = problem{name: "several-entries", status: 409, title: "Several manifests share this pack root", detail: "Ask for the proof of one manifest_sha256 of the list."}
	tooLarge     = problem{name: "too-large", status: 413, title: "The body is too large", detail: "Send pack_manifest.json alone, at most 65536 bytes."}
	badEncoding  = problem{name: "content-encoding", status: 415, title: "Encoded bodies are not accepted", detail: "Send the manifest without Content-Encoding."}
	badType      = problem{name: "content-type", status: 415, title: "The content type is not accepted", detail: "Send the manifest as application/json."}
	rejected     = problem{name: "manifest-rejected", status: 422, title: "The manifest does not verify", detail: "Nothing was stored: verify the pack and send the pack_manifest.json that its signer signed."}
	rateLimited  = problem{name: "rate-limited", status: 429, title: "Too many requests", detail: "Wait as long as Retry-After says, then send it again.", retryAfter: 1}
	internal     = problem{name: "internal", status: 500, title: "The ledger failed", detail: "Send it again later, and tell the operator if it happens again: a manifest is never logged twice."}
	busy         = problem{name: "busy", status: 503, title: "The ledger is busy", detail: "Nothing was stored: wait as long as Retry-After says, then send it again.", retryAfter: 1}
	unpublished  = problem{name: "unpublished", status: 503, title: "Not yet cosigned by a quorum", detail: "Ask again after Retry-After; a manifest that is sent again is not logged twice and gets its proof.", retryAfter: 1}
	unheard      = problem{name: "witnesses-unheard", status: 503, title: "Witnesses have not been heard from since the start", detail: "Nothing new is signed before enough witnesses have said that they know of nothing newer: send it again later.", retryAfter: 5}
	frozen       = problem{name: "frozen", status: 503, title: "The log is frozen", detail: "Its files or its witnesses say something else than what was signed, so nothing new is logged until its operator has looked: tell the operator. Proofs are still served.", retryAfter: 60}
	noTimestamp  = problem{name: "timestamp-unavailable", status: 503, title: "No timestamp authority answered", detail: "Nothing was stored: send it again later.", retryAfter: 5}
	closing      = problem{name: "closing", status: 503, title: "The ledger is closing", detail: "Send it again in a moment.", retryAfter: 5}
	notReady     = problem{name: "not-ready", status: 503, title: "The ledger does not take entries now", detail: "Proofs and tiles are still served: submit later.", retryAfter: 5}
	indexing     = problem{name: "indexing", status: 503, title: "The ledger is deriving its index again", detail: "What the index does not find now may be logged nevertheless: ask again later. Entries by their number, proofs and tiles are served.", retryAfter: 5}
	unreadable   = problem{name: "unreadable", status: 503, title: "This part of the log cannot be served", detail: "What is stored here cannot be read, or does not belong to the published tree. Its operator has to restore it: ask again later, or another copy of the log.", retryAfter: 60}
	storageFull  = problem{name: "storage", status: 507, title: "The ledger's storage refuses writes", detail: "Proofs are still served: tell the operator, and send it again later, it is never logged twice."}
	problemTable = []problem{malformed, badSource, notFound, badMethod, several, tooLarge, badEncoding, badType, rejected,
		rateLimited, internal, busy, unpublished, unheard, frozen, noTimestamp, closing, notReady, indexing, unreadable, storageFull}
)

// refusal is a problem on its way up as an error; cause goes to the log only.
type refusal struct {
	problem
	cause error
}

// Error is for the log: the detail may quote the client, who must not write there.
func (r *refusal) Error() string {
	if r.cause != nil {
		return r.name + ": " + r.cause.Error()
	}
	return r.name
}

func (r *refusal) Unwrap() error { return r.cause }

func refuseRequest(p problem, detail string) error {
	if detail != "" {
		p.detail = detail
	}
	return &refusal{problem: p}
}

// problemOf is the one place where errors become statuses.
func problemOf(method string, err error) problem {
	var r *refusal
	var rejection *ledger.Rejected
	var big *http.MaxBytesError
	var web *echo.HTTPError
	var waiting *ledger.Unheard
	switch {
	case errors.As(err, &r):
		return r.problem
	case errors.As(err, &rejection):
		p := rejected
		p.findings = rejection.Findings
		return p
	case errors.As(err, &big):
		return tooLarge
	case errors.Is(err, ledger.ErrFrozen): // it may be wrapped with how far the submission came
		return frozen
	case errors.Is(err, ledger.ErrNotFound):
		return notFound
	case errors.Is(err, ledger.ErrBusy):
		return busy
	case errors.Is(err, ledger.ErrTimestamp):
		return noTimestamp
	case errors.Is(err, ledger.ErrIndexing), errors.Is(err, index.ErrIncomplete):
		return indexing
	case errors.Is(err, ledger.ErrUnreadable), errors.Is(err, ledger.ErrStorage) && method != http.MethodPost:
		return unreadable
	case errors.Is(err, ledger.ErrStorage):
		return storageFull
	case errors.Is(err, ledger.ErrClosed):
		return closing
	case errors.As(err, &waiting):
		p := unheard
		r := waiting.Reason()
		p.detail, p.reasons = r.Public+" Send it again later.", []ledger.Reason{r}
		return p
	// A deadline may pass before or after the entry was stored; sending again is right for both.
	case errors.Is(err, ledger.ErrUnpublished), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unpublished
	case errors.As(err, &web):
		return problemOfStatus(web.Code)
	}
	return internal
}

func problemOfStatus(status int) problem {
	for _, p := range problemTable {
		if p.status == status {
			return p
		}
	}
	if status >= 400 && status < 500 {
		return malformed
	}
	return internal
}

type problemJSON struct {
	Type     string        `json:"type"`
	Title    string        `json:"title"`
	Status   int           `json:"status"`
	Detail   string        `json:"detail"`
	Findings []findingJSON `json:"findings,omitempty"`
	Digests  []string      `json:"manifest_sha256,omitempty"`
	Reasons  []reasonJSON  `json:"reasons,omitempty"`
}

type reasonJSON struct {
	About  string `json:"about"`
	Detail string `json:"detail"`
}

type findingJSON struct {
	Code    string `json:"code"`
	Field   string `json:"field"`
	Message string `json:"message"`
}

// writeProblem answers with p and reports true, unless an answer has begun.
func writeProblem(c echo.Context, p problem) bool {
	res := c.Response()
	if res.Committed {
		return false
	}
	// The submitter wrote parts of these: bound what is echoed.
	const most = 32
	body := problemJSON{Type: "/problems/" + p.name, Title: p.title, Status: p.status, Detail: clipText(p.detail), Digests: p.digests}
	for _, f := range p.findings[:min(len(p.findings), most)] {
		body.Findings = append(body.Findings, findingJSON{clipText(f.Code), clipText(f.Field), clipText(f.Message)})
	}
	for _, r := range p.reasons {
		body.Reasons = append(body.Reasons, reasonJSON{r.About, r.Public})
	}
	text, err := json.Marshal(body)
	if err != nil { // strings and ints marshal
		text = []byte("{}")
	}
	header := res.Header()
	for _, name := range []string{"Content-Encoding", "Location", "Vary", "ETag"} {
		header.Del(name) // of an answer that did not come to be
	}
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	return writeBytes(c, p.status, "application/problem+json", noStore, append(text, '\n')) == nil
}

// explain serves what a problem's type points at.
func explain(c echo.Context) error {
	name := c.Param("name")
	var text strings.Builder
	for _, p := range problemTable {
		if p.name == name {
			text.WriteString(strconv.Itoa(p.status) + " " + p.title + "\n\n" + p.detail + "\n")
		}
	}
	if text.Len() == 0 {
		return refuseRequest(notFound, "")
	}
	return writeText(c, http.StatusOK, "public, max-age=3600", text.String())
}

func writeText(c echo.Context, status int, cache, text string) error {
	return writeBytes(c, status, typeText, cache, []byte(text))
}

// writeBytes answers; an error of the connection is the client's and nobody can be told.
func writeBytes(c echo.Context, status int, contentType, cache string, body []byte) error {
	header := c.Response().Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", cache)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.Response().WriteHeader(status)
	if c.Request().Method != http.MethodHead {
		_, _ = c.Response().Write(body)
	}
	return nil
}
