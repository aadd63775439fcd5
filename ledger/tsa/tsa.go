// Package tsa carries RFC 3161 over HTTP: the transport of timestamp.Client and the handler of the dev authority.
package tsa

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

var errStub = errors.New("not built yet")

// Post returns the transport of a timestamp.Client.
func Post(c *http.Client) func(ctx context.Context, url string, request []byte) ([]byte, error) {
	return nil
}

// Handler serves an Authority.
func Handler(a *timestamp.Authority, now func() time.Time) http.Handler { return nil }
