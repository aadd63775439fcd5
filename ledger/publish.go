package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
)

// snapshot is what the world may see: the published checkpoint.
type snapshot struct {
	cp      *trust.Checkpoint // nil before the first publication
	tiles   *tileCache        // of proofs against cp
	changed chan struct{}     // closed when a larger tree is published
}

func (s *snapshot) size() int64 {
	if s.cp == nil {
		return 0
	}
	return s.cp.Size
}

// round is one signed tree on its way to a quorum of cosignatures, and after that
// on its way to all of them.
type round struct {
	cp           *trust.Checkpoint            // with the log's signature only
	cosignatures map[string]trust.Cosignature // verified, by policy name
	failed       map[*gate]bool               // has answered and not cosigned, since the last retry
	published    bool
}

// publisher turns the integrated tree into published checkpoints:
//
//	grown, an interval since the last one
//	  → guard: verify the tree, make it durable, sign
//	  → ask every witness that is free
//	  → quorum → guard: make the note durable → snapshot
//	  → late cosignatures: the same again with one more line
//
// Without a quorum nothing is published; the free witnesses are asked again every
// pause. A round ends when it is published or when every witness has answered in
// vain, and then the next one takes the tree as it is by then. It does not end while
// an answer is open: a slow witness that the quorum needs would otherwise never
// catch up with a tree that grows.
//
// All fields below loop belong to the goroutine run. It waits on the monotonic
// clock only: a wall clock that steps back must not stop publication.
type publisher struct {
	store    *store
	guard    *guard
	policy   *trust.Policy
	client   *http.Client
	interval time.Duration
	log      *slog.Logger
	freeze   func(error) // the log's files contradict what was signed: nothing is ever right again

	current atomic.Pointer[snapshot]
	trouble atomic.Pointer[error] // why the last try did not publish; nil when it did

	arriving atomic.Int64 // submissions that are not in the tree yet and not refused; Add counts them

	grown    chan struct{} // capacity 1: the tree may have grown
	answers  chan answer   // capacity: one for each gate, so that no asker ever blocks
	stopping chan struct{}
	done     chan struct{}
	asking   sync.WaitGroup
	ctx      context.Context // of requests to witnesses
	cancel   context.CancelFunc

	loop struct {
		round, last *round // the latest signed, and the latest published; often the same
		free        []*gate
		open        int       // questions to witnesses
		dirty       bool      // the tree may be larger than round
		started     time.Time // the last round, or the last try to start one
		asked       time.Time // the last time witnesses were asked
		late        time.Duration
		draining    bool // Close wants one last publication
		halted      bool // a witness has shown that this log is not the one it was
	}
}

type answer struct {
	gate         *gate
	round        *round
	cosignatures []trust.Cosignature
	err          error
}

const (
	maxPause  = time.Second // between tries while there is no quorum
	firstLate = time.Second // between tries to get the cosignatures beyond the quorum …
	maxLate   = time.Minute // … doubling up to this
	forever   = time.Hour   // nothing to do until somebody calls

	lingerStep = 5 * time.Millisecond // between looks at whether submissions are still arriving
)

// newPublisher continues from what the guard holds.
func newPublisher(s *store, g *guard, cfg *Config, freeze func(error)) *publisher {
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{
		store: s, guard: g, policy: cfg.Policy, client: witnessClient(cfg.HTTP), interval: cfg.Interval, log: cfg.Log, freeze: freeze,
		grown: make(chan struct{}, 1), stopping: make(chan struct{}), done: make(chan struct{}), ctx: ctx, cancel: cancel,
	}
	p.loop.free = gates(cfg.Policy, g.published)
	p.answers = make(chan answer, len(p.loop.free))
	p.loop.dirty = true
	first := &snapshot{changed: make(chan struct{})}
	if g.published != nil {
		if cp, err := cfg.Policy.OpenCheckpoint(g.published.Signed); err != nil {
			p.log.Warn("the last published checkpoint does not satisfy the policy; it is not served", "size", g.published.Size, "err", err)
		} else {
			first.cp, first.tiles = cp, &tileCache{}
			p.loop.round = p.resumed(cp)
			p.loop.last = p.loop.round
		}
	}
	p.current.Store(first)
	return p
}

