// Package serve runs an HTTP server with every time and size limit set.
package serve

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of a server. The zero value fits one whose requests are short and answered at once: a witness or a
// timestamp authority.
type Limits struct {
	Connections int           // at a time, and never more than half of the descriptors; 0: 1024
	Header      time.Duration // to read the header of a request; 0: 5 s
	Read        time.Duration // to read a request; 0: 15 s; a handler may move this and the next
	Write       time.Duration // from the end of the header to that of the answer; 0: 30 s
	Idle        time.Duration // between two requests; 0: 120 s
	Drain       time.Duration // for what is under way when ctx ends; 0: 10 s
}

// Ledger are the limits for a ledger: readers by the thousand, and submissions that wait for their checkpoint.
var Ledger = Limits{Connections: 8192, Idle: 60 * time.Second, Drain: 45 * time.Second}

// maxHeaderBytes of a request, its first line included.
const maxHeaderBytes = 8 << 10

// HTTP serves h on ln until ctx ends, then answers the requests that have begun. It returns nil when that was
// done in time. It closes ln. A nil log discards.
func HTTP(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger, l Limits) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cmp.Or(l.Header, 5*time.Second),
		ReadTimeout:       cmp.Or(l.Read, 15*time.Second),
		WriteTimeout:      cmp.Or(l.Write, 30*time.Second),
		IdleTimeout:       cmp.Or(l.Idle, 120*time.Second),
		// net/http adds 4 KiB of slack to what it is told.
		MaxHeaderBytes: maxHeaderBytes - 4<<10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug), // clients that hang up
	}
	// Half of the descriptors at most: what answers opens files too.
	limited := netutil.LimitListener(ln, min(cmp.Or(l.Connections, 1024), max(1, descriptorLimit()/2)))
	served := make(chan error, 1)
	go func() { // ends when Shutdown or Close below closes the listener
		defer func() {
			if v := recover(); v != nil {
				served <- fmt.Errorf("accepting connections panicked: %v", v)
			}
		}()
		served <- srv.Serve(limited)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", ln.Addr(), errors.Join(err, srv.Close()))
	case <-ctx.Done():
	}
	// ctx is over; what is under way gets a time of its own.
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(l.Drain, 10*time.Second))
	defer cancel()
	err := srv.Shutdown(draining)
	if err != nil {
		err = fmt.Errorf("draining %s: %w", ln.Addr(), errors.Join(err, srv.Close()))
	}
	<-served
	return err
}

// Body reads the body of a request. One of more than limit bytes, announced or sent, is an *http.MaxBytesError. Memory
// follows what has arrived, not what was announced.
func Body(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	var body bytes.Buffer
	body.Grow(int(min(max(r.ContentLength, 0), 8<<10)) + bytes.MinRead)
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit)); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}
