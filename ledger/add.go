package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// admission is one manifest on its way into the tree. Whoever submits the manifest
// meanwhile waits for the same one. It stays in Log.pending until the index knows
// the entry, so that there is no moment at which a second copy could slip in:
//
//	pending (being written) → pending (in the tree, not in the index) → index
type admission struct {
	done  chan struct{} // closed when the fields below are set
	entry entry.Logged
	fresh bool // this admission put it into the tree
	err   error
}

const timestampTimeout = 20 * time.Second

// maxLeaf is the largest entry, in bytes (ENT-5).
const maxLeaf = 32 << 10

// Add admits a pack_manifest.json and returns when its entry is public and cosigned.
// Adding a manifest again returns the entry that is there, with New false.
//
// Once a manifest has been admitted its way into the log no longer depends on ctx.
// If ctx ends first the error is ErrUnpublished, and adding it again gives the proof.
// Other errors: *Rejected, *Unheard, ErrBusy, ErrTimestamp, ErrIndexing, ErrUnreadable, ErrStorage, ErrFrozen, ErrClosed.
func (l *Log) Add(ctx context.Context, manifest []byte, src entry.Source) (*entry.Anchored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case l.calls <- struct{}{}:
		defer func() { <-l.calls }()
	default:
		return nil, ErrBusy
	}
	a, first, err := l.arrive(ctx, manifest, src)
	if err != nil {
		return nil, err
	}
	seen, err := l.awaitPublished(ctx, a.entry.Index)
	if err != nil {
		return nil, err
	}
	proof, err := l.proof(seen, a.entry.Index, a.entry.Leaf)
	if err != nil {
		return nil, err
	}
	return &entry.Anchored{Proof: proof, Entry: a.entry, New: first && a.fresh}, nil
}

// arrive verifies the manifest and returns its admission once its entry is in the tree.
func (l *Log) arrive(ctx context.Context, text []byte, src entry.Source) (a *admission, first bool, err error) {
	l.publisher.arriving.Add(1)
	defer l.publisher.arriving.Add(-1)
	m, findings := manifest.Verify(text)
	if m == nil || len(findings) > 0 {
		return nil, false, &Rejected{Findings: findings}
	}
	if a, first, err = l.join(m, src); err != nil {
		return nil, false, err
	}
	select {
	case <-a.done:
		return a, first, a.err
	case <-ctx.Done():
		return nil, false, fmt.Errorf("%w: %w", ErrUnpublished, context.Cause(ctx))
	}
}

// join returns the admission of the manifest, beginning it if there is none.
func (l *Log) join(m *manifest.Manifest, src entry.Source) (a *admission, first bool, err error) {
	digest := m.Digest()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return nil, false, ErrClosed
	}
	if a, ok := l.pending[digest]; ok {
		return a, false, nil
	}
	if err := l.frozen(); err != nil {
		return nil, false, err
	}
	a = &admission{done: make(chan struct{})}
	l.pending[digest] = a
	l.working.Go(func() { l.run(a, m, src) })
	return a, true, nil
}

// run carries an admission through, with the log's lifetime instead of a request's.
func (l *Log) run(a *admission, m *manifest.Manifest, src entry.Source) {
	a.err = errors.New("admitting the entry panicked")
	defer func() {
		if r := recover(); r != nil {
			l.cfg.Log.Error("admitting an entry panicked", "err", fmt.Sprint(r), "stack", string(debug.Stack()))
			l.mu.Lock()
			l.failures++ // who knows how far it came
			l.mu.Unlock()
		}
		l.endAdmission(m.Digest(), a)
	}()
	a.entry, a.fresh, a.err = l.admit(m, src)
	if a.err != nil && l.ctx.Err() != nil {
		a.err = fmt.Errorf("%w: %w", ErrClosed, a.err)
	}
}

// endAdmission ends a: its waiters go on, and it leaves pending unless it has put
// an entry into the tree; then the follower takes it out.
func (l *Log) endAdmission(digest trust.Digest, a *admission) {
	l.mu.Lock()
	if (a.err != nil || !a.fresh) && l.pending[digest] == a {
		delete(l.pending, digest)
	}
	l.mu.Unlock()
	close(a.done)
}

// forget takes entries that the index now holds out of pending and out of the spool.
func (l *Log) forget(entries []entry.Logged) {
	l.mu.Lock()
	for i := range entries {
		delete(l.pending, entries[i].Entry.ManifestSHA256)
	}
	l.indexed = entries[len(entries)-1].Index + 1
	l.mu.Unlock()
	for i := range entries {
		l.spool.remove(entries[i].Entry.ManifestSHA256)
	}
}

