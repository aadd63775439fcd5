package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// request is one question to the ledger; it may be asked several times.
type request struct {
	method, path, query, accept string
	body                        []byte
	limit                       int64 // most bytes of an answer
	ok                          []int // statuses that are answers; nil: 200
	page                        bool  // an HTML page is what was asked for
}

type httpAnswer struct {
	status int
	body   []byte
}

// defaultHTTP has limits where the standard one has none.
var defaultHTTP = &http.Client{Transport: &http.Transport{
	Proxy:                  http.ProxyFromEnvironment,
	DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
	TLSHandshakeTimeout:    10 * time.Second,
	TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	MaxResponseHeaderBytes: 64 << 10,
	MaxIdleConns:           64,
	MaxIdleConnsPerHost:    64,
	IdleConnTimeout:        90 * time.Second,
	ForceAttemptHTTP2:      true,
}}

// base is c.URL, checked. Plain http goes to loopback only, unless Insecure.
func (c *Client) base() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("ledger URL does not parse")
	}
	if u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("ledger URL wants scheme, host and path alone")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && (c.Insecure || isLoopback(u.Hostname())):
	case u.Scheme == "http":
		return nil, errors.New("ledger URL wants https: http is for loopback")
	default:
		return nil, errors.New("ledger URL wants https")
	}
	return u, nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// do asks until there is an answer, a refusal, or no more attempts.
func (c *Client) do(ctx context.Context, q request) (httpAnswer, error) {
	if c.Policy == nil {
		return httpAnswer{}, errors.New("ledger client wants a policy")
	}
	base, err := c.base()
	if err != nil {
		return httpAnswer{}, err
	}
	u := base.JoinPath(q.path)
	u.RawQuery = q.query
	attempts := c.Attempts
	if attempts == 0 {
		attempts = 4
	}
	var told error // the last failure that says more than that the time is up
	for n := 0; ; n++ {
		a, again := c.once(ctx, u, q)
		if again.err == nil {
			return a, nil
		}
		if ctx.Err() != nil && told != nil {
			return httpAnswer{}, &outOfTime{told, ctx.Err()}
		}
		told = again.err
		if !again.retry || attempts >= 0 && n+1 >= attempts || ctx.Err() != nil {
			return httpAnswer{}, told
		}
		if c.Waiting != nil {
			c.Waiting(told)
		}
		if err := pauseBeforeRetry(ctx, n, again.after); err != nil {
			return httpAnswer{}, &outOfTime{told, err}
		}
	}
}

// outOfTime is the last failure that says more than that the time is up, and why there is no further try.
type outOfTime struct{ told, end error }

func (e *outOfTime) Error() string {
	why := "; there was no time for another try"
	if errors.Is(e.end, context.Canceled) {
		why = "; then it was interrupted"
	}
	return strings.TrimSuffix(e.told.Error(), ".") + why
}

func (e *outOfTime) Unwrap() []error { return []error{e.told, e.end} }

// failure is how an attempt ended, and whether another one makes sense.
type failure struct {
	err   error
	retry bool
	after time.Duration // the server's Retry-After
}

func (c *Client) once(ctx context.Context, u *url.URL, q request) (httpAnswer, failure) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, u.String(), bytes.NewReader(q.body))
	if err != nil {
		return httpAnswer{}, failure{err: err}
	}
	r.Header.Set("User-Agent", "assay")
	if q.accept != "" {
		r.Header.Set("Accept", q.accept)
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http().Do(r)
	if err != nil {
		return httpAnswer{}, failure{err: unavailable(err), retry: !isPermanent(err)}
	}
	defer res.Body.Close()
	ok := q.ok
	if ok == nil {
		ok = []int{http.StatusOK}
	}
	if !slices.Contains(ok, res.StatusCode) {
		return httpAnswer{}, refusal(res)
	}
	body, err := readCapped(res.Body, q.limit)
	switch {
	// Of a tile too: whatever a portal puts in the place of an answer is no evidence against the ledger.
	case strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") && !q.page:
		return httpAnswer{}, failure{err: fmt.Errorf("%w: the answer is an HTML page: is there a portal or a proxy in between?", ErrUnavailable)}
	case errors.Is(err, errHuge):
		return httpAnswer{}, failure{err: c.oversized(body, err)}
	case err != nil:
		return httpAnswer{}, failure{err: unavailable(err), retry: true}
	}
	return httpAnswer{res.StatusCode, body}, failure{}
}

func (c *Client) http() *http.Client {
	h := *defaultHTTP
	if c.HTTP != nil {
		h = *c.HTTP
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.Jar = nil
	return &h
}

func refusal(res *http.Response) failure {
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return failure{err: fmt.Errorf("%w: it redirects (status %d): give the URL it redirects to", ErrUnavailable, res.StatusCode)}
	case res.StatusCode < 400:
		return failure{err: fmt.Errorf("%w: unexpected status %d", ErrUnavailable, res.StatusCode)}
	}
	body, err := readCapped(res.Body, maxProblem)
	if err != nil {
		body = nil // cut short: the status says enough
	}
	p := problemOf(res.StatusCode, res.Header.Get("Content-Type"), body)
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return failure{err: p, retry: true, after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	}
	return failure{err: p}
}

// oversized accuses a ledger only by what pretends to be its own: a proof, or a note under a key of the policy.
// Anything else that does not end, tiles too, may come from anybody in between.
func (c *Client) oversized(body []byte, err error) error {
	if isProof(body) || isNote(body) && c.otherLog(body) == nil {
		return &BadProof{"answer", body, err}
	}
	return fmt.Errorf("%w: the answer is none of a ledger: %w", ErrUnavailable, err)
}

var errHuge = errors.New("it is larger than any honest one")

// readCapped returns what came, at most limit bytes, also with an error.
func readCapped(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		return body[:limit], fmt.Errorf("%w: over %d bytes", errHuge, limit)
	}
	return body, err
}

func unavailable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which is long
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// isPermanent: the next handshake will not show another certificate, nor the next look-up a name that is not there.
func isPermanent(err error) bool {
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	return errors.As(err, &certificate) || errors.As(err, &name) && name.IsNotFound
}

const (
	firstPause   = 200 * time.Millisecond
	longestPause = 10 * time.Second
	longestAsked = 5 * time.Minute // of Retry-After; more is taken as this
)

// pauseBeforeRetry waits before attempt n+2: what the server asked for, and a random part of
// an exponentially growing time (full jitter), so that clients do not come back in step.
func pauseBeforeRetry(ctx context.Context, n int, asked time.Duration) error {
	ceiling := longestPause
	if n < 6 {
		ceiling = min(ceiling, firstPause<<n)
	}
	if deadline, ok := ctx.Deadline(); ok {
		// No use waiting for a time that will not come. Otherwise the tries last until the deadline.
		left := time.Until(deadline) - asked
		if left < firstPause {
			return context.DeadlineExceeded
		}
		ceiling = min(ceiling, left)
	}
	t := time.NewTimer(asked + rand.N(ceiling))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryAfter reads seconds or an HTTP date; anything else is no wish.
func retryAfter(s string, now time.Time) time.Duration {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(longestAsked/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(at.Sub(now), 0), longestAsked)
	}
	return 0
}
