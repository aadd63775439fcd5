// Package index is a view of the log: which manifest, pack root, signer, repository
// and claim verdict stands at which index.
//
// It is a cache, and deleting it is a supported operation: the log fills a new one.
// A hit is not believed either: whoever finds an index here reads the entry from the
// log and compares. A miss cannot be compared with anything, and it is what lets a
// manifest into the log. So every byte that an answer depends on has a checksum, which
// is verified whenever it is read, and an index that is not complete says so instead
// of "no". What is found damaged is dropped, and derived from the log again.
//
// The index is a directory of runs (run.go) that form a prefix of the log, [0, flushed),
// and the entries after it in memory. The log is its journal: what a crash takes from
// memory, at most some thousands of entries, is read from the log again. Runs are merged
// as they grow, each at least twice as large as those after it together, so that there
// are few, and an entry is rewritten only a logarithmic number of times.
package index

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	flushRows = 4096           // entries in memory that are worth a run
	maxRows   = 16 * flushRows // entries in memory at most
)

var (
	// ErrForeign: the directory is the index of another log.
	ErrForeign = errors.New("the index belongs to something else")

	// ErrOutOfOrder: Append was not given the entries that follow the last one.
	ErrOutOfOrder = errors.New("entries do not continue the index")

	// ErrIncomplete: the index has not got every entry of the log, because it is new or a
	// part of it was damaged. Nothing follows from what it does not find.
	ErrIncomplete = errors.New("the index is being derived from the log")
)

// Index is safe for concurrent use. Of all processes that have one directory open,
// only one may append.
type Index struct {
	dir    string
	origin string

	ctx    context.Context // of merges
	cancel context.CancelFunc

	mu       sync.RWMutex
	seed     seed       // of all keys of runs and rows; Reset draws another
	runs     []*run     // in the order of the log, without gaps; files are closed by Close or merge only
	rows     []entryRow // of the entries that follow
	recent   map[key]int64
	expected int64         // what Append has brought once, or Expect named: below it a miss is none
	dropped  []*run        // damaged; closed with the others
	lost     error         // why the newest of them was dropped
	losses   int           // how often that happened
	merging  chan struct{} // closed when the merge under way ends; nil if there is none
	trouble  error         // of the last merge
}

// Open opens the index of one log in a directory, which the first run creates: where storage
// refuses writes, an index that was deleted lives in memory. Damaged and missing runs, and
// those after them, are left out: Size says how far it reaches.
func Open(dir, origin string) (*Index, error) {
	if origin == "" || strings.Contains(origin, "\n") {
		return nil, errors.New("index: no origin")
	}
	x := &Index{dir: dir, origin: origin, recent: map[key]int64{}}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	if err := x.openRuns(); err != nil {
		return nil, errors.Join(fmt.Errorf("index %s: %w", dir, err), x.Close())
	}
	if len(x.runs) == 0 {
		rand.Read(x.seed[:]) // never fails
	}
	return x, nil
}

// openRuns opens the runs from entry 0 on, of those that begin alike the longest. A
// crash leaves runs behind that are part of a longer one; the next merge removes them.
func (x *Index) openRuns() error {
	for range 10 { // a merge in another process takes runs away while we look
		files, err := os.ReadDir(x.dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case errors.Is(err, syscall.ENOTDIR):
			return errors.New("a file is in its place: remove it, the index is derived again from the log")
		case err != nil:
			return err
		}
		var names []string
		for _, f := range files {
			if isRun(f.Name()) {
				names = append(names, f.Name())
			}
		}
		slices.Sort(names)
		if err = x.openChain(names); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := x.closeRuns(); err != nil {
			return err
		}
	}
	return errors.New("its files do not stay")
}

func isRun(name string) bool { return strings.HasPrefix(name, "run-") }