// resumed is the round of a checkpoint that an earlier process published, nil if
// the note cannot be taken apart.
func (p *publisher) resumed(cp *trust.Checkpoint) *round {
	r := &round{cosignatures: map[string]trust.Cosignature{}, failed: map[*gate]bool{}, published: true}
	bare := cp.Signed // the text, the log's signature, then the cosignatures
	for _, c := range cp.Cosignatures {
		r.cosignatures[c.Witness] = c
		bare = bare[:len(bare)-len(c.Line)]
	}
	var err error
	if r.cp, err = p.policy.OpenLogSignature(bare); err != nil {
		return nil
	}
	return r
}

// notify says that the tree may have grown. It never blocks.
func (p *publisher) notify() {
	select {
	case p.grown <- struct{}{}:
	default:
	}
}

// stop publishes what is integrated, if a quorum can be had at once, and ends.
func (p *publisher) stop() {
	close(p.stopping)
	<-p.done
}

func (p *publisher) run() {
	defer close(p.done)
	defer p.asking.Wait()
	defer p.cancel()
	defer func() {
		if r := recover(); r != nil {
			p.freeze(fmt.Errorf("publishing panicked: %v\n%s", r, debug.Stack()))
		}
	}()
	stopping := p.stopping
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-p.grown:
			p.loop.dirty = true
		case a := <-p.answers:
			p.answered(a)
		case <-stopping:
			stopping, p.loop.draining = nil, true
		case <-p.ctx.Done():
			return
		case <-timer.C:
		}
		wait, more := p.step(time.Now())
		if !more {
			return
		}
		timer.Reset(wait)
	}
}

// step does what is due and returns how long nothing will be, or false to end.
func (p *publisher) step(now time.Time) (time.Duration, bool) {
	l := &p.loop
	if l.halted {
		return 0, false
	}
	select {
	case <-p.grown: // so that a last publication holds all there is
		l.dirty = true
	default:
	}
	if r := l.round; r != nil && !r.published {
		if p.tryPublish(r) {
			return p.step(now)
		}
		if l.open > 0 {
			return p.insist(now), true
		}
		if l.draining && len(r.failed) > 0 && now.Sub(l.asked) < p.pause() {
			return 0, false // every witness has answered in vain; a waiting entry is safe in the tree
		}
		l.dirty = true
	}
	if !l.dirty {
		if l.draining {
			return 0, false
		}
		return p.collectLate(now), true
	}
	if due := p.due(now); due > 0 {
		return due, true
	}
	if err := p.start(now); err != nil {
		l.started = now
		p.report(err)
		if errors.Is(err, errDamaged) || errors.Is(err, ErrGuard) {
			p.freeze(err)
			return 0, false
		}
		return p.pause(), !l.draining
	}
	return 0, true
}

// due returns how long the next round has to wait, 0 if it may start.
func (p *publisher) due(now time.Time) time.Duration {
	l := &p.loop
	if l.started.IsZero() || l.draining {
		return 0
	}
	wait := p.interval
	if l.round != nil && !l.round.published || p.trouble.Load() != nil {
		wait = p.pause()
	}
	since := now.Sub(l.started)
	if since < wait {
		return wait - since
	}
	// Clients that wait for their proof come back all at once. Those that a checkpoint just
	// misses wait a whole interval for the next one, so it waits half of one for them.
	// A log that has been quiet for longer publishes at once.
	if linger := wait + wait/2 - since; linger > 0 && p.arriving.Load() > 0 {
		return min(linger, lingerStep)
	}
	return 0
}

func (p *publisher) pause() time.Duration { return min(p.interval, maxPause) }

