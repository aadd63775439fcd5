package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

// onlySubmissions hides the monitoring copies of a witness.
func onlySubmissions(real http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/add-checkpoint" {
			http.NotFound(w, r)
			return
		}
		real.ServeHTTP(w, r)
	})
}

// API-9, STO-22
func TestWithoutAQuorumNothingIsPublishedAndNothingIsLost(t *testing.T) {
	w := newWorld(t, 3, 2)
	l := w.open()
	w.add(0)
	before, err := l.Checkpoint(t.Context())
	must(t, err)
	w.witnesses[0].behave(down)
	w.witnesses[2].behave(down)
	at := w.unpublished(1)
	eventually(t, "health says so", func() bool { return errors.Is(l.Health(t.Context()), trust.ErrQuorum) })
	eventually(t, "health says who has cosigned what is not published", func() bool {
		var why *NotReady
		return errors.As(l.Health(t.Context()), &why) && slices.ContainsFunc(why.Reasons, func(r Reason) bool {
			return r.About == "publication" && errors.Is(r.Err, trust.ErrQuorum) && strings.Contains(r.Err.Error(), "for size 2: cosigned by [w2]")
		})
	})
	asked := w.witnesses[0].asked.Load()
	eventually(t, "the witness is asked again", func() bool { return w.witnesses[0].asked.Load() > asked+3 })
	if cp, err := l.Checkpoint(t.Context()); err != nil || cp.Size != before.Size {
		t.Errorf("%v, %v: published without a quorum", cp, err)
	}
	if _, err := l.Prove(t.Context(), at); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unpublished entry: %v", err)
	}
	for _, path := range []string{"tile/entries/000.p/2", "tile/0/000.p/2"} {
		if _, err := l.Tile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of an unpublished size: %v", path, err)
		}
	}
	w.witnesses[2].behave(nil)
	if a := w.add(1); a.New || a.Entry.Index != at {
		t.Errorf("new %v, index %d, was %d", a.New, a.Entry.Index, at)
	}
	eventually(t, "health is well again", func() bool { return l.Health(t.Context()) == nil })
}

func TestAGuardThatIsAwayIsLoggedOnceHoweverOftenItIsTried(t *testing.T) {
	var lines strings.Builder
	w := newWorld(t, 0, 0)
	l := w.open()
	w.add(0)
	must(t, os.Rename(w.cfg.GuardDir, w.cfg.GuardDir+".away"))
	p := &publisher{log: slog.New(slog.NewTextHandler(&lines, nil))}
	for range 100 {
		p.report(l.guard.publish(l.guard.published))
	}
	if n := strings.Count(lines.String(), "nothing is published"); n != 1 {
		t.Errorf("%d lines: %.500s", n, lines.String())
	}
	must(t, os.Rename(w.cfg.GuardDir+".away", w.cfg.GuardDir))
}

// An operator who looks for warnings sees a witness that fails, once, and none that is well again.
func TestAWitnessThatFailsIsAWarningAndOneThatIsBackIsNone(t *testing.T) {
	var lines strings.Builder
	p := &publisher{log: slog.New(slog.NewTextHandler(&lines, nil))}
	e := &endpoint{url: "http://w1.example"}
	for _, step := range []struct {
		err         error
		level, says string
	}{
		{nil, "", ""},
		{errors.New("down"), "WARN", "does not cosign"},
		{errors.New("down"), "", ""},
		{errors.New("a smaller tree"), "WARN", "a smaller tree"},
		{nil, "INFO", "cosigns again"},
		{nil, "", ""},
	} {
		lines.Reset()
		p.logChange(answer{endpoint: e, round: &round{cp: &trust.Checkpoint{Size: 7}}, err: step.err})
		got := lines.String()
		if step.says == "" && got != "" || !strings.Contains(got, step.says) || !strings.Contains(got, "level="+step.level) && step.level != "" {
			t.Errorf("%v: %q, want %s %q", step.err, got, step.level, step.says)
		}
	}
}

