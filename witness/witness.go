// Package witness is a C2SP tlog-witness: it follows logs, and cosigns a
// checkpoint only if that checkpoint extends the last one it cosigned for the
// same origin. It implements c2sp.org/tlog-witness without the optional
// sign-subtree call.
//
// A request and its answer:
//
//	POST /add-checkpoint
//	old 20852014
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//	jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
//
//	ledger.example/2026
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
//	— ledger.example/2026 Az3grl…
//
//	200 OK
//	— witness.example/w1 CMp+6L…
//
// The state is one signed note an origin, replaced by compare and swap. The
// swap is durable before the cosignature leaves, so no crash and no race can
// make the witness later forget, and contradict, what it has said.
package witness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/time/rate"
)

// Config is what a witness is made of. Policy, Cosigners and Store are required.
type Config struct {
	// Policy says whom to cosign: its log lines. An origin may stand there
	// with several keys. Its witness lines and its quorum are not read.
	Policy *trust.Policy
	// Cosigners all sign every accepted checkpoint; the answer has one line of each.
	Cosigners []*trust.Cosigner
	// Store keeps what was cosigned. Losing it means signing forks: a store is never restored from a backup.
	Store Store
	// Now is the clock of the cosignatures. Nil: time.Now.
	Now func() time.Time
	// Log nil discards.
	Log *slog.Logger
	// Rate bounds the checkpoints cosigned for one origin, in checkpoints a
	// second with a burst of twice that; beyond it the answer is 429.
	// Zero: 1000. Negative: no bound.
	Rate float64
}

// Witness cosigns checkpoints. It is safe for concurrent use.
type Witness struct {
	cosigners []*trust.Cosigner
	store     Store
	now       func() time.Time
	log       *slog.Logger
	alarm     rate.Sometimes // a clock that runs backwards is reported once a minute

	policy *trust.Policy       // the log lines alone
	own    *trust.Policy       // our own keys as witness lines, to read back what we stored
	logs   map[string]*logTurn // by origin; never changes after New
	byHash map[string]string   // hex SHA-256 of the origin → origin, also of logs no longer followed
	index  []byte              // the page at GET /
}

// logTurn lets one request at a time work on an origin.
type logTurn struct {
	origin  string
	turn    chan struct{} // holds one token while a request has its turn
	last    *state        // owned by whoever has the turn; nil: not read yet, or no longer known to be current
	limiter *rate.Limiter
}

// state is the last cosigned checkpoint of an origin. The zero state: never cosigned.
type state struct {
	note []byte // as stored; nil if never cosigned
	size int64
	root tlog.Hash
	time time.Time // of our latest cosignature
}

const (
	defaultRate = 1000
	// maxWait bounds the time a request may wait for its turn and for the disk.
	maxWait = 10 * time.Second
	// maxSwaps bounds the attempts against another process that writes to the same store.
	maxSwaps = 20
	// maxOrigin is what the ML-DSA-44 message can carry.
	// SPEC tlog-cosignature: "opaque log_origin<1..2^8-1>"
	maxOrigin = 255
)

