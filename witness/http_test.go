package witness_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	"github.com/Haserjian/assay-ledger/witness"
	"golang.org/x/mod/sumdb/note"
)

const hashLine = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func send(t testing.TB, client *http.Client, method, url string, body io.Reader) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// TestStatusTable is tlog-witness as a table. Each row starts with a witness
// that has cosigned size `stored` (-1: nothing), and runs through real HTTP.
// WIT-3, WIT-5, WIT-6, WIT-8, WIT-9, WIT-10, WIT-11, WIT-12, WIT-13, WIT-14, WIT-15, WIT-16, WIT-17
func TestStatusTable(t *testing.T) {
	log := newLog(origin, 10)
	other := fork(log, 3, 10)
	elsewhere := newLog("unknown.example/log", 10)
	impostor := func() note.Signer { // another key under the log's name
		return secondKey(t).NoteSigner()
	}
	text := func(size string, size64 int64) string {
		return fmt.Sprintf("%s\n%s\n%s\n", origin, size, log.Root(size64))
	}
	body := func(old, proof string, checkpoint []byte) string {
		return "old " + old + "\n" + proof + "\n" + string(checkpoint)
	}
	proof := func(old, new int64) string {
		marshalled := trust.AddCheckpoint{Proof: log.Consistency(old, new)}.Marshal()
		return strings.TrimSuffix(strings.TrimPrefix(string(marshalled), "old 0\n"), "\n")
	}
	honest := func(old, new int64) string { return string(request(log, old, new).Marshal()) }
	badRoot := func(size int64) []byte { return signText(t, log, fmt.Sprintf("%s\n%d\n%s", origin, size, hashLine)) }
	broken := bytes.Replace(log.CheckpointAt(7), []byte("\n7\n"), []byte("\n8\n"), 1) // a good line over another text
	unsigned, err := note.Sign(&note.Note{Text: text("7", 7)}, impostor())
	if err != nil {
		t.Fatal(err)
	}

	rows := []struct {
		name   string
		stored int64
		body   string
		want   int
		size   string // of a 409
	}{
		{"first contact", -1, honest(0, 7), 200, ""},
		{"first contact with the empty tree", -1, honest(0, 0), 200, ""},
		{"growth", 4, honest(4, 7), 200, ""},
		{"growth by one", 4, honest(4, 5), 200, ""},
		{"the same size again", 4, honest(4, 4), 200, ""},
		{"the empty tree again", 0, honest(0, 0), 200, ""},
		{"growth from the empty tree", 0, honest(0, 7), 200, ""},
		{"a signature by an unknown key besides", 4, body("4", proof(4, 7), signText(t, log, text("7", 7), impostor())), 200, ""},
		{"sixteen signatures", 4, body("4", proof(4, 7), append(log.CheckpointAt(7), bytes.Repeat(lineOf(elsewhere), 15)...)), 200, ""},

		{"empty body", 4, "", 400, ""},
		{"no checkpoint", 4, "old 4\n" + proof(4, 7) + "\n", 400, ""},
		{"old size with a sign", 4, body("+4", proof(4, 7), log.CheckpointAt(7)), 400, ""},
		{"old size with a leading zero", 4, body("04", proof(4, 7), log.CheckpointAt(7)), 400, ""},
		{"old size with junk", 4, body("4 junk", proof(4, 7), log.CheckpointAt(7)), 400, ""},
		{"negative old size", 4, body("-1", "", log.CheckpointAt(7)), 400, ""},
		{"old size over 2^63", 4, body("9223372036854775808", "", log.CheckpointAt(7)), 400, ""},
		{"CRLF", 4, strings.ReplaceAll(honest(4, 7), "\n", "\r\n"), 400, ""},
		{"64 hashes", 4, body("4", strings.Repeat(hashLine, 64), log.CheckpointAt(7)), 400, ""},
		{"a hash of 31 bytes", 4, body("4", "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpka==\n", log.CheckpointAt(7)), 400, ""},
		{"a hash that is no base64", 4, body("4", "hash\n", log.CheckpointAt(7)), 400, ""},
		{"no blank line", 4, "old 4\n" + proof(4, 7) + string(log.CheckpointAt(7)), 400, ""},
		{"no signature lines", 4, body("4", proof(4, 7), []byte(text("7", 7))), 400, ""},
		{"text after the signatures", 4, honest(4, 7) + "more\n", 400, ""},
		{"no newline at the end", 4, strings.TrimSuffix(honest(4, 7), "\n"), 400, ""},
		{"checkpoint size with a leading zero", 4, body("4", proof(4, 7), signText(t, log, text("07", 7))), 400, ""},
		{"checkpoint size over 2^63", 4, body("4", proof(4, 7), signText(t, log, text("9223372036854775808", 7))), 400, ""},
		{"checkpoint without a root", 4, body("4", "", signText(t, log, origin+"\n7\n")), 400, ""},
		{"old size above the checkpoint's", 7, body("7", "", log.CheckpointAt(5)), 400, ""},
		{"old size above the checkpoint's on first contact", -1, body("7", "", log.CheckpointAt(5)), 400, ""},

		{"unknown origin", 4, string(request(elsewhere, 0, 7).Marshal()), 404, ""},
		{"origin in another case", 4, body("0", "", bytes.Replace(log.CheckpointAt(7), []byte("ledger"), []byte("Ledger"), 1)), 404, ""},

		{"no signature by the log", 4, body("4", proof(4, 7), unsigned), 403, ""},
		{"a signature by the log that does not verify", 4, body("4", proof(4, 8), broken), 403, ""},
		{"a good and a bad signature by the log", 4, body("4", proof(4, 7), append(log.CheckpointAt(7), lineOf(log)...)), 403, ""},
		{"a bad signature comes before the sizes", 4, body("9", "", broken), 403, ""},

		{"old size on first contact", -1, honest(3, 5), 409, "0\n"},
		{"proof on first contact is not looked at", -1, body("3", hashLine, log.CheckpointAt(5)), 409, "0\n"},
		{"old size too small", 4, honest(3, 7), 409, "4\n"},
		{"old size too large", 4, honest(5, 7), 409, "4\n"},
		{"asking for the size", 4, honest(0, 7), 409, "4\n"},
		{"rollback", 7, honest(4, 5), 409, "7\n"},
		{"rollback to the empty tree", 7, honest(0, 0), 409, "7\n"},
		{"the size comes before the empty root", 7, body("0", "", badRoot(0)), 409, "7\n"},
		{"the size comes before the proof", 4, body("3", "", log.CheckpointAt(7)), 409, "4\n"},

		{"size 0 with another root", -1, body("0", "", badRoot(0)), 422, ""},
		{"size 0 with another root again", 0, body("0", "", badRoot(0)), 422, ""},
		{"proof on first contact", -1, body("0", hashLine, log.CheckpointAt(7)), 422, ""},
		{"proof from the empty tree", 0, body("0", hashLine, log.CheckpointAt(7)), 422, ""},
		{"the same size with another root", 4, body("4", "", other.CheckpointAt(4)), 422, ""},
		{"the same size with a proof", 4, body("4", hashLine, log.CheckpointAt(4)), 422, ""},
		{"no proof", 4, body("4", "", log.CheckpointAt(7)), 422, ""},
		{"proof of another step", 4, body("4", proof(4, 6), log.CheckpointAt(7)), 422, ""},
		{"proof with a hash too many", 4, body("4", proof(4, 7)+hashLine, log.CheckpointAt(7)), 422, ""},
		{"another root", 4, body("4", proof(4, 7), badRoot(7)), 422, ""},
		{"fork", 4, string(request(other, 4, 7).Marshal()), 422, ""},
		{"extension lines", 4, body("4", proof(4, 7), signText(t, log, text("7", 7)+"extension\n")), 422, ""},

		{"body of 128 KiB", 4, honest(4, 7) + strings.Repeat("x", 128<<10-len(honest(4, 7))), 400, ""},
		{"body over 128 KiB", 4, honest(4, 7) + strings.Repeat("x", 128<<10-len(honest(4, 7))+1), 413, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			if row.stored >= 0 {
				w.mustAdd(t, request(log, 0, row.stored))
			}
			before := w.stored(t)
			server := httptest.NewServer(w.witness.Handler())
			defer server.Close()
			got := send(t, server.Client(), "POST", server.URL+"/add-checkpoint", strings.NewReader(row.body))
			if got.status != row.want {
				t.Fatalf("status %d (%s), want %d", got.status, strings.TrimSpace(got.body), row.want)
			}
			if row.want == 200 {
				r, err := trust.ParseAddCheckpoint([]byte(row.body))
				if err != nil {
					t.Fatal(err)
				}
				w.mustVerify(t, trust.AddCheckpoint{Checkpoint: log.CheckpointAt(w.sizeOf(t, r))}, []byte(got.body))
				return
			}
			if after := w.stored(t); !bytes.Equal(before, after) {
				t.Errorf("state changed from %q to %q", before, after)
			}
			if strings.Contains(got.body, "—") {
				t.Errorf("a refusal with a signature: %q", got.body)
			}
			if row.want == 409 && (got.body != row.size || got.header.Get("Content-Type") != "text/x.tlog.size") {
				t.Errorf("got %q as %q, want %q", got.body, got.header.Get("Content-Type"), row.size)
			}
		})
	}
}

