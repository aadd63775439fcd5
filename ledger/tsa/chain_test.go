package tsa

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// tsaWorld is an authority behind several hosts, each of which can be made to hang or to fail.
type tsaWorld struct {
	authority *timestamp.Authority
	roots     *timestamp.Roots
	jitter    func() float64
	log       bytes.Buffer // written under the Chain's lock, read when nobody runs

	mu    sync.Mutex
	mood  map[string]string      // by host: "" answers, "hangs", "slow", or another error
	open  chan struct{}          // one for each exchange of a slow one, which takes a second
	asked map[string][]time.Time // when, by host
}

func newTSAWorld(t *testing.T) *tsaWorld {
	t.Helper()
	authority, err := timestamp.NewAuthority(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots, err := timestamp.ParseRoots(authority.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	return &tsaWorld{authority: authority, roots: roots, mood: map[string]string{}, asked: map[string][]time.Time{},
		open: make(chan struct{}, maxConnections)}
}

func (w *tsaWorld) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	mood := w.mood[r.URL.Host]
	w.asked[r.URL.Host] = append(w.asked[r.URL.Host], time.Now())
	w.mu.Unlock()
	switch mood {
	case "":
	case "hangs":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "slow":
		select { // as net/http waits for a connection
		case w.open <- struct{}{}:
			defer func() { <-w.open }()
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	default:
		return nil, errors.New(mood)
	}
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {replyType}},
		Body: io.NopCloser(bytes.NewReader(w.authority.Respond(request, time.Now())))}, nil
}

func (w *tsaWorld) set(host, mood string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mood[host] = mood
}

// count is how often a host was asked.
func (w *tsaWorld) count(host string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked[host])
}

func (w *tsaWorld) lines() int { return strings.Count(w.log.String(), "\n") }

func (w *tsaWorld) chain(t *testing.T, hosts ...string) *Chain {
	t.Helper()
	cfg := Config{Options: timestamp.Options{Roots: w.roots.Pool()}, HTTP: &http.Client{Transport: w}, Jitter: w.jitter,
		Log: slog.New(slog.NewTextHandler(&w.log, nil))}
	for _, host := range hosts {
		cfg.URLs = append(cfg.URLs, "https://"+host+"/")
	}
	c, err := NewChain(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stamp asks for a token and says how long that took.
func stamp(t *testing.T, c *Chain) (took time.Duration, err error) {
	t.Helper()
	start := time.Now()
	token, err := c.Timestamp(t.Context(), testDigest)
	if err == nil && (token == nil || len(token.DER) == 0) {
		t.Error("no error and no token")
	}
	return time.Since(start), err
}

// API-30
func TestAnAuthorityThatHangsCostsTheFirstEntriesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "one.example", "two.example")
		defer c.Close()
		synctest.Wait()
		w.set("one.example", "hangs")
		if took, err := stamp(t, c); err != nil || took != timeout {
			t.Errorf("the first entry: %v after %s", err, took)
		}
		for i := range 1000 {
			if took, err := stamp(t, c); err != nil || took != 0 {
				t.Fatalf("entry %d: %v after %s", i, err, took)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.lines(); n != 1 || !strings.Contains(w.log.String(), "level=WARN") || !strings.Contains(w.log.String(), "tsa=one.example") {
			t.Errorf("%d lines in the log:\n%s", n, &w.log)
		}
		// It is preferred again as soon as a probe had an answer.
		w.set("one.example", "")
		time.Sleep(maxPause + timeout)
		synctest.Wait()
		one, two := w.count("one.example"), w.count("two.example")
		if took, err := stamp(t, c); err != nil || took != 0 || w.count("one.example") != one+1 || w.count("two.example") != two {
			t.Errorf("after its recovery: %v after %s", err, took)
		}
		if n := w.lines(); n != 2 || !strings.Contains(w.log.String(), "answers again") {
			t.Errorf("%d lines in the log:\n%s", n, &w.log)
		}
	})
}

