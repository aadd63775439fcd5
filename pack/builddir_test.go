package pack

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// streamed is the Spec with its receipts in a stream.
func streamed(s Spec) Spec {
	receipts := s.Receipts
	s.Receipts = nil
	s.Stream = func(yield func(jcs.Value, error) bool) {
		for _, r := range receipts {
			if !yield(r, nil) {
				return
			}
		}
	}
	return s
}

// mixedSpec is receipts whose order is decided by run, sequence number and id in turn, shuffled.
func mixedSpec(t testing.TB, n int) Spec {
	s := smallSpec(t)
	s.Receipts = nil
	long := strings.Repeat("an id that is longer than what is kept of it ", 3)
	for i := range n {
		id, seq, trace := fmt.Sprintf("r_%d", i), fmt.Sprint(i/7), `"_trace_id":"run-small"`
		switch i % 5 {
		case 0:
			id = long + id
		case 1:
			id = long[:maxKeptID] // and others begin with it
			if i > 1 {
				id += fmt.Sprint(-i)
			}
		case 2:
			id = string([]rune{0xFFFD - rune(i%3), '-'}) + id // before U+10000 by code point, after it in UTF-16
		case 3:
			id = string([]rune{0x10000 + rune(i%2)}) + id
		}
		switch i % 11 {
		case 0:
			seq = "-9007199254740991"
		case 1:
			trace = `"run_id":"run-small"`
		case 2, 3, 4:
			trace, seq = `"run_id":""`, "0"
		}
		s.Receipts = append(s.Receipts, jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":%q,"type":"model_call","timestamp":"2026-01-15T10:00:%02d.000000+00:00","seq":%s,"schema_version":"3.0",%s,"n":%d.0,"text":"\u2028%s"}`,
			id, i%60, seq, trace, i, strings.Repeat("x", i%300))))
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { s.Receipts[i], s.Receipts[j] = s.Receipts[j], s.Receipts[i] })
	return s
}

// sortedIDs is pack.md §3.1 written down once more, plainly.
func sortedIDs(receipts []jcs.Value) []string {
	type row struct {
		run string
		seq int64
		id  string
	}
	var rows []row
	for _, r := range receipts {
		run, ok := r.Get("_trace_id")
		if !ok {
			run, _ = r.Get("run_id")
		}
		seq, _ := form.Get(r, "seq").Int64()
		rows = append(rows, row{run.Text, seq, form.Str(r, "receipt_id")})
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.seq, b.seq), slices.Compare([]rune(a.id), []rune(b.id)))
	})
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.id)
	}
	return ids
}

func TestReceiptsArePackedByRunThenSequenceNumberThenCodePointsOfTheID(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 50, 700} {
		s := mixedSpec(t, n)
		var got []string
		for line := range strings.Lines(string(mustBuild(t, s).file(manifest.ReceiptsName))) {
			got = append(got, form.Str(jcstest.Parse(t, line), "receipt_id"))
		}
		if want := sortedIDs(s.Receipts); !slices.Equal(got, want) {
			t.Errorf("%d receipts: packed in another order:\n%.1000q\nwant\n%.1000q", n, got, want)
		}
	}
}

