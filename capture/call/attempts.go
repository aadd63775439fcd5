package call

import (
	"slices"
	"sync"
	"time"
)

// Attempts knows which attempts are of one logical call: a client that tries again sends the same request once more after
// it failed. The zero Attempts is ready, for any number of goroutines.
type Attempts struct {
	mu     sync.Mutex
	failed map[again][]placed // each list in the order in which they were placed
	count  int
}

// again is what is the same in every attempt of a logical call.
type again struct{ method, upstream, path, query, body string }

// placed is an attempt that failed and has no next one yet.
type placed struct {
	id     string
	number int64
	ended  time.Time
}

const (
	retryWithin = 10 * time.Minute
	maxFailed   = 4 << 10 // attempts that are remembered: of more, the calls are counted as new ones
)

// Place says which logical call an attempt is of, and its number in it. It is called once for each attempt, when that has
// been finished; newID makes the id of a new call.
func (a *Attempts) Place(c *Call, upstream string, began, ended time.Time, newID func() string) (id string, number int64) {
	body, failed := c.RequestHash(), c.Failed()
	key := again{c.head.Method, upstream, c.head.Path, c.head.Query, body}
	a.mu.Lock()
	defer a.mu.Unlock()
	if body != "" {
		id, number = a.next(key, began)
	}
	if id == "" {
		id = newID()
	}
	number++
	if failed && body != "" {
		a.remember(key, placed{id, number, ended})
	}
	return id, number
}

// next takes the attempt that one which began then is the next one of: of several the one that ended last. (CAP-8)
func (a *Attempts) next(key again, began time.Time) (id string, number int64) {
	list := a.failed[key]
	best := -1
	for i, p := range list {
		if wait := began.Sub(p.ended); 0 <= wait && wait <= retryWithin && (best < 0 || p.ended.After(list[best].ended)) {
			best = i
		}
	}
	if best < 0 {
		return "", 0
	}
	id, number = list[best].id, list[best].number
	a.set(key, slices.Delete(list, best, best+1))
	return id, number
}

// remember adds one that failed. When there are too many, those that nothing followed in time go first, then all of them.
func (a *Attempts) remember(key again, p placed) {
	if a.count >= maxFailed {
		for k, list := range a.failed {
			a.set(k, slices.DeleteFunc(list, func(old placed) bool { return p.ended.Sub(old.ended) > retryWithin }))
		}
		if a.count >= maxFailed {
			a.failed, a.count = nil, 0
		}
	}
	if a.failed == nil {
		a.failed = map[again][]placed{}
	}
	a.failed[key] = append(a.failed[key], p)
	a.count++
}

func (a *Attempts) set(key again, list []placed) {
	a.count += len(list) - len(a.failed[key])
	if len(list) == 0 {
		delete(a.failed, key)
	} else {
		a.failed[key] = list
	}
}
