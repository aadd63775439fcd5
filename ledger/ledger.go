// Package ledger is the log: admit an entry, publish it, return its proof.
//
// An entry goes through five parts of it, in this order:
//
//	Add        verifies the manifest, finds out whether it is logged, gets a timestamp  add.go
//	appender   has Tessera sequence it and integrate it into the tree, durably          appender.go, tessera.go, child.go
//	follower   reads it back from the tree into the index                               follow.go
//	guard      makes sure that the tree continues the last one signed, and signs it     guard.go
//	publisher  gets a quorum of cosignatures and shows the checkpoint                   publish.go, cosign.go
//
// and Add returns when the published checkpoint covers it, with a proof that the
// ledger has verified itself. Accept takes a manifest for later; it waits in the spool (spool.go).
//
// The checkpoint file that Tessera writes into its directory is not the log's. The
// log's key must sign nothing that the guard has not passed, and Tessera signs
// whatever its state file says, also after that file was lost or restored from a
// backup. Its publication loop also sleeps when it is busy, drops cosignatures that
// come after the quorum, and forgets one of two witnesses at the same URL. So Tessera
// gets a signer whose signature nobody can verify, and publication is ours.
//
// Files implement C2SP tlog-tiles, tlog-checkpoint, tlog-proof and the client's side
// of tlog-witness.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// Index remembers which manifests the log holds. It is a cache, which the log fills, and it
// verifies what it reads: damage makes it shrink, and then it is filled again.
type Index interface {
	Size(ctx context.Context) (int64, error)                                           // entries indexed: [0, Size)
	Append(ctx context.Context, start int64, entries []entry.Logged) error             // start must equal Size; all or nothing
	Find(ctx context.Context, manifest trust.Digest) (index int64, ok bool, err error) // first index; an error unless a miss is certain

	Expect(size int64)                                                 // so many entries the log has: before that a miss is not certain
	Complete() error                                                   // nil when it holds what was expected and what it held once
	Reset(size int64, reason error)                                    // forget everything; the log has size entries
	Lost() error                                                       // why it shrank the last time; nil if it never did
	Check(ctx context.Context, pace func(context.Context) error) error // verify every byte, calling pace before each step
	Steps() int64                                                      // of Check, about
}

// Timestamper gets a verified RFC 3161 token over a digest.
type Timestamper interface {
	Timestamp(ctx context.Context, digest [32]byte) (*timestamp.Token, error)
}

// TimestampMode says what happens to an entry for which no token can be had.
type TimestampMode string

const (
	TimestampsRequired  TimestampMode = "require" // no token, no entry; the zero value means this one
	TimestampsPreferred TimestampMode = "prefer"  // the entry is logged without
	TimestampsOff       TimestampMode = "off"     // nobody is asked
)

// Config of a log. Dir, GuardDir, Signer, Policy and, to Open, Index are required,
// and TSA unless Timestamps is off.
type Config struct {
	Dir      string // Tessera's storage; Open creates nothing here unless Create
	GuardDir string // on another path, best on another disk; not inside Dir
	SpoolDir string // of manifests accepted and not logged yet; zero: beside Dir, with .spool at its end

	// CheckpointsDir has every published checkpoint with its cosignatures; zero: beside Dir, with .checkpoints at its end.
	CheckpointsDir string

	Signer     *trust.LogSigner
	Policy     *trust.Policy // log line of our own, witnesses with URLs, quorum
	Index      Index
	Timestamps TimestampMode
	TSA        Timestamper
	HTTP       *http.Client     // for witnesses; nil: one with limits. Redirects are never followed
	Interval   time.Duration    // least time between checkpoints; zero: 200 ms
	Scrub      time.Duration    // in which all of the log and its index is read again and verified; zero: 10 min
	BatchSize  uint             // entries; zero: 256
	BatchAge   time.Duration    // how long an entry waits for others; zero: 10 ms
	MaxPending int              // entries between admission and publication; zero: 4096
	Now        func() time.Time // of submitted_at; nil: time.Now
	Log        *slog.Logger     // nil: discards. Tessera's goes to that of the first log opened

	// Appender makes the command of a child process that calls ServeAppender on its stdin and
	// stdout; what it writes to stderr as lines of JSON goes to the command's Stderr. nil: Tessera
	// runs in this process, and some of its panics, when its disk fails, end it.
	Appender func() *exec.Cmd
}

