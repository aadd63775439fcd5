package call

import (
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

var messagesTokens = &tokenNames{
	input:   []places{{{"input_tokens"}}, {{"cache_read_input_tokens"}}, {{"cache_creation_input_tokens"}}},
	output:  []places{{{"output_tokens"}}},
	cached:  places{{"cache_read_input_tokens"}},
	written: places{{"cache_creation_input_tokens"}},
}

// messagesReply reads a message of Anthropic, whole.
func messagesReply(r *reply, _ string, m jcs.Value) {
	blocks := at(m, "content")
	r.known = r.known || blocks.Kind == jcs.Array
	set(&r.id, m, "id")
	set(&r.model, m, "model")
	set(&r.finish, m, "stop_reason")
	r.tokens.tell(messagesTokens, at(m, "usage"))
	r.output(0)
	for i, b := range blocks.Items {
		messagesBlock(r, int64(i), b)
		messagesBlockEnd(r, int64(i))
	}
}

// messagesBlock reads a block of content, or the beginning of one.
func messagesBlock(r *reply, key int64, block jcs.Value) {
	p := r.part(r.output(0), key)
	switch text(block, "type") {
	case "text":
		r.add(&p.text, text(block, "text"))
	case "tool_use", "server_tool_use", "mcp_tool_use":
		p.call = true
		r.setText(&p.name, text(block, "name"))
		if input := at(block, "input"); input.Kind == jcs.Object {
			if all, err := jcs.AppendPack(nil, input); err == nil {
				r.setText(&p.all, string(all))
			} else {
				r.tear(notJSON)
			}
		}
	}
}

// messagesBlockEnd makes C of the arguments that came in pieces, if they are JSON: max_tokens may have cut them.
func messagesBlockEnd(r *reply, key int64) {
	p := r.part(r.output(0), key)
	if !p.call {
		return
	}
	if len(strings.TrimSpace(string(p.args))) == 0 {
		r.add(&p.args, p.all)
	} else if canonical, err := jcs.Pack(nil, p.args, limits(0)); err == nil {
		p.args = canonical
	}
	p.all = ""
}

// messagesEvent reads an event of the stream of a message.
func messagesEvent(r *reply, name string, v jcs.Value) {
	if said := text(v, "type"); said != "" {
		name = said
	}
	switch name {
	case "message_start":
		messagesReply(r, "", at(v, "message"))
	case "content_block_start":
		messagesBlock(r, index(v, "index", 0), at(v, "content_block"))
	case "content_block_delta":
		p := r.part(r.output(0), index(v, "index", 0))
		switch delta := at(v, "delta"); text(delta, "type") {
		case "text_delta":
			r.add(&p.text, text(delta, "text"))
		case "input_json_delta":
			r.add(&p.args, text(delta, "partial_json"))
		}
	case "content_block_stop":
		messagesBlockEnd(r, index(v, "index", 0))
	case "message_delta":
		set(&r.finish, at(v, "delta"), "stop_reason")
		r.tokens.tell(messagesTokens, at(v, "usage"))
	case "message_stop":
		r.done = true
	}
}
