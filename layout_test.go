package assayledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/Haserjian/assay-ledger"

// layout is the architecture: every room, and which other rooms it may import.
// Data flows one way (receipts → pack → entry → leaf → checkpoint → cosignature
// → proof → verdict), and imports go one way too. A room that is not here does not exist; an import that is not
// here, and one that is here and that no file makes, is a mistake. Tests may import whatever helps them.
var layout = map[string][]string{
	// What a relying party uses. Pure: no network, no clock, no home directory.
	"trust":                {},
	"trust/tiles":          {},
	"trust/timestamp":      {},
	"trust/trusttest":      {"trust"},
	"pack/jcs":             {},
	"pack/jcs/jcstest":     {"pack/jcs"},
	"pack/schema":          {},
	"pack/internal/form":   {"pack/jcs"},
	"pack/internal/python": {"pack/jcs"},
	"pack/receipt":         {"pack/internal/form", "pack/internal/python", "pack/jcs"},
	"pack/manifest":        {"pack/internal/form", "pack/jcs", "trust"},
	"pack/entry":           {"pack/internal/form", "pack/jcs", "pack/manifest", "trust"},
	"pack/claim":           {"pack/internal/form", "pack/internal/python", "pack/jcs", "pack/receipt"},
	"pack/packtest":        {"pack/claim", "pack/internal/form", "pack/jcs", "pack/jcs/jcstest"},
	"pack/lock":            {"pack/claim", "pack/internal/form", "pack/jcs", "pack/manifest", "pack/receipt", "trust"},
	"pack": {"internal/durable", "pack/claim", "pack/entry", "pack/internal/form", "pack/internal/python",
		"pack/jcs", "pack/lock", "pack/manifest", "pack/receipt", "trust", "trust/timestamp"},
	"pack/report": {"internal/terminal", "pack", "pack/claim", "pack/jcs", "pack/lock", "pack/manifest", "pack/receipt",
		"trust", "trust/timestamp"},

	// The evidence tool.
	"pack/keystore": {"internal/durable", "pack/jcs", "trust"},
	"capture":       {"internal/durable", "pack/jcs", "pack/manifest", "pack/receipt"},
	"capture/call":  {"pack/jcs"},
	"capture/hook":  {"pack/jcs"},
	"capture/proxy": {"capture", "capture/call", "pack/jcs", "pack/receipt"},

	// Its commands, a room for each verb. Rooms share home (what the user who runs it has) and expect (what a pack is
	// held to), and never import each other: judge holds no key, because it does not import home, and opens no
	// connection (walls).
	"cmd/assay/home": {"capture", "internal/cli", "internal/terminal", "pack", "pack/keystore"},
	"cmd/assay/expect": {"internal/cli", "pack", "pack/claim", "pack/lock", "pack/manifest", "pack/report", "trust",
		"trust/timestamp"},
	"cmd/assay/record": {"capture", "cmd/assay/expect", "cmd/assay/home", "internal/cli", "internal/durable", "internal/terminal", "pack",
		"pack/claim", "pack/jcs", "pack/keystore", "pack/manifest", "pack/receipt", "pack/report"},
	"cmd/assay/judge": {"cmd/assay/expect", "internal/cli", "internal/durable", "internal/terminal", "pack", "pack/jcs", "pack/manifest",
		"pack/report", "site/single"},
	"cmd/assay/publish": {"cmd/assay/expect", "internal/cli", "internal/durable", "internal/terminal", "ledger/client", "pack", "pack/entry",
		"pack/report", "trust", "trust/timestamp"},
	"cmd/assay/govern": {"cmd/assay/expect", "cmd/assay/home", "internal/cli", "internal/durable", "internal/terminal", "pack", "pack/claim",
		"pack/jcs", "pack/lock", "pack/report", "trust"},
	"cmd/assay/sign": {"cmd/assay/expect", "cmd/assay/home", "internal/cli", "internal/durable", "internal/terminal", "pack/jcs",
		"pack/keystore", "pack/lock", "trust"},
	"cmd/assay/check": {"cmd/assay/home", "conformance", "internal/cli", "internal/durable", "internal/terminal", "pack/jcs", "pack/report",
		"pack/schema"},
	"cmd/assay/demo": {"capture", "cmd/assay/expect", "internal/cli", "internal/durable", "internal/terminal", "pack", "pack/claim",
		"pack/jcs", "pack/keystore", "pack/manifest", "pack/report"},
	"cmd/assay": {"cmd/assay/check", "cmd/assay/demo", "cmd/assay/govern", "cmd/assay/home", "cmd/assay/judge",
		"cmd/assay/publish", "cmd/assay/record", "cmd/assay/sign", "internal/cli", "pack/claim", "pack/manifest"},

	// The log and its servers.
	"ledger":       {"internal/durable", "pack/entry", "pack/manifest", "trust", "trust/tiles", "trust/timestamp"},
	"ledger/index": {"internal/durable", "pack/entry", "trust"},
	"ledger/tsa":   {"internal/serve", "trust/timestamp"},
	"ledger/api": {"internal/serve", "ledger", "ledger/index", "pack/entry", "pack/manifest", "trust", "trust/tiles",
		"trust/timestamp"},
	"ledger/client": {"pack/entry", "pack/jcs", "pack/manifest", "trust", "trust/tiles"},
	"witness":       {"internal/serve", "trust"},

	// The log as a folder of plain files.
	"site": {"internal/durable", "pack/entry", "pack/jcs", "site/pages", "site/single", "site/verifier", "trust",
		"trust/tiles", "trust/timestamp"},
	"site/sitetest": {"pack/entry", "pack/manifest", "trust", "trust/tiles"},
	"site/pages":    {"pack/entry", "trust"},

	"cmd/ledger": {"internal/cli", "internal/durable", "internal/serve", "internal/terminal", "ledger", "ledger/api", "ledger/client",
		"ledger/index", "ledger/tsa", "pack/jcs", "pack/manifest", "site", "trust", "trust/timestamp", "witness"},

	// The static site, and the verifier that runs in a browser.
	"site/verifier": {},
	"site/single":   {"site/verifier"},

	// The packs that every verifier must judge alike, and what runs them.
	"conformance": {"pack/jcs"},

	// What the two programs share, and what runs them in tests.
	"internal/cli":         {"internal/durable", "internal/terminal", "pack/jcs"},
	"internal/cli/clitest": {},

	"internal/durable":             {},
	"internal/durable/durabletest": {},
	"internal/serve":               {},
	"internal/terminal":            {},

	// Which tests the race detector need not run.
	"internal/racetest": {},
}

