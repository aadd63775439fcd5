package ledger

import (
	"os"
	"testing"
)

func TestOpeningALogRemovesTheUnfinishedCheckpointsOfAFullDisk(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	left := []string{"checkpoint123456789", "checkpoint987654321"}
	for _, name := range left {
		w.write(name, []byte("unfinished"))
	}
	w.open()
	w.add(1)
	for _, name := range left {
		if _, err := os.Lstat(w.path(name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}
