package call

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// reply is what a response tells, gathered from its body or from the messages of its stream: both add up to the same.
type reply struct {
	id, model, finish string
	finishIndex       int64 // whose finish it is
	tokens            tokens
	failure           *failure // an error inside
	outputs           []output
	done              bool   // the message that is the last of its stream has come
	known             bool   // something of the dialect was there
	torn              reason // something of the outputs was not read: there is no hash of them
	texts             int    // bytes in outputs
	share             share
}

// output is one choice, candidate or message.
type output struct {
	index int64
	parts []part          // in the order of their keys
	moved map[int64]int64 // indexes that several calls have, and the key of the last of these
}

// part is a piece of text of an output, or a call of a tool in it.
type part struct {
	key  int64
	text []byte
	call bool
	name string // of the tool
	id   string // of the call: in some streams two calls have one index
	args []byte // its arguments as text
	all  string // its arguments, if the beginning of the call had them all
}

const (
	maxOutputs = 1 << 10
	maxParts   = 2 << 10 // of an output: they are kept in order, and may come in any
	partCost   = 256     // what a part takes besides its texts
	maxName    = 256     // bytes of a name or an id that a receipt may have
)

// output is the one of that index. It is good until the next call.
func (r *reply) output(index int64) *output {
	for i := len(r.outputs) - 1; i >= 0; i-- {
		if r.outputs[i].index == index {
			return &r.outputs[i]
		}
	}
	if r.torn != "" || len(r.outputs) == maxOutputs {
		r.tear(tooLarge)
		return &output{}
	}
	r.outputs = append(r.outputs, output{index: index})
	return &r.outputs[len(r.outputs)-1]
}

// tear says that the outputs are not all here. What was kept of them is of no use then.
func (r *reply) tear(why reason) {
	if r.torn == "" {
		r.torn = why
	}
	r.forget()
}

// forget drops the outputs.
func (r *reply) forget() {
	r.outputs, r.texts = nil, 0
	r.share.giveBack()
}

// part is the one of that key in an output. It is good until the next call.
func (r *reply) part(o *output, key int64) *part {
	i := len(o.parts)
	if i > 0 && o.parts[i-1].key >= key {
		var found bool
		i, found = slices.BinarySearchFunc(o.parts, key, func(p part, key int64) int { return cmp.Compare(p.key, key) })
		if found {
			return &o.parts[i]
		}
	}
	if len(o.parts) == maxParts {
		r.tear(tooLarge)
	}
	if !r.room(partCost) {
		return &part{}
	}
	o.parts = slices.Insert(o.parts, i, part{key: key})
	return &o.parts[i]
}

// callPart is the part of a call of a tool that a stream gives an index. Some streams give all their calls index 0 and
// tell them apart by their ids.
func (r *reply) callPart(o *output, index int64, id string) *part {
	key := index
	if moved, ok := o.moved[index]; ok {
		key = moved
	}
	p := r.part(o, key)
	if id != "" && p.id != "" && p.id != id {
		if o.moved == nil {
			o.moved = map[int64]int64{}
		}
		o.moved[index] = o.nextKey()
		p = r.part(o, o.moved[index])
	}
	p.call = true
	r.setText(&p.id, id)
	return p
}

// room asks for n bytes of what the outputs may take.
func (r *reply) room(n int) bool {
	switch {
	case r.torn != "":
	case r.texts+n > maxBody:
		r.tear(tooLarge)
	case !r.share.use(n):
		r.tear(noRoom)
	default:
		r.texts += n
		return true
	}
	return false
}

// nextKey is one behind the last key of an output.
func (o *output) nextKey() int64 {
	if len(o.parts) == 0 {
		return 0
	}
	return max(0, o.parts[len(o.parts)-1].key+1)
}

// add appends to a text of a part.
func (r *reply) add(to *[]byte, text string) {
	if text != "" && r.room(len(text)) {
		*to = append(*to, text...)
	}
}

// setText sets a name of a part, if it has none.
func (r *reply) setText(to *string, text string) {
	if *to == "" && text != "" && r.room(len(text)) {
		*to = strings.Clone(text)
	}
}

// setArgs makes C of a value the arguments of a call.
func (r *reply) setArgs(p *part, v jcs.Value) {
	if text, err := jcs.AppendPack(nil, v); err == nil {
		p.args = p.args[:0]
		r.add(&p.args, string(text))
	} else {
		r.tear(notJSON)
	}
}

// end sets why an output ended. Of several outputs the first one's counts.
func (r *reply) end(index int64, finish string) {
	if finish != "" && len(finish) <= maxName && (r.finish == "" || index <= r.finishIndex) {
		r.finish, r.finishIndex = strings.Clone(finish), index
	}
}