func TestLongIDsThatBeginAlikeAreSortedByTheirEnds(t *testing.T) {
	long := strings.Repeat("x", maxKeptID)
	for _, ids := range [][]string{{"b", "a"}, {"a", ""}, {"\uffff", "\u00e9"}, {"", "a"}, {"a", "b"}} {
		s := smallSpec(t)
		s.Receipts = nil
		for _, id := range ids {
			s.Receipts = append(s.Receipts, jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":%q,"type":"model_call","timestamp":"2026-01-15T10:00:00Z"}`, long+id)))
		}
		for _, s := range []Spec{s, streamed(s)} {
			p := mustBuild(t, s)
			if got := form.Str(jcstest.Parse(t, string(p.lines()[0])), "receipt_id"); got != long+min(ids[0], ids[1]) {
				t.Errorf("%q: %q is first", ids, got)
			}
		}
	}
}

// PCK-41
func TestOneSpecGivesTheSameBytesFromAListAndAStreamInMemoryAndInADirectory(t *testing.T) {
	specs := map[string]Spec{"small": smallSpec(t), "mixed": mixedSpec(t, 500), "block": mixedSpec(t, entryBlock+10)}
	for name, change := range map[string]func(*Spec){
		"empty":     func(s *Spec) { s.Receipts, s.Cards = nil, nil },
		"old shape": func(s *Spec) { s.OldShape = true },
		"no claims": func(s *Spec) { s.Cards = nil },
		"given id":  func(s *Spec) { s.PackID, s.ValidUntil, s.SupersededBy = "pack_1", "2026-01-15T12:00:00Z", "pack_2" },
		"breakglass": func(s *Spec) {
			s.Receipts = append(s.Receipts, jcstest.Parse(t, `{"receipt_id":"bg","type":"breakglass","timestamp":"2026-01-15T10:00:00Z"}`))
		},
		"ci": func(s *Spec) {
			s.CIBinding = &manifest.CIBinding{Provider: "gitlab_ci", CommitSHA: strings.Repeat("a", 40), Repo: "a/b", RunID: "7"}
		},
	} {
		s := smallSpec(t)
		change(&s)
		specs[name] = s
	}
	for name, s := range specs {
		want := mustBuild(t, s)
		sorted := s
		sorted.Receipts = slices.Clone(s.Receipts)
		place := map[string]int{}
		for i, id := range sortedIDs(s.Receipts) {
			place[id] = i
		}
		slices.SortFunc(sorted.Receipts, func(a, b jcs.Value) int { return place[form.Str(a, "receipt_id")] - place[form.Str(b, "receipt_id")] })
		for kind, s := range map[string]Spec{"stream": streamed(s), "sorted": sorted, "sorted stream": streamed(sorted)} {
			for i, f := range mustBuild(t, s).Files {
				if f.Name != want.Files[i].Name || !bytes.Equal(f.Data, want.Files[i].Data) {
					t.Errorf("%s, %s in memory: %s differs", name, kind, f.Name)
				}
			}
		}
		for kind, s := range map[string]Spec{"list": s, "stream": streamed(s), "sorted": streamed(sorted)} {
			dir := filepath.Join(t.TempDir(), "pack")
			r, err := BuildDir(dir, s)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, kind, err)
			}
			if r.Integrity != Pass || r.Receipts != len(want.lines()) || r.Manifest.Digest() != want.Manifest.Digest() {
				t.Errorf("%s, %s in a directory: %+v", name, kind, r)
			}
			sameFiles(t, name+", "+kind, dir, want)
		}
	}
}

func (p *Pack) lines() [][]byte {
	return bytes.SplitAfter(p.file(manifest.ReceiptsName), []byte("\n"))[:bytes.Count(p.file(manifest.ReceiptsName), []byte("\n"))]
}

// sameFiles expects exactly those files in dir, readable by all, and nothing beside dir.
func sameFiles(t *testing.T, name, dir string, want *Pack) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		if info, _ := d.Info(); err != nil || !bytes.Equal(data, want.file(filepath.ToSlash(rel))) || info.Mode() != 0o644 {
			t.Errorf("%s in a directory: %s differs, or has mode %s; %v", name, rel, info.Mode(), err)
		}
		return nil
	})
	if info, statErr := os.Stat(dir); err != nil || statErr != nil || seen != len(want.Files) || info.Mode().Perm() != 0o755 {
		t.Errorf("%s in a directory: %d files, want %d; %v %v", name, seen, len(want.Files), err, statErr)
	}
}

func TestClaimsThatFailAreBuiltAndSaidByTheExitCode(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = s.Receipts[1:] // no guardian_verdict
	r, err := BuildDir(filepath.Join(t.TempDir(), "pack"), s)
	if err != nil || r.ExitCode() != 1 || r.Claims.Verdict != Fail || !r.Claims.Reexecuted {
		t.Errorf("%+v %v", r, err)
	}
}

