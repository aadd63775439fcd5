package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/pack/entry"
)

func TestConfigIsChecked(t *testing.T) {
	log, policy := &fakeLog{}, testPolicy(t)
	for name, cfg := range map[string]Config{
		"empty":         {},
		"no log":        {Index: log, Policy: policy},
		"no index":      {Log: log, Policy: policy},
		"no policy":     {Log: log, Index: log},
		"negative wait": {Log: log, Index: log, Policy: policy, Wait: -1},
		"negative rate": {Log: log, Index: log, Policy: policy, Rate: -1},
	} {
		if h, err := New(cfg); err == nil || h != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// API-3
func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	h := newHandler(t, filledLog(1), nil)
	for _, c := range []struct{ method, path string }{
		{"GET", "/"}, {"GET", "/nowhere"}, {"GET", "/checkpoint"}, {"HEAD", "/checkpoint"}, {"GET", "/tile/0/000"}, {"GET", "/v1/entries"}, {"GET", "/v1/entries/0"},
		{"GET", "/v1/log"}, {"GET", "/healthz"}, {"GET", "/readyz"}, {"GET", "/problems/busy"}, {"POST", entriesURL}, {"POST", "/v1/entries?x=1"}, {"DELETE", "/v1/entries"}, {"OPTIONS", "/v1/entries"},
	} {
		w := ask(h, c.method, c.path, "")
		header := w.Header()
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Content-Security-Policy") != "default-src 'none'" || header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s %s: %v", c.method, c.path, header)
		}
		if c.method != "OPTIONS" && header.Get("Cache-Control") == "" {
			t.Errorf("%s %s does not say how long it may be kept", c.method, c.path)
		}
		reads := c.method == "GET" || c.method == "HEAD"
		if cors := header.Get("Access-Control-Allow-Origin"); reads && cors != "*" || !reads && cors != "" {
			t.Errorf("%s %s: CORS %q", c.method, c.path, cors)
		}
		if header.Get("Server") != "" || strings.Contains(strings.ToLower(w.Body.String()), "echo") {
			t.Errorf("%s %s names the framework", c.method, c.path)
		}
	}
}

// API-1
func TestWrongAddressesAndMethodsAreProblems(t *testing.T) {
	h := newHandler(t, filledLog(1), nil)
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/nothing", "/v1/entries/0/proof/x", "/v2/entries", "/metrics", "/favicon.ico", "/problems/none", "/problems/"} {
		wantProblem(t, ask(h, "GET", path, ""), notFound)
	}
	for path, allow := range map[string]string{"/v1/entries": "POST", "/v1/entries/0": "GET", "/checkpoint": "HEAD", "/tile/0/000": "GET", "/healthz": "GET", "/v1/log": "GET"} {
		for _, method := range []string{"DELETE", "PUT", "PATCH", "TRACE"} {
			w := ask(h, method, path, "x")
			wantProblem(t, w, badMethod)
			if !strings.Contains(w.Header().Get("Allow"), allow) {
				t.Errorf("%s %s: Allow is %q", method, path, w.Header().Get("Allow"))
			}
		}
	}
	wantProblem(t, ask(h, "POST", "/checkpoint", "x"), badMethod)
}

// API-1
func TestHeadIsGetWithoutItsBody(t *testing.T) {
	h := newHandler(t, filledLog(2), nil)
	for _, path := range []string{"/v1/entries", "/v1/entries/1", "/v1/entries/1/proof", "/v1/log", "/checkpoint", "/healthz", "/readyz", "/problems/busy", "/v1/entries/9", "/nowhere"} {
		get, head := ask(h, "GET", path, ""), ask(h, "HEAD", path, "")
		if get.Body.Len() == 0 || head.Body.Len() != 0 || head.Code != get.Code || !maps.EqualFunc(head.Header(), get.Header(), slices.Equal) {
			t.Errorf("%s: %d %v, HEAD %d %v %s", path, get.Code, get.Header(), head.Code, head.Header(), head.Body)
		}
	}
}

// API-4
func TestEveryProblemTypeCanBeRead(t *testing.T) {
	h := newHandler(t, &fakeLog{}, nil)
	seen := map[string]bool{}
	for _, p := range problemTable {
		if seen[p.name] {
			t.Errorf("%s is there twice", p.name)
		}
		seen[p.name] = true
		w := ask(h, "GET", "/problems/"+p.name, "")
		if w.Code != 200 || !strings.Contains(w.Body.String(), p.detail) {
			t.Errorf("%s: %d %s", p.name, w.Code, w.Body)
		}
		if len(p.detail) > 200 || !strings.HasSuffix(p.detail, ".") {
			t.Errorf("%s: the detail is no sentence", p.name)
		}
	}
}

