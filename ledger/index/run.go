package index

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"syscall"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// A run is one file of the index: what it knows of the entries [start, end) of the log.
// It is written once and never changed. It consists of blocks of 1024 bytes:
//
//	1 block     the header, text padded with zero bytes
//	times       when each entry was submitted, in the order of the log, 126 to a block
//	5 columns   for each entry a key and its index, in the order of both, 42 to a block
//
// A block is 1008 bytes of content, padded with zero bytes, and the first 16 bytes of
// the SHA-256 of the file's identity, the number of the block and the content. So no
// byte of a file is outside a checksum, and a block that lies in another place or in
// another file does not pass for this one. The length follows from the header.
//
// The header:
//
//	assay ledger index, run 1
//	ledger.example/2026
//	seed c1d2… (64 hex digits)
//	entries 0 4096
//	newest 1767322984000
//
// newest is the latest time in the file, in milliseconds since 1970.
type run struct {
	file       *os.File
	name       string
	header     header
	id         [sha256.Size]byte // of the header's content; the checksums of all other blocks begin with it
	start, end int64
}

type header struct {
	origin     string
	seed       seed
	start, end int64
	newest     int64
}

const (
	blockSize   = 1024
	sumSize     = 16
	contentSize = blockSize - sumSize

	timeSize     = 8
	timesInBlock = contentSize / timeSize

	keySize        = 16
	recordSize     = keySize + 8
	recordsInBlock = contentSize / recordSize
)

// The columns of a run.
const (
	byManifest = iota
	byPackRoot
	bySigner
	byRepo
	byClaim
	columns
)

// seed is the index's secret. Keys are hashes that begin with it, so that nobody who
// submits entries can choose two of one key, or crowd one part of a column.
type seed [32]byte

// key stands for a value in a column: 128 bits of a hash.
type key [keySize]byte

func (s *seed) key(column int, value []byte) key {
	b := make([]byte, 0, 128)
	b = append(append(append(b, s[:]...), byte(column)), value...)
	sum := sha256.Sum256(b)
	return key(sum[:keySize])
}

// record says that the entry at index has the value of key.
type record struct {
	key   key
	index int64
}

func (r record) compare(o record) int {
	if c := bytes.Compare(r.key[:], o.key[:]); c != 0 {
		return c
	}
	return int(min(max(r.index-o.index, -1), 1))
}

func parseRecord(b []byte) record {
	return record{key(b[:keySize]), int64(binary.BigEndian.Uint64(b[keySize:recordSize]))}
}

func (r record) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(append(b, r.key[:]...), uint64(r.index))
}

const headerFormat = "assay ledger index, run 1\n%s\nseed %x\nentries %d %d\nnewest %d\n"

func (h *header) marshal() []byte {
	return fmt.Appendf(nil, headerFormat, h.origin, h.seed[:], h.start, h.end, h.newest)
}

func parseHeader(content []byte) (h header, ok bool) {
	lines := bytes.Split(content, []byte("\n"))
	if len(lines) != 6 {
		return h, false
	}
	h.origin = string(lines[1])
	secret, isSeed := bytes.CutPrefix(lines[2], []byte("seed "))
	if n, err := hex.Decode(h.seed[:], secret[:min(len(secret), 2*len(h.seed))]); !isSeed || err != nil || n != len(h.seed) {
		return h, false
	}
	if n, err := fmt.Sscanf(string(lines[3]), "entries %d %d", &h.start, &h.end); err != nil || n != 2 {
		return h, false
	}
	if n, err := fmt.Sscanf(string(lines[4]), "newest %d", &h.newest); err != nil || n != 1 {
		return h, false
	}
	text := h.marshal()
	return h, h.start >= 0 && h.start < h.end && h.end <= maxEntries &&
		bytes.Equal(content, append(text, make([]byte, max(0, len(content)-len(text)))...))
}

// maxEntries keeps every length and offset far from overflowing.
const maxEntries = 1 << 40

func (h *header) name() string { return fmt.Sprintf("run-%013d-%013d", h.start, h.end) }

func blocksFor(n int64, inBlock int) int64 { return (n + int64(inBlock) - 1) / int64(inBlock) }

