package call

import "github.com/Haserjian/assay-ledger/pack/jcs"

// Where an OpenAI chat message has its texts among the parts of an output: before its calls, which have their indexes.
const (
	contentKey int64 = -2
	refusalKey int64 = -1
)

var chatTokens = &tokenNames{
	input:  []places{{{"prompt_tokens"}}},
	output: []places{{{"completion_tokens"}}},
	cached: places{{"prompt_tokens_details", "cached_tokens"}, {"prompt_cache_hit_tokens"}}, // the second is DeepSeek's
	reason: places{{"completion_tokens_details", "reasoning_tokens"}},
}

// chatReply reads a response of chat/completions and a chunk of its stream: they differ in the name of the message.
func chatReply(r *reply, _ string, v jcs.Value) {
	choices := at(v, "choices")
	r.known = r.known || choices.Kind == jcs.Array
	set(&r.id, v, "id")
	set(&r.model, v, "model")
	r.tokens.tell(chatTokens, at(v, "x_groq", "usage"))
	r.tokens.tell(chatTokens, at(v, "usage"))
	for i, c := range choices.Items {
		n := index(c, "index", i)
		r.end(n, text(c, "finish_reason"))
		message := at(c, "message")
		if message.Kind != jcs.Object {
			message = at(c, "delta")
		}
		chatMessage(r, r.output(n), message)
	}
}

func chatMessage(r *reply, o *output, m jcs.Value) {
	if content := at(m, "content"); content.Kind == jcs.String && content.Text != "" {
		r.add(&r.part(o, contentKey).text, content.Text)
	} else {
		for _, piece := range content.Items {
			if text(piece, "type") == "text" {
				r.add(&r.part(o, contentKey).text, text(piece, "text"))
			}
		}
	}
	if refusal := text(m, "refusal"); refusal != "" {
		r.add(&r.part(o, refusalKey).text, refusal)
	}
	if old := at(m, "function_call"); old.Kind == jcs.Object {
		callOf(r, r.callPart(o, 0, ""), old, "arguments")
	}
	for i, c := range at(m, "tool_calls").Items {
		p := r.callPart(o, index(c, "index", i), text(c, "id"))
		if custom := at(c, "custom"); custom.Kind == jcs.Object {
			callOf(r, p, custom, "input")
		} else {
			callOf(r, p, at(c, "function"), "arguments")
		}
	}
}

// callOf reads the name of a call, and what there is of its arguments: a text or the next piece of one, or an object.
func callOf(r *reply, p *part, c jcs.Value, arguments string) {
	p.call = true
	r.setText(&p.name, text(c, "name"))
	switch args := at(c, arguments); args.Kind {
	case jcs.String:
		r.add(&p.args, args.Text)
	case jcs.Object, jcs.Array:
		r.setArgs(p, args)
	}
}

// completionReply reads a response of completions and a chunk of its stream.
func completionReply(r *reply, _ string, v jcs.Value) {
	choices := at(v, "choices")
	r.known = r.known || choices.Kind == jcs.Array
	set(&r.id, v, "id")
	set(&r.model, v, "model")
	r.tokens.tell(chatTokens, at(v, "usage"))
	for i, c := range choices.Items {
		n := index(c, "index", i)
		r.end(n, text(c, "finish_reason"))
		r.add(&r.part(r.output(n), contentKey).text, text(c, "text"))
	}
}

var responsesTokens = &tokenNames{
	input:  []places{{{"input_tokens"}}},
	output: []places{{{"output_tokens"}}},
	cached: places{{"input_tokens_details", "cached_tokens"}},
	reason: places{{"output_tokens_details", "reasoning_tokens"}},
}

// responsesReply reads a response of responses.
func responsesReply(r *reply, _ string, v jcs.Value) {
	items := at(v, "output")
	r.known = r.known || items.Kind == jcs.Array
	set(&r.id, v, "id")
	set(&r.model, v, "model")
	set(&r.finish, v, "status")
	set(&r.finish, at(v, "incomplete_details"), "reason")
	r.tokens.tell(responsesTokens, at(v, "usage"))
	r.output(0)
	for i, item := range items.Items {
		responsesItem(r, int64(i), item)
	}
}

func responsesItem(r *reply, key int64, item jcs.Value) {
	p := r.part(r.output(0), key)
	if p.text, p.args = p.text[:0], p.args[:0]; text(item, "type") == "message" {
		for _, piece := range at(item, "content").Items {
			switch text(piece, "type") {
			case "output_text", "text":
				r.add(&p.text, text(piece, "text"))
			case "refusal":
				r.add(&p.text, text(piece, "refusal"))
			}
		}
	}
	switch text(item, "type") {
	case "function_call", "mcp_call":
		callOf(r, p, item, "arguments")
	case "custom_tool_call":
		callOf(r, p, item, "input")
	}
}

// responsesEvent reads a message of the stream of responses. Items come whole when they are done, and all of them in the
// last message once more; so nothing has to be put together from pieces.
func responsesEvent(r *reply, name string, v jcs.Value) {
	if said := text(v, "type"); said != "" {
		name = said
	}
	switch response := at(v, "response"); name {
	case "response.created", "response.in_progress", "response.queued":
		r.known = true
		set(&r.id, response, "id")
		set(&r.model, response, "model")
	case "response.output_item.done":
		responsesItem(r, index(v, "output_index", 0), at(v, "item"))
	case "response.completed", "response.incomplete", "response.failed":
		if len(at(response, "output").Items) > 0 {
			r.forget()
		}
		responsesReply(r, "", response)
		if r.done = true; hasError(response) {
			r.failure = failureOf(response)
		}
	}
}

// plainTokens are of points that tell them in one of two ways.
var plainTokens = &tokenNames{
	input:  []places{{{"prompt_tokens"}, {"input_tokens"}}},
	output: []places{{{"completion_tokens"}, {"output_tokens"}}},
	cached: places{{"prompt_tokens_details", "cached_tokens"}, {"input_tokens_details", "cached_tokens"}},
}

// plainReply reads what has no outputs: vectors, pictures, speech and what was heard, moderations.
func plainReply(r *reply, _ string, v jcs.Value) {
	r.known = true
	set(&r.id, v, "id")
	set(&r.model, v, "model")
	r.tokens.tell(plainTokens, at(v, "usage"))
}