// API-21, STO-23
func TestLateCosignaturesAreMergedIntoThePublishedCheckpoint(t *testing.T) {
	w := newWorld(t, 3, 2)
	l := w.open()
	w.add(0)
	release := make(chan struct{})
	slow := w.witnesses[2]
	w.allCosigned()
	slow.behave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-release
		slow.real.ServeHTTP(rw, r)
	}))
	a := w.add(1)
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	if got := cosignersOf(cp); !slices.Equal(got, []string{"w1", "w2"}) {
		t.Errorf("published with %v", got)
	}
	close(release)
	eventually(t, "three cosignatures", func() bool {
		cp, err = l.Checkpoint(t.Context())
		must(t, err)
		return len(cp.Cosignatures) == 3
	})
	if cp.Size != a.Entry.Index+1 {
		t.Errorf("size %d", cp.Size)
	}
	note, err := os.ReadFile(filepath.Join(w.cfg.GuardDir, checkpointFile))
	must(t, err)
	if string(note) != string(cp.Signed) {
		t.Errorf("shown %q, kept %q", cp.Signed, note)
	}
	slow.behave(nil)
	w.open()
	resumed, err := w.log.Checkpoint(t.Context())
	must(t, err)
	if len(resumed.Cosignatures) != 3 {
		t.Errorf("after a restart: %v", cosignersOf(resumed))
	}
	w.add(2)
}

// WIT-32
func TestAWitnessIsNeverAskedTwiceAtOnce(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.open()
	var open, most atomic.Int64
	slow := w.witnesses[1]
	slow.behave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), open.Add(1)))
		defer open.Add(-1)
		if r.URL.Path == "/add-checkpoint" {
			select { // as slow as three checkpoints
			case <-r.Context().Done():
			case <-time.After(60 * time.Millisecond):
			}
		}
		slow.real.ServeHTTP(rw, r)
	}))
	for i := range 10 {
		w.add(i)
	}
	if most.Load() != 1 {
		t.Errorf("%d questions at once", most.Load())
	}
	eventually(t, "the slow one catches up", func() bool {
		cp, err := w.log.Checkpoint(t.Context())
		must(t, err)
		return len(cp.Cosignatures) == 2
	})
}

// STO-19
func TestAWitnessThatOnlyClaimsALargerTreeCannotStopTheLog(t *testing.T) {
	ahead := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, 1000)
	})
	w := newWorld(t, 3, 2)
	l := w.open()
	w.add(0)
	eventually(t, "all have cosigned", func() bool { cp, _ := l.Checkpoint(t.Context()); return len(cp.Cosignatures) == 3 })
	w.witnesses[0].behave(ahead)
	for i := 1; i < 4; i++ {
		w.add(i) // the other two suffice
	}
	must(t, l.Health(t.Context()))
	w.witnesses[0].behave(nil)
	w.add(4)
	eventually(t, "it cosigns again", func() bool { cp, _ := l.Checkpoint(t.Context()); return len(cp.Cosignatures) == 3 })
	w.witnesses[0].behave(ahead)
	w.witnesses[1].behave(ahead)
	before, _ := l.Checkpoint(t.Context())
	w.unpublished(5)
	if cp, _ := l.Checkpoint(t.Context()); cp.Size != before.Size {
		t.Error("published although the quorum is impossible")
	}
}

// WIT-32
func TestTwoKeysOfOneWitnessAreOneQuestion(t *testing.T) {
	w := newWorld(t, 0, 0)
	logs := w.cfg.Policy
	double := newTestWitness(t, logs, "double", trust.Ed25519Cosigner, trust.MLDSA44Cosigner)
	var lines []trust.PolicyWitness
	for i, vkey := range double.vkeys {
		lines = append(lines, trust.PolicyWitness{Name: fmt.Sprint("double", i), VKey: vkey, URL: double.server.URL})
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy(logs.Logs(), lines, 2))
	must(t, err)
	w.cfg.Policy = policy
	w.open()
	for i := range 3 {
		w.add(i)
	}
	cp, err := w.log.Checkpoint(t.Context())
	must(t, err)
	if got := cosignersOf(cp); !slices.Equal(got, []string{"double0", "double1"}) {
		t.Errorf("%v", got)
	}
	if n := double.asked.Load(); n > 6 {
		t.Errorf("asked %d times for 4 checkpoints", n)
	}
}

