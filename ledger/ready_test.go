package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/witness"
)

// network carries requests to handlers in this process, so that tests can have a clock of their own.
type network map[string]*host // by host name

type host struct {
	real  http.Handler
	front atomic.Pointer[http.HandlerFunc] // in front of real, if not nil
	asked atomic.Int64
}

func (h *host) behave(f http.HandlerFunc) {
	if f == nil {
		h.front.Store(nil)
		return
	}
	h.front.Store(&f)
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	h := n[r.URL.Host]
	w := httptest.NewRecorder()
	if r.Method == http.MethodPost {
		h.asked.Add(1)
	}
	if f := h.front.Load(); f != nil {
		(*f)(w, r)
	} else {
		h.real.ServeHTTP(w, r)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// startPublisher runs the publisher of an empty log, alone, in a synctest bubble. Its witnesses are
// w1, w2 …, at hosts of that name; those in downAtFirst do not answer at the start.
func startPublisher(t *testing.T, n, quorum int, downAtFirst []string, run func(p *publisher, net network)) {
	w := newWorld(t, 0, 0)
	synctest.Test(t, func(t *testing.T) {
		// A bubble begins in the year 2000, before which a witness believes its clock to be.
		now := func() time.Time { return time.Now().AddDate(30, 0, 0) }
		net := network{}
		var lines []trust.PolicyWitness
		for i := range n {
			name := fmt.Sprint("w", i+1)
			skey, vkey, err := trust.GenerateKey(seed(name), name+".example", trust.Ed25519Cosigner)
			must(t, err)
			cosigner, err := trust.NewCosigner(skey)
			must(t, err)
			core, err := witness.New(witness.Config{Policy: w.cfg.Policy, Cosigners: []*trust.Cosigner{cosigner}, Store: witness.NewMemory(), Now: now})
			must(t, err)
			net[name] = &host{real: core.Handler()}
			lines = append(lines, trust.PolicyWitness{Name: name, VKey: vkey, URL: (&url.URL{Scheme: "http", Host: name}).String()})
		}
		for _, name := range downAtFirst {
			net[name].behave(down.ServeHTTP)
		}
		cfg := w.cfg
		var err error
		cfg.Policy, err = trust.ParsePolicy(trust.FormatPolicy(w.cfg.Policy.Logs(), lines, quorum))
		must(t, err)
		cfg.HTTP, cfg.Interval, cfg.Log = &http.Client{Transport: net}, 200*time.Millisecond, slog.New(slog.DiscardHandler)
		s, err := openStore(cfg.Dir)
		must(t, err)
		defer s.close()
		g, err := openGuard(cfg.GuardDir, cfg.Signer, cfg.Policy)
		must(t, err)
		defer g.close()
		p, err := newPublisher(history{s, g}, archiveOf(t, &cfg, g), &cfg, func(err error) { t.Errorf("frozen: %v", err) })
		must(t, err)
		go p.run()
		defer p.stop()
		run(p, net)
	})
}

// archiveOf is the archive of a log that is not opened.
func archiveOf(t testing.TB, cfg *Config, g *guard) *archive {
	t.Helper()
	full, err := cfg.withDefaults()
	must(t, err)
	a, err := openArchive(full.CheckpointsDir, full.Signer, full.Log, g.published)
	must(t, err)
	return a
}

// publisherOf makes the publisher of a closed world, which nothing runs.
func publisherOf(t *testing.T, w *world, freeze func(error)) *publisher {
	t.Helper()
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	t.Cleanup(func() { s.close() })
	g, err := openGuard(w.cfg.GuardDir, w.cfg.Signer, w.cfg.Policy)
	must(t, err)
	t.Cleanup(func() { g.close() })
	p, err := newPublisher(history{s, g}, archiveOf(t, &w.cfg, g), &w.cfg, freeze)
	must(t, err)
	return p
}

// What a witness shows of another tree under the log's own key is the last thing that its publisher does anything about.
func TestAPublisherEndsWhenAWitnessHasShownAFork(t *testing.T) {
	w := newWorld(t, 1, 1)
	var frozen error
	p := publisherOf(t, w, func(err error) { frozen = err })
	defer p.cancel()
	p.loop.open = 1
	p.answered(time.Now(), answer{endpoint: p.endpoints[0], round: p.loop.round, err: errForked})
	if !errors.Is(frozen, errForked) {
		t.Errorf("frozen: %v", frozen)
	}
	if wait, more := p.step(time.Now()); more || p.loop.open != 0 {
		t.Errorf("goes on in %v, with %d open", wait, p.loop.open)
	}
}

// becomes waits until the reason is as wanted, at most for limit, and returns how long that took.
func becomes(t *testing.T, p *publisher, wanted func(*Reason) bool, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		r := p.witnessReason(time.Now())
		if wanted(r) {
			return time.Since(began)
		}
		if time.Since(began) >= limit {
			t.Fatalf("after %v: %+v", limit, r)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func ready(r *Reason) bool { return r == nil }
func noQuorum(names string) func(*Reason) bool {
	return func(r *Reason) bool {
		return r != nil && r.About == "witnesses" && errors.Is(r.Err, trust.ErrQuorum) && strings.Contains(r.Public, ": "+names+" did not cosign")
	}
}

func TestHealthKnowsWithinHalfAMinuteThatAQuorumIsGoneAndThatItIsBack(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, gone := range map[string]http.HandlerFunc{
		"it fails":                 down.ServeHTTP,
		"it hangs":                 hang,
		"it refuses":               status(http.StatusUnprocessableEntity),
		"it answers with nothing":  status(http.StatusOK),
		"it does not know the log": status(http.StatusNotFound),
	} {
		t.Run(name, func(t *testing.T) {
			startPublisher(t, 3, 2, nil, func(p *publisher, net network) {
				becomes(t, p, ready, 0)
				net["w3"].behave(gone)
				time.Sleep(10 * time.Minute)
				becomes(t, p, ready, 0) // two are a quorum
				net["w1"].behave(gone)
				becomes(t, p, noQuorum("w1, w3"), maxAge)
				time.Sleep(time.Hour)
				becomes(t, p, noQuorum("w1, w3"), 0)
				net["w1"].behave(nil)
				becomes(t, p, ready, maxAge)
			})
		})
	}
}

// Not even the timeout of a request ends the question.
// API-34
func TestAnAnswerThatIsTooOldCountsAsNone(t *testing.T) {
	startPublisher(t, 1, 1, nil, func(p *publisher, net network) {
		becomes(t, p, ready, 0)
		release := make(chan struct{})
		net["w1"].behave(func(w http.ResponseWriter, r *http.Request) { <-release })
		if took := becomes(t, p, noQuorum("w1"), maxAge); took < askEvery {
			t.Errorf("its answer of %v ago no longer counts", took)
		}
		close(release)
		net["w1"].behave(nil)
		becomes(t, p, ready, maxAge)
	})
}

func TestAWitnessThatCosignsIsAskedFourTimesAMinuteAndOneThatFailsNotMuchMore(t *testing.T) {
	startPublisher(t, 2, 1, nil, func(p *publisher, net network) {
		becomes(t, p, ready, 0)
		net["w2"].behave(down.ServeHTTP)
		before1, before2 := net["w1"].asked.Load(), net["w2"].asked.Load()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := net["w1"].asked.Load() - before1; n != 40 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		if n := net["w2"].asked.Load() - before2; n < 40 || n > 50 {
			t.Errorf("asked %d times in ten minutes while it failed", n)
		}
	})
}

// At a start it is the same sentence as that of a submission, for as long as it takes.
// STO-15
func TestHealthNamesTheWitnessesThatWereNotHeardFrom(t *testing.T) {
	startPublisher(t, 2, 1, []string{"w2"}, func(p *publisher, net network) {
		unheard := func(r *Reason) bool {
			return r != nil && r.Public == "Nothing new is signed yet: the witnesses not heard from since the start (w2) could form a quorum by themselves."
		}
		becomes(t, p, unheard, 0)
		time.Sleep(time.Hour)
		becomes(t, p, unheard, 0)
		net["w2"].behave(nil)
		becomes(t, p, ready, askEvery)
	})
}
