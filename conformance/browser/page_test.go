package browser

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/site/single"
)

const packs = "../corpus/packs"

// example gives an example of docs/spec/ledger.md, as a file.
func example(t *testing.T, kind, name string) string {
	t.Helper()
	text := string(must[[]byte](t)(os.ReadFile("../../docs/spec/ledger.md")))
	found := regexp.MustCompile("(?ms)^```text " + kind + "\n(.*?)^```").FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("docs/spec/ledger.md has no %s", kind)
	}
	return write(t, name, found[1])
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// absolute are the five files of a pack of the corpus, and its proof and cards.
func filesOf(t *testing.T, dir string) (list []string) {
	t.Helper()
	for _, name := range append(manifest.FileNames(), "_unsigned/run_cards.json") {
		if path := must[string](t)(filepath.Abs(filepath.Join(dir, name))); exists(path) {
			list = append(list, path)
		}
	}
	return list
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// word is what a channel of the page says.
func (b *tab) word(channel string) string {
	b.Helper()
	return value[string](b, `document.querySelector('.channel.%s .word')?.textContent ?? 'none'`, channel)
}

// quiet fails if the page asked the network for anything but itself, or something went wrong in it.
func (b *tab) quiet(page string) {
	b.Helper()
	requests, wrong := b.asked()
	for _, r := range requests {
		if r != page && !strings.HasPrefix(r, "blob:") {
			b.Errorf("the page asks for %s", r)
		}
	}
	if len(requests) == 0 {
		b.Error("not even the page was asked for: are requests seen?")
	}
	for _, w := range wrong {
		b.Errorf("the page logs %s", w)
	}
}

// TestVerifyHTMLJudgesWhatSomebodyChooses opens it from the disk, as who has no server does.
func TestVerifyHTMLJudgesWhatSomebodyChooses(t *testing.T) {
	page := filepath.Join(t.TempDir(), "verify.html")
	if code, out := assay(t, "page", "-o", page); code != 0 {
		t.Fatal(out)
	}
	b := newTab(t)
	b.open(fileURL(t, page))
	if class, text := b.settled(nil); class != "outcome none" || !strings.Contains(text, "there is no pack yet") {
		t.Errorf("%s: %s", class, text)
	}
	policy, proof := example(t, "policy", "policy"), example(t, "proof", "good_01.tlog-proof")
	genuine := string(must[[]byte](t)(os.ReadFile(proof)))
	forged := write(t, "forged.tlog-proof", strings.Replace(genuine, "BrDeKGU2", "BrDeKGU3", 1))
	other := write(t, "other.tlog-proof", strings.Replace(genuine, "index 1", "index 2", 1))
	if text := string(must[[]byte](t)(os.ReadFile(forged))); text == genuine {
		t.Fatal("the forged proof is the genuine one")
	}
	good := must[string](t)(filepath.Abs(packs + "/good_01"))
	for _, step := range []struct {
		name, input string
		files       []string
		class, said string
		words       map[string]string
	}{
		{"the five files", "#files", filesOf(t, good), "exit0", "intact; signer unpinned, not anchored exit 0", map[string]string{"integrity": "PASS", "claims": "PASS", "anchor": "SKIPPED"}},
		{"its folder", "#folder", []string{good}, "exit0", "intact; signer unpinned, not anchored exit 0", map[string]string{"integrity": "PASS"}},
		{"one that was tampered with", "#files", filesOf(t, packs+"/tampered_01"), "exit2", "tampered or malformed: do not rely on this pack exit 2", map[string]string{"integrity": "FAIL", "claims": "SKIPPED"}},
		{"a file less", "#files", filesOf(t, good)[1:], "exit2", "tampered or malformed: do not rely on this pack exit 2", map[string]string{"integrity": "FAIL"}},
		{"its folder again", "#folder", []string{good}, "exit0", "exit 0", nil},
		{"a proof, and no policy", "#proof", []string{proof}, "exit0", "its proof not checked", map[string]string{"anchor": "SKIPPED"}},
		{"and whom to trust", "#policy", []string{policy}, "exit0", "anchored without a time that was checked", map[string]string{"anchor": "PASS"}},
		{"a forged proof", "#proof", []string{forged}, "exit2", "its proof of being logged does not hold", map[string]string{"integrity": "PASS", "anchor": "FAIL"}},
		{"a proof of another leaf", "#proof", []string{other}, "exit2", "its proof of being logged does not hold", map[string]string{"anchor": "FAIL"}},
		{"the genuine one", "#proof", []string{proof}, "exit0", "exit 0", map[string]string{"anchor": "PASS"}},
		{"a policy that is none", "#policy", []string{proof}, "none", "exit 3: --policy", map[string]string{"integrity": "none"}},
		{"the policy", "#policy", []string{policy}, "exit0", "exit 0", nil},
		{"a lock that is none", "#lock", []string{policy}, "none", "exit 2: --lock", map[string]string{"integrity": "none"}},
		{"no files of a pack", "#files", []string{write(t, "notes.txt", "x")}, "none", "none of these files", map[string]string{"integrity": "none"}},
	} {
		class, text := b.settled(func() { b.choose(step.input, step.files...) })
		if class != "outcome "+step.class || !strings.Contains(text, step.said) {
			t.Errorf("%s: %s: %s", step.name, class, text)
		}
		for channel, word := range step.words {
			if got := b.word(channel); got != word {
				t.Errorf("%s: %s %s, expected %s", step.name, channel, got, word)
			}
		}
		if rows := value[bool](b, `!document.querySelector('#rows').hidden`); rows != (b.word("integrity") == "PASS") { // ROW-1
			t.Errorf("%s: rows are shown: %v", step.name, rows)
		}
	}
	b.quiet(fileURL(t, page))
}

// TestVerifyHTMLTakesThePackOutOfAPageAndNothingElse: a page that somebody sent is opened by a verifier from elsewhere.
func TestVerifyHTMLTakesThePackOutOfAPageAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	page, sent, bad := filepath.Join(dir, "verify.html"), filepath.Join(dir, "sent.html"), filepath.Join(dir, "bad.html")
	assay(t, "page", "-o", page)
	if code, out := assay(t, "page", packs+"/good_01", "--policy", example(t, "policy", "policy"), "--proof", example(t, "proof", "p"), "-o", sent); code != 0 {
		t.Fatal(out)
	}
	// Its maker changed the verifier to say that all is well, and the pack.
	assay(t, "page", packs+"/tampered_01", "-o", bad)
	text := strings.Replace(string(must[[]byte](t)(os.ReadFile(bad))), "<script>'use strict';", "<script>'use strict';document.write('all is well')", 1)
	if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.open(fileURL(t, page))
	b.settled(nil)
	if class, text := b.settled(func() { b.choose("#files", sent) }); class != "outcome exit0" || b.word("anchor") != "SKIPPED" {
		t.Errorf("%s: %s: its policy was believed, or its pack was not", class, text)
	}
	if class, text := b.settled(func() { b.choose("#policy", example(t, "policy", "policy")) }); class != "outcome exit0" || b.word("anchor") != "PASS" {
		t.Errorf("%s: %s", class, text)
	}
	if class, text := b.settled(func() { b.choose("#files", bad) }); class != "outcome exit2" || strings.Contains(text, "all is well") {
		t.Errorf("%s: %s", class, text)
	}
	if class, text := b.settled(func() { b.choose("#files", page) }); class != "outcome none" || !strings.Contains(text, "holds no pack") {
		t.Errorf("%s: %s", class, text)
	}
	whole := string(must[[]byte](t)(os.ReadFile(sent)))
	for name, edit := range map[string][2]string{
		"no JSON":          {`id="held">{"args":`, `id="held">x{"args":`},
		"args of no texts": {`id="held">{"args":[]`, `id="held">{"args":[1]`},
		"no names":         {`"args":[],"extra":[]`, `"args":[],"extra":"x"`},
		"no such kind":     {`"extra":[],"unsigned":""}</`, `"extra":[],"unsigned":"file"}</`},
		"no base64":        {`data-name="pack/pack_manifest.json" data-kind="file">`, `data-name="pack/pack_manifest.json" data-kind="file">A`},
	} {
		broken := write(t, "broken.html", strings.Replace(whole, edit[0], edit[1], 1))
		if strings.Count(whole, edit[0]) != 1 {
			t.Errorf("%s: nothing to break", name)
		}
		if class, text := b.settled(func() { b.choose("#files", broken) }); class != "outcome none" || !strings.Contains(text, "exit 3: a page whose pack is not of its form") {
			t.Errorf("%s: %s: %s", name, class, text)
		}
	}
	b.quiet(fileURL(t, page))
	// And the page itself, whose script is no longer the one that its policy names, runs nothing.
	b.open(fileURL(t, bad))
	if text := value[string](b, `document.querySelector('#outcome').textContent`); !strings.Contains(text, "nothing was checked") {
		t.Errorf("the browser ran another script: %s", text)
	}
}

