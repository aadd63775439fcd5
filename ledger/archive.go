package ledger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// archive keeps every published checkpoint with its cosignatures, in the order of their publication and under numbers that
// never change: checkpoint k is the k%256-th note of segment k/256.
//
//	<N>    256 notes, each after its length as a big-endian uint16; N as in the path of tile N ("000", "x001/000")
//
// So a segment is the bundle that is served. A note is durable here before the guard has it, and the guard has it before
// anybody sees it. A crash in between leaves a note at the end that the guard does not know, or a part of one. A part was
// never shown, and the next note takes its place. A whole one may have been: a guard that is an older copy knows as little
// of it. So it is never written over: it is a good checkpoint with its quorum, and the next start publishes it.
//
// A damaged segment is not served, and stops nothing: the numbers of what follows are known. Only where it is not known
// any more how many notes there are, nothing is published, until the segment is restored or its loss accepted.
// Otherwise a number could come to stand for another checkpoint than the one that somebody has seen under it.
//
// The publisher alone writes; everybody reads.
type archive struct {
	dir  string
	keys *trust.Policy // the log's key, and no witness: policies change, and old cosignatures stay
	log  *slog.Logger

	mu        sync.Mutex
	published *trust.Checkpoint // the last one that the guard has published; nil before the first
	count     int64             // notes that are kept
	end       int64             // bytes of those of the last segment
	latest    *trust.Checkpoint // the last of them; nil if there is none, or it cannot be told
	shown     int64             // the first so many were published, and are served; behind them stands what the guard has not
	lacks     *trust.Checkpoint // published, and not kept; nil if it is
	broken    error             // why it is not known how many notes there are; nil if it is
	verified  map[int64]verifiedNotes
	damaged   map[int64]error // segments that were found damaged and not seen whole since
}

// verifiedNotes says that the first notes of a segment are good as long as their bytes are these.
type verifiedNotes struct {
	notes int
	bytes int
	sum   [sha256.Size]byte
	last  tree
}

const (
	maxNote         = tiles.MaxEntry
	maxVerified     = 4096 // segments whose sums are kept in memory, some 80 bytes each
	maxDamagedNoted = 1000
)

// openArchive never fails for what it finds: what is published is served, whatever is wrong with the past. It writes
// nothing.
func openArchive(dir string, signer *trust.LogSigner, log *slog.Logger, published *trust.Checkpoint) (*archive, error) {
	keys, err := keyOnly(signer.VKey())
	if err != nil {
		return nil, err
	}
	a := &archive{dir: dir, keys: keys, log: log, published: published,
		verified: map[int64]verifiedNotes{}, damaged: map[int64]error{}}
	if a.scan(); a.broken != nil {
		a.log.Error("nothing new is published before the history of checkpoints is whole again", "err", a.broken)
	}
	return a, nil
}

// scan finds out how many notes there are. It looks at the last segment only.
func (a *archive) scan() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.scanAgain()
}

// scanIfBroken looks whether what was broken is whole again. Nothing is written while it is not.
func (a *archive) scanIfBroken() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken == nil {
		return nil
	}
	switch a.scanAgain(); {
	case a.broken != nil:
	case a.lacks != nil && a.count%tiles.Width > 0: // only a start takes it for what an earlier release left
		a.broken = fmt.Errorf("the history of checkpoints ends at size %d, and the published one has size %d: it is not restored yet, or from an older copy", a.latest.Size, a.lacks.Size)
	case a.latest != nil && a.unpublished(a.latest): // STO-41: only a start compares the log with it
		a.broken = fmt.Errorf("the history of checkpoints ends at size %d, which the guard does not know to be published: start the ledger again", a.latest.Size)
	default:
		a.log.Info("the history of checkpoints is whole again", "checkpoints", a.count)
	}
	return a.broken
}

// scanAgain: the caller holds mu.
func (a *archive) scanAgain() {
	a.count, a.end, a.latest, a.shown, a.lacks = 0, 0, nil, 0, nil
	if a.broken = a.scanLast(); a.broken == nil && a.published != nil && (a.latest == nil || a.latest.Size < a.published.Size) {
		a.lacks = a.published
	}
}

