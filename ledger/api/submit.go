package api

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/pack/entry"
)

// submit logs a manifest and answers with its proof.
func (h *Handler) submit(c echo.Context) error {
	r := c.Request()
	src, err := sourceOf(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := checkContent(r.Header); err != nil {
		return err
	}
	manifest, err := readBody(c)
	if err != nil {
		return err
	}
	if prefersAsync(r.Header) {
		return h.submitLater(c, manifest, src)
	}
	// The slot is taken after the body is here: slow senders hold connections, not slots.
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return ledger.ErrBusy
	}
	h.extend(c)
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Wait)
	defer cancel()
	a, err := h.cfg.Log.Add(ctx, manifest, src)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if a.New {
		status = http.StatusCreated
	}
	digest := a.Entry.Entry.ManifestSHA256.String()
	c.Response().Header().Set("Location", "/v1/entries/"+digest)
	return writeAnchored(c, status, noStore, a)
}

// submitLater answers 202 when the manifest is verified and durable; the log goes on by itself.
func (h *Handler) submitLater(c echo.Context, manifest []byte, src entry.Source) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), h.cfg.Wait)
	defer cancel()
	h.extend(c)
	digest, err := h.cfg.Log.Accept(ctx, manifest, src)
	if err != nil {
		return err
	}
	location := "/v1/entries/" + digest.String()
	header := c.Response().Header()
	header.Set("Location", location)
	header.Set("Preference-Applied", "respond-async")
	return writeText(c, http.StatusAccepted, noStore, location+"\n")
}

// extend moves the connection's write deadline past Wait. The read deadline needs
// nothing: net/http takes it away when the body has been read to its end.
func (h *Handler) extend(c echo.Context) {
	// A recorder in a test has no deadline; then there is none to move.
	_ = http.NewResponseController(c.Response()).SetWriteDeadline(time.Now().Add(h.cfg.Wait + 15*time.Second))
}

func sourceOf(rawQuery string) (entry.Source, error) {
	q, err := strictQuery(rawQuery, "source_repo", "source_workflow", "source_commit")
	if err != nil {
		return entry.Source{}, err
	}
	src, err := entry.ParseSource(q.Get("source_repo"), q.Get("source_workflow"), q.Get("source_commit"))
	if err != nil {
		return entry.Source{}, refuseRequest(badSource, sentence(err.Error()))
	}
	return src, nil
}

// strictQuery refuses parameters that nobody reads and those given twice.
func strictQuery(rawQuery string, known ...string) (url.Values, error) {
	if rawQuery == "" {
		return nil, nil
	}
	const longest = 4096
	if len(rawQuery) > longest {
		return nil, refuseRequest(malformed, fmt.Sprintf("The query is longer than %d bytes.", longest))
	}
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, refuseRequest(malformed, "The query is not URL-encoded.")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return nil, refuseRequest(malformed, fmt.Sprintf("Leave out the query parameter %q: use only %s.", clipText(name), strings.Join(known, ", ")))
		}
		if len(values) > 1 {
			return nil, refuseRequest(malformed, fmt.Sprintf("Give the query parameter %s once.", name))
		}
	}
	return q, nil
}

// checkContent accepts plain bodies of the types that clients send without being told;
// curl --data-binary says application/x-www-form-urlencoded.
func checkContent(header http.Header) error {
	if len(header["Content-Encoding"]) > 0 {
		return refuseRequest(badEncoding, "")
	}
	types := header["Content-Type"]
	if len(types) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(types[0])
	if err != nil || len(types) > 1 {
		return refuseRequest(badType, "")
	}
	switch media {
	case typeJSON, "application/x-www-form-urlencoded", "application/octet-stream":
		return nil
	}
	return refuseRequest(badType, "")
}

// readBody reads a manifest; one that is too large is an *http.MaxBytesError.
func readBody(c echo.Context) ([]byte, error) {
	body, err := serve.Body(c.Response(), c.Request(), ledger.MaxManifest)
	if _, over := errors.AsType[*http.MaxBytesError](err); err != nil && !over {
		return nil, &refusal{problem: malformed, cause: fmt.Errorf("reading the body: %w", err)}
	}
	return body, err
}

func prefersAsync(header http.Header) bool {
	for _, line := range header["Prefer"] {
		for preference := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(preference, ";")
			if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
				return true
			}
		}
	}
	return false
}

// sentence makes a house error ("source_repo: wants owner/name") one for people.
func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
