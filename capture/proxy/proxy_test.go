package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

const token = "0123456789abcdef0123456789abcdef"

// world is a program's side of a proxy whose upstream is a test's.
type world struct {
	t        testing.TB
	store    *capture.Store
	intents  *capture.Intents
	proxy    *Proxy
	server   *Server
	url      string // with the token
	upstream *httptest.Server
	client   *http.Client
}

const trace = "t1"

func newWorld(t testing.TB, upstream http.Handler, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, store: &capture.Store{Dir: filepath.Join(t.TempDir(), "home")}}
	w.upstream = httptest.NewServer(upstream)
	t.Cleanup(w.upstream.Close)
	var err error
	if w.intents, err = w.store.OpenIntents(trace, false); err != nil {
		t.Fatal(err)
	}
	base, err := url.Parse(w.upstream.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Token: token, Upstreams: map[string]Upstream{"openai": {base, "openai"}}, Recorder: w.intents}
	for _, c := range change {
		c(&config)
	}
	if w.proxy, err = New(config); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.server = w.proxy.Serve(l)
	w.url = "http://" + l.Addr().String() + "/" + token
	w.client = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		if w.server != nil {
			w.stop()
		}
	})
	return w
}

// stop ends the proxy and returns the receipts.
func (w *world) stop() []jcs.Value { return w.stopWithin(5 * time.Second) }

