// Package conformance is the corpus of packs that every verifier must judge alike, and what runs it.
//
// A corpus is a folder: corpus.json names the cases, packs/ and locks/ hold what they are about.
//
//	{
//	  "corpus_version": "1",
//	  "cases": [
//	    {"id": "tampered_02", "title": "a receipt line is deleted", "attacks": ["P26"], "path": "packs/tampered_02",
//	     "args": ["--require-claim-pass"],
//	     "expect": {"exit": 2, "integrity": "FAIL", "claims": "SKIPPED", "codes": ["E_MANIFEST_TAMPER"]}}
//	  ]
//	}
//
// What no folder can hold (links, FIFOs, gigabytes) is made from the steps of "make" in a copy. What is
// no file at all (a race, a crash) is carried by the Go test that "test" names.
// The packs are written by conformance/gen, byte for byte the same every time.
package conformance

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// IndexName is the file of a corpus that names its cases.
const IndexName = "corpus.json"

// Version is the corpus_version that this package reads and writes.
const Version = "1"

// Corpus is a folder of cases.
type Corpus struct {
	Dir   string
	Cases []Case
}

// Case is one question to a verifier and its answer. Exactly one of Path and Test is set.
type Case struct {
	ID        string
	Title     string
	Attacks   []string // ids of the threat model that the case answers, P01, U5, …
	Path      string   // of the pack, in the corpus, with slashes
	Args      []string // of verify-pack; {corpus} stands for the folder of the corpus
	Make      []Step   // done to a copy of the pack before it is shown to the verifier
	Test      string   // the Go test that carries what is not a folder
	Extension bool     // uses a flag that the reference tool does not have
	Expect    Expect
}

// Expect is what a verifier must say. Codes must be among those that it reports; Integrity and
// Claims are PASS, FAIL or SKIPPED, or empty when nothing is judged.
type Expect struct {
	Exit              int
	Integrity, Claims string
	Codes             []string
}

// Step makes what a folder under version control cannot hold.
//
//	{"op": "symlink", "name": "receipt_pack.jsonl", "text": "/dev/zero"}
//	{"op": "fifo",    "name": "receipt_pack.jsonl"}
//	{"op": "sparse",  "name": "verify_transcript.md", "size": 1099511627776}
//	{"op": "repeat",  "name": "receipt_pack.jsonl", "text": "[", "size": 4000000}
//	{"op": "mkdir",   "name": "_unsigned"}
//	{"op": "move",    "name": "receipt_pack.jsonl", "text": "_unsigned/x"}
//
// The file name is removed first, except by repeat (which appends text until size more bytes are
// there), mkdir and move.
type Step struct {
	Op, Name, Text string
	Size           int64
}

const (
	maxIndex = 4 << 20
	maxCases = 10000
	maxStep  = 2 << 40 // bytes of a sparse file
	maxFill  = 64 << 20
	maxSteps = 16
)

// Open reads the index of the corpus in dir. It refuses an index that this package would not write.
func Open(dir string) (*Corpus, error) {
	corpus, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer corpus.Close()
	if err := plain(corpus, IndexName); err != nil {
		return nil, err
	}
	f, err := corpus.Open(IndexName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return nil, err
	}
	cases, err := ParseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, IndexName), err)
	}
	return &Corpus{Dir: dir, Cases: cases}, nil
}

// ParseIndex reads a corpus.json: exactly what MarshalIndex writes, in any spelling of JSON.
func ParseIndex(text []byte) ([]Case, error) {
	v, err := jcs.Parse(text, jcs.Limits{Bytes: maxIndex, Depth: 16})
	if err != nil {
		return nil, err
	}
	r := reader{}
	r.known(v, "the index", "corpus_version", "cases")
	if got := r.text(v, "corpus_version"); r.err == nil && got != Version {
		return nil, fmt.Errorf("corpus_version %q, expected %q", got, Version)
	}
	list, _ := v.Get("cases")
	if list.Kind != jcs.Array || len(list.Items) == 0 || len(list.Items) > maxCases {
		r.fail("cases: expected a list of 1 to %d", maxCases)
	}
	var cases []Case
	seen := map[string]bool{}
	for i, item := range list.Items {
		c := r.readCase(item)
		if r.err != nil {
			return nil, fmt.Errorf("case %d: %w", i, r.err)
		}
		if seen[c.ID] {
			return nil, fmt.Errorf("case %d: id %s was there before", i, c.ID)
		}
		seen[c.ID] = true
		cases = append(cases, c)
	}
	return cases, r.err
}

