package browser

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
)

// published is a site, and where a foreign server has it: under a path of its own.
type published struct {
	dir, url string
}

// publish builds the site of a log, and serves it as a plain file server does.
func publish(t *testing.T, l *sitetest.Log) *published {
	t.Helper()
	p := &published{dir: filepath.Join(t.TempDir(), "site")}
	p.build(t, l)
	files := http.StripPrefix("/some/path", http.FileServer(http.Dir(p.dir)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // what a test changes within a second is another file all the same
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL + "/some/path/"
	return p
}

func (p *published) build(t *testing.T, l *sitetest.Log) {
	t.Helper()
	if _, err := site.Build(t.Context(), site.Config{Log: l, Out: p.dir, BasePath: "/some/path/", Program: "assay 1.0"}); err != nil {
		t.Fatal(err)
	}
}

// logOf is a log with the entries, published.
func logOf(t *testing.T, leaves ...[]byte) *sitetest.Log {
	t.Helper()
	l := must[*sitetest.Log](t)(sitetest.New("browser"))
	for _, leaf := range leaves {
		if err := l.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Publish(sitetest.Began.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return l
}

func leaves(n int64) (list [][]byte) {
	for i := range n {
		list = append(list, sitetest.Entry(i).Leaf())
	}
	return list
}

// said waits until a place of the page says something that is not "busy", and gives its kind and words.
func (b *tab) said(id string) (kind, text string) {
	b.Helper()
	value[bool](b, `new Promise((ok) => { const look = () => { const e = document.getElementById('%s'); !e.hidden && e.dataset.kind && e.dataset.kind !== 'busy' ? ok(true) : setTimeout(look, 10); }; look(); })`, id)
	return value[string](b, `document.getElementById('%s').dataset.kind`, id), value[string](b, `document.getElementById('%s').textContent`, id)
}

// alarmed checks that a page warns with such words, that its headline is of a kind, and that nothing on it is green.
func (b *tab) alarmed(kind string, words ...string) {
	b.Helper()
	got, text := b.said("status")
	if got != kind {
		b.Errorf("the headline is %s and not %s: %s", got, kind, text)
	}
	told := value[string](b, `[...document.querySelectorAll('.alarm')].filter((e) => e.checkVisibility()).map((e) => e.textContent).join(' ')`)
	for _, word := range words {
		if !strings.Contains(told, word) {
			b.Errorf("no alarm says %q: %s", word, told)
		}
	}
	if green := value[string](b, "%s", green); green != "" {
		b.Errorf("under an alarm there is green: %s", green)
	}
}

// green is what of a page has the colour of what holds.
const green = `(() => { const probe = document.body.appendChild(document.createElement('i')); probe.style.color = 'var(--good)'; const hue = getComputedStyle(probe).color; probe.remove();
	return [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility() && (e.dataset.kind === 'good' || getComputedStyle(e).color === hue || getComputedStyle(e).stroke === hue)).map((e) => e.textContent.trim() || e.outerHTML).join(' | ').slice(0, 400); })()`

// click clicks, and waits for the page that this opens.
func (b *tab) click(selector string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.Fatalf("%s: %v", selector, err)
	}
}

// download clicks on a link that saves a file, and gives its path.
func (b *tab) download(selector, name string) string {
	b.Helper()
	dir := b.TempDir()
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, t, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir})
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, name)
	for end := time.Now().Add(limit); !saved(path); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("%s was not saved", name)
		}
	}
	return path
}

// saved tells whether a file was saved whole: until then it is empty, and what came so far stands beside it.
func saved(path string) bool {
	info, err := os.Stat(path)
	beside, _ := os.ReadDir(filepath.Dir(path))
	return err == nil && info.Size() > 0 && len(beside) == 1
}

