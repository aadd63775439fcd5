package jcs

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// An alphabet is what a writer leaves unescaped in strings, besides what JSON makes it escape.
type alphabet uint8

const (
	everything       alphabet = iota // C(v)
	noLineSeparators                 // all but U+0085, U+2028, U+2029, where Python's splitlines cuts
	printableASCII                   // U+0020 to U+007E, as Python's json.dumps does by default
)

// AppendPack appends C(v), the canonical form of packs: no whitespace, members sorted by UTF-16 code units, integer
// tokens verbatim, doubles in their shortest digits with a bare uppercase E (1E21). It refuses what
// Parse would refuse or could not tell apart: duplicate names, strings that are not UTF-8, number
// tokens that are not JSON or not finite, more than 512 levels. On an error the result is nil.
func AppendPack(dst []byte, v Value) ([]byte, error) {
	w := canonical{}
	return w.value(dst, &v, 0)
}

// AppendPackLine is AppendPack with U+0085, U+2028 and U+2029 written as \u0085, \u2028 and \u2029.
// Receipt lines are written so because verifiers exist that cut lines at these three;
// hashes are of AppendPack.
func AppendPackLine(dst []byte, v Value) ([]byte, error) {
	w := canonical{alphabet: noLineSeparators}
	return w.value(dst, &v, 0)
}

// canonical writes C(v) from a tree (jcs.md §3), or the line of a receipt (jcs.md §4).
type canonical struct {
	alphabet alphabet
	orders   []int32 // a stack: the sorted members of the objects being written
}

func (w *canonical) value(dst []byte, v *Value, depth int) ([]byte, error) {
	var err error
	switch v.Kind {
	case Number:
		return appendNumber(dst, v.Text, packFloats, -1)
	case String:
		return appendString(dst, v.Text, w.alphabet)
	case Array:
		if depth++; depth > maxDepth {
			return nil, errTooDeep()
		}
		dst = append(dst, '[')
		for i := range v.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = w.value(dst, &v.Items[i], depth); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case Object:
		if depth++; depth > maxDepth {
			return nil, errTooDeep()
		}
		return w.object(dst, v.Members, depth)
	}
	return appendLiteral(dst, v)
}

func (w *canonical) object(dst []byte, members []Member, depth int) ([]byte, error) {
	base := len(w.orders)
	if !ascending(members) {
		var err error
		if w.orders, err = appendOrder(w.orders, members); err != nil {
			return nil, err
		}
	}
	sorted := len(w.orders) > base
	dst = append(dst, '{')
	for i := range members {
		m := &members[i]
		if sorted {
			m = &members[w.orders[base+i]]
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendString(dst, m.Name, w.alphabet); err != nil {
			return nil, err
		}
		dst = append(dst, ':')
		if dst, err = w.value(dst, &m.Value, depth); err != nil {
			return nil, err
		}
	}
	w.orders = w.orders[:base]
	return append(dst, '}'), nil
}

// ascending reports whether the names are sorted, and so also all different.
func ascending(members []Member) bool {
	for i := 1; i < len(members); i++ {
		if compareUTF16(members[i-1].Name, members[i].Name) >= 0 {
			return false
		}
	}
	return true
}

// appendOrder appends the indexes of the members in sorted order.
func appendOrder(orders []int32, members []Member) ([]int32, error) {
	base := len(orders)
	orders = slices.Grow(orders, len(members))
	for i := range members {
		orders = append(orders, int32(i))
	}
	order := orders[base:]
	slices.SortFunc(order, func(a, b int32) int { return compareUTF16(members[a].Name, members[b].Name) })
	for i := 1; i < len(order); i++ {
		if name := members[order[i]].Name; name == members[order[i-1]].Name {
			return nil, &Error{Cause: ErrDuplicate, Offset: -1, Detail: "two members named " + excerpt(name)}
		}
	}
	return orders, nil
}

// emit writes C(v) of the value at that position of the tape.
func (s *scanner) emit(dst []byte, at int) ([]byte, error) {
	t := &s.tape[at]
	if t.clean {
		return append(dst, s.text[t.start:t.end]...), nil
	}
	var err error
	switch t.kind {
	case Number:
		return appendNumber(dst, string(s.text[t.start:t.end]), packFloats, int(t.start))
	case String:
		return appendReescaped(dst, s.text[t.start:t.end]), nil
	case Array:
		dst = append(dst, '[')
		for i, item := 0, at+1; i < int(t.count); i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = s.emit(dst, item); err != nil {
				return nil, err
			}
			item = int(s.tape[item].next)
		}
		return append(dst, ']'), nil
	default: // an object: the literals are always clean
		dst = append(dst, '{')
		for i, name := 0, at+1; i < int(t.count); i++ {
			if t.order >= 0 {
				name = int(s.orders[int(t.order)+i])
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = s.emit(dst, name); err != nil {
				return nil, err
			}
			dst = append(dst, ':')
			if dst, err = s.emit(dst, name+1); err != nil {
				return nil, err
			}
			name = int(s.tape[name+1].next)
		}
		return append(dst, '}'), nil
	}
}

// appendReescaped writes a checked string token, quotes and all, with the escapes of C(v).
func appendReescaped(dst, quoted []byte) []byte {
	raw := quoted[1 : len(quoted)-1]
	dst = append(dst, '"')
	for len(raw) > 0 {
		n := plainEnd(raw, 0)
		dst = append(dst, raw[:n]...)
		if raw = raw[n:]; len(raw) == 0 {
			break
		}
		r, size := character(raw)
		if r < utf8.RuneSelf {
			dst = appendASCII(dst, byte(r))
		} else {
			dst = utf8.AppendRune(dst, r)
		}
		raw = raw[size:]
	}
	return append(dst, '"')
}

// appendString writes a string with its quotes.
func appendString(dst []byte, text string, keep alphabet) ([]byte, error) {
	dst = append(dst, '"')
	for {
		n := plainEnd(text, 0)
		if keep == printableASCII {
			if del := strings.IndexByte(text[:n], 0x7F); del >= 0 {
				dst = appendUnit(append(dst, text[:del]...), 0x7F)
				text = text[del+1:]
				continue
			}
		}
		dst = append(dst, text[:n]...)
		if text = text[n:]; text == "" {
			return append(dst, '"'), nil
		}
		if text[0] < utf8.RuneSelf {
			dst = appendASCII(dst, text[0])
			text = text[1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			return nil, &Error{Cause: ErrEncoding, Offset: -1, Detail: "expected UTF-8, found " + excerpt(text)}
		}
		dst = appendBeyondASCII(dst, r, keep)
		text = text[size:]
	}
}

// appendASCII writes one ASCII character as every writer here does, but for U+007F in printableASCII.
func appendASCII(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\t':
		return append(dst, '\\', 't')
	case '\n':
		return append(dst, '\\', 'n')
	case '\f':
		return append(dst, '\\', 'f')
	case '\r':
		return append(dst, '\\', 'r')
	}
	if c < ' ' {
		return appendUnit(dst, rune(c))
	}
	return append(dst, c)
}

func appendBeyondASCII(dst []byte, r rune, keep alphabet) []byte {
	switch {
	case keep == printableASCII && r > 0xFFFF:
		high, low := utf16.EncodeRune(r)
		return appendUnit(appendUnit(dst, high), low)
	case keep == printableASCII,
		keep == noLineSeparators && (r == 0x85 || r == 0x2028 || r == 0x2029):
		return appendUnit(dst, r)
	}
	return utf8.AppendRune(dst, r)
}

func appendUnit(dst []byte, u rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[u>>12&15], hex[u>>8&15], hex[u>>4&15], hex[u&15])
}

