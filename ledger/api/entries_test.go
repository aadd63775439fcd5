package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

type pageJSON struct {
	TreeSize     int64          `json:"tree_size"`
	Equivocation *bool          `json:"equivocation"`
	Manifests    int            `json:"manifests"`
	Entries      []anchoredJSON `json:"entries"`
	Cursor       string         `json:"cursor"`
}

func filledLog(n int) *fakeLog {
	f := &fakeLog{}
	for i := range n {
		f.append(trust.Digest{1, byte(i), byte(i >> 8)}, trust.Digest{2, byte(i), byte(i >> 8)}, entry.Source{Repo: "acme/app" + strconv.Itoa(i%2)})
	}
	return f
}

func hexOf(b ...byte) string {
	var d trust.Digest
	copy(d[:], b)
	return d.String()
}

// API-14
func TestEntryIsFoundByManifestPackRootAndIndex(t *testing.T) {
	h := newHandler(t, filledLog(9), nil)
	for _, id := range []string{hexOf(1, 5), hexOf(2, 5), "5"} {
		got := decode[pageJSON](t, ask(h, "GET", "/v1/entries/"+id, ""))
		if len(got.Entries) != 1 || *got.Equivocation || got.Manifests != 1 || got.TreeSize != 9 {
			t.Fatalf("%s: %+v", id, got)
		}
		e := got.Entries[0]
		if e.Index != 5 || e.ManifestSHA256 != hexOf(1, 5) || e.PackRootSHA256 != hexOf(2, 5) || e.ProofURL != "/v1/entries/"+hexOf(1, 5)+"/proof" {
			t.Errorf("%s: %+v", id, e)
		}
		proof := ask(h, "GET", "/v1/entries/"+id+"/proof", "")
		if proof.Code != 200 || proof.Header().Get("Content-Type") != typeText || !strings.Contains(proof.Body.String(), "\nindex 5\n") {
			t.Errorf("proof of %s: %d %s", id, proof.Code, proof.Body)
		}
	}
}

// API-17, API-18
func TestManifestsThatShareAPackRootAreFlagged(t *testing.T) {
	log := filledLog(3)
	log.append(trust.Digest{1, 99}, trust.Digest{2, 1}, entry.Source{})
	h := newHandler(t, log, nil)
	got := decode[pageJSON](t, ask(h, "GET", "/v1/entries/"+hexOf(2, 1), ""))
	if len(got.Entries) != 2 || !*got.Equivocation || got.Manifests != 2 {
		t.Fatalf("by pack root: %+v", got)
	}
	for _, id := range []string{hexOf(1, 1), hexOf(1, 99), "1", "3"} {
		if got := decode[pageJSON](t, ask(h, "GET", "/v1/entries/"+id, "")); len(got.Entries) != 1 || !*got.Equivocation || got.Manifests != 2 {
			t.Errorf("%s: %+v", id, got)
		}
	}
	p := wantProblem(t, ask(h, "GET", "/v1/entries/"+hexOf(2, 1)+"/proof", ""), several)
	if !slices.Equal(p.Digests, []string{hexOf(1, 1), hexOf(1, 99)}) {
		t.Errorf("digests are %v", p.Digests)
	}
	if w := ask(h, "GET", "/v1/entries/"+p.Digests[1]+"/proof", ""); w.Code != 200 {
		t.Errorf("proof of one of them: %d", w.Code)
	}
}

// API-14
func TestManifestDigestIsPreferredToPackRoot(t *testing.T) {
	log := filledLog(1)
	log.append(trust.Digest{7}, trust.Digest{1, 0}, entry.Source{}) // its pack root is the manifest digest of entry 0
	got := decode[pageJSON](t, ask(newHandler(t, log, nil), "GET", "/v1/entries/"+hexOf(1, 0), ""))
	if len(got.Entries) != 1 || got.Entries[0].Index != 0 {
		t.Errorf("got %+v", got)
	}
}

// API-14
func TestKeysThatNameNothingAre404(t *testing.T) {
	h := newHandler(t, filledLog(3), nil)
	for _, id := range []string{
		"3", "-1", "+1", "01", "1.0", "1e0", "0x1", " 1", "9223372036854775807", "9223372036854775808", "99999999999999999999999",
		hexOf(9), strings.ToUpper(hexOf(1, 0xab)), hexOf(1)[:63], hexOf(1) + "0", strings.Repeat("g", 64), "", "..", "%2e%2e", "%2f", "a%00b",
		"%27%20OR%201=1--", "*", "%25", strings.Repeat("9", 4000),
	} {
		wantProblem(t, ask(h, "GET", "/v1/entries/"+strings.ReplaceAll(id, " ", "%20"), ""), notFound)
		wantProblem(t, ask(h, "GET", "/v1/entries/"+strings.ReplaceAll(id, " ", "%20")+"/proof", ""), notFound)
	}
	// Who asks with the digest that sha256sum prints of the file hears which one is meant.
	file := trust.Digest(sha256.Sum256([]byte("{ }\n"))).String()
	if p := wantProblem(t, ask(h, "GET", "/v1/entries/"+file, ""), notFound); !strings.Contains(p.Detail, "of the canonical manifest, not that of its file") {
		t.Errorf("a digest that is not found is answered with %q", p.Detail)
	}
}

