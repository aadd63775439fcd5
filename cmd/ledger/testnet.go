package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
)

// A testnet directory, readable by its owner alone:
//
//	testnet            what the directory is; the first file in it
//	servers            NAME HOST:PORT of each server; written when everything was made, so it says that too
//	policy, roots.pem  what users of the ledger need: copies of ledger/policy and tsa/root.pem
//	env                the same and the addresses as variables of a shell
//	w1.witness …       what each witness gives to the operator of a log
//	sample/            a pack of somebody else, with the lock that it is held to
//	ledger/ ledger.guard/ tsa/ w1/ w2/ w3/   the servers' own directories
//	NAME.pid NAME.log  of the servers; home/ is the home of who made the sample
//
// The directory itself is locked (flock) while a command changes it.

const testnetMark = "A ledger for trying things out, made by 'ledger testnet up'. Its keys vouch for nothing;\n" +
	"after 'ledger testnet down' the whole directory may be deleted.\n"

func testnetCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "testnet",
		Short: "Keep a ledger, a TSA and three witnesses running on this machine, to try things out",
		Long: `testnet keeps the servers of the demo running in the background, on loopback only: a ledger, a development
TSA and three witnesses, of which two must cosign. All of it is in one directory, and one person holds all the keys:
it shows how everything works, and vouches for nothing.`,
		Example: "  ledger testnet up ./net\n  ledger testnet status ./net\n  ledger testnet down ./net",
	}
	c.AddCommand(testnetUpCmd(s), testnetStatusCmd(s), testnetDownCmd(s))
	return c
}

func testnetUpCmd(s cli.Streams) *cobra.Command {
	var assay string
	c := &cobra.Command{
		Use:   "up DIR",
		Short: "Start what does not run, or make it all",
		Long: `up starts the servers that do not run. The first time it makes them: keys, an empty log, the policy, the root
of the TSA, and a sample pack. After 'down', a crash or kill -9 they go on with the same keys, the same log and, if
nobody else has taken them meanwhile, the same ports. It prints where everything is.`,
		Example: "  ledger testnet up ./net\n  . ./net/env",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := newTestnet(args[0], assay)
			if err != nil {
				return err
			}
			unlock, err := lockDir(c.Context(), n.dir)
			if err != nil {
				return err
			}
			defer unlock()
			ctx := c.Context()
			if !signal.Ignored(syscall.SIGHUP) { // a terminal that closes is as good as ^C; nohup is no less than it was
				var stop func()
				ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
				defer stop()
			}
			if err := n.up(ctx); err != nil {
				return err
			}
			return n.tell(s, args[0])
		},
	}
	c.Flags().StringVar(&assay, "assay", "", "the assay program, which makes the sample (default: beside ledger, else on PATH)")
	return c
}

func testnetDownCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "down DIR",
		Short: "End the servers; what they know stays",
		Long: `down ends the servers that 'up' has started in DIR, and no other process: each is known by its number and by
when it began.`,
		Example: "  ledger testnet down ./net",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := openTestnet(args[0])
			if err != nil {
				return err
			}
			unlock, err := lockDir(c.Context(), n.dir)
			if err != nil {
				return err
			}
			defer unlock()
			ended, err := n.down()
			for _, name := range ended {
				fmt.Fprintf(s.Out, "ended %s\n", name)
			}
			if err == nil && len(ended) == 0 {
				_, err = fmt.Fprintln(s.Out, "nothing was running")
			}
			return err
		},
	}
}

func testnetStatusCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "status DIR",
		Short: "Tell of each server whether it runs; exit 4 if one is away",
		Long: `status tells of each server where it is and whether it answers, and of the ledger whether it takes entries
now. If one of them does not, it exits 4.`,
		Example: "  ledger testnet status ./net",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := openTestnet(args[0])
			if err != nil {
				return err
			}
			if n.servers, err = readServers(n.path("servers")); errors.Is(err, fs.ErrNotExist) {
				return cli.BadInput("make it with 'ledger testnet up "+args[0]+"'", "the testnet in %s was never finished", args[0])
			} else if err != nil {
				return err
			}
			var away []string
			var unreadable []error // pid files, with which 'up' could not go on either
			for _, name := range slices.Backward(serverNames) {
				p, err := n.running(name)
				state, good := n.state(c.Context(), name, p)
				if err != nil {
					state = err.Error()
					unreadable = append(unreadable, err)
				} else if !good {
					away = append(away, name)
				}
				address := "-"
				if s := n.servers[name]; s != nil {
					address = n.url(name)
				}
				if _, err := fmt.Fprintf(s.Out, "%-6s  %-24s  %s\n", name, address, terminal.Safe(state)); err != nil {
					return err
				}
			}
			if len(unreadable) > 0 {
				return errors.Join(unreadable...)
			}
			if len(away) > 0 {
				return cli.Unavailable("ledger testnet up "+args[0], "not as it should be: %s", strings.Join(away, ", "))
			}
			return nil
		},
	}
}

