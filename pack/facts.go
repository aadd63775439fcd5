package pack

import (
	"cmp"
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

// tally counts names in bounded memory. Most packs name few things again and again: the first of them are
// found by looking, which for one receipt in a million is cheaper than hashing.
type tally struct {
	list  []Tally
	index map[string]int // of those in list from near on
	more  int            // of no name in list
}

const near = 8

func (t *tally) add(name string) {
	for i := range min(near, len(t.list)) {
		if t.list[i].Name == name {
			t.list[i].N++
			return
		}
	}
	i, known := t.index[name]
	switch {
	case known:
		t.list[i].N++
	case len(name) > maxKindName, len(t.list) >= maxKinds:
		t.more++
	default:
		name = strings.Clone(name) // it shares the memory of its line
		if len(t.list) >= near {
			if t.index == nil {
				t.index = map[string]int{}
			}
			t.index[name] = len(t.list)
		}
		t.list = append(t.list, Tally{name, 1})
	}
}

func (t *tally) sorted() []Tally {
	list := slices.Clone(t.list)
	slices.SortFunc(list, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name))
	})
	if t.more > 0 {
		list = append(list, Tally{N: t.more}) // the rest stands last
	}
	return list
}

// census counts what the receipts say, one after the other.
type census struct {
	types, providers, models tally
	input, output            int64
}

func (c *census) add(r *core) {
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