func (a *archive) scanLast() error {
	root, err := os.OpenRoot(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	defer root.Close()
	segments, _, err := listSegments(root)
	if err != nil {
		return fmt.Errorf("reading the history of checkpoints: %w", err)
	}
	if len(segments) == 0 {
		return nil
	}
	n := segments[len(segments)-1]
	a.count = n * tiles.Width
	a.shown = a.count
	data, err := readRegular(root, segmentPath(n), tiles.MaxBundle)
	if err != nil {
		return a.unclear(n, err)
	}
	notes, rest := splitNotes(data)
	at, cp := lastGood(a.keys, notes)
	if cp == nil {
		return a.unclear(n, errors.New("none of its notes is one of this log"))
	}
	cp.Signed = bytes.Clone(notes[at]) // as it lies there: the keys here open no cosignature
	// STO-39: "what stands behind the published checkpoint, or behind a later note, and is no whole note of this log MUST be
	// dropped: nobody has seen it".
	notes, dropped := notes[:at+1], len(notes)-at-1
	a.count, a.latest, a.end = a.count+int64(len(notes)), cp, sizeOf(notes)
	a.shown += int64(a.publishedOf(notes))
	if dropped+len(rest) > 0 && (a.published == nil || cp.Size < a.published.Size) {
		return a.unclear(n, fmt.Errorf("what follows its note %d is none of this log", at))
	}
	return nil
}

// publishedOf is how many of the notes of the last segment the guard has published: all but those of larger trees at its end.
func (a *archive) publishedOf(notes [][]byte) int {
	for i, note := range slices.Backward(notes) {
		if cp, _, err := trust.CutCheckpoint(note); err != nil || !a.unpublished(cp) {
			return i + 1
		}
	}
	return 0
}

// unpublished says that the guard has published nothing of the tree of cp, nor of a larger one.
func (a *archive) unpublished(cp *trust.Checkpoint) bool {
	return a.published == nil || cp.Size > a.published.Size
}

// unclear is the error of a segment whose number of notes is not known.
func (a *archive) unclear(n int64, err error) error {
	path := filepath.Join(a.dir, segmentPath(n))
	return fmt.Errorf("the last segment of the history of checkpoints, %s, is damaged (%w): restore its newest copy (GET /%s of any copy of the log's site); if there is none, move the file away: its checkpoints are gone then, and their numbers are given again",
		path, err, tiles.CheckpointPath(n, tiles.Width))
}

// newest is the checkpoint of the latest tree that is kept, shown or not; nil if there is none.
func (a *archive) newest() *trust.Checkpoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest
}

// settle makes the guard and the history agree at a start: each gets the newest checkpoint that only the other has. What
// cannot be done now is logged, and done with the next publication. The log continues what is kept, and the guard
// knows that it was signed (STO-41).
func (a *archive) settle(policy *trust.Policy, publish func(*trust.Checkpoint) error) {
	a.mu.Lock()
	count, latest, lacks, broken := a.count, a.latest, a.lacks, a.broken
	ahead := latest != nil && a.unpublished(latest)
	a.mu.Unlock()
	switch {
	case broken != nil:
	case lacks != nil:
		a.keepPublished(lacks, count)
	case ahead:
		a.publishKept(latest, policy, publish)
	}
}

// keepPublished keeps what an earlier release has published without keeping it.
func (a *archive) keepPublished(lacks *trust.Checkpoint, count int64) {
	if count > 0 {
		a.log.Warn("the history of checkpoints does not hold the published one, and goes on with it: either an earlier release has published meanwhile, or the newest segments are lost, and their numbers are given again; if so, stop and restore them",
			"dir", a.dir, "checkpoints", count, "size", lacks.Size)
	}
	if err := a.keep(lacks, func(*trust.Checkpoint) error { return nil }); err != nil {
		a.log.Warn("the published checkpoint is not in the history yet", "size", lacks.Size, "err", err)
	}
}

