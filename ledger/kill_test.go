package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/ledger/index"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

// childEnv tells a copy of the test program to be a ledger in a directory.
const childEnv = "LEDGER_TEST_CHILD"

// The child adds manifests until it is killed, and prints each index that it was
// given: "<manifest> <index> <size>". Eight adders, so that batches are under way.
func TestChild(t *testing.T) {
	var dir string
	var first int
	if _, err := fmt.Sscanf(os.Getenv(childEnv), "%d %s", &first, &dir); err != nil {
		t.Skip("only as a child of TestKilledAtAnyMomentTheLogKeepsWhatItPromised")
	}
	w := &world{t: t, dir: dir, cfg: quietConfig(t, dir)}
	x, err := index.Open(dir+"/index", testOrigin)
	must(t, err)
	w.cfg.Index = x
	l, err := Open(context.Background(), w.cfg)
	if err != nil {
		fmt.Println("refused", err)
		return
	}
	var out sync.Mutex
	var wg sync.WaitGroup
	for adder := range 8 {
		wg.Go(func() {
			for i := first + adder; i < first+manifestsALife; i += 8 {
				a, err := l.Add(context.Background(), manifestOf(t, i), entry.Source{})
				if err != nil {
					fmt.Println("error", i, err)
					return
				}
				cp, err := w.cfg.Policy.CheckProof(a.Proof, a.Entry.Leaf)
				if err != nil {
					fmt.Println("error", i, err)
					return
				}
				out.Lock()
				fmt.Printf("logged %d %d %d %v\n", i, a.Entry.Index, cp.Size, cp.Root)
				out.Unlock()
			}
		})
	}
	wg.Wait()
	fmt.Println("done")
}

const manifestsALife = 100

func quietConfig(t *testing.T, dir string) Config {
	t.Helper()
	skey, vkey, err := trust.GenerateKey(seed("log"), testOrigin, trust.Ed25519)
	must(t, err)
	signer, err := trust.NewLogSigner(skey)
	must(t, err)
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: testOrigin, VKey: vkey}}, nil, 0))
	must(t, err)
	return Config{Dir: dir + "/log", GuardDir: dir + "/guard", Signer: signer, Policy: policy,
		Timestamps: TimestampsOff, Interval: 5 * time.Millisecond, BatchAge: time.Millisecond}
}

// STO-36, STO-38
func TestKilledAtAnyMomentTheLogKeepsWhatItPromised(t *testing.T) {
	kills := 12
	if testing.Short() {
		kills = 4
	}
	dir := t.TempDir()
	w := &world{t: t, dir: dir, cfg: quietConfig(t, dir)}
	must(t, Create(t.Context(), w.cfg))
	random := rand.New(rand.NewPCG(7, 7))
	promised := map[int]int64{}                                  // manifest to index
	checkpoints := map[int64]string{0: trust.EmptyRoot.String()} // size to root
	for kill := range kills {
		// Some of the last life's manifests again, and new ones.
		runChild(t, dir, kill*20, 10+random.IntN(50), promised, checkpoints)
		l := w.open()
		for i, at := range promised {
			if a := w.add(i); a.New || a.Entry.Index != at {
				t.Fatalf("kill %d: manifest %d was promised at %d, is at %d, new %v", kill, i, at, a.Entry.Index, a.New)
			}
		}
		now, err := l.store.treeState()
		must(t, err)
		for size, root := range checkpoints {
			if got, err := l.store.rootOf(size, now.Size); err != nil || got.String() != root {
				t.Fatalf("kill %d: size %d had root %s, has %v, %v", kill, size, root, got, err)
			}
		}
		kept := map[int64]string{}
		for _, note := range w.history(0) {
			cp, err := w.cfg.Policy.OpenCheckpoint(note)
			must(t, err)
			if _, twice := kept[cp.Size]; twice {
				t.Fatalf("kill %d: size %d is kept twice", kill, cp.Size)
			}
			kept[cp.Size] = cp.Root.String()
		}
		for size, root := range checkpoints {
			if size > 0 && kept[size] != root {
				t.Fatalf("kill %d: size %d was seen with root %s, the history has %q", kill, size, root, kept[size])
			}
		}
		for digest, at := range w.indexesOf() {
			if len(at) != 1 {
				t.Fatalf("kill %d: manifest %s is at %v", kill, digest, at)
			}
		}
		if kill == 0 { // while this process has it open, the child is refused
			if said := runChild(t, dir, 0, 1, map[int]int64{}, map[int64]string{}); !strings.Contains(said, "another process") {
				t.Errorf("a second process: %q", said)
			}
		}
		w.close()
	}
	t.Logf("%d kills, %d entries promised, %d checkpoints seen, none lost", kills, len(promised), len(checkpoints))
	if len(promised) < 10*kills {
		t.Errorf("only %d entries were promised in %d lives", len(promised), kills)
	}
}

// runChild runs a ledger, notes what it promises, and kills it after so many promises.
func runChild(t *testing.T, dir string, first, promises int, promised map[int]int64, checkpoints map[int64]string) (refusal string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", childEnv, first, dir))
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		var i int
		var at, size int64
		var root string
		line := lines.Text()
		switch word, _, _ := strings.Cut(line, " "); word {
		case "logged":
			if _, err := fmt.Sscanf(line, "logged %d %d %d %s", &i, &at, &size, &root); err != nil || len(root) != len(trust.EmptyRoot.String()) {
				continue // torn by the kill
			}
			if old, ok := promised[i]; ok && old != at {
				t.Fatalf("manifest %d was promised at %d and then at %d", i, old, at)
			}
			if old, ok := checkpoints[size]; ok && old != root {
				t.Fatalf("size %d was published with root %s and then with %s", size, old, root)
			}
			promised[i], checkpoints[size] = at, root
			if n++; n == promises {
				must(t, cmd.Process.Kill())
			}
		case "refused":
			refusal = line
		case "error":
			t.Error(line)
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return refusal
}
