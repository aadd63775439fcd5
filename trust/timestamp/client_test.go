package timestamp

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

// tsaNet answers for TSAs by their URL.
type tsaNet map[string]func(request []byte) ([]byte, error)

func (n tsaNet) client(t *testing.T, a *Authority, url string) *Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.RootPEM()) {
		t.Fatal("no root")
	}
	return &Client{
		URL:     url,
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

// API-29
func TestClientBelievesGoodTokensOnly(t *testing.T) {
	a, stranger := newTestAuthority(t), newTestAuthority(t)
	replayed := a.Respond(must(Request(testDigest, testNonce)), testTime)
	good := testTime.Add(50 * time.Second)
	nonces := map[string]bool{}
	for name, tt := range map[string]struct {
		answer func(request []byte) ([]byte, error)
		want   string // in the error
	}{
		"down":    {func([]byte) ([]byte, error) { return nil, errors.New("connection refused") }, "connection refused"},
		"garbage": {func([]byte) ([]byte, error) { return []byte("<html>"), nil }, "response"},
		"no":      {func([]byte) ([]byte, error) { return rejection(UnacceptedPolicy, "no"), nil }, "unacceptedPolicy"},
		"foreign": {func(q []byte) ([]byte, error) { return stranger.Respond(q, testTime), nil }, "unknown authority"},
		"replay":  {func([]byte) ([]byte, error) { return replayed, nil }, "nonce"},
		"ahead":   {func(q []byte) ([]byte, error) { return a.Respond(q, testTime.Add(2*time.Minute)), nil }, "is after"},
		"behind":  {func(q []byte) ([]byte, error) { return a.Respond(q, testTime.Add(-11*time.Minute)), nil }, "more than 10m0s before"},
		"good":    {func(q []byte) ([]byte, error) { return a.Respond(q, good), nil }, ""},
	} {
		net := tsaNet{"https://" + name: func(request []byte) ([]byte, error) {
			q, _, err := parseRequest(request)
			if err != nil || !q.certReq || nonces[q.nonce.String()] {
				t.Errorf("%s was asked % x: %v", name, request, err)
			}
			nonces[q.nonce.String()] = true
			return tt.answer(request)
		}}
		token, err := net.client(t, a, "https://"+name).Timestamp(t.Context(), testDigest)
		switch {
		case tt.want == "" && (err != nil || !token.Time.Equal(good)):
			t.Errorf("%s: %+v, %v", name, token, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if refused := (*StatusError)(nil); errors.As(err, &refused) != (name == "no") || name == "no" && refused.Failure != UnacceptedPolicy {
			t.Errorf("%s: %v is a refusal", name, err)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// API-29
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
	if _, err := (tsaNet{}).client(t, a, "").Timestamp(t.Context(), testDigest); err == nil || !strings.Contains(err.Error(), "no TSA URL") {
		t.Error(err)
	}
	if _, err := (&Client{URL: "https://a"}).Timestamp(t.Context(), testDigest); err == nil || !strings.Contains(err.Error(), "Post") {
		t.Error(err)
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
