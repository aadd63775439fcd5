package pack

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// smallPack is the files of a small built pack, without the unsigned ones.
func smallPack(t testing.TB) memoryFS {
	files := maps.Clone(mustBuild(t, smallSpec(t)).FS().(memoryFS))
	delete(files, manifest.CardsName)
	delete(files, manifest.SummaryName)
	return files
}

// resign gives the files a manifest, signed by the key as an attacker who holds one would:
// hashes, root and signature consistent, whatever the rest says.
func resign(t testing.TB, files memoryFS, text jcs.Value, key packtest.Key, keep ...string) memoryFS {
	t.Helper()
	files = maps.Clone(files)
	replace := func(name string, to jcs.Value) {
		if _, ok := text.Get(name); ok && !slices.Contains(keep, name) {
			text = jcstest.Set(text, name, to)
		}
	}
	attestation, err := jcs.AppendPack(nil, form.Get(text, "attestation"))
	if err != nil {
		attestation = nil // duplicated members have no canonical form
	}
	replace("attestation_sha256", jcs.Str(form.HexSum(attestation)))
	replace("pack_root_sha256", jcs.Str(form.HexSum(attestation)))
	// The report names the root too; it is written by the signer like everything else.
	if report, err := jcs.Parse(files[manifest.ReportName], jcs.Limits{}); err == nil {
		if old, ok := report.Get("pack_root_sha256"); ok && old.Text != "x" && old.Text != form.HexSum(attestation) {
			root := form.HexSum(attestation)
			report = jcstest.Set(report, "pack_root_sha256", jcs.Str(root))
			if _, ok := report.Get("verification_inputs_sha256"); ok {
				report = jcstest.Set(report, "verification_inputs_sha256", jcs.Str(root))
				report = jcstest.Set(report, "report_id", jcs.Str(reportID(root, form.Str(report, "verified_at"), form.Str(report, "claim_verdict"), form.Str(form.Get(report, "verifier"), "version"))))
			}
			files[manifest.ReportName] = jcstest.Plain(report)
		}
	}
	replace("files", jcs.Arr(fileValue(manifest.ReceiptsName, files[manifest.ReceiptsName]), fileValue(manifest.ReportName, files[manifest.ReportName]), fileValue(manifest.TranscriptName, files[manifest.TranscriptName])))
	replace("signer_pubkey", jcs.Str(base64.StdEncoding.EncodeToString(key.Public())))
	replace("signer_pubkey_sha256", jcs.Str(form.HexSum(key.Public())))
	message, _ := jcs.AppendPack(nil, manifest.Unsigned(text))
	signature, _ := key.Sign(message)
	replace("signature", jcs.Str(base64.StdEncoding.EncodeToString(signature)))
	files[manifest.SignatureName] = signature
	files[manifest.Name] = jcstest.Plain(text)
	return files
}

func wantTampered(t *testing.T, what string, files memoryFS) *Result {
	t.Helper()
	r := mustVerify(t, files, Options{Now: builtAt})
	if r.ExitCode() != 2 || r.Integrity != Fail || len(r.Findings) == 0 || r.Claims.Verdict != Skipped {
		t.Errorf("%s: exit %d, integrity %s, claims %s", what, r.ExitCode(), r.Integrity, r.Claims.Verdict)
	}
	return r
}

// PCK-30
func TestResigningAnUnchangedPackPasses(t *testing.T) {
	files := smallPack(t)
	manifest := jcstest.Parse(t, string(files[manifest.Name]))
	if r := mustVerify(t, resign(t, files, manifest, otherSigner), Options{Now: builtAt}); r.ExitCode() != 0 {
		t.Fatalf("the forger of these tests cannot forge: %v", r.Findings)
	}
}

// VFY-11
func TestEveryManifestMemberOfAnotherTypeIsTampering(t *testing.T) {
	changeEveryMember(t, "number", "true", "list", "newline")
}

// What a signer may say in any words.
var (
	freeText   = regexp.MustCompile(`^attestation\.(canon_impl|canon_impl_version|time_authority|suite_id|ci_binding\.(repo|ref|run_id|run_attempt|workflow_ref|actor))$`)
	mayBeEmpty = regexp.MustCompile(`^attestation\.(canon_impl|canon_impl_version|time_authority|ci_binding\.(workflow_ref|actor))$`)
)

