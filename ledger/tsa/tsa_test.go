package tsa

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

var (
	testTime   = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	testDigest = sha256.Sum256([]byte("the manifest"))
)

func clock() time.Time { return testTime }

func newAuthority(t testing.TB) (*timestamp.Authority, *x509.CertPool) {
	t.Helper()
	a, err := timestamp.NewAuthority(nil, testTime)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.RootPEM())
	return a, roots
}

func started(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func request(t testing.TB) []byte {
	t.Helper()
	der, err := timestamp.Request(testDigest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAClientGetsATokenFromTheHandler(t *testing.T) {
	a, roots := newAuthority(t)
	s := started(t, Handler(a, clock))
	c := timestamp.Client{URL: s.URL, Options: timestamp.Options{Roots: roots}, Now: clock, Post: Post(s.Client())}
	token, err := c.Timestamp(t.Context(), testDigest)
	if err != nil {
		t.Fatal(err)
	}
	if !token.Time.Equal(testTime) {
		t.Errorf("stamped %s, want %s", token.Time, testTime)
	}
}

func TestAClientGetsATokenOverTLS(t *testing.T) {
	a, roots := newAuthority(t)
	s := httptest.NewTLSServer(Handler(a, clock))
	defer s.Close()
	c := timestamp.Client{URL: s.URL + "/", Options: timestamp.Options{Roots: roots}, Now: clock, Post: Post(s.Client())}
	if _, err := c.Timestamp(t.Context(), testDigest); err != nil {
		t.Fatal(err)
	}
	c.Post = Post(nil) // which does not know the server's certificate
	if _, err := c.Timestamp(t.Context(), testDigest); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}

// API-27
func TestPostSendsWhatRFC3161Asks(t *testing.T) {
	s := started(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(body, request(t)) {
			t.Errorf("body % x, %v", body, err)
		}
		if r.Method != "POST" || r.Header.Get("Content-Type") != "application/timestamp-query" ||
			r.Header.Get("Accept") != "application/timestamp-reply" || r.ContentLength != int64(len(body)) || len(r.Cookies()) != 0 || r.Header["Idempotency-Key"] != nil {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		w.Header().Set("Content-Type", "Application/Timestamp-Reply; charset=binary")
		w.Write([]byte("answer"))
	}))
	got, err := Post(s.Client())(t.Context(), s.URL+"/tsr?policy=1", request(t))
	if err != nil || string(got) != "answer" {
		t.Errorf("%q, %v", got, err)
	}
}

// API-28
func TestPostRefusesAnswersThatAreNotTimestampReplies(t *testing.T) {
	reply := func(status int, contentType string, size int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			w.Write(make([]byte, size))
		})
	}
	for _, tt := range []struct {
		name    string
		handler http.Handler
		want    string // in the error; "": accepted
	}{
		{"64 KiB", reply(200, replyType, timestamp.MaxSize), ""},
		{"64 KiB and one", reply(200, replyType, timestamp.MaxSize+1), "more than 65536"},
		{"a mountain", reply(200, replyType, 8<<20), "more than 65536"},
		{"text", reply(200, "text/html", 10), `"text/html"`},
		{"no content type", reply(200, "", 10), "content type"},
		{"a query", reply(200, queryType, 10), "content type"},
		{"201", reply(201, replyType, 10), ""},
		{"202", reply(202, replyType, 10), "answered 202"},
		{"204", reply(204, replyType, 0), "answered 204"},
		{"206", reply(206, replyType, 10), "answered 206"},
		{"500", reply(500, replyType, 10), "answered 500"},
		{"cut short", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", replyType)
			w.Header().Set("Content-Length", "100")
			w.Write(make([]byte, 10))
		}), "unexpected EOF"},
	} {
		s := started(t, tt.handler)
		_, err := Post(nil)(t.Context(), s.URL, request(t))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// API-28
func TestPostFollowsNoRedirect(t *testing.T) {
	var asked atomic.Int32
	target := started(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1) }))
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := started(t, http.RedirectHandler(target.URL, status))
		c := s.Client()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // would follow
		if _, err := Post(c)(t.Context(), s.URL, request(t)); err == nil || !strings.Contains(err.Error(), "answered 30") {
			t.Errorf("%d: %v", status, err)
		}
		if c.CheckRedirect(nil, nil) != nil {
			t.Error("the caller's client was changed")
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d redirects followed", n)
	}
}

// noNetwork fails the test when a request gets as far as the network.
type noNetwork struct{ t *testing.T }

func (n noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("asked %s", r.URL.Redacted())
	return nil, errors.New("no network")
}

