// Package call reads what one attempt to reach a model says, while it passes: which model was asked and which
// answered, tokens, tool calls, how it ended, and hashes of what was said. It is the pure half of the recording proxy:
// no network, no clock, no files. What it returns holds no content and no credential.
//
//	route := call.Find("openai", "POST", "/v1/chat/completions")
//	c := call.Begin(route, call.RequestHead{Method: "POST", Path: "/v1/chat/completions", Header: header}, budget)
//	c.Request(p)             // the body of the request, as it passes
//	c.RequestEnd(true)
//	c.Response(call.ResponseHead{Status: 200, Header: header})
//	c.Body(p)                // the body of the response, as it passes
//	c.End(call.Whole)
//	data := c.Members(call.Attempt{EndpointHost: "api.openai.com", StartedAt: "…", …})
//
// Request, Body and the ends are cheap, but for the events of a stream, which are read one by one. What takes longer, such
// as decoding and parsing a body, is left to Members: call that when the program has its response.
package call

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"sync"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// RequestHead is the head of a request as the program sent it.
type RequestHead struct {
	Method string
	Path   string              // as on the wire (escaped), without the query
	Query  string              // as on the wire; nothing of it is recorded, but a key in it is one to leave out everywhere
	Header map[string][]string // names in the canonical case of net/http: X-Stainless-Lang
}

// ResponseHead is the head of the final response.
type ResponseHead struct {
	Status int
	Header map[string][]string
}

// Ending is how an attempt ended.
type Ending string

// Whole is the end of a response that came whole, whatever its status; the others name what ended it before.
const (
	Whole           Ending = ""
	ConnectFailed   Ending = "connect_failed"
	TLSFailed       Ending = "tls_failed"
	UpstreamReset   Ending = "upstream_reset"
	UpstreamTimeout Ending = "upstream_timeout"
	ClientGone      Ending = "client_gone"
)

// Attempt is what the bytes of an attempt do not say. What is empty or below 1 is left out, but a millisecond may be 0.
type Attempt struct {
	Number        int64 // request_number
	LogicalCallID string
	Attempt       int64
	EndpointHost  string
	StartedAt     string // in the form of receipts
	FirstByteMS   int64  // below 0: no byte came
	LatencyMS     int64  // below 0: unknown
}

// Call is one attempt. The bytes of each direction come from one goroutine at a time; the directions may be two.
type Call struct {
	route Route
	head  RequestHead

	mu       sync.Mutex // of all below
	request  body
	response body
	status   int // 0: no response
	ending   Ending
}

// body is what passed in one direction.
type body struct {
	sum   hash.Hash
	bytes int64
	whole bool
}

func (b *body) pass(p []byte) {
	b.sum.Write(p)
	b.bytes += int64(len(p))
}

// Begin begins an attempt. What it keeps of bodies is taken from the budget, until Members gives it back: each Call must
// come to that.
func Begin(route Route, head RequestHead, budget *Budget) *Call {
	return &Call{route: route, head: head, request: body{sum: sha256.New()}, response: body{sum: sha256.New()}}
}

// Request takes the next bytes of the request's body.
func (c *Call) Request(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request.pass(p)
}

// RequestEnd says that no more of the request comes; whole, if that was its end.
func (c *Call) RequestEnd(whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.request.whole = whole
}

// Response takes the head of the final response.
func (c *Call) Response(head ResponseHead) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = head.Status
}

// Body takes the next bytes of the response's body.
func (c *Call) Body(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.response.pass(p)
}

// End says how the attempt ended.
func (c *Call) End(how Ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending, c.response.whole = how, how == Whole
}

// Members are the data of the receipt, in the order of the specification. It is called once, when both directions have
// ended or will be read no more, and gives back what was taken from the budget; bytes that come later count for nothing.
func (c *Call) Members(a Attempt) []jcs.Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []jcs.Member{jcs.M("source", jcs.Str("proxy"))}
}

// Failed reports whether the attempt may be followed by another one of the same logical call. It is known after Members.
func (c *Call) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending != Whole || c.status == 0 || c.status >= 400
}

// Unparsed reports whether a body could not be read. It is known after Members.
func (c *Call) Unparsed() bool { return false }

// RequestHash is the hash of the request's body as it passed, in hex; empty if that did not pass whole. Attempts with
// the same one may belong together.
func (c *Call) RequestHash() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.request.whole {
		return ""
	}
	return hex.EncodeToString(c.request.sum.Sum(nil))
}

// Parent is the receipt that caused this one, as a hook told; empty if none did.
func (c *Call) Parent() string { return "" }
