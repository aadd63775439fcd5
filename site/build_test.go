package site_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
	"github.com/Haserjian/assay-ledger/trust"
)

// tree reads all files of a folder.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if d.IsDir() {
			files[name+"/"] = ""
			return err
		}
		text, err := os.ReadFile(path)
		files[name] = string(text)
		return err
	})
	must(t, err)
	return files
}

func sameTree(t testing.TB, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if other, there := got[name]; !there {
			t.Errorf("%s is missing", name)
		} else if other != text {
			t.Errorf("%s differs:\n%.300q\n%.300q", name, other, text)
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			t.Errorf("%s is too many", name)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLog(t testing.TB) *sitetest.Log {
	t.Helper()
	l, err := sitetest.New(t.Name())
	must(t, err)
	return l
}

func publish(t testing.TB, l *sitetest.Log) {
	t.Helper()
	must(t, l.Publish(sitetest.Began.Add(time.Duration(len(l.Leaves))*time.Hour)))
}

func build(t testing.TB, c site.Config) *site.Built {
	t.Helper()
	site.Volatile(&c)
	b, err := site.Build(t.Context(), c)
	must(t, err)
	return b
}

// toldOtherwise is a log whose own policy is that of another one.
type toldOtherwise struct {
	*sitetest.Log
	other *sitetest.Log
}

func (l toldOtherwise) Policy(ctx context.Context) ([]byte, error) { return l.other.Policy(ctx) }

// A site publishes no key that did not sign its checkpoint.
func TestALogThatNamesAnotherKeyThanItsOwnIsNotBuilt(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(2))
	publish(t, l)
	other, err := sitetest.New("another key")
	must(t, err)
	text, err := l.Policy(t.Context())
	must(t, err)
	policy, err := trust.ParsePolicy(text)
	must(t, err)
	out := filepath.Join(t.TempDir(), "out")
	if _, err := site.Build(t.Context(), site.Config{Log: toldOtherwise{l, other}, Out: out, Policy: policy}); !errors.Is(err, site.ErrDamaged) {
		t.Errorf("got %v, want %v", err, site.ErrDamaged)
	}
	if _, err := os.Stat(filepath.Join(out, "index.html")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a page was written: %v", err)
	}
}

// namesTwo is a log whose own policy names another one before it.
type namesTwo struct{ *sitetest.Log }

func (l namesTwo) Policy(ctx context.Context) ([]byte, error) {
	text, err := l.Log.Policy(ctx)
	if err != nil {
		return nil, err
	}
	_, vkey, err := trust.GenerateKey(strings.NewReader(strings.Repeat("x", 64)), "first.example", trust.Ed25519)
	return append([]byte("log "+vkey+"\n"), text...), err
}

// Of a policy that names several logs only a checkpoint tells which of them it is the site of.
func TestALogThatCannotBeToldFromAnotherIsBuiltOnceItHasACheckpoint(t *testing.T) {
	l := namesTwo{newLog(t)}
	config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
	if _, err := site.Build(t.Context(), config); err == nil || !strings.Contains(err.Error(), "names 2 logs") {
		t.Errorf("got %v", err)
	}
	must(t, l.Grow(2))
	publish(t, l.Log)
	build(t, config)
	if text := tree(t, config.Out)[".well-known/assay-ledger.json"]; !strings.Contains(text, `"origin": "`+sitetest.Origin) {
		t.Errorf("the site says %s", text)
	}
}

// SIT-5: a site grown in random steps is, byte for byte, the one that is built at once.
func TestASiteThatGrewInStepsIsTheOneBuiltAtOnce(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 1))
	l := newLog(t)
	steps := filepath.Join(t.TempDir(), "steps")
	config := site.Config{Log: l, Out: steps, Contact: []string{"mailto:security@ledger.example"}, Program: "test"}
	build(t, config) // of a log that has published nothing
	for len(l.Leaves) < 600 {
		for range 1 + random.IntN(3) {
			size := int64(len(l.Leaves)) + random.Int64N(120)
			for i := int64(len(l.Leaves)); i < size; i++ {
				must(t, l.Add(leafOf(i)))
			}
			publish(t, l)
		}
		build(t, config)
		atOnce := filepath.Join(t.TempDir(), "at-once")
		whole := config
		whole.Out = atOnce
		build(t, whole)
		got, want := tree(t, steps), tree(t, atOnce)
		sameTree(t, got, want)
		if t.Failed() {
			t.Fatalf("at size %d", len(l.Leaves))
		}
		must(t, os.RemoveAll(atOnce))
	}
	again := build(t, config)
	if again.Files != 0 || again.Bytes != 0 || again.Removed != 0 {
		t.Errorf("a build of nothing new writes %+v", again)
	}
}