// openChain opens the run that begins at entry 0, the one that begins where it ends, and so on. Of several that begin
// alike the longest comes first: it was merged of the others. A damaged one is passed over, and a shorter one may stand
// in for it; where no run goes on, the index ends, and the log fills it from there (STO-29).
func (x *Index) openChain(names []string) error {
	end := int64(0)
	for {
		var next *run
		for _, name := range slices.Backward(names) {
			if !strings.HasPrefix(name, fmt.Sprintf("run-%013d-", end)) {
				continue
			}
			r, err := openRun(x.dir, name)
			var d *damage
			if errors.As(err, &d) {
				x.lost = err
				continue
			}
			if err != nil {
				return err
			}
			if r.header.origin != x.origin {
				return errors.Join(fmt.Errorf("%w: it indexes %q, this log is %q", ErrForeign, r.header.origin, x.origin), r.file.Close())
			}
			if len(x.runs) > 0 && r.header.seed != x.seed {
				x.dropped = append(x.dropped, r) // of an index that was here before this one
				continue
			}
			next = r
			break
		}
		if next == nil {
			return nil
		}
		x.runs, x.seed, end = append(x.runs, next), next.header.seed, next.end
	}
}

// Close writes what is in memory, so that the next start need not derive it, and closes
// the files. No other method may be running.
func (x *Index) Close() error {
	x.cancel()
	x.wait()
	if len(x.rows) > 0 {
		x.ctx = context.Background()
		_ = x.merge() // if it cannot be written, the log still has it all
	}
	return x.closeRuns()
}

func (x *Index) closeRuns() error {
	var errs []error
	for _, r := range append(x.runs, x.dropped...) {
		errs = append(errs, r.file.Close())
	}
	x.runs, x.dropped = nil, nil
	return errors.Join(errs...)
}

// wait waits for the merge under way, if there is one.
func (x *Index) wait() {
	x.mu.RLock()
	merging := x.merging
	x.mu.RUnlock()
	if merging != nil {
		<-merging
	}
}

// Size is the number of entries indexed: [0, Size). It shrinks when damage is found.
func (x *Index) Size(ctx context.Context) (int64, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.size(), ctx.Err()
}

func (x *Index) flushed() int64 {
	if len(x.runs) == 0 {
		return 0
	}
	return x.runs[len(x.runs)-1].end
}

func (x *Index) size() int64 { return x.flushed() + int64(len(x.rows)) }

// Expect says that the log has so many entries. Until Append has brought them, what is
// not found is ErrIncomplete. It never lowers what was expected before.
func (x *Index) Expect(size int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expected = max(x.expected, size)
}

// Lost is the damage that was found last, nil if there never was any.
func (x *Index) Lost() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.lost
}

// Reset forgets everything, since the index is not of this log as it is. The log has size entries.
func (x *Index) Reset(size int64, reason error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.truncate(0, reason)
	x.expected = size
	rand.Read(x.seed[:]) // so that files of the other index never continue the next one
}

// truncate keeps the runs below n. The files stay open for those who read them. It never lowers what is expected: the
// entries that are gone are still in the log, and not to find one is no answer (STO-30).
func (x *Index) truncate(n int, reason error) {
	x.losses++
	x.expected = max(x.expected, x.size())
	x.dropped = append(x.dropped, x.runs[n:]...)
	x.runs, x.rows, x.recent, x.lost = slices.Clone(x.runs[:n]), nil, map[key]int64{}, reason
}

// drop leaves out the run that err calls damaged, and those after it. The answer is
// ErrIncomplete until their entries have been appended again. Other errors stay.
func (x *Index) drop(err error) error {
	var d *damage
	if !errors.As(err, &d) {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := slices.Index(x.runs, d.run); n >= 0 {
		x.truncate(n, err)
	}
	return fmt.Errorf("%w: %w", ErrIncomplete, err)
}

// Complete is nil when what is not found is not in the log, and ErrIncomplete otherwise.
func (x *Index) Complete() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.complete()
}

// complete is Complete for a caller who holds mu.
//
// STO-30: "Until it holds every entry of the log, a miss MUST be no answer".
func (x *Index) complete() error {
	if size := x.size(); size < x.expected {
		return fmt.Errorf("%w: it holds %d of %d entries", ErrIncomplete, size, x.expected)
	}
	return nil
}