// VFY-24, VFY-25, VFY-26
func TestAReportThatContradictsTheManifestIsTampering(t *testing.T) {
	files := smallPack(t)
	m := jcstest.Parse(t, string(files[manifest.Name]))
	report := jcstest.Parse(t, string(files[manifest.ReportName]))
	for path, to := range map[string]jcs.Value{
		"pack_id": jcs.Str("x"), "run_id": jcs.Str("x"), "receipt_count": jcs.Int(3), "head_hash": jcs.Value{},
		"passed": jcs.Boolean(false), "integrity_verdict": jcs.Str("TAMPERED"), "claim_verdict": jcs.Str("HONEST_FAIL"),
		"pack_root_sha256": jcs.Str("x"), "claim_verification": jcs.Value{}, "claim_verification.passed": jcs.Boolean(false),
		"claim_verification.n_claims": jcs.Int(4), "claim_verification.n_passed": jcs.Int(2), "claim_verification.n_failed": jcs.Int(1),
		"claim_verification.discrepancy_fingerprint": jcs.Str("x"), "claim_verification.results": jcs.Arr(),
		"expectations.claim_set_hash": jcs.Str("x"), "expectations.policy_sha256": jcs.Str("x"),
	} {
		changed := maps.Clone(files)
		changed[manifest.ReportName] = jcstest.Plain(jcstest.Set(report, path, to))
		wantTampered(t, "report "+path, resign(t, changed, m, testSigner))
	}
	for _, text := range []string{"", "[]", "null", "{}", `{"a":1,"a":1}`, string(files[manifest.ReportName]) + " x", "\ufeff" + string(files[manifest.ReportName])} {
		changed := maps.Clone(files)
		changed[manifest.ReportName] = []byte(text)
		wantTampered(t, fmt.Sprintf("report %.20q", text), resign(t, changed, m, testSigner))
	}
}

// withReceipts replaces the receipts and everything that a signer can make agree with them.
func withReceipts(t testing.TB, files memoryFS, jsonl string) memoryFS {
	files = maps.Clone(files)
	files[manifest.ReceiptsName] = []byte(jsonl)
	lines := strings.Split(strings.TrimSuffix(jsonl, "\n"), "\n")
	n := jcs.Int(int64(len(lines)))
	head, err := jcs.Pack(nil, []byte(lines[len(lines)-1]), jcs.Limits{Depth: 500})
	hash := jcs.Str(strings.Repeat("0", 64))
	if err == nil {
		hash = jcs.Str(form.HexSum(head))
	}
	text, report := jcstest.Parse(t, string(files[manifest.Name])), jcstest.Parse(t, string(files[manifest.ReportName]))
	text = jcstest.Set(jcstest.Set(text, "receipt_count_expected", n), "attestation.n_receipts", n)
	text = jcstest.Set(text, "attestation.head_hash", hash)
	report = jcstest.Set(jcstest.Set(report, "receipt_count", n), "head_hash", hash)
	files[manifest.ReportName] = jcstest.Plain(report)
	return resign(t, files, text, testSigner)
}

