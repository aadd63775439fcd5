package timestamp

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tsaNet answers for TSAs by their URL.
type tsaNet map[string]func(request []byte) ([]byte, error)

func (n tsaNet) client(t *testing.T, a *Authority, urls ...string) *Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.RootPEM()) {
		t.Fatal("no root")
	}
	return &Client{
		URLs:    urls,
		Options: Options{Roots: roots},
		Now:     func() time.Time { return testTime },
		Post: func(_ context.Context, url string, request []byte) ([]byte, error) {
			return n[url](request)
		},
	}
}

func newTestAuthority(t testing.TB) *Authority {
	t.Helper()
	a, err := NewAuthority(nil, testTime)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestClientTakesTheFirstTSAThatGivesAGoodToken(t *testing.T) {
	a, stranger := newTestAuthority(t), newTestAuthority(t)
	var nonces [][]byte
	var asked []string
	answer := func(name string, f func(request []byte) ([]byte, error)) func([]byte) ([]byte, error) {
		return func(request []byte) ([]byte, error) {
			asked = append(asked, name)
			q, _, err := parseRequest(request)
			if err != nil || !q.certReq {
				t.Errorf("%s was asked % x: %v", name, request, err)
			}
			nonces = append(nonces, q.nonce.Bytes())
			return f(request)
		}
	}
	replayed := a.Respond(must(Request(testDigest, testNonce)), testTime)
	net := tsaNet{
		"https://down":    answer("down", func([]byte) ([]byte, error) { return nil, errors.New("connection refused") }),
		"https://garbage": answer("garbage", func([]byte) ([]byte, error) { return []byte("<html>"), nil }),
		"https://no":      answer("no", func([]byte) ([]byte, error) { return rejection(UnacceptedPolicy, "no"), nil }),
		"https://foreign": answer("foreign", func(q []byte) ([]byte, error) { return stranger.Respond(q, testTime), nil }),
		"https://replay":  answer("replay", func([]byte) ([]byte, error) { return replayed, nil }),
		"https://ahead":   answer("ahead", func(q []byte) ([]byte, error) { return a.Respond(q, testTime.Add(2*time.Minute)), nil }),
		"https://behind":  answer("behind", func(q []byte) ([]byte, error) { return a.Respond(q, testTime.Add(-11*time.Minute)), nil }),
		"https://good":    answer("good", func(q []byte) ([]byte, error) { return a.Respond(q, testTime.Add(50*time.Second)), nil }),
		"https://never":   answer("never", func(q []byte) ([]byte, error) { return a.Respond(q, testTime), nil }),
	}
	bad := []string{"https://down", "https://garbage", "https://no", "https://foreign", "https://replay", "https://ahead", "https://behind"}

	c := net.client(t, a, append(bad, "https://good", "https://never")...)
	token, err := c.Timestamp(t.Context(), testDigest)
	if err != nil {
		t.Fatal(err)
	}
	if want := testTime.Add(50 * time.Second); !token.Time.Equal(want) {
		t.Errorf("time %s, want %s", token.Time, want)
	}
	if got := strings.Join(asked, " "); got != "down garbage no foreign replay ahead behind good" {
		t.Errorf("asked %s", got)
	}
	for i := range nonces {
		for j := range i {
			if bytes.Equal(nonces[i], nonces[j]) {
				t.Errorf("the same nonce for %s and %s", asked[i], asked[j])
			}
		}
	}

	_, err = net.client(t, a, bad...).Timestamp(t.Context(), testDigest)
	if err == nil {
		t.Fatal("a token out of nothing")
	}
	for _, want := range []string{"asking https://down: connection refused", "asking https://garbage: ", "unacceptedPolicy",
		"unknown authority", "nonce", "is after", "more than 10m0s before"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("errors lack %q:\n%v", want, err)
		}
	}
	refused := (*StatusError)(nil)
	if !errors.As(err, &refused) || refused.Failure != UnacceptedPolicy {
		t.Errorf("no StatusError in %v", err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestClientHoldsGenTimeToItsWindow(t *testing.T) {
	a := newTestAuthority(t)
	for _, tt := range []struct {
		offset   time.Duration
		maxAge   time.Duration
		notAfter time.Time
		ok       bool
	}{
		{offset: 0, ok: true},
		{offset: time.Minute, ok: true},
		{offset: time.Minute + time.Second},
		{offset: -10 * time.Minute, ok: true},
		{offset: -10*time.Minute - time.Second},
		{offset: -10*time.Minute - time.Second, maxAge: time.Hour, ok: true},
		{offset: -2 * time.Second, maxAge: time.Second},
		{offset: 30 * time.Second, notAfter: testTime.Add(10 * time.Second)},              // the caller's is earlier
		{offset: 2 * time.Minute, notAfter: testTime.Add(time.Hour)},                      // and cannot make ours later
		{offset: 50 * time.Second, notAfter: testTime.Add(55 * time.Second), ok: true},    //
		{offset: -50 * time.Second, notAfter: testTime.Add(-55 * time.Second), ok: false}, //
		{offset: -50 * time.Second, notAfter: testTime.Add(-40 * time.Second), ok: true},  //
		{offset: 365 * 24 * time.Hour * 70, notAfter: testTime.Add(time.Hour), ok: false}, // no certificate lives so long
	} {
		net := tsaNet{"https://a": func(q []byte) ([]byte, error) { return a.Respond(q, testTime.Add(tt.offset)), nil }}
		c := net.client(t, a, "https://a")
		c.MaxAge, c.Options.NotAfter = tt.maxAge, tt.notAfter
		if _, err := c.Timestamp(t.Context(), testDigest); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestClientWithoutURLSaysSo(t *testing.T) {
	a := newTestAuthority(t)
	if _, err := (tsaNet{}).client(t, a).Timestamp(t.Context(), testDigest); err == nil || !strings.Contains(err.Error(), "no TSA URL") {
		t.Error(err)
	}
	if _, err := (&Client{URLs: []string{"https://a"}}).Timestamp(t.Context(), testDigest); err == nil || !strings.Contains(err.Error(), "Post") {
		t.Error(err)
	}
}

func TestClientStopsBetweenURLsWhenTheContextEnds(t *testing.T) {
	a := newTestAuthority(t)
	ctx, cancel := context.WithCancel(t.Context())
	net := tsaNet{
		"https://a": func([]byte) ([]byte, error) { cancel(); return nil, errors.New("first") },
		"https://b": func(q []byte) ([]byte, error) { t.Error("asked after the end"); return a.Respond(q, testTime), nil },
	}
	_, err := net.client(t, a, "https://a", "https://b").Timestamp(ctx, testDigest)
	if !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), "first") {
		t.Errorf("got %v", err)
	}
}

func TestClientErrorsShowNoPassword(t *testing.T) {
	a := newTestAuthority(t)
	for _, url := range []string{"https://user:secret@tsa.example/", "https://user:secret@%zz/"} {
		net := tsaNet{url: func([]byte) ([]byte, error) { return nil, errors.New("down") }}
		_, err := net.client(t, a, url).Timestamp(t.Context(), testDigest)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}

func TestClientWithoutRandomnessAsksNobody(t *testing.T) {
	a := newTestAuthority(t)
	net := tsaNet{"https://a": func(q []byte) ([]byte, error) { t.Error("asked"); return nil, nil }}
	c := net.client(t, a, "https://a")
	c.Rand = bytes.NewReader([]byte("short"))
	if _, err := c.Timestamp(t.Context(), testDigest); err == nil || !strings.Contains(err.Error(), "nonce") {
		t.Error(err)
	}
}