// API-30
func TestWhileEveryAuthorityFailsAnEntryIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		w.set("one.example", "hangs")
		w.set("two.example", "connection refused")
		c := w.chain(t, "one.example", "two.example")
		defer c.Close()
		if took, err := stamp(t, c); err == nil || took != timeout {
			t.Errorf("the first entry: %v after %s", err, took)
		}
		for range 100 {
			took, err := stamp(t, c)
			if err == nil || took != 0 || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "timestamp authority one.example: ") ||
				!strings.Contains(err.Error(), "; timestamp authority two.example: TSA did not answer: connection refused (asked ") {
				t.Fatalf("%v after %s", err, took)
			}
			if health := c.Health(); health == nil || health.Error() != err.Error() {
				t.Fatalf("health says %v, an entry meets %v", health, err)
			}
			time.Sleep(time.Second)
		}
		if n := w.lines(); n != 2 {
			t.Errorf("%d lines in the log:\n%s", n, &w.log)
		}
	})
}

func TestEntriesThatFailTogetherCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "one.example")
		defer c.Close()
		synctest.Wait()
		w.set("one.example", "hangs")
		var entries sync.WaitGroup
		for i := range 64 {
			entries.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if _, err := stamp(t, c); err == nil {
					t.Error("a token out of nothing")
				}
			})
		}
		time.Sleep(timeout + firstPause/2) // the first has failed, those that began before it did too
		w.set("one.example", "")
		entries.Wait()
		time.Sleep(firstPause/2 + time.Millisecond) // one failure, one short pause
		synctest.Wait()
		if took, err := stamp(t, c); err != nil || took != 0 {
			t.Errorf("%v after %s", err, took)
		}
	})
}

func TestAFailureThatBeganBeforeARecoveryIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "one.example")
		defer c.Close()
		synctest.Wait()
		w.set("one.example", "hangs")
		go func() { _, _ = stamp(t, c) }()
		time.Sleep(timeout - 100*time.Millisecond)
		go func() { _, _ = stamp(t, c) }() // ends 4.9 s after the other
		time.Sleep(time.Second)            // the first failed and a probe hangs
		w.set("one.example", "")
		time.Sleep(timeout) // the probe failed, the second failed, the next probe had an answer
		synctest.Wait()
		if err := c.Health(); err != nil {
			t.Errorf("%v\n%s", err, &w.log)
		}
		if n := w.lines(); n != 2 {
			t.Errorf("%d lines in the log:\n%s", n, &w.log)
		}
	})
}

// API-30
func TestPausesGrowToTheirBoundAndJitterShortensThem(t *testing.T) {
	for _, jitter := range []float64{0, 0.5} {
		synctest.Test(t, func(t *testing.T) {
			w := newTSAWorld(t)
			w.set("one.example", "connection refused")
			w.jitter = func() float64 { return jitter }
			c := w.chain(t, "one.example")
			defer c.Close()
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			asked := w.asked["one.example"]
			pause := firstPause / 2
			for i := 1; i < len(asked); i++ {
				pause = min(pause*2, maxPause)
				if got, want := asked[i].Sub(asked[i-1]), pause-time.Duration(jitter*float64(pause)/2); got != want {
					t.Fatalf("pause %d: %s, want %s", i, got, want)
				}
			}
			if len(asked) < 40 {
				t.Errorf("asked %d times", len(asked))
			}
		})
	}
}

// Health is asked every second, through hours in which nobody submits: what it says is never older than 30 s.
func TestHealthSaysWhatAnEntryWouldMeetThoughNobodySubmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		w.set("one.example", "hangs")
		w.set("two.example", "hangs")
		c := w.chain(t, "one.example", "two.example")
		defer c.Close()
		if err := c.Health(); err == nil || !strings.Contains(err.Error(), "one.example has not answered yet") {
			t.Errorf("before anybody answered: %v", err)
		}
		for i, moods := range [][2]string{{"", ""}, {"hangs", ""}, {"hangs", "refused"}, {"", "refused"}, {"hangs", "hangs"}, {"", ""}} {
			w.set("one.example", moods[0])
			w.set("two.example", moods[1])
			well := moods[0] == "" || moods[1] == ""
			for second := range 3600 {
				time.Sleep(time.Second)
				synctest.Wait()
				if err := c.Health(); second >= 30 && (err == nil) != well {
					t.Fatalf("%d: %v for %d s: %v", i, moods, second, err)
				}
			}
		}
	})
}

