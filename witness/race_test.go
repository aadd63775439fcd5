package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	"github.com/Haserjian/assay-ledger/witness"
	"golang.org/x/mod/sumdb/tlog"
)

// success is a 200 as its client saw it.
type success struct {
	old, new int64
	root     tlog.Hash
	at       time.Time
}

// checkHistory is the judge of every test below (WIT-18): successes form
// one chain. With gaps, some answers never arrived, and the chain may miss links.
func checkHistory(history []success, gaps bool) error {
	roots := map[int64]tlog.Hash{}
	var steps []success
	for _, s := range history {
		if root, ok := roots[s.new]; ok && root != s.root {
			return fmt.Errorf("size %d was cosigned with two roots", s.new)
		}
		roots[s.new] = s.root
		if s.new > s.old {
			steps = append(steps, s)
		}
	}
	slices.SortFunc(steps, func(a, b success) int { return int(a.old - b.old) })
	for i := 1; i < len(steps); i++ {
		before, after := steps[i-1], steps[i]
		switch {
		case after.old < before.new:
			return fmt.Errorf("%d to %d and %d to %d were both cosigned", before.old, before.new, after.old, after.new)
		case after.old > before.new && !gaps:
			return fmt.Errorf("nothing was cosigned between %d and %d", before.new, after.old)
		case after.at.Before(before.at):
			return fmt.Errorf("size %d was cosigned at %v, size %d at %v", before.new, before.at, after.new, after.at)
		}
	}
	if len(steps) > 0 && steps[0].old != 0 && !gaps {
		return fmt.Errorf("the first step is from %d", steps[0].old)
	}
	return nil
}

func TestTheHistoryCheckerFindsWhatItShould(t *testing.T) {
	a, b := tlog.Hash{1}, tlog.Hash{2}
	at := trusttest.Time
	good := []success{{0, 3, a, at}, {3, 3, a, at}, {3, 5, b, at}}
	if err := checkHistory(good, false); err != nil {
		t.Error(err)
	}
	for name, history := range map[string][]success{
		"two roots":      append(good, success{3, 5, a, at}),
		"same step":      append(good, success{3, 6, a, at}),
		"overlap":        append(good, success{2, 4, a, at}),
		"rollback":       append(good, success{0, 2, a, at}),
		"refreshed":      append(good, success{3, 3, b, at}),
		"gap":            append(good, success{6, 7, a, at}),
		"no start":       {{1, 2, a, at}},
		"time goes back": append(good, success{5, 6, a, at.Add(-1)}),
	} {
		if checkHistory(history, false) == nil {
			t.Errorf("%s was not found", name)
		}
	}
}

// client talks to a witness, keeps the successes, and knows where it last stood.
type client struct {
	http    *http.Client
	url     string
	checks  *trust.Policy
	size    int64 // as the witness last said
	history []success
}

// add sends the request and returns the status; 0 if no answer arrived.
func (c *client) add(ctx context.Context, r trust.AddCheckpoint) (int, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+"/add-checkpoint", bytes.NewReader(r.Marshal()))
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	switch resp.StatusCode {
	case http.StatusOK:
		cp, err := c.checks.OpenCheckpoint(append(bytes.Clone(r.Checkpoint), body...))
		if err != nil {
			return 0, fmt.Errorf("answer %q: %w", body, err)
		}
		c.history = append(c.history, success{r.OldSize, cp.Size, cp.Root, cp.Cosignatures[0].Time})
		c.size = cp.Size
	case http.StatusConflict:
		if c.size, err = strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64); err != nil {
			return 0, err
		}
	}
	return resp.StatusCode, nil
}

