package call

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// answered is an attempt at chat whose response has that type and body.
func answered(budget *Budget, media, body string) *Call {
	c := Begin(Find("openai", "POST", "/v1/chat/completions"), RequestHead{Method: "POST", Path: "/v1/chat/completions"}, budget)
	c.Request([]byte(`{"model":"m","messages":[]}`))
	c.RequestEnd(true)
	c.Response(ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {media}}})
	c.Body([]byte(body))
	c.End(Whole)
	return c
}

func recorded(c *Call) jcs.Value { return jcs.Obj(c.Members(attempt)...) }

const choice = `"choices":[{"index":0,"message":{"content":"x"}}]`

// CAP-9: what is no number of tokens is not told.
func TestTokensThatAreNoWholeNumbersAreNotTold(t *testing.T) {
	for told, want := range map[string]string{
		`0`: "0", `9007199254740991`: "9007199254740991", `12`: "12",
		`9007199254740992`: "", `-1`: "", `1.0`: "", `1e3`: "", `"12"`: "", `null`: "", `true`: "", `[1]`: "", `{"n":1}`: "",
		`99999999999999999999999999`: "", `-0`: "0",
	} {
		v := recorded(answered(NewBudget(room), "application/json", `{`+choice+`,"usage":{"prompt_tokens":`+told+`}}`))
		of := recorded(answered(NewBudget(room), "application/json", `{`+choice+`,"usage":{"prompt_tokens_details":{"cached_tokens":`+told+`}}}`))
		if got := at(of, "cached_input_tokens").Text; got != want || (text(of, "usage_source") == "provider") != (want != "") {
			t.Errorf("%s: cached_input_tokens is %q, want %q: %s", told, got, want, text(of, "usage_source"))
		}
		if got := at(v, "input_tokens").Text; got != want || (text(v, "usage_source") == "provider") != (want != "") || text(v, "response_hash") == "" {
			t.Errorf("%s: input_tokens is %q, want %q: %s", told, got, want, text(v, "usage_source"))
		}
	}
	for usage, want := range map[string]string{
		`{"prompt_tokens":9007199254740991,"completion_tokens":1}`: "", `{"prompt_tokens":1,"completion_tokens":2}`: "3",
		`{"prompt_tokens":1,"completion_tokens":2,"total_tokens":99}`: "3", `{"completion_tokens":2,"total_tokens":9}`: "", `{"prompt_tokens":2,"total_tokens":9}`: "",
		`[]`: "", `null`: "", `"1"`: "",
	} {
		if got := at(recorded(answered(NewBudget(room), "application/json", `{`+choice+`,"usage":`+usage+`}`)), "total_tokens").Text; got != want {
			t.Errorf("%s: total_tokens is %q, want %q", usage, got, want)
		}
	}
}