// walls are packages that only the named rooms may link, directly or through others.
// The programs at the end of each list get them from the rooms before. A room that is listed and links none of
// it fails too.
var walls = map[string][]string{
	"github.com/transparency-dev/tessera": {"ledger", "ledger/api", "cmd/ledger"},
	"github.com/labstack/echo/v4":         {"ledger/api", "cmd/ledger"},
	"modernc.org/sqlite":                  {"witness", "cmd/ledger"},
	"github.com/spf13/cobra": {"internal/cli", "cmd/assay/home", "cmd/assay/expect", "cmd/assay/record",
		"cmd/assay/judge", "cmd/assay/publish", "cmd/assay/govern", "cmd/assay/sign", "cmd/assay/check", "cmd/assay/demo",
		"cmd/assay", "cmd/ledger"},
	"filippo.io/age": {"pack/keystore", "cmd/assay/home", "cmd/assay/record", "cmd/assay/govern", "cmd/assay/sign",
		"cmd/assay/check", "cmd/assay/demo", "cmd/assay"},
	"net/http": {"capture/proxy", "internal/serve", "ledger", "ledger/api", "ledger/client", "ledger/tsa", "witness", "cmd/assay/publish",
		"cmd/assay", "cmd/ledger"},

	// Of our own: who executes claims (not the ledger, and nobody who records);
	module + "/pack/claim": {"pack/packtest", "pack/lock", "pack", "pack/report", "cmd/assay/home", "cmd/assay/expect", "cmd/assay/record",
		"cmd/assay/judge", "cmd/assay/publish", "cmd/assay/govern", "cmd/assay/sign", "cmd/assay/check", "cmd/assay/demo", "cmd/assay"},

	// and who knows keys, and who speaks to a ledger.
	module + "/pack/keystore": {"cmd/assay/home", "cmd/assay/record", "cmd/assay/govern", "cmd/assay/sign", "cmd/assay/check",
		"cmd/assay/demo", "cmd/assay"},
	module + "/ledger/client": {"cmd/assay/publish", "cmd/assay", "cmd/ledger"},
}

type listedPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func listPackages(t *testing.T) map[string]listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]listedPackage{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		if room, ok := strings.CutPrefix(p.ImportPath, module+"/"); ok {
			packages[room] = p
		}
	}
}