// publishKept publishes what was kept, and is not in the guard, because a crash came between or the guard is an older copy.
func (a *archive) publishKept(cp *trust.Checkpoint, policy *trust.Policy, publish func(*trust.Checkpoint) error) {
	// STO-22: it had the quorum of its time; what has not today's waits in the history for the next one.
	cp, err := policy.OpenCheckpoint(cp.Signed)
	if err == nil {
		err = a.keep(cp, publish)
	}
	if err != nil {
		a.log.Warn("the newest checkpoint of the history is not published; the next one stands behind it", "err", err)
		return
	}
	a.log.Info("the newest checkpoint of the history is published: the guard did not have it, after a crash or as an older copy", "size", cp.Size)
}

// keep makes the note of cp durable, and then publishes it. A tree that is kept is not kept again: cosignatures that come
// later are not part of the history.
func (a *archive) keep(cp *trust.Checkpoint, publish func(*trust.Checkpoint) error) error {
	if err := a.scanIfBroken(); err != nil {
		return err
	}
	a.mu.Lock()
	count, end, latest, lacks := a.count, a.end, a.latest, a.lacks
	a.mu.Unlock()
	if lacks != nil && treeOf(lacks) != treeOf(cp) {
		if err := a.keep(lacks, func(*trust.Checkpoint) error { return nil }); err != nil {
			return err
		}
		return a.keep(cp, publish)
	}
	if latest != nil && cp.Size < latest.Size {
		return fmt.Errorf("keeping the checkpoint: its tree has size %d, and one of size %d is kept", cp.Size, latest.Size)
	}
	if latest == nil || treeOf(latest) != treeOf(cp) {
		end, err := a.write(count, end, cp.Signed)
		if err != nil {
			return fmt.Errorf("keeping the checkpoint: %w", err) // what was written of it is written over: it was not shown
		}
		a.mu.Lock()
		a.count, a.end, a.latest = count+1, end, cp
		a.mu.Unlock()
	}
	if err := publish(cp); err != nil {
		return err // it stays: an error does not tell that the guard has it not
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown, a.published, a.lacks = a.count, cp, nil
	return nil
}

// whyBroken is nil if a checkpoint could be kept.
func (a *archive) whyBroken() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.broken
}

// write puts a note at its place, and returns where the next one begins.
func (a *archive) write(number, end int64, note []byte) (int64, error) {
	if len(note) > maxNote {
		return 0, fmt.Errorf("its note has %d bytes, expected at most %d", len(note), maxNote)
	}
	record := tiles.AppendEntry(nil, note)
	path := filepath.Join(a.dir, filepath.FromSlash(segmentPath(number/tiles.Width)))
	if number%tiles.Width > 0 {
		return end + int64(len(record)), durable.AppendFile(path, end, record)
	}
	// The first one comes with its file, whole: no segment ever begins with a part of a note.
	if err := durable.Mkdir(filepath.Dir(path), 0o755); err != nil {
		return 0, err
	}
	return int64(len(record)), durable.WriteFile(path, record, 0o644)
}

