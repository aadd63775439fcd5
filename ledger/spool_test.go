package ledger

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

var spoolSource = entry.Source{Repo: "acme/app", Workflow: "ci.yml", Commit: strings.Repeat("a", 40), Attestation: "self"}

// spoolWorld is a log that logs nothing until its timestamps are switched on.
func spoolWorld(t *testing.T) (w *world, logs *logText, on *atomic.Bool) {
	t.Helper()
	logs, on = &logText{}, &atomic.Bool{}
	w = newWorld(t, 0, 0, func(c *Config) {
		c.Timestamps, c.Log = TimestampsRequired, slog.New(slog.NewTextHandler(logs, nil))
		c.TSA = tsaFunc(func(ctx context.Context, digest [32]byte) (*timestamp.Token, error) {
			if !on.Load() {
				return nil, errors.New("no authority yet")
			}
			return &timestamp.Token{DER: append([]byte("token over "), digest[:]...)}, nil
		})
	})
	return w, logs, on
}

func (w *world) accept(i int) trust.Digest {
	w.t.Helper()
	digest, err := w.log.Accept(w.t.Context(), manifestOf(w.t, i), spoolSource)
	must(w.t, err)
	if digest != digestOf(w.t, i) {
		w.t.Fatalf("manifest %d: digest %s", i, digest)
	}
	return digest
}

// spooled lists the files of the spool.
func (w *world) spooled() (names []string) {
	w.t.Helper()
	list, err := os.ReadDir(w.cfg.Dir + ".spool")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	for _, f := range list {
		names = append(names, f.Name())
	}
	return names
}

func (w *world) logged(digest trust.Digest) (int64, bool) {
	w.t.Helper()
	at, ok, err := w.index.Find(w.t.Context(), digest)
	must(w.t, err)
	return at, ok
}

func TestAnAcceptedManifestIsLoggedWithItsSource(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	for i := range 40 {
		w.accept(i)
	}
	w.accept(7) // again
	eventually(t, "the spool is empty", func() bool { return len(w.spooled()) == 0 })
	for i := range 40 {
		if l.Accepted(digestOf(t, i)) {
			t.Errorf("manifest %d is still waiting", i)
		}
		if a := w.add(i); a.New || a.Entry.Entry.Source != spoolSource {
			t.Errorf("manifest %d: new %v, source %+v", i, a.New, a.Entry.Entry.Source)
		}
	}
	w.accept(7) // and when it is logged
	if len(w.spooled()) != 0 || l.spool.bytes != 0 || len(w.indexesOf()) != 40 {
		t.Errorf("%d files of %d bytes, %d entries", len(w.spooled()), l.spool.bytes, len(w.indexesOf()))
	}
}

// STO-25, STO-26
func TestWhatWasAcceptedIsLoggedByTheNextProcess(t *testing.T) {
	w, logs, on := spoolWorld(t)
	w.open()
	for i := range 20 {
		w.accept(i)
	}
	// What a kill -9 leaves, in another place: nothing of this process is asked to close.
	killed := w.copyTo(t)
	if n := len(killed.spooled()); n != 20 {
		t.Fatalf("%d of 20 accepted manifests are on disk", n)
	}
	must(t, os.WriteFile(killed.cfg.Dir+".spool/.assay_tmp_123", []byte("a write that was cut off"), 0o600))
	w.close()

	l := killed.open()
	var bytes int64
	for _, name := range killed.spooled() {
		info, err := os.Stat(killed.cfg.Dir + ".spool/" + name)
		must(t, err)
		bytes += info.Size()
	}
	l.spool.mu.Lock()
	if l.spool.bytes != bytes || bytes == 0 {
		t.Errorf("%d bytes are counted, %d are there", l.spool.bytes, bytes)
	}
	l.spool.mu.Unlock()
	for i := range 20 {
		if !l.Accepted(digestOf(t, i)) {
			t.Errorf("manifest %d is forgotten", i)
		}
	}
	on.Store(true)
	eventually(t, "the spool is empty", func() bool { return len(killed.spooled()) == 0 })
	for i := range 20 {
		if a := killed.add(i); a.New || a.Entry.Entry.Source != spoolSource {
			t.Errorf("manifest %d: new %v, source %+v", i, a.New, a.Entry.Entry.Source)
		}
	}
	if !strings.Contains(logs.String(), "accepted manifests are not logged yet") || !strings.Contains(logs.String(), "no authority yet") {
		t.Error("nobody says why they wait")
	}
}

