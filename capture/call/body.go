package call

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// passing is a body that passes: it is counted and hashed, whatever else becomes of it.
type passing struct {
	sum    hash.Hash
	bytes  int64
	whole  bool
	closed bool   // what comes now counts for nothing
	coding string // its content coding; empty: none
}

func newPassing() passing { return passing{sum: sha256.New()} }

func (b *passing) pass(p []byte) bool {
	if b.closed {
		return false
	}
	b.sum.Write(p)
	b.bytes += int64(len(p))
	return true
}

// hash is that of the body in hex; empty if it did not pass whole.
func (b *passing) hash() string {
	if !b.whole {
		return ""
	}
	return hex.EncodeToString(b.sum.Sum(nil))
}

// requestBody is the body of a request.
type requestBody struct {
	passing
	form *form // nil: it is not read
	kept kept
	told asked
	lost reason // why it was not read, or not all of it
	read bool
	rest *sieve // once there is no room for all: what it leaves is kept, which is all but the texts
	left []byte
	data *formData // of a form, which is read as it passes
}

func (b *requestBody) begin(f *form, h map[string][]string, budget *Budget) {
	b.passing = newPassing()
	b.told.messages = -1
	b.kept.share.budget = budget
	b.coding = codingOf(h)
	switch media := mediaType(h); {
	case f == nil:
	case strings.HasPrefix(media, "multipart/"):
		if b.lost = badEncoding; b.coding == "" {
			b.lost, b.data = multipart, newFormData(header(h, "Content-Type"))
		}
	case !mayBeJSON(media):
		b.lost = notJSON
	default:
		b.form = f
	}
}

func (b *requestBody) take(p []byte) {
	if !b.pass(p) || b.read {
		return
	}
	if b.data != nil {
		b.data.pass(p)
	}
	if b.form == nil {
		return
	}
	if b.rest == nil && b.kept.lost == "" && b.coding == "" {
		if b.lost = b.kept.grow(len(p)); b.lost != "" {
			b.leaveOut()
		}
	}
	if b.rest != nil && b.kept.lost == "" {
		b.left = b.rest.pass(b.left[:0], p)
		p = b.left
	}
	b.kept.keep(p)
}

// leaveOut goes on without the members that are hashed, of which there is no hash then: the model, the tools and how they
// were asked are worth keeping.
func (b *requestBody) leaveOut() {
	b.rest = &sieve{out: append(slices.Sorted(maps.Keys(spellings)), b.form.hashed...)}
	all := b.kept
	b.kept = kept{share: share{budget: all.share.budget}}
	for p := range slices.Chunk(all.bytes, 32<<10) {
		b.left = b.rest.pass(b.left[:0], p)
		b.kept.keep(b.left)
	}
	all.free()
}

// finish reads what was kept and gives the memory back. What was cut off is not read.
func (b *requestBody) finish(budget *Budget) {
	if b.read {
		return
	}
	b.read = true
	defer b.kept.free()
	if b.data != nil && b.data.at == ended {
		b.told, b.lost = b.data.told, ""
	}
	switch {
	case b.form == nil || !b.whole:
		return
	case b.kept.lost != "":
		b.lost = b.kept.lost
		return
	}
	body := b.kept.bytes
	if b.coding != "" {
		plain := kept{share: share{budget: budget}}
		defer plain.free()
		if b.lost = decode(b.coding, body, budget, func(p []byte) bool { plain.keep(p); return plain.lost == "" }); b.lost == "" {
			b.lost = plain.lost
		}
		if b.lost != "" {
			return
		}
		body = plain.bytes
	}
	told, why := readRequest(b.form, body, budget)
	if b.rest != nil && why != notJSON {
		told.prompt, told.messages = "", -1
		why = b.lost
	}
	b.told, b.lost = told, why
}

// responseBody is the body of a response.
type responseBody struct {
	passing
	form   *form
	status int // 0: there is no response
	stream bool
	reply  reply
	lost   reason // why it was not read, or not all of it

	encoded kept    // all that passed, if it is encoded
	events  *events // of a stream that is read
	reader  jcs.Reader
	sieve   *sieve
	sieved  []byte
	kept    kept // a body that is read when it is whole
	reads   bool
}

// begin decides how the body is read.
func (b *responseBody) begin(f *form, path string, head ResponseHead, budget *Budget) {
	b.form, b.status, b.coding = f, head.Status, codingOf(head.Header)
	for _, s := range []*share{&b.encoded.share, &b.kept.share, &b.reply.share} {
		s.budget = budget
	}
	media := mediaType(head.Header)
	sse, messages := streams[media]
	b.stream = messages || head.Status < 400 && strings.HasSuffix(path, ":streamGenerateContent")
	switch failed := head.Status >= 400; {
	case f == nil && !failed:
	case messages && media == amazonStream:
		b.lost = badEncoding
	case messages && f != nil:
		b.reads, b.events = true, newEvents(sse, budget)
	case mayBeJSON(media):
		if b.reads = true; f != nil && len(f.vectors) > 0 && !failed {
			b.sieve = &sieve{out: f.vectors}
		}
	case f == nil || f.silent && !failed:
	default:
		b.lost = notJSON
	}
}

