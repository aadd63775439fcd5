package ledger

import (
	"os"
	"strings"
	"testing"
)

func TestOpeningALogRemovesTheUnfinishedCheckpointsOfAFullDisk(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	for _, name := range []string{"checkpoint123456789", "checkpoint987654321"} {
		w.write(name, []byte("unfinished"))
	}
	w.open()
	w.add(1)
	files, err := os.ReadDir(w.cfg.Dir)
	must(t, err)
	for _, f := range files {
		if strings.HasPrefix(f.Name(), "checkpoint") && f.Name() != "checkpoint" {
			t.Errorf("%s is still there", f.Name())
		}
	}
}
