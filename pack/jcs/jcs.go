// Package jcs reads JSON strictly and writes it canonically.
//
// It is the only JSON reader that untrusted bytes meet. encoding/json merges duplicate members, folds
// the case of names and replaces bad UTF-8; two readers of one document would then see two documents.
// Parse refuses all of that, so that what was hashed, what was signed and what is judged are one thing.
//
// There is a writer for each use of JSON:
//
//	Pack, AppendPack    C(v), what is hashed and signed: {"a":1,"b":1E21,"c":12345678901234567890}
//	AppendPackLine      C(v) with U+0085, U+2028, U+2029 escaped, as lines of receipt_pack.jsonl
//	AppendPretty        pack_manifest.json, verify_report.json: two spaces, ASCII, member order kept
//	AppendPython        lines of the receipt store: {"a": 1, "b": 1e+21}, ASCII, member order kept
//	RFC8785             the standard canonical form, for data that is not a pack
//
// Nothing here keeps state, so everything may be called from any number of goroutines.
package jcs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind says which of the JSON types a Value is.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is one JSON value; the zero Value is null. Members keep source order.
//
// A parsed Value owns its memory: it shares nothing with the text it was read from. Its strings and
// slices are parts of a few large allocations, so keeping one small member keeps the whole document.
// Treat it as read-only; appending to Items or Members copies.
type Value struct {
	Kind    Kind
	Bool    bool
	Text    string // String: decoded; Number: the token as written
	Items   []Value
	Members []Member
}

// Member is one name and value of an object.
type Member struct {
	Name  string
	Value Value
}

// Limits bounds a parse; a zero field means its default.
type Limits struct {
	Bytes int // of the whole text; default 1 MiB, at most 2^31-2
	Depth int // of nested arrays and objects; default 64, at most 512
}

const (
	defaultBytes = 1 << 20
	defaultDepth = 64
	maxBytes     = math.MaxInt32 - 1 // positions are int32
	maxDepth     = 512               // what any caller may ask for; it also bounds our own recursion
)

func (l Limits) bytes() int {
	if l.Bytes <= 0 {
		return defaultBytes
	}
	return min(l.Bytes, maxBytes)
}

func (l Limits) depth() int {
	if l.Depth <= 0 {
		return defaultDepth
	}
	return min(l.Depth, maxDepth)
}

// What was wrong, for errors.Is. Every error of this package is an *Error around one of these.
var (
	ErrSyntax    = errors.New("not JSON")
	ErrDuplicate = errors.New("duplicate member name")
	ErrEncoding  = errors.New("not Unicode text") // invalid UTF-8, lone surrogate, byte order mark
	ErrNumber    = errors.New("number out of range")
	ErrDepth     = errors.New("nested too deep")
	ErrSize      = errors.New("too large")
)

// Error says what was expected, and where.
type Error struct {
	Cause  error // one of the sentinels above
	Offset int   // byte of the text; -1 when a Value was being written
	Line   int   // of the text, from 1; 0 when only the byte is known
	Detail string
}

func (e *Error) Error() string {
	if e.Offset < 0 {
		return "json value: " + e.Detail
	}
	if e.Line > 1 {
		return fmt.Sprintf("json line %d, byte %d: %s", e.Line, e.Offset, e.Detail)
	}
	return fmt.Sprintf("json byte %d: %s", e.Offset, e.Detail)
}

func (e *Error) Unwrap() error { return e.Cause }

// Parse reads exactly one JSON value (RFC 8259), with JSON whitespace around it and nothing else.
//
// It refuses duplicate member names however they are spelled, invalid UTF-8, lone surrogate escapes, a
// byte order mark, integers of more than 4,300 digits (CPython's limit), and anything over the limits;
// the depth is checked before going down. A number too large for a double, such as 1e400, is JSON: it
// parses, and the writers refuse it.
func Parse(text []byte, l Limits) (Value, error) {
	s := scanner{text: text}
	if err := s.scan(l); err != nil {
		return Value{}, err
	}
	var v Value
	new(builder).build(&s, &v)
	return v, nil
}

