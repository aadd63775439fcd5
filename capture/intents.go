package capture

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// Intents is the file in which a recorder says what it is about to do, before it does it:
//
//	<Dir>/2026-01-15/trace_20260115T110000_5f2c9a01.intents
//	{"endpoint_host":"api.openai.com","provider":"openai","receipt_id":"r_5f2c9a01d4e8b7c6","request_number":1,
//	 "route":"openai.chat","started_at":"2026-01-15T11:00:00.000000+00:00","type":"model_call"}
//
// (one line in the file). It stands beside the trace and not in it, because the Python tool packs every line of a trace.
// The receipt that follows has the same receipt_id, so that after any crash it can be told which requests have
// none: Unfinished gives them one. Any number of goroutines may use an Intents at once.
type Intents struct {
	store    *Store
	trace    string
	file     *os.File // its lock is held as long as it is open
	size     int64    // bytes of whole lines; of the goroutine of intents, as next and broken
	next     int64    // request_number of the next line
	broken   error    // what a failed write left could not be cut off
	sync     bool
	intents  *group[*intending]
	receipts *group[*recording]
}

// Intent is a request that is about to leave.
type Intent struct {
	Type, Provider, Route, EndpointHost string
	StartedAt                           time.Time
}

// Pending is the receipt that an Intent wants.
type Pending struct {
	ID     string // receipt_id
	Number int64  // request_number, from 1
}

// ErrClosed is what a closed recorder answers.
var ErrClosed = errors.New("the recorder is closed")

// intending is an Intent on its way to the file, and recording a receipt on its way to the trace.
type intending struct {
	intent  Intent
	pending Pending
	err     error
}
type recording struct {
	draft Draft
	err   error
}

// OpenIntents opens the intents of a trace, which go on where an earlier recorder of the trace has left off. With sync
// each is on disk before its Intend returns; without it a power cut may lose the last ones, and with them
// that these requests were sent. The error is ErrRecording if somebody has them open.
func (s *Store) OpenIntents(traceID string, sync bool) (*Intents, error) {
	if err := checkTraceID(traceID); err != nil {
		return nil, err
	}
	i := &Intents{store: s, trace: traceID, sync: sync, next: 1}
	if err := i.open(); err != nil {
		return nil, fmt.Errorf("intents of trace %s: %w", traceID, err)
	}
	i.intents, i.receipts = newGroup(i.write), newGroup(i.record)
	return i, nil
}

func (i *Intents) open() (err error) {
	path, err := i.store.intentsPath(i.trace)
	if err != nil {
		return err
	}
	if err := durable.Mkdir(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if i.file, err = durable.OpenItself(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			i.file.Close()
		}
	}()
	if err := tryLock(i.file); err != nil { // CAP-14
		return err
	}
	if err := i.goOn(); err != nil {
		return err
	}
	if i.sync {
		if err := i.file.Sync(); err != nil {
			return err
		}
		return durable.SyncDir(filepath.Dir(path))
	}
	return nil
}

// goOn finds the last good line. What is behind it is of a recorder that was killed before its request left.
func (i *Intents) goOn() error {
	for line, err := range intentLines(i.file) {
		if err != nil {
			return err
		}
		i.size, i.next = i.size+int64(len(line.text)), i.next+1
	}
	return i.file.Truncate(i.size)
}

// intentsPath is where the intents of a trace are: where there are some, else beside the trace, else in the directory
// of today.
func (s *Store) intentsPath(traceID string) (string, error) {
	paths, err := s.findFile(traceID + ".intents")
	if err == nil && len(paths) == 0 {
		if paths, err = s.find(traceID); len(paths) > 0 {
			paths[0] = strings.TrimSuffix(paths[0], ".jsonl") + ".intents"
		}
	}
	switch {
	case err != nil:
		return "", err
	case len(paths) > 1:
		return "", fmt.Errorf("they are in two files, %s and %s: expected one", paths[0], paths[1])
	case len(paths) == 1:
		return paths[0], nil
	}
	return filepath.Join(s.Dir, s.now().Format(dayForm), traceID+".intents"), nil
}