// admit finds the entry of m in the log or puts it there.
func (l *Log) admit(m *manifest.Manifest, src entry.Source) (_ entry.Logged, fresh bool, err error) {
	if err := l.findFailedWrites(); err != nil {
		return entry.Logged{}, false, err
	}
	if entry, ok, err := l.find(m.Digest()); err != nil || ok {
		return entry, false, err
	}
	if err := l.awaitHeard(l.ctx); err != nil { // STO-15
		return entry.Logged{}, false, err
	}
	if err := checkEntry(m, src, l.cfg.Now()); err != nil {
		return entry.Logged{}, false, err
	}
	if err := l.writable(); err != nil {
		return entry.Logged{}, false, err
	}
	if err := l.reserve(); err != nil {
		return entry.Logged{}, false, err
	}
	entry, err := l.addToTree(m, src)
	return entry, err == nil, err
}

// checkEntry finds out before anybody is asked for a timestamp that no entry can be made of this.
func checkEntry(m *manifest.Manifest, src entry.Source, now time.Time) error {
	if _, err := newLeaf(m, src, now, nil); err != nil {
		return &Rejected{[]manifest.Finding{{Code: manifest.CodeSchemaUnknown, Channel: manifest.ChannelIntegrity, Receipt: -1, Message: err.Error()}}}
	}
	return nil
}

