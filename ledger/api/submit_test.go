package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

const entriesURL = "/v1/entries?source_repo=acme/app&source_workflow=ci.yml&source_commit=0123456789abcdef0123456789abcdef01234567"

type anchoredJSON struct {
	Index          int64  `json:"index"`
	ManifestSHA256 string `json:"manifest_sha256"`
	PackRootSHA256 string `json:"pack_root_sha256"`
	Entry          any    `json:"entry"`
	Leaf           []byte `json:"leaf"`
	ProofURL       string `json:"proof_url"`
	New            bool   `json:"new"`
	TreeSize       int64  `json:"tree_size"`
	Proof          string `json:"proof"`
}

// API-9
func TestSubmissionIsAnsweredWithItsProof(t *testing.T) {
	log := &fakeLog{}
	h := newHandler(t, log, nil)
	first := ask(h, "POST", entriesURL, "manifest one", "Accept: */*")
	if first.Code != 201 || first.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("got %d %v", first.Code, first.Header())
	}
	if got := first.Body.String(); !strings.HasPrefix(got, "c2sp.org/tlog-proof@v1\n") {
		t.Errorf("body is no tlog-proof: %q", got)
	}
	location := "/v1/entries/" + log.logged[0].Entry.ManifestSHA256.String()
	if got := first.Header().Get("Location"); got != location {
		t.Errorf("Location is %q, want %q", got, location)
	}
	if got := log.logged[0].Entry.Source; got.Repo != "acme/app" || got.Workflow != "ci.yml" || !strings.HasPrefix(got.Commit, "0123") {
		t.Errorf("source is %+v", got)
	}
	again := ask(h, "POST", entriesURL, "manifest one")
	if again.Code != 200 || again.Body.String() != first.Body.String() {
		t.Errorf("the second time: %d %q", again.Code, again.Body)
	}
}

// API-10
func TestSubmissionIsAnsweredAsJSONWhenAsked(t *testing.T) {
	h := newHandler(t, &fakeLog{}, nil)
	ask(h, "POST", entriesURL, "manifest zero")
	w := ask(h, "POST", entriesURL, "manifest one", "Accept: application/json")
	got := decode[anchoredJSON](t, w)
	digest, err := trust.ParseDigest(got.ManifestSHA256)
	if err != nil || w.Code != 201 || !got.New || got.Index != 1 || got.TreeSize != 2 || got.ProofURL != "/v1/entries/"+digest.String()+"/proof" ||
		!strings.Contains(got.Proof, "\nindex 1\n") || !strings.Contains(string(got.Leaf), `"<&> 1"`) || got.Entry == nil {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(w.Body.String(), `"entry":`+string(got.Leaf)) {
		t.Errorf("the entry is not the leaf, byte for byte: %s", w.Body)
	}
}

// API-6
func TestBodiesThatAreNoPlainManifestAreRefused(t *testing.T) {
	log := &fakeLog{}
	h := newHandler(t, log, nil)
	full := strings.Repeat("x", ledger.MaxManifest)
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    problem
	}{
		"one byte too many":    {full + "x", nil, tooLarge},
		"gzip":                 {"x", []string{"Content-Encoding: gzip"}, badEncoding},
		"identity said":        {"x", []string{"Content-Encoding: identity"}, badEncoding},
		"multipart":            {"x", []string{"Content-Type: multipart/form-data; boundary=x"}, badType},
		"no media type":        {"x", []string{"Content-Type: ;;;"}, badType},
		"two types":            {"x", []string{"Content-Type: application/json", "Content-Type: text/html"}, badType},
		"a type with an oddly": {"x", []string{"Content-Type: application/jsonx"}, badType},
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, ask(h, "POST", entriesURL, c.body, c.headers...), c.want)
		})
	}
	// Chunked: nobody announces the length.
	r := httptest.NewRequest("POST", entriesURL, struct{ *strings.Reader }{strings.NewReader(full + "x")})
	r.ContentLength = -1
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	wantProblem(t, w, tooLarge)
	if len(log.logged) != 0 {
		t.Fatalf("%d of those were logged", len(log.logged))
	}
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "application/octet-stream", ""} {
		var headers []string
		if contentType != "" {
			headers = []string{"Content-Type: " + contentType}
		}
		if w := ask(h, "POST", entriesURL, full, headers...); w.Code/100 != 2 {
			t.Errorf("64 KiB of %q: %d %s", contentType, w.Code, w.Body)
		}
	}
}

