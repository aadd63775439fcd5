package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
)

// network is a ledger with all that it needs on one machine: a development TSA and three witnesses, two of which
// must cosign. Real programs, real files, HTTP over loopback. The demo and the testnet are made of it.
type network struct {
	dir         string // absolute; every server has the directory of its name below
	self, assay string // the two programs
	domain      string // of the names that its ledger and its witnesses have
	background  bool   // its servers go on when this process has ended
	patience    time.Duration
	servers     map[string]*server
}

// serverNames is the order in which they start: each needs those before it.
var serverNames = []string{"tsa", "w1", "w2", "w3", "ledger"}

// server is a process that said where it listens.
type server struct {
	name    string
	address string    // host:port, kept over restarts
	cmd     *exec.Cmd // nil: this process has not started it, or it has ended
}

func newNetwork(dir, assay, domain string) (*network, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if assay, err = findAssay(assay, filepath.Dir(self)); err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("sh"); err != nil {
		return nil, cli.BadInput("put a POSIX shell on PATH", "the program that is recorded is a script of sh: %v", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	return &network{dir: dir, self: self, assay: assay, domain: domain, patience: portPatience, servers: map[string]*server{}},
		durable.Mkdir(dir, 0o700)
}

// findAssay returns the absolute path of the program: it is run in other directories.
func findAssay(named, beside string) (string, error) {
	path := named
	if path == "" {
		path = filepath.Join(beside, "assay")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			path = "assay"
		}
	} else if !strings.ContainsRune(path, filepath.Separator) {
		path = "." + string(filepath.Separator) + path // a file, as every other flag that names one
	}
	path, err := exec.LookPath(path)
	switch {
	case err != nil && named != "":
		return "", cli.BadInput("", "--assay: %v", err)
	case err != nil:
		return "", cli.BadInput("build it with 'make build', or name it with --assay", "the assay program is neither beside ledger nor on PATH")
	}
	return filepath.Abs(path)
}

func (n *network) path(elem ...string) string {
	return filepath.Join(append([]string{n.dir}, elem...)...)
}

func (n *network) url(name string) string { return "http://" + n.servers[name].address }
func (n *network) policy() string         { return ledgerHome(n.path("ledger")).policy() }
func (n *network) roots() string          { return n.path("tsa", "root.pem") }

// build makes the keys, the log and the policy in an empty directory, and starts the servers.
func (n *network) build(ctx context.Context) error {
	if err := n.start(ctx, "tsa"); err != nil {
		return err
	}
	out, err := n.program(ctx, 0, n.self, "init", n.path("ledger"), "--origin", n.domain+"/ledger",
		"--listen", "127.0.0.1:0", "--tsa", n.url("tsa"), "--tsa-roots", n.roots())
	if err != nil {
		return err
	}
	_, logKey, ok := strings.Cut(out, "log vkey: ")
	if !ok {
		return fmt.Errorf("ledger init printed no vkey: %s", out)
	}
	logKey = strings.TrimSpace(logKey)

	// Witnesses and log name each other: the operators exchange vkeys and URLs.
	var witnesses []trust.PolicyWitness
	for _, w := range [][2]string{{"w1", "ed25519"}, {"w2", "ed25519"}, {"w3", "ml-dsa-44"}} {
		name, algorithm := w[0], w[1]
		out, err := n.program(ctx, 0, n.self, "witness", "init", n.path(name), "--name", name+"."+n.domain, "--algorithm", algorithm, "--log", logKey)
		if err != nil {
			return err
		}
		if err := n.start(ctx, name); err != nil {
			return err
		}
		_, vkey, _ := strings.Cut(strings.TrimSpace(out), "vkey: ")
		witnesses = append(witnesses, trust.PolicyWitness{Name: name, VKey: vkey, URL: n.url(name)})
	}
	policy := trust.FormatPolicy([]trust.PolicyLog{{VKey: logKey}}, witnesses, 2)
	if err := durable.WriteFile(n.policy(), policy, 0o644); err != nil {
		return err
	}
	return n.start(ctx, "ledger")
}

// portPatience bounds how long a server that was stopped is started again while its port is another's.
const portPatience = 20 * time.Second

// start runs a server and waits until it says where it listens. The port of a stopped one
// is anybody's who asks the system for any; mostly that is a connection which ends soon.
func (n *network) start(ctx context.Context, name string) error {
	deadline := time.Now().Add(n.patience)
	for {
		err := n.startOnce(ctx, name)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// serveCommand is the command of the ledger program that serves what it made for name.
func serveCommand(name string) string {
	switch name {
	case "ledger":
		return "serve"
	case "tsa":
		return "tsa serve"
	}
	return "witness serve"
}

// args are those of the ledger program that serve what it made for name.
func (n *network) args(name string) []string {
	return append(strings.Fields(serveCommand(name)), n.path(name), "--listen")
}

// serves: a command line is that of a server of name, in whatever directory its network was when it started.
func serves(command, name string) bool {
	before, _, ok := strings.Cut(command, string(filepath.Separator)+name+" --listen ")
	return ok && strings.Contains(before, " "+serveCommand(name)+" "+string(filepath.Separator))
}

// startOnce is one try of start; syscall.EADDRINUSE if the port is taken.
func (n *network) startOnce(ctx context.Context, name string) error {
	address := "127.0.0.1:0"
	if old := n.servers[name]; old != nil {
		address = old.address // the same port again: the policy names it
	}
	log, err := durable.OpenItself(n.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if none, ok := errors.AsType[*durable.NotRegular](err); ok {
		return cli.BadInput("", "%v", none)
	} else if err != nil {
		return err
	}
	defer log.Close()
	c := n.command(ctx, append(n.args(name), address)...)
	c.Stderr = log
	stdout, err := c.StdoutPipe() // nobody reads on after that one line, and a server says no other there
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	if n.background {
		defer context.AfterFunc(ctx, func() { _ = c.Process.Signal(syscall.SIGTERM) })()
		if err := notePID(n.path(name+".pid"), c.Process.Pid); err != nil {
			_ = c.Process.Kill()
			return errors.Join(err, c.Wait())
		}
	}
	s := &server{name: name, cmd: c}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "listening on http://"); ok {
			s.address = address
			break
		}
	}
	if s.address == "" {
		ended := c.Wait()
		text, _ := os.ReadFile(n.path(name + ".log"))
		last := lastLines(text, 2)
		if strings.Contains(last, syscall.EADDRINUSE.Error()) {
			ended = syscall.EADDRINUSE
		}
		return fmt.Errorf("%s did not start (%w): %s", name, ended, last)
	}
	n.servers[name] = s
	return nil
}

// command is one of the ledger program that ends with ctx and with this process, or with neither.
func (n *network) command(ctx context.Context, args ...string) *exec.Cmd {
	if n.background {
		c := exec.Command(n.self, args...)
		c.Env = environ()
		c.Dir = n.dir                                      // not the one that its caller may want to remove
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no ^C, and no hang-up, of the terminal
		return c
	}
	c := exec.CommandContext(ctx, n.self, args...)
	c.Env = environ()
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	cli.EndWithParent(c)
	return c
}

// stop ends a server as an operator would, and insists that it ends well.
func (n *network) stop(name string) error {
	s := n.servers[name]
	if s == nil || s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	return s.ended()
}

// ended waits for the end of a process that was told to end.
func (s *server) ended() error {
	err := s.cmd.Wait()
	s.cmd = nil
	if err != nil {
		return fmt.Errorf("stopping %s: %w", s.name, err)
	}
	return nil
}

// kill is kill -9.
func (n *network) kill(name string) {
	if s := n.servers[name]; s != nil && s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.ended()
	}
}

// stopAll tells every server to end, and kills those that take their time.
func (n *network) stopAll() {
	for _, s := range n.servers {
		if s.cmd != nil {
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, s := range n.servers {
		if s.cmd != nil {
			process := s.cmd.Process // ended forgets s.cmd
			late := time.AfterFunc(5*time.Second, func() { _ = process.Kill() })
			_ = s.ended()
			late.Stop()
		}
	}
}

// environ is our environment without what is meant for the user's own assay: a key that signs, a home, a mode.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ASSAY_") })
}

// program runs one of the two programs and insists on its exit code; it returns stdout. When ctx ends, so does all that
// the program has started.
func (n *network) program(ctx context.Context, exit int, path string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, path, args...)
	c.Dir = n.dir
	c.Env = append(environ(), "ASSAY_HOME="+n.path("home"), "ASSAY="+n.assay, "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	cli.EndWithParent(c)
	if c.SysProcAttr == nil {
		c.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.SysProcAttr.Setpgid = true
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second // also of one that has left the group and holds stdout
	err := c.Run()
	if ctx.Err() != nil && c.Process != nil {
		_ = cli.EndGroup(c.Process) // who would not end; an orphan keeps its group's number
	}
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return "", err
	}
	if got := c.ProcessState.ExitCode(); got != exit {
		return "", fmt.Errorf("%s %s exited with %d, must be %d: %s%s", filepath.Base(path), args[0], got, exit, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

// record runs the agent under assay run and returns the pack directory.
func (n *network) record(ctx context.Context, exit int, name, card string) (string, error) {
	packDir := n.path(name)
	_, err := n.program(ctx, exit, n.assay, "run", "-c", card, "-o", packDir, "--", "sh", "-c", demoAgent, "agent", filepath.Base(name))
	return packDir, err
}

func (n *network) anchorPack(ctx context.Context, exit int, packDir string, more ...string) error {
	args := append([]string{"anchor", packDir, "--ledger", n.url("ledger"), "--policy", n.policy()}, more...)
	_, err := n.program(ctx, exit, n.assay, args...)
	return err
}

// demoAgent is an "AI program" that does its work and says so, as real ones do
// through an SDK. "$ASSAY emit" finds the run by ASSAY_TRACE_ID.
const demoAgent = `set -eu
"$ASSAY" emit model_call --data '{"provider":"demo","model_id":"demo-1","input_tokens":12,"output_tokens":7,"total_tokens":19}'
"$ASSAY" emit capability_use --data '{"capability":"read_file","target":"invoice.txt"}'
"$ASSAY" emit model_call --data '{"provider":"demo","model_id":"demo-1","input_tokens":40,"output_tokens":9,"total_tokens":49,"note":"'"$1"'"}'
`

// lastLines joins the last n lines of a text.
func lastLines(text []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