// PCK-9, RCP-1, RCP-2, RCP-8, VFY-12, VFY-18, VFY-19, VFY-21
func TestReceiptsThatAnySignerPackedBadlyAreTampering(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	first := `{"receipt_id":"r_000000","schema_version":"3.0","seq":0,"timestamp":"2026-01-15T10:00:00.000000+00:00","type":"model_call"}`
	second := `{"receipt_id":"r_000001","schema_version":"3.0","seq":1,"timestamp":"2026-01-15T10:00:01.000000+00:00","type":"guardian_verdict"}`
	if r := mustVerify(t, withReceipts(t, files, first+"\n"+second+"\n"), Options{}); r.ExitCode() != 0 {
		t.Fatalf("the forger cannot forge: %v", r.Findings)
	}
	ok := func(what, line string) {
		t.Helper()
		if r := mustVerify(t, withReceipts(t, files, first+"\n"+line+"\n"), Options{}); r.ExitCode() != 0 {
			t.Errorf("%s: %v", what, r.Findings)
		}
	}
	at := `"timestamp":"2026-01-15T10:00:01.000000+00:00","type":"guardian_verdict"}`
	ok("literal U+2028", `{"receipt_id":"r_1","t":"`+"\u2028\u0085\u2029"+`",`+at[:len(at)-1]+`}`)
	ok("escaped U+2028", `{"receipt_id":"r_1","t":"\u2028\u0085\u2029",`+at[:len(at)-1]+`}`)
	ok("seq 2.0 is 2", `{"receipt_id":"r_1","seq":2,`+at)
	ok("big seq", `{"receipt_id":"r_1","seq":92233720368547758080,`+at)
	ok("big integer", `{"n":9007199254740993,"receipt_id":"r_1","seq":1,`+at)
	ok("namespaced type", `{"receipt_id":"r_1","seq":1,"timestamp":"2026-01-15T10:00:01.000000+00:00","type":"a.b_c.d1/v1"}`)
	ok("own run id", `{"_trace_id":"run-small","receipt_id":"r_1","run_id":"run-small","seq":1,`+at)
	ok("__proto__", `{"__proto__":1,"receipt_id":"r_1","seq":1,`+at)

	type bad struct{ what, code, jsonl string }
	var cases []bad
	for what, line := range map[string]string{
		"space":            strings.Replace(second, ":1,", ": 1,", 1),
		"trailing space":   second + " ",
		"unsorted":         `{"type":"guardian_verdict",` + strings.Replace(second[1:], `,"type":"guardian_verdict"`, "", 1),
		"escaped letter":   strings.Replace(second, "guardian", `\u0067uardian`, 1),
		"float spelling":   strings.Replace(second, `"seq":1`, `"seq":1.0`, 1),
		"minus zero":       strings.Replace(second, `"seq":1`, `"seq":-0`, 1),
		"lower exponent":   strings.Replace(second, `"seq":1`, `"seq":1e21`, 1),
		"mixed separators": `{"receipt_id":"r_1","t":"\u2028` + "\u2028" + `",` + at,
		"upper escape":     `{"receipt_id":"r_1","t":"\u001F",` + at,
		"projected member": `{"receipt_id":"r_1","signature":"x",` + at,
		"projected anchor": `{"anchor":null,"receipt_id":"r_1",` + at,
		"other run":        `{"_trace_id":"x","receipt_id":"r_1","seq":1,` + at,
		"other run id":     `{"receipt_id":"r_1","run_id":"x","seq":1,` + at,
		"run id a number":  `{"receipt_id":"r_1","run_id":1,"seq":1,` + at,
		"seq a string":     `{"receipt_id":"r_1","seq":"1",` + at,
		"seq null":         `{"receipt_id":"r_1","seq":null,` + at,
		"seq below":        `{"receipt_id":"r_1","seq":-1,` + at,
		"id below":         `{"receipt_id":"q","seq":0,` + at,
		"carriage return":  second + "\r",
		"null":             "null",
		"number":           "1",
		"array":            "[" + second + "]",
		"blank":            "",
		"cut":              second[:40],
		"two":              second + second,
		"bom":              "\ufeff" + second,
		"bad utf-8":        strings.Replace(second, "guardian", "guardi\xffn", 1),
		"surrogate":        strings.Replace(second, "guardian", `\ud800`, 1),
		"vertical tab":     second + "\v",
		"deep":             `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `,"receipt_id":"r_1",` + at,
		"very deep":        strings.Repeat("[", 1000000),
		"long":             `{"a":"` + strings.Repeat("x", receipt.MaxLine) + `","receipt_id":"r_1",` + at,
		"NaN":              `{"a":NaN,"receipt_id":"r_1",` + at,
		"Infinity":         `{"a":-Infinity,"receipt_id":"r_1",` + at,
		"5000 digits":      `{"a":` + strings.Repeat("1", 5000) + `,"receipt_id":"r_1",` + at,
		"NUL":              second + "\x00",
		"comma":            second + ",",
		"octal":            `{"a":01,"receipt_id":"r_1",` + at,
	} {
		cases = append(cases, bad{what, manifest.CodeManifestTamper, first + "\n" + line + "\n"})
	}
	for what, line := range map[string]string{
		"duplicate member":  `{"receipt_id":"r_1","seq":1,"seq":1,` + at,
		"duplicate escaped": `{"receipt_id":"r_1","seq":1,"\u0073eq":2,` + at,
		"duplicate deep":    `{"a":[{"b":1,"b":1}],"receipt_id":"r_1",` + at,
		"non-ascii name":    `{"na` + "ï" + `ve":1,"receipt_id":"r_1","seq":1,` + at,
		"non-ascii deep":    `{"a":[{"` + "\u2028" + `":1}],"receipt_id":"r_1","seq":1,` + at,
		"infinite":          `{"a":1e400,"receipt_id":"r_1",` + at,
	} {
		cases = append(cases, bad{what, manifest.CodeCanonMismatch, first + "\n" + line + "\n"})
	}
	for what, line := range map[string]string{
		"no id":        `{"seq":1,` + at,
		"empty id":     `{"receipt_id":"","seq":1,` + at,
		"number id":    `{"receipt_id":7,"seq":1,` + at,
		"list id":      `{"receipt_id":["r"],"seq":1,` + at,
		"no type":      `{"receipt_id":"r_1","seq":1,"timestamp":"2026-01-15T10:00:01.000000+00:00"}`,
		"unknown type": `{"receipt_id":"r_1","seq":1,"timestamp":"2026-01-15T10:00:01.000000+00:00","type":"breakglass"}`,
		"loom type":    `{"receipt_id":"r_1","seq":1,"timestamp":"2026-01-15T10:00:01.000000+00:00","type":"loom.x"}`,
		"newline type": `{"receipt_id":"r_1","seq":1,"timestamp":"2026-01-15T10:00:01.000000+00:00","type":"a.b\n"}`,
		"no timestamp": `{"receipt_id":"r_1","seq":1,"type":"guardian_verdict"}`,
		"bool time":    `{"receipt_id":"r_1","seq":1,"timestamp":true,"type":"guardian_verdict"}`,
	} {
		cases = append(cases, bad{what, manifest.CodeSchemaUnknown, first + "\n" + line + "\n"})
	}
	cases = append(cases,
		bad{"yesterday", manifest.CodeTimestampInvalid, first + "\n" + `{"receipt_id":"r_1","seq":1,"timestamp":"yesterday","type":"model_call"}` + "\n"},
		bad{"duplicate id", manifest.CodeDuplicateID, first + "\n" + strings.Replace(second, "r_000001", "r_000000", 1) + "\n"},
		bad{"swapped", manifest.CodeManifestTamper, second + "\n" + first + "\n"},
		bad{"no last newline", manifest.CodeManifestTamper, first + "\n" + second},
		bad{"blank last line", manifest.CodeManifestTamper, first + "\n" + second + "\n\n"},
		bad{"blank first line", manifest.CodeManifestTamper, "\n" + first + "\n" + second + "\n"},
		bad{"carriage returns only", manifest.CodeManifestTamper, first + "\r" + second + "\r"},
		bad{"crlf", manifest.CodeManifestTamper, first + "\r\n" + second + "\r\n"},
	)
	for _, c := range cases {
		began := time.Now()
		r := wantTampered(t, c.what, withReceipts(t, files, c.jsonl))
		if !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Code == c.code }) {
			t.Errorf("%s: no %s: %v", c.what, c.code, r.Findings)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: took %s", c.what, took)
		}
	}
}

// VFY-3
func TestAMillionFindingsAreNotListed(t *testing.T) {
	s := smallSpec(t)
	s.Cards = nil
	files := mustBuild(t, s).FS().(memoryFS)
	line := `{"receipt_id":"r","timestamp":"no","type":"x"}` + "\n"
	r := wantTampered(t, "flood", withReceipts(t, files, strings.Repeat(line, 20000)))
	if len(r.Findings) > manifest.MaxFindings+1 || r.Findings[len(r.Findings)-1].Code != manifest.WarnMore {
		t.Errorf("%d findings", len(r.Findings))
	}
}

// A clock that runs ahead alters no byte: the pack is refused, unasked, and not called tampered.
// VFY-71
func TestAPackFromTheFutureIsRefusedOnlyByAClock(t *testing.T) {
	s := smallSpec(t)
	files := mustBuild(t, s).FS()
	end := time.Date(2026, 1, 15, 10, 0, 1, 0, time.UTC)
	for _, c := range []struct {
		now  time.Time
		exit int
	}{{time.Time{}, 0}, {end.Add(-24 * time.Hour), 0}, {end.Add(-24*time.Hour - 1), 2}, {end.AddDate(50, 0, 0), 0}} {
		r := mustVerify(t, files, Options{Now: c.now})
		if r.ExitCode() != c.exit || warns(r, manifest.WarnNoClock) != c.now.IsZero() || r.Integrity != Pass || r.Claims.Verdict != Pass {
			t.Errorf("at %s: exit %d: %v %v", c.now, r.ExitCode(), r.Findings, r.Warnings)
		}
		if found := r.ExpectationFindings(); c.exit == 2 && (len(found) != 1 || found[0].Code != manifest.CodeTimestampInvalid || found[0].Mechanism() != "stale_evidence") {
			t.Errorf("finding %v", found)
		}
	}
}

// VFY-1
func TestExitCodeOneHasOneSource(t *testing.T) {
	for _, integrity := range []Verdict{Pass, Fail, Skipped, ""} {
		for _, claims := range []Verdict{Pass, Fail, Skipped, ""} {
			for _, anchor := range []Verdict{Pass, Fail, Skipped, ""} {
				for i := range 8 {
					r := &Result{Integrity: integrity, Claims: ClaimsResult{Verdict: claims, Reexecuted: i&4 > 0}, Anchor: AnchorResult{Verdict: anchor},
						require: Options{RequireClaims: i&1 > 0, RequireAnchor: i&2 > 0}}
					want := 0
					if integrity != Pass || anchor == Fail || i&2 > 0 && anchor != Pass {
						want = 2
					} else if i&1 > 0 && (claims != Pass || i&4 == 0) {
						want = 1
					}
					if got := r.ExitCode(); got != want {
						t.Errorf("%+v: exit %d, want %d", r, got, want)
					}
				}
			}
		}
	}
	if (&Result{}).ExitCode() != 2 {
		t.Error("the zero Result passes")
	}
	text, err := os.ReadFile("verify_result.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("return 1\n")); n != 1 {
		t.Errorf("result.go returns 1 in %d places", n)
	}
}

func writePack(t *testing.T, files memoryFS) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pack")
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAnUnsignedFolderThatIsNoneIsAFinding(t *testing.T) {
	files := smallPack(t)
	for what, place := range map[string]func(path string) error{
		"link": func(path string) error { return os.Symlink(t.TempDir(), path) },
		"file": func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"fifo": func(path string) error { return mkfifo(path) },
	} {
		dir := writePack(t, files)
		if err := place(filepath.Join(dir, manifest.UnsignedName)); err != nil {
			t.Fatal(err)
		}
		if r := verifyDir(t, dir, Options{Now: builtAt}); r.ExitCode() != 2 || r.Findings[0].Field != manifest.UnsignedName {
			t.Errorf("%s: exit %d: %v", what, r.ExitCode(), r.Findings)
		}
	}
	dir := writePack(t, files)
	if err := os.MkdirAll(filepath.Join(dir, manifest.UnsignedName), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{manifest.CardsName, manifest.ProofName} {
		if err := mkfifo(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if r := verifyDir(t, dir, Options{Now: builtAt}); r.ExitCode() != 0 || !warns(r, manifest.WarnSidecar) || !warns(r, manifest.WarnAnchor) {
		t.Errorf("fifos in %s: exit %d: %v %v", manifest.UnsignedName, r.ExitCode(), r.Findings, r.Warnings)
	}
}

// PCK-2, VFY-14
func TestExtraFilesOnlyWarn(t *testing.T) {
	files := smallPack(t)
	dir := writePack(t, files)
	for _, name := range []string{"extra.txt", "\x1b]0;PASS\a", "PACK_MANIFEST.JSON"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := verifyDir(t, dir, Options{Now: builtAt})
	if r.ExitCode() != 0 || len(r.Warnings) != 3 {
		t.Errorf("exit %d: %v %v", r.ExitCode(), r.Findings, r.Warnings)
	}
	for _, w := range r.Warnings {
		if !form.IsPrintableASCII(w.String()) {
			t.Errorf("warning shows %q", w)
		}
	}
}

func TestWhatIsNoDirectoryIsAnError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	os.WriteFile(file, nil, 0o644)
	fifo := filepath.Join(dir, "fifo")
	mkfifo(fifo)
	for _, path := range []string{filepath.Join(dir, "nowhere"), file, fifo} {
		if _, _, err := DirFS(path); err == nil {
			t.Errorf("%s opened", path)
		}
	}
}

// VFY-5
func TestADirectoryIsNoPackUnlessOneOfTheFiveFilesIsThere(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS().(memoryFS)
	for _, other := range []memoryFS{{}, {"README.md": nil}, {manifest.CardsName: files[manifest.CardsName]}, {"pack/" + manifest.Name: files[manifest.Name]}} {
		if r, err := Verify(other, Options{Now: builtAt}); !errors.Is(err, ErrNoPack) || r != nil {
			t.Errorf("%v: %+v, %v", slices.Collect(maps.Keys(other)), r, err)
		}
	}
	for _, name := range manifest.FileNames() {
		if r := mustVerify(t, memoryFS{name: files[name]}, Options{Now: builtAt}); r.ExitCode() != 2 {
			t.Errorf("%s alone: exit %d", name, r.ExitCode())
		}
	}
}

// faultyFS fails in one way at one file: as the operating system does at "stat", "open" or "read".
type faultyFS struct {
	memoryFS
	name, at string
	err      error
}

func (f faultyFS) fail(op, name string) error {
	if op != f.at || name != f.name {
		return nil
	}
	return &fs.PathError{Op: op, Path: "/somewhere/" + name, Err: f.err}
}

func (f faultyFS) Lstat(name string) (fs.FileInfo, error) {
	if err := f.fail("stat", name); err != nil {
		return nil, err
	}
	return fs.Stat(f.memoryFS, name)
}

func (f faultyFS) ReadLink(name string) (string, error) { return "", fs.ErrInvalid }

func (f faultyFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.fail("readdir", name); err != nil {
		return nil, err
	}
	return fs.ReadDir(f.memoryFS, name)
}

func (f faultyFS) Open(name string) (fs.File, error) {
	if err := f.fail("open", name); err != nil {
		return nil, err
	}
	file, err := f.memoryFS.Open(name)
	if err == nil && f.at == "read" && name == f.name {
		return faultyFile{file, f}, nil
	}
	return file, err
}

type faultyFile struct {
	fs.File
	fs faultyFS
}

func (f faultyFile) Read([]byte) (int, error) { return 0, f.fs.fail("read", f.fs.name) }

// What the operating system does not let us read is no evidence of anything: not of tampering, and not of
// claims that nobody can execute here.
// VFY-6
func TestAFileThatCannotBeReadHereIsNoVerdict(t *testing.T) {
	s := smallSpec(t)
	s.Cards = []claim.Card{packtest.OneCard(t, "receipt_count_ge", `{"min_count":1}`)}
	files := mustBuild(t, s).FS().(memoryFS)
	files[manifest.ProofName] = []byte("x")
	names := append(manifest.FileNames(), manifest.CardsName, manifest.ProofName)
	faults := []error{syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE, fs.ErrPermission}
	for _, name := range names {
		for _, at := range []string{"stat", "open", "read"} {
			for _, fault := range faults {
				r, err := Verify(faultyFS{files, name, at, fault}, Options{Now: builtAt})
				var unread *ReadError
				if !errors.As(err, &unread) || !errors.Is(err, fault) || unread.Name != name || unread.Cause() != fault || r != nil {
					t.Errorf("%s at %s of %s: %+v, %v", fault, at, name, r, err)
				}
			}
		}
	}
	for name, at := range map[string]string{".": "readdir", manifest.UnsignedName: "stat"} {
		if _, err := Verify(faultyFS{files, name, at, syscall.EIO}, Options{Now: builtAt}); !errors.Is(err, syscall.EIO) {
			t.Errorf("%s at %s: %v", name, at, err)
		}
	}
	// What whoever made the pack can do is about the pack.
	for _, name := range manifest.FileNames() {
		for _, fault := range []error{fs.ErrNotExist, syscall.ENOENT, syscall.ELOOP, syscall.ENXIO, syscall.ENOTDIR, errLink, errNotRegular, errTooLarge, errors.New("path escapes from parent")} {
			if r := mustVerify(t, faultyFS{files, name, "open", fault}, Options{Now: builtAt}); r.ExitCode() != 2 {
				t.Errorf("%s at %s: exit %d", fault, name, r.ExitCode())
			}
		}
	}
}

// Git converts line ends on checkout and on commit unless '-text' says that a file is none of its business.
// VFY-17
func TestConvertedLineEndsAreTamperingAndToldInWords(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS().(memoryFS)
	told := func(r *Result, name string) bool {
		return slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Field == name && strings.Contains(f.Message, "line ends") })
	}
	crlf := memoryFS{}
	for name, data := range files {
		crlf[name] = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
	}
	crlf[manifest.SignatureName] = files[manifest.SignatureName]
	r := mustVerify(t, crlf, Options{Now: builtAt})
	if r.ExitCode() != 2 || len(r.Findings) != 3 || !told(r, manifest.ReceiptsName) || !told(r, manifest.ReportName) || !told(r, manifest.TranscriptName) {
		t.Errorf("exit %d: %v", r.ExitCode(), r.Findings)
	}
	for _, name := range manifest.FileNames()[:3] {
		one := maps.Clone(files)
		one[name] = crlf[name]
		if r := mustVerify(t, one, Options{Now: builtAt}); r.ExitCode() != 2 || len(r.Findings) != 1 || !told(r, name) {
			t.Errorf("%s: exit %d: %v", name, r.ExitCode(), r.Findings)
		}
		one[name] = append(slices.Clone(crlf[name]), ' ')
		if r := mustVerify(t, one, Options{Now: builtAt}); r.ExitCode() != 2 || told(r, name) {
			t.Errorf("%s and more: exit %d: %v", name, r.ExitCode(), r.Findings)
		}
	}
	// A transcript that was signed with CR LF, and lost them on its way into a repository.
	m := jcstest.Parse(t, string(files[manifest.Name]))
	windows := maps.Clone(files)
	windows[manifest.TranscriptName] = crlf[manifest.TranscriptName]
	windows = resign(t, windows, m, testSigner)
	windows[manifest.TranscriptName] = files[manifest.TranscriptName]
	if r := mustVerify(t, windows, Options{Now: builtAt}); r.ExitCode() != 2 || !told(r, manifest.TranscriptName) {
		t.Errorf("LF for CR LF: exit %d: %v", r.ExitCode(), r.Findings)
	}
}

// PCK-21: what is signed and logged is the canonical form of the manifest.
func TestTheManifestIsBoundByItsContentAndNotByItsSpelling(t *testing.T) {
	files := mustBuild(t, smallSpec(t)).FS().(memoryFS)
	text := files[manifest.Name]
	v := jcstest.Parse(t, string(text))
	turned := v
	turned.Members = slices.Clone(v.Members)
	slices.Reverse(turned.Members)
	want := mustVerify(t, files, Options{Now: builtAt}).Manifest.Digest()
	for what, data := range map[string][]byte{
		"line ends":   bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
		"white space": append(bytes.ReplaceAll(text, []byte(":"), []byte(":")), '\n', ' '),
		"order":       jcstest.Plain(turned),
		"escapes":     bytes.Replace(text, []byte(`"attestation"`), []byte(`"\u0061ttestation"`), 1),
	} {
		spelled := maps.Clone(files)
		spelled[manifest.Name] = data
		if r := mustVerify(t, spelled, Options{Now: builtAt}); bytes.Equal(data, text) || r.Integrity != Pass || r.Manifest.Digest() != want {
			t.Errorf("%s: %s, %v", what, r.Integrity, r.Findings)
		}
	}
	for _, m := range v.Members {
		changed := maps.Clone(files)
		without := v
		without.Members = slices.DeleteFunc(slices.Clone(v.Members), func(other jcs.Member) bool { return other.Name == m.Name })
		if changed[manifest.Name] = jcstest.Plain(without); mustVerify(t, changed, Options{Now: builtAt}).ExitCode() != 2 {
			t.Errorf("without %s: intact", m.Name)
		}
	}
}

// countingFS counts how often each file is opened.
type countingFS struct {
	memoryFS
	opened map[string]int
}

func (c countingFS) Open(name string) (fs.File, error) {
	c.opened[name]++
	return c.memoryFS.Open(name)
}

func (c countingFS) Lstat(name string) (fs.FileInfo, error) { return fs.Stat(c.memoryFS, name) }
func (c countingFS) ReadLink(name string) (string, error)   { return "", fs.ErrInvalid }
func (c countingFS) Stat(name string) (fs.FileInfo, error)  { return fs.Stat(c.memoryFS, name) }

// VFY-7
func TestEachFileIsOpenedOnce(t *testing.T) {
	p := mustBuild(t, smallSpec(t))
	files := countingFS{p.FS().(memoryFS), map[string]int{}}
	if r := mustVerify(t, files, Options{Now: builtAt}); r.ExitCode() != 0 {
		t.Fatal(r.Findings)
	}
	for name, n := range files.opened {
		if n > 1 && name != "." {
			t.Errorf("%s was opened %d times", name, n)
		}
	}
	for _, name := range manifest.FileNames() {
		if files.opened[name] != 1 {
			t.Errorf("%s was opened %d times", name, files.opened[name])
		}
	}
}

func TestReadersThatGiveLittleOrFailAreHandled(t *testing.T) {
	files := smallPack(t)
	if r := mustVerify(t, slowFS{files, 1, nil}, Options{Now: builtAt}); r.ExitCode() != 0 {
		t.Errorf("one byte at a time: %v", r.Findings)
	}
	if r := mustVerify(t, slowFS{files, 100, io.ErrUnexpectedEOF}, Options{Now: builtAt}); r.ExitCode() != 2 {
		t.Errorf("failing reads: exit %d", r.ExitCode())
	}
}

type slowFS struct {
	memoryFS
	n   int
	err error
}

func (s slowFS) Open(name string) (fs.File, error) {
	f, err := s.memoryFS.Open(name)
	if err != nil {
		return nil, err
	}
	return &slowFile{f, s.n, s.err}, nil
}

type slowFile struct {
	fs.File
	n   int
	err error
}

func (f *slowFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p[:min(len(p), f.n)])
	if f.err != nil {
		return n, f.err
	}
	return n, err
}

func FuzzVerifyManifest(f *testing.F) {
	p := mustBuild(f, smallSpec(f))
	f.Add(p.file(manifest.Name))
	f.Add(bytes.ReplaceAll(p.file(manifest.Name), []byte("\n"), nil))
	f.Add([]byte(`{"attestation":{}}`))
	original := p.Manifest.Digest()
	f.Fuzz(func(t *testing.T, text []byte) {
		m, findings := manifest.Verify(text)
		if m == nil && len(findings) == 0 {
			t.Fatal("no manifest, no finding")
		}
		// Only the holder of the key makes an admitted manifest, so it is this one in another spelling.
		if len(findings) == 0 && m.Digest() != original {
			t.Fatalf("admitted %q", text)
		}
	})
}

// FuzzVerify splices bytes into one file of a pack.
func FuzzVerify(f *testing.F) {
	s := smallSpec(f)
	s.Receipts = s.Receipts[1:]
	files := mustBuild(f, s).FS().(memoryFS) // a claim fails
	names := slices.Sorted(maps.Keys(files))
	for i := range names {
		f.Add(uint8(i), uint(3), uint(1), []byte("x"))
	}
	f.Fuzz(func(t *testing.T, file uint8, at, cut uint, insert []byte) {
		name := names[int(file)%len(names)]
		data := files[name]
		i := int(at % uint(len(data)+1))
		j := i + int(cut%uint(len(data)-i+1))
		changed := maps.Clone(files)
		changed[name] = slices.Concat(data[:i], insert, data[j:])
		r, err := Verify(changed, Options{Now: builtAt, RequireClaims: true})
		if err != nil {
			t.Fatal(err)
		}
		checkSane(t, r)
		if r.Integrity == Pass && slices.Contains(manifest.FileNames(), name) && !bytes.Equal(changed[name], data) && name != manifest.Name {
			t.Fatalf("%s was changed and passes", name)
		}
	})
}

// checkSane is what holds of every Result.
func checkSane(t *testing.T, r *Result) {
	t.Helper()
	exit := r.ExitCode()
	if exit < 0 || exit > 2 || exit == 1 && r.Integrity != Pass || (r.Integrity == Pass) != (len(r.Findings) == 0) && r.Anchor.Verdict != Fail {
		t.Fatalf("exit %d, integrity %s, findings %v", exit, r.Integrity, r.Findings)
	}
	for _, f := range append(slices.Clone(r.Findings), r.Warnings...) {
		if !form.IsPrintableASCII(f.String()) {
			t.Fatalf("finding shows %q", f.String())
		}
	}
}

func manyReceipts(t testing.TB, n int) Spec {
	s := smallSpec(t)
	s.Receipts = make([]jcs.Value, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range s.Receipts {
		s.Receipts[i] = jcstest.Parse(t, fmt.Sprintf(`{"receipt_id":"r_%06d","type":"model_call","timestamp":"2026-01-15T10:00:00.%06d+00:00","schema_version":"3.0","seq":%d,`+
			`"_trace_id":"run-small","_stored_at":"2026-01-15T10:00:00.000000+00:00","_store_seq":%d,"provider":"openai","model_id":"gpt-4o","input_tokens":%d,"output_tokens":%d,`+
			`"latency_ms":%d,"finish_reason":"stop","error":null,"input_hash":"%016x","output_hash":"%016x","message_count":2,"integration_source":"assay.integrations.openai","callsite_id":"0123456789ab"}`,
			i, i, i, i, rng.IntN(1000), rng.IntN(1000), rng.IntN(10000), rng.Uint64(), rng.Uint64()))
	}
	s.Cards = append(s.Cards, claim.BuiltinCards()[2:5]...)
	return s
}

func BenchmarkVerify10000(b *testing.B) {
	p := mustBuild(b, manyReceipts(b, 10000))
	b.SetBytes(int64(len(p.file(manifest.ReceiptsName))))
	b.ReportAllocs()
	for b.Loop() {
		if r := mustVerify(b, p.FS(), Options{}); r.ExitCode() != 0 {
			b.Fatal(r.Findings)
		}
	}
}

func BenchmarkBuild10000(b *testing.B) {
	s := manyReceipts(b, 10000)
	b.ReportAllocs()
	for b.Loop() {
		mustBuild(b, s)
	}
}

func BenchmarkVerifyManifest(b *testing.B) {
	text := mustBuild(b, smallSpec(b)).file(manifest.Name)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, findings := manifest.Verify(text); len(findings) > 0 {
			b.Fatal(findings)
		}
	}
}