func appendLiteral(dst []byte, v *Value) ([]byte, error) {
	switch {
	case v.Kind == Null:
		return append(dst, "null"...), nil
	case v.Kind == Bool && v.Bool:
		return append(dst, "true"...), nil
	case v.Kind == Bool:
		return append(dst, "false"...), nil
	}
	return nil, &Error{Cause: ErrSyntax, Offset: -1, Detail: "expected a kind of JSON value, found kind " + strconv.Itoa(int(v.Kind))}
}

func errTooDeep() error {
	return &Error{Cause: ErrDepth, Offset: -1, Detail: "expected at most 512 nested arrays and objects"}
}

// AppendPretty appends pretty JSON, as json.dumps(v, indent=2) of Python writes it:
// members in their order, ASCII only, no newline at the end. It refuses what AppendPack refuses.
func AppendPretty(dst []byte, v Value) ([]byte, error) {
	return readable{indent: true}.value(dst, &v, 0)
}

// AppendPython appends what json.dumps(v) of Python writes, the lines of the receipt store:
// one line, ", " and ": ", members in their order, ASCII only. It refuses what AppendPack refuses.
func AppendPython(dst []byte, v Value) ([]byte, error) {
	return readable{}.value(dst, &v, 0)
}

// readable writes for people (jcs.md §5) and for Python (jcs.md §6).
type readable struct{ indent bool }

func (w readable) value(dst []byte, v *Value, depth int) ([]byte, error) {
	switch v.Kind {
	case Number:
		return appendNumber(dst, v.Text, pythonFloats, -1)
	case String:
		return appendString(dst, v.Text, printableASCII)
	case Array, Object:
		if depth == maxDepth {
			return nil, errTooDeep()
		}
		return w.container(dst, v, depth+1)
	}
	return appendLiteral(dst, v)
}

func (w readable) container(dst []byte, v *Value, depth int) ([]byte, error) {
	brackets, count := "[]", len(v.Items)
	if v.Kind == Object {
		brackets, count = "{}", len(v.Members)
		if !ascending(v.Members) {
			if _, err := appendOrder(nil, v.Members); err != nil {
				return nil, err
			}
		}
	}
	dst = append(dst, brackets[0])
	for i := range count {
		dst = w.separate(dst, i, depth)
		var item *Value
		var err error
		if v.Kind == Array {
			item = &v.Items[i]
		} else {
			item = &v.Members[i].Value
			if dst, err = appendString(dst, v.Members[i].Name, printableASCII); err != nil {
				return nil, err
			}
			dst = append(dst, ": "...)
		}
		if dst, err = w.value(dst, item, depth); err != nil {
			return nil, err
		}
	}
	if w.indent && count > 0 {
		dst = appendIndent(dst, depth-1)
	}
	return append(dst, brackets[1]), nil
}

// separate writes what stands before the i-th element.
func (w readable) separate(dst []byte, i, depth int) []byte {
	switch {
	case w.indent && i > 0:
		return appendIndent(append(dst, ','), depth)
	case w.indent:
		return appendIndent(dst, depth)
	case i > 0:
		return append(dst, ", "...)
	}
	return dst
}

func appendIndent(dst []byte, depth int) []byte {
	dst = append(dst, '\n')
	for range depth {
		dst = append(dst, "  "...)
	}
	return dst
}
