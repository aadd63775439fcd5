package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
)

// needsMounts skips where a test cannot have a mount namespace of its own.
func needsMounts(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt").CombinedOutput(); err != nil {
		t.Skipf("SKIP: this test mounts file systems, which takes root on Linux: %v: %s", err, out)
	}
}

// inNamespace runs a shell command in the mount namespace of a running server.
func (w *world) inNamespace(name, script string, args ...string) {
	w.t.Helper()
	line := []string{"-t", strconv.Itoa(w.servers[name].cmd.Process.Pid), "-m", "sh", "-ec", script, "sh"}
	if out, err := exec.Command("nsenter", append(line, args...)...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// readOnly mounts each directory over itself, read-only: paths lead to the new mount, files that
// are open stay open. It is made read-only elsewhere and moved, because the kernel refuses it
// for a mount in which a file is open for writing.
const readOnly = `stage=$(mktemp -d); for d; do mount --bind "$d" "$stage"; mount -o remount,bind,ro "$stage"; mount --move "$stage" "$d"; done; rmdir "$stage"`

func (w *world) ledgerDirs() []string { return []string{w.path("ledger"), w.path("ledger.guard")} }

// wantReads checks that everything of the first entries is served.
func (w *world) wantReads(entries int) {
	w.t.Helper()
	for n := range entries {
		w.get(location(w.t, n)).want(http.StatusOK)
		w.get(location(w.t, n) + "/proof").wantEntry(int64(n))
	}
	w.get("/checkpoint").want(http.StatusOK)
	w.get(fmt.Sprintf("/tile/0/000.p/%d", entries)).want(http.StatusOK)
	w.get(fmt.Sprintf("/tile/entries/000.p/%d", entries)).want(http.StatusOK)
	w.get("/v1/log").want(http.StatusOK)
	w.get("/healthz").want(http.StatusOK)
}

// appenderOf is the pid of the child that writes the log, 0 if there is none.
func (w *world) appenderOf() int {
	pid := w.servers["ledger"].cmd.Process.Pid
	list, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range list {
		text, _ := os.ReadFile(path) // a thread may have ended
		for _, child := range strings.Fields(string(text)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if n, err := strconv.Atoi(child); err == nil && bytes.Contains(line, []byte("appender")) {
				return n
			}
		}
	}
	return 0
}

// index of the entry that an answer proves, -1 for another answer.
func (a answer) index() int64 {
	if proof, err := trust.ParseProof(a.body); err == nil {
		return proof.Index
	}
	return -1
}

// write has several writers submit new manifests from first on, until what it returns is called. That
// returns what was acknowledged, by manifest.
func (w *world) write(first int) (stop func() map[int]int64) {
	const writers, each = 8, 1000
	var mu sync.Mutex
	acknowledged := map[int]int64{}
	ended := make(chan struct{})
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for n := first + writer*each; n < first+(writer+1)*each; n++ {
				select {
				case <-ended:
					return
				default:
				}
				switch a := w.submit(n); a.status {
				case http.StatusCreated, http.StatusOK:
					mu.Lock()
					acknowledged[n] = a.index()
					mu.Unlock()
				case http.StatusInsufficientStorage, http.StatusServiceUnavailable:
				default:
					w.t.Errorf("manifest %d: %d %s %v", n, a.status, a.body, a.err)
					return
				}
			}
		})
	}
	stop = sync.OnceValue(func() map[int]int64 {
		close(ended)
		group.Wait()
		return acknowledged
	})
	w.t.Cleanup(func() { stop() })
	return stop
}

// wantKept checks that every acknowledged manifest is where it was, and that nothing is logged twice.
func (w *world) wantKept(acknowledged map[int]int64) {
	w.t.Helper()
	if len(acknowledged) == 0 {
		w.t.Error("nothing was acknowledged")
	}
	for n, at := range acknowledged {
		w.submit(n).wantEntry(at)
	}
	w.stop("ledger")
	w.run(0, "fsck", w.path("ledger"))
	w.start("ledger")
	w.awaitReady()
}