// Append adds the entries [start, start+len(entries)), all or nothing; the log has them
// durably. start must equal Size, or the error is ErrOutOfOrder.
func (x *Index) Append(ctx context.Context, start int64, entries []entry.Logged) error {
	if err := x.makeRoom(ctx); err != nil {
		return err
	}
	for i, l := range entries {
		if l.Index != start+int64(i) {
			return fmt.Errorf("%w: entry %d where %d was expected", ErrOutOfOrder, l.Index, start+int64(i))
		}
	}
	x.mu.RLock()
	seed := x.seed
	x.mu.RUnlock()
	rows := seed.rows(entries) // without the lock: it takes longer than all else here
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.seed != seed { // Reset came between; under the old seed nobody would find them
		rows = x.seed.rows(entries)
	}
	if size := x.size(); size != start {
		return fmt.Errorf("%w: it holds %d, the entries start at %d", ErrOutOfOrder, size, start)
	}
	for i := range rows {
		k := rows[i].keys[byManifest]
		if _, ok := x.recent[k]; !ok {
			x.recent[k] = start + int64(i)
		}
	}
	x.rows = append(x.rows, rows...)
	x.expected = max(x.expected, x.size())
	if len(x.rows) >= flushRows {
		x.startMerge()
	}
	return nil
}

func (s seed) rows(entries []entry.Logged) []entryRow {
	rows := make([]entryRow, len(entries))
	for i := range entries {
		e := &entries[i].Entry
		rows[i] = entryRow{
			keys: [columns]key{
				byManifest: s.key(byManifest, e.ManifestSHA256[:]),
				byPackRoot: s.key(byPackRoot, e.PackRootSHA256[:]),
				bySigner:   s.key(bySigner, e.SignerKeySHA256[:]),
				byRepo:     s.key(byRepo, []byte(e.Source.Repo)),
				byClaim:    s.key(byClaim, []byte(e.ClaimCheck)),
			},
			submitted: e.SubmittedAt.UnixMilli(),
		}
	}
	return rows
}

// makeRoom waits while memory is full and a merge is under way; if merges fail it says why.
func (x *Index) makeRoom(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("index: %w", err)
		}
		x.mu.Lock()
		if len(x.rows) < maxRows {
			x.mu.Unlock()
			return nil
		}
		x.startMerge()
		merging := x.merging
		x.mu.Unlock()
		select {
		case <-merging:
		case <-ctx.Done():
		}
		x.mu.RLock()
		err := x.trouble
		x.mu.RUnlock()
		if err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
}

// startMerge begins a merge in the background, unless one is under way. The caller holds mu.
func (x *Index) startMerge() {
	if x.merging != nil {
		return
	}
	done := make(chan struct{})
	x.merging = done
	go func() { // Close waits for it
		err := x.merge()
		x.mu.Lock()
		x.merging, x.trouble = nil, err
		x.mu.Unlock()
		close(done)
	}()
}

// merge writes the rows in memory, with the runs that are not at least twice as large
// as what follows them, into one run. Everybody else goes on reading what is there.
func (x *Index) merge() error {
	x.mu.RLock()
	runs, rows, losses := slices.Clone(x.runs), slices.Clone(x.rows), x.losses
	h := header{origin: x.origin, seed: x.seed, start: x.flushed(), end: x.size()}
	x.mu.RUnlock()
	if len(rows) == 0 {
		return nil
	}
	n := len(runs)
	for n > 0 && runs[n-1].end-runs[n-1].start < 2*(h.end-h.start) {
		n--
		h.start = runs[n].start
	}
	merged, err := writeRun(x.ctx, x.dir, h, runs[n:], rows)
	if err != nil {
		return x.drop(err)
	}
	x.mu.Lock()
	if x.losses != losses {
		x.dropped = append(x.dropped, merged) // damage was found meanwhile; the next merge sweeps it away
		x.mu.Unlock()
		return nil
	}
	x.runs = append(runs[:n:n], merged)
	x.rows = slices.Clone(x.rows[len(rows):])
	for i := range rows { // the first place of each is in the run by now
		delete(x.recent, rows[i].keys[byManifest])
	}
	old := append(runs[n:], x.dropped...)
	x.dropped = nil
	var errs []error
	for _, r := range old {
		errs = append(errs, r.file.Close()) // nobody reads without mu but Close and merge
	}
	x.mu.Unlock()
	return errors.Join(errors.Join(errs...), x.sweep())
}