// CAP-6: a body that is no JSON as jcs.md reads it is said to be that, and the attempt is recorded all the same.
func TestABodyThatIsNotStrictJSONIsUnparsed(t *testing.T) {
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	for name, value := range map[string]string{
		"cut": `{`, "empty": ``, "blank": " \n", "name twice": `{"a":1,"a":2,%s}`, "name twice, escaped": `{"a":1,"\u0061":2,%s}`, "name twice, deep": `{"b":[{"a":1,"a":2}],%s}`,
		"NUL behind": "{%s}\x00", "NUL in a string": "{\"a\":\"\x00\",%s}", "NUL in a name": "{\"a\x00\":1,%s}", "a second value": `{%s}{}`, "byte order mark": "\xef\xbb\xbf{%s}",
		"not UTF-8": "{\"a\":\"\xff\",%s}", "lone surrogate": `{"a":"\ud800",%s}`, "too deep": `{"a":` + deep + `,%s}`, "NaN": `{"a":NaN,%s}`, "comma": `{%s,}`, "no colon": `{"a" 1,%s}`,
		"single quotes": `{'a':1,%s}`, "bare word": `{"a":b,%s}`, "brackets that do not match": `{"a":[},%s]`, "a stray bracket": `{"a":],%s}`, "not closed": `{"a":[1,%s}`,
		"an escape in a name": `{"a\q":1,%s}`, "a name that does not end": `{%s,"a`, "number": `{"a":01,%s}`, "4,301 digits": `{"a":` + strings.Repeat("1", 4301) + `,%s}`,
	} {
		for _, f := range fixtures(t) {
			if f.name != "openai_chat" {
				continue
			}
			f.asked = []byte(strings.ReplaceAll(value, "%s", `"messages":[]`))
			f.answered = []byte(strings.ReplaceAll(value, "%s", choice))
			v := recorded(f.run(NewBudget(room), 1<<20))
			if text(at(v, "unparsed"), "request") != "not_json" || text(at(v, "unparsed"), "response") != "not_json" || text(v, "prompt_hash") != "" || text(v, "response_hash") != "" || text(v, "model_id") != "" {
				t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
			}
		}
		// Among the messages of a stream one that is none costs the hash, and nothing else.
		stream := "data: {" + strings.ReplaceAll(choice, "message", "delta") + "}\n\ndata: " + strings.ReplaceAll(value, "%s", choice) + "\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n"
		v := recorded(answered(NewBudget(room), "text/event-stream", stream))
		nothing := strings.TrimSpace(value) == ""
		if lost := text(at(v, "unparsed"), "response"); (lost == "not_json") == nothing || (text(v, "response_hash") == "") == nothing || at(v, "input_tokens").Text != "7" {
			t.Errorf("%s in a stream: recorded is\n%s", name, pretty(t, v.Members))
		}
	}
	for name, body := range map[string]string{"text": `"x"`, "number": `1`, "list": `[{"messages":[]}]`, "null": `null`, "other members": `{"a":1}`, "empty object": ` { } `} {
		f := named(t, "openai_chat")
		f.asked, f.answered = []byte(body), []byte(body)
		if v := recorded(f.run(NewBudget(room), 1<<20)); text(at(v, "unparsed"), "request") != "not_the_dialect" || text(at(v, "unparsed"), "response") != "not_the_dialect" {
			t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
		}
	}
}

func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	const last = `data: {"choices":[],"usage":{"prompt_tokens":7}}`
	word := func(s string) string { return `{"choices":[{"index":0,"delta":{"content":"` + s + `"}}]}` }
	plain := text(recorded(answered(NewBudget(room), "text/event-stream", "data: "+word("ab")+"\n\n"+last+"\n\n")), "response_hash")
	for name, stream := range map[string]string{
		"in two":                   "data: " + word("a") + "\n\ndata: " + word("b") + "\n\n" + last + "\n\n",
		"carriage returns":         "data: " + word("ab") + "\r\r" + last + "\r\r",
		"both":                     "data: " + word("ab") + "\r\n\r\n" + last + "\r\n\r\n",
		"mixed":                    "data: " + word("ab") + "\r\n\n" + last + "\n\r",
		"no space":                 "data:" + word("ab") + "\n\n" + last + "\n\n",
		"comments":                 ": PROCESSING\n\n:\n\ndata: " + word("ab") + "\n: x\n\n" + last + "\n\n",
		"a mark":                   "\xef\xbb\xbfdata: " + word("ab") + "\n\n" + last + "\n\n",
		"other fields":             "id: 1\nretry: 5\nevent: x\ndata: " + word("ab") + "\n\nevent: y\n\n" + last + "\n\n",
		"several lines, CR LF":     "data: " + strings.ReplaceAll(word("ab"), ":[", ":\r\ndata:[\r\ndata: ") + "\r\n\r\n" + last + "\r\n\r\n",
		"several lines":            "data: " + strings.ReplaceAll(word("ab"), ":[", ":\ndata:[\ndata: ") + "\n\n" + last + "\n\n",
		"no empty line at the end": "data: " + word("ab") + "\n\n" + last,
		"done, and more":           "data: " + word("ab") + "\n\ndata: [DONE]\n\n" + last + "\n\n",
	} {
		for cut := range len(stream) {
			f := fixture{route: Find("", "POST", "/v1/chat/completions"), response: ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {"Text/Event-Stream; charset=utf-8"}}}}
			f.answered = []byte(stream[:cut])
			c := f.begun(NewBudget(room), 1<<20)
			c.Body([]byte(stream[cut:]))
			c.End(Whole)
			if v := recorded(c); text(v, "response_hash") != plain || at(v, "input_tokens").Text != "7" || text(at(v, "unparsed"), "response") != "" {
				t.Fatalf("%s, cut at %d: recorded is\n%s", name, cut, pretty(t, v.Members))
			}
		}
	}
}

