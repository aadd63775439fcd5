// Package faults does to real ledgers what a bad day does: kill -9, dead witnesses, restored
// backups, damaged files. It runs the ledger program as a user would build it, on loopback, and
// judges by what a client and an operator can see: answers, /readyz, logs, exit codes.
//
// This file is the harness, one world a test:
//
//	w := newWorld(t, 2, 1)        // a ledger with witnesses w1 and w2 (running), of which one must cosign
//	w.start("ledger")             // ready when it has said where it listens; again: on the same port
//	w.submit(7).wantEntry(0)      // POST of manifest 7, which is the same in every world
//	w.copyDir("ledger", "backup") // with permissions, times and dot files
//	w.stop("w2"); w.kill("ledger")
//	w.awaitReady(); w.awaitNotReady("w2")
//
// Every server is a child process that ends with the test. A test that needs another start (a limit,
// a wrapper, a flag) writes it into w.servers["ledger"] before start.
package faults

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// origin of every ledger here.
const origin = "faults.example/ledger"

// patience is how long a condition that must come may take on a busy machine.
const patience = time.Minute

// program is the path of the ledger program, built once by TestMain.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "faults-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "ledger")
		build := exec.Command("go", "build", "-o", program, "../../cmd/ledger")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// world is a ledger, its witnesses and perhaps a TSA, in a directory of its own.
type world struct {
	t       *testing.T
	dir     string
	servers map[string]*server
	policy  *trust.Policy // of the ledger, as a relying party has it
}

// server is a child process that says where it listens.
type server struct {
	wrap    []string // a program and arguments that start it, such as sh -c 'ulimit -n 48; exec "$@"' sh
	args    []string // of the ledger program, without --listen
	env     []string // besides the test's own
	address string   // host:port, kept over restarts since a policy names it
	cmd     *exec.Cmd
}

// newWorld makes a ledger without timestamps, and starts n witnesses, of which quorum must cosign.
// The ledger itself is not started. initArgs go to 'ledger init'.
func newWorld(t *testing.T, n, quorum int, initArgs ...string) *world {
	t.Helper()
	w := emptyWorld(t)
	w.initLedger(n, quorum, append([]string{"--timestamps", "off"}, initArgs...)...)
	return w
}

// newTimestampedWorld is newWorld with a development TSA, running as "tsa", that every entry needs.
func newTimestampedWorld(t *testing.T, n, quorum int, initArgs ...string) *world {
	t.Helper()
	w := emptyWorld(t)
	w.servers["tsa"] = &server{args: []string{"tsa", "serve", w.path("tsa")}}
	w.start("tsa")
	w.initLedger(n, quorum, append([]string{"--tsa", w.url("tsa"), "--tsa-roots", w.path("tsa", "root.pem")}, initArgs...)...)
	return w
}

// emptyWorld skips the short form, and has the test run beside others: it waits most of the time.
func emptyWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts real processes")
	}
	t.Parallel()
	w := &world{t: t, dir: t.TempDir(), servers: map[string]*server{}}
	t.Cleanup(w.end)
	return w
}

// initLedger makes the ledger and its witnesses, and has them know each other.
func (w *world) initLedger(n, quorum int, initArgs ...string) {
	w.t.Helper()
	args := append([]string{"init", w.path("ledger"), "--origin", origin, "--listen", "127.0.0.1:0"}, initArgs...)
	logKey := vkeyIn(w.t, w.run(0, args...))
	var witnesses []trust.PolicyWitness
	for i := range n {
		name := fmt.Sprint("w", i+1)
		out := w.run(0, "witness", "init", w.path(name), "--name", name+".example", "--log", logKey)
		w.servers[name] = &server{args: []string{"witness", "serve", w.path(name)}}
		w.start(name)
		witnesses = append(witnesses, trust.PolicyWitness{Name: name, VKey: vkeyIn(w.t, out), URL: w.url(name)})
	}
	w.writePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: logKey}}, witnesses, quorum))
	w.servers["ledger"] = &server{args: []string{"serve", w.path("ledger"), "--rate", "0"}}
}

// writePolicy replaces the policy of the ledger; a running one does not see it.
func (w *world) writePolicy(text []byte) {
	w.t.Helper()
	policy, err := trust.ParsePolicy(text)
	must(w.t, err)
	must(w.t, os.WriteFile(w.path("ledger", "policy"), text, 0o644))
	w.policy = policy
}