// Compiled by who reads a corpus: every command of assay links this, and none of the others waits for it.
var (
	idForm   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`) })
	testForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^Test[A-Za-z0-9_]{1,120}$`) })

	fingerprintForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })
)

var (
	verdicts = []string{"PASS", "FAIL", "SKIPPED"}
	ops      = []string{"symlink", "fifo", "sparse", "repeat", "mkdir", "move"}
)

// reader reads members; the first error stays.
type reader struct{ err error }

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reader) known(v jcs.Value, of string, names ...string) {
	if v.Kind != jcs.Object {
		r.fail("%s: expected an object", of)
		return
	}
	for _, m := range v.Members {
		if !slices.Contains(names, m.Name) {
			r.fail("%s: unknown member %q", of, m.Name)
		}
	}
}

func (r *reader) text(v jcs.Value, name string) string {
	m, ok := v.Get(name)
	if ok && m.Kind != jcs.String {
		r.fail("%s: expected a string", name)
	}
	return m.Text
}

func (r *reader) texts(v jcs.Value, name string) (list []string) {
	m, ok := v.Get(name)
	if ok && m.Kind != jcs.Array {
		r.fail("%s: expected a list of strings", name)
	}
	for _, item := range m.Items {
		if item.Kind != jcs.String {
			r.fail("%s: expected a list of strings", name)
		}
		list = append(list, item.Text)
	}
	return list
}

func (r *reader) readCase(v jcs.Value) (c Case) {
	r.known(v, "a case", "id", "title", "attacks", "path", "args", "make", "test", "extension", "expect")
	c = Case{ID: r.text(v, "id"), Title: r.text(v, "title"), Attacks: r.texts(v, "attacks"),
		Path: r.text(v, "path"), Args: r.texts(v, "args"), Test: r.text(v, "test")}
	extension, ok := v.Get("extension")
	if c.Extension = extension.Bool; ok && extension.Kind != jcs.Bool {
		r.fail("extension: expected true or false")
	}
	steps, ok := v.Get("make")
	if ok && steps.Kind != jcs.Array {
		r.fail("make: expected a list")
	}
	for _, step := range steps.Items {
		c.Make = append(c.Make, r.readStep(step))
	}
	switch {
	case !idForm().MatchString(c.ID):
		r.fail("id %q: expected 1 to 64 letters, digits, dots, dashes and underscores", c.ID)
	case c.Title == "":
		r.fail("%s: expected a title", c.ID)
	case (c.Path == "") == (c.Test == ""):
		r.fail("%s: expected either a path or a test", c.ID)
	case c.Path != "" && !local(c.Path):
		r.fail("%s: path %q leaves the corpus", c.ID, c.Path)
	case !onlyAsk(c.Args):
		r.fail("%s: args %q: expected flags with which verify-pack reads, and their values", c.ID, c.Args)
	case len(c.Make) > maxSteps:
		r.fail("%s: expected at most %d steps", c.ID, maxSteps)
	case c.Test != "" && (!testForm().MatchString(c.Test) || len(c.Make)+len(c.Args) > 0):
		r.fail("%s: test %q: expected the name of a Go test, without args and make", c.ID, c.Test)
	}
	c.Expect = r.readExpect(v)
	return c
}

// What follows a flag of a case.
type value int

const (
	nothing value = iota
	word          // no name of a file
	file          // {corpus}/ and a path in the corpus; for a signer a fingerprint as well
)

// asking are the flags of a case. A corpus may come from anybody: it may have verify-pack read its own files,
// but no others, and write nothing.
var asking = map[string]value{
	"--require-claim-pass": nothing, "--require-ci-binding": nothing, "--require-anchor": nothing, "--require-pinned": nothing, "--check-expiry": nothing, "--refuse-superseded": nothing, "--strict": nothing,
	"--lock": file, "--run-card": file, "--trusted-signer": file, "--coverage-contract": file, "--policy": file, "--tsa-roots": file, "--proof": file,
	"--min-coverage": word, "--max-age-hours": word, "--now": word, "--timestamp": word,
	"--expected-commit-sha": word, "--expected-repo": word, "--expected-ref": word, "--expected-workflow": word, "--expected-run": word,
}

