package claim

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func builtin(id string) Card {
	for _, card := range BuiltinCards() {
		if card.ID == id {
			return card
		}
	}
	panic("no card " + id)
}

func mustParse(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// oneCard is a card of one claim.
func oneCard(t testing.TB, check, params string) Card {
	t.Helper()
	return Card{ID: "acme.card", Name: "Acme", Claims: []Claim{{ID: "c", Check: check, Severity: "critical", Params: mustParse(t, params)}}}
}

// contractText is as the reference tool's scan writes it.
const contractText = `{
  "contract_version": "1.0",
  "generated_at": "2026-11-21T11:40:20.559838+00:00",
  "generated_by": "assay-scan",
  "project_root": "/src/app",
  "call_sites": [
    {"callsite_id": "bab787e3d70d", "path": "app.py", "line": 3, "call": "c.chat.completions.create", "confidence": "high", "instrumented": false, "framework": "openai"},
    {"callsite_id": "bab787e3d70d", "path": "app.py", "line": 3, "call": "c.chat.completions.create", "confidence": "high", "instrumented": false, "framework": "openai"},
    {"callsite_id": "0c28b9b44d62", "path": "app.py", "line": 5, "call": "c.chat.completions.create", "confidence": "high", "instrumented": false, "framework": "openai"}
  ],
  "summary": {"total_sites": 3, "high": 3, "medium": 0, "low": 0},
  "contract_hash": "f2886071f1ca4452c37c18e6457f7c3899cca8f7af9c69d67a9afd48095d3ef1"
}`

// eachMember calls visit with the path of every member of v, objects in lists included.
func eachMember(v jcs.Value, visit func(owner jcs.Value, change func(func([]jcs.Member, int) []jcs.Member) jcs.Value, i int)) {
	var walk func(v jcs.Value, rebuild func(jcs.Value) jcs.Value)
	walk = func(v jcs.Value, rebuild func(jcs.Value) jcs.Value) {
		for i, m := range v.Members {
			visit(v, func(f func([]jcs.Member, int) []jcs.Member) jcs.Value {
				return rebuild(jcs.Value{Kind: jcs.Object, Members: f(slices.Clone(v.Members), i)})
			}, i)
			walk(m.Value, func(in jcs.Value) jcs.Value {
				members := slices.Clone(v.Members)
				members[i].Value = in
				return rebuild(jcs.Value{Kind: jcs.Object, Members: members})
			})
		}
		for i, item := range v.Items {
			walk(item, func(in jcs.Value) jcs.Value {
				items := slices.Clone(v.Items)
				items[i] = in
				return rebuild(jcs.Value{Kind: jcs.Array, Items: items})
			})
		}
	}
	walk(v, func(v jcs.Value) jcs.Value { return v })
}

func parsed(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 16 << 20})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// sharedVector reads a file of the shared vectors, which are not part of the repository.
func sharedVector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../shared/vectors/derived/" + name)
	if err != nil {
		t.Skipf("SKIPPED: the shared vectors are not here: %v", err)
	}
	return text
}

// always is a card that no run can fail, under an id.
func always(t testing.TB, id, severity string) Card {
	t.Helper()
	card := oneCard(t, "receipt_count_ge", `{"min_count":0}`)
	card.ID, card.Claims[0].Severity = id, severity
	return card
}

// edit returns the value with the member at path (names joined by dots) changed.
func edit(v jcs.Value, path string, change func([]jcs.Member, int) []jcs.Member) jcs.Value {
	name, rest, nested := strings.Cut(path, ".")
	members := slices.Clone(v.Members)
	for i, m := range members {
		if m.Name != name {
			continue
		}
		if nested {
			members[i].Value = edit(m.Value, rest, change)
		} else {
			members = change(members, i)
		}
		v.Members = members
		return v
	}
	panic("no member " + path)
}

func set(v jcs.Value, path string, to jcs.Value) jcs.Value {
	return edit(v, path, func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = to; return ms })
}

// plain writes JSON as it is given, duplicate members and all.
func plain(v jcs.Value) []byte {
	switch v.Kind {
	case jcs.Number:
		return []byte(v.Text) // 1e400 too
	case jcs.Array:
		var items [][]byte
		for _, item := range v.Items {
			items = append(items, plain(item))
		}
		return fmt.Appendf(nil, "[%s]", bytes.Join(items, []byte(",")))
	case jcs.Object:
		var members [][]byte
		for _, m := range v.Members {
			members = append(members, fmt.Appendf(nil, "%s:%s", plain(jcs.Str(m.Name)), plain(m.Value)))
		}
		return fmt.Appendf(nil, "{%s}", bytes.Join(members, []byte(",")))
	}
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		panic(err)
	}
	return text
}