func vkeyIn(t *testing.T, out string) string {
	t.Helper()
	_, vkey, ok := strings.Cut(strings.TrimSpace(out), "vkey: ")
	if !ok {
		t.Fatalf("no vkey in %q", out)
	}
	return vkey
}

func (w *world) path(elem ...string) string {
	return filepath.Join(append([]string{w.dir}, elem...)...)
}
func (w *world) url(name string) string { return "http://" + w.servers[name].address }

// run runs the ledger program to its end, insists on its exit code, and returns stdout.
func (w *world) run(exit int, args ...string) string {
	w.t.Helper()
	c := exec.CommandContext(w.t.Context(), program, args...)
	c.Dir = w.dir
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	cli.EndWithParent(c)
	_ = c.Run() // the exit code says it
	if got := c.ProcessState.ExitCode(); got != exit {
		w.t.Fatalf("ledger %s exited with %d, must be %d:\n%s%s", strings.Join(args, " "), got, exit, &stdout, &stderr)
	}
	return stdout.String()
}

// start runs a server and returns when it has said where it listens.
func (w *world) start(name string) {
	w.t.Helper()
	if err := w.tryStart(name); err != nil {
		w.t.Fatal(err)
	}
}

// tryStart is start for a server that may refuse; the error has what it wrote. The port of a stopped one is
// anybody's who asks the system for any, tests beside this one too: it is tried until it is free again.
func (w *world) tryStart(name string) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := w.startOnce(name)
		if err == nil || !strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) || time.Now().After(deadline) {
			return err
		}
	}
}

func (w *world) startOnce(name string) error {
	s := w.servers[name]
	if s.cmd != nil {
		return fmt.Errorf("%s runs already", name)
	}
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	log, err := os.OpenFile(w.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	from := len(w.log(name))
	line := append(append(append([]string(nil), s.wrap...), program), append(s.args, "--listen", address)...)
	c := exec.Command(line[0], line[1:]...)
	c.Dir, c.Env, c.Stderr = w.dir, append(os.Environ(), s.env...), log
	cli.EndWithParent(c)
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	late := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer late.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if _, at, ok := strings.Cut(lines.Text(), "listening on http://"); ok {
			s.address, s.cmd = at, c
			return nil
		}
	}
	return fmt.Errorf("%s did not start (%w): %s", name, c.Wait(), w.log(name)[from:])
}

// stop ends a server with SIGTERM, and insists that it ends well.
func (w *world) stop(name string) {
	w.t.Helper()
	s := w.servers[name]
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	err := s.cmd.Wait()
	s.cmd = nil
	if err != nil {
		w.t.Errorf("stopping %s: %v\n%s", name, err, w.log(name))
	}
}

// kill is kill -9.
func (w *world) kill(name string) {
	s := w.servers[name]
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// alive tells whether a started server has not ended by itself.
func (w *world) alive(name string) bool {
	s := w.servers[name]
	return s.cmd != nil && s.cmd.Process.Signal(syscall.Signal(0)) == nil
}

// end kills what still runs, and shows the ledger's log if the test failed.
func (w *world) end() {
	for name, s := range w.servers {
		if s.cmd != nil {
			w.kill(name)
		}
	}
	if w.t.Failed() {
		w.t.Logf("log of the ledger:\n%s", w.log("ledger"))
	}
}

// log is all that a server has written to stderr, over restarts.
func (w *world) log(name string) string {
	text, err := os.ReadFile(w.path(name + ".log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Error(err)
	}
	return string(text)
}

// guardInside moves the guard of the ledger into its directory, where it was before releases had it
// beside it: a backup of the one takes the other along.
func (w *world) guardInside() {
	w.t.Helper()
	config := w.path("ledger", "ledger.json")
	text, err := os.ReadFile(config)
	must(w.t, err)
	lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.Contains(line, `"guard"`) })
	text = []byte(strings.Replace(strings.Join(lines, "\n"), "],\n}", "]\n}", 1))
	must(w.t, os.WriteFile(config, text, 0o644))
	must(w.t, os.Rename(w.path("ledger.guard"), w.path("ledger", "guard")))
}

// copyDir copies a directory of the world as a backup does: permissions, times and dot files too.
// What stands at to goes away.
func (w *world) copyDir(from, to string) {
	w.t.Helper()
	must(w.t, os.RemoveAll(w.path(to)))
	if out, err := exec.Command("cp", "-a", w.path(from), w.path(to)).CombinedOutput(); err != nil {
		w.t.Fatalf("cp: %v: %s", err, out)
	}
}

// answer of an HTTP request; status 0 is none, and err says why.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
	err    error
}

