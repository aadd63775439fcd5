package ledger

import (
	"log/slog"
	"os"
	"strings"
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

func TestTesseraSaysNothingAtAStartThatIsNoNews(t *testing.T) {
	var out strings.Builder
	log := slog.New(expected{slog.NewTextHandler(&out, nil)}).With("from", "tessera")
	log.Info("Failed to fetch old checkpoint: file does not exist")
	if out.Len() > 0 {
		t.Errorf("said %q", out.String())
	}
	log.Info("Failed to fetch old checkpoint: permission denied")
	log.Info("Another thing: file does not exist")
	if strings.Count(out.String(), "\n") != 2 {
		t.Errorf("left something out: %q", out.String())
	}
}