// leafOf has some leaves that are no entries, and some entries with the pack root of another.
func leafOf(i int64) []byte {
	switch e := sitetest.Entry(i); {
	case i%97 == 13:
		return fmt.Appendf(nil, "no entry %d <script>", i)
	case i%61 == 7 && i > 7:
		e.PackRootSHA256 = sitetest.Entry(i / 61 * 61 / 2).PackRootSHA256
		return e.Leaf()
	default:
		return e.Leaf()
	}
}

var errKilled = errors.New("killed")

// SIT-20.
func TestABuildThatIsKilledAnywhereLeavesTheOldSiteOrIsFinishedByTheNext(t *testing.T) {
	from, to, every := int64(40), int64(44), 3
	if os.Getenv("ASSAY_LONG") != "" {
		from, to, every = 250, 259, 1
	}
	l := newLog(t)
	must(t, l.Grow(from))
	publish(t, l)
	before := filepath.Join(t.TempDir(), "before")
	build(t, site.Config{Log: l, Out: before})
	must(t, l.Grow(to))
	publish(t, l)
	after := filepath.Join(t.TempDir(), "after")
	build(t, site.Config{Log: l, Out: after})
	old, want := tree(t, before), tree(t, after)

	for kill := 0; ; kill += every {
		out := filepath.Join(t.TempDir(), "out")
		must(t, os.CopyFS(out, os.DirFS(before)))
		config := site.Config{Log: l, Out: out}
		at, killed := 0, ""
		site.BeforeStep(&config, func(step string) error {
			if at++; at > kill {
				killed = step
				return errKilled
			}
			return nil
		})
		_, err := site.Build(t.Context(), config)
		if killed == "" {
			must(t, err)
			if kill < 40 {
				t.Errorf("%d steps", kill)
			}
			return
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		left := tree(t, out)
		if left["checkpoint"] == old["checkpoint"] {
			for name, text := range old { // what the old checkpoint covers is there as it was
				if isLog(name) && left[name] != text {
					t.Errorf("killed before %q: %s of the old site is gone", killed, name)
				}
			}
		} else if left["checkpoint"] == want["checkpoint"] {
			for name, text := range want {
				if left[name] != text {
					t.Errorf("killed before %q: %s is not yet that of the new checkpoint", killed, name)
				}
			}
		}
		// Every second is also killed while it is finished.
		if kill%2 == 0 {
			again, steps := config, 0
			site.BeforeStep(&again, func(string) error {
				if steps++; steps > kill/2 {
					return errKilled
				}
				return nil
			})
			_, _ = site.Build(t.Context(), again)
		}
		build(t, site.Config{Log: l, Out: out})
		sameTree(t, tree(t, out), want)
		if t.Failed() {
			t.Fatalf("killed before %q", killed)
		}
		must(t, os.RemoveAll(out))
	}
}

// isLog tells what a verifier of the log reads.
func isLog(name string) bool {
	return strings.HasPrefix(name, "tile/")
}

// SIT-22, SIT-7.
func TestAFolderThatIsNotOursIsLeftAlone(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(3))
	publish(t, l)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "index.html"), []byte("mine"), 0o644))
	if _, err := site.Build(t.Context(), site.Config{Log: l, Out: dir}); !errors.Is(err, site.ErrNotOurs) {
		t.Fatal(err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}

	other, err := sitetest.New("another log")
	must(t, err)
	must(t, other.Grow(4))
	publish(t, other)
	out := filepath.Join(dir, "site")
	build(t, site.Config{Log: l, Out: out})
	was := tree(t, out)
	if _, err := site.Build(t.Context(), site.Config{Log: other, Out: out}); !errors.Is(err, site.ErrOtherLog) {
		t.Fatal(err)
	}
	sameTree(t, tree(t, out), was)
}

