package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/site"
)

// pages shows a site that lies in a folder, as 'ledger serve' and 'ledger site serve' do.
type pages string

const (
	maxPage = 64 << 20 // bytes of a file that is shown

	// What is no page needs nothing; a page says by itself what it needs.
	noPolicy     = "default-src 'none'"
	noFrames     = "; frame-ancestors 'none'"
	noFeatures   = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
	policyWithin = 4096 // bytes from the beginning of a page to the end of its own policy
)

var policyOf = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)

// serve answers with the file of the site that the path names, and is false if there is none. Names are those that a
// build writes: no link is followed, nothing is listed, and what begins with a dot (the builder's own directory) is not
// there, but for .well-known and .nojekyll.
func (p pages) serve(w http.ResponseWriter, r *http.Request) bool {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" || strings.HasSuffix(name, "/") {
		name += "index.html"
	}
	shown := strings.TrimPrefix(name, ".well-known/")
	if hidden := strings.HasPrefix(shown, ".") && name != ".nojekyll" || strings.Contains(shown, "/."); hidden || r.URL.RawPath != "" || !fs.ValidPath(name) {
		return false
	}
	data, err := p.read(name)
	if err != nil {
		return false
	}
	policy := noPolicy
	if m := policyOf.FindSubmatch(data[:min(len(data), policyWithin)]); m != nil && strings.HasSuffix(name, ".html") {
		policy = html.UnescapeString(string(m[1]))
	}
	sum := sha256.Sum256(data)
	h := w.Header()
	h.Set("Content-Type", siteType(name))
	h.Set("Content-Security-Policy", policy+noFrames)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", noFeatures)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Access-Control-Allow-Origin", "*") // so that a verifier elsewhere can check it
	// A page and the modules that it loads are of one build: whoever has them asks whether they still are.
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", fmt.Sprintf(`W/"%x"`, sum[:16]))
	h.Set("Vary", "Accept-Encoding")
	content := io.ReadSeeker(bytes.NewReader(data))
	if r.Header.Get("Range") == "" && serve.AcceptsGzip(r.Header) && h.Get("Content-Type") != "application/octet-stream" {
		var packed bytes.Buffer
		_ = serve.Gzip(&packed, data) // to memory
		h.Set("Content-Encoding", "gzip")
		content = bytes.NewReader(packed.Bytes())
	}
	http.ServeContent(w, r, "", time.Time{}, content)
	return true
}

// ServeHTTP shows the site alone.
func (p pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case !p.serve(w, r):
		w.Header().Set("Access-Control-Allow-Origin", "*")
		http.Error(w, "nothing is here", http.StatusNotFound)
	}
}

// siteType is the content type of a file of a site.
func siteType(name string) string {
	first, _, _ := strings.Cut(name, "/")
	switch ext := path.Ext(name); {
	case ext == ".html":
		return "text/html; charset=utf-8"
	case ext == ".mjs":
		return "text/javascript; charset=utf-8"
	case ext == ".css":
		return "text/css; charset=utf-8"
	case ext == ".svg":
		return "image/svg+xml"
	case ext == ".json":
		return "application/json"
	case ext == ".csv":
		return "text/csv; charset=utf-8"
	case ext == ".xml":
		return "application/atom+xml"
	case first == "tile" || first == "checkpoints" && path.Base(name) != "count":
		return "application/octet-stream"
	}
	return "text/plain; charset=utf-8"
}

func (p pages) read(name string) ([]byte, error) {
	root, err := os.OpenRoot(string(p))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return durable.ReadIn(root, name, maxPage)
}

// keeper builds the site of a running ledger again after publications, at most once an interval and at most half of the
// time. Nobody waits for it: it reads what is published from the files, as anybody may, and leaves the room that the log needs.
type keeper struct {
	config   site.Config
	interval time.Duration
	room     func() error // is nil while there is room to build
	log      *slog.Logger

	failed atomic.Pointer[error] // why the last build failed; nil if it did not, or none has ended
}

const (
	slowestRetry = 5 * time.Minute        // the longest pause after a build that failed
	roomEvery    = 200 * time.Millisecond // while it builds
	siteReserve  = 256 << 20              // bytes; the log takes no entries when 64 MiB are left
)

// roomAt is a keeper's room on the file system of a directory.
func roomAt(dir string) func() error {
	return func() error {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			return fmt.Errorf("asking for the space left at %s: %w", dir, err)
		}
		if fs.Bavail*uint64(fs.Bsize) < siteReserve {
			return fmt.Errorf("fewer than %d bytes are left at %s, which are kept for the log", siteReserve, dir)
		}
		return nil
	}
}

// start begins to build. What it returns ends that and waits for it.
func (k *keeper) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // stop waits for it
		defer close(done)
		k.run(ctx)
	}()
	return func() { cancel(); <-done }
}

// run ends with ctx.
func (k *keeper) run(ctx context.Context) {
	var built []byte    // the checkpoint of the last build
	retry := k.interval // the pause after the next build that fails
	for ctx.Err() == nil {
		pause := k.interval
		if note, err := k.config.Log.Checkpoint(ctx); k.failed.Load() != nil || err != nil && !errors.Is(err, fs.ErrNotExist) || built == nil || !bytes.Equal(note, built) {
			began := time.Now()
			if k.build(ctx) == nil {
				built, retry = append([]byte{}, note...), k.interval
			} else {
				pause = retry
				retry = min(2*retry, max(k.interval, slowestRetry))
			}
			pause = max(pause, time.Since(began))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (k *keeper) build(ctx context.Context) (err error) {
	stopping := ctx
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("building panicked: %v", v)
		}
		k.tell(stopping, err)
	}()
	if err := k.room(); err != nil {
		return err
	}
	ctx, end := k.whileRoom(ctx)
	defer end()
	began := time.Now()
	b, err := site.Build(ctx, k.config)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	} else if err == nil {
		k.log.Debug("the site is built", "size", b.Size, "files", b.Files, "bytes", b.Bytes, "took", time.Since(began).String())
	}
	return err
}

// whileRoom ends a build when there is no more room for it; what it has written is thrown away then.
func (k *keeper) whileRoom(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(roomEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := k.room(); err != nil {
					cancel(err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() { cancel(nil); watching.Wait() }
}

// tell logs a failure when it is not the one before, and that it is over.
func (k *keeper) tell(ctx context.Context, err error) {
	old := k.failed.Load()
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if k.failed.Store(nil); old != nil {
			k.log.Info("the site is built again")
		}
	default:
		if k.failed.Store(&err); old == nil || (*old).Error() != err.Error() {
			k.log.Warn("the site is not built; the last good one stays", "err", err)
		}
	}
}

// notes are for /readyz.
func (k *keeper) notes() []ledger.Reason {
	if err := k.failed.Load(); err != nil {
		return []ledger.Reason{{About: "site", Public: "The pages of the site are not up to date: building them failed.", Err: *err}}
	}
	return nil
}
