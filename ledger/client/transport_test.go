package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
)

// scripted answers request n with step n, the last one for ever.
type scripted struct {
	steps []func() (*http.Response, error)
	asked []time.Time
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	n := min(len(s.asked), len(s.steps)-1)
	s.asked = append(s.asked, time.Now())
	return s.steps[n]()
}

func answers(status int, headers ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("body"))}, nil
	}
}

func fails(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

func get(ctx context.Context, s *scripted, attempts int) (httpAnswer, error) {
	c := &Client{URL: "https://ledger.example", Policy: newHonest().policy(), HTTP: &http.Client{Transport: s}, Attempts: attempts}
	return c.do(ctx, request{method: "GET", path: "x", limit: 10})
}

// API-45
func TestRefusalsThatPassAreRetried(t *testing.T) {
	for name, step := range map[string]func() (*http.Response, error){
		"429": answers(429), "502": answers(502), "503": answers(503), "504": answers(504),
		"connection refused": fails(errors.New("connection refused")), "EOF": fails(io.EOF),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{steps: []func() (*http.Response, error){step, step, answers(200)}}
			if a, err := get(t.Context(), s, 0); err != nil || string(a.body) != "body" || len(s.asked) != 3 {
				t.Errorf("%s: %v after %d requests", name, err, len(s.asked))
			}
			s = &scripted{steps: []func() (*http.Response, error){step}}
			start := time.Now()
			if _, err := get(t.Context(), s, 0); !errors.Is(err, ErrUnavailable) || len(s.asked) != 4 {
				t.Errorf("%s for ever: %v after %d requests", name, err, len(s.asked))
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s for ever: gave up after %v", name, took)
			}
			s = &scripted{steps: []func() (*http.Response, error){step}}
			if _, err := get(t.Context(), s, 1); !errors.Is(err, ErrUnavailable) || len(s.asked) != 1 {
				t.Errorf("%s, one attempt: %v after %d requests", name, err, len(s.asked))
			}
		})
	}
}

// A 422 without a ledger's words, as here, is nobody's judgement.
// API-45
func TestRefusalsThatStayAreNotRetried(t *testing.T) {
	for name, step := range map[string]func() (*http.Response, error){
		"400": answers(400, "Retry-After", "1"), "401": answers(401), "404": answers(404), "409": answers(409), "413": answers(413), "415": answers(415), "422": answers(422),
		"500": answers(500), "507": answers(507), "301": answers(301), "202": answers(202), "certificate": fails(&tls.CertificateVerificationError{Err: errors.New("unknown authority")}),
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{steps: []func() (*http.Response, error){step, answers(200)}}
			_, err := get(t.Context(), s, 5)
			if err == nil || len(s.asked) != 1 {
				t.Errorf("%s: %v after %d requests", name, err, len(s.asked))
			}
			if client := strings.HasPrefix(name, "4") && name != "422"; errors.Is(err, ErrUnavailable) == client {
				t.Errorf("%s: unavailable is %v: %v", name, !client, err)
			}
		})
	}
}

// API-45
func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{steps: []func() (*http.Response, error){answers(503, "Retry-After", "7"), answers(200)}}
		if _, err := get(t.Context(), s, 2); err != nil {
			t.Fatal(err)
		}
		if d := s.asked[1].Sub(s.asked[0]); d < 7*time.Second || d > 7*time.Second+firstPause {
			t.Errorf("waited %v", d)
		}
	})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "3": 3 * time.Second, " 3 ": 3 * time.Second, "-5": 0, "1e3": 0, "soon": 0, "999999999999": longestAsked, "99999999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0, now.Add(time.Hour).Format(http.TimeFormat): longestAsked,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestContextEndsTheRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A deadline that comes before the time to retry is not waited for.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s := &scripted{steps: []func() (*http.Response, error){answers(503, "Retry-After", "60")}}
		start := time.Now()
		if _, err := get(ctx, s, 9); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || len(s.asked) != 1 || time.Since(start) > 0 {
			t.Errorf("%v after %d requests and %v", err, len(s.asked), time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		s = &scripted{steps: []func() (*http.Response, error){answers(503, "Retry-After", "60")}}
		if _, err := get(ctx, s, 9); !errors.Is(err, context.Canceled) || len(s.asked) != 1 {
			t.Errorf("%v after %d requests", err, len(s.asked))
		}
	})
}

