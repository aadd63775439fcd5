// Package api is the HTTP face of a ledger: submissions, queries, proofs and the
// C2SP tlog-tiles of the log itself.
//
//	POST /v1/entries?source_repo=owner/name     pack_manifest.json in, tlog-proof out
//	GET  /v1/entries?signer=…&since=…&cursor=…  newest first
//	GET  /v1/entries/{manifest | pack root | index}[/proof]
//	GET  /v1/log                                origin, key, policy, TSA roots, limits
//	GET  /checkpoint  /tile/<L>/<N>[.p/<W>]  /tile/entries/<N>[.p/<W>]
//	GET  /checkpoints/<N>[.p/<W>]  /checkpoints/count  /policy  /tsa-roots.pem
//	GET  /healthz  /readyz  /problems/{name}
//
// Every error is an RFC 9457 problem; problem.go holds all of them.
package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// Log is the log behind the API; *ledger.Log is one.
type Log interface {
	Add(ctx context.Context, manifest []byte, src entry.Source) (*entry.Anchored, error)
	Checkpoint(ctx context.Context) (*trust.Checkpoint, error)
	Prove(ctx context.Context, index int64) (*entry.Anchored, error)
	Tile(ctx context.Context, path string) ([]byte, error)
	History(ctx context.Context, path string) ([]byte, error)
	HistorySize() int64
	Health(ctx context.Context) error
	Notes() []ledger.Reason // what submissions go without although Health is nil

	// Accept is Add for those who do not wait: durable when it returns. Accepted tells whether a
	// manifest is on its way.
	Accept(ctx context.Context, manifest []byte, src entry.Source) (digest trust.Digest, err error)
	Accepted(digest trust.Digest) bool
}

// Index finds entries; *index.Index is one. It is believed only as to where to
// look: what it points at is read back from the Log and compared.
type Index interface {
	Find(ctx context.Context, manifest trust.Digest) (index int64, ok bool, err error)
	FindPackRoot(ctx context.Context, root trust.Digest) ([]int64, error)
	Search(ctx context.Context, q index.Query) ([]int64, error)
}

var (
	_ Log   = (*ledger.Log)(nil)
	_ Index = (*index.Index)(nil)
)

// Config is what the API serves and its limits.
type Config struct {
	Log      Log              // required
	Index    Index            // required
	Policy   *trust.Policy    // required: published under /v1/log and /policy; has the log line of the log
	TSARoots *timestamp.Roots // published under /v1/log and /tsa-roots.pem; nil: none

	Wait time.Duration // how long a submission waits for publication; zero: 30 s

	// Rate and Burst bound requests under /v1/ for each client network (IPv4 /24,
	// IPv6 /48), in requests per second. Rate zero: unlimited (tests, benchmarks,
	// or a proxy in front that limits). Burst zero: twice the rate, at least 1.
	// Checkpoint and tiles are not counted: they are cacheable and cheap.
	Rate  float64
	Burst int

	MaxInFlight int // submissions being logged at one time, waiting clients; zero: 4096

	// TrustedProxies may name the client in X-Forwarded-For. Empty: the header
	// is ignored and the client is the peer of the connection.
	TrustedProxies []netip.Prefix

	// Pages answers GET and HEAD of what is no endpoint of the API, with headers of its own, and is false for what is not
	// there: that stays a problem. nil: nothing is there.
	Pages func(http.ResponseWriter, *http.Request) bool

	// Notes are further ones for /readyz: what is not as it should be, and keeps no submission out. nil: none.
	Notes func() []ledger.Reason

	Logger *slog.Logger     // nil: discard
	Now    func() time.Time // nil: time.Now; for the rate limit and the log lines
}

// Handler is the API.
type Handler struct {
	cfg     Config
	origin  string
	vkey    string
	echo    *echo.Echo
	limit   *limiter // nil: unlimited
	waiting chan struct{}
}

// New returns the handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Log == nil || cfg.Index == nil || cfg.Policy == nil {
		return nil, errors.New("api config wants a log, an index and a policy")
	}
	logs := cfg.Policy.Logs()
	if len(logs) != 1 {
		return nil, fmt.Errorf("policy of a ledger wants one log line, has %d", len(logs))
	}
	if cfg.Wait == 0 {
		cfg.Wait = 30 * time.Second
	}
	if cfg.MaxInFlight == 0 {
		cfg.MaxInFlight = 4096
	}
	if cfg.Wait < 0 || cfg.MaxInFlight < 0 || cfg.Rate < 0 || cfg.Burst < 0 {
		return nil, errors.New("api config wants no negative limit")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	h := &Handler{
		cfg:     cfg,
		origin:  logs[0].Origin,
		vkey:    logs[0].VKey,
		limit:   newLimiter(cfg.Rate, cfg.Burst),
		waiting: make(chan struct{}, cfg.MaxInFlight),
	}
	h.routes()
	return h, nil
}