// API-34
func TestAnAnswerThatIsOldCountsAsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTSAWorld(t).chain(t, "one.example")
		synctest.Wait()
		c.Close() // nobody probes from now on
		for age := range 40 {
			if err := c.Health(); (err == nil) != (age < 30) || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("one.example was last heard %ds ago", age)) {
				t.Errorf("after %d s: %v", age, err)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestAnIdleLedgerAsksOneAuthorityFourTimesAMinuteAndABusyOneNeverByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "one.example", "two.example")
		defer c.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if one, two := w.count("one.example"), w.count("two.example"); one < 239 || one > 242 || two != 0 {
			t.Errorf("idle: asked %d and %d times", one, two)
		}
		before := w.count("one.example")
		for range 3600 {
			time.Sleep(time.Second)
			if _, err := stamp(t, c); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if probes := w.count("one.example") - before - 3600; probes > 1 {
			t.Errorf("busy: %d probes", probes)
		}
	})
}

func TestAnAuthorityThatIsNotWaitedForHasNotFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "one.example", "two.example")
		synctest.Wait()
		w.set("one.example", "hangs")
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		_, err := c.Timestamp(ctx, testDigest)
		if !errors.Is(err, context.Canceled) || w.count("two.example") != 0 || c.Health() != nil || w.lines() != 0 {
			t.Errorf("%v; health %v; log %s", err, c.Health(), &w.log)
		}
		// Who used up all the time that there was has failed.
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Timestamp(ctx, testDigest); !errors.Is(err, context.DeadlineExceeded) || w.lines() != 1 {
			t.Errorf("%v; log %s", err, &w.log)
		}
		// Close does not wait for the probe that hangs, nor is that a failure.
		time.Sleep(firstPause)
		synctest.Wait()
		start, failures := time.Now(), c.authorities[0].failures
		c.Close()
		if took := time.Since(start); took != 0 || c.authorities[0].failures != failures {
			t.Errorf("closed after %s, %d failures", took, c.authorities[0].failures-failures)
		}
	})
}

func TestAChainIsRefusedForWhatIsWrongWithItsURLs(t *testing.T) {
	_, roots := newAuthority(t)
	for want, urls := range map[string][]string{
		"a URL and roots are required": nil, "scheme": {"https://a.example/", "ftp://b.example/"}, "TSA URL 3 is there twice": {"https://a.example/", "https://b.example/", "https://a.example/"},
	} {
		if _, err := NewChain(Config{URLs: urls, Options: timestamp.Options{Roots: roots}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", urls, err, want)
		}
	}
	if _, err := NewChain(Config{URLs: []string{"https://a.example/"}}); err == nil {
		t.Error("without roots")
	}
}

func TestAuthoritiesAreNamedWithoutWhatMayBeSecret(t *testing.T) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	_, roots := newAuthority(t)
	c, err := NewChain(Config{URLs: []string{dead.URL + "/secret?token=secret", dead.URL + "/secret2"}, Options: timestamp.Options{Roots: roots}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	_, err = c.Timestamp(t.Context(), testDigest)
	host := strings.TrimPrefix(dead.URL, "http://")
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), host+" (1): TSA did not answer") || !strings.Contains(err.Error(), host+" (2)") {
		t.Error(err)
	}
}