// An upstream that never ends a line, an event, a text, or a list takes no more memory than was given, and what it told is believed.
func TestEndlessStreamsAreRecordedWithinTheBudget(t *testing.T) {
	const usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n"
	long := strings.Repeat("x", 1<<20)
	const word = `data: {"choices":[{"index":0,"delta":{"content":" word"}}]}` + "\n\n"
	chunk := `data: {"choices":[{"index":0,"delta":{"content":"` + long + `"}}]}` + "\n\n"
	for name, test := range map[string]struct {
		body  []string // the second one 12 times
		lost  string
		hash  bool
		limit int64
	}{
		"a line":                   {[]string{"data: ", long, "\n\n" + usage}, "too_large", false, room},
		"a comment":                {[]string{": ", long, "\n\n" + usage}, "too_large", false, room},
		"an event":                 {[]string{"", "data: " + long + "\n", "\n" + usage}, "too_large", false, room},
		"texts":                    {[]string{"", chunk, usage}, "", false, room},
		"texts that have no room":  {[]string{"", chunk, usage}, "no_room", false, 4 << 20},
		"an event without room":    {[]string{"", "data: " + long + "\n", "\n" + usage}, "no_room", false, 1 << 20},
		"words without room":       {[]string{"", strings.Repeat(word, 10_000), usage}, "no_room", false, 256 << 10},
		"nothing has room":         {[]string{"", "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n", usage}, "no_room", false, 1},
		"comments and empty lines": {[]string{"data: {" + choice + "}\n\n", strings.Repeat(":\n\n\r", 1<<18), usage}, "", true, room},
		"empty data":               {[]string{"data: {" + choice + "}\n\n", strings.Repeat("data\n\n", 1<<18), usage}, "", true, room},
	} {
		budget := NewBudget(test.limit)
		c := Begin(Find("openai", "POST", "/v1/chat/completions"), RequestHead{}, budget)
		c.RequestEnd(true)
		c.Response(ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {"text/event-stream"}}})
		c.Body([]byte(test.body[0]))
		for range 12 {
			c.Body([]byte(test.body[1]))
			if budget.Used() > test.limit {
				t.Fatalf("%s: %d bytes are taken", name, budget.Used())
			}
		}
		if name == "texts" && budget.Used() > 3<<20 { // an event, and nothing of the texts that were given up
			t.Errorf("%s: %d bytes are taken", name, budget.Used())
		}
		c.Body([]byte(test.body[2]))
		c.End(Whole)
		v := recorded(c)
		if lost := text(at(v, "unparsed"), "response"); lost != test.lost || (text(v, "response_hash") != "") != test.hash || at(v, "input_tokens").Text != "7" || budget.Used() != 0 {
			t.Errorf("%s: %d bytes are left; recorded is\n%s", name, budget.Used(), pretty(t, v.Members))
		}
	}
}

