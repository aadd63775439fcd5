package pages

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

var sampleDay = time.Date(2026, 11, 30, 20, 54, 30, 0, time.UTC)

// texts are what the controllers of entries, policies and witnesses can choose.
type texts struct {
	id, signer, repo, workflow, witness, origin, problem string
}

var ordinary = texts{"pack_20261130T213031_d066838a", "release-bot", "acme/payments", ".github/workflows/ci.yml@refs/heads/main", "w1", "ledger.example/2026", "it is no object"}

func sampleSite(x texts) Site {
	return Site{
		Origin: x.origin, VKey: x.origin + "+8605594a+Ac8Z4SMs9oRxUQRrinXzrPe3lqhCz33XzoQIfm5KaNBb",
		Policy:      "log " + x.origin + "+8605594a+Ac8Z4SMs9oRxUQRrinXzrPe3lqhCz33XzoQIfm5KaNBb\nwitness " + x.witness + " …\nquorum none\n",
		Checkpoint:  sampleCheckpoint(x, 1234567),
		Checkpoints: 260, HasRoots: true, HasContact: true, PageSHA256: strings.Repeat("ab", 32), ScriptSHA256: strings.Repeat("cd", 32),
	}
}

func sampleCheckpoint(x texts, size int64) *trust.Checkpoint {
	return &trust.Checkpoint{Origin: x.origin, Size: size, Root: trust.LeafHash([]byte(fmt.Sprint(size))), Cosignatures: []trust.Cosignature{
		{Witness: x.witness, KeyName: x.witness, Time: sampleDay}, {Witness: "w2", KeyName: "w2.example", Time: sampleDay.Add(time.Second)},
	}}
}

func sampleRow(x texts, index int64) Row {
	e := &entry.Entry{
		PackID: x.id, SignerID: x.signer, ReceiptIntegrity: "PASS", AssuranceLevel: "L1", Mode: "enforced", NReceipts: 12,
		ClaimCheck:     []manifest.ClaimCheck{"PASS", "FAIL", "N/A"}[index%3],
		TimestampStart: "2026-11-30T20:50:00.000000+00:00", TimestampEnd: "2026-11-30T20:54:29.000000+00:00", VerifierVersion: "1.23.0",
		WitnessStatus: "signature_verified", SubmittedAt: sampleDay.Add(298 * time.Millisecond),
	}
	if index%5 != 0 {
		e.Source = entry.Source{Repo: x.repo, Workflow: x.workflow, Commit: strings.Repeat("0a", 20), Attestation: []string{"self", "ci_binding", "oidc"}[index%3]}
	}
	e.ManifestSHA256 = trust.Digest(trust.LeafHash([]byte(x.id)))
	r := Row{Index: index, Entry: e, Leaf: []byte(x.id)}
	switch index % 4 {
	case 0:
		r.Time = &Time{Until: sampleDay.Add(time.Second / 2), By: "CN=" + x.signer}
	case 2:
		r.Time = &Time{Until: sampleDay, By: "CN=" + x.signer, Contradiction: x.problem}
	case 1:
		r.Time = &Time{Problem: x.problem}
		r.Twins = []int64{3, 4}
	}
	return r
}

