package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

func TestADueCheckpointWaitsForSubmissionsOnTheirWayButAtMostHalfAnInterval(t *testing.T) {
	const interval = 200 * time.Millisecond
	p := &publisher{interval: interval}
	p.loop.round = &round{published: true}
	start := time.Now()
	if due := p.due(start); due != 0 {
		t.Errorf("the first round waits %s", due)
	}
	p.loop.started = start
	for _, test := range []struct {
		after    time.Duration
		arriving int64
		want     time.Duration
	}{
		{0, 0, interval},
		{interval - 1, 0, 1},
		{interval - 1, 9, 1},
		{interval, 0, 0},
		{interval, 1, lingerStep},
		{interval * 3 / 2, 1, 0},
		{interval*3/2 - 1, 1, 1},
		{interval * 10, 2048, 0},
	} {
		p.arriving.Store(test.arriving)
		if due := p.due(start.Add(test.after)); due != test.want {
			t.Errorf("%s after the last round, %d arriving: due in %s, want %s", test.after, test.arriving, due, test.want)
		}
	}
	p.arriving.Store(1)
	p.loop.draining = true
	if due := p.due(start); due != 0 {
		t.Errorf("a closing log waits %s", due)
	}
}

// While nothing is published the next try is near, however long the interval.
func TestATryThatDidNotPublishIsRepeatedWithinASecond(t *testing.T) {
	trouble := errors.New("no quorum")
	for interval, pause := range map[time.Duration]time.Duration{
		20 * time.Millisecond: 20 * time.Millisecond,
		time.Second:           time.Second,
		time.Second + 1:       time.Second,
		time.Hour:             time.Second,
	} {
		p := &publisher{interval: interval}
		start := time.Now()
		p.loop.started = start
		for _, round := range []*round{{published: false}, {published: true}} {
			for _, err := range []*error{nil, &trouble} {
				p.loop.round = round
				p.trouble.Store(err)
				want := pause
				if round.published && err == nil {
					want = interval
				}
				if due := p.due(start); due != want {
					t.Errorf("interval %s, published %t, trouble %t: due in %s, want %s", interval, round.published, err != nil, due, want)
				}
				if due := p.due(start.Add(want)); due != 0 {
					t.Errorf("interval %s, published %t, trouble %t: not due after %s but %s later", interval, round.published, err != nil, want, due)
				}
			}
		}
	}
}

// A witness that answers slowly would never catch up with a tree that grows if each answer came to a
// round that is over: while one is open, no other begins.
func TestARoundDoesNotEndWhileAnAnswerIsOpen(t *testing.T) {
	policy := trusttest.Policy(trusttest.NewLog(testOrigin), []*trusttest.Witness{trusttest.NewWitness("slow", trust.Ed25519Cosigner)}, 1)
	for _, open := range []int{1, 3} {
		p := &publisher{interval: 20 * time.Millisecond, policy: policy, grown: make(chan struct{}, 1)} // and no store to take a tree from
		waiting := &round{cp: &trust.Checkpoint{Origin: testOrigin, Size: 1}, cosignatures: map[string]trust.Cosignature{}, failed: map[*endpoint]bool{}}
		p.loop.round, p.loop.open, p.loop.dirty = waiting, open, true
		p.grown <- struct{}{}
		now := time.Now()
		for _, draining := range []bool{false, true} {
			p.loop.draining = draining
			if wait, more := p.advance(now); wait <= 0 || !more || p.loop.round != waiting {
				t.Errorf("%d answers open, draining %t: waits %s, goes on %t, the same round %t", open, draining, wait, more, p.loop.round == waiting)
			}
		}
	}
}
