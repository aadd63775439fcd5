package proxy

import (
	"sync/atomic"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Counts is what a proxy has seen so far. What it cannot see is not in it.
type Counts struct {
	Seen     int64 // attempts that want a receipt
	Written  int64 // receipts
	Failed   int64 // attempts whose receipt could not be written
	Unparsed int64 // receipts of attempts that could not be read whole
	Other    int64 // requests that want none: lists of models, telemetry
	Refused  int64 // requests without the token, or for an upstream that is none
	Upgraded int64 // WebSockets, of which nothing is recorded
}

type counter struct {
	seen, written, failed, unparsed, other, refused, upgraded atomic.Int64
}

func (c *counter) add(unparsed bool, err error) {
	if err != nil {
		c.failed.Add(1)
		return
	}
	c.written.Add(1)
	if unparsed {
		c.unparsed.Add(1)
	}
}

func (c *counter) now() Counts {
	return Counts{c.seen.Load(), c.written.Load(), c.failed.Load(), c.unparsed.Load(), c.other.Load(), c.refused.Load(), c.upgraded.Load()}
}

// Members are the counts as a session_metadata receipt has them. unfinished is how many receipts were written afterwards,
// for attempts that had none.
func (c Counts) Members(unfinished int) []jcs.Member {
	return []jcs.Member{
		jcs.M("requests_seen", jcs.Int(c.Seen)),
		jcs.M("receipts_written", jcs.Int(c.Written+int64(unfinished))),
		jcs.M("receipts_failed", jcs.Int(max(0, c.Failed-int64(unfinished)))),
		jcs.M("requests_unparsed", jcs.Int(c.Unparsed)),
		jcs.M("requests_other", jcs.Int(c.Other)),
		jcs.M("requests_refused", jcs.Int(c.Refused)),
		jcs.M("requests_not_recorded", jcs.Int(c.Upgraded)),
	}
}
