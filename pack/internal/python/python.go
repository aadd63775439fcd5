// Package python is the Python that shows in packs. What a claim expected and found is hashed into the
// discrepancy fingerprint as text, and that text is Python's: Repr, Str and Percent write it,
// Phrase reads it again in whatever spelling a Python chose, and Equal, Truth and NumberOf compare values as
// Python does.
package python

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// CLM-9: "Texts of results MUST be made with these functions." They are those of claims.md §4.1, for values as they are
// after C: a number has its canonical spelling, so a double is one with a point or an exponent.

// Repr is repr(v): 'text', 1.0, 1e+16, True, None, [1, 'a'], {'k': 2}.
func Repr(v jcs.Value) string { return string(appendRepr(nil, &v)) }

// Str is str(v): repr, but strings stand bare.
func Str(v jcs.Value) string {
	if v.Kind == jcs.String {
		return strings.Clone(v.Text)
	}
	return Repr(v)
}

func appendRepr(dst []byte, v *jcs.Value) []byte {
	switch v.Kind {
	case jcs.Bool:
		if v.Bool {
			return append(dst, "True"...)
		}
		return append(dst, "False"...)
	case jcs.Number:
		return appendReprNumber(dst, v)
	case jcs.String:
		return appendReprString(dst, v.Text)
	case jcs.Array:
		dst = append(dst, '[')
		for i := range v.Items {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendRepr(dst, &v.Items[i])
		}
		return append(dst, ']')
	case jcs.Object:
		dst = append(dst, '{')
		for i := range v.Members {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = append(appendReprString(dst, v.Members[i].Name), ": "...)
			dst = appendRepr(dst, &v.Members[i].Value)
		}
		return append(dst, '}')
	}
	return append(dst, "None"...)
}

// appendReprNumber leans on the receipt store's writer, which writes numbers as Python does. That refuses what has no
// canonical form, such as 1e400, which Python reads as infinity.
func appendReprNumber(dst []byte, v *jcs.Value) []byte {
	if written, err := jcs.AppendPython(dst, *v); err == nil {
		return written
	}
	if strings.HasPrefix(v.Text, "-") {
		return append(dst, "-inf"...)
	}
	return append(dst, "inf"...)
}

// appendReprString quotes with ' unless the text has one and no ". Not printable are the categories C*
// and Z* except the space; which code points are assigned follows the Unicode version of unicode.IsPrint.
func appendReprString(dst []byte, text string) []byte {
	quote := byte('\'')
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		quote = '"'
	}
	dst = append(dst, quote)
	for _, r := range text {
		switch {
		case r == '\\' || r == rune(quote):
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case unicode.IsPrint(r):
			dst = utf8.AppendRune(dst, r)
		case r <= 0xff:
			dst = appendHex(append(dst, `\x`...), r, 2)
		case r <= 0xffff:
			dst = appendHex(append(dst, `\u`...), r, 4)
		default:
			dst = appendHex(append(dst, `\U`...), r, 8)
		}
	}
	return append(dst, quote)
}

func appendHex(dst []byte, r rune, width int) []byte {
	const hex = "0123456789abcdef"
	for shift := 4 * (width - 1); shift >= 0; shift -= 4 {
		dst = append(dst, hex[r>>shift&15])
	}
	return dst
}

// Phrase is a text that Python would make with an f-string: texts as they stand (string), and values (Bare, Quoted).
type Phrase []any

// What Bare and Quoted make. Each holds the value itself, since it can be written in more than one way.
type (
	bareValue   struct{ *jcs.Value }
	quotedValue struct{ *jcs.Value }
)

// Bare is {v} of an f-string, in which a string stands without quotes.
func Bare(v *jcs.Value) any { return bareValue{v} }

// Quoted is {v!r} of an f-string.
func Quoted(v *jcs.Value) any { return quotedValue{v} }

// String is the phrase in our spelling of its values.
func (p Phrase) String() string {
	var b strings.Builder
	for _, part := range p {
		switch part := part.(type) {
		case string:
			b.WriteString(part)
		case bareValue:
			b.WriteString(Str(*part.Value))
		case quotedValue:
			b.WriteString(Repr(*part.Value))
		}
	}
	return b.String()
}