// Many small things are as slow as they are long.
func TestOutputsWithoutNumberAreNotPutTogether(t *testing.T) {
	for name, chunk := range map[string]func(i int) string{
		"choices": func(i int) string { return fmt.Sprintf(`{"choices":[{"index":%d,"delta":{"content":"x"}}]}`, i) },
		"calls": func(i int) string {
			return fmt.Sprintf(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d}]}}]}`, i)
		},
		"calls, the last first": func(i int) string {
			return fmt.Sprintf(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":%d}]}}]}`, 1<<20-i)
		},
		"calls of one index": func(i int) string {
			return fmt.Sprintf(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"%d"}]}}]}`, i)
		},
	} {
		var b strings.Builder
		for i := range 20_000 {
			b.WriteString("data: " + chunk(i) + "\n\n")
		}
		budget := NewBudget(room)
		v := recorded(answered(budget, "text/event-stream", b.String()))
		if text(v, "response_hash") != "" || !at(v, "success").Bool || at(v, "unparsed").Kind != jcs.Null || budget.Used() != 0 {
			t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
		}
	}
}

// A few kilobytes that become gigabytes are not unpacked, and a body of many small values makes no tree.
func TestBombsAreNotUnpacked(t *testing.T) {
	var bomb bytes.Buffer
	w, err := gzip.NewWriterLevel(&bomb, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	zeros := append(bytes.Repeat([]byte(" "), 1<<20), "\ndata: {}\n\n"...)
	for range 64 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, media := range []string{"application/json", "text/event-stream"} {
		budget := NewBudget(room)
		c := Begin(Find("openai", "POST", "/v1/chat/completions"), RequestHead{}, budget)
		c.RequestEnd(true)
		c.Response(ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {media}, "Content-Encoding": {"gzip"}}})
		c.Body(bomb.Bytes())
		c.End(Whole)
		if v := recorded(c); text(at(v, "unparsed"), "response") != "too_large" || !at(v, "success").Bool || budget.Used() != 0 {
			t.Errorf("%s: recorded is\n%s", media, pretty(t, v.Members))
		}
	}
	f := named(t, "openai_chat")
	many := "[" + strings.Repeat("0,", 3<<20) + "0]"
	f.asked = []byte(`{"model":"m","messages":` + many + `}`)
	f.answered = []byte(`{"choices":` + many + `}`)
	if v := recorded(f.run(NewBudget(room), 1<<20)); text(at(v, "unparsed"), "response") != "too_large" || text(at(v, "unparsed"), "request") != "no_room" {
		t.Errorf("recorded is\n%s", pretty(t, v.Members))
	}
}

// Of a prompt that is too large there is no hash; the rest of its request is read.
func TestALargePromptIsLeftOut(t *testing.T) {
	for _, size := range []int{maxBody - 2, maxBody, maxBody + 1, 3 * maxBody} {
		budget := NewBudget(room)
		c := Begin(Find("openai", "POST", "/v1/chat/completions"), RequestHead{}, budget)
		body := []byte(`{"model":"m","messages":"` + strings.Repeat("x", size-49) + `","system":{},"top_k":3}`)
		if len(body) != size {
			t.Fatal(len(body), size)
		}
		for i := 0; i < len(body); i += 64 << 10 {
			c.Request(body[i:min(len(body), i+64<<10)])
			if budget.Used() > 3*maxBody {
				t.Fatalf("%d bytes are taken", budget.Used())
			}
		}
		c.RequestEnd(true)
		c.ReadRequest()
		if budget.Used() != 0 {
			t.Errorf("%d bytes are not given back", budget.Used())
		}
		c.End(ConnectFailed)
		v := recorded(c)
		if large := text(at(v, "unparsed"), "request") == "too_large"; large != (size > maxBody) || (text(v, "prompt_hash") != "") == large || (at(v, "message_count").Kind != jcs.Null) == large ||
			text(v, "model_id") != "m" || at(at(v, "params"), "top_k").Text != "3" ||
			text(v, "request_body_sha256") != hashOf(body) || at(v, "request_bytes").Text != fmt.Sprint(len(body)) || text(v, "error_class") != "connect_failed" {
			t.Errorf("%d bytes: recorded is\n%s", size, pretty(t, v.Members))
		}
	}
}

// What is sent as something else is not even kept.
func TestARequestOfAnotherTypeIsHashedOnly(t *testing.T) {
	for media, want := range map[string]string{
		"application/json": "", "Application/JSON; charset=utf-8": "", "application/vnd.x+json": "", "text/plain": "", "": "",
		"application/octet-stream": "not_json", "audio/mpeg": "not_json", "application/x-www-form-urlencoded": "not_json", "multipart/form-data; boundary=x": "multipart",
	} {
		budget := NewBudget(room)
		c := Begin(Find("", "POST", "/v1/chat/completions"), RequestHead{Header: map[string][]string{"Content-Type": {media}}}, budget)
		c.Request([]byte(`{"messages":[]}`))
		if kept := budget.Used() > 0; kept != (want == "") {
			t.Errorf("%q: kept %v", media, kept)
		}
		c.RequestEnd(true)
		c.End(ConnectFailed)
		if got := text(at(recorded(c), "unparsed"), "request"); got != want {
			t.Errorf("%q is %q, want %q", media, got, want)
		}
	}
}

// Where there is no room for a prompt, there is for the model that was asked.
func TestARequestWithoutRoomStillNamesItsModel(t *testing.T) {
	for limit, model := range map[int64]string{256 << 10: "m", 0: ""} {
		budget := NewBudget(limit)
		c := Begin(Find("", "POST", "/v1beta/models/:generateContent"), RequestHead{}, budget)
		c.Request([]byte(`{"model":"m","system_instruction":"`))
		for range 8 {
			c.Request(bytes.Repeat([]byte("x"), 64<<10))
		}
		c.Request([]byte(`","contents":[` + strings.Repeat(`{},`, 100_000) + `{}],"tools":[{"name":"t"}]}`))
		c.RequestEnd(true)
		c.End(ConnectFailed)
		v := recorded(c)
		if text(at(v, "unparsed"), "request") != "no_room" || text(v, "model_id") != model || (len(at(v, "tools_offered").Items) == 1) != (model != "") || text(v, "prompt_hash") != "" || budget.Used() != 0 {
			t.Errorf("%d bytes of room: recorded is\n%s", limit, pretty(t, v.Members))
		}
	}
}