// Rejected: the manifest did not verify; nothing was stored.
type Rejected struct{ Findings []manifest.Finding }

func (r *Rejected) Error() string {
	if len(r.Findings) == 0 {
		return "manifest does not verify"
	}
	codes := make([]string, 0, len(r.Findings))
	for _, f := range r.Findings {
		codes = append(codes, f.Code)
	}
	return "manifest does not verify: " + strings.Join(codes, ", ")
}

// What a caller branches on, with the HTTP status that says it.
var (
	ErrBusy        = errors.New("the ledger is busy")                      // 503, retry
	ErrUnpublished = errors.New("logged but not yet cosigned by a quorum") // 503, retry gives the proof
	ErrTimestamp   = errors.New("no timestamp authority answered")         // 503, retry
	ErrStorage     = errors.New("storage refuses writes")                  // 507
	ErrFrozen      = errors.New("the log is frozen")                       // 503; its operator has to look
	ErrClosed      = errors.New("the ledger is closing")                   // 503
	ErrUnreadable  = errors.New("this part of the log cannot be read")     // 503; with a Damage unless storage failed
	ErrIndexing    = errors.New("the index is being derived from the log") // 503, retry
	ErrNotFound    = errors.New("no such entry")                           // 404
)

// Log is an open log. It is safe for concurrent use.
type Log struct {
	cfg       Config // with defaults
	guard     *guard
	archive   *archive
	store     *store
	spool     *spool
	probe     *probe
	publisher *publisher
	follower  *follower
	scrubber  *scrubber

	appender appender

	ctx    context.Context // of everything that outlives a request
	cancel context.CancelFunc
	calls  chan struct{} // one for each running Add
	fatal  atomic.Pointer[error]

	untimed atomic.Int64 // entries in a row for which no timestamp was to be had

	working  sync.WaitGroup // admissions; Add only under mu, and not when closing
	spooling sync.WaitGroup // accepted manifests that wait to be logged; likewise
	closed   chan struct{}  // closed when everything has ended

	mu         sync.Mutex
	closing    bool
	pending    map[trust.Digest]*admission // by manifest; see admission
	writing    int64                       // entries given to Tessera or about to be
	integrated int64                       // entries known to be in the tree
	indexed    int64                       // entries the index holds
	failures   int                         // writes that Tessera reported as failed …
	resolved   int                         // … and how many of them the index has seen the outcome of
}