// stampAll asks for n tokens at once, each at most for so long, and counts those that it got.
func stampAll(t *testing.T, c *Chain, n int, limit time.Duration) (got int64) {
	var answered atomic.Int64
	var entries sync.WaitGroup
	for range n {
		entries.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			if token, err := c.Timestamp(ctx, testDigest); err == nil && token != nil {
				answered.Add(1)
			}
		})
	}
	entries.Wait()
	return answered.Load()
}

// The wait for one of our connections is no silence of the authority.
func TestABusyAuthorityIsNotAFailingOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "busy.example")
		defer c.Close()
		synctest.Wait()
		w.set("busy.example", "slow")
		const entries = 8 * maxConnections // eight seconds of work
		if got := stampAll(t, c, entries, 20*time.Second); got != entries {
			t.Errorf("%d of %d entries got a token", got, entries)
		}
		// Those that are out of time when they get a connection, or before, accuse nobody.
		if got := stampAll(t, c, entries, 5500*time.Millisecond); got != 5*maxConnections {
			t.Errorf("%d entries got a token, want %d", got, 5*maxConnections)
		}
		if err := c.Health(); err != nil || w.lines() != 0 {
			t.Errorf("health: %v; logged: %s", err, &w.log)
		}
	})
}

// Who waits for a connection to an authority that hangs goes on when the first have found that out.
func TestEntriesThatWaitForAnAuthorityThatHangsDoNotTryItOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTSAWorld(t)
		c := w.chain(t, "first.example", "second.example")
		defer c.Close()
		synctest.Wait()
		w.set("first.example", "hangs")
		began := time.Now()
		const entries = 4 * maxConnections
		if got := stampAll(t, c, entries, 20*time.Second); got != entries || time.Since(began) > timeout+time.Second {
			t.Errorf("%d of %d entries got a token after %v", got, entries, time.Since(began))
		}
	})
}

func TestManyEntriesShareFewConnections(t *testing.T) {
	a, roots := newAuthority(t)
	var mu sync.Mutex
	opened := map[string]bool{}
	s := httptest.NewUnstartedServer(Handler(a, clock))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			mu.Lock()
			defer mu.Unlock()
			opened[fmt.Sprint(c.RemoteAddr())] = true
		}
	}
	s.Start()
	defer s.Close()
	c, err := NewChain(Config{URLs: []string{s.URL}, Options: timestamp.Options{Roots: roots}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 4 { // bursts, with everything idle between
		var entries sync.WaitGroup
		for range 100 {
			entries.Go(func() {
				if _, err := c.Timestamp(t.Context(), testDigest); err != nil {
					t.Error(err)
				}
			})
		}
		entries.Wait()
	}
	mu.Lock()
	defer mu.Unlock()
	if len(opened) > maxConnections {
		t.Errorf("%d connections for 400 entries, want at most %d", len(opened), maxConnections)
	}
}

func TestEveryKindOfFailureIsPassedOver(t *testing.T) {
	a, roots := newAuthority(t)
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	broken := started(t, http.NotFoundHandler())
	stranger, _ := newAuthority(t)
	foreign := started(t, Handler(stranger, clock))
	created := started(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Handler(a, clock).ServeHTTP(status201{w}, r)
	}))
	c, err := NewChain(Config{URLs: []string{dead.URL, broken.URL, foreign.URL, created.URL}, Options: timestamp.Options{Roots: roots}, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	token, err := c.Timestamp(t.Context(), testDigest)
	if err != nil || !token.Time.Equal(testTime) {
		t.Fatalf("%+v, %v", token, err)
	}
	var failing []string
	for _, a := range c.authorities[:3] {
		if err := c.failing(a); err != nil {
			failing = append(failing, err.Error())
		}
	}
	if !slices.EqualFunc(failing, []string{"did not answer", "answered 404", "unknown authority"}, strings.Contains) {
		t.Errorf("%q", failing)
	}
}

// status201 is a TSA that takes making a token for making a resource.
type status201 struct{ http.ResponseWriter }

func (w status201) WriteHeader(int) { w.ResponseWriter.WriteHeader(http.StatusCreated) }
