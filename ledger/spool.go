package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// spool holds the manifests that were accepted and are not in the log yet. Each is a file whose
// name is the manifest's digest in hex:
//
//	assay-ledger spool v1
//	<SHA-256 of all that follows, hex>
//	<the four fields of the source, a line each>
//	<the manifest, as it came>
//
// A file is durable before anybody hears that its manifest was accepted, and is removed when the index
// holds the entry. The index may lose it in a crash, and derives it again from the tree, which is durable
// by then. A crash between the two leaves a file whose manifest is logged:
// admitting it again finds the entry. The same holds for a spool that comes out of a backup.
//
// A file that cannot be what was accepted, or whose manifest is rejected, is renamed to
// <name>.aside: it is logged as an error at each start, and its owner has to look.
type spool struct {
	dir       string
	maxFiles  int
	maxBytes  int64
	log       *slog.Logger
	admitting chan struct{} // one for each manifest of the spool that is being logged

	mu    sync.Mutex
	files map[trust.Digest]*spooled // guarded by mu
	bytes int64                     // guarded by mu; of all files
	said  string                    // guarded by mu; why the last one tried is not logged yet
}

// spooled is a file that is in the spool, or about to be.
type spooled struct {
	size    int64
	written chan struct{} // closed when err is set
	err     error
	logged  bool // guarded by the spool's mu; the index got the entry before the file was written
}

const (
	spoolMagic = "assay-ledger spool v1\n"
	spoolAside = ".aside"
	spoolFiles = 4096
	spoolBytes = 64 << 20 // as much as the probe keeps free

	spoolAtOnce    = 256 // manifests that are being logged: a batch of Tessera
	spoolRetry     = 200 * time.Millisecond
	spoolLastRetry = 15 * time.Second
)

// MaxManifest is the largest manifest that may be submitted, in bytes.
const MaxManifest = 64 << 10

// errSpoiled: a file of the spool is not what was accepted.
var errSpoiled = errors.New("not a file that this program wrote")

func newSpool(dir string, log *slog.Logger) *spool {
	return &spool{dir: dir, maxFiles: spoolFiles, maxBytes: spoolBytes, log: log,
		admitting: make(chan struct{}, spoolAtOnce), files: map[trust.Digest]*spooled{}}
}

func (s *spool) path(digest trust.Digest) string {
	return filepath.Join(s.dir, digest.String())
}

// load finds what an earlier process accepted.
func (s *spool) load() error {
	list, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the spool: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range list {
		name := f.Name()
		digest, err := trust.ParseDigest(name)
		switch {
		case strings.HasPrefix(name, ".assay_tmp_"): // of a write that a crash cut off: it was not accepted
			_ = os.Remove(filepath.Join(s.dir, name))
		case err != nil || !f.Type().IsRegular():
			s.log.Error("a file of the spool is not logged; look at it and remove it", "file", filepath.Join(s.dir, name))
		default:
			info, err := f.Info()
			if err != nil {
				return fmt.Errorf("reading the spool: %w", err)
			}
			done := make(chan struct{})
			close(done)
			s.files[digest] = &spooled{size: info.Size(), written: done}
			s.bytes += info.Size()
		}
	}
	if len(s.files) > 0 {
		s.log.Info("manifests that were accepted before the start are logged now", "count", len(s.files))
	}
	return nil
}

// digests are those of all files.
func (s *spool) digests() []trust.Digest {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]trust.Digest, 0, len(s.files))
	for d := range s.files {
		list = append(list, d)
	}
	return list
}

func (s *spool) has(digest trust.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[digest] != nil
}

