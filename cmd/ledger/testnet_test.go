package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// testnetRun runs 'ledger testnet ARGS', insists on the exit code and returns what it prints.
func testnetRun(t *testing.T, d *demo, exit int, args ...string) (stdout, stderr string) {
	t.Helper()
	c := exec.Command(d.self, append([]string{"testnet"}, args...)...) // also while the test ends
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run()
	if code := c.ProcessState.ExitCode(); code != exit {
		t.Fatalf("testnet %s: exit %d, want %d: %s%s", strings.Join(args, " "), code, exit, &out, &errs)
	}
	return out.String(), errs.String()
}

// testnetFiles are what must stay the same as long as the directory lives.
func testnetFiles(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, name := range []string{"servers", "policy", "roots.pem", "env", "ledger/keys/log.key", "w1/keys/ed25519.key", "w3.witness", "sample/assay.lock"} {
		text, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	return files
}

func sameFiles(t *testing.T, before, after map[string]string) {
	t.Helper()
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s was\n%s\nand is\n%s", name, before[name], after[name])
		}
	}
}

func killAll(t *testing.T, path string) {
	t.Helper()
	for _, name := range serverNames {
		p, err := readPID(filepath.Join(path, name+".pid"))
		if err != nil || p == nil {
			t.Fatalf("%s: %v, %v", name, p, err)
		}
		if err := p.process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.end(endPatience); err != nil { // waits
			t.Fatal(err)
		}
	}
}

func TestATestnetGoesOnWhereItWasEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers")
	}
	d := programs(t)
	path := filepath.Join(t.TempDir(), "it's a net")
	t.Cleanup(func() { testnetRun(t, d, 0, "down", path) })
	up := func() string {
		out, _ := testnetRun(t, d, 0, "up", path, "--assay", d.assay)
		return out
	}
	first := up()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", info, err)
	}
	before := testnetFiles(t, path)

	t.Run("what it prints can be pasted", func(t *testing.T) {
		_, lines, _ := strings.Cut(first, "\n\n")
		verify, _, _ := strings.Cut(lines, "\n")
		c := exec.Command("sh", "-euc", verify+"\n"+`. "$0"; test "$POLICY" -ef "$1"`, filepath.Join(path, "env"), filepath.Join(path, "policy"))
		c.Env = append(os.Environ(), "PATH="+filepath.Dir(d.self)+":"+os.Getenv("PATH"))
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "verdict    exit 0") {
			t.Errorf("%s: %v: %s", verify, err, out)
		}
	})
	t.Run("up of one that runs changes nothing", func(t *testing.T) {
		if again := up(); again != first {
			t.Errorf("it printed\n%s\nand then\n%s", first, again)
		}
		sameFiles(t, before, testnetFiles(t, path))
	})
	t.Run("status exits 4 when one is away, and up brings it back", func(t *testing.T) {
		if out, _ := testnetRun(t, d, 0, "status", path); strings.Count(out, "answers (process") != 4 || !strings.Contains(out, "takes entries (process") {
			t.Errorf("status: %s", out)
		}
		p, err := readPID(filepath.Join(path, "w2.pid"))
		if err != nil || p == nil {
			t.Fatal(p, err)
		}
		if err := p.process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.end(endPatience); err != nil {
			t.Fatal(err)
		}
		if out, errs := testnetRun(t, d, cli.ExitUnavailable, "status", path); !strings.Contains(out, "away") || !strings.Contains(errs, "w2") {
			t.Errorf("status: %s%s", out, errs)
		}
		if again := up(); again != first {
			t.Errorf("it printed\n%s", again)
		}
	})
	t.Run("after down and after kill -9 it has the same keys, log and ports", func(t *testing.T) {
		for _, end := range []func(){
			func() { testnetRun(t, d, 0, "down", path) },
			func() { killAll(t, path) },
		} {
			end()
			testnetRun(t, d, cli.ExitUnavailable, "status", path)
			up()
			sameFiles(t, before, testnetFiles(t, path))
		}
		if out, _ := testnetRun(t, d, 0, "down", path); strings.Count(out, "ended ") != 5 {
			t.Errorf("down: %s", out)
		}
		if out, _ := testnetRun(t, d, 0, "down", path); out != "nothing was running\n" {
			t.Errorf("a second down: %s", out)
		}
	})
	t.Run("a port that is somebody else's is given up, and everybody told", func(t *testing.T) {
		known, err := readServers(filepath.Join(path, "servers"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"w1", "tsa"} {
			taken, err := net.Listen("tcp", known[name].address)
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
		}
		up()
		after := testnetFiles(t, path)
		if strings.Contains(after["policy"], known["w1"].address+"\n") || strings.Contains(after["servers"], known["w1"].address+"\n") || strings.Contains(after["env"], known["tsa"].address+"'") {
			t.Errorf("the old addresses are still there: %s%s", after["policy"], after["env"])
		}
		if !strings.Contains(after["servers"], "ledger "+known["ledger"].address+"\n") {
			t.Errorf("the ledger moved too: %s", after["servers"])
		}
		testnetRun(t, d, 0, "status", path)
	})
}