// blocks is the length of a run in blocks.
func (h *header) blocks() int64 {
	n := h.end - h.start
	return 1 + blocksFor(n, timesInBlock) + columns*blocksFor(n, recordsInBlock)
}

// columnAt is the number of the first block of a column.
func (h *header) columnAt(column int) int64 {
	n := h.end - h.start
	return 1 + blocksFor(n, timesInBlock) + int64(column)*blocksFor(n, recordsInBlock)
}

func checksum(id *[sha256.Size]byte, number int64, content []byte) (sum [sumSize]byte) {
	b := make([]byte, 0, sha256.Size+8+contentSize)
	b = binary.BigEndian.AppendUint64(append(b, id[:]...), uint64(number))
	full := sha256.Sum256(append(b, content...))
	return [sumSize]byte(full[:])
}

// damage: a run is not what was written. The index drops it; see Index.drop.
type damage struct {
	run *run
	err error
}

func (d *damage) Error() string {
	return fmt.Sprintf("the index is damaged: %s: %v", d.run.name, d.err)
}
func (d *damage) Unwrap() error { return d.err }

// openRun opens a run and verifies its header and its length; blocks are verified
// whenever they are read.
func openRun(dir, name string) (*run, error) {
	f, err := durable.OpenItself(filepath.Join(dir, name), os.O_RDONLY, 0)
	if _, none := errors.AsType[*durable.NotRegular](err); none || errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrPermission) {
		return nil, &damage{&run{name: name}, err} // nothing that can be read here
	}
	if err != nil {
		return nil, err
	}
	r := &run{file: f, name: name}
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(&damage{r, err}, f.Close())
	}
	return r, nil
}

func (r *run) readHeader() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	content, err := r.block(0, make([]byte, blockSize))
	if err != nil {
		return err
	}
	h, ok := parseHeader(content)
	switch {
	case !ok || h.name() != r.name:
		return errors.New("its header is not that of a run of this name")
	case info.Size() != h.blocks()*blockSize:
		return fmt.Errorf("it has %d bytes, its header says %d", info.Size(), h.blocks()*blockSize)
	}
	r.header, r.start, r.end, r.id = h, h.start, h.end, sha256.Sum256(content)
	return nil
}

// block reads a block into buf and returns its content, verified.
//
// STO-29: "Every byte of it MUST have a checksum that is verified when it is read." The identity in the checksum is that
// of the file, and block 0, which makes it, has none of its own yet.
func (r *run) block(number int64, buf []byte) ([]byte, error) {
	if _, err := r.file.ReadAt(buf[:blockSize], number*blockSize); err != nil {
		return nil, fmt.Errorf("reading block %d: %w", number, err)
	}
	var none [sha256.Size]byte
	id := &r.id
	if number == 0 {
		id = &none
	}
	content := buf[:contentSize]
	if checksum(id, number, content) != [sumSize]byte(buf[contentSize:blockSize]) {
		return nil, fmt.Errorf("block %d does not have its checksum", number)
	}
	return content, nil
}

// columnReader reads one column of a run, keeping the block that it read last.
type columnReader struct {
	run   *run
	first int64 // block of the column
	size  int64 // records
	at    int64 // number of the block in buf; 0: none, for that is the header
	buf   [blockSize]byte
}

func (r *run) column(number int) *columnReader {
	return &columnReader{run: r, first: r.header.columnAt(number), size: r.end - r.start}
}

// block returns the records of the block that record i lies in, and which is the first.
func (c *columnReader) block(i int64) (content []byte, first int64, err error) {
	number := c.first + i/recordsInBlock
	first = i / recordsInBlock * recordsInBlock
	if number != c.at {
		c.at = 0
		if _, err := c.run.block(number, c.buf[:]); err != nil {
			return nil, 0, &damage{c.run, err}
		}
		c.at = number
	}
	return c.buf[:min(recordsInBlock, c.size-first)*recordSize], first, nil
}

func (c *columnReader) record(i int64) (record, error) {
	content, first, err := c.block(i)
	if err != nil {
		return record{}, err
	}
	return parseRecord(content[(i-first)*recordSize:]), nil
}

