// Package ledger is the log: admit an entry, publish it, return its proof.
package ledger

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

var errStub = errors.New("not built yet")

// Index remembers which manifests the log holds. It is a cache: Open fills it from the log.
type Index interface {
	Size(ctx context.Context) (int64, error)                                       // entries indexed: [0, Size)
	Append(ctx context.Context, start int64, entries []pack.Logged) error          // start must equal Size; all or nothing
	Find(ctx context.Context, manifest [32]byte) (index int64, ok bool, err error) // first index
}

// Timestamper gets a verified RFC 3161 token over a digest.
type Timestamper interface {
	Timestamp(ctx context.Context, digest [32]byte) (*timestamp.Token, error)
}

type TimestampMode string

const (
	TimestampsRequired  TimestampMode = "require" // zero value means this one
	TimestampsPreferred TimestampMode = "prefer"
	TimestampsOff       TimestampMode = "off"
)

type Config struct {
	Dir        string // Tessera's storage; Open creates nothing here unless Create
	GuardDir   string // on another path
	Signer     *trust.LogSigner
	Policy     *trust.Policy // log line of our own, witnesses with URLs, quorum
	Index      Index
	Timestamps TimestampMode
	TSA        Timestamper
	HTTP       *http.Client  // for witnesses; nil: one with limits
	Interval   time.Duration // least time between checkpoints; zero: 200 ms
	BatchSize  uint          // zero: 256
	BatchAge   time.Duration // zero: 10 ms
	MaxPending int           // entries between admission and publication; zero: 4096
	Now        func() time.Time
	Log        *slog.Logger
}

// Anchored is the answer to a submission.
type Anchored struct {
	Proof *trust.Proof
	Entry pack.Logged
	New   bool // false: it was there before; the entry is the first one
}

// Rejected: the manifest did not verify; nothing was stored.
type Rejected struct{ Findings []pack.Finding }

func (r *Rejected) Error() string { return "manifest does not verify" }

var (
	ErrBusy        = errors.New("the ledger is busy")                      // 503, retry
	ErrUnpublished = errors.New("logged but not yet cosigned by a quorum") // 503, retry gives the proof
	ErrTimestamp   = errors.New("no timestamp authority answered")         // 503, retry
	ErrStorage     = errors.New("storage refuses writes")                  // 507
	ErrClosed      = errors.New("the ledger is closing")                   // 503
	ErrNotFound    = errors.New("no such entry")                           // 404
)

type Log struct{}

// Create makes an empty log in cfg.Dir and its guard; refuses if either exists.
func Create(ctx context.Context, cfg Config) error       { return errStub }
func Open(ctx context.Context, cfg Config) (*Log, error) { return nil, errStub }
func (l *Log) Close(ctx context.Context) error           { return errStub }

// Add admits a pack_manifest.json and returns when its entry is public and cosigned.
func (l *Log) Add(ctx context.Context, manifest []byte, src pack.Source) (*Anchored, error) {
	return nil, errStub
}

// Checkpoint returns the published checkpoint.
func (l *Log) Checkpoint(ctx context.Context) (*trust.Checkpoint, error) { return nil, errStub }

// Entries yields the entries [start, cp.Size).
func (l *Log) Entries(ctx context.Context, cp *trust.Checkpoint, start int64) iter.Seq2[pack.Logged, error] {
	return nil
}

// Prove returns a fresh proof for index against the published checkpoint.
func (l *Log) Prove(ctx context.Context, index int64) (*Anchored, error) { return nil, errStub }

// Tile returns the bytes at a tlog-tiles path ("tile/0/000", "tile/entries/000.p/3"); ErrNotFound for anything else.
func (l *Log) Tile(ctx context.Context, path string) ([]byte, error) { return nil, errStub }

// Health is nil when the log can take entries and publish them.
func (l *Log) Health(ctx context.Context) error { return errStub }