// process runs until the test ends, with the arguments after those of a shell.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command("sh", append([]string{"-c", "read never"}, args...)...)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

func alive(t *testing.T, c *exec.Cmd) bool {
	t.Helper()
	identity, err := processIdentity(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return identity != ""
}

// Whoever writes a pid file knows when a process began as well as we do.
func TestDownEndsNothingButTheServerOfThePidFile(t *testing.T) {
	path := t.TempDir()
	for _, tt := range []struct {
		args []string // of the process that w1.pid names
		ours bool
	}{
		{[]string{"ledger", "witness", "serve", filepath.Join(path, "w1"), "--listen", "127.0.0.1:0"}, true},
		{[]string{"ledger", "witness", "serve", "/before/it was moved/w1", "--listen", "127.0.0.1:0"}, true},
		{[]string{"ledger", "witness", "serve", filepath.Join(path, "w2"), "--listen", "127.0.0.1:0"}, false},
		{[]string{"ledger", "tsa", "serve", filepath.Join(path, "w1"), "--listen", "127.0.0.1:0"}, false},
		{[]string{"editor", filepath.Join(path, "w1")}, false},
		{nil, false},
	} {
		c := process(t, tt.args...)
		n := &network{dir: path}
		if err := notePID(n.path("w1.pid"), c.Process.Pid); err != nil {
			t.Fatal(err)
		}
		ended, err := n.down()
		if err != nil || alive(t, c) == tt.ours || (len(ended) == 1) != tt.ours {
			t.Errorf("%q: ended %q, %v; it lives: %v", tt.args, ended, err, alive(t, c))
		}
		if _, err := os.Lstat(n.path("w1.pid")); err == nil {
			t.Errorf("%q: the file is still there", tt.args)
		}
	}
}

// A copy has the pid files of the original. One that was moved is the same directory still.
func TestDownOfACopyLeavesTheServersOfTheOriginal(t *testing.T) {
	root := t.TempDir()
	original, copied, moved := &network{dir: filepath.Join(root, "net")}, &network{dir: filepath.Join(root, "copy")}, &network{dir: filepath.Join(root, "moved")}
	for _, n := range []*network{original, copied} {
		if err := os.Mkdir(n.dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := process(t, append([]string{"ledger"}, append(original.args("tsa"), "127.0.0.1:0")...)...)
	if err := notePID(original.path("tsa.pid"), c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(original.path("tsa.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied.path("tsa.pid"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if ended, err := copied.down(); err != nil || len(ended) > 0 || !alive(t, c) {
		t.Errorf("of the copy: ended %q, %v", ended, err)
	}
	if err := os.Rename(original.dir, moved.dir); err != nil {
		t.Fatal(err)
	}
	if ended, err := moved.down(); err != nil || len(ended) != 1 || alive(t, c) {
		t.Errorf("of the original, moved: ended %q, %v", ended, err)
	}
}

func TestDownGoesOnAfterAPidFileThatIsNone(t *testing.T) {
	n := &network{dir: t.TempDir()}
	if err := os.WriteFile(n.path("ledger.pid"), []byte("all\n"), 0o600); err != nil { // the first that it reads
		t.Fatal(err)
	}
	if err := os.Symlink("ledger.pid", n.path("w2.pid")); err != nil {
		t.Fatal(err)
	}
	c := process(t, append([]string{"ledger"}, append(n.args("tsa"), "127.0.0.1:0")...)...)
	if err := notePID(n.path("tsa.pid"), c.Process.Pid); err != nil {
		t.Fatal(err)
	}
	ended, err := n.down()
	if len(ended) != 1 || alive(t, c) || err == nil || !strings.Contains(err.Error(), "ledger.pid is no pid file") || !strings.Contains(err.Error(), "w2.pid") {
		t.Errorf("ended %q, %v", ended, err)
	}
}

func TestATestnetInEmptyTextIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := newTestnet("", fakeAssay(t, "exit 0")); err == nil || !strings.Contains(err.Error(), "empty text") {
		t.Errorf("up: %v", err)
	}
	for _, args := range [][]string{{"status", ""}, {"down", ""}} {
		if code, _, stderr := here(t, append([]string{"testnet"}, args...)...); code != cli.ExitBadInput || !strings.Contains(stderr, "empty text") {
			t.Errorf("%s: exit %d: %s", args[0], code, stderr)
		}
	}
	if made, err := os.ReadDir("."); err != nil || len(made) > 0 {
		t.Errorf("it made %v, %v", made, err)
	}
}

func TestWithoutAShellNothingIsMade(t *testing.T) {
	assay := fakeAssay(t, "exit 0")
	path := filepath.Join(t.TempDir(), "net")
	t.Setenv("PATH", t.TempDir())
	var told *cli.Error
	if _, err := newNetwork(path, assay, "x.example"); !errors.As(err, &told) || told.Code != cli.ExitBadInput || !strings.Contains(err.Error(), `"sh"`) {
		t.Errorf("a network: %v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the directory was made")
	}
}

func TestAnAssayThatMakesNoSampleIsTold(t *testing.T) {
	n := &network{dir: t.TempDir(), assay: fakeAssay(t, "exit 0"), servers: map[string]*server{"ledger": {}}}
	if err := n.makeSample(t.Context()); err == nil || !strings.Contains(err.Error(), "has not made") {
		t.Errorf("made: %v", err)
	}
}

func TestOneThatWaitsForTheLockSaysThatItWasInterrupted(t *testing.T) {
	path := t.TempDir()
	unlock, err := lockDir(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockDir(ctx, path); err == nil || err.Error() != "interrupted" {
		t.Errorf("locked: %v", err)
	}
}

func TestStatusSaysWhatToDoAboutAPidFileThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"testnet": testnetMark,
		"servers": "tsa 127.0.0.1:1\nw1 127.0.0.1:2\nw2 127.0.0.1:3\nw3 127.0.0.1:4\nledger 127.0.0.1:5\n",
		"w2.pid":  "4711\n",
	} {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := here(t, "testnet", "status", path)
	if code != cli.ExitBadInput || strings.Count(stdout, "away") != 4 || !strings.Contains(stderr, "w2.pid is no pid file") || !strings.Contains(stderr, "looked for the process") || strings.Contains(stderr, "testnet up") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// Its files say which processes to end and what to believe.
func TestATestnetOfAnotherUserIsRefused(t *testing.T) {
	path := "/" // of root
	if os.Geteuid() == 0 {
		path = t.TempDir()
		if err := os.WriteFile(filepath.Join(path, "testnet"), []byte(testnetMark), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 65534, -1); err != nil {
			t.Skip(err) // root of a user namespace
		}
	}
	n := &network{dir: path, self: fakeAssay(t, "exit 1"), background: true}
	if err := n.up(t.Context()); err == nil || !strings.Contains(err.Error(), "belongs to another user") {
		t.Errorf("up: %v", err)
	}
	for _, args := range [][]string{{"status", path}, {"down", path}} {
		if code, _, stderr := here(t, append([]string{"testnet"}, args...)...); code != cli.ExitBadInput || !strings.Contains(stderr, "belongs to another user") {
			t.Errorf("%s: exit %d: %s", args[0], code, stderr)
		}
	}
}

func TestALogOfAServerIsNotWrittenThroughALink(t *testing.T) {
	n := &network{dir: t.TempDir(), self: fakeAssay(t, "echo written >&2"), servers: map[string]*server{}}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, n.path("tsa.log")); err != nil {
		t.Fatal(err)
	}
	if err := n.startOnce(t.Context(), "tsa"); err == nil || !strings.Contains(err.Error(), "tsa.log") {
		t.Errorf("started: %v", err)
	}
	if text, err := os.ReadFile(other); err != nil || len(text) > 0 {
		t.Errorf("the other file has %q, %v", text, err)
	}
}

// A pid file outlives its process, and the number is given to somebody else.
func TestDownEndsNoStranger(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command("sleep", "600")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	n := &network{dir: path}
	directory, err := fileIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	pid := n.path("w1.pid")
	if err := notePID(pid, stranger.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if p, err := readPID(pid); err != nil || p == nil {
		t.Fatalf("its own identity is not known: %v", err)
	}
	for name, text := range map[string]string{
		"another beginning": fmt.Sprintf("%d %s b9a3f2de-5c0f-4a56-9f37-6d2b1f3f6f4e/190284\n", stranger.Process.Pid, directory),
		"no process":        "4194304999 " + directory + " x\n",
	} {
		if err := os.WriteFile(pid, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if ended, err := n.down(); err != nil || len(ended) > 0 {
			t.Errorf("%s: ended %q, %v", name, ended, err)
		}
		if _, err := os.Stat(pid); err == nil {
			t.Errorf("%s: the file is still there", name)
		}
	}
	for _, text := range []string{"", "1 0:1 x\n", "0 0:1 x\n", "-1 0:1 x\n", "4711 0:1\n", fmt.Sprintf("%d\n", stranger.Process.Pid), "all\n"} {
		if err := os.WriteFile(pid, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if ended, err := n.down(); err == nil || len(ended) > 0 {
			t.Errorf("%q: ended %q, %v", text, ended, err)
		}
	}
	if identity, err := processIdentity(stranger.Process.Pid); err != nil || identity == "" {
		t.Errorf("the stranger was ended: %v", err)
	}

	// One that has ended and was not waited for has its number still, and is nobody.
	if err := os.Remove(pid); err != nil {
		t.Fatal(err)
	}
	if err := stranger.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if identity, err := processIdentity(stranger.Process.Pid); err != nil || time.Now().After(deadline) {
			t.Fatalf("it has not ended: %q, %v", identity, err)
		} else if identity == "" {
			break
		}
	}
	if err := notePID(pid, stranger.Process.Pid); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(pid); err == nil {
		t.Error("a process that has ended was noted")
	}
}

func TestTwoUpsAtOnceMakeOneTestnet(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers")
	}
	d := programs(t)
	path := filepath.Join(t.TempDir(), "net")
	t.Cleanup(func() { testnetRun(t, d, 0, "down", path) })
	var outs [3]string
	var racing sync.WaitGroup
	for i := range outs {
		racing.Go(func() { outs[i], _ = testnetRun(t, d, 0, "up", path, "--assay", d.assay) })
	}
	racing.Wait()
	if outs[0] == "" || outs[0] != outs[1] || outs[0] != outs[2] {
		t.Errorf("they printed\n%s", strings.Join(outs[:], "\n"))
	}
}

// An up that was interrupted has told nobody of its keys: the next one makes everything anew.
func TestATestnetThatWasNotFinishedIsMadeAnew(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers")
	}
	d := programs(t)
	path := filepath.Join(t.TempDir(), "net")
	t.Cleanup(func() { testnetRun(t, d, 0, "down", path) })
	if _, errs := testnetRun(t, d, cli.ExitInternal, "up", path, "--assay", fakeAssay(t, "exit 9")); !strings.Contains(errs, "exited with 9") {
		t.Errorf("with an assay that does nothing: %s", errs)
	}
	noneLeft := func() {
		t.Helper()
		if left, err := filepath.Glob(filepath.Join(path, "*.pid")); err != nil || len(left) > 0 {
			t.Errorf("%q are still there, %v", left, err)
		}
	}
	noneLeft()
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		_, errs := testnetRun(t, d, cli.ExitUnavailable, "up", path, "--assay", fakeAssay(t, "kill -HUP $PPID; sleep 600"))
		if !strings.Contains(errs, "interrupted") {
			t.Errorf("whose terminal was closed: %s", errs)
		}
		noneLeft()
	}
	testnetRun(t, d, cli.ExitBadInput, "status", path)
	out, _ := testnetRun(t, d, 0, "up", path, "--assay", d.assay)
	_, url, _ := strings.Cut(out, "ledger  ")
	url, _, _ = strings.Cut(url, "\n")
	answer, err := http.Get(url + "/readyz")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v, %v", url, answer, err)
	}
	answer.Body.Close()
}
