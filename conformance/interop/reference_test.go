package interop

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// referenceVersion is the release of the Python tool that we are compared with. Its requirements, by
// hash, are in python/requirements.txt.
const referenceVersion = "1.23.0"

var update = flag.Bool("update", false, "write DISAGREEMENTS.md")

// TestWeAndTheReferenceToolAgreeButForTheListedCases runs the Python tool and ours on the same packs,
// locks, stores and keys, each made by either. Where they disagree, the case is in the table of
// disagreements with its reason; whatever else differs is a failure, and so is an entry of the table
// that no longer does.
func TestWeAndTheReferenceToolAgreeButForTheListedCases(t *testing.T) {
	w := newReference(t)
	for _, part := range []struct {
		group string // first element of its cases in the table
		run   func(*testing.T, *reference)
	}{
		{"go", packsOfOurs},
		{"python", packsOfTheirs},
		{"bytes", sameBytes},
		{"run", runsOfBoth},
		{"store", storesShared},
		{"keys", keysShared},
		{"lock", locksExchanged},
		{"vector", vectorPacks},
		{"locks", vectorLocks},
	} {
		ran := t.Run(part.group, func(t *testing.T) {
			part.run(t, w)
			w.whole[part.group] = !t.Failed()
		})
		if !ran {
			w.whole[part.group] = false
		}
	}
	w.checkTable(t)
}

// reference is the Python tool and ours, ready to run.
type reference struct {
	python string // the interpreter with assay-ai installed
	assay  string // our program, built from this tree
	home   string // HOME of whatever needs none of its own

	peers chan *peer // those that nobody asks right now

	compared map[string]bool // cases that were compared
	whole    map[string]bool // groups that ran to their end
}

func newReference(t *testing.T) *reference {
	t.Helper()
	w := &reference{home: t.TempDir(), compared: map[string]bool{}, whole: map[string]bool{}}
	met("assay-ai", false) // not yet
	w.python = install(t)
	met("assay-ai", true)
	w.assay = filepath.Join(t.TempDir(), "assay")
	// Built here: a program left in bin would be compared as it was.
	c := exec.Command("go", "build", "-o", w.assay, "./cmd/assay")
	c.Dir = filepath.Join("..", "..")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("building assay: %v\n%s", err, out)
	}
	w.peers = make(chan *peer, runtime.NumCPU())
	for range cap(w.peers) {
		w.peers <- startPeer(t, w.python)
	}
	return w
}

// peer is a running peer.py. It answers one request at a time.
type peer struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startPeer(t *testing.T, python string) *peer {
	t.Helper()
	c := exec.Command(python, "-I", filepath.Join("python", "peer.py"))
	c.Stderr = os.Stderr
	p := &peer{in: must(c.StdinPipe())(t), out: bufio.NewReader(must(c.StdoutPipe())(t))}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("peer.py: %v", err)
		}
	})
	return p
}

// ask sends a request, a line of JSON, and reads the answer.
func (p *peer) ask(request []byte) (a answer, err error) {
	if _, err := p.in.Write(append(request, '\n')); err != nil {
		return a, err
	}
	reply, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(reply, &a)
}

// say is heard without -v, if the test runs in its own directory: go test hides what passing
// packages of a list print.
func say(t *testing.T, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	say(t, "SKIP interop: "+format, args...)
	t.SkipNow()
}