// WIT-18
func TestOf32RacingUpdatesOneIsCosigned(t *testing.T) {
	for name, open := range stores {
		for _, processes := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", name, processes), func(t *testing.T) {
				store := open(t)
				var servers []*httptest.Server
				var w *world
				for range processes {
					w = newWorld(t, func(c *witness.Config) { c.Store = store })
					server := httptest.NewServer(w.witness.Handler())
					defer server.Close()
					servers = append(servers, server)
				}
				log := newLog(origin, 40)
				var history []success
				size := int64(0)
				for round := range 5 {
					clients := make([]client, 32)
					var wg sync.WaitGroup
					var cosigned, conflicts atomic.Int32
					for i := range clients {
						clients[i] = client{http: servers[i%processes].Client(), url: servers[i%processes].URL, checks: w.checks}
						wg.Go(func() {
							status, err := clients[i].add(t.Context(), request(log, size, size+1+int64(i%7)))
							switch {
							case err != nil:
								t.Error(err)
							case status == http.StatusOK:
								cosigned.Add(1)
							case status == http.StatusConflict:
								conflicts.Add(1)
							default:
								t.Errorf("status %d", status)
							}
						})
					}
					wg.Wait()
					if cosigned.Load() != 1 || conflicts.Load() != 31 {
						t.Fatalf("round %d: %d cosigned, %d conflicts; want 1 and 31", round, cosigned.Load(), conflicts.Load())
					}
					for _, c := range clients {
						history = append(history, c.history...)
					}
					size = history[len(history)-1].new
				}
				if err := checkHistory(history, false); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Honest, forking and stale clients at once, over two witnesses on one store.
// WIT-18
func TestWhatIsCosignedIsOneChainWhateverTheClientsDo(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			log := newLog(origin, 300)
			other := fork(log, 20, 300)
			var clients []*client
			var w *world
			for range 2 {
				w = newWorld(t, func(c *witness.Config) { c.Store = store })
				server := httptest.NewServer(w.witness.Handler())
				defer server.Close()
				for range 8 {
					clients = append(clients, &client{http: server.Client(), url: server.URL, checks: w.checks})
				}
			}
			var wg sync.WaitGroup
			for i, c := range clients {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(i)))
					for range 60 {
						if err := c.step(t.Context(), random, log, other); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			var history []success
			for _, c := range clients {
				history = append(history, c.history...)
			}
			if len(history) < 20 {
				t.Fatalf("only %d successes: nothing was tested", len(history))
			}
			if err := checkHistory(history, false); err != nil {
				t.Error(err)
			}
			if err := onOneBranch(history, log, other); err != nil {
				t.Error(err)
			}
			last := slices.MaxFunc(history, func(a, b success) int { return int(a.new - b.new) })
			cp, err := w.checks.OpenCheckpoint(w.stored(t))
			if err != nil || cp.Size != last.new || cp.Root != last.root {
				t.Errorf("stored %+v, %v; the last success was %+v", cp, err, last)
			}
		})
	}
}

// step does one thing that a client might: mostly honest.
func (c *client) step(ctx context.Context, random *rand.Rand, log, other *trusttest.Log) error {
	from := log
	if random.IntN(3) == 0 {
		from = other
	}
	old := c.size
	if random.IntN(5) == 0 {
		old = random.Int64N(old + 1) // stale
	}
	size := min(old+random.Int64N(3), from.Size())
	status, err := c.add(ctx, request(from, old, size))
	// 503 is "come back": on a busy machine a store keeps changing, or makes one wait too long.
	if err == nil && !slices.Contains([]int{0, 200, 409, 422, 503}, status) {
		err = fmt.Errorf("status %d", status)
	}
	return err
}

// onOneBranch says whether all roots are of one of the two logs.
func onOneBranch(history []success, logs ...*trusttest.Log) error {
	for _, log := range logs {
		if !slices.ContainsFunc(history, func(s success) bool { return s.root != log.Root(s.new) }) {
			return nil
		}
	}
	return errors.New("both branches of a fork were cosigned")
}

