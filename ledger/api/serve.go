package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// timeouts of a connection. Submissions move their own deadlines (Handler.extend).
type timeouts struct{ header, read, write, idle, drain time.Duration }

var serverTimeouts = timeouts{
	header: 5 * time.Second,
	read:   15 * time.Second,
	write:  30 * time.Second,
	idle:   60 * time.Second,
	drain:  45 * time.Second,
}

const (
	maxHeaderBytes = 8 << 10
	// maxConnections bounds memory where the limit of descriptors is huge.
	maxConnections = 8192
)

// Serve runs h on ln with every timeout and limit set until ctx ends, then answers the requests
// that have begun. It returns nil when that was done in time.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	return serve(ctx, ln, h, log, serverTimeouts)
}

func serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger, t timeouts) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: t.header,
		ReadTimeout:       t.read,
		WriteTimeout:      t.write,
		IdleTimeout:       t.idle,
		// net/http adds 4 KiB of slack to what it is told.
		MaxHeaderBytes: maxHeaderBytes - 4<<10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// Half of the descriptors at most: the log and its index open files too.
	ln = netutil.LimitListener(ln, min(maxConnections, max(1, descriptorLimit()/2)))
	served := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				served <- fmt.Errorf("serving: panic: %v", v)
			}
		}()
		served <- srv.Serve(ln)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", errors.Join(err, srv.Close()))
	case <-ctx.Done():
	}
	// ctx is over; what is left gets a time of its own.
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.drain)
	defer cancel()
	err := srv.Shutdown(draining)
	if err != nil {
		err = fmt.Errorf("draining connections: %w", errors.Join(err, srv.Close()))
	}
	<-served
	return err
}
