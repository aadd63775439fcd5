package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHealthIsZeroForAReadyLedgerAndFourWithTheReasonOtherwise(t *testing.T) {
	answer := func(status int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/at/readyz" || r.Method != http.MethodGet {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
	}
	for _, tt := range []struct {
		name    string
		handler http.Handler
		code    int
		want    string // on stdout for 0, else on stderr
	}{
		{"ready", answer(200, "ready\n"), 0, "ready\n"},
		{"ready, with a note", answer(200, "ready\nnote: timestamps: none\x1b[2J\n"), 0, "ready\nnote: timestamps: none\\u{1b}[2J\n"},
		{"not ready", answer(503, `{"type":"/problems/not-ready","title":"No","reasons":[{"about":"storage","detail":"Storage refuses writes."},{"about":"witnesses","detail":"w1 is silent."}]}`),
			4, "not ready: storage: Storage refuses writes. witnesses: w1 is silent."},
		{"not ready, without reasons", answer(503, `{"title":"The ledger is closing"}`), 4, "not ready: The ledger is closing"},
		{"not ready, in no words of ours", answer(503, "<html>"), 4, "not ready: it does not say why"},
		{"a portal", answer(200, "<html>ready</html>"), 4, "is this a ledger?"},
		{"nothing", answer(200, ""), 4, "is this a ledger?"},
		{"not found", answer(404, "ready\n"), 4, "it answers 404"},
		{"redirected", http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound), 4, "it answers 302"},
		{"a mountain", answer(200, strings.Repeat("x", 1<<20)), 4, "is this a ledger?"},
	} {
		s := httptest.NewServer(tt.handler)
		code, stdout, stderr := here(t, "health", s.URL+"/at/")
		s.Close()
		if code != tt.code || code == 0 && stdout != tt.want || code != 0 && (stdout != "" || !strings.Contains(stderr, tt.want)) {
			t.Errorf("%s: exit %d: %q %q", tt.name, code, stdout, stderr)
		}
	}
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	if code, _, stderr := here(t, "health", dead.URL); code != 4 || !strings.Contains(stderr, "nobody answers: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	hangs := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	defer s.Close()
	defer close(hangs)
	if code, _, stderr := here(t, "health", s.URL, "--timeout", "10ms"); code != 4 || !strings.Contains(stderr, "nobody answers: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	for _, address := range []string{"127.0.0.1:8080", "ftp://a.example", "http://", "http://me:secret@a.example", "http://a.example/?x=secret", "http://a.example#"} {
		if code, _, stderr := here(t, "health", address); code != 3 || strings.Contains(stderr, "secret") {
			t.Errorf("%s: exit %d: %s", address, code, stderr)
		}
	}
}

func TestHealthWaitsForALedgerThatIsStarting(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(503)
		}
		_, _ = io.WriteString(w, "ready\n")
	}))
	defer s.Close()
	if code, _, stderr := here(t, "health", s.URL); code != 4 || asked != 1 {
		t.Errorf("without --wait: exit %d after %d questions: %s", code, asked, stderr)
	}
	if code, stdout, stderr := here(t, "health", s.URL, "--wait", "1m"); code != 0 || stdout != "ready\n" || asked != 3 {
		t.Errorf("exit %d after %d questions: %s", code, asked, stderr)
	}
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	if code, _, stderr := here(t, "health", dead.URL, "--wait", "50ms"); code != 4 || !strings.Contains(stderr, "nobody answers: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if code, _, _ := here(t, "health", s.URL, "--wait", "-1s"); code != 3 {
		t.Errorf("a negative wait: exit %d", code)
	}
}

func TestHealthWaitsNoLongerThanItIsTold(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 && r.URL.Path == "/busy/readyz" {
			http.Error(w, "{}", 503)
			return
		}
		<-r.Context().Done()
	}))
	defer s.Close()
	// An hour for each answer: with it, this test would not end.
	if code, _, stderr := here(t, "health", s.URL, "--timeout", "1h", "--wait", "50ms"); code != 4 || !strings.Contains(stderr, "nobody answers: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	asked.Store(0)
	if code, _, stderr := here(t, "health", s.URL+"/busy", "--timeout", "1h", "--wait", "500ms"); code != 4 || asked.Load() == 2 && !strings.Contains(stderr, "not ready: ") {
		t.Errorf("exit %d after %d questions: %s", code, asked.Load(), stderr)
	}
}

func TestHealthSaysThatItWasInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(503)
	}))
	defer s.Close()
	for _, wait := range []time.Duration{0, time.Hour} {
		if _, err := awaitReady(ctx, s.URL, time.Hour, wait); err == nil || err.Error() != "interrupted" {
			t.Errorf("--wait %s: %v", wait, err)
		}
	}
}
