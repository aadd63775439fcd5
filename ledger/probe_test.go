package ledger

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// STO-32
func TestAProbeFindsWhatAWriteWouldMeet(t *testing.T) {
	good, other := t.TempDir(), t.TempDir()
	file := filepath.Join(other, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	occupied := filepath.Join(other, "occupied")
	must(t, os.MkdirAll(filepath.Join(occupied, ".probe"), 0o700))
	descriptors := func() int {
		list, _ := os.ReadDir("/proc/self/fd") // none: not counted here
		return len(list)
	}
	before := descriptors()
	for name, test := range map[string]struct {
		dirs  []string
		spare uint64
		says  string // "": storage takes writes
	}{
		"two directories":                  {[]string{good, other}, 0, ""},
		"a byte to spare":                  {[]string{good}, 1, ""},
		"less than is kept in reserve":     {[]string{good}, 1 << 62, "are left"},
		"the first is gone":                {[]string{filepath.Join(other, "gone"), good}, 0, "descriptors"},
		"the second is gone":               {[]string{good, filepath.Join(other, "gone")}, 0, "no such file"},
		"the second is a file":             {[]string{good, file}, 0, "not a directory"},
		"the second refuses to be written": {[]string{good, occupied}, 0, "is a directory"},
	} {
		err := (&probe{dirs: test.dirs, spare: test.spare, log: slog.New(slog.DiscardHandler)}).check()
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
		for _, dir := range test.dirs {
			if _, err := os.Stat(filepath.Join(dir, ".probe")); err == nil && dir != occupied {
				t.Errorf("%s: the probe is left in %s", name, dir)
			}
		}
	}
	if after := descriptors(); after > before+5 {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// One look serves many questions; one that does not end is an answer after a while.
func TestAProbeIsAskedOftenAndLooksSeldom(t *testing.T) {
	dir := t.TempDir()
	var logged bytes.Buffer
	p := &probe{dirs: []string{dir}, log: slog.New(slog.NewTextHandler(&logged, nil))}
	must(t, p.check())
	must(t, os.Remove(dir))
	must(t, p.check()) // what was found a moment ago
	p.at = time.Now().Add(-probeEvery - time.Second)
	for range 3 {
		if err := p.check(); err == nil {
			t.Error("a directory that is gone takes writes")
		}
	}
	must(t, os.Mkdir(dir, 0o700))
	p.at = time.Now().Add(-probeEvery - time.Second)
	must(t, p.check())
	if out := logged.String(); strings.Count(out, "storage refuses writes") != 1 || strings.Count(out, "takes writes again") != 1 {
		t.Errorf("each change is told once: %s", out)
	}
	trouble := errors.New("what the last look found")
	p.looking, p.at, p.err = true, time.Now().Add(-probeStuck/2), trouble
	if err := p.check(); err != trouble {
		t.Errorf("while somebody looks: %v", err)
	}
	p.at = time.Now().Add(-probeStuck - time.Second)
	if err := p.check(); err == nil || err == trouble || !strings.Contains(err.Error(), "not answered") {
		t.Errorf("while somebody looks for too long: %v", err)
	}
}

// Health is asked while the background looks, and hangs.
// STO-32
func TestHealthDoesNotWaitForADiskThatHangs(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	eventually(t, "ready", func() bool { return l.Health(t.Context()) == nil })
	fifo := filepath.Join(w.cfg.GuardDir, ".probe") // opening it for writing waits for a reader
	eventually(t, "the disk hangs", func() bool { return unix.Mkfifo(fifo, 0o600) == nil })
	looking := func() bool {
		l.probe.mu.Lock()
		defer l.probe.mu.Unlock()
		return l.probe.looking && time.Since(l.probe.at) > probeEvery
	}
	eventually(t, "the background looks", looking)
	l.probe.mu.Lock()
	l.probe.at = l.probe.at.Add(-probeStuck)
	l.probe.mu.Unlock()
	if err := l.Health(t.Context()); !errors.Is(err, ErrStorage) || w.reasonsOf("storage") != "Storage refuses writes." {
		t.Errorf("while it hangs: %v", err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDONLY|unix.O_NONBLOCK, 0)
	must(t, err)
	defer reader.Close()
	eventually(t, "it is ready again", func() bool { return l.Health(t.Context()) == nil })
}

func TestALockThatAnotherHoldsIsWaitedForAndThenNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder, waiter := flock.New(path), flock.New(path)
	must(t, holder.Lock())
	soon, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := awaitLock(soon, waiter); err == nil || !strings.Contains(err.Error(), "another process still writes") || !strings.Contains(err.Error(), path) {
		t.Errorf("held by another: %v", err)
	}
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if err := awaitLock(given, waiter); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), "another process") {
		t.Errorf("given up: %v", err)
	}
	released := make(chan error, 1)
	go func() { released <- awaitLock(context.Background(), waiter) }()
	must(t, holder.Unlock())
	must(t, <-released)
	must(t, waiter.Unlock())
}

func TestTheCacheOfFullTilesIsBounded(t *testing.T) {
	var c fullTiles
	for n := range int64(3 * maxCachedTiles) {
		at := tlog.Tile{H: tiles.Height, N: n, W: tiles.Width}
		tile := make(hashTile, 1)
		c.put(at, tile)
		if _, ok := c.get(at); !ok || len(c.tiles) > maxCachedTiles {
			t.Fatalf("after %d tiles: holds %d, the last: %t", n+1, len(c.tiles), ok)
		}
	}
	if len(c.tiles) != maxCachedTiles {
		t.Errorf("holds %d", len(c.tiles))
	}
	if _, ok := c.get(tlog.Tile{H: tiles.Height, L: 1, N: 1, W: tiles.Width}); ok {
		t.Error("a tile that nobody put there")
	}
}