// PCK-42
func TestABuildThatFailsPublishesNothing(t *testing.T) {
	broken := errors.New("the disk of receipts broke")
	fails := func(after int, fail func()) iter.Seq2[jcs.Value, error] {
		return func(yield func(jcs.Value, error) bool) {
			for i := range after {
				if !yield(jcstest.Parse(t, receiptOf(i)), nil) {
					return
				}
			}
			fail()
			yield(jcs.Value{}, broken)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*Spec, string)
		want   error
	}{
		{"a stream that ends early", func(s *Spec, _ string) { s.Stream = fails(3, func() {}) }, broken},
		{"a stream that fails at once", func(s *Spec, _ string) { s.Stream = fails(0, func() {}) }, broken},
		{"a stream that panics", func(s *Spec, _ string) { s.Stream = fails(3, func() { panic("boo") }) }, nil},
		{"two sources", func(s *Spec, _ string) { s.Receipts, s.Stream = []jcs.Value{}, fails(0, func() {}) }, nil},
		{"a signer that lies", func(s *Spec, _ string) { s.Stream, s.Signer = streamed(smallSpec(t)).Stream, lyingSigner{testSigner} }, nil},
		{"a directory that appears", func(s *Spec, dir string) {
			s.Stream = func(yield func(jcs.Value, error) bool) {
				yield(jcstest.Parse(t, receiptOf(0)), os.WriteFile(dir, []byte("theirs"), 0o600))
			}
		}, fs.ErrExist},
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "pack")
		s := smallSpec(t)
		s.Receipts = nil
		c.change(&s, dir)
		func() {
			defer func() {
				if p := recover(); p != nil && !strings.Contains(c.name, "panics") {
					t.Errorf("%s: panic %v", c.name, p)
				}
			}()
			if r, err := BuildDir(dir, s); err == nil || r != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v", c.name, r, err)
			}
		}()
		entries, err := os.ReadDir(parent)
		if c.want == fs.ErrExist {
			if text, _ := os.ReadFile(dir); string(text) == "theirs" {
				entries = entries[1:]
			}
		}
		if err != nil || len(entries) > 0 {
			t.Errorf("%s: %v is left, %v", c.name, entries, err)
		}
	}
	dir := t.TempDir()
	s := smallSpec(t)
	s.Receipts, s.Stream = nil, func(func(jcs.Value, error) bool) { t.Error("receipts are read for a directory that exists") }
	if _, err := BuildDir(dir, s); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing directory: %v", err)
	}
}

// buildUntilKilled builds in a process of its own, which stops in the middle of its receipts.
const buildUntilKilled = "ASSAY_TEST_BUILD_UNTIL_KILLED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(buildUntilKilled); dir != "" {
		s := Spec{RunID: "run", Signer: testSigner, Now: builtAt}
		s.Stream = func(yield func(jcs.Value, error) bool) {
			for i := range 2000 {
				v, err := jcs.Parse([]byte(receiptOf(i)), jcs.Limits{})
				if !yield(v, err) {
					return
				}
			}
			fmt.Println("in the middle")
			bufio.NewReader(os.Stdin).ReadString('\n') // does not come
		}
		_, err := BuildDir(dir, s)
		fmt.Println("built", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// PCK-43
func TestAKilledBuilderLeavesNothingButItsStagingDirectory(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "pack")
	builder := exec.Command(os.Args[0])
	builder.Env = append(os.Environ(), buildUntilKilled+"="+dir)
	out, err := builder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := builder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := builder.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || said != "in the middle\n" {
		t.Errorf("%q, %v", said, err)
	}
	if err := builder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = builder.Wait() // it was killed
	entries, err := os.ReadDir(parent)
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), ".assay_pack_staging_") {
		t.Fatalf("%v is left, %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("mode %s, %v", info.Mode(), err)
	}
	// It is in nobody's way.
	if _, err := BuildDir(dir, smallSpec(t)); err != nil {
		t.Error(err)
	}
}

// TestMemoryOfAStreamedBuildDoesNotHoldTheReceipts measures what is alive when the last receipt has been
// taken: a small part of what they are.
func TestMemoryOfAStreamedBuildDoesNotHoldTheReceipts(t *testing.T) {
	const n, size = 30_000, 2000
	alive := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	s := smallSpec(t)
	s.Receipts = nil
	filler := strings.Repeat("x", size)
	before, after := uint64(0), uint64(0)
	s.Stream = func(yield func(jcs.Value, error) bool) {
		before = alive()
		for i := range n {
			// From the last to the first: the worst order.
			v, err := jcs.Parse(fmt.Appendf(nil, `{"receipt_id":"r_%014x","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00","seq":%d,"x":"%s"}`, n-i, n-i, filler), jcs.Limits{})
			if !yield(v, err) {
				return
			}
		}
		after = alive()
	}
	r, err := BuildDir(filepath.Join(t.TempDir(), "pack"), s)
	if err != nil || r.Receipts != n {
		t.Fatalf("%+v %v", r, err)
	}
	if grown := int64(after) - int64(before); grown > 200*n {
		t.Errorf("%d bytes are kept of a receipt of %d", grown/n, size)
	}
}