// install returns the interpreter of a virtual environment that holds assay-ai and nothing else,
// made once per user and set of requirements. It is staged and renamed: a test that is killed
// leaves no half of one.
func install(t *testing.T) string {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	version, err := exec.Command(python, "-c", "import sys; assert sys.version_info >= (3, 9); print(sys.version.split()[0])").CombinedOutput()
	if err != nil {
		skip(t, "%s is not a Python from 3.9 on (PYTHON names another): %v", python, err)
	}
	requirements := must(os.ReadFile(filepath.Join("python", "requirements.txt")))(t)
	cache, err := os.UserCacheDir()
	if err == nil {
		cache = filepath.Join(cache, "assay-interop-"+referenceVersion)
		err = os.MkdirAll(cache, 0o700)
	}
	if err != nil {
		cache = t.TempDir()
	}
	key := sha256.Sum256(fmt.Append(nil, python, string(version), string(requirements)))
	venv := filepath.Join(cache, fmt.Sprintf("%x", key[:8]))
	interpreter := filepath.Join(venv, "bin", "python")
	installed := func() error {
		out, err := exec.Command(interpreter, "-I", "-m", "assay", "version").CombinedOutput()
		if err == nil && !bytes.Contains(out, []byte(referenceVersion)) {
			err = fmt.Errorf("it says %q", out)
		}
		return err
	}
	if installed() != nil {
		if err := os.RemoveAll(venv); err != nil {
			t.Fatal(err)
		}
		staging := must(os.MkdirTemp(cache, ".staging_*"))(t)
		defer os.RemoveAll(staging)
		if out, err := exec.Command(python, "-m", "venv", staging).CombinedOutput(); err != nil {
			skip(t, "no virtual environment: %v\n%s", err, out)
		}
		if err := pip(t, filepath.Join(staging, "bin", "python")); err != nil {
			skip(t, "pip cannot install assay-ai %s: %v", referenceVersion, err)
		}
		if err := os.Rename(staging, venv); err != nil && !errors.Is(err, os.ErrExist) && installed() != nil {
			t.Fatal(err)
		}
	}
	if err := installed(); err != nil {
		t.Fatalf("assay-ai in %s: %v", venv, err)
	}
	say(t, "interop: assay-ai %s on Python %s", referenceVersion, bytes.TrimSpace(version))
	return interpreter
}

