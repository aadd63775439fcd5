package api

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
)

func tileLog() *fakeLog {
	return &fakeLog{tiles: map[string][]byte{
		"tile/0/000":                     bytes.Repeat([]byte{7}, 8192),
		"tile/1/000.p/1":                 bytes.Repeat([]byte{8}, 32),
		"tile/entries/000":               bytes.Repeat([]byte("entry "), 5000),
		"tile/entries/x001/x234/067.p/3": []byte("three"),
	}}
}

// API-1, API-25, API-26
func TestTilesAreServedAsTheSpecSays(t *testing.T) {
	log := tileLog()
	h := newHandler(t, log, nil)
	for path, data := range log.tiles {
		w := ask(h, "GET", "/"+path, "")
		header := w.Header()
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), data) || header.Get("Content-Type") != "application/octet-stream" ||
			header.Get("Cache-Control") != "public, max-age=31536000, immutable" || header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %v", path, w.Code, header)
		}
		head := ask(h, "HEAD", "/"+path, "")
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != header.Get("Content-Length") {
			t.Errorf("HEAD %s: %d %v", path, head.Code, head.Header())
		}
		part := ask(h, "GET", "/"+path, "", "Range: bytes=1-2", "Accept-Encoding: gzip")
		if part.Code != 206 || !bytes.Equal(part.Body.Bytes(), data[1:3]) || part.Header().Get("Content-Encoding") != "" {
			t.Errorf("range of %s: %d %v", path, part.Code, part.Header())
		}
	}
}

// API-48, API-49
func TestTheHistoryIsServedAsBundlesOfEntriesAre(t *testing.T) {
	log := &fakeLog{kept: 513, tiles: map[string][]byte{
		"checkpoints/000":         bytes.Repeat([]byte("note "), 5000),
		"checkpoints/002.p/1":     []byte("one"),
		"checkpoints/x001/000":    []byte("many"),
		"checkpoints/x001/000.p/": []byte("never"),
	}}
	h := newHandler(t, log, nil)
	for path, cache := range map[string]string{
		"checkpoints/000": "public, max-age=31536000, immutable", "checkpoints/002.p/1": "public, max-age=60", "checkpoints/x001/000": "public, max-age=31536000, immutable",
	} {
		w := ask(h, "GET", "/"+path, "")
		header := w.Header()
		if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), log.tiles[path]) || header.Get("Content-Type") != "application/octet-stream" ||
			header.Get("Cache-Control") != cache || header.Get("Access-Control-Allow-Origin") != "*" || header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %d %v", path, w.Code, header)
		}
		if w := ask(h, "GET", "/"+path, "", "Accept-Encoding: gzip"); w.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %v", path, w.Header())
		}
		if w := ask(h, "GET", "/"+path, "", "Accept-Encoding: gzip", "Range: bytes=1-2"); w.Code != 206 || !bytes.Equal(w.Body.Bytes(), log.tiles[path][1:3]) {
			t.Errorf("range of %s: %d", path, w.Code)
		}
		if w := ask(h, "HEAD", "/"+path, ""); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != header.Get("Content-Length") {
			t.Errorf("HEAD %s: %d %v", path, w.Code, w.Header())
		}
	}
	if w := ask(h, "GET", "/checkpoints/count", ""); w.Code != 200 || w.Body.String() != "513\n" || w.Header().Get("Cache-Control") != "max-age=1" ||
		w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("count: %d %v %q", w.Code, w.Header(), w.Body)
	}
	log.asked = nil
	for _, path := range []string{"/checkpoints", "/checkpoints/", "/checkpoints/0", "/checkpoints/000.p/0", "/checkpoints/000.p/256", "/checkpoints/000?x=1", "/checkpoints/000?",
		"/checkpoints/%30%30%30", "/checkpoints/../checkpoint", "/checkpoints/count/", "/checkpoints/count?x", "/checkpoints/x001/000.p/", "//checkpoints/000"} {
		if w := ask(h, "GET", path, ""); w.Code != 404 || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if len(log.asked) > 0 {
		t.Errorf("%q reached the log", log.asked)
	}
}

