package ledger

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A directory that is mounted at a second place is the same one there, and no link tells of it.
// STO-2
func TestAGuardInsideALogThatIsMountedTwiceIsInsideTheLog(t *testing.T) {
	const variable = "LEDGER_TEST_MOUNTS"
	if os.Getenv(variable) == "" { // mounts of its own, which end with the process
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), variable+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || strings.Contains(string(out), "--- SKIP") {
			t.Skipf("nothing can be mounted here: %v", err)
		}
		if err != nil || !strings.Contains(string(out), "PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"log/inner", "second", "elsewhere"} {
		must(t, os.MkdirAll(at(name), 0o700))
	}
	if err := syscall.Mount(at("log"), at("second"), "", syscall.MS_BIND, ""); err != nil {
		t.Skip(err)
	}
	defer func() { must(t, syscall.Unmount(at("second"), 0)) }()
	for _, test := range []struct {
		path, dir string
		inside    bool
	}{
		{"second", "log", true},
		{"log", "second", true},
		{"second/inner", "log", true},
		{"second/inner/not/there", "log", true},
		{"log/inner", "second", true},
		{"elsewhere", "log", false},
		{"elsewhere", "second", false},
		{"log", "second/inner", false},
		{"second", "not/there", false},
	} {
		if inside, err := Within(at(test.path), at(test.dir)); err != nil || inside != test.inside {
			t.Errorf("%s in %s: %t, %v", test.path, test.dir, inside, err)
		}
	}
	if err := checkApart(at("log"), at("second/inner")); err == nil || !strings.Contains(err.Error(), "lies inside the log") {
		t.Errorf("a guard in the second place: %v", err)
	}
}
