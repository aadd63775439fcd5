package call

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// step is 1, so that every offset is tried; short tests try some.
func step() int {
	if testing.Short() {
		return 11
	}
	return 1
}

// A stream is read as it arrives; it does not matter where the network cuts it.
func TestABodyThatIsCutAnywhereIsRecordedAsTheWhole(t *testing.T) {
	for _, f := range fixtures(t) {
		for cut := 0; cut <= len(f.answered); cut += step() {
			c := Begin(f.route, f.request, NewBudget(room))
			c.Request(f.asked[:min(cut, len(f.asked))])
			c.Request(f.asked[min(cut, len(f.asked)):])
			c.RequestEnd(true)
			c.Response(f.response)
			c.Body(f.answered[:cut])
			c.Body(f.answered[cut:])
			c.End(Whole)
			if got := pretty(t, c.Members(attempt)); !bytes.Equal(got, f.members) {
				t.Fatalf("%s cut at %d: recorded is\n%s", f.name, cut, got)
			}
		}
		for _, size := range []int{1, 2, 3, 5} {
			if got := pretty(t, f.run(NewBudget(room), size).Members(attempt)); !bytes.Equal(got, f.members) {
				t.Fatalf("%s in pieces of %d: recorded is\n%s", f.name, size, got)
			}
		}
	}
}

// CAP-11: both ways of asking for a response have one hash, and tell the same.
func TestAStreamIsRecordedLikeTheResponseThatItAddsUpTo(t *testing.T) {
	list := map[string]jcs.Value{}
	for _, f := range fixtures(t) {
		list[f.name] = jcs.Obj(f.run(NewBudget(room), 1<<20).Members(attempt)...)
	}
	pairs := 0
	for name, stream := range list {
		for _, suffix := range []string{"_stream", "_list", "_stream_of_items"} {
			whole, ok := list[strings.TrimSuffix(name, suffix)]
			if !ok || !strings.HasSuffix(name, suffix) {
				continue
			}
			pairs++
			for _, member := range []string{"model_served", "response_id", "success", "finish_reason", "input_tokens", "output_tokens", "total_tokens",
				"cached_input_tokens", "cache_write_tokens", "reasoning_tokens", "tool_calls", "response_hash"} {
				a, _ := jcs.AppendPack(nil, at(whole, member))
				b, _ := jcs.AppendPack(nil, at(stream, member))
				if !bytes.Equal(a, b) {
					t.Errorf("%s: %s is %s, of the whole response %s", name, member, b, a)
				}
			}
			if text(whole, "response_hash") == "" || !at(stream, "stream").Bool || at(whole, "stream").Bool {
				t.Errorf("%s is no pair", name)
			}
		}
	}
	if pairs < 10 {
		t.Errorf("%d pairs", pairs)
	}
}

// CAP-11: what the last event of a stream repeats counts, and not what came before.
func TestTheLastEventThatHasItAllIsBelieved(t *testing.T) {
	item := func(text string) string {
		return `{"type":"message","content":[{"type":"output_text","text":"` + text + `"}]}`
	}
	for name, test := range map[string]struct{ path, media, stream, text string }{
		"responses": {"/v1/responses", "text/event-stream", `data: {"type":"response.output_item.done","output_index":3,"item":` + item("stale") + `}

data: {"type":"response.completed","response":{"output":[` + item("last") + `]}}

`, "last"},
		"responses without items": {"/v1/responses", "text/event-stream", `data: {"type":"response.output_item.done","output_index":3,"item":` + item("b") + `}

data: {"type":"response.output_item.done","output_index":1,"item":` + item("a") + `}

data: {"type":"response.completed","response":{"output":[]}}

`, "ab"},
		"cohere": {"/v1/chat", "application/stream+json", `{"event_type":"stream-start"}
{"event_type":"text-generation","text":"stale"}
{"event_type":"stream-end","response":{"text":"last"}}
`, "last"},
	} {
		f := fixture{route: Find("", "POST", test.path), answered: []byte(test.stream), response: ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {test.media}}}}
		want := canonicalHash(t, []byte(`{"outputs":[{"text":"`+test.text+`","tool_calls":[]}]}`))
		if got := text(recorded(f.run(NewBudget(room), 1<<20)), "response_hash"); got != want {
			t.Errorf("%s: response_hash is %q, want %s", name, got, want)
		}
	}
}