const crashStore = "WITNESS_TEST_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashStore); path != "" {
		if err := serveUntilKilled(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crashLogs are followed by the witness process.
func crashLogs() (logs, forks []*trusttest.Log, policy *trust.Policy) {
	var lines []trust.PolicyLog
	for i := range 3 {
		log := newLog(fmt.Sprintf("crash.example/%d", i), 2000)
		logs = append(logs, log)
		forks = append(forks, fork(log, 100, 2000))
		lines = append(lines, trust.PolicyLog{VKey: log.Signer.VKey()})
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy(lines, nil, 0))
	if err != nil {
		panic(err)
	}
	return logs, forks, policy
}

// serveUntilKilled is the witness process: it prints its address and serves.
func serveUntilKilled(path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	store, err := witness.OpenSQLite(path)
	if err != nil {
		return err
	}
	defer store.Close()
	_, _, policy := crashLogs()
	w, err := witness.New(witness.Config{Policy: policy, Cosigners: []*trust.Cosigner{edKey.Cosigner}, Store: store})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	return serve.HTTP(ctx, ln, w.Handler(), nil, serve.Limits{})
}

// TestNothingCosignedIsForgottenWhenKilled kills the process under load, and
// looks after each restart for every signature that was received (WIT-22).
// WIT-22
func TestNothingCosignedIsForgottenWhenKilled(t *testing.T) {
	kills := 10
	if testing.Short() {
		kills = 3
	}
	path := filepath.Join(t.TempDir(), "witness.db")
	logs, forks, _ := crashLogs()
	random := rand.New(rand.NewPCG(2026, 1))
	histories := make([][]success, len(logs))
	for kill := range kills + 1 {
		process := startWitness(t, path)
		for i, log := range logs {
			if err := storedIsNotBehind(t, process.url, log, histories[i]); err != nil {
				t.Fatalf("after kill %d: %v", kill, err)
			}
		}
		if kill == kills {
			process.kill(t)
			break
		}
		for i, history := range killUnderLoad(t, process, 20+random.Int64N(60), logs, forks) {
			histories[i] = append(histories[i], history...)
		}
	}
	for i, history := range histories {
		if len(history) < kills {
			t.Errorf("log %d: only %d successes", i, len(history))
		}
		if err := checkHistory(history, true); err != nil {
			t.Errorf("log %d: %v", i, err)
		}
		if err := onOneBranch(history, logs[i], forks[i]); err != nil {
			t.Errorf("log %d: %v", i, err)
		}
	}
}

type process struct {
	url string
	cmd *exec.Cmd
}

func startWitness(t *testing.T, path string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashStore+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cmd.Wait()
		t.Fatalf("the witness process did not start: %v", err)
	}
	return &process{"http://" + strings.TrimSpace(address), cmd}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	p.cmd.Wait() // says "killed"
}

// killUnderLoad lets four clients a log work until so many successes, kills, and returns what they saw.
func killUnderLoad(t *testing.T, p *process, after int64, logs, forks []*trusttest.Log) [][]success {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	defer transport.CloseIdleConnections()
	var successes atomic.Int64
	var once sync.Once
	dead := make(chan bool)
	clients := make([][]*client, len(logs))
	var wg sync.WaitGroup
	for i, log := range logs {
		for j := range 4 {
			c := &client{http: &http.Client{Transport: transport}, url: p.url, checks: trusttest.Policy(log, []*trusttest.Witness{edKey}, 1)}
			clients[i] = append(clients[i], c)
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(after), uint64(i*4+j)))
				for {
					select {
					case <-dead:
						return
					default:
					}
					before := len(c.history)
					if err := c.step(t.Context(), random, log, forks[i]); err != nil {
						t.Error(err)
					}
					if successes.Add(int64(len(c.history)-before)) >= after {
						once.Do(func() { p.kill(t); close(dead) })
					}
				}
			})
		}
	}
	wg.Wait()
	histories := make([][]success, len(logs))
	for i := range clients {
		for _, c := range clients[i] {
			histories[i] = append(histories[i], c.history...)
		}
	}
	return histories
}

// storedIsNotBehind compares what the witness serves with every success so far.
func storedIsNotBehind(t *testing.T, url string, log *trusttest.Log, history []success) error {
	t.Helper()
	got := send(t, http.DefaultClient, "GET", url+"/"+hashOf(log.Signer.Origin())+"/checkpoint", nil)
	if got.status == http.StatusNotFound && len(history) == 0 {
		return nil
	}
	cp, err := trusttest.Policy(log, []*trusttest.Witness{edKey}, 1).OpenCheckpoint([]byte(got.body))
	if err != nil {
		return fmt.Errorf("%d %q: %w", got.status, got.body, err)
	}
	for _, s := range history {
		if s.new > cp.Size || s.new == cp.Size && s.root != cp.Root {
			return fmt.Errorf("size %d is stored, size %d was cosigned", cp.Size, s.new)
		}
	}
	return nil
}