// IsPackLine reads one line of receipt_pack.jsonl, without its newline, and reports whether it is
// exactly C(v) or exactly AppendPackLine(v): the same value spelled in any third way is not a line that
// a builder wrote. An error means that the line is not JSON or that v has no canonical form.
func IsPackLine(line []byte, l Limits) (v Value, canonical bool, err error) {
	return new(Reader).IsPackLine(line, l)
}

// A Reader reads lines one after the other in the memory of those before: the Items and Members of a
// Value it returns are good until its next line, strings for ever. The zero Reader is ready to use.
type Reader struct {
	scanner scanner
	builder builder
	written []byte
}

// Parse is the function of that name.
func (r *Reader) Parse(text []byte, l Limits) (v Value, err error) {
	if err := r.scan(text, l); err != nil {
		return Value{}, err
	}
	r.builder.build(&r.scanner, &v)
	return v, nil
}

// Pack is the function of that name.
func (r *Reader) Pack(dst, text []byte, l Limits) ([]byte, error) {
	if err := r.scan(text, l); err != nil {
		return nil, err
	}
	return r.scanner.emit(dst, 0)
}

func (r *Reader) scan(text []byte, l Limits) error {
	r.scanner = scanner{text: text, tape: r.scanner.tape[:0], orders: r.scanner.orders[:0]}
	return r.scanner.scan(l)
}

// IsPackLine is the function of that name.
func (r *Reader) IsPackLine(line []byte, l Limits) (v Value, canonical bool, err error) {
	s := &r.scanner
	if err := r.scan(line, l); err != nil {
		return Value{}, false, err
	}
	r.builder.build(s, &v)
	if root := s.tape[0]; root.clean && root.start == 0 && int(root.end) == len(line) {
		return v, true, nil
	}
	written, err := s.emit(r.written[:0], 0)
	if err != nil {
		return Value{}, false, err
	}
	r.written = written
	if string(written) == string(line) {
		return v, true, nil
	}
	written, err = AppendPackLine(written[:0], v)
	return v, err == nil && string(written) == string(line), err
}

// Pack appends C(v) for the one value in text: Parse then AppendPack without the tree
// between. On an error the result is nil.
func Pack(dst, text []byte, l Limits) ([]byte, error) {
	s := scanner{text: text}
	if err := s.scan(l); err != nil {
		return nil, err
	}
	return s.emit(dst, 0)
}

// Get returns the member of that exact name. A value that is no object has no members.
func (v Value) Get(name string) (Value, bool) {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return v.Members[i].Value, true
		}
	}
	return Value{}, false
}

// Without returns the object without the members of those names. Deeper members stay.
func (v Value) Without(names ...string) Value {
	kept := make([]Member, 0, len(v.Members))
members:
	for _, m := range v.Members {
		for _, name := range names {
			if m.Name == name {
				continue members
			}
		}
		kept = append(kept, m)
	}
	v.Members = kept
	return v
}

// Int64 returns an integer token that fits; 2.0 and 2e0 are floats here, as they are in C(v).
func (v Value) Int64() (int64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return n, err == nil
}

// Float64 returns the double nearest to any number token; false if it is not finite.
func (v Value) Float64() (float64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.Text, 64)
	return f, err == nil
}

// Str makes a string.
func Str(s string) Value { return Value{Kind: String, Text: s} }

// Loose makes a string of text that need not be UTF-8, such as the name of a file: each run of bytes that are none
// becomes U+FFFD.
func Loose(s string) Value { return Str(strings.ToValidUTF8(s, "\ufffd")) }

// Int makes an integer.
func Int(n int64) Value { return Value{Kind: Number, Text: strconv.FormatInt(n, 10)} }

// Float makes a number that stays a float when it is read again: 2 becomes the token 2.0.
// The writers refuse NaN and the infinities.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{Kind: Number, Text: strconv.FormatFloat(f, 'g', -1, 64)}
	}
	return Value{Kind: Number, Text: string(appendReprFloat(nil, f))}
}

// Boolean makes true or false.
func Boolean(b bool) Value { return Value{Kind: Bool, Bool: b} }

// Arr makes an array; it keeps the slice.
func Arr(items ...Value) Value { return Value{Kind: Array, Items: items} }

// Obj makes an object with its members in that order; it keeps the slice.
func Obj(members ...Member) Value { return Value{Kind: Object, Members: members} }

// M makes a member.
func M(name string, v Value) Member { return Member{Name: name, Value: v} }
