package pack

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Facts are what was counted while the files of a pack were read, once. Only the digests are there for a
// pack that is not intact: what its receipts say is nobody's word.
type Facts struct {
	ManifestSHA256 string // of pack_manifest.json, 64 hex digits, "" if it was not read
	ReceiptsSHA256 string // of receipt_pack.jsonl, likewise
	HeadHash       string // as computed here, "" without receipts

	Types, Providers, Models  []Tally // the most frequent first
	InputTokens, OutputTokens int64   // of all receipts that give them
}

// Tally is how many receipts name one thing. The Name "" stands for all that are too many (more than
// 100 kinds) or too long (more than 200 bytes) to be listed.
type Tally struct {
	Name string
	N    int
}

const (
	maxKinds    = 100
	maxKindName = 200
)

// tally counts names in bounded memory.
type tally map[string]int

func (t tally) add(name string) {
	n, known := t[name]
	switch {
	case known:
		t[name] = n + 1
	case len(name) > maxKindName, len(t) >= maxKinds:
		t[""]++
	default:
		t[strings.Clone(name)] = 1 // name shares the memory of its line
	}
}

func (t tally) sorted() []Tally {
	var list []Tally
	for _, name := range slices.Sorted(maps.Keys(t)) {
		list = append(list, Tally{name, t[name]})
	}
	slices.SortStableFunc(list, func(a, b Tally) int {
		if (a.Name == "") != (b.Name == "") {
			return cmp.Compare(b.Name, a.Name) // the rest stands last
		}
		return cmp.Compare(b.N, a.N)
	})
	return list
}

// census counts what the receipts say, one after the other.
type census struct {
	types, providers, models tally
	input, output            int64
}

func (c *census) add(r *core) {
	if c.types == nil {
		c.types, c.providers, c.models = tally{}, tally{}, tally{}
	}
	if r.kind != "" {
		c.types.add(r.kind)
	}
	if r.provider != "" {
		c.providers.add(r.provider)
	}
	if r.model != "" {
		c.models.add(r.model)
	}
	c.input, c.output = addTokens(c.input, r.input), addTokens(c.output, r.output)
}

// addTokens leaves out what is no count, and a sum that no count can be.
func addTokens(sum int64, v *jcs.Value) int64 {
	if v == nil {
		return sum
	}
	if n, ok := v.Int64(); ok && n > 0 && sum+n > sum {
		return sum + n
	}
	return sum
}

func (c *census) settle(f *Facts) {
	f.Types, f.Providers, f.Models = c.types.sorted(), c.providers.sorted(), c.models.sorted()
	f.InputTokens, f.OutputTokens = c.input, c.output
}