// STO-26
func TestALoggedManifestThatComesBackIntoTheSpoolIsNoSecondEntry(t *testing.T) {
	w, _, on := spoolWorld(t)
	w.open()
	digest := w.accept(0)
	backup := w.cfg.Dir + ".spool/" + w.spooled()[0]
	text, err := os.ReadFile(backup)
	must(t, err)
	on.Store(true)
	eventually(t, "it is logged", func() bool { _, ok := w.logged(digest); return ok })
	w.close()
	must(t, os.WriteFile(backup, text, 0o600))
	w.open()
	eventually(t, "the spool is empty", func() bool { return len(w.spooled()) == 0 })
	w.add(1)
	if found := w.indexesOf(); len(found) != 2 || len(found[digest]) != 1 {
		t.Errorf("%d manifests, the first at %v", len(found), found[digest])
	}
}

// STO-27
func TestADamagedFileOfTheSpoolIsSetAsideAndSaidAloud(t *testing.T) {
	w, logs, on := spoolWorld(t)
	w.open()
	w.accept(0)
	name := w.spooled()[0]
	path := w.cfg.Dir + ".spool/" + name
	good, err := os.ReadFile(path)
	must(t, err)
	w.accept(1)
	w.close()
	must(t, os.Remove(w.cfg.Dir+".spool/"+digestOf(t, 1).String()))
	on.Store(true)
	flipped := func(at int) []byte { b := bytes.Clone(good); b[at] ^= 1; return b }
	other := marshalSpooled(manifestOf(t, 2), spoolSource)
	cases := map[string][]byte{
		"empty": {}, "half": good[:len(good)/2], "one byte short": good[:len(good)-1], "one byte more": append(bytes.Clone(good), '\n'),
		"first byte": flipped(0), "checksum": flipped(len(spoolMagic)), "source": flipped(len(spoolMagic) + 65), "manifest": flipped(len(good) - 2),
		"another manifest": other, "no manifest": marshalSpooled([]byte("{}"), spoolSource), "no source": marshalSpooled(manifestOf(t, 0), entry.Source{Repo: "no repo"}),
		"no fields": func() []byte { b := marshalSpooled(nil, entry.Source{}); return b[:len(b)-1] }(),
	}
	for what, text := range cases {
		must(t, os.WriteFile(path, text, 0o600))
		w.open()
		eventually(t, what+" is set aside", func() bool { return strings.Join(w.spooled(), " ") == name+spoolAside })
		if _, ok := w.logged(digestOf(t, 0)); ok || w.log.Accepted(digestOf(t, 0)) {
			t.Errorf("%s: logged or waiting", what)
		}
		if got, err := os.ReadFile(path + spoolAside); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: not kept as it was: %v", what, err)
		}
		said := func() bool {
			return strings.Contains(logs.String(), "level=ERROR") && strings.Contains(logs.String(), name+spoolAside)
		}
		eventually(t, what+" is said", said)
		w.close()
		logs.Reset()
		w.open() // and again at each start
		w.close()
		if !said() {
			t.Errorf("%s: not said at the next start: %s", what, logs)
		}
		logs.Reset()
		must(t, os.Remove(path+spoolAside))
	}
	must(t, os.WriteFile(path, good, 0o600))
	w.open()
	eventually(t, "the good one is logged", func() bool { _, ok := w.logged(digestOf(t, 0)); return ok })
}

