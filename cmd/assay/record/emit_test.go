package record

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/receipt"
)

func TestEveryTypeThatHelpNamesIsAdmitted(t *testing.T) {
	names := strings.FieldsFunc(knownTypes, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	if len(names) != 14 {
		t.Errorf("%d types: %q", len(names), names)
	}
	for _, name := range append(names, receipt.BreakglassType) {
		if !receipt.AdmittedType(name) {
			t.Errorf("%q is not admitted", name)
		}
	}
}
