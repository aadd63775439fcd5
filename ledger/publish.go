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
	failed       map[*endpoint]bool           // has answered and not cosigned, since the last retry
	stuck        bool                         // no witness can be asked, or the note could not be made or stored here; since the last retry
	published    bool
}

// hasFailed tells whether the last try has come to nothing, wholly or for some witness: the next one is after a pause.
func (r *round) hasFailed() bool { return r.stuck || len(r.failed) > 0 }

// publisher turns the integrated tree into published checkpoints:
//
//	grown, an interval since the last one
//	  → guard: verify the tree, make it durable, sign
//	  → ask every witness that is free
//	  → quorum → archive, then guard: make the note durable → snapshot
//	  → late cosignatures: the same again with one more line
//
// It begins with what was signed last, and signs nothing new before enough witnesses were heard from
// (heard.go). After that every witness is asked again now and then to cosign the latest tree, so that
// Health knows what a submission would meet.
//
// Without a quorum nothing is published; the free witnesses are asked again every
// pause. A round ends when it is published or when every witness has answered in
// vain, and then the next one takes the tree as it is by then. It does not end while
// an answer is open: a slow witness that the quorum needs would otherwise never
// catch up with a tree that grows.
//
// The fields in loop belong to the goroutine run, which is the only one that signs or publishes. It waits on the monotonic
// clock only: a wall clock that steps back must not stop publication.
type publisher struct {
	history
	archive  *archive
	policy   *trust.Policy
	client   *http.Client
	interval time.Duration
	log      *slog.Logger
	freeze   func(error) // the log's files contradict what was signed: nothing is ever right again

	current   atomic.Pointer[snapshot]
	trouble   atomic.Pointer[error]      // why the last try did not publish; nil when it did
	unheard   atomic.Pointer[Unheard]    // nil once enough witnesses were heard from; it stays nil
	standings atomic.Pointer[[]standing] // the last answer of each endpoint
	asked     chan struct{}              // closed once unheard is nil or every witness has answered once
	endpoints []*endpoint

	arriving atomic.Int64 // submissions that are not in the tree yet and not refused; Add counts them

	grown    chan struct{} // capacity 1: the tree may have grown
	answers  chan answer   // capacity: one for each endpoint, so that no asker ever blocks
	stopping chan struct{}
	done     chan struct{}
	asking   sync.WaitGroup
	ctx      context.Context // of requests to witnesses
	cancel   context.CancelFunc

	loop struct {
		round, last *round // the latest signed, and the latest published; often the same
		free        []*endpoint
		open        int       // questions to witnesses
		dirty       bool      // the tree may be larger than round
		started     time.Time // the last round, or the last try to start one
		asked       time.Time // the last time witnesses were asked
		draining    bool      // Close wants one last publication
		halted      bool      // a witness has shown that this log is not the one it was

		heard  map[string]bool // witnesses heard from since the start, by policy name; see heard.go
		warned bool            // that they do not suffice
	}
}

type answer struct {
	endpoint *endpoint
	round    *round
	reply
	err error
}

const (
	maxPause = time.Second // between tries while there is no quorum
	forever  = time.Hour   // nothing to do until somebody calls

	lingerStep = 5 * time.Millisecond // between looks at whether submissions are still arriving
)

// newPublisher continues from what the guard holds.
func newPublisher(past history, kept *archive, cfg *Config, freeze func(error)) (*publisher, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{
		history: past, archive: kept, policy: cfg.Policy, client: witnessClient(cfg.HTTP), interval: cfg.Interval, log: cfg.Log, freeze: freeze,
		asked: make(chan struct{}), grown: make(chan struct{}, 1), stopping: make(chan struct{}), done: make(chan struct{}), ctx: ctx, cancel: cancel,
	}
	published := p.guard.published
	p.endpoints = endpoints(cfg.Policy, published)
	p.loop.free = slices.Clone(p.endpoints)
	p.answers = make(chan answer, len(p.endpoints))
	p.loop.dirty = true
	p.loop.heard = map[string]bool{}
	if u := unheardOf(p.policy, nil); u != nil {
		p.unheard.Store(u)
	} else {
		close(p.asked)
	}
	p.standings.Store(&[]standing{})
	var err error
	if p.loop.round, err = p.signedLast(); err != nil {
		cancel()
		return nil, fmt.Errorf("signing what was signed last: %w", err)
	}
	first := &snapshot{changed: make(chan struct{})}
	if published != nil {
		if cp, err := cfg.Policy.OpenCheckpoint(published.Signed); err != nil {
			p.log.Warn("the last published checkpoint does not satisfy the policy; it is not served", "size", published.Size, "err", err)
		} else {
			first.cp, first.tiles = cp, &tileCache{}
			p.resume(cp)
		}
	}
	p.current.Store(first)
	return p, nil
}

