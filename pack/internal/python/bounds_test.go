package python

import (
	"math"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

// Every escape that repr writes is read, and nothing that is cut short.
func TestEscapesAreReadWholeOrNotAtAll(t *testing.T) {
	for text, want := range map[string]struct {
		r rune
		n int
	}{
		`\`: {'\\', 1}, `'`: {'\'', 1}, `"`: {'"', 1}, `n`: {'\n', 1}, `r`: {'\r', 1}, `t`: {'\t', 1},
		`x41`: {'A', 3}, `u0041`: {'A', 5}, `U00000041`: {'A', 9}, `U0001f600`: {0x1f600, 9}, `x411`: {'A', 3},
		``: {}, `q`: {}, `x`: {}, `x4`: {}, `u004`: {}, `U0000004`: {}, `xzz`: {}, `a`: {}, `0`: {}, `u+041`: {},
	} {
		if r, n := readEscape(text); r != want.r || n != want.n {
			t.Errorf("%q: %q of %d bytes, want %q of %d", text, r, n, want.r, want.n)
		}
	}
}

// An int that no float holds is infinite, with its sign.
func TestAnIntThatIsTooLargeForAFloatIsInfinite(t *testing.T) {
	zeros := strings.Repeat("0", 400)
	for text, want := range map[string]float64{"1" + zeros: math.Inf(1), "-1" + zeros: math.Inf(-1), "12": 12, "-12": -12, "1.5": 1.5, "1e400": math.Inf(1)} {
		v := jcstest.Parse(t, text)
		if got := Float(&v); got != want {
			t.Errorf("%.9s: %v, want %v", text, got, want)
		}
	}
}