// start signs the tree as it is now, unless it has not grown, and asks for cosignatures.
func (p *publisher) start(now time.Time) error {
	l := &p.loop
	l.dirty = false
	t, err := p.store.treeState()
	if err == nil && (l.round == nil || l.round.cp.Size != t.Size) {
		var r *round
		if r, err = p.sign(t); err == nil {
			l.round = r
		}
	}
	if err != nil {
		l.dirty = true
		return fmt.Errorf("signing the tree: %w", err)
	}
	if l.round.published { // somebody called although the tree has not grown
		p.trouble.Store(nil)
		return nil
	}
	l.started = now
	p.ask(now, l.round)
	if l.open == 0 && !p.policy.Quorum(l.round.names()) {
		l.round.failed[nil] = true // nobody to ask
	}
	return nil
}

// sign verifies t against the files, has the guard sign it, and opens a round.
func (p *publisher) sign(t tree) (*round, error) {
	// checkEdge reads what Tessera built on and what it wrote; the guard then
	// checks by itself that t continues what was signed.
	if err := p.store.checkEdge(p.guard.highWater(), t); err != nil {
		return nil, err
	}
	note, err := p.guard.sign(t, p.store.consistency)
	if err != nil {
		return nil, err
	}
	cp, err := p.policy.OpenLogSignature(note)
	if err != nil {
		return nil, fmt.Errorf("our own signature: %w", err)
	}
	return &round{cp: cp, cosignatures: map[string]trust.Cosignature{}, failed: map[*gate]bool{}}, nil
}

func (r *round) names() map[string]bool {
	names := make(map[string]bool, len(r.cosignatures))
	for name := range r.cosignatures {
		names[name] = true
	}
	return names
}

// lacks tells whether a key behind g has not cosigned.
func (r *round) lacks(g *gate) bool {
	for _, name := range g.witnesses {
		if _, ok := r.cosignatures[name]; !ok {
			return true
		}
	}
	return false
}

// ask sends the round to every free witness that has not cosigned it. A witness
// still busy with an older one is not waited for.
func (p *publisher) ask(now time.Time, r *round) {
	l := &p.loop
	l.asked = now
	clear(r.failed)
	var busy []*gate
	for _, g := range l.free {
		if r.lacks(g) {
			p.askOne(g, r)
		} else {
			busy = append(busy, g)
		}
	}
	l.free = busy
}

func (p *publisher) askOne(g *gate, r *round) {
	p.loop.open++
	p.asking.Go(func() {
		a := answer{gate: g, round: r, err: errors.New("asking panicked")}
		defer func() {
			if v := recover(); v != nil {
				p.log.Error("asking a witness panicked", "witness", strings.Join(g.witnesses, " "), "err", fmt.Sprint(v))
			}
			p.answers <- a
		}()
		a.cosignatures, a.err = g.ask(p.ctx, p.client, p.policy, r.cp, p.store.consistency)
	})
}

// answered takes in one witness's answer, which may be to a round that is over.
func (p *publisher) answered(a answer) {
	l := &p.loop
	l.open--
	for _, c := range a.cosignatures {
		a.round.cosignatures[c.Witness] = c
	}
	if a.round == l.last && len(a.cosignatures) > 0 {
		p.merge(a.round)
	}
	if a.err != nil {
		a.round.failed[a.gate] = true
	}
	p.complain(a)
	switch r := l.round; {
	case errors.Is(a.err, errBetrayed):
		l.halted = true
		p.freeze(fmt.Errorf("%w: %s: %w: it was rolled back or forked; restore the one that was published", ErrGuard, strings.Join(a.gate.witnesses, " "), a.err))
	case a.round != r && r.lacks(a.gate): // it was busy when the latest round began
		p.askOne(a.gate, r)
	default:
		l.free = append(l.free, a.gate)
	}
}