func (h *Handler) routes() {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(io.Discard) // ours is slog
	// Echo's default believes X-Forwarded-For of anybody.
	e.IPExtractor = echo.ExtractIPDirect()
	if len(h.cfg.TrustedProxies) > 0 {
		e.IPExtractor = echo.ExtractIPFromXFFHeader(trustOnly(h.cfg.TrustedProxies)...)
	}
	e.HTTPErrorHandler = func(err error, c echo.Context) { writeProblem(c, problemOf(c.Request().Method, err)) }
	e.Pre(h.around)

	read := func(path string, f echo.HandlerFunc) { e.GET(path, f); e.HEAD(path, f) }
	e.POST("/v1/entries", h.limited(h.submit))
	read("/v1/entries", h.limited(h.search))
	read("/v1/entries/:id", h.limited(h.entry))
	read("/v1/entries/:id/proof", h.limited(h.proof))
	read("/v1/log", h.limited(h.about))
	read("/checkpoint", h.checkpoint)
	read("/tile/*", h.tile)
	read("/checkpoints/*", h.checkpoints)
	read("/policy", h.policy)
	read("/tsa-roots.pem", h.tsaRoots)
	read("/healthz", func(c echo.Context) error { return writeText(c, http.StatusOK, noStore, "ok\n") })
	read("/readyz", h.ready)
	read("/problems/:name", explain)
	h.echo = e
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.echo.ServeHTTP(w, r) }

const (
	typeText = "text/plain; charset=utf-8"
	typeJSON = "application/json"
	noStore  = "no-store"
)

// around every request: headers, recover, one log line.
func (h *Handler) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		start := h.cfg.Now()
		r, header := c.Request(), c.Response().Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			header.Set("Access-Control-Allow-Origin", "*")
		}
		defer func() {
			v := recover()
			if v == http.ErrAbortHandler {
				panic(v)
			}
			if v != nil {
				err = &panicked{value: v, stack: debug.Stack()}
			}
			// Half an answer must not look like a whole one: drop the connection.
			abort := err != nil && !writeProblem(c, problemOf(c.Request().Method, err))
			h.logRequest(c, start, err)
			err = nil // written and logged; echo has nothing left to do
			if abort {
				panic(http.ErrAbortHandler)
			}
		}()
		if err = next(c); errors.Is(err, echo.ErrNotFound) && h.page(c) { // no route leads there
			err = nil
		}
		return err
	}
}

type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// logRequest writes one line: no query, no header, no body, no field over 256 bytes; an error has 2048, since it
// is a sentence whose end says what to do.
func (h *Handler) logRequest(c echo.Context, start time.Time, err error) {
	r, res := c.Request(), c.Response()
	level := slog.LevelInfo
	if res.Status >= 500 && res.Status != http.StatusServiceUnavailable {
		level = slog.LevelError
	}
	if !h.cfg.Logger.Enabled(r.Context(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.String("method", clipText(r.Method)),
		slog.String("path", clipText(r.URL.Path)),
		slog.Int("status", res.Status),
		slog.Int64("bytes", res.Size),
		slog.Duration("took", h.cfg.Now().Sub(start)),
		slog.String("client", clipText(c.RealIP())))
	if err != nil {
		attrs = append(attrs, slog.String("err", clipBytes(2048, err.Error())))
	}
	var p *panicked
	if errors.As(err, &p) {
		attrs = append(attrs, slog.String("at", clipText(panicSite(p.stack))))
	}
	h.cfg.Logger.LogAttrs(r.Context(), level, "request", attrs...)
}

// panicSite is the end of the stack that the panic came from, without our recover.
func panicSite(stack []byte) string {
	text := string(stack)
	if _, after, ok := strings.Cut(text, "\npanic("); ok {
		text = after
	}
	if _, after, ok := strings.Cut(text, "\n\t"); ok {
		if _, after, ok = strings.Cut(after, "\n"); ok {
			text = after
		}
	}
	return text
}

// clipText keeps a log field to 256 bytes of valid UTF-8; the slog handler escapes the rest.
func clipText(s string) string { return clipBytes(256, s) }

// clipBytes ends what is longer than limit bytes with "…", so that nobody takes it for the whole.
func clipBytes(limit int, s string) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "?")
	}
	const more = "…"
	return strings.ToValidUTF8(s[:limit-len(more)], "") + more
}

func trustOnly(proxies []netip.Prefix) []echo.TrustOption {
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		options = append(options, echo.TrustIPRange(clientNetwork(p)))
	}
	return options
}

// ready says whether a submission made now would get its proof, and if not every reason.
func (h *Handler) ready(c echo.Context) error {
	err := h.cfg.Log.Health(c.Request().Context())
	if err == nil {
		text := "ready\n"
		notes := h.cfg.Log.Notes()
		if h.cfg.Notes != nil {
			notes = append(notes, h.cfg.Notes()...)
		}
		for _, note := range notes {
			text += fmt.Sprintf("note: %s: %s\n", note.About, note.Public)
		}
		return writeText(c, http.StatusOK, noStore, text)
	}
	p := notReady
	var why *ledger.NotReady
	if errors.As(err, &why) {
		p.reasons = why.Reasons
	}
	return &refusal{problem: p, cause: err}
}
