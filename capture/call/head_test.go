package call

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// headed is what is recorded of an attempt with these fields.
func headed(fields ...string) jcs.Value {
	h := map[string][]string{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h[name] = append(h[name], value)
	}
	c := Begin(Find("openai", "GET", "/x"), RequestHead{Method: "GET", Path: "/x", Header: h}, nil)
	c.RequestEnd(true)
	c.End(ConnectFailed)
	return recorded(c)
}

func TestTheClientIsWhatItSaysItIs(t *testing.T) {
	for want, fields := range map[string][]string{
		`{"user_agent":"python-requests/2.32"}`: {"User-Agent: python-requests/2.32"}, `{"user_agent":"curl/8"}`: {"User-Agent: curl/8 (x) y"},
		`{"user_agent":"node"}`: {"User-Agent: node"}, `null`: {"User-Agent: " + strings.Repeat("a", 65)},
		`{"lang":"js","name":"OpenAI","runtime":"node/v24","version":"7.59.0"}`: {"User-Agent: OpenAI/JS 7.59.0", "X-Stainless-Lang: js", "X-Stainless-Package-Version: 7.59.0", "X-Stainless-Runtime: node", "X-Stainless-Runtime-Version: v24"},
		`{"lang":"go"}`:                {"X-Stainless-Lang: go", "X-Stainless-Runtime-Version: 1.26"},
		`{"lang":"go","runtime":"go"}`: {"X-Stainless-Lang: go", "X-Stainless-Runtime: go"},
	} {
		if got, _ := jcs.AppendPack(nil, at(headed(fields...), "sdk")); string(got) != want {
			t.Errorf("%q gives %s, want %s", fields, got, want)
		}
	}
	if v := headed("User-Agent: a\x01b", "Traceparent: x", "X-Assay-Callsite: x"); len(v.Members) != len(headed().Members) {
		t.Errorf("recorded is\n%s", pretty(t, v.Members))
	}
}

func TestATraceContextIsRecordedIfItIsOne(t *testing.T) {
	const valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, field := range []string{valid, "cc" + valid[2:]} {
		if got := text(headed("Traceparent: "+field), "traceparent"); got != field {
			t.Errorf("%s becomes %q", field, got)
		}
	}
	for _, field := range []string{"", "ff" + valid[2:], strings.ToUpper(valid), valid + "0", valid[1:], valid[:3] + strings.Repeat("0", 32) + valid[35:], valid[:36] + strings.Repeat("0", 16) + valid[52:], strings.ReplaceAll(valid, "-", "_")} {
		if got := text(headed("Traceparent: "+field), "traceparent"); got != "" {
			t.Errorf("%s becomes %q", field, got)
		}
	}
}

func TestACallSiteHasThreeParts(t *testing.T) {
	for field, want := range map[string]string{
		"app/main.py:run:7": "app/main.py run 7", "a%3Ab.py:f%20g:1": "a:b.py f g 1", "%C3%BC.py:%E6%9D%B1:12": "ü.py 東 12", "a.py::3": "a.py  3", "%FF.py:f:1": "\ufffd.py f 1",
		"": "", "a.py": "", "a.py:f": "", "a.py:f:0": "", "a.py:f:-1": "", "a.py:f:x": "", "a.py:f:1:2": "", ":f:1": "", "a%zz:f:1": "", "a:f:9007199254740992": "",
		strings.Repeat("a", 513) + ":f:1": " f 1",
	} {
		v := headed("X-Assay-Callsite: " + field)
		got := text(v, "callsite_file") + " " + text(v, "callsite_function") + " " + at(v, "callsite_line").Text
		if got != want && !(want == "" && got == "  ") {
			t.Errorf("%s becomes %q, want %q", field, got, want)
		}
	}
}

func TestTheParentIsAnIdOrNothing(t *testing.T) {
	for field, want := range map[string]string{"r_0123456789ab": "r_0123456789ab", "": "", "a b": "", strings.Repeat("a", 128): strings.Repeat("a", 128), strings.Repeat("a", 129): "", "ü": ""} {
		c := Begin(Find("", "GET", "/"), RequestHead{Header: map[string][]string{"X-Assay-Parent": {field}}}, nil)
		if got := c.Parent(); got != want {
			t.Errorf("%q becomes %q", field, got)
		}
	}
}

func TestAModelMayBeNamedByThePath(t *testing.T) {
	for path, want := range map[string]string{
		"/v1beta/models/gemini-3:generateContent": "gemini-3", "/v1beta/tunedModels/t-1:generateContent": "t-1", "/openai/deployments/d%20x/chat/completions": "d x",
		"/v1/projects/p/locations/l/publishers/google/models/g%2Fh:generateContent": "g/h", "/v1/projects/p/locations/l/endpoints/123:generateContent": "123",
		"/v1/chat/completions": "", "/models": "", "/models/": "", "/models/a%zz": "", "/deployments/a:b/chat": "a:b",
	} {
		if got := modelInPath(path); got != want {
			t.Errorf("%s names %q, want %q", path, got, want)
		}
	}
}