// signedLast opens the round of what was signed last, or of the empty tree. Its signature is not a
// new one: it says what an earlier one said.
func (p *publisher) signedLast() (*round, error) {
	note, err := p.guard.sign(p.guard.highWater(), p.store.consistency)
	if err != nil {
		return nil, err
	}
	return p.open(note)
}

// open makes the round of a note with our own signature.
func (p *publisher) open(note []byte) (*round, error) {
	cp, err := p.policy.OpenLogSignature(note)
	if err != nil {
		return nil, fmt.Errorf("our own signature: %w", err)
	}
	return &round{cp: cp, cosignatures: map[string]trust.Cosignature{}, failed: map[*endpoint]bool{}}, nil
}

// resume continues with what an earlier process published, if nothing was signed after it.
func (p *publisher) resume(cp *trust.Checkpoint) {
	r := p.loop.round
	if r.cp.Size != cp.Size {
		return
	}
	for _, c := range cp.Cosignatures {
		r.cosignatures[c.Witness] = c
	}
	r.published, p.loop.last = true, r
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
			p.answered(time.Now(), a)
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
	wait, more := p.advance(now)
	if more {
		wait = min(wait, p.askAgain(now))
	}
	return wait, more
}

// advance brings the round to publication, and begins the next one.
func (p *publisher) advance(now time.Time) (time.Duration, bool) {
	l := &p.loop
	if l.halted {
		return 0, false
	}
	select {
	case <-p.grown: // so that a last publication holds all there is
		l.dirty = true
	default:
	}
	r := l.round
	if !r.published && p.tryPublish(r) {
		return p.advance(now)
	}
	if p.unheard.Load() != nil {
		return forever, !l.draining
	}
	if !r.published {
		if l.open > 0 {
			return p.askFailedAgain(now), true
		}
		if l.draining && r.hasFailed() && now.Sub(l.asked) < p.pause() {
			return 0, false // every witness has answered in vain; a waiting entry is safe in the tree
		}
		l.dirty = true
	}
	if !l.dirty {
		return forever, !l.draining
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
	if !l.round.published || p.trouble.Load() != nil {
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

// pause is what lies between two tries.
func (p *publisher) pause() time.Duration { return min(p.interval, maxPause) }

// start signs the tree as it is now, unless it has not grown, and asks for cosignatures. A tree that was signed and not
// published is not signed again; its round goes on.
func (p *publisher) start(now time.Time) error {
	l := &p.loop
	l.dirty = false
	t, err := p.store.treeState()
	if err == nil && l.round.cp.Size != t.Size {
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
		l.round.stuck = true // there is nobody to ask
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
	return p.open(note)
}

func (r *round) names() map[string]bool {
	names := make(map[string]bool, len(r.cosignatures))
	for name := range r.cosignatures {
		names[name] = true
	}
	return names
}

// lacks tells whether some key behind e has not cosigned: an endpoint may have an Ed25519 and an ML-DSA-44 key.
func (r *round) lacks(e *endpoint) bool {
	for _, name := range e.witnesses {
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
	r.stuck = false
	p.askThose(r, r.lacks)
}

// askAgain sends the latest round once more to those whose last answer is some time ago, and returns
// how long nobody's is.
func (p *publisher) askAgain(now time.Time) time.Duration {
	wait := forever
	p.askThose(p.loop.round, func(e *endpoint) bool {
		due := e.next.Sub(now)
		if due > 0 {
			wait = min(wait, due)
		}
		return due <= 0
	})
	return wait
}

// askThose asks the chosen ones among the free witnesses, which are not free then until they have answered.
func (p *publisher) askThose(r *round, chosen func(*endpoint) bool) {
	var free []*endpoint
	for _, e := range p.loop.free {
		if chosen(e) {
			p.askOne(e, r)
		} else {
			free = append(free, e)
		}
	}
	p.loop.free = free
}

// askOne asks in a goroutine that always answers, even if it panics: else the witness would never be free again.
func (p *publisher) askOne(e *endpoint, r *round) {
	p.loop.open++
	p.asking.Go(func() {
		a := answer{endpoint: e, round: r, err: errors.New("asking panicked")}
		defer func() {
			if v := recover(); v != nil {
				p.log.Error("asking a witness panicked", "witness", e.String(), "err", fmt.Sprint(v))
			}
			p.answers <- a
		}()
		a.reply, a.err = e.ask(p.ctx, p.client, p.policy, r.cp, p.history)
	})
}

// answered takes in one witness's answer, which may be to a round that is over: its cosignatures are of no use then, but
// those to the round that was published last make that checkpoint stronger.
func (p *publisher) answered(now time.Time, a answer) {
	l, e := &p.loop, a.endpoint
	l.open--
	for _, c := range a.cosignatures {
		a.round.cosignatures[c.Witness] = c
	}
	if a.round == l.last {
		p.publishLate(a.round)
	}
	if a.err != nil {
		a.round.failed[e] = true
	}
	p.logChange(a)
	p.noteStanding(now, a)
	if errors.Is(a.err, errForked) { // STO-18: "the log's own good signature of a tree that the log does not continue"
		l.halted = true
		p.freeze(forkEvidence(e, a.err))
		return
	}
	if p.unheard.Load() != nil {
		p.countHeard(a)
	}
	if r := l.round; a.round != r && r.lacks(e) { // it was busy when the latest round began
		p.askOne(e, r)
	} else {
		l.free = append(l.free, e)
	}
}

// noteStanding notes what the endpoint answered, for Health, and when it is asked again.
func (p *publisher) noteStanding(now time.Time, a answer) {
	e := a.endpoint
	e.last = standing{at: now}
	for _, c := range a.cosignatures {
		e.last.cosigned = append(e.last.cosigned, c.Witness)
	}
	if len(e.last.cosigned) == len(e.witnesses) {
		e.pause = 0
		e.next = now.Add(askEvery)
	} else {
		e.pause = min(max(2*e.pause, p.pause()), askEvery)
		e.next = now.Add(e.pause)
	}
	standings := make([]standing, len(p.endpoints))
	for i, e := range p.endpoints {
		standings[i] = e.last
	}
	p.standings.Store(&standings)
}

// countHeard counts the witnesses that an answer shows not to be ahead of us. When those that are left could
// not form a quorum by themselves, the log goes on: every checkpoint that was ever published has a cosignature of one
// that was heard, so none is larger than what we know of.
//
// STO-14: "when it cosigns that again, or names (409) a size that is not above it … and in no other case".
func (p *publisher) countHeard(a answer) {
	l := &p.loop
	for _, c := range a.cosignatures {
		l.heard[c.Witness] = true
	}
	if a.named {
		for _, name := range a.endpoint.witnesses {
			l.heard[name] = true
		}
	}
	u := unheardOf(p.policy, l.heard)
	p.unheard.Store(u)
	if !l.warned && (u == nil || l.open == 0) {
		close(p.asked)
	}
	if u == nil {
		p.log.Info("enough witnesses were heard from to go on", "witnesses", slices.Sorted(maps.Keys(l.heard)))
		return
	}
	if l.open == 0 && !l.warned {
		l.warned = true
		p.log.Warn(u.Error())
	}
	// STO-16: a witness may have shown "that more was signed than the guard knows", and that the log continues it. The
	// guard has learned it by now; all witnesses are asked at once about that tree instead.
	if p.guard.highWater().Size > l.round.cp.Size {
		r, err := p.signedLast()
		if err != nil {
			p.report(err)
			return
		}
		l.round = r
		for _, e := range p.endpoints {
			e.next = time.Time{}
		}
	}
}

// logChange logs what a witness answers when it is not what it answered before: one that is down for a day is two lines.
func (p *publisher) logChange(a answer) {
	said := ""
	if a.err != nil {
		said = a.err.Error()
	}
	if said == a.endpoint.said {
		return
	}
	a.endpoint.said = said
	who := a.endpoint.String()
	switch {
	case a.err == nil:
		p.log.Info("a witness cosigns again", "witness", who, "size", a.round.cp.Size)
	default:
		p.log.Warn("a witness does not cosign", "witness", who, "size", a.round.cp.Size, "err", a.err)
	}
}

// askFailedAgain asks again, while answers of other witnesses are open, those who failed.
func (p *publisher) askFailedAgain(now time.Time) time.Duration {
	if due := p.pause() - now.Sub(p.loop.asked); due > 0 {
		return due
	}
	p.ask(now, p.loop.round)
	return p.pause()
}

// tryPublish publishes r if it has a quorum: the history (STO-38) and then the guard (STO-9) have the note on disk before
// anybody sees it, and who waits for a larger tree goes on.
//
// STO-22: "Nothing MUST be published without a quorum. What is signed and not cosigned stays in the tree".
func (p *publisher) tryPublish(r *round) bool {
	if !p.policy.Quorum(r.names()) {
		if r.hasFailed() && p.loop.open == 0 {
			have := slices.Sorted(maps.Keys(r.cosignatures))
			p.report(fmt.Errorf("%w for size %d: cosigned by [%s]", trust.ErrQuorum, r.cp.Size, strings.Join(have, " ")))
		}
		return false
	}
	cp, err := p.assemble(r)
	if err == nil {
		err = p.archive.keep(cp, p.guard.publish)
	}
	if err != nil {
		p.report(fmt.Errorf("publishing size %d: %w", r.cp.Size, err))
		r.stuck = true
		return false
	}
	r.published = true
	p.loop.last = r
	p.trouble.Store(nil)
	p.setCurrent(cp, &tileCache{}, make(chan struct{}))
	p.log.Debug("published", "size", cp.Size, "root", cp.Root, "cosignatures", len(cp.Cosignatures))
	return true
}

// setCurrent makes cp what the world sees. A nil changed says that the tree is the one it was: who waits for a larger one
// goes on waiting, and tiles stay read.
func (p *publisher) setCurrent(cp *trust.Checkpoint, tiles *tileCache, changed chan struct{}) {
	old := p.current.Load()
	if changed == nil {
		p.current.Store(&snapshot{cp, old.tiles, old.changed})
		return
	}
	p.current.Store(&snapshot{cp, tiles, changed})
	close(old.changed)
}

// publishLate (STO-23) publishes the latest published checkpoint again, with the cosignatures that
// came after the quorum. If that fails the shorter note stays: it is a good one. The history keeps that one.
func (p *publisher) publishLate(r *round) {
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
	p.setCurrent(cp, nil, nil)
}

// assemble builds the note with its cosignatures, in the order of the policy, and opens it as a relying party would: what
// that refuses is not published.
func (p *publisher) assemble(r *round) (*trust.Checkpoint, error) {
	note := append([]byte(nil), r.cp.Signed...)
	for _, w := range p.policy.Witnesses() {
		if c, ok := r.cosignatures[w.Name]; ok {
			note = append(note, c.Line...)
		}
	}
	return p.policy.OpenCheckpoint(note)
}

// report keeps why nothing is published, for Health, and logs it once.
func (p *publisher) report(err error) {
	if old := p.trouble.Load(); old == nil || (*old).Error() != err.Error() {
		p.log.Error("nothing is published", "err", err)
	}
	p.trouble.Store(&err)
}
