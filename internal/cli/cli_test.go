package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func runBody(t *testing.T, args []string, body func() error) (code int, stderr string) {
	t.Helper()
	code, _, stderr = runAll(t, args, body)
	return code, stderr
}

func runAll(t *testing.T, args []string, body func() error) (code int, stdout, stderr string) {
	t.Helper()
	var out, talk bytes.Buffer
	root := &cobra.Command{Use: "tool"}
	judge := &cobra.Command{Use: "judge", RunE: func(*cobra.Command, []string) error { return body() }}
	judge.Flags().Bool("require-claim-pass", false, "")
	judge.Flags().Bool("json", false, "")
	judge.Flags().String("lock", "", "")
	Judges(judge, ExitHonestFail)
	group := &cobra.Command{Use: "group"}
	group.AddCommand(&cobra.Command{Use: "member", RunE: func(*cobra.Command, []string) error { return nil }})
	root.AddCommand(judge, group)
	code = Run(t.Context(), root, args, Streams{Out: &out, Err: &talk})
	return code, out.String(), talk.String()
}

func TestEveryErrorGetsItsExitCodeAndOneSentence(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		code int
		talk string
	}{
		{"nothing wrong", nil, 0, ""},
		{"a verdict says nothing more", Verdict(2), 2, ""},
		{"wrapped verdict", errors.Join(Verdict(1), nil), 1, ""},
		{"bad input", BadInput("do this", "no %s", "pack"), 3, "tool judge: no pack\nhint: do this\n"},
		{"unavailable", Unavailable("again", "down"), 4, "tool judge: down\nhint: again\n"},
		{"an error nobody dressed", errors.New("odd"), 3, "tool judge: odd\nhint: run 'tool judge --help'\n"},
		{"a file error needs no hint", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, 3, "tool judge: open x: file does not exist\n"},
		{"hostile text", errors.New("a\x1b[2Jb\nVERIFIED"), 3, "tool judge: a\\u{1b}[2Jb; VERIFIED\nhint: run 'tool judge --help'\n"},
	} {
		code, talk := runBody(t, []string{"judge"}, func() error { return test.err })
		if code != test.code || talk != test.talk {
			t.Errorf("%s: exit %d, %q; want %d, %q", test.name, code, talk, test.code, test.talk)
		}
	}
}

func TestAPanicIsABugAndNeverAVerdict(t *testing.T) {
	code, talk := runBody(t, []string{"judge"}, func() error { panic("boom") })
	if code != ExitInternal || !strings.Contains(talk, "internal error: boom") {
		t.Errorf("exit %d, %q", code, talk)
	}
}

func TestATypoIsBadInputWithTheNearestFlag(t *testing.T) {
	code, talk := runBody(t, []string{"judge", "--require-claims-pass"}, func() error { return nil })
	if code != ExitBadInput || !strings.Contains(talk, "did you mean --require-claim-pass?") {
		t.Errorf("exit %d, %q", code, talk)
	}
	code, talk = runBody(t, []string{"jugde"}, func() error { return nil })
	if code != ExitBadInput || talk != "tool: unknown command \"jugde\" for \"tool\"\nhint: did you mean judge? run 'tool --help'\n" {
		t.Errorf("unknown command: exit %d, %q", code, talk)
	}
}

func TestTheNearestFlagIsNamedForTyposAndHalves(t *testing.T) {
	for typo, flag := range map[string]string{
		"--requre-claim-pas": "require-claim-pass", "--require-claim": "require-claim-pass", "--jsno": "json", "--json-output": "json",
		"--xyzzy": "", "--": "",
	} {
		_, talk := runBody(t, []string{"judge", typo}, func() error { return nil })
		if said := strings.Contains(talk, "did you mean --"+flag+"?"); said != (flag != "") {
			t.Errorf("%s: %q, expected %q", typo, talk, flag)
		}
	}
}

