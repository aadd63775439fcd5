package claim

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

func TestAContractOfTheReferenceIsRead(t *testing.T) {
	c, err := ParseContract([]byte(contractText))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.sites, []string{"0c28b9b44d62", "bab787e3d70d"}) || c.Hash() != "f2886071f1ca4452c37c18e6457f7c3899cca8f7af9c69d67a9afd48095d3ef1" {
		t.Errorf("sites %v, hash %s", c.sites, c.Hash())
	}
}

// CLM-25
func TestEveryMemberOfAContractDeletedNulledDoubledOrAlteredIsRefused(t *testing.T) {
	v := jcstest.Parse(t, contractText)
	jcstest.EachMember(v, func(owner jcs.Value, change func(func([]jcs.Member, int) []jcs.Member) jcs.Value, i int) {
		m := owner.Members[i]
		other := jcs.Int(7)
		if m.Value.Kind == jcs.Number {
			other = jcs.Str("7")
		}
		for what, f := range map[string]func([]jcs.Member, int) []jcs.Member{
			"deleted":                       func(ms []jcs.Member, i int) []jcs.Member { return slices.Delete(ms, i, i+1) },
			"nulled":                        func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Value{}; return ms },
			"doubled":                       func(ms []jcs.Member, i int) []jcs.Member { return append(ms, ms[i]) },
			"altered":                       func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = other; return ms },
			"emptied":                       func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Obj(); return ms },
			"preceded by an unknown member": func(ms []jcs.Member, i int) []jcs.Member { return slices.Insert(ms, i, jcs.M("x", jcs.Int(1))) },
		} {
			if _, err := ParseContract(jcstest.Plain(change(f))); err == nil {
				t.Errorf("%s %s is accepted", m.Name, what)
			}
		}
	})
	for _, text := range []string{"", "[]", "null", contractText + "x", strings.Replace(contractText, "bab787e3d70d", "bab787e3d70e", 1),
		strings.Replace(contractText, "f2886071", "00000000", 1), strings.Replace(contractText, `"total_sites": 3`, `"total_sites": 2`, 1),
		strings.Replace(contractText, `"f2886071f1ca4452c37c18e6457f7c3899cca8f7af9c69d67a9afd48095d3ef1"`, `""`, 1)} {
		if _, err := ParseContract([]byte(text)); err == nil {
			t.Errorf("%.60q is accepted", text)
		}
	}
}

// Whoever alters a call site can write its hash anew.
func TestAMalformedCallSiteUnderItsOwnHashIsNoContract(t *testing.T) {
	site := form.Get(jcstest.Parse(t, contractText), "call_sites").Items[0]
	contract := func(site jcs.Value) []byte {
		list := jcs.Arr(site)
		v := jcstest.Set(jcstest.Set(jcstest.Parse(t, contractText), "call_sites", list), "contract_hash", jcs.Str(form.CanonicalHash(list)))
		return jcstest.Plain(jcstest.Set(v, "summary.total_sites", jcs.Int(1)))
	}
	if _, err := ParseContract(contract(site)); err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string][]jcs.Value{
		"callsite_id":  {{}, jcs.Int(1), jcs.Str(""), jcs.Str("a\nb")},
		"path":         {{}, jcs.Int(1)},
		"line":         {{}, jcs.Str("1"), jcs.Int(-1), {Kind: jcs.Number, Text: "1.5"}},
		"call":         {{}, jcs.Int(1)},
		"confidence":   {{}, jcs.Int(1), jcs.Str("certain")},
		"instrumented": {{}, jcs.Int(1), jcs.Str("false")},
		"framework":    {jcs.Int(1)},
		"x":            {jcs.Int(1)},
	} {
		for _, v := range values {
			altered := site
			if altered.Members = slices.Clone(site.Members); name == "x" {
				altered.Members = append(altered.Members, jcs.M(name, v))
			} else {
				altered = jcstest.Set(site, name, v)
			}
			if _, err := ParseContract(contract(altered)); err == nil || errors.Is(err, ErrContractAltered) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s = %s: %v", name, jcstest.Plain(v), err)
			}
		}
	}
}

func FuzzParseContract(f *testing.F) {
	f.Add([]byte(contractText))
	f.Add([]byte(`{"contract_version":"1.0","call_sites":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseContract(text)
		if err != nil {
			return
		}
		if !slices.IsSorted(c.sites) || len(c.hash) != 64 || !(c.Sites().Result().Share >= 0) {
			t.Errorf("%+v", c)
		}
	})
}
