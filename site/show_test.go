package site_test

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"encoding/xml"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// hostile are texts that an entry may hold, and that somewhere mean something else.
func hostile() (list []string) {
	for _, s := range []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `]]><x/>`, `&lt;b&gt;&amp;#x3c;`, `{{.Origin}}`, `javascript:alert(1)`,
		`' onmouseover='a`, "`${alert(1)}`", `</title></style></textarea><svg onload=a>`, `<!--`, `-->`, `<?xml version="1.0"?>`, `<!DOCTYPE x [<!ENTITY e "x">]>&e;`,
		`=1+1`, `+1`, `-1`, `@SUM(A1)`, `  =cmd|'/c calc'!A1`, `%0a`, `|x`, `a,b`, `a"b`, `a;b`, `../../etc/passwd`, `..\..\x`, `/etc/passwd`, `C:\x`, `.well-known/x`,
		`index.html`, `checkpoint`, `a b`, ` `, `%2e%2e%2f`, `#x`, `?x=y`, `\u003cscript\u003e`, `&#60;script&#62;`, `--`, `NUL`, `CON`, `.`, `..`,
	} {
		list = append(list, s, s+strings.Repeat("x", 200), strings.Repeat(" ", 3)+s, s+s, strings.ToUpper(s))
	}
	return list
}

func hostileSite(t *testing.T) (*sitetest.Log, map[string]string, []string) {
	t.Helper()
	l := newLog(t)
	texts := hostile()
	for i, text := range texts {
		e := sitetest.Entry(int64(i))
		e.PackID, e.SignerID = text[:min(len(text), 256)], text[:min(len(text), 256)]
		e.Source = entry.Source{Repo: "owner/..x", Workflow: e.PackID, Attestation: "self"}
		must(t, l.Add(e.Leaf()))
	}
	publish(t, l)
	dir := filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: l, Out: dir})
	return l, tree(t, dir), texts
}

