package site_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
)

const (
	commitHead = "assay-ledger site commit v1\n"
	emptySum   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// interrupted is a folder in which a build was killed before a step that begins so, and the log that it was of. The folder
// was a site before, unless the build is the first one.
func interrupted(t *testing.T, first bool, step string) (*sitetest.Log, string) {
	t.Helper()
	l := newLog(t)
	out := filepath.Join(t.TempDir(), "site")
	must(t, l.Grow(5))
	publish(t, l)
	if !first {
		build(t, site.Config{Log: l, Out: out})
		must(t, l.Grow(9))
		publish(t, l)
	}
	config := site.Config{Log: l, Out: out}
	site.Volatile(&config)
	site.BeforeStep(&config, func(next string) error {
		if strings.HasPrefix(next, step) {
			return errKilled
		}
		return nil
	})
	if _, err := site.Build(t.Context(), config); !errors.Is(err, errKilled) {
		t.Fatalf("not killed before %q: %v", step, err)
	}
	return l, out
}

// SIT-20: a list of changes is followed whole or not at all: whatever is wrong with it, or with what it puts in place, it is
// found before the first change.
func TestAListOfChangesThatIsDamagedChangesNothing(t *testing.T) {
	list := filepath.Join(".assay-build", "commit")
	lines := func(text string) string { return text[:strings.LastIndex(text, "end ")] }
	for name, change := range map[string]func(t *testing.T, out, text string) string{
		"an empty one":        func(*testing.T, string, string) string { return "" },
		"one that is cut off": func(_ *testing.T, _, text string) string { return text[:len(text)/2] },
		"one that goes on":    func(_ *testing.T, _, text string) string { return text + "\n" },
		"one that has lost a line": func(_ *testing.T, _, text string) string {
			return strings.Replace(text, text[28:strings.Index(text[28:], "\n")+29], "", 1)
		},
		"one without changes": func(*testing.T, string, string) string { return string(site.EndCommit(commitHead)) },
		"a verb that nobody knows": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(strings.Replace(lines(text), "\nremove ", "\nunlink ", 1)))
		},
		"a path out of the folder": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(lines(text) + "remove ../site/x\n"))
		},
		"a path from the root": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(lines(text) + "remove /tmp\n"))
		},
		"our own directory": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(commitHead + "remove .assay-build/new\n"))
		},
		"the folder itself": func(_ *testing.T, _, text string) string { return string(site.EndCommit(commitHead + "remove .\n")) },
		"another order": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(commitHead + "remove b\nremove a\n"))
		},
		"a removal before the others": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(strings.Replace(lines(text), commitHead, commitHead+"remove a\n", 1)))
		},
		"a file that was never there": func(_ *testing.T, _, text string) string {
			return string(site.EndCommit(commitHead + "put " + emptySum + " 0 tile/0/x\n"))
		},
		"a file that is gone": func(t *testing.T, out, text string) string {
			must(t, os.Remove(filepath.Join(out, ".assay-build", "new", "checkpoint")))
			return text
		},
		"a file of which a bit is flipped": func(t *testing.T, out, text string) string {
			path := filepath.Join(out, ".assay-build", "new", "checkpoint")
			data, err := os.ReadFile(path)
			must(t, err)
			data[len(data)/2] ^= 1
			must(t, os.WriteFile(path, data, 0o644))
			return text
		},
		"a file that goes on": func(t *testing.T, out, text string) string {
			path := filepath.Join(out, ".assay-build", "new", "index.html")
			data, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, append(data, 'x'), 0o644))
			return text
		},
		"a link in the place of a file": func(t *testing.T, out, text string) string {
			path := filepath.Join(out, ".assay-build", "new", "index.html")
			must(t, os.Rename(path, path+".away"))
			must(t, os.Symlink("index.html.away", path))
			return text
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, out := interrupted(t, false, "put")
			text, err := os.ReadFile(filepath.Join(out, list))
			must(t, err)
			changed := change(t, out, string(text))
			must(t, os.WriteFile(filepath.Join(out, list), []byte(changed), 0o644))
			was := tree(t, out)
			if _, err := site.Build(t.Context(), site.Config{Log: l, Out: out}); !errors.Is(err, site.ErrSiteDamaged) {
				t.Errorf("%v, expected %v", err, site.ErrSiteDamaged)
			}
			sameTree(t, tree(t, out), was)
		})
	}
}

