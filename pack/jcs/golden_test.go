package jcs

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata")

const golden = "testdata/golden.txt"

// goldenTexts are the texts of testdata/golden.txt, which pins what every writer makes of them.
func goldenTexts() []string {
	texts := []string{
		// JCS-13, JCS-22, JCS-25: values
		`null`, `true`, `false`, `""`, `[]`, `{}`, ` [ ] `, "\t{\r\n}", `[[],{},[[]]]`, `[1,[2,{"a":[]}]]`,
		`{"b":1,"a":2}`, `{"a":1,"b":2}`, `{"b":{"d":1,"c":[{"z":0,"y":0}]},"a":null}`, `{"":0,"a":1,"\u0000":2}`,
		`{"__proto__":1,"constructor":2}`,
		// JCS-14: the order of names
		`{"\u20ac":0,"\r":1,"\ufb33":2,"1":3,"\ud83d\ude00":4,"\u0080":5,"\u00f6":6}`,
		"{\"€\":0,\"דּ\":2,\"😀\":4,\"\u0080\":5,\"ö\":6}",
		`{"\uffff":0,"\ue000":1,"\ud800\udc00":2,"\udbff\udfff":3}`,
		`{"10":0,"2":1,"1":2,"A":3,"a":4,"aa":5,"_":6,"\"":7,"\\":8,"#":9}`,
		// JCS-15, JCS-23: strings
		`"\"\\\/\b\f\n\r\t"`, `"\u0000\u0001\u000b\u001f\u007f\u0080"`, `"\u0041\u00e9\u20AC\uD83D\uDE00"`,
		"\"aé€😀\"", "\"\x7f\u0080\u0085\u009f\u00a0\"", "\"\u2027\u2028\u2029\u202a\"", `"\u0085\u2028\u2029"`,
		"\"\ue000\ufeff\ufffd\ufffe\uffff\U0010ffff\"", `"</script>&'+"`, "\"a\u0301\"",
		`{"\u2028":"\u2028"}`, "{\"\u0085\":\"\u0085\"}",
		// JCS-16: integers
		`0`, `-0`, `1`, `-1`, `10`, `9007199254740991`, `9007199254740992`, `9007199254740993`, `-9007199254740993`,
		`123456789012345678901`, `1234567890123456789012`, `-9223372036854775809`, strings.Repeat("7", 400),
		// JCS-17, JCS-24: doubles
		`0.0`, `-0.0`, `0e10`, `-0e-5`, `1e-400`, `-1e-400`, `1.0`, `1e2`, `1E+2`, `100.00`, `1.5`, `-4.50`, `0.1`, `2e-3`,
		`1e15`, `1e16`, `1e17`, `1e20`, `1e21`, `-1e21`, `1e22`, `1e23`, `9.999999999999999e22`, `999999999999999900000.0`,
		`1e-4`, `1e-5`, `1e-6`, `1e-7`, `1.5e-7`, `0.000001234`, `0.00001234`, `0.0001234`, `1e100`, `1.5e-100`,
		`5e-324`, `4.9e-324`, `2.2250738585072014e-308`, `1.7976931348623157e308`, `9007199254740993.0`,
		`12345678901234567890.0`, `333333333.33333329`, `123456.789e3`, `0.1000000000000000055511151231257827`,
		// JCS-18: refused
		`1e400`, `[-1e400]`, `{"a":1,"a":1}`, `{"a":1,"b":2,"\u0061":3}`, "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", `"\ud800"`,
		`"\udc00\ud800"`, "\xef\xbb\xbf1", "\"\n\"", `01`, `-`, `+1`, `.5`, `5.`, `1e`, `NaN`, `-Infinity`, `[1,]`, `{"a":1,}`, `{}x`, ``, `{`,
		strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("9", 4301),
	}
	r := rand.New(rand.NewPCG(8785, 1))
	for range 100 {
		if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			texts = append(texts, strconv.FormatFloat(f, 'e', 16, 64))
		}
		texts = append(texts, strconv.FormatFloat(math.Ldexp(r.Float64(), r.IntN(160)-60), 'e', 16, 64))
	}
	return texts
}

// describe spells out, each quoted as Go does, the text, what the writers make of it, or why it is refused.
func describe(text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "text     %s\n", strconv.QuoteToASCII(text))
	line := func(name string, out []byte, err error) {
		var e *Error
		if errors.As(err, &e) {
			fmt.Fprintf(&b, "%-8s refused: %v\n", name, e.Cause)
			return
		}
		fmt.Fprintf(&b, "%-8s %s\n", name, strconv.QuoteToASCII(string(out)))
	}
	v, err := Parse([]byte(text), Limits{})
	if err != nil {
		line("parse", nil, err)
		return b.String()
	}
	for _, name := range []string{"AppendPack", "AppendPackLine", "AppendPretty", "AppendPython"} {
		out, err := writers[name](nil, v)
		line(strings.ToLower(strings.TrimPrefix(name, "Append")), out, err)
	}
	out, err := RFC8785([]byte(text), Limits{})
	line("rfc8785", out, err)
	return b.String()
}

func TestGoldenTextsComeOutAsEver(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What pack/jcs makes of texts. Written by go test -update; the python lines are those of CPython.\n")
	for _, text := range goldenTexts() {
		b.WriteString("\n" + describe(text))
	}
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	got, was := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(got), len(was)) {
		if got[i] != was[i] {
			t.Fatalf("%s:%d:\ngot  %s\nwant %s", golden, i+1, got[i], was[i])
		}
	}
	if len(got) != len(was) {
		t.Fatalf("%d lines, want %d", len(got), len(was))
	}
}