// SIT-4, SIT-17, SIT-24, SIT-25: 200 hostile texts as pack id, signer and workflow make no element, no formula and no path.
func TestTextsOfEntriesStayTextsInFeedsTablesAndPaths(t *testing.T) {
	l, files, texts := hostileSite(t)
	if len(l.Leaves) < 200 {
		t.Fatalf("%d texts", len(l.Leaves))
	}
	for i, leaf := range l.Leaves {
		if _, err := entry.Parse(leaf); err != nil {
			t.Errorf("text %d is not one that an entry can hold: %v", i, err)
		}
	}
	names := tree(t, plainSite(t, len(l.Leaves)))
	for name := range files {
		if _, there := names[name]; !there && !strings.HasPrefix(name, "lookup/") && !strings.HasPrefix(name, "heads/") {
			t.Errorf("%s is named by an entry", name)
		}
	}
	var feed struct {
		Entries []struct {
			Title   string `xml:"title"`
			Updated string `xml:"updated"`
			Link    struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"http://www.w3.org/2005/Atom entry"`
	}
	d := xml.NewDecoder(strings.NewReader(files["entries/feed.xml"]))
	d.Strict = true
	must(t, d.Decode(&feed))
	if len(feed.Entries) != 50 {
		t.Fatalf("%d entries in the feed", len(feed.Entries))
	}
	for i, e := range feed.Entries {
		at := len(texts) - 1 - i
		if want := fmt.Sprintf("%d: %s", at, texts[at][:min(256, len(texts[at]))]); e.Title != want {
			t.Errorf("the feed says %q, expected %q", e.Title, want)
		}
		if e.Link.Href != fmt.Sprintf("../entry/index.html?i=%d", at) {
			t.Errorf("the feed links to %q", e.Link.Href)
		}
	}
	elements := map[string]bool{}
	for d := xml.NewDecoder(strings.NewReader(files["entries/feed.xml"])); ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local] = true
		}
	}
	if got := slices.Sorted(maps.Keys(elements)); !slices.Equal(got, []string{"author", "entry", "feed", "id", "link", "name", "summary", "title", "updated"}) {
		t.Errorf("elements of the feed: %q", got)
	}
	rows, err := csv.NewReader(strings.NewReader(files["entries/newest.csv"])).ReadAll()
	must(t, err)
	if len(rows) != 201 {
		t.Errorf("%d lines", len(rows))
	}
	for _, row := range rows[1:] {
		for _, cell := range row {
			if cell := strings.TrimLeft(cell, " "); cell != "" && strings.ContainsAny(cell[:1], "=+-@|%\t\r\n") {
				t.Errorf("a spreadsheet runs %q", cell)
			}
		}
	}
}

func plainSite(t *testing.T, size int) string {
	l := newLog(t)
	must(t, l.Grow(int64(size)))
	publish(t, l)
	dir := filepath.Join(t.TempDir(), "plain")
	build(t, site.Config{Log: l, Out: dir})
	return dir
}

// SIT-16. One manifest may be logged several times: only another manifest is one more of its pack root.
func TestAManifestThatIsLoggedTwiceIsNoTwinOfItself(t *testing.T) {
	l := newLog(t)
	twin := sitetest.Entry(9)
	twin.PackRootSHA256 = sitetest.Entry(0).PackRootSHA256
	for _, e := range []entry.Entry{sitetest.Entry(0), sitetest.Entry(0), sitetest.Entry(1), sitetest.Entry(1), twin, twin} {
		must(t, l.Add(e.Leaf()))
	}
	publish(t, l)
	dir := filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: l, Out: dir})
	files := tree(t, dir)
	rows := strings.Split(files["entries/index.html"], `<li class="row"`)[1:]
	for i, want := range []string{"entry 0", "entry 0", "", "", "entries 4, 5", "entries 4, 5"} { // newest first
		_, said, told := strings.Cut(rows[i], "Another manifest has this pack root: ")
		if said, _, _ = strings.Cut(said, "<"); told != (want != "") || said != want {
			t.Errorf("entry %d: %q, expected %q", 5-i, said, want)
		}
	}
	if text := files["equivocation/index.html"]; !strings.Contains(text, "<p>2 manifests have it, in 3 entries that are known here.</p>") {
		t.Errorf("the page of equivocation: %s", text)
	}
}

// What a page says of a time is what a verifier would that has no clock.
func TestATimeThatContradictsItsPackIsNotToldAsGood(t *testing.T) {
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	authority, err := timestamp.NewAuthority(rand.Reader, at)
	must(t, err)
	l := newLog(t)
	for i, late := range []time.Duration{0, time.Hour, 48 * time.Hour} {
		e := sitetest.Entry(int64(i))
		e.TimestampEnd = at.Add(late).Format("2006-01-02T15:04:05.000000+00:00")
		request, err := timestamp.Request(e.ManifestSHA256, big.NewInt(7))
		must(t, err)
		e.TimestampToken, err = timestamp.ParseResponse(authority.Respond(request, at))
		must(t, err)
		must(t, l.Add(e.Leaf()))
	}
	publish(t, l)
	l.RootsPEM = authority.RootPEM()
	dir := filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: l, Out: dir})
	rows := strings.Split(tree(t, dir)["entries/index.html"], `<li class="row"`)[1:]
	slices.Reverse(rows)
	for i, want := range []string{"2026-01-15 10:00:01 UTC</time>", "one of the two clocks is wrong", "<strong>not believed: the timestamp 2026-01-15T10:00:00Z contradicts the pack"} {
		if _, said, _ := strings.Cut(rows[i], "<dt>timestamp</dt>"); !strings.Contains(said, want) || strings.Contains(said, "existed by") != (i < 2) || strings.Contains(said, "one of the two clocks") != (i == 1) {
			t.Errorf("entry %d: %s", i, said)
		}
	}
}

func TestControlCharactersOfALeafThatIsNoEntryAreSeen(t *testing.T) {
	l := newLog(t)
	must(t, l.Add([]byte("\x00\x1b[31m\u202e\ufeff=1\xff")))
	publish(t, l)
	dir := filepath.Join(t.TempDir(), "site")
	b := build(t, site.Config{Log: l, Out: dir})
	if b.Unparsed != 1 || b.Size != 1 {
		t.Errorf("%+v", b)
	}
	for name, text := range tree(t, dir) {
		if strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".html") {
			if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\x1b\u202e") {
				t.Errorf("%s has characters that nobody sees", name)
			}
		}
	}
}

// SIT-2: the tiles of checkpoints that a cache may still give are there, others are not.
func TestPartialTilesOfTheNewestCheckpointsAreThere(t *testing.T) {
	l := newLog(t)
	dir := filepath.Join(t.TempDir(), "site")
	for size := int64(201); size <= 255; size++ {
		must(t, l.Grow(size))
		publish(t, l)
		if size%9 == 0 {
			build(t, site.Config{Log: l, Out: dir})
		}
	}
	build(t, site.Config{Log: l, Out: dir})
	files := tree(t, dir)
	for _, prefix := range []string{"tile/0/000.p/", "tile/entries/000.p/", "prev/000.p/"} {
		for size := int64(1); size <= 255; size++ {
			_, there := files[fmt.Sprint(prefix, size)]
			if want := size > 255-32; there != want {
				t.Errorf("%s%d: %v", prefix, size, there)
			}
		}
	}
	for _, path := range []string{"tile/entries/000.p/240", "tile/0/000.p/240"} {
		want, err := l.Tile(t.Context(), path)
		if err != nil || files[path] != string(want) {
			t.Errorf("%s is not that of the log, %v", path, err)
		}
	}
	must(t, l.Grow(256))
	publish(t, l)
	build(t, site.Config{Log: l, Out: dir})
	for name := range tree(t, dir) {
		if strings.Contains(name, "000.p") && !strings.HasPrefix(name, "tile/1/") && !strings.HasPrefix(name, "checkpoints/") {
			t.Errorf("%s is there beside the full one", name)
		}
	}
}

// SIT-9, SIT-10: the history is what was published, and a day has the size of its last note.
func TestTheHistoryIsEveryNoteInItsOrder(t *testing.T) {
	l := newLog(t)
	dir := filepath.Join(t.TempDir(), "site")
	day := func(n int) time.Time { return sitetest.Began.AddDate(0, 0, n) }
	for n, at := range []time.Time{day(0), day(0), day(2), day(1), day(2), day(5)} { // one clock goes back
		growOn(t, l, int64(3*n), at)
		must(t, l.Publish(day(100)))
	}
	for n := range int64(254) {
		growOn(t, l, 16+n, day(6))
		must(t, l.Publish(day(100)))
	}
	must(t, l.Publish(day(8))) // a tree is in the history once
	build(t, site.Config{Log: l, Out: dir})
	growOn(t, l, 270, day(7))
	must(t, l.Publish(day(7)))
	build(t, site.Config{Log: l, Out: dir})
	files := tree(t, dir)
	if files["checkpoints/count"] != "261\n" {
		t.Errorf("count is %q", files["checkpoints/count"])
	}
	var notes [][]byte
	for name, width := range map[string]int{"checkpoints/000": 256, "checkpoints/001.p/5": 5} {
		bundle, err := tiles.ParseBundle([]byte(files[name]), width)
		must(t, err)
		if width == 256 {
			notes = append(bundle, notes...)
		} else {
			notes = append(notes, bundle...)
		}
	}
	if !slices.EqualFunc(notes, l.Notes, bytes.Equal) {
		t.Errorf("%d notes are kept, %d were published, or others", len(notes), len(l.Notes))
	}
	if _, there := files["checkpoints/001.p/4"]; there {
		t.Error("an older partial bundle of the history is there")
	}
	if want := "date,size\n2026-01-15,3\n2026-01-17,12\n2026-01-20,15\n2026-01-21,269\n2026-01-22,270\n"; files["growth.csv"] != want {
		t.Errorf("growth is %q", files["growth.csv"])
	}
}

// growOn appends entries that the log took at a time.
func growOn(t testing.TB, l *sitetest.Log, size int64, at time.Time) {
	t.Helper()
	for i := int64(len(l.Leaves)); i < size; i++ {
		e := sitetest.Entry(i)
		e.SubmittedAt = at
		must(t, l.Add(e.Leaf()))
	}
}

// SIT-5, SIT-10: the days of a site are those of its entries, so no change of witnesses takes any of them away.
func TestASiteThatGrewThroughAChangeOfWitnessesIsTheOneBuiltAtOnce(t *testing.T) {
	l := newLog(t)
	steps := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "steps")}
	for day := range 4 {
		at := sitetest.Began.AddDate(0, 0, day)
		growOn(t, l, int64(3*day+3), at)
		must(t, l.Publish(at))
		if day == 1 {
			build(t, steps)
			must(t, l.Rotate("other witnesses"))
		}
	}
	build(t, steps)
	once := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "once")}
	build(t, once)
	files := tree(t, steps.Out)
	sameTree(t, files, tree(t, once.Out))
	if want := "date,size\n2026-01-15,3\n2026-01-16,6\n2026-01-17,9\n2026-01-18,12\n"; files["growth.csv"] != want {
		t.Errorf("growth is %q", files["growth.csv"])
	}
	if feed := files["checkpoints/feed.xml"]; !strings.Contains(feed, "<title>Size 3</title>\n  <updated>2026-01-15T10:00:00Z</updated>") {
		t.Errorf("the feed of checkpoints is %s", feed)
	}
}

// A note whose last leaf is no entry has no time: it is passed over, wherever a build goes on.
func TestANoteWithoutATimeIsPassedOver(t *testing.T) {
	l := newLog(t)
	growOn(t, l, 2, sitetest.Began)
	must(t, l.Add([]byte("no entry")))
	publish(t, l)
	config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site")}
	build(t, config)
	if growth := tree(t, config.Out)["growth.csv"]; growth != "date,size\n" {
		t.Errorf("growth is %q", growth)
	}
	growOn(t, l, 5, sitetest.Began)
	publish(t, l)
	build(t, config)
	if growth := tree(t, config.Out)["growth.csv"]; growth != "date,size\n2026-01-15,5\n" {
		t.Errorf("growth is %q", growth)
	}
}

// No time that a witness signs stops a build, and none is more than a text on a page.
func FuzzNoTimeOfACosignatureStopsABuild(f *testing.F) {
	for _, seconds := range []int64{1, 1768471200, 253402300799, 253402300800, 1 << 55, 1<<63 - 1} {
		f.Add(seconds)
	}
	f.Fuzz(func(t *testing.T, seconds int64) {
		l := newLog(t)
		config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site"), Contact: []string{"mailto:a@b.example"}, Program: "test"}
		for range 2 {
			must(t, l.Grow(int64(len(l.Leaves))+2))
			if err := l.Publish(time.Unix(seconds, 0)); err != nil {
				return
			}
			build(t, config)
		}
		checked, err := check(t, config.Out)
		must(t, err)
		if len(checked.Damaged) > 0 {
			t.Errorf("%+v", checked.Damaged)
		}
		if text := tree(t, config.Out)["witnesses/index.html"]; seconds > 253402300799 && strings.Contains(text, "last cosignature") && !strings.Contains(text, "seconds after 1970") {
			t.Errorf("the page of witnesses has a time of %d seconds as %s", seconds, text)
		}
	})
}

// A submission in the last of all years is in a site like any other.
func TestAnEntryOfTheYear9999IsInASite(t *testing.T) {
	l := newLog(t)
	growOn(t, l, 3, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC))
	publish(t, l)
	config := site.Config{Log: l, Out: filepath.Join(t.TempDir(), "site"), Contact: []string{"mailto:a@b.example"}}
	build(t, config)
	growOn(t, l, 6, sitetest.Began) // days do not go back
	publish(t, l)
	build(t, config)
	files := tree(t, config.Out)
	if files["growth.csv"] != "date,size\n9999-12-31,6\n" {
		t.Errorf("growth is %q", files["growth.csv"])
	}
}

// A history is ahead of the checkpoint while the log grows: the rest is for the next build.
func TestALogThatGrowsWhileItIsReadIsBuiltAsItWas(t *testing.T) {
	l := newLog(t)
	must(t, l.Grow(10))
	publish(t, l)
	note := l.Note
	must(t, l.Grow(20))
	publish(t, l)
	ahead := *l
	ahead.Note = note
	dir := filepath.Join(t.TempDir(), "site")
	b := build(t, site.Config{Log: &ahead, Out: dir})
	if b.Size != 10 || b.Checkpoints != 1 {
		t.Errorf("%+v", b)
	}
	if b = build(t, site.Config{Log: l, Out: dir}); b.Size != 20 || b.Checkpoints != 2 {
		t.Errorf("%+v", b)
	}
}

// SIT-8: security.txt expires a year after the last time that the log tells of.
func TestSecurityTxtHasNoClock(t *testing.T) {
	l := newLog(t)
	dir := filepath.Join(t.TempDir(), "site")
	config := site.Config{Log: l, Out: dir, Contact: []string{"mailto:a@ledger.example", "https://ledger.example/x"}}
	build(t, config)
	path := filepath.Join(dir, ".well-known", "security.txt")
	if _, err := os.Stat(path); err == nil {
		t.Error("it is there before the log tells of a time")
	}
	must(t, l.Grow(1))
	must(t, l.Publish(sitetest.Began))
	build(t, config)
	text, err := os.ReadFile(path)
	must(t, err)
	if want := "Contact: mailto:a@ledger.example\nContact: https://ledger.example/x\nExpires: 2027-01-15T10:00:00Z\n"; string(text) != want {
		t.Errorf("%q", text)
	}
	config.Contact = nil
	build(t, config)
	if _, err := os.Stat(path); err == nil {
		t.Error("it is there without a contact")
	}
}

// SIT-7: what a description may hold.
func TestADescriptionHoldsOnlyWhatAHostCanUse(t *testing.T) {
	for path, good := range map[string]bool{"/": true, "/repo/": true, "/a/b-c/d.e_f~/": true, "": false, "repo": false, "/repo": false, "repo/": false, "//": false,
		"/../": false, "/./": false, "/a//b/": false, "/a b/": false, "/%41/": false, "/" + strings.Repeat("x", 300) + "/": false} {
		if err := site.CheckBasePath(path); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
	for contact, good := range map[string]bool{"mailto:a@b.example": true, "https://b.example/x": true, "tel:+1-201-555-0123": true,
		"http://b.example": false, "javascript:alert(1)": false, "mailto:a": false, "": false, "https:x": false, "mailto:a@b\nContact: x": false, "https://b.example/?a=1&b=%c3%a9#x": true,
		"mailto:a@bücher.example": false, "mailto:<a@b.example>": false, `mailto:"a"@b.example`: false, "mailto:a%@b.example": false, "mailto:a%zz@b.example": false, "a@b.example": false} {
		if err := site.CheckContacts([]string{contact}); (err == nil) != good {
			t.Errorf("%q: %v", contact, err)
		}
	}
}

// SIT-21: what a build writes depends on what is new, not on what is there.
func TestABuildWritesWhatIsNew(t *testing.T) {
	l := newLog(t)
	dir := filepath.Join(t.TempDir(), "site")
	must(t, l.Grow(3000))
	publish(t, l)
	build(t, site.Config{Log: l, Out: dir})
	must(t, l.Grow(3010))
	publish(t, l)
	b := build(t, site.Config{Log: l, Out: dir})
	// Each entry has at most three files of lookup and two of heads; a page, feed, table or edge is one of some dozens.
	if most := 10*5 + 50; b.Files > most || b.Removed > 20 {
		t.Errorf("10 entries write %d files and remove %d", b.Files, b.Removed)
	}
}

// The history has each note as it was published, so what came later is neither counted nor said to have come in time.
func TestACosignatureThatCameAfterThePublicationIsSaidToHave(t *testing.T) {
	l := newLog(t)
	for _, size := range []int64{3, 5} {
		must(t, l.Grow(size))
		publish(t, l)
	}
	last := &l.Notes[len(l.Notes)-1]
	*last = (*last)[:strings.LastIndex(strings.TrimSuffix(string(*last), "\n"), "\n")+1] // w2 was not in time; Note has it
	dir := filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: l, Out: dir})
	page := tree(t, dir)["witnesses/index.html"]
	w1, w2, ok := strings.Cut(page, "<h2>w2</h2>")
	const late = "it came after the publication"
	for _, c := range []struct {
		card, counted string
		late          bool
	}{{w1, "in time: 2 of 2", false}, {w2, "in time: 1 of 2", true}} {
		if !ok || !strings.Contains(c.card, c.counted) || !strings.Contains(c.card, "a tree of 5") || strings.Contains(c.card, late) != c.late {
			t.Errorf("expected %s, late: %v: %s", c.counted, c.late, c.card)
		}
	}
}

func TestALogThatPublishedNothingHasItsWitnessesAllTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	build(t, site.Config{Log: newLog(t), Out: dir})
	page := tree(t, dir)["witnesses/index.html"]
	if !strings.Contains(page, "<h2>w2</h2>") || strings.Contains(page, "names no witness") || strings.Contains(page, "in time:") {
		t.Errorf("%s", page)
	}
}