// SIT-20: so it is with every single byte of a list.
func TestAByteOfAListOfChangesThatIsAnotherIsFound(t *testing.T) {
	text := site.EndCommit(commitHead + "put " + emptySum + " 0 tile/0/000\nput " + emptySum + " 17 checkpoint\nremove tile/0/000.p/17\n")
	if again, err := site.SameCommit(text); err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%q, %v", again, err)
	}
	for i := range text {
		for _, bit := range []byte{1, 2, 32, 128} {
			changed := bytes.Clone(text)
			changed[i] ^= bit
			if _, err := site.SameCommit(changed); err == nil {
				t.Errorf("%q is taken", changed)
			}
		}
	}
}

// SIT-20: the list that the specification shows is one.
func TestTheListOfTheSpecificationIsRead(t *testing.T) {
	page, err := os.ReadFile("../docs/spec/site.md")
	must(t, err)
	_, after, _ := strings.Cut(string(page), "```text\n"+commitHead)
	text, _, found := strings.Cut(commitHead+after, "```")
	if again, err := site.SameCommit([]byte(text)); err != nil || !found || string(again) != text {
		t.Errorf("%q, %v", text, err)
	}
}

func FuzzCommitListRoundTrips(f *testing.F) {
	f.Add("put "+emptySum+" 0 tile/0/000\nput "+emptySum+" 17 checkpoint\nremove tile/0/000.p/17\n", true)
	f.Add("remove a\nremove a/b\n", true)
	f.Add(commitHead+"put x\nend\n", false)
	f.Fuzz(func(t *testing.T, lines string, ended bool) {
		text := []byte(lines)
		if ended {
			text = site.EndCommit(commitHead + lines)
		}
		if again, err := site.SameCommit(text); err == nil && !bytes.Equal(again, text) {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}

// What stands in the way of a file or directory of the site is found before anything is changed, and once it is gone the
// build goes on.
func TestWhatStandsInTheWayOfASiteIsFoundFirst(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"equivocation/records": func(path string) error { return os.Mkdir(path, 0o755) },
		"heads":                func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"tile":                 func(path string) error { return os.Symlink("nowhere", path) },
		"prev":                 func(path string) error { return os.Symlink("/tmp", path) },
	} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			l := newLog(t)
			config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
			build(t, config) // of a log that has published nothing
			e := sitetest.Entry(0)
			must(t, l.Add(e.Leaf()))
			e.ManifestSHA256[0] ^= 1
			must(t, l.Add(e.Leaf()))
			publish(t, l)
			must(t, plant(filepath.Join(config.Out, name)))
			site.Volatile(&config)
			site.BeforeStep(&config, func(step string) error { return fmt.Errorf("a step was taken: %s", step) })
			_, err := site.Build(t.Context(), config)
			if err == nil || strings.Contains(err.Error(), "a step was taken") {
				t.Errorf("got %v", err)
			}
			must(t, os.Remove(filepath.Join(config.Out, name)))
			site.BeforeStep(&config, nil)
			build(t, config)
		})
	}
}

// SIT-22: whoever plants our directory in a folder that is not ours makes it none of ours.
func TestAFolderThatIsNotOursIsLeftAloneWhateverIsPlantedInIt(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T) (*sitetest.Log, string){
		"what an interrupted build was about to put in place": func(t *testing.T) (*sitetest.Log, string) { return interrupted(t, true, "put") },
		"what it had put in place in part":                    func(t *testing.T) (*sitetest.Log, string) { return interrupted(t, true, "put "+emptySum) },
		"what an interrupted build had gathered":              func(t *testing.T) (*sitetest.Log, string) { return interrupted(t, true, "list") },
	} {
		for _, mine := range []string{"index.html", "mine.txt", "tile/mine.txt", "mine/"} {
			t.Run(name+" "+strings.ReplaceAll(mine, "/", "_"), func(t *testing.T) {
				l, out := plant(t)
				path := filepath.Join(out, mine)
				if strings.HasSuffix(mine, "/") {
					must(t, os.MkdirAll(path, 0o755))
				} else {
					must(t, os.MkdirAll(filepath.Dir(path), 0o755))
					must(t, os.WriteFile(path, []byte("mine"), 0o644))
				}
				was := tree(t, out)
				if _, err := site.Build(t.Context(), site.Config{Log: l, Out: out}); !errors.Is(err, site.ErrNotOurs) {
					t.Errorf("%v, expected %v", err, site.ErrNotOurs)
				}
				sameTree(t, tree(t, out), was)
			})
		}
	}
}

