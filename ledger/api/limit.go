package api

import (
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// maxNetworks bounds the limiter's memory. Networks beyond it share one bucket,
// so that an attacker with many addresses starves newcomers, not those who were here.
const maxNetworks = 1 << 16

// limiter holds a token bucket for each client network: IPv4 /24, IPv6 /48.
type limiter struct {
	rate, burst float64
	mu          sync.Mutex
	buckets     map[netip.Prefix]tokenBucket // guarded by mu; the zero prefix is the shared one
	swept       time.Time                    // guarded by mu
}

type tokenBucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(rate float64, burst int) *limiter {
	if rate == 0 {
		return nil
	}
	if burst == 0 {
		burst = max(1, int(2*rate))
	}
	return &limiter{rate: rate, burst: float64(burst), buckets: map[netip.Prefix]tokenBucket{}}
}

// take spends a token of addr's network, or says how long until there is one.
func (l *limiter) take(addr netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	network := networkOf(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[network]
	if !known && len(l.buckets) >= maxNetworks {
		l.sweep(now)
		if len(l.buckets) >= maxNetworks {
			network = netip.Prefix{}
			b, known = l.buckets[network]
		}
	}
	if !known {
		b = tokenBucket{tokens: l.burst, at: now}
	}
	b = l.refilled(b, now)
	if b.tokens < 1 {
		l.buckets[network] = b
		return time.Duration(math.Ceil((1-b.tokens)/l.rate)) * time.Second, false
	}
	b.tokens--
	l.buckets[network] = b
	return 0, true
}

func (l *limiter) refilled(b tokenBucket, now time.Time) tokenBucket {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(l.burst, b.tokens+d.Seconds()*l.rate)
		b.at = now
	}
	return b
}

// sweep forgets full buckets (a new one is full too), at most once a second.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for network, b := range l.buckets {
		if l.refilled(b, now).tokens >= l.burst {
			delete(l.buckets, network)
		}
	}
}

func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	p, err := addr.Prefix(bits)
	if err != nil { // not an address: one network for all of those
		return netip.Prefix{}
	}
	return p
}

func (h *Handler) limited(next echo.HandlerFunc) echo.HandlerFunc {
	if h.limit == nil {
		return next
	}
	return func(c echo.Context) error {
		addr, _ := netip.ParseAddr(c.RealIP()) // the zero Addr is limited as one client
		if wait, ok := h.limit.take(addr, h.cfg.Now()); !ok {
			p := rateLimited
			p.retryAfter = max(1, int(min(wait, time.Hour)/time.Second))
			return &refusal{problem: p}
		}
		return next(c)
	}
}

func clientNetwork(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
