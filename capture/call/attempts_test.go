package call

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// tried is an attempt with that body and status.
func tried(path, body string, status int) *Call {
	c := Begin(Find("openai", "POST", path), RequestHead{Method: "POST", Path: path}, NewBudget(room))
	c.Request([]byte(body))
	c.RequestEnd(body != "cut")
	if status > 0 {
		c.Response(ResponseHead{Status: status, Header: map[string][]string{"Content-Type": {"application/json"}}})
	}
	c.End(Whole)
	c.Finish()
	return c
}

// CAP-8: who sends a request again after it failed makes the next attempt of the same call.
func TestAttemptsOfOneCallAreCounted(t *testing.T) {
	const path, other = "/v1/chat/completions", "/v1/responses"
	type step struct {
		path, upstream, body string
		status               int
		began, ended         int // seconds
		want                 string
	}
	for name, steps := range map[string][]step{
		"a request that is sent until it succeeds": {
			{path, "u", "a", 429, 0, 1, "1.1"}, {path, "u", "a", 0, 2, 3, "1.2"}, {path, "u", "a", 200, 4, 5, "1.3"}, {path, "u", "a", 200, 6, 7, "2.1"}},
		"the same request of two calls at once": {
			{path, "u", "a", 500, 0, 1, "1.1"}, {path, "u", "a", 500, 0, 2, "2.1"}, {path, "u", "a", 200, 3, 4, "2.2"}, {path, "u", "a", 200, 3, 4, "1.2"}},
		"what began before the other ended is no next one": {
			{path, "u", "a", 500, 0, 10, "1.1"}, {path, "u", "a", 200, 9, 11, "2.1"}},
		"ten minutes, and a second more": {
			{path, "u", "a", 500, 0, 1, "1.1"}, {path, "u", "a", 500, 601, 602, "1.2"}, {path, "u", "a", 500, 1203, 1204, "2.1"}},
		"another body, path or upstream": {
			{path, "u", "a", 500, 0, 1, "1.1"}, {path, "u", "b", 500, 2, 3, "2.1"}, {other, "u", "a", 500, 2, 3, "3.1"}, {path, "v", "a", 500, 2, 3, "4.1"}},
		"a body that did not pass whole": {
			{path, "u", "cut", 500, 0, 1, "1.1"}, {path, "u", "cut", 500, 2, 3, "2.1"}},
	} {
		var a Attempts
		made := 0
		for i, s := range steps {
			id, n := a.Place(tried(s.path, s.body, s.status), s.upstream, noon.Add(time.Duration(s.began)*time.Second), noon.Add(time.Duration(s.ended)*time.Second),
				func() string { made++; return fmt.Sprint(made) })
			if got := fmt.Sprintf("%s.%d", id, n); got != s.want {
				t.Errorf("%s: attempt %d is %s, want %s", name, i+1, got, s.want)
			}
			if s.body == "cut" && len(a.failed) > 0 {
				t.Errorf("%s: it is waited for one that cannot be told", name)
			}
		}
	}
}

func TestAttemptsThatNobodyRepeatsAreForgotten(t *testing.T) {
	var a Attempts
	c := tried("/v1/chat/completions", "a", 500)
	for i := range 3 * maxFailed {
		// Each begins long after the one before, or from another upstream.
		at := noon.Add(time.Duration(i) * time.Hour)
		if i%2 == 0 {
			at = noon
		}
		a.Place(c, fmt.Sprint("u", i), at, at, func() string { return "x" })
		held := a.count
		if i%1000 == 0 {
			held = 0
			for _, list := range a.failed {
				held += len(list)
			}
		}
		if held != a.count || a.count > maxFailed {
			t.Fatalf("%d are held, %d counted", held, a.count)
		}
	}
}
