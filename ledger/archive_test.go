package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// notebook is an archive without a log: what it keeps are checkpoints of trees that nobody has.
type notebook struct {
	t         testing.TB
	cfg       Config
	log       *bytes.Buffer
	published *trust.Checkpoint // what the guard would have
}

func newNotebook(t testing.TB) *notebook {
	t.Helper()
	skey, vkey, err := trust.GenerateKey(seed("log"), testOrigin, trust.Ed25519)
	must(t, err)
	signer, err := trust.NewLogSigner(skey)
	must(t, err)
	policy, err := keyOnly(vkey)
	must(t, err)
	b := &notebook{t: t, log: new(bytes.Buffer)}
	b.cfg = Config{CheckpointsDir: filepath.Join(t.TempDir(), "checkpoints"), Signer: signer, Policy: policy, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	return b
}

func (b *notebook) open() *archive {
	b.t.Helper()
	a, err := openArchive(b.cfg.CheckpointsDir, b.cfg.Signer, b.cfg.Log, b.published)
	must(b.t, err)
	return a
}

// checkpoint is the one of size i+1.
func (b *notebook) checkpoint(i int) *trust.Checkpoint {
	b.t.Helper()
	note, err := b.cfg.Signer.Sign(testOrigin, int64(i)+1, tlog.RecordHash(fmt.Append(nil, i)))
	must(b.t, err)
	cp, err := b.cfg.Policy.OpenLogSignature(note)
	must(b.t, err)
	return cp
}

// publish has the archive keep checkpoint i and then publishes it.
func (b *notebook) publish(a *archive, i int) error {
	cp := b.checkpoint(i)
	return a.keep(cp, b.guard)
}

// holds checks that the archive has the first count checkpoints and gives out every one of them.
func (b *notebook) holds(a *archive, count int) {
	b.t.Helper()
	if a.size() != int64(count) {
		b.t.Fatalf("%d checkpoints, want %d", a.size(), count)
	}
	for n := 0; n*tiles.Width < count; n++ {
		width := min(count-n*tiles.Width, tiles.Width)
		data, err := a.bundle(int64(n), width)
		must(b.t, err)
		notes, err := tiles.ParseBundle(data, width)
		must(b.t, err)
		for i, note := range notes {
			if !bytes.Equal(note, b.checkpoint(n*tiles.Width+i).Signed) {
				b.t.Fatalf("checkpoint %d is %q", n*tiles.Width+i, note)
			}
		}
	}
}

// guard publishes as a guard does.
func (b *notebook) guard(cp *trust.Checkpoint) error {
	b.published = cp
	return nil
}

// settled is an archive that was opened, and made to agree with the guard, as at a start.
func (b *notebook) settled() *archive {
	b.t.Helper()
	a := b.open()
	a.settle(b.cfg.Policy, b.guard)
	return a
}

func (b *notebook) segment(n int64) string {
	return filepath.Join(b.cfg.CheckpointsDir, filepath.FromSlash(segmentPath(n)))
}

func TestCheckpointsAreKeptInSegmentsThatAreTheBundlesServed(t *testing.T) {
	b := newNotebook(t)
	a := b.open()
	const count = 2*tiles.Width + 3
	for i := range count {
		must(t, b.publish(a, i))
		must(t, b.publish(a, i)) // the same tree again is not kept again
	}
	b.holds(a, count)
	b.holds(b.open(), count)
	var whole []byte
	for n, width := range []int{256, 256, 3} {
		data, err := os.ReadFile(b.segment(int64(n)))
		must(t, err)
		if served, err := a.bundle(int64(n), width); err != nil || !bytes.Equal(served, data) {
			t.Errorf("segment %d is not what is served: %v", n, err)
		}
		whole = append(whole, data...)
	}
	for _, width := range []int{1, 2, 255, 256} { // every partial one is the beginning of the full one
		data, err := a.bundle(0, width)
		must(t, err)
		if !bytes.HasPrefix(whole, data) {
			t.Errorf("bundle of %d is no beginning", width)
		}
	}
	for _, beyond := range [][2]int{{2, 4}, {2, 256}, {3, 1}, {1 << 40, 256}} {
		if a.has(int64(beyond[0]), beyond[1]) {
			t.Errorf("it has %v", beyond)
		}
	}
}

// A crash after the note is kept, and before the guard has it, looks like a guard that is one checkpoint older: the note may
// have been shown. So it stays where it is, and the next start publishes it.
// STO-38, STO-39
func TestACheckpointThatWasKeptIsNeverWrittenOverAndTheNextStartPublishesIt(t *testing.T) {
	for _, before := range []int{0, 1, 2, 255, 256, 257, 512} {
		b := newNotebook(t)
		a := b.open()
		for i := range before {
			must(t, b.publish(a, i))
		}
		crash := errors.New("crash")
		asked := false
		failing := func(*trust.Checkpoint) error {
			asked = true
			last, _ := os.ReadFile(b.segment(int64(before / tiles.Width)))
			if !bytes.HasSuffix(last, b.checkpoint(before).Signed) {
				t.Errorf("after %d: published before it is kept", before)
			}
			return crash
		}
		if err := a.keep(b.checkpoint(before), failing); !errors.Is(err, crash) || !asked {
			t.Fatalf("after %d: %v", before, err)
		}
		b.holds(a, before) // STO-9: nobody sees it yet
		for range 2 {      // again and again, as long as the guard takes nothing
			a = b.open()
			b.holds(a, before)
			if cp := a.newest(); cp == nil || cp.Size != int64(before)+1 {
				t.Errorf("after %d: the newest is %v", before, cp)
			}
			a.settle(b.cfg.Policy, failing)
			b.holds(a, before)
			if !strings.Contains(b.log.String(), "is not published; the next one stands behind it") {
				t.Errorf("after %d: %s", before, b.log)
			}
		}

		// The guard takes things again: the next publication goes behind it, and shows both.
		old := b.published
		must(t, b.publish(a, before+1))
		b.holds(a, before+2)
		b.holds(b.open(), before+2)

		// Or a start comes first.
		b.published = old
		b.holds(b.settled(), before+2)
		if b.published.Size != int64(before)+2 {
			t.Errorf("after %d: the guard has size %d", before, b.published.Size)
		}
		b.log.Reset()
		b.holds(b.settled(), before+2)
		if b.log.Len() != 0 {
			t.Errorf("after %d: there is nothing to settle: %s", before, b.log)
		}
		if err := b.publish(a, before); err == nil || !strings.Contains(err.Error(), "is kept") {
			t.Errorf("after %d: a smaller tree: %v", before, err)
		}
		b.holds(b.open(), before+2)
	}
}

// STO-22, STO-39
func TestAKeptCheckpointThatDoesNotSatisfyThePolicyIsNotPublishedAndNotWrittenOver(t *testing.T) {
	b := newNotebook(t)
	a := b.open()
	must(t, b.publish(a, 0))
	must(t, b.publish(a, 1))
	b.published = b.checkpoint(0)
	_, vkey, err := trust.GenerateKey(seed("w"), "witness.example/w", trust.Ed25519Cosigner)
	must(t, err)
	strict, err := trust.ParsePolicy(trust.FormatPolicy(b.cfg.Policy.Logs(), []trust.PolicyWitness{{Name: "w", VKey: vkey, URL: "https://w.example"}}, 1))
	must(t, err)
	a = b.open()
	a.settle(strict, func(*trust.Checkpoint) error { t.Error("published without a quorum"); return nil })
	b.holds(a, 1)
	if !strings.Contains(b.log.String(), "is not published; the next one stands behind it") {
		t.Error(b.log)
	}
	must(t, b.publish(a, 2))
	b.holds(a, 3)
}

// STO-39
func TestATornNoteAtTheEndIsDroppedWhereverItIsTorn(t *testing.T) {
	for _, before := range []int{3, 255, 257} {
		b := newNotebook(t)
		a := b.open()
		for i := range before {
			must(t, b.publish(a, i))
		}
		whole, err := os.ReadFile(b.segment(int64(before / tiles.Width)))
		must(t, err)
		next := tiles.AppendEntry(nil, b.checkpoint(before).Signed)
		tails := [][]byte{make([]byte, 1), make([]byte, 2), make([]byte, 511), bytes.Repeat([]byte{0xff}, 70)}
		step := 1
		if before > 3 || testing.Short() {
			step = 60
		}
		for cut := 0; cut < len(next); cut += step {
			tails = append(tails, next[:cut])
		}
		for _, tail := range tails {
			must(t, os.WriteFile(b.segment(int64(before/tiles.Width)), append(slices.Clip(whole), tail...), 0o644))
			a := b.open()
			if a.size() != int64(before) {
				t.Fatalf("%d checkpoints of %d and %d bytes", a.size(), before, len(tail))
			}
			must(t, b.publish(a, before))
			b.holds(b.open(), before+1)
			b.published = b.checkpoint(before - 1)
		}
	}
}

// Whatever byte of the last segment is another one: what is served is right, and a number that was given is not given again.
// STO-39, STO-40
func TestADamagedHistoryIsNeitherServedNorWrittenOn(t *testing.T) {
	b := newNotebook(t)
	a := b.open()
	const count = 5
	for i := range count {
		must(t, b.publish(a, i))
	}
	whole, err := os.ReadFile(b.segment(0))
	must(t, err)
	refused, went := 0, 0
	step := 7
	if !testing.Short() {
		step = 1
	}
	damaged := [][]byte{nil, whole[:1], whole[:len(whole)-1]}
	for at := 0; at < len(whole); at += step {
		d := bytes.Clone(whole)
		d[at] ^= 1 << (at % 8)
		damaged = append(damaged, d)
	}
	for i, data := range damaged {
		must(t, os.WriteFile(b.segment(0), data, 0o644))
		b.published = b.checkpoint(count - 1)
		a := b.open()
		for width := 1; width <= count; width++ {
			if got, err := a.bundle(0, width); err == nil && !bytes.HasPrefix(whole, got) {
				t.Fatalf("damage %d: served as %q", i, got)
			}
		}
		switch err := b.publish(a, count); {
		case err != nil:
			refused++
			if got, _ := os.ReadFile(b.segment(0)); !bytes.Equal(got, data) {
				t.Fatalf("damage %d: what was refused is written on", i)
			}
			if !strings.Contains(b.log.String(), "nothing new is published") {
				t.Fatal("it is not said")
			}
			// Restored, it goes on without a restart.
			must(t, os.WriteFile(b.segment(0), whole, 0o644))
			must(t, b.publish(a, count))
			b.holds(a, count+1)
		default:
			went++
			got, err := os.ReadFile(b.segment(0))
			must(t, err)
			if !bytes.Equal(got[:len(data)], data) {
				t.Fatalf("damage %d: what was damaged is written over", i)
			}
			if path, count, err := a.damage(); path != "checkpoints/000" || count != 1 || !errors.Is(err, errDamaged) {
				t.Fatalf("damage %d: nobody is told: %s, %d, %v", i, path, count, err)
			}
			copy(got, whole)
			must(t, os.WriteFile(b.segment(0), got, 0o644))
			a.recheck()
			if _, count, err := a.damage(); count != 0 || err != nil {
				t.Fatalf("damage %d: restored, and still %v", i, err)
			}
			b.holds(a, count+1)
		}
	}
	if refused == 0 || went == 0 {
		t.Errorf("%d refused, %d went on", refused, went)
	}
}

// STO-40
func TestADamagedOlderSegmentStopsNothing(t *testing.T) {
	b := newNotebook(t)
	a := b.open()
	const count = 2*tiles.Width + 1
	for i := range count {
		must(t, b.publish(a, i))
	}
	whole, err := os.ReadFile(b.segment(0))
	must(t, err)
	for name, damage := range map[string]func() error{
		"missing":    func() error { return os.Remove(b.segment(0)) },
		"short":      func() error { return os.Truncate(b.segment(0), int64(len(whole))-1) },
		"a flip":     func() error { d := bytes.Clone(whole); d[1000] ^= 4; return os.WriteFile(b.segment(0), d, 0o644) },
		"notes swap": func() error { return os.WriteFile(b.segment(0), swapNotes(t, whole, 3, 4), 0o644) },
		"a note twice": func() error {
			notes, err := tiles.ParseBundle(whole, tiles.Width)
			must(t, err)
			notes[4] = notes[3]
			var data []byte
			for _, note := range notes {
				data = tiles.AppendEntry(data, note)
			}
			return os.WriteFile(b.segment(0), data, 0o644)
		},
		"a pipe": func() error { must(t, os.Remove(b.segment(0))); return syscall.Mkfifo(b.segment(0), 0o600) },
	} {
		must(t, damage())
		for _, a := range []*archive{a, b.open()} { // one that has seen it whole, and one that has not
			if data, err := a.bundle(0, 256); err == nil || data != nil {
				t.Errorf("%s: %d bytes, %v", name, len(data), err)
			}
			if _, err := a.bundle(1, 256); err != nil {
				t.Errorf("%s: the next segment: %v", name, err)
			}
			if _, err := a.bundle(2, 1); err != nil {
				t.Errorf("%s: the last segment: %v", name, err)
			}
		}
		must(t, os.RemoveAll(b.segment(0)))
		must(t, os.WriteFile(b.segment(0), whole, 0o644))
	}
	must(t, b.publish(a, count))
	b.holds(a, count+1)
}

func swapNotes(t *testing.T, segment []byte, i, j int) (data []byte) {
	t.Helper()
	notes, err := tiles.ParseBundle(segment, tiles.Width)
	must(t, err)
	notes[i], notes[j] = notes[j], notes[i]
	for _, note := range notes {
		data = tiles.AppendEntry(data, note)
	}
	return data
}

// What an earlier release has published is kept first, however that comes about.
// STO-39
func TestWhatAnEarlierReleasePublishedIsKeptAtTheStart(t *testing.T) {
	for _, before := range []int{0, 1, 2, 256} {
		b := newNotebook(t)
		a := b.open()
		for i := range before {
			must(t, b.publish(a, i))
		}
		b.published = b.checkpoint(before) // by a release that keeps no history
		a = b.open()
		b.holds(a, before)
		a.settle(b.cfg.Policy, b.guard)
		b.holds(a, before+1)
		if warned := strings.Contains(b.log.String(), "does not hold the published one"); warned != (before > 0) {
			t.Errorf("after %d: warned %v", before, warned)
		}
		a = b.open()
		a.settle(b.cfg.Policy, b.guard)
		b.holds(a, before+1)

		// A disk that takes nothing at the start takes both later.
		b.published = b.checkpoint(before + 1)
		a = b.open()
		away := b.cfg.CheckpointsDir + ".away"
		must(t, os.Rename(b.cfg.CheckpointsDir, away))
		must(t, os.WriteFile(b.cfg.CheckpointsDir, nil, 0o644))
		a.settle(b.cfg.Policy, b.guard)
		if err := b.publish(a, before+2); err == nil {
			t.Error("published without a place to keep it")
		}
		must(t, os.Remove(b.cfg.CheckpointsDir))
		must(t, os.Rename(away, b.cfg.CheckpointsDir))
		must(t, b.publish(a, before+2))
		b.holds(a, before+3)
	}
}

// An older guard, or a new one, knows of fewer checkpoints than were shown; none is taken back.
// STO-39
func TestAnOlderGuardTakesNoCheckpointBack(t *testing.T) {
	for _, count := range []int{4, 256, 257, 300} {
		b := newNotebook(t)
		a := b.open()
		for i := range count {
			must(t, b.publish(a, i))
		}
		for _, published := range []*trust.Checkpoint{nil, b.checkpoint(0), b.checkpoint(1), b.checkpoint(count - 2), b.checkpoint(count - 1)} {
			b.published = published
			b.holds(b.settled(), count)
			if b.published.Size != int64(count) {
				t.Errorf("of %d: the guard has size %d", count, b.published.Size)
			}
		}
		for _, published := range []*trust.Checkpoint{nil, b.checkpoint(0), b.checkpoint(count - 2)} { // and if the guard takes nothing at the start
			b.published = published
			a := b.open()
			must(t, b.publish(a, count-1))
			b.holds(a, count)
		}
	}
}

// A history that was cut, or restored from a copy, is in itself as sound as it was; only the guard tells that it is too short.
// STO-38
func TestAHistoryThatDoesNotReachThePublishedCheckpointIsDamaged(t *testing.T) {
	b := newNotebook(t)
	f := &Files{GuardDir: t.TempDir(), CheckpointsDir: b.cfg.CheckpointsDir, LedgerPolicy: b.cfg.Policy}
	a := b.open()
	const kept = 2*tiles.Width + 2
	for i := range kept {
		must(t, b.publish(a, i))
	}
	var whole [3][]byte
	for n := range whole {
		data, err := os.ReadFile(b.segment(int64(n)))
		must(t, err)
		whole[n] = data
	}
	// keep leaves the first count checkpoints.
	keep := func(count int) {
		for n, data := range whole {
			must(t, os.RemoveAll(b.segment(int64(n))))
			if width := min(count-n*tiles.Width, tiles.Width); width > 0 {
				data, err := tiles.FirstEntries(data, width)
				must(t, err)
				must(t, os.WriteFile(b.segment(int64(n)), data, 0o644))
			}
		}
	}
	for _, count := range []int{1, 2, 255, 256, 257, 511, 512, 513, kept} {
		keep(count)
		for _, published := range []int{1, 2, 255, 256, 257, 512, 513, kept} {
			must(t, os.WriteFile(filepath.Join(f.GuardDir, checkpointFile), b.checkpoint(published-1).Signed, 0o600))
			for _, start := range []int{0, 1, 255, 256, 257, 511, 512, 513, kept, kept + 1, 3 * tiles.Width} {
				got, bad := 0, error(nil)
				for note, err := range f.Checkpoints(t.Context(), int64(start)) {
					if bad = err; err == nil {
						if !bytes.Equal(note, b.checkpoint(start+got).Signed) {
							t.Fatalf("checkpoint %d is %q", start+got, note)
						}
						got++
					}
				}
				// More than the published one may be kept, after a crash, or where the guard is an older copy.
				switch {
				case published > count:
					if !errors.Is(bad, ErrDamaged) || !strings.Contains(bad.Error(), fmt.Sprintf("the published one of size %d is not in it", published)) {
						t.Errorf("%d of %d from %d on: %v", count, published, start, bad)
					}
				case start > published:
					if got != 0 || !errors.Is(bad, fs.ErrNotExist) || errors.Is(bad, ErrDamaged) {
						t.Errorf("%d of %d from %d on: %d, %v", count, published, start, got, bad)
					}
				case bad != nil || got != published-start:
					t.Errorf("%d of %d from %d on: %d, %v", count, published, start, got, bad)
				}
			}
		}
	}
}

// STO-38
func TestAPolicyWhoseCheckpointsCouldNotBeKeptIsRefused(t *testing.T) {
	w := newWorld(t, 0, 0)
	for n, good := range map[int]bool{19: true, 20: false} {
		var lines []trust.PolicyWitness
		for i := range n {
			name := fmt.Sprint("w", i)
			_, vkey, err := trust.GenerateKey(seed(name), "witness.example/"+name, trust.MLDSA44Cosigner)
			must(t, err)
			lines = append(lines, trust.PolicyWitness{Name: name, VKey: vkey, URL: "https://" + name + ".example"})
		}
		policy, err := trust.ParsePolicy(trust.FormatPolicy(w.cfg.Policy.Logs(), lines, 1))
		must(t, err)
		if err := checkPolicy(policy, w.cfg.Signer); (err == nil) != good {
			t.Errorf("%d witnesses: %v", n, err)
		}
	}
}

// files reads what the world's log has published from its directories.
func (w *world) files() *Files {
	return &Files{Dir: w.cfg.Dir, GuardDir: w.cfg.GuardDir, CheckpointsDir: w.cfg.Dir + ".checkpoints", LedgerPolicy: w.cfg.Policy}
}

func (w *world) history(start int64) (notes [][]byte) {
	w.t.Helper()
	for note, err := range w.files().Checkpoints(w.t.Context(), start) {
		must(w.t, err)
		notes = append(notes, bytes.Clone(note))
	}
	return notes
}

// STO-38
func TestEveryCheckpointThatAnybodySawIsInTheHistory(t *testing.T) {
	w := newWorld(t, 2, 1)
	l := w.open()
	var seen [][]byte
	look := func() {
		cp, err := l.Checkpoint(t.Context())
		must(t, err)
		seen = append(seen, cp.Text())
	}
	for i := range 5 {
		w.add(i)
		look()
	}
	w.close()
	l = w.open()
	w.heard()
	look()
	w.add(5)
	look()
	history := w.history(0)
	if int64(len(history)) != l.HistorySize() {
		t.Errorf("%d checkpoints, and HistorySize is %d", len(history), l.HistorySize())
	}
	for _, text := range seen {
		if !slices.ContainsFunc(history, func(note []byte) bool { return bytes.HasPrefix(note, text) }) {
			t.Errorf("it does not hold %q", text)
		}
	}
	var last int64
	for i, note := range history {
		cp, err := w.cfg.Policy.OpenCheckpoint(note)
		must(t, err)
		if cp.Size < last || cp.Size == last && i > 0 {
			t.Errorf("checkpoint %d has size %d, the one before %d", i, cp.Size, last)
		}
		last = cp.Size
	}
	for start := range int64(len(history)) + 1 {
		if rest := w.history(start); !slices.EqualFunc(rest, history[start:], bytes.Equal) {
			t.Errorf("from %d on there are %d of %d", start, len(rest), len(history))
		}
	}
	for _, start := range []int64{int64(len(history)) + 1, 255, 256, 1 << 40} {
		for _, err := range w.files().Checkpoints(t.Context(), start) {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("from %d: %v", start, err)
			}
		}
	}
	data, err := l.History(t.Context(), tiles.CheckpointPath(0, len(history)))
	must(t, err)
	if notes, err := tiles.ParseBundle(data, len(history)); err != nil || !slices.EqualFunc(notes, history, bytes.Equal) {
		t.Errorf("the bundle is another one: %v", err)
	}
	for _, path := range []string{"", "checkpoints/0", "tile/0/000", "checkpoints/001", tiles.CheckpointPath(0, len(history)+1)} {
		if _, err := l.History(t.Context(), path); !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// STO-39, STO-41
func TestAGuardFromABackupLearnsFromTheHistory(t *testing.T) {
	for _, later := range []int{1, 3} { // a guard that is one checkpoint older looks like one after a crash
		w := newWorld(t, 1, 1)
		w.open()
		w.addAll(0, 3)
		w.close()
		old := w.copyTo(t)
		w.open()
		for i := range later {
			w.add(3 + i)
		}
		history := w.history(0)
		w.close()
		w.replaceDir("guard", old)
		w.witnesses[0].behave(down)
		l := w.open()
		if got := l.guard.highWater().Size; got != int64(3+later) {
			t.Errorf("%d later: the guard remembers size %d", later, got)
		}
		if cp, err := l.Checkpoint(t.Context()); err != nil || !bytes.Equal(cp.Signed, history[len(history)-1]) {
			t.Errorf("%d later: published is %v, %v", later, cp, err)
		}
		if got := l.HistorySize(); got != int64(len(history)) {
			t.Errorf("%d later: %d checkpoints of %d", later, got, len(history))
		}
		w.witnesses[0].behave(nil)
		w.heard()
		w.add(3 + later)
		if now := w.history(0); len(now) != len(history)+1 || !slices.EqualFunc(now[:len(history)], history, bytes.Equal) {
			t.Errorf("%d later: of %d checkpoints there are %d", later, len(history), len(now))
		}
		w.close()
	}
}

// Two copies of one log that went different ways: the history of the one shows what the other is.
// STO-41
func TestAHistoryThatTheLogDoesNotContinueRefusesTheStart(t *testing.T) {
	w := newWorld(t, 0, 0)
	w.open()
	w.add(0)
	w.close()
	other := w.copyTo(t)
	w.open()
	w.add(1)
	w.close()
	other.open()
	other.add(2)
	other.close()
	must(t, os.RemoveAll(w.cfg.Dir+".checkpoints"))
	must(t, os.CopyFS(w.cfg.Dir+".checkpoints", os.DirFS(other.cfg.Dir+".checkpoints")))
	if _, err := w.tryOpen(); !errors.Is(err, ErrGuard) || !errors.Is(err, ErrHistory) {
		t.Errorf("it starts: %v", err)
	}
}

// A log whose history cannot be kept serves what it has and publishes nothing, and goes on by itself.
// STO-38
func TestWithoutAPlaceForTheHistoryNothingIsPublished(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.open()
	w.add(0)
	w.close()
	dir := w.cfg.Dir + ".checkpoints"
	must(t, os.Rename(dir, dir+".away"))
	must(t, os.WriteFile(dir, nil, 0o644))
	l := w.open()
	w.heard()
	before := w.guardFiles()[checkpointFile]
	w.unpublished(1)
	var why *NotReady
	eventually(t, "it is said", func() bool {
		return errors.As(l.Health(t.Context()), &why) && why.Reasons[0].About == "publication" && strings.Contains(why.Error(), "history of checkpoints")
	})
	if now := w.guardFiles()[checkpointFile]; now != before {
		t.Errorf("published %q", now)
	}
	if _, err := l.Prove(t.Context(), 0); err != nil {
		t.Errorf("what was published is not served: %v", err)
	}
	must(t, os.Remove(dir))
	must(t, os.Rename(dir+".away", dir))
	if a := w.add(1); a.New {
		t.Error("logged twice")
	}
	if notes := w.history(0); len(notes) < 2 {
		t.Errorf("%d checkpoints", len(notes))
	}
}

func TestFilesAreReadWhetherTheLogIsOpenOrNot(t *testing.T) {
	w := newWorld(t, 1, 1)
	f := w.files()
	if _, err := f.Checkpoint(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first publication: %v", err)
	}
	for _, err := range f.Checkpoints(t.Context(), 0) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a history of nothing: %v", err)
		}
	}
	if _, err := f.Roots(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no roots: %v", err)
	}
	l := w.open()
	w.addAll(0, 20)
	open, err := f.Checkpoint(t.Context())
	must(t, err)
	cp, err := l.Checkpoint(t.Context())
	must(t, err)
	if !bytes.Equal(open, cp.Signed) {
		t.Errorf("the checkpoint is %q", open)
	}
	for _, path := range []string{tiles.Path(tiles.Widest(0, 0, cp.Size)), tiles.Path(tiles.Widest(-1, 0, cp.Size))} {
		want, err := l.Tile(t.Context(), path)
		must(t, err)
		w.close()
		if got, err := f.Tile(t.Context(), path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
		w.open()
		l = w.log
	}
	for _, path := range []string{"tile/0/001", "tile/9/000", "checkpoint", ".state/treeState", "../guard/signed", "tile/0/../0/000"} {
		if got, err := f.Tile(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	must(t, os.WriteFile(filepath.Join(w.cfg.GuardDir, checkpointFile), bytes.Replace(open, []byte("\n20\n"), []byte("\n21\n"), 1), 0o600))
	if _, err := f.Checkpoint(t.Context()); !errors.Is(err, trust.ErrSignature) {
		t.Errorf("a checkpoint that nobody signed: %v", err)
	}
}

// STO-39
func TestADamagedHistoryIsNotReadAsAShorterOne(t *testing.T) {
	w := newWorld(t, 1, 1)
	w.open()
	for i := range 6 {
		w.add(i)
	}
	w.close()
	path := filepath.Join(w.cfg.Dir+".checkpoints", "000")
	whole, err := os.ReadFile(path)
	must(t, err)
	notes, _ := splitNotes(whole)
	third := int(sizeOf(notes[:2]))
	for name, data := range map[string][]byte{
		"cut within the third note": whole[:third+40],
		"a length flipped":          append(append(bytes.Clone(whole[:third]), whole[third]^0x40), whole[third+1:]...),
		"a text flipped":            append(append(bytes.Clone(whole[:third+5]), 0), whole[third+6:]...),
	} {
		must(t, os.WriteFile(path, data, 0o644))
		var last error
		count := 0
		for _, err := range w.files().Checkpoints(t.Context(), 0) {
			if last = err; err == nil {
				count++
			}
		}
		if last == nil || errors.Is(last, fs.ErrNotExist) || count > 2 {
			t.Errorf("%s: %d checkpoints, then %v", name, count, last)
		}
	}
	must(t, os.WriteFile(path, append(whole, whole[:50]...), 0o644)) // a crash
	if got := w.history(0); len(got) != len(notes) {
		t.Errorf("%d of %d", len(got), len(notes))
	}
}

// STO-42
func TestFsckReadsTheHistoryAndNamesWhatIsDamaged(t *testing.T) {
	w := newWorld(t, 1, 1)
	check := func() (count int64, found []string) {
		t.Helper()
		count, err := FsckHistory(t.Context(), w.cfg.Dir, w.cfg.GuardDir, w.cfg.Dir+".checkpoints", func(d Damage) { found = append(found, d.String()) })
		must(t, err)
		return count, found
	}
	if count, found := check(); count != 0 || found != nil {
		t.Errorf("a ledger that has published nothing: %d, %q", count, found)
	}
	w.open()
	for i := range 6 {
		w.add(i)
	}
	if count, found := check(); count < 6 || found != nil { // beside the open log
		t.Errorf("beside the open log: %d, %q", count, found)
	}
	w.close()
	kept, _ := check()
	path := filepath.Join(w.cfg.Dir+".checkpoints", "000")
	whole, err := os.ReadFile(path)
	must(t, err)
	notes, _ := splitNotes(whole)
	join := func(notes ...[]byte) (data []byte) {
		for _, note := range notes {
			data = tiles.AppendEntry(data, note)
		}
		return data
	}
	other := &notebook{t: t, cfg: Config{Signer: w.cfg.Signer, Policy: w.cfg.Policy}}
	forked := other.checkpoint(2).Signed // of this log's key, and of no tree of its
	flipped := bytes.Clone(whole)
	flipped[sizeOf(notes[:2])+20] ^= 1
	for name, c := range map[string]struct {
		data []byte
		want string // "": sound
	}{
		"as it is":            {whole, ""},
		"torn behind the end": {append(bytes.Clone(whole), whole[:100]...), ""},
		"rubbish at the end":  {append(bytes.Clone(whole), make([]byte, 40)...), ""},
		"a flip":              {flipped, "checkpoints/000: checkpoints 2 to 2: note 2: "},
		"cut short":           {whole[:len(whole)-1], "it ends within a note"},
		"the last one gone":   {join(notes[:len(notes)-1]...), "does not hold the published one"},
		"another order":       {join(append([][]byte{notes[1], notes[0]}, notes[2:]...)...), "follows one of size"},
		"a note twice":        {join(append([][]byte{notes[0]}, notes...)...), "follows one of size"},
		"a fork":              {join(append([][]byte{forked}, notes[4:]...)...), "the log does not continue its tree"},
		"a tree not there":    {append(bytes.Clone(whole), join(other.checkpoint(70).Signed)...), "it was rolled back"},
		"none of this log":    {join([]byte("x")), "none of its notes is one of this log"},
		"nothing":             {nil, "none of its notes is one of this log"},
		"a stranger":          {append(bytes.Clone(whole), join([]byte("x"))...), ""},
		"a stranger within":   {join(append(slices.Clone(notes[:len(notes)-1]), []byte("x"), notes[len(notes)-1])...), fmt.Sprintf("note %d: ", len(notes)-1)},
	} {
		must(t, os.WriteFile(path, c.data, 0o644))
		switch _, found := check(); {
		case c.want == "" && found != nil:
			t.Errorf("%s: %q", name, found)
		case c.want != "" && (len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), c.want)):
			t.Errorf("%s: %q, want %q", name, found, c.want)
		}
	}
	must(t, os.WriteFile(path, join(notes[:len(notes)-1]...), 0o644))
	must(t, os.WriteFile(filepath.Join(w.cfg.Dir+".checkpoints", "001"), join(notes[len(notes)-1]), 0o644))
	if _, found := check(); len(found) != 1 || !strings.Contains(found[0], "and others follow") {
		t.Errorf("a segment that is not full before another: %q", found)
	}
	must(t, os.Remove(filepath.Join(w.cfg.Dir+".checkpoints", "001")))
	must(t, os.WriteFile(path, whole, 0o644))
	if count, found := check(); count != kept || found != nil {
		t.Errorf("%d of %d, %q", count, kept, found)
	}
}

func BenchmarkKeep(b *testing.B) {
	book := newNotebook(b)
	a := book.open()
	cps := make([]*trust.Checkpoint, 0, 4096)
	for i := range 4096 {
		cps = append(cps, book.checkpoint(i))
	}
	b.ResetTimer()
	for i := range b.N {
		if i%len(cps) == 0 {
			b.StopTimer()
			must(b, os.RemoveAll(book.cfg.CheckpointsDir))
			a.scan()
			b.StartTimer()
		}
		must(b, a.keep(cps[i%len(cps)], func(*trust.Checkpoint) error { return nil }))
	}
}
