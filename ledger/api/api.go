// Package api is the HTTP face of the ledger.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/index"
)

var errStub = errors.New("not built yet")

type Config struct {
	Log      *ledger.Log
	Index    *index.Index
	TSARoots []byte        // PEM, published under /v1/log
	Wait     time.Duration // how long a submission waits for publication; zero: 30 s
	Logger   *slog.Logger
}

// New returns the handler.
func New(cfg Config) (http.Handler, error) { return nil, errStub }

// Serve runs the handler on ln with every timeout and limit set until ctx ends, then drains.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	return errStub
}
