// Package client is a remote ledger; it verifies everything it returns.
package client

import (
	"context"
	"errors"
	"iter"
	"net/http"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/trust"
)

var errStub = errors.New("not built yet")

type Client struct {
	URL    string
	Policy *trust.Policy
	HTTP   *http.Client
}

func (c *Client) Add(ctx context.Context, manifest []byte, src pack.Source) (*ledger.Anchored, error) {
	return nil, errStub
}
func (c *Client) Checkpoint(ctx context.Context) (*trust.Checkpoint, error) { return nil, errStub }
func (c *Client) Prove(ctx context.Context, manifest [32]byte) (*ledger.Anchored, error) {
	return nil, errStub
}
func (c *Client) Entries(ctx context.Context, cp *trust.Checkpoint, start int64) iter.Seq2[pack.Logged, error] {
	return nil
}