// TestAPageOfAPackSaysWhatTheCommandLineSaid makes pages of the cases of the corpus and opens them: some of them, and with
// ASSAY_LONG all that are a folder.
func TestAPageOfAPackSaysWhatTheCommandLineSaid(t *testing.T) {
	b, every := newTab(t), 20
	if os.Getenv("ASSAY_LONG") != "" {
		every = 1
	}
	n, opened := 0, 0
	for _, c := range must[*conformance.Corpus](t)(conformance.Open("../corpus")).Cases {
		if c.Path == "" || len(c.Make) > 0 || slices.Contains(c.Args, "--now") && every > 1 {
			continue
		}
		if n++; n%every != 1 && every > 1 {
			continue
		}
		page := filepath.Join(t.TempDir(), "pack.html")
		args := []string{"page", filepath.Join("..", "corpus", filepath.FromSlash(c.Path)), "-o", page}
		for _, arg := range c.Args {
			args = append(args, strings.ReplaceAll(arg, "{corpus}", "../corpus"))
		}
		code, out := assay(t, args...)
		if code > 2 || !exists(page) {
			continue // nothing was judged, and there is no page
		}
		opened++
		address := fileURL(t, page)
		b.open(address)
		class, text := b.settled(nil)
		said := regexp.MustCompile(`exit (\d+)$`).FindStringSubmatch(text)
		if said == nil || said[1] != strconv.Itoa(code) || (class == "outcome exit0") != (code == 0) {
			t.Errorf("%s %v: %s: %s; the command line said %s", c.ID, c.Args, class, text, out)
		}
		if rows := value[bool](b, `!document.querySelector('#rows').hidden`); rows && b.word("integrity") != "PASS" { // ROW-1
			t.Errorf("%s: rows of a pack that is not intact", c.ID)
		}
		b.quiet(address)
	}
	if t.Logf("%d pages were opened", opened); opened < 10 {
		t.Errorf("only %d pages were opened", opened)
	}
}