func (w *world) stopWithin(grace time.Duration) []jcs.Value {
	w.t.Helper()
	w.client.CloseIdleConnections()
	if err := errors.Join(w.server.Close(grace), w.intents.Close()); err != nil {
		w.t.Error(err)
	}
	w.server = nil
	opened, err := w.store.Open(trace)
	if err != nil {
		return nil
	}
	defer opened.Close()
	var receipts []jcs.Value
	for r, err := range opened.All() {
		if err != nil {
			w.t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	return receipts
}

func (w *world) post(path, body string) (*http.Response, string) {
	w.t.Helper()
	resp, err := w.client.Post(w.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(text)
}

func textOf(r jcs.Value, name string) string { v, _ := r.Get(name); return v.Text }

const (
	chatBody  = `{"model":"gpt-4o","messages":[{"role":"user","content":"hello CANARY-PROMPT"}]}`
	chatReply = `{"id":"chatcmpl-1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}`
)

func reply(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, chatReply)
}

func TestAnAttemptBecomesOneReceipt(t *testing.T) {
	w := newWorld(t, http.HandlerFunc(reply))
	if resp, text := w.post("/to/openai/chat/completions", chatBody); resp.StatusCode != 200 || text != chatReply {
		t.Errorf("%d %q", resp.StatusCode, text)
	}
	receipts := w.stop()
	if len(receipts) != 1 {
		t.Fatalf("%d receipts", len(receipts))
	}
	if c := w.proxy.Counts(); c != (Counts{Seen: 1, Written: 1}) {
		t.Errorf("%+v", c)
	}
	r := receipts[0]
	for name, want := range map[string]string{"type": "model_call", "source": "proxy", "provider": "openai", "route": "openai.chat",
		"endpoint_host": strings.TrimPrefix(w.upstream.URL, "http://"), "request_number": "1", "attempt": "1"} {
		if got := textOf(r, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if n, err := w.store.Unfinished(trace); n != 0 || err != nil {
		t.Errorf("%d unfinished, %v", n, err)
	}
}

// passed is a request or a response as it came over the wire.
type passed struct {
	first  string
	fields []string // sorted, names in lowercase
	body   string
}

func readPassed(t testing.TB, r *bufio.Reader, drop ...string) (p passed) {
	t.Helper()
	line := func() string {
		text, err := r.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		return strings.TrimRight(text, "\r\n")
	}
	p.first = line()
	length, chunked := 0, false
	for {
		field := line()
		if field == "" {
			break
		}
		name, v, _ := strings.Cut(field, ":")
		name, v = strings.ToLower(name), strings.TrimSpace(v)
		switch name {
		case "content-length":
			fmt.Sscan(v, &length)
		case "transfer-encoding":
			chunked = true
		}
		if !slices.Contains(drop, name) {
			p.fields = append(p.fields, name+": "+v)
		}
	}
	slices.Sort(p.fields)
	if chunked {
		for {
			var n int
			fmt.Sscanf(line(), "%x", &n)
			chunk := make([]byte, n+2)
			io.ReadFull(r, chunk)
			if p.body += string(chunk[:n]); n == 0 {
				return p
			}
		}
	}
	text := make([]byte, length)
	io.ReadFull(r, text)
	p.body = string(text)
	return p
}

// CAP-1. Written and read as bytes on both sides, so that no library hides a difference.
func TestWhatPassesIsUnchanged(t *testing.T) {
	const response = "HTTP/1.1 529 Site is Overloaded\r\nX-Odd:  a, b \r\nx-odd: c\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Forwarded-For: 10.0.0.1\r\nContent-Length: 5\r\n\r\n\x00\xff\r\n!"
	got := make(chan passed, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the one connection
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		got <- readPassed(t, bufio.NewReader(conn), "connection")
		io.WriteString(conn, response)
	}()
	w := newWorld(t, http.NotFoundHandler(), func(c *Config) {
		base, _ := url.Parse("http://" + l.Addr().String() + "/base%2Fpath/")
		c.Upstreams["openai"] = Upstream{base, "openai"}
	})
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), "/"+token))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const path = "//v1/%63hat/a%2Fb//completions?x=1;y=%zz&key=&&"
	fmt.Fprintf(conn, "PUT /%s/to/openai%s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-1\r\nX-A: 1\r\nX-A:  2,3 \r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1\r\nTE: trailers\r\nX-Assay-Parent: r_1\r\nContent-Length: 7\r\n\r\n\x00\xfe{\r\n}\n", token, path)
	back := readPassed(t, bufio.NewReader(conn), "connection")
	up := <-got
	if want := "PUT /base%2Fpath" + path + " HTTP/1.1"; up.first != want {
		t.Errorf("the request line is %q, want %q", up.first, want)
	}
	if want := []string{"authorization: Bearer sk-1", "content-length: 7", "forwarded: for=1", "host: " + l.Addr().String(), "te: trailers", "x-a: 1", "x-a: 2,3", "x-forwarded-for: 1.2.3.4"}; !slices.Equal(up.fields, want) {
		t.Errorf("the request has %q\nwant %q", up.fields, want)
	}
	if want := "\x00\xfe{\r\n}\n"; up.body != want {
		t.Errorf("the body is %q", up.body)
	}
	if !strings.HasPrefix(back.first, "HTTP/1.1 529") {
		t.Errorf("the status line is %q", back.first)
	}
	if want := []string{"content-length: 5", "set-cookie: a=1", "set-cookie: b=2", "x-forwarded-for: 10.0.0.1", "x-odd: a, b", "x-odd: c"}; !slices.Equal(back.fields, want) {
		t.Errorf("the response has %q\nwant %q", back.fields, want)
	}
	if back.body != "\x00\xff\r\n!" {
		t.Errorf("the body is %q", back.body)
	}
}

// CAP-2, PX-02.
func TestTheFirstBytesOfAStreamArriveBeforeItsLastAreSent(t *testing.T) {
	arrived := make(chan struct{})
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: one\n\n")
		w.(http.Flusher).Flush()
		<-arrived
		io.WriteString(w, "data: two\n\n")
	}))
	resp, err := w.client.Post(w.url+"/to/openai/chat/completions", "application/json", strings.NewReader(chatBody))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, len("data: one\n\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "data: one\n\n" {
		t.Fatalf("%q, %v", first, err)
	}
	close(arrived)
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "data: two\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestARedirectIsPassedOnAndNotFollowed(t *testing.T) {
	w := newWorld(t, http.RedirectHandler("http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect))
	resp, _ := w.post("/to/openai/chat/completions", chatBody)
	if resp.StatusCode != http.StatusTemporaryRedirect || resp.Header.Get("Location") != "http://127.0.0.1:1/elsewhere" {
		t.Errorf("%d %q", resp.StatusCode, resp.Header)
	}
}

// CAP-3, PX-08.
func TestARequestWithoutTheTokenReachesNobodyAndLeavesNoReceipt(t *testing.T) {
	reached := make(chan string, 100)
	w := newWorld(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	root := strings.TrimSuffix(w.url, token)
	asked := []string{"", "to/openai/chat/completions", strings.Repeat("0", 32) + "/to/openai/chat/completions", token[:31] + "/to/openai/x",
		token, token + "/", token + "/to", token + "/to/", token + "/to/nobody/x", token + "/at/http/example.com/x", token + "/at/ftp/api.openai.com/x",
		token + "/at/https/user@api.openai.com/x", token + "/at/https/api.openai.com.example.com/x", token + "/in/openai/x", token + "/at/https//x",
		strings.ToUpper(token) + "/to/openai/x"}
	for _, path := range asked {
		resp, err := w.client.Post(root+path, "application/json", strings.NewReader(chatBody))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	if receipts := w.stop(); len(receipts) > 0 {
		t.Errorf("%d receipts", len(receipts))
	}
	if c := w.proxy.Counts(); c != (Counts{Refused: int64(len(asked))}) {
		t.Errorf("%+v", c)
	}
	if len(reached) > 0 {
		t.Errorf("%s reached the upstream", <-reached)
	}
}

func TestAnUpstreamThatIsTheProxyItselfIsNoUpstream(t *testing.T) {
	w := newWorld(t, http.HandlerFunc(reply))
	own := strings.TrimPrefix(strings.TrimSuffix(w.url, "/"+token), "http://")
	_, port, _ := net.SplitHostPort(own)
	for _, host := range []string{own, "localhost:" + port, "[::1]:" + port, "0.0.0.0:" + port} {
		base, err := url.Parse("http://" + host + "/" + token + "/to/openai")
		if err != nil {
			t.Fatal(err)
		}
		w.proxy.upstreams["loop"] = Upstream{base, "openai"}
		if resp, text := w.post("/to/loop/chat/completions", chatBody); resp.StatusCode != http.StatusLoopDetected || !strings.Contains(text, "itself") {
			t.Errorf("%s: %d %q", host, resp.StatusCode, text)
		}
	}
}

// CAP-4: what a program sees of a dead upstream is a connection that ends.
func TestAnUpstreamThatCannotBeReachedEndsTheConnection(t *testing.T) {
	w := newWorld(t, http.NotFoundHandler())
	w.upstream.Close()
	if resp, err := w.client.Post(w.url+"/to/openai/chat/completions", "application/json", strings.NewReader(chatBody)); err == nil {
		t.Errorf("a response: %d", resp.StatusCode)
	}
	receipts := w.stop()
	if len(receipts) != 1 || textOf(receipts[0], "error_class") != "connect_failed" {
		t.Errorf("%+v", receipts)
	}
}

func TestAnUpstreamThatBreaksOffBreaksOffForTheProgram(t *testing.T) {
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	resp, err := w.client.Post(w.url+"/to/openai/chat/completions", "application/json", strings.NewReader(chatBody))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil || string(text) != "part" || resp.ContentLength != 1000 {
		t.Errorf("%q, %v", text, err)
	}
	receipts := w.stop()
	if len(receipts) != 1 || textOf(receipts[0], "error_class") != "upstream_reset" {
		t.Errorf("%+v", receipts)
	}
}

func TestAProgramThatLeavesIsReceipted(t *testing.T) {
	for name, headFirst := range map[string]bool{"before the first byte": false, "in the middle of a stream": true} {
		asked, left := make(chan struct{}), make(chan struct{})
		w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if headFirst {
				io.WriteString(w, "data: one\n\n")
				w.(http.Flusher).Flush()
			}
			close(asked)
			<-r.Context().Done() // the upstream hears of it as well
			close(left)
		}))
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "POST", w.url+"/to/openai/chat/completions", strings.NewReader(chatBody))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			resp, err := w.client.Do(r)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			done <- err
		}()
		<-asked
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		<-left
		receipts := w.stop()
		if len(receipts) != 1 || textOf(receipts[0], "error_class") != "client_gone" {
			t.Errorf("%s: %+v", name, receipts)
		}
	}
}