// faulty is a place where the n-th thing that is asked of the disk fails.
type faulty struct {
	memoryTarget
	n      int
	drafts int // that are open
}

var errDisk = errors.New("no space left")

func (f *faulty) fails() error {
	if f.n--; f.n == 0 {
		return errDisk
	}
	return nil
}

func (f *faulty) create(name string) (outFile, error) {
	if err := f.fails(); err != nil {
		return nil, err
	}
	f.drafts++
	d, err := f.memoryTarget.create(name)
	return &faultyDraft{d, f}, err
}

func (f *faulty) replace(name, by string) error {
	return errors.Join(f.fails(), f.memoryTarget.replace(name, by))
}

func (f *faulty) open() (fs.FS, func() error, error) {
	fsys, _, _ := f.memoryTarget.open() // never fails
	return fsys, f.fails, f.fails()
}

type faultyDraft struct {
	outFile
	place *faulty
}

func (d *faultyDraft) Write(p []byte) (int, error) {
	if err := d.place.fails(); err != nil {
		return 0, err
	}
	return d.outFile.Write(p)
}

func (d *faultyDraft) ReadAt(p []byte, at int64) (int, error) {
	if err := d.place.fails(); err != nil {
		return 0, err
	}
	return d.outFile.ReadAt(p, at)
}
func (d *faultyDraft) flush() error { return errors.Join(d.place.fails(), d.outFile.flush()) }
func (d *faultyDraft) seal() error  { return d.close(d.outFile.seal) }
func (d *faultyDraft) drop() error  { return d.close(d.outFile.drop) }

func (d *faultyDraft) close(do func() error) error {
	d.place.drafts--
	return errors.Join(d.place.fails(), do())
}