// complain logs what a witness answers when it is not what it answered before.
func (p *publisher) complain(a answer) {
	said := ""
	if a.err != nil {
		said = a.err.Error()
	}
	if said == a.gate.said {
		return
	}
	a.gate.said = said
	who := strings.Join(a.gate.witnesses, " ")
	switch {
	case a.err == nil:
		p.log.Info("a witness cosigns again", "witness", who, "size", a.round.cp.Size)
	default:
		p.log.Warn("a witness does not cosign", "witness", who, "size", a.round.cp.Size, "err", a.err)
	}
}

// insist asks again, while answers of other witnesses are open, those who failed.
func (p *publisher) insist(now time.Time) time.Duration {
	if due := p.pause() - now.Sub(p.loop.asked); due > 0 {
		return due
	}
	p.ask(now, p.loop.round)
	return p.pause()
}

// tryPublish publishes r if it has a quorum.
func (p *publisher) tryPublish(r *round) bool {
	if !p.policy.Quorum(r.names()) {
		if len(r.failed) > 0 && p.loop.open == 0 {
			have := slices.Sorted(maps.Keys(r.cosignatures))
			p.report(fmt.Errorf("%w for size %d: cosigned by [%s]", trust.ErrQuorum, r.cp.Size, strings.Join(have, " ")))
		}
		return false
	}
	cp, err := p.assemble(r)
	if err == nil {
		err = p.guard.publish(cp)
	}
	if err != nil {
		p.report(fmt.Errorf("publishing size %d: %w", r.cp.Size, err))
		r.failed[nil] = true // our own failure: try again after a pause
		return false
	}
	r.published = true
	p.loop.last, p.loop.late = r, firstLate
	p.trouble.Store(nil)
	p.show(cp, &tileCache{}, make(chan struct{}))
	p.log.Debug("published", "size", cp.Size, "root", cp.Root, "cosignatures", len(cp.Cosignatures))
	return true
}

// show makes cp what the world sees. A nil changed keeps the waiters waiting.
func (p *publisher) show(cp *trust.Checkpoint, tiles *tileCache, changed chan struct{}) {
	old := p.current.Load()
	if changed == nil {
		p.current.Store(&snapshot{cp, old.tiles, old.changed})
		return
	}
	p.current.Store(&snapshot{cp, tiles, changed})
	close(old.changed)
}

// merge publishes the latest published checkpoint again, with the cosignatures that
// came after the quorum. If that fails the shorter note stays: it is a good one.
func (p *publisher) merge(r *round) {
	if len(r.cosignatures) <= len(p.current.Load().cp.Cosignatures) {
		return
	}
	cp, err := p.assemble(r)
	if err == nil {
		err = p.guard.publish(cp)
	}
	if err != nil {
		p.log.Warn("a late cosignature is not published", "size", r.cp.Size, "err", err)
		return
	}
	p.show(cp, nil, nil)
}

// assemble builds the note with its cosignatures and opens it as a relying party would.
func (p *publisher) assemble(r *round) (*trust.Checkpoint, error) {
	note := append([]byte(nil), r.cp.Signed...)
	for _, w := range p.policy.Witnesses() {
		if c, ok := r.cosignatures[w.Name]; ok {
			note = append(note, c.Line...)
		}
	}
	return p.policy.OpenCheckpoint(note)
}

// collectLate asks the witnesses that the quorum did not need, ever more rarely,
// until the next checkpoint makes the question moot.
func (p *publisher) collectLate(now time.Time) time.Duration {
	l := &p.loop
	if l.round == nil || l.open > 0 {
		return forever
	}
	lacking := false
	for _, g := range l.free {
		lacking = lacking || l.round.lacks(g)
	}
	if !lacking {
		return forever
	}
	if due := l.late - now.Sub(l.asked); due > 0 {
		return due
	}
	l.late = min(2*max(l.late, firstLate), maxLate)
	p.ask(now, l.round)
	return l.late
}

func (p *publisher) report(err error) {
	if old := p.trouble.Load(); old == nil || (*old).Error() != err.Error() {
		p.log.Error("nothing is published", "err", err)
	}
	p.trouble.Store(&err)
}