// TestFromTheHomePageToAVerdictOnOnesOwnDisk is the way of somebody who got a link: home, an entry, its proof step by step,
// the proof saved, and a pack with it on verify.html from the disk.
func TestFromTheHomePageToAVerdictOnOnesOwnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pack")
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	key := packtest.KeyFrom("founder", "browser")
	if _, err := pack.BuildDir(dir, pack.Spec{RunID: "run", Now: at, Signer: key, Stream: calls(3)}); err != nil {
		t.Fatal(err)
	}
	r := must[*pack.Result](t)(pack.VerifyDir(dir, pack.Options{Now: at}))
	e := must[entry.Entry](t)(entry.New(r.Manifest, entry.Source{Repo: "acme/app", Attestation: "self"}, at, nil))
	l := logOf(t, append(leaves(300), e.Leaf())...)
	p := publish(t, l)

	b := newTab(t)
	b.open(p.url + "index.html")
	if text := value[string](b, `document.body.textContent`); !strings.Contains(text, e.PackID) {
		t.Error("the home page does not name the newest entry")
	}
	b.click(`a[href$="entry/index.html?i=300"]`)
	kind, text := b.said("status")
	if kind != "said" || !strings.Contains(text, "In the log that this site names (its own word).") {
		t.Fatalf("%s: %s", kind, text)
	}
	if n := value[int](b, `document.querySelectorAll('#steps li').length`); n < 3 {
		t.Errorf("%d steps are shown", n)
	}
	if n := value[int](b, `document.querySelectorAll('#tree svg path').length`); n < 3 {
		t.Errorf("%d branches are drawn", n)
	}
	proof := b.download("#get-proof", "entry-300.tlog-proof")
	for _, request := range first(b.asked()) {
		if !strings.HasPrefix(request, p.url) && !strings.HasPrefix(request, "blob:") {
			t.Errorf("a page asks for %s", request)
		}
	}

	// The verifier of the site, saved; and the command line.
	policy := write(t, "policy", string(must[[]byte](t)(l.Policy(t.Context()))))
	if code, out := assay(t, "verify-pack", dir, "--policy", policy, "--proof", proof, "--require-anchor"); code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	b.open(p.url + "verify/index.html")
	page := b.download(`a[download][href$="verify.html"]`, "verify.html")
	sum := fmt.Sprintf("%x", sha256.Sum256(must[[]byte](t)(os.ReadFile(page))))
	if text := value[string](b, `document.querySelector('main').textContent`); !strings.Contains(text, sum) {
		t.Errorf("the site does not say that its verifier is %s", sum)
	}
	b.open(fileURL(t, page))
	b.settled(nil)
	b.settled(func() { b.choose("#files", append(filesOf(t, dir), proof)...) })
	if class, text := b.settled(func() { b.choose("#policy", policy) }); class != "outcome exit0" || b.word("anchor") != "PASS" {
		t.Errorf("%s: %s", class, text)
	}
}

func first[A, B any](a A, _ B) A { return a }