// Says reports whether text is the phrase as some Python writes it. A number may be spelled otherwise (1 and
// 1.0), members may come in another order, and a character beyond ASCII may be escaped or not: neither a
// claim_set_hash nor a canonical receipt tells these apart.
func (p Phrase) Says(text string) bool {
	ok := true
	for _, part := range p {
		switch part := part.(type) {
		case string:
			text, ok = strings.CutPrefix(text, part)
		case bareValue:
			if part.Kind == jcs.String {
				text, ok = strings.CutPrefix(text, part.Text)
			} else {
				text, ok = cutRepr(text, part.Value)
			}
		case quotedValue:
			text, ok = cutRepr(text, part.Value)
		}
		if !ok {
			return false
		}
	}
	return text == ""
}

// cutRepr cuts v, as some Python writes it, from the front of text: a text in either quotes, a number of any spelling
// that has its value, the members of an object in any order (CLM-27). What it reads is compared with v as it goes, so it
// takes no more time than the longer of the two needs.
func cutRepr(text string, v *jcs.Value) (rest string, ok bool) {
	switch v.Kind {
	case jcs.String:
		value, rest, ok := readRepr(text)
		return rest, ok && value == v.Text
	case jcs.Number:
		n := len(text) - len(strings.TrimLeft(text, "+-.0123456789aefin")) // the letters are those of inf, nan and 1e5
		if n == 0 || n > MaxDigits+1 {
			return text, false
		}
		if exact := Repr(*v); text[:n] == exact {
			return text[n:], true
		}
		token, err := jcs.Parse([]byte(text[:n]), jcs.Limits{})
		return text[n:], err == nil && token.Kind == jcs.Number && Equal(&token, v)
	case jcs.Array:
		for i := range v.Items {
			if text, ok = strings.CutPrefix(text, opening(i, "[")); !ok {
				return text, false
			}
			if text, ok = cutRepr(text, &v.Items[i]); !ok {
				return text, false
			}
		}
		return cutClosing(text, len(v.Items), "[", "]")
	case jcs.Object:
		return cutReprObject(text, v)
	}
	return strings.CutPrefix(text, Repr(*v))
}

// opening is what stands before item i of a list or an object.
func opening(i int, open string) string {
	if i == 0 {
		return open
	}
	return ", "
}

// cutClosing cuts what stands behind the last of n items; an empty list has not been opened yet.
func cutClosing(text string, n int, open, end string) (string, bool) {
	if n == 0 {
		end = open + end
	}
	return strings.CutPrefix(text, end)
}

func cutReprObject(text string, v *jcs.Value) (rest string, ok bool) {
	members := make(map[string]*jcs.Value, len(v.Members))
	for i := range v.Members {
		members[v.Members[i].Name] = &v.Members[i].Value
	}
	for i := range v.Members {
		if text, ok = strings.CutPrefix(text, opening(i, "{")); !ok {
			return text, false
		}
		var name string
		if name, text, ok = readRepr(text); !ok {
			return text, false
		}
		member := members[name]
		if text, ok = strings.CutPrefix(text, ": "); !ok || member == nil {
			return text, false
		}
		delete(members, name)
		if text, ok = cutRepr(text, member); !ok {
			return text, false
		}
	}
	return cutClosing(text, len(v.Members), "{", "}")
}

// readRepr reads the string that text begins with as Python writes one: 'it', "it's", '\u00e9'.
func readRepr(text string) (value, rest string, ok bool) {
	if text == "" || text[0] != '\'' && text[0] != '"' {
		return "", text, false
	}
	var b strings.Builder
	quote := rune(text[0])
	skip := 1 // bytes that are read already
	for i, r := range text {
		switch {
		case i < skip:
		case r == quote:
			return b.String(), text[i+1:], true
		case r != '\\':
			b.WriteRune(r)
		default:
			escaped, n := readEscape(text[i+1:])
			if n == 0 {
				return "", text, false
			}
			b.WriteRune(escaped)
			skip = i + 1 + n
		}
	}
	return "", text, false
}

// readEscape reads what stands behind a backslash; n is its length in bytes, 0 if nothing does.
func readEscape(text string) (r rune, n int) {
	if text == "" {
		return 0, 0
	}
	width := 0
	switch text[0] {
	case '\\', '\'', '"':
		return rune(text[0]), 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'x':
		width = 2
	case 'u':
		width = 4
	case 'U':
		width = 8
	}
	if width == 0 || len(text) <= width {
		return 0, 0
	}
	code, err := strconv.ParseUint(text[1:1+width], 16, 32)
	if err != nil || code > unicode.MaxRune {
		return 0, 0
	}
	return rune(code), 1 + width
}