// earliestClock is a date that lies before this code was written. A clock that says
// less is broken, and a cosignature with its time would say something false.
var earliestClock = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// New checks the configuration against what the store remembers.
func New(cfg Config) (*Witness, error) {
	switch {
	case cfg.Policy == nil:
		return nil, errors.New("witness: no policy given")
	case len(cfg.Policy.Logs()) == 0:
		return nil, errors.New("witness: the policy names no log to cosign")
	case len(cfg.Cosigners) == 0:
		return nil, errors.New("witness: no cosigner given")
	case cfg.Store == nil:
		return nil, errors.New("witness: no store given")
	}
	w := &Witness{
		cosigners: slices.Clone(cfg.Cosigners),
		store:     cfg.Store,
		now:       cfg.Now,
		log:       cfg.Log,
		alarm:     rate.Sometimes{Interval: time.Minute},
		logs:      map[string]*logTurn{},
		byHash:    map[string]string{},
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	if err := w.setPolicies(cfg.Policy); err != nil {
		return nil, err
	}
	if err := w.follow(cfg.Policy.Logs(), cfg.Rate); err != nil {
		return nil, err
	}
	if err := w.compareWithStore(context.Background()); err != nil {
		return nil, err
	}
	w.index = w.indexPage()
	return w, nil
}

// setPolicies narrows the policy to its log lines, so that no cosignature line
// of others is ever taken into our state, and makes one of our own keys.
func (w *Witness) setPolicies(p *trust.Policy) (err error) {
	logs, own := p.Logs(), make([]trust.PolicyWitness, len(w.cosigners))
	for i, c := range w.cosigners {
		own[i] = trust.PolicyWitness{Name: fmt.Sprintf("own-%d", i+1), VKey: c.VKey()}
	}
	// SPEC tlog-cosignature: "A cosigner operator that operates multiple Ed25519
	// cosigners […] MUST use distinct public keys": a policy refuses a key that
	// stands in it twice, so the keys of the logs and ours go through one together.
	if _, err = trust.ParsePolicy(trust.FormatPolicy(logs, own, 0)); err != nil {
		return fmt.Errorf("witness: log and cosigner keys do not go together: %w", err)
	}
	if w.policy, err = trust.ParsePolicy(trust.FormatPolicy(logs, nil, 0)); err != nil {
		return fmt.Errorf("witness: reading the log lines: %w", err)
	}
	if w.own, err = trust.ParsePolicy(trust.FormatPolicy(nil, own, 0)); err != nil {
		return fmt.Errorf("witness: reading the cosigner keys: %w", err)
	}
	return nil
}

// follow makes a turn for each origin of the policy: one request at a time extends it. Its rate is its own (WIT-30), so
// a busy log takes nothing from another.
func (w *Witness) follow(logs []trust.PolicyLog, perSecond float64) error {
	for _, l := range logs {
		if len(l.Origin) > maxOrigin {
			return fmt.Errorf("witness: origin %.40q… has %d bytes, at most %d can be cosigned", l.Origin, len(l.Origin), maxOrigin)
		}
		// WIT-2: a log that signs under our name could pass its signatures off as our cosignatures.
		if slices.ContainsFunc(w.cosigners, func(c *trust.Cosigner) bool { return c.Name() == l.Origin }) {
			return fmt.Errorf("witness: origin %q is the name of our own cosigner", l.Origin)
		}
		if w.logs[l.Origin] == nil { // a second key of the same log shares its state
			w.logs[l.Origin] = &logTurn{origin: l.Origin, turn: make(chan struct{}, 1), limiter: newLimiter(perSecond)}
			w.byHash[originHash(l.Origin)] = l.Origin
		}
	}
	return nil
}

func newLimiter(perSecond float64) *rate.Limiter {
	switch {
	case perSecond < 0:
		return rate.NewLimiter(rate.Inf, 0)
	case perSecond == 0:
		perSecond = defaultRate
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(2*perSecond)))
}

// compareWithStore says aloud what the configuration changes: a log list may
// grow, but nothing is removed or re-keyed silently. State is kept either way,
// so a log that comes back has to continue where it stopped.
func (w *Witness) compareWithStore(ctx context.Context) error {
	if s, ok := w.store.(interface {
		Origins(context.Context) ([]string, error)
	}); ok {
		origins, err := s.Origins(ctx)
		if err != nil {
			return fmt.Errorf("witness: reading the stored origins: %w", err)
		}
		for _, origin := range origins {
			w.byHash[originHash(origin)] = origin
			if w.logs[origin] == nil {
				w.log.Warn("log is no longer followed; its last checkpoint is still served", "origin", origin)
			}
		}
	}
	for _, l := range w.logs {
		if _, err := w.load(ctx, l); err != nil { // load says what has changed
			return fmt.Errorf("witness: %w", err)
		}
	}
	return nil
}

