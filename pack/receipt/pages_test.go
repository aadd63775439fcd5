package receipt

import (
	"os"
	"strings"
	"testing"
)

// RCP-3
func TestTheFlatTypesAreThoseOfTheSpecification(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/receipts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "A type is *admitted* if it is one of")
	part, _, _ = strings.Cut(part, "or *namespaced*")
	told := strings.Fields(part)
	for _, kind := range told {
		if !flatTypes[kind] {
			t.Errorf("%s is not admitted", kind)
		}
	}
	if len(told) != len(flatTypes) {
		t.Errorf("%d types are admitted, receipts.md has %d", len(flatTypes), len(told))
	}
}
