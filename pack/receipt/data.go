package receipt

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Fault is what is wrong with a receipt: which member, and why.
//
//	usage.tokens: integer 9007199254740993 is outside -(2^53-1) to 2^53-1: send it as a string
type Fault struct{ field, problem string }

// Faultf is a fault of a member, "" for the receipt itself.
func Faultf(field, format string, args ...any) *Fault {
	return &Fault{field, fmt.Sprintf(format, args...)}
}

// Error names the member, then the problem.
func (f *Fault) Error() string {
	if f.field == "" {
		return f.problem
	}
	return f.field + ": " + f.problem
}

// in puts the fault inside a member or an item.
func (f *Fault) in(step string) *Fault {
	if f.field != "" && f.field[0] != '[' {
		step += "."
	}
	f.field = step + f.field
	return f
}

// coreNames are members that have a meaning here. A name that differs from one of them only
// by case is read as that member by lenient readers (RCP-9).
var coreNames = append([]string{"receipt_id", "type", "receipt_type", "timestamp", "schema_version", "seq",
	"parent_receipt_id", "run_id", "_trace_id", "_stored_at", "_store_seq"}, projected...)

// checkData is CheckData.
func checkData(v *jcs.Value) *Fault {
	if v.Kind != jcs.Object {
		return Faultf("", "expected an object")
	}
	for i := range v.Members {
		name := v.Members[i].Name
		if isLower(name) { // then it folds to none of them
			continue
		}
		for _, core := range coreNames {
			if strings.EqualFold(name, core) {
				return Faultf(form.Printable(name), "the name differs from %s only by case", core)
			}
		}
	}
	return portable(v, 1)
}

func isLower(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' || s[i] > 0x7f {
			return false
		}
	}
	return true
}

// portable refuses values that not every JSON reader reads alike (receipts.md §5): lone surrogates,
// integers that a double cannot hold, numbers out of range, names that are not ASCII or that
// JavaScript takes for something else.
func portable(v *jcs.Value, depth int) *Fault {
	switch v.Kind {
	case jcs.Null, jcs.Bool:
	case jcs.String:
		if !utf8.ValidString(v.Text) {
			return Faultf("", "the string is not Unicode text: it is not UTF-8, or half of a surrogate pair")
		}
	case jcs.Number:
		return portableNumber(v)
	case jcs.Array:
		if depth > form.MaxDepth {
			return tooDeep()
		}
		for i := range v.Items {
			if f := portable(&v.Items[i], depth+1); f != nil {
				return f.in("[" + strconv.Itoa(i) + "]")
			}
		}
	case jcs.Object:
		if depth > form.MaxDepth {
			return tooDeep()
		}
		return portableMembers(v.Members, depth)
	default:
		return Faultf("", "kind %d is no kind of JSON value", v.Kind)
	}
	return nil
}

func portableMembers(members []jcs.Member, depth int) *Fault {
	for i := range members {
		m := &members[i]
		if m.Name == "__proto__" {
			return Faultf("__proto__", "the name is not portable: it means something else in JavaScript")
		}
		if !form.IsASCII(m.Name) {
			return Faultf(form.Printable(m.Name), "the name is not portable: it is not ASCII")
		}
		if f := portable(&m.Value, depth+1); f != nil {
			return f.in(form.Printable(m.Name))
		}
	}
	return nil
}

// tooDeep leaves the path out: it is as long as the value is deep.
func tooDeep() *Fault { return Faultf("", "nested deeper than %d", form.MaxDepth) }

func portableNumber(v *jcs.Value) *Fault {
	if strings.ContainsAny(v.Text, ".eE") {
		f, ok := v.Float64()
		if !ok || f == 0 && strings.ContainsAny(mantissa(v.Text), "123456789") {
			return Faultf("", "number %s is out of the range of a double: send it as a string", form.Printable(v.Text))
		}
		return nil
	}
	n, ok := v.Int64()
	if !ok && !isInteger(v.Text) {
		return Faultf("", "%s is not a JSON number", form.Quote(v.Text))
	}
	if !ok || n <= -1<<53 || n >= 1<<53 {
		return Faultf("", "integer %s is outside -(2^53-1) to 2^53-1: send it as a string", form.Printable(v.Text))
	}
	return nil
}

func mantissa(number string) string {
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		return number[:i]
	}
	return number
}

func isInteger(s string) bool {
	s = strings.TrimPrefix(s, "-")
	for i := range len(s) {
		if !form.IsDigit(s[i]) {
			return false
		}
	}
	return s != ""
}
