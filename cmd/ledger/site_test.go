package main

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// ledgerRun runs the program in this process.
func ledgerRun(t *testing.T, args ...string) (code int, out, talk string) {
	t.Helper()
	var stdout, stderr strings.Builder
	code = run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: func(string) string { return "" }})
	return code, stdout.String(), stderr.String()
}

// wantExit runs the program and compares its exit code and, unless it is empty, a part of what it says.
func wantExit(t *testing.T, exit int, says string, args ...string) {
	t.Helper()
	code, out, talk := ledgerRun(t, args...)
	if code != exit || !strings.Contains(out+talk, says) {
		t.Fatalf("ledger %s: exit %d, expected %d and %q\n%s%s", strings.Join(args, " "), code, exit, says, out, talk)
	}
}

// filesOf reads a folder.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantSameFiles(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s differs, or is missing", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, expected %d", len(got), len(want))
	}
}

// SIT-19: a site is the same of a ledger that runs, of its directory, and of another site; and it stays when the log is damaged or rolled back.
func TestASiteIsBuiltOfARunningLedgerOfItsDirectoryAndOfAnotherSite(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers")
	}
	d := programs(t)
	for _, step := range []func() error{
		func() error { return d.startServers(t.Context()) },
		func() error { return d.recordAndPack(t.Context()) },
		func() error { return d.anchor(t.Context()) },
		func() error { return d.honestFailure(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	home, policy := d.path("ledger"), d.policy()
	ofURL, ofDir, ofSite := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "c")
	wantExit(t, 0, "entries", "site", "build", "--log", d.url("ledger"), "--out", ofURL, "--policy", policy)
	wantExit(t, 0, "0 damaged", "fsck", d.url("ledger"), "--policy", policy)
	if err := d.stop("ledger"); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 0, "entries", "site", "build", "--log", home, "--out", ofDir)
	served := httptest.NewServer(http.StripPrefix("/some/path", pages(ofURL)))
	t.Cleanup(served.Close)
	url := served.URL + "/some/path"
	wantExit(t, 0, "entries", "site", "build", "--log", url, "--out", ofSite, "--policy", policy)
	want := filesOf(t, ofDir)
	wantSameFiles(t, filesOf(t, ofSite), filesOf(t, ofURL))
	// A late cosignature may have come between the two.
	if got := filesOf(t, ofURL); got["/checkpoints/count"] == want["/checkpoints/count"] && got["/checkpoint"] == want["/checkpoint"] {
		wantSameFiles(t, got, want)
	}
	wantExit(t, 0, " 0 damaged", "site", "check", url, "--policy", policy)
	wantExit(t, 0, " 0 damaged, 0 foreign", "site", "check", ofDir, "--policy", policy)

	// Somebody else's policy.
	other := filepath.Join(t.TempDir(), "other")
	wantExit(t, 0, "", "init", other, "--origin", "other.example", "--timestamps", "off")
	wantExit(t, 3, "no log of the policy", "site", "build", "--log", home, "--out", filepath.Join(t.TempDir(), "x"), "--policy", filepath.Join(other, "policy"))
	wantExit(t, 3, "no log of the policy", "site", "check", ofDir, "--policy", filepath.Join(other, "policy"))

	bundle := firstBundle(t, home)
	text, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(changed []byte, exit int, says string) {
		t.Helper()
		if err := os.WriteFile(bundle, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		wantExit(t, exit, says, "site", "build", "--log", home, "--out", filepath.Join(t.TempDir(), "new"))
		wantExit(t, exit, "the site stays as it was", "site", "build", "--log", home, "--out", ofDir)
		wantSameFiles(t, filesOf(t, ofDir), want)
	}
	damage(bytes.Replace(text, []byte("PASS"), []byte("FAIL"), 1), 2, "the log is damaged")
	damage(text[:len(text)-3], 2, "contradict each other")
	if err := os.Remove(bundle); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 2, "a part of the log is missing", "site", "build", "--log", home, "--out", ofDir)
	wantSameFiles(t, filesOf(t, ofDir), want)
	if err := os.WriteFile(bundle, text, 0o600); err != nil {
		t.Fatal(err)
	}

	// A history that was cut is sound in itself, and too short for what is published.
	segment := filepath.Join(home, "checkpoints", "000")
	if text, err = os.ReadFile(segment); err != nil {
		t.Fatal(err)
	}
	short, err := tiles.FirstEntries(text, 1)
	if err != nil || len(short) == len(text) {
		t.Fatalf("the history has less than two checkpoints: %v", err)
	}
	wantExit(t, 0, " checkpoints, 0 damaged", "fsck", home)
	if err := os.WriteFile(segment, short, 0o600); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 2, "does not hold the published one", "fsck", home)
	wantExit(t, 2, "is not in it", "site", "build", "--log", home, "--out", filepath.Join(t.TempDir(), "new"))
	wantExit(t, 2, "is not in it", "site", "build", "--log", home, "--out", ofDir)
	if err := os.Remove(segment); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 0, "no checkpoint is kept in ", "fsck", home)
	wantExit(t, 2, "the site has ", "site", "build", "--log", home, "--out", ofDir)
	wantSameFiles(t, filesOf(t, ofDir), want)

	// A mirror that has lost a bundle accuses nobody; one that shows another is found.
	lost := filepath.Join(ofURL, "tile", "entries")
	if err := os.Rename(lost, lost+".away"); err != nil {
		t.Fatal(err)
	}
	wantExit(t, 4, "a part of the log is missing", "site", "build", "--log", url, "--out", ofSite+"2")
	wantExit(t, 4, "a part of the log is missing", "fsck", url)
	if err := os.Rename(lost+".away", lost); err != nil {
		t.Fatal(err)
	}
	tile := filepath.Join(ofURL, "tile", "0")
	err = filepath.WalkDir(tile, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return os.WriteFile(path, bytes.Repeat([]byte{7}, 32*3)[:len(filesOf(t, tile)[strings.TrimPrefix(path, tile)])], 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	wantExit(t, 2, "damaged  tile/0/000.p/", "fsck", url, "--policy", policy)
	wantExit(t, 2, "damaged  tile/0/000.p/", "site", "check", url)
}

// firstBundle is the bundle of entries that a small ledger has now.
func firstBundle(t *testing.T, home string) (path string) {
	t.Helper()
	widest := 0
	names, err := filepath.Glob(filepath.Join(ledgerHome(home).log(), "tile", "entries", "000.p", "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no bundles: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > widest {
			path, widest = name, len(text)
		}
	}
	return path
}

func TestASiteIsServedWithTheTypesThatBrowsersWant(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]string{
		"index.html": "text/html; charset=utf-8", "assets/x.mjs": "text/javascript; charset=utf-8", "assets/style.css": "text/css; charset=utf-8",
		"assets/mark.svg": "image/svg+xml", ".well-known/assay-ledger.json": "application/json", "entries/newest.csv": "text/csv; charset=utf-8",
		"entries/feed.xml": "application/atom+xml", "tile/0/000": "application/octet-stream", "checkpoints/000.p/3": "application/octet-stream",
		"checkpoints/count": "text/plain; charset=utf-8", "checkpoint": "text/plain; charset=utf-8", "lookup/abc": "text/plain; charset=utf-8",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		pages(dir).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+name+"?i=3", nil))
		body, _ := io.ReadAll(w.Body)
		if h := w.Header(); w.Code != 200 || string(body) != name || h.Get("Content-Type") != want || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s: %d %q %v", name, w.Code, body, h)
		}
	}
	for path, want := range map[string]int{"/": 200, "/index.html": 200, "/assets": 404, "/assets/": 404, "/../secret": 404, "/nothing": 404, "//index.html": 404} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		pages(dir).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, expected %d", path, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	pages(dir).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestACheckThatDidNotEndAndAPathThatIsNoneHaveHintsOfTheirOwn(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close() // nobody answers there
	for _, args := range [][]string{{"site", "check", gone.URL}, {"fsck", gone.URL, "--policy", policyFile(t)}} {
		code, out, talk := ledgerRun(t, args...)
		if code != cli.ExitUnavailable || !strings.Contains(talk, "hint: not everything was checked") || strings.Contains(out+talk, "as it was") {
			t.Errorf("%s: exit %d: %s%s", args, code, out, talk)
		}
	}
	wantExit(t, cli.ExitBadInput, "for example --base-path /repo/", "site", "build", "--log", "a", "--out", "b", "--base-path", "repo")
	wantExit(t, cli.ExitBadInput, "for example --contact mailto:", "site", "build", "--log", "a", "--out", "b", "--contact", "me")
}

