package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// appender puts leaves into the tree; nothing else writes there. There are two, with one
// contract and one test of it: Tessera in this process, and Tessera in a child process.
type appender interface {
	// add returns the index of the leaf when it is sequenced, integrated and durable.
	//
	// errUntouched says that the leaf never came near storage. After any other error it may
	// be in the tree; whether it is does not change any more, so the tree itself answers.
	add(leaf []byte) (index int64, err error)

	// trouble says why an add would fail now, or wait (errStarting), without waiting; nil if it is at work.
	trouble() error

	// close ends the appender. Every add must have returned.
	close()
}

// errUntouched: the leaf was not given to storage.
var errUntouched = errors.New("nothing was written")

// newAppender starts the appender that cfg names. It may be in trouble from the start: then it
// goes on trying, and the log can be read meanwhile.
func newAppender(cfg *Config) appender {
	t := tesseraConfig{Dir: cfg.Dir, Origin: cfg.Signer.Origin(), BatchSize: cfg.BatchSize, BatchAge: cfg.BatchAge}
	if cfg.Appender == nil {
		return &tesseraAppender{cfg: t, log: cfg.Log}
	}
	return startChildren(cfg.Appender, t, cfg.Log, childStart)
}

// The two processes talk over the child's stdin and stdout in frames: a big-endian uint32
// length, then so many bytes.
//
//	parent → child   tesseraConfig as JSON, then leaves; an empty one asks only for an answer
//	child → parent   one answer to each, in the same order; that to the configuration says whether storage opened
//
// An answer is the byte 1 and the index of the leaf (big-endian uint64), or 0 and the error's text.
const maxFrame = maxLeaf + 1<<12

func writeFrame(w io.Writer, data []byte) error {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(data)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// readFrame returns io.EOF at an end between two frames.
func readFrame(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxFrame {
		return nil, fmt.Errorf("a frame of %d bytes, expected at most %d", n, maxFrame)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return data, nil
}

// answered is what an add comes to.
type answered struct {
	index int64
	err   error
}

func (a answered) marshal() []byte {
	if a.err != nil {
		text := a.err.Error()
		return append([]byte{0}, text[:min(len(text), maxFrame-1)]...)
	}
	return binary.BigEndian.AppendUint64([]byte{1}, uint64(a.index))
}

func parseAnswered(frame []byte) (answered, error) {
	switch {
	case len(frame) == 9 && frame[0] == 1:
		if index := int64(binary.BigEndian.Uint64(frame[1:])); index >= 0 {
			return answered{index: index}, nil
		}
	case len(frame) > 1 && frame[0] == 0:
		return answered{err: errors.New(string(frame[1:]))}, nil
	}
	return answered{}, fmt.Errorf("the appender answered %d bytes that are no answer", len(frame))
}

// ServeAppender is a child that Config.Appender makes: it runs Tessera for the parent at the
// other end of in and out, until in ends. Everything it has been given is answered then, unless
// the parent is gone. It needs no key: Tessera's own checkpoint file is signed by nobody.
//
// Tessera panics in goroutines of its own when it cannot lock its files. Here that ends a process
// that holds nothing, and the parent starts another.
func ServeAppender(in io.Reader, out io.Writer, log *slog.Logger) error {
	frames, answers := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	text, err := readFrame(frames)
	if err != nil {
		return fmt.Errorf("reading the appender's configuration: %w", err)
	}
	var cfg tesseraConfig
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&cfg); err != nil {
		return fmt.Errorf("reading the appender's configuration: %w", err)
	}
	unlock, err := lockAppender(cfg.Dir)
	if err != nil {
		return errors.Join(err, writeFrame(out, answered{err: err}.marshal()))
	}
	defer unlock()
	t := &tesseraAppender{cfg: cfg, log: log}
	if err := t.start(); err != nil {
		return errors.Join(err, writeFrame(out, answered{err: err}.marshal()))
	}
	defer t.close()
	if err := writeFrame(out, answered{}.marshal()); err != nil {
		return err
	}
	// Tessera takes leaves in the order in which they come, so the first one waited for is the first ready.
	begun, ready, written := make(chan func() answered, 1<<12), make(chan answered, 1<<12), make(chan error, 1)
	go func() {
		defer close(ready)
		for outcome := range begun {
			ready <- outcome()
		}
	}()
	go func() { written <- writeAnswers(answers, ready) }()
	for {
		leaf, err := readFrame(frames)
		if err != nil {
			close(begun)
			if err == io.EOF {
				err = nil
			}
			return errors.Join(err, <-written)
		}
		if len(leaf) == 0 { // this process lives, whatever storage does
			begun <- func() answered { return answered{} }
			continue
		}
		begun <- t.begin(leaf)
	}
}

// writeAnswers flushes when no other answer is ready. When the parent is gone it goes on reading:
// what Tessera has begun is finished.
func writeAnswers(w *bufio.Writer, ready <-chan answered) (err error) {
	for a := range ready {
		if err == nil {
			err = writeFrame(w, a.marshal())
		}
		if err == nil && len(ready) == 0 {
			err = w.Flush()
		}
	}
	return err
}

const appenderLock = "appender.lock"

// lockAppender takes the lock that a child holds as long as it lives. It waits for one that a killed
// parent left behind: on Linux the kernel is ending it, elsewhere it finishes its batch.
func lockAppender(dir string) (unlock func(), err error) {
	lock, err := fileLock(filepath.Join(dir, appenderLock), os.O_CREATE)
	if err != nil {
		return nil, err
	}
	if err := awaitLock(context.Background(), lock); err != nil {
		return nil, err
	}
	return func() { _ = lock.Unlock() }, nil
}

// awaitNoAppender returns when no child of an earlier process is left: what it still writes would
// come after the index was compared with the tree, and its manifests could be logged twice. Whoever
// calls it has the guard's lock, so no other parent starts one.
func awaitNoAppender(ctx context.Context, dir string) error {
	lock, err := fileLock(filepath.Join(dir, appenderLock), 0)
	if err != nil {
		return err
	}
	err = awaitLock(ctx, lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no child ever ran here
	}
	return errors.Join(err, lock.Unlock())
}

// fileLock is the flock of a file, which os.O_CREATE makes if there is none. It never waits for what
// stands there: opening a FIFO would not end, and could not be stopped.
func fileLock(path string, create int) (*flock.Flock, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file: take it away", path)
	}
	// A FIFO that comes between the two does not block either.
	flag := os.O_RDONLY | syscall.O_NONBLOCK | syscall.O_NOFOLLOW | create
	return flock.New(path, flock.SetFlag(flag), flock.SetPermissions(guardPerm)), nil
}

func awaitLock(ctx context.Context, lock *flock.Flock) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("another process still writes to the log (it holds %s): end it first", lock.Path())
	} else if err != nil {
		return fmt.Errorf("locking %s: %w", lock.Path(), err)
	}
	return nil
}
