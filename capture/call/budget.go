package call

import (
	"io"
	"slices"
	"sync/atomic"
)

// Budget is memory that many calls share: what they keep of bodies until they are read. A nil Budget has no room.
type Budget struct {
	// Brotli decodes a body whose content coding is br; nil: such bodies are hashed only. Who forwards them gives it: every
	// library for it links net/http, which this room does not.
	Brotli func(io.Reader) io.Reader

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
		return n <= 0
	}
	if b.used.Add(int64(n)) > b.limit && n > 0 {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

// share is what one body has taken of a budget. It is given back all at once.
type share struct {
	budget *Budget
	taken  int
	used   int
	free   int // so much is not taken from anybody: what the last event of a stream needs, however many streams there are
}

const page = 4 << 10

// use makes sure that n more bytes are taken. It takes them by the page, so that a stream of short texts asks seldom.
func (s *share) use(n int) bool {
	if s.used += n; s.used <= s.taken+s.free {
		return true
	}
	more := (s.used - s.free - s.taken + page - 1) / page * page
	if !s.budget.take(more) {
		s.used -= n
		return false
	}
	s.taken += more
	return true
}

func (s *share) giveBack() {
	if s.taken != 0 {
		s.budget.take(-s.taken)
	}
	s.taken, s.used = 0, 0
}

// reason says why a body could not be read.
type reason string

const (
	tooLarge      reason = "too_large"
	badEncoding   reason = "encoding"
	notJSON       reason = "not_json"
	notTheDialect reason = "not_the_dialect"
	noRoom        reason = "no_room"
	multipart     reason = "multipart"
)

const (
	maxBody  = 8 << 20 // of a body or an event that is parsed, decoded
	maxDepth = 64
)

// kept is a body, or a part of one, that waits to be read.
type kept struct {
	share share
	bytes []byte
	lost  reason // why not all of it is here; then nothing is
}

// keep adds bytes while there are at most maxBody of them and the budget has room.
func (k *kept) keep(p []byte) {
	if k.lost != "" {
		return
	}
	if why := k.grow(len(p)); why != "" {
		k.lose(why)
		return
	}
	k.bytes = append(k.bytes, p...)
}

// grow makes room for n more bytes, or says why there is none. The memory is taken before it is there: twice as much as
// was, so that bytes are copied twice at most.
func (k *kept) grow(n int) reason {
	switch size := len(k.bytes) + n; {
	case size > maxBody:
		return tooLarge
	case size > cap(k.bytes):
		room := min(max(2*cap(k.bytes), size, 512), maxBody)
		if !k.share.use(room - cap(k.bytes)) {
			return noRoom
		}
		k.bytes = slices.Grow(k.bytes, room-len(k.bytes))
	}
	return ""
}

func (k *kept) lose(why reason) {
	k.free()
	k.lost = why
}

func (k *kept) free() {
	k.bytes = nil
	k.share.giveBack()
}
