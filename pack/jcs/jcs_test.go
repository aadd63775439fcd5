package jcs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rfc8785 "github.com/gowebpki/jcs"
)

func TestWhatIsNotStrictJSONIsRefusedWithCauseAndPlace(t *testing.T) {
	for _, c := range []struct {
		text   string
		cause  error
		offset int
	}{
		// JCS-10: member names that are the same name.
		{`{"a":1,"a":2}`, ErrDuplicate, 7},
		{`{"a":1,"\u0061":2}`, ErrDuplicate, 7},
		{`{"\u0061":1,"a":2}`, ErrDuplicate, 12},
		{`{"b":0,"a":1,"c":2,"a":3}`, ErrDuplicate, 19},
		{`{"":1,"":2}`, ErrDuplicate, 6},
		{`{"😀":1,"\ud83d\ude00":2}`, ErrDuplicate, 10},
		{`{"\/":1,"/":2}`, ErrDuplicate, 8},
		{`[{"x":{"a":1,"b":2,"a":1}}]`, ErrDuplicate, 19},
		// What comes first in the text is the error, a name that stands twice where its object ends.
		{"[{\"a\":1,\"a\":2},\"\xff\"]", ErrDuplicate, 8},
		{"{\"a\":1,\"a\":\"\xff\"}", ErrEncoding, 12},
		{"[{\"a\":1,\"a\":2}", ErrDuplicate, 8},
		{`{"a":1,"a":2`, ErrSyntax, 12},
		{"[1 \xff]", ErrSyntax, 3},
		{"[" + strings.Repeat("9", 4301) + ",\"\xff\"]", ErrNumber, 1},
		// JCS-1, JCS-2, JCS-7: bytes that are not UTF-8, and escapes that are not characters.
		{"\"\xff\"", ErrEncoding, 1},
		{"\"ab\xc0\xaf\"", ErrEncoding, 3},           // overlong
		{"\"\xe0\x80\xaf\"", ErrEncoding, 1},         // overlong
		{"\"\xed\xa0\x80\"", ErrEncoding, 1},         // surrogate, as CESU-8 spells it
		{"\"\xf4\x90\x80\x80\"", ErrEncoding, 1},     // above U+10FFFF
		{"\"\xf8\x88\x80\x80\x80\"", ErrEncoding, 1}, // five bytes
		{"\"\xe2\x82\"", ErrEncoding, 1},             // cut short
		{"{\"\xff\":1}", ErrEncoding, 2},
		{`"\ud800"`, ErrEncoding, 1},
		{`"\udc00"`, ErrEncoding, 1},
		{`"\ud800\u0041"`, ErrEncoding, 1},
		{`"\udc00\ud800"`, ErrEncoding, 1},
		{`"\ud83d\ud83d\ude00"`, ErrEncoding, 1},
		{`{"\ud800":1}`, ErrEncoding, 2},
		{"\xef\xbb\xbf{}", ErrEncoding, 0},
		{"\xff\xfe{\x00}\x00", ErrSyntax, 0},
		// JCS-5, JCS-6: strings.
		{`"`, ErrSyntax, 1},
		{`"abc`, ErrSyntax, 4},
		{`"\`, ErrSyntax, 1},
		{`"\u00"`, ErrSyntax, 1},
		{`"\u00g0"`, ErrSyntax, 1},
		{`"\U0041"`, ErrSyntax, 1},
		{`"\x41"`, ErrSyntax, 1},
		{`"\a"`, ErrSyntax, 1},
		{`'a'`, ErrSyntax, 0},
		{"\"a\nb\"", ErrSyntax, 2},
		{"\"a\tb\"", ErrSyntax, 2},
		{"\"\x00\"", ErrSyntax, 1},
		{"\"12345678\x1f\"", ErrSyntax, 9},
		// JCS-4, JCS-8: numbers.
		{"01", ErrSyntax, 1},
		{"-01", ErrSyntax, 2},
		{"00", ErrSyntax, 1},
		{"+1", ErrSyntax, 0},
		{".5", ErrSyntax, 0},
		{"5.", ErrSyntax, 2},
		{"-", ErrSyntax, 1},
		{"-a", ErrSyntax, 1},
		{"1e", ErrSyntax, 2},
		{"1e+", ErrSyntax, 3},
		{"1.e1", ErrSyntax, 2},
		{"0x10", ErrSyntax, 1},
		{"1_000", ErrSyntax, 1},
		{"NaN", ErrSyntax, 0},
		{"Infinity", ErrSyntax, 0},
		{"-Infinity", ErrSyntax, 1},
		{strings.Repeat("9", 4301), ErrNumber, 0},
		{"[-" + strings.Repeat("9", 4301) + "]", ErrNumber, 1},
		// JCS-3, JCS-4: structure, and what stands around the value.
		{"", ErrSyntax, 0},
		{" \n", ErrSyntax, 2},
		{"[", ErrSyntax, 1},
		{"[1", ErrSyntax, 2},
		{"[1,", ErrSyntax, 3},
		{"[1,]", ErrSyntax, 3},
		{"[,1]", ErrSyntax, 1},
		{"[1 2]", ErrSyntax, 3},
		{"[1}", ErrSyntax, 2},
		{"{", ErrSyntax, 1},
		{`{"a"}`, ErrSyntax, 4},
		{`{"a":}`, ErrSyntax, 5},
		{`{"a":1,}`, ErrSyntax, 7},
		{`{a:1}`, ErrSyntax, 1},
		{`{1:1}`, ErrSyntax, 1},
		{`{"a":1 "b":2}`, ErrSyntax, 7},
		{"tru", ErrSyntax, 0},
		{"tr ue", ErrSyntax, 0},
		{"True", ErrSyntax, 0},
		{"truex", ErrSyntax, 4},
		{"{}{}", ErrSyntax, 2},
		{"{} x", ErrSyntax, 3},
		{"{}\x00", ErrSyntax, 2},
		{"{}\v", ErrSyntax, 2},
		{"{}\xc2\xa0", ErrSyntax, 2},
		{"// x\n{}", ErrSyntax, 0},
		// JCS-12: limits.
		{strings.Repeat("[", 65), ErrDepth, 64},
		{strings.Repeat("[", 64) + "{" + strings.Repeat("]", 64), ErrDepth, 64},
		{strings.Repeat(`{"a":`, 65), ErrDepth, 320},
		{strings.Repeat(" ", 1<<20) + "1", ErrSize, 1 << 20},
	} {
		_, err := Parse([]byte(c.text), Limits{})
		var e *Error
		if !errors.As(err, &e) || e.Cause != c.cause || e.Offset != c.offset || !errors.Is(err, c.cause) {
			t.Errorf("Parse(%.60q) = %v, want %v at byte %d", c.text, err, c.cause, c.offset)
		}
		if out, packErr := Pack([]byte("x"), []byte(c.text), Limits{}); out != nil || fmt.Sprint(packErr) != fmt.Sprint(err) {
			t.Errorf("Pack(%.60q) = %q, %v, want the error of Parse: %v", c.text, out, packErr, err)
		}
		if out, err := RFC8785([]byte(c.text), Limits{}); out != nil || !errors.Is(err, c.cause) {
			t.Errorf("RFC8785(%.60q) = %q, %v", c.text, out, err)
		}
		if _, ok, err := IsPackLine([]byte(c.text), Limits{}); ok || !errors.Is(err, c.cause) {
			t.Errorf("IsPackLine(%.60q) = %v, %v", c.text, ok, err)
		}
	}
}

func TestErrorsNameThePlaceAndTheExpectation(t *testing.T) {
	for text, want := range map[string]string{
		"{\n\"a\":1,\n,}": `json line 3, byte 9: expected a member name in quotes, found ","`,
		`{"a":1,"a":2}`:   `json byte 7: second member named "a"`,
		`{"a":01}`:        `json byte 6: expected no digit after a leading zero, found "1"`,
		`[1,2`:            `json byte 4: expected "," or "]", found the end of the text`,
		"\"\xff\"":        `json byte 1: expected UTF-8, found the byte 0xff`,
		`"\ud800"`:        `json byte 1: expected a surrogate escape to be one of a pair`,
		"\"\x1b[2J\"":     `json byte 1: expected control characters to be escaped, found "\x1b"`,
		"{} \xe2\x80\xae": `json byte 3: expected the end of the text, found the byte 0xe2`,
	} {
		if _, err := Parse([]byte(text), Limits{}); err == nil || err.Error() != want {
			t.Errorf("Parse(%q): got %v, want %s", text, err, want)
		}
	}
	long := strings.Repeat("\u202e", 1000)
	_, err := Parse([]byte(`{"`+long+`":1,"`+long+`":2}`), Limits{})
	if !errors.Is(err, ErrDuplicate) || len(err.Error()) > 200 || strings.Contains(err.Error(), "\u202e") {
		t.Errorf("an error carries someone else's text: %v", err)
	}
}

// JCS-12
func TestLimitsAreWhatTheyAreSetTo(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	for _, c := range []struct{ limit, ok int }{{0, 64}, {-1, 64}, {1, 1}, {200, 200}, {512, 512}, {100000, 512}} {
		if _, err := Parse(nested(c.ok), Limits{Depth: c.limit}); err != nil {
			t.Errorf("depth %d under limit %d: %v", c.ok, c.limit, err)
		}
		if _, err := Parse(nested(c.ok+1), Limits{Depth: c.limit}); !errors.Is(err, ErrDepth) {
			t.Errorf("depth %d under limit %d: %v", c.ok+1, c.limit, err)
		}
	}
	if _, err := Parse([]byte(`[1,2]`), Limits{Bytes: 5}); err != nil {
		t.Error(err)
	}
	if _, err := Parse([]byte(`[1,2]`), Limits{Bytes: 4}); !errors.Is(err, ErrSize) {
		t.Errorf("five bytes under a limit of four: %v", err)
	}
	if _, err := Parse([]byte("-"+strings.Repeat("9", 4300)), Limits{}); err != nil {
		t.Errorf("4,300 digits: %v", err)
	}
}

// JCS-11
func TestTheTreeIsWhatWasWritten(t *testing.T) {
	text := []byte(" {\"b\": [1, -0, 1.50, {}, []],\r\n\t\"a\\n\": \"x\\u0041\\ud83d\\ude00é\", \"t\": true, \"f\": false, \"n\": null, \"__proto__\": 1e400} ")
	got, err := Parse(text, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		text[i] = 'X' // the tree must not share this memory
	}
	num := func(tok string) Value { return Value{Kind: Number, Text: tok} }
	want := Obj(
		M("b", Arr(Int(1), num("-0"), num("1.50"), Value{Kind: Object, Members: []Member{}}, Value{Kind: Array, Items: []Value{}})),
		M("a\n", Str("xA😀é")),
		M("t", Boolean(true)), M("f", Boolean(false)), M("n", Value{}),
		M("__proto__", num("1e400")),
	)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if v, ok := got.Get("t"); !ok || !v.Bool {
		t.Error("Get does not find t")
	}
	for _, name := range []string{"T", "ſ", "a", ""} {
		if v, ok := got.Get(name); ok {
			t.Errorf("Get(%q) finds %v", name, v)
		}
	}
	// Neighbours in one allocation stay apart when one of them grows.
	two, err := Parse([]byte(`[[1],[2],{"a":1},{"b":2}]`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	_ = append(two.Items[0].Items, Int(9))
	_ = append(two.Items[2].Members, M("z", Int(9)))
	if out, err := AppendPack(nil, two); err != nil || string(out) != `[[1],[2],{"a":1},{"b":2}]` {
		t.Errorf("%s, %v", out, err)
	}
	rest := got.Without("b", "t", "signature")
	if out, _ := AppendPython(nil, rest.Without("__proto__")); string(out) != `{"a\n": "xA\ud83d\ude00\u00e9", "f": false, "n": null}` {
		t.Errorf("Without leaves %s", out)
	}
	if len(got.Members) != 6 {
		t.Error("Without changed its receiver")
	}
}

// JCS-9
func TestNumbersAreReadAsTheirTokenSays(t *testing.T) {
	for token, want := range map[string]struct {
		n       int64
		integer bool
		f       float64
		finite  bool
	}{
		"7":                    {7, true, 7, true},
		"-0":                   {0, true, math.Copysign(0, -1), true},
		"9223372036854775807":  {math.MaxInt64, true, math.MaxInt64, true},
		"9223372036854775808":  {0, false, 1 << 63, true},
		"2.0":                  {0, false, 2, true},
		"2e0":                  {0, false, 2, true},
		"1e400":                {0, false, 0, false},
		"-9223372036854775809": {0, false, -1 << 63, true},
	} {
		v, err := Parse([]byte(token), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := v.Int64(); ok != want.integer || ok && n != want.n {
			t.Errorf("Int64 of %s: %d, %v", token, n, ok)
		}
		if f, ok := v.Float64(); ok != want.finite || ok && f != want.f {
			t.Errorf("Float64 of %s: %g, %v", token, f, ok)
		}
	}
	if _, ok := Str("7").Int64(); ok {
		t.Error("a string is no integer")
	}
	for f, want := range map[float64]string{2: "2.0", 0.8: "0.8", 1e21: "1e+21", 1e-7: "1e-07", 1e16: "1e+16", -1e15: "-1000000000000000.0"} {
		if got := Float(f).Text; got != want {
			t.Errorf("Float(%g) is %s, want %s", f, got, want)
		}
	}
}

// JCS-19
func TestWritersRefuseWhatParseWouldRefuse(t *testing.T) {
	deep := Value{}
	for range 513 {
		deep = Arr(deep)
	}
	deepObject := Value{}
	for range 513 {
		deepObject = Obj(M("a", deepObject))
	}
	for name, c := range map[string]struct {
		v     Value
		cause error
	}{
		"duplicate":          {Obj(M("a", Int(1)), M("b", Int(1)), M("a", Int(2))), ErrDuplicate},
		"duplicate inside":   {Arr(Obj(M("a", Int(1)), M("a", Int(1)))), ErrDuplicate},
		"bytes":              {Str("a\xff"), ErrEncoding},
		"surrogate in UTF-8": {Str("\xed\xa0\x80"), ErrEncoding},
		"name":               {Obj(M("\xc0\xaf", Int(1))), ErrEncoding},
		"NaN":                {Float(math.NaN()), ErrSyntax},
		"infinity":           {Float(math.Inf(-1)), ErrSyntax},
		"huge":               {Value{Kind: Number, Text: "1e400"}, ErrNumber},
		"huge negative":      {Value{Kind: Number, Text: "-1E400"}, ErrNumber},
		"no token":           {Value{Kind: Number}, ErrSyntax},
		"two tokens":         {Value{Kind: Number, Text: "1,2"}, ErrSyntax},
		"space":              {Value{Kind: Number, Text: " 1"}, ErrSyntax},
		"leading zero":       {Value{Kind: Number, Text: "01"}, ErrSyntax},
		"many digits":        {Value{Kind: Number, Text: strings.Repeat("1", 4301)}, ErrNumber},
		"kind":               {Value{Kind: 17}, ErrSyntax},
		"deep":               {deep, ErrDepth},
		"deep object":        {deepObject, ErrDepth},
	} {
		for writer, write := range writers {
			if out, err := write([]byte("x"), c.v); out != nil || !errors.Is(err, c.cause) {
				t.Errorf("%s: %s = %.40q, %v, want %v", name, writer, out, err, c.cause)
			}
		}
	}
	for writer, write := range writers {
		if _, err := write(nil, deep.Items[0]); err != nil {
			t.Errorf("%s at depth 512: %v", writer, err)
		}
	}
}

var writers = map[string]func([]byte, Value) ([]byte, error){
	"AppendPack":     AppendPack,
	"AppendPackLine": AppendPackLine,
	"AppendPretty":   AppendPretty,
	"AppendPython":   AppendPython,
}

// JCS-20, JCS-21
func TestAPackLineHasTwoSpellingsAtMost(t *testing.T) {
	for line, want := range map[string]bool{
		`{"a":1,"b":"x"}`:                        true,
		`{"a":0.25,"b":"\n\"\\\u001f","c":1E21}`: true,
		`{"a":12345678901234567890123}`:          true,
		"{\"a\":\"\u2028\u0085\u2029\"}":         true,  // C(v)
		`{"a":"\u2028\u0085\u2029"}`:             true,  // AppendPackLine
		"{\"a\":\"\u2028\",\"b\":\"\\u2029\"}":   false, // neither
		`{}`:                                     true,
		`{"b":1,"a":1}`:                          false,
		`{"a":1} `:                               false,
		` {"a":1}`:                               false,
		"{\"a\":1}\r":                            false,
		`{"a": 1}`:                               false,
		`{"a":-0}`:                               false,
		`{"a":1.0}`:                              false,
		`{"a":1e21}`:                             false,
		`{"a":1E+21}`:                            false,
		`{"a":"\u0041"}`:                         false,
		`{"a":"\/"}`:                             false,
		`{"a":"\u000a"}`:                         false,
		`{"a":"\u001F"}`:                         false,
		`{"a":"\u00e9"}`:                         false,
		`{"a":"\u007f"}`:                         false,
		"{\"\u2028\":1}":                         true,
		`{"\u2028":1}`:                           true,
	} {
		v, ok, err := IsPackLine([]byte(line), Limits{})
		if err != nil || ok != want {
			t.Errorf("IsPackLine(%q) = %v, %v, want %v", line, ok, err, want)
		}
		if parsed, err := Parse([]byte(line), Limits{}); err != nil || !cmp.Equal(parsed, v) {
			t.Errorf("IsPackLine(%q) reads %v", line, v)
		}
	}
	if _, ok, err := IsPackLine([]byte(`{"a":1e400}`), Limits{}); ok || !errors.Is(err, ErrNumber) {
		t.Errorf("1e400: %v, %v", ok, err)
	}
}

func TestAnErrorOfPackSaysWhereTheNumberStands(t *testing.T) {
	for _, f := range []func([]byte, []byte, Limits) ([]byte, error){
		Pack,
		func(_, text []byte, l Limits) ([]byte, error) { return RFC8785(text, l) },
	} {
		_, err := f(nil, []byte(`{"a":1,"b":[1e400]}`), Limits{})
		if want := `json byte 12: expected a number that a double can hold, found "1e400"`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// JCS-26
func TestRFC8785RefusesIntegersThatItWouldRound(t *testing.T) {
	for text, want := range map[string]string{
		"9007199254740991":      "9007199254740991",
		"-9007199254740991":     "-9007199254740991",
		"-0":                    "0",
		"9007199254740993.0":    "9007199254740992", // a double by its spelling
		"1e21":                  "1e+21",
		" {\"b\":1,\"a\":1.50}": `{"a":1.5,"b":1}`,
	} {
		if got, err := RFC8785([]byte(text), Limits{}); err != nil || string(got) != want {
			t.Errorf("RFC8785(%s) = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"9007199254740992", "-9007199254740992", "9007199254740993", "[18446744073709551616]", strings.Repeat("1", 400), "1e400"} {
		if got, err := RFC8785([]byte(text), Limits{}); got != nil || !errors.Is(err, ErrNumber) {
			t.Errorf("RFC8785(%.40s) = %s, %v", text, got, err)
		}
	}
}

// randomText writes a random document in a random spelling. Its numbers are such that both profiles
// agree: integers within 2^53 and doubles without an exponent.
func randomText(r *rand.Rand, depth int) string {
	space := func() string { return []string{"", "", "", " ", "\n", "\t\r"}[r.IntN(6)] }
	switch n := r.IntN(10); {
	case n < 3 && depth < 5:
		var b strings.Builder
		b.WriteString("{" + space())
		for i, name := range r.Perm(r.IntN(8)) {
			if i > 0 {
				b.WriteString("," + space())
			}
			// The number keeps the names different, the rest is for the order.
			b.WriteString(`"` + randomCharacters(r) + strconv.Itoa(name) + `"` + space() + ":" + space() + randomText(r, depth+1) + space())
		}
		return b.String() + "}"
	case n < 4 && depth < 5:
		items := make([]string, r.IntN(5))
		for i := range items {
			items[i] = space() + randomText(r, depth+1) + space()
		}
		return "[" + strings.Join(items, ",") + "]"
	case n < 6:
		return `"` + randomCharacters(r) + `"`
	case n < 7:
		return strconv.FormatInt(r.Int64N(1<<54)-1<<53+r.Int64N(2), 10)
	case n < 9:
		return strconv.FormatFloat((r.Float64()-0.5)*math.Pow(10, float64(r.IntN(20)-4)), "efg"[r.IntN(3)], -1, 64)
	}
	return []string{"true", "false", "null", "-0", "0.0", "1e2", "100.00"}[r.IntN(7)]
}

func randomCharacters(r *rand.Rand) string {
	pieces := []string{"a", "Z", "é", "€", "😀", "\uffff", "\ue000", "\ufb33", "\u2028", "\x7f", `\u0041`, `\n`, `\"`, `\\`, `\/`, `\ud83d\ude00`, `\u00e9`, `\u001f`, "long enough to be looked at by eights"}
	var b strings.Builder
	for range r.IntN(5) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func TestBothProfilesAgreeWhereTheyMust(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	agreed, duplicates := 0, 0
	for range 10000 {
		text := []byte(randomText(r, 0))
		want, wantErr := rfc8785.Transform(text)
		got, err := Pack(nil, text, Limits{})
		switch {
		case errors.Is(err, ErrDuplicate) && wantErr != nil:
			duplicates++ // "a1"+"2" and "a"+"12"
			continue
		case err != nil || wantErr != nil:
			t.Fatalf("%s: %v, gowebpki: %v", text, err, wantErr)
		case bytes.Contains(want, []byte("e-")) || bytes.Contains(want, []byte("e+")):
			continue
		case !bytes.Equal(got, want):
			t.Fatalf("%s:\nours     %s\ngowebpki %s", text, got, want)
		}
		agreed++
		tree, err := Parse(text, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := AppendPack(nil, tree); err != nil || !bytes.Equal(again, want) {
			t.Fatalf("%s:\ntree     %s, %v\ngowebpki %s", text, again, err, want)
		}
	}
	if agreed < 7000 {
		t.Errorf("only %d documents compared, %d with duplicates", agreed, duplicates)
	}
}

// TestDigitsAreThoseOfEncodingJSON compares with the standard library, which spells doubles as
// ECMAScript does, but for the zero it pads one-digit negative exponents with.
func TestDigitsAreThoseOfEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50000 {
		f := math.Float64frombits(r.Uint64())
		if math.IsNaN(f) || math.IsInf(f, 0) {
			continue
		}
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		spelled := strings.ReplaceAll(strings.ReplaceAll(string(want), "e+", "E"), "e-", "E-")
		if got := string(appendPackFloat(nil, f)); got != spelled {
			t.Fatalf("%x: got %s, want %s", math.Float64bits(f), got, spelled)
		}
		if back, err := strconv.ParseFloat(string(appendReprFloat(nil, f)), 64); err != nil || back != f {
			t.Fatalf("%s reads back as %g, %v", appendReprFloat(nil, f), back, err)
		}
	}
}

// Each takes less than 0.2 s here; the race detector and slow machines may take a hundred times that.
func TestHostileTextsTakeBoundedTime(t *testing.T) {
	object := func(n int, name func(i int) string) []byte {
		b := []byte("{")
		for i := range n {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, fmt.Sprintf(`"%s":1`, name(i))...)
		}
		return append(b, '}')
	}
	const n = 60000
	shuffled := rand.New(rand.NewPCG(5, 6)).Perm(n)
	nest := func(depth, size int) []byte {
		// At every level the second member belongs before the first, so everything moves.
		return []byte(strings.Repeat(`{"b":1,"a":`, depth) + `"` + strings.Repeat("x", size) + `"` + strings.Repeat("}", depth))
	}
	for name, c := range map[string]struct {
		text  []byte
		cause error
	}{
		"10 MB of [":             {bytes.Repeat([]byte("["), 10<<20), ErrDepth},
		`2 MB of {"a":`:          {bytes.Repeat([]byte(`{"a":`), 400000), ErrDepth},
		"ascending names":        {object(n, func(i int) string { return fmt.Sprintf("%06d", i) }), nil},
		"descending names":       {object(n, func(i int) string { return fmt.Sprintf("%06d", n-i) }), nil},
		"shuffled names":         {object(n, func(i int) string { return fmt.Sprintf("%06d", shuffled[i]) }), nil},
		"escaped names":          {object(n, func(i int) string { return fmt.Sprintf(`\u0061%06d`, shuffled[i]) }), nil},
		"long common prefix":     {object(2000, func(i int) string { return strings.Repeat("p", 1000) + strconv.Itoa(2000-i) }), nil},
		"last name repeated":     {object(n, func(i int) string { return fmt.Sprintf("%06d", max(1, i)) }), ErrDuplicate},
		"2 MB string":            {[]byte(`"` + strings.Repeat("x", 2<<20) + `"`), nil},
		"2 MB of escapes":        {[]byte(`"` + strings.Repeat(`\u00e9`, 2<<20/6) + `"`), nil},
		"2 MB of é":              {[]byte(`"` + strings.Repeat("é", 1<<20) + `"`), nil},
		"open string":            {[]byte(`"` + strings.Repeat(`\\`, 1<<20)), ErrSyntax},
		"200,000 items":          {[]byte("[" + strings.Repeat("0,", 200000) + "0]"), nil},
		"a million spaces":       {bytes.Repeat([]byte(" "), 1<<20), ErrSyntax},
		"2 MB of fraction":       {[]byte("0." + strings.Repeat("9", 2<<20)), nil},
		"2 MB of exponent":       {[]byte("1e" + strings.Repeat("9", 2<<20)), ErrNumber},
		"2 MB of integer":        {[]byte(strings.Repeat("9", 2<<20)), ErrNumber},
		"512 levels around 2 MB": {nest(512, 2<<20), nil},
	} {
		start := time.Now()
		out, err := Pack(nil, c.text, Limits{Bytes: 16 << 20, Depth: 512})
		if !errors.Is(err, c.cause) || (err == nil) != (c.cause == nil) {
			t.Errorf("%s: Pack: %v", name, err)
		}
		v, err := Parse(c.text, Limits{Bytes: 16 << 20, Depth: 512})
		if c.cause == nil {
			again, err := AppendPack(nil, v)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("%s: AppendPack of Parse is not Pack: %v", name, err)
			}
		} else if err == nil && c.cause != ErrNumber {
			t.Errorf("%s: parsed", name)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func TestPackAppends(t *testing.T) {
	prefix := []byte("head ")
	if got, err := Pack(prefix, []byte(`{ "a" : 1 }`), Limits{}); err != nil || string(got) != `head {"a":1}` {
		t.Errorf("%s, %v", got, err)
	}
	for writer, write := range writers {
		if got, err := write(prefix, Int(7)); err != nil || string(got) != "head 7" {
			t.Errorf("%s: %s, %v", writer, got, err)
		}
	}
}

func TestAReaderKeepsNothingOfTheLinesBefore(t *testing.T) {
	lines := []string{
		`{}`, `[]`, `null`, `true`, `1`, `"x"`, `{"a":1,"b":[true,{"c":"d"}]}`, `{"b":1,"a":2}`, `{"a":{"b":{"c":[1,2,3]}}}`,
		`[false,null,1E21,1e21,""]`, `{"a":"\u2028"}`, `{"a":"\u0061"}`, `{"a":1,"a":2}`, `[1,`, `{"z":null,"y":false,"x":[]}`,
		"[" + strings.Repeat("{\"k\":[1]},", 5000) + "0]",
	}
	var reader Reader
	for _, first := range lines {
		for _, second := range lines {
			reader.IsPackLine([]byte(first), Limits{})
			got, gotOK, gotErr := reader.IsPackLine([]byte(second), Limits{})
			want, wantOK, wantErr := IsPackLine([]byte(second), Limits{})
			if fmt.Sprint(got, gotOK, gotErr) != fmt.Sprint(want, wantOK, wantErr) {
				t.Errorf("%.40s after %.40s: %v %v, expected %v %v", second, first, gotOK, gotErr, wantOK, wantErr)
			}
			reader.Parse([]byte(first), Limits{})
			got, gotErr = reader.Parse([]byte(second), Limits{})
			want, wantErr = Parse([]byte(second), Limits{})
			if fmt.Sprint(got, gotErr) != fmt.Sprint(want, wantErr) {
				t.Errorf("%.40s after %.40s: %v, expected %v", second, first, gotErr, wantErr)
			}
			reader.Pack(nil, []byte(first), Limits{})
			gotText, gotErr := reader.Pack([]byte("x"), []byte(second), Limits{})
			wantText, wantErr := Pack([]byte("x"), []byte(second), Limits{})
			if string(gotText) != string(wantText) || fmt.Sprint(gotErr) != fmt.Sprint(wantErr) {
				t.Errorf("%.40s after %.40s: packed %s, %v", second, first, gotText, gotErr)
			}
		}
	}
}

func TestStringsOfALineOutliveIt(t *testing.T) {
	var reader Reader
	v, _, err := reader.IsPackLine([]byte(`{"a":"first","b":12}`), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	name, text, number := v.Members[0].Name, v.Members[0].Value.Text, v.Members[1].Value.Text
	if _, _, err := reader.IsPackLine([]byte(`{"z":"other","y":99}`), Limits{}); err != nil {
		t.Fatal(err)
	}
	if name != "a" || text != "first" || number != "12" {
		t.Errorf("%q %q %q after the next line", name, text, number)
	}
}