// streams are the media types of streams, and whether they are server-sent events.
var streams = map[string]bool{
	"text/event-stream": true, "application/x-ndjson": false, "application/ndjson": false, "application/jsonl": false,
	"application/x-jsonlines": false, "application/stream+json": false, amazonStream: false,
}

const amazonStream = "application/vnd.amazon.eventstream"

// mayBeJSON is false of what is surely something else: pictures and sound.
func mayBeJSON(media string) bool {
	switch major, minor, _ := strings.Cut(media, "/"); major {
	case "", "text":
		return true
	case "application":
		return minor == "json" || strings.HasSuffix(minor, "+json")
	}
	return false
}

// looksLikeEvents is true of server-sent events of a server that does not say that they are.
func looksLikeEvents(body []byte) bool {
	body = trimmed(body)
	return bytes.HasPrefix(body, []byte("data:")) || bytes.HasPrefix(body, []byte("event:")) || bytes.HasPrefix(body, []byte(":"))
}

func (b *responseBody) take(p []byte, budget *Budget) {
	switch {
	case !b.pass(p) || !b.reads:
	case b.coding != "":
		b.encoded.keep(p)
	default:
		b.plain(p, budget)
	}
}

// plain takes decoded bytes. It reports whether more of them are of use.
func (b *responseBody) plain(p []byte, budget *Budget) bool {
	switch {
	case b.events != nil:
		b.events.pass(p, func(e event) { b.message(e, budget) })
		return true
	case b.sieve != nil:
		b.sieved = b.sieve.pass(b.sieved[:0], p)
		p = b.sieved
	}
	b.kept.keep(p)
	return b.kept.lost == ""
}

// message reads a message of a stream.
func (b *responseBody) message(e event, budget *Budget) {
	data := trimmed(e.data)
	switch {
	case e.lost != "":
		b.torn(e.lost)
	case len(data) == 0:
	case string(data) == "[DONE]":
		b.reply.done = true
	default:
		why := read(data, 0, budget, &b.reader, func(v jcs.Value) {
			if hasError(v) {
				b.reply.failure = failureOf(v)
			}
			if b.form.event != nil {
				b.form.event(&b.reply, e.name, v)
			} else {
				b.form.reply(&b.reply, e.name, v)
			}
		})
		if why != "" {
			b.torn(why)
		}
	}
}

// torn says that a part of a stream is missing: there is no hash of the outputs then.
func (b *responseBody) torn(why reason) {
	b.lost = why
	b.reply.tear(why)
}

// complete reports whether all that the upstream had to say has come: to its end, or to the last message of a stream, behind
// which many programs close the connection.
func (b *responseBody) complete() bool { return b.whole || b.stream && b.reply.done }

// finish reads what was kept and gives its memory back. The reply keeps its own.
func (b *responseBody) finish(budget *Budget) {
	defer b.encoded.free()
	defer b.kept.free()
	if !b.reads {
		return
	}
	if b.coding != "" {
		why := b.encoded.lost
		if why == "" {
			why = decode(b.coding, b.encoded.bytes, budget, func(p []byte) bool { return b.plain(p, budget) })
		}
		if why != "" && (b.whole || why != badEncoding) { // of a body that was cut off the end is missing, and nothing is wrong
			b.torn(why)
		}
	}
	if b.events == nil && b.form != nil && looksLikeEvents(b.kept.bytes) {
		b.stream, b.events = true, newEvents(true, budget)
		b.events.pass(b.kept.bytes, func(e event) { b.message(e, budget) })
	}
	if b.events != nil {
		b.events.end(func(e event) {
			if b.whole { // else it may be cut in the middle
				b.message(e, budget)
			}
		})
		if b.whole && b.lost == "" && !b.reply.known && b.reply.failure == nil && !b.form.silent {
			b.lost = notTheDialect
		}
	} else if b.whole && b.lost == "" {
		b.lost = b.readWhole(budget)
	}
	if b.lost == "" && b.reply.torn == noRoom {
		b.lost = noRoom
	}
}

func (b *responseBody) readWhole(budget *Budget) reason {
	if b.kept.lost != "" {
		return b.kept.lost
	}
	known := true
	why := read(b.kept.bytes, 0, budget, nil, func(v jcs.Value) {
		if b.status >= 400 {
			b.reply.failure = failureOf(v)
			return
		}
		if hasError(v) {
			b.reply.failure = failureOf(v)
		}
		b.form.reply(&b.reply, "", v)
		known = b.reply.known || b.reply.failure != nil
	})
	switch {
	case why == notJSON && (b.form == nil || b.form.silent && b.status < 400):
		return "" // a page that tells of an error, or a transcript
	case why == "" && !known:
		return notTheDialect
	}
	return why
}
