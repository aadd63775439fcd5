package call

import "github.com/Haserjian/assay-ledger/pack/jcs"

const maxInteger = 1<<53 - 1

// count is a number of tokens that a provider may have told.
type count struct {
	n    int64
	told bool
}

// tokens are the provider's own numbers, as this dialect tells them: parts of the whole are added up where they are
// written. The last number that a stream tells is believed.
type tokens struct {
	input   []count // whose sum is the whole input
	output  []count
	cached  count
	written count
	reason  count
}

// tokenNames say where in a usage object a dialect has its numbers, as paths. The first of several paths in a place is
// the one that is tried first.
type tokenNames struct {
	input, output []places // added up
	cached        places
	written       places
	reason        places
}

type places [][]string

func (p places) in(usage jcs.Value, c *count) {
	for _, path := range p {
		if n, ok := at(usage, path...).Int64(); ok && 0 <= n && n <= maxInteger {
			*c = count{n, true}
			return
		}
	}
}

// tell takes the numbers of a usage object over.
func (t *tokens) tell(names *tokenNames, usage jcs.Value) {
	if usage.Kind != jcs.Object {
		return
	}
	if t.input == nil {
		t.input, t.output = make([]count, len(names.input)), make([]count, len(names.output))
	}
	for i, p := range names.input {
		p.in(usage, &t.input[i])
	}
	for i, p := range names.output {
		p.in(usage, &t.output[i])
	}
	names.cached.in(usage, &t.cached)
	names.written.in(usage, &t.written)
	names.reason.in(usage, &t.reason)
}

// sum is the whole of several counts, if one of them was told.
func sum(counts []count) (whole count) {
	for _, c := range counts {
		whole.n += c.n
		whole.told = whole.told || c.told
	}
	if whole.n > maxInteger {
		return count{}
	}
	return whole
}
