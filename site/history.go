package site

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// The history is every note that the log has published, in bundles of 256 as entries are:
//
//	checkpoints/<N>[.p/<W>]
const (
	maxNote  = tiles.MaxEntry
	window   = 256 // of the newest notes, what pages tell of witnesses
	widths   = 32  // of the newest notes, whose sizes have their partial tiles
	growFile = "growth.csv"
	growHead = "date,size\n"
)

// history adds notes to the history of a site while the tree grows past their sizes.
type history struct {
	draft   *draft
	policy  *trust.Policy
	origin  string
	limit   int64 // the size of the checkpoint: what is beyond it is left for the next build
	before  int64 // notes of the history that the folder has
	count   int64
	size    int64  // of the last note
	bundle  []byte // that is not full
	growth  []byte // growth.csv
	lastDay string

	rootAt func(size int64) (tlog.Hash, error) // of the tree, at a size that it has or had
	timeAt func(size int64) (time.Time, error) // of its last entry then; zero: none
	next   func() ([]byte, error, bool)
	stop   func()
	held   *trust.Checkpoint // the next note, opened
	note   []byte
	done   bool
}

// openHistory goes on after the notes that the folder has.
func openHistory(ctx context.Context, d *draft, src Source, policy *trust.Policy, origin string, have, limit int64) (*history, error) {
	h := &history{draft: d, policy: policy, origin: origin, limit: limit, before: have, count: have, growth: []byte(growHead)}
	if have > 0 {
		if err := h.resume(); err != nil {
			return nil, err
		}
	}
	next, stop := iter.Pull2(src.Checkpoints(ctx, have))
	h.next, h.stop = next, stop
	return h, nil
}

func (h *history) resume() (err error) {
	n, w := h.count/tiles.Width, int(h.count%tiles.Width)
	if w > 0 {
		if h.bundle, err = h.draft.read(tiles.CheckpointPath(n, w)); err != nil {
			return siteDamaged(err)
		}
	}
	last, err := readNotes(h.draft.read, h.count, 1)
	if err != nil {
		return siteDamaged(err)
	}
	cp, _, err := trust.CutCheckpoint(last[0])
	if err != nil {
		return siteDamaged(err)
	}
	h.size = cp.Size
	if h.growth, err = h.draft.read(growFile); err != nil {
		return siteDamaged(err)
	}
	days, err := ParseGrowth(h.growth)
	if err != nil {
		return siteDamaged(err)
	}
	if len(days) > 0 {
		h.lastDay = days[len(days)-1].Date.Format(time.DateOnly)
	}
	return nil
}

// peek opens the next note that belongs to this build; false after the last of them.
func (h *history) peek() (*trust.Checkpoint, bool, error) {
	if h.done || h.held != nil {
		return h.held, !h.done, nil
	}
	note, err, ok := h.next()
	if !ok {
		h.done = true
		return nil, false, nil
	}
	if isMissing(err) && h.count == h.before && h.before > 0 {
		return nil, false, fmt.Errorf("%w: the site has %d checkpoints of its history: %w", ErrRolledBack, h.before, err)
	}
	if isMissing(err) {
		return nil, false, fmt.Errorf("%w: checkpoint %d of its history: %w", ErrMissing, h.count, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading checkpoint %d of the history: %w", h.count, err)
	}
	cp, err := h.policy.OpenLogSignature(note) // policies change: the quorum of today is not asked of old notes
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%w: checkpoint %d of its history: %w", ErrDamaged, h.count, err)
	case cp.Origin != h.origin:
		return nil, false, fmt.Errorf("%w: checkpoint %d of its history is of %q", ErrDamaged, h.count, cp.Origin)
	case h.count > 0 && cp.Size <= h.size: // a tree is kept once
		return nil, false, fmt.Errorf("%w: checkpoint %d of its history has size %d, after one of size %d", ErrDamaged, h.count, cp.Size, h.size)
	case len(note) > maxNote:
		return nil, false, fmt.Errorf("%w: checkpoint %d of its history has %d bytes", ErrDamaged, h.count, len(note))
	case cp.Size > h.limit:
		h.done = true
		return nil, false, nil
	}
	h.held, h.note = cp, bytes.Clone(note)
	return cp, true, nil
}

// take adds the notes whose size the tree has reached.
func (h *history) take(size int64) error {
	for {
		cp, ok, err := h.peek()
		if err != nil || !ok || cp.Size > size {
			return err
		}
		want, err := h.rootAt(cp.Size)
		if err != nil {
			return err
		}
		if cp.Root != want {
			return fmt.Errorf("%w: checkpoint %d of its history has size %d and another root than its entries: %s", ErrDamaged, h.count, cp.Size, cp.Root)
		}
		if err := h.keep(cp); err != nil {
			return err
		}
	}
}