// AddCheckpoint checks the request and returns one cosignature line of each
// cosigner. By then the new state is durable. Every refusal is a *Refusal;
// nothing of a cosignature is in it.
//
// A checkpoint with extension lines is refused with 422: the ML-DSA-44
// cosignature would not cover them, and readers would think it does.
func (w *Witness) AddCheckpoint(ctx context.Context, r trust.AddCheckpoint) ([]byte, error) {
	cp, err := w.open(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	l := w.logs[cp.Origin]
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, newRefusal(http.StatusServiceUnavailable, "too many requests wait for this origin")
	}
	// The turn saves work; it is the store's compare and swap that keeps two
	// requests from extending one state, also across processes.
	for attempt := range maxSwaps {
		st, err := w.latest(ctx, l, r.OldSize)
		if err != nil {
			return nil, err
		}
		if err := w.check(ctx, st, cp, r); err != nil {
			return nil, err
		}
		if attempt == 0 && !l.limiter.Allow() {
			return nil, newRefusal(http.StatusTooManyRequests, "this origin asks for more cosignatures than its rate allows")
		}
		next, lines, err := w.cosign(st, cp)
		if err != nil {
			return nil, err
		}
		// SPEC tlog-witness: "The witness MUST persist the new checkpoint before responding."
		err = w.store.Swap(ctx, cp.Origin, st.note, next.note)
		if err == nil {
			l.last = next
			return lines, nil
		}
		// The swap may have happened or not. Forget, read again, and show
		// neither the lines nor an error that could hold them.
		l.last = nil
		if !errors.Is(err, ErrConflict) {
			w.log.Error("storing a checkpoint failed", "origin", cp.Origin, "size", cp.Size, "err", err)
			return nil, newRefusal(http.StatusServiceUnavailable, "the checkpoint could not be stored")
		}
	}
	return nil, newRefusal(http.StatusServiceUnavailable, "the stored checkpoint keeps changing")
}

// open is the part of the check that needs no state.
func (w *Witness) open(r trust.AddCheckpoint) (*trust.Checkpoint, error) {
	if r.OldSize < 0 || len(r.Proof) > trust.MaxProofHashes {
		return nil, newRefusal(http.StatusBadRequest, "request wants an old size of at least 0 and at most %d hashes", trust.MaxProofHashes)
	}
	cp, err := w.policy.OpenLogSignature(r.Checkpoint)
	switch {
	case errors.Is(err, trust.ErrEmptyTree):
		// The signature is good and the size 0, the root is not. Whether that is the first thing
		// wrong depends on the state, so check judges it; a zero Root is not EmptyRoot either.
		origin, _, _ := strings.Cut(string(r.Checkpoint), "\n")
		cp = &trust.Checkpoint{Origin: origin}
	case errors.Is(err, trust.ErrUnknownLog):
		return nil, &Refusal{Status: http.StatusNotFound, Err: err}
	case errors.Is(err, trust.ErrSignature):
		return nil, &Refusal{Status: http.StatusForbidden, Err: err}
	case err != nil:
		return nil, &Refusal{Status: http.StatusBadRequest, Err: err}
	}
	// WIT-10: "an ML-DSA-44 cosignature does not cover them, and readers would think so".
	if len(cp.Extensions) != 0 {
		return nil, newRefusal(http.StatusUnprocessableEntity, "checkpoint has extension lines; this witness does not cosign them")
	}
	// SPEC tlog-witness: "The old size MUST be equal to or lower than the checkpoint size."
	if r.OldSize > cp.Size {
		return nil, newRefusal(http.StatusBadRequest, "old size %d is above the checkpoint's %d", r.OldSize, cp.Size)
	}
	return cp, nil
}

