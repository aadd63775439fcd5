package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// introduced is a ledger that says who it is, and a way to change what it says.
func introduced(t *testing.T) (url string, said map[string]any, checkpoint *[]byte) {
	t.Helper()
	log, w := trusttest.NewLog("ledger.example/2026"), trusttest.NewWitness("w1", trust.Ed25519Cosigner)
	log.Append([]byte("entry"))
	policy := trusttest.Policy(log, []*trusttest.Witness{w}, 1)
	authority, err := timestamp.NewAuthority(rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	said = map[string]any{"origin": "ledger.example/2026", "vkey": policy.Logs()[0].VKey, "policy": string(policy.Text()), "tsa_roots": string(authority.RootPEM())}
	note := log.Checkpoint(w)
	said["uncosigned"] = string(log.Checkpoint())
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/log":
			_ = json.NewEncoder(rw).Encode(said)
		case "/checkpoint":
			_, _ = rw.Write(note)
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, said, &note
}

func fetchPolicy(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code := run(t.Context(), append([]string{"policy", "fetch"}, args...), cli.Streams{Out: &out, Err: &errs, Env: func(string) string { return "" }})
	if code != want {
		t.Errorf("policy fetch %q: exit %d, want %d: %s%s", args, code, want, &out, &errs)
	}
	return out.String(), errs.String()
}

func TestAFetchedPolicyIsWrittenAndSaidToProveNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	url, said, _ := introduced(t)
	out, _ := fetchPolicy(t, cli.ExitPass, url)
	for _, want := range []string{"its own word, which proves nothing yet", "origin      ledger.example/2026", said["vkey"].(string),
		"witness     w1, ", "SHA-256 of the vkey ", "group       witnesses 1 w1", "quorum      witnesses", "SHA-256 of the certificate ",
		"a tree of 1, cosigned by w1", "Until then do not trust these files."} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for name, member := range map[string]string{"policy": "policy", "roots.pem": "tsa_roots"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != said[member] {
			t.Errorf("%s: %v: %s", name, err, text)
		}
	}
	if again, _ := fetchPolicy(t, cli.ExitPass, url); !strings.Contains(again, "policy (it held the same) and roots.pem (it held the same)") {
		t.Errorf("again: %s", again)
	}
}

// A static site of a log has its policy and roots as files, and no v1/log.
func TestAPolicyIsFetchedFromASiteThatIsFilesAlone(t *testing.T) {
	ledger, said, note := introduced(t)
	files := map[string]string{"/repo/policy": said["policy"].(string), "/repo/tsa-roots.pem": said["tsa_roots"].(string), "/repo/checkpoint": string(*note)}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok { // as hosts of files answer
			rw.Header().Set("Content-Type", "text/html")
			rw.WriteHeader(http.StatusNotFound)
			text = "<!DOCTYPE html><p>not here"
		}
		_, _ = rw.Write([]byte(text))
	}))
	t.Cleanup(server.Close)
	url := server.URL + "/repo/"
	t.Chdir(t.TempDir())
	ofLedger, _ := fetchPolicy(t, cli.ExitPass, ledger)
	t.Chdir(t.TempDir())
	ofSite, _ := fetchPolicy(t, cli.ExitPass, url)
	if strings.Replace(ofSite, url, ledger, 1) != ofLedger || !strings.Contains(ofSite, "its own word, which proves nothing yet") {
		t.Errorf("of the site:\n%s\nof the ledger:\n%s", ofSite, ofLedger)
	}
	for name, path := range map[string]string{"policy": "/repo/policy", "roots.pem": "/repo/tsa-roots.pem"} {
		if text, err := os.ReadFile(name); err != nil || string(text) != files[path] {
			t.Errorf("%s: %v: %s", name, err, text)
		}
	}
	files["/repo/checkpoint"] = said["uncosigned"].(string)
	fetchPolicy(t, cli.ExitUnavailable, url)
	files["/repo/policy"] = "quorum none\n"
	if _, errs := fetchPolicy(t, cli.ExitBadInput, url); !strings.Contains(errs, "names 0 logs, expected one") {
		t.Error(errs)
	}
	delete(files, "/repo/policy")
	if _, errs := fetchPolicy(t, cli.ExitBadInput, url); !strings.Contains(errs, "asking the ledger who it is") {
		t.Error(errs)
	}
}

