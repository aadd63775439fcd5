package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// fakeLog is a Log and an Index in memory. It verifies nothing: the tests here are
// about HTTP, real_test.go has the real one.
type fakeLog struct {
	mu     sync.Mutex
	logged []entry.Logged
	tiles  map[string][]byte // and bundles of checkpoints
	kept   int64             // checkpoints
	asked  []string          // tile paths that reached the log
	health error
	notes  []ledger.Reason

	// add replaces Add when it is set.
	add func(ctx context.Context, manifest []byte, src entry.Source) (*entry.Anchored, error)
	// accept replaces Accept when it is set; accepted is what Accepted answers yes to.
	accept   func(manifest []byte, src entry.Source) (trust.Digest, error)
	accepted map[trust.Digest]bool

	// hidden entries are in the index but not in the published tree.
	hidden int64
}

func (f *fakeLog) Add(ctx context.Context, manifest []byte, src entry.Source) (*entry.Anchored, error) {
	if f.add != nil {
		return f.add(ctx, manifest, src)
	}
	return f.append(sha256.Sum256(manifest), sha256.Sum256(append([]byte("root "), manifest...)), src), nil
}

func (f *fakeLog) append(manifest, root trust.Digest, src entry.Source) *entry.Anchored {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.logged {
		if l.Entry.ManifestSHA256 == manifest {
			return f.anchored(l, false)
		}
	}
	l := entry.Logged{Index: int64(len(f.logged)), Entry: entry.Entry{ManifestSHA256: manifest, PackRootSHA256: root, Source: src}}
	l.Leaf = fmt.Appendf(nil, `{"manifest_sha256":"%s","pack_id":"<&> %d"}`, manifest, l.Index)
	f.logged = append(f.logged, l)
	return f.anchored(l, true)
}

func (f *fakeLog) anchored(l entry.Logged, fresh bool) *entry.Anchored {
	return &entry.Anchored{Entry: l, New: fresh, Proof: &trust.Proof{
		Extra: l.Leaf, Index: l.Index, Checkpoint: f.signed(int64(len(f.logged)) - f.hidden)}}
}

func (f *fakeLog) signed(size int64) []byte {
	return fmt.Appendf(nil, "log.example/t\n%d\n%s\n\n— log.example/t AAAA\n", size, tlog.Hash{})
}

func (f *fakeLog) Checkpoint(context.Context) (*trust.Checkpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := int64(len(f.logged)) - f.hidden
	return &trust.Checkpoint{Origin: "log.example/t", Size: size, Signed: f.signed(size)}, nil
}

func (f *fakeLog) Prove(_ context.Context, n int64) (*entry.Anchored, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n >= int64(len(f.logged))-f.hidden {
		return nil, ledger.ErrNotFound
	}
	return f.anchored(f.logged[n], false), nil
}

func (f *fakeLog) Tile(_ context.Context, path string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, path)
	if data, ok := f.tiles[path]; ok {
		return data, nil
	}
	return nil, fmt.Errorf("reading %s: %w", path, ledger.ErrNotFound)
}

func (f *fakeLog) History(ctx context.Context, path string) ([]byte, error) { return f.Tile(ctx, path) }
func (f *fakeLog) HistorySize() int64                                       { return f.kept }

func (f *fakeLog) Health(context.Context) error { return f.health }
func (f *fakeLog) Notes() []ledger.Reason       { return f.notes }

func (f *fakeLog) Accept(_ context.Context, manifest []byte, src entry.Source) (trust.Digest, error) {
	return f.accept(manifest, src)
}

func (f *fakeLog) Accepted(digest trust.Digest) bool { return f.accepted[digest] }

func (f *fakeLog) Find(_ context.Context, manifest trust.Digest) (int64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.logged {
		if l.Entry.ManifestSHA256 == manifest {
			return l.Index, true, nil
		}
	}
	return 0, false, nil
}

func (f *fakeLog) FindPackRoot(_ context.Context, root trust.Digest) (found []int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.logged {
		if l.Entry.PackRootSHA256 == root {
			found = append(found, l.Index)
		}
	}
	return found, nil
}

func (f *fakeLog) Search(_ context.Context, q index.Query) (found []int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range slices.Backward(f.logged) {
		if (q.Before == 0 || l.Index < q.Before) && (q.SourceRepo == "" || q.SourceRepo == l.Entry.Source.Repo) && len(found) < q.Limit {
			found = append(found, l.Index)
		}
	}
	return found, nil
}

// broken is a Log and Index whose every answer is err.
type broken struct{ err error }

func (b broken) Add(context.Context, []byte, entry.Source) (*entry.Anchored, error) {
	return nil, b.err
}
func (b broken) Checkpoint(context.Context) (*trust.Checkpoint, error) { return nil, b.err }
func (b broken) Prove(context.Context, int64) (*entry.Anchored, error) { return nil, b.err }
func (b broken) Tile(context.Context, string) ([]byte, error)          { return nil, b.err }
func (b broken) History(context.Context, string) ([]byte, error)       { return nil, b.err }
func (b broken) HistorySize() int64                                    { return 0 }
func (b broken) Accept(context.Context, []byte, entry.Source) (d trust.Digest, err error) {
	return d, b.err
}
func (b broken) Accepted(trust.Digest) bool                                    { return false }
func (b broken) Health(context.Context) error                                  { return b.err }
func (b broken) Notes() []ledger.Reason                                        { return nil }
func (b broken) Find(context.Context, trust.Digest) (int64, bool, error)       { return 0, false, b.err }
func (b broken) FindPackRoot(context.Context, trust.Digest) ([]int64, error)   { return nil, b.err }
func (b broken) Search(context.Context, index.Query) (found []int64, er error) { return nil, b.err }

func testPolicy(t testing.TB) *trust.Policy {
	t.Helper()
	_, vkey, err := trust.GenerateKey(rand.Reader, "log.example/t", trust.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	p, err := trust.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testRoots are as an operator may have them: with remarks that are nobody's business.
func testRoots(t testing.TB) *timestamp.Roots {
	t.Helper()
	authority, err := timestamp.NewAuthority(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	roots, err := timestamp.ParseRoots(append([]byte("remark\n"), authority.RootPEM()...))
	if err != nil {
		t.Fatal(err)
	}
	return roots
}

type logAndIndex interface {
	Log
	Index
}

func newHandler(t testing.TB, l logAndIndex, change func(*Config)) *Handler {
	t.Helper()
	cfg := Config{Log: l, Index: l, Policy: testPolicy(t), TSARoots: testRoots(t)}
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// ask sends a request; headers are "Name: value".
func ask(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// wantProblem checks an answer against a problem of the table.
func wantProblem(t testing.TB, w *httptest.ResponseRecorder, p problem) problemJSON {
	t.Helper()
	var got problemJSON
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%d %q is no problem: %v", w.Code, w.Body, err)
	}
	if w.Code != p.status || got.Status != p.status || got.Type != "/problems/"+p.name || got.Title == "" || got.Detail == "" {
		t.Errorf("got %d %s, want %d %s", w.Code, w.Body, p.status, p.name)
	}
	if w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != noStore {
		t.Errorf("problem has headers %v", w.Header())
	}
	return got
}

func decode[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code/100 != 2 || w.Header().Get("Content-Type") != typeJSON {
		t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return v
}

var errTest = errors.New("disk /secret/path on fire")

// lines is a logger that keeps what it is told.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }
