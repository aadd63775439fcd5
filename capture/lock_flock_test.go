//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package capture

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// wouldWait reports whether the flock of a file, taken as another program does, would be waited for.
func wouldWait(t *testing.T, path string, how int) bool {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	switch err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB); {
	case err == nil:
		return false
	case !errors.Is(err, syscall.EWOULDBLOCK):
		t.Fatal(err)
	}
	return true
}

// The Python tool and readers rely on it: nobody reads or writes a trace while a receipt is written to it,
// whether the trace is new, of today or of an earlier day.
func TestATraceIsLockedAgainstEverybodyWhileItIsWritten(t *testing.T) {
	day := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	for name, began := range map[string]time.Time{"new": {}, "of_today": day, "of_yesterday": day.Add(-24 * time.Hour)} {
		s := newStore(t)
		want := day
		if !began.IsZero() {
			want = began
			s.Now = func() time.Time { return began }
			emit(t, s, name)
		}
		if err := os.MkdirAll(s.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := s.openTrace(name, day)
		if err != nil {
			t.Fatal(err)
		}
		if at := filepath.Join(s.Dir, want.Format(dayForm), name+".jsonl"); file.Name() != at {
			t.Errorf("%s: opened %s, want %s", name, file.Name(), at)
		}
		for _, how := range []int{syscall.LOCK_SH, syscall.LOCK_EX} {
			if !wouldWait(t, file.Name(), how) {
				t.Errorf("%s: another program does not wait for the lock %d", name, how)
			}
		}
		file.Close()
		if wouldWait(t, file.Name(), syscall.LOCK_EX) {
			t.Errorf("%s: locked for ever", name)
		}
	}
}

// Readers do not wait for each other: one that holds its lock for long, as another program may, stops none.
func TestATraceIsReadWhileAnotherReads(t *testing.T) {
	s := newStore(t)
	emit(t, s, "t1")
	path := read(t, s, "t1").Path
	other, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		trace, err := s.Open("t1")
		if err == nil {
			err = trace.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits")
	}
}