// What a model made of many texts is as large as it likes: the vectors pass through a sieve.
func TestVectorsOfAnyLengthLeaveTheUsageReadable(t *testing.T) {
	f := named(t, "openai_embeddings")
	budget := NewBudget(256 << 10)
	f.answered = nil
	c := f.begun(budget, 1<<20)
	c.Body([]byte(`{"object":"list","data":[`))
	for range 64 {
		c.Body(bytes.Repeat([]byte(`{"embedding":[0.123456789,"\"}],{\\"]},`), 10_000))
	}
	c.Body([]byte(`{}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}`))
	c.End(Whole)
	v := recorded(c)
	if at(v, "input_tokens").Text != "8" || at(v, "total_tokens").Text != "8" || text(v, "model_served") != "text-embedding-3-small" || at(v, "unparsed").Kind != jcs.Null || budget.Used() != 0 {
		t.Errorf("recorded is\n%s", pretty(t, v.Members))
	}
}

func TestTheSieveTakesOutNamedMembersOfTheRootOnly(t *testing.T) {
	for in, want := range map[string]string{
		`{"data":[1,{"a":"]}"}],"b":2}`: `{"data":null,"b":2}`, `{"b":{"data":1},"data":"x\",\"y","c":[]}`: `{"b":{"data":1},"data":null,"c":[]}`,
		`{"data":1}`: `{"data":null}`, `{"a":"data","data" : {} }`: `{"a":"data","data" :null}`, `{"a":"data:1,\"data\":"}`: `{"a":"data:1,\"data\":"}`,
		`["data",{"data":1}]`: `["data",{"data":1}]`, `{"datax":1,"xdata":2,"\u0064ata":3}`: `{"datax":1,"xdata":2,"\u0064ata":3}`, `{}`: `{}`,
		`{"x":[[]],"data":[[[]]],"y":{"z":[{}]}}`: `{"x":[[]],"data":null,"y":{"z":[{}]}}`,
	} {
		for size := 1; size <= len(in); size++ {
			s := sieve{out: []string{"data"}}
			var got []byte
			for i := 0; i < len(in); i += size {
				got = s.pass(got, []byte(in[i:min(len(in), i+size)]))
			}
			if string(got) != want {
				t.Fatalf("%s in pieces of %d becomes %s, want %s", in, size, got, want)
			}
		}
	}
}

