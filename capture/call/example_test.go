package call_test

import (
	"fmt"

	"github.com/Haserjian/assay-ledger/capture/call"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// What one attempt says, read while it passes.
func Example() {
	budget := call.NewBudget(64 << 20) // of all calls together
	route := call.Find("openai", "POST", "/v1/chat/completions")
	c := call.Begin(route, call.RequestHead{
		Method: "POST", Path: "/v1/chat/completions",
		Header: map[string][]string{"Authorization": {"Bearer sk-1234567890"}},
	}, budget)
	c.Request([]byte(`{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"Hi"}]}`))
	c.RequestEnd(true)
	c.Response(call.ResponseHead{Status: 200, Header: map[string][]string{"Content-Type": {"text/event-stream"}}})
	c.Body([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel"))
	c.Body([]byte("lo\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n"))
	c.End(call.Whole)
	c.Finish()

	data := jcs.Obj(c.Members(call.Attempt{FirstByteMS: -1, LatencyMS: -1})...)
	for _, name := range []string{"route", "model_id", "success", "finish_reason", "input_tokens", "output_tokens", "prompt_hash"} {
		v, _ := data.Get(name)
		text, _ := jcs.AppendPack(nil, v)
		fmt.Printf("%s: %s\n", name, text)
	}
	// Output:
	// route: "openai.chat"
	// model_id: "gpt-5-mini"
	// success: true
	// finish_reason: "stop"
	// input_tokens: 8
	// output_tokens: 2
	// prompt_hash: "sha256:c690133a69ad78b589d329d9333c8ddb024a3247626bb1cd01f1fca29f29004c"
}
