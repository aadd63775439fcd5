package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstPause = 100 * time.Millisecond // before a child is started again after it failed to start …
	lastPause  = 2 * time.Second        // … doubling up to this
	childGrace = 5 * time.Second        // for a child to end by itself at close
	childStuck = 10 * time.Second       // an answer that is open for longer is trouble …
	childGone  = 15 * time.Second       // … and a child that is asked for nothing but an answer has none for longer is ended
	pingEvery  = time.Second            // an idle child is asked whether it answers
	childStart = 45 * time.Second       // for a child to open its storage: it waits 30 s for the lock of another
)

// errStarting: the first child has not said yet whether its storage is open. An add waits for that.
var errStarting = errors.New("the appender is starting")

// childAppender runs Tessera in a child process, and another one when that has died. Reading
// the log does not depend on it.
type childAppender struct {
	command func() *exec.Cmd
	cfg     tesseraConfig
	log     *slog.Logger
	limit   time.Duration // of a start

	requests chan *request // for the child that runs, or the next one
	closing  chan struct{}
	ended    chan struct{}

	mu      sync.Mutex
	why     error      // guarded by mu; why no child runs, errStarting before the first has answered, nil if one does
	began   time.Time  // guarded by mu; the first start
	waiting []*request // guarded by mu; given to the child and not answered, in that order
}

// errSilent: the child runs and gives no answer.
var errSilent = errors.New("the appender has not answered")

// request is one add, or a ping, which asks for nothing but an answer.
type request struct {
	leaf  []byte    // empty: a ping
	given time.Time // to the child
	done  chan answered
}

func startChildren(command func() *exec.Cmd, cfg tesseraConfig, log *slog.Logger, limit time.Duration) *childAppender {
	a := &childAppender{command: command, cfg: cfg, log: log, limit: limit, why: errStarting, began: time.Now(),
		requests: make(chan *request, 256), closing: make(chan struct{}), ended: make(chan struct{})}
	go a.run()
	return a
}

func (a *childAppender) add(leaf []byte) (int64, error) {
	r := &request{leaf: leaf, done: make(chan answered, 1)}
	a.requests <- r // run takes it, or refuses it; it ends when every add has returned
	answer := <-r.done
	return answer.index, answer.err
}

func (a *childAppender) trouble() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if age := time.Since(a.began); a.why == errStarting && age > childStuck {
		return fmt.Errorf("the appender has not started for %v", age.Round(time.Second))
	}
	if a.why != nil {
		return a.why
	}
	if len(a.waiting) > 0 {
		if age := time.Since(a.waiting[0].given); age > childStuck {
			return fmt.Errorf("%w for %v", errSilent, age.Round(time.Second))
		}
	}
	return nil
}

// say records why no child runs, nil for one that does, and logs what has changed.
func (a *childAppender) say(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case why != nil && (a.why == nil || a.why.Error() != why.Error()):
		a.log.Error("the appender has ended; it is started again", "err", why)
	case why == nil && a.why != nil && a.why != errStarting:
		a.log.Info("the appender runs again")
	}
	a.why = why
}

func (a *childAppender) close() {
	close(a.closing)
	<-a.ended
}

// run keeps one child alive until close. A child that cannot be started is tried again for ever:
// a disk that takes writes again is found within lastPause.
func (a *childAppender) run() {
	defer close(a.ended)
	pause := firstPause
	for {
		c, err := a.start()
		if err == nil {
			a.say(nil)
			if err = a.serve(c); err == nil {
				return // closing
			}
		}
		a.say(err)
		if c != nil && c.useful { // it died of a moment, not of its storage
			pause = firstPause
			continue
		}
		if !a.refuse(err, pause) {
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// refuse answers all requests with why, until the pause is over; false to end.
func (a *childAppender) refuse(why error, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case r := <-a.requests:
			r.done <- answered{err: fmt.Errorf("%w: %w", errUntouched, why)}
		case <-timer.C:
			return true
		case <-a.closing:
			return false
		}
	}
}

// child is a process that has said that its storage is open.
type child struct {
	cmd    *exec.Cmd
	in     *bufio.Writer
	pipe   io.Closer // of in
	out    *bufio.Reader
	words  *lastWords
	useful bool                  // it has logged something
	silent atomic.Pointer[error] // why watch has killed it; nil: it has not
}

// start starts a child and waits for its first answer, at most for limit.
func (a *childAppender) start() (*child, error) {
	c := &child{cmd: a.command()}
	c.words = &lastWords{pass: c.cmd.Stderr}
	c.cmd.Stderr = c.words
	killWithParent(c.cmd)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the appender: %w", err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the appender: %w", err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the appender: %w", err)
	}
	c.in, c.pipe, c.out = bufio.NewWriterSize(in, 1<<16), in, bufio.NewReaderSize(out, 1<<16)
	var late atomic.Bool
	opened := make(chan struct{})
	go func() {
		select {
		case <-opened:
		case <-time.After(a.limit):
			late.Store(true)
			_ = c.cmd.Process.Kill() // which ends open below, and so those who wait for it
		case <-a.closing:
			_ = c.cmd.Process.Kill()
		}
	}()
	err = c.open(a.cfg)
	close(opened)
	if err != nil && late.Load() {
		err = fmt.Errorf("it did not open its storage within %v", a.limit)
	}
	if err != nil {
		_ = c.cmd.Process.Kill()
		return nil, fmt.Errorf("starting the appender: %w", c.wait(err))
	}
	return c, nil
}

