package interop

import "testing"

func runsOfBoth(t *testing.T, w *reference)     {}
func storesShared(t *testing.T, w *reference)   {}
func keysShared(t *testing.T, w *reference)     {}
func locksExchanged(t *testing.T, w *reference) {}
func vectorLocks(t *testing.T, w *reference)    {}