func TestAFetchedPolicyReplacesNothingUnlessItIsForced(t *testing.T) {
	for _, mine := range []string{"policy", "roots.pem"} {
		t.Chdir(t.TempDir())
		url, _, _ := introduced(t)
		if err := os.WriteFile(mine, []byte("mine\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, errs := fetchPolicy(t, cli.ExitBadInput, url); !strings.Contains(errs, mine+" is there and holds something else") {
			t.Errorf("%s: %s", mine, errs)
		}
		if files, err := os.ReadDir("."); err != nil || len(files) != 1 {
			t.Errorf("%s: there are %v, %v", mine, files, err)
		}
		if text, err := os.ReadFile(mine); err != nil || string(text) != "mine\n" {
			t.Errorf("%s became %q, %v", mine, text, err)
		}
		fetchPolicy(t, cli.ExitPass, url, "--force")
		if text, err := os.ReadFile(mine); err != nil || string(text) == "mine\n" {
			t.Errorf("%s is still %q, %v", mine, text, err)
		}
	}
}

func TestAFetchedPolicyAndItsRootsAreWrittenBothOrNeither(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"one name":                     {[]string{"-o", "new", "--roots-output", "new"}, "name one file"},
		"one name, spelt twice":        {[]string{"-o", "new", "--roots-output", "./new"}, "name one file"},
		"one name, through a link":     {[]string{"-o", "d/new", "--roots-output", "link/new"}, "name one file"},
		"one name, and a clean one":    {[]string{"-o", "d/../new", "--roots-output", "new"}, "name one file"},
		"one file that is there":       {[]string{"-o", "hard", "--roots-output", "file"}, "name one file"},
		"no directory for the roots":   {[]string{"--roots-output", "nowhere/roots.pem"}, "nowhere"},
		"no directory for the policy":  {[]string{"-o", "nowhere/policy"}, "nowhere"},
		"a file as directory":          {[]string{"--roots-output", "file/roots.pem"}, "file"},
		"where nobody makes files":     {[]string{"--roots-output", "/proc/roots.pem"}, "/proc"},
		"a directory as roots":         {[]string{"--roots-output", "d"}, "d: is a directory"},
		"a directory as policy":        {[]string{"-o", "d"}, "d: is a directory"},
		"a link to another file":       {[]string{"--roots-output", "filelink"}, "filelink: is a symbolic link"},
		"a name that is too long":      {[]string{"--roots-output", strings.Repeat("x", 300)}, "name too long"},
		"a link to nothing":            {[]string{"-o", "dangling"}, "dangling: is a symbolic link"},
		"a link to nothing, the roots": {[]string{"--roots-output", "dangling"}, "dangling: is a symbolic link"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			url, _, _ := introduced(t)
			if err := errors.Join(os.Mkdir("d", 0o755), os.Symlink("d", "link"), os.Symlink("nothing", "dangling"),
				os.WriteFile("file", []byte("mine\n"), 0o644), os.Symlink("file", "filelink"), os.Link("file", "hard")); err != nil {
				t.Fatal(err)
			}
			for _, force := range [][]string{nil, {"--force"}} {
				out, errs := fetchPolicy(t, cli.ExitBadInput, append(append([]string{url}, c.args...), force...)...)
				if out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "nothing was written") || strings.Contains(errs, "--force") {
					t.Errorf("%q: %s%s", force, out, errs)
				}
			}
			for dir, want := range map[string]int{".": 6, "d": 0} {
				if files, err := os.ReadDir(dir); err != nil || len(files) != want {
					t.Errorf("in %s there are %v, %v", dir, files, err)
				}
			}
			if text, err := os.ReadFile("file"); err != nil || string(text) != "mine\n" {
				t.Errorf("file became %q, %v", text, err)
			}
		})
	}
}

func TestALinkToTheSamePolicyStays(t *testing.T) {
	t.Chdir(t.TempDir())
	url, _, _ := introduced(t)
	fetchPolicy(t, cli.ExitPass, url)
	if err := os.Symlink("policy", "link"); err != nil {
		t.Fatal(err)
	}
	if out, _ := fetchPolicy(t, cli.ExitPass, url, "-o", "link", "--force"); !strings.Contains(out, "link (it held the same)") {
		t.Error(out)
	}
}

func TestAnInconsistentLedgerGivesNoPolicy(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, c := range map[string]struct {
		spoil func(said map[string]any, checkpoint *[]byte)
		exit  int
		want  string
	}{
		"another origin":      {func(said map[string]any, _ *[]byte) { said["origin"] = "evil.example" }, cli.ExitBadInput, "evil.example"},
		"roots that are none": {func(said map[string]any, _ *[]byte) { said["tsa_roots"] = "x" }, cli.ExitBadInput, "roots of its timestamps"},
		"another checkpoint": {func(_ map[string]any, note *[]byte) { *note = trusttest.NewLog("other.example").Checkpoint() },
			cli.ExitBadInput, "under the ledger's own policy"},
		"too few cosignatures": {func(said map[string]any, note *[]byte) { *note = []byte(said["uncosigned"].(string)) },
			cli.ExitUnavailable, "under the ledger's own policy"},
		"a policy that is not all shown": {func(said map[string]any, _ *[]byte) {
			said["policy"] = strings.NewReplacer("witness w1 ", "witness w1\u202e ", " w1\n", " w1\u202e\n").Replace(said["policy"].(string))
		}, cli.ExitBadInput, "holds U+202E, which is not printable"},
		"a portal": {func(_ map[string]any, note *[]byte) { *note = []byte("<html>") }, cli.ExitUnavailable, "portal"},
	} {
		url, said, note := introduced(t)
		c.spoil(said, note)
		if _, errs := fetchPolicy(t, c.exit, url); !strings.Contains(errs, c.want) || !strings.Contains(errs, "nothing was written") {
			t.Errorf("%s: %s", name, errs)
		}
	}
	fetchPolicy(t, cli.ExitUnavailable, "http://127.0.0.1:1", "--timeout", "1s")
	fetchPolicy(t, cli.ExitBadInput, "http://ledger.example")
	fetchPolicy(t, cli.ExitBadInput, "https://u:p@ledger.example")
	url, _, _ := introduced(t)
	fetchPolicy(t, cli.ExitBadInput, url, "-o", "one", "--roots-output", "one")
	if files, err := os.ReadDir("."); err != nil || len(files) != 0 {
		t.Errorf("there are %v, %v", files, err)
	}
}
