package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
)

// get asks for a page; the answer is nil if there is none. Headers are "Name: value".
func (p pages) get(method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	if !p.serve(w, r) {
		return nil
	}
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) []byte {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const aPage = `<!doctype html>
<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; img-src 'self'">
<p>`

// aSite is a folder with a file for each kind, and with what is no file of a site.
func aSite(t *testing.T) pages {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "site")
	for path, text := range map[string]string{
		"site/index.html": aPage, "site/entries/index.html": aPage, "site/bare.html": "<p>", "site/assets/a.mjs": "export {}", "site/assets/style.css": "p{}",
		"site/entries/feed.xml": "<feed/>", "site/growth.csv": "a,b\n", "site/.well-known/assay-ledger.json": "{}", "site/lookup/00a": strings.Repeat("m 00 1\n", 500),
		"site/.assay-build/new/x.html": aPage, "site/.well-known/.hidden": "x", "site/deep/.hidden/x": "x", "secret": "secret",
		"site/late.html": strings.Repeat(" ", policyWithin) + aPage,
	} {
		path = filepath.Join(top, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out.html": "../secret", "in.html": "index.html", "outside": ".."} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return pages(dir)
}

// API-53
func TestAPageCarriesItsOwnPolicyAndWhatNoPageSaysOfItself(t *testing.T) {
	p := aSite(t)
	own, none := "default-src 'none'; img-src 'self'; frame-ancestors 'none'", "default-src 'none'; frame-ancestors 'none'"
	for path, want := range map[string][2]string{
		"/": {"text/html; charset=utf-8", own}, "/index.html": {"text/html; charset=utf-8", own}, "/entries/": {"text/html; charset=utf-8", own},
		"/entries/?i=3": {"text/html; charset=utf-8", own}, "/bare.html": {"text/html; charset=utf-8", none}, "/late.html": {"text/html; charset=utf-8", none},
		"/assets/a.mjs": {"text/javascript; charset=utf-8", none}, "/assets/style.css": {"text/css; charset=utf-8", none},
		"/entries/feed.xml": {"application/atom+xml", none}, "/growth.csv": {"text/csv; charset=utf-8", none},
		"/.well-known/assay-ledger.json": {"application/json", none}, "/lookup/00a": {"text/plain; charset=utf-8", none},
	} {
		r := p.get("GET", path)
		if r == nil {
			t.Errorf("%s is not there", path)
			continue
		}
		h := r.Header
		if r.StatusCode != 200 || h.Get("Content-Type") != want[0] || h.Get("Content-Security-Policy") != want[1] || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cross-Origin-Opener-Policy") != "same-origin" || h.Get("Permissions-Policy") == "" ||
			h.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(h.Get("ETag"), `W/"`) {
			t.Errorf("%s: %d %v", path, r.StatusCode, h)
		}
		same := p.get("GET", path, "If-None-Match: "+h.Get("ETag"), "Accept-Encoding: gzip")
		if same.StatusCode != 304 || len(bodyOf(t, same)) != 0 {
			t.Errorf("%s, as it is: %d", path, same.StatusCode)
		}
		if head := p.get("HEAD", path); head.StatusCode != 200 || len(bodyOf(t, head)) != 0 || head.Header.Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD %s: %d %v", path, head.StatusCode, head.Header)
		}
	}
	plain := bodyOf(t, p.get("GET", "/lookup/00a"))
	packed := p.get("GET", "/lookup/00a", "Accept-Encoding: br, gzip")
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || !bytes.Equal(text, plain) || packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("compressed: %d bytes of %d, %v", len(text), len(plain), err)
	}
	if same := p.get("GET", "/lookup/00a", "Accept-Encoding: gzip;q=0"); same.Header.Get("Content-Encoding") != "" || !bytes.Equal(bodyOf(t, same), plain) {
		t.Error("gzip for whoever takes none")
	}
	if part := p.get("GET", "/lookup/00a", "Accept-Encoding: gzip", "Range: bytes=2-3"); part.StatusCode != 206 || string(bodyOf(t, part)) != "00" {
		t.Errorf("a range: %d", part.StatusCode)
	}
}

