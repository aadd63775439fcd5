package jcs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxIntegerDigits is CPython's: int() refuses more, and a pack must read the same everywhere (JCS-8).
const maxIntegerDigits = 4300

// A token is one value or member name on the tape, in document order. An object is followed by a name
// and a value for each member, an array by its items; next leads past them.
type token struct {
	start, end int32 // text[start:end], with the quotes and brackets
	next       int32 // tape position after this token and everything in it
	count      int32 // items or members
	order      int32 // object: position in orders of its members sorted; -1 when they already are
	kind       Kind
	escaped    bool // string: holds a backslash
	clean      bool // text[start:end] is canonical as it stands
}

// scanner reads a text once, checks everything, and leaves a tape from which a tree is built (build)
// or the canonical form written (emit). The grammar is here and nowhere else.
type scanner struct {
	text     []byte
	pos      int
	maxDepth int
	tape     []token
	orders   []int32 // of objects not in order: tape positions of their names, sorted
	members  int     // in the whole document
	items    int
	dirt     int // how often anything not canonical was met: a container that met none is clean
}

// scan reads the text into the tape. What it finds wrong is placed by byte and line.
func (s *scanner) scan(l Limits) error {
	err := s.document(l)
	if err == nil {
		return nil
	}
	var wrong *Error
	if errors.As(err, &wrong) && wrong.Offset >= 0 {
		wrong.Line = 1 + bytes.Count(s.text[:min(wrong.Offset, len(s.text))], []byte("\n"))
	}
	return err
}

func (s *scanner) document(l Limits) error {
	if len(s.text) > l.bytes() {
		return &Error{Cause: ErrSize, Offset: l.bytes(), Detail: fmt.Sprintf("text of %d bytes, expected at most %d", len(s.text), l.bytes())}
	}
	if len(s.text) >= 3 && string(s.text[:3]) == "\xef\xbb\xbf" {
		return &Error{Cause: ErrEncoding, Offset: 0, Detail: "byte order mark, expected a value"}
	}
	s.maxDepth = l.depth()
	// A receipt has a token for every twelve bytes or so; other texts let the tape grow.
	s.tape = slices.Grow(s.tape, min(len(s.text)/12+8, 1024))
	s.space()
	if err := s.value(0); err != nil {
		return err
	}
	s.space()
	if s.pos < len(s.text) {
		return s.expected("the end of the text")
	}
	return nil
}

// space skips JSON whitespace: these four bytes and no other (JCS-3).
func (s *scanner) space() {
	start := s.pos
	for s.pos < len(s.text) {
		if c := s.text[s.pos]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			break
		}
		s.pos++
	}
	if s.pos > start {
		s.dirt++
	}
}

// next skips whitespace and returns the byte there, 0 at the end.
func (s *scanner) next() byte {
	if s.pos < len(s.text) && s.text[s.pos] > ' ' {
		return s.text[s.pos]
	}
	s.space()
	if s.pos == len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

// value reads one value inside depth containers.
func (s *scanner) value(depth int) error {
	switch c := s.next(); c {
	case '"':
		return s.str()
	case '{':
		return s.object(depth + 1)
	case '[':
		return s.array(depth + 1)
	case 't':
		return s.literal("true", Bool)
	case 'f':
		return s.literal("false", Bool)
	case 'n':
		return s.literal("null", Null)
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return s.number()
		}
		return s.expected("a value")
	}
}

func (s *scanner) literal(word string, kind Kind) error {
	end := s.pos + len(word)
	if end > len(s.text) || string(s.text[s.pos:end]) != word {
		return s.expected(word)
	}
	s.leaf(kind, end, false, true)
	return nil
}

// leaf puts text[pos:end] on the tape.
func (s *scanner) leaf(kind Kind, end int, escaped, clean bool) {
	s.tape = append(s.tape, token{
		start: int32(s.pos), end: int32(end), next: int32(len(s.tape) + 1),
		order: -1, kind: kind, escaped: escaped, clean: clean,
	})
	if !clean {
		s.dirt++
	}
	s.pos = end
}

func (s *scanner) number() error {
	end, integer, want := numberEnd(s.text, s.pos)
	if want != "" {
		s.pos = end
		return s.expected(want)
	}
	if integer {
		digits := end - s.pos
		if s.text[s.pos] == '-' {
			digits--
		}
		if digits > maxIntegerDigits {
			return &Error{Cause: ErrNumber, Offset: s.pos, Detail: fmt.Sprintf("integer of %d digits, expected at most %d", digits, maxIntegerDigits)}
		}
	}
	// "-0" is written as 0, and floats have one spelling of many.
	clean := integer && !(end == s.pos+2 && s.text[s.pos] == '-' && s.text[s.pos+1] == '0')
	s.leaf(Number, end, false, clean)
	return nil
}