// Intend says that a request is about to leave, and gives its receipt an id and a number. After an error the request
// has no intent, and what may leave all the same is the caller's decision.
func (i *Intents) Intend(intent Intent) (Pending, error) {
	in := &intending{intent: intent}
	if !i.intents.wait(in) {
		return Pending{}, ErrClosed
	}
	return in.pending, in.err
}

// write appends intents: one write and one fsync for all that wait.
func (i *Intents) write(all []*intending) {
	fail := func(err error) {
		for _, in := range all {
			in.pending, in.err = Pending{}, fmt.Errorf("writing an intent: %w", err)
		}
	}
	if i.broken != nil {
		fail(i.broken)
		return
	}
	var text []byte
	next := i.next
	for _, in := range all {
		id, err := NewReceiptID()
		if err != nil {
			fail(err)
			return
		}
		in.pending = Pending{id, next}
		if text, err = jcs.AppendPackLine(text, in.intent.object(in.pending)); err != nil {
			fail(err)
			return
		}
		text, next = append(text, '\n'), next+1
	}
	_, err := i.file.WriteAt(text, i.size)
	if err == nil && i.sync {
		err = i.file.Sync() // the intents are on disk when Intend returns
	}
	if err != nil {
		// Nobody sends these requests as intended, so nothing of them may stay.
		if cutErr := i.file.Truncate(i.size); cutErr != nil {
			i.broken = errors.Join(err, cutErr)
		}
		fail(err)
		return
	}
	i.size, i.next = i.size+int64(len(text)), next
}

func (in Intent) object(p Pending) jcs.Value {
	return jcs.Obj(
		jcs.M("endpoint_host", jcs.Str(in.EndpointHost)),
		jcs.M("provider", jcs.Str(in.Provider)),
		jcs.M("receipt_id", jcs.Str(p.ID)),
		jcs.M("request_number", jcs.Int(p.Number)),
		jcs.M("route", jcs.Str(in.Route)),
		jcs.M("started_at", jcs.Str(in.StartedAt.UTC().Format(receipt.TimeForm))),
		jcs.M("type", jcs.Str(in.Type)),
	)
}

// Record writes the receipt of an intent into the trace; where Intend has failed p is zero. Receipts that wait for each other's locks are written together.
func (i *Intents) Record(p Pending, typ, parent string, data ...jcs.Member) error {
	r := &recording{draft: Draft{ID: p.ID, Type: typ, Parent: parent, Data: jcs.Obj(data...)}}
	if !i.receipts.wait(r) {
		return ErrClosed
	}
	return r.err
}

// record writes receipts: all that wait with one write, and each by itself if one of them will not go.
func (i *Intents) record(all []*recording) {
	drafts := make([]Draft, len(all))
	for n, r := range all {
		drafts[n] = r.draft
	}
	if _, err := i.store.EmitAll(i.trace, drafts); err == nil {
		return
	}
	for n, r := range all {
		_, r.err = i.store.EmitAll(i.trace, drafts[n:n+1])
	}
}

// Close waits for what is being written, and lets others open the intents. It is called once.
func (i *Intents) Close() error {
	i.intents.close()
	i.receipts.close()
	return i.file.Close()
}

// Unfinished records a receipt for every intent of a trace whose request has none, and returns how many those were: the recorder was killed, or could not write. A receipt of somebody else's with the number of an intent does
// not stand for it. The error is ErrRecording while a recorder is at work.
func (s *Store) Unfinished(traceID string) (n int, err error) {
	if err := checkTraceID(traceID); err != nil {
		return 0, err
	}
	paths, err := s.findFile(traceID + ".intents")
	if err != nil || len(paths) == 0 {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("intents of trace %s: %w", traceID, err)
		}
	}()
	if len(paths) > 1 {
		return 0, fmt.Errorf("they are in two files, %s and %s: expected one", paths[0], paths[1])
	}
	file, err := durable.OpenItself(paths[0], os.O_RDWR, 0) // for a lock that nobody shares
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if err := tryLock(file); err != nil {
		return 0, err
	}
	open, err := s.openIntents(traceID, file) // CAP-13
	if err != nil {
		return 0, err
	}
	var drafts []Draft
	for line, err := range intentLines(file) {
		if err != nil {
			return n, err
		}
		if _, unfinished := open[line.id]; unfinished {
			drafts = append(drafts, line.unfinished())
		}
		if len(drafts) == maxGroup {
			if _, err := s.EmitAll(traceID, drafts); err != nil {
				return n, err
			}
			n, drafts = n+len(drafts), drafts[:0]
		}
	}
	if _, err := s.EmitAll(traceID, drafts); err != nil {
		return n, err
	}
	return n + len(drafts), nil
}

