package call

import "sync/atomic"

// Budget is memory that many calls share: what they keep of bodies until they are read. A nil Budget has no room.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{limit: bytes} }

// Used is how many bytes are taken now: 0 when no call is open.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// take takes n bytes, or nothing.
func (b *Budget) take(n int) bool {
	if b == nil {
		return false
	}
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *Budget) give(n int) {
	if n != 0 {
		b.used.Add(-int64(n))
	}
}
