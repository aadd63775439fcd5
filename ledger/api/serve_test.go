package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/pack/entry"
)

var shortTimeouts = serve.Limits{Header: 100 * time.Millisecond, Read: 200 * time.Millisecond, Write: 300 * time.Millisecond,
	Idle: 200 * time.Millisecond, Drain: 5 * time.Second}

// start serves h; stop ends it and returns what serve.HTTP returned.
func start(t *testing.T, h http.Handler, limits serve.Limits) (addr string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve.HTTP(ctx, ln, h, nil, limits) }()
	t.Cleanup(cancel)
	return ln.Addr().String(), func() error { cancel(); return <-done }
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// API-38
func TestHalfOpenConnectionsAreDropped(t *testing.T) {
	addr, stop := start(t, newHandler(t, &fakeLog{}, nil), shortTimeouts)
	var conns []net.Conn
	for n := range 50 {
		conn := dial(t, addr)
		opening := []string{"", "G", "GET /checkpoint HTTP/1.1\r\nHost: x\r\nX-Slow: ", "POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nslow"}[n%4]
		if _, err := io.WriteString(conn, opening); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	honest, err := http.Get("http://" + addr + "/healthz")
	if err != nil || honest.StatusCode != 200 {
		t.Fatalf("an honest client beside them: %v", err)
	}
	honest.Body.Close()
	for n, conn := range conns {
		// The server closes; were it to wait for us, the deadline of the test would end this.
		if _, err := io.Copy(io.Discard, conn); err != nil && isTimeout(err) {
			t.Fatalf("connection %d is still open", n)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// API-38
func TestHugeHeadersAreRefused(t *testing.T) {
	addr, _ := start(t, newHandler(t, &fakeLog{}, nil), serve.Ledger)
	for size, want := range map[int]int{6 << 10: 200, 10 << 10: 431} {
		r, _ := http.NewRequest("GET", "http://"+addr+"/healthz", nil)
		r.Header.Set("X-Big", strings.Repeat("x", size))
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%d bytes: %d, want %d", size, res.StatusCode, want)
		}
	}
}

// API-38
func TestSubmissionOutlivesReadAndWriteTimeouts(t *testing.T) {
	log := &fakeLog{}
	log.add = func(ctx context.Context, m []byte, src entry.Source) (*entry.Anchored, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(2 * shortTimeouts.Write): // past read and write timeouts
		}
		return log.append([32]byte{1}, [32]byte{2}, src), nil
	}
	addr, _ := start(t, newHandler(t, log, nil), shortTimeouts)
	res, err := http.Post("http://"+addr+entriesURL, "application/json", strings.NewReader("m"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 201 {
		t.Errorf("%d %s %v", res.StatusCode, body, err)
	}
}

func TestConnectionIsKeptAfterProblems(t *testing.T) {
	addr, _ := start(t, newHandler(t, broken{ledger.ErrBusy}, nil), serve.Ledger)
	conn := dial(t, addr)
	answers := bufio.NewReader(conn)
	for n := range 3 {
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nm", entriesURL)
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || res.Close {
			t.Errorf("request %d: %d %v", n, res.StatusCode, res.Header)
		}
	}
}

func TestShutdownAnswersWhatHasBegun(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	log := &fakeLog{}
	log.add = func(ctx context.Context, m []byte, src entry.Source) (*entry.Anchored, error) {
		close(entered)
		select {
		case <-release:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return log.append([32]byte{1}, [32]byte{2}, src), nil
	}
	h := newHandler(t, log, nil)
	addr, stop := start(t, h, serve.Ledger)
	status := make(chan int, 1)
	go func() {
		res, err := http.Post("http://"+addr+entriesURL, "application/json", strings.NewReader("m"))
		if err != nil {
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	// The listener closes first; then the request that is inside may finish.
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		conn.Close()
	}
	close(release)
	if got := <-status; got != 201 {
		t.Errorf("the request that had begun: %d", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// API-5
func TestPanicInTheMiddleOfAnAnswerDropsTheConnection(t *testing.T) {
	h := newHandler(t, &fakeLog{}, nil)
	h.echo.GET("/half", func(c echo.Context) error {
		c.Response().Header().Set("Content-Length", "10")
		_, _ = c.Response().Write([]byte("half"))
		panic("boom")
	})
	h.echo.GET("/chunk", func(c echo.Context) error { // nobody announced how long it would be
		_, _ = c.Response().Write([]byte("half"))
		c.Response().Flush()
		panic("boom")
	})
	addr, _ := start(t, h, serve.Ledger)
	for _, path := range []string{"/half", "/chunk"} {
		res, err := http.Get("http://" + addr + path)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: half an answer looked whole", path)
		}
	}
}
