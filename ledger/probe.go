package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	probeEvery       = 200 * time.Millisecond // at most, for submissions
	probeIdle        = time.Second            // at least, in the background
	probeStuck       = 5 * time.Second
	spareDescriptors = 16
	spareBytes       = 64 << 20 // on the file systems of the log and of the guard
)

// probe asks whether storage takes writes, before an entry is given to the appender.
//
// Tessera panics in a goroutine of its own, which ends the process that it is in, when it
// cannot open its lock file: on a read-only file system and when descriptors run out. A
// submission that is refused before costs nothing and has a known outcome. The probe leaves
// a window, and a process that dies in it loses nothing that was acknowledged.
type probe struct {
	dirs  []string
	spare uint64 // bytes
	log   *slog.Logger
	done  chan struct{} // closed when run has ended

	mu      sync.Mutex
	looking bool
	at      time.Time // when the last look began, or ended if none is under way
	err     error     // what it found
}

// run looks again and again, until ctx ends, so that known need not.
func (p *probe) run(ctx context.Context) {
	defer close(p.done)
	ticker := time.NewTicker(probeIdle)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = p.check() // known tells it
		case <-ctx.Done():
			return
		}
	}
}

// known returns what the last look found. It waits for nothing: a look that does not end is an
// answer after probeStuck.
func (p *probe) known() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found()
}

// found: the caller holds mu.
func (p *probe) found() error {
	if age := time.Since(p.at); p.looking && age > probeStuck {
		return fmt.Errorf("storage has not answered for %v", age.Round(time.Second))
	}
	return p.err
}

// check returns what the last look found, or looks again after probeEvery. While somebody else
// looks it does not wait.
func (p *probe) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looking || !p.at.IsZero() && time.Since(p.at) < probeEvery {
		return p.found()
	}
	p.looking, p.at = true, time.Now()
	spare := p.spare
	p.mu.Unlock()
	err := p.look(spare)
	p.mu.Lock()
	p.report(err)
	p.looking, p.at, p.err = false, time.Now(), err
	return err
}

// report logs a change, and not every request that is refused meanwhile.
func (p *probe) report(err error) {
	switch {
	case err != nil && p.err == nil:
		p.log.Error("storage refuses writes", "err", err)
	case err == nil && p.err != nil:
		p.log.Info("storage takes writes again")
	}
}

func (p *probe) look(spare uint64) (err error) {
	var held []*os.File
	defer func() {
		for _, f := range held {
			err = errors.Join(err, f.Close())
		}
	}()
	for range spareDescriptors {
		f, err := os.Open(p.dirs[0]) // any file would do; a container may have no /dev
		if err != nil {
			return fmt.Errorf("descriptors are running out: %w", err)
		}
		held = append(held, f)
	}
	for _, dir := range p.dirs {
		if err := writable(dir); err != nil {
			return err
		}
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return fmt.Errorf("asking for the space left at %s: %w", dir, err)
		}
		if left := fs.Bavail * uint64(fs.Bsize); left < spare {
			return fmt.Errorf("%d bytes are left at %s, %d are kept in reserve", left, dir, spare)
		}
	}
	return nil
}

// writable creates and removes a file. Its name begins with a dot: it is never served.
func writable(dir string) error {
	path := filepath.Join(dir, ".probe")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("probe\n")
	return errors.Join(err, f.Close(), os.Remove(path))
}