// CAP-10: which parameters are shown, and that numbers which readers do not read alike are not.
func TestParametersAreShownThatSayHowAndNotWhat(t *testing.T) {
	for body, want := range map[string]string{
		`"temperature":0.70,"top_p":1,"seed":-5,"stream":false`:                                                               `{"temperature":0.70,"top_p":1,"seed":-5,"stream":false}`,
		`"seed":9007199254740992,"n":-9007199254740992,"top_p":1e999,"temperature":1e-999,"top_k":` + strings.Repeat("1", 65): `null`,
		`"temperature":0.0,"top_p":0e9,"seed":9007199254740991,"presence_penalty":-0.0`:                                       `{"temperature":0.0,"top_p":0e9,"seed":9007199254740991,"presence_penalty":-0.0}`,
		`"size":"` + strings.Repeat("x", 65) + `","quality":"é","service_tier":"flex","store":null,"n":[1],"user":"me"`:       `{"service_tier":"flex"}`,
		`"options":{"temperature":1},"generationConfig":{"topP":1}`:                                                           `null`,
	} {
		c := Begin(Find("openai", "POST", "/v1/chat/completions"), RequestHead{}, NewBudget(room))
		c.Request([]byte(`{"messages":[],` + body + `}`))
		c.RequestEnd(true)
		c.End(ConnectFailed)
		got := at(recorded(c), "params")
		var parts []string
		for _, m := range got.Members {
			v := m.Value.Text
			switch m.Value.Kind {
			case jcs.String:
				v = `"` + v + `"`
			case jcs.Bool:
				v = map[bool]string{true: "true", false: "false"}[m.Value.Bool]
			}
			parts = append(parts, `"`+m.Name+`":`+v)
		}
		said := "{" + strings.Join(parts, ",") + "}"
		if got.Kind == jcs.Null {
			said = "null"
		}
		if said != want {
			t.Errorf("%s shows %s, want %s", body, said, want)
		}
	}
}

func TestOptionsAreParametersToo(t *testing.T) {
	for path, body := range map[string]string{
		"/api/chat":          `{"messages":[],"options":{"temperature":1,"top_p":2,"top_k":3,"num_predict":4,"num_ctx":5,"seed":6,"stop":7,"topP":"a b"}}`,
		"/m:generateContent": `{"contents":[],"generationConfig":{"temperature":1,"topP":2,"topK":3,"maxOutputTokens":4,"candidateCount":5,"seed":6,"stopSequences":[7]}}`,
		"/n:generateContent": `{"contents":[],"generation_config":{"temperature":1,"topP":2,"topK":3,"maxOutputTokens":4,"candidateCount":5,"seed":6}}`,
	} {
		c := Begin(Find("", "POST", path), RequestHead{}, NewBudget(room))
		c.Request([]byte(body))
		c.RequestEnd(true)
		c.End(ConnectFailed)
		var got []string
		for _, m := range at(recorded(c), "params").Members {
			got = append(got, m.Value.Text)
		}
		if said := strings.Join(got, " "); said != "1 2 3 4 5 6" {
			t.Errorf("%s shows %q", body, said)
		}
	}
}

func TestTheCodingIsOneOrSeveral(t *testing.T) {
	for want, fields := range map[string][]string{"": {"identity"}, "gzip": {" GZIP "}, "several": {"gzip", "br"}, "gzip, br": {"gzip, br"}} {
		if got := codingOf(map[string][]string{"Content-Encoding": fields}); got != want {
			t.Errorf("%q is %q, want %q", fields, got, want)
		}
	}
	if got := codingOf(nil); got != "" {
		t.Errorf("%q", got)
	}
}

func TestANumberIsPortableIfAReceiptMayHaveIt(t *testing.T) {
	for token, want := range map[string]bool{
		"0." + strings.Repeat("1", 62): true, "0." + strings.Repeat("1", 63): false, "1e400": false, "1e-400": false, "0e-400": true, "0.000": true, "-0": true, "1e2": true,
		"9007199254740991": true, "9007199254740992": false, "-9007199254740991": true, "-9007199254740992": false, "99999999999999999999": false, "1e308": true,
	} {
		if got := portable(jcs.Value{Kind: jcs.Number, Text: token}); got != want {
			t.Errorf("%s: %v", token, got)
		}
	}
}

func TestMessagesAreCountedAsWhatTheyAre(t *testing.T) {
	for body, want := range map[string]string{
		`/v1/responses {"input":"x"}`: "1", `/v1/responses {"input":[{},{}]}`: "2", `/v1/responses {"input":[]}`: "0", `/v1/responses {"input":null}`: "0", `/v1/responses {"instructions":"x"}`: "",
		`/v1/embeddings {"input":[1,2,3]}`: "1", `/v1/embeddings {"input":[-1]}`: "1", `/v1/embeddings {"input":[[1,2],[3]]}`: "2", `/v1/embeddings {"input":["a,b","c[,]\","]}`: "2",
		`/models/m:generateContent {"contents":{"parts":[]}}`: "1", `/v1/chat {"message":"x","chat_history":[{},{}]}`: "3", `/v2/chat {"messages":[{"a":[1,2]},{}]}`: "2",
		`/v1/chat/completions {"messages":[ {"x":[1,{"y":2}]} , {} ]}`: "2",
	} {
		path, body, _ := strings.Cut(body, " ")
		c := Begin(Find("", "POST", path), RequestHead{}, NewBudget(room))
		c.Request([]byte(body))
		c.RequestEnd(true)
		c.End(ConnectFailed)
		if got := at(recorded(c), "message_count").Text; got != want {
			t.Errorf("%s %s has %q messages, want %q", path, body, got, want)
		}
	}
}
