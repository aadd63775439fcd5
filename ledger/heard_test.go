package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

// policyOf makes a policy of witnesses a, b, c, d (those without URL are named) from its group lines.
func policyOf(t *testing.T, n int, lines string, urlless ...string) *trust.Policy {
	t.Helper()
	_, vkey, err := trust.GenerateKey(seed("log"), testOrigin, trust.Ed25519)
	must(t, err)
	text := "log " + vkey + "\n"
	for _, name := range strings.Split("a b c d", " ")[:n] {
		_, vkey, err := trust.GenerateKey(seed("witness "+name), name+".example", trust.Ed25519Cosigner)
		must(t, err)
		text += "witness " + name + " " + vkey
		if !strings.Contains(strings.Join(urlless, " "), name) {
			text += " https://" + name + ".example"
		}
		text += "\n"
	}
	p, err := trust.ParsePolicy([]byte(text + lines))
	must(t, err)
	return p
}

// smallPolicies are every threshold over one to four witnesses, and every one over two pairs.
func smallPolicies(t *testing.T) map[string]*trust.Policy {
	policies := map[string]*trust.Policy{}
	for n := 1; n <= 4; n++ {
		for k := 1; k <= n; k++ {
			lines := fmt.Sprintf("group q %d %s\nquorum q\n", k, "a b c d"[:2*n-1])
			policies[fmt.Sprintf("%d of %d", k, n)] = policyOf(t, n, lines)
		}
	}
	for i := range 8 {
		l, r, k := 1+i&1, 1+i>>1&1, 1+i>>2&1
		lines := fmt.Sprintf("group l %d a b\ngroup r %d c d\ngroup q %d l r\nquorum q\n", l, r, k)
		policies[fmt.Sprintf("%d of (%d of 2, %d of 2)", k, l, r)] = policyOf(t, 4, lines)
	}
	policies["one witness that is the quorum itself"] = policyOf(t, 2, "quorum a\n")
	return policies
}

// STO-13
func TestALogGoesOnOnlyWhenEveryPossibleQuorumHasAWitnessThatWasHeard(t *testing.T) {
	for name, policy := range smallPolicies(t) {
		witnesses := policy.Witnesses()
		subset := func(bits int) map[string]bool {
			s := map[string]bool{}
			for i, w := range witnesses {
				if bits>>i&1 == 1 {
					s[w.Name] = true
				}
			}
			return s
		}
		for heard := range 1 << len(witnesses) {
			met := true // every quorum shares a witness with heard
			for quorum := range 1 << len(witnesses) {
				if policy.Quorum(subset(quorum)) && quorum&heard == 0 {
					met = false
				}
			}
			u := unheardOf(policy, subset(heard))
			if (u == nil) != met {
				t.Errorf("%s, heard %04b: %v, want to go on: %v", name, heard, u, met)
			}
			if u != nil {
				for _, w := range u.Witnesses {
					if subset(heard)[w] {
						t.Errorf("%s: %s was heard and is waited for", name, w)
					}
				}
			}
		}
	}
}

func TestALogWithoutWitnessesGoesOnAndIsToldWhatThatMeans(t *testing.T) {
	for _, n := range []int{0, 2} {
		policy := policyOf(t, n, "quorum none\n")
		if u := unheardOf(policy, nil); u != nil {
			t.Errorf("%d witnesses: %v", n, u)
		}
		if notes := PolicyNotes(policy); len(notes) != 1 || !strings.Contains(notes[0], "nobody would notice if this log were rolled back") {
			t.Errorf("%d witnesses: %q", n, notes)
		}
	}
}

func TestThePolicySaysAloudWhatItsQuorumDoesNotGive(t *testing.T) {
	const disjoint, spare = "two quorums without a witness in common", "the quorum has no spare"
	for name, policy := range smallPolicies(t) {
		notes := strings.Join(PolicyNotes(policy), "\n")
		if got := strings.Contains(notes, disjoint); got != policy.DisjointQuorums() {
			t.Errorf("%s: %q", name, notes)
		}
		if got := strings.Contains(notes, spare); got != (policy.Indispensable() != nil) {
			t.Errorf("%s: %q", name, notes)
		}
	}
	for lines, want := range map[string]string{
		"group q 1 a b\nquorum q\n":     disjoint,
		"group q 2 a b\nquorum q\n":     spare + ": nothing is published while a or b is away",
		"group q 2 a b c\nquorum q\n":   "",
		"group q 2 a b c d\nquorum q\n": disjoint,
	} {
		notes := strings.Join(PolicyNotes(policyOf(t, strings.Count(lines, " ")-2-1, lines)), "\n")
		if want == "" && notes != "" || !strings.Contains(notes, want) {
			t.Errorf("%q: %q", lines, notes)
		}
	}
}

