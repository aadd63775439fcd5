package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// emulate shows the page as on another screen: of some width, light or dark, and to who wants nothing to move.
func (b *tab) emulate(width, height int64, scheme string) {
	b.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		b.Fatal(err)
	}
}

// accessible fails for what is wrong with the page on wide and narrow, light and dark screens, and without a mouse.
func (b *tab) accessible(page string) {
	b.Helper()
	look := string(must[[]byte](b.T)(os.ReadFile("testdata/accessible.js")))
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			b.emulate(width, 800, scheme)
			for _, problem := range value[[]string](b, "%s", look) {
				b.Errorf("%s, %s, %d pixels: %s", page, scheme, width, problem)
			}
		}
	}
	b.emulate(1280, 800, "light")
	b.tabbed(page)
}

// tabbed goes through the page with the tabulator: it meets everything that can be operated, and one sees where one is.
func (b *tab) tabbed(page string) {
	b.Helper()
	want := value[int](b, `(() => { document.activeElement?.blur(); globalThis.met = new Set(); return [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
		.filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0).length; })()`)
	for range want + 5 {
		if err := chromedp.Do(b.ctx, chromedp.KeyEvent(kb.Tab)); err != nil {
			b.Fatal(err)
		}
		if problem := value[string](b, `(() => { const e = document.activeElement; if (!e || e === document.body) return ''; met.add(e); const s = getComputedStyle(e);
			return s.outlineStyle === 'none' && s.boxShadow === 'none' ? 'one does not see the focus of ' + e.outerHTML.slice(0, 80) : ''; })()`); problem != "" {
			b.Errorf("%s: %s", page, problem)
		}
	}
	if left := value[[]string](b, `[...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
		.filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0 && !met.has(e)).map((e) => e.outerHTML.slice(0, 80))`); len(left) > 0 {
		b.Errorf("%s: the tabulator does not reach %q", page, left)
	}
}

func TestThePagesThatAreOneFileAreForEverybody(t *testing.T) {
	dir := t.TempDir()
	pages := map[string][]string{"verify.html": nil, "tampered.html": {packs + "/tampered_01"},
		"failed.html": {packs + "/claimfail_01", "--require-claim-pass"}, "many.html": {packs + "/many_01"}}
	b := newTab(t)
	for name, args := range pages {
		page := filepath.Join(dir, name)
		assay(t, append(append([]string{"page"}, args...), "-o", page)...)
		b.open(fileURL(t, page))
		b.settled(nil)
		value[bool](b, `(document.querySelector('details').open = true)`)
		b.accessible(name)
	}
}

// A page with every mistake that is looked for, so that none of the checks is asleep.
func TestEveryCheckOfAccessibilityFindsItsMistake(t *testing.T) {
	page := write(t, "bad.html", `<!DOCTYPE html><meta charset=utf-8><body><h1>a</h1><h1>b</h1><h3>c</h3><input><button></button><img src="data:,"><svg></svg>
<table><tr><th>x</th></tr></table><a href="#" tabindex="3">x</a><p id=a aria-labelledby=none>x</p><p id=a style="color:#aaa;background:#fff">pale</p>
<p style="width:2000px">wide</p><p style="transition:opacity 1s">moves</p><p style="width:4em">--require-anchor</p>`)
	b := newTab(t)
	b.open(fileURL(t, page))
	b.emulate(360, 800, "light")
	found := strings.Join(value[[]string](b, "%s", string(must[[]byte](t)(os.ReadFile("testdata/accessible.js")))), "\n")
	for _, want := range []string{"no language", "no title", "2 headings", "not one main part", "a level is left out", "two elements are called a", "no label", "no text: button",
		"no text for a picture", "no text for a drawing", "a head of nothing", "an order of its own", "leads nowhere", "contrast 2.32", "wider than the window", "a broken flag: --require-anchor", "it moves"} {
		if !strings.Contains(found, want) {
			t.Errorf("nobody says %q in:\n%s", want, found)
		}
	}
}