// CAP-8, PX-04.
func TestAttemptsOfOneCallAreLinked(t *testing.T) {
	var mu sync.Mutex
	left := 2
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left >= 0 {
			http.Error(w, `{"error":{"message":"sk-CANARY","code":"rate_limit_exceeded"}}`, http.StatusTooManyRequests)
			return
		}
		reply(w, r)
	}))
	for range 3 {
		w.post("/to/openai/chat/completions", chatBody)
	}
	w.post("/to/openai/chat/completions", chatBody) // the same words once more are another call
	w.post("/to/openai/embeddings", chatBody)
	receipts := w.stop()
	if len(receipts) != 5 {
		t.Fatalf("%d receipts", len(receipts))
	}
	var ids, numbers []string
	for _, r := range receipts {
		ids, numbers = append(ids, textOf(r, "logical_call_id")), append(numbers, textOf(r, "attempt"))
	}
	if want := []string{"1", "2", "3", "1", "1"}; !slices.Equal(numbers, want) || ids[0] != ids[1] || ids[1] != ids[2] || ids[2] == ids[3] || ids[3] == ids[4] {
		t.Errorf("attempts %v of %v", numbers, ids)
	}
}

// brokenRecorder cannot write.
type brokenRecorder struct{ intents, receipts bool }

var errFull = errors.New("no space left on device")