// intentID is the digits of a receipt_id: of a million requests all are in memory.
type intentID [longID / 2]byte

func parseIntentID(id string) (out intentID, ok bool) {
	if !isReceiptID(id) {
		return out, false
	}
	_, err := hex.Decode(out[:], []byte(id[len("r_"):]))
	return out, err == nil
}

// openIntents is which intents have no receipt in the trace.
func (s *Store) openIntents(traceID string, file *os.File) (map[intentID]struct{}, error) {
	open := map[intentID]struct{}{}
	for line, err := range intentLines(file) {
		if err != nil {
			return nil, err
		}
		open[line.id] = struct{}{}
	}
	trace, err := s.Open(traceID)
	if errors.Is(err, fs.ErrNotExist) {
		return open, nil
	} else if err != nil {
		return nil, err
	}
	defer trace.Close()
	for r, err := range trace.All() {
		if err != nil {
			return nil, err
		}
		text, _ := r.Get("receipt_id")
		if id, ok := parseIntentID(text.Text); ok {
			delete(open, id)
		}
	}
	return open, nil
}

// intentLine is a line of a file of intents.
type intentLine struct {
	text   []byte // with its line feed
	id     intentID
	object jcs.Value
}

const maxIntent = 4 << 10 // bytes of a line

// intentLines reads a file of intents, until the end or the first line that is not exactly as Intend writes it, which is
// one that a crash has torn. A line's text is valid until the next one. The error is one of reading.
func intentLines(file io.ReaderAt) iter.Seq2[intentLine, error] {
	return func(yield func(intentLine, error) bool) {
		lines := bufio.NewReaderSize(io.NewSectionReader(file, 0, math.MaxInt64), maxIntent)
		for number := int64(1); ; number++ {
			text, err := lines.ReadSlice('\n')
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
				return
			case err != nil:
				yield(intentLine{}, err)
				return
			}
			line, ok := parseIntent(text, number)
			if !ok || !yield(line, nil) {
				return
			}
		}
	}
}

// parseIntent takes what object makes, and nothing else.
func parseIntent(text []byte, number int64) (line intentLine, ok bool) {
	v, canonical, err := jcs.IsPackLine(bytes.TrimSuffix(text, []byte{'\n'}), jcs.Limits{Bytes: maxIntent, Depth: 1})
	if err != nil || !canonical || v.Kind != jcs.Object {
		return line, false
	}
	member := func(name string) string { m, _ := v.Get(name); return m.Text }
	started, err := time.Parse(receipt.TimeForm, member("started_at"))
	if err != nil {
		return line, false
	}
	in := Intent{member("type"), member("provider"), member("route"), member("endpoint_host"), started}
	again, err := jcs.AppendPackLine(nil, in.object(Pending{member("receipt_id"), number}))
	if err != nil || string(again)+"\n" != string(text) {
		return line, false
	}
	id, ok := parseIntentID(member("receipt_id"))
	return intentLine{text, id, v}, ok && receipt.AdmittedType(in.Type)
}

// unfinished is the receipt of a request of which nobody knows what became of it.
func (l intentLine) unfinished() Draft {
	member := func(name string) jcs.Member { v, _ := l.object.Get(name); return jcs.M(name, v) }
	id, typ := member("receipt_id").Value.Text, member("type").Value.Text
	return Draft{ID: id, Type: typ, Data: jcs.Obj(
		member("request_number"),
		jcs.M("source", jcs.Str("proxy")),
		member("provider"),
		member("endpoint_host"),
		member("route"),
		jcs.M("success", jcs.Boolean(false)),
		jcs.M("error_class", jcs.Str("unfinished")),
		member("started_at"),
		jcs.M("usage_source", jcs.Str("missing")),
	)}
}
