// Package call reads what one attempt to reach a model says, while it passes: which model was asked and which
// answered, tokens, calls of tools, how it ended, and hashes of what was said. It is the pure half of the recording proxy:
// no network, no clock, no files. What it returns holds no content and no credential.
//
//	route := call.Find("openai", "POST", "/v1/chat/completions")
//	c := call.Begin(route, call.RequestHead{Method: "POST", Path: "/v1/chat/completions", Header: header}, budget)
//	c.Request(p)             // the body of the request, as it passes
//	c.RequestEnd(true)
//	c.Response(call.ResponseHead{Status: 200, Header: header})
//	c.Body(p)                // the body of the response, as it passes
//	c.End(call.Whole)
//	c.Finish()
//	data := c.Members(call.Attempt{EndpointHost: "api.openai.com", StartedAt: "…", …})
//
// Request, Body and the ends are cheap, but for the events of a stream, which are read one by one. What takes longer, such
// as decoding and parsing a body, is left to ReadRequest and Finish: call them where nobody waits.
package call

import (
	"strings"
	"sync"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

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

// Call is one attempt. The bytes of a direction come one after the other, from any goroutine; both directions may pass at once.
type Call struct {
	route  Route
	head   RequestHead
	budget *Budget

	asked    sync.Mutex // guards request
	request  requestBody
	answered sync.Mutex // guards all below
	response responseBody
	ending   Ending
	finished bool
	said     string // response_hash; empty: there is none
	calls    []toolCall
}

// toolCall is a call of a tool, as a receipt has it.
type toolCall struct{ name, argsHash string }

// conclude hashes the outputs, if they are all here, and forgets them.
func (c *Call) conclude() {
	defer c.response.reply.forget()
	if !c.hashed() {
		return
	}
	c.said = "sha256:" + c.response.reply.hash()
	for _, o := range c.response.reply.sorted() {
		for _, p := range o.parts {
			if !p.call || len(c.calls) == maxNames {
				continue
			}
			said := toolCall{argsHash: argsHash(p.args)}
			if len(p.name) <= maxName {
				said.name = p.name
			}
			c.calls = append(c.calls, said)
		}
	}
}

// Begin begins an attempt. What it keeps of bodies is taken from the budget until Finish gives it back: each Call must
// come to that.
func Begin(route Route, head RequestHead, budget *Budget) *Call {
	c := &Call{route: route, head: head, budget: budget}
	c.request.begin(route.form, head.Header, budget)
	c.response.passing = newPassing()
	return c
}

// Request takes the next bytes of the request's body.
func (c *Call) Request(p []byte) {
	c.asked.Lock()
	defer c.asked.Unlock()
	c.request.take(p)
}

// RequestEnd says that no more of the request comes; whole, if that was its end.
func (c *Call) RequestEnd(whole bool) {
	c.asked.Lock()
	defer c.asked.Unlock()
	if !c.request.closed {
		c.request.whole, c.request.closed = whole, true
	}
}

// ReadRequest reads what was kept of a request that has ended, and gives its memory back before the response is there.
// Who does not call it leaves that to Finish.
func (c *Call) ReadRequest() {
	c.asked.Lock()
	defer c.asked.Unlock()
	if c.request.closed {
		c.request.finish(c.budget)
	}
}

// Response takes the head of the final response.
func (c *Call) Response(head ResponseHead) {
	c.answered.Lock()
	defer c.answered.Unlock()
	if !c.response.closed && c.response.status == 0 {
		c.response.begin(c.route.form, c.head.Path, head, c.budget)
	}
}

// Body takes the next bytes of the response's body.
func (c *Call) Body(p []byte) {
	c.answered.Lock()
	defer c.answered.Unlock()
	c.response.take(p, c.budget)
}

// End says how the attempt ended.
func (c *Call) End(how Ending) {
	c.answered.Lock()
	defer c.answered.Unlock()
	if !c.response.closed {
		c.ending, c.response.closed = how, true
		c.response.whole = how == Whole && c.response.status != 0
	}
}

// Finish reads what was kept and gives its memory back, when both directions have ended or will be read no more; bytes
// that come later count for nothing.
func (c *Call) Finish() {
	c.asked.Lock()
	defer c.asked.Unlock()
	c.answered.Lock()
	defer c.answered.Unlock()
	c.finish()
}

func (c *Call) finish() {
	if !c.finished {
		c.finished, c.request.closed, c.response.closed = true, true, true
		c.request.finish(c.budget)
		c.response.finish(c.budget)
		c.conclude()
	}
}

// Members are the data of the receipt, in the order of the specification. What has not been finished is now.
func (c *Call) Members(a Attempt) []jcs.Member {
	c.asked.Lock()
	defer c.asked.Unlock()
	c.answered.Lock()
	defer c.answered.Unlock()
	c.finish()
	m := &members{list: make([]jcs.Member, 0, 48), secrets: secrets(c.head)}
	c.addIdentity(m, a)
	c.addOutcome(m, a)
	c.addUsage(m)
	c.addRequest(m)
	c.addClient(m)
	c.addHashes(m)
	return m.list
}

// Failed reports whether the attempt may be followed by another one of the same logical call. It is known after Finish.
func (c *Call) Failed() bool {
	c.answered.Lock()
	defer c.answered.Unlock()
	return !c.succeeded()
}

// Unparsed reports whether a body could not be read. It is known after Finish.
func (c *Call) Unparsed() bool {
	c.asked.Lock()
	defer c.asked.Unlock()
	c.answered.Lock()
	defer c.answered.Unlock()
	return c.request.lost != "" || c.response.lost != ""
}

// RequestHash is the hash of the request's body as it passed, in hex; empty if that did not pass whole. Attempts with
// the same one may belong together.
func (c *Call) RequestHash() string {
	c.asked.Lock()
	defer c.asked.Unlock()
	return c.request.hash()
}

// Parent is the receipt that caused this one, as a hook told; empty if none did.
func (c *Call) Parent() string { return parentOf(c.head.Header) }

// Route is what the attempt is for.
func (c *Call) Route() Route { return c.route }

func (c *Call) succeeded() bool {
	r := &c.response
	return r.complete() && (c.ending == Whole || c.ending == ClientGone) && r.status > 0 && r.status < 400 && r.reply.failure == nil
}

// errorClass says in one word what went wrong; empty: nothing did.
func (c *Call) errorClass() string {
	r := &c.response
	switch s := r.status; {
	case s == 429:
		return "rate_limited"
	case s == 401 || s == 403:
		return "unauthorized"
	case s == 404:
		return "not_found"
	case s == 400 || s == 409 || s == 413 || s == 422:
		return "invalid_request"
	case s == 529:
		return "overloaded"
	case s >= 500:
		return "server_error"
	case s >= 400:
		return "http_error"
	case r.reply.failure != nil && r.stream:
		return "stream_error"
	case r.reply.failure != nil:
		return "body_error"
	case c.succeeded():
		return ""
	case c.ending == Whole: // and no response
		return string(UpstreamReset)
	}
	return string(c.ending)
}

func (c *Call) addIdentity(m *members, a Attempt) {
	m.add("source", jcs.Str("proxy"))
	m.positive("request_number", a.Number)
	m.own("logical_call_id", a.LogicalCallID)
	m.positive("attempt", a.Attempt)
	m.own("provider", c.route.Provider)
	m.own("endpoint_host", a.EndpointHost)
	m.add("route", jcs.Str(c.route.Name))
	if c.route.Name == Unknown {
		m.add("method", jcs.Str(maskedMethod(c.head.Method)))
		m.text("path", maskedPath(c.head.Path), 1024)
	}
	model := c.request.told.model
	if model == "" && c.route.form != nil {
		model = modelInPath(c.head.Path)
	}
	m.text("model_id", model, 256)
	m.text("model_served", c.response.reply.model, 256)
	m.text("response_id", c.response.reply.id, 256)
}

func (c *Call) addOutcome(m *members, a Attempt) {
	r := &c.response
	m.positive("status_code", int64(r.status))
	m.add("success", jcs.Boolean(c.succeeded()))
	if r.status > 0 {
		m.add("stream", jcs.Boolean(r.stream))
	}
	m.word("finish_reason", r.reply.finish)
	m.own("error_class", c.errorClass())
	if f := r.reply.failure; f != nil {
		m.word("error_code", f.code)
		m.own("error_hash", f.hash)
	}
	m.own("started_at", a.StartedAt)
	m.natural("first_byte_ms", a.FirstByteMS)
	m.natural("latency_ms", a.LatencyMS)
}

// addUsage adds the provider's own numbers. (CAP-9)
func (c *Call) addUsage(m *members) {
	t := &c.response.reply.tokens
	input, output := sum(t.input), sum(t.output)
	total := sum([]count{input, output})
	if !input.told || !output.told && len(t.output) > 0 && !c.route.form.silent {
		total = count{}
	}
	told := false
	for _, n := range []struct {
		name string
		count
	}{
		{"input_tokens", input}, {"output_tokens", output}, {"total_tokens", total}, {"cached_input_tokens", t.cached},
		{"cache_write_tokens", t.written}, {"reasoning_tokens", t.reason},
	} {
		if n.told {
			m.natural(n.name, n.n)
			told = true
		}
	}
	switch {
	case c.route.Type != ModelCall:
	case told:
		m.add("usage_source", jcs.Str("provider"))
	default:
		m.add("usage_source", jcs.Str("missing"))
	}
}

func (c *Call) addRequest(m *members) {
	told := &c.request.told
	if told.messages >= 0 {
		m.natural("message_count", int64(told.messages))
	}
	var names, calls []jcs.Value
	for _, name := range told.tools {
		if m.may(name, 128) {
			names = append(names, jcs.Str(name))
		}
	}
	m.list1("tools_offered", names)
	for _, said := range c.calls {
		var call []jcs.Member
		if m.may(said.name, 128) {
			call = append(call, jcs.M("name", jcs.Str(said.name)))
		}
		calls = append(calls, jcs.Obj(append(call, jcs.M("args_hash", jcs.Str(said.argsHash)))...))
	}
	m.list1("tool_calls", calls)
	var params []jcs.Member
	for _, p := range told.params {
		if p.Value.Kind != jcs.String || m.may(p.Value.Text, 64) {
			params = append(params, p)
		}
	}
	if len(params) > 0 {
		m.add("params", jcs.Obj(params...))
	}
}

func (c *Call) addClient(m *members) {
	var sdk []jcs.Member
	for _, s := range sdkOf(c.head.Header) {
		if m.may(s.Value.Text, 64) {
			sdk = append(sdk, s)
		}
	}
	if len(sdk) > 0 {
		m.add("sdk", jcs.Obj(sdk...))
	}
	if site, ok := callsiteOf(c.head.Header); ok {
		m.anyText("callsite_file", site.file, 512)
		m.anyText("callsite_function", site.function, 512)
		m.positive("callsite_line", site.line)
	}
	m.text("traceparent", traceparentOf(c.head.Header), 64)
}

// hashed reports whether all outputs of the response are here.
func (c *Call) hashed() bool {
	r := &c.response
	return c.succeeded() && r.form != nil && !r.form.silent && r.lost == "" && r.reply.torn == "" && r.reply.known
}

func (c *Call) addHashes(m *members) {
	prompt, response := c.request.told.prompt, c.said
	if prompt != "" || response != "" {
		m.add("canonicalization", jcs.Str("assay.call/v1"))
	}
	m.own("prompt_hash", prompt)
	m.own("response_hash", response)
	m.add("request_bytes", jcs.Int(c.request.bytes))
	if c.response.status > 0 {
		m.add("response_bytes", jcs.Int(c.response.bytes))
	}
	if h := c.request.hash(); h != "" {
		m.add("request_body_sha256", jcs.Str("sha256:"+h))
	}
	if h := c.response.hash(); h != "" {
		m.add("response_body_sha256", jcs.Str("sha256:"+h))
	}
	var lost []jcs.Member
	if c.request.lost != "" {
		lost = append(lost, jcs.M("request", jcs.Str(string(c.request.lost))))
	}
	if c.response.lost != "" {
		lost = append(lost, jcs.M("response", jcs.Str(string(c.response.lost))))
	}
	if len(lost) > 0 {
		m.add("unparsed", jcs.Obj(lost...))
	}
}

// members are those of a receipt that is written. What is unknown, too long or not plain text is left out.
type members struct {
	list    []jcs.Member
	secrets []string
}

func (m *members) add(name string, v jcs.Value) { m.list = append(m.list, jcs.M(name, v)) }

// may reports whether a text that somebody else wrote may stand in a receipt: printable ASCII, not long, and nothing of
// a credential in it. (CAP-7)
func (m *members) may(s string, most int) bool {
	return s != "" && len(s) <= most && printable(s) && !holdsSecret(s, m.secrets)
}

// own is a text of the recorder's own.
func (m *members) own(name, s string) {
	if s != "" {
		m.add(name, jcs.Str(s))
	}
}

func (m *members) text(name, s string, most int) {
	if m.may(s, most) {
		m.add(name, jcs.Str(s))
	}
}

// anyText is text that need not be ASCII.
func (m *members) anyText(name, s string, most int) {
	if s != "" && len(s) <= most && !holdsSecret(s, m.secrets) {
		m.add(name, jcs.Loose(s))
	}
}

// word is text without spaces and the like, as codes are.
func (m *members) word(name, s string) {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '.' || r == '-'
	}
	if strings.TrimLeftFunc(s, plain) == "" {
		m.text(name, s, 64)
	}
}

func (m *members) positive(name string, n int64) {
	if n > 0 {
		m.natural(name, n)
	}
}

func (m *members) natural(name string, n int64) {
	if 0 <= n && n <= maxInteger {
		m.add(name, jcs.Int(n))
	}
}

func (m *members) list1(name string, items []jcs.Value) {
	if len(items) > 0 {
		m.add(name, jcs.Arr(items...))
	}
}