func TestADiskThatTurnsReadOnlyStopsOnlyWrites(t *testing.T) {
	needsMounts(t)
	w := newWorld(t, 2, 1)
	w.servers["ledger"].wrap = []string{"unshare", "-m"}
	w.start("ledger")
	w.awaitReady()
	for n := range 3 {
		w.submit(n).wantEntry(int64(n))
	}
	stop := w.write(1000)
	w.eventually("the log grows", func() bool { return w.checkpoint().Size > 20 }, func() string { return "it does not" })
	w.inNamespace("ledger", readOnly, w.ledgerDirs()...)
	w.awaitNotReady("storage")
	kept := stop()
	if !w.alive("ledger") {
		t.Fatal("the ledger has ended")
	}
	w.submit(10).want(http.StatusInsufficientStorage)
	w.submit(10, "Prefer", "respond-async").want(http.StatusInsufficientStorage)
	w.submit(1).wantEntry(1) // what is logged is still answered
	w.wantReads(3)
	w.inNamespace("ledger", `for d; do umount -l "$d"; done`, w.ledgerDirs()...)
	w.awaitReady()
	at := w.checkpoint().Size
	if got := w.submit(10).index(); got < at {
		t.Errorf("manifest 10 is entry %d of a tree that had %d before it", got, at)
	}
	w.wantKept(kept)
}

const fill = `dd if=/dev/zero of="$1/filler" bs=64k 2>/dev/null || true`

func TestAWitnessOnAFullDiskCosignsNothingAndComesBack(t *testing.T) {
	needsMounts(t)
	w := newWorld(t, 1, 1)
	w.start("ledger")
	w.awaitReady()
	w.submit(0).wantEntry(0)
	w.stop("w1")
	small := w.path("small")
	must(t, os.Mkdir(small, 0o700))
	w.servers["w1"].wrap = []string{"unshare", "-m", "sh", "-ec",
		`mount -t tmpfs -o size=16m none "$1"; cp -a "$2/." "$1/"; mount --bind "$1" "$2"; shift 2; exec "$@"`, "sh", small, w.path("w1")}
	w.start("w1")
	w.awaitReady()
	w.submit(1).wantEntry(1)
	w.inNamespace("w1", fill, small)
	w.submit(2, "Prefer", "respond-async").want(http.StatusAccepted)
	w.awaitNotReady("witnesses")
	if !w.alive("w1") || w.checkpoint().Size != 2 {
		t.Errorf("alive %v, size %d", w.alive("w1"), w.checkpoint().Size)
	}
	w.inNamespace("w1", `rm "$1/filler"`, small)
	w.awaitReady()
	w.submit(2).wantEntry(2)
}

func TestAKilledAppenderOfARealLedgerIsStartedAgain(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.start("ledger")
	w.awaitReady()
	stop := w.write(1000)
	for range 5 {
		before := w.checkpoint().Size
		pid := 0
		w.eventually("an appender runs", func() bool { pid = w.appenderOf(); return pid != 0 }, func() string { return "none" })
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		w.eventually("another one runs", func() bool { next := w.appenderOf(); return next != 0 && next != pid }, func() string { return "none" })
		w.eventually("the log grows again", func() bool { return w.checkpoint().Size > before+10 }, func() string { return "it does not" })
	}
	w.wantKept(stop())
}

func TestAnAppenderOfAKilledLedgerEnds(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.start("ledger")
	w.awaitReady()
	pid := w.appenderOf()
	if pid == 0 {
		t.Skip("SKIP: children are found in /proc here, which this system has not")
	}
	w.kill("ledger")
	w.eventually("its appender ends", func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || bytes.Contains(state, []byte(") Z "))
	}, func() string { return "it lives" })
}

// A terminal and a service manager signal every process of a group.
func TestASIGTERMToEveryProcessCutsNothingShort(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.start("ledger")
	w.awaitReady()
	w.submit(0).wantEntry(0)
	pid := w.appenderOf()
	if pid == 0 {
		t.Skip("SKIP: children are found in /proc here, which this system has not")
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		must(t, syscall.Kill(pid, signal))
	}
	w.submit(1).wantEntry(1)
	if now := w.appenderOf(); now != pid {
		t.Errorf("the appender was %d and is %d", pid, now)
	}
	w.stop("ledger")
}