func TestJSONMayStandBeforeTheSubcommand(t *testing.T) {
	code, out, _ := runAll(t, []string{"--json", "judge"}, func() error { return errors.New("odd") })
	if code != ExitBadInput || !strings.Contains(out, `"error": "odd"`) {
		t.Errorf("exit %d, %s", code, out)
	}
	for _, args := range [][]string{{"--json"}, {"--json", "group", "member"}, {"--json", "nothing"}} {
		if code, _, talk := runAll(t, args, func() error { return nil }); code != ExitBadInput || !strings.Contains(talk, "json") && !strings.Contains(talk, "nothing") {
			t.Errorf("%v: exit %d, %s", args, code, talk)
		}
	}
}

func TestTheFlagWhoseFileIsWrongIsNamed(t *testing.T) {
	for want, err := range map[string]error{
		"tool judge: --lock: open x.lock: file does not exist\n": &fs.PathError{Op: "open", Path: "x.lock", Err: fs.ErrNotExist},
		"tool judge: --lock x.lock is not a regular file\n":      BadInput("", "x.lock is not a regular file"),
		"tool judge: --lock x.lock: line 3 is odd\n":             BadInput("", "%s: line 3 is odd", "x.lock"),
		"tool judge: another x.lock: line 3 is odd\n":            BadInput("", "another x.lock: line 3 is odd"),
		"tool judge: open y.lock: file does not exist\n":         &fs.PathError{Op: "open", Path: "y.lock", Err: fs.ErrNotExist},
	} {
		if _, talk := runBody(t, []string{"judge", "--lock", "x.lock"}, func() error { return err }); talk != want {
			t.Errorf("%q, expected %q", talk, want)
		}
	}
}

func TestARefusedFileOfAnotherFormatIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	if err := os.WriteFile(path, []byte("PK\x03\x04"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuse := func(code int) func() error {
		return func() error { return &Error{Code: code, Err: fmt.Errorf("%s: odd", path), Hint: "see it"} }
	}
	const looks = " looks like a zip archive: unpack it first"
	for _, args := range [][]string{{"judge", "--lock", path}, {"judge", "--lock", "@" + path}, {"judge", path}} {
		if _, talk := runBody(t, args, refuse(ExitBadInput)); !strings.Contains(talk, "hint: "+path+looks+"; see it\n") {
			t.Errorf("%v: %s", args, talk)
		}
	}
	if _, talk := runBody(t, []string{"judge", "--", path}, refuse(ExitBadInput)); strings.Contains(talk, looks) {
		t.Errorf("it is another program's: %s", talk)
	}
	if _, talk := runBody(t, []string{"judge", path}, refuse(ExitTampered)); strings.Contains(talk, looks) {
		t.Errorf("evidence is judged, not guessed at: %s", talk)
	}
	if _, talk := runBody(t, []string{"judge", path}, func() error { return BadInput("", "another odd thing") }); strings.Contains(talk, looks) {
		t.Errorf("the error is about something else: %s", talk)
	}
}

func TestHelpShowsTheExitCodesOfTheCommand(t *testing.T) {
	for command, codes := range map[string]string{"judge": "0 1 3 4 70 ", "group": "0 1 2 3 4 70 ", "group member": "0 3 4 70 "} {
		_, out, _ := runAll(t, append(strings.Fields(command), "--help"), nil)
		_, table, _ := strings.Cut(out, "Exit codes:\n")
		shown := ""
		for line := range strings.Lines(table) {
			shown += strings.Fields(line)[0] + " "
		}
		if shown != codes {
			t.Errorf("%s shows %q, expected %q", command, shown, codes)
		}
	}
}

// One table, in the help and in the README.
func TestTheReadmeHasTheExitTableOfTheHelp(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(readme), "**", "")
	for _, e := range exitMeanings {
		if row := fmt.Sprintf("\n| %d | %s |\n", e.code, e.meaning); !strings.Contains(text, row) {
			t.Errorf("README has no row %q", row)
		}
	}
	for code, words := range map[int][]string{ExitHonestFail: {"expired", "superseded"}, ExitTampered: {"tampered", "proof", "time", "not as expected", "drift"}} {
		for _, word := range words {
			if !strings.Contains(exitMeanings[code].meaning, word) {
				t.Errorf("the help of exit %d does not say %q", code, word)
			}
		}
	}
}