// TestAPageTellsItsScriptAndLetsNothingElseRun: the hash that it shows is the one that assay prints, and what would run
// another script is refused by the policy.
func TestAPageTellsItsScriptAndLetsNothingElseRun(t *testing.T) {
	page := filepath.Join(t.TempDir(), "pack.html")
	assay(t, "page", packs+"/good_01", "-o", page)
	b := newTab(t)
	b.open(fileURL(t, page))
	b.settled(nil)
	sum := must[string](t)(single.ScriptSHA256())
	if got := value[string](b, `new Promise((ok) => { const look = () => { const text = document.querySelector('#script').textContent; /^[0-9a-f]{64}$/.test(text) ? ok(text) : setTimeout(look, 10); }; look(); })`); got != sum {
		t.Errorf("the page says that its script is %s, and assay says %s", got, sum)
	}
	b.quiet(fileURL(t, page))
	for name, attack := range map[string]string{
		"markup":          `document.body.innerHTML = '<img src=x onerror="globalThis.hacked = 1">'`,
		"a script":        `{ const s = document.createElement('script'); s.textContent = 'globalThis.hacked = 1'; document.body.append(s); }`,
		"a script's file": `{ const s = document.createElement('script'); s.src = 'https://example.com/x.js'; document.body.append(s); }`,
		"a worker":        `new Worker('https://example.com/x.js')`,
		"a fetch":         `await fetch('https://example.com/x')`,
		"a policy":        `trustedTypes.createPolicy('x', { createHTML: (text) => text })`,
		"a timer":         `setTimeout('globalThis.hacked = 1')`,
	} {
		if done := value[string](b, `(async () => { try { %s; return 'done'; } catch (err) { return err.name; } })()`, attack); done == "done" && name != "a timer" {
			t.Errorf("%s: nobody refused it", name)
		}
	}
	for name, attack := range map[string]string{
		"a picture": `{ const i = new Image(); i.src = 'https://example.com/x.png'; document.body.append(i); await new Promise((ok) => { i.onerror = ok; }); }`,
		"a frame":   `{ const f = document.createElement('iframe'); f.src = 'https://example.com/'; document.body.append(f); }`,
	} {
		value[string](b, `(async () => { %s; return '%s'; })()`, attack, name)
	}
	if hacked := value[bool](b, `'hacked' in globalThis`); hacked {
		t.Error("a script ran that the policy does not name")
	}
	requests, _ := b.asked()
	for _, r := range requests {
		if strings.Contains(r, "example.com") {
			// Chromium tells of a request that the policy blocks, and blocks it: it got no answer.
			t.Logf("told of %s", r)
		}
	}
}

