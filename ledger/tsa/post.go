package tsa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// timeout bounds one exchange, from dialling to the last byte, within what ctx leaves.
const timeout = 10 * time.Second

// Post returns the transport of a timestamp.Client over c (nil: a client with net/http's
// defaults). Redirects are not followed and cookies not kept, whatever c says.
//
// URLs come from the operator's configuration. They must be https; http is for loopback, where
// the development TSA lives. The https certificate adds nothing to the token, but a TSA behind
// plain http lets anyone on the way refuse timestamps.
func Post(c *http.Client) func(ctx context.Context, url string, request []byte) ([]byte, error) {
	direct := new(http.Client)
	if c != nil {
		*direct = *c
	}
	direct.Jar = nil
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context, address string, request []byte) ([]byte, error) {
		if err := CheckURL(address); err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return post(ctx, direct, address, request)
	}
}

func post(ctx context.Context, c *http.Client, address string, request []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(request))
	if err != nil {
		return nil, errors.New("TSA URL does not parse")
	}
	r.Header.Set("Content-Type", queryType)
	r.Header.Set("Accept", replyType)
	response, err := c.Do(r)
	if err != nil {
		return nil, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("TSA answered %d, want 200", response.StatusCode)
	}
	if !isType(response.Header, replyType) {
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

// CheckURL allows https to anywhere and http to this machine, as Post does. Its errors do not show the URL,
// which may hold a password.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return errors.New("TSA URL does not parse: want https://HOST/PATH")
	}
	switch {
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	case u.Scheme == "http":
		return fmt.Errorf("TSA URL of %s: http is for loopback only, want https", u.Hostname())
	}
	return fmt.Errorf("TSA URL of %s: scheme %q, want https", u.Hostname(), u.Scheme)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// withoutURL drops the request line that net/http puts before the reason: the client names the TSA.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return fmt.Errorf("TSA did not answer: %w", e.Err)
	}
	return err
}

func isType(h http.Header, want string) bool {
	got, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && got == want
}