// withDefaults returns cfg with its zero fields filled in, or what is wrong with it.
func (cfg Config) withDefaults() (Config, error) {
	switch {
	case cfg.Dir == "" || cfg.GuardDir == "":
		return cfg, errors.New("ledger: Dir and GuardDir are required")
	case cfg.Signer == nil || cfg.Policy == nil:
		return cfg, errors.New("ledger: Signer and Policy are required")
	case cfg.Interval < 0 || cfg.BatchAge < 0 || cfg.MaxPending < 0 || cfg.Scrub < 0:
		return cfg, errors.New("ledger: Interval, BatchAge, MaxPending and Scrub are not negative")
	case cfg.BatchSize > 1<<16 || cfg.MaxPending > 1<<24:
		return cfg, errors.New("ledger: BatchSize is at most 65536, MaxPending at most 16777216")
	}
	var err error
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return cfg, fmt.Errorf("ledger: %w", err)
	}
	if cfg.GuardDir, err = filepath.Abs(cfg.GuardDir); err != nil {
		return cfg, fmt.Errorf("ledger: %w", err)
	}
	if cfg.SpoolDir == "" {
		cfg.SpoolDir = cfg.Dir + ".spool"
	}
	if cfg.CheckpointsDir == "" {
		cfg.CheckpointsDir = cfg.Dir + ".checkpoints"
	}
	if err := checkApart(cfg.Dir, cfg.GuardDir); err != nil {
		return cfg, fmt.Errorf("ledger: %w", err)
	}
	switch cfg.Timestamps {
	case "":
		cfg.Timestamps = TimestampsRequired
	case TimestampsRequired, TimestampsPreferred, TimestampsOff:
	default:
		return cfg, fmt.Errorf("ledger: timestamps %q is not require, prefer or off", cfg.Timestamps)
	}
	if err := checkPolicy(cfg.Policy, cfg.Signer); err != nil {
		return cfg, err
	}
	if cfg.Interval == 0 {
		cfg.Interval = 200 * time.Millisecond
	}
	if cfg.BatchSize == 0 {
		cfg.BatchSize = 256
	}
	if cfg.BatchAge == 0 {
		cfg.BatchAge = 10 * time.Millisecond
	}
	if cfg.MaxPending == 0 {
		cfg.MaxPending = 4096
	}
	if cfg.Scrub == 0 {
		cfg.Scrub = scrubEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Log = cfg.Log.With("origin", cfg.Signer.Origin())
	return cfg, nil
}

// checkPolicy: proofs are verified with the policy before they are returned, so it
// must know our key, and the witnesses that can be asked must be able to satisfy it.
func checkPolicy(policy *trust.Policy, signer *trust.LogSigner) error {
	ours := false
	for _, l := range policy.Logs() {
		ours = ours || l.VKey == signer.VKey()
	}
	if !ours {
		return fmt.Errorf("ledger: the policy has no log line for %s", signer.VKey())
	}
	reachable := map[string]bool{}
	for _, w := range policy.Witnesses() {
		reachable[w.Name] = w.URL != ""
	}
	if !policy.Quorum(reachable) {
		return errors.New("ledger: the witnesses with a URL cannot meet the policy's quorum")
	}
	if u := unheardOf(policy, reachable); u != nil {
		return fmt.Errorf("ledger: the witnesses without a URL (%s) could form a quorum by themselves, and can never be asked what they have seen: give them a URL or take them out of the policy",
			strings.Join(u.Witnesses, ", "))
	}
	return checkNoteLimit(policy, signer)
}

// Create makes an empty log in cfg.Dir and its guard; refuses if either exists. It
// needs no Index and no TSA. If it is interrupted, delete both and call it again.
func Create(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	for _, dir := range []string{cfg.Dir, cfg.GuardDir} {
		left, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("creating the log: %w", err)
		}
		if len(left) != 0 {
			return fmt.Errorf("creating the log: %s is not empty: %w", dir, fs.ErrExist)
		}
	}
	if err := durable.Mkdir(cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("creating the log: %w", err)
	}
	if err := (&probe{dirs: []string{cfg.Dir}, log: cfg.Log}).check(); err != nil {
		return fmt.Errorf("creating the log: %w: %w", ErrStorage, err)
	}
	first := &tesseraAppender{cfg: tesseraConfig{cfg.Dir, cfg.Signer.Origin(), cfg.BatchSize, cfg.BatchAge}, log: cfg.Log}
	if err := first.start(); err != nil {
		return fmt.Errorf("creating the log: %w", err)
	}
	first.close()
	// Last, because Open does nothing without a guard.
	return createGuard(cfg.GuardDir, cfg.Signer)
}