// open sends the configuration and waits for what the child says to it.
func (c *child) open(cfg tesseraConfig) error {
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	if err := writeFrame(c.in, text); err != nil {
		return err
	}
	if err := c.in.Flush(); err != nil {
		return err
	}
	first, err := c.answer()
	if err != nil {
		return err
	}
	return first.err
}

func (c *child) answer() (answered, error) {
	frame, err := readFrame(c.out)
	if err != nil {
		return answered{}, err
	}
	return parseAnswered(frame)
}

// wait waits until the process is gone, from when on it writes nothing more, and adds to err how it
// ended and what it said last.
func (c *child) wait(err error) error {
	_ = c.pipe.Close()
	state := c.cmd.Wait()
	if state == nil || err == nil {
		return err
	}
	if words := c.words.String(); words != "" {
		return fmt.Errorf("%w (%w: %s)", err, state, words)
	}
	return fmt.Errorf("%w (%w)", err, state)
}

// serve gives the child what is asked, until it dies, which is an error, or until close. When it
// returns, the process is gone and nobody waits for it.
func (a *childAppender) serve(c *child) (err error) {
	received := make(chan error, 1)
	go func() { received <- a.receive(c) }()
	over := make(chan struct{})
	defer close(over)
	go a.watch(c, over)
	for err == nil {
		select {
		case r := <-a.requests:
			err = a.give(c, r)
		case err = <-received:
			received <- err
		case <-a.closing:
			_ = c.pipe.Close()
			late := time.AfterFunc(childGrace, func() { _ = c.cmd.Process.Kill() })
			<-received
			_ = c.wait(nil)
			late.Stop()
			return nil
		}
	}
	_ = c.cmd.Process.Kill()
	<-received // it has read every answer that the child gave
	if why := c.silent.Load(); why != nil {
		err = *why
	}
	// Only now, when the process is gone, does anybody hear of what was on its way: from here
	// on the tree says for good which of these leaves it holds.
	err = c.wait(err)
	a.mu.Lock()
	lost := a.waiting
	a.waiting = nil
	a.mu.Unlock()
	for _, r := range lost {
		r.done <- answered{err: err}
	}
	return err
}

// watch pings an idle child, and kills one that has not answered for too long: a process that hangs ends
// neither by itself nor by what is written to it, which may block. What storage takes long for gets as much
// time as a start, since another child would not be faster.
func (a *childAppender) watch(c *child, over <-chan struct{}) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		var age, patience time.Duration
		a.mu.Lock()
		idle := len(a.waiting) == 0
		if !idle {
			age, patience = time.Since(a.waiting[0].given), a.limit
			if len(a.waiting[0].leaf) == 0 {
				patience = childGone
			}
		}
		a.mu.Unlock()
		switch {
		case idle:
			select {
			case a.requests <- &request{done: make(chan answered, 1)}:
			default: // it is not idle any more
			}
		case age > patience:
			why := fmt.Errorf("%w for %v, and was killed", errSilent, age.Round(time.Second))
			c.silent.Store(&why)
			_ = c.cmd.Process.Kill()
			return
		}
	}
}

// give writes r and all that is asked by then, and flushes.
func (a *childAppender) give(c *child, r *request) error {
	for {
		a.mu.Lock()
		r.given = time.Now()
		a.waiting = append(a.waiting, r) // before it is written: a torn write may be a whole one
		a.mu.Unlock()
		if err := writeFrame(c.in, r.leaf); err != nil {
			return fmt.Errorf("giving the appender a leaf: %w", err)
		}
		select {
		case r = <-a.requests:
		default:
			if err := c.in.Flush(); err != nil {
				return fmt.Errorf("giving the appender a leaf: %w", err)
			}
			return nil
		}
	}
}

// receive hands answers to those who wait, until there are no more.
func (a *childAppender) receive(c *child) error {
	for {
		answer, err := c.answer()
		if err != nil {
			return fmt.Errorf("the appender has gone: %w", err)
		}
		a.mu.Lock()
		if len(a.waiting) == 0 {
			a.mu.Unlock()
			return errors.New("the appender answered what nobody asked")
		}
		r := a.waiting[0]
		a.waiting[0], a.waiting = nil, a.waiting[1:]
		a.mu.Unlock()
		c.useful = c.useful || answer.err == nil && len(r.leaf) > 0
		r.done <- answer
	}
}

// lastWords passes on the log lines of a child, which are JSON objects, and keeps the beginning
// of anything else: what a Go program says when it panics.
type lastWords struct {
	pass io.Writer // nil: nowhere

	mu   sync.Mutex
	line []byte // not ended yet
	said strings.Builder
}

const (
	maxWords = 1 << 10
	maxLine  = 1 << 16
)

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		rest = after
		if len(w.line) < maxLine {
			w.line = append(w.line, part...)
		}
		if !ended {
			break
		}
		if len(w.line) > 0 && w.line[0] == '{' {
			if w.pass != nil {
				_, _ = w.pass.Write(append(w.line, '\n'))
			}
		} else if len(w.line) > 0 && w.said.Len() < maxWords {
			w.said.Write(w.line[:min(len(w.line), maxWords)])
			w.said.WriteString("; ")
		}
		w.line = w.line[:0]
	}
	return len(p), nil
}

func (w *lastWords) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.TrimSuffix(w.said.String(), "; ")
}