func TestPanicIsAProblemAndOneLogLine(t *testing.T) {
	var out lines
	log := &fakeLog{add: func(context.Context, []byte, entry.Source) (*entry.Anchored, error) { panic("boom\nsecond line") }}
	h := newHandler(t, log, func(c *Config) { c.Logger = out.logger() })
	w := ask(h, "POST", entriesURL, "m")
	wantProblem(t, w, internal)
	if body := w.Body.String(); strings.Contains(body, "boom") || strings.Contains(body, ".go") {
		t.Errorf("the answer tells too much: %s", body)
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "boom") || !strings.Contains(got, "TestPanicIsAProblem") {
		t.Errorf("log: %s", got)
	}
	// The handler is still alive, and holds no slot.
	if len(h.waiting) != 0 {
		t.Errorf("%d slots leaked", len(h.waiting))
	}
}

// API-40
func TestHostileRequestsAreOneShortLogLineEach(t *testing.T) {
	hostile := []string{"/a%0aINFO%20fake", "/%1b[2J", "/" + strings.Repeat("x", 3000), "/%00", "/%e2%80%ae", "/%ff%fe", "/\"quote\"", "/=cmd()", "/%0d%0a%0d%0a",
		"/v1/entries?source_repo=secret%0aquery", "/%7f", "/%c2%85", "/%e2%80%a8"}
	for _, path := range hostile {
		var out lines
		h := newHandler(t, &fakeLog{}, func(c *Config) { c.Logger = out.logger() })
		ask(h, "POST", path, "a secret body", "Authorization: Bearer secret")
		line := out.String()
		if strings.Count(line, "\n") != 1 || strings.Contains(line, "secret") {
			t.Errorf("%s: %q", path, line)
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for name, v := range fields {
			if s, ok := v.(string); ok && len(s) > 256 {
				t.Errorf("%s: field %s has %d bytes", path, name, len(s))
			}
		}
		if fields["status"] == nil || fields["method"] != "POST" || fields["path"] == nil {
			t.Errorf("%s: %v", path, fields)
		}
	}
}

// API-35, API-36
func TestRateIsPerNetwork(t *testing.T) {
	now := time.Unix(1000, 0)
	log := filledLog(1)
	h := newHandler(t, log, func(c *Config) {
		c.Rate, c.Burst = 1, 2
		c.Now = func() time.Time { return now }
	})
	from := func(addr, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = addr
		for _, v := range headers {
			r.Header.Add("X-Forwarded-For", v)
			r.Header.Set("X-Real-Ip", v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for range 2 {
		if w := from("192.0.2.1:1", "/v1/entries"); w.Code != 200 {
			t.Fatalf("within the burst: %d", w.Code)
		}
	}
	w := from("192.0.2.200:1", "/v1/entries") // the same /24
	wantProblem(t, w, rateLimited)
	if w.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
	}
	for n := range 1000 { // no header opens another bucket
		if w := from("192.0.2.1:1", "/v1/entries", fmt.Sprintf("198.51.%d.%d", n/250, n%250)); w.Code != 429 {
			t.Fatalf("X-Forwarded-For bought a request: %d", w.Code)
		}
	}
	if w := from("192.0.3.1:1", "/v1/entries"); w.Code != 200 {
		t.Errorf("the next /24: %d", w.Code)
	}
	if w := from("192.0.2.1:1", "/checkpoint"); w.Code != 200 {
		t.Errorf("checkpoint is limited: %d", w.Code)
	}
	for _, addr := range []string{"[2001:db8:1::1]:1", "[2001:db8:1:ffff::2]:1"} {
		if w := from(addr, "/v1/entries"); w.Code != 200 {
			t.Errorf("%s: %d", addr, w.Code)
		}
	}
	if w := from("[2001:db8:1:2::3]:1", "/v1/entries"); w.Code != 429 {
		t.Errorf("the same /48: %d", w.Code)
	}
	if w := from("[::ffff:192.0.2.7]:1", "/v1/entries"); w.Code != 429 {
		t.Errorf("the same /24 in IPv6 dress: %d", w.Code)
	}
	now = now.Add(time.Second)
	if w := from("192.0.2.1:1", "/v1/entries"); w.Code != 200 {
		t.Errorf("a second later: %d", w.Code)
	}
	if w := from("192.0.2.1:1", "/v1/entries"); w.Code != 429 {
		t.Errorf("one second is one request: %d", w.Code)
	}
}

// API-36
func TestOnlyATrustedProxyNamesTheClient(t *testing.T) {
	h := newHandler(t, filledLog(1), func(c *Config) {
		c.Rate, c.Burst = 0.001, 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	})
	from := func(addr, forwarded string) int {
		r := httptest.NewRequest("GET", "/v1/entries", nil)
		r.RemoteAddr = addr
		r.Header.Set("X-Forwarded-For", forwarded)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if a, b := from("10.1.2.3:1", "192.0.2.1"), from("10.1.2.3:1", "198.51.100.1"); a != 200 || b != 200 {
		t.Errorf("two clients of a proxy: %d, %d", a, b)
	}
	if a := from("10.1.2.3:1", "203.0.113.5, 192.0.2.1"); a != 429 {
		t.Errorf("a client that invents a hop: %d", a)
	}
	if a, b := from("127.0.0.1:1", "192.0.3.1"), from("127.0.0.1:1", "192.0.4.1"); a != 200 || b != 429 {
		t.Errorf("an untrusted peer: %d, %d", a, b)
	}
}

// API-35
func TestLimiterForgetsAndStaysBounded(t *testing.T) {
	l := newLimiter(1, 1)
	now := time.Unix(1000, 0)
	addr := func(n int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 1, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	for n := range maxNetworks {
		if _, ok := l.take(addr(n), now); !ok {
			t.Fatalf("network %d is refused", n)
		}
	}
	l.take(addr(maxNetworks), now)
	if _, ok := l.take(addr(maxNetworks+1), now); ok {
		t.Error("newcomers beyond the bound do not share a bucket")
	}
	if len(l.buckets) > maxNetworks+1 {
		t.Errorf("%d buckets", len(l.buckets))
	}
	now = now.Add(2 * time.Second)
	if _, ok := l.take(addr(maxNetworks+2), now); !ok || len(l.buckets) > 2 {
		t.Errorf("full buckets are not forgotten: %d", len(l.buckets))
	}
	if wait, ok := newLimiter(0.1, 1).take(addr(1), now); !ok || wait != 0 {
		t.Errorf("first: %v %v", wait, ok)
	}
	slow := newLimiter(0.1, 1)
	slow.take(addr(1), now)
	if wait, ok := slow.take(addr(1), now); ok || wait != 10*time.Second {
		t.Errorf("second: %v %v", wait, ok)
	}
}

func BenchmarkSubmitHandler(b *testing.B) {
	log := &fakeLog{}
	h := newHandler(b, log, nil)
	ask(h, "POST", entriesURL, "m")
	b.ReportAllocs()
	body := strings.Repeat(" ", 3000)
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, entriesURL, strings.NewReader(body)))
		if w.Code/100 != 2 {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// API-40
func TestAnErrorInTheLogIsNotCutInMidSentence(t *testing.T) {
	for size, whole := range map[int]bool{10: true, 700: true, 2048: true, 2049: false, 9000: false} {
		text := strings.Repeat("ü", size/2) + strings.Repeat(".", size%2)
		got := clipBytes(2048, text)
		if len(got) > 2048 || !utf8.ValidString(got) || (got == text) != whole || strings.HasSuffix(got, "…") == whole {
			t.Errorf("%d bytes became %d: %q", size, len(got), got[max(0, len(got)-12):])
		}
	}
	var out lines
	why := strings.Repeat("a long reason; ", 40) + "restore the log"
	h := newHandler(t, &fakeLog{health: errors.New(why)}, func(c *Config) { c.Logger = out.logger() })
	ask(h, "GET", "/readyz", "")
	if line := out.String(); !strings.Contains(line, "restore the log") {
		t.Errorf("%s", line)
	}
}

// API-52, API-54
func TestPagesAreAskedForWhatIsNoEndpointAlone(t *testing.T) {
	var asked []string
	log := filledLog(2)
	h := newHandler(t, log, func(c *Config) {
		c.Pages = func(w http.ResponseWriter, r *http.Request) bool {
			asked = append(asked, r.Method+" "+r.URL.Path)
			if !strings.HasSuffix(r.URL.Path, "/") {
				return false
			}
			w.Header().Set("Content-Security-Policy", "its own")
			w.WriteHeader(http.StatusOK)
			return true
		}
		c.Notes = func() []ledger.Reason { return []ledger.Reason{{About: "site", Public: "Old."}} }
	})
	for _, path := range []string{"/checkpoint", "/checkpoints/count", "/policy", "/v1/log", "/healthz", "/readyz", "/v1/entries", "/tile/0/000", "/tile/", "/problems/x",
		"/checkpoints/count?x", "/checkpoints/000?x", "/checkpoints/000.p/2", "/checkpoints/%30%30%30"} {
		ask(h, "GET", path, "")
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if w := ask(h, method, "/entries/", ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
	if asked != nil {
		t.Errorf("asked for %q", asked)
	}
	for _, path := range []string{"/", "/entries/", "/checkpoints/", "/v1/"} {
		for _, method := range []string{"GET", "HEAD"} {
			if w := ask(h, method, path, ""); w.Code != 200 || w.Header().Get("Content-Security-Policy") != "its own" {
				t.Errorf("%s %s: %d %v", method, path, w.Code, w.Header())
			}
		}
	}
	for _, path := range []string{"/entries", "/checkpoints/nothing", "/x/y"} {
		if w := ask(h, "GET", path, ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Content-Security-Policy") != "default-src 'none'" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := ask(h, "GET", "/readyz", ""); w.Body.String() != "ready\nnote: site: Old.\n" {
		t.Errorf("readyz: %q", w.Body)
	}
}
