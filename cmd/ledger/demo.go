package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
)

func demoCmd(s cmd.Streams) *cobra.Command {
	var o struct {
		assay, dir string
		serve      bool
	}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole chain on this machine, with real parts",
		Long: `demo starts a ledger, a development TSA and three witnesses (two Ed25519, one ML-DSA-44,
two must cosign) on loopback, records a program with 'assay run', anchors its pack, verifies
everything offline with every server stopped, and then tries what an attacker or a bad day
would: a failing check, altered evidence, a duplicate, dead witnesses, a forked log.
It exits 0 only if every step went as it must.`,
		Example: "  ledger demo\n  ledger demo --serve",
		Args:    cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.dir == "" {
				if o.dir, err = os.MkdirTemp("", "ledger-demo-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
			} else if err := emptyOrMissing(o.dir); err != nil {
				return err
			}
			d, err := newDemo(s.Out, o.dir, o.assay)
			if err != nil {
				return err
			}
			defer d.stopAll()
			if err := d.run(c.Context()); err != nil {
				return failed(c.Context(), err)
			}
			if o.serve {
				return d.stay(c.Context())
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.assay, "assay", "", "the assay program (default: beside ledger, else on PATH)")
	c.Flags().StringVar(&o.dir, "dir", "", "directory to keep (default: a temporary one, removed at the end)")
	c.Flags().BoolVar(&o.serve, "serve", false, "keep the servers running afterwards")
	return c
}

// failed is a demo that did not go as it must: a bug, ours or this machine's, never a verdict.
func failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cmd.Unavailable("", "interrupted")
	}
	return &cmd.Error{Code: cmd.ExitInternal, Err: err, Hint: "run 'ledger demo --dir NEWDIR' to keep the logs of the servers"}
}

// demo holds the world of one demonstration: real programs, real files, loopback HTTP.
type demo struct {
	out         io.Writer
	dir         string // everything lives below
	self, assay string // the two programs
	servers     map[string]*server
	steps       int
}

// server is a child process that said where it listens.
type server struct {
	name    string
	args    []string  // of the ledger program, without --listen
	address string    // host:port, kept over restarts
	cmd     *exec.Cmd // nil: not running
}

func newDemo(out io.Writer, dir, assay string) (*demo, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if assay, err = findAssay(assay, filepath.Dir(self)); err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	return &demo{out: out, dir: dir, self: self, assay: assay, servers: map[string]*server{}}, nil
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
		return "", cmd.BadInput("", "--assay: %v", err)
	case err != nil:
		return "", cmd.BadInput("build it with 'make build', or name it with --assay", "the assay program is neither beside ledger nor on PATH")
	}
	return filepath.Abs(path)
}

func (d *demo) path(elem ...string) string { return filepath.Join(append([]string{d.dir}, elem...)...) }

// say prints one line of a step that held.
func (d *demo) say(format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.out, "%2d  %s\n", d.steps, cmd.Safe(fmt.Sprintf(format, args...)))
}

// portPatience bounds how long a server that was stopped is started again while its port is another's.
const portPatience = 20 * time.Second

// start runs a server of the ledger program and waits until it says where it listens. The port of a stopped one
// is anybody's who asks the system for any; mostly that is a connection which ends soon.
func (d *demo) start(ctx context.Context, name string, args ...string) error {
	deadline := time.Now().Add(portPatience)
	for {
		err := d.startOnce(ctx, name, args...)
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

// startOnce is one try of start; syscall.EADDRINUSE if the port is taken.
func (d *demo) startOnce(ctx context.Context, name string, args ...string) error {
	address := "127.0.0.1:0"
	if old := d.servers[name]; old != nil {
		args, address = old.args, old.address // the same port again: the policy names it
	}
	log, err := os.OpenFile(d.path(name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.CommandContext(ctx, d.self, append(args, "--listen", address)...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = 10 * time.Second
	c.Stderr = log
	cmd.EndWithParent(c)
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	s := &server{name: name, args: args, cmd: c}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, address, ok := strings.Cut(lines.Text(), "listening on http://"); ok {
			s.address = address
			break
		}
	}
	if s.address == "" {
		ended := c.Wait()
		text, _ := os.ReadFile(d.path(name + ".log"))
		last := lastLines(text, 2)
		if strings.Contains(last, syscall.EADDRINUSE.Error()) {
			ended = syscall.EADDRINUSE
		}
		return fmt.Errorf("%s did not start (%w): %s", name, ended, last)
	}
	d.servers[name] = s
	return nil
}

// stop ends a server as an operator would, and insists that it ends well.
func (d *demo) stop(name string) error {
	s := d.servers[name]
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
func (d *demo) kill(name string) {
	if s := d.servers[name]; s != nil && s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.ended()
	}
}

// stopAll tells every server to end, and kills those that take their time.
func (d *demo) stopAll() {
	for _, s := range d.servers {
		if s.cmd != nil {
			_ = s.cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	for _, s := range d.servers {
		if s.cmd != nil {
			process := s.cmd.Process // ended forgets s.cmd
			late := time.AfterFunc(5*time.Second, func() { _ = process.Kill() })
			_ = s.ended()
			late.Stop()
		}
	}
}

func (d *demo) url(name string) string { return "http://" + d.servers[name].address }

// program runs one of the two programs and insists on its exit code; it returns stdout.
func (d *demo) program(ctx context.Context, exit int, path string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, path, args...)
	c.Dir = d.dir
	c.Env = append(os.Environ(), "ASSAY_HOME="+d.path("home"), "ASSAY="+d.assay, "NO_COLOR=1")
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	cmd.EndWithParent(c)
	err := c.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return "", err
	}
	if got := c.ProcessState.ExitCode(); got != exit {
		return "", fmt.Errorf("%s %s exited with %d, must be %d: %s%s", filepath.Base(path), args[0], got, exit, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

func (d *demo) stay(ctx context.Context) error {
	fmt.Fprintf(d.out, "serving until ^C:\n")
	for _, name := range []string{"ledger", "tsa", "w1", "w2", "w3"} {
		fmt.Fprintf(d.out, "  %-6s %s\n", name, d.url(name))
	}
	policy, roots := d.policy(), d.path("tsa", "root.pem")
	fmt.Fprintf(d.out, "anchor a pack of your own, and verify it:\n")
	fmt.Fprintf(d.out, "  assay anchor PACK --ledger %s --policy %s\n", d.url("ledger"), policy)
	fmt.Fprintf(d.out, "  assay verify-pack PACK --policy %s --require-anchor --tsa-roots %s\n", policy, roots)
	<-ctx.Done()
	return nil
}

// lastLines joins the last n lines of a text.
func lastLines(text []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