// CAP-11: which texts of a response are its text.
func TestWhatCountsAsTextIsWhatThePageSays(t *testing.T) {
	for name, test := range map[string]struct{ path, body, text string }{
		"pieces of a message":          {"/v1/responses", `{"output":[{"type":"message","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"b"},{"type":"other","text":"x"}]}]}`, "ab"},
		"an item that is no message":   {"/v1/responses", `{"output":[{"type":"reasoning","content":[{"type":"output_text","text":"x"}]},{"type":"message","content":[{"type":"output_text","text":"a"}]}]}`, "a"},
		"content before a refusal":     {"/v1/chat/completions", `{"choices":[{"message":{"refusal":"b","content":"a"}}]}`, "ab"},
		"pieces of content":            {"/v1/chat/completions", `{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"thinking","text":"x"},{"type":"text","text":"b"}],"reasoning_content":"x"}}]}`, "ab"},
		"blocks that are no text":      {"/v1/messages", `{"content":[{"type":"thinking","thinking":"x","text":"x"},{"type":"text","text":"a"}]}`, "a"},
		"parts that are thoughts":      {"/m:generateContent", `{"candidates":[{"content":{"parts":[{"text":"x","thought":true},{"text":"a","thought":false},{"text":"b"}]}}]}`, "ab"},
		"a message and no generation":  {"/api/chat", `{"message":{"content":"a","thinking":"x"}}`, "a"},
		"a generation and no message":  {"/api/generate", `{"response":"a","thinking":"x"}`, "a"},
		"no blocks":                    {"/v1/messages", `{"content":[]}`, ""},
		"no items":                     {"/v1/responses", `{"output":[]}`, ""},
		"an empty message":             {"/api/chat", `{"message":{}}`, ""},
		"an empty message of cohere":   {"/v2/chat", `{"message":{}}`, ""},
		"an empty choice":              {"/v1/completions", `{"choices":[{}]}`, ""},
		"a choice of text":             {"/v1/completions", `{"choices":[{"text":"a"}]}`, "a"},
		"a message of the other house": {"/v2/chat", `{"message":{"tool_plan":"x","content":[{"type":"text","text":"a"}]}}`, "a"},
	} {
		f := fixture{route: Find("", "POST", test.path), answered: []byte(test.body), response: ResponseHead{Status: 200}}
		want := canonicalHash(t, []byte(`{"outputs":[{"text":"`+test.text+`","tool_calls":[]}]}`))
		if got := text(recorded(f.run(NewBudget(room), 1<<20)), "response_hash"); got != want {
			t.Errorf("%s: response_hash is %q, want %s", name, got, want)
		}
	}
}

// CAP-11: a long text is hashed in pieces, which are cut between characters.
func TestALongTextIsHashedWhole(t *testing.T) {
	for _, before := range []string{"", "x", "xx", "xxx"} {
		for _, character := range []string{"東", "👋", "é", "\\n", "x"} {
			long := before + strings.Repeat(character, 20_000)
			v := recorded(answered(NewBudget(room), "application/json", `{"choices":[{"message":{"content":"`+long+`"}}]}`))
			want := canonicalHash(t, []byte(`{"outputs":[{"text":"`+long+`","tool_calls":[]}]}`))
			if got := text(v, "response_hash"); got != want {
				t.Errorf("%q and many %s: response_hash is %q, want %s", before, character, got, want)
			}
		}
	}
}

// CAP-11: calls that share an index are told apart by their ids, and what has no id belongs to the last of them.
func TestCallsOfOneIndexAreSeveral(t *testing.T) {
	piece := func(index int, id, name, args string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d,"id":%q,"function":{"name":%q,"arguments":%q}}]}}]}`+"\n\n", index, id, name, args)
	}
	v := recorded(answered(NewBudget(room), "text/event-stream", piece(0, "a", "x", "1")+piece(0, "", "", "2")+piece(0, "b", "y", "3")+piece(0, "", "", "4")+
		piece(0, "c", "z", "5")+piece(0, "c", "", "6")+piece(0, "", "", "7")+piece(1, "d", "w", "8")+piece(1, "", "", "9")))
	want := canonicalHash(t, []byte(`{"outputs":[{"text":"","tool_calls":[{"name":"x","arguments":"12"},{"name":"y","arguments":"34"},{"name":"z","arguments":"567"},{"name":"w","arguments":"89"}]}]}`))
	if got := text(v, "response_hash"); got != want {
		t.Errorf("response_hash is %q, want %s", got, want)
	}
}

// The first output's word counts, and that a later chunk says nothing more takes nothing back.
func TestTheFinishIsThatOfTheFirstOutput(t *testing.T) {
	said := func(index int, reason string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":%d,"delta":{},"finish_reason":%s}]}`+"\n\n", index, reason)
	}
	for stream, want := range map[string]string{
		said(0, `"stop"`) + said(0, "null"): "stop", said(1, `"length"`) + said(0, `"stop"`): "stop", said(0, `"stop"`) + said(1, `"length"`): "stop",
		said(1, `"length"`) + said(2, `"stop"`): "length", said(0, `"stop"`) + said(0, `"length"`): "length", said(0, `""`) + said(1, `"stop"`): "stop",
		said(0, `"two words"`): "", said(0, `"`+strings.Repeat("a", 64)+`"`): strings.Repeat("a", 64), said(0, `"`+strings.Repeat("a", 65)+`"`): "", said(0, "null"): "", said(0, "7"): "",
	} {
		if got := text(recorded(answered(NewBudget(room), "text/event-stream", stream)), "finish_reason"); got != want {
			t.Errorf("%q: finish_reason is %q, want %q", stream, got, want)
		}
	}
}