// TestWithoutWebCryptoNothingIsChecked: a page from plain http could have been altered on its way, and has no WebCrypto.
func TestWithoutWebCryptoNothingIsChecked(t *testing.T) {
	page := filepath.Join(t.TempDir(), "pack.html")
	assay(t, "page", packs+"/good_01", "-o", page)
	address := serve(t, filepath.Dir(page))
	b := newTab(t)
	b.open(address + "/pack.html") // localhost is as good as https
	if class, text := b.settled(nil); class != "outcome exit0" {
		t.Errorf("%s: %s", class, text)
	}
	b.open(strings.Replace(address, "127.0.0.1", "plain.example", 1) + "/pack.html")
	class, text := b.settled(nil)
	if class != "outcome none" || !strings.Contains(text, "not checked here") || b.word("integrity") != "none" {
		t.Errorf("%s: %s", class, text)
	}
	if shown := value[int](b, `document.querySelectorAll('.good, .exit0').length`); shown != 0 {
		t.Errorf("%d things are green", shown)
	}
	if hidden := value[bool](b, `document.querySelector('#rows').hidden`); !hidden {
		t.Error("rows are shown of what was not checked")
	}
}

// TestTheRowsAreFilteredAndTurnedByKeyboard: nobody needs a mouse.
func TestTheRowsAreFilteredAndTurnedByKeyboard(t *testing.T) {
	page := filepath.Join(t.TempDir(), "pack.html")
	assay(t, "page", packs+"/many_01", "-o", page)
	b := newTab(t)
	b.open(fileURL(t, page))
	b.settled(nil)
	shown := func() string {
		return value[string](b, `document.querySelector('#range').textContent + '; ' + document.querySelector('#table th').textContent + ' to ' + [...document.querySelectorAll('#table th')].at(-1).textContent`)
	}
	keys := func(element, keys string) {
		value[bool](b, `(document.querySelector('%s').focus(), true)`, element)
		if err := chromedp.Do(b.ctx, chromedp.KeyEvent(keys)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ element, keys, want string }{
		{"#later", "", "1 to 50 of 101 rows; 0 to 49"},
		{"#later", "\r", "51 to 100 of 101 rows; 50 to 99"},
		{"#later", " ", "101 to 101 of 101 rows; 100 to 100"},
		{"#later", "\r", "101 to 101 of 101 rows; 100 to 100"},
		{"#earlier", "\r", "51 to 100 of 101 rows; 50 to 99"},
		{"#words", "send_email", "1 to 34 of 34 that fit, of 101 rows; 1 to 100"},
	} {
		keys(step.element, step.keys)
		if got := shown(); got != step.want {
			t.Errorf("%s %q: %s, want %s", step.element, step.keys, got, step.want)
		}
	}
	keys("#words", "x")
	if got := value[string](b, `document.querySelector('#range').textContent`); got != "none fits of 101 rows" {
		t.Error(got)
	}
	// On paper all of them stand, whatever page was turned to.
	value[bool](b, `(document.querySelector('#words').value = '', document.querySelector('#words').dispatchEvent(new Event('input')), dispatchEvent(new Event('beforeprint')), true)`)
	if n := value[int](b, `document.querySelectorAll('#table tr').length`); n != 101 {
		t.Errorf("%d rows are printed", n)
	}
}

// TestWhatIsDroppedIsJudged: a folder with all that is in it, loose files, and what a pack is held to beside them. A policy that
// lies in the folder of the pack is the word of who made the pack, and is not asked.
func TestWhatIsDroppedIsJudged(t *testing.T) {
	a := anchor(t)
	page := filepath.Join(t.TempDir(), "verify.html")
	assay(t, "page", "-o", page)
	folder := filepath.Join(t.TempDir(), "somewhere")
	if err := errors.Join(os.CopyFS(filepath.Join(folder, "inner", "pack"), os.DirFS(a.dir)), os.CopyFS(filepath.Join(folder, "inner", "pack", "more"), os.DirFS(filepath.Dir(a.policy)))); err != nil {
		t.Fatal(err)
	}
	two := filepath.Join(t.TempDir(), "two")
	if err := errors.Join(os.CopyFS(filepath.Join(two, "a"), os.DirFS(a.dir)), os.CopyFS(filepath.Join(two, "b"), os.DirFS(a.dir))); err != nil {
		t.Fatal(err)
	}
	b := newTab(t)
	b.open(fileURL(t, page))
	b.settled(nil)
	for _, step := range []struct {
		name        string
		files       []string
		class, said string
		anchor      string
	}{
		{"a folder of folders", []string{folder}, "exit0", "not anchored", "SKIPPED"},
		{"two packs", []string{two}, "none", "2 packs: open one at a time", "none"},
		{"loose files, a proof and a policy", append(filesOf(t, a.dir), a.proof, a.policy), "none", "not everything was checked here", "PASS"},
		{"and the roots", []string{a.roots}, "exit0", "intact; signer unpinned", "PASS"},
		{"a folder that holds no pack", []string{filepath.Dir(a.policy)}, "none", "none of these files", "none"},
	} {
		class, text := b.settled(func() { b.drop(step.files...) })
		if class != "outcome "+step.class || !strings.Contains(text, step.said) || b.word("anchor") != step.anchor {
			t.Errorf("%s: %s: %s; anchor %s", step.name, class, text, b.word("anchor"))
		}
		if step.name == "a folder of folders" {
			if text := value[string](b, `document.querySelector('#warnings').textContent`); !strings.Contains(text, "W_EXTRA_FILE more") {
				t.Errorf("nobody says that more lies in the pack: %s", text)
			}
		}
	}
	b.quiet(fileURL(t, page))
}

// drop drops files and folders on the page, as who drags them there from a window of files.
func (b *tab) drop(files ...string) {
	b.Helper()
	for _, kind := range []input.DispatchDragEventType{input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop} {
		_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
			return cdp.Call(ctx, t, input.DispatchDragEvent, input.DispatchDragEventParams{Type: kind, X: 200, Y: 200,
				Data: &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1}})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