// check compares an authentic checkpoint with the state, in the order of the specification.
func (w *Witness) check(ctx context.Context, st *state, cp *trust.Checkpoint, r trust.AddCheckpoint) error {
	fork := st.note != nil && cp.Size == st.size && cp.Root != st.root
	if fork && cp.Signed != nil { // WIT-26: the log signed two trees of one size, whatever else the request says
		w.keepEvidence(ctx, Fork, st, cp)
	}
	// SPEC tlog-witness: "The witness MUST check that the old size matches the
	// size of the latest checkpoint it cosigned for the checkpoint's origin (or
	// zero if it never cosigned a checkpoint for that origin)."
	if r.OldSize != st.size {
		return &Refusal{Status: http.StatusConflict, Size: st.size,
			Err: fmt.Errorf("old size is %d, the last cosigned one %d", r.OldSize, st.size)}
	}
	switch {
	// SPEC tlog-witness: "A checkpoint of size zero MUST have the root hash of the empty tree"
	case cp.Size == 0 && cp.Root != trust.EmptyRoot:
		return newRefusal(http.StatusUnprocessableEntity, "size 0 has another root than the empty tree")
	// SPEC tlog-witness: "If the old size matches the checkpoint size, the
	// witness MUST check that the root hashes are also identical."
	case fork:
		return newRefusal(http.StatusUnprocessableEntity, "size %d was cosigned with another root", cp.Size)
	// SPEC tlog-witness: "If the old size is zero, the consistency proof MUST be empty". WIT-15 asks the same of a tree
	// that has not grown.
	case (r.OldSize == 0 || r.OldSize == cp.Size) && len(r.Proof) != 0:
		return newRefusal(http.StatusUnprocessableEntity, "proof must be empty from size %d to %d", r.OldSize, cp.Size)
	case r.OldSize == 0 || r.OldSize == cp.Size:
		return nil
	}
	// WIT-16: "against the stored root, not against one that the request brings".
	// Not tlog.CheckTree, which never returns for sizes above 2^62.
	if trust.CheckConsistency(st.size, st.root, cp.Size, cp.Root, r.Proof) != nil {
		w.keepEvidence(ctx, Unproven, st, cp) // WIT-27: a lead only, since the proof is the sender's
		return newRefusal(http.StatusUnprocessableEntity, "proof does not lead from size %d to %d", st.size, cp.Size)
	}
	return nil
}

// cosign signs a re-encoding of what was parsed, never the bytes that came, and
// returns the state to store: the text, the log signatures that verified, our lines.
func (w *Witness) cosign(st *state, cp *trust.Checkpoint) (next *state, lines []byte, err error) {
	at, err := w.cosignTime(st)
	if err != nil {
		return nil, nil, err
	}
	plain := &trust.Checkpoint{Origin: cp.Origin, Size: cp.Size, Root: cp.Root}
	if !bytes.HasPrefix(cp.Signed, append(plain.Text(), '\n')) {
		return nil, nil, fmt.Errorf("checkpoint of %q at size %d does not re-encode to what was signed", cp.Origin, cp.Size)
	}
	for _, c := range w.cosigners {
		line, err := c.Cosign(plain, at)
		if err != nil {
			return nil, nil, fmt.Errorf("cosigning as %s: %w", c.Name(), err)
		}
		lines = append(lines, line...)
	}
	note := slices.Concat(cp.Signed, lines) // WIT-25: of the lines that came, cp.Signed holds those that verified
	return &state{note: note, size: cp.Size, root: cp.Root, time: at}, lines, nil
}

// cosignTime is the clock, in whole seconds, but never before an earlier
// cosignature of the same origin.
func (w *Witness) cosignTime(st *state) (time.Time, error) {
	now := w.now().Truncate(time.Second)
	if now.Before(earliestClock) { // WIT-21
		w.alarm.Do(func() { w.log.Error("the clock is wrong; nothing is cosigned", "now", now) })
		return time.Time{}, newRefusal(http.StatusServiceUnavailable, "the witness has no valid time")
	}
	if now.Before(st.time) { // WIT-20: "never before the time of an earlier cosignature for the same origin"
		w.alarm.Do(func() {
			w.log.Warn("the clock is behind an earlier cosignature", "now", now, "earlier", st.time)
		})
		return st.time, nil
	}
	return now, nil
}

// latest returns the state of the log whose turn the caller has. What we
// remember is good enough for a request that continues it, since the swap
// compares it with the store; anything else is judged by the store itself.
func (w *Witness) latest(ctx context.Context, l *logTurn, oldSize int64) (*state, error) {
	if l.last != nil && l.last.size == oldSize {
		return l.last, nil
	}
	st, err := w.load(ctx, l)
	if err != nil {
		w.log.Error("reading the stored checkpoint failed", "origin", l.origin, "err", err)
		return nil, newRefusal(http.StatusServiceUnavailable, "the last cosigned checkpoint could not be read")
	}
	l.last = st
	return st, nil
}