// seek returns the number of the first record that is not before want; the size of
// the column if there is none. It is a binary search that looks at whole blocks: each
// read costs a checksum, so it should be few of them. Keys are hashes and so spread
// evenly: the first steps guess where want must be from what they have seen on both
// sides, and mostly find it within three blocks. A column of few values (verdicts) is
// not spread at all, and after six guesses the search halves as any other does.
func (c *columnReader) seek(want record) (int64, error) {
	lo, hi := int64(0), c.size           // all before lo are before want; hi and what follows are not
	least, most := uint64(0), ^uint64(0) // the keys at lo and hi, as far as eight bytes tell
	goal := binary.BigEndian.Uint64(want.key[:])
	near := c.size // of a search that goes down step by step, the next one is here or just before
	if c.at != 0 {
		near = (c.at - c.first) * recordsInBlock
	}
	for step := 0; lo < hi; step++ {
		i := lo + (hi-lo)/2
		if step < 2 && lo == 0 && near < c.size {
			i = min(near, hi-1)
		} else if step < 6 && least < goal && goal < most {
			i = lo + int64(float64(hi-lo)*(float64(goal-least)/float64(most-least)))
			i = min(max(i, lo), hi-1)
		}
		content, first, err := c.block(i)
		if err != nil {
			return 0, err
		}
		n := len(content) / recordSize
		head, tail := parseRecord(content), parseRecord(content[(n-1)*recordSize:])
		switch {
		case head.compare(want) >= 0:
			hi, most = first, binary.BigEndian.Uint64(head.key[:])
		case tail.compare(want) < 0:
			lo, least = first+int64(n), binary.BigEndian.Uint64(tail.key[:])
		default:
			at := sort.Search(n, func(j int) bool { return parseRecord(content[j*recordSize:]).compare(want) >= 0 })
			return first + int64(at), nil
		}
	}
	return hi, nil
}

// find returns the indexes of the entries with the key, oldest first, at most max.
func (r *run) find(number int, k key, max int) (found []int64, err error) {
	c := r.column(number)
	i, err := c.seek(record{k, 0})
	for ; err == nil && i < c.size && len(found) < max; i++ {
		var got record
		if got, err = c.record(i); err != nil || got.key != k {
			break
		}
		if got.index < r.start || got.index >= r.end {
			return nil, &damage{r, fmt.Errorf("it holds entry %d", got.index)}
		}
		found = append(found, got.index)
	}
	return found, err
}

// last returns the index of the newest entry with the key that is not above the given one; false if there is none.
func (c *columnReader) last(k key, most int64) (int64, bool, error) {
	i, err := c.seek(record{k, most + 1})
	if err != nil || i == 0 {
		return 0, false, err
	}
	got, err := c.record(i - 1)
	return got.index, got.key == k, err
}

// timesReader reads when entries were submitted, keeping the block that it read last.
type timesReader struct {
	run *run
	at  int64
	buf [blockSize]byte
}

func (t *timesReader) of(index int64) (int64, error) {
	i := index - t.run.start
	number := 1 + i/timesInBlock
	if number != t.at {
		t.at = 0
		if _, err := t.run.block(number, t.buf[:]); err != nil {
			return 0, &damage{t.run, err}
		}
		t.at = number
	}
	return int64(binary.BigEndian.Uint64(t.buf[i%timesInBlock*timeSize:])), nil
}

// entryRow is what the index knows of one entry.
type entryRow struct {
	keys      [columns]key
	submitted int64 // milliseconds since 1970
}

// writeRun merges neighbouring runs and the rows that follow them into one new run. What
// it reads is verified, so that a merge never gives a damaged record a new checksum. If it
// is interrupted, a file is left behind whose name is no run's.
func writeRun(ctx context.Context, dir string, h header, from []*run, rows []entryRow) (*run, error) {
	h.newest = math.MinInt64
	for _, r := range from {
		h.newest = max(h.newest, r.header.newest)
	}
	for i := range rows {
		h.newest = max(h.newest, rows[i].submitted)
	}
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, "new-*") // 0600
	if err != nil {
		return nil, err
	}
	w := &runWriter{ctx: ctx, out: bufio.NewWriterSize(f, 1<<16)}
	err = w.writeAll(h, from, rows)
	if err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = f.Sync() // before it has its name: a run that is there is whole
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, h.name()))
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	if err := durable.SyncDir(dir); err != nil {
		return nil, err
	}
	return openRun(dir, h.name())
}