func (h *history) keep(cp *trust.Checkpoint) error {
	h.bundle = tiles.AppendEntry(h.bundle, h.note)
	h.count, h.size = h.count+1, cp.Size
	// The time of a note is that of its last entry, the log's own word. Those of cosignatures are better, and are gone with the
	// keys of the witnesses: who builds the site later would have fewer of them.
	at, err := h.timeAt(cp.Size)
	if err != nil {
		return err
	}
	if !at.IsZero() {
		h.grow(max(at.UTC().Format(time.DateOnly), h.lastDay), cp.Size) // a clock may go back, days do not
	}
	h.held = nil
	if h.count%tiles.Width != 0 {
		return nil
	}
	data := h.bundle
	h.bundle = nil
	return h.draft.write(tiles.CheckpointPath(h.count/tiles.Width-1, tiles.Width), data)
}

// grow gives the day its last size.
func (h *history) grow(day string, size int64) {
	if day == h.lastDay {
		cut := bytes.LastIndexByte(h.growth[:len(h.growth)-1], '\n')
		h.growth = h.growth[:cut+1]
	}
	h.lastDay = day
	h.growth = fmt.Appendf(h.growth, "%s,%d\n", day, size)
}

// finish writes what is not full, and drops what a reader no longer finds a use for.
func (h *history) finish() error {
	if w := int(h.count % tiles.Width); w > 0 && h.count > h.before {
		if err := h.draft.write(tiles.CheckpointPath(h.count/tiles.Width, w), h.bundle); err != nil {
			return err
		}
	}
	if w := int(h.before % tiles.Width); w > 0 && h.count > h.before {
		h.draft.drop(tiles.CheckpointPath(h.before/tiles.Width, w))
	}
	if err := h.draft.write(countFile, fmt.Appendf(nil, "%d\n", h.count)); err != nil {
		return err
	}
	return h.draft.write(growFile, h.growth)
}

// readCount is 0 where there is no history.
func readCount(read func(string) ([]byte, error)) (int64, error) {
	text, err := read(countFile)
	if isMissing(err) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	line, ok := strings.CutSuffix(string(text), "\n")
	count, err := trust.ParseDecimal(line)
	if err != nil || !ok {
		return 0, fmt.Errorf("%s is not a decimal and a newline", countFile)
	}
	return count, nil
}

// readBundle reads bundle n of a history, which has width notes.
func readBundle(read func(string) ([]byte, error), n int64, width int) ([][]byte, error) {
	data, err := read(tiles.CheckpointPath(n, width))
	if err != nil {
		return nil, err
	}
	notes, err := tiles.ParseBundle(data, width)
	if err != nil {
		return nil, fmt.Errorf("%s %w", tiles.CheckpointPath(n, width), err)
	}
	return notes, nil
}

// readNotes reads the last most notes of a history of count.
func readNotes(read func(string) ([]byte, error), count int64, most int) ([][]byte, error) {
	var notes [][]byte
	for end := count; end > 0 && len(notes) < most; {
		n := (end - 1) / tiles.Width
		bundle, err := readBundle(read, n, int(min(count-n*tiles.Width, tiles.Width)))
		if err != nil {
			return nil, err
		}
		notes = append(append([][]byte(nil), bundle...), notes...)
		end = n * tiles.Width
	}
	return notes[max(0, len(notes)-most):], nil
}

// Day is a line of growth.csv: the size of the log in its last checkpoint of a UTC day.
type Day struct {
	Date time.Time
	Size int64
}

// ParseGrowth reads growth.csv. It accepts exactly what a build writes.
func ParseGrowth(text []byte) (days []Day, err error) {
	body, ok := bytes.CutPrefix(text, []byte(growHead))
	if !ok {
		return nil, fmt.Errorf("%s does not begin with %q", growFile, growHead)
	}
	for line := range bytes.Lines(body) {
		date, size, _ := strings.Cut(string(trimmed(line)), ",")
		d := Day{}
		if d.Date, err = time.Parse(time.DateOnly, date); err == nil {
			d.Size, err = trust.ParseDecimal(size)
		}
		n := len(days)
		if err != nil || line[len(line)-1] != '\n' || n > 0 && (!d.Date.After(days[n-1].Date) || d.Size < days[n-1].Size) {
			return nil, fmt.Errorf("%s has the line %.60q", growFile, trimmed(line))
		}
		days = append(days, d)
	}
	return days, nil
}