// sweep removes the files that are no part of the index any more: merged, damaged, unfinished. A crash before it leaves
// them to the next merge.
func (x *Index) sweep() error {
	files, err := os.ReadDir(x.dir)
	if err != nil {
		return err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	var errs []error
	for _, f := range files {
		part := slices.ContainsFunc(x.runs, func(r *run) bool { return r.name == f.Name() })
		if (isRun(f.Name()) || strings.HasPrefix(f.Name(), "new-")) && !part {
			errs = append(errs, os.Remove(filepath.Join(x.dir, f.Name())))
		}
	}
	return errors.Join(errs...)
}

// Find returns the index of the entry of a manifest, the first if the log has several.
func (x *Index) Find(ctx context.Context, manifest trust.Digest) (index int64, ok bool, err error) {
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("index: looking for manifest %s: %w", manifest, err)
	}
	found, err := x.findInColumn(byManifest, manifest[:], 1)
	if err != nil {
		return 0, false, fmt.Errorf("looking for manifest %s: %w", manifest, x.drop(err))
	}
	if len(found) == 0 {
		return 0, false, nil
	}
	return found[0], true, nil
}

// maxMatches bounds FindPackRoot: anybody can make many packs with one pack root.
const maxMatches = 1000

// FindPackRoot returns the indexes of the entries with a pack root, oldest first,
// at most the first thousand. More than one is the signer's equivocation: the pack
// root covers only the attestation.
func (x *Index) FindPackRoot(ctx context.Context, root trust.Digest) ([]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("index: looking for pack root %s: %w", root, err)
	}
	found, err := x.findInColumn(byPackRoot, root[:], maxMatches)
	if err != nil {
		return nil, fmt.Errorf("looking for pack root %s: %w", root, x.drop(err))
	}
	return found, nil
}

// findInColumn returns the indexes of the entries with a value, oldest first. If there are fewer
// than most, the index must have all entries for that to be an answer.
func (x *Index) findInColumn(column int, value []byte, most int) (found []int64, err error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	k := x.seed.key(column, value)
	for _, r := range x.runs {
		more, err := r.find(column, k, most-len(found))
		if err != nil {
			return nil, err
		}
		if found = append(found, more...); len(found) == most {
			return found, nil
		}
	}
	if column == byManifest {
		if at, ok := x.recent[k]; ok {
			return append(found, at), nil
		}
		return found, x.complete()
	}
	for i := range x.rows {
		if x.rows[i].keys[column] == k {
			if found = append(found, x.flushed()+int64(i)); len(found) == most {
				return found, nil
			}
		}
	}
	return found, x.complete()
}

// Query selects entries, newest first; zero fields select all.
type Query struct {
	SignerKeySHA256 string // 64 lower-case hex digits
	SourceRepo      string
	ClaimCheck      string
	Since           time.Time // submitted at or after; whole milliseconds
	Before          int64     // only indexes below; zero: from the end
	Limit           int       // 1 to 100; zero: 50
}

const (
	defaultLimit = 50
	maxLimit     = 100
)

// Search returns the indexes that q selects. The last one is the Before of the next page.
func (x *Index) Search(ctx context.Context, q Query) ([]int64, error) {
	switch {
	case q.Limit < 0 || q.Limit > maxLimit:
		return nil, fmt.Errorf("index: limit %d is not between 1 and %d", q.Limit, maxLimit)
	case q.Limit == 0:
		q.Limit = defaultLimit
	}
	if q.Before < 0 {
		return nil, fmt.Errorf("index: before %d is negative", q.Before)
	}
	var values [columns][]byte
	if q.SignerKeySHA256 != "" {
		signer, err := trust.ParseDigest(q.SignerKeySHA256)
		if err != nil {
			return nil, errors.New("index: signer key is not 64 lower-case hex digits")
		}
		values[bySigner] = signer[:]
	}
	values[byRepo], values[byClaim] = []byte(q.SourceRepo), []byte(q.ClaimCheck)
	s := &searching{ctx: ctx, since: math.MinInt64, limit: q.Limit}
	if !q.Since.IsZero() {
		s.since = q.Since.UnixMilli()
	}
	if err := x.collect(s, values, q.Before); err != nil {
		return nil, fmt.Errorf("index: searching: %w", x.drop(err))
	}
	return s.found, nil
}