// A response that breaks off has no hash, is no success, and nothing is wrong with its form; a stream tells what it told before.
func TestAResponseThatBreaksOffHasNoHash(t *testing.T) {
	for _, f := range fixtures(t) {
		if f.response.Status != 200 {
			continue
		}
		for cut := 0; cut < len(f.answered); cut += step() {
			for _, how := range []Ending{ClientGone, UpstreamReset} {
				g := f
				g.answered = f.answered[:cut]
				c := g.begun(NewBudget(room), 1<<20)
				c.End(how)
				v := jcs.Obj(c.Members(attempt)...)
				done := c.response.stream && c.response.reply.done && how == ClientGone && c.response.reply.failure == nil
				if at(v, "success").Bool != done || done != (text(v, "response_hash") != "") || text(v, "response_body_sha256") != "" || text(at(v, "unparsed"), "response") != "" {
					t.Fatalf("%s cut at %d, %s: done %v, recorded is\n%s", f.name, cut, how, done, pretty(t, v.Members))
				}
				if class := text(v, "error_class"); !done && class != string(how) && class != "stream_error" || done && class != "" {
					t.Fatalf("%s cut at %d: error_class %q", f.name, cut, class)
				}
			}
		}
	}
}

// What the first message of a stream told is recorded, whatever comes.
func TestTheBeginningOfAStreamTellsTheModel(t *testing.T) {
	for name, beginning := range map[string]string{"openai_chat_stream": "\n\n", "openai_responses_stream": "\n\n", "anthropic_messages_stream": "\n\n", "google_generate_content_stream": "\n\n", "ollama_chat_stream": "\n"} {
		f := named(t, name)
		first, _, _ := bytes.Cut(f.answered, []byte(beginning))
		f.answered = append(first, beginning...)
		c := f.begun(NewBudget(room), 1<<20)
		c.End(UpstreamReset)
		v := recorded(c)
		if text(v, "model_served") == "" || text(v, "response_id") == "" && name != "ollama_chat_stream" {
			t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
		}
	}
}

// Small servers send events and say nothing of it, or something else.
func TestEventsThatDoNotSaySoAreRead(t *testing.T) {
	for _, name := range []string{"openai_chat_stream", "anthropic_messages_stream"} {
		f := named(t, name)
		for _, media := range []string{"", "text/plain", "application/json"} {
			for _, before := range []string{"", "\n", ": hello\n\n"} {
				g := f
				g.response.Header = map[string][]string{"Content-Type": {media}}
				g.answered = append([]byte(before), f.answered...)
				for _, how := range []Ending{Whole, ClientGone} {
					c := g.begun(NewBudget(room), 100)
					c.End(how)
					want, _ := jcs.Parse(f.members, jcs.Limits{})
					got := jcs.Obj(c.Members(attempt)...)
					if a, b := pretty(t, got.Without(wireMembers...).Members), pretty(t, want.Without(wireMembers...).Members); !bytes.Equal(a, b) {
						t.Errorf("%s as %q, %s: recorded is\n%s", name, media, how, a)
					}
				}
			}
		}
	}
}