func TestPostAsksHTTPAndHTTPSOnlyAndNoURLWithAUser(t *testing.T) {
	for _, address := range []string{
		"http://user:secret@tsa.example/", "https://user@tsa.example/", "http://127.0.0.1@tsa.example/", "https://:secret@tsa.example/",
		"ftp://127.0.0.1/", "file:///etc/passwd", "file://tsa.example/etc/passwd", "gopher://tsa.example/", "unix:/run/tsa.sock", "javascript:secret",
		"tsa.example", "//tsa.example/", "", "https:///path", "https://:443/", "https://user:secret@%zz/", "http://127.0.0.1:port/", "http:tsa.example/",
		"https://tsa.example/#secret", "https://tsa.example/#", "https://tsa.example/\n", " https://tsa.example/", "https://tsa.example/" + strings.Repeat("a", maxURL),
	} {
		_, err := Post(&http.Client{Transport: noNetwork{t}})(t.Context(), address, request(t))
		if err == nil || !strings.HasPrefix(err.Error(), "TSA URL") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{
		"http://127.0.0.1:1/", "http://[::1]:1", "http://tsa.example/", "HTTP://tsa.example", "http://tsa.example:8080/tsr?policy=1", "https://tsa.example/", "https://10.0.0.1/",
	} {
		if err := checkURL(address); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestPostErrorsShowNoPassword(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	address := dead.URL + "/?token=secret"
	if _, err := Post(nil)(t.Context(), address, request(t)); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

// hangs is a TSA that takes the request and never answers.
type hangs struct{}

func (hangs) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// API-28
func TestPostGivesUpAfterFiveSecondsOrWhenTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		post := Post(&http.Client{Transport: hangs{}})
		for _, tt := range []struct{ limit, want time.Duration }{{time.Hour, timeout}, {2 * time.Second, 2 * time.Second}} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
			start := time.Now()
			_, err := post(ctx, "https://tsa.example/", request(t))
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != tt.want {
				t.Errorf("with %s: %v after %s", tt.limit, err, took)
			}
			cancel()
		}
	})
}

func TestHandlerAnswersWhatIsNotAQueryWithAStatus(t *testing.T) {
	a, _ := newAuthority(t)
	h := Handler(a, clock)
	for _, tt := range []struct {
		name, method, path, contentType string
		body                            io.Reader
		want                            int
	}{
		{"query", "POST", "/", queryType, bytes.NewReader(request(t)), 200},
		{"query with a parameter", "POST", "/", queryType + "; charset=binary", bytes.NewReader(request(t)), 200},
		{"not a query inside", "POST", "/", queryType, strings.NewReader("hello"), 200}, // a rejection
		{"no body", "POST", "/", queryType, nil, 200},
		{"64 KiB", "POST", "/", queryType, bytes.NewReader(make([]byte, timestamp.MaxSize)), 200},
		{"64 KiB and one", "POST", "/", queryType, bytes.NewReader(make([]byte, timestamp.MaxSize+1)), 413},
		{"other type", "POST", "/", "application/octet-stream", bytes.NewReader(request(t)), 415},
		{"reply type", "POST", "/", replyType, bytes.NewReader(request(t)), 415},
		{"no type", "POST", "/", "", bytes.NewReader(request(t)), 415},
		{"PUT", "PUT", "/", queryType, bytes.NewReader(request(t)), 405},
		{"DELETE", "DELETE", "/", "", nil, 405},
		{"POST to the root certificate", "POST", "/root.pem", queryType, nil, 405},
		{"elsewhere", "POST", "/tsa", queryType, bytes.NewReader(request(t)), 404},
		{"home", "GET", "/", "", nil, 200},
		{"HEAD", "HEAD", "/", "", nil, 200},
		{"root certificate", "GET", "/root.pem", "", nil, 200},
		{"key", "GET", "/key.pem", "", nil, 404},
	} {
		r := httptest.NewRequest(tt.method, tt.path, tt.body)
		r.Header.Set("Content-Type", tt.contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
		}
		if tt.method == "POST" && tt.want == 200 {
			_, err := timestamp.ParseResponse(w.Body.Bytes())
			refused := (*timestamp.StatusError)(nil)
			if w.Header().Get("Content-Type") != replyType || err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: %v: %v", tt.name, w.Header(), err)
			}
		}
	}
}

func TestHandlerSaysWhatItIs(t *testing.T) {
	a, _ := newAuthority(t)
	s := started(t, Handler(a, nil))
	get := func(path string) string {
		t.Helper()
		response, err := s.Client().Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := get("/"); !strings.Contains(got, "development") || !strings.Contains(got, "not a trusted time source") {
		t.Errorf("home says %q", got)
	}
	if got := get("/root.pem"); got != string(a.RootPEM()) {
		t.Errorf("root is %q", got)
	}
	secret, err := a.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	if key := string(secret[len(secret)-100:]); strings.Contains(get("/")+get("/root.pem"), key) {
		t.Error("the private key is served")
	}
}

func BenchmarkHandler(b *testing.B) {
	a, _ := newAuthority(b)
	h, query := Handler(a, clock), request(b)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "/", bytes.NewReader(query))
		r.Header.Set("Content-Type", queryType)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
