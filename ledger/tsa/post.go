package tsa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

const (
	// timeout bounds one exchange, from dialling to the last byte, within what ctx leaves. (Of those who use
	// Post without a Chain it bounds the wait for a connection too.)
	timeout = 5 * time.Second
	// maxConnections to one host, in use or kept for the next entry. Further entries wait for one, in Chain.ask.
	maxConnections = 32

	maxURL = 2 << 10
)

// Post returns the transport of a timestamp.Client over c (nil: one that opens at most 32 connections to
// a host and keeps them). Redirects are not followed and cookies not kept, whatever c says.
//
// URLs come from the operator's configuration and are https or http: most public TSAs have nothing else,
// and a token needs no channel that protects it. It is signed, names the digest and our nonce, and must
// lead to a root that the operator named, so who sits on the way can only refuse timestamps, as he can
// with https, and learn the digest, which the ledger publishes.
func Post(c *http.Client) func(ctx context.Context, url string, request []byte) ([]byte, error) {
	direct := new(http.Client)
	if c != nil {
		*direct = *c
	} else {
		direct.Transport = newTransport()
	}
	direct.Jar = nil
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context, address string, request []byte) ([]byte, error) {
		if err := checkURL(address); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return exchange(ctx, direct, address, request)
	}
}

// newTransport keeps as many connections as it may open: net/http's default of two for a host made a
// new one for nearly every entry of a busy ledger.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = maxConnections, maxConnections
	t.DialContext = (&net.Dialer{Timeout: timeout}).DialContext // a dial outlives the request that gave up on it
	return t
}

func exchange(ctx context.Context, c *http.Client, address string, request []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(request))
	if err != nil {
		return nil, errors.New("TSA URL does not parse")
	}
	r.Header.Set("Content-Type", queryType)
	r.Header.Set("Accept", replyType)
	// To ask twice does no harm. An empty list is not sent; it tells net/http to repeat the request when the
	// TSA closed the connection that was kept just before it came.
	r.Header["Idempotency-Key"] = nil
	response, err := c.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	// RFC 3161 §3.4 names no status. Some TSAs say 201, since they have made a token; what it is worth shows
	// in the token. Any other success (202, 204, 206) is one without a whole token in it.
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("TSA answered %d, want 200 or 201", response.StatusCode)
	}
	if !hasType(response.Header, replyType) {
		return nil, fmt.Errorf("TSA answered with content type %.100q, want %s", response.Header.Get("Content-Type"), replyType)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, timestamp.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the TSA's answer: %w", err)
	}
	if len(body) > timestamp.MaxSize {
		return nil, fmt.Errorf("TSA answered with more than %d bytes", timestamp.MaxSize)
	}
	return body, nil
}

// checkURL allows http and https to anywhere, without user information (a password would go over the wire
// in the clear) and fragment. Its errors do not show the URL, which may hold a secret.
func checkURL(address string) error {
	if len(address) > maxURL {
		return fmt.Errorf("TSA URL is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("TSA URL does not parse: want https://HOST/PATH or http://HOST/PATH")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("TSA URL of %s: scheme %q, want https or http", u.Hostname(), u.Scheme)
	case u.User != nil:
		return fmt.Errorf("TSA URL of %s: it has user information in it, want none", u.Hostname())
	case strings.Contains(address, "#"):
		return fmt.Errorf("TSA URL of %s: it has a fragment, want none", u.Hostname())
	}
	return nil
}

// CheckURLs looks at the URLs of a ledger's authorities: http or https, no user information, no fragment,
// and each once, because an authority is no second one to fall back on for itself. Errors do not show the
// URLs, which may hold a secret.
func CheckURLs(addresses []string) error {
	for i, address := range addresses {
		if err := checkURL(address); err != nil {
			return err
		}
		if slices.Contains(addresses[:i], address) {
			return fmt.Errorf("TSA URL %d is there twice", i+1)
		}
	}
	return nil
}

// withoutURL drops the request line that net/http puts before the reason: the client names the TSA.
func withoutURL(err error) error {
	var e *url.Error
	switch ok := errors.As(err, &e); {
	case ok && e.Timeout():
		return fmt.Errorf("TSA did not answer in time: %w", e.Err)
	case ok:
		return fmt.Errorf("TSA did not answer: %w", e.Err)
	}
	return err
}

func hasType(h http.Header, want string) bool {
	got, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && got == want
}