// sampleViews is every page, with the texts in it and so many rows in a list: twelve show every branch of a row.
func sampleViews(x texts, many int) map[string]Page {
	s := sampleSite(x)
	rows := []Row{{Index: 1234566, Leaf: []byte(x.id), Problem: x.problem}}
	for i := int64(1234565); len(rows) < many; i-- {
		rows = append(rows, sampleRow(x, i))
	}
	var growth []Day
	for i := range 400 {
		growth = append(growth, Day{sampleDay.AddDate(0, 0, i-400), int64(i * i * 7)})
	}
	known := []Known{{Key: strings.Repeat("4e", 32), Names: []string{x.signer, "other"}, Count: 120, Last: 1234565}}
	repos := []Known{{Key: x.repo, Count: 120, Last: 1234565}}
	w := trust.PolicyWitness{Name: x.witness, KeyName: x.witness, VKey: x.witness + "+ad3a00df+BLBtnYYbDXEeoUqaedgRZ40NKn9qy3KLFpHXpfBcHtco", URL: "https://w1.example/" + x.witness, Algorithm: 4}
	published := []Published{{Number: 259, Checkpoint: s.Checkpoint}, {Number: 258, Checkpoint: sampleCheckpoint(x, 1234000)}, {Number: 257, Problem: x.problem}}
	return map[string]Page{
		"index.html":              Home{s, growth, rows},
		"entries/index.html":      Entries{s, 1, 4, rows},
		"entries/2.html":          Entries{s, 2, 4, rows},
		"entry/index.html":        Entry{s},
		"signer/index.html":       Signers{s, known},
		"source/index.html":       Sources{s, repos},
		"witnesses/index.html":    Witnesses{s, []Witness{{w, sampleDay, 1234567, false, 100, 100}, {w, sampleDay, 1234000, true, 100, 93}, {PolicyWitness: w, Of: 1}}},
		"checkpoints/index.html":  Checkpoints{s, published},
		"equivocation/index.html": Equivocation{s, []Case{{trust.Digest{}, rows[:3]}}, true},
		"verify/index.html":       Verify{s},
		"limits/index.html":       Limits{s},
	}
}

// emptyViews is every page of a log that published nothing.
func emptyViews() map[string]Page {
	s := Site{Origin: "ledger.example/2026"}
	return map[string]Page{
		"index.html": Home{Site: s}, "entries/index.html": Entries{Site: s, Page: 1, Pages: 1}, "entry/index.html": Entry{s},
		"signer/index.html": Signers{Site: s}, "source/index.html": Sources{Site: s}, "witnesses/index.html": Witnesses{Site: s},
		"checkpoints/index.html": Checkpoints{Site: s}, "equivocation/index.html": Equivocation{Site: s}, "verify/index.html": Verify{s},
		"limits/index.html": Limits{s},
	}
}

// element is an element of a page as far as a stranger's text could change it.
type element struct {
	name       string
	attributes string // their names
}

// readPage gives the elements of a page in order, and calls check with each.
func readPage(t *testing.T, page []byte, check func(html.Token)) (list []element) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			return list
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			names := make([]string, 0, len(token.Attr))
			for _, a := range token.Attr {
				names = append(names, a.Key)
			}
			list = append(list, element{token.Data, strings.Join(names, " ")})
			check(token)
		}
	}
}