type runWriter struct {
	ctx     context.Context
	out     *bufio.Writer
	id      [sha256.Size]byte // zero for the header
	number  int64
	content []byte
}

// writeAll writes the blocks in the order in which they lie in the file: header, times, columns.
func (w *runWriter) writeAll(h header, from []*run, rows []entryRow) error {
	w.content = append(w.content, h.marshal()...)
	if len(w.content) > contentSize {
		return fmt.Errorf("an origin of %d bytes is too long", len(h.origin))
	}
	padded := append(slices.Clone(w.content), make([]byte, contentSize-len(w.content))...)
	if err := w.endBlock(); err != nil {
		return err
	}
	w.id = sha256.Sum256(padded)
	buf := make([]byte, 0, timeSize)
	for _, r := range from {
		t := timesReader{run: r}
		for i := r.start; i < r.end; i++ {
			at, err := t.of(i)
			if err != nil {
				return err
			}
			if err := w.writeItem(binary.BigEndian.AppendUint64(buf, uint64(at))); err != nil {
				return err
			}
		}
	}
	for i := range rows {
		if err := w.writeItem(binary.BigEndian.AppendUint64(buf, uint64(rows[i].submitted))); err != nil {
			return err
		}
	}
	for number := range columns {
		if err := w.endBlock(); err != nil {
			return err
		}
		if err := w.writeColumn(number, h, from, rows); err != nil {
			return err
		}
	}
	return w.endBlock()
}

// writeColumn merges one column of the runs, each of which is in order, with that of the rows.
func (w *runWriter) writeColumn(number int, h header, from []*run, rows []entryRow) error {
	fresh := make([]record, len(rows))
	for i := range rows {
		fresh[i] = record{rows[i].keys[number], h.end - int64(len(rows)) + int64(i)}
	}
	slices.SortFunc(fresh, record.compare)
	var heads []*mergeSource
	for _, r := range from {
		heads = append(heads, &mergeSource{column: r.column(number)})
	}
	heads = append(heads, &mergeSource{rest: fresh})
	buf := make([]byte, 0, recordSize)
	for i := len(heads) - 1; i >= 0; i-- {
		if more, err := heads[i].advance(); err != nil {
			return err
		} else if !more {
			heads = slices.Delete(heads, i, i+1)
		}
	}
	for len(heads) > 0 {
		least := 0
		for i := 1; i < len(heads); i++ {
			if heads[i].record.compare(heads[least].record) < 0 {
				least = i
			}
		}
		if err := w.writeItem(heads[least].record.append(buf)); err != nil {
			return err
		}
		if more, err := heads[least].advance(); err != nil {
			return err
		} else if !more {
			heads = slices.Delete(heads, least, least+1)
		}
	}
	return nil
}

// mergeSource is one source of a merge, a column of a run or the sorted rows, and the record that is its next.
type mergeSource struct {
	record record
	column *columnReader // of a run, or
	at     int64         // the number of the record after it
	rest   []record      // of rows
}

// advance takes the next record; more is false at the end.
func (h *mergeSource) advance() (more bool, err error) {
	if h.column == nil {
		if len(h.rest) == 0 {
			return false, nil
		}
		h.record, h.rest = h.rest[0], h.rest[1:]
		return true, nil
	}
	if h.at == h.column.size {
		return false, nil
	}
	h.record, err = h.column.record(h.at)
	h.at++
	return err == nil, err
}

// writeItem adds a record or a time, whose sizes divide that of a block.
func (w *runWriter) writeItem(b []byte) error {
	w.content = append(w.content, b...)
	if len(w.content) == contentSize {
		return w.endBlock()
	}
	return nil
}

// endBlock ends a block.
func (w *runWriter) endBlock() error {
	if len(w.content) == 0 {
		return nil
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	w.content = append(w.content, make([]byte, contentSize-len(w.content))...)
	sum := checksum(&w.id, w.number, w.content)
	w.out.Write(w.content)
	_, err := w.out.Write(sum[:]) // a bufio.Writer keeps its first error
	w.content, w.number = w.content[:0], w.number+1
	return err
}