// Open opens a log that Create has made. It compares what lies in cfg.Dir with the
// guard and with what the witnesses have seen, and brings the index to the log's
// size; ErrGuard says that the log is not the one it was. It creates nothing.
func Open(ctx context.Context, cfg Config) (_ *Log, err error) {
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	if cfg.Index == nil || cfg.TSA == nil && cfg.Timestamps != TimestampsOff {
		return nil, errors.New("ledger: Index is required, and TSA unless Timestamps is off")
	}
	l := &Log{
		cfg:     cfg,
		spool:   newSpool(cfg.SpoolDir, cfg.Log),
		probe:   &probe{dirs: []string{cfg.Dir, cfg.GuardDir}, spare: spareBytes, log: cfg.Log},
		calls:   make(chan struct{}, cfg.MaxPending),
		closed:  make(chan struct{}),
		pending: map[trust.Digest]*admission{},
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(err, l.release())
		}
	}()
	if l.guard, err = openGuard(cfg.GuardDir, cfg.Signer, cfg.Policy); err != nil {
		return nil, err
	}
	if l.archive, err = openArchive(cfg.CheckpointsDir, cfg.Signer, cfg.Log, l.guard.published); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := awaitNoAppender(ctx, cfg.Dir); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	now, err := l.inspect(ctx)
	if err != nil {
		return nil, err
	}
	l.archive.settle(cfg.Policy, l.guard.publish)
	if l.follower, err = newFollower(ctx, l.store, cfg.Index, now, cfg.Log); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	if err := l.follower.begin(ctx, now.Size); err != nil && (ctx.Err() != nil || errors.Is(err, errDamaged)) {
		return nil, fmt.Errorf("bringing the index to the log's size: %w", err)
	} else if err != nil {
		// What it has is served. What it does not find is believed only when it has the whole tree, so
		// nothing new is logged before; the follower goes on trying.
		cfg.Log.Error("the index cannot be brought to the log's size", "size", now.Size, "indexed", l.follower.size.Load(), "err", err)
	}
	if err := l.spool.load(); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	l.appender = newAppender(&l.cfg)
	if err := l.writable(); err != nil {
		cfg.Log.Error("the log is open for reading only, until storage takes writes", "err", err)
	}
	if err := l.start(now); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return l, nil
}

// start sets the four loops going. From here on Close ends everything.
func (l *Log) start(now tree) (err error) {
	if l.publisher, err = newPublisher(history{l.store, l.guard}, l.archive, &l.cfg, l.freeze); err != nil {
		return err
	}
	l.scrubber = newScrubber(func() *reader { return newReader(l.store, l.publisher.current.Load()) }, &l.cfg)
	l.scrubber.archive = l.archive
	l.integrated, l.indexed = now.Size, l.follower.size.Load()
	l.follower.freeze, l.follower.indexed = l.freeze, l.forget
	l.probe.done = make(chan struct{})
	go l.probe.run(l.ctx) // finish waits for the four
	go l.follower.run(l.ctx)
	go l.publisher.run()
	go l.scrubber.run(l.ctx)
	l.startSpool()
	l.cfg.Log.Info("open", "size", now.Size, "root", now.Root)
	l.guard.rememberPolicy(l.cfg.Policy, l.cfg.Log)
	for _, note := range PolicyNotes(l.cfg.Policy) {
		l.cfg.Log.Warn(note)
	}
	return nil
}

