// Package witness is a C2SP tlog-witness.
package witness

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"golang.org/x/mod/sumdb/tlog"
)

var errStub = errors.New("not built yet")

var ErrConflict = errors.New("the stored checkpoint has changed")

// Store keeps the latest cosigned checkpoint of each origin. Compare and swap keeps the security check in sight.
type Store interface {
	Latest(ctx context.Context, origin string) ([]byte, error)      // nil if none
	Swap(ctx context.Context, origin string, old, new []byte) error // durable, atomic; ErrConflict if old is not current
}

type Config struct {
	Policy    *trust.Policy // its log lines say whom to cosign; quorum none
	Cosigners []*trust.Cosigner
	Store     Store
	Now       func() time.Time
	Log       *slog.Logger
}

type Witness struct{}

type Request struct {
	OldSize    int64
	Proof      []tlog.Hash
	Checkpoint []byte
}

func New(cfg Config) (*Witness, error)                                           { return nil, errStub }
func (w *Witness) AddCheckpoint(ctx context.Context, r Request) ([]byte, error)  { return nil, errStub }
func (w *Witness) Latest(ctx context.Context, originHash string) ([]byte, error) { return nil, errStub }
func (w *Witness) Handler() http.Handler                                         { return nil }

// OpenSQLite opens (or creates) the store.
func OpenSQLite(path string) (*SQLite, error) { return nil, errStub }

type SQLite struct{}

func (s *SQLite) Latest(ctx context.Context, origin string) ([]byte, error)      { return nil, errStub }
func (s *SQLite) Swap(ctx context.Context, origin string, old, new []byte) error { return errStub }
func (s *SQLite) Close() error                                                   { return nil }