// sorted are the outputs in the order of their indexes.
func (r *reply) sorted() []output {
	slices.SortStableFunc(r.outputs, func(a, b output) int { return cmp.Compare(a.index, b.index) })
	return r.outputs
}

// hash is H of C of {"outputs":[{"text":…,"tool_calls":[{"arguments":…,"name":…}]}]}, written piece by piece. (CAP-11)
func (r *reply) hash() string {
	h := sha256.New()
	write := func(s string) { h.Write([]byte(s)) }
	write(`{"outputs":[`)
	for i, o := range r.sorted() {
		if i > 0 {
			write(",")
		}
		write(`{"text":"`)
		for _, p := range o.parts {
			if !p.call {
				hashText(h, p.text)
			}
		}
		write(`","tool_calls":[`)
		calls := 0
		for _, p := range o.parts {
			if !p.call {
				continue
			}
			if calls++; calls > 1 {
				write(",")
			}
			write(`{"arguments":"`)
			hashText(h, p.args)
			write(`","name":"`)
			hashText(h, []byte(p.name))
			write(`"}`)
		}
		write(`]}`)
	}
	write(`]}`)
	return hex.EncodeToString(h.Sum(nil))
}

// hashText writes a text as C writes it inside a string. It is UTF-8, since it was read so; what is none is replaced,
// so that nothing is skipped.
func hashText(h hash.Hash, text []byte) {
	const piece = 16 << 10
	for len(text) > 0 {
		n := min(len(text), piece)
		for n < len(text) && n > piece-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		quoted, err := jcs.AppendPack(nil, jcs.Loose(string(text[:n])))
		if err == nil {
			h.Write(quoted[1 : len(quoted)-1])
		}
		text = text[n:]
	}
}

// argsHash is that of the arguments of one call: of C, if they are JSON.
func argsHash(args []byte) string {
	if canonical, err := jcs.Pack(nil, args, limits(0)); err == nil {
		args = canonical
	}
	return hashOf(args)
}

// hashOf is how receipts name bytes that they do not hold.
func hashOf(p []byte) string {
	sum := sha256.Sum256(p)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// failure is an error that a provider told.
type failure struct {
	code string // its own code, else its type
	hash string // of its message; empty: there is none
}

// failureIn reads what providers call an error: a text, or an object with a message, a code and a type.
func failureIn(v jcs.Value) *failure {
	f := &failure{}
	if v.Kind == jcs.String {
		f.hash = hashOf([]byte(v.Text))
		return f
	}
	for _, name := range []string{"code", "status", "type"} {
		if m := text(v, name); m != "" && m != "error" && len(m) <= maxName {
			f.code = strings.Clone(m)
			break
		}
	}
	if m := at(v, "code"); f.code == "" && m.Kind == jcs.Number && len(m.Text) <= maxName {
		f.code = strings.Clone(m.Text)
	}
	for _, name := range []string{"message", "detail"} {
		if m := at(v, name); m.Kind == jcs.String {
			f.hash = hashOf([]byte(m.Text))
			break
		}
	}
	return f
}

// failureOf finds the error in the body of a response that failed, whoever made it:
//
//	{"error":{"message":"…","type":"…","param":null,"code":"…"}}   OpenAI and those who do alike
//	{"type":"error","error":{"type":"…","message":"…"}}            Anthropic
//	[{"error":{"code":400,"message":"…","status":"…"}}]            Gemini, streaming; else without the list
//	{"error":"…"}                                                   Ollama
//	{"message":"…"}, {"detail":"…"}                                 Cohere, Mistral
//	{"type":"error","code":"…","message":"…"}                       an event of OpenAI's responses
//	{"object":"error","message":"…","type":"…","code":400}          vLLM
func failureOf(v jcs.Value) *failure {
	if v.Kind == jcs.Array && len(v.Items) > 0 {
		v = v.Items[0]
	}
	inner, ok := v.Get("error")
	if !ok || inner.Kind != jcs.String && inner.Kind != jcs.Object {
		return failureIn(v)
	}
	f := failureIn(inner)
	if f.hash == "" {
		f.hash = failureIn(v).hash
	}
	return f
}

// hasError reports whether a body or a message tells an error: "error" is there and says something, or it calls itself one.
func hasError(v jcs.Value) bool {
	e := at(v, "error")
	return e.Kind == jcs.String && e.Text != "" || e.Kind == jcs.Object && len(e.Members) > 0 ||
		text(v, "object") == "error" || text(v, "type") == "error"
}

// set takes over a text that is there; in a stream the last one counts. It is copied, since it is a part of its document.
func set(to *string, v jcs.Value, name string) {
	if from := text(v, name); from != "" && len(from) <= maxName && from != *to {
		*to = strings.Clone(from)
	}
}