// inspect refuses a log that is not the one the guard and the witnesses know.
func (l *Log) inspect(ctx context.Context) (tree, error) {
	signed := l.guard.highWater()
	var err error
	if l.store, err = openStore(l.cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		return tree{}, fmt.Errorf("%w: %s does not exist, and size %d has been signed: restore the newest copy of it", ErrGuard, l.cfg.Dir, signed.Size)
	} else if err != nil {
		return tree{}, fmt.Errorf("opening the log: %w", err)
	}
	l.store.damages = newDamages(l.cfg.Log)
	now, err := l.store.treeState()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tree{}, fmt.Errorf("%w: %s is missing, and size %d has been signed: restore the whole directory with its dot files",
			ErrGuard, filepath.Join(l.cfg.Dir, treeStatePath), signed.Size)
	case errors.Is(err, errDamaged):
		return tree{}, notSigned{fmt.Errorf("%w: %w: restore the newest copy of %s", ErrGuard, err, l.cfg.Dir)}
	case err != nil:
		return tree{}, fmt.Errorf("opening the log: %w", err)
	case now.Size < signed.Size:
		return tree{}, notSigned{fmt.Errorf("%w: the log has size %d, and %d has been signed: it was rolled back; restore a copy of %s that is not older",
			ErrGuard, now.Size, signed.Size, l.cfg.Dir)}
	}
	if err := l.store.checkEdge(signed, now); errors.Is(err, errDamaged) || errors.Is(err, fs.ErrNotExist) {
		return tree{}, notSigned{fmt.Errorf("%w: %w: restore the newest copy of %s", ErrGuard, err, l.cfg.Dir)}
	} else if err != nil {
		return tree{}, fmt.Errorf("opening the log: %w", err)
	}
	if p := l.guard.published; p != nil {
		if err := l.contains(now, tree{p.Size, p.Root}); err != nil {
			return tree{}, notSigned{fmt.Errorf("%w: the published checkpoint of size %d is not of this log: %w", ErrGuard, p.Size, err)}
		}
	}
	if cp := l.archive.newest(); cp != nil { // STO-41: it may know of more than a guard that was lost, or is older
		err := history{l.store, l.guard}.judgeOwnCheckpoint(cp)
		if errors.Is(err, errForked) {
			return tree{}, notSigned{fmt.Errorf("%w: the history of checkpoints holds %w; restore a copy of %s that is not older", ErrGuard, err, l.cfg.Dir)}
		} else if err != nil {
			return tree{}, fmt.Errorf("opening the log: the history of checkpoints: %w", err)
		}
	}
	return now, l.askMonitors(ctx)
}

// contains checks that the tree now begins with the tree past.
func (l *Log) contains(now, past tree) error {
	proof, err := l.store.consistency(past.Size, now.Size)
	if err != nil {
		return err
	}
	return trust.CheckConsistency(past.Size, past.Root, now.Size, now.Root, proof)
}

// freeze ends admission and publication for good: the files say something else than
// what was signed, and every further entry would make it worse.
func (l *Log) freeze(err error) {
	if l.fatal.CompareAndSwap(nil, &err) {
		l.cfg.Log.Error("the log is frozen", "err", err)
	}
}

func (l *Log) frozen() error {
	if err := l.fatal.Load(); err != nil {
		return fmt.Errorf("%w: %w", ErrFrozen, *err)
	}
	return nil
}

// Close ends the log; the caller closes the Index after it. It refuses new entries,
// waits for those on their way into the tree, publishes once more if a quorum can be
// had at once, and ends. If ctx ends first Close returns
// its error; what is still being written goes on, and the guard stays locked until
// it is done or the process ends. Close may be called again to wait again.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	first := !l.closing
	l.closing = true
	l.mu.Unlock()
	if first {
		go l.finish() // Close waits for it, or the process ends with it
	}
	select {
	case <-l.closed:
		return nil
	case <-ctx.Done():
		// Nobody waits for timestamps, the index or witnesses any more. An entry that
		// Tessera has is written nevertheless: it answers as soon as the disk does.
		l.cancel()
		l.publisher.cancel()
		return fmt.Errorf("closing the log: %w", context.Cause(ctx))
	}
}

func (l *Log) finish() {
	defer close(l.closed)
	l.working.Wait()
	l.publisher.stop()
	if err := l.follower.catchUp(l.ctx); err != nil { // what is not indexed now is at the next start
		l.cfg.Log.Warn("the index is behind the log", "err", err)
	}
	l.cancel()
	<-l.follower.done
	<-l.scrubber.done
	<-l.probe.done
	l.spooling.Wait()
	// Only now, when every add has returned.
	if err := l.release(); err != nil {
		l.cfg.Log.Error("closing the log", "err", err)
	}
}

// release gives back what Open took, as far as it came.
func (l *Log) release() error {
	l.cancel()
	if l.appender != nil {
		l.appender.close()
	}
	var errs []error
	if l.store != nil {
		errs = append(errs, l.store.close())
	}
	if l.guard != nil {
		errs = append(errs, l.guard.close()) // last: the next process may start now
	}
	return errors.Join(errs...)
}