func TestEveryTypeOfAStreamIsKnown(t *testing.T) {
	sse, lines := named(t, "openai_chat_stream"), named(t, "ollama_chat_stream")
	for media, events := range streams {
		f := lines
		if events {
			f = sse
		}
		f.response.Header = map[string][]string{"Content-Type": {strings.ToUpper(media) + "; charset=utf-8"}}
		v := recorded(f.run(NewBudget(room), 100))
		if unread := text(at(v, "unparsed"), "response") == "encoding"; unread != (media == amazonStream) || !at(v, "stream").Bool || (text(v, "response_hash") != "") == unread || !at(v, "success").Bool {
			t.Errorf("%s: recorded is\n%s", media, pretty(t, v.Members))
		}
	}
	if len(streams) < 6 || !strings.HasPrefix(amazonStream, "application/vnd.amazon.eventstream") {
		t.Error(streams)
	}
}

func TestAStreamOfSomebodyElseIsSaidToBeUnparsed(t *testing.T) {
	for _, body := range []string{"data: {\"a\":1}\n\n", "data: [1]\n\ndata: \"x\"\n\n", ": hello\n\n", "data: [DONE]\n\n", "", "{\"choices\":[]}"} {
		for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/v1/responses", "/m:streamGenerateContent", "/v2/chat"} {
			f := fixture{route: Find("", "POST", path), answered: []byte(body), response: ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {"text/event-stream"}}}}
			if v := recorded(f.run(NewBudget(room), 3)); text(at(v, "unparsed"), "response") != "not_the_dialect" || text(v, "response_hash") != "" {
				t.Errorf("%s, %q: recorded is\n%s", path, body, pretty(t, v.Members))
			}
		}
	}
}

// The type of an event stands in its data; that it is its name as well adds nothing.
func TestEventsNeedNoNames(t *testing.T) {
	for _, name := range []string{"anthropic_messages_stream", "openai_responses_stream", "cohere_chat_stream"} {
		f := named(t, name)
		plain := f
		plain.answered = nil
		for line := range bytes.Lines(f.answered) {
			if !bytes.HasPrefix(line, []byte("event:")) {
				plain.answered = append(plain.answered, line...)
			}
		}
		a, b := recorded(f.run(NewBudget(room), 100)), recorded(plain.run(NewBudget(room), 100))
		if x, y := pretty(t, a.Without(wireMembers...).Members), pretty(t, b.Without(wireMembers...).Members); len(plain.answered) == len(f.answered) || !bytes.Equal(x, y) {
			t.Errorf("%s without names: recorded is\n%s", name, y)
		}
	}
}

// Whoever closes the connection behind the last message has had it all.
func TestAProgramThatLeavesBehindTheLastMessageHasSucceeded(t *testing.T) {
	for _, name := range []string{"openai_chat_stream", "openai_responses_stream", "anthropic_messages_stream", "ollama_chat_stream", "cohere_chat_stream"} {
		found := false
		for _, f := range fixtures(t) {
			if f.name != name {
				continue
			}
			found = true
			f.answered = append(f.answered, "\n: and more"...)
			c := f.begun(NewBudget(room), 1<<20)
			c.End(ClientGone)
			v := jcs.Obj(c.Members(attempt)...)
			if !at(v, "success").Bool || text(v, "response_hash") == "" || text(v, "error_class") != "" || c.Failed() {
				t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
			}
		}
		if !found {
			t.Errorf("no fixture %s", name)
		}
	}
}