func (b brokenRecorder) Intend(capture.Intent) (capture.Pending, error) {
	if b.intents {
		return capture.Pending{}, errFull
	}
	return capture.Pending{ID: "r_0123456789abcdef", Number: 1}, nil
}

func (b brokenRecorder) Record(capture.Pending, string, string, ...jcs.Member) error {
	if b.receipts {
		return errFull
	}
	return nil
}

// CAP-15, PX-06.
func TestAProgramGoesOnWhenNothingCanBeRecordedUnlessItMayNot(t *testing.T) {
	for _, broken := range []brokenRecorder{{true, true}, {false, true}} {
		for _, closed := range []bool{false, true} {
			w := newWorld(t, http.HandlerFunc(reply), func(c *Config) { c.Recorder, c.Closed = broken, closed })
			resp, text := w.post("/to/openai/chat/completions", chatBody)
			stopped := closed && broken.intents
			if got := resp.StatusCode != 200; got != stopped {
				t.Errorf("%+v, closed %v: %d %q", broken, closed, resp.StatusCode, text)
			}
			w.stop()
			if c := w.proxy.Counts(); c.Seen != 1 || c.Failed != 1 || c.Written != 0 {
				t.Errorf("%+v, closed %v: %+v", broken, closed, c)
			}
		}
	}
}

// PX-05.
func TestNoCredentialAndNoContentIsWritten(t *testing.T) {
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "CANARY-COOKIE")
		w.Header().Set("X-Request-Id", "CANARY-REQUEST")
		if r.URL.Query().Get("fail") != "" {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":{"message":"no such key sk-CANARY-ERROR","type":"invalid"}}`)
			return
		}
		io.WriteString(w, strings.ReplaceAll(chatReply, `"hi"`, `"CANARY-REPLY"`))
	}))
	for _, query := range []string{"?key=CANARY-QUERY", "?fail=1&key=CANARY-QUERY"} {
		for _, path := range []string{"/to/openai/chat/completions", "/to/openai/CANARY-PATH/x"} {
			r, err := http.NewRequest("POST", w.url+path+query, strings.NewReader(chatBody))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie", "Proxy-Authorization"} {
				r.Header.Set(name, "Bearer CANARY-KEY")
			}
			resp, err := w.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	receipts := w.stop()
	if len(receipts) != 4 {
		t.Fatalf("%d receipts", len(receipts))
	}
	files, err := filepath.Glob(filepath.Join(w.store.Dir, "*", "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if text := readFile(t, file); bytes.Contains(text, []byte("CANARY")) {
			t.Errorf("%s holds what nobody may read: %s", file, text)
		}
	}
}