var errNoDirectory = cli.BadInput("", "a testnet is in a directory, and the one named is empty text")

// newTestnet is the network of a directory, which may have to be made. Whether it may be a testnet is asked under
// the lock.
func newTestnet(path, assay string) (*network, error) {
	if path == "" { // which would be the current directory
		return nil, errNoDirectory
	}
	n, err := newNetwork(path, assay, "testnet.example")
	if err != nil {
		return nil, err
	}
	n.background, n.patience = true, time.Second
	return n, nil
}

// openTestnet is the network of a directory that is a testnet.
func openTestnet(path string) (*network, error) {
	if path == "" {
		return nil, errNoDirectory
	}
	if _, err := os.Lstat(path); err != nil {
		return nil, err
	}
	if entries, err := os.ReadDir(path); err != nil {
		return nil, err
	} else if len(entries) == 0 {
		return nil, cli.BadInput("make one with 'ledger testnet up DIR'", "%s is no testnet: it is empty", path)
	}
	if err := mayBeTestnet(path); err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(path)
	return &network{dir: dir, background: true, servers: map[string]*server{}}, err
}

// mayBeTestnet refuses to work in a directory of another user or of somebody else's things, or one that others can
// read: what stands in a testnet is believed, and its servers are started.
func mayBeTestnet(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return cli.BadInput("choose a directory of your own", "%s belongs to another user (uid %d)", path, owner)
	}
	mark, err := cli.ReadFile(filepath.Join(path, "testnet"), 4<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return emptyOrMissing(path)
	case err != nil:
		return err
	case string(mark) != testnetMark:
		return cli.BadInput("choose a new directory", "%s is no testnet: its file testnet says something else", path)
	case info.Mode().Perm()&0o077 != 0:
		return cli.BadInput("chmod 700 "+path, "%s is open to others (mode %04o)", path, info.Mode().Perm())
	}
	return nil
}

// up makes everything run, or ends what it has started. Its caller holds the lock.
func (n *network) up(ctx context.Context) (err error) {
	defer func() {
		if err == nil {
			return
		}
		for name, s := range n.servers {
			if s.cmd != nil {
				_, failed := n.end(name)
				err = errors.Join(err, failed)
			}
		}
		err = n.failed(ctx, err)
	}()
	if err := mayBeTestnet(n.dir); err != nil {
		return err
	}
	if n.servers, err = readServers(n.path("servers")); errors.Is(err, fs.ErrNotExist) {
		n.servers = map[string]*server{}
		return n.make(ctx)
	} else if err != nil {
		return err
	}
	if err := n.startAll(ctx); err != nil {
		return err
	}
	if err := n.writeFiles(); err != nil { // with the ports of today
		return err
	}
	return n.ready(ctx)
}

// failed is an up that did not go as it must. Of our own programs it is a bug, ours or this machine's.
func (n *network) failed(ctx context.Context, err error) error {
	var told *cli.Error
	var path *fs.PathError
	switch {
	case ctx.Err() != nil:
		return cli.Unavailable("", "interrupted")
	case errors.As(err, &told), errors.As(err, &path):
		return err
	}
	return &cli.Error{Code: cli.ExitInternal, Err: err, Hint: "what the servers said is in " + n.path("NAME.log")}
}

// make makes everything anew. Where an earlier one was interrupted it takes away what that has left: nobody was
// told of it.
func (n *network) make(ctx context.Context) error {
	if err := os.Chmod(n.dir, 0o700); err != nil { // it was there, and empty
		return err
	}
	if err := durable.WriteFile(n.path("testnet"), []byte(testnetMark), 0o644); err != nil {
		return err
	}
	if _, err := n.down(); err != nil {
		return err
	}
	for _, name := range append([]string{"ledger.guard", "sample", "home", ".assay"}, serverNames...) {
		if err := os.RemoveAll(n.path(name)); err != nil {
			return err
		}
	}
	if err := n.build(ctx); err != nil {
		return err
	}
	if err := n.ready(ctx); err != nil {
		return err
	}
	if err := n.makeSample(ctx); err != nil {
		return err
	}
	return n.writeFiles()
}

