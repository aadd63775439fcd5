// Package browser runs the verifier of site/verifier in Chromium: the corpus, verify.html, pages of packs, the site.
package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is the program, "" if there is none.
var chromium = findChromium()

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// root is the context of the one browser of all tests.
var root context.Context

// TestMain starts the browser, and says for the closing line of make test whether there was one.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if path := os.Getenv("ASSAY_PEERS"); path != "" {
		if err := record(path, chromium != "", "Chromium"); err != nil {
			fmt.Fprintln(os.Stderr, "ASSAY_PEERS:", err)
			return 1
		}
	}
	if chromium == "" {
		fmt.Println("SKIP: there is no Chromium, so nothing was checked in a browser")
		return m.Run()
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", "new"), chromedp.WSURLReadTimeout(2*time.Minute),
		// A name that is not localhost, for a page from plain http: nothing that it asks for leaves this machine.
		chromedp.Flag("host-resolver-rules", "MAP plain.example 127.0.0.1"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil { // the first call starts the browser, which lives as long as its context
		fmt.Fprintln(os.Stderr, "starting Chromium:", err)
		return 1
	}
	root = ctx
	return m.Run()
}

// record adds a line to the file that make test makes its last line of.
func record(path string, ran bool, peer string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	word := "skipped"
	if ran {
		word = "ran"
	}
	_, err = fmt.Fprintln(f, word, peer)
	return errors.Join(err, f.Close())
}

// tab is a page that a test looks at, with all that it asked of the network and all that went wrong in it.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	problems []string
}

func newTab(t *testing.T) *tab {
	t.Helper()
	if chromium == "" {
		t.Skip("SKIP: there is no Chromium")
	}
	ctx, cancel := chromedp.NewContext(root)
	t.Cleanup(cancel)
	b := &tab{T: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	must[cdp.Empty](t)(chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, target, network.Enable, network.EnableParams{})
	}))
	must[cdp.Empty](t)(chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, target, log.Enable, cdp.Empty{})
	}))
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	return b
}

func must[V any](t *testing.T) func(V, error) V {
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// hear keeps what the browser tells of the page. The page itself and its inner addresses are no requests.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.problems = append(b.problems, e.Entry.Text)
	}
}

// asked are the requests since the last call, and wrong is what went wrong.
func (b *tab) asked() (requests, wrong []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	requests, wrong = b.requests, b.problems
	b.requests, b.problems = nil, nil
	return requests, wrong
}

// limit is how long one step may take.
const limit = 2 * time.Minute

func (b *tab) open(address string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(address)); err != nil {
		b.Fatalf("%s: %v", address, err)
	}
}

// value runs an expression in the page, and waits if it is a promise.
func value[V any](b *tab, format string, args ...any) V {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	expression := fmt.Sprintf(format, args...)
	v, err := chromedp.Run(ctx, chromedp.Evaluate[V](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

// choose gives an input its files, as who chooses them in the dialog.
func (b *tab) choose(input string, files ...string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.SetUploadFiles(chromedp.CSS(input), files))
	if err != nil {
		b.Fatalf("%s: %v", input, err)
	}
}

// settled waits until a verdict is shown after the page has done what act makes it do, and gives its box.
func (b *tab) settled(act func()) (class, text string) {
	b.Helper()
	if act == nil {
		value[bool](b, `new Promise((ok) => { const look = () => (document.querySelector('#outcome').getAttribute('aria-busy') === 'false' ? ok(true) : setTimeout(look, 10)); look(); })`)
	} else {
		value[bool](b, `(globalThis.settled = new Promise((ok) => {
			const box = document.querySelector('#outcome');
			new MutationObserver((_, o) => { if (box.getAttribute('aria-busy') === 'false') { o.disconnect(); ok(true); } }).observe(box, { attributes: true, attributeFilter: ['aria-busy'] });
		}), true)`)
		act()
		value[bool](b, `globalThis.settled`)
	}
	return value[string](b, `document.querySelector('#outcome').className`), value[string](b, `document.querySelector('#outcome').textContent`)
}

// fileURL is the address of a file on the disk.
func fileURL(t *testing.T, path string) string {
	t.Helper()
	absolute := must[string](t)(filepath.Abs(path))
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(absolute)}).String()
}

// assay runs the program, which is built once.
func assay(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	program := build(t)
	var said, wrong bytes.Buffer
	c := exec.Command(program, args...)
	c.Stdout, c.Stderr = &said, &wrong
	err := c.Run()
	if exited := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), strings.TrimSpace(said.String() + wrong.String())
}

var building struct {
	sync.Once
	program string
	err     error
}

func build(t *testing.T) string {
	t.Helper()
	building.Do(func() {
		dir, err := os.MkdirTemp("", "assay-browser-*")
		if building.err = err; err != nil {
			return
		}
		building.program = filepath.Join(dir, "assay")
		c := exec.Command("go", "build", "-o", building.program, "./cmd/assay")
		c.Dir = filepath.Join("..", "..")
		out, err := c.CombinedOutput()
		if err != nil {
			building.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if building.err != nil {
		t.Fatal(building.err)
	}
	return building.program
}

// serve serves a folder until the test ends.
func serve(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL
}