func (w *world) sizeOf(t *testing.T, r trust.AddCheckpoint) int64 {
	t.Helper()
	cp, err := w.checks.OpenLogSignature(r.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	return cp.Size
}

// lineOf is the signature line of the log over its size 5.
func lineOf(log *trusttest.Log) []byte {
	signed := log.CheckpointAt(5)
	return signed[bytes.LastIndex(signed, []byte("\n\n"))+2:]
}

// WIT-7
func TestOtherMethodsAndPathsAreRefused(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	w.mustAdd(t, request(w.log, 0, 5))
	body := string(request(w.log, 5, 6).Marshal())
	for _, row := range []struct {
		method, path string
		want         int
		allow        string
	}{
		{"GET", "/add-checkpoint", 405, "POST"},
		{"HEAD", "/add-checkpoint", 405, "POST"},
		{"PUT", "/add-checkpoint", 405, "POST"},
		{"OPTIONS", "/add-checkpoint", 405, "POST"},
		{"POST", "/", 405, "GET, HEAD"},
		{"POST", "/" + hashOf(origin) + "/checkpoint", 405, "GET, HEAD"},
		{"POST", "/add-checkpoint/", 404, ""},
		{"POST", "//add-checkpoint", 404, ""},
		{"POST", "/x/../add-checkpoint", 404, ""},
		{"POST", "/sign-subtree", 404, ""},
		{"GET", "/checkpoint", 404, ""},
		{"GET", "/favicon.ico", 404, ""},
		{"GET", "/" + hashOf("never.example/log") + "/checkpoint", 404, ""},
		{"GET", "/" + strings.ToUpper(hashOf(origin)) + "/checkpoint", 404, ""},
		{"GET", "/" + hashOf(origin) + "/checkpoint/", 404, ""},
		{"GET", "/" + hashOf(origin), 404, ""},
	} {
		got := send(t, server.Client(), row.method, server.URL+row.path, strings.NewReader(body))
		if got.status != row.want || got.header.Get("Allow") != row.allow {
			t.Errorf("%s %s: got %d, Allow %q; want %d, %q", row.method, row.path, got.status, got.header.Get("Allow"), row.want, row.allow)
		}
	}
	w.mustAdd(t, request(w.log, 5, 6)) // none of them did it
}

// WIT-29
func TestMonitoringServesWhatWasCosigned(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	url := server.URL + "/" + hashOf(origin) + "/checkpoint"
	if got := send(t, server.Client(), "GET", url, nil); got.status != 404 {
		t.Errorf("never cosigned: %d", got.status)
	}
	for _, size := range []int64{0, 3, 8} {
		old := int64(0)
		if size == 8 {
			old = 3
		}
		w.mustAdd(t, request(w.log, old, size))
		got := send(t, server.Client(), "GET", url, nil)
		cp, err := w.checks.OpenCheckpoint([]byte(got.body))
		if err != nil || cp.Size != size || string(cp.Signed) != got.body {
			t.Fatalf("served %q: %v", got.body, err)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/plain; charset=utf-8", "Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=5",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
			}
		}
		head := send(t, server.Client(), "HEAD", url, nil)
		if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != fmt.Sprint(len(got.body)) {
			t.Errorf("HEAD: %+v", head)
		}
	}
}

