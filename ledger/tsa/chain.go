package tsa

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// When a Chain asks by itself, without an entry that wants a token.
const (
	firstPause = 250 * time.Millisecond // after a failure; each further one in a row doubles it
	maxPause   = 15 * time.Second
	probeAfter = 15 * time.Second // an authority that no entry asked for so long is asked by us
	healthAge  = 30 * time.Second // what is older than this is not known; above idle and maxPause with a timeout each
)

// probeDigest is what is stamped when no entry is at hand.
var probeDigest = sha256.Sum256([]byte("assay ledger: does this timestamp authority answer?\n"))

// Config of a Chain. URLs and Options.Roots are required.
type Config struct {
	URLs    []string // in order of preference
	Options timestamp.Options
	HTTP    *http.Client     // see Post; nil: one with few connections
	Log     *slog.Logger     // nil: discards
	Jitter  func() float64   // in [0, 1): how much of half a pause is left out, so that ledgers do not ask at one time; nil: 0
	Now     func() time.Time // that tokens are compared with; nil: time.Now
}

// Chain asks timestamp authorities in order of preference, and remembers which of them fail: those are
// passed over until a probe in the background gets a token, at pauses from 250 ms to 15 s. So an authority
// that hangs costs the entries that find it out 5 seconds, and later ones nothing. While all of them fail,
// an entry is told so at once. The log has one line when an authority begins to fail and one when it
// answers again.
//
// The authority that entries would ask next is probed too when no entry asked it for 15 s: Health never
// speaks from memory that is older than 30 s.
type Chain struct {
	authorities []*authority
	log         *slog.Logger
	jitter      func() float64

	mu     sync.Mutex // of the authorities' state; never held while somebody is asked
	cancel context.CancelFunc
	probes sync.WaitGroup // one for each authority, which Close waits for
}

// authority is one of a Chain, and what is known of it. Chain.mu guards all but the first four.
type authority struct {
	name   string // for people: its URL may hold a secret
	client timestamp.Client
	slots  chan struct{} // one for each connection to its host in use
	wake   chan struct{} // holds one: whether or when it has to be probed has changed

	failures int           // in a row; 0: it works, or was never asked
	changed  time.Time     // when it last began to fail or to work
	asked    time.Time     // when the last exchange ended; zero: never
	pause    time.Duration // between that and the next probe, if it fails
	err      error         // of the last exchange
}

// NewChain checks the URLs and begins to probe. Close ends that.
func NewChain(cfg Config) (*Chain, error) {
	if len(cfg.URLs) == 0 || cfg.Options.Roots == nil {
		return nil, errors.New("timestamp authorities: a URL and roots are required")
	}
	c := &Chain{log: cfg.Log, jitter: cfg.Jitter}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.jitter == nil {
		c.jitter = func() float64 { return 0 }
	}
	if err := CheckURLs(cfg.URLs); err != nil {
		return nil, err
	}
	post := Post(cfg.HTTP)
	slots := map[string]chan struct{}{}
	for i, address := range cfg.URLs {
		host := urlHost(address)
		if slots[host] == nil {
			slots[host] = make(chan struct{}, maxConnections)
		}
		c.authorities = append(c.authorities, &authority{
			name:   authorityName(cfg.URLs, i),
			client: timestamp.Client{URL: address, Options: cfg.Options, Now: cfg.Now, Post: post},
			slots:  slots[host],
			wake:   make(chan struct{}, 1),
		})
	}
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	for _, a := range c.authorities {
		c.probes.Go(func() { c.probe(ctx, a) })
	}
	return c, nil
}

func urlHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// authorityName is the host of a URL, and its number among those given if they share it.
func authorityName(urls []string, i int) string {
	name := urlHost(urls[i])
	for j, other := range urls {
		if j != i && urlHost(other) == name {
			return fmt.Sprintf("%s (%d)", name, i+1)
		}
	}
	return name
}

// Close ends the probes. Timestamp may still be called, and asks.
func (c *Chain) Close() {
	c.cancel()
	c.probes.Wait()
}

