package entry

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

func mustParse(t testing.TB, text string) jcs.Value {
	t.Helper()
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var loggedAt = time.Date(2026, 1, 15, 12, 0, 1, 234567890, time.UTC)

func mustEntry(t testing.TB, m *manifest.Manifest, src Source, token []byte) Entry {
	t.Helper()
	e, err := New(m, src, loggedAt, token)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
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

// memberPaths lists every member of an object, and of the objects in it.
func memberPaths(v jcs.Value, prefix string) (paths []string) {
	for _, m := range v.Members {
		paths = append(paths, prefix+m.Name)
		paths = append(paths, memberPaths(m.Value, prefix+m.Name+".")...)
	}
	return paths
}