// What a witness may answer instead of cosigning. None of it counts, and the
// witness is welcome again afterwards.
// WIT-34
func TestAnswersThatAreNoCosignatureCountForNothing(t *testing.T) {
	w := newWorld(t, 1, 1)
	l := w.open()
	w.add(0)
	tw := w.witnesses[0]
	status := func(code int, contentType, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		})
	}
	old, err := l.Checkpoint(t.Context())
	must(t, err)
	conflicts := int64(0)
	for name, h := range map[string]http.Handler{
		"nothing":              status(200, "text/plain", ""),
		"not a signature":      status(200, "text/plain", "hello\n"),
		"an old cosignature":   status(200, "text/plain", string(old.Cosignatures[0].Line)),
		"a stranger's":         status(200, "text/plain", "— somebody.example AAAAAAAAAAAA\n"),
		"too much":             status(200, "text/plain", strings.Repeat(string(old.Cosignatures[0].Line), 2000)),
		"no content type":      status(409, "text/plain", "0\n"),
		"no size":              status(409, "text/x.tlog.size", "many\n"),
		"a leading zero":       status(409, "text/x.tlog.size", "00\n"),
		"a negative size":      status(409, "text/x.tlog.size", "-1\n"),
		"no newline":           status(409, "text/x.tlog.size", "0"),
		"forbidden":            status(403, "text/plain", ""),
		"unprocessable":        status(422, "text/plain", ""),
		"a redirect to itself": http.RedirectHandler(tw.server.URL+"/add-checkpoint", http.StatusTemporaryRedirect),
		"sizes without end": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/x.tlog.size")
			w.WriteHeader(409)
			fmt.Fprintln(w, conflicts%2)
			conflicts++
		}),
		"no answer": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }),
	} {
		before, err := l.Checkpoint(t.Context())
		must(t, err)
		tw.behave(h)
		i := int(before.Size) // the next manifest
		at := w.unpublished(i)
		asked := tw.asked.Load()
		eventually(t, name+": asked again", func() bool { return tw.asked.Load() > asked+1 })
		eventually(t, name+": Health says that there is no quorum", func() bool { return errors.Is(l.Health(t.Context()), trust.ErrQuorum) })
		if cp, err := l.Checkpoint(t.Context()); err != nil || cp.Size != before.Size {
			t.Errorf("%s: published %v, %v", name, cp, err)
		}
		tw.behave(nil)
		if a := w.add(i); a.Entry.Index != at {
			t.Errorf("%s: index %d, was %d", name, a.Entry.Index, at)
		}
	}
}

