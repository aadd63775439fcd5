package pack

import (
	"math"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func parsed(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 16 << 20})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestReprIsPythons(t *testing.T) {
	cases := parsed(t, string(sharedVector(t, "py_repr.json")))
	if len(cases.Items) < 40 {
		t.Fatalf("%d cases, expected at least 40", len(cases.Items))
	}
	for _, c := range cases.Items {
		value, _ := c.Get("value")
		want, _ := c.Get("repr")
		if got := pyRepr(value); got != want.Text {
			t.Errorf("%v: %s, want %s", value, got, want.Text)
		}
	}
}

func TestReprBySample(t *testing.T) {
	for text, want := range map[string]string{
		`"it's"`:                `"it's"`,
		`"both ' and \""`:       `'both \' and "'`,
		`"\\\n\r\t\u0000 é"`:    `'\\\n\r\t\x00 é'`,
		`"\u2028\u00a0😀"`:       `'\u2028\xa0😀'`,
		`"\udb40\udc01"`:        `'\U000e0001'`,
		`-0`:                    `0`,
		`-0.0`:                  `-0.0`,
		`1E16`:                  `1e+16`,
		`0.00001`:               `1e-05`,
		`1e400`:                 `inf`,
		`-1e400`:                `-inf`,
		`12345678901234567890`:  `12345678901234567890`,
		`{"b":[1,null],"a":{}}`: `{'b': [1, None], 'a': {}}`,
	} {
		if got := pyRepr(parsed(t, text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestEqualityIsPythons(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1.0`, true}, {`1`, `true`, true}, {`0`, `false`, true}, {`0.0`, `-0`, true}, {`1e0`, `true`, true},
		{`1`, `"1"`, false}, {`null`, `false`, false}, {`""`, `null`, false}, {`[]`, `{}`, false}, {`2`, `true`, false},
		{`9007199254740993`, `9007199254740992.0`, false}, {`9007199254740992`, `9007199254740992.0`, true},
		{`100000000000000000000000`, `1e23`, false}, {`99999999999999991611392`, `1e23`, true}, {`1`, `1e400`, false},
		{`1e400`, `1e500`, true}, {`1e400`, `-1e400`, false},
		{`{"a":1,"b":[true]}`, `{"b":[1.0],"a":1}`, true}, {`{"a":1}`, `{"b":1}`, false}, {`{"a":1}`, `{"a":1,"b":1}`, false},
		{`[1,2]`, `[1]`, false}, {`[[1]]`, `[[true]]`, true},
	} {
		a, b := parsed(t, c.a), parsed(t, c.b)
		if pyEqual(&a, &b) != c.want || pyEqual(&b, &a) != c.want {
			t.Errorf("%s == %s: want %v", c.a, c.b, c.want)
		}
	}
}

func TestTruthIsPythons(t *testing.T) {
	for text, want := range map[string]bool{
		`null`: false, `false`: false, `0`: false, `-0`: false, `0.0`: false, `1e-400`: false, `""`: false, `[]`: false, `{}`: false,
		`true`: true, `1`: true, `-1`: true, `1e400`: true, `"0"`: true, `[0]`: true, `{"a":null}`: true,
	} {
		if v := parsed(t, text); pyTruth(&v) != want {
			t.Errorf("bool(%s): want %v", text, want)
		}
	}
}

func TestPercentRoundsTheBinaryValueToEven(t *testing.T) {
	for x, want := range map[float64]string{0.125: "12%", 0.375: "38%", 0.8: "80%", 1: "100%", 0: "0%", 2.0 / 3: "67%", 0.285: "28%"} {
		if got := pyPercent(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
	if got := pyPercent(math.Inf(1)); got == "" {
		t.Error("infinity has no text")
	}
}