// put keeps a manifest; it is durable when put returns. fresh is false if it was there already.
func (s *spool) put(digest trust.Digest, manifest []byte, src entry.Source) (fresh bool, err error) {
	text := marshalSpooled(manifest, src)
	s.mu.Lock()
	if f := s.files[digest]; f != nil {
		s.mu.Unlock()
		if <-f.written; f.err != nil {
			return false, f.err
		}
		return false, s.stillThere(digest)
	}
	if len(s.files) >= s.maxFiles || s.bytes+int64(len(text)) > s.maxBytes {
		s.mu.Unlock()
		return false, fmt.Errorf("%w: %d accepted manifests wait already", ErrBusy, s.maxFiles)
	}
	f := &spooled{size: int64(len(text)), written: make(chan struct{})}
	s.files[digest] = f
	s.bytes += f.size
	s.mu.Unlock()

	if f.err = durable.Mkdir(s.dir, 0o700); f.err == nil {
		// STO-25: fsyncs the file before it has its name, and the directory after that.
		f.err = durable.WriteFile(s.path(digest), text, 0o600)
	}
	if f.err != nil {
		f.err = fmt.Errorf("%w: %w", ErrStorage, f.err)
		_ = os.Remove(s.path(digest)) // it may stand there and not be durable
		s.forget(digest)
	}
	s.mu.Lock()
	close(f.written)
	logged := f.logged
	s.mu.Unlock()
	if logged {
		s.remove(digest)
	}
	return true, f.err
}

// stillThere is nil when an accepted manifest has its file, or is logged by now. It cannot be promised
// again while its file is away.
func (s *spool) stillThere(digest trust.Digest) error {
	if _, err := os.Lstat(s.path(digest)); err != nil && s.has(digest) {
		return fmt.Errorf("%w: the file of an accepted manifest: %w", ErrStorage, err)
	}
	return nil
}

// forget takes a file out of the books.
func (s *spool) forget(digest trust.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(digest)
}

// drop: the caller holds mu.
func (s *spool) drop(digest trust.Digest) {
	if f := s.files[digest]; f != nil {
		delete(s.files, digest)
		s.bytes -= f.size
	}
}