// API-2
func TestSubmissionsWithAQueryThatNobodyReadsAreRefused(t *testing.T) {
	log := &fakeLog{}
	h := newHandler(t, log, nil)
	for query, want := range map[string]problem{
		"source_repo=a/b&x=1":                      malformed,
		"SOURCE_REPO=a/b":                          malformed,
		"source_repo=a/b&source_repo=a/b":          malformed,
		"source_repo=a/b;source_workflow=x":        malformed,
		"source_repo=%zz":                          malformed,
		"source_repo=" + strings.Repeat("a", 5000): malformed,
		"source_repo=../..":                        badSource,
		"source_repo=javascript:alert(1)":          badSource,
		"source_repo=%D0%BEpenai/gpt":              badSource,
		"source_repo=a/b%0a":                       badSource,
		"source_repo=%3Cscript%3E/x":               badSource,
	} {
		wantProblem(t, ask(h, "POST", "/v1/entries?"+query, "m"), want)
	}
	if len(log.logged) != 0 {
		t.Errorf("%d of those were logged", len(log.logged))
	}
}

// API-4, API-13
func TestEveryErrorOfTheLogIsAProblem(t *testing.T) {
	rejection := &ledger.Rejected{Findings: []manifest.Finding{{Code: "E_MANIFEST_SIGNATURE", Field: "signature", Message: "<b>bad</b>\x1b"}}}
	for name, c := range map[string]struct {
		err   error
		want  problem
		retry string
	}{
		"rejected":         {rejection, rejected, ""},
		"busy":             {ledger.ErrBusy, busy, "1"},
		"unheard":          {fmt.Errorf("%w: %w", ledger.ErrUnpublished, &ledger.Unheard{Witnesses: []string{"w1"}}), unheard, "5"},
		"unpublished":      {ledger.ErrUnpublished, unpublished, "1"},
		"no timestamp":     {ledger.ErrTimestamp, noTimestamp, "5"},
		"storage":          {ledger.ErrStorage, storageFull, ""},
		"frozen":           {fmt.Errorf("%w: %w", ledger.ErrUnpublished, ledger.ErrFrozen), frozen, "60"},
		"closed":           {ledger.ErrClosed, closing, "5"},
		"not found":        {ledger.ErrNotFound, notFound, ""},
		"too late":         {context.DeadlineExceeded, unpublished, "1"},
		"anything else":    {errTest, internal, ""},
		"wrapped rejected": {fmt.Errorf("adding: %w", rejection), rejected, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, broken{fmt.Errorf("adding: %w", c.err)}, nil)
			w := ask(h, "POST", entriesURL, "m")
			got := wantProblem(t, w, c.want)
			if w.Header().Get("Retry-After") != c.retry {
				t.Errorf("Retry-After is %q, want %q", w.Header().Get("Retry-After"), c.retry)
			}
			if c.want.name == rejected.name && (len(got.Findings) != 1 || got.Findings[0].Code != "E_MANIFEST_SIGNATURE" || got.Findings[0].Field != "signature") {
				t.Errorf("findings are %+v", got.Findings)
			}
			if strings.Contains(w.Body.String(), "/secret") || w.Header().Get("Location") != "" {
				t.Errorf("the answer tells too much: %v %s", w.Header(), w.Body)
			}
		})
	}
}

// API-4
func TestFloodOfFindingsIsCutShort(t *testing.T) {
	long := &ledger.Rejected{}
	for range 1000 {
		long.Findings = append(long.Findings, manifest.Finding{Code: "E_X", Message: strings.Repeat("é", 10000)})
	}
	w := ask(newHandler(t, broken{long}, nil), "POST", entriesURL, "m")
	if got := wantProblem(t, w, rejected); len(got.Findings) != 32 || w.Body.Len() > 32<<10 {
		t.Errorf("%d findings in %d bytes", len(got.Findings), w.Body.Len())
	}
}

// API-37
func TestSubmissionsBeyondTheBoundAreToldToComeBack(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	log := &fakeLog{add: func(context.Context, []byte, entry.Source) (*entry.Anchored, error) {
		entered <- struct{}{}
		<-release
		return nil, ledger.ErrUnpublished
	}}
	h := newHandler(t, log, func(c *Config) { c.MaxInFlight = 1 })
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- ask(h, "POST", entriesURL, "one") }()
	<-entered
	w := ask(h, "POST", entriesURL, "two")
	wantProblem(t, w, busy)
	if w.Header().Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
	}
	close(release)
	wantProblem(t, <-done, unpublished)
}