// SIT-22: what an interrupted build of another log has left is not finished for it.
func TestAnInterruptedBuildOfAnotherLogIsLeftAsItIs(t *testing.T) {
	for _, first := range []bool{true, false} {
		_, out := interrupted(t, first, "put")
		other, err := sitetest.New("another log")
		must(t, err)
		must(t, other.Grow(12))
		publish(t, other)
		was := tree(t, out)
		if _, err := site.Build(t.Context(), site.Config{Log: other, Out: out}); !errors.Is(err, site.ErrOtherLog) {
			t.Errorf("%v, expected %v", err, site.ErrOtherLog)
		}
		sameTree(t, tree(t, out), was)
	}
}

// SIT-20: the first build of a folder, too, is finished by the next wherever it was killed.
func TestAFirstBuildThatIsKilledAnywhereIsFinishedByTheNext(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(3))
	publish(t, l)
	whole := filepath.Join(t.TempDir(), "whole")
	build(t, site.Config{Log: l, Out: whole})
	want := tree(t, whole)
	for kill := 0; ; kill += 7 {
		config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
		at, killed := 0, ""
		site.Volatile(&config)
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
			if kill < 70 {
				t.Errorf("%d steps", kill)
			}
			return
		}
		site.BeforeStep(&config, nil)
		build(t, config)
		sameTree(t, tree(t, config.Out), want)
		if t.Failed() {
			t.Fatalf("killed before %q", killed)
		}
	}
}

// SIT-20: a list that the next build would not read is not written: the old site stays, and nothing is stuck.
func TestABuildWithMoreChangesThanAListMayHaveLeavesTheSiteAsItIs(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(5))
	publish(t, l)
	config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
	build(t, config)
	was := tree(t, config.Out)
	must(t, l.Grow(300))
	publish(t, l)
	small := config
	site.Longest(&small, 10_000)
	if _, err := site.Build(t.Context(), small); err == nil || !strings.Contains(err.Error(), "too large for a site") {
		t.Errorf("got %v", err)
	}
	got := tree(t, config.Out)
	maps.DeleteFunc(got, func(name, _ string) bool { return strings.HasPrefix(name, ".assay-build/") })
	sameTree(t, got, was)
	build(t, config)
	if _, err := os.Stat(filepath.Join(config.Out, ".assay-build")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the build has left is still there: %v", err)
	}
}

// SIT-20: what is to be durable is made durable in this order: all files before their list, all files in place before the
// checkpoint and before the first removal, all changes before the list goes.
func TestABuildWaitsForTheDiskWhereACrashWouldTellAnotherStory(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(5))
	publish(t, l)
	config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
	build(t, config)
	must(t, os.WriteFile(filepath.Join(config.Out, "tsa-roots.pem"), nil, 0o644)) // something that goes
	must(t, l.Grow(9))
	publish(t, l)
	var order []string
	site.BeforeStep(&config, func(step string) error {
		kind, rest, _ := strings.Cut(step, " ")
		if strings.HasSuffix(rest, " checkpoint") {
			kind = "checkpoint"
		} else if kind == "sync" {
			kind = step
		}
		if n := len(order); n == 0 || order[n-1] != kind {
			order = append(order, kind)
		}
		return nil
	})
	_, err := site.Build(t.Context(), config)
	must(t, err)
	want := []string{"sync .assay-build", "list", "put", "sync .", "checkpoint", "sync .", "remove", "sync .", "done", "sync ."}
	if !slices.Equal(order, want) {
		t.Errorf("got  %q\nwant %q", order, want)
	}
}
