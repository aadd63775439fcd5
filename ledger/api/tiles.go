package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// forEver is the caching of what never changes.
const forEver = "public, max-age=31536000, immutable"

// checkpoint serves the published checkpoint.
func (h *Handler) checkpoint(c echo.Context) error {
	cp, err := h.cfg.Log.Checkpoint(c.Request().Context())
	if err != nil {
		return err
	}
	// SPEC tlog-tiles: the checkpoint's content type is text/plain; charset=utf-8,
	// and it is cached for a few seconds at most.
	return serveText(c, typeText, cp.Signed)
}

// tile serves hash tiles and entry bundles. Nothing but a canonical tlog-tiles path
// reaches the log, and the log reaches nothing but tiles.
func (h *Handler) tile(c echo.Context) error {
	r := c.Request()
	// RawPath is set when the client escaped what needs no escape: another spelling of a path.
	if r.URL.RawPath != "" || r.URL.RawQuery != "" || r.URL.ForceQuery {
		return refuseRequest(notFound, "")
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	t, ok := tiles.ParsePath(path)
	if !ok {
		return refuseRequest(notFound, "This is no tlog-tiles path: use /tile/<L>/<N>[.p/<W>] or /tile/entries/<N>[.p/<W>].")
	}
	data, err := h.cfg.Log.Tile(r.Context(), path)
	if err != nil {
		return err
	}
	return serveBytes(c, forEver, t.L < 0, data)
}

// checkpoints serves the history: bundles of published checkpoints, and how many there are.
func (h *Handler) checkpoints(c echo.Context) error {
	r := c.Request()
	path := strings.TrimPrefix(r.URL.Path, "/")
	_, width, ok := tiles.ParseCheckpointPath(path)
	count := path == tiles.CheckpointCount
	switch {
	case !ok && !count && h.page(c): // the site has pages beside them
		return nil
	case !ok && !count || r.URL.RawPath != "" || r.URL.RawQuery != "" || r.URL.ForceQuery: // as for tiles
		return refuseRequest(notFound, "This is no bundle of checkpoints: use /checkpoints/<N>[.p/<W>]; /checkpoints/count says how many there are.")
	case count:
		return serveText(c, typeText, fmt.Appendf(nil, "%d\n", h.cfg.Log.HistorySize()))
	}
	data, err := h.cfg.Log.History(r.Context(), path)
	if err != nil {
		return err
	}
	cache := forEver
	if width < tiles.Width { // the one that grows; a log whose history was lost in part gives its numbers again
		cache = "public, max-age=60"
	}
	return serveBytes(c, cache, true, data)
}

// page answers with a page of the site, if one is there.
func (h *Handler) page(c echo.Context) bool {
	r := c.Request()
	return h.cfg.Pages != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) && h.cfg.Pages(c.Response(), r)
}

// policy serves the ledger's own policy, as a file that other programs read.
func (h *Handler) policy(c echo.Context) error {
	return serveText(c, typeText, h.cfg.Policy.Text())
}

// tsaRoots serves the roots of the ledger's timestamps.
func (h *Handler) tsaRoots(c echo.Context) error {
	text := h.cfg.TSARoots.PEM()
	if len(text) == 0 {
		return refuseRequest(notFound, "This ledger has no timestamps, and no roots of theirs.")
	}
	return serveText(c, "application/x-pem-file", text)
}

// serveText serves what may be another text in a moment.
func serveText(c echo.Context, contentType string, text []byte) error {
	header := c.Response().Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "max-age=1")
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(text))
	return nil
}

// serveBytes serves a part of the log. SPEC tlog-tiles: entry bundles SHOULD be compressed. A range counts identity bytes.
func serveBytes(c echo.Context, cache string, compress bool, data []byte) error {
	r, header := c.Request(), c.Response().Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Cache-Control", cache)
	if compress {
		header.Set("Vary", "Accept-Encoding")
		if r.Header.Get("Range") == "" && serve.AcceptsGzip(r.Header) {
			return serveGzip(c, data)
		}
	}
	http.ServeContent(c.Response(), r, "", time.Time{}, bytes.NewReader(data))
	return nil
}

func serveGzip(c echo.Context, data []byte) error {
	c.Response().Header().Set("Content-Encoding", "gzip")
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method != http.MethodHead {
		_ = serve.Gzip(c.Response(), data) // an error is a client that went away
	}
	return nil
}