// encoders make what each coding decodes.
var encoders = map[string]func(p []byte) []byte{
	"gzip": func(p []byte) []byte {
		return through(p, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	},
	"deflate": func(p []byte) []byte {
		return through(p, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	},
	"deflate, bare": func(p []byte) []byte {
		return through(p, func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f })
	},
	"br": func(p []byte) []byte {
		return through(p, func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
	},
	"zstd": func(p []byte) []byte {
		return through(p, func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	},
}

func through(p []byte, open func(io.Writer) io.WriteCloser) []byte {
	var out bytes.Buffer
	w := open(&out)
	if _, err := w.Write(p); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// brotliBudget has room for a few small bodies: what is read at once is many of them.
func brotliBudget() *Budget {
	b := NewBudget(1 << 20)
	b.Brotli = func(r io.Reader) io.Reader { return brotli.NewReader(r) }
	return b
}

// wireMembers are about the bytes on the wire.
var wireMembers = []string{"request_bytes", "response_bytes", "request_body_sha256", "response_body_sha256"}

func TestEncodedBodiesAreReadAsTheyAreMeant(t *testing.T) {
	for _, f := range fixtures(t) {
		v, err := jcs.Parse(f.members, jcs.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		want := pretty(t, v.Without(wireMembers...).Members)
		for name, encode := range encoders {
			g := f
			coding, _, _ := strings.Cut(name, ",")
			g.request.Header, g.response.Header = maps.Clone(f.request.Header), maps.Clone(f.response.Header)
			g.request.Header["Content-Encoding"], g.response.Header["Content-Encoding"] = []string{strings.ToUpper(coding)}, []string{coding}
			g.asked, g.answered = encode(f.asked), encode(f.answered)
			if form := f.request.Header["Content-Type"]; len(form) > 0 && strings.HasPrefix(form[0], "multipart/") { // which are read plain only
				delete(g.request.Header, "Content-Encoding")
				g.asked = f.asked
			}
			budget := brotliBudget()
			members := g.run(budget, 100).Members(attempt)
			if got := pretty(t, jcs.Obj(members...).Without(wireMembers...).Members); !bytes.Equal(got, want) {
				t.Errorf("%s, %s: recorded is\n%s", f.name, name, got)
			}
			if budget.Used() != 0 {
				t.Errorf("%s, %s: %d bytes were not given back", f.name, name, budget.Used())
			}
		}
	}
}

// What a coding is wrong about is said, and nothing else suffers.
func TestABodyThatCannotBeDecodedIsSaidToBeUnparsed(t *testing.T) {
	f := named(t, "openai_chat")
	for name, test := range map[string]struct {
		coding []string
		body   []byte
	}{
		"no such coding":    {[]string{"snappy"}, f.answered},
		"two codings":       {[]string{"gzip, gzip"}, encoders["gzip"](encoders["gzip"](f.answered))},
		"two fields":        {[]string{"gzip", "gzip"}, encoders["gzip"](f.answered)},
		"not encoded":       {[]string{"gzip"}, f.answered},
		"bare text as zlib": {[]string{"deflate"}, f.answered},
		"empty":             {[]string{"gzip"}, nil},
		"half":              {[]string{"gzip"}, encoders["gzip"](f.answered)[:100]},
		"half of zstd":      {[]string{"zstd"}, encoders["zstd"](f.answered)[:100]},
		"half of brotli":    {[]string{"br"}, encoders["br"](f.answered)[:100]},
		"flipped": {[]string{"gzip"}, func() []byte {
			p := encoders["gzip"](f.answered)
			p[len(p)-8] ^= 1 // of the checksum
			return p
		}()},
	} {
		g := f
		g.response.Header = map[string][]string{"Content-Type": {"application/json"}, "Content-Encoding": test.coding}
		g.answered = test.body
		budget := brotliBudget()
		c := g.run(budget, 1<<20)
		v := jcs.Obj(c.Members(attempt)...)
		if text(at(v, "unparsed"), "response") != "encoding" || !c.Unparsed() || !at(v, "success").Bool || text(v, "usage_source") != "missing" ||
			text(v, "prompt_hash") == "" || text(v, "response_hash") != "" || text(v, "response_body_sha256") == "" || budget.Used() != 0 {
			t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
		}
	}
	for _, test := range []struct {
		encoding string
		body     []byte
		want     string
	}{{"gzip", f.asked, "encoding"}, {"snappy", f.asked, "encoding"}, {"gzip", make([]byte, maxBody+1), "too_large"}, {"zstd", encoders["zstd"](f.asked)[:50], "encoding"}} {
		g := f
		g.request.Header, g.asked = maps.Clone(f.request.Header), test.body
		g.request.Header["Content-Encoding"] = []string{test.encoding}
		g.response.Header = map[string][]string{"Content-Type": {"application/json"}, "Content-Encoding": {test.encoding}}
		g.answered = test.body
		budget := NewBudget(room)
		v := recorded(g.run(budget, 1<<20))
		if text(at(v, "unparsed"), "request") != test.want || text(at(v, "unparsed"), "response") != test.want || text(v, "prompt_hash") != "" || text(v, "model_id") != "" || budget.Used() != 0 {
			t.Errorf("%s of %d bytes: recorded is\n%s", test.encoding, len(test.body), pretty(t, v.Members))
		}
	}
	if c := f; true { // without a decoder for brotli
		c.response.Header = map[string][]string{"Content-Type": {"application/json"}, "Content-Encoding": {"br"}}
		c.answered = encoders["br"](f.answered)
		if v := jcs.Obj(c.run(NewBudget(room), 1<<20).Members(attempt)...); text(at(v, "unparsed"), "response") != "encoding" {
			t.Errorf("recorded is\n%s", pretty(t, v.Members))
		}
	}
}

func named(t testing.TB, name string) fixture {
	t.Helper()
	for _, f := range fixtures(t) {
		if f.name == name {
			return f
		}
	}
	t.Fatalf("no fixture %s", name)
	return fixture{}
}