// pip installs exactly what the requirements say, by hash. Where those versions do not exist for this
// Python, assay-ai itself is still the one with the known hash.
func pip(t *testing.T, python string) error {
	t.Helper()
	run := func(args ...string) error {
		args = append([]string{"-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--retries", "1", "--timeout", "30"}, args...)
		out, err := exec.Command(python, args...).CombinedOutput()
		if err != nil {
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			return fmt.Errorf("%w: %s", err, lines[len(lines)-1])
		}
		return nil
	}
	requirements := filepath.Join("python", "requirements.txt")
	pinned := run("--require-hashes", "-r", requirements)
	if pinned == nil {
		return nil
	}
	text := string(must(os.ReadFile(requirements))(t))
	_, own, found := strings.Cut(text, "\nassay-ai==")
	own, _, ended := strings.Cut(own, "\nattrs==")
	if !found || !ended {
		t.Fatalf("%s has no entry for assay-ai before that of attrs", requirements)
	}
	alone := filepath.Join(t.TempDir(), "requirements.txt")
	if err := os.WriteFile(alone, []byte("assay-ai=="+own+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run("--no-deps", "--require-hashes", "-r", alone); err != nil {
		return err
	}
	if err := run("assay-ai==" + referenceVersion); err != nil {
		return err
	}
	say(t, "interop: not every pinned requirement fits this Python, newest ones were taken: %v", pinned)
	return nil
}

// answer is how a program ended.
type answer struct {
	Exit int    `json:"exit"`
	Out  string `json:"out"`
	Err  string `json:"err"`
}

func (a answer) String() string { return fmt.Sprintf("exit %d\n%s\n%s", a.Exit, a.Out, a.Err) }

// words are status and verdict of a JSON answer.
func (a answer) words() string {
	var v struct{ Status, Verdict string }
	if err := json.Unmarshal([]byte(a.Out), &v); err != nil {
		return "no JSON"
	}
	return v.Status + " " + v.Verdict
}

func (w *reference) environment(home string) map[string]string {
	return map[string]string{"HOME": home, "PATH": filepath.Dir(w.python) + string(os.PathListSeparator) + os.Getenv("PATH"), "COLUMNS": "200"}
}

// ask sends one request to a free peer.py; the function it returns waits for the answer.
func (w *reference) ask(t *testing.T, request map[string]any, home string) func() answer {
	t.Helper()
	request["env"], request["cwd"] = w.environment(home), home
	line := must(json.Marshal(request))(t)
	var a answer
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := <-w.peers
		a, err = p.ask(line)
		w.peers <- p
	}()
	return func() answer {
		t.Helper()
		if <-done; err != nil {
			t.Fatalf("peer.py: %v", err)
		}
		return a
	}
}

// theirs runs the Python tool, ours our own, in the home directory.
func (w *reference) theirs(t *testing.T, home string, args ...string) answer {
	t.Helper()
	return w.startTheirs(t, home, args...)()
}

func (w *reference) startTheirs(t *testing.T, home string, args ...string) func() answer {
	t.Helper()
	return w.ask(t, map[string]any{"op": "cli", "args": args}, home)
}

func (w *reference) ours(t *testing.T, home string, args ...string) answer {
	t.Helper()
	return w.start(t, home, w.assay, args...)()
}

// start starts a program of its own; the function it returns waits for it.
func (w *reference) start(t *testing.T, home, program string, args ...string) func() answer {
	t.Helper()
	return w.startWith(t, home, nil, program, args...)
}

func (w *reference) startWith(t *testing.T, home string, env []string, program string, args ...string) func() answer {
	t.Helper()
	c := exec.Command(program, args...)
	c.Dir = home
	for name, value := range w.environment(home) {
		c.Env = append(c.Env, name+"="+value)
	}
	c.Env = append(c.Env, env...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return func() answer {
		t.Helper()
		var exit *exec.ExitError
		if err := c.Wait(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return answer{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	}
}

func (a answer) ok(t *testing.T) answer {
	t.Helper()
	if a.Exit != 0 {
		t.Fatal(a)
	}
	return a
}

// compare holds two outcomes of one case against the table.
func (w *reference) compare(t *testing.T, name, python, ours string) bool {
	t.Helper()
	if w.compared[name] {
		t.Errorf("case %s is compared twice", name)
	}
	w.compared[name] = true
	listed, known := disagreements[name]
	switch {
	case !known && python != ours:
		t.Errorf("%s: Python says %s, we say %s: find out why, mend it or list it", name, python, ours)
	case known && python == ours:
		t.Errorf("%s is listed as a disagreement, and both say %s", name, ours)
	case known && (python != listed.python || ours != listed.ours):
		t.Errorf("%s: Python says %s, we say %s; listed are %s and %s", name, python, ours, listed.python, listed.ours)
	default:
		return true
	}
	return false
}

// judge has both tools judge one pack, each as text and as JSON. In text and in JSON we must give the
// same code; the reference tool sometimes does not, and that is a disagreement too.
func (w *reference) judge(t *testing.T, name, dir string, flags ...string) {
	t.Helper()
	args := append([]string{"verify-pack", dir}, flags...)
	asJSON := append(args[:len(args):len(args)], "--json")
	text, object := w.start(t, w.home, w.assay, args...), w.start(t, w.home, w.assay, asJSON...)
	theirText, theirObject := w.startTheirs(t, w.home, args...), w.startTheirs(t, w.home, asJSON...)
	python, pythonJSON, ours, oursJSON := theirText(), theirObject(), text(), object()
	if ours.Exit != oursJSON.Exit {
		t.Errorf("%s: we exit %d in text and %d in JSON", name, ours.Exit, oursJSON.Exit)
	}
	if ours.Exit > 3 {
		t.Errorf("%s: ours: %v", name, ours)
	}
	theirWord, ourWord := exits(python.Exit, pythonJSON.Exit), exits(ours.Exit, oursJSON.Exit)
	// Where the codes agree, so must the words for machines.
	if theirWord == ourWord && !strings.HasPrefix(pythonJSON.words(), "error") {
		theirWord += ", " + pythonJSON.words()
		ourWord += ", " + oursJSON.words()
	}
	if !w.compare(t, name, theirWord, ourWord) {
		t.Logf("%s\nPython: %v\nours: %v", name, pythonJSON, oursJSON)
	}
}

func exits(text, json int) string {
	if text == json {
		return fmt.Sprintf("exit %d", text)
	}
	return fmt.Sprintf("exit %d (%d with --json)", text, json)
}