// find (STO-20) looks the manifest up in the index and reads the entry back from the log: the
// index is a cache, and a hit that is not there must not become a proof.
func (l *Log) find(digest trust.Digest) (entry.Logged, bool, error) {
	index, ok, err := l.cfg.Index.Find(l.ctx, digest)
	if err != nil {
		return entry.Logged{}, false, fmt.Errorf("%w: %w", ErrIndexing, err)
	}
	if !ok {
		return entry.Logged{}, false, nil
	}
	now, err := l.store.treeState()
	if err != nil {
		return entry.Logged{}, false, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	if index < 0 || index >= now.Size {
		err := l.follower.reset(fmt.Errorf("it has manifest %s at %d, the log ends at %d", digest, index, now.Size))
		return entry.Logged{}, false, fmt.Errorf("%w: %w", ErrIndexing, err)
	}
	e, err := readEntry(l.store, now.Size, index)
	if err != nil {
		return entry.Logged{}, false, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if e.Entry.ManifestSHA256 != digest {
		err := l.follower.reset(fmt.Errorf("it has manifest %s at %d, the log has another there", digest, index))
		return entry.Logged{}, false, fmt.Errorf("%w: %w", ErrIndexing, err)
	}
	return e, true, nil
}

// writable is nil, or says why storage would not take an entry now.
func (l *Log) writable() error {
	if err := l.probe.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	if err := l.appender.trouble(); err != nil && !errors.Is(err, errStarting) {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return nil
}

// reserve counts an entry that is about to be written. Those in the tree count too
// until they are published and indexed: a log without a quorum stops admitting.
func (l *Log) reserve() error {
	published := l.publisher.current.Load().size()
	l.mu.Lock()
	defer l.mu.Unlock()
	behind := l.integrated - min(published, l.indexed)
	if l.writing+behind >= int64(l.cfg.MaxPending) {
		return ErrBusy
	}
	l.writing++
	return nil
}

// addToTree timestamps the manifest and puts its entry into the tree. It returns when
// the entry is sequenced, integrated and durable.
func (l *Log) addToTree(m *manifest.Manifest, src entry.Source) (e entry.Logged, err error) {
	failed := false // storage said so: it may be in the tree nevertheless
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.writing--
		if failed {
			l.failures++
		}
		if err == nil {
			l.integrated = max(l.integrated, e.Index+1)
		}
	}()
	token, err := l.timestamp(m.Digest())
	if err != nil {
		return entry.Logged{}, err
	}
	if e, err = newLeaf(m, src, l.cfg.Now(), token); err != nil {
		return entry.Logged{}, err
	}
	// No context: what has been given to storage is waited for, whatever its callers do.
	if e.Index, err = l.appender.add(e.Leaf); err != nil {
		if failed = !errors.Is(err, errUntouched); failed {
			l.cfg.Log.Error("storage did not take an entry", "err", err)
		}
		return entry.Logged{}, fmt.Errorf("%w: %w", ErrStorage, err)
	}
	l.publisher.notify()
	l.follower.notify()
	return e, nil
}

// findFailedWrites (STO-21) answers, after a write that failed, which entries are in the tree
// nevertheless: storage can report an error for a batch that a later read shows. It
// brings the index to the tree as it is now, before anything is looked up in it.
func (l *Log) findFailedWrites() error {
	l.mu.Lock()
	failures, settled := l.failures, l.resolved
	l.mu.Unlock()
	if failures == settled {
		return nil
	}
	if err := l.follower.catchUp(l.ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrStorage, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resolved = max(l.resolved, failures)
	l.integrated = max(l.integrated, l.indexed)
	l.publisher.notify()
	return nil
}

// timestamp gets a token as the mode wants it; nil for none.
func (l *Log) timestamp(digest [32]byte) ([]byte, error) {
	if l.cfg.Timestamps == TimestampsOff {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, timestampTimeout)
	defer cancel()
	token, err := l.cfg.TSA.Timestamp(ctx, digest)
	if err == nil && (token == nil || len(token.DER) == 0) {
		err = errors.New("it answers without a token")
	}
	if err == nil {
		if n := l.untimed.Swap(0); n > 0 {
			l.cfg.Log.Info("entries get timestamps again", "logged_without", n)
		}
		return token.DER, nil
	}
	if l.cfg.Timestamps == TimestampsRequired {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	if l.untimed.Add(1) == 1 {
		l.cfg.Log.Warn("entries are logged without a timestamp", "err", err)
	}
	return nil, nil
}

// newLeaf makes the entry, and makes sure that it can be read back: a leaf that
// entry.Parse refuses would stop the follower for ever.
func newLeaf(m *manifest.Manifest, src entry.Source, now time.Time, token []byte) (entry.Logged, error) {
	e, err := entry.New(m, src, now.UTC().Truncate(time.Millisecond), token)
	if err != nil {
		return entry.Logged{}, fmt.Errorf("making the entry: %w", err)
	}
	leaf := e.Leaf() // of at most maxLeaf bytes, or it would not be read back
	if e, err = entry.Parse(leaf); err != nil {
		return entry.Logged{}, fmt.Errorf("making the entry: %w", err)
	}
	return entry.Logged{Leaf: leaf, Entry: e}, nil
}

// awaitPublished waits until a published checkpoint covers index.
func (l *Log) awaitPublished(ctx context.Context, index int64) (*snapshot, error) {
	for {
		seen := l.publisher.current.Load()
		if seen.size() > index {
			return seen, nil
		}
		// Not an entry that an earlier process has logged, before enough witnesses were heard from.
		if err := l.awaitHeard(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnpublished, err)
		}
		select {
		case <-seen.changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnpublished, context.Cause(ctx))
		case <-l.publisher.done:
			if seen = l.publisher.current.Load(); seen.size() > index {
				return seen, nil
			}
			if err := l.frozen(); err != nil {
				return nil, err
			}
			return nil, fmt.Errorf("%w: publication has ended", ErrUnpublished)
		}
	}
}

// awaitHeard waits like that of the publisher. A log that freezes meanwhile hears nobody any more.
func (l *Log) awaitHeard(ctx context.Context) error {
	err := l.publisher.awaitHeard(ctx)
	if frozen := l.frozen(); err != nil && frozen != nil {
		return frozen
	}
	return err
}

// proof builds the proof of a leaf against seen and verifies it before anybody gets
// it. The log's signature and the quorum of seen.cp were verified by
// Policy.OpenCheckpoint when it was published; what differs from proof to proof, the
// leaf and its path, is verified here. Together that is Policy.CheckProof, without a
// second look at the signatures of one checkpoint for each of its thousands of proofs.
func (l *Log) proof(seen *snapshot, index int64, leaf []byte) (*trust.Proof, error) {
	hashes, err := proveRecord(l.store, seen, index)
	if err != nil {
		return nil, fmt.Errorf("%w: proving entry %d: %w", ErrUnreadable, index, err)
	}
	if err := trust.CheckInclusion(index, seen.cp.Size, trust.LeafHash(leaf), seen.cp.Root, hashes); err != nil {
		return nil, fmt.Errorf("%w: entry %d against size %d: %w", ErrUnreadable, index, seen.cp.Size, err)
	}
	return &trust.Proof{Extra: leaf, Index: index, Hashes: hashes, Checkpoint: seen.cp.Signed}, nil
}
