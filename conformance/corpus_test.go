package conformance

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTheIndexIsReadBackAsItWasWritten(t *testing.T) {
	c, err := Open("corpus")
	if err != nil {
		t.Fatal(err)
	}
	text, err := MarshalIndex(c.Cases)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile(filepath.Join("corpus", IndexName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, committed) {
		t.Error("the index is not what MarshalIndex writes")
	}
	again, err := ParseIndex(text)
	if err != nil || !reflect.DeepEqual(again, c.Cases) {
		t.Errorf("read back differently: %v", err)
	}
}

const indexOf = `{"corpus_version":"1","cases":[%]}`

func TestDoubtfulIndexesAreRefused(t *testing.T) {
	good := `{"id":"a","title":"t","path":"packs/a","expect":{"exit":2}}`
	if _, err := ParseIndex([]byte(strings.Replace(indexOf, "%", good, 1))); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"nothing":           "",
		"another version":   strings.Replace(strings.Replace(indexOf, "%", good, 1), `"1"`, `"2"`, 1),
		"no cases":          strings.Replace(indexOf, "%", "", 1),
		"an id twice":       strings.Replace(indexOf, "%", good+","+good, 1),
		"a member twice":    strings.Replace(indexOf, "%", strings.Replace(good, `"title"`, `"id":"a","title"`, 1), 1),
		"an unknown member": strings.Replace(indexOf, "%", strings.Replace(good, `"title"`, `"Title"`, 1), 1),
		"no id":             strings.Replace(indexOf, "%", strings.Replace(good, `"a"`, `""`, 1), 1),
		"an id as a path":   strings.Replace(indexOf, "%", strings.Replace(good, `"a"`, `"../a"`, 1), 1),
		"a path up":         strings.Replace(indexOf, "%", strings.Replace(good, `packs/a`, `../a`, 1), 1),
		"an absolute path":  strings.Replace(indexOf, "%", strings.Replace(good, `packs/a`, `/a`, 1), 1),
		"a path and a test": strings.Replace(indexOf, "%", strings.Replace(good, `"path"`, `"test":"TestX","path"`, 1), 1),
		"neither":           strings.Replace(indexOf, "%", strings.Replace(good, `"path":"packs/a",`, "", 1), 1),
		"a test by regexp":  strings.Replace(indexOf, "%", strings.Replace(good, `"path":"packs/a"`, `"test":"Test.*"`, 1), 1),
		"exit 70":           strings.Replace(indexOf, "%", strings.Replace(good, `2}`, `70}`, 1), 1),
		"no exit":           strings.Replace(indexOf, "%", strings.Replace(good, `{"exit":2}`, `{}`, 1), 1),
		"another verdict":   strings.Replace(indexOf, "%", strings.Replace(good, `2}`, `2,"claims":"MAYBE"}`, 1), 1),
		"another step":      strings.Replace(indexOf, "%", strings.Replace(good, `"expect"`, `"make":[{"op":"run","name":"x"}],"expect"`, 1), 1),
		"a step up":         strings.Replace(indexOf, "%", strings.Replace(good, `"expect"`, `"make":[{"op":"fifo","name":"../x"}],"expect"`, 1), 1),
		"a link out":        strings.Replace(indexOf, "%", strings.Replace(good, `"expect"`, `"make":[{"op":"symlink","name":"x","text":"/etc/passwd"}],"expect"`, 1), 1),
		"a link up":         strings.Replace(indexOf, "%", strings.Replace(good, `"expect"`, `"make":[{"op":"symlink","name":"x","text":"../x"}],"expect"`, 1), 1),
		"too much text":     strings.Replace(indexOf, "%", strings.Replace(good, `"expect"`, `"make":[{"op":"repeat","name":"x","text":"x","size":1000000000000}],"expect"`, 1), 1),
		"too many steps":    strings.Replace(indexOf, "%", strings.Replace(good, `"expect"`, `"make":[`+strings.Repeat(`{"op":"fifo","name":"x"},`, 16)+`{"op":"fifo","name":"x"}],"expect"`, 1), 1),
		"a million deep":    strings.Repeat("[", 1000000),
	} {
		if _, err := ParseIndex([]byte(text)); err == nil {
			t.Errorf("%s is read", what)
		}
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"corpus_version":"1","cases":[{"id":"a","title":"t","attacks":["P01"],"path":"packs/a","args":["--x"],` +
		`"make":[{"op":"repeat","name":"x","text":"y","size":3}],"extension":true,"expect":{"exit":2,"integrity":"FAIL","claims":"SKIPPED","codes":["E"]}}]}`))
	f.Add([]byte(`{"corpus_version":"1","cases":[{"id":"a","title":"t","test":"TestX","expect":{"exit":2}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		cases, err := ParseIndex(text)
		if err != nil {
			return
		}
		again, err := MarshalIndex(cases)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseIndex(again); err != nil || !reflect.DeepEqual(normal(back), normal(cases)) {
			t.Fatalf("%s is read back as %s: %v", text, again, err)
		}
	})
}

// normal makes empty lists nil: both are absent in the file.
func normal(cases []Case) (list []Case) {
	for _, c := range cases {
		for _, l := range []*[]string{&c.Attacks, &c.Args, &c.Expect.Codes} {
			if len(*l) == 0 {
				*l = nil
			}
		}
		if len(c.Make) == 0 {
			c.Make = nil
		}
		list = append(list, c)
	}
	return list
}

// a corpus of one case, and what a judge sees of it.
func oneCase(t *testing.T, k Case) *Corpus {
	t.Helper()
	dir := t.TempDir()
	pack := filepath.Join(dir, "packs", "a")
	if err := os.MkdirAll(pack, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(pack, "f"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if k.Path == "" && k.Test == "" {
		k.Path = "packs/a"
	}
	k.ID = "a"
	return &Corpus{Dir: dir, Cases: []Case{k}}
}

// A corpus may come from anybody: what its cases ask must not make verify-pack write.
func TestACaseAsksOnlyForWhatIsRead(t *testing.T) {
	index := func(args string) []byte {
		return []byte(strings.Replace(indexOf, "%", `{"id":"a","title":"t","path":"packs/a","args":[`+args+`],"expect":{"exit":2}}`, 1))
	}
	for _, args := range []string{``, `"--lock","{corpus}/locks/any.lock","--require-claim-pass"`, `"--now","2026-01-16T06:00:00Z"`} {
		if _, err := ParseIndex(index(args)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
	for _, args := range []string{`"--html","x"`, `"--html=x"`, `"--out","x"`, `"--badge","x"`, `"--csv","x"`, `"-o","x"`, `"-qo","x"`, `"x"`, `""`, `"--"`,
		`"--lock"`, `"--lock","--html"`, `"--lock","{corpus}/x","y"`, `"--lock","x"`, `"--lock","/etc/passwd"`, `"--lock","{corpus}/../x"`, `"--lock","{corpus}"`,
		`"--lock","x{corpus}/y"`, `"--policy","policy"`, `"--tsa-roots","{corpus}//etc/passwd"`, `"--proof","{corpus}/a/../../b"`, `"--trusted-signer","key.pub"`, `"--run-card","Makefile"`, `"--lock=x"`, `"--require-claim-pass","x"`, `"--json"`, `"--latest"`} {
		if _, err := ParseIndex(index(args)); err == nil {
			t.Errorf("%s is read", args)
		}
	}
}

// Whoever runs a corpus of somebody else shows the verifier no file of their own.
func TestNoLinkLeadsOutOfACorpus(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		link string // to the outside
		k    Case
	}{
		"the pack":           {"packs/b", Case{Path: "packs/b"}},
		"a parent":           {"more", Case{Path: "more/secret"}},
		"a file of it":       {"packs/a/receipt_pack.jsonl", Case{}},
		"a file of a copy":   {"packs/a/d", Case{Make: []Step{{Op: "mkdir", Name: "e"}}}},
		"a lock":             {"lock", Case{Args: []string{"--lock", "{corpus}/lock"}}},
		"a parent of a lock": {"locks", Case{Args: []string{"--lock", "{corpus}/locks/secret"}}},
	} {
		c := oneCase(t, bad.k)
		if err := os.Symlink(outside, filepath.Join(c.Dir, filepath.FromSlash(bad.link))); err != nil {
			t.Skipf("SKIPPED: no links here: %v", err)
		}
		asked := false
		_, err := c.Run(t.Context(), Options{Judge: func(context.Context, string, []string) (Answer, error) { asked = true; return Answer{}, nil }})
		if err == nil || asked {
			t.Errorf("%s: asked %v, %v", name, asked, err)
		}
	}
	c := oneCase(t, Case{})
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(c.Dir, IndexName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(c.Dir); err == nil || strings.Contains(err.Error(), "mine") {
		t.Errorf("an index that is a link: %v", err)
	}
}

func TestStepsAreDoneToACopyAndNeverOutsideOfIt(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("whole"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := oneCase(t, Case{Make: []Step{{Op: "repeat", Name: "f", Text: "yz", Size: 3}, {Op: "mkdir", Name: "d"}, {Op: "move", Name: "f", Text: "d/g"},
		{Op: "symlink", Name: "l", Text: "/dev/zero"}, {Op: "sparse", Name: "s", Size: 1 << 30}}})
	seen := false
	_, err := c.Run(context.Background(), Options{Judge: func(_ context.Context, pack string, _ []string) (Answer, error) {
		seen = true
		if text, err := os.ReadFile(filepath.Join(pack, "d", "g")); err != nil || string(text) != "xyzy" {
			t.Errorf("d/g holds %q: %v", text, err)
		}
		if to, err := os.Readlink(filepath.Join(pack, "l")); err != nil || to != "/dev/zero" {
			t.Errorf("l leads to %q: %v", to, err)
		}
		if info, err := os.Stat(filepath.Join(pack, "s")); err != nil || info.Size() != 1<<30 {
			t.Errorf("s: %v", err)
		}
		return Answer{}, nil
	}})
	if err != nil || !seen {
		t.Fatalf("seen %v, %v", seen, err)
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, "packs", "a", "f")); err != nil || string(text) != "x" {
		t.Errorf("the original holds %q: %v", text, err)
	}
	for _, steps := range [][]Step{
		{{Op: "symlink", Name: "l", Text: victim}, {Op: "repeat", Name: "l", Text: "evil", Size: 4}},
		{{Op: "symlink", Name: "l", Text: filepath.Dir(victim)}, {Op: "sparse", Name: "l/victim", Size: 1}},
		{{Op: "symlink", Name: "l", Text: filepath.Dir(victim)}, {Op: "move", Name: "f", Text: "l/victim"}},
	} {
		if _, err := oneCase(t, Case{Make: steps}).Run(context.Background(), Options{Judge: func(context.Context, string, []string) (Answer, error) { return Answer{}, nil }}); err == nil {
			t.Errorf("%v: done", steps)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "whole" {
		t.Errorf("the file outside holds %q: %v", text, err)
	}
}

func TestAnswersAreComparedByExitVerdictsAndCodes(t *testing.T) {
	want := Expect{Exit: 2, Integrity: "FAIL", Claims: "SKIPPED", Codes: []string{"E_A"}}
	good := `{"integrity_verdict":"TAMPERED","claim_verdict":"NOT_EVALUATED","errors":[{"code":"E_B"},{"code":"E_A"}]}`
	for _, c := range []struct {
		exit     int
		output   string
		exitOnly bool
		state    State
	}{
		{2, good, false, Agrees},
		{2, `{"packs":[{"integrity":"FAIL","claims":"SKIPPED","findings":[{"code":"E_A"}]}]}`, false, Agrees},
		{1, good, false, Disagrees},
		{1, good, true, Disagrees},
		{2, strings.Replace(good, "E_A", "E_C", 1), false, Disagrees},
		{2, strings.Replace(good, "E_A", "E_C", 1), true, Agrees},
		{2, strings.Replace(good, "TAMPERED", "PASS", 1), false, Disagrees},
		{2, strings.Replace(good, "NOT_EVALUATED", "PASS", 1), false, Disagrees},
		{2, "no JSON", false, Disagrees},
		{2, "no JSON", true, Agrees},
	} {
		out, err := oneCase(t, Case{Expect: want}).Run(context.Background(), Options{ExitOnly: c.exitOnly, Judge: func(context.Context, string, []string) (Answer, error) {
			return Answer{c.exit, []byte(c.output)}, nil
		}})
		if err != nil || out[0].State != c.state {
			t.Errorf("exit %d, %s, exit only %v: %+v, %v", c.exit, c.output, c.exitOnly, out, err)
		}
	}
	out, err := oneCase(t, Case{}).Run(context.Background(), Options{Judge: func(context.Context, string, []string) (Answer, error) { return Answer{}, errors.New("crash") }})
	if err != nil || out[0].State != Disagrees {
		t.Errorf("a verifier that cannot be asked: %+v, %v", out, err)
	}
	out, err = oneCase(t, Case{Extension: true}).Run(context.Background(), Options{})
	if err != nil || out[0].State != NotRun {
		t.Errorf("an extension: %+v, %v", out, err)
	}
	out, err = oneCase(t, Case{Test: "TestX"}).Run(context.Background(), Options{})
	if err != nil || out[0].State != Carried {
		t.Errorf("a Go test: %+v, %v", out, err)
	}
}