// API-50
func TestPolicyAndRootsAreServedAsFiles(t *testing.T) {
	roots := testRoots(t)
	h := newHandler(t, filledLog(1), func(c *Config) { c.TSARoots = roots })
	w := ask(h, "GET", "/policy", "")
	if _, err := trust.ParsePolicy(w.Body.Bytes()); w.Code != 200 || err != nil || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("Cache-Control") != "max-age=1" {
		t.Errorf("policy: %d %v %v", w.Code, w.Header(), err)
	}
	if w := ask(h, "GET", "/tsa-roots.pem", ""); w.Code != 200 || !bytes.Equal(w.Body.Bytes(), roots.PEM()) || w.Header().Get("Content-Type") != "application/x-pem-file" {
		t.Errorf("roots: %d %v", w.Code, w.Header())
	}
	h = newHandler(t, filledLog(1), func(c *Config) { c.TSARoots = nil })
	if w := ask(h, "GET", "/tsa-roots.pem", ""); w.Code != 404 {
		t.Errorf("no roots: %d", w.Code)
	}
}

// A browser sends all of these without asking before: the headers are those that it, or a simple range, has by itself.
// API-51
func TestAPageOfAnotherOriginReadsEverythingWithoutAPreflight(t *testing.T) {
	h := newHandler(t, tileLog(), nil)
	for path, code := range map[string]int{"/tile/0/000": 200, "/tile/entries/000": 200, "/tile/0/009": 404, "/checkpoint": 200, "/policy": 200, "/checkpoints/count": 200,
		"/v1/log": 200, "/v1/entries": 200, "/v1/entries?x=1": 400, "/readyz": 200, "/nothing": 404, "/tsa-roots.pem": 200} {
		for _, headers := range [][]string{nil, {"Origin: https://other.example", "Accept: */*", "Accept-Language: de", "Sec-Fetch-Mode: cors", "Cache-Control: no-cache", "Pragma: no-cache"}} {
			if w := ask(h, "GET", path, "", headers...); w.Code != code || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s %v: %d %v", path, headers, w.Code, w.Header())
			}
		}
	}
	if w := ask(h, "GET", "/tile/0/000", "", "Origin: https://other.example", "Range: bytes=0-31"); w.Code != 206 || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Body.Len() != 32 {
		t.Errorf("a range: %d %v", w.Code, w.Header())
	}
}

// API-26
func TestBundlesAreCompressedForThoseWhoAsk(t *testing.T) {
	log := tileLog()
	h := newHandler(t, log, nil)
	const path = "/tile/entries/000"
	for accept, want := range map[string]string{"gzip": "gzip", "br, GZIP;q=0.5": "gzip", "gzip;q=0": "", "identity": "", "": "", "xgzip": ""} {
		w := ask(h, "GET", path, "", "Accept-Encoding: "+accept)
		if got := w.Header().Get("Content-Encoding"); got != want || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%q: %v", accept, w.Header())
		}
		var body io.Reader = w.Body
		if want == "gzip" {
			z, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, log.tiles[path[1:]]) {
			t.Errorf("%q: %d bytes, %v", accept, len(got), err)
		}
	}
	if w := ask(h, "HEAD", path, "", "Accept-Encoding: gzip"); w.Body.Len() != 0 || w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("HEAD: %v", w.Header())
	}
	if w := ask(h, "GET", "/tile/0/000", "", "Accept-Encoding: gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Errorf("hashes do not compress: %v", w.Header())
	}
}