func TestEveryRoomIsInTheTableAndImportsOnlyWhatItMay(t *testing.T) {
	packages := listPackages(t)
	for room := range layout {
		if _, ok := packages[room]; !ok {
			t.Errorf("%s is in the table but not in the tree", room)
		}
	}
	for room, p := range packages {
		may, ok := layout[room]
		if !ok {
			if strings.HasPrefix(room, "conformance/") {
				continue // programs and tests around the product
			}
			t.Errorf("%s is in the tree but not in the table", room)
			continue
		}
		for _, path := range p.Imports {
			if target, ours := strings.CutPrefix(path, module+"/"); ours && !slices.Contains(may, target) {
				t.Errorf("%s imports %s, which the table does not allow", room, target)
			}
		}
		for _, target := range may {
			if !slices.Contains(p.Imports, module+"/"+target) {
				t.Errorf("%s may import %s and does not: delete it from the table", room, target)
			}
		}
	}
}

func TestWallsHold(t *testing.T) {
	packages := listPackages(t)
	for wall, rooms := range walls {
		for room, p := range packages {
			links := slices.ContainsFunc(p.Deps, func(dep string) bool { return dep == wall || strings.HasPrefix(dep, wall+"/") })
			may := slices.Contains(rooms, room)
			switch {
			case links && !may && !strings.HasPrefix(room, "conformance/"):
				t.Errorf("%s links %s; only %v may", room, wall, rooms)
			case may && !links:
				t.Errorf("%s may link %s and does not: delete it from the wall", room, wall)
			}
		}
	}
}

func TestOnlyTheLedgerImportsTesseraAndOnlyTheAPIImportsEcho(t *testing.T) {
	owner := map[string]string{
		"github.com/transparency-dev/tessera": "ledger",
		"github.com/labstack/echo/v4":         "ledger/api",
	}
	for room, p := range listPackages(t) {
		for _, path := range p.Imports {
			for wall, may := range owner {
				if (path == wall || strings.HasPrefix(path, wall+"/")) && room != may && !strings.HasPrefix(room, "conformance/") {
					t.Errorf("%s imports %s; only %s may", room, path, may)
				}
			}
		}
	}
}

func TestNoRoomIsNamedAfterNothing(t *testing.T) {
	for room := range listPackages(t) {
		for _, part := range strings.Split(room, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helpers", "helper", "types", "misc"}, part) {
				t.Errorf("%s: name the room for what a caller holds", room)
			}
		}
	}
}

// This test and the next one read the source as text: they are rules about what is written.
func TestNoRoomUsesCGOAndNobodyReplacesModules(t *testing.T) {
	goMod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(goMod, []byte("\nreplace ")) {
		t.Error("go.mod replaces a module: go install of a release would not build what the tests saw")
	}
	eachSource(t, func(path string, text []byte) {
		if bytes.Contains(text, []byte("import \"C\"")) {
			t.Errorf("%s uses cgo", path)
		}
	})
}

// A command is found by its name: lockDiffCmd, which makes 'assay lock diff', is in lock_diff.go, alone. (Go would take
// cards_test.go for a test.)
func TestEveryCommandOfAssayHasAFileOfItsName(t *testing.T) {
	files, err := filepath.Glob("cmd/assay/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (\w+)Cmd\(`).FindAllSubmatch(text, -1) {
			words := regexp.MustCompile(`([a-z])([A-Z])|([A-Z])([A-Z][a-z])`).ReplaceAllString(string(m[1]), "${1}${3}_${2}${4}")
			file := strings.ToLower(words) + ".go"
			if file == "cards_test.go" {
				file = "cards_test_cmd.go"
			}
			if found++; filepath.Base(path) != file {
				t.Errorf("%s makes a command that belongs in %s", path, file)
			}
		}
	}
	if found < 40 {
		t.Errorf("%d commands found", found)
	}
}

func TestOnlyMainExits(t *testing.T) {
	eachSource(t, func(path string, text []byte) {
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "/main.go") {
			return
		}
		for _, call := range []string{"os.Exit(", "log.Fatal", "klog.Exit"} {
			if bytes.Contains(text, []byte(call)) {
				t.Errorf("%s calls %s…: only main may end the process", path, call)
			}
		}
	})
}

