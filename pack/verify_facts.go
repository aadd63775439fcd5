package pack

import (
	"cmp"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// Facts are what was counted while the files of a pack were read, once. Only the digests are there for a
// pack that is not intact: what its receipts say is nobody's word.
type Facts struct {
	// The digests of two files, byte for byte: 64 hex digits, "" if the file was not read. That of the manifest is
	// not the identity of the pack, which is Manifest.Digest, an entry's ManifestSHA256: no ledger finds it.
	ManifestFileSHA256 string
	ReceiptsFileSHA256 string
	HeadHash           string // as computed here, "" without receipts

	Types, Providers, Models  []Tally // the most frequent first
	InputTokens, OutputTokens int64   // of all receipts that give them
	UnreadTokens              int     // receipts with a figure of tokens that is no count, or too large to be added

	// Endings are how programs ended, in the words of the session receipts of assay run: "exit 0", "exit 3",
	// "exit 137 (signal killed)". EndedBadly are those of them that are not "exit 0", Killed those by a signal.
	Endings            []Tally
	EndedBadly, Killed int
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
	unread                   int
	endings                  tally
	endedBadly, killed       int
}

func (c *census) add(r *receipt.Core) {
	if r.Type != "" {
		c.types.add(r.Type)
	}
	if r.Provider != "" {
		c.providers.add(r.Provider)
	}
	if r.Model != "" {
		c.models.add(r.Model)
	}
	in, out := addTokens(&c.input, r.InputTokens), addTokens(&c.output, r.OutputTokens)
	if !in || !out {
		c.unread++
	}
	if text, well := r.Ending(); text != "" {
		c.endings.add(text)
		if !well {
			c.endedBadly++
		}
		if !well && text != receipt.UnreadableEnding && r.Signal != nil {
			c.killed++
		}
	}
}

// addTokens leaves out, and reports false of, what is no count, and a sum that no count can be.
func addTokens(sum *int64, v *jcs.Value) bool {
	if v == nil {
		return true
	}
	n, ok := v.Int64()
	if !ok || n < 0 || *sum+n < *sum {
		return false
	}
	*sum += n
	return true
}

func (c *census) settle(f *Facts) {
	f.Types, f.Providers, f.Models = c.types.sorted(), c.providers.sorted(), c.models.sorted()
	f.InputTokens, f.OutputTokens, f.UnreadTokens = c.input, c.output, c.unread
	f.Endings, f.EndedBadly, f.Killed = c.endings.sorted(), c.endedBadly, c.killed
}
