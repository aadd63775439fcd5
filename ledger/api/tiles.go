package api

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// checkpoint serves the published checkpoint.
func (h *Handler) checkpoint(c echo.Context) error {
	cp, err := h.cfg.Log.Checkpoint(c.Request().Context())
	if err != nil {
		return err
	}
	// SPEC tlog-tiles: the checkpoint's content type is text/plain; charset=utf-8,
	// and it is cached for a few seconds at most.
	header := c.Response().Header()
	header.Set("Content-Type", typeText)
	header.Set("Cache-Control", "max-age=1")
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(cp.Signed))
	return nil
}

// tile serves hash tiles and entry bundles. Nothing but a canonical tlog-tiles path
// reaches the log, and the log reaches nothing but tiles.
func (h *Handler) tile(c echo.Context) error {
	r := c.Request()
	// RawPath is set when the client escaped what needs no escape: another spelling of a path.
	if r.URL.RawPath != "" || r.URL.RawQuery != "" || r.URL.ForceQuery {
		return refuse(notFound, "")
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	bundle, ok := parseTilePath(path)
	if !ok {
		return refuse(notFound, "This is no tlog-tiles path: use /tile/<L>/<N>[.p/<W>] or /tile/entries/<N>[.p/<W>].")
	}
	data, err := h.cfg.Log.Tile(r.Context(), path)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	if bundle {
		// SPEC tlog-tiles: entry bundles SHOULD be compressed. A range counts identity bytes.
		header.Set("Vary", "Accept-Encoding")
		if r.Header.Get("Range") == "" && acceptsGzip(r.Header) {
			return writeGzip(c, data)
		}
	}
	http.ServeContent(c.Response(), r, "", time.Time{}, bytes.NewReader(data))
	return nil
}

// parseTilePath accepts the canonical paths of tlog-tiles:
//
//	tile/<L>/<N>[.p/<W>]       L 0 to 63, W 1 to 255, N in groups of three digits,
//	tile/entries/<N>[.p/<W>]   all but the last with an x before them
func parseTilePath(path string) (bundle, ok bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(rest) > 64 {
		return false, false
	}
	level, number, ok := strings.Cut(rest, "/")
	if !ok {
		return false, false
	}
	if bundle = level == "entries"; !bundle {
		if l, ok := parseDecimal(level); !ok || l > 63 {
			return false, false
		}
	}
	number, width, partial := strings.Cut(number, ".p/")
	if partial {
		if w, ok := parseDecimal(width); !ok || w < 1 || w > 255 {
			return false, false
		}
	}
	n, ok := parseTileNumber(number)
	return bundle, ok && tileNumber(n) == number
}

func parseTileNumber(s string) (n int64, ok bool) {
	// 2^63-1 has seven groups of three digits.
	groups := strings.SplitN(s, "/", 8)
	if len(groups) > 7 {
		return 0, false
	}
	digits := ""
	for i, g := range groups {
		if i < len(groups)-1 {
			if g, ok = strings.CutPrefix(g, "x"); !ok {
				return 0, false
			}
		}
		if len(g) != 3 {
			return 0, false
		}
		digits += g
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && n >= 0
}

// tileNumber writes a tile number as tlog-tiles does: 1234067 is x001/x234/067.
func tileNumber(n int64) string {
	s := threeDigits(n % 1000)
	for n /= 1000; n > 0; n /= 1000 {
		s = "x" + threeDigits(n%1000) + "/" + s
	}
	return s
}

func threeDigits(n int64) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// gzips holds writers: each has buffers of some 800 KiB, too many to make for a request.
var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a good one
	return z
}}

func writeGzip(c echo.Context, data []byte) error {
	header := c.Response().Header()
	header.Set("Content-Encoding", "gzip")
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(c.Response())
	// An error here is a client that went away.
	if _, err := z.Write(data); err == nil {
		_ = z.Close()
	}
	return nil
}

func acceptsGzip(header http.Header) bool {
	for _, line := range header["Accept-Encoding"] {
		for part := range strings.SplitSeq(line, ",") {
			coding, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				q := strings.ReplaceAll(params, " ", "")
				return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
			}
		}
	}
	return false
}
