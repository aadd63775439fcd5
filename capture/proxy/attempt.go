package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/capture/call"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// Recorder keeps what the proxy has to say. capture.Intents is one.
type Recorder interface {
	// Intend says, before a request leaves, that it will.
	Intend(capture.Intent) (capture.Pending, error)
	// Record writes the receipt of a request: of none that Intend knows if p is zero.
	Record(p capture.Pending, typ, parent string, data ...jcs.Member) error
}

// desk is what all attempts of a proxy share.
type desk struct {
	recorder Recorder
	budget   *call.Budget
	attempts call.Attempts
	counts   counter
	now      func() time.Time
}

// attempt is one request, and what became of it. Its call is nil if it wants no receipt.
type attempt struct {
	desk    *desk
	to      target
	route   call.Route
	began   time.Time
	pending capture.Pending
	call    *call.Call

	mu    sync.Mutex
	first time.Time // of the response's body
	ended time.Time
	heard bool // the response came whole
	noUp  error
}

// begin makes the intent durable (CAP-12). After an error the attempt has none.
func (a *attempt) begin(route call.Route, r *http.Request) (err error) {
	a.desk.counts.seen.Add(1)
	a.route = route
	a.call = call.Begin(route, call.RequestHead{Method: r.Method, Path: a.to.path, Query: a.to.url.RawQuery, Header: r.Header}, a.desk.budget)
	if r.Body == nil || r.Body == http.NoBody {
		a.call.RequestEnd(true)
	}
	a.pending, err = a.desk.recorder.Intend(capture.Intent{Type: route.Type, Provider: a.to.provider, Route: route.Name,
		EndpointHost: authority(a.to.url), StartedAt: a.began})
	return err
}

// abandon ends an attempt that is not forwarded, because it cannot be recorded.
func (a *attempt) abandon() {
	a.desk.counts.failed.Add(1)
	a.call.End(call.ConnectFailed)
	a.call.Finish() // gives back what it keeps
}

func (a *attempt) body(b []byte) {
	a.mu.Lock()
	if a.first.IsZero() {
		a.first = a.desk.now()
	}
	a.mu.Unlock()
	a.call.Body(b)
}

func (a *attempt) bodyEnd(whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard, a.ended = whole, a.desk.now()
}

func (a *attempt) noResponse(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.noUp, a.ended = err, a.desk.now()
}

// finish reads what is left to read, when the response has been passed on, or cannot be. The program may try again as soon
// as this returns: then it is known which attempt that follows.
func (a *attempt) finish(client context.Context) call.Attempt {
	a.mu.Lock()
	if a.ended.IsZero() {
		a.ended = a.desk.now()
	}
	said := call.Attempt{Number: a.pending.Number, EndpointHost: authority(a.to.url), StartedAt: a.began.UTC().Format(receipt.TimeForm),
		FirstByteMS: -1, LatencyMS: millis(a.ended.Sub(a.began))}
	if !a.first.IsZero() {
		said.FirstByteMS = millis(a.first.Sub(a.began))
	}
	how := a.ending(client)
	a.mu.Unlock()
	a.call.End(how)
	a.call.Finish()
	said.LogicalCallID, said.Attempt = a.desk.attempts.Place(a.call, authority(a.to.url), a.began, a.ended, newLogicalID)
	return said
}

// record writes the receipt.
func (a *attempt) record(said call.Attempt) {
	data := a.call.Members(said)
	a.desk.counts.add(a.call.Unparsed(), a.desk.recorder.Record(a.pending, a.route.Type, a.call.Parent(), data...))
}

func newLogicalID() string {
	id := make([]byte, 8)
	rand.Read(id) // never fails
	return "c_" + hex.EncodeToString(id)
}

// millis is a span in whole milliseconds, 0 where a clock went back.
func millis(d time.Duration) int64 { return max(0, d.Milliseconds()) }

// ending is how the attempt ended, as far as the connections tell.
func (a *attempt) ending(client context.Context) call.Ending {
	switch {
	case a.heard && client.Err() == nil:
		return call.Whole
	case client.Err() != nil && !a.heard:
		return call.ClientGone
	case a.heard: // all of it came, and the program went away with its last bytes
		return call.Whole
	case a.noUp != nil:
		return classify(a.noUp)
	}
	return call.UpstreamReset
}

func classify(err error) call.Ending {
	var (
		verify *tls.CertificateVerificationError
		record tls.RecordHeaderError
		alert  tls.AlertError
		unkown x509.UnknownAuthorityError
		op     *net.OpError
		dns    *net.DNSError
	)
	switch {
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert), errors.As(err, &unkown):
		return call.TLSFailed
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), strings.Contains(err.Error(), "TLS handshake timeout"):
		return call.UpstreamTimeout
	case errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial", errors.As(err, &op) && op.Op == "proxyconnect":
		return call.ConnectFailed
	}
	return call.UpstreamReset
}

type attemptKey struct{}

func attemptOf(r *http.Request) *attempt { return r.Context().Value(attemptKey{}).(*attempt) }

// tap tells of the bytes that pass through a body.
type tap struct {
	from  io.ReadCloser
	bytes func([]byte)
	end   func(whole bool)
	once  sync.Once
}

func (t *tap) Read(b []byte) (int, error) {
	n, err := t.from.Read(b)
	if n > 0 {
		t.bytes(b[:n])
	}
	if err != nil {
		t.once.Do(func() { t.end(err == io.EOF) })
	}
	return n, err
}

func (t *tap) Close() error {
	err := t.from.Close()
	t.once.Do(func() { t.end(false) })
	return err
}
