// Package jcstest edits JSON values for tests, into what no writer of ours would write as well.
package jcstest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Parse reads a text that is JSON.
func Parse(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 1 << 24})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// Edit returns the value with the member at path (names joined by dots) changed.
func Edit(v jcs.Value, path string, change func([]jcs.Member, int) []jcs.Member) jcs.Value {
	name, rest, nested := strings.Cut(path, ".")
	members := slices.Clone(v.Members)
	for i, m := range members {
		if m.Name != name {
			continue
		}
		if nested {
			members[i].Value = Edit(m.Value, rest, change)
		} else {
			members = change(members, i)
		}
		v.Members = members
		return v
	}
	panic("no member " + path)
}

// Set returns the value with that value at path.
func Set(v jcs.Value, path string, to jcs.Value) jcs.Value {
	return Edit(v, path, func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = to; return ms })
}

// Plain writes JSON as it is given, duplicate members and all.
func Plain(v jcs.Value) []byte {
	switch v.Kind {
	case jcs.Number:
		return []byte(v.Text) // 1e400 too
	case jcs.Array:
		var items [][]byte
		for _, item := range v.Items {
			items = append(items, Plain(item))
		}
		return fmt.Appendf(nil, "[%s]", bytes.Join(items, []byte(",")))
	case jcs.Object:
		var members [][]byte
		for _, m := range v.Members {
			members = append(members, fmt.Appendf(nil, "%s:%s", Plain(jcs.Str(m.Name)), Plain(m.Value)))
		}
		return fmt.Appendf(nil, "{%s}", bytes.Join(members, []byte(",")))
	}
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		panic(err)
	}
	return text
}

// EachMember calls visit with the path of every member of v, objects in lists included.
func EachMember(v jcs.Value, visit func(owner jcs.Value, change func(func([]jcs.Member, int) []jcs.Member) jcs.Value, i int)) {
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

// MemberPaths lists the path of every member of an object, and of the objects in it.
func MemberPaths(v jcs.Value, prefix string) (paths []string) {
	for _, m := range v.Members {
		paths = append(paths, prefix+m.Name)
		paths = append(paths, MemberPaths(m.Value, prefix+m.Name+".")...)
	}
	return paths
}