func TestALostSubcommandIsNoPass(t *testing.T) {
	for _, args := range [][]string{{}, {"group"}, {"group", "nonsense"}, {"help", "nonsense"}, {"help", "judge", "more"}, {"completion"}, {"completion", "nonsense"}} {
		if code, talk := runBody(t, args, func() error { return nil }); code != ExitBadInput || talk == "" {
			t.Errorf("%v: exit %d, %q", args, code, talk)
		}
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"help", "judge"}, {"help", "group"}, {"group", "--help"}, {"completion", "bash"}} {
		if code, talk := runBody(t, args, func() error { return nil }); code != ExitPass {
			t.Errorf("%v: exit %d, %q", args, code, talk)
		}
	}
}

func TestAMachineThatWasPromisedJSONGetsTheErrorAsJSON(t *testing.T) {
	code, out, talk := runAll(t, []string{"judge", "--json"}, func() error { return BadInput("h", "bad \x1b\u009b\u202e\U000e0001 \"name\"") })
	want := `{
  "command": "judge",
  "status": "error",
  "exit_code": 3,
  "error": "bad \u001b\u009b\u202e\udb40\udc01 \"name\"",
  "hint": "h"
}
`
	if code != ExitBadInput || out != want || !strings.HasPrefix(talk, "tool judge: bad ") {
		t.Errorf("exit %d, %s, %q", code, out, talk)
	}
	for _, test := range []struct {
		args []string
		err  error
	}{{[]string{"judge"}, errors.New("x")}, {[]string{"judge", "--json"}, Verdict(2)}} {
		if _, out, _ := runAll(t, test.args, func() error { return test.err }); out != "" {
			t.Errorf("%v, %v: %q", test.args, test.err, out)
		}
	}
}

// A script that passes "$LOCK" while LOCK is not set asks for less than it says.
func TestAnEmptyOrRepeatedFlagIsRefusedAndNotPassedOver(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--lock=", "--lock is empty"}, {"--signer=", "--signer is empty"}, {"--signer=a,,b", "--signer has an empty name in it"},
		{"--card=", "--card is empty"}, {"--card=a --card=", "--card has an empty name in it"},
		{"--lock=a --lock=b", "twice"}, {"--lock=a --lock=a", "twice"}, {"--n=1 --n=2", "twice"},
		{"", ""}, {"--lock=a --signer=a,b --signer=c --card=c --card=d --n=0 --json --json=false", ""},
	} {
		root := &cobra.Command{Use: "tool"}
		judge := &cobra.Command{Use: "judge", RunE: func(*cobra.Command, []string) error { return nil }}
		judge.Flags().String("lock", "", "")
		judge.Flags().StringSlice("signer", nil, "")
		judge.Flags().StringArray("card", nil, "")
		judge.Flags().Int("n", 1, "")
		judge.Flags().Bool("json", false, "")
		root.AddCommand(judge)
		var talk bytes.Buffer
		code := Run(t.Context(), root, append([]string{"judge"}, strings.Fields(c.args)...), Streams{Out: io.Discard, Err: &talk})
		if c.want == "" && code != ExitPass || c.want != "" && (code != ExitBadInput || !strings.Contains(talk.String(), c.want)) {
			t.Errorf("%s: exit %d, %s", c.args, code, &talk)
		}
	}
}

func TestASecretThatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); err != nil {
		t.Error(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o610} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSecret(path); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(link); err == nil {
		t.Error("a symlink was followed to a secret")
	}
	if _, err := ReadSecret(dir); err == nil {
		t.Error("a directory is no secret")
	}
	if err := os.WriteFile(path, make([]byte, 65<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); err == nil {
		t.Error("65 KiB is no key")
	}
}

// The name is given to a link to a file of others again and again while it is read.
func TestASecretIsJudgedByTheFileThatIsRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]fs.FileMode{"mine": 0o600, "others": 0o644} {
		if err := os.WriteFile(at(name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(at("mine"), at("key")); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := errors.Join(os.Symlink(at("others"), at("new")), os.Rename(at("new"), at("key")),
				os.Link(at("mine"), at("new")), os.Rename(at("new"), at("key"))); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 20000 {
		if text, err := ReadSecret(at("key")); err == nil && string(text) != "mine" {
			t.Errorf("read %q", text)
			break
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