// remove removes the file of a manifest that the index holds, if there is one. One that is still being
// written is removed by put, so that the follower waits for no disk. A file that comes back after a power
// cut is one more that is admitted again.
func (s *spool) remove(digest trust.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock() // until the file is gone, or it could be one that put has written anew
	f := s.files[digest]
	if f == nil {
		return
	}
	select {
	case <-f.written:
	default:
		f.logged = true
		return
	}
	s.drop(digest)
	if err := os.Remove(s.path(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("the file of a logged manifest stays in the spool until the next start", "err", err)
	}
}

// setAside keeps a file that cannot be logged, under a name that is not tried again. If it cannot be
// renamed it stays in the books, and is tried again.
func (s *spool) setAside(digest trust.Digest, why error) error {
	if !s.has(digest) {
		return nil
	}
	path := s.path(digest)
	if err := os.Rename(path, path+spoolAside); err != nil {
		return fmt.Errorf("setting an accepted manifest aside: %w (it cannot be logged: %w)", err, why)
	}
	s.forget(digest)
	s.log.Error("a manifest that was accepted cannot be logged; it is set aside", "file", path+spoolAside, "err", why)
	return nil
}

// report logs why accepted manifests wait, when that is not what was said before: all wait for the same.
func (s *spool) report(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := err.Error(); text != s.said {
		s.said = text
		s.log.Warn("accepted manifests are not logged yet; they are tried again", "count", len(s.files), "err", err)
	}
}

// read returns what was accepted. errSpoiled does not pass; a file that is missing may come back, with
// its directory or the file system that it is on.
func (s *spool) read(digest trust.Digest) (manifest []byte, src entry.Source, err error) {
	text, err := readSmall(s.dir, filepath.Base(s.path(digest)))
	if errors.Is(err, errDamaged) {
		return nil, src, fmt.Errorf("%w: %w", errSpoiled, err)
	} else if err != nil {
		return nil, src, fmt.Errorf("reading the spool: %w", err)
	}
	return parseSpooled(text)
}

func marshalSpooled(manifest []byte, src entry.Source) []byte {
	body := fmt.Appendf(nil, "%s\n%s\n%s\n%s\n", src.Repo, src.Workflow, src.Commit, src.Attestation) // none has a newline: see checkEntry
	body = append(body, manifest...)
	return append(fmt.Appendf(nil, "%s%x\n", spoolMagic, sha256.Sum256(body)), body...)
}

// parseSpooled accepts exactly what marshalSpooled writes.
func parseSpooled(text []byte) (manifest []byte, src entry.Source, err error) {
	rest, ok := bytes.CutPrefix(text, []byte(spoolMagic))
	sum, body, found := bytes.Cut(rest, []byte("\n"))
	if !ok || !found || string(sum) != fmt.Sprintf("%x", sha256.Sum256(body)) {
		return nil, src, errSpoiled
	}
	for _, field := range []*string{&src.Repo, &src.Workflow, &src.Commit, &src.Attestation} {
		line, after, found := bytes.Cut(body, []byte("\n"))
		if !found {
			return nil, src, errSpoiled
		}
		*field, body = string(line), after
	}
	return body, src, nil
}

// Accept takes responsibility for a manifest without waiting until it is logged: when it returns
// nil, the manifest is on disk or in the log, and will be logged whatever ends this process. One
// that is logged already is accepted too. Errors: *Rejected, *Unheard, ErrBusy when too many wait, ErrStorage,
// ErrFrozen, ErrClosed.
//
// Like Add it waits at a start until the witnesses have answered once, as long as ctx lasts.
func (l *Log) Accept(ctx context.Context, text []byte, src entry.Source) (digest trust.Digest, err error) {
	m, findings := manifest.Verify(text)
	if m == nil || len(findings) > 0 {
		return digest, &Rejected{Findings: findings}
	}
	if err := checkEntry(m, src, l.cfg.Now()); err != nil {
		return digest, err
	}
	if len(text) > MaxManifest {
		return digest, fmt.Errorf("a manifest of %d bytes, expected at most %d", len(text), MaxManifest)
	}
	digest = m.Digest()
	if err := l.frozen(); err != nil {
		return digest, err
	}
	if err := l.probe.check(); err != nil {
		return digest, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	if _, logged, err := l.find(digest); err != nil || logged {
		return digest, err
	}
	if err := l.awaitHeard(ctx); err != nil { // perhaps this log is not the one it was
		return digest, err
	}
	fresh, err := l.spool.put(digest, text, src)
	if err != nil || !fresh {
		return digest, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing { // else the next process logs it
		l.spooling.Go(func() { l.logSpooled(digest) })
	}
	return digest, nil
}

// Accepted tells whether a manifest was accepted that the index may not hold yet.
func (l *Log) Accepted(digest trust.Digest) bool { return l.spool.has(digest) }

// startSpool goes on with what an earlier process accepted.
func (l *Log) startSpool() {
	for _, digest := range l.spool.digests() {
		l.spooling.Go(func() { l.logSpooled(digest) })
	}
}

// logSpooled logs an accepted manifest, however often it takes, until the log closes.
func (l *Log) logSpooled(digest trust.Digest) {
	for pause := spoolRetry; ; pause = min(2*pause, spoolLastRetry) {
		select {
		case l.spool.admitting <- struct{}{}:
		case <-l.ctx.Done():
			return
		}
		err := l.tryToLog(digest)
		<-l.spool.admitting
		if err == nil || errors.Is(err, ErrClosed) || l.ctx.Err() != nil {
			return
		}
		l.spool.report(err)
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
			return
		}
	}
}

// tryToLog returns nil when nothing is left to do for an accepted manifest: it is in the tree, and
// the follower takes it out of the spool, or it was logged before, or it was set aside.
func (l *Log) tryToLog(digest trust.Digest) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("logging it panicked: %v\n%s", r, debug.Stack())
		}
	}()
	text, src, err := l.spool.read(digest)
	switch {
	case errors.Is(err, errSpoiled):
		return l.spool.setAside(digest, err)
	case errors.Is(err, fs.ErrNotExist):
		if !l.spool.has(digest) {
			return nil // it was logged meanwhile
		}
		return err
	case err != nil:
		return err
	}
	if m, findings := manifest.Verify(text); m != nil && len(findings) == 0 && m.Digest() != digest {
		return l.spool.setAside(digest, fmt.Errorf("%w: it holds the manifest %s", errSpoiled, m.Digest()))
	}
	a, _, err := l.arrive(context.WithoutCancel(l.ctx), text, src)
	var rejected *Rejected
	switch {
	case errors.As(err, &rejected):
		return l.spool.setAside(digest, err)
	case err != nil:
		return err
	case !a.fresh:
		l.spool.remove(digest)
	}
	return nil
}