func TestActionsArePinnedBySHA(t *testing.T) {
	var workflows []string
	for _, pattern := range []string{".github/workflows/*.yml", "site/publish/github-*.yml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("nothing is called %s: %v", pattern, err)
		}
		workflows = append(workflows, found...)
	}
	for _, path := range workflows {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			_, uses, ok := strings.Cut(line, "uses:")
			if !ok {
				continue
			}
			_, ref, _ := strings.Cut(strings.TrimSpace(uses), "@")
			if sha, _, _ := strings.Cut(ref, " "); len(sha) != 40 {
				t.Errorf("%s: %s is not pinned by commit", path, strings.TrimSpace(line))
			}
		}
	}
}

func TestTheBuilderOfTheImageIsPinnedByDigest(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	from := regexp.MustCompile(`(?m)^FROM .*$`).FindAllString(string(text), -1)
	if len(from) != 2 || !regexp.MustCompile(`^FROM golang:1\.26\.\d+@sha256:[0-9a-f]{64} AS build$`).MatchString(from[0]) || from[1] != "FROM scratch" {
		t.Errorf("the Dockerfile is built from %q", from)
	}
}

// TestDependencyUpdatesHonourThePins compares what DEVELOPING.md pins with what updates leave alone.
func TestDependencyUpdatesHonourThePins(t *testing.T) {
	page, err := os.ReadFile("DEVELOPING.md")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(".github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	_, pins, ok := strings.Cut(string(page), "**Pins.**")
	pins, _, _ = strings.Cut(pins, "\n\n")
	named := regexp.MustCompile("`([a-z0-9./]+)`").FindAllStringSubmatch(pins, -1)
	if !ok || len(named) < 4 {
		t.Fatalf("DEVELOPING.md pins %q", named)
	}
	for _, m := range named {
		if path := strings.TrimPrefix(m[1], "digitorus/"); !regexp.MustCompile(`(?m)^ +- dependency-name: \S*` + regexp.QuoteMeta(path) + `$`).Match(config) {
			t.Errorf("updates do not leave %s alone", m[1])
		}
	}
}

func eachSource(t *testing.T, check func(path string, text []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if path == "layout_test.go" || !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		check(path, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a page for newcomers sends them to must be there.
func TestEveryFileThatDEVELOPINGNamesExists(t *testing.T) {
	page, err := os.ReadFile("DEVELOPING.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9_]+(?:/[a-z0-9_*.<>]+)+)`").FindAllSubmatch(page, -1)
	if len(named) < 20 {
		t.Errorf("DEVELOPING.md names %d files", len(named))
	}
	for _, m := range named {
		pattern := regexp.MustCompile(`<[a-z]+>`).ReplaceAllString(string(m[1]), "*")
		if first, _, _ := strings.Cut(pattern, "/"); !exists(first) {
			continue // the path of a package elsewhere
		}
		if found, err := filepath.Glob(pattern); err != nil || len(found) == 0 {
			t.Errorf("DEVELOPING.md names %s, which is not there", m[1])
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestEveryTestThatADocumentNamesExists(t *testing.T) {
	there := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, least := range map[string]int{"docs/TRUST.md": 30, "docs/RELIABILITY.md": 30, "docs/spec/threats.md": 100} {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
		if len(named) < least {
			t.Errorf("%s names %d tests", path, len(named))
		}
		for _, m := range named {
			if !there[string(m[1])] {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
		}
	}
}

// anchors are what GitHub makes of the headings of a page.
func anchors(page []byte) map[string]bool {
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} +(.*)$`).FindAllSubmatch(page, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(string(m[1])), "")
		there[strings.ReplaceAll(name, " ", "-")] = true
	}
	return there
}

func TestEveryLinkOfADocumentLeadsSomewhere(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "conformance/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	links := 0
	for _, path := range pages {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^()\s]+)\)`).FindAllSubmatch(page, -1) {
			target, anchor, _ := strings.Cut(string(m[1]), "#")
			if strings.Contains(target, "://") {
				continue
			}
			links++
			to := path
			if target != "" {
				to = filepath.Join(filepath.Dir(path), target)
			}
			text, err := os.ReadFile(to)
			if _, there := os.Stat(to); there != nil {
				t.Errorf("%s: no file %s", path, m[1])
			} else if anchor != "" && (err != nil || !anchors(text)[anchor]) {
				t.Errorf("%s: no heading %s", path, m[1])
			}
		}
	}
	if links < 40 {
		t.Errorf("%d links in %q", links, pages)
	}
}
