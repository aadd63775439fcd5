// Package index is a SQLite view of the log: derived, deletable.
package index

import (
	"context"
	"errors"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
)

var errStub = errors.New("not built yet")

type Index struct{}

// Open opens or creates the index of one log; an index of another origin is refused.
func Open(path, origin string) (*Index, error)                                        { return nil, errStub }
func (x *Index) Close() error                                                         { return nil }
func (x *Index) Size(ctx context.Context) (int64, error)                              { return 0, errStub }
func (x *Index) Append(ctx context.Context, start int64, entries []pack.Logged) error { return errStub }
func (x *Index) Find(ctx context.Context, manifest [32]byte) (int64, bool, error) {
	return 0, false, errStub
}
func (x *Index) FindPackRoot(ctx context.Context, root [32]byte) ([]int64, error) {
	return nil, errStub
}

// Query selects entries, newest first; zero fields select all.
type Query struct {
	SignerKeySHA256, SourceRepo, ClaimCheck string
	Since                                   time.Time
	Before                                  int64 // only indexes below; zero: from the end
	Limit                                   int   // 1 to 100; zero: 50
}

func (x *Index) Search(ctx context.Context, q Query) ([]int64, error) { return nil, errStub }