// size is how many checkpoints were kept and published. A nil archive has none.
func (a *archive) size() int64 {
	if a == nil {
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shown
}

// has tells whether so many notes of a segment were published.
func (a *archive) has(n int64, width int) bool {
	count := a.size()
	return n <= count/tiles.Width && n*tiles.Width+int64(width) <= count // the division keeps n*256 from overflowing
}

// bundle returns the first notes of a segment that has them, so many as width says. All that were published of it are
// verified (STO-40): they are notes of this log, each of a larger tree. The error is a Damage.
func (a *archive) bundle(n int64, width int) ([]byte, error) {
	count := a.size()
	wide := int(min(count-n*tiles.Width, tiles.Width))
	data, err := a.read(n, wide)
	if err == nil {
		err = a.verify(n, data, wide)
	}
	a.note(n, err)
	if err != nil {
		return nil, Damage{tiles.CheckpointPath(n, tiles.Width), n * tiles.Width, n*tiles.Width + int64(wide), missing(err)}
	}
	return tiles.FirstEntries(data, width)
}

// read returns the first notes of a segment.
func (a *archive) read(n int64, width int) ([]byte, error) {
	root, err := os.OpenRoot(a.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := readRegular(root, segmentPath(n), tiles.MaxBundle)
	if err != nil {
		return nil, err
	}
	if data, err = tiles.FirstEntries(data, width); err != nil {
		return nil, fmt.Errorf("%w: it %w", errDamaged, err)
	}
	return data, nil
}

// verify checks the notes of a segment. Those whose bytes have been checked before are compared with their sum.
func (a *archive) verify(n int64, data []byte, width int) error {
	a.mu.Lock()
	known, ok := a.verified[n]
	a.mu.Unlock()
	if !ok || known.notes > width || known.bytes > len(data) || sha256.Sum256(data[:known.bytes]) != known.sum {
		known = verifiedNotes{}
	}
	if known.notes == width && known.bytes == len(data) {
		return nil
	}
	notes, err := tiles.ParseBundle(data[known.bytes:], width-known.notes)
	if err != nil {
		return fmt.Errorf("%w: it %w", errDamaged, err)
	}
	last := known.last
	for i, note := range notes {
		if last, err = follows(a.keys, last, note); err != nil {
			return fmt.Errorf("%w: its note %d: %w", errDamaged, known.notes+i, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for old := range a.verified { // any: who reads it again verifies it again
		if len(a.verified) < maxVerified {
			break
		}
		delete(a.verified, old)
	}
	a.verified[n] = verifiedNotes{width, len(data), sha256.Sum256(data), last}
	return nil
}

// note remembers, and logs once, whether a segment is damaged.
func (a *archive) note(n int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch _, known := a.damaged[n]; {
	case err == nil && known:
		delete(a.damaged, n)
		a.log.Info("a damaged segment of the history of checkpoints is whole again", "file", tiles.CheckpointPath(n, tiles.Width))
	case err != nil && !known && len(a.damaged) < maxDamagedNoted:
		a.damaged[n] = err
		a.log.Error("a segment of the history of checkpoints is damaged and not served: restore the file from a copy", "file", tiles.CheckpointPath(n, tiles.Width), "err", err)
	}
}

// damage is one of the segments that were found damaged, how many there are, and what is wrong with it.
func (a *archive) damage() (path string, count int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, err := range a.damaged {
		return tiles.CheckpointPath(n, tiles.Width), len(a.damaged), err
	}
	return "", 0, nil
}

// recheck looks again at what was found damaged.
func (a *archive) recheck() {
	if a == nil {
		return
	}
	_ = a.scanIfBroken() // whyBroken tells it
	a.mu.Lock()
	var known []int64
	for n := range a.damaged {
		known = append(known, n)
	}
	a.mu.Unlock()
	for _, n := range known {
		_, _ = a.bundle(n, 1) // it notes what it finds
	}
}

// checkNoteLimit refuses a policy whose checkpoints could grow too long to be kept, before one is.
func checkNoteLimit(policy *trust.Policy, signer *trust.LogSigner) error {
	line := func(name string, signature int) int {
		return len("— ") + len(name) + len(" ") + (4+signature+2)/3*4 + len("\n") // key ID and signature in base64
	}
	sample := trust.Checkpoint{Origin: signer.Origin(), Size: 1<<63 - 1}
	longest := len(sample.Text()) + len("\n") + line(signer.Origin(), 64)
	for _, w := range policy.Witnesses() {
		switch w.Algorithm {
		case trust.MLDSA44Cosigner:
			longest += line(w.KeyName, 8+2420)
		default:
			longest += line(w.KeyName, 8+64)
		}
	}
	if longest > maxNote {
		return fmt.Errorf("ledger: with the cosignatures of all %d witnesses a checkpoint would have %d bytes, expected at most %d: take some out of the policy", len(policy.Witnesses()), longest, maxNote)
	}
	return nil
}