// API-37
func TestABodyThatIsOnItsWayTakesNoPlace(t *testing.T) {
	h := newHandler(t, &fakeLog{}, func(c *Config) { c.MaxInFlight = 1 })
	body, send := io.Pipe()
	slow := httptest.NewRecorder()
	done := make(chan struct{})
	go func() { defer close(done); h.ServeHTTP(slow, httptest.NewRequest("POST", entriesURL, body)) }()
	if _, err := send.Write([]byte("slow")); err != nil { // returns when the handler has read it
		t.Fatal(err)
	}
	if w := ask(h, "POST", entriesURL, "quick"); w.Code != 201 {
		t.Errorf("beside a slow sender: %d %s", w.Code, w.Body)
	}
	send.Close()
	if <-done; slow.Code != 201 {
		t.Errorf("the slow one: %d %s", slow.Code, slow.Body)
	}
}

// API-11
func TestSubmissionWaitsNoLongerThanItMay(t *testing.T) {
	log := &fakeLog{add: func(ctx context.Context, _ []byte, _ entry.Source) (*entry.Anchored, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	h := newHandler(t, log, func(c *Config) { c.Wait = time.Millisecond })
	wantProblem(t, ask(h, "POST", entriesURL, "m"), unpublished)
}

// API-12
func TestAcceptedSubmissionsAreHandedToTheLogWithTheirSource(t *testing.T) {
	digest := trust.Digest{0xab}
	log := &fakeLog{accept: func(manifest []byte, src entry.Source) (trust.Digest, error) {
		if string(manifest) != "m" || src.Repo != "a/b" || src.Workflow != "ci.yml" {
			t.Errorf("accepted %q from %+v", manifest, src)
		}
		return digest, nil
	}}
	h := newHandler(t, log, nil)
	location := "/v1/entries/ab" + strings.Repeat("00", 31)
	w := ask(h, "POST", "/v1/entries?source_repo=a/b&source_workflow=ci.yml", "m", "Prefer: respond-async")
	if w.Code != 202 || w.Header().Get("Location") != location || w.Header().Get("Preference-Applied") != "respond-async" || w.Body.String() != location+"\n" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	log.accepted = map[trust.Digest]bool{digest: true}
	w = ask(h, "GET", location, "")
	wantProblem(t, w, notYet)
	if w.Header().Get("Retry-After") == "" {
		t.Errorf("an entry on its way: %v", w.Header())
	}
	log.append(digest, trust.Digest{1}, entry.Source{}) // the index has it now, and the spool may have it still
	if w := ask(h, "GET", location, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWhatCannotBeAcceptedSaysWhy(t *testing.T) {
	for err, want := range map[error]problem{
		ledger.ErrBusy: busy, ledger.ErrStorage: storageFull, ledger.ErrFrozen: frozen, ledger.ErrClosed: closing, &ledger.Rejected{}: rejected,
	} {
		h := newHandler(t, broken{fmt.Errorf("accepting: %w", err)}, nil)
		w := ask(h, "POST", entriesURL, "m", "Prefer: respond-async")
		wantProblem(t, w, want)
		if want.status == 503 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: no Retry-After", err)
		}
		if w.Header().Get("Location") != "" {
			t.Errorf("%v: a location", err)
		}
	}
}

// API-12
func TestPreferIsReadAsAList(t *testing.T) {
	for value, want := range map[string]bool{
		"respond-async": true, "Respond-Async": true, "wait=10, respond-async": true, "respond-async; x=y": true,
		"return=minimal": false, "": false, "respond-asynchronously": false, "x=respond-async": false,
	} {
		if got := prefersAsync(http.Header{"Prefer": {value}}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

// API-10
func TestAcceptChoosesJSONOnlyByName(t *testing.T) {
	for value, want := range map[string]bool{
		"*/*": false, "": false, "text/plain": false, "application/*": false, "application/json": true,
		"text/html, application/json;q=0.9": true, "application/json;q=0": false, "Application/JSON": true, "application/json; q=0.0": false,
		"application/problem+json": false,
	} {
		if got := wantsJSON(http.Header{"Accept": {value}}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}