func TestAWebSocketPassesAndIsCounted(t *testing.T) {
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := buf.ReadString('\n')
		io.WriteString(conn, "heard "+line)
	}))
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), "/"+token))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /%s/to/openai/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", token)
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	io.WriteString(conn, "frame\n")
	if line, err := r.ReadString('\n'); err != nil || line != "heard frame\n" {
		t.Errorf("%q, %v", line, err)
	}
	conn.Close()
	w.stop()
	if c := w.proxy.Counts(); c != (Counts{Upgraded: 1}) {
		t.Errorf("%+v", c)
	}
}

func TestManyRequestsAtOnceLeaveAReceiptEachAndNothingElse(t *testing.T) {
	before := runtime.NumGoroutine()
	w := newWorld(t, http.HandlerFunc(reply))
	const many = 500
	var all sync.WaitGroup
	for n := range many {
		all.Go(func() {
			resp, err := w.client.Post(w.url+"/to/openai/chat/completions", "application/json", strings.NewReader(fmt.Sprintf(`{"model":"gpt-4o","n":%d}`, n)))
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := io.ReadAll(resp.Body); err != nil || string(text) != chatReply {
				t.Errorf("%q, %v", text, err)
			}
			resp.Body.Close()
		})
	}
	all.Wait()
	if receipts := w.stop(); len(receipts) != many {
		t.Errorf("%d receipts of %d requests", len(receipts), many)
	}
	if used := w.proxy.desk.budget.Used(); used != 0 {
		t.Errorf("%d bytes are kept for ever", used)
	}
	w.upstream.Close()
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		if runtime.NumGoroutine() <= before+2 {
			return
		}
		runtime.Gosched()
	}
	buf := make([]byte, 1<<16)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

func TestClosingCutsOffWhatIsLeftAndRecordsIt(t *testing.T) {
	asked := make(chan struct{})
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(asked)
		<-r.Context().Done()
	}))
	go func() {
		if resp, err := w.client.Post(w.url+"/to/openai/chat/completions", "application/json", strings.NewReader(chatBody)); err == nil {
			resp.Body.Close()
		}
	}()
	<-asked
	if receipts := w.stopWithin(time.Millisecond); len(receipts) != 1 || textOf(receipts[0], "error_class") != "client_gone" {
		t.Errorf("%+v", receipts)
	}
	if c := w.proxy.Counts(); c.Seen != 1 || c.Written != 1 {
		t.Errorf("%+v", c)
	}
}

func TestALongBodyPassesInLittleMemory(t *testing.T) {
	const size = 100 << 20
	w := newWorld(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := w.client.Post(w.url+"/to/openai/audio/transcriptions", "application/octet-stream", io.LimitReader(rand.Reader, size))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); string(text) != fmt.Sprint(size) {
		t.Errorf("%s of %d bytes arrived", text, size)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 64<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	at := func(s string) *url.URL { u, _ := url.Parse(s); return u }
	for name, c := range map[string]Config{
		"a short token": {Token: "short"},
		"no URL":        {Token: token, Upstreams: map[string]Upstream{"x": {nil, "x"}}},
		"no http":       {Token: token, Upstreams: map[string]Upstream{"x": {at("ftp://h"), "x"}}},
		"no host":       {Token: token, Upstreams: map[string]Upstream{"x": {at("http:///v1"), "x"}}},
		"no hostname":   {Token: token, Upstreams: map[string]Upstream{"x": {at("http://:80/v1"), "x"}}},
		"a user":        {Token: token, Upstreams: map[string]Upstream{"x": {at("http://u:p@h/v1"), "x"}}},
		"a query":       {Token: token, Upstreams: map[string]Upstream{"x": {at("http://h/v1?key=1"), "x"}}},
		"no provider":   {Token: token, Upstreams: map[string]Upstream{"x": {at("http://h/v1"), ""}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