// TestAMirrorThatLiesIsCaughtWhereAPageCanSeeIt: a page believes signatures and hashes, and no file for its name.
func TestAMirrorThatLiesIsCaughtWhereAPageCanSeeIt(t *testing.T) {
	all := leaves(300)
	l := logOf(t, all...)
	p := publish(t, l)
	b := newTab(t)
	entryPage := p.url + "entry/index.html?i="
	// What the site was when it was honest.
	b.open(entryPage + "290")
	if kind, text := b.said("status"); kind != "said" {
		t.Fatalf("%s: %s", kind, text)
	}
	honest := os.DirFS(p.dir)
	change := func(t *testing.T, name string, edit func([]byte) []byte) {
		t.Helper()
		data := must[[]byte](t)(fs.ReadFile(honest, name))
		path := filepath.Join(p.dir, filepath.FromSlash(name))
		edited := edit(bytes.Clone(data))
		if bytes.Equal(edited, data) {
			t.Fatalf("%s was not changed", name)
		}
		if err := os.WriteFile(path, edited, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.WriteFile(path, data, 0o600) })
	}
	flip := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	for _, lie := range []struct {
		name, file string
		edit       func([]byte) []byte
		index      string
	}{
		{"another entry's bytes", "tile/entries/001.p/44", func(d []byte) []byte { return bytes.Replace(d, []byte("pack_000299"), []byte("pack_000298"), 1) }, "299"},
		{"two entries change places", "tile/entries/000", func(d []byte) []byte {
			n := 2 + int(d[0])<<8 + int(d[1])
			m := 2 + int(d[n])<<8 + int(d[n+1])
			return append(append(append([]byte{}, d[n:n+m]...), d[:n]...), d[n+m:]...)
		}, "0"},
		{"a hash of a tile", "tile/0/000", flip, "7"},
		{"a hash above", "tile/1/000.p/1", flip, "290"},
		{"a root that nobody signed", "checkpoint", func(d []byte) []byte {
			lines := bytes.SplitN(d, []byte("\n"), 4)
			lines[2][3] ^= 1
			return bytes.Join(lines, []byte("\n"))
		}, "290"},
		{"a cosignature less", "checkpoint", func(d []byte) []byte {
			lines := bytes.SplitAfter(d, []byte("\n"))
			return bytes.Join(lines[:len(lines)-2], nil)
		}, "290"},
	} {
		t.Run(lie.name, func(t *testing.T) {
			b := newTab(t)
			change(t, lie.file, lie.edit)
			b.open(entryPage + lie.index)
			if kind, text := b.said("status"); kind != "bad" {
				t.Errorf("%s: %s", kind, text)
			}
			if green := value[int](b, `[...document.querySelectorAll('[data-kind=good]')].filter((e) => e.checkVisibility()).length`); green != 0 {
				t.Errorf("%d things are green", green)
			}
		})
	}
	t.Run("an old checkpoint", func(t *testing.T) {
		old := publish(t, logOf(t, all[:200]...))
		path := filepath.Join(p.dir, "checkpoint")
		data := must[[]byte](t)(fs.ReadFile(honest, "checkpoint"))
		t.Cleanup(func() { _ = os.WriteFile(path, data, 0o600) })
		for _, name := range []string{"checkpoint", "tile/entries/000.p/200", "tile/0/000.p/200"} { // what an older site had
			from := must[[]byte](t)(os.ReadFile(filepath.Join(old.dir, filepath.FromSlash(name))))
			to := filepath.Join(p.dir, filepath.FromSlash(name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, from, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		b.open(entryPage + "7") // in the browser that saw the newer one
		b.said("status")
		if text := value[string](b, `document.querySelector('main').textContent`); !strings.Contains(text, "older than a state that this browser verified before") {
			t.Error("a browser that saw the newer state was shown the older one, and did not say so")
		}
		b.alarmed("unchecked", "Older than what you have seen.", "Whether that one continues this one was not checked")
	})
	t.Run("other pages", func(t *testing.T) {
		// A page that was changed can say anything, and no page can see that. So the site says it, and names what can.
		b.open(p.url + "limits/index.html")
		text := value[string](b, `document.querySelector('main').textContent`)
		if !strings.Contains(text, "verify.html") || !strings.Contains(text, "cannot be mended from here") {
			t.Error("the page of limits does not say that the site can lie in its pages, or what helps")
		}
	})
}

// shape is a census of one page of the site after its scripts are done: addresses that name a thing of an entry are left out.
const shape = `JSON.stringify([...document.querySelectorAll('*')].map((e) => e.tagName + ' ' + [...e.attributes].map((a) =>
	/^(href|id|datetime|data-claims|data-source|d|viewBox)$/.test(a.name) ? a.name + (a.value.startsWith('javascript') ? '=javascript' : '') : a.name + '=' + a.value).sort().join(' '))
	.reduce((n, k) => (n[k] = (n[k] ?? 0) + 1, n), {}))`

// TestTextsOfEntriesNeverBecomeElements compares the site of a hostile log with one of the same shape.
func TestTextsOfEntriesNeverBecomeElements(t *testing.T) {
	texts := ascii(hostile())
	if len(texts) < 150 {
		t.Fatalf("%d texts", len(texts))
	}
	make := func(name func(i int, what string) string) *published {
		var list [][]byte
		for i := range texts {
			e := sitetest.Entry(int64(i))
			e.PackID, e.SignerID = name(i, "pack"), name(i, "signer")
			e.Source = entry.Source{Repo: "owner/name", Attestation: "self", Workflow: name(i, "workflow")}
			list = append(list, e.Leaf())
		}
		list = append(list, []byte(name(0, "leaf"))) // no entry at all
		return publish(t, logOf(t, list...))
	}
	bad := make(func(i int, what string) string { return texts[(i+len(what))%len(texts)] })
	good := make(func(i int, what string) string { return fmt.Sprintf("x%d", (i+len(what))%len(texts)) })

	b := newTab(t)
	look := func(p *published, page string) (string, string) {
		b.asked()
		b.open(p.url + page)
		if strings.Contains(page, "?") {
			b.said("status")
		}
		counted, text := value[string](b, shape), value[string](b, `document.body.textContent`)
		if value[bool](b, `'hacked' in globalThis`) {
			t.Errorf("%s: a script of an entry ran", page)
		}
		requests, _ := b.asked()
		for _, r := range requests {
			if !strings.HasPrefix(r, bad.url) && !strings.HasPrefix(r, good.url) && !strings.HasPrefix(r, "blob:") { // some come late
				t.Errorf("%s asks for %s", page, r)
			}
		}
		return counted, text
	}
	pages := []string{"index.html", "entries/index.html", "entries/2.html", "signer/index.html", "source/index.html", "entry/index.html?i=" + fmt.Sprint(len(texts)),
		"signer/index.html?k=" + sitetest.Entry(3).SignerKeySHA256.String(), "source/index.html?r=owner%2Fname"}
	for i := 0; i < len(texts); i += len(texts)/8 + 1 {
		pages = append(pages, fmt.Sprintf("entry/index.html?i=%d", i))
	}
	for _, page := range pages {
		got, text := look(bad, page)
		if want, _ := look(good, page); got != want {
			t.Errorf("%s has other elements: %s", page, others(t, got, want))
		}
		if !strings.Contains(text, "<") {
			t.Logf("%s shows no text of markup", page)
		}
	}
	// What a reader types is a text too.
	for _, text := range texts[:8] {
		b.open(bad.url + "entry/index.html?q=" + strings.NewReplacer("%", "%25", "&", "%26", "#", "%23", "+", "%2B", " ", "%20").Replace(text))
		b.said("status")
		if value[bool](b, `'hacked' in globalThis`) {
			t.Errorf("a script in an address ran: %s", text)
		}
	}
	for _, name := range []string{"entries/feed.xml", "checkpoints/feed.xml", "equivocation/feed.xml"} {
		if got, want := elements(t, filepath.Join(bad.dir, name)), elements(t, filepath.Join(good.dir, name)); got != want {
			t.Errorf("%s has other elements: %s", name, others(t, got, want))
		}
	}
	rows := must[[][]string](t)(csv.NewReader(bytes.NewReader(must[[]byte](t)(os.ReadFile(filepath.Join(bad.dir, "entries/newest.csv"))))).ReadAll())
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@|\t\r") {
				t.Errorf("a spreadsheet computes %q", cell)
			}
		}
	}
	if len(rows) < 100 {
		t.Errorf("%d rows", len(rows))
	}
}