// CAP-6: what ends an attempt is told in one word, and every combination is a receipt.
func TestEveryEndIsOneReceipt(t *testing.T) {
	for _, test := range []struct {
		status  int
		body    string
		how     Ending
		class   string
		success bool
	}{
		{0, "", ConnectFailed, "connect_failed", false}, {0, "", TLSFailed, "tls_failed", false}, {0, "", UpstreamTimeout, "upstream_timeout", false},
		{0, "", UpstreamReset, "upstream_reset", false}, {0, "", ClientGone, "client_gone", false}, {0, "", Whole, "upstream_reset", false},
		{200, "{" + choice + "}", Whole, "", true}, {200, "{" + choice, UpstreamReset, "upstream_reset", false}, {200, "", ClientGone, "client_gone", false},
		{204, "", Whole, "", true}, {301, "", Whole, "", true}, {400, "", Whole, "invalid_request", false}, {399, "", Whole, "", true}, {401, "", Whole, "unauthorized", false},
		{403, "", Whole, "unauthorized", false}, {404, "", Whole, "not_found", false}, {409, "", Whole, "invalid_request", false}, {413, "", Whole, "invalid_request", false},
		{418, "", Whole, "http_error", false}, {422, "", Whole, "invalid_request", false}, {429, "", Whole, "rate_limited", false}, {429, "", UpstreamReset, "rate_limited", false},
		{500, "", Whole, "server_error", false}, {529, "", Whole, "overloaded", false}, {999, "", Whole, "server_error", false},
		{200, `{"error":{"message":"x"}}`, Whole, "body_error", false}, {200, `{"error":"x"}`, Whole, "body_error", false}, {200, `{` + choice + `,"error":null}`, Whole, "", true},
		{200, `{"object":"error","message":"x","type":"BadRequestError","code":400}`, Whole, "body_error", false}, {200, `{"type":"error"}`, Whole, "body_error", false},
		{200, `{` + choice + `,"error":{}}`, Whole, "", true}, {200, `{` + choice + `,"error":""}`, Whole, "", true},
	} {
		c := Begin(Find("openai", "POST", "/v1/chat/completions"), RequestHead{}, NewBudget(room))
		c.RequestEnd(true)
		if test.status > 0 {
			c.Response(ResponseHead{Status: test.status})
			c.Body([]byte(test.body))
		}
		c.End(test.how)
		v := recorded(c)
		if (at(v, "stream").Kind == jcs.Bool) != (test.status > 0) || (at(v, "response_bytes").Kind == jcs.Number) != (test.status > 0) {
			t.Errorf("%+v: recorded is\n%s", test, pretty(t, v.Members))
		}
		if got := text(v, "error_class"); got != test.class || at(v, "success").Bool != test.success || c.Failed() == test.success || (at(v, "status_code").Kind == jcs.Number) != (test.status > 0) {
			t.Errorf("%+v: recorded is\n%s", test, pretty(t, v.Members))
		}
	}
}

// What an error says of itself, in the ways that there are.
func TestAnErrorHasACodeAndAHash(t *testing.T) {
	for body, want := range map[string]string{
		`{"error":{"message":"m","type":"t","code":"c"}}`: "c m", `{"error":{"message":"m","type":"t","code":null}}`: "t m", `{"error":{"message":"m","type":"t","code":4}}`: "t m",
		`{"error":{"message":"m","status":"S","code":400}}`: "S m", `{"error":{"message":"m","code":400}}`: "400 m", `[{"error":{"code":"c","message":"m"}}]`: "c m",
		`{"error":"m"}`: " m", `{"message":"m"}`: " m", `{"detail":"m","type":"t"}`: "t m", `{"detail":[{"msg":"m"}]}`: " ", `{"type":"error","error":{"type":"t"},"message":"m"}`: "t m",
		`{"type":"error","code":"c","message":"m"}`: "c m", `{"object":"error","message":"m","type":"t"}`: "t m", `{"error":null,"message":"m"}`: " m", `{}`: " ", `[]`: " ", `1`: " ", `"m"`: " m",
		`{"error":{"code":"has spaces","message":"m"}}`: " m", `{"error":{"code":"` + strings.Repeat("c", 65) + `"}}`: " ", `{"error":{"code":"` + strings.Repeat("c", 300) + `","type":"t"}}`: "t ",
		`{"error":{"code":1e400}}`: "1e400 ", `{"error":{"code":-1.5}}`: "-1.5 ",
	} {
		c := Begin(Find("lab", "PUT", "/x"), RequestHead{}, NewBudget(room)) // of any route
		c.RequestEnd(true)
		c.Response(ResponseHead{Status: 400, Header: map[string][]string{"Content-Type": {"application/problem+json"}}})
		c.Body([]byte(body))
		c.End(Whole)
		v := recorded(c)
		code, message, _ := strings.Cut(want, " ")
		if message != "" {
			message = hashOf([]byte(message))
		}
		if text(v, "error_code") != code || text(v, "error_hash") != message || text(v, "error_class") != "invalid_request" {
			t.Errorf("%s: want %s; recorded is\n%s", body, want, pretty(t, v.Members))
		}
	}
}

