package witness

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	// maxBody leaves room for 63 hashes and a note with 16 post-quantum signatures of 5 kB each (WIT-6).
	maxBody = 128 << 10
	// plainText is the type of everything but a size.
	plainText = "text/plain; charset=utf-8"
	// retryAfter, in seconds, goes with 429 and 503.
	retryAfter = "1"
)

// Handler serves, below whatever prefix the caller strips:
//
//	POST /add-checkpoint                       cosign
//	GET  /<hex sha256(origin)>/checkpoint      the last cosigned checkpoint
//	GET  /                                     who we are and what we state, for people
func (w *Witness) Handler() http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		defer w.recoverPanic(out, in)
		out.Header().Set("X-Content-Type-Options", "nosniff")
		if err := w.serve(out, in); err != nil {
			w.reportError(out, in, err)
		}
	})
}

// serve finds the call by its exact path: no cleaning, no redirects. It writes
// only when it returns nil.
func (w *Witness) serve(out http.ResponseWriter, in *http.Request) error {
	path := in.URL.Path
	if path == "/add-checkpoint" {
		if err := requireMethod(out, in, http.MethodPost); err != nil {
			return err
		}
		return w.serveAddCheckpoint(out, in)
	}
	if path == "/" || path == "" {
		if err := requireMethod(out, in, http.MethodGet, http.MethodHead); err != nil {
			return err
		}
		return writeAnswer(out, plainText, w.index)
	}
	hash, ok := strings.CutSuffix(strings.TrimPrefix(path, "/"), "/checkpoint")
	if !ok {
		return newRefusal(http.StatusNotFound, "no such call; this witness has POST add-checkpoint and GET <origin hash>/checkpoint")
	}
	out.Header().Set("Access-Control-Allow-Origin", "*") // also on errors, so that a browser sees which
	if err := requireMethod(out, in, http.MethodGet, http.MethodHead); err != nil {
		return err
	}
	return w.serveLatest(out, in, hash)
}

// requireMethod (WIT-7) refuses other methods, and names those in Allow.
func requireMethod(out http.ResponseWriter, in *http.Request, methods ...string) error {
	if slices.Contains(methods, in.Method) {
		return nil
	}
	out.Header().Set("Allow", strings.Join(methods, ", "))
	return newRefusal(http.StatusMethodNotAllowed, "method must be %s", strings.Join(methods, " or "))
}

func (w *Witness) serveAddCheckpoint(out http.ResponseWriter, in *http.Request) error {
	body, err := readBody(out, in)
	if err != nil {
		return err
	}
	request, err := trust.ParseAddCheckpoint(body)
	if err != nil {
		return &Refusal{Status: http.StatusBadRequest, Err: err}
	}
	lines, err := w.AddCheckpoint(in.Context(), request)
	if err != nil {
		return err
	}
	out.Header().Set("Cache-Control", "no-store")
	return writeAnswer(out, plainText, lines)
}

func readBody(out http.ResponseWriter, in *http.Request) ([]byte, error) {
	body, err := serve.Body(out, in, maxBody)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, newRefusal(http.StatusRequestEntityTooLarge, "request body may have at most %d bytes", maxBody)
	} else if err != nil {
		return nil, newRefusal(http.StatusBadRequest, "request body ended early")
	}
	return body, nil
}

func (w *Witness) serveLatest(out http.ResponseWriter, in *http.Request, hash string) error {
	note, err := w.Latest(in.Context(), hash)
	if err != nil {
		return err
	}
	out.Header().Set("Cache-Control", "public, max-age=5")
	return writeAnswer(out, plainText, note)
}

// writeAnswer ends a call that went well.
func writeAnswer(out http.ResponseWriter, contentType string, body []byte) error {
	out.Header().Set("Content-Type", contentType)
	out.Header().Set("Content-Length", strconv.Itoa(len(body)))
	out.Write(body) // an error here means that nobody listens any more
	return nil
}

// reportError is the one place where errors become answers. What is not a
// Refusal is our own fault: logged, and told to the caller without detail.
func (w *Witness) reportError(out http.ResponseWriter, in *http.Request, err error) {
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		w.log.Error("request failed", "path", in.URL.Path, "err", err)
		refusal = &Refusal{Status: http.StatusInternalServerError, Err: errors.New("internal error")}
	}
	header := out.Header()
	header.Set("Content-Type", plainText)
	header.Set("Cache-Control", "no-store")
	switch refusal.Status {
	case http.StatusConflict:
		// SPEC tlog-witness: "The response body MUST consist of the tree size of
		// the latest cosigned checkpoint in decimal, followed by a newline
		// (U+000A). The response MUST have a Content-Type of text/x.tlog.size."
		header.Set("Content-Type", "text/x.tlog.size")
		out.WriteHeader(refusal.Status)
		fmt.Fprintf(out, "%d\n", refusal.Size)
		return
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	out.WriteHeader(refusal.Status)
	fmt.Fprintf(out, "%s\n", refusal.Err)
}

// recoverPanic answers 500: a request must not take the others down.
func (w *Witness) recoverPanic(out http.ResponseWriter, in *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	w.log.Error("request panicked", "path", in.URL.Path, "panic", p, "stack", string(debug.Stack()))
	http.Error(out, "internal error", http.StatusInternalServerError)
}

// indexPage names the keys and what their cosignatures state.
// SPEC tlog-cosignature: "These statements MUST include the base cosignature semantics"
func (w *Witness) indexPage() []byte {
	var page strings.Builder
	page.WriteString(`This is a transparency log witness (https://c2sp.org/tlog-witness).

A cosignature by it states that, at the time in it, the checkpoint had the
largest size this witness had seen for that origin, and that it is consistent
with every checkpoint of that origin that this witness cosigned before. It
states nothing about the entries of the log, which this witness does not read.
It refuses checkpoints with extension lines.

Verifier keys:
`)
	for _, c := range w.cosigners {
		fmt.Fprintf(&page, "  %s\n", c.VKey())
	}
	page.WriteString("\nLogs and the paths of their last cosigned checkpoints:\n")
	var logs []string
	for hash, origin := range w.byHash {
		logs = append(logs, fmt.Sprintf("  %s\n    /%s/checkpoint\n", origin, hash))
	}
	slices.Sort(logs)
	page.WriteString(strings.Join(logs, ""))
	return []byte(page.String())
}
