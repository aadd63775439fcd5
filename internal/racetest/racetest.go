// Package racetest says which tests the race detector need not run. It makes a test ten times as slow, and one in
// which no two goroutines meet gains nothing by it.
package racetest

import "testing"

// OneGoroutine leaves the test out of a run under the race detector: no two goroutines meet in it that do not
// meet in another test of its package.
func OneGoroutine(t testing.TB) {
	t.Helper()
	if Enabled {
		t.Skip("no two goroutines meet here: run without the race detector")
	}
}