// A minute that somebody waits for a ledger is a minute, neither four tries nor four minutes.
func TestWithoutALimitTheTriesLastUntilTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		h := http.Header{}
		h.Set("Content-Type", "application/problem+json")
		s := &scripted{steps: []func() (*http.Response, error){func() (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: h, Body: io.NopCloser(strings.NewReader(
				`{"title":"No quorum\u001b[2J","detail":"Ask again.","reasons":[{"about":"w","detail":"w1 is away"}]}`))}, nil
		}}}
		told := 0
		c := &Client{URL: "https://ledger.example", Policy: newHonest().policy(), HTTP: &http.Client{Transport: s}, Attempts: -1,
			Waiting: func(err error) { told++ }}
		start := time.Now()
		_, err := c.do(ctx, request{method: "GET", path: "x", limit: 10})
		if took := time.Since(start); took < 58*time.Second || took > time.Minute {
			t.Errorf("gave up after %v and %d requests", took, len(s.asked))
		}
		if !errors.Is(err, ErrUnavailable) || len(s.asked) < 10 || len(s.asked) > 60 || told != len(s.asked) {
			t.Errorf("%v after %d requests, told of %d", err, len(s.asked), told)
		}
		if !strings.Contains(err.Error(), "503 No quorum\ufffd[2J: Ask again. [w1 is away]") {
			t.Errorf("%q", err)
		}
	})
}

// What the ledger said is not forgotten because the last question was cut short.
func TestTheLastWordOfTheLedgerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		s := &scripted{steps: []func() (*http.Response, error){answers(503, "Retry-After", "1"), func() (*http.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}}
		if _, err := get(ctx, s, -1); !errors.Is(err, ErrUnavailable) || err.Error() != "the ledger answered 503 Service Unavailable; there was no time for another try" {
			t.Errorf("%v", err)
		}
	})
}

// API-45
func TestPausesAreRandomAndGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for n := range 12 {
			for range 20 {
				start := time.Now()
				if err := pauseBeforeRetry(t.Context(), n, 0); err != nil {
					t.Fatal(err)
				}
				d := time.Since(start)
				seen[d] = true
				if ceiling := min(longestPause, firstPause<<min(n, 20)); d >= ceiling {
					t.Errorf("pause %d took %v, at most %v", n, d, ceiling)
				}
			}
		}
		if len(seen) < 200 {
			t.Errorf("only %d different pauses of 240", len(seen))
		}
	})
}

// API-43
func TestAnswersOnlyTheGivenHTTPClientWouldFollowAreNotFollowed(t *testing.T) {
	followed := false
	mine := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { followed = true; return nil }}
	server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer server.Close()
	c := &Client{URL: server.URL, Policy: newHonest().policy(), HTTP: mine, Attempts: 1}
	if _, err := c.Checkpoint(t.Context()); !errors.Is(err, ErrUnavailable) || followed {
		t.Errorf("%v, followed: %v", err, followed)
	}
	if mine.CheckRedirect == nil {
		t.Error("the caller's client was changed")
	}
}