func TestListsOfToolsEnd(t *testing.T) {
	var tools, calls []string
	for i := range 200 {
		tools = append(tools, fmt.Sprintf(`{"name":"t%d"}`, i))
		calls = append(calls, fmt.Sprintf(`{"function":{"name":"t%d","arguments":"{}"}}`, i))
	}
	tools[1], calls[1] = `{"name":"`+strings.Repeat("x", 129)+`"}`, `{"function":{"name":"`+strings.Repeat("x", 300)+`"}}`
	f := named(t, "openai_chat")
	f.asked = []byte(`{"messages":[],"tools":[` + strings.Join(tools, ",") + `]}`)
	f.answered = []byte(`{"choices":[{"message":{"tool_calls":[` + strings.Join(calls, ",") + `]}}]}`)
	v := recorded(f.run(NewBudget(room), 1<<20))
	offered, called := at(v, "tools_offered").Items, at(v, "tool_calls").Items
	if len(offered) != 127 || offered[126].Text != "t127" || len(called) != 128 || text(called[127], "name") != "t127" || text(called[1], "name") != "" || text(called[1], "args_hash") == "" {
		t.Errorf("recorded is\n%s", pretty(t, v.Members))
	}
}

// Without a budget everything is hashed, and what needs no memory is told.
func TestWithoutABudgetBodiesAreHashedOnly(t *testing.T) {
	for _, f := range fixtures(t) {
		for _, coding := range []string{"", "br", "gzip"} {
			f.response.Header = maps.Clone(f.response.Header)
			if f.response.Header["Content-Encoding"] = nil; coding != "" {
				f.response.Header["Content-Encoding"] = []string{coding}
			}
			v := recorded(f.run(nil, 100))
			checkReceipt(t, v)
			if text(v, "response_body_sha256") != hashOf(f.answered) || text(v, "request_body_sha256") != hashOf(f.asked) || text(v, "prompt_hash") != "" && len(f.asked) > 0 {
				t.Errorf("%s: recorded is\n%s", f.name, pretty(t, v.Members))
			}
		}
	}
}

func TestAnObjectHasEachNameOnce(t *testing.T) {
	for n := 1; n < 40; n++ {
		for twice := range n + 1 {
			var members []string
			for i := range n {
				members = append(members, fmt.Sprintf(`"n%d":0`, i))
			}
			members = append(members, fmt.Sprintf(`"n%d":0`, twice)) // new if it is n
			seen := 0
			ok := eachMember([]byte("{"+strings.Join(members, ",")+"}"), func(string, []byte) bool { seen++; return true })
			if ok != (twice == n) || ok && seen != n+1 {
				t.Fatalf("%d names, %d again: %v, %d seen", n, twice, ok, seen)
			}
		}
	}
}

func TestARequestThatDidNotPassWholeHasNoHashOfIt(t *testing.T) {
	c := Begin(Find("", "POST", "/v1/chat/completions"), RequestHead{}, NewBudget(room))
	c.Request([]byte(`{"model":"m","messages":[`))
	c.RequestEnd(false)
	c.End(ClientGone)
	v := recorded(c)
	if at(v, "request_body_sha256").Kind != jcs.Null || at(v, "unparsed").Kind != jcs.Null || at(v, "request_bytes").Text != "25" || text(v, "model_id") != "" || c.RequestHash() != "" {
		t.Errorf("recorded is\n%s", pretty(t, v.Members))
	}
}

func TestABudgetIsTakenAndGivenBack(t *testing.T) {
	var none *Budget
	if none.Used() != 0 || none.take(1) || !none.take(0) {
		t.Error("no budget has no room")
	}
	b := NewBudget(10)
	if !b.take(10) || b.take(1) || b.Used() != 10 || !b.take(-4) || !b.take(4) || b.Used() != 10 {
		t.Errorf("%d of 10 are taken", b.Used())
	}
}

// A program may still be sending when the response is there, and a transport may hand over bytes late.
func TestBothDirectionsMayPassAtOnce(t *testing.T) {
	f := named(t, "openai_chat_stream")
	budget := NewBudget(room)
	var all sync.WaitGroup
	for range 8 {
		c := Begin(f.route, f.request, budget)
		all.Go(func() {
			for i := range f.asked {
				c.Request(f.asked[i : i+1])
			}
			c.RequestEnd(true)
			c.ReadRequest()
		})
		all.Go(func() {
			c.Response(f.response)
			for i := range f.answered {
				c.Body(f.answered[i : i+1])
			}
			c.End(Whole)
			c.Finish()
			c.Members(attempt)
		})
		all.Go(func() { c.Failed(); c.Unparsed(); c.RequestHash(); c.Parent() })
	}
	all.Wait()
	if budget.Used() != 0 {
		t.Errorf("%d bytes were not given back", budget.Used())
	}
}

