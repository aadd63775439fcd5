package check

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestACommandGetsThePackAndTheFlagsWhereItWantsThem(t *testing.T) {
	ask := func(command string) string {
		t.Helper()
		answer, err := foreign(strings.Fields(command), time.Minute)(t.Context(), "the pack", []string{"--a", "b c"})
		if err != nil {
			t.Skipf("SKIPPED: no echo here: %v", err)
		}
		return strings.TrimSpace(string(answer.Output))
	}
	for command, want := range map[string]string{
		"echo":                    "the pack --a b c",
		"echo {pack} x":           "the pack x --a b c",
		"echo {args} in {pack}":   "--a b c in the pack",
		"echo --dir={pack}":       "--dir=the pack --a b c",
		"echo {args}":             "--a b c the pack",
		"echo {pack} {args} tail": "the pack --a b c tail",
	} {
		if got := ask(command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestACommandThatHangsIsNoAnswer(t *testing.T) {
	_, err := foreign(strings.Fields("sleep 60"), 50*time.Millisecond)(t.Context(), "60", nil)
	if err == nil {
		t.Error("a verifier that hangs answers")
	}
	var l limited
	for range 5 {
		if n, err := l.Write(make([]byte, maxAnswer/2)); n != maxAnswer/2 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(l.kept) != maxAnswer {
		t.Errorf("%d bytes are kept", len(l.kept))
	}
}

// A verifier in a shell, and what it leaves in the background, end with the case.
func TestACommandLeavesNobodyBehind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: reads /proc")
	}
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "pid")
	for name, script := range map[string]string{
		"it hangs":      "sleep 600 & echo $! >" + pidFile + "; wait",
		"it ends":       "sleep 600 & echo $! >" + pidFile + "; exit 2",
		"it ends at ^C": "trap 'exit 2' INT TERM; sleep 600 & echo $! >" + pidFile + "; wait",
	} {
		path := filepath.Join(dir, "verify.sh")
		if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		ends, timeout := name == "it ends", time.Second
		if ends {
			timeout = time.Minute
		}
		start := time.Now()
		answer, err := foreign([]string{"sh", path}, timeout)(t.Context(), "pack", nil)
		if errors.Is(err, exec.ErrNotFound) {
			t.Skip("SKIPPED: no shell here")
		}
		if ends && (err != nil || answer.Exit != 2) || !ends && err == nil {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		text, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || pid <= 1 {
			t.Fatal(pid, err)
		}
		for deadline := time.Now().Add(10 * time.Second); running(pid); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Errorf("%s: %d still runs", name, pid)
				break
			}
		}
	}
}

// running says whether a process is there and no zombie that only waits to be counted.
func running(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(state), ") ")
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