// searching is one Search on its way through the rows and the runs, newest first.
type searching struct {
	ctx   context.Context
	terms []searchTerm
	since int64
	limit int
	found []int64
}

// searchTerm is one value that an entry must have.
type searchTerm struct {
	column int
	key    key
}

// collect finds what Search is asked for: first in memory, where each entry is looked at, then in the runs, newest first.
func (x *Index) collect(s *searching, values [columns][]byte, before int64) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if err := x.complete(); err != nil { // the newest would be missing
		return err
	}
	for column, value := range values {
		if len(value) > 0 {
			s.terms = append(s.terms, searchTerm{column, x.seed.key(column, value)})
		}
	}
	if before == 0 {
		before = x.size()
	}
	for i := min(before, x.size()) - 1; i >= x.flushed() && len(s.found) < s.limit; i-- {
		r := &x.rows[i-x.flushed()]
		lacks := func(w searchTerm) bool { return r.keys[w.column] != w.key }
		if r.submitted >= s.since && !slices.ContainsFunc(s.terms, lacks) {
			s.found = append(s.found, i)
		}
	}
	for _, r := range slices.Backward(x.runs) {
		if err := s.searchRun(r, min(before, r.end)); err != nil {
			return err
		}
	}
	return nil
}

// searchRun adds what r has below before. The columns take turns in naming their newest
// entry that is not above the candidate; once all name the same one, it has every wanted value.
func (s *searching) searchRun(r *run, before int64) error {
	if r.header.newest < s.since {
		return nil
	}
	lists := make([]*columnReader, len(s.terms))
	for i, w := range s.terms {
		lists[i] = r.column(w.column)
	}
	t := timesReader{run: r}
	at, agree := before-1, 0
	for turn := 0; at >= r.start && len(s.found) < s.limit; turn++ {
		if turn%1024 == 0 && s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		if agree < len(lists) {
			i := turn % len(lists)
			n, ok, err := lists[i].last(s.terms[i].key, at)
			if err != nil || !ok {
				return err
			}
			if n < at {
				at, agree = n, 0
			}
			agree++
			continue
		}
		submitted, err := t.of(at)
		if err != nil {
			return err
		}
		if submitted >= s.since {
			s.found = append(s.found, at)
		}
		at, agree = at-1, 0
	}
	return nil
}

// Check reads every block of every run and verifies it, calling pace before each step
// of Steps. It returns the first damage that it finds, which it has dropped by then, or the
// error of pace. Runs that a merge writes meanwhile may have to wait for the next Check.
func (x *Index) Check(ctx context.Context, pace func(context.Context) error) error {
	buf := make([]byte, blockSize)
	var last *run                       // what is being read
	start, number := int64(0), int64(0) // the entry that it begins with, the block
	for {
		if err := pace(ctx); err != nil {
			return err
		}
		x.mu.RLock()
		n := slices.IndexFunc(x.runs, func(r *run) bool { return r.end > start })
		if n < 0 {
			x.mu.RUnlock()
			return nil
		}
		r := x.runs[n]
		if r != last { // the next one, or what has taken its place: merged, or derived again and shorter
			last, start, number = r, r.start, 0
		}
		var err error
		for range stepBlocks {
			if number == r.header.blocks() {
				start, number = r.end, 0
				break
			}
			if _, err = r.block(number, buf); err != nil {
				err = &damage{r, err}
				break
			}
			number++
		}
		x.mu.RUnlock()
		if err != nil {
			return x.drop(err)
		}
	}
}

const stepBlocks = 64 // 64 KiB

// Steps is how often Check will call its pace, about.
func (x *Index) Steps() (n int64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, r := range x.runs {
		n += r.header.blocks()/stepBlocks + 1
	}
	return n
}