// API-47
func TestProblemsAreTold(t *testing.T) {
	body := `{"type":"/problems/manifest-rejected","title":"The manifest does not verify","status":200,"detail":"Nothing was stored.","extra":{"x":[1]},
		"findings":[{"code":"E_MANIFEST_SIGNATURE","field":"signature","message":"wrong"},{"code":"E_X","field":7},"junk",null]}`
	h := newHonest()
	c := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { problem(w, 422, body) }))
	_, err := c.Checkpoint(t.Context())
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatal(err)
	}
	if p.Status != 422 || p.Type != "/problems/manifest-rejected" || p.Detail != "Nothing was stored." || len(p.Findings) != 2 ||
		p.Findings[0].Code != "E_MANIFEST_SIGNATURE" || p.Findings[0].Message != "wrong" || p.Findings[1].Field != "" || p.Findings[0].Receipt != -1 {
		t.Errorf("got %+v", p)
	}
	if got := p.Error(); !strings.Contains(got, "422") || !strings.Contains(got, "E_MANIFEST_SIGNATURE signature") {
		t.Errorf("error is %q", got)
	}
}

// API-46
func TestRefusalsWithoutAProblemAreProblemsToo(t *testing.T) {
	for _, c := range []struct{ contentType, body string }{
		{"text/html", "<html>"}, {"application/problem+json", ""}, {"application/problem+json", "[]"}, {"application/problem+json", `{"title":"a","title":"b"}`},
		{"application/problem+json", strings.Repeat("[", 100000)}, {"application/problem+json", `{"title":"` + strings.Repeat("x", maxProblem) + `"}`}, {"application/json", `{"title":"no problem"}`},
	} {
		p := problemOf(404, c.contentType, []byte(c.body))
		if p.Status != 404 || p.Title != "Not Found" || p.Type != "about:blank" {
			t.Errorf("%q: %+v", c.body[:min(len(c.body), 30)], p)
		}
	}
}

// API-47
func TestTextsOfProblemsCannotActOnATerminal(t *testing.T) {
	for _, s := range []string{"\x1b]0;title\x07", "\x1b[2K", "a\nVERIFICATION PASSED", "\u202egnp", "\u2028", "\u009b31m", "\r", "\x00", "\u200b"} {
		got := printable(s)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Errorf("%q: %q holds %U", s, got, r)
			}
		}
	}
	if got := printable(strings.Repeat("é", 1000)); len(got) > maxText+3 {
		t.Errorf("%d bytes", len(got))
	}
	if got := printable("honest text, naïve: 日本"); got != "honest text, naïve: 日本" {
		t.Errorf("got %q", got)
	}
}

func FuzzProblem(f *testing.F) {
	f.Add([]byte(`{"type":"/problems/busy","title":"t","status":503,"detail":"d","findings":[{"code":"E","field":"f","message":"m"}]}`))
	f.Add([]byte(`{"findings":{"a":1},"status":"x","title":null}`))
	f.Add([]byte(`{"status":99999999999999999999}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := parseProblem(body)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v and %v", p, err)
		}
		if err != nil {
			return
		}
		if len(p.Findings) > maxFindings {
			t.Errorf("%d findings", len(p.Findings))
		}
		for _, r := range p.Error() {
			if !unicode.IsPrint(r) {
				t.Errorf("error holds %U", r)
			}
		}
		for _, text := range []string{p.Type, p.Title, p.Detail} {
			if len(text) > maxText+3 {
				t.Errorf("%d bytes of text", len(text))
			}
		}
		if told := problemOf(422, "application/problem+json; charset=utf-8", body); told.Status != 422 || told.Title != p.Title {
			t.Errorf("status 422 became %+v", told)
		}
	})
}

func TestARefusalAndTheEndOfTheTimeAreOneSentence(t *testing.T) {
	told := &Problem{Status: 503, Title: "Not yet", Detail: "Send it again later."}
	for end, want := range map[error]string{
		context.DeadlineExceeded: "the ledger answered 503 Not yet: Send it again later; there was no time for another try",
		context.Canceled:         "the ledger answered 503 Not yet: Send it again later; then it was interrupted",
	} {
		if err := (&outOfTime{told, end}); err.Error() != want || !errors.Is(err, end) || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v", err)
		}
	}
}
