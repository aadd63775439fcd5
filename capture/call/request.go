package call

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// asked is what the body of a request tells.
type asked struct {
	model    string
	prompt   string // hash of what was asked, as the receipt has it; empty: none
	messages int    // below 0: unknown
	tools    []string
	params   []jcs.Member
}

const maxNames = 128 // of tools that a receipt lists

// readRequest reads the body of a request. The large members are not made trees of.
func readRequest(f *form, body []byte, budget *Budget) (asked, reason) {
	r := requestReader{form: f, budget: budget, canonical: make([][]byte, len(f.hashed))}
	defer r.share.giveBack()
	r.share.budget = budget
	r.told.messages = -1
	cut := eachMember(body, r.member)
	switch {
	case r.wrong != "":
		return asked{messages: -1}, r.wrong
	case !cut:
		if body = trimmed(body); len(body) > 0 && body[0] != '{' && read(body, 0, budget, nil, func(jcs.Value) {}) == "" {
			return asked{messages: -1}, notTheDialect
		}
		return asked{messages: -1}, notJSON
	}
	r.told.prompt = r.hash()
	if r.told.prompt == "" && len(f.hashed) > 0 {
		return r.told, notTheDialect
	}
	return r.told, ""
}

type requestReader struct {
	form      *form
	budget    *Budget
	share     share
	told      asked
	canonical [][]byte // C of the members that are hashed, in their order
	scratch   []byte
	reader    jcs.Reader
	wrong     reason
}

// member takes one member of the body. Each is read once, so that the body as a whole was read strictly.
func (r *requestReader) member(name string, value []byte) bool {
	if name = cmpName(name); !r.plain(name, value) {
		return r.wrong == ""
	}
	if cost := 2*len(value) + 40*countMarks(value); !r.share.use(cost) {
		r.wrong = noRoom
		return false
	}
	i, hashed := slices.BinarySearch(r.form.hashed, name)
	if hashed && r.canonical[i] != nil {
		r.wrong = notJSON // one member, spelled in two ways
		return false
	}
	canonical := r.scratch[:0]
	if hashed {
		canonical = make([]byte, 0, len(value)+16)
	}
	canonical, err := r.reader.Pack(canonical, value, limits(1))
	switch {
	case err != nil:
		r.wrong = notJSON
		return false
	case hashed:
		r.canonical[i] = canonical
	default:
		r.scratch = canonical
	}
	if slices.Contains(r.form.counted, name) {
		r.told.messages = max(0, r.told.messages) + messagesIn(canonical)
	}
	return true
}

// plain reads the members that receipts show. It reports whether the member is to be read as one that they do not.
func (r *requestReader) plain(name string, value []byte) (other bool) {
	var use func(v jcs.Value)
	switch {
	case name == "model":
		use = func(v jcs.Value) {
			if v.Kind == jcs.String && len(v.Text) <= maxName {
				r.told.model = strings.Clone(v.Text)
			}
		}
	case name == "tools" || name == "functions":
		use = r.toolsOf
	case r.form.options != "" && name == r.form.options:
		use = func(v jcs.Value) {
			for _, m := range v.Members {
				r.param(m.Name, m.Value, r.form.more)
			}
		}
	case parameters[name]:
		use = func(v jcs.Value) { r.param(name, v, parameters) }
	default:
		return true
	}
	r.wrong = read(value, 1, r.budget, &r.reader, use)
	return false
}

func (r *requestReader) param(name string, v jcs.Value, may map[string]bool) {
	known := slices.ContainsFunc(r.told.params, func(m jcs.Member) bool { return m.Name == name })
	if may[name] && !known && plainValue(v) {
		v.Text = strings.Clone(v.Text)
		r.told.params = append(r.told.params, jcs.M(strings.Clone(name), v))
	}
}

// plainValue reports whether a value is one that says how a model was asked, and not what: a number, true or false, a short word.
func plainValue(v jcs.Value) bool {
	switch v.Kind {
	case jcs.Bool:
		return true
	case jcs.Number:
		return portable(v)
	case jcs.String:
		return len(v.Text) <= 64 && printable(v.Text)
	}
	return false
}

// portable reports whether every reader of a receipt reads the number alike, and an emitter takes it. (RCP-10, RCP-11)
func portable(v jcs.Value) bool {
	if len(v.Text) > 64 {
		return false
	}
	if !strings.ContainsAny(v.Text, ".eE") {
		n, ok := v.Int64()
		return ok && -maxInteger <= n && n <= maxInteger
	}
	f, ok := v.Float64()
	mantissa, _, _ := strings.Cut(strings.ToLower(v.Text), "e")
	return ok && (f != 0 || !strings.ContainsAny(mantissa, "123456789"))
}

// toolsOf lists the names of the tools that are offered; one that has no name is named by its type.
func (r *requestReader) toolsOf(v jcs.Value) {
	for _, t := range v.Items {
		declared := at(t, "functionDeclarations")
		if declared.Kind != jcs.Array {
			declared = at(t, "function_declarations")
		}
		for _, d := range declared.Items {
			r.tool(text(d, "name"))
		}
		if declared.Kind == jcs.Array {
			continue
		}
		named := ""
		for _, at := range []string{text(at(t, "function"), "name"), text(at(t, "custom"), "name"), text(t, "name"), text(t, "type")} {
			if named == "" {
				named = at
			}
		}
		if named == "" && len(t.Members) == 1 { // {"googleSearch":{}}
			named = t.Members[0].Name
		}
		r.tool(named)
	}
}

func (r *requestReader) tool(name string) {
	if len(r.told.tools) < maxNames && name != "" && len(name) <= maxName {
		r.told.tools = append(r.told.tools, strings.Clone(name))
	}
}

// hash is H of C of the object of the members that are hashed. (CAP-10)
func (r *requestReader) hash() string {
	h := sha256.New()
	some := false
	for i, name := range r.form.hashed {
		if r.canonical[i] == nil {
			continue
		}
		if open := `,"`; some {
			h.Write([]byte(open))
		} else {
			h.Write([]byte(`{"`))
		}
		some = true
		h.Write([]byte(name + `":`))
		h.Write(r.canonical[i])
	}
	if !some {
		return ""
	}
	h.Write([]byte("}"))
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

func cmpName(name string) string {
	if first := spellings[name]; first != "" {
		return first
	}
	return name
}

// messagesIn counts the messages in a canonical value: the items of a list, but a list of numbers is one text in tokens.
func messagesIn(canonical []byte) int {
	switch c := canonical[0]; {
	case c == '[' && len(canonical) > 1 && (canonical[1] == '-' || '0' <= canonical[1] && canonical[1] <= '9'):
		return 1
	case c == '[':
		return countItems(canonical)
	case c == '"' || c == '{':
		return 1
	}
	return 0
}

func countMarks(value []byte) (n int) {
	eachMark(value, func(byte) { n++ })
	return n
}