func render(t *testing.T, p Page) []byte {
	t.Helper()
	page, err := Render(p)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func attribute(token html.Token, name string) (string, bool) {
	for _, a := range token.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// A page loads and links nothing but files of the site, holds no script and no style, and can be read aloud: one heading
// of the first rank, a language, a label for each field, no ID twice.
func TestEveryPageIsPlainAndLinksOnlyIntoTheSite(t *testing.T) {
	for _, views := range []map[string]Page{sampleViews(ordinary, 50), emptyViews()} {
		for path, view := range views {
			t.Run(path, func(t *testing.T) {
				headings, ids, labels, fields := 0, map[string]bool{}, map[string]bool{}, []string{}
				page := render(t, view)
				readPage(t, page, func(token html.Token) {
					checkToken(t, path, token)
					if id, ok := attribute(token, "id"); ok {
						if ids[id] {
							t.Errorf("the id %q stands twice", id)
						}
						ids[id] = true
					}
					switch token.Data {
					case "h1":
						headings++
					case "label":
						id, _ := attribute(token, "for")
						labels[id] = true
					case "input", "select", "textarea":
						id, _ := attribute(token, "id")
						fields = append(fields, id)
					case "html":
						if lang, _ := attribute(token, "lang"); lang != "en" {
							t.Error("no language")
						}
					}
				})
				if headings != 1 {
					t.Errorf("%d headings of the first rank", headings)
				}
				for _, id := range fields {
					if !labels[id] {
						t.Errorf("the field %q has no label", id)
					}
				}
				if !bytes.Contains(page, []byte(`href="#main"`)) || !ids["main"] {
					t.Error("nothing to skip to")
				}
			})
		}
	}
}

func checkToken(t *testing.T, path string, token html.Token) {
	t.Helper()
	for _, a := range token.Attr {
		switch {
		case a.Key == "style" || strings.HasPrefix(a.Key, "on") || a.Key == "srcdoc":
			t.Errorf("<%s %s>", token.Data, a.Key)
		case a.Key == "href" || a.Key == "src" || a.Key == "action":
			u, err := url.Parse(a.Val)
			if err != nil || u.IsAbs() || u.Host != "" || strings.HasPrefix(a.Val, "/") {
				t.Errorf("<%s %s=%q> leads out of the site", token.Data, a.Key, a.Val)
			} else if depth := strings.Count(path, "/"); strings.Count(a.Val, "../") > depth {
				t.Errorf("<%s %s=%q> leads above the site", token.Data, a.Key, a.Val)
			}
		case a.Key == "srcset" || a.Key == "formaction" || a.Key == "data" || a.Key == "poster" || a.Key == "ping":
			t.Errorf("<%s %s>", token.Data, a.Key)
		}
	}
	if slices.Contains([]string{"style", "iframe", "object", "embed", "base", "img"}, token.Data) {
		t.Errorf("<%s>", token.Data)
	}
	if src, ok := attribute(token, "src"); token.Data == "script" && (!ok || !strings.HasSuffix(src, ".mjs")) {
		t.Error("a script in the page")
	}
}

// hostile are texts that break out of something somewhere.
func hostile() (list []string) {
	for _, payload := range []string{
		`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `<svg onload=alert(1)>`, `<svg/onload=alert(1)>`, `<iframe src=javascript:alert(1)>`,
		`<a href=javascript:alert(1)>x</a>`, `javascript:alert(1)`, `JaVaScRiPt:alert(1)`, `data:text/html,<script>alert(1)</script>`, `vbscript:msgbox(1)`,
		`//evil.example/`, `https://evil.example/`, `\\evil.example\`, `../../../../etc/passwd`, `..%2f..%2f`, `%00`, `%3Cscript%3E`,
		`{{.}}`, `{{template "frame"}}`, `${alert(1)}`, "`+alert(1)+`", `</title><script>alert(1)</script>`, `</style><script>alert(1)</script>`,
		`</textarea><script>alert(1)</script>`, `</noscript><script>alert(1)</script>`, `<!--`, `-->`, `--!>`, `<![CDATA[`, `]]>`, `<!doctype html>`, `<base href=//evil.example/>`,
		`<meta http-equiv=refresh content=0;url=//evil.example>`, `<link rel=stylesheet href=//evil.example>`, `<form action=//evil.example>`, `<details open ontoggle=alert(1)>`,
		`onmouseover=alert(1)`, `autofocus onfocus=alert(1)`, `style=background:url(//evil.example)`, `x:expression(alert(1))`, `@import '//evil.example'`,
		`&lt;script&gt;`, `&#60;script&#62;`, `&#x3c;script>`, `&quot; onclick=alert(1)`, `&`, `<`, `>`, `"`, `'`, "`", `\`, `/`, `=`, `;`, `#`, `?`, `&amp;k=`, `a&k=b`, `<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>`,
		`<noscript><p title="</noscript><img src=x onerror=alert(1)>">`, `<template shadowrootmode=open><script>`, `=cmd|' /C calc'!A0`, `@SUM(1)`, `+1`, `-1`,
		`__proto__`, `constructor`, `toString`, `id=main`, `location`, `<plaintext>`, `<xmp>`, `<object data=//evil.example>`, `<embed src=//evil.example>`,
	} {
		list = append(list, payload, `">`+payload, `'>`+payload)
	}
	return list
}

func TestNoTextOfAStrangerBecomesMarkup(t *testing.T) {
	strings200 := hostile()
	if len(strings200) < 200 {
		t.Fatalf("%d strings", len(strings200))
	}
	plain := map[string][]element{}
	for path, view := range sampleViews(ordinary, 12) {
		plain[path] = readPage(t, render(t, view), func(html.Token) {})
	}
	for _, s := range strings200 {
		for path, view := range sampleViews(texts{s, s, s, s, s, s, s}, 12) {
			page := render(t, view)
			elements := readPage(t, page, func(token html.Token) { checkToken(t, path, token) })
			if !slices.Equal(elements, plain[path]) {
				t.Errorf("%s has other elements or attributes with %q", path, s)
			}
		}
	}
}

// What the pages load is there, and nothing is there that no page loads.
func TestTheSheetAndTheModulesAreThoseOfThePages(t *testing.T) {
	wanted := map[string]bool{}
	for _, view := range sampleViews(ordinary, 50) {
		for _, part := range strings.Split(string(render(t, view)), "assets/")[1:] {
			name, _, _ := strings.Cut(part, `"`)
			wanted[name] = true
		}
	}
	if len(wanted) < 5 {
		t.Fatalf("the pages load %v", wanted)
	}
	for name := range wanted {
		if _, err := fs.Stat(Static(), name); err != nil {
			t.Error(err)
		}
	}
}

// TestWritePages leaves the sample pages where SITE_PAGES says, to be looked at.
func TestWritePages(t *testing.T) {
	out := os.Getenv("SITE_PAGES")
	if out == "" {
		t.Skip("SITE_PAGES names no directory")
	}
	for path, view := range sampleViews(ordinary, 50) {
		write(t, filepath.Join(out, path), render(t, view))
	}
	err := fs.WalkDir(Static(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(Static(), path)
		write(t, filepath.Join(out, "assets", path), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Whoever reads the pages needs a contrast of 4.5 to 1 (WCAG 2.2, 1.4.3), and of 3 to 1 for what a field or a drawing is seen by.
func TestColoursCanBeReadInBothThemes(t *testing.T) {
	sheet, err := fs.ReadFile(Static(), "style.css")
	if err != nil {
		t.Fatal(err)
	}
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(sheet), -1)
	if len(themes) != 3 {
		t.Fatalf("%d themes, expected light, dark and print", len(themes))
	}
	colours := map[string]string{}
	for i, theme := range themes {
		for _, m := range regexp.MustCompile(`(--[a-z-]+): (#[0-9a-f]{3,6});`).FindAllStringSubmatch(theme[1], -1) {
			colours[m[1]] = m[2]
		}
		if i == 2 { // print takes the rest from light
			for _, m := range regexp.MustCompile(`(--[a-z-]+): (#[0-9a-f]{3,6});`).FindAllStringSubmatch(themes[0][1], -1) {
				if !strings.Contains(theme[1], m[1]+":") {
					colours[m[1]] = m[2]
				}
			}
		}
		pairs := [][2]string{}
		for _, text := range []string{"--ink", "--quiet", "--accent", "--good", "--honest", "--bad", "--none", "--said"} {
			for _, ground := range []string{"--paper", "--card"} {
				pairs = append(pairs, [2]string{text, ground})
			}
		}
		for _, text := range []string{"--ink", "--quiet"} {
			pairs = append(pairs, [2]string{text, "--well"}, [2]string{text, "--honest-well"})
		}
		for _, kind := range []string{"--good", "--honest", "--bad", "--none", "--said"} {
			pairs = append(pairs, [2]string{kind, kind + "-well"})
		}
		pairs = append(pairs, [2]string{"--on-accent", "--accent"}, [2]string{"--accent", "--well"}, [2]string{"--accent", "--bad-well"})
		for _, p := range pairs {
			if got := contrast(t, colours[p[0]], colours[p[1]]); got < 4.5 {
				t.Errorf("theme %d: %s on %s has a contrast of %.2f", i, p[0], p[1], got)
			}
		}
	}
}

// contrast is that of WCAG 2.2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	hexes := strings.TrimPrefix(colour, "#")
	if len(hexes) == 3 {
		hexes = string([]byte{hexes[0], hexes[0], hexes[1], hexes[1], hexes[2], hexes[2]})
	}
	rgb, err := hex.DecodeString(hexes)
	if err != nil || len(rgb) != 3 {
		t.Fatalf("%q is no colour", colour)
	}
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(rgb[i]) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// The home page is small enough for a phone on a train, and whole without a script: what checks it comes on demand.
func TestTheHomePageIsSmallAndNeedsNoScript(t *testing.T) {
	page := render(t, sampleViews(ordinary, 50)["index.html"])
	size := len(page)
	for _, asset := range []string{"style.css", "mark.svg", "home.mjs", "dom.mjs", "memory.mjs"} {
		text, err := fs.ReadFile(Static(), asset)
		if err != nil {
			t.Fatal(err)
		}
		size += len(text)
	}
	t.Logf("%d bytes, uncompressed", size)
	if size >= 60_000 {
		t.Errorf("%d bytes, at most 60,000", size)
	}
	for _, name := range []string{"home.mjs", "memory.mjs", "dom.mjs"} {
		text, err := fs.ReadFile(Static(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^import .* from '(.*)';`).FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains([]string{"./dom.mjs", "./memory.mjs"}, m[1]) {
				t.Errorf("%s loads %s with the home page", name, m[1])
			}
		}
	}
	readPage(t, page, func(token html.Token) {
		if kind, _ := attribute(token, "type"); token.Data == "script" && kind != "module" {
			t.Error("a script that holds the page up")
		}
	})
}

// textOf is what a page says, its white space folded; within a noscript too.
func textOf(page []byte) string {
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAll(page, nil)
	return strings.Join(strings.Fields(html.UnescapeString(string(page))), " ")
}

// The exit codes that the site explains are those of the command that it shows, with scripts and without.
func TestOneCommandStandsWhereverThePackIsChecked(t *testing.T) {
	for _, roots := range []bool{true, false} {
		s := sampleSite(ordinary)
		s.HasRoots = roots
		command := "assay verify-pack PACK --policy policy --require-anchor --require-claim-pass"
		if roots {
			command += " --tsa-roots tsa-roots.pem"
		}
		for name, want := range map[string]struct {
			page  Page
			times int
		}{"entry": {Entry{s}, 2}, "verify": {Verify{s}, 1}, "checkpoints": {Checkpoints{Site: s}, 1}, "signer": {Signers{Site: s}, 1}} {
			page := render(t, want.page)
			text := textOf(page)
			if n := strings.Count(text, command); n != want.times || strings.Count(text, "assay verify-pack") != want.times {
				t.Errorf("%s: %d times %q, expected %d, and no other", name, n, command, want.times)
			}
			if !bytes.Contains(page, []byte(`href="../policy" download`)) || bytes.Contains(page, []byte(`href="../tsa-roots.pem" download`)) != roots {
				t.Errorf("%s: the files of the command are not beside it", name)
			}
			if drop := "drop the proof and the policy on a verify.html that you got from elsewhere"; (name == "entry" || name == "verify") && !strings.Contains(text, drop) {
				t.Errorf("%s does not say what to do without a pack", name)
			}
		}
	}
}

// No page can know who runs a witness, and what came after the publication was not counted.
func TestAWitnessIsToldOnlyWhatWasCounted(t *testing.T) {
	views := sampleViews(ordinary, 12)
	text := textOf(render(t, views["witnesses/index.html"]))
	for _, want := range []string{
		"in time: 93 of 100 93 of the last 100 checkpoints carried its cosignature when they were published; one that came later is not counted here.",
		"a tree of 1,234,000; it came after the publication",
		"The only checkpoint did not carry its cosignature when it was published; one that came later is not counted here. No cosignature of it is known here.",
		"meant to be run by somebody else than the log; who runs these, this page cannot know",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page of witnesses does not say %q: %s", want, text)
		}
	}
	if strings.Count(text, "it came after the publication") != 1 {
		t.Error("a cosignature that came in time is said to be late")
	}
	for _, name := range []string{"index.html", "witnesses/index.html", "checkpoints/index.html"} {
		for _, word := range []string{"missed", "late or away", "silent", "Independent"} {
			if text := textOf(render(t, views[name])); strings.Contains(text, word+" ") {
				t.Errorf("%s says %q of a witness", name, word)
			}
		}
	}
	if text := textOf(render(t, views["verify/index.html"])); !strings.Contains(text, strings.Repeat("cd", 32)+" the script of verify.html") {
		t.Error("the page of ways to verify does not give the hash of the script")
	}
}