func TestIndexNamesTheKeysAndWhatTheyState(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	got := send(t, server.Client(), "GET", server.URL, nil)
	for _, want := range []string{edKey.Cosigner.VKey(), mlKey.Cosigner.VKey(), origin, hashOf(origin), "extension lines", "consistent"} {
		if got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%d %q does not say %q", got.status, got.body, want)
		}
	}
}

// WIT-31
func TestConnectionsOutliveRefusals(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	reused := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if c.Reused {
			reused++
		}
	}})
	requests := []struct{ method, path, body string }{
		{"POST", "/add-checkpoint", "junk"},
		{"POST", "/add-checkpoint", string(request(w.log, 3, 5).Marshal())}, // 409
		{"POST", "/nowhere", strings.Repeat("x", 10<<10)},                   // 404, body not read
		{"PUT", "/add-checkpoint", strings.Repeat("x", 10<<10)},             // 405, body not read
		{"POST", "/add-checkpoint", strings.Repeat("x", 128<<10+1)},         // 413, body not read
		{"POST", "/add-checkpoint", string(request(w.log, 0, 5).Marshal())}, // 200
		{"GET", "/", ""},
	}
	for _, r := range requests {
		req, err := http.NewRequestWithContext(ctx, r.method, server.URL+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	if reused != len(requests)-1 {
		t.Errorf("the connection was reused %d times, want %d", reused, len(requests)-1)
	}
}

// WIT-6
func TestChunkedBodyOverTheLimitIsRefused(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	endless := io.LimitReader(zeros{}, 1<<20)
	got := send(t, server.Client(), "POST", server.URL+"/add-checkpoint", struct{ io.Reader }{endless})
	if got.status != 413 {
		t.Errorf("got %d, want 413", got.status)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// panicky is a store with a bug.
type panicky struct{ witness.Store }

func (panicky) Swap(context.Context, string, []byte, []byte) error { panic("a bug") }

// WIT-19
func TestAPanicIsOneAnswerAndNotTheEnd(t *testing.T) {
	w := newWorld(t, func(c *witness.Config) { c.Store = panicky{c.Store} })
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	for range 2 { // the second finds no lock left behind
		got := send(t, server.Client(), "POST", server.URL+"/add-checkpoint", bytes.NewReader(request(w.log, 0, 5).Marshal()))
		if got.status != 500 || strings.Contains(got.body, "bug") {
			t.Errorf("got %d %q", got.status, got.body)
		}
	}
	if !strings.Contains(w.logged.String(), "a bug") {
		t.Errorf("not logged: %q", w.logged)
	}
}

func TestABodyThatEndsEarlyIsABadRequest(t *testing.T) {
	w := newWorld(t)
	body := request(w.log, 0, 5).Marshal()
	for _, cut := range []io.Reader{
		iotest.ErrReader(errors.New("connection reset")),
		io.MultiReader(bytes.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)), // all there is, and then more was announced
	} {
		out := httptest.NewRecorder()
		w.witness.Handler().ServeHTTP(out, httptest.NewRequest("POST", "/add-checkpoint", cut))
		if out.Code != http.StatusBadRequest || w.stored(t) != nil {
			t.Errorf("answered %d %q, stored %q", out.Code, out.Body, w.stored(t))
		}
	}
}

// aborting is a store below which the connection is given up, as net/http lets a handler do.
type aborting struct{ witness.Store }

func (aborting) Swap(context.Context, string, []byte, []byte) error { panic(http.ErrAbortHandler) }

func TestAnAbortedRequestIsNoAnswerAndNoBug(t *testing.T) {
	w := newWorld(t, func(c *witness.Config) { c.Store = aborting{c.Store} })
	server := httptest.NewServer(w.witness.Handler())
	defer server.Close()
	resp, err := server.Client().Post(server.URL+"/add-checkpoint", "text/plain", bytes.NewReader(request(w.log, 0, 5).Marshal()))
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered %s", resp.Status)
	}
	if w.logged.String() != "" {
		t.Errorf("logged %s", w.logged)
	}
}

func TestOverloadSaysWhenToComeBack(t *testing.T) {
	for status, w := range map[int]*world{
		429: newWorld(t, func(c *witness.Config) { c.Rate = 1e-9 }),
		503: newWorld(t, func(c *witness.Config) { c.Now = func() time.Time { return time.Time{} } }),
	} {
		server := httptest.NewServer(w.witness.Handler())
		defer server.Close()
		var got answer
		for range 2 { // the burst is one
			got = send(t, server.Client(), "POST", server.URL+"/add-checkpoint", bytes.NewReader(request(w.log, 0, 0).Marshal()))
		}
		if got.status != status || got.header.Get("Retry-After") != "1" {
			t.Errorf("got %d, Retry-After %q; want %d", got.status, got.header.Get("Retry-After"), status)
		}
	}
}

func FuzzHandler(f *testing.F) {
	log := newLog(origin, 12)
	other := fork(log, 3, 12)
	for _, r := range []trust.AddCheckpoint{request(log, 4, 9), request(log, 4, 4), request(log, 0, 7), request(other, 4, 9), request(log, 3, 4)} {
		f.Add("POST", "/add-checkpoint", r.Marshal())
	}
	f.Add("GET", "/"+hashOf(origin)+"/checkpoint", []byte(nil))
	f.Add("GET", "/", []byte(nil))
	policy := trusttest.Policy(log, []*trusttest.Witness{edKey}, 1)
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		w := newWorld(t, func(c *witness.Config) { c.Cosigners = []*trust.Cosigner{edKey.Cosigner} })
		if _, err := w.witness.AddCheckpoint(t.Context(), request(log, 0, 4)); err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest("POST", "/", bytes.NewReader(body))
		req.Method, req.URL.Path = method, path
		out := httptest.NewRecorder()
		w.witness.Handler().ServeHTTP(out, req)
		if out.Code >= 500 {
			t.Fatalf("%d: %s", out.Code, out.Body)
		}
		if path != "/add-checkpoint" || out.Code != 200 {
			return
		}
		r, err := trust.ParseAddCheckpoint(body)
		if err != nil {
			t.Fatal(err)
		}
		cp, err := policy.OpenLogSignature(r.Checkpoint)
		if err != nil || r.OldSize != 4 || cp.Root != log.Root(cp.Size) {
			t.Fatalf("cosigned %q: %v", body, err)
		}
		if lines, err := policy.VerifyCosignatures(cp, out.Body.Bytes()); err != nil || len(lines) != 1 {
			t.Fatalf("answered %q: %v", out.Body, err)
		}
	})
}