// STO-28
func TestAFullSpoolAcceptsNothingUntilSomethingIsLogged(t *testing.T) {
	w, _, on := spoolWorld(t)
	l := w.open()
	w.accept(0)
	w.accept(1)
	l.spool.mu.Lock()
	l.spool.maxFiles = 2
	l.spool.mu.Unlock()
	if _, err := l.Accept(t.Context(), manifestOf(t, 2), entry.Source{}); !errors.Is(err, ErrBusy) || l.Accepted(digestOf(t, 2)) {
		t.Errorf("a third of two: %v", err)
	}
	w.accept(1) // is there
	l.spool.mu.Lock()
	l.spool.maxFiles, l.spool.maxBytes = 3, l.spool.bytes+10
	l.spool.mu.Unlock()
	if _, err := l.Accept(t.Context(), manifestOf(t, 2), entry.Source{}); !errors.Is(err, ErrBusy) {
		t.Errorf("more bytes than fit: %v", err)
	}
	on.Store(true)
	eventually(t, "the spool is empty", func() bool { return len(w.spooled()) == 0 })
	w.accept(2)
}

// STO-25, STO-28
func TestWhatCannotBeKeptIsNotAccepted(t *testing.T) {
	w := newWorld(t, 0, 0)
	l := w.open()
	var rejected *Rejected
	if _, err := l.Accept(t.Context(), []byte("{}"), entry.Source{}); !errors.As(err, &rejected) {
		t.Errorf("no manifest: %v", err)
	}
	if _, err := l.Accept(t.Context(), manifestOf(t, 0), entry.Source{Repo: "a/b\nc", Attestation: "self"}); !errors.As(err, &rejected) {
		t.Errorf("no source: %v", err)
	}
	must(t, os.WriteFile(w.cfg.Dir+".spool", nil, 0o600)) // root may write everywhere, but not into a file
	if _, err := l.Accept(t.Context(), manifestOf(t, 0), entry.Source{}); !errors.Is(err, ErrStorage) || l.Accepted(digestOf(t, 0)) {
		t.Errorf("no directory: %v", err)
	}
	must(t, os.Remove(w.cfg.Dir+".spool"))
	w.accept(0)
}

// Whoever is told that a manifest is accepted may rely on it, also if another request is writing it.
// STO-25
func TestTwoWhoSubmitOneManifestAreBothToldWhenItIsDurable(t *testing.T) {
	s := newSpool(filepath.Join(t.TempDir(), "spool"), slog.New(slog.DiscardHandler))
	digest := digestOf(t, 0)
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			first, err := s.put(digest, manifestOf(t, 0), spoolSource)
			if err != nil {
				t.Error(err)
			}
			if first {
				fresh.Add(1)
			}
			if got, src, err := s.read(digest); err != nil || !bytes.Equal(got, manifestOf(t, 0)) || src != spoolSource {
				t.Errorf("not there: %v", err)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("%d were the first", fresh.Load())
	}
}

func TestWhoWaitsForAnotherToWriteHearsThatItFailed(t *testing.T) {
	s := newSpool(t.TempDir(), slog.New(slog.DiscardHandler))
	digest, f := digestOf(t, 0), &spooled{written: make(chan struct{})}
	s.files[digest] = f
	must(t, os.WriteFile(s.path(digest), nil, 0o600)) // it stands there and is not durable
	answer := make(chan error)
	go func() {
		_, err := s.put(digest, manifestOf(t, 0), spoolSource)
		answer <- err
	}()
	f.err = ErrStorage
	close(f.written)
	if err := <-answer; !errors.Is(err, ErrStorage) {
		t.Errorf("told %v", err)
	}
}

