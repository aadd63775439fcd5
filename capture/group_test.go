package capture

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// Who comes while a step runs is served in the next one, so many at most; a group that is closed serves nobody, and ends
// with the step that runs.
func TestAGroupServesThoseTogetherWhoWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		step := make(chan bool)
		g := newGroup(func(items []*int) {
			sizes = append(sizes, len(items))
			for _, item := range items {
				*item++
			}
			<-step
		})
		const many = 1 + 512 + 512 + 3
		served, ended := make([]int, many), make([]bool, many)
		for i := range many {
			go func() { ended[i] = g.wait(&served[i]) }()
			if i == 0 {
				synctest.Wait() // the others come while it is served
			}
		}
		for range 4 {
			synctest.Wait()
			step <- true
		}
		synctest.Wait()
		if got := fmt.Sprint(sizes); got != "[1 512 512 3]" {
			t.Errorf("steps of %s", got)
		}
		for i := range many {
			if served[i] != 1 || !ended[i] {
				t.Fatalf("item %d was served %d times, and its caller told %v", i, served[i], ended[i])
			}
		}
		var last, late int
		go g.wait(&last)
		synctest.Wait()
		closed := false
		go func() { g.close(); closed = true }()
		synctest.Wait()
		if closed {
			t.Error("closed while a step runs")
		}
		step <- true
		synctest.Wait()
		if !closed || last != 1 || g.wait(&late) || late != 0 {
			t.Errorf("closed %v, the last was served %d times, a late one %d times", closed, last, late)
		}
	})
}