func TestBytesBehindTheEndCountForNothing(t *testing.T) {
	f := named(t, "openai_chat")
	c := f.run(NewBudget(room), 1<<20)
	want := pretty(t, c.Members(attempt))
	c.Request([]byte("x"))
	c.RequestEnd(false)
	c.Response(ResponseHead{Status: 500})
	c.Body([]byte("x"))
	c.End(UpstreamReset)
	c.ReadRequest()
	if got := pretty(t, c.Members(attempt)); !bytes.Equal(got, want) {
		t.Errorf("recorded is\n%s", got)
	}
}

func FuzzCall(f *testing.F) {
	for _, x := range fixtures(f) {
		media := ""
		if t := x.response.Header["Content-Type"]; len(t) > 0 {
			media = t[0]
		}
		f.Add(x.request.Path, media, "", x.response.Status, x.asked, x.answered, uint8(100))
	}
	f.Add("/v1/chat/completions", "text/event-stream", "gzip", 200, []byte(`{}`), encoders["gzip"]([]byte("data: {}\n\n")), uint8(3))
	f.Add("/v1/chat/completions", "application/json", "zstd", 200, []byte(`{}`), encoders["zstd"]([]byte("{}")), uint8(3))
	f.Add("/v1/chat/completions", "application/json", "deflate", 200, []byte(`{}`), encoders["deflate"]([]byte("{}")), uint8(3))
	f.Fuzz(func(t *testing.T, path, media, coding string, status int, asked, answered []byte, size uint8) {
		x := fixture{route: Find("lab", "POST", path), request: RequestHead{Method: "POST", Path: path}, asked: asked, answered: answered}
		x.response = ResponseHead{Status: max(0, status), Header: map[string][]string{"Content-Type": {media}}}
		if coding != "" {
			x.response.Header["Content-Encoding"] = []string{coding}
		}
		budget := NewBudget(room)
		whole := pretty(t, x.run(budget, 1<<20).Members(attempt))
		if pieces := pretty(t, x.run(budget, int(size)+1).Members(attempt)); !bytes.Equal(pieces, whole) {
			t.Errorf("in pieces of %d:\n%s\nwhole:\n%s", int(size)+1, pieces, whole)
		}
		if budget.Used() != 0 {
			t.Errorf("%d bytes were not given back", budget.Used())
		}
		v, err := jcs.Parse(whole, jcs.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		checkReceipt(t, v)
	})
}

func FuzzEachMember(f *testing.F) {
	for _, s := range []string{`{}`, ` { "a" : [1,{"b":"\"}"}] , "c":2 } `, `{"a":1,"a":2}`, `{"a"`, `{"a":]`, `[1]`, `{"a":"b"c}`, `{"a":"\"","b":"\\"}`, `x"a":1}`, `["a":1}`, `{"a":1`, `{"a":1 `,
		`{"a":`, `{"a":1}x`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":}`, `{a":1}`, `{"a",1}`, `{}x`, `{`, ``, `{"a":"\\\"","b":[[1],[2,[3]],{"c":[]}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var members []jcs.Member
		strict := true
		ok := eachMember(text, func(name string, value []byte) bool {
			v, err := jcs.Parse(value, limits(1))
			strict = strict && err == nil
			members = append(members, jcs.M(name, v))
			if v.Kind == jcs.Array && err == nil && countItems(bytes.TrimSpace(value)) != len(v.Items) {
				t.Errorf("%s has %d items, not %d", value, len(v.Items), countItems(value))
			}
			return true
		})
		v, err := jcs.Parse(text, limits(0))
		object := err == nil && v.Kind == jcs.Object
		if object != (ok && strict) {
			t.Fatalf("%q: cut %v, its values strict %v, but %v", text, ok, strict, err)
		}
		if object {
			a, err1 := jcs.AppendPack(nil, v)
			b, err2 := jcs.AppendPack(nil, jcs.Obj(members...))
			if !bytes.Equal(a, b) || (err1 == nil) != (err2 == nil) {
				t.Errorf("%s is cut into %s", a, b)
			}
		}
	})
}