// API-39
func TestClientsCannotExhaustTheDescriptorsOfTheLog(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.servers["ledger"].wrap = []string{"sh", "-c", `ulimit -n 48; exec "$@"`, "sh"}
	w.start("ledger")
	w.awaitReady()
	w.submit(0).wantEntry(0)
	pid := w.appenderOf()
	var group sync.WaitGroup
	for n := 1; n <= 150; n++ {
		group.Go(func() {
			// Connections beyond the limit wait; an answer is a proof or an honest refusal.
			switch a := w.ask(http.MethodPost, w.url("ledger")+"/v1/entries", manifestOf(t, n), "Connection", "close"); a.status {
			case http.StatusCreated, http.StatusOK, http.StatusInsufficientStorage, http.StatusServiceUnavailable:
			default:
				t.Errorf("manifest %d: %d %s %v", n, a.status, a.body, a.err)
			}
		})
	}
	group.Wait()
	if strings.Contains(w.log("ledger"), "panic") || !w.alive("ledger") || w.appenderOf() != pid {
		t.Errorf("alive %v, appender %d, before %d", w.alive("ledger"), w.appenderOf(), pid)
	}
	w.awaitReady()
	for n := range 20 {
		if at := w.submit(n).index(); at < 0 {
			t.Errorf("manifest %d is not logged", n)
		}
	}
}
func TestALedgerStartsOnAReadOnlyDiskAndTakesEntriesWhenItIsWritable(t *testing.T) {
	needsMounts(t)
	w := newWorld(t, 2, 1)
	ends := []func(string){w.stop, w.kill, func(name string) {
		w.stop(name)
		must(t, os.RemoveAll(w.path("ledger", "index"))) // as one does who wants the space back
	}}
	for _, end := range ends {
		w.servers["ledger"].wrap = nil
		w.start("ledger")
		w.awaitReady()
		for n := range 3 {
			w.submit(n).wantEntry(int64(n))
		}
		end("ledger")
		w.servers["ledger"].wrap = append([]string{"unshare", "-m", "sh", "-ec", `dirs="$1 $2"; shift 2; (set -- $dirs; ` + readOnly + `); exec "$@"`, "sh"}, w.ledgerDirs()...)
		w.start("ledger")
		w.awaitNotReady("storage")
		w.wantReads(3)
		w.submit(3).want(http.StatusInsufficientStorage)
		w.submit(2).wantEntry(2)
		w.inNamespace("ledger", `for d; do umount -l "$d"; done`, w.ledgerDirs()...)
		w.awaitReady()
		w.stop("ledger")
	}
	w.servers["ledger"].wrap = nil
	w.start("ledger")
	w.awaitReady()
	w.submit(3).wantEntry(3)
}

func TestAFullDiskStopsOnlyWritesAlsoFromTheStart(t *testing.T) {
	needsMounts(t)
	w := newWorld(t, 2, 1)
	w.start("ledger")
	w.awaitReady()
	for n := range 3 {
		w.submit(n).wantEntry(int64(n))
	}
	w.stop("ledger")
	// From here on it lives in a small file system, which a file fills to the last byte.
	small := w.path("small")
	must(t, os.Mkdir(small, 0o700))
	w.servers["ledger"].wrap = []string{"unshare", "-m", "sh", "-ec", `mount -t tmpfs -o size=80m none "$1"; cp -a "$2" "$2.guard" "$1/"
		for d in ledger ledger.guard; do mount --bind "$1/$d" "$2/../$d"; done
		` + fill + `; shift 2; exec "$@"`, "sh", small, w.path("ledger")}
	w.start("ledger")
	for _, when := range []string{"from the start", "while it runs"} {
		t.Log("full", when)
		w.awaitNotReady("storage")
		w.submit(100).want(http.StatusInsufficientStorage)
		w.submit(100, "Prefer", "respond-async").want(http.StatusInsufficientStorage)
		w.wantReads(3)
		w.submit(2).wantEntry(2)
		w.inNamespace("ledger", `rm "$1/filler"`, small)
		w.awaitReady()
		if when == "from the start" {
			w.inNamespace("ledger", fill, small)
		}
	}
	w.submit(3).wantEntry(3)
	w.wantReads(4)
}