// API-52
func TestWhatIsNoFileOfTheSiteIsNotThere(t *testing.T) {
	p := aSite(t)
	for _, path := range []string{"/nothing", "/entries", "/assets/", "/lookup/", "/index.html/", "//index.html", "/./index.html", "/entries/../index.html", "/%69ndex.html",
		"/entries%2findex.html", "/..%2fsecret", "/../secret", "/out.html", "/in.html", "/outside/secret", "/outside/site/index.html", "/.assay-build/new/x.html",
		"/.well-known/.hidden", "/.well-known/../.assay-build/new/x.html", "/deep/.hidden/x", "/.", "/..", "/index.html%00", `/entries\index.html`} {
		if r := p.get("GET", path); r != nil {
			t.Errorf("%s: %d %q", path, r.StatusCode, bodyOf(t, r))
		}
	}
	if r := pages(filepath.Join(string(p), "gone")).get("GET", "/"); r != nil {
		t.Errorf("a site that is not built yet: %d", r.StatusCode)
	}
}

// failing is a log that cannot be read while it is told so.
type failing struct {
	*sitetest.Log
	with  atomic.Pointer[error]
	asked atomic.Int64
	mu    sync.Mutex // a build begins with the checkpoint: what was published before is seen
}

func (f *failing) Checkpoint(ctx context.Context) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Log.Checkpoint(ctx)
}

func (f *failing) Policy(ctx context.Context) ([]byte, error) {
	f.asked.Add(1)
	if err := f.with.Load(); err != nil {
		return nil, *err
	}
	return f.Log.Policy(ctx)
}

// API-54
func TestASiteIsBuiltAgainOnlyWhenSomethingIsPublishedAndAFailureIsToldOnce(t *testing.T) {
	log, err := sitetest.New("keeper")
	if err == nil {
		err = log.Grow(3)
	}
	if err == nil {
		err = log.Publish(sitetest.Began)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "site")
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		source := &failing{Log: log}
		k := &keeper{interval: 10 * time.Second, room: func() error { return nil }, log: slog.New(slog.NewTextHandler(&said, nil)), config: site.Config{Log: source, Out: out, Program: "test"}}
		stop := k.start(t.Context())
		defer stop()
		synctest.Wait()
		if _, err := os.Stat(filepath.Join(out, "index.html")); err != nil || k.notes() != nil {
			t.Fatalf("nothing is built at the start: %v, %v", err, k.notes())
		}
		builds := source.asked.Load()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if source.asked.Load() != builds {
			t.Error("built again, and nothing was published")
		}
		publish := func(size int64) {
			synctest.Wait() // it reads the log only while it builds
			source.mu.Lock()
			defer source.mu.Unlock()
			if err := errors.Join(log.Grow(size), log.Publish(sitetest.Began.Add(time.Duration(size)*time.Hour))); err != nil {
				t.Fatal(err)
			}
		}
		size := func() string {
			note, err := os.ReadFile(filepath.Join(out, "checkpoint"))
			if err != nil {
				t.Fatal(err)
			}
			return strings.Split(string(note), "\n")[1]
		}
		publish(5)
		time.Sleep(10*time.Second + 1)
		synctest.Wait()
		if size() != "5" {
			t.Errorf("the site has size %s", size())
		}
		away := fmt.Errorf("reading it: %w", fs.ErrPermission)
		source.with.Store(&away)
		publish(6)
		time.Sleep(time.Minute)
		synctest.Wait()
		if notes := k.notes(); len(notes) != 1 || notes[0].About != "site" || strings.Contains(notes[0].Public, "permission") || size() != "5" {
			t.Errorf("notes %v, size %s", notes, size())
		}
		if n := strings.Count(said.String(), "the site is not built"); n != 1 {
			t.Errorf("told %d times: %s", n, said.String())
		}
		// The longer it fails the longer are the pauses: a disk that is full, or a log that is damaged, has enough to do.
		tries := source.asked.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		if tries = source.asked.Load() - tries; tries < 10 || tries > 15 {
			t.Errorf("tried %d times in an hour", tries)
		}
		source.with.Store(nil)
		time.Sleep(slowestRetry + 1)
		synctest.Wait()
		if k.notes() != nil || size() != "6" || !strings.Contains(said.String(), "the site is built again") {
			t.Errorf("notes %v, size %s: %s", k.notes(), size(), said.String())
		}
	})
}