func (w *world) ask(method, url string, body []byte, header ...string) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	must(w.t, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{t: w.t, err: err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{w.t, resp.StatusCode, resp.Header, text, err}
}

// get asks the ledger for a path.
func (w *world) get(path string) answer {
	w.t.Helper()
	return w.ask(http.MethodGet, w.url("ledger")+path, nil)
}

// submit posts manifest n; header is a list of names and values.
func (w *world) submit(n int, header ...string) answer {
	w.t.Helper()
	return w.ask(http.MethodPost, w.url("ledger")+"/v1/entries", manifestOf(w.t, n), append([]string{"Content-Type", "application/json"}, header...)...)
}

// want fails the test unless the answer has the status and every word in its body.
func (a answer) want(status int, words ...string) answer {
	a.t.Helper()
	if a.err != nil || a.status != status {
		a.t.Fatalf("status %d, want %d (%v): %s", a.status, status, a.err, a.body)
	}
	for _, word := range words {
		if !bytes.Contains(a.body, []byte(word)) {
			a.t.Errorf("%q is not in %s", word, a.body)
		}
	}
	return a
}

// wantEntry insists on a proof of the entry at index.
func (a answer) wantEntry(index int64) *trust.Proof {
	a.t.Helper()
	if a.err != nil || a.status != http.StatusCreated && a.status != http.StatusOK {
		a.t.Fatalf("status %d, want a proof (%v): %s", a.status, a.err, a.body)
	}
	proof, err := trust.ParseProof(a.body)
	must(a.t, err)
	if proof.Index != index {
		a.t.Fatalf("entry %d, want %d", proof.Index, index)
	}
	return proof
}

// checkpoint is what the ledger publishes, opened as a relying party would.
func (w *world) checkpoint() *trust.Checkpoint {
	w.t.Helper()
	cp, err := w.policy.OpenCheckpoint(w.get("/checkpoint").want(http.StatusOK).body)
	must(w.t, err)
	return cp
}

// awaitCosignatures waits until n witnesses have cosigned what is published.
func (w *world) awaitCosignatures(n int) {
	w.t.Helper()
	w.eventually(fmt.Sprint(n, " cosignatures"), func() bool { return len(w.checkpoint().Cosignatures) == n },
		func() string { return string(w.get("/checkpoint").body) })
}

// awaitReady waits until /readyz answers 200.
func (w *world) awaitReady() {
	w.t.Helper()
	var last answer
	w.eventually("the ledger is ready", func() bool { last = w.get("/readyz"); return last.status == http.StatusOK },
		func() string { return fmt.Sprintf("%d %s", last.status, last.body) })
}

// awaitNotReady waits until /readyz answers 503 with every word.
func (w *world) awaitNotReady(words ...string) {
	w.t.Helper()
	var last answer
	w.eventually("/readyz says "+strings.Join(words, ", "), func() bool {
		last = w.get("/readyz")
		for _, word := range words {
			if !bytes.Contains(last.body, []byte(word)) {
				return false
			}
		}
		return last.status == http.StatusServiceUnavailable
	}, func() string { return fmt.Sprintf("%d %s", last.status, last.body) })
}

// eventually waits for what another process brings about and nobody announces.
func (w *world) eventually(what string, holds func() bool, instead func() string) {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			w.t.Fatalf("never: %s; instead %s", what, instead())
		case <-tick.C:
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type packSigner struct{ key ed25519.PrivateKey }

func (s packSigner) ID() string                      { return "faults" }
func (s packSigner) Public() ed25519.PublicKey       { return s.key.Public().(ed25519.PublicKey) }
func (s packSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// manifest is the pack_manifest.json of a pack of one receipt; each n has another.
func manifestOf(t *testing.T, n int) []byte {
	t.Helper()
	receipt, err := jcs.Parse(fmt.Appendf(nil,
		`{"receipt_id":"r_%d","type":"model_call","timestamp":"2026-01-15T10:00:00.000000+00:00","schema_version":"3.0","seq":0}`, n), jcs.Limits{})
	must(t, err)
	seed := sha256.Sum256([]byte("faults signer"))
	p, err := pack.Build(pack.Spec{RunID: "faults", Receipts: []jcs.Value{receipt},
		Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Signer: packSigner{ed25519.NewKeyFromSeed(seed[:])}})
	must(t, err)
	for _, f := range p.Files {
		if f.Name == "pack_manifest.json" {
			return f.Data
		}
	}
	t.Fatal("the pack has no manifest")
	return nil
}