func TestARepeatedIDIsSaidToBeThatOfTheFirst(t *testing.T) {
	long := strings.Repeat("x", 2*maxKeptID)
	for _, id := range []string{"r_000005", long + "5", long[:maxKeptID]} {
		for _, seq := range []string{"0", "-1", "77"} {
			s := smallSpec(t)
			s.Receipts = nil
			for i, each := range []string{"r_000009", long + "4", long[:maxKeptID-1], id, "r_1", id} {
				r := jcstest.Parse(t, receiptOf(i)).Without("receipt_id", "seq")
				r.Members = append(r.Members, jcs.M("receipt_id", jcs.Str(each)))
				if i == 5 {
					r.Members = append(r.Members, jcs.M("seq", jcs.Value{Kind: jcs.Number, Text: seq}))
				}
				s.Receipts = append(s.Receipts, r)
			}
			_, err := BuildDir(filepath.Join(t.TempDir(), "pack"), s)
			if err == nil || !strings.HasSuffix(err.Error(), "receipt_id: it is that of receipt 3") || !strings.Contains(err.Error(), "receipt 5 (") {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

func TestTheSummaryTellsWhatWhenWhoAndHowToVerify(t *testing.T) {
	s := smallSpec(t)
	s.PackID, s.ValidUntil, s.SupersededBy = "pack_1", "2027-01-01T00:00:00Z", "next | <b>"
	s.CIBinding = &manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("c", 40), Repo: "acme/app", RunID: "77"}
	for i, kind := range []string{"breakglass", receipt.BreakglassType, "acme.one", "acme.two/v1", "refusal"} {
		s.Receipts = append(s.Receipts, jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":"x%d","type":%q,"timestamp":"2026-01-15T11:00:00Z"}`, i, kind)))
	}
	p := mustBuild(t, s)
	fingerprint := p.Manifest.SignerFingerprint()
	summary := string(p.file(manifest.SummaryName))
	for _, want := range []string{
		"not covered by the signature",
		"| Pack | `pack_1` |\n| Run | `run-small` |\n| Receipts | `7` |\n| From | `2026-01-15T10:00:00.000000+00:00` |\n| To | `2026-01-15T11:00:00Z` |\n",
		"| Built | `2026-01-15T12:00:00.000000+00:00` |\n| Signer | `test-signer` |\n| Key (SHA-256) | `" + fingerprint.String() + "` |\n",
		"| Valid until | `2027-01-01T00:00:00Z` |\n| Superseded by | next &#124; &lt;b&gt; |\n",
		"| Receipts (SHA-256) | `" + form.HexSum(p.file(manifest.ReceiptsName)) + "` |\n",
		"| CI | `github_actions` |\n| Commit | `" + strings.Repeat("c", 40) + "` |\n| Repository | `acme/app` |\n| CI run | `77` |\n",
		"| Type | Receipts |\n|---|---|\n| `assay.breakglass/v1` | 2 |\n| `guardian_verdict` | 1 |\n| `model_call` | 1 |\n| `refusal` | 1 |\n| other namespaced types | 2 |\n",
		"- PASS `model_call_present` (`critical`): expected `at least 1 receipt of type 'model_call'`; actual `found 1`\n",
		"output correctness", "assay verify-pack", "sha256sum receipt_pack.jsonl", "VerifyKey(",
	} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
}

func TestWhateverFailsOnTheDiskFailsTheBuild(t *testing.T) {
	for name, s := range map[string]Spec{"unsorted": mixedSpec(t, 12), "small": smallSpec(t), "sorted": benchmarkSpec(t, 5)} {
		n := 1
		for ; ; n++ {
			f := &faulty{n: n}
			r, err := s.assemble(f)
			if f.drafts != 0 {
				t.Errorf("%s: with failure %d: %d files are open", name, n, f.drafts)
			}
			if f.n > 0 { // nothing was left to fail
				if err != nil || r.Integrity != Pass {
					t.Errorf("%s: %v", name, err)
				}
				break
			}
			if !errors.Is(err, errDisk) {
				t.Errorf("%s: with failure %d: %v", name, n, err)
			}
		}
		if n < 20 {
			t.Errorf("%s: only %d things were asked of the disk", name, n)
		}
	}
}

// RCP-13
func TestLimitsOfABuildHaveTwoSides(t *testing.T) {
	s := smallSpec(t)
	line := func(length int) jcs.Value {
		const rest = len(`{"receipt_id":"r_x","timestamp":"2026-01-15T10:00:00Z","type":"refusal","x":""}`)
		return jcstest.Parse(t, `{"receipt_id":"r_x","type":"refusal","timestamp":"2026-01-15T10:00:00Z","x":"`+strings.Repeat("x", length-rest)+`"}`)
	}
	s.Receipts = []jcs.Value{line(receipt.MaxLine)}
	mustBuild(t, s)
	s.Receipts = []jcs.Value{line(receipt.MaxLine + 1)}
	if _, err := Build(s); err == nil || !strings.Contains(err.Error(), "receipt 0 (r_x): its line has 1048577 bytes, at most 1048576") {
		t.Error(err)
	}
	small := line(100)
	for _, c := range []struct {
		count int
		size  int64
		want  string
	}{
		{receipt.MaxReceipts - 1, maxJSONL - 101, ""},
		{receipt.MaxReceipts, 0, "more than 4194304 receipts"},
		{0, maxJSONL - 100, "receipt 0: the receipts have more than 4294967296 bytes"},
	} {
		b := &builder{Spec: s}
		b.lines = receiptLines{count: c.count, size: c.size, ids: map[[16]byte]struct{}{}, kinds: map[string]int{}}
		err := b.addReceipt(&memoryFile{}, &small)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%d receipts, %d bytes: %v, want %q", c.count, c.size, err, c.want)
		}
	}
}

// An id of a megabyte would otherwise be evidence a thousand times over, for the builder and each verifier.
func TestLongIDsDoNotMultiplyAsEvidence(t *testing.T) {
	s := smallSpec(t)
	long := strings.Repeat("\u20ac", 340_000)
	for i := range 5 {
		s.Receipts = append(s.Receipts, jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":"%d%s","type":"model_call","timestamp":"2026-01-15T10:00:00+00:00","seq":-%d}`, i, long, i+1)))
	}
	s.Cards = nil
	for i := range claim.MaxClaims {
		if i%256 == 0 {
			s.Cards = append(s.Cards, claim.Card{ID: fmt.Sprint("many", i), Name: "Many"})
		}
		card := &s.Cards[len(s.Cards)-1]
		card.Claims = append(card.Claims, claim.Claim{ID: fmt.Sprint("c", i), Check: "receipt_type_present", Severity: "critical",
			Params: jcs.Obj(jcs.M("receipt_type", jcs.Str("model_call")))})
	}
	p := mustBuild(t, s)
	r := mustVerify(t, p.FS(), Options{Now: builtAt, Cards: s.Cards})
	if got := r.Claims.Results[0].Evidence; len(got) != 5 || len(got[0]) > 300 || !strings.HasPrefix(got[0], "4\u20ac\u20ac") || !strings.HasSuffix(got[0], "\u20ac...") {
		t.Errorf("evidence %.900q", got)
	}
	if n := len(p.file(manifest.ReportName)); n > form.MaxFile/2 {
		t.Errorf("a report of %d bytes", n)
	}
}

// FuzzBuildRefusesBeforeItVerifies: whatever a receipt holds, the builder itself says what is wrong with
// it. What only the verification at the end sees is a rule that the builder forgot.
func FuzzBuildRefusesBeforeItVerifies(f *testing.F) {
	for _, seed := range []string{
		receiptOf(0), `[1]`, `{"receipt_id":"r","type":"a.b/v1","timestamp":"20260115T100000.5+00","seq":-1,"run_id":"","x":[1e20,{"signature":"\u2028"}]}`,
		`{"receipt_id":"r","type":"breakglass","timestamp":"2026-W03-4 10:00","anchor":1,"_trace_id":"run-small"}`,
		`{"receipt_id":"\u0000","type":"refusal","timestamp":"2026-01-15T10:00:00.000000+00:00","posture":{"b":1.0,"a":[]},"n":-0}`,
		`{"receipt_id":"r","type":"refusal","timestamp":"2026-01-15T10:00:00+99:99","Seq":1,"__proto__":9007199254740993}`,
	} {
		f.Add([]byte(seed))
	}
	s := smallSpec(f)
	s.Cards = claim.BuiltinCards()
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := jcs.Parse(text, jcs.Limits{Bytes: 4 * receipt.MaxLine, Depth: 200})
		if err != nil {
			return
		}
		s.Receipts = append(s.Receipts[:2:2], v)
		if _, err := Build(s); err != nil && !strings.HasPrefix(err.Error(), "building pack: receipt 2") {
			t.Errorf("%s: %v", text, err)
		}
	})
}

func benchmarkSpec(b testing.TB, n int) Spec {
	s := Spec{RunID: "trace_bench", Signer: testSigner, Now: builtAt, Cards: claim.BuiltinCards()[1:2]}
	for i := range n {
		s.Receipts = append(s.Receipts, jcstest.Parse(b, fmt.Sprintf(`{"receipt_id": "r_%012x", "type": "model_call", "timestamp": "2026-01-15T10:%02d:%02d.%06d+00:00", "schema_version": "3.0", "seq": %d, `+
			`"provider": "openai", "model_id": "gpt-4", "input_tokens": %d, "output_tokens": 200, "total_tokens": %d, "latency_ms": 812, "temperature": 0.7, `+
			`"finish_reason": "stop", "error": null, "input_hash": "%064x", "output_hash": "%064x", "integration_source": "assay.integrations.openai", "_trace_id": "trace_bench"}`,
			i, i/60%60, i%60, i%1000000, i, i%4000, i%4000+200, i, i+1)))
	}
	return s
}

func BenchmarkBuildDir10kUnsorted(b *testing.B) {
	s := benchmarkSpec(b, 10_000)
	slices.Reverse(s.Receipts)
	parent := b.TempDir()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := BuildDir(filepath.Join(parent, fmt.Sprint(i)), s); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAFileThatCannotBeFlushedIsNotSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path) // for reading only
	if err != nil {
		t.Fatal(err)
	}
	s := &diskFile{Writer: bufio.NewWriter(f), file: f}
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.seal(); err == nil {
		t.Error("sealed without its last bytes")
	}
	if err := f.Close(); err == nil {
		t.Error("left open")
	}
}