// The disk of the spool may be away for a while. What was accepted waits for it.
// STO-27
func TestWhatWasAcceptedWaitsForItsDirectory(t *testing.T) {
	w, logs, on := spoolWorld(t)
	l := w.open()
	digest, dir := w.accept(0), w.cfg.Dir+".spool"
	must(t, os.Rename(dir, dir+".away"))
	eventually(t, "the log says what is missing", func() bool { return strings.Contains(logs.String(), "no such file") })
	if !l.Accepted(digest) || strings.Contains(logs.String(), "set aside") {
		t.Errorf("it was dropped: %s", logs)
	}
	if _, err := l.Accept(t.Context(), manifestOf(t, 0), spoolSource); !errors.Is(err, ErrStorage) {
		t.Errorf("it is promised again while it is away: %v", err)
	}
	must(t, os.Rename(dir+".away", dir))
	on.Store(true)
	eventually(t, "it is logged", func() bool { _, ok := w.logged(digest); return ok })
	eventually(t, "the spool is empty", func() bool { return len(w.spooled()) == 0 && !l.Accepted(digest) })
}

func TestAFileThatCannotBeSetAsideStaysInTheBooks(t *testing.T) {
	s := newSpool(t.TempDir(), slog.New(slog.DiscardHandler))
	digest := digestOf(t, 0)
	_, err := s.put(digest, manifestOf(t, 0), spoolSource)
	must(t, err)
	must(t, os.MkdirAll(s.path(digest)+spoolAside+"/in the way", 0o700))
	if err := s.setAside(digest, errSpoiled); !errors.Is(err, errSpoiled) || !s.has(digest) {
		t.Errorf("%v, in the books: %v", err, s.has(digest))
	}
}

// Another request may log a manifest while its file is still being written.
func TestAFileIsNotLeftWhenItsManifestIsLoggedWhileItIsWritten(t *testing.T) {
	s := newSpool(t.TempDir(), slog.New(slog.DiscardHandler))
	for i := range 30 {
		digest := trust.Digest{byte(i)}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.put(digest, manifestOf(t, 0), spoolSource); err != nil {
				t.Error(err)
			}
		})
		for !s.has(digest) {
			runtime.Gosched()
		}
		s.remove(digest)
		wg.Wait()
	}
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) != 0 || len(s.files) != 0 || s.bytes != 0 {
		t.Errorf("%d files are left; the books say %d with %d bytes; %v", len(left), len(s.files), s.bytes, err)
	}
}

// A log that closes logs nothing more, and says nothing of it: the next process goes on.
func TestAManifestOfTheSpoolIsLeftToTheNextProcessOnceTheLogCloses(t *testing.T) {
	w, logs, _ := spoolWorld(t)
	l := w.open()
	digest := digestOf(t, 0)
	_, err := l.spool.put(digest, manifestOf(t, 0), spoolSource)
	must(t, err)
	closing := func(is bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.closing = is
	}
	closing(true)
	var ended atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() { l.logSpooled(digest); ended.Store(true) })
	eventually(t, "it is given up", ended.Load)
	wg.Wait()
	if !l.Accepted(digest) || strings.Contains(logs.String(), "not logged yet") {
		t.Errorf("accepted %v; %s", l.Accepted(digest), logs)
	}
	closing(false)
}

// API-13
func TestWhoGivesUpWaitingForWitnessesIsNotAccepted(t *testing.T) {
	w := newWorld(t, 1, 1)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	w.witnesses[0].behave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			<-release
		}
	}))
	l := w.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Accept(ctx, manifestOf(t, 0), spoolSource); !errors.Is(err, context.Canceled) || len(w.spooled()) != 0 {
		t.Errorf("%v, %d files", err, len(w.spooled()))
	}
}

func FuzzSpooled(f *testing.F) {
	f.Add(marshalSpooled([]byte("{}"), spoolSource))
	f.Add(marshalSpooled(nil, entry.Source{}))
	f.Add([]byte(spoolMagic))
	f.Fuzz(func(t *testing.T, text []byte) {
		if manifest, src, err := parseSpooled(text); err == nil && !bytes.Equal(marshalSpooled(manifest, src), text) {
			t.Errorf("%q is not what the writer writes", text)
		}
	})
}

// logText is a log that a test reads.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logText) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