// numberEnd finds the end of the JSON number at b[i:] and whether it is an integer token. When there is
// none, want says what was missing at end.
func numberEnd[T string | []byte](b T, i int) (end int, integer bool, want string) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	i = digitsEnd(b, i)
	switch {
	case i == start:
		return i, false, "a digit"
	case b[start] == '0' && i > start+1:
		return start + 1, false, "no digit after a leading zero"
	}
	integer = true
	if i < len(b) && b[i] == '.' {
		integer = false
		start = i + 1
		if i = digitsEnd(b, start); i == start {
			return i, false, "a digit after the point"
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		integer = false
		start = i + 1
		if start < len(b) && (b[start] == '+' || b[start] == '-') {
			start++
		}
		if i = digitsEnd(b, start); i == start {
			return i, false, "a digit in the exponent"
		}
	}
	return i, integer, ""
}

func digitsEnd[T string | []byte](b T, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

// str reads the string at pos, for a value or a name.
func (s *scanner) str() error {
	escaped := false
	for i := s.pos + 1; ; {
		i = plainEnd(s.text, i)
		if i == len(s.text) {
			s.pos = i
			return s.expected("the closing quote of a string")
		}
		switch c := s.text[i]; {
		case c == '"':
			s.leaf(String, i+1, escaped, !escaped)
			return nil
		case c == '\\':
			escaped = true
			_, size, want, cause := unescape(s.text[i:])
			if want != "" {
				s.pos = i
				return &Error{Cause: cause, Offset: i, Detail: "expected " + want}
			}
			i += size
		case c < ' ':
			s.pos = i
			return s.expected("control characters to be escaped")
		default:
			// Overlong forms, surrogates and everything above U+10FFFF are not UTF-8 to DecodeRune.
			r, size := utf8.DecodeRune(s.text[i:])
			if r == utf8.RuneError && size == 1 {
				return &Error{Cause: ErrEncoding, Offset: i, Detail: fmt.Sprintf("expected UTF-8, found the byte 0x%02x", c)}
			}
			i += size
		}
	}
}

// plainEnd returns the position of the first byte from i on that is not printable ASCII or that JSON
// escapes: it looks at eight bytes at once.
func plainEnd[T string | []byte](b T, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24 |
			uint64(b[i+4])<<32 | uint64(b[i+5])<<40 | uint64(b[i+6])<<48 | uint64(b[i+7])<<56
		quote, slash := w^'"'*ones, w^'\\'*ones
		// A byte below x borrows from its high bit in w - x*ones; a byte with its own high bit set is in w.
		if (w|(w-' '*ones)|(quote-ones)|(slash-ones))&highs != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// unescape reads the escape sequence at the start of raw: a backslash and what follows.
func unescape(raw []byte) (r rune, size int, want string, cause error) {
	if len(raw) < 2 {
		return 0, 0, "an escape sequence", ErrSyntax
	}
	switch raw[1] {
	case '"', '\\', '/':
		return rune(raw[1]), 2, "", nil
	case 'b':
		return '\b', 2, "", nil
	case 'f':
		return '\f', 2, "", nil
	case 'n':
		return '\n', 2, "", nil
	case 'r':
		return '\r', 2, "", nil
	case 't':
		return '\t', 2, "", nil
	case 'u':
		r, ok := unicodeEscape(raw)
		if !ok {
			return 0, 0, `four hexadecimal digits after \u`, ErrSyntax
		}
		if !utf16.IsSurrogate(r) {
			return r, 6, "", nil
		}
		low, ok := unicodeEscape(raw[6:])
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0, 0, "a surrogate escape to be one of a pair", ErrEncoding
		}
		return r, 12, "", nil
	}
	return 0, 0, `one of "\/bfnrtu after a backslash`, ErrSyntax
}

// unicodeEscape reads \uXXXX.
func unicodeEscape(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range raw[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// open puts a container on the tape, to be finished by close.
func (s *scanner) open(kind Kind, depth int) (at int, err error) {
	if depth > s.maxDepth {
		return 0, &Error{Cause: ErrDepth, Offset: s.pos, Detail: fmt.Sprintf("expected at most %d nested arrays and objects", s.maxDepth)}
	}
	at = len(s.tape)
	s.tape = append(s.tape, token{start: int32(s.pos), order: -1, kind: kind})
	s.pos++
	return at, nil
}

func (s *scanner) close(at, count, dirt int) {
	s.pos++
	t := &s.tape[at]
	t.end, t.next, t.count = int32(s.pos), int32(len(s.tape)), int32(count)
	t.clean = dirt == s.dirt
}

func (s *scanner) array(depth int) error {
	dirt := s.dirt
	at, err := s.open(Array, depth)
	if err != nil {
		return err
	}
	count := 0
	if s.next() != ']' {
		for {
			if err := s.value(depth); err != nil {
				return err
			}
			count++
			c := s.next()
			if c == ']' {
				break
			}
			if c != ',' {
				return s.expected(`"," or "]"`)
			}
			s.pos++
		}
	}
	s.items += count
	s.close(at, count, dirt)
	return nil
}

func (s *scanner) object(depth int) error {
	dirt := s.dirt
	at, err := s.open(Object, depth)
	if err != nil {
		return err
	}
	count, last, ascending := 0, 0, true
	if s.next() != '}' {
		for {
			if s.next() != '"' {
				return s.expected("a member name in quotes")
			}
			name := len(s.tape)
			if err := s.str(); err != nil {
				return err
			}
			ascending = ascending && (count == 0 || s.compareNames(last, name) < 0)
			last = name
			if s.next() != ':' {
				return s.expected(`":"`)
			}
			s.pos++
			if err := s.value(depth); err != nil {
				return err
			}
			count++
			c := s.next()
			if c == '}' {
				break
			}
			if c != ',' {
				return s.expected(`"," or "}"`)
			}
			s.pos++
		}
	}
	if !ascending {
		s.dirt++
		if err := s.sort(at, count); err != nil {
			return err
		}
	}
	s.members += count
	s.close(at, count, dirt)
	return nil
}

// A sortKey is a member name, decoded, and its place on the tape.
type sortKey struct {
	name []byte
	at   int32
}

// sort records the order of an object's members, in which equal names are neighbours (JCS-10).
func (s *scanner) sort(at, count int) error {
	var room [32]sortKey
	keys := slices.Grow(room[:0], count)
	for i, name := 0, at+1; i < count; i++ {
		t := &s.tape[name]
		key := sortKey{s.text[t.start+1 : t.end-1], int32(name)}
		if t.escaped {
			key.name = appendDecoded(nil, key.name)
		}
		keys = append(keys, key)
		name = int(s.tape[name+1].next)
	}
	slices.SortFunc(keys, func(a, b sortKey) int { return compareUTF16(a.name, b.name) })
	s.tape[at].order = int32(len(s.orders))
	s.orders = slices.Grow(s.orders, count)
	for i, key := range keys {
		if i > 0 && string(key.name) == string(keys[i-1].name) {
			second := s.tape[max(key.at, keys[i-1].at)]
			return &Error{Cause: ErrDuplicate, Offset: int(second.start), Detail: "second member named " + excerpt(key.name)}
		}
		s.orders = append(s.orders, key.at)
	}
	return nil
}

// compareNames orders two names on the tape by UTF-16 code units.
func (s *scanner) compareNames(a, b int) int {
	x, y := s.tape[a], s.tape[b]
	rawX, rawY := s.text[x.start+1:x.end-1], s.text[y.start+1:y.end-1]
	if x.escaped || y.escaped {
		return compareEscaped(rawX, rawY)
	}
	return compareUTF16(rawX, rawY)
}

// compareUTF16 orders UTF-8 as its UTF-16 code units would be (JCS-14): the order of the bytes, but for
// characters above U+FFFF, whose surrogates come before U+E000 to U+FFFF (first bytes 0xEE and 0xEF).
func compareUTF16[T string | []byte](x, y T) int {
	n := min(len(x), len(y))
	for i := range n {
		if a, b := x[i], y[i]; a != b {
			if a >= 0xEE && b >= 0xEE && (a >= 0xF0) != (b >= 0xF0) {
				return int(b) - int(a)
			}
			return int(a) - int(b)
		}
	}
	return len(x) - len(y)
}

// compareEscaped does the same for checked text between quotes that may hold escape sequences.
func compareEscaped(x, y []byte) int {
	for len(x) > 0 && len(y) > 0 {
		a, sizeA := character(x)
		b, sizeB := character(y)
		if a != b {
			if a >= 0xE000 && b >= 0xE000 && (a > 0xFFFF) != (b > 0xFFFF) {
				return int(b) - int(a)
			}
			return int(a) - int(b)
		}
		x, y = x[sizeA:], y[sizeB:]
	}
	return len(x) - len(y)
}

// appendDecoded decodes checked text between quotes.
func appendDecoded(dst, raw []byte) []byte {
	for len(raw) > 0 {
		if n := plainEnd(raw, 0); n > 0 {
			dst = append(dst, raw[:n]...)
			raw = raw[n:]
			continue
		}
		r, size := character(raw)
		dst = utf8.AppendRune(dst, r)
		raw = raw[size:]
	}
	return dst
}

// character decodes the first character of checked text, escaped or not.
func character(raw []byte) (r rune, size int) {
	if raw[0] == '\\' {
		r, size, _, _ = unescape(raw)
		return r, size
	}
	return utf8.DecodeRune(raw)
}

func (s *scanner) expected(want string) error {
	found := "the end of the text"
	if s.pos < len(s.text) {
		found = strconv.QuoteToASCII(string(rune(s.text[s.pos])))
		if s.text[s.pos] >= utf8.RuneSelf {
			found = fmt.Sprintf("the byte 0x%02x", s.text[s.pos])
		}
	}
	return &Error{Cause: ErrSyntax, Offset: s.pos, Detail: fmt.Sprintf("expected %s, found %s", want, found)}
}

// excerpt quotes a little of someone else's text for an error message.
func excerpt[T string | []byte](text T) string {
	const most = 40
	if len(text) > most {
		return strconv.QuoteToASCII(string(text[:most])) + "…"
	}
	return strconv.QuoteToASCII(string(text))
}
