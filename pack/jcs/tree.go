package jcs

// A builder makes a tree of a tape. All members of a document share one allocation, all items another;
// what is used again keeps both.
type builder struct {
	*scanner
	copied  string // of the text: numbers and strings without escapes are parts of it
	members []Member
	items   []Value
}

func (b *builder) build(s *scanner, root *Value) {
	members, items := zeroed(b.members, s.members), zeroed(b.items, s.items)
	*b = builder{scanner: s, copied: string(s.text), members: members, items: items}
	b.value(root, 0)
	b.members, b.items = members, items
}

// zeroed is n zero values, in old if they fit. What an earlier text left must neither show nor be kept:
// old[:len(old)] is what it used, and the rest is zero already, so a long text costs the next ones nothing.
func zeroed[T any](old []T, n int) []T {
	clear(old)
	if n > cap(old) {
		return make([]T, n)
	}
	return old[:n]
}

func (b *builder) value(v *Value, at int) {
	t := &b.tape[at]
	v.Kind = t.kind
	switch t.kind {
	case Bool:
		v.Bool = b.text[t.start] == 't'
	case Number:
		v.Text = b.copied[t.start:t.end]
	case String:
		v.Text = b.decoded(t)
	case Array:
		// The capacity is cut off, so that appending to one array cannot write into the next.
		v.Items, b.items = b.items[:t.count:t.count], b.items[t.count:]
		for i, item := 0, at+1; i < len(v.Items); i++ {
			b.value(&v.Items[i], item)
			item = int(b.tape[item].next)
		}
	case Object:
		v.Members, b.members = b.members[:t.count:t.count], b.members[t.count:]
		for i, name := 0, at+1; i < len(v.Members); i++ {
			v.Members[i].Name = b.decoded(&b.tape[name])
			b.value(&v.Members[i].Value, name+1)
			name = int(b.tape[name+1].next)
		}
	}
}

func (b *builder) decoded(t *token) string {
	if !t.escaped {
		return b.copied[t.start+1 : t.end-1]
	}
	raw := b.text[t.start+1 : t.end-1]
	return string(appendDecoded(make([]byte, 0, len(raw)), raw))
}
