package proxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// Server serves a Proxy on an address of this machine.
type Server struct {
	proxy  *Proxy
	http   *http.Server
	cancel context.CancelFunc // of every request
	served chan error
}

// Serve starts to answer on a listener, which it owns from then on. Close ends it.
func (p *Proxy) Serve(l net.Listener) *Server {
	p.self = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{proxy: p, cancel: cancel, served: make(chan error, 1)}
	s.http = &http.Server{
		Handler:           p,
		ReadHeaderTimeout: time.Minute,
		IdleTimeout:       10 * time.Minute, // longer than clients keep a connection, so that they end it
		MaxHeaderBytes:    maxHead,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go func() { s.served <- s.http.Serve(l) }() // ends with Close
	return s
}

// Close waits up to grace for requests that are under way, cuts off what is left of them, and returns when each has its
// receipt or was counted as failed.
func (s *Server) Close(grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := s.http.Shutdown(ctx)
	s.cancel()
	err = errors.Join(ignore(err, context.DeadlineExceeded), s.http.Close())
	s.proxy.open.Wait()
	if t, ok := s.proxy.forward.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	return errors.Join(err, ignore(<-s.served, http.ErrServerClosed))
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
