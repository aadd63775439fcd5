package schema

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func TestEverySchemaSaysWhatItIsOfAndRefersOnlyToOthersHere(t *testing.T) {
	names := Names()
	if len(names) < 12 {
		t.Fatalf("only %d schemas: %v", len(names), names)
	}
	for _, name := range names {
		text, ok := Get(name)
		if !ok {
			t.Fatalf("no %s", name)
		}
		v, err := jcs.Parse(text, jcs.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for member, want := range map[string]string{
			"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:assay-ledger:schema:" + name,
		} {
			if got, _ := v.Get(member); got.Text != want {
				t.Errorf("%s: %s is %q, want %q", name, member, got.Text, want)
			}
		}
		for _, member := range []string{"title", "description"} {
			if got, _ := v.Get(member); got.Text == "" {
				t.Errorf("%s: no %s", name, member)
			}
		}
		eachRef(v, func(ref string) {
			other, urn := strings.CutPrefix(ref, "urn:assay-ledger:schema:")
			if _, ok := Get(other); urn && !ok || !urn && !strings.HasPrefix(ref, "#/$defs/") {
				t.Errorf("%s refers to %s", name, ref)
			}
		})
	}
	for _, name := range []string{"", "nothing", "../schema.go", "attestation.schema.json"} {
		if _, ok := Get(name); ok {
			t.Errorf("there is a schema of %q", name)
		}
	}
}

func eachRef(v jcs.Value, do func(string)) {
	for _, m := range v.Members {
		if m.Name == "$ref" {
			do(m.Value.Text)
		}
		eachRef(m.Value, do)
	}
	for _, item := range v.Items {
		eachRef(item, do)
	}
}
