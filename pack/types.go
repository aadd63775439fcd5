package pack

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// AdmittedType reports whether a pack may hold receipts of that type (pack.md §1.3): a type of the flat
// list, such as model_call, or a namespaced one, such as acme.review/v2. breakglass is neither.
func AdmittedType(typ string) bool { return admitted(typ) }

// CheckData refuses what Build would refuse of the members that a program gives its receipts, so that
// it is refused while the program can still do something about it: values that not every JSON reader
// reads alike, and names that differ only by case from one that has a meaning. The error names the member.
func CheckData(data jcs.Value) error {
	if data.Kind != jcs.Object {
		return errors.New("expected an object")
	}
	for _, m := range data.Members {
		for _, core := range coreNames {
			if m.Name != core && strings.EqualFold(m.Name, core) {
				return fmt.Errorf("%s differs from %s only by case", quote(m.Name), core)
			}
		}
	}
	return portable(data, 1)
}
