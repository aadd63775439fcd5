package jcs

// A builder makes a tree of a tape. All members of a document share one allocation, all items another.
type builder struct {
	*scanner
	copied  string // of the text: numbers and strings without escapes are parts of it
	members []Member
	items   []Value
}

func (s *scanner) build() (root Value) {
	b := builder{scanner: s, copied: string(s.text)}
	if s.members > 0 {
		b.members = make([]Member, s.members)
	}
	if s.items > 0 {
		b.items = make([]Value, s.items)
	}
	b.value(&root, 0)
	return root
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