// policyFile writes a policy of some log.
func policyFile(t *testing.T) string {
	t.Helper()
	log, w := trusttest.NewLog("ledger.example/2026"), trusttest.NewWitness("w1", trust.Ed25519Cosigner)
	path := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(path, trusttest.Policy(log, []*trusttest.Witness{w}, 1).Text(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// SIT-23: pages of another program have not passed, whoever says who made them.
func TestPagesOfAnotherProgramHaveNotPassed(t *testing.T) {
	home, dir := filepath.Join(t.TempDir(), "home"), filepath.Join(t.TempDir(), "site")
	wantExit(t, 0, "", "init", home, "--origin", "ledger.example", "--timestamps", "off")
	wantExit(t, 0, "", "site", "build", "--log", home, "--out", dir)
	wantExit(t, 0, " 0 damaged, 0 foreign", "site", "check", dir)
	description := filepath.Join(dir, ".well-known", "assay-ledger.json")
	text, err := os.ReadFile(description)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(text, []byte(`"program": "ledger `), []byte(`"program": "other `), 1)
	if bytes.Equal(other, text) {
		t.Fatalf("the description names another program: %s", text)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(".well-known/assay-ledger.json", string(other))
	write("verifier/verify.mjs", "everything(is.fine)")
	code, out, talk := ledgerRun(t, "site", "check", dir)
	if code != cli.ExitHonestFail || !strings.Contains(out, "\nnot compared: ") || !strings.Contains(out, "files of another program, \"other ") || !strings.Contains(talk, "--foreign-pages") {
		t.Errorf("exit %d: %s%s", code, out, talk)
	}
	code, out, talk = ledgerRun(t, "site", "check", dir, "--foreign-pages")
	if code != cli.ExitPass || !strings.Contains(out, "\nnot compared: ") || strings.Contains(talk, "--foreign-pages") {
		t.Errorf("accepted: exit %d: %s%s", code, out, talk)
	}
	for _, accept := range [][]string{nil, {"--foreign-pages"}} {
		_, out, _ = ledgerRun(t, append([]string{"site", "check", dir, "--json"}, accept...)...)
		if !strings.Contains(out, `"status": "pages_not_compared"`) || !strings.Contains(out, `"verifier/verify.mjs"`) || !strings.Contains(out, `"program": "other `) {
			t.Errorf("%s", out)
		}
	}
	write("entries/newest.csv", "index\n")
	wantExit(t, cli.ExitTampered, "damaged  entries/newest.csv", "site", "check", dir, "--foreign-pages")
}

// SIT-23: of a file that the host does not send nothing is known, and the rest is looked at.
func TestAFileThatTheHostDoesNotSendIsNamed(t *testing.T) {
	home, dir := filepath.Join(t.TempDir(), "home"), filepath.Join(t.TempDir(), "site")
	wantExit(t, 0, "", "init", home, "--origin", "ledger.example", "--timestamps", "off")
	wantExit(t, 0, "", "site", "build", "--log", home, "--out", dir)
	files := pages(dir)
	served := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "style.css") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(served.Close)
	code, out, talk := ledgerRun(t, "site", "check", served.URL)
	if code != cli.ExitUnavailable || !strings.Contains(out, "unread   assets/style.css: ") || !strings.Contains(out, " 0 damaged") || !strings.Contains(talk, "hint: not everything was checked") {
		t.Errorf("exit %d: %s%s", code, out, talk)
	}
	if _, out, _ = ledgerRun(t, "site", "check", served.URL, "--json"); !strings.Contains(out, `"status": "not_all_read"`) || !strings.Contains(out, `"exit_code": 4`) {
		t.Errorf("%s", out)
	}
	if err := os.Remove(filepath.Join(dir, "growth.csv")); err == nil {
		t.Error("nothing is published, and there is a growth")
	}
	if err := os.Remove(filepath.Join(dir, "entries", "newest.csv")); err != nil {
		t.Fatal(err)
	}
	wantExit(t, cli.ExitTampered, "damaged  entries/newest.csv is missing", "site", "check", served.URL)
}