// Percent is f"{x:.0%}": the double 100·x, rounded to an integer, halves to even, so 0.125 is 12%.
func Percent(x float64) string { return strconv.FormatFloat(x*100, 'f', 0, 64) + "%" }

// Truth is bool(v).
func Truth(v *jcs.Value) bool {
	switch v.Kind {
	case jcs.Bool:
		return v.Bool
	case jcs.Number:
		return NumberOf(v).Sign() != 0
	case jcs.String:
		return v.Text != ""
	case jcs.Array:
		return len(v.Items) > 0
	case jcs.Object:
		return len(v.Members) > 0
	}
	return false
}

// Equal is a == b: numbers by value, exactly, with true as 1 and false as 0; objects in any order.
func Equal(a, b *jcs.Value) bool {
	if IsNumber(a) && IsNumber(b) {
		return NumberOf(a).Equal(NumberOf(b))
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case jcs.String:
		return a.Text == b.Text
	case jcs.Array:
		if len(a.Items) != len(b.Items) {
			return false
		}
		for i := range a.Items {
			if !Equal(&a.Items[i], &b.Items[i]) {
				return false
			}
		}
		return true
	case jcs.Object:
		return equalMembers(a.Members, b.Members)
	}
	return true // null
}

func equalMembers(a, b []jcs.Member) bool {
	if len(a) != len(b) {
		return false
	}
	places := make(map[string]int, len(b))
	for i := range b {
		places[b[i].Name] = i
	}
	for i := range a {
		place, ok := places[a[i].Name]
		if !ok || !Equal(&a[i].Value, &b[place].Value) {
			return false
		}
	}
	return true
}

// IsNumber reports whether v is an int, a float or a bool.
func IsNumber(v *jcs.Value) bool { return v.Kind == jcs.Number || v.Kind == jcs.Bool }

// Number is a Python int (integer holds its digits) or float.
type Number struct {
	IsInt   bool
	Integer string // canonical: no -0
	Float   float64
}

// NumberOf reads a number token or a boolean. A token with none of . e E is an int.
func NumberOf(v *jcs.Value) Number {
	if v.Kind == jcs.Bool {
		if v.Bool {
			return Number{IsInt: true, Integer: "1"}
		}
		return Number{IsInt: true, Integer: "0"}
	}
	if !strings.ContainsAny(v.Text, ".eE") {
		if v.Text == "-0" {
			return Number{IsInt: true, Integer: "0"}
		}
		return Number{IsInt: true, Integer: v.Text}
	}
	f, _ := strconv.ParseFloat(v.Text, 64) // too large is infinity, as Python has it
	return Number{Float: f}
}

// Sign is -1, 0 or 1.
func (n Number) Sign() int {
	switch {
	case n.IsInt && n.Integer == "0", !n.IsInt && n.Float == 0:
		return 0
	case n.IsInt && n.Integer[0] == '-', !n.IsInt && n.Float < 0:
		return -1
	}
	return 1
}

// Equal is n == m, exactly.
func (n Number) Equal(m Number) bool {
	switch {
	case n.IsInt && m.IsInt:
		return n.Integer == m.Integer
	case !n.IsInt && !m.IsInt:
		return n.Float == m.Float
	}
	return n.Compare(m) == 0
}

// Compare orders two numbers exactly, an int and a float without rounding either.
func (n Number) Compare(m Number) int {
	if n.Sign() != m.Sign() {
		return n.Sign() - m.Sign()
	}
	return n.exact().Cmp(m.exact())
}

// exact holds every finite double and every int up to 4,300 digits without rounding.
func (n Number) exact() *big.Float {
	if !n.IsInt {
		return big.NewFloat(n.Float)
	}
	i, _ := new(big.Int).SetString(n.Integer, 10)
	if i == nil { // no number token: nothing the parser makes
		i = new(big.Int)
	}
	return new(big.Float).SetInt(i)
}

// Float is float(v), for thresholds. Python raises an error where an int is too large for it; here that is infinity.
func Float(v *jcs.Value) float64 {
	n := NumberOf(v)
	if !n.IsInt {
		return n.Float
	}
	f, err := strconv.ParseFloat(n.Integer, 64)
	if err != nil {
		return math.Copysign(math.Inf(1), float64(n.Sign()))
	}
	return f
}

// MaxDigits is how many digits an integer of a pack may have: the reference implementation reads no more. What has more
// is a finding, never an error.
const MaxDigits = 4300
