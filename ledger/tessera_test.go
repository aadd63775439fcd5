package ledger

import (
	"log/slog"
	"os"
	"path/filepath"
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

// A torn checkpoint that stays would be Tessera's for ever, so a log does not start on it.
func TestACheckpointThatCannotBeRemovedIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := removeCheckpoints(filepath.Join(dir, "missing")); err != nil {
		t.Errorf("a new log: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "checkpoint"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "checkpoint1"), nil, 0o600))
	if err := removeCheckpoints(dir); err != nil {
		t.Error(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 || files[0].Name() != "other" {
		t.Errorf("left: %v, %v", files, err)
	}
	if err := removeCheckpoints(filepath.Join(dir, "other")); err == nil {
		t.Error("no directory, and no error")
	}
	must(t, os.MkdirAll(filepath.Join(dir, "checkpoint2", "x"), 0o700))
	if err := removeCheckpoints(dir); err == nil {
		t.Error("one that stays, and no error")
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