// API-54
func TestASiteLeavesTheLogTheRoomThatItNeeds(t *testing.T) {
	log, err := sitetest.New("room")
	if err == nil {
		err = errors.Join(log.Grow(3), log.Publish(sitetest.Began))
	}
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "site")
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("full")
		var left atomic.Int64 // looks until it is full
		source := &filling{Log: log}
		k := &keeper{interval: time.Second, log: slog.New(slog.DiscardHandler), config: site.Config{Log: source, Out: out, Program: "test"},
			room: func() error {
				if left.Add(-1) < 0 {
					return full
				}
				return nil
			}}
		if err := k.build(t.Context()); !errors.Is(err, full) || source.asked.Load() != 0 {
			t.Errorf("full before it began: %v, asked %d times", err, source.asked.Load())
		}
		left.Store(3)
		if err := k.build(t.Context()); !errors.Is(err, full) || source.asked.Load() == 0 {
			t.Errorf("full while it built: %v, asked %d times", err, source.asked.Load())
		}
		if notes := k.notes(); len(notes) != 1 || !errors.Is(notes[0].Err, full) {
			t.Errorf("notes %v", notes)
		}
		if list, err := os.ReadDir(out); err != nil || len(list) != 0 {
			t.Errorf("it leaves %v, %v", list, err)
		}
		source.goOn.Store(true)
		left.Store(1 << 40)
		if err := k.build(t.Context()); err != nil || k.notes() != nil {
			t.Errorf("with room: %v, %v", err, k.notes())
		}
	})
	if err := roomAt(out)(); err != nil && !strings.Contains(err.Error(), "kept for the log") {
		t.Error(err)
	}
	if err := roomAt(filepath.Join(out, "gone"))(); err == nil {
		t.Error("there is room where nothing is")
	}
}

// filling is a log whose entries come only when it may go on.
type filling struct {
	*sitetest.Log
	goOn  atomic.Bool
	asked atomic.Int64
}

func (f *filling) Tile(ctx context.Context, path string) ([]byte, error) {
	f.asked.Add(1)
	if !f.goOn.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return f.Log.Tile(ctx, path)
}

// panicking is a log whose policy cannot be asked for once.
type panicking struct {
	*sitetest.Log
	done bool
}

func (p *panicking) Policy(ctx context.Context) ([]byte, error) {
	if !p.done {
		p.done = true
		panic("asked")
	}
	return p.Log.Policy(ctx)
}

// API-54
func TestABuildThatPanicsEndsNeitherTheLedgerNorTheBuildsAfterIt(t *testing.T) {
	log, err := sitetest.New("panic")
	if err == nil {
		err = errors.Join(log.Grow(3), log.Publish(sitetest.Began))
	}
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{interval: time.Second, log: slog.New(slog.DiscardHandler), room: func() error { return nil },
		config: site.Config{Log: &panicking{Log: log}, Out: filepath.Join(t.TempDir(), "site"), Program: "test"}}
	if err := k.build(t.Context()); err == nil || !strings.Contains(err.Error(), "panicked: asked") || len(k.notes()) != 1 {
		t.Errorf("got %v, notes %v", err, k.notes())
	}
	if err := k.build(t.Context()); err != nil || k.notes() != nil {
		t.Errorf("the next one: %v, notes %v", err, k.notes())
	}
}