// others are the elements of which there are more or fewer.
func others(t *testing.T, got, want string) (list []string) {
	t.Helper()
	var a, b map[string]int
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	for key, n := range a {
		if b[key] != n {
			list = append(list, fmt.Sprintf("%d and not %d %s", n, b[key], key))
		}
	}
	for key, n := range b {
		if a[key] == 0 {
			list = append(list, fmt.Sprintf("0 and not %d %s", n, key))
		}
	}
	return list
}

// elements counts those of a feed, each with its attributes but for addresses.
func elements(t *testing.T, path string) string {
	t.Helper()
	counted := map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(must[[]byte](t)(os.ReadFile(path)))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return string(must[[]byte](t)(json.Marshal(counted)))
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			key := start.Name.Local
			for _, a := range start.Attr {
				key += " " + a.Name.Local
			}
			counted[key]++
		}
	}
}

// A number may be that of an entry and the name of a pack: whoever types it is told of both.
func TestANumberThatIsTheNameOfAPackFindsBoth(t *testing.T) {
	named := func(i int64, name string) []byte {
		e := sitetest.Entry(i)
		e.PackID = name
		return e.Leaf()
	}
	p := publish(t, logOf(t, append(leaves(5), named(5, "3"), named(6, "777"), named(7, "7"))...))
	b := newTab(t)
	for _, c := range []struct{ typed, kind, says, named string }{
		{"3", "said", "In the log that this site names (its own word).", `A pack is called “3”, too: see entry 5.`},
		{"777", "said", "In the log that this site names (its own word).", ""}, // there is no such entry
		{"7", "said", "In the log that this site names (its own word).", ""},   // it is that entry's own name
		{"4", "said", "In the log that this site names (its own word).", ""},
		{"888", "unchecked", "There is no entry 888 yet", ""},
	} {
		b.open(p.url + "entry/index.html?q=" + c.typed)
		kind, text := b.said("status")
		if kind != c.kind || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s: %s", c.typed, kind, text)
		}
		if c.typed == "888" && !strings.Contains(text, "No pack is listed here for “888”") {
			t.Errorf("names are not said to have been looked up: %s", text)
		}
		if c.named != "" {
			value[bool](b, `new Promise((ok) => { const look = () => (document.getElementById('named') ? ok(true) : setTimeout(look, 10)); look(); })`)
			if got := value[string](b, `document.getElementById('named').textContent`); got != c.named {
				t.Errorf("%s: %q", c.typed, got)
			}
			b.click("#named a")
			if kind, _ := b.said("status"); kind != "said" || value[string](b, `document.getElementById('title').textContent`) != "Entry 5" {
				t.Errorf("the link does not lead to the pack of that name: %s", kind)
			}
		}
	}
	b.open(p.url + "entry/index.html?q=777")
	b.said("status")
	if got := value[string](b, `document.getElementById('title').textContent`); got != "Entry 6" {
		t.Errorf("777 leads to %s", got)
	}
}

