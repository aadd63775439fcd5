// Package capture records receipts at run time: the store that programs emit to.
package capture

import (
	"errors"
	"io"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

var errStub = errors.New("not built yet")

// Store is a receipt store (pack.md §2): <Dir>/<date>/<trace>.jsonl and <Dir>/.store_seq.
type Store struct {
	Dir string
	Now func() time.Time // nil: time.Now
}

// Home is $ASSAY_HOME, else ~/.assay (pack.md §2).
func Home(getenv func(string) string) (string, error) { return "", errStub }

// NewTraceID is trace_YYYYMMDDTHHMMSS_ and 8 hex digits.
func NewTraceID(now time.Time, rand io.Reader) (string, error) { return "", errStub }

// Emit appends a receipt: type, and data members (an object). It returns the stored receipt.
func (s *Store) Emit(traceID, typ string, data jcs.Value) (jcs.Value, error) { return jcs.Value{}, errStub }

// Trace is what the store holds of one run.
type Trace struct {
	ID       string
	Path     string
	Receipts []jcs.Value
	TornTail int // bytes of an unfinished last line, left out
}

func (s *Store) Read(traceID string) (*Trace, error) { return nil, errStub }
