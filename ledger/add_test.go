package ledger

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// slowIndex takes no entries until hold is closed.
type slowIndex struct {
	Index
	hold chan struct{}
}

func (x *slowIndex) Append(ctx context.Context, start int64, entries []entry.Logged) error {
	<-x.hold
	return x.Index.Append(ctx, start, entries)
}

func (w *world) slowDown() (release func()) {
	f := w.log.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	slow := &slowIndex{f.index, make(chan struct{})}
	f.index = slow
	return func() { close(slow.hold) }
}

// STO-20
func TestAManifestThatTheIndexDoesNotKnowYetIsNotLoggedTwice(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.open()
	release := w.slowDown()
	first := w.add(0) // public, and not in the index
	again := w.add(0)
	if !first.New || again.New || again.Entry.Index != first.Entry.Index {
		t.Errorf("new %v at %d, then new %v at %d", first.New, first.Entry.Index, again.New, again.Entry.Index)
	}
	release()
	eventually(t, "the index has it", func() bool { _, ok := w.logged(digestOf(t, 0)); return ok })
	if again := w.add(0); again.New {
		t.Error("new, when the index has it")
	}
	if found := w.indexesOf(); len(found) != 1 || len(found[digestOf(t, 0)]) != 1 {
		t.Errorf("manifest 0 is at %v", found)
	}
}

func TestATokenThatDoesNotFitIntoAnEntryEndsInAnError(t *testing.T) {
	var size atomic.Int64
	w := newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps = TimestampsRequired
		c.TSA = tsaFunc(func(context.Context, [32]byte) (*timestamp.Token, error) {
			return &timestamp.Token{DER: make([]byte, size.Load())}, nil
		})
	})
	l := w.open()
	size.Store(40_000)
	if a, err := l.Add(t.Context(), manifestOf(t, 0), entry.Source{}); err == nil || a != nil {
		t.Fatalf("an entry with a token of 40,000 bytes: %v", a)
	}
	size.Store(400)
	if a := w.add(0); !a.New || a.Entry.Index != 0 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing != 0 || l.failures != 0 {
		t.Errorf("%d are being written, %d failures", l.writing, l.failures)
	}
}

// A panic leaves open how far an entry came: here it had come into the tree.
// STO-21
func TestAnEntryWhoseAdmissionPanickedIsFoundInTheTree(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	w.add(0)
	panicking := true
	l.appender = &alteredAppender{l.appender, func(index int64, err error) (int64, error) {
		if panicking {
			panic("after the write")
		}
		return index, err
	}}
	release := w.slowDown() // or the follower would end it
	if _, err := l.Add(t.Context(), manifestOf(t, 1), entry.Source{}); err == nil || !strings.Contains(err.Error(), "panicked") || errors.Is(err, ErrBusy) {
		t.Fatalf("a panic: %v", err)
	}
	panicking = false
	release()
	if a := w.add(1); a.New || a.Entry.Index != 1 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
	if a := w.add(2); !a.New || a.Entry.Index != 2 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writing != 0 {
		t.Errorf("%d are being written", l.writing)
	}
}

// brokenIndex takes no entries while it is broken.
type brokenIndex struct {
	Index
	broken atomic.Bool
}

func (x *brokenIndex) Append(ctx context.Context, start int64, entries []entry.Logged) error {
	if x.broken.Load() {
		return errors.New("read-only file system")
	}
	return x.Index.Append(ctx, start, entries)
}

// STO-33
func TestALogWhoseIndexCannotBeWrittenServesWhatItHasAndLogsNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.open()
	w.add(0)
	eventually(t, "the index has it", func() bool { _, ok := w.logged(digestOf(t, 0)); return ok })
	release := w.slowDown()
	w.add(1) // public, and the index never hears of it
	killed := w.copyTo(t)
	release()
	w.close()

	x := &brokenIndex{}
	x.broken.Store(true)
	killed.wrapIndex = func(real Index) Index { x.Index = real; return x }
	l := killed.open()
	eventually(t, "health says so", func() bool {
		err := l.Health(t.Context())
		return err != nil && strings.HasPrefix(err.Error(), "index: ")
	})
	for _, i := range []int{1, 2} { // neither the one that the index lacks nor a new one
		if a, err := l.Add(t.Context(), manifestOf(t, i), entry.Source{}); err == nil {
			t.Errorf("manifest %d: new %v, index %d", i, a.New, a.Entry.Index)
		}
	}
	for i := range int64(2) {
		if _, err := l.Prove(t.Context(), i); err != nil {
			t.Error(err)
		}
	}
	x.broken.Store(false)
	eventually(t, "health is well again", func() bool { return l.Health(t.Context()) == nil })
	if a := killed.add(1); a.New || a.Entry.Index != 1 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
	if a := killed.add(2); !a.New || a.Entry.Index != 2 {
		t.Errorf("new %v, index %d", a.New, a.Entry.Index)
	}
}

// How far the index is behind bounds how much is taken (Log.reserve), so it must come back to nothing.
func TestAnIdleLogKnowsThatTheIndexHoldsEveryEntry(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 5)
	eventually(t, "everything is indexed", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.integrated == 5 && l.indexed == 5 && len(l.pending) == 0
	})
}

// panickyIndex panics where it should append.
type panickyIndex struct{ Index }

func (panickyIndex) Append(context.Context, int64, []entry.Logged) error { panic("a test") }

// A panic while the index follows leaves nobody to find entries by: nothing more is taken.
func TestAnIndexThatPanicsFreezesTheLog(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.wrapIndex = func(x Index) Index { return panickyIndex{x} }
	l := w.open()
	w.add(0)
	eventually(t, "the log is frozen", func() bool { return l.frozen() != nil })
	if err := l.frozen(); !strings.Contains(err.Error(), "indexing panicked: a test") {
		t.Error(err)
	}
}

// The lock of the guard keeps two processes from one log, so the next one may start when the first has closed.
func TestAClosedLogHasGivenItsGuardBack(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	w.close()
	if l.guard.lock.Locked() {
		t.Error("the guard is still locked")
	}
}

func TestEntriesThatAreNotInOneBundleOfTheTreeAreNoList(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	w.addAll(0, 2)
	r := newReader(l.store, l.publisher.current.Load())
	for _, span := range [][2]int64{{-1, 1}, {1, 1}, {2, 2}, {1, 0}, {0, 3}, {0, 257}} {
		if list, err := r.entries(span[0], span[1]); err == nil {
			t.Errorf("entries %v of a log of two: %v", span, list)
		}
	}
	if list, err := r.entries(0, 2); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}
