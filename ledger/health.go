package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Reason is one cause why a submission would fail now.
type Reason struct {
	About  string // one word for machines: closing, frozen, witnesses, publication, storage, timestamps, index, damage
	Public string // a sentence that anybody may read: no address, and no path but those of damaged tiles in the log, which are public
	Err    error  // the cause, for the operator; errors.Is and errors.As look into it
}

// NotReady holds every reason why a submission would fail now, at least one.
type NotReady struct{ Reasons []Reason }

func (e *NotReady) Error() string {
	list := make([]string, len(e.Reasons))
	for i, r := range e.Reasons {
		list[i] = fmt.Sprintf("%s: %v", r.About, r.Err)
	}
	return strings.Join(list, "; ")
}

func (e *NotReady) Unwrap() []error {
	list := make([]error, len(e.Reasons))
	for i, r := range e.Reasons {
		list[i] = r.Err
	}
	return list
}

// Health is nil when a submission would be logged and published now, and a *NotReady otherwise. It
// waits for nobody: what has to be asked for is asked in the background, and an answer that is too
// old counts as none.
func (l *Log) Health(ctx context.Context) error {
	l.mu.Lock()
	closing := l.closing
	l.mu.Unlock()
	if closing {
		return &NotReady{[]Reason{{"closing", "The ledger is closing.", ErrClosed}}}
	}
	// Every part of the log that can keep a submission out has its line here.
	reasons := []*Reason{
		l.frozenReason(),
		l.storageReason(),
		l.timestampReason(),
		l.indexReason(),
		l.store.damages.reason(),
	}
	if reasons[0] == nil { // a frozen log asks no witness any more: what they said last is no cause
		reasons = append(reasons, l.publisher.witnessReason(time.Now()), l.publisher.reason())
	}
	var given []Reason
	for _, r := range reasons {
		if r != nil {
			given = append(given, *r)
		}
	}
	if len(given) > 0 {
		return &NotReady{given}
	}
	if _, err := l.Checkpoint(ctx); err != nil {
		return &NotReady{[]Reason{{"publication", "There is no checkpoint yet.", err}}}
	}
	return nil
}

func (l *Log) frozenReason() *Reason {
	if err := l.frozen(); err != nil {
		return &Reason{"frozen", "The log is frozen: its files or its witnesses say something else than what was signed, and its operator has to look.", err}
	}
	return nil
}

func (l *Log) storageReason() *Reason {
	if err := l.probe.known(); err != nil {
		return &Reason{"storage", "Storage refuses writes.", fmt.Errorf("%w: %w", ErrStorage, err)}
	}
	switch err := l.appender.trouble(); {
	case errors.Is(err, errStarting):
		return &Reason{"storage", "What writes the log is starting.", fmt.Errorf("%w: %w", ErrStorage, err)}
	case errors.Is(err, errSilent):
		return &Reason{"storage", "What writes the log does not answer; if it stays so it is ended and started again.", fmt.Errorf("%w: %w", ErrStorage, err)}
	case err != nil:
		return &Reason{"storage", "What writes the log has ended; it is started again until storage lets it.", fmt.Errorf("%w: %w", ErrStorage, err)}
	}
	return nil
}

func (l *Log) timestampReason() *Reason {
	if err := l.noTimestamps(); err != nil && l.cfg.Timestamps == TimestampsRequired {
		return &Reason{"timestamps", "No timestamp authority answers, and every entry needs a timestamp.", fmt.Errorf("%w: %w", ErrTimestamp, err)}
	}
	return nil
}

// noTimestamps asks a Timestamper that knows whether it would answer now.
func (l *Log) noTimestamps() error {
	tsa, ok := l.cfg.TSA.(interface{ Health() error })
	if !ok || l.cfg.Timestamps == TimestampsOff {
		return nil
	}
	return tsa.Health()
}

// Notes are what is not as it should be and keeps no submission out: a timestamp that is only preferred, a damaged part of the
// history of checkpoints.
func (l *Log) Notes() (notes []Reason) {
	if err := l.noTimestamps(); err != nil && l.cfg.Timestamps == TimestampsPreferred {
		notes = append(notes, Reason{"timestamps", "No timestamp authority answers: entries are logged without a timestamp.", err})
	}
	if path, count, err := l.archive.damage(); err != nil {
		notes = append(notes, Reason{"checkpoints", fmt.Sprintf("A part of the history of checkpoints is damaged and not served (%s, of %d).", path, count), err})
	}
	return notes
}

func (l *Log) indexReason() *Reason {
	if err := l.cfg.Index.Complete(); err != nil {
		return &Reason{"index", "The index is being derived from the log. Until it is whole nothing can be logged.", errors.Join(fmt.Errorf("%w: %w", ErrIndexing, err), l.follower.why())}
	}
	if err := l.follower.why(); err != nil {
		return &Reason{"index", "The index does not follow the log.", err}
	}
	return nil
}

func (p *publisher) reason() *Reason {
	if err := p.archive.whyBroken(); err != nil {
		return &Reason{"publication", "The history of checkpoints is damaged, and nothing new is published before it is whole.", fmt.Errorf("nothing is published: %w", err)}
	}
	if err := p.trouble.Load(); err != nil {
		return &Reason{"publication", "The last checkpoint has not been published yet.", fmt.Errorf("nothing is published: %w", *err)}
	}
	return nil
}
