package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
)

// A log and its guard that come from a backup look right to each other. Only the witnesses know that
// more was signed since, so a start is a question to them: every one is sent what was signed last (or
// the empty tree), and it is heard from when it cosigns that again, or names a size that is not above
// it. What is published has a quorum of cosignatures. So once the witnesses that were not heard from
// cannot form a quorum by themselves, some witness of every checkpoint ever published has been heard
// from, and none was ahead of us. Until then nothing new is signed.
//
// Silence, an error, and a larger size without evidence are not "heard". At a start safety goes before
// liveness: a witness that is gone for good is taken out of the policy, by hand.

// Unheard says that nothing new is signed yet, and which witnesses have to be heard from first.
type Unheard struct{ Witnesses []string } // policy names, sorted; at least one

func (u *Unheard) Error() string {
	return u.sentence() + "; a witness that is gone for good is taken out of the policy"
}

func (u *Unheard) sentence() string {
	return fmt.Sprintf("nothing new is signed yet: the witnesses not heard from since the start (%s) could form a quorum by themselves",
		strings.Join(u.Witnesses, ", "))
}

// Reason is what Health says of it.
func (u *Unheard) Reason() Reason {
	s := u.sentence()
	return Reason{"witnesses", strings.ToUpper(s[:1]) + s[1:] + ".", u}
}

// unheardOf is nil when the witnesses that are not in heard (policy names) could not form a quorum by
// themselves (STO-13). A policy that wants no cosignature names nobody who could be asked: it is nil too.
func unheardOf(policy *trust.Policy, heard map[string]bool) *Unheard {
	if policy.Quorum(nil) {
		return nil
	}
	rest := map[string]bool{}
	for _, w := range policy.Witnesses() {
		if !heard[w.Name] {
			rest[w.Name] = true
		}
	}
	if !policy.Quorum(rest) {
		return nil
	}
	return &Unheard{slices.Sorted(maps.Keys(rest))}
}

// PolicyNotes says aloud what a ledger's operator should know about the quorum of its policy.
func PolicyNotes(policy *trust.Policy) []string {
	if policy.Quorum(nil) {
		return []string{"no witness has to cosign: nobody would notice if this log were rolled back or forked"}
	}
	var notes []string
	if policy.DisjointQuorums() {
		notes = append(notes, "two quorums without a witness in common are possible: two histories could each have one, so a start waits for more witnesses than a quorum has")
	}
	if needed := policy.Indispensable(); len(needed) > 0 {
		notes = append(notes, fmt.Sprintf("the quorum has no spare: nothing is published while %s is away", strings.Join(needed, " or ")))
	}
	return notes
}

// history answers for the past of the log on disk.
type history struct {
	store *store
	guard *guard
}

// errForked: somebody shows our own signature of a tree that this log does not continue. It was
// forked or rolled back, and whatever it signs next makes it worse.
var errForked = errors.New("the log does not continue a checkpoint that we signed")

// forkError is an errForked that says in its words which checkpoint that is.
type forkError string

func (f forkError) Error() string      { return string(f) }
func (forkError) Is(target error) bool { return target == errForked }

// forkEvidence is why a log is refused, or frozen, whose witness e shows what judgeOwnCheckpoint calls a fork.
func forkEvidence(e *endpoint, err error) error {
	return notSigned{fmt.Errorf("%w: the witness %s shows %w; restore the log that was published", ErrGuard, e, err)}
}

// judgeOwnCheckpoint judges a checkpoint that carries our own signature, whoever shows it. It is nil if the log
// continues that checkpoint; the guard then remembers it as signed, since it was. errForked is the
// evidence that the log was rolled back or forked. Every other error means that nobody can say.
func (h history) judgeOwnCheckpoint(cp *trust.Checkpoint) error {
	base := h.guard.highWater()
	if cp.Size > base.Size { // what is on disk may be more than the guard remembers
		var err error
		if base, err = h.store.treeState(); err != nil {
			return fmt.Errorf("reading the tree: %w", err)
		}
	}
	if cp.Size > base.Size {
		return forkError(fmt.Sprintf("a later checkpoint that we signed, of size %d; the log has size %d: it was rolled back", cp.Size, base.Size))
	}
	proof, err := h.store.consistency(cp.Size, base.Size)
	if err != nil {
		return fmt.Errorf("proving consistency from size %d: %w", cp.Size, err)
	}
	if err := trust.CheckConsistency(cp.Size, cp.Root, base.Size, base.Root, proof); err != nil {
		return forkError(fmt.Sprintf("a checkpoint that we signed, of size %d, which this log does not continue (%v): this log is a fork", cp.Size, err))
	}
	return h.guard.adopt(tree{cp.Size, cp.Root}, h.store.consistency)
}

// askMonitors looks at the copies of our checkpoint that the witnesses serve, and returns the evidence
// among them that this log is not the one it was. A witness that shows none, or nothing that can be
// judged, is no reason not to serve what is there: it has not been heard from, and is asked again.
func (l *Log) askMonitors(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	client := witnessClient(l.cfg.HTTP)
	list := endpoints(l.cfg.Policy, nil)
	found := make([]error, len(list))
	var asking sync.WaitGroup
	for i, e := range list {
		asking.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					l.cfg.Log.Error("asking a witness panicked", "witness", e.String(), "err", fmt.Sprint(r))
				}
			}()
			cp, err := e.latest(ctx, client, l.cfg.Policy, l.cfg.Signer.Origin())
			if err == nil {
				err = history{l.store, l.guard}.judgeOwnCheckpoint(cp)
			}
			switch {
			case errors.Is(err, errForked):
				found[i] = fmt.Errorf("%w, from a copy of %s that is not older", forkEvidence(e, err), l.cfg.Dir)
			case err != nil:
				l.cfg.Log.Info("a witness shows no checkpoint of this log", "witness", e.String(), "err", err)
			}
		})
	}
	asking.Wait()
	return errors.Join(found...)
}

// awaitHeard is nil when enough witnesses were heard from. At a start it waits until each has answered
// once: those who submit in the first moments of a healthy log need not come again.
func (p *publisher) awaitHeard(ctx context.Context) error {
	if p.unheard.Load() == nil {
		return nil
	}
	select {
	case <-p.asked:
	case <-p.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if u := p.unheard.Load(); u != nil {
		return u
	}
	return nil
}

// standing is what a witness's endpoint answered last.
type standing struct {
	cosigned []string  // policy names; none if it refused or failed
	at       time.Time // zero: it has not answered yet
}

const (
	askEvery = 15 * time.Second // so often every witness is asked to cosign the latest tree again
	maxAge   = 30 * time.Second // an answer that is older says nothing about now
)

// witnessReason tells from the last answers whether a submission would find a quorum now.
func (p *publisher) witnessReason(now time.Time) *Reason {
	if u := p.unheard.Load(); u != nil {
		r := u.Reason()
		return &r
	}
	cosigning := map[string]bool{}
	for _, s := range *p.standings.Load() {
		if !s.at.IsZero() && now.Sub(s.at) < maxAge {
			for _, name := range s.cosigned {
				cosigning[name] = true
			}
		}
	}
	if p.policy.Quorum(cosigning) {
		return nil
	}
	var silent []string
	for _, w := range p.policy.Witnesses() {
		if !cosigning[w.Name] {
			silent = append(silent, w.Name)
		}
	}
	err := fmt.Errorf("%w: %s did not cosign when last asked", trust.ErrQuorum, strings.Join(silent, ", "))
	return &Reason{"witnesses", fmt.Sprintf("There is no quorum of witnesses: %s did not cosign when last asked.", strings.Join(silent, ", ")), err}
}
