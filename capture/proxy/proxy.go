// Package proxy is a recording proxy: it stands between a program and the hosts of models, forwards what passes as it
// is, and records one receipt for every attempt.
//
//	http://127.0.0.1:40123/<token>/to/openai/chat/completions                    an upstream of the run, by name
//	http://127.0.0.1:40123/<token>/at/https/api.openai.com/v1/chat/completions   a known host, for hooks
//
// What is behind the name is appended to the upstream's base as it was written; so is what is behind the host. Bodies are
// read on their way by capture/call, which keeps no content; nothing waits for it. Before the first byte of a
// request leaves, its intent is on disk, and when the response has ended its receipt is written.
//
// The program sees no proxy: where an upstream cannot be reached, or breaks off, its own connection is closed as the
// upstream's would have been.
package proxy

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/Haserjian/assay-ledger/capture/call"
)

const maxKept = 64 << 20 // bytes of bodies that all attempts together keep to be read

// Config is what a proxy is made of.
type Config struct {
	Token     string              // the first segment of every path; who does not know it is refused
	Upstreams map[string]Upstream // by name
	Recorder  Recorder
	Closed    bool              // forward nothing that cannot be recorded (--proxy-fail closed)
	Transport http.RoundTripper // nil: NewTransport
	Now       func() time.Time  // nil: time.Now
}

// Proxy is an http.Handler.
type Proxy struct {
	token     string
	upstreams map[string]Upstream
	hosts     map[string]string // authority of an upstream → provider
	desk      *desk
	closed    bool
	forward   *httputil.ReverseProxy
	open      sync.WaitGroup // attempts
	buffers   sync.Pool
	self      string // host:port that it is served on; set before the first request
}

// New makes a proxy. Its error names the upstream that is none.
func New(c Config) (*Proxy, error) {
	p := &Proxy{token: c.Token, upstreams: c.Upstreams, hosts: map[string]string{}, closed: c.Closed,
		desk: &desk{recorder: c.Recorder, budget: call.NewBudget(maxKept), now: c.Now}}
	if len(c.Token) < 32 {
		return nil, errors.New("the token of a proxy: expected 32 characters or more")
	}
	for name, u := range c.Upstreams {
		if err := u.check(); err != nil {
			return nil, fmt.Errorf("upstream %s: %w", name, err)
		}
		p.hosts[authority(u.Base)] = u.Provider
	}
	p.desk.budget.Brotli = func(r io.Reader) io.Reader { return brotli.NewReader(r) }
	if p.desk.now == nil {
		p.desk.now = time.Now
	}
	transport := c.Transport
	if transport == nil {
		transport = NewTransport()
	}
	p.buffers.New = func() any { return make([]byte, 32<<10) }
	p.forward = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      transport,
		FlushInterval:  -1, // CAP-2: bytes are passed on as they arrive
		ModifyResponse: p.tapResponse,
		ErrorHandler:   noUpstream,
		ErrorLog:       log.New(io.Discard, "", 0), // it would name URLs, in which there may be keys
		BufferPool:     p,
	}
	return p, nil
}

// Get and Put are the proxy's buffers, for httputil.
func (p *Proxy) Get() []byte  { return p.buffers.Get().([]byte) }
func (p *Proxy) Put(b []byte) { p.buffers.Put(b) } //nolint:staticcheck // a slice header is cheap beside 32 KiB

// errLoop is an upstream that is this proxy.
var errLoop = errors.New("the upstream is this proxy itself: give its base URL with --upstream NAME=URL")

// find tells where a request goes by what it asks for, "/<token>/to/…" with its query.
func (p *Proxy) find(asked string) (target, error) {
	token, rest, _ := strings.Cut(strings.TrimPrefix(asked, "/"), "/")
	if subtle.ConstantTimeCompare([]byte(token), []byte(p.token)) != 1 {
		return target{}, fmt.Errorf("%w: the path has not the token of this run", errRefused)
	}
	kind, rest, _ := strings.Cut(rest, "/")
	switch kind {
	case "to":
		name, rest := cutSegment(rest)
		u, ok := p.upstreams[name]
		if !ok {
			return target{}, fmt.Errorf("%w: this run has no upstream of that name", errRefused)
		}
		return u.target(rest)
	case "at":
		scheme, rest, _ := strings.Cut(rest, "/")
		host, rest := cutSegment(rest)
		base, err := url.Parse(scheme + "://" + host)
		if err != nil || (Upstream{base, "any"}).check() != nil || base.Path != "" {
			return target{}, fmt.Errorf("%w: no host to forward to", errRefused)
		}
		provider, ok := p.hosts[authority(base)]
		if !ok {
			provider, ok = call.ProviderOf(authority(base))
		}
		if !ok {
			return target{}, fmt.Errorf("%w: not the host of a model, nor an upstream of this run", errRefused)
		}
		return Upstream{base, provider}.target(rest)
	}
	return target{}, fmt.Errorf("%w: neither to an upstream nor at a host", errRefused)
}