// API-15
func TestIndexedButUnpublishedEntriesAreNotShown(t *testing.T) {
	log := filledLog(3)
	log.hidden = 1
	h := newHandler(t, log, nil)
	for _, path := range []string{hexOf(1, 2), hexOf(1, 2) + "/proof"} {
		w := ask(h, "GET", "/v1/entries/"+path, "")
		wantProblem(t, w, notYet)
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	wantProblem(t, ask(h, "GET", "/v1/entries/2", ""), notFound)
	if got := decode[pageJSON](t, ask(h, "GET", "/v1/entries", "")); len(got.Entries) != 2 {
		t.Errorf("the list has %d entries", len(got.Entries))
	}
}

// API-20
func TestAPageWithoutAPublishedEntryIsNotTheLastOne(t *testing.T) {
	log := filledLog(4)
	log.hidden = 2
	h := newHandler(t, log, nil)
	var seen []int64
	target, pages := "/v1/entries?limit=1", 0
	for ; pages < 9; pages++ {
		page := decode[pageJSON](t, ask(h, "GET", target, ""))
		for _, e := range page.Entries {
			seen = append(seen, e.Index)
		}
		if page.Cursor == "" {
			break
		}
		target = "/v1/entries?limit=1&cursor=" + page.Cursor
	}
	if !slices.Equal(seen, []int64{1, 0}) || pages != 3 {
		t.Errorf("entries %v after %d pages", seen, pages+1)
	}
}

// lyingIndex points everything at entry 0.
type lyingIndex struct{ *fakeLog }

func (lyingIndex) Find(context.Context, trust.Digest) (int64, bool, error) { return 0, true, nil }

// API-16
func TestWrongIndexIsNoticed(t *testing.T) {
	log := filledLog(3)
	h := newHandler(t, log, func(c *Config) { c.Index = lyingIndex{log} })
	wantProblem(t, ask(h, "GET", "/v1/entries/"+hexOf(1, 2), ""), internal)
	wantProblem(t, ask(h, "GET", "/v1/entries/"+hexOf(1, 2)+"/proof", ""), internal)
}

// API-20
func TestPagesCoverTheLogOnceNewestFirst(t *testing.T) {
	for _, size := range []int{0, 1, 2, 6, 7, 8, 20} {
		h := newHandler(t, filledLog(size), nil)
		var seen []int64
		for cursor, pages := "", 0; ; pages++ {
			target := "/v1/entries?limit=7"
			if cursor != "" {
				target += "&cursor=" + cursor
			}
			page := decode[pageJSON](t, ask(h, "GET", target, ""))
			for _, e := range page.Entries {
				seen = append(seen, e.Index)
			}
			if cursor = page.Cursor; cursor == "" || pages > size {
				break
			}
		}
		var want []int64
		for n := size - 1; n >= 0; n-- {
			want = append(want, int64(n))
		}
		if !slices.Equal(seen, want) {
			t.Errorf("size %d: %v", size, seen)
		}
	}
}

// API-19
func TestFiltersReachTheIndex(t *testing.T) {
	h := newHandler(t, filledLog(10), nil)
	if got := decode[pageJSON](t, ask(h, "GET", "/v1/entries?source_repo=acme/app1", "")); len(got.Entries) != 5 || got.Entries[0].Index != 9 {
		t.Errorf("got %+v", got)
	}
	q, err := parseSearch(url.Values{"signer": {hexOf(3)}, "claim_check": {"N/A"}, "since": {"2026-01-02T03:04:05.678Z"}, "cursor": {"12"}, "limit": {"100"}})
	if err != nil || q.SignerKeySHA256 != hexOf(3) || q.ClaimCheck != "N/A" || q.Since.UnixMilli()%1000 != 678 || q.Before != 12 || q.Limit != 100 {
		t.Errorf("got %+v, %v", q, err)
	}
}

// API-2, API-19
func TestQueryAbuseIsRefused(t *testing.T) {
	h := newHandler(t, broken{errTest}, nil) // reaching the index would be a 500
	hostile := []string{
		"' OR 1=1--", "1; DROP TABLE entries", "1 UNION SELECT 1", "%", "_", "\x00", "-1", "0", "101", "1e2", "0x10", "１", "٣", "1.0", " 1", "1 ",
		"99999999999999999999", "NaN", "null", "true", "[]", "{}", "../..", "a/b/c", "/", "a/", "/b", "a/..", "a/.", "pass", "PASS ", "PASS\n",
		"2026-01-01", "2026-13-01T00:00:00Z", "now", "\"", "'", "`", "$(id)", "${jndi:x}", "<script>", "\u202e", strings.Repeat("A", 3000),
		"CASE WHEN 1 THEN 2 END", "0 OR SLEEP(5)", "LIKE '%'", "admin'/*", "\\", "\r\nX: y", strings.ToUpper(hexOf(0xab)),
	}
	for _, name := range []string{"signer", "source_repo", "claim_check", "since", "cursor", "limit"} {
		for _, value := range hostile {
			if name == "cursor" && value == "101" {
				continue // a good one
			}
			w := ask(h, "GET", "/v1/entries?"+name+"="+url.QueryEscape(value), "")
			wantProblem(t, w, malformed)
		}
	}
	for _, query := range []string{"x=1", "limit=1&limit=2", "Limit=1", "limit=1;cursor=2", "%", "limit", "cursor="} {
		wantProblem(t, ask(h, "GET", "/v1/entries?"+query, ""), malformed)
	}
	for _, path := range []string{"/v1/entries/1", "/v1/entries/1/proof", "/v1/log"} {
		wantProblem(t, ask(h, "GET", path+"?x=1", ""), malformed)
	}
}

func TestLogTellsWhatAVerifierNeeds(t *testing.T) {
	h := newHandler(t, filledLog(3), func(c *Config) { c.Rate, c.Burst = 20, 100 })
	got := decode[struct {
		Origin, VKey, Policy string
		TSARoots             string `json:"tsa_roots"`
		Size                 int64
		Root                 []byte
		Limits               map[string]float64
	}](t, ask(h, "GET", "/v1/log", ""))
	if got.Origin != "log.example/t" || !strings.HasPrefix(got.VKey, "log.example/t+") || got.Policy != string(h.cfg.Policy.Text()) ||
		got.TSARoots != string(h.cfg.TSARoots.PEM()) || strings.Contains(got.TSARoots, "remark") || got.Size != 3 || len(got.Root) != 32 ||
		got.Limits["manifest_bytes"] != 65536 || got.Limits["page_entries"] != 100 || got.Limits["wait_seconds"] != 30 || got.Limits["rate_per_second"] != 20 {
		t.Errorf("got %+v", got)
	}
}

// API-4, API-31
func TestReadersSeeProblemsToo(t *testing.T) {
	for _, err := range []error{errTest, ledger.ErrClosed, ledger.ErrStorage} {
		h := newHandler(t, broken{fmt.Errorf("reading: %w", err)}, nil)
		for _, path := range []string{"/v1/entries", "/v1/entries/1", "/v1/entries/" + hexOf(1), "/v1/entries/1/proof", "/v1/log", "/checkpoint", "/tile/0/000"} {
			w := ask(h, "GET", path, "")
			wantProblem(t, w, problemOf("GET", err))
			if errors.Is(err, ledger.ErrStorage) && w.Code != 503 || strings.Contains(w.Body.String(), "/secret") {
				t.Errorf("%s tells too much: %s", path, w.Body)
			}
		}
		wantProblem(t, ask(h, "GET", "/readyz", ""), notReady)
		if w := ask(h, "GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "ok\n" {
			t.Errorf("healthz: %d %s", w.Code, w.Body)
		}
	}
}

// Which reasons there are and what they say is in TestReadyzNamesEveryReasonAndOnlyPublicPaths.
// API-32, API-33
func TestReadyzShowsTheReasonsOfTheLogAndNotTheirErrors(t *testing.T) {
	l := filledLog(1)
	h := newHandler(t, l, nil)
	if w := ask(h, "GET", "/readyz", ""); w.Code != 200 || w.Body.String() != "ready\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	l.notes = []ledger.Reason{{About: "timestamps", Public: "No timestamp authority answers.", Err: errTest}}
	if w := ask(h, "GET", "/readyz", ""); w.Code != 200 || w.Body.String() != "ready\nnote: timestamps: No timestamp authority answers.\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	l.health = &ledger.NotReady{Reasons: []ledger.Reason{
		{About: "storage", Public: "Storage refuses writes.", Err: errTest},
		{About: "witnesses", Public: "w1 does not cosign.", Err: errTest},
	}}
	w := ask(h, "GET", "/readyz", "")
	got := wantProblem(t, w, notReady)
	want := []reasonJSON{{"storage", "Storage refuses writes."}, {"witnesses", "w1 does not cosign."}}
	if !slices.Equal(got.Reasons, want) || strings.Contains(w.Body.String(), "/secret") {
		t.Errorf("%s", w.Body)
	}
}

func FuzzSearchQuery(f *testing.F) {
	for _, s := range []string{"limit=1", "signer=" + hexOf(1), "source_repo=a/b&since=2026-01-01T00:00:00Z", "cursor=0", "a;b", "%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		values, err := strictQuery(raw, "signer", "source_repo", "claim_check", "since", "cursor", "limit")
		if err != nil {
			return
		}
		if q, err := parseSearch(values); err == nil && (q.Limit < 1 || q.Limit > maxPage || q.Before < 0) {
			t.Errorf("%q: %+v", raw, q)
		}
	})
}