// API-21
func TestCheckpointIsCachedForAMoment(t *testing.T) {
	h := newHandler(t, filledLog(2), nil)
	w := ask(h, "GET", "/checkpoint", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("Cache-Control") != "max-age=1" ||
		!strings.HasPrefix(w.Body.String(), "log.example/t\n2\n") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := ask(h, "HEAD", "/checkpoint", ""); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
}

// hostilePaths are other spellings of tiles, files beside tiles, and ways out.
var hostilePaths = []string{
	"/tile/", "/tile", "/tile//0/000", "//tile/0/000", "/tile/0//000", "/tile/0/000/", "/tile/./0/000", "/tile/../tile/0/000", "/./tile/0/000",
	"/tile/0/../../.state/treeState", "/tile/../.state/treeState", "/.state/treeState", "/tile/.state/treeState", "/.state/publish.lock",
	"/checkpoint123456789", "/checkpoint/", "/checkpoint.tmp", "/tile/0/000123456789", "/tile/0/.000.tmp",
	"/tile/%2e%2e/.state/treeState", "/tile/%2e%2e%2f.state%2ftreeState", "/tile/%252e%252e%252f.state", "/tile/..%5c.state", "/tile/..\\.state\\treeState", "/tile/..%255c.state",
	"/tile/0/000%00", "/tile/0/000%00.png", "/tile/0/%30%30%30", "/tile/%30/000", "/%74ile/0/000", "/tile/0%2f000", "/tile/0/000%20", "/tile/0/000%0a", "/tile/0/000%2e",
	"/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/257", "/tile/0/000.p/01", "/tile/0/000.p/-1", "/tile/0/000.p/+1", "/tile/0/000.p/", "/tile/0/000.p", "/tile/0/000.p/1/", "/tile/0/000.p/1.p/1", "/tile/0/000.p/1/../2",
	"/tile/00/000", "/tile/64/000", "/tile/-1/000", "/tile/+0/000", "/tile/0x0/000", "/tile/99999999999999999999/000",
	"/tile/0/0", "/tile/0/00", "/tile/0/0000", "/tile/0/x000/001", "/tile/0/000/001", "/tile/0/x001", "/tile/0/X001/000", "/tile/0/x001/x000", "/tile/0/xx01/000", "/tile/0/a00", "/tile/0/１２３",
	"/tile/entries", "/tile/entries/", "/tile/entries/0", "/tile/entries/000.p/0", "/tile/entries/000.p/256", "/tile/Entries/000", "/tile/entries/x009/x999/x999/x999/x999/x999/999", "/tile/entries/x001/x001/x001/x001/x001/x001/x001/001",
	"/tile/data/000", "/tile/8/0/000", "/tile/names/000", "/tile/0/000?x=1", "/tile/0/000?", "/etc/passwd", "/../../etc/passwd", "/index.db", "/tile/0/000;x", "/tile/0/000:ads",
	"/v1/../tile/0/000", "/TILE/0/000", "/Checkpoint",
}

// API-22
func TestNoPathLeadsOutOfTheTiles(t *testing.T) {
	if len(hostilePaths) < 60 {
		t.Fatalf("%d paths", len(hostilePaths))
	}
	log := tileLog()
	h := newHandler(t, log, nil)
	server := httptest.NewServer(h)
	defer server.Close()
	for _, path := range hostilePaths {
		// As a server sees it that did the parsing, and as a client that does none would send it.
		r := httptest.NewRequest("GET", "/", nil)
		if u, err := url.ParseRequestURI(path); err == nil {
			r.URL = u
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			wantProblem(t, w, notFound)
		} else {
			r.URL = &url.URL{Path: path}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			wantProblem(t, w, notFound)
		}
		req, err := http.NewRequest("GET", server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = path
		if strings.HasPrefix(path, "//") {
			req.URL.Opaque = "http://" + req.URL.Host + path
		}
		res, err := server.Client().Do(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		res.Body.Close()
		// 400: net/http itself refuses what is no URL.
		if res.StatusCode != 404 && res.StatusCode != 400 {
			t.Errorf("%s on the wire: %d", path, res.StatusCode)
		}
	}
	if len(log.asked) != 0 {
		t.Errorf("these reached the log: %q", log.asked)
	}
	wantProblem(t, ask(h, "GET", "/tile/0/001", ""), notFound)
	if len(log.asked) != 1 {
		t.Errorf("a tile that is not there did not reach the log: %q", log.asked)
	}
}

func BenchmarkTile(b *testing.B) {
	h := newHandler(b, tileLog(), nil)
	for _, c := range []struct{ name, path, encoding string }{
		{"hashes", "/tile/0/000", ""}, {"bundle", "/tile/entries/000", ""}, {"bundle gzip", "/tile/entries/000", "gzip"}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(h, "GET", c.path, "", "Accept-Encoding: "+c.encoding); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}