// Witnesses come and go at random while entries arrive. Whatever is published has a
// quorum, never shrinks, and continues what was published before.
// STO-22
func TestEveryPublishedCheckpointHasAQuorumAndContinuesTheLast(t *testing.T) {
	w := newWorld(t, 3, 2)
	l := w.open()
	w.heard()
	random := rand.New(rand.NewPCG(1, 2))
	for _, tw := range w.witnesses {
		var mu sync.Mutex
		dice := rand.New(rand.NewPCG(random.Uint64(), 1))
		tw.behave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			roll := dice.IntN(10)
			mu.Unlock()
			switch {
			case roll < 3:
				down.ServeHTTP(rw, r)
			case roll == 3: // it has cosigned, and the answer is lost
				tw.real.ServeHTTP(discarded{http.Header{}}, r)
				panic(http.ErrAbortHandler)
			default:
				tw.real.ServeHTTP(rw, r)
			}
		}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	seen := 0
	watching.Go(func() {
		last := &trust.Checkpoint{Root: trust.EmptyRoot}
		for {
			s := l.publisher.current.Load()
			if s.cp != nil {
				seen++
				cp, err := w.cfg.Policy.OpenCheckpoint(s.cp.Signed)
				if err != nil {
					t.Error(err)
					return
				}
				kept, err := os.ReadFile(filepath.Join(w.cfg.GuardDir, checkpointFile))
				if err != nil {
					t.Error(err)
				}
				if durable, err := w.cfg.Policy.OpenCheckpoint(kept); err != nil || durable.Size < cp.Size {
					t.Errorf("size %d was shown before it was durable: %v", cp.Size, err)
				}
				proof, err := l.store.consistency(last.Size, cp.Size)
				if err != nil {
					t.Error(err)
				}
				if err := trust.CheckConsistency(last.Size, last.Root, cp.Size, cp.Root, proof); err != nil {
					t.Errorf("%d to %d: %v", last.Size, cp.Size, err)
				}
				last = cp
			}
			select {
			case <-s.changed:
			case <-ctx.Done():
				return
			}
		}
	})
	for start := 0; start < 60; start += 10 {
		w.addAll(start, start+10)
	}
	cancel()
	watching.Wait()
	if seen < 6 {
		t.Errorf("only %d checkpoints seen", seen)
	}
	if found := w.indexesOf(); len(found) != 60 {
		t.Errorf("%d manifests", len(found))
	}
}

type discarded struct{ header http.Header }

func (d discarded) Header() http.Header         { return d.header }
func (d discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d discarded) WriteHeader(int)             {}

// STO-10
func TestAStricterPolicyIsMetBeforeAnythingIsServedAgain(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.open()
	w.heard()
	w.witnesses[1].behave(down)
	w.add(0)
	w.close()
	strict, err := trust.ParsePolicy(trust.FormatPolicy(w.cfg.Policy.Logs(), w.cfg.Policy.Witnesses(), 2))
	must(t, err)
	w.cfg.Policy = strict
	l := w.open()
	if cp, err := l.Checkpoint(t.Context()); !errors.Is(err, ErrUnpublished) {
		t.Errorf("%v, %v", cp, err)
	}
	w.witnesses[1].behave(nil)
	if a := w.add(0); a.New {
		t.Error("new")
	}
}

// Tessera collects partial tiles that the tree, published or not, has filled.
// API-23
func TestPublishedPartialTilesOutliveGarbageCollection(t *testing.T) {
	racetest.OneGoroutine(t)
	w := newWorld(t, 1, 1)
	l := w.open()
	w.addAll(0, 250)
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	want := map[string][]byte{}
	for _, path := range []string{"tile/0/000.p/250", "tile/entries/000.p/250"} {
		want[path], err = l.Tile(t.Context(), path)
		must(t, err)
	}
	w.witnesses[0].behave(down)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := 250; i < 260; i++ {
		wg.Go(func() { l.Add(ctx, manifestOf(t, i), entry.Source{}) })
	}
	eventually(t, "the tree has filled the tile", func() bool { now, err := l.store.treeState(); return err == nil && now.Size == 260 })
	cancel()
	wg.Wait()
	must(t, os.RemoveAll(w.path("tile/0/000.p")))
	must(t, os.RemoveAll(w.path("tile/entries/000.p")))
	for path, data := range want {
		if got, err := l.Tile(t.Context(), path); err != nil || string(got) != string(data) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for _, path := range []string{"tile/0/000", "tile/entries/000", "tile/1/000.p/1", "tile/0/000.p/251", "tile/0/001.p/4"} {
		if _, err := l.Tile(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s is beyond size %d: %v", path, cp.Size, err)
		}
	}
	w.witnesses[0].behave(nil)
	w.add(255)
	if _, err := l.Tile(t.Context(), "tile/0/000"); err != nil {
		t.Error(err)
	}
	if _, err := l.Tile(t.Context(), "tile/0/000.p/250"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a collected partial tile whose full one is public: %v", err)
	}
}