const corpusPrefix = "{corpus}/"

func onlyAsk(args []string) bool {
	for i := 0; i < len(args); i++ {
		wants, known := asking[args[i]]
		if !known {
			return false
		}
		if wants == nothing {
			continue
		}
		if i++; i == len(args) || strings.HasPrefix(args[i], "-") {
			return false
		}
		if path, ours := strings.CutPrefix(args[i], corpusPrefix); wants == file && !(ours && local(path)) && !fingerprintForm().MatchString(args[i]) {
			return false
		}
	}
	return true
}

func (r *reader) readExpect(v jcs.Value) (e Expect) {
	v, _ = v.Get("expect")
	r.known(v, "expect", "exit", "integrity", "claims", "codes")
	exit, _ := v.Get("exit")
	n, ok := exit.Int64()
	if !ok || n < 0 || n > 3 {
		r.fail("expect: exit: expected 0, 1, 2 or 3")
	}
	e = Expect{Exit: int(n), Integrity: r.text(v, "integrity"), Claims: r.text(v, "claims"), Codes: r.texts(v, "codes")}
	for _, name := range []string{"integrity", "claims"} {
		if word, ok := v.Get(name); ok && !slices.Contains(verdicts, word.Text) {
			r.fail("expect: %s %q: expected PASS, FAIL or SKIPPED", name, word.Text)
		}
	}
	return e
}

func (r *reader) readStep(v jcs.Value) Step {
	r.known(v, "a step", "op", "name", "text", "size")
	s := Step{Op: r.text(v, "op"), Name: r.text(v, "name"), Text: r.text(v, "text")}
	size, ok := v.Get("size")
	if n, isInt := size.Int64(); ok && (!isInt || n < 0) {
		r.fail("step: size: expected a number of bytes")
	} else {
		s.Size = n
	}
	limit := int64(maxStep)
	if s.Op == "repeat" {
		limit = maxFill
	}
	switch {
	case !slices.Contains(ops, s.Op):
		r.fail("step: op %q: expected one of %s", s.Op, strings.Join(ops, ", "))
	// A link shows what a verifier must not follow. If it does, it reads nothing of whoever runs the corpus.
	case !local(s.Name), s.Op == "move" && !local(s.Text), s.Op == "symlink" && !local(s.Text) && s.Text != "/dev/zero":
		r.fail("step: %q leaves the pack", s.Name+s.Text)
	case s.Size > limit, s.Op == "repeat" && s.Text == "":
		r.fail("step: %s: expected at most %d bytes of some text", s.Op, limit)
	}
	return s
}

func local(path string) bool {
	return filepath.IsLocal(filepath.FromSlash(path)) && !strings.ContainsAny(path, "\\:\x00")
}

// MarshalIndex writes a corpus.json.
func MarshalIndex(cases []Case) ([]byte, error) {
	list := jcs.Arr()
	for _, c := range cases {
		list.Items = append(list.Items, c.value())
	}
	text, err := jcs.AppendPretty(nil, jcs.Obj(jcs.M("corpus_version", jcs.Str(Version)), jcs.M("cases", list)))
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	if _, err := ParseIndex(text); err != nil {
		return nil, fmt.Errorf("writing the index: %w", err)
	}
	return text, nil
}

