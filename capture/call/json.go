package call

import (
	"bytes"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// limits are those of a body, depth levels down.
func limits(depth int) jcs.Limits { return jcs.Limits{Bytes: maxBody, Depth: maxDepth - depth} }

// read gives the value that a text is to use, if the budget has room for its tree. With a reader, small ones are made in
// the memory of those before.
func read(text []byte, depth int, budget *Budget, reader *jcs.Reader, use func(v jcs.Value)) reason {
	if len(text) > smallText {
		cost := treeCost(text)
		if cost > maxTree {
			return tooLarge
		}
		if !budget.take(cost) {
			return noRoom
		}
		defer budget.take(-cost)
		reader = nil
	}
	if reader == nil {
		reader = new(jcs.Reader)
	}
	v, err := reader.Parse(text, limits(depth))
	if err != nil {
		return notJSON
	}
	use(v)
	return ""
}

const (
	smallText = 2 << 10 // whose tree is small whatever it is
	maxTree   = 32 << 20
)

// treeCost is about how much memory the tree of a text takes. Eight MiB of zeros in a list would be half a gigabyte.
func treeCost(text []byte) int {
	values := 1
	eachMark(text, func(mark byte) {
		if mark != ']' && mark != '}' {
			values++
		}
	})
	return 2*len(text) + 120*values
}

// eachMark gives the brackets, colons and commas that stand outside of strings.
func eachMark(text []byte, visit func(mark byte)) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"':
			i = stringEnd(text, i) - 1
		case ',', ':', '[', '{', ']', '}':
			visit(c)
		}
	}
}

// stringEnd is the position behind the string whose quote is at i; the length of the text if it does not end.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text)
		}
		end := i + n
		slashes := 0
		for end-1-slashes >= i && text[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end + 1
		}
		i = end + 1
	}
	return len(text)
}

// valueEnd is the position behind the value that begins at i. Whether it is a value is seen when it is parsed.
func valueEnd(text []byte, i int) int {
	depth := 0
	for ; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = stringEnd(text, i) - 1; depth == 0 {
				return i + 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i + 1
			} else if depth < 0 {
				return i
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

func trimmed(text []byte) []byte { return bytes.TrimSpace(text) }

func spaceEnd(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// eachMember cuts an object into its members, without a tree: a value is the bytes that it has in the text. It is false if
// the text is cut to pieces that no object has, if a name comes twice, or if visit says so. The values are not read: who
// parses all of them has read the object strictly.
func eachMember(text []byte, visit func(name string, value []byte) bool) bool {
	i := spaceEnd(text, 0)
	if i == len(text) || text[i] != '{' {
		return false
	}
	if i = spaceEnd(text, i+1); i < len(text) && text[i] == '}' {
		return spaceEnd(text, i+1) == len(text)
	}
	var names nameSet
	for {
		if i = spaceEnd(text, i); i == len(text) || text[i] != '"' {
			return false
		}
		end := stringEnd(text, i)
		name, ok := nameIn(text[i:end])
		if !ok || !names.add(name) {
			return false
		}
		if i = spaceEnd(text, end); i == len(text) || text[i] != ':' {
			return false
		}
		i = spaceEnd(text, i+1)
		end = valueEnd(text, i)
		if !visit(name, text[i:end]) {
			return false
		}
		if i = spaceEnd(text, end); i == len(text) {
			return false
		}
		switch text[i] {
		case ',':
			i++
		case '}':
			return spaceEnd(text, i+1) == len(text)
		default:
			return false
		}
	}
}

// nameSet holds names, of which there are few in most objects.
type nameSet struct {
	few  []string
	many map[string]bool
}

// add is false if the name is there already.
func (s *nameSet) add(name string) bool {
	if s.many == nil && len(s.few) < 16 {
		if slices.Contains(s.few, name) {
			return false
		}
		s.few = append(s.few, name)
		return true
	}
	if s.many == nil {
		s.many = map[string]bool{}
		for _, n := range s.few {
			s.many[n] = true
		}
	}
	if s.many[name] {
		return false
	}
	s.many[name] = true
	return true
}

// nameIn is the text of a string in its quotes.
func nameIn(quoted []byte) (name string, ok bool) {
	if n := len(quoted); n >= 2 && quoted[n-1] == '"' && printable(string(quoted)) && bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : n-1]), true
	}
	v, err := jcs.Parse(quoted, limits(0))
	return v.Text, err == nil
}

// printable reports whether a text is ASCII from space to tilde.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// countItems counts the items of a list that was read before; 0 of anything else.
func countItems(list []byte) (items int) {
	if len(list) < 2 || list[0] != '[' || spaceEnd(list, 1) == len(list)-1 {
		return 0
	}
	depth := 0
	items = 1
	eachMark(list, func(mark byte) {
		switch {
		case mark == '[' || mark == '{':
			depth++
		case mark == ']' || mark == '}':
			depth--
		case mark == ',' && depth == 1:
			items++
		}
	})
	return items
}

// sieve takes the values of some members out of a JSON object that passes, and leaves null in their place: vectors and
// pictures are large, and nothing in them is recorded. What it takes out is not checked.
type sieve struct {
	out      []string // names of the members, at the root
	depth    int
	text     bool   // inside a string
	escaped  bool   // behind a backslash
	value    bool   // at the root: behind a colon
	dropping bool   // inside a value that is taken out
	name     []byte // of the member, as it stands in the text
}

// pass appends what is left of the next bytes.
func (s *sieve) pass(dst, p []byte) []byte {
	for i := 0; i < len(p); i++ {
		c := p[i]
		start := i
		switch {
		case s.text && s.escaped:
			s.escaped = false
		case s.text && c == '\\':
			s.escaped = true
		case s.text && c == '"':
			s.text = false
		case s.text: // all that is plain, at once
			for i+1 < len(p) && p[i+1] != '"' && p[i+1] != '\\' {
				i++
			}
		case c == '"':
			if s.text = true; s.depth == 1 && !s.value {
				s.name = s.name[:0]
			}
			if !s.dropping {
				dst = append(dst, c)
			}
			continue
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth == 0 {
				s.dropping = false
			}
		case c == ',' && s.depth == 1:
			s.value, s.dropping = false, false
		case c == ':' && s.depth == 1:
			s.value = true
			dst = append(dst, c)
			if s.dropping = s.named(); s.dropping {
				dst = append(dst, "null"...)
			}
			continue
		}
		if s.text && s.depth == 1 && !s.value && len(s.name) < 64 {
			s.name = append(s.name, p[start:i+1]...)
		}
		if !s.dropping {
			dst = append(dst, p[start:i+1]...)
		}
	}
	return dst
}

func (s *sieve) named() bool {
	for _, name := range s.out {
		if string(s.name) == name {
			return true
		}
	}
	return false
}

// text is a member if it is a text, else empty.
func text(v jcs.Value, name string) string {
	m, _ := v.Get(name)
	if m.Kind != jcs.String {
		return ""
	}
	return m.Text
}

// at is a member of a member …; null if one of them is not there.
func at(v jcs.Value, names ...string) jcs.Value {
	for _, name := range names {
		v, _ = v.Get(name)
	}
	return v
}

// index is a member that numbers something, else what is given.
func index(v jcs.Value, name string, otherwise int) int64 {
	if n, ok := at(v, name).Int64(); ok && n >= 0 {
		return n
	}
	return int64(otherwise)
}
