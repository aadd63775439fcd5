package call

import "github.com/Haserjian/assay-ledger/pack/jcs"

var cohereTokens = &tokenNames{
	input:  []places{{{"tokens", "input_tokens"}, {"billed_units", "input_tokens"}}},
	output: []places{{{"tokens", "output_tokens"}, {"billed_units", "output_tokens"}}},
	cached: places{{"cached_tokens"}},
}

// cohereReply reads a response of chat: of version 2, whose message is like OpenAI's, and of version 1, which is flat.
func cohereReply(r *reply, _ string, v jcs.Value) {
	message := at(v, "message")
	said, flat := v.Get("text")
	r.known = r.known || message.Kind == jcs.Object || flat
	set(&r.id, v, "response_id")
	set(&r.id, v, "id")
	set(&r.finish, v, "finish_reason")
	r.tokens.tell(cohereTokens, at(v, "meta"))
	r.tokens.tell(cohereTokens, at(v, "usage"))
	o := r.output(0)
	if said.Kind == jcs.String && said.Text != "" {
		r.add(&r.part(o, contentKey).text, said.Text)
	}
	for i, c := range at(v, "tool_calls").Items {
		callOf(r, r.part(o, int64(i)), c, "parameters")
	}
	chatMessage(r, o, message)
}

// cohereEvent reads an event of the stream of either version.
func cohereEvent(r *reply, name string, v jcs.Value) {
	if said := text(v, "type"); said != "" {
		name = said
	}
	delta := at(v, "delta")
	message := at(delta, "message")
	o := r.output(0)
	switch name {
	case "message-start":
		r.known = true
		set(&r.id, v, "id")
	case "content-start", "content-delta":
		if said := text(at(message, "content"), "text"); said != "" {
			r.add(&r.part(o, contentKey).text, said)
		}
	case "tool-call-start", "tool-call-delta":
		c := at(message, "tool_calls")
		callOf(r, r.callPart(o, index(v, "index", 0), text(c, "id")), at(c, "function"), "arguments")
	case "message-end":
		r.done = true
		set(&r.id, v, "id")
		set(&r.finish, delta, "finish_reason")
		r.tokens.tell(cohereTokens, at(delta, "usage"))
		if code := text(delta, "error"); code != "" {
			r.failure = failureIn(at(delta, "error"))
		}
	}
	switch text(v, "event_type") { // of version 1
	case "stream-start":
		r.known = true
		set(&r.id, v, "generation_id")
	case "stream-end":
		// It has the whole response once more.
		r.done = true
		r.forget()
		cohereReply(r, "", at(v, "response"))
		set(&r.finish, v, "finish_reason")
	}
}

// cohereVectors reads what has no outputs.
func cohereVectors(r *reply, _ string, v jcs.Value) {
	r.known = true
	set(&r.id, v, "id")
	set(&r.model, v, "model")
	r.tokens.tell(cohereTokens, at(v, "meta"))
	r.tokens.tell(plainTokens, at(v, "usage"))
}