// makeSample records a pack, logs it, and writes the lock that it is held to.
func (n *network) makeSample(ctx context.Context) error {
	if err := durable.Mkdir(n.path("sample"), 0o700); err != nil {
		return err
	}
	p, err := n.record(ctx, 0, filepath.Join("sample", "pack"), "receipt_completeness")
	if err != nil {
		return err
	}
	if err := n.anchorPack(ctx, 0, p); err != nil {
		return err
	}
	if _, err := n.program(ctx, 0, n.assay, "lock", "init", "--from-pack", p, "--pin-signer", "-o", n.path("sample", "assay.lock")); err != nil {
		return err
	}
	for _, made := range []string{filepath.Join(p, "pack_manifest.json"), filepath.Join(p, "_unsigned", "anchor.tlog-proof"), n.path("sample", "assay.lock")} {
		if _, err := os.Stat(made); err != nil {
			return cli.BadInput("name the assay program with --assay", "%s exits 0, and has not made %s", n.assay, made)
		}
	}
	return nil
}

// startAll starts what does not run. A server whose port is another's by now gets a new one.
func (n *network) startAll(ctx context.Context) error {
	for _, name := range serverNames {
		p, err := n.running(name)
		if err != nil {
			return err
		}
		if name == "ledger" {
			moved, err := n.readdress()
			if err != nil {
				return err
			}
			if p != nil && moved { // it reads their addresses when it starts
				if _, err := n.end(name); err != nil {
					return err
				}
				p = nil
			}
		}
		if p != nil {
			continue
		}
		err = n.start(ctx, name)
		if errors.Is(err, syscall.EADDRINUSE) {
			delete(n.servers, name)
			err = n.start(ctx, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readdress writes where the others are into what the ledger reads when it starts, and says whether something else
// stood there. A witness stands in the policy, at the end of its line, the TSA in ledger.json, in quotes.
func (n *network) readdress() (moved bool, err error) {
	ledger := ledgerHome(n.path("ledger"))
	policy, err := readPolicy(ledger.policy())
	if err != nil {
		return false, err
	}
	for _, w := range policy.Witnesses() {
		if n.servers[w.Name] != nil && w.URL != n.url(w.Name) && w.URL != "" {
			moved = true
			if err := replaceIn(ledger.policy(), w.VKey+" "+w.URL+"\n", w.VKey+" "+n.url(w.Name)+"\n"); err != nil {
				return false, err
			}
		}
	}
	conf, err := readConfig(ledger)
	if err != nil {
		return false, err
	}
	if len(conf.TSA) == 1 && conf.TSA[0] != n.url("tsa") {
		moved = true
		err = replaceIn(ledger.config(), `"`+conf.TSA[0]+`"`, `"`+n.url("tsa")+`"`)
	}
	return moved, err
}

// writeFiles writes what users need, and at last the file that says that everything is there.
func (n *network) writeFiles() error {
	policy, err := readPolicy(n.policy())
	if err != nil {
		return err
	}
	roots, err := readRoots(n.roots())
	if err != nil {
		return err
	}
	files := map[string][]byte{"policy": policy.Text(), "roots.pem": roots.PEM(), "env": n.env()}
	for _, w := range policy.Witnesses() {
		line, err := witnessLine(w.Name, w.VKey, w.URL)
		if err != nil {
			return err
		}
		if slices.Contains(serverNames, w.Name) { // and no other name, whatever a policy has by now
			files[w.Name+".witness"] = []byte(line)
		}
	}
	for name, text := range files {
		if err := durable.WriteFile(n.path(name), text, 0o644); err != nil {
			return err
		}
	}
	var list bytes.Buffer
	for _, name := range serverNames {
		fmt.Fprintf(&list, "%s %s\n", name, n.servers[name].address)
	}
	return durable.WriteFile(n.path("servers"), list.Bytes(), 0o644)
}

// readServers reads the addresses: each server once, on loopback, in the order in which they are written.
func readServers(path string) (map[string]*server, error) {
	text, err := cli.ReadFile(path, 4<<10)
	if err != nil {
		return nil, err
	}
	servers := map[string]*server{}
	lines := strings.Split(string(text), "\n")
	for i, name := range serverNames {
		address, ok := strings.CutPrefix(lines[min(i, len(lines)-1)], name+" ")
		at, err := netip.ParseAddrPort(address)
		if !ok || err != nil || !at.Addr().IsLoopback() || len(lines) != len(serverNames)+1 {
			return nil, cli.BadInput("", "%s: line %d is not %q and an address on loopback", path, i+1, name)
		}
		servers[name] = &server{name: name, address: address}
	}
	return servers, nil
}

// env is what a shell reads with ". DIR/env".
func (n *network) env() []byte {
	var b bytes.Buffer
	for _, v := range [][2]string{
		{"LEDGER", n.url("ledger")}, {"TSA", n.url("tsa")},
		{"POLICY", n.path("policy")}, {"ROOTS", n.path("roots.pem")}, {"SAMPLE", n.path("sample")},
	} {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return b.Bytes()
}

// ready waits until the ledger takes entries: it asks its witnesses first.
func (n *network) ready(ctx context.Context) error {
	if _, err := awaitReady(ctx, n.url("ledger")+"/readyz", 5*time.Second, 30*time.Second); err != nil {
		return cli.Unavailable("look into ledger.log", "the ledger is not ready: %w", err)
	}
	return nil
}

// down ends every server that is ours, and says which. One that it cannot end does not save the others.
func (n *network) down() (ended []string, err error) {
	var failed []error
	for _, name := range slices.Backward(serverNames) {
		ran, err := n.end(name)
		if err != nil {
			failed = append(failed, err)
		} else if ran {
			ended = append(ended, name)
		}
	}
	return ended, errors.Join(failed...)
}

// running is the process of the pid file of a server, nil unless it is that server and runs as this user.
func (n *network) running(name string) (*notedProcess, error) {
	p, err := readPID(n.path(name + ".pid"))
	if err != nil || p == nil {
		return nil, err
	}
	uid, command, err := processCommand(p.process.Pid)
	if err != nil || uid != os.Geteuid() || !serves(command, name) {
		return nil, err
	}
	return p, nil
}

// end ends the process of a pid file, if it is that, and takes the file away. It says whether there was one.
func (n *network) end(name string) (ran bool, err error) {
	p, err := n.running(name)
	if err != nil {
		return false, err
	}
	if p != nil {
		if err := p.end(endPatience); err != nil {
			return true, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := os.Remove(n.path(name + ".pid")); !errors.Is(err, fs.ErrNotExist) {
		return p != nil, err
	}
	return p != nil, nil
}

// endPatience is more than a server takes that ends well. One that is killed loses nothing either.
const endPatience = 10 * time.Second

// state says in words how a server is whose process is p, nil if it has none, and whether that is well.
func (n *network) state(ctx context.Context, name string, p *notedProcess) (string, bool) {
	switch {
	case p == nil:
		return "away", false
	case n.servers[name] == nil:
		return "starting", false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if name == "ledger" {
		if _, err := askReady(ctx, n.url(name)+"/readyz"); err != nil {
			return fmt.Sprintf("process %d: %v", p.process.Pid, err), false
		}
		return fmt.Sprintf("takes entries (process %d)", p.process.Pid), true
	}
	if err := answers(ctx, n.url(name)); err != nil {
		return fmt.Sprintf("process %d does not answer: %v", p.process.Pid, err), false
	}
	return fmt.Sprintf("answers (process %d)", p.process.Pid), true
}

// answers: whatever is said there, somebody speaks HTTP.
func answers(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// tell prints where everything is, under the name that the caller has for the directory.
func (n *network) tell(s cli.Streams, named string) error {
	at := func(elem ...string) string { return shellWord(filepath.Join(append([]string{named}, elem...)...)) }
	var b strings.Builder
	for _, name := range slices.Backward(serverNames) {
		fmt.Fprintf(&b, "%-6s  %s\n", name, n.url(name))
	}
	fmt.Fprintf(&b, "policy  %s  whom you trust here: the log's key, its witnesses, the quorum\n", at("policy"))
	fmt.Fprintf(&b, "roots   %s  the certificate that its timestamps chain to\n", at("roots.pem"))
	fmt.Fprintf(&b, "sample  %s  a pack that somebody else made, %s the lock that it is held to\n", at("sample", "pack"), at("sample", "assay.lock"))
	trusting := "--policy " + at("policy") + " --tsa-roots " + at("roots.pem")
	fmt.Fprintf(&b, "\nassay verify-pack %s --strict --lock %s %s\n", at("sample", "pack"), at("sample", "assay.lock"), trusting)
	fmt.Fprintf(&b, "assay anchor PACK --ledger %s %s\n", n.url("ledger"), trusting)
	fmt.Fprintf(&b, ". %s\n", at("env"))
	fmt.Fprintf(&b, "ledger testnet down %s\n", shellWord(named))
	_, err := s.Out.Write([]byte(b.String()))
	return err
}

// shellWord is text as a shell reads it back, and a terminal shows it.
func shellWord(text string) string {
	text = terminal.Safe(text)
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-+=:@,") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