func (c Case) value() jcs.Value {
	members := []jcs.Member{jcs.M("id", jcs.Str(c.ID)), jcs.M("title", jcs.Str(c.Title))}
	add := func(name string, v jcs.Value, there bool) {
		if there {
			members = append(members, jcs.M(name, v))
		}
	}
	add("attacks", texts(c.Attacks), len(c.Attacks) > 0)
	add("path", jcs.Str(c.Path), c.Path != "")
	add("args", texts(c.Args), len(c.Args) > 0)
	steps := jcs.Arr()
	for _, s := range c.Make {
		step := jcs.Obj(jcs.M("op", jcs.Str(s.Op)), jcs.M("name", jcs.Str(s.Name)))
		if s.Text != "" {
			step.Members = append(step.Members, jcs.M("text", jcs.Str(s.Text)))
		}
		if s.Size != 0 {
			step.Members = append(step.Members, jcs.M("size", jcs.Int(s.Size)))
		}
		steps.Items = append(steps.Items, step)
	}
	add("make", steps, len(c.Make) > 0)
	add("test", jcs.Str(c.Test), c.Test != "")
	add("extension", jcs.Boolean(true), c.Extension)
	expect := []jcs.Member{jcs.M("exit", jcs.Int(int64(c.Expect.Exit)))}
	if c.Expect.Integrity != "" {
		expect = append(expect, jcs.M("integrity", jcs.Str(c.Expect.Integrity)))
	}
	if c.Expect.Claims != "" {
		expect = append(expect, jcs.M("claims", jcs.Str(c.Expect.Claims)))
	}
	if len(c.Expect.Codes) > 0 {
		expect = append(expect, jcs.M("codes", texts(c.Expect.Codes)))
	}
	members = append(members, jcs.M("expect", jcs.Obj(expect...)))
	return jcs.Obj(members...)
}

func texts(list []string) jcs.Value {
	v := jcs.Arr()
	for _, s := range list {
		v.Items = append(v.Items, jcs.Str(s))
	}
	return v
}

// errHere says that this machine cannot make what a step asks for.
var errHere = errors.New("cannot be made on this system")

// place puts the pack of a case where a verifier may look at it, and returns its path. Cases without
// steps are judged where they stand; the others in a copy inside scratch, a directory of the caller.
func (c *Corpus) place(k Case, scratch string) (string, error) {
	corpus, err := os.OpenRoot(c.Dir)
	if err != nil {
		return "", err
	}
	defer corpus.Close()
	for _, name := range append(k.files(), k.Path) {
		if err := plain(corpus, name); err != nil {
			return "", err
		}
	}
	if len(k.Make) == 0 {
		return filepath.Join(c.Dir, filepath.FromSlash(k.Path)), nil
	}
	from, err := fs.Sub(corpus.FS(), path.Clean(k.Path))
	if err != nil {
		return "", err
	}
	dir := filepath.Join(scratch, k.ID)
	if err := os.CopyFS(dir, from); err != nil {
		return "", err
	}
	// A root: a corpus may come from anybody, and no step of it may write anywhere else.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	for _, s := range k.Make {
		if err := s.do(root); err != nil {
			return "", fmt.Errorf("%s %s: %w", s.Op, s.Name, err)
		}
	}
	return dir, nil
}

// files are the paths in the corpus that the flags of a case name.
func (k Case) files() (names []string) {
	for _, arg := range k.Args {
		if name, ok := strings.CutPrefix(arg, corpusPrefix); ok {
			names = append(names, name)
		}
	}
	return names
}

// plain refuses a path of the corpus that is, leads through, or holds anything but directories and regular
// files: a link would show a verifier files of whoever runs the corpus. What is not there is fine: some
// cases are about that.
func plain(corpus *os.Root, name string) error {
	name = path.Clean(name)
	for i := range name {
		if name[i] != '/' {
			continue
		}
		if info, err := corpus.Lstat(filepath.FromSlash(name[:i])); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is not a directory of the corpus", name[:i])
		}
	}
	return fs.WalkDir(corpus.FS(), name, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err == nil && !e.IsDir() && !e.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory: a corpus has no links", name)
		}
		return err
	})
}

func (s Step) do(root *os.Root) error {
	name := filepath.FromSlash(s.Name)
	if s.Op == "symlink" || s.Op == "fifo" || s.Op == "sparse" {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	switch s.Op {
	case "symlink":
		return root.Symlink(s.Text, name)
	case "fifo":
		return mkfifo(root, name)
	case "mkdir":
		return root.MkdirAll(name, 0o755)
	case "move":
		return root.Rename(name, filepath.FromSlash(s.Text))
	case "sparse":
		f, err := root.Create(name)
		if err != nil {
			return err
		}
		return errors.Join(f.Truncate(s.Size), f.Close())
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	text := strings.Repeat(s.Text, int(min(s.Size, maxFill))/len(s.Text)+1)
	_, err = io.WriteString(f, text[:s.Size])
	return errors.Join(err, f.Close())
}