// A witness that can never be asked can never be heard from.
// STO-3
func TestAPolicyWhoseUnaskableWitnessesFormAQuorumIsRefused(t *testing.T) {
	w := newWorld(t, 0, 0)
	for lines, refused := range map[string]bool{
		"group q 1 a b\nquorum q\n": true,
		"group q 2 a b\nquorum q\n": true, // nor can the others meet it
		"quorum a\n":                false,
		"quorum none\n":             false,
	} {
		cfg := w.cfg
		cfg.Policy = policyOf(t, 2, lines, "b")
		if _, err := cfg.withDefaults(); (err != nil) != refused {
			t.Errorf("%q: %v", lines, err)
		}
	}
}

// Every answer at a start, and whether the log may go on after it. The log has two entries, and its
// guard knows that the witness has cosigned them.
// STO-14
func TestWhatCountsAsHeardFrom(t *testing.T) {
	conflict := func(w http.ResponseWriter, size int) {
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, size)
	}
	// then names size when it is asked from 2, and answers status to the next question.
	then := func(size, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			first := make([]byte, len("old 2\n"))
			if _, err := r.Body.Read(first); err == nil && string(first) == "old 2\n" {
				conflict(w, size)
				return
			}
			w.WriteHeader(status)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc // nil: the real witness
		heard  bool
	}{
		"it cosigns":                                     {nil, true},
		"it names a smaller size, and fails":             {then(1, http.StatusServiceUnavailable), true},
		"it names a smaller size, and knows another log": {then(1, http.StatusUnprocessableEntity), false},
		"it has never seen the log, and fails":           {then(0, http.StatusTooManyRequests), true},
		"it names a larger size and shows nothing":       {then(3, http.StatusOK), false},
		"it names the size that it was asked from":       {then(2, http.StatusOK), false},
		"it names sizes without end": {func() http.HandlerFunc {
			n := 0
			return func(w http.ResponseWriter, r *http.Request) { n++; conflict(w, n%2) }
		}(), false},
		"it refuses the tree and shows nothing": {status(http.StatusUnprocessableEntity), false},
		"it answers with nothing":               {status(http.StatusOK), false},
		"it does not know the log":              {status(http.StatusNotFound), false},
		"it forbids":                            {status(http.StatusForbidden), false},
		"it is down":                            {down.ServeHTTP, false},
		"it breaks off":                         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, 1)
			w.open()
			w.add(0)
			w.add(1)
			w.close()
			if test.answer != nil {
				w.witnesses[0].behave(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodPost {
						http.NotFound(rw, r)
						return
					}
					test.answer(rw, r)
				}))
			}
			w.open()
			if !test.heard {
				w.unheard("w1")
				w.witnesses[0].behave(nil)
			}
			w.heard()
			w.witnesses[0].behave(nil)
			w.add(2)
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code) }
}

// The first start of a log asks the witnesses too: a directory that init made anew, after the log was
// lost with its guard, looks like this one.
// STO-13
func TestANewLogIsNotSignedBeforeItsWitnessesAreHeard(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.witnesses[1].behave(down)
	l := w.open()
	eventually(t, "the empty tree is published", func() bool { _, err := l.Checkpoint(t.Context()); return err == nil })
	w.unheard("w2")
	w.witnesses[1].behave(nil)
	w.heard()
	w.add(0)
}

// An entry that is in the tree and was not published before the restart.
// API-13, STO-15
func TestAnEntryThatWasNotPublishedWaitsUntilWitnessesAreHeard(t *testing.T) {
	w := newWorld(t, 2, 1)
	w.open()
	w.add(0)
	w.allCosigned()
	w.witnesses[0].behave(down)
	w.witnesses[1].behave(down)
	at := w.unpublished(1)
	w.close()
	w.open()
	w.unheard("w1, w2")
	w.witnesses[0].behave(nil)
	eventually(t, "one is heard", func() bool { u := w.log.publisher.unheard.Load(); return len(u.Witnesses) == 1 })
	w.witnesses[1].behave(nil)
	w.heard()
	if a := w.add(1); a.New || a.Entry.Index != at {
		t.Errorf("new %v at %d, was at %d", a.New, a.Entry.Index, at)
	}
}