// SIT-18, SIT-19.
func TestALogThatIsDamagedOrRolledBackLeavesTheSiteAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, l *sitetest.Log)
		want   error
	}{
		"an entry of the tree is another": {func(t *testing.T, l *sitetest.Log) { l.Leaves[350] = []byte("other") }, site.ErrDamaged},
		"an entry that the site has is another": {func(t *testing.T, l *sitetest.Log) { l.Leaves[299] = []byte("other") },
			site.ErrRolledBack},
		"a smaller tree": {func(t *testing.T, l *sitetest.Log) {
			note, err := l.Sign(299, sitetest.Began)
			must(t, err)
			l.Note = note
		}, site.ErrRolledBack},
		"another tree of the same size": {func(t *testing.T, l *sitetest.Log) {
			note, err := l.SignTree(300, l.Stored[0], sitetest.Began)
			must(t, err)
			l.Note = note
		}, site.ErrRolledBack},
		"nothing published": {func(t *testing.T, l *sitetest.Log) { l.Note = nil }, site.ErrRolledBack},
		"a root that its entries have not": {func(t *testing.T, l *sitetest.Log) {
			note, err := l.SignTree(400, l.Stored[0], sitetest.Began)
			must(t, err)
			l.Note = note
		}, site.ErrDamaged},
		"a checkpoint of the history that the tree never was": {func(t *testing.T, l *sitetest.Log) {
			note, err := l.SignTree(350, l.Stored[0], sitetest.Began)
			must(t, err)
			l.Notes = slices.Insert(l.Notes, len(l.Notes)-1, note)
		}, site.ErrDamaged},
		"an old one that the tree never was": {func(t *testing.T, l *sitetest.Log) {
			note, err := l.SignTree(300, l.Stored[0], sitetest.Began)
			must(t, err)
			l.Notes = slices.Insert(l.Notes, len(l.Notes)-1, note)
		}, site.ErrDamaged},
		"a history that goes back": {func(t *testing.T, l *sitetest.Log) {
			note, err := l.Sign(200, sitetest.Began)
			must(t, err)
			l.Notes = slices.Insert(l.Notes, len(l.Notes)-1, note)
		}, site.ErrDamaged},
		"a history signed by somebody else": {func(t *testing.T, l *sitetest.Log) {
			other, err := sitetest.New("somebody else")
			must(t, err)
			other.Leaves, other.Stored = l.Leaves, l.Stored
			note, err := other.Sign(400, sitetest.Began)
			must(t, err)
			l.Notes[len(l.Notes)-1] = note
		}, site.ErrDamaged},
		"a history that has forgotten": {func(t *testing.T, l *sitetest.Log) { l.Notes = nil }, site.ErrRolledBack},
		"a bundle that is gone":        {func(t *testing.T, l *sitetest.Log) { l.Leaves = l.Leaves[:255] }, site.ErrMissing},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLog(t)
			must(t, l.Grow(300))
			publish(t, l)
			out := filepath.Join(t.TempDir(), "out")
			build(t, site.Config{Log: l, Out: out})
			was := tree(t, out)
			must(t, l.Grow(400))
			publish(t, l)
			test.change(t, l)
			if _, err := site.Build(t.Context(), site.Config{Log: l, Out: out}); !errors.Is(err, test.want) {
				t.Errorf("%v, expected %v", err, test.want)
			}
			got := tree(t, out)
			for name := range got {
				if strings.HasPrefix(name, ".assay-build/") {
					delete(got, name)
				}
			}
			sameTree(t, got, was)
		})
	}
}

// SIT-20: what others lead to is put in place before them, the checkpoint behind all of it, and removals come last.
func TestFilesArePutInPlaceInTheOrderOfWhatLeadsToThem(t *testing.T) {
	l := newLog(t)
	out := filepath.Join(t.TempDir(), "out")
	for i := range int64(300) {
		e := sitetest.Entry(i % 290) // the last ten share their pack roots with others
		if i >= 290 {
			e.ManifestSHA256[0] ^= 1
		}
		must(t, l.Add(e.Leaf()))
		if i == 250 {
			publish(t, l)
			build(t, site.Config{Log: l, Out: out})
		}
	}
	publish(t, l)
	var steps []string
	c := site.Config{Log: l, Out: out, Contact: []string{"mailto:a@b.example"}}
	site.BeforeStep(&c, func(step string) error {
		if words := strings.Fields(step); words[0] == "put" {
			step = "put " + words[len(words)-1] // without size and digest
		}
		steps = append(steps, step)
		return nil
	})
	_, err := site.Build(t.Context(), c)
	must(t, err)
	place := func(step string) int {
		what, name, _ := strings.Cut(step, " ")
		folder, rest, _ := strings.Cut(name, "/")
		bundle := folder == "checkpoints" && rest != "count" && !strings.Contains(rest, "ml") // feed.xml, index.html
		switch {
		case what == "remove":
			return 6
		case what != "put":
			return 0
		case folder == "tile" || bundle:
			return 1
		case name == "checkpoints/count" || folder == "lookup" || folder == "heads" || folder == "prev":
			return 2
		case folder == ".well-known":
			return 4
		case name == "checkpoint":
			return 5
		}
		return 3
	}
	seen, last := map[int]int{}, ""
	for _, step := range steps {
		at := place(step)
		if at == 0 {
			continue
		}
		if seen[at]++; last != "" && (at < place(last) || at == place(last) && step <= last) {
			t.Errorf("%q comes behind %q", step, last)
		}
		last = step
	}
	for at := 1; at <= 6; at++ {
		if seen[at] == 0 {
			t.Errorf("no step of place %d", at)
		}
	}
	for _, name := range []string{"put growth.csv", "put equivocation/records", "put checkpoints/index.html", "put checkpoints/count"} {
		if !slices.Contains(steps, name) {
			t.Errorf("%s is no step", name)
		}
	}
}