// Timestamp returns a verified token over the digest, from the first authority that gives one. When none
// does, the error joins one for each authority; those that are known to fail were not asked.
func (c *Chain) Timestamp(ctx context.Context, digest [32]byte) (*timestamp.Token, error) {
	var errs []error
	for _, a := range c.authorities {
		token, err := c.ask(ctx, a, digest, false)
		if err == nil {
			return token, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, onOneLine(errs)
}

// onOneLine joins errors; there is at least one.
func onOneLine(errs []error) error {
	args := make([]any, len(errs))
	for i, err := range errs {
		args[i] = err
	}
	return fmt.Errorf(strings.Repeat("; %w", len(errs))[2:], args...)
}

// failing is why an authority is passed over; nil: it is not.
func (c *Chain) failing(a *authority) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.failures == 0 {
		return nil
	}
	return fmt.Errorf("%w (asked %s ago)", a.err, time.Since(a.asked).Round(100*time.Millisecond))
}

// ask asks one authority, as soon as one of the connections to it is free; one that fails by then only
// if it is a probe. The wait for a connection is ours: nothing that it costs counts against the authority.
func (c *Chain) ask(ctx context.Context, a *authority, digest [32]byte, probe bool) (*timestamp.Token, error) {
	if err := c.failing(a); err != nil && !probe {
		return nil, err // it is not waited for either
	}
	arrived := time.Now()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("timestamp authority %s: all %d connections to it were in use: %w", a.name, maxConnections, ctx.Err())
	}
	if err := c.failing(a); err != nil && !probe {
		return nil, err
	}
	began := time.Now()
	token, err := a.client.Timestamp(ctx, digest)
	if err != nil {
		err = fmt.Errorf("timestamp authority %s: %w", a.name, err)
	}
	// Who is not waited for has not failed. Who used up the time that there was, has, unless the wait
	// for a connection had left less than an exchange may take.
	deadline, limited := ctx.Deadline()
	ours := limited && deadline.Sub(began) < timeout && deadline.Sub(arrived) >= timeout
	if err == nil || ctx.Err() == nil || !ours && !errors.Is(ctx.Err(), context.Canceled) {
		c.report(a, began, err)
	}
	return token, err
}

// report takes down how an exchange that began then has ended now.
func (c *Chain) report(a *authority, began time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && began.Before(a.changed) {
		return // of many that fail together the first was counted; and it may have recovered since
	}
	now := time.Now()
	a.asked, a.err = now, err
	switch {
	case err == nil && a.failures == 0:
		return
	case err == nil:
		c.log.Info("a timestamp authority answers again", "tsa", a.name, "failed_for", now.Sub(a.changed).Round(time.Millisecond).String())
		a.failures, a.changed = 0, now
	default:
		a.pause = min(firstPause<<min(a.failures, 16), maxPause)
		a.pause -= time.Duration(c.jitter() * float64(a.pause) / 2)
		if a.failures++; a.failures > 1 {
			return
		}
		c.log.Warn("a timestamp authority fails and is passed over until it answers", "tsa", a.name, "err", err)
		a.changed = now
	}
	// Another authority may be the one that entries ask from now on.
	for _, other := range c.authorities {
		select {
		case other.wake <- struct{}{}:
		default:
		}
	}
}

// probe asks one authority whenever that is due, until ctx ends.
func (c *Chain) probe(ctx context.Context, a *authority) {
	for {
		due, known := c.due(a)
		if known && due <= 0 {
			_, _ = c.ask(ctx, a, probeDigest, true) // report has the answer
			if ctx.Err() != nil {
				return
			}
			continue
		}
		var timer <-chan time.Time // never, if it is not due before something changes
		if known {
			timer = time.After(due)
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer:
		}
	}
}

// due is how long from now an authority is to be probed. One that works and stands behind another that
// works is never: nobody wants to know.
func (c *Chain) due(a *authority) (in time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case a.failures > 0:
		return a.pause - time.Since(a.asked), true
	case a != c.next():
		return 0, false
	case a.asked.IsZero():
		return 0, true
	}
	return probeAfter - time.Since(a.asked), true
}

// next is the authority that an entry would ask; nil: all fail. c.mu is held.
func (c *Chain) next() *authority {
	for _, a := range c.authorities {
		if a.failures == 0 {
			return a
		}
	}
	return nil
}

// Health is nil when an entry would get a token now: the authority that it would ask gave one less than
// 30 s ago. It waits for nobody.
func (c *Chain) Health() error {
	c.mu.Lock()
	a := c.next()
	var asked time.Time
	if a != nil {
		asked = a.asked
	}
	c.mu.Unlock()
	switch {
	case a == nil:
		errs := make([]error, len(c.authorities))
		for i, a := range c.authorities {
			if errs[i] = c.failing(a); errs[i] == nil {
				return nil // it has just answered
			}
		}
		return onOneLine(errs)
	case asked.IsZero():
		return fmt.Errorf("timestamp authority %s has not answered yet", a.name)
	case time.Since(asked) >= healthAge:
		return fmt.Errorf("timestamp authority %s was last heard %s ago", a.name, time.Since(asked).Round(time.Second))
	}
	return nil
}
