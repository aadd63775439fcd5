package call

import "github.com/Haserjian/assay-ledger/pack/jcs"

var googleTokens = &tokenNames{
	input:  []places{{{"promptTokenCount"}}, {{"toolUsePromptTokenCount"}}},
	output: []places{{{"candidatesTokenCount"}}, {{"thoughtsTokenCount"}}},
	cached: places{{"cachedContentTokenCount"}},
	reason: places{{"thoughtsTokenCount"}},
}

// googleReply reads a response of generateContent and a message of its stream, which are alike. Without alt=sse a stream is
// one list of them.
func googleReply(r *reply, _ string, v jcs.Value) {
	if v.Kind == jcs.Array {
		for _, item := range v.Items {
			if hasError(item) {
				r.failure = failureOf(item)
			}
			googleReply(r, "", item)
		}
		return
	}
	candidates := at(v, "candidates")
	r.known = r.known || candidates.Kind == jcs.Array || at(v, "promptFeedback").Kind == jcs.Object || at(v, "usageMetadata").Kind == jcs.Object
	set(&r.id, v, "responseId")
	set(&r.model, v, "modelVersion")
	r.tokens.tell(googleTokens, at(v, "usageMetadata"))
	if r.finish == "" && len(candidates.Items) == 0 {
		set(&r.finish, at(v, "promptFeedback"), "blockReason")
	}
	for i, c := range candidates.Items {
		n := index(c, "index", i)
		r.end(n, text(c, "finishReason"))
		o := r.output(n)
		for _, piece := range at(c, "content", "parts").Items {
			googlePart(r, o, piece)
		}
	}
}

func googlePart(r *reply, o *output, piece jcs.Value) {
	if said := text(piece, "text"); said != "" && !at(piece, "thought").Bool {
		r.add(&r.part(o, contentKey).text, said)
	}
	if c := at(piece, "functionCall"); c.Kind == jcs.Object {
		p := r.part(o, o.nextKey())
		p.call = true
		r.setText(&p.name, text(c, "name"))
		if args := at(c, "args"); args.Kind == jcs.Object {
			r.setArgs(p, args)
		} else {
			r.add(&p.args, "{}")
		}
	}
}

// googleVectors reads what has no outputs.
func googleVectors(r *reply, _ string, v jcs.Value) {
	r.known = true
	r.tokens.tell(googleTokens, at(v, "usageMetadata"))
}
