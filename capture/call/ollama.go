package call

import "github.com/Haserjian/assay-ledger/pack/jcs"

var ollamaTokens = &tokenNames{
	input:  []places{{{"prompt_eval_count"}}},
	output: []places{{{"eval_count"}}},
}

// ollamaReply reads a response of Ollama and a line of its stream, which are alike.
func ollamaReply(r *reply, _ string, v jcs.Value) {
	message := at(v, "message")
	_, generated := v.Get("response")
	r.known = r.known || message.Kind == jcs.Object || generated
	set(&r.model, v, "model")
	set(&r.finish, v, "done_reason")
	r.tokens.tell(ollamaTokens, v)
	r.done = r.done || at(v, "done").Bool
	o := r.output(0)
	for _, said := range []string{text(v, "response"), text(message, "content")} {
		if said != "" {
			r.add(&r.part(o, contentKey).text, said)
		}
	}
	for _, c := range at(message, "tool_calls").Items {
		p := r.part(o, o.nextKey())
		if callOf(r, p, at(c, "function"), "arguments"); len(p.args) == 0 {
			r.add(&p.args, "{}")
		}
	}
}

// ollamaVectors reads what has no outputs.
func ollamaVectors(r *reply, _ string, v jcs.Value) {
	r.known = true
	set(&r.model, v, "model")
	r.tokens.tell(ollamaTokens, v)
}
