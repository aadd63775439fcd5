package site_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
)

// expected is what hints a log should have, made in the simplest way.
func expectedHints(l *sitetest.Log, digits, full int) map[string]string {
	files := map[string]string{}
	lines, homes := map[string]int{}, map[string]string{} // of files of one beginning; the file of a key
	place := func(name string) string {
		n := lines[name] / full
		if lines[name]++; n > 0 {
			return fmt.Sprintf("%s-%d", name, n)
		}
		return name
	}
	heads := map[string][]int{} // "s 4ef1…"
	prev := map[int]string{}
	roots := map[string]entry.Logged{}
	newest := func(key string) string {
		list := slices.Clone(heads[key])
		slices.Reverse(list)
		var words []string
		for _, i := range list[:min(8, len(list))] {
			words = append(words, fmt.Sprint(i))
		}
		return cmp.Or(strings.Join(words, ","), "-")
	}
	for i, leaf := range l.Leaves {
		e, err := entry.Parse(leaf)
		if err != nil {
			prev[i] = "- -\n"
			continue
		}
		sum := func(text string) string { s := sha256.Sum256([]byte(text)); return hex.EncodeToString(s[:]) }
		for _, k := range [][2]string{{"m", e.ManifestSHA256.String()}, {"r", e.PackRootSHA256.String()}, {"p", sum(e.PackID)}} {
			files[place("lookup/"+k[1][:digits])] += fmt.Sprintf("%s %s %d\n", k[0], k[1][:20], i)
		}
		signer, repo := "s "+e.SignerKeySHA256.String()[:20], "r "+sum(e.Source.Repo)[:20]
		repos := "-"
		if newest(signer) == "-" {
			homes[signer] = place("heads/" + signer[2:2+digits])
		}
		if e.Source.Repo != "" {
			if repos = newest(repo); repos == "-" {
				homes[repo] = place("heads/" + repo[2:2+digits])
			}
			heads[repo] = append(heads[repo], i)
		}
		prev[i] = newest(signer) + " " + repos + "\n"
		heads[signer] = append(heads[signer], i)
		if first, known := roots[e.PackRootSHA256.String()]; !known {
			roots[e.PackRootSHA256.String()] = entry.Logged{Index: int64(i), Entry: e}
		} else if first.Entry.ManifestSHA256 != e.ManifestSHA256 {
			files[place("equivocation/records")] += fmt.Sprintf("%s %d %d\n", e.PackRootSHA256, first.Index, i)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(heads)) {
		files[homes[key]] += fmt.Sprintf("%s %d %s\n", key, len(heads[key]), newest(key))
	}
	for i := range l.Leaves {
		name := fmt.Sprintf("prev/%03d", i/256)
		if rest := len(l.Leaves) - i/256*256; rest < 256 {
			name += fmt.Sprintf(".p/%d", rest)
		}
		files[name] += prev[i]
	}
	return files
}

// SIT-6, SIT-11, SIT-12, SIT-13, SIT-14, SIT-16: hints are those of every entry, complete and in order, and a log that crosses
// the size where their files get longer names has none under the old ones.
func TestHintsAreThoseOfEveryEntryAtEverySize(t *testing.T) {
	for _, full := range []int{4096, 3, 1} {
		t.Run(fmt.Sprint(full), func(t *testing.T) { hintsAtEverySize(t, full) })
	}
}

func hintsAtEverySize(t *testing.T, full int) {
	l := newLog(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, step := range []struct{ size, digits int64 }{{0, 3}, {1, 3}, {120, 3}, {121, 4}, {300, 4}, {1919, 4}, {1921, 5}} {
		for i := int64(len(l.Leaves)); i < step.size; i++ {
			must(t, l.Add(leafOf(i)))
		}
		publish(t, l)
		config := site.Config{Log: l, Out: out}
		site.ThreeDigits(&config, 120)
		site.FullHints(&config, full)
		build(t, config)
		want := expectedHints(l, int(step.digits), full)
		got := map[string]string{}
		for name, text := range tree(t, out) {
			first, rest, _ := strings.Cut(name, "/")
			if slices.Contains([]string{"lookup", "heads", "prev"}, first) && rest != "" && !strings.HasSuffix(name, "/") || strings.HasPrefix(name, "equivocation/records") {
				got[name] = text
			}
		}
		for name := range got { // of earlier sizes: the beginning of what is there now
			if text, partial := want[name]; !partial && strings.Contains(name, ".p/") {
				base, _, _ := strings.Cut(name, ".p/")
				wide := ""
				for other := range want {
					if strings.HasPrefix(other, base+".p/") {
						wide = want[other]
					}
				}
				if !strings.HasPrefix(wide, got[name]) || text != "" {
					t.Errorf("size %d: %s is not the beginning of what is there by now", step.size, name)
				}
				delete(got, name)
			}
		}
		sameTree(t, got, want)
		if t.Failed() {
			t.Fatalf("at size %d", step.size)
		}
	}
	if text, err := os.ReadFile(filepath.Join(out, "equivocation", "records")); err != nil || len(bytes.Split(text, []byte("\n"))) < min(10, full+1) {
		t.Errorf("few twins: %q, %v", text, err)
	}
}

// SIT-12, SIT-13, SIT-14, SIT-10, SIT-16: parsers take what a build writes and nothing else.
func TestReadersOfHintsTakeOneForm(t *testing.T) {
	lookup := func(text string) error { _, err := site.ParseLookup([]byte(text)); return err }
	heads := func(text string) error { _, err := site.ParseHeads([]byte(text)); return err }
	prev := func(text string) error {
		_, err := site.ParsePrev([]byte(text), 5, strings.Count(text, "\n"))
		return err
	}
	growth := func(text string) error { _, err := site.ParseGrowth([]byte(text)); return err }
	twins := func(text string) error { _, err := site.ParseTwins([]byte(text)); return err }
	root := strings.Repeat("0f", 32)
	const d = "0123456789abcdef0123"
	for _, test := range []struct {
		read func(string) error
		good bool
		text string
	}{
		{lookup, true, ""},
		{lookup, true, "m " + d + " 0\nr " + d + " 0\np " + d + " 7\nm " + d + " 8\n"},
		{lookup, false, "m " + d + " 0"},
		{lookup, false, "m " + d + " 00\n"},
		{lookup, false, "m " + d + " -1\n"},
		{lookup, false, "m " + d + "  1\n"},
		{lookup, false, "m " + d + " 1 \n"},
		{lookup, false, "x " + d + " 1\n"},
		{lookup, false, "m " + strings.ToUpper(d) + " 1\n"},
		{lookup, false, "m " + d[1:] + " 1\n"},
		{lookup, false, "m " + d + " 9\nm " + d + " 8\n"},
		{lookup, false, "r " + d + " 9\nm " + d + " 9\n"},
		{lookup, false, "m " + d + " 9\nm " + d + " 9\n"},
		{lookup, false, "\n"},
		{heads, true, ""},
		{heads, true, "r " + d + " 1 4\ns " + d + " 9 40,39,31,30,22,9,8,7\n"},
		{heads, false, "s " + d + " 1 4\nr " + d + " 1 4\n"},
		{heads, false, "s " + d + " 1 4\ns " + d + " 1 4\n"},
		{heads, false, "s " + d + " 0 \n"},
		{heads, false, "s " + d + " 2 4\n"},
		{heads, false, "s " + d + " 2 4,4\n"},
		{heads, false, "s " + d + " 2 4,5\n"},
		{heads, false, "s " + d + " 9 40,39,31,30,22,9,8,7,6\n"},
		{heads, false, "s " + d + " 1 4"},
		{heads, false, "m " + d + " 1 4\n"},
		{prev, true, "- -\n4 -\n"},
		{prev, true, "4,3,0 2\n"},
		{prev, false, "5 -\n"},
		{prev, false, "-\n"},
		{prev, false, "- - -\n"},
		{prev, false, "4,4 -\n"},
		{prev, false, " -\n"},
		{growth, true, "date,size\n"},
		{growth, true, "date,size\n2026-01-15,3\n2026-01-16,3\n"},
		{growth, false, ""},
		{growth, false, "date,size\n2026-01-15,3"},
		{growth, false, "date,size\n2026-01-15,3\n2026-01-15,4\n"},
		{growth, false, "date,size\n2026-01-15,3\n2026-01-16,2\n"},
		{growth, false, "date,size\n2026-1-15,3\n"},
		{growth, false, "date,size\n2026-01-15,03\n"},
		{twins, true, ""},
		{twins, true, root + " 1 2\n" + root + " 1 3\n"},
		{twins, false, root + " 2 2\n"},
		{twins, false, root + " 1 2"},
		{twins, false, root + " 1 3\n" + root + " 1 2\n"},
		{twins, false, root[2:] + " 1 2\n"},
		{twins, false, "\n"},
	} {
		if err := test.read(test.text); (err == nil) != test.good {
			t.Errorf("%q: %v", test.text, err)
		}
	}
	if _, err := site.ParsePrev([]byte("- -\n"), 0, 2); err == nil {
		t.Error("a file of prev that is too short is taken")
	}
}

func FuzzLookupRoundTrips(f *testing.F) {
	f.Add([]byte("m 0123456789abcdef0123 0\nr 0123456789abcdef0123 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := site.ParseLookup(text)
		if err != nil {
			return
		}
		var again []byte
		for _, l := range found {
			again = fmt.Appendf(again, "%c %s %d\n", l.Kind, l.Short, l.Index)
		}
		if !bytes.Equal(again, text) {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}

func FuzzHeadsRoundTrip(f *testing.F) {
	f.Add([]byte("r 0123456789abcdef0123 2 3,1\ns 0123456789abcdef0123 9 9,8,7,6,5,4,3,2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		heads, err := site.ParseHeads(text)
		if err != nil {
			return
		}
		var again []byte
		for _, h := range heads {
			again = fmt.Appendf(again, "%c %s %d %s\n", h.Kind, h.Short, h.Count, strings.ReplaceAll(strings.Trim(fmt.Sprint(h.Newest), "[]"), " ", ","))
		}
		if !bytes.Equal(again, text) {
			t.Errorf("%q is read as %q", text, again)
		}
	})
}

func FuzzDescriptionRoundTrips(f *testing.F) {
	text, err := site.Description{Origin: "o", VKey: "k", Program: "p", BasePath: "/a/", Contact: []string{"mailto:a@b"}, Roots: true}.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := site.ParseDescription(text)
		if err != nil {
			return
		}
		if again, err := d.Marshal(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q is read as %q, %v", text, again, err)
		}
	})
}