// load reads a stored note back; the caller has the log's turn. No note is a state too, from which any history is
// cosigned, so what cannot be read is never taken for none (WIT-24). It believes what we or the log have signed:
// a damaged note stops the witness for this origin, as a lost one should have.
func (w *Witness) load(ctx context.Context, l *logTurn) (*state, error) {
	note, err := w.store.Latest(ctx, l.origin)
	if err != nil {
		return nil, fmt.Errorf("reading the stored checkpoint of %q: %w", l.origin, err)
	}
	switch {
	case note == nil:
		return &state{}, nil
	case l.last != nil && bytes.Equal(note, l.last.note):
		return l.last, nil
	}
	cp, lines, err := trust.CutCheckpoint(note)
	if err != nil {
		return nil, fmt.Errorf("stored checkpoint of %q: %w", l.origin, err)
	}
	if cp.Origin != l.origin {
		return nil, fmt.Errorf("stored checkpoint of %q is of %q", l.origin, cp.Origin)
	}
	ours, err := w.own.VerifyCosignatures(cp, lines)
	if err != nil {
		return nil, fmt.Errorf("stored checkpoint of %q: %w", l.origin, err)
	}
	_, logErr := w.policy.OpenLogSignature(note)
	switch {
	case len(ours) == 0 && logErr != nil:
		return nil, fmt.Errorf("stored checkpoint of %q is damaged, or both the log's keys and ours have changed: %w", l.origin, logErr)
	case len(ours) == 0:
		w.log.Warn("our keys have changed since this log was last cosigned", "origin", l.origin, "size", cp.Size)
	case logErr != nil:
		w.log.Warn("the log's keys have changed since it was last cosigned", "origin", l.origin, "size", cp.Size, "err", logErr)
	}
	st := &state{note: note, size: cp.Size, root: cp.Root}
	for _, c := range ours {
		if c.Time.After(st.time) {
			st.time = c.Time
		}
	}
	return st, nil
}

// Latest returns the last cosigned checkpoint of the log whose origin has this
// SHA-256 (lower-case hex), with the log signatures that were verified and our
// cosignatures; a *Refusal with status 404 if there is none.
func (w *Witness) Latest(ctx context.Context, originHash string) ([]byte, error) {
	origin, ok := w.byHash[originHash]
	if !ok {
		return nil, newRefusal(http.StatusNotFound, "no such log")
	}
	note, err := w.store.Latest(ctx, origin)
	if err != nil {
		w.log.Error("reading the stored checkpoint failed", "origin", origin, "err", err)
		return nil, newRefusal(http.StatusServiceUnavailable, "the last cosigned checkpoint could not be read")
	}
	if note == nil {
		return nil, newRefusal(http.StatusNotFound, "no checkpoint of this log was cosigned yet")
	}
	return note, nil
}

// keepEvidence stores two signed notes that do not go together. That we could
// not keep them changes nothing for the one who asked.
func (w *Witness) keepEvidence(ctx context.Context, kind EvidenceKind, st *state, cp *trust.Checkpoint) {
	s, ok := w.store.(interface {
		KeepEvidence(context.Context, Evidence) (bool, error)
	})
	if !ok {
		w.log.Warn("log signed a checkpoint that does not extend the last one", "origin", cp.Origin, "kind", kind, "size", cp.Size, "root", cp.Root)
		return
	}
	kept, err := s.KeepEvidence(ctx, Evidence{Origin: cp.Origin, Kind: kind, Ours: st.note, Theirs: cp.Signed, Seen: w.now()})
	if err != nil {
		w.log.Error("keeping evidence failed", "origin", cp.Origin, "kind", kind, "size", cp.Size, "err", err)
	} else if kept {
		w.log.Warn("log signed a checkpoint that does not extend the last one; both are kept", "origin", cp.Origin, "kind", kind, "size", cp.Size, "root", cp.Root)
	}
}

func originHash(origin string) string {
	h := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(h[:])
}