// SIT-20: of two builds of one folder one waits for nobody and changes nothing.
func TestTwoBuildsOfOneFolderDoNotMeet(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: the folder is not locked here")
	}
	l := newLog(t)
	must(t, l.Grow(5))
	publish(t, l)
	config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
	met := 0
	site.BeforeStep(&config, func(string) error {
		met++
		if _, err := site.Build(t.Context(), site.Config{Log: l, Out: config.Out}); err == nil || !strings.Contains(err.Error(), "another build is at work") {
			t.Errorf("a second build: %v", err)
		}
		return nil
	})
	_, err := site.Build(t.Context(), config)
	must(t, err)
	if met < 10 {
		t.Errorf("%d steps", met)
	}
}

// SIT-18: a build does not go on from files that are not those of the folder's checkpoint.
func TestASiteThatIsDamagedIsNotContinued(t *testing.T) {
	for name, change := range map[string]func(text string) string{
		"tile/0/001.p/44":     func(text string) string { return "x" + text[1:] },
		"tile/1/000.p/1":      func(text string) string { return text[1:] },
		"tile/0/001.p/":       nil, // all of them are gone
		"prev/001.p/44":       func(text string) string { return text[1:] },
		"heads/":              func(text string) string { return "x" + text },
		"lookup/":             func(text string) string { return text + "x" },
		"growth.csv":          func(text string) string { return text + "x" },
		"checkpoints/000.p/1": func(text string) string { return text[1:] },
		"checkpoints/count":   func(text string) string { return "x" },
		"checkpoint":          func(text string) string { return text[1:] },
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			l := newLog(t)
			must(t, l.Grow(300))
			publish(t, l)
			config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
			build(t, config)
			changed := 0
			for path, text := range tree(t, config.Out) {
				full := filepath.Join(config.Out, path)
				switch {
				case !strings.HasPrefix(path, name) || strings.HasSuffix(path, "/") || path != name && !strings.HasSuffix(name, "/"):
				case change == nil:
					must(t, os.Remove(full))
					changed++
				default:
					must(t, os.WriteFile(full, []byte(change(text)), 0o644))
					changed++
				}
			}
			if changed == 0 {
				t.Fatal("nothing was changed")
			}
			must(t, l.Grow(340))
			publish(t, l)
			was := tree(t, config.Out)["checkpoint"]
			if _, err := site.Build(t.Context(), config); !errors.Is(err, site.ErrSiteDamaged) {
				t.Error(err)
			}
			if tree(t, config.Out)["checkpoint"] != was {
				t.Error("it was built on")
			}
		})
	}
}

func BenchmarkBuildOf10000Entries(b *testing.B) {
	l := newLog(b)
	must(b, l.Grow(10_000))
	publish(b, l)
	for b.Loop() {
		c := site.Config{Log: l, Out: filepath.Join(b.TempDir(), "site")}
		site.Volatile(&c)
		_, err := site.Build(b.Context(), c)
		must(b, err)
	}
}

func Benchmark100EntriesMore(b *testing.B) {
	l := newLog(b)
	must(b, l.Grow(10_000))
	publish(b, l)
	c := site.Config{Log: l, Out: filepath.Join(b.TempDir(), "site")}
	_, err := site.Build(b.Context(), c)
	must(b, err)
	files, bytes := 0, int64(0)
	for b.Loop() {
		b.StopTimer()
		must(b, l.Grow(int64(len(l.Leaves)+100)))
		publish(b, l)
		b.StartTimer()
		built, err := site.Build(b.Context(), c)
		must(b, err)
		files, bytes = built.Files, built.Bytes
	}
	b.ReportMetric(float64(files), "files")
	b.ReportMetric(float64(bytes), "bytes")
}