// A history has a state once: who shows it under two numbers is told from who published it.
func TestAStateUnderTwoNumbersIsNoGoodHistory(t *testing.T) {
	l := logOf(t, leaves(5)...)
	for _, leaf := range leaves(9)[5:] {
		if err := l.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Publish(sitetest.Began.Add(2 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	p := publish(t, l)
	b := newTab(t)
	compare := func(from, to int) (kind, text string) {
		b.open(p.url + "checkpoints/index.html")
		value[bool](b, `(document.getElementById('from').value = %d, document.getElementById('to').value = %d, document.getElementById('compare').requestSubmit(), true)`, from, to)
		return b.said("status")
	}
	if kind, text := compare(0, 1); kind != "said" || !strings.Contains(text, "4 more") {
		t.Errorf("%s: %s", kind, text)
	}
	if kind, text := compare(1, 1); kind != "said" || !strings.Contains(text, "One checkpoint") {
		t.Errorf("%s: %s", kind, text)
	}
	var bundle []byte
	for _, note := range [][]byte{l.Notes[0], l.Notes[0]} {
		bundle = append(append(bundle, byte(len(note)>>8), byte(len(note))), note...)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "checkpoints", "000.p", "2"), bundle, 0o600); err != nil {
		t.Fatal(err)
	}
	if kind, text := compare(0, 1); kind != "bad" || !strings.Contains(text, "two numbers") {
		t.Errorf("%s: %s", kind, text)
	}
}

// put writes a file of the site as a mirror would.
func (p *published) put(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, filepath.FromSlash(name)), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// logLine is the line of a policy that names a log, and what people compare of its key.
func logLine(t *testing.T, l *sitetest.Log) (line, digest string) {
	t.Helper()
	for line := range strings.Lines(string(must[[]byte](t)(l.Policy(t.Context())))) {
		if vkey, ok := strings.CutPrefix(line, "log "); ok {
			return line, fmt.Sprintf("%x", sha256.Sum256([]byte(strings.TrimSpace(vkey))))
		}
	}
	t.Fatal("a policy without a log")
	return "", ""
}

// forger is a log of the same name with another key, of so many entries.
func forger(t *testing.T, n int64) *sitetest.Log {
	t.Helper()
	l := must[*sitetest.Log](t)(sitetest.New("forger"))
	if err := errors.Join(l.Grow(n), l.Publish(sitetest.Began.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	return l
}

// A policy with a second key of the log's name lets that one sign too. The key that a reader compares must be the one that did.
func TestThePageNamesTheKeyThatSigned(t *testing.T) {
	real, _ := logLine(t, logOf(t, leaves(5)...))
	forged := forger(t, 12)
	theirs, key := logLine(t, forged)
	p := publish(t, forged)
	policy := real + theirs + "quorum none\n"
	p.put(t, "policy", []byte(policy))
	b := newTab(t)
	for _, page := range []string{"entry/index.html?i=3", "signer/index.html?k=" + sitetest.Entry(3).SignerKeySHA256.String()} {
		b.open(p.url + page)
		b.alarmed("unchecked", "2 keys of one log.", key)
		if got := value[string](b, `document.querySelector('#key-used code').textContent`); got != key {
			t.Errorf("%s: the key that is shown is %s, and %s signed", page, got, key)
		}
		if got, want := value[string](b, `document.querySelector('#policy-used code').textContent`), fmt.Sprintf("%x", sha256.Sum256([]byte(policy))); got != want {
			t.Errorf("%s: the policy that is shown is %s, not %s", page, got, want)
		}
	}
}

// A mirror with a key of its own shows another log. That is an alarm, and accuses nobody of two histories.
func TestAMirrorWithItsOwnKeyDoesNotAccuseTheLog(t *testing.T) {
	all := leaves(12)
	p := publish(t, logOf(t, all...))
	b := newTab(t)
	b.open(p.url + "entry/index.html?i=3")
	b.said("status")
	honest := p.dir
	p.dir = publish(t, forger(t, 12)).dir
	for _, name := range []string{"checkpoint", "policy", "tile/0/000.p/12", "tile/entries/000.p/12"} {
		text := must[[]byte](t)(os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(name))))
		(&published{dir: honest}).put(t, name, text)
	}
	for _, page := range []string{"entry/index.html?i=3", "signer/index.html?k=" + sitetest.Entry(3).SignerKeySHA256.String()} {
		b.open(p.url + page)
		b.alarmed("bad", "Another log.")
		if text := value[string](b, `document.querySelector('main').textContent`); strings.Contains(text, "signed both") || strings.Contains(text, "Two books") {
			t.Errorf("%s accuses the log of what another key signed", page)
		}
	}
}

// What one key signed twice is the one proof of two histories.
func TestTwoBooksOfOneKeyAreTold(t *testing.T) {
	l := logOf(t, leaves(12)...)
	p := publish(t, l)
	b := newTab(t)
	b.open(p.url + "entry/index.html?i=3")
	b.said("status")
	fork := logOf(t, append(leaves(11), sitetest.Entry(400).Leaf())...)
	other := publish(t, fork)
	for _, name := range []string{"checkpoint", "tile/0/000.p/12", "tile/entries/000.p/12"} {
		p.put(t, name, must[[]byte](t)(os.ReadFile(filepath.Join(other.dir, filepath.FromSlash(name)))))
	}
	for _, page := range []string{"entry/index.html?i=3", "signer/index.html?k=" + sitetest.Entry(3).SignerKeySHA256.String()} {
		b.open(p.url + page)
		b.alarmed("bad", "Two books under one name.", "One key of the log signed both.")
	}
	b.open(p.url + "index.html")
	kind, text := b.said("live")
	if kind != "bad" || !strings.Contains(text, "Do not rely on this") || strings.Contains(text, "hold.") {
		t.Errorf("home: %s: %s", kind, text)
	}
}

// SIT-16. Only another manifest of one pack root contradicts the first; whoever logs one manifest twice says nothing new.
func TestAManifestThatIsLoggedTwiceAccusesNobody(t *testing.T) {
	twin := sitetest.Entry(4) // another key signs another manifest of that root
	twin.PackRootSHA256 = sitetest.Entry(3).PackRootSHA256
	own := sitetest.Entry(8) // the same key
	own.PackRootSHA256, own.SignerKeySHA256 = sitetest.Entry(7).PackRootSHA256, sitetest.Entry(7).SignerKeySHA256
	again := sitetest.Entry(2)
	p := publish(t, logOf(t, sitetest.Entry(2).Leaf(), again.Leaf(), sitetest.Entry(3).Leaf(), twin.Leaf(), sitetest.Entry(7).Leaf(), own.Leaf()))
	b := newTab(t)
	for _, c := range []struct {
		ask, kind, says, never string
	}{
		{"h=" + again.PackRootSHA256.String(), "said", "2 entries have this manifest", "different things"},
		{"h=" + again.ManifestSHA256.String(), "said", "2 entries have this manifest", "different things"},
		{"h=" + twin.PackRootSHA256.String(), "unchecked", "2 manifests have this pack root", "One key signed"},
		{"h=" + own.PackRootSHA256.String(), "bad", "One key signed several of them", ""},
	} {
		b.open(p.url + "entry/index.html?" + c.ask)
		if kind, text := b.said("status"); kind != c.kind || !strings.Contains(text, c.says) || c.never != "" && strings.Contains(text, c.never) {
			t.Errorf("%s: %s: %s", c.ask, kind, text)
		}
	}
	shown := func(id string) string {
		b.Helper()
		return value[string](b, `new Promise((ok) => { const look = () => { const e = document.getElementById('%s'); e.hidden ? setTimeout(look, 10) : ok(e.textContent); }; look(); })`, id)
	}
	b.open(p.url + "entry/index.html?i=0")
	if text := shown("again"); !strings.Contains(text, "This very manifest is also entry 1") || value[bool](b, `document.getElementById('twins').checkVisibility()`) {
		t.Errorf("a manifest that was logged twice: %s", text)
	}
	b.open(p.url + "entry/index.html?i=5")
	if text := shown("twins"); !strings.Contains(text, "One key signed several of them") || !strings.Contains(text, "entry 4") {
		t.Errorf("two manifests of one key: %s", text)
	}
	b.open(p.url + "entry/index.html?i=3")
	if text := shown("twins"); !strings.Contains(text, "Different keys signed them") {
		t.Errorf("two manifests of two keys: %s", text)
	}
	root := sitetest.Entry(3).PackRootSHA256.String()
	if err := os.Truncate(filepath.Join(p.dir, "lookup", root[:3]), 33<<20); err != nil {
		t.Fatal(err)
	}
	b.open(p.url + "entry/index.html?i=3")
	if text := shown("twins"); !strings.Contains(text, "could not be checked here") {
		t.Errorf("what could not be checked is not told: %s", text)
	}
}

// A policy of the reader's own is what makes green; the page says which it used, and forgets it when asked.
func TestAPolicyOfOnesOwnIsKeptUsedAndForgotten(t *testing.T) {
	l := logOf(t, leaves(12)...)
	p := publish(t, l)
	b := newTab(t)
	b.open(p.url + "entry/index.html?i=3")
	b.said("status")
	keep := func(policy string) {
		b.Helper()
		value[bool](b, `(document.getElementById('belief').open = true, document.getElementById('policy-text').value = %q, true)`, policy)
	}
	keep("quorum none\n")
	value[bool](b, `(document.getElementById('policy-keep').click(), true)`)
	if kind, text := b.said("policy-said"); kind != "bad" || !strings.Contains(text, "it names no log") {
		t.Errorf("%s: %s", kind, text)
	}
	keep(string(must[[]byte](t)(l.Policy(t.Context()))))
	b.click("#policy-keep")
	kind, text := b.said("status")
	if kind != "good" || !strings.Contains(text, "In the log.") || !strings.Contains(text, "your policy asks for") || value[string](b, `document.querySelector('#c-anchor .answer').textContent`) != "proved" {
		t.Errorf("%s: %s", kind, text)
	}
	if text := value[string](b, `document.getElementById('policy-used').textContent`); !strings.Contains(text, "which is yours") {
		t.Error(text)
	}
	value[bool](b, `(document.getElementById('belief').open = true)`)
	b.click("#policy-drop")
	if kind, text := b.said("status"); kind != "said" || !strings.Contains(value[string](b, `document.getElementById('checks').textContent`), "for the first time") {
		t.Errorf("%s: %s", kind, text)
	}
	// A log that the reader's policy does not name is refused, whatever the site says.
	line, _ := logLine(t, forger(t, 1))
	keep(line + "quorum none\n")
	b.click("#policy-keep")
	if kind, text := b.said("status"); kind != "bad" {
		t.Errorf("%s: %s", kind, text)
	}
}

// TestTheSiteIsForEverybody looks at each of its pages.
func TestTheSiteIsForEverybody(t *testing.T) {
	p := publish(t, logOf(t, leaves(120)...))
	b := newTab(t)
	for _, page := range []string{"index.html", "entries/index.html", "entry/index.html?i=5", "entry/index.html", "signer/index.html", "source/index.html?r=owner%2Fname-1",
		"witnesses/index.html", "checkpoints/index.html", "equivocation/index.html", "verify/index.html", "limits/index.html"} {
		b.emulate(1280, 800, "light")
		b.open(p.url + page)
		if strings.Contains(page, "?") {
			if kind, text := b.said("status"); kind != "said" {
				t.Errorf("%s: %s: %s", page, kind, text)
			}
		}
		b.accessible(page)
		if _, wrong := b.asked(); len(wrong) > 0 {
			t.Errorf("%s: %q", page, wrong)
		}
	}
}