// isSelf reports whether an authority is the proxy's own: a user's variable may lead here.
func (p *Proxy) isSelf(authority string) bool {
	host, port, err := net.SplitHostPort(authority)
	_, own, _ := net.SplitHostPort(p.self)
	ip := net.ParseIP(host)
	return err == nil && port == own && (host == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()))
}

// cutSegment cuts the first segment of a path off; the rest begins with / or ?, or is empty.
func cutSegment(path string) (segment, rest string) {
	if i := strings.IndexAny(path, "/?"); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// ServeHTTP forwards one attempt.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to, err := p.find(r.RequestURI)
	if err == nil && p.isSelf(authority(to.url)) {
		err = errLoop
	}
	if err != nil {
		p.desk.counts.refused.Add(1)
		status := http.StatusForbidden
		if errors.Is(err, errLoop) {
			status = http.StatusLoopDetected
		}
		http.Error(w, "assay: "+err.Error(), status)
		return
	}
	p.open.Add(1)
	defer p.open.Done()
	a := &attempt{desk: p.desk, to: to, began: p.desk.now()}
	route := call.Find(to.provider, r.Method, to.path)
	switch {
	case r.Header.Get("Upgrade") != "":
		p.desk.counts.upgraded.Add(1)
	case !route.Recorded:
		p.desk.counts.other.Add(1)
	default:
		if err := a.begin(route, r); err != nil && p.closed {
			a.abandon()
			http.Error(w, "assay: this request cannot be recorded, and nothing is forwarded unrecorded", http.StatusServiceUnavailable)
			return
		}
		defer func() {
			said := a.finish(r.Context())
			p.open.Go(func() { a.record(said) }) // the program has its response before the receipt is written
		}()
	}
	out := r.WithContext(context.WithValue(r.Context(), attemptKey{}, a))
	if a.call != nil && r.Body != nil && r.Body != http.NoBody {
		out.Body = &tap{from: r.Body, bytes: a.call.Request, end: a.call.RequestEnd}
	}
	p.forward.ServeHTTP(&asItIs{ResponseWriter: w}, out)
}

// rewrite points a request at its upstream. What httputil drops besides hop-by-hop fields is put back (CAP-1).
func rewrite(r *httputil.ProxyRequest) {
	a := attemptOf(r.In)
	r.Out.URL, r.Out.Host = a.to.url, a.to.url.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, ok := r.In.Header[name]; ok {
			r.Out.Header[name] = values
		}
	}
	for name := range r.Out.Header {
		if strings.HasPrefix(name, "X-Assay-") {
			delete(r.Out.Header, name)
		}
	}
}

// tapResponse has the response read on its way.
func (p *Proxy) tapResponse(resp *http.Response) error {
	a := attemptOf(resp.Request)
	if a.call == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return nil
	}
	a.call.Response(call.ResponseHead{Status: resp.StatusCode, Header: resp.Header})
	resp.Body = &tap{from: resp.Body, bytes: a.body, end: a.bodyEnd}
	p.open.Go(a.call.ReadRequest) // while a long stream lasts, its prompt needs no room
	return nil
}

// noUpstream ends a request that has no response: as the upstream's own silence would (CAP-4).
func noUpstream(_ http.ResponseWriter, r *http.Request, err error) {
	attemptOf(r).noResponse(err)
	panic(http.ErrAbortHandler) // the server closes the connection, and logs nothing
}

// asItIs keeps the server from adding fields to a response: Date, and a Content-Type that it guesses.
type asItIs struct {
	http.ResponseWriter
	sent bool
}

func (w *asItIs) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *asItIs) WriteHeader(status int) {
	if !w.sent && status >= 200 {
		w.sent = true
		for _, name := range []string{"Date", "Content-Type"} {
			if _, ok := w.Header()[name]; !ok {
				w.Header()[name] = nil
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Counts may be called at any time.
func (p *Proxy) Counts() Counts { return p.desk.counts.now() }