// The guard is older than the log, which happens when only the guard's disk was restored; the history of checkpoints,
// which would tell it too, is gone.
// STO-16
func TestAGuardFromABackupLearnsFromAWitnessWhatTheLogContinues(t *testing.T) {
	for name, hidden := range map[string]bool{"at the start": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, 1)
			w.open()
			w.addAll(0, 3)
			w.close()
			old := w.copyTo(t)
			w.open()
			w.addAll(3, 6)
			w.close()
			w.replaceDir("guard", old)
			must(t, os.RemoveAll(w.cfg.Dir+".checkpoints"))
			if hidden {
				w.witnesses[0].behave(onlySubmissions(w.witnesses[0].real))
			}
			l := w.open()
			if hidden {
				w.unheard("w1")
				w.witnesses[0].behave(nil)
			}
			w.heard()
			if got := l.guard.highWater().Size; got != 6 {
				t.Errorf("the guard remembers size %d", got)
			}
			if a := w.add(6); a.Entry.Index != 6 {
				t.Errorf("index %d", a.Entry.Index)
			}
		})
	}
}

// Backups of everything, the guard too, are taken and restored at random while witnesses come and go.
// The witnesses are honest, and two quorums need have none in common. However it falls out, every tree
// ever published is the beginning of the largest one.
// STO-13
func TestNoRestoredBackupEverPublishesASecondHistory(t *testing.T) {
	for _, test := range []struct{ witnesses, quorum int }{{2, 1}, {3, 1}, {4, 2}} {
		t.Run(fmt.Sprintf("%d of %d", test.quorum, test.witnesses), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(test.witnesses), uint64(test.quorum)))
			first := newWorld(t, test.witnesses, test.quorum)
			// Created and published once, so that the copies have something to disagree about.
			first.open()
			first.add(0)
			first.close()
			past := map[int64][]tlog.Hash{} // all that was ever published
			now, newest, backup := first, first, first.copyTo(t)
			var largest int64
			next, restored, gone := 1, 0, 0
			for range 40 {
				up := 0
				for _, tw := range first.witnesses {
					if random.IntN(2) == 0 {
						tw.behave(down)
					} else {
						tw.behave(nil)
						up++
					}
				}
				patience := 20 * time.Second
				if up < test.quorum { // it cannot be published: leave it in the tree, for the next start
					patience = 20 * time.Millisecond
				}
				if random.IntN(2) == 0 {
					now = backup.copyTo(t)
					restored++
				}
				l, err := now.tryOpen()
				if errors.Is(err, ErrGuard) { // as its operator is told
					gone++
					now = newest
					continue
				}
				must(t, err)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, _ = l.Add(ctx, manifestOf(t, next), entry.Source{}) // what is published counts, not who was told
				cancel()
				next++
				now.close()
				cp, err := now.cfg.Policy.OpenCheckpoint(now.file("../guard/checkpoint"))
				must(t, err)
				past[cp.Size] = append(past[cp.Size], cp.Root)
				if cp.Size > largest {
					largest, newest = cp.Size, now
				}
				newest.mustContain(past)
				if random.IntN(2) == 0 {
					backup = now.copyTo(t)
				}
			}
			if largest < 3 || restored == 0 {
				t.Errorf("size %d after %d restored backups shows nothing", largest, restored)
			}
			t.Logf("size %d, %d restored backups, %d of them refused at once", largest, restored, gone)
		})
	}
}

// mustContain checks that the closed log begins with every tree of past.
func (w *world) mustContain(past map[int64][]tlog.Hash) {
	w.t.Helper()
	s, err := openStore(w.cfg.Dir)
	must(w.t, err)
	defer s.close()
	now, err := s.treeState()
	must(w.t, err)
	for size, roots := range past {
		want, err := s.rootOf(size, now.Size)
		must(w.t, err)
		for _, root := range roots {
			if root != want {
				w.t.Fatalf("a second history of size %d is published", size)
			}
		}
	}
}
