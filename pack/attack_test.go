package pack

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// Each test here is an attack of the threat model, by its id. The attacker may hold a key that nobody
// knows to be bad: where a lie needs a signature, it has one.

// finds reports whether a finding is of that code.
func finds(r *Result, code string) bool {
	return slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Code == code })
}

// wantCode is wantTampered with a finding of that code.
func wantCode(t *testing.T, what, code string, files memoryFS) {
	t.Helper()
	if r := wantTampered(t, what, files); !finds(r, code) {
		t.Errorf("%s: no %s: %v", what, code, r.Findings)
	}
}

// plainPack is two receipts and no claims, so that receipts may be anything; the lines are for withReceipts.
func plainPack(t testing.TB) (files memoryFS, first, second string) {
	s := smallSpec(t)
	s.Cards = nil
	first = `{"receipt_id":"r_000000","schema_version":"3.0","seq":0,"timestamp":"2026-01-15T10:00:00.000000+00:00","type":"model_call"}`
	second = `{"n":NUMBER,"receipt_id":"r_000001","schema_version":"3.0","seq":1,"t":"TEXT","timestamp":"2026-01-15T10:00:01.000000+00:00","type":"guardian_verdict"}`
	return mustBuild(t, s).FS().(memoryFS), first, second
}

// withLine packs the first line and the second with its number and text replaced.
func withLine(t testing.TB, number, text string) memoryFS {
	files, first, second := plainPack(t)
	return withReceipts(t, files, first+"\n"+strings.Replace(strings.Replace(second, "NUMBER", number, 1), "TEXT", text, 1)+"\n")
}

func TestThePacksOfTheseAttacksPassWithoutThem(t *testing.T) {
	if r := mustVerify(t, withLine(t, "1", "x"), Options{Now: builtAt}); r.ExitCode() != 0 {
		t.Fatalf("the forger cannot forge: %v", r.Findings)
	}
}

func TestAtk_P01_NoMemberStandsTwice(t *testing.T) {
	changeEveryMember(t, "twice", "twice, first another")
	files := smallPack(t)
	text := string(files[manifest.Name])
	for name := range strings.SplitSeq("signer_id attestation signature files pack_root_sha256", " ") {
		for what, spelled := range map[string]string{"plain": name, "escaped": fmt.Sprintf(`\u%04x%s`, name[0], name[1:]), "upper escaped": fmt.Sprintf(`\u%04X%s`, name[0], name[1:])} {
			member := fmt.Sprintf(`"%s": "x"`, spelled)
			changed := maps.Clone(files)
			changed[manifest.Name] = []byte("{" + member + "," + text[1:]) // U5: by anybody, no key needed
			wantCode(t, name+" in front, "+what, manifest.CodeCanonMismatch, changed)
			changed[manifest.Name] = []byte(text[:len(text)-1] + "," + member + "}")
			wantCode(t, name+" behind, "+what, manifest.CodeCanonMismatch, changed)
		}
	}
	for what, number := range map[string]string{"nested": `{"a":1,"a":1}`, "deep": `[[{"a":{"b":1,"b":2}}]]`, "escaped": `{"a":1,"\u0061":1}`} {
		wantCode(t, what+" in a receipt", manifest.CodeCanonMismatch, withLine(t, number, "x"))
	}
	m, report := jcstest.Parse(t, text), jcstest.Parse(t, string(files[manifest.ReportName]))
	for _, path := range jcstest.MemberPaths(report, "") {
		changed := maps.Clone(files)
		changed[manifest.ReportName] = jcstest.Plain(jcstest.Edit(report, path, func(ms []jcs.Member, i int) []jcs.Member { return append(ms, ms[i]) }))
		if path == "pack_root_sha256" {
			continue // resign writes it, once
		}
		wantCode(t, path+" twice in the report", manifest.CodeCanonMismatch, resign(t, changed, m, testSigner))
	}
}

func TestAtk_P02_NoMemberNameIsFolded(t *testing.T) {
	changeEveryMember(t, "upper", "title", "long s", "kelvin", "as extra")
}

func TestAtk_P03_NullIsNotAbsent(t *testing.T) { changeEveryMember(t, "null") }

func TestAtk_P05_TextThatIsNotUnicodeIsRefused(t *testing.T) {
	files := smallPack(t)
	for what, bad := range map[string]string{
		"FF": "\xff", "FE": "\xfe", "a lone continuation": "\x80", "a cut sequence": "\xe2\x82", "overlong slash": "\xc0\xaf", "overlong NUL": "\xc0\x80",
		"long overlong": "\xe0\x80\xaf", "CESU-8": "\xed\xa0\xbd\xed\xb8\x80", "a raw surrogate": "\xed\xa0\x80", "beyond U+10FFFF": "\xf4\x90\x80\x80",
		"five bytes": "\xf8\x88\x80\x80\x80", "high surrogate": `\ud800`, "low surrogate": `\udc00`, "reversed pair": `\udc00\ud800`, "two high": `\ud800\ud800`, "cut escape": `\ud83d\u`,
	} {
		wantTampered(t, what+" in a value of a receipt", withLine(t, "1", "x"+bad))
		wantTampered(t, what+" in a name of a receipt", withLine(t, `{"`+bad+`":1}`, "x"))
		for _, name := range []string{manifest.Name, manifest.ReportName} {
			text := files[name]
			for where, broken := range map[string][]byte{
				"a value": bytes.Replace(text, []byte(`"run-small`), []byte(`"run-small`+bad), 1),
				"a name":  bytes.Replace(text, []byte(`"run_id`), []byte(`"run_id`+bad), 1),
			} {
				changed := maps.Clone(files)
				changed[name] = broken
				if name == manifest.ReportName {
					changed = resign(t, changed, jcstest.Parse(t, string(files[manifest.Name])), testSigner)
				}
				wantTampered(t, fmt.Sprintf("%s in %s of %s", what, where, name), changed)
			}
		}
	}
}

func TestAtk_P06_NumbersHaveOneSpellingAndOneValue(t *testing.T) {
	files := smallPack(t)
	for literal := range strings.SplitSeq(`1e400 -1e400 1E400 1e-400 -0 -0.0 0.0 1.0 1e0 1e2 1e21 1E+21 1e+21 1.0E21 1.50 0.10 00 01 -01 +1 .5 5. 1.e1 1e 1e+ 0x10 0b1 0o7 1_000 1,000 NaN nan Infinity -Infinity inf 1f 1n ١ `+
		`１ 0.30000000000000000001 9007199254740993.0 123456789012345678901234567890.0 -`, " ") {
		wantTampered(t, literal+" in a receipt", withLine(t, literal, "x"))
	}
	wantTampered(t, "5,000 digits", withLine(t, strings.Repeat("9", 5000), "x"))
	for literal := range strings.SplitSeq("0 7 -1 9007199254740993 1234567890123456789012345678901234567890 0.1 1.5E-9 1E21 -2.5 0.3", " ") {
		if r := mustVerify(t, withLine(t, literal, "x"), Options{Now: builtAt}); r.ExitCode() != 0 {
			t.Errorf("%s in a receipt: %v", literal, r.Findings)
		}
	}
	// In a manifest only plain counts from 0 to 2^53-1 are numbers.
	text := string(files[manifest.Name])
	for literal := range strings.SplitSeq("-1 -0 2.0 2e0 2E0 02 +2 1e400 9007199254740992 18446744073709551616 99999999999999999999 NaN 0x2 true", " ") {
		for _, name := range []string{"n_receipts", "receipt_count_expected", "bytes", "fingerprint_version"} {
			at := regexp.MustCompile(`"` + name + `": [0-9]+`)
			changed := maps.Clone(files)
			changed[manifest.Name] = []byte(at.ReplaceAllString(text, `"`+name+`": `+literal))
			wantTampered(t, name+" "+literal, changed)
		}
	}
	// Values that a double makes one have two heads.
	for _, pair := range [][2]string{{"9007199254740993", "9007199254740992"}, {"123456789012345678901", "123456789012345678902"}} {
		a, b := withLine(t, pair[0], "x"), withLine(t, pair[1], "x")
		x, y := mustVerify(t, a, Options{Now: builtAt}).Manifest, mustVerify(t, b, Options{Now: builtAt}).Manifest
		if x.Attestation.HeadHash == y.Attestation.HeadHash || x.Digest() == y.Digest() {
			t.Errorf("%s and %s are one", pair[0], pair[1])
		}
	}
}

// TestAtk_P07 gives every reader of documents a million open brackets, and objects as deep.
func TestAtk_P07_AMillionOpenBracketsAreRefusedAtOnce(t *testing.T) {
	files := smallPack(t)
	m := jcstest.Parse(t, string(files[manifest.Name]))
	inPack := func(name string) func(text []byte) error {
		return func(text []byte) error {
			changed := maps.Clone(files)
			changed[name] = text
			if name != manifest.Name {
				changed = resign(t, changed, m, testSigner)
			}
			r, err := Verify(changed, Options{Now: builtAt})
			if err != nil {
				return nil // the error that is wanted is a finding
			}
			if r.ExitCode() == 2 {
				return fmt.Errorf("%v", r.Findings)
			}
			if name == manifest.CardsName && warns(r, manifest.WarnSidecar) {
				return fmt.Errorf("%v", r.Warnings)
			}
			return nil
		}
	}
	readers := map[string]func(text []byte) error{
		"manifest": inPack(manifest.Name), "report": inPack(manifest.ReportName), "receipts": inPack(manifest.ReceiptsName), "sidecar": inPack(manifest.CardsName),
		"jcs.Parse": func(text []byte) error { _, err := jcs.Parse(text, jcs.Limits{Bytes: 1 << 24}); return err },
		"jcs.Pack":  func(text []byte) error { _, err := jcs.Pack(nil, text, jcs.Limits{Bytes: 1 << 24}); return err },
		"jcs.IsPackLine": func(text []byte) error {
			_, _, err := jcs.IsPackLine(text, jcs.Limits{Bytes: 1 << 24, Depth: 512})
			return err
		},
		"jcs.RFC8785": func(text []byte) error { _, err := jcs.RFC8785(text, jcs.Limits{Bytes: 1 << 24}); return err },
		"VerifyManifest": func(text []byte) error {
			if _, findings := manifest.Verify(text); len(findings) > 0 {
				return fmt.Errorf("%v", findings)
			}
			return nil
		},
		"ParseCard":         func(text []byte) error { _, err := claim.ParseCard(text); return err },
		"ParseLock":         func(text []byte) error { _, err := lock.Parse(text); return err },
		"ParseContract":     func(text []byte) error { _, err := claim.ParseContract(text); return err },
		"ParseEntry":        func(text []byte) error { _, err := entry.Parse(text); return err },
		"trust.ParsePolicy": func(text []byte) error { _, err := trust.ParsePolicy(text); return err },
	}
	for what, deep := range map[string]string{
		"lists": strings.Repeat("[", 1000000), "closed lists": strings.Repeat("[", 500000) + strings.Repeat("]", 500000),
		"objects": strings.Repeat(`{"a":`, 200000), "closed objects": strings.Repeat(`{"a":`, 150000) + "1" + strings.Repeat("}", 150000),
		"in an object": `{"a":` + strings.Repeat("[", 900000) + strings.Repeat("]", 90000) + "}", "mixed": strings.Repeat(`[{"a":`, 150000),
		"513": strings.Repeat("[", 513) + strings.Repeat("]", 513),
	} {
		for name, read := range readers {
			began := time.Now()
			if err := read([]byte(deep)); err == nil {
				t.Errorf("%s: %s are read", name, what)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("%s: %s took %s", name, what, took)
			}
		}
	}
}

// endlessFS gives one file of a pack a size and text without end, and counts what is read of it.
type endlessFS struct {
	memoryFS
	name string
	text string
	size int64
	read *int64
	heap *uint64 // the most that was in use while it was read
}

func (e endlessFS) Open(name string) (fs.File, error) {
	f, err := e.memoryFS.Open(name)
	if err != nil || name != e.name {
		return f, err
	}
	return &endlessFile{File: f, e: e}, nil
}

func (e endlessFS) Lstat(name string) (fs.FileInfo, error) { return fs.Stat(e.memoryFS, name) }
func (e endlessFS) ReadLink(string) (string, error)        { return "", fs.ErrInvalid }

type endlessFile struct {
	fs.File
	e  endlessFS
	at int64
}

func (f *endlessFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return endlessInfo{info, f.e.size}, err
}

type endlessInfo struct {
	fs.FileInfo
	size int64
}

func (i endlessInfo) Size() int64 { return min(i.size, 1<<62) }

func (f *endlessFile) Read(p []byte) (int, error) {
	if f.at >= f.e.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), f.e.size-f.at)]
	for n := 0; n < len(p); {
		n += copy(p[n:], f.e.text[(f.at+int64(n))%int64(len(f.e.text)):])
	}
	f.at += int64(len(p))
	*f.e.read += int64(len(p))
	var stats runtime.MemStats
	if f.at%(1<<20) < int64(len(p)) {
		runtime.ReadMemStats(&stats)
		*f.e.heap = max(*f.e.heap, stats.HeapAlloc)
	}
	return len(p), nil
}

// PCK-3, VFY-9
func TestAtk_P08_EndlessFilesTakeBoundedTimeAndMemory(t *testing.T) {
	files := smallPack(t)
	keys := new(strings.Builder)
	for i := range 1000000 {
		fmt.Fprintf(keys, `"k%07d":1,`, i)
	}
	for _, c := range []struct {
		what, name, text string
		size, read       int64 // read: the most that may be looked at
	}{
		// The receipts are hashed to their end, whatever they are; nothing of them is kept.
		{"a line of a quarter of a gibibyte", manifest.ReceiptsName, "a", 1 << 28, 1 << 28},
		{"brackets of a quarter of a gibibyte", manifest.ReceiptsName, "[", 1 << 28, 1 << 28},
		{"receipts that say they are five gibibytes", manifest.ReceiptsName, "a", 5 << 30, 0},
		{"ten million lines", manifest.ReceiptsName, "{}\n", 30000000, 30000000},
		{"ten million empty lines", manifest.ReceiptsName, "\n", 10000000, 10000000},
		{"a manifest of a gibibyte", manifest.Name, " ", 1 << 30, 2 << 20},
		{"a million keys", manifest.Name, "{" + keys.String(), 1 << 24, 2 << 20},
		{"a report of a gibibyte", manifest.ReportName, "[", 1 << 30, 20 << 20},
		{"a transcript of a gibibyte", manifest.TranscriptName, "x", 1 << 30, 20 << 20},
		{"a signature of a gibibyte", manifest.SignatureName, "x", 1 << 30, 20 << 20},
	} {
		if (testing.Short() || racetest.Enabled) && c.read > 0 {
			c.size = min(c.size, 1<<22+c.size/64)
		}
		var read int64
		var heap uint64
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		r := mustVerify(t, endlessFS{files, c.name, c.text, c.size, &read, &heap}, Options{Now: builtAt})
		if r.ExitCode() != 2 || len(r.Findings) == 0 {
			t.Errorf("%s: exit %d", c.what, r.ExitCode())
		}
		if read > c.read {
			t.Errorf("%s: %d bytes were read, at most %d are needed", c.what, read, c.read)
		}
		if limit := before.HeapAlloc + 192<<20; heap > limit {
			t.Errorf("%s: %d MiB of memory", c.what, heap>>20)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: took %s", c.what, took)
		}
	}
}

// PCK-6
func TestAtk_P09_LinesEndWithOneLineFeed(t *testing.T) {
	files, first, second := plainPack(t)
	second = strings.Replace(strings.Replace(second, "NUMBER", "1", 1), "TEXT", "x", 1)
	for what, text := range map[string]string{
		"CRLF": first + "\r\n" + second + "\r\n", "CR": first + "\r" + second + "\r", "one CRLF": first + "\n" + second + "\r\n", "mark": "\ufeff" + first + "\n" + second + "\n",
		"mark inside": first + "\n\ufeff" + second + "\n", "NEL": first + "\u0085" + second + "\n", "LS": first + "\u2028" + second + "\n", "PS": first + "\u2029" + second + "\n",
		"VT": first + "\v\n" + second + "\n", "FF": first + "\f" + second + "\n", "FS": first + "\x1c" + second + "\n", "blank first": "\n" + first + "\n" + second + "\n",
		"blank between": first + "\n\n" + second + "\n", "blank last": first + "\n" + second + "\n\n", "no end": first + "\n" + second, "space": first + "\n" + second + " \n",
		"tab": first + "\n\t" + second + "\n", "UTF-16": "\xff\xfe" + first + "\n" + second + "\n", "NUL": first + "\x00\n" + second + "\n",
	} {
		wantTampered(t, what, withReceipts(t, files, text))
	}
	for what, text := range map[string]string{"U+2028": "\u2028", "U+2029": "\u2029", "U+0085": "\u0085", "all": "a\u2028b\u2029c\u0085d", "escaped": `\u2028\u2029\u0085`,
		"controls": `\u0000\u001c\u001d\u001e\r\n\f\u000b`} {
		if r := mustVerify(t, withLine(t, "1", text), Options{Now: builtAt}); r.ExitCode() != 0 {
			t.Errorf("an honest receipt holds %s: %v", what, r.Findings)
		}
	}
	s := smallSpec(t)
	s.Receipts[0] = jcs.Obj(append(slices.Clone(s.Receipts[0].Members), jcs.M("note", jcs.Str("a\u2028b\u2029c\u0085d\r\v\f\x1c")))...)
	if r := mustVerify(t, mustBuild(t, s).FS(), Options{Now: builtAt}); r.ExitCode() != 0 || len(r.Warnings) > 0 {
		t.Errorf("a built pack with line separators: %v %v", r.Findings, r.Warnings)
	}
}

func TestAtk_P10_NothingStandsBehindADocument(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	for _, tail := range []string{"\x00", "\x00\x00\x00", "{}", "[]", "null", "x", "]", "}", ",", "\f", "\v", "\u00a0", "\ufeff", "//", "/**/", "\xff"} {
		for _, name := range []string{manifest.Name, manifest.ReportName} {
			changed := maps.Clone(files)
			changed[name] = append(bytes.Clone(files[name]), tail...)
			if name == manifest.ReportName {
				changed = resign(t, changed, text, testSigner)
			}
			wantTampered(t, fmt.Sprintf("%q behind %s", tail, name), changed)
		}
	}
}

// VFY-13
func TestAtk_P11_NoNameLeadsOutOfThePack(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	entries, names := form.Get(text, "files").Items, form.Get(text, "expected_files").Items
	for _, name := range []string{"../" + manifest.ReceiptsName, "..", "../../etc/passwd", "/etc/passwd", "//etc/passwd", ".", "./" + manifest.ReceiptsName, "x/../" + manifest.ReceiptsName, "x/../../y", "a\\b",
		`..\` + manifest.ReceiptsName, "C:" + manifest.ReceiptsName, `C:\x`, manifest.ReceiptsName + "\x00", manifest.ReceiptsName + "/", manifest.ReceiptsName + ".", manifest.ReceiptsName + " ", strings.ToUpper(manifest.ReceiptsName), "RECEIPT_pack.jsonl",
		"receipt\u200b_pack.jsonl", "receipt_pack.json\u04cf", "file:///etc/passwd", "~/.ssh/id_ed25519", "_unsigned/" + manifest.ReceiptsName, manifest.Name, "CON", manifest.ReceiptsName + ":$DATA"} {
		changed := slices.Clone(entries)
		changed[0] = jcstest.Set(entries[0], "path", jcs.Str(name))
		wantTampered(t, fmt.Sprintf("files %q", name), resign(t, files, jcstest.Set(text, "files", jcs.Arr(changed...)), testSigner, "files"))
		more := slices.Clone(names)
		more[0] = jcs.Str(name)
		wantTampered(t, fmt.Sprintf("expected_files %q", name), resign(t, files, jcstest.Set(text, "expected_files", jcs.Arr(more...)), testSigner, "expected_files"))
		wantTampered(t, fmt.Sprintf("also expected_files %q", name), resign(t, files, jcstest.Set(text, "expected_files", jcs.Arr(append(slices.Clone(names), jcs.Str(name))...)), testSigner, "expected_files"))
	}
}

func TestAtk_P13_AFileThatChangesBetweenTwoReadsIsReadOnce(t *testing.T) {
	files := smallPack(t)
	for _, name := range manifest.FileNames() {
		evil := bytes.Clone(files[name])
		evil[len(evil)/2] ^= 1
		for _, versions := range [][2][]byte{{files[name], evil}, {evil, files[name]}} {
			opened := 0
			r := mustVerify(t, flippingFS{files, name, versions, &opened}, Options{Now: builtAt})
			want := 0
			if bytes.Equal(versions[0], evil) {
				want = 2
			}
			if opened != 1 || r.ExitCode() != want {
				t.Errorf("%s: opened %d times, exit %d, want %d", name, opened, r.ExitCode(), want)
			}
		}
	}
}

// flippingFS gives another version of one file each time it is opened.
type flippingFS struct {
	memoryFS
	name     string
	versions [2][]byte
	opened   *int
}

func (f flippingFS) Open(name string) (fs.File, error) {
	if name != f.name {
		return f.memoryFS.Open(name)
	}
	*f.opened++
	return memoryFS{name: f.versions[(*f.opened-1)%2]}.Open(name)
}

func (f flippingFS) Lstat(name string) (fs.FileInfo, error) { return fs.Stat(f.memoryFS, name) }
func (f flippingFS) ReadLink(string) (string, error)        { return "", fs.ErrInvalid }

func TestAtk_P14_AnArchiveIsNotAPack(t *testing.T) {
	for name, text := range map[string]string{"pack.zip": "PK\x03\x04", "pack.tar.gz": "\x1f\x8b\x08", "pack.tar": strings.Repeat("\x00", 1024)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := DirFS(path); err == nil {
			t.Errorf("%s opens", name)
		}
	}
}

// edgeKeys are the encodings of the points of small order, with and without the sign bit.
func edgeKeys(t *testing.T) (keys [][]byte) {
	t.Helper()
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		key, err := hex.DecodeString(y)
		if err != nil {
			t.Fatal(err)
		}
		signed := bytes.Clone(key)
		signed[31] ^= 0x80
		keys = append(keys, key, signed)
	}
	return keys
}

func attestationIn(t testing.TB, text jcs.Value) manifest.Attestation {
	t.Helper()
	a, err := manifest.AttestationOf(form.Get(text, "attestation"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// withKey is a pack that says it was signed by that key with that signature.
func withKey(t *testing.T, key, signature []byte) memoryFS {
	t.Helper()
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	text = jcstest.Set(text, "signer_pubkey", jcs.Str(base64.StdEncoding.EncodeToString(key)))
	text = jcstest.Set(text, "signer_pubkey_sha256", jcs.Str(form.HexSum(key)))
	text = jcstest.Set(text, "signature", jcs.Str(base64.StdEncoding.EncodeToString(signature)))
	files[manifest.Name], files[manifest.SignatureName] = jcstest.Plain(text), signature
	return files
}

func TestAtk_P16_OnlyAnHonestKeySigns(t *testing.T) {
	accepted := 0
	for _, key := range edgeKeys(t) {
		for _, r := range edgeKeys(t) {
			signature := append(bytes.Clone(r), make([]byte, 32)...)
			files := withKey(t, key, signature)
			message, err := jcs.AppendPack(nil, manifest.Unsigned(jcstest.Parse(t, string(files[manifest.Name]))))
			if err != nil {
				t.Fatal(err)
			}
			if ed25519.Verify(key, message, signature) {
				accepted++
			}
			wantCode(t, fmt.Sprintf("key %x, R %x", key, r), manifest.CodePackSignature, files)
		}
	}
	if accepted == 0 {
		t.Error("the standard library takes none of these signatures: they prove nothing here")
	}
}

// TestAtk_P16_NoEdgeVectorSignsAPack puts the keys and signatures of C2SP/CCTV into packs.
func TestAtk_P16_NoEdgeVectorSignsAPack(t *testing.T) {
	text, err := os.ReadFile("../../shared/vectors/third-party/ed25519-cctv/ed25519vectors.json")
	if err != nil {
		t.Skipf("SKIPPED: the C2SP CCTV vectors are not here: %v", err)
	}
	var vectors []struct {
		Number   int
		Key, Sig string
		Flags    []string
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) < 900 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for _, v := range vectors {
		key, err1 := hex.DecodeString(v.Key)
		signature, err2 := hex.DecodeString(v.Sig)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		wantCode(t, fmt.Sprintf("vector %d", v.Number), manifest.CodePackSignature, withKey(t, key, signature))
	}
}

func TestAtk_P17_AnotherKeyIsSeenUnderALockOrAListOfSigners(t *testing.T) {
	files := smallPack(t)
	manifest := jcstest.Parse(t, string(files[manifest.Name]))
	honest, other := form.Digest(form.HexSum(testSigner.Public())), form.Digest(form.HexSum(otherSigner.Public()))
	swapped := resign(t, files, manifest, otherSigner) // signer_id stays test-signer
	cards := claim.BuiltinCards()
	locked := func(signers lock.Signers) *lock.Lock {
		l, err := lock.New(lock.Spec{Cards: []claim.Card{cards[1], cards[0]}, Signers: signers, At: builtAt})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for what, c := range map[string]struct {
		o      Options
		exit   int
		pinned bool
	}{
		"nobody asks":     {Options{}, 0, false},
		"trusted signers": {Options{TrustedSigners: lock.Only(honest)}, 2, false},
		"a lock":          {Options{Lock: locked(lock.Only(honest))}, 2, false},
		"a lock of any":   {Options{Lock: locked(lock.Signers{})}, 0, false},
		"it is the other": {Options{TrustedSigners: lock.Only(honest, other)}, 0, true},
		"lock of both":    {Options{Lock: locked(lock.Only(honest, other))}, 0, true},
	} {
		c.o.Now = builtAt
		r := mustVerify(t, swapped, c.o)
		if r.ExitCode() != c.exit || r.Signer.Pinned != c.pinned || r.Integrity != Pass {
			t.Errorf("%s: exit %d, pinned %v, integrity %s: %v", what, r.ExitCode(), r.Signer.Pinned, r.Integrity, r.Lock.Findings)
		}
	}
}

func TestAtk_P18_AFactToldTwiceIsToldAlike(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	report := jcstest.Parse(t, string(files[manifest.ReportName]))
	zeros := jcs.Str(strings.Repeat("0", 64))
	for path, to := range map[string]jcs.Value{
		"pack_id": jcs.Str("x"), "attestation.pack_id": jcs.Str("x"), "suite_hash": zeros, "attestation.suite_hash": zeros,
		"claim_set_id": jcs.Str("x"), "attestation.claim_set_id": jcs.Str("x"), "claim_set_hash": zeros, "attestation.claim_set_hash": zeros,
		"receipt_count_expected": jcs.Int(3), "attestation.n_receipts": jcs.Int(3), "attestation_sha256": zeros, "pack_root_sha256": zeros,
		"signer_pubkey_sha256": zeros, "attestation.run_id": jcs.Str("x"), "attestation.policy_hash": zeros,
	} {
		wantCode(t, path, map[bool]string{false: manifest.CodeManifestTamper, true: manifest.CodePackSignature}[path == "signer_pubkey_sha256"], resign(t, files, jcstest.Set(text, path, to), testSigner, path))
	}
	for path, to := range map[string]jcs.Value{"pack_id": jcs.Str("x"), "run_id": jcs.Str("x"), "receipt_count": jcs.Int(3), "head_hash": zeros,
		"expectations.claim_set_hash": zeros, "expectations.claim_set_id": jcs.Str("x"), "expectations.policy_sha256": zeros} {
		changed := maps.Clone(files)
		changed[manifest.ReportName] = jcstest.Plain(jcstest.Set(report, path, to))
		wantCode(t, "report "+path, manifest.CodeManifestTamper, resign(t, changed, text, testSigner))
	}
}

func TestAtk_P19_WhatIsMissingIsNotWeaker(t *testing.T) { changeEveryMember(t, "deleted", "empty") }

// PCK-10
func TestAtk_P20_WhatIsUnknownIsNotSkipped(t *testing.T) {
	changeEveryMember(t, "extra", "as extra")
	// A file that nothing covers decides nothing: it is named in a warning, whatever kind it is (PCK-2, VFY-14).
	files := smallPack(t)
	for what, place := range map[string]func(path string) error{
		"file": func(path string) error { return os.WriteFile(path, []byte("x"), 0o644) }, "folder": func(path string) error { return os.Mkdir(path, 0o755) },
		"link": func(path string) error { return os.Symlink("/etc/passwd", path) }, "fifo": mkfifo,
	} {
		dir := writePack(t, files)
		if err := place(filepath.Join(dir, "extra")); err != nil {
			t.Logf("%s: cannot be made here: %v", what, err)
			continue
		}
		if r := verifyDir(t, dir, Options{Now: builtAt}); r.ExitCode() != 0 || !warns(r, manifest.WarnExtraFile) {
			t.Errorf("%s: exit %d, warnings %v", what, r.ExitCode(), r.Warnings)
		}
	}
}

// PCK-16
func TestAtk_P21_FilesListsEachFileOnceAndInOrder(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	entries := form.Get(text, "files").Items
	// Every sequence of up to four of the three entries but the right one.
	var try func(chosen []jcs.Value)
	n := 0
	try = func(chosen []jcs.Value) {
		if right := len(chosen) == 3 && slices.EqualFunc(chosen, entries, func(a, b jcs.Value) bool { return form.Str(a, "path") == form.Str(b, "path") }); !right {
			wantTampered(t, fmt.Sprintf("%d files", len(chosen)), resign(t, files, jcstest.Set(text, "files", jcs.Arr(chosen...)), testSigner, "files"))
			n++
		}
		if len(chosen) < 4 {
			for _, e := range entries {
				try(append(slices.Clone(chosen), e))
			}
		}
	}
	try(nil)
	if n != 1+3+9+27+81-1 {
		t.Errorf("%d sequences", n)
	}
	// U1: the receipts are in no entry, and somebody rewrites them after signing.
	omitted := resign(t, files, jcstest.Set(text, "files", jcs.Arr(entries[1], entries[1], entries[2])), testSigner, "files")
	omitted[manifest.ReceiptsName] = bytes.Replace(omitted[manifest.ReceiptsName], []byte(`"3.0"`), []byte(`"9.9"`), 1)
	wantCode(t, "U1", manifest.CodeManifestTamper, omitted)
}

func TestAtk_P22_TimesAreStrictAndBoundToTheReceipts(t *testing.T) {
	files, first, second := plainPack(t)
	second = strings.Replace(strings.Replace(second, "NUMBER", "1", 1), "TEXT", "x", 1)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	for _, at := range []string{"2026-01-15T10:00:00", "2026-01-15t10:00:00z", "2026-01-15 10:00:00Z", "2026-01-15T24:00:00Z", "2026-01-15T10:00:60Z", "2026-02-30T10:00:00Z", "0000-01-01T00:00:00Z",
		"10000-01-01T00:00:00Z", "2026-01-15T10:00:00+24:00", "2026-01-15T10:00:00,5Z", "2026-01-15T10:00:00.Z", "2026-01-15T10:00Z", "yesterday", "", "1768471200", "2026-01-15T10:00:00Z\n",
		"2999-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2026-01-15T10:00:00Z", "2026-01-15T11:00:00.000000+01:00"} {
		for _, name := range []string{"attestation.timestamp_start", "attestation.timestamp_end"} {
			wantTampered(t, name+" "+at, resign(t, files, jcstest.Set(text, name, jcs.Str(at)), testSigner, name))
		}
	}
	for at, code := range map[string]string{"yesterday": manifest.CodeTimestampInvalid, "2026-01-15T10:00:60Z": manifest.CodeTimestampInvalid, "2026-01-15T10:00:01z": manifest.CodeTimestampInvalid, "2026-13-01": manifest.CodeTimestampInvalid, "": manifest.CodeSchemaUnknown,
		"2099-01-15T10:00:01+00:00": manifest.CodeManifestTamper, "2023-07-30T10:00:01+00:00": manifest.CodeManifestTamper, "2026-01-15T10:00:01Z": manifest.CodeManifestTamper} {
		line := strings.Replace(second, "2026-01-15T10:00:01.000000+00:00", at, 1)
		wantCode(t, "a receipt of "+at, code, withReceipts(t, files, first+"\n"+line+"\n"))
	}
	for _, at := range []string{"true", "7", "null", `["2026-01-15T10:00:01.000000+00:00"]`} {
		line := strings.Replace(second, `"2026-01-15T10:00:01.000000+00:00"`, at, 1)
		wantCode(t, "a receipt of "+at, manifest.CodeSchemaUnknown, withReceipts(t, files, first+"\n"+line+"\n"))
	}
	for _, c := range []struct {
		now  time.Time
		age  time.Duration
		exit int
	}{
		{builtAt, 0, 0}, {builtAt, 3 * time.Hour, 0}, {builtAt, time.Hour, 2}, {builtAt.AddDate(2, 0, 0), 0, 0}, {builtAt.AddDate(2, 0, 0), 900 * 24 * time.Hour, 0},
		{builtAt.AddDate(3, 0, 0), 900 * 24 * time.Hour, 2}, {builtAt.AddDate(-1, 0, 0), 0, 2}, {time.Time{}, time.Hour, 2},
	} {
		if r := mustVerify(t, files, Options{Now: c.now, MaxAge: c.age}); r.ExitCode() != c.exit {
			t.Errorf("now %s, max age %s: exit %d, want %d: %v", c.now, c.age, r.ExitCode(), c.exit, r.Findings)
		}
	}
}

// VFY-2
func TestAtk_P24_WhatAPackSaysIsShownEscaped(t *testing.T) {
	files := smallPack(t)
	manifest := jcstest.Parse(t, string(files[manifest.Name]))
	hostile := []string{"\x1b[2J\x1b[H", "\x1b]0;PASS\x07", "\rverdict    exit 0: pass", "\nverdict    exit 0: pass", "\u009b31m", "\u202egnp.exe", "\u2066x\u2069", "\u200b", "\ufeff", "\x7f", "\x00",
		"\b\b\b\bPASS", "\v", "\f", "\u2028verdict", "\u0085verdict", "<script>alert(1)</script>", "</pre><b>PASS", "[bold green]PASS[/]", "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1", "|x|", "`x`", "](javascript:alert(1))",
		"\U000e0041", "\u00ad", "\u061c", strings.Repeat("A", 100000), "%s%n", "\\u{1b}"}
	for _, text := range hostile {
		for _, path := range jcstest.MemberPaths(manifest, "") {
			if member := valueAt(manifest, path); member.Kind != jcs.String {
				continue
			}
			r := mustVerify(t, resign(t, files, jcstest.Set(manifest, path, jcs.Str(text)), testSigner, path), Options{Now: builtAt})
			checkSane(t, r)
		}
		escaped := string(jcstest.Plain(jcs.Str(text)))
		for _, line := range []string{`{"receipt_id":` + escaped + `,"timestamp":` + escaped + `,"type":` + escaped + `}`, `{` + escaped + `:1}`, escaped} {
			checkSane(t, mustVerify(t, withReceipts(t, files, line+"\n"), Options{Now: builtAt}))
		}
	}
}

func valueAt(v jcs.Value, path string) jcs.Value {
	for name := range strings.SplitSeq(path, ".") {
		v = form.Get(v, name)
	}
	return v
}

// TestAtk_P25 changes packs at random, with the key and without: whatever comes of it, the exit code is 0
// or 2, and 1 only for an intact pack whose claims are required.
// VFY-81
func TestAtk_P25_NoPackCrashesTheVerifierOrExitsOneByAccident(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = s.Receipts[1:] // one claim fails
	files := mustBuild(t, s).FS().(memoryFS)
	m, names := jcstest.Parse(t, string(files[manifest.Name])), slices.Sorted(maps.Keys(files))
	rng := rand.New(rand.NewPCG(25, 25))
	bits := []string{"[", "]", "{", "}", `"`, ",", ":", "null", "true", "1e400", `\ud800`, "\n", "\r", "\x00", "\xff", "-", "0", `{"a":1}`, "[[[[", "\u2028"}
	rounds := 5000
	if testing.Short() || racetest.Enabled {
		rounds = 1000
	}
	exits := map[int]int{}
	for range rounds {
		changed := maps.Clone(files)
		name := names[rng.IntN(len(names))]
		data := bytes.Clone(changed[name])
		for range 1 + rng.IntN(3) {
			i := rng.IntN(len(data) + 1)
			j := min(len(data), i+rng.IntN(20))
			data = slices.Concat(data[:i], []byte(bits[rng.IntN(len(bits))]), data[j:])
		}
		changed[name] = data
		if rng.IntN(2) == 0 && name != manifest.Name {
			changed = resign(t, changed, m, testSigner)
		}
		r, err := Verify(changed, Options{Now: builtAt, RequireClaims: rng.IntN(2) == 0})
		if err != nil {
			t.Fatal(err)
		}
		checkSane(t, r)
		exits[r.ExitCode()]++
	}
	if exits[2] < rounds/2 {
		t.Errorf("exits %v", exits)
	}
	for what, text := range map[string]string{"missing": "", "truncated": string(files[manifest.Name][:500]), "brackets": strings.Repeat("[", 100000), "bytes": "\xff\xfe", "surrogate": `{"pack_id":"\ud800"}`,
		"null": "null", "list": "[]", "true": "true", "number": "7"} {
		changed := maps.Clone(files)
		changed[manifest.Name] = []byte(text)
		if text == "" {
			delete(changed, manifest.Name)
		}
		r := mustVerify(t, changed, Options{Now: builtAt, RequireClaims: true})
		if r.ExitCode() != 2 {
			t.Errorf("a manifest that is %s: exit %d", what, r.ExitCode())
		}
	}
}

// changeEveryMember changes each member of a manifest in the ways given, signs it again and wants exit 2,
// except for what a signer may say in any words or leave out.
func changeEveryMember(t *testing.T, ways ...string) {
	t.Helper()
	s := smallSpec(t)
	s.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("a", 40), Repo: "acme/app", Ref: "main", RunID: "1", RunAttempt: "1", WorkflowRef: "w", Actor: "bot"}
	files := mustBuild(t, s).FS().(memoryFS)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	mayGo := regexp.MustCompile(`^attestation\.(ci_binding(\.(repo|ref|run_id|run_attempt|workflow_ref|actor))?|valid_until|superseded_by)$`)
	mayBeNull := regexp.MustCompile(`^attestation\.(ci_binding|valid_until|superseded_by)$`)
	paths := jcstest.MemberPaths(text, "")
	if len(paths) < 55 {
		t.Fatalf("only %d members", len(paths))
	}
	unchanged := resign(t, files, text, testSigner)[manifest.Name]
	bitten := 0
	for _, path := range paths {
		name := path[strings.LastIndexByte(path, '.')+1:]
		top, _, _ := strings.Cut(path, ".")
		changes := map[string]func([]jcs.Member, int) []jcs.Member{
			"deleted": func(ms []jcs.Member, i int) []jcs.Member { return slices.Delete(ms, i, i+1) },
			"null":    func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Value{}; return ms },
			"number":  func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Int(-1); return ms },
			"true":    func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Boolean(true); return ms },
			"list":    func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Arr(ms[i].Value); return ms },
			"empty":   func(ms []jcs.Member, i int) []jcs.Member { ms[i].Value = jcs.Str(""); return ms },
			"newline": func(ms []jcs.Member, i int) []jcs.Member {
				if ms[i].Value.Kind == jcs.String {
					ms[i].Value.Text += "\n"
				}
				return ms
			},
			"twice": func(ms []jcs.Member, i int) []jcs.Member { return append(ms, ms[i]) },
			"twice, first another": func(ms []jcs.Member, i int) []jcs.Member {
				return slices.Insert(ms, 0, jcs.M(name, jcs.Str("x")))
			},
			"upper": func(ms []jcs.Member, i int) []jcs.Member { ms[i].Name = strings.ToUpper(name); return ms },
			"title": func(ms []jcs.Member, i int) []jcs.Member {
				ms[i].Name = strings.ToUpper(name[:1]) + name[1:]
				return ms
			},
			"long s": func(ms []jcs.Member, i int) []jcs.Member {
				ms[i].Name = strings.Replace(name, "s", "\u017f", 1)
				return ms
			},
			"kelvin": func(ms []jcs.Member, i int) []jcs.Member {
				ms[i].Name = strings.Replace(name, "k", "\u212a", 1)
				return ms
			},
			"extra": func(ms []jcs.Member, i int) []jcs.Member { return append(ms, jcs.M("x_"+name, jcs.Value{})) },
			"as extra": func(ms []jcs.Member, i int) []jcs.Member {
				return append(ms, jcs.M(strings.ToUpper(name), ms[i].Value))
			},
		}
		for _, what := range ways {
			changed := jcstest.Edit(text, path, changes[what])
			forged := resign(t, files, changed, testSigner, top)
			r := mustVerify(t, forged, Options{Now: builtAt})
			if bytes.Equal(forged[manifest.Name], unchanged) {
				continue // no such letter in the name, no such text in the value
			}
			bitten++
			free := what == "deleted" && mayGo.MatchString(path) || what == "null" && mayBeNull.MatchString(path) ||
				what == "newline" && freeText.MatchString(path) ||
				what == "empty" && mayBeEmpty.MatchString(path)
			if free {
				if r.ExitCode() != 0 {
					t.Errorf("%s %s: exit %d, want 0: %v", path, what, r.ExitCode(), r.Findings)
				}
			} else if r.ExitCode() != 2 || len(r.Findings) == 0 {
				t.Errorf("%s %s: exit %d, want 2", path, what, r.ExitCode())
			}
		}
	}
	if bitten < 10*len(ways) {
		t.Fatalf("%d changes in %d ways", bitten, len(ways))
	}
}

// PCK-24
func TestAtk_P23_EveryAttestedValueLiedAboutIsTampering(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	zeros := jcs.Str(strings.Repeat("0", 64))
	for _, lie := range []struct {
		field string
		paths string
		to    jcs.Value
	}{
		{"pack_id", "pack_id", jcs.Str("pack_x")},
		{"pack_id", "attestation.pack_id", jcs.Str("pack_x")},
		{"verify_report.pack_id", "pack_id attestation.pack_id", jcs.Str("pack_x")},
		{"verify_report.run_id", "attestation.run_id", jcs.Str("run_x")},
		{"suite_hash", "suite_hash", zeros},
		{"suite_hash", "attestation.suite_hash", zeros},
		{"discrepancy_fingerprint", "suite_hash attestation.suite_hash", zeros},
		{"claim_set_id", "claim_set_id", jcs.Str("x")},
		{"claim_set_id", "attestation.claim_set_id", jcs.Str("x")},
		{"claim_set_hash", "claim_set_hash", zeros},
		{"claim_set_hash", "attestation.claim_set_hash", zeros},
		{"verify_report.claim_set_hash", "claim_set_hash attestation.claim_set_hash", zeros},
		{"verify_report.policy_sha256", "attestation.policy_hash", zeros},
		{"receipt_integrity", "attestation.receipt_integrity", jcs.Str("FAIL")},
		{"claim_check", "attestation.claim_check", jcs.Str("FAIL")},
		{"claim_check", "attestation.claim_check", jcs.Str("N/A")},
		{"discrepancy_fingerprint", "attestation.discrepancy_fingerprint", zeros},
		{"discrepancy_fingerprint", "attestation.discrepancy_fingerprint", jcs.Value{}},
		{"head_hash", "attestation.head_hash", zeros},
		{"n_receipts", "attestation.n_receipts", jcs.Int(3)},
		{"n_receipts", "receipt_count_expected", jcs.Int(3)},
		{"receipt_count_expected", "attestation.n_receipts receipt_count_expected", jcs.Int(10000)},
		{"timestamp_range", "attestation.timestamp_start", jcs.Str("2020-01-01T00:00:00+00:00")},
		{"timestamp_range", "attestation.timestamp_end", jcs.Str("2026-01-15T11:00:00+00:00")},
		{"timestamp_range", "attestation.timestamp_end", jcs.Str("2026-01-15T10:00:01Z")}, // the same instant, other words
		{"timestamp_range", "attestation.timestamp_end", jcs.Str("2099-01-01T00:00:00+00:00")},
		{"attestation_sha256", "attestation_sha256", zeros},
		{"pack_root_sha256", "pack_root_sha256", zeros},
		{"signer_pubkey_sha256", "signer_pubkey_sha256", zeros},
		{"signer_pubkey", "signer_pubkey", jcs.Str(base64.StdEncoding.EncodeToString(testSigner.Public()))},
		{"signer_pubkey", "signer_pubkey", jcs.Str("")},
		{"signature", "signature", jcs.Str("")},
		{"files", "files", jcs.Arr(form.Get(text, "files").Items[1], form.Get(text, "files").Items[1], form.Get(text, "files").Items[2])},
		{"files", "files", jcs.Arr(form.Get(text, "files").Items[1], form.Get(text, "files").Items[0], form.Get(text, "files").Items[2])},
		{"files", "files", jcs.Arr(append(slices.Clone(form.Get(text, "files").Items), form.Get(text, "files").Items[0])...)},
		{manifest.ReceiptsName, "files", jcs.Arr(jcstest.Set(form.Get(text, "files").Items[0], "bytes", jcs.Int(1)), form.Get(text, "files").Items[1], form.Get(text, "files").Items[2])},
		{"expected_files", "expected_files", jcs.Arr(form.Get(text, "expected_files").Items[:4]...)},
		{"expected_files", "expected_files", jcs.Arr(append(slices.Clone(form.Get(text, "expected_files").Items), jcs.Str("."))...)},
	} {
		changed, keep := text, []string(nil)
		for path := range strings.SplitSeq(lie.paths, " ") {
			changed = jcstest.Set(changed, path, lie.to)
			keep = append(keep, path)
		}
		r := wantTampered(t, lie.paths, resign(t, files, changed, otherSigner, keep...))
		if !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Field == lie.field }) {
			t.Errorf("%s: no finding about %s: %v", lie.paths, lie.field, r.Findings)
		}
	}
}

// TestAtk_P23_ALyingClaimCheckIsFoundWhateverTheReportSays forges everything that a signer can.
// VFY-27, VFY-44
func TestAtk_P23_ALyingClaimCheckIsFoundWhateverTheReportSays(t *testing.T) {
	s := smallSpec(t)
	s.Receipts = s.Receipts[1:] // no guardian verdict: one claim fails
	files := mustBuild(t, s).FS().(memoryFS)
	delete(files, manifest.CardsName)
	text, report := jcstest.Parse(t, string(files[manifest.Name])), jcstest.Parse(t, string(files[manifest.ReportName]))
	results := slices.Clone(form.Get(form.Get(report, "claim_verification"), "results").Items)
	for i := range results {
		results[i] = jcstest.Set(results[i], "passed", jcs.Boolean(true))
	}
	a := attestationIn(t, text)
	var read []claim.Result
	for _, v := range results {
		r, _ := readResult(v)
		read = append(read, r)
	}
	fp := jcs.Str(fingerprint(a, read))
	report = jcstest.Set(report, "claim_verification.results", jcs.Arr(results...))
	report = jcstest.Set(report, "claim_verification.discrepancy_fingerprint", fp)
	report = jcstest.Set(report, "claim_verification.passed", jcs.Boolean(true))
	report = jcstest.Set(report, "claim_verification.n_passed", jcs.Int(3))
	report = jcstest.Set(report, "claim_verification.n_failed", jcs.Int(0))
	text = jcstest.Set(text, "attestation.claim_check", jcs.Str("PASS"))
	text = jcstest.Set(text, "attestation.discrepancy_fingerprint", fp)
	report = rejudged(report, attestationIn(t, text))
	files[manifest.ReportName] = jcstest.Plain(report)
	r := wantTampered(t, "forged claims", resign(t, files, text, testSigner))
	if len(r.Findings) != 1 || r.Findings[0].Field != "claim_check" {
		t.Errorf("findings %v, want only claim_check: the forgery is not good enough for this test", r.Findings)
	}
	// Hiding which cards they were does not help: every order of the built-in ones is tried.
	report = jcstest.Set(report, "claim_verification.results", jcs.Arr(results[2], results[0], results[1]))
	files[manifest.ReportName] = jcstest.Plain(report)
	r = wantTampered(t, "shuffled claims", resign(t, files, text, testSigner))
	if !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Field == "claim_check" }) {
		t.Errorf("findings %v, want claim_check", r.Findings)
	}
}

// rejudged is the report with every verdict in it what the attestation says, as a liar must write it.
func rejudged(report jcs.Value, a manifest.Attestation) jcs.Value {
	j := judgementOf(a, "0") // another root: resign puts it in, and the report_id
	for _, m := range j.members {
		report = jcstest.Set(report, m.Name, m.Value)
	}
	report = jcstest.Set(report, "checks", jcs.Arr(form.Strs("name", "claim_check", "verdict", claimWords[a.ClaimCheck])))
	report = jcstest.Set(report, "summary.claim", jcs.Str(claimSentences[a.ClaimCheck]))
	report = jcstest.Set(report, "scope.channels", j.ran)
	return jcstest.Set(report, "scope.proves", form.Texts(j.proves))
}

// PCK-19, PCK-31
func TestAtk_P15_SpellingsOfTheSignatureAndKeyAreTampering(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	sig := form.Get(text, "signature").Text
	raw, _ := base64.StdEncoding.DecodeString(sig)
	plusL := bytes.Clone(raw)
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10}
	carry := 0
	for i := range 32 { // S + L names the same residue
		carry += int(plusL[32+i]) + int(order[i])
		plusL[32+i], carry = byte(carry), carry>>8
	}
	for name, spelling := range map[string]string{
		"no padding": strings.TrimRight(sig, "="), "newline": sig[:8] + "\n" + sig[8:], "space": sig + " ", "junk": sig[:8] + "*" + sig[8:],
		"padding bits": sig[:85] + "B==", "url": strings.NewReplacer("+", "-", "/", "_").Replace(sig) + "-", "three pads": sig + "=",
		"short": base64.StdEncoding.EncodeToString(raw[:63]), "long": base64.StdEncoding.EncodeToString(append(bytes.Clone(raw), 0)),
		"plus L": base64.StdEncoding.EncodeToString(plusL), "zero": base64.StdEncoding.EncodeToString(make([]byte, 64)),
	} {
		changed := maps.Clone(files)
		changed[manifest.Name] = jcstest.Plain(jcstest.Set(text, "signature", jcs.Str(spelling)))
		if forged, err := base64.StdEncoding.DecodeString(spelling); err == nil {
			changed[manifest.SignatureName] = forged
		}
		wantTampered(t, "signature with "+name, changed)
	}
	for _, key := range [][]byte{make([]byte, 32), append([]byte{1}, make([]byte, 31)...), make([]byte, 31), make([]byte, 33),
		append(append([]byte{0xee}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f)} {
		changed := jcstest.Set(text, "signer_pubkey", jcs.Str(base64.StdEncoding.EncodeToString(key)))
		changed = jcstest.Set(changed, "signer_pubkey_sha256", jcs.Str(form.HexSum(key)))
		identity := append([]byte{1}, make([]byte, 63)...) // verifies everything under the identity key
		changed = jcstest.Set(changed, "signature", jcs.Str(base64.StdEncoding.EncodeToString(identity)))
		forged := maps.Clone(files)
		forged[manifest.Name], forged[manifest.SignatureName] = jcstest.Plain(changed), identity
		wantTampered(t, fmt.Sprintf("key %x", key), forged)
	}
}

func TestAtk_P04_IdentifiersThatLookAlikeAreTampering(t *testing.T) {
	files := smallPack(t)
	manifest := jcstest.Parse(t, string(files[manifest.Name]))
	for _, c := range []string{"\u0430", "\u0435", "\u043e", "\u0440", "\u0441", "\u0455", "\u0456", "\u03bf", "\u0391", "\u0410",
		"\u202e", "\u202d", "\u2066", "\u2069", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u061c", "\u180e",
		"e\u0301", "\u00e9", "\u212b", "\u2126", "\uff41", "\U0001d44e", "\u2028", "\u2029", "\u0085", "\u00a0", "\u2003", "\u3000",
		"\x00", "\x07", "\x1b[2J", "\x7f", "\t", "\n", "\r"} {
		for _, paths := range [][]string{{"pack_id", "attestation.pack_id"}, {"attestation.run_id"}, {"signer_id"}} {
			changed := manifest
			for _, path := range paths {
				changed = jcstest.Set(changed, path, jcs.Str("p"+c+"ck"))
			}
			r := wantTampered(t, fmt.Sprintf("%v %q", paths, c), resign(t, files, changed, testSigner))
			for _, f := range r.Findings {
				if !form.IsPrintableASCII(f.Message + f.Field) {
					t.Errorf("finding shows %q", f.Message)
				}
			}
		}
	}
}

// TestAtk_P12_OddFilesAreFindingsAndNeverBlock puts in the place of each file what an adversary may put there.
// PCK-1, VFY-8, VFY-15
func TestAtk_P12_OddFilesAreFindingsAndNeverBlock(t *testing.T) {
	files := smallPack(t)
	outside := filepath.Join(t.TempDir(), "sentinel")
	if err := mkfifo(outside); err != nil {
		t.Skipf("SKIPPED: no FIFOs here: %v", err)
	}
	for name := range files {
		for what, place := range map[string]func(path string) error{
			"link out":       func(path string) error { return os.Symlink(outside, path) },
			"link to itself": func(path string) error { return os.Symlink(filepath.Base(path), path) },
			"dangling link":  func(path string) error { return os.Symlink("nowhere", path) },
			"device link":    func(path string) error { return os.Symlink("/dev/zero", path) },
			"link inside": func(path string) error {
				inside := filepath.Join(filepath.Dir(path), manifest.UnsignedName, "x")
				if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(inside, files[name], 0o644); err != nil {
					return err
				}
				return os.Symlink(filepath.Join(manifest.UnsignedName, "x"), path)
			},
			"fifo":      func(path string) error { return mkfifo(path) },
			"directory": func(path string) error { return os.Mkdir(path, 0o755) },
			"sparse": func(path string) error {
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					return err
				}
				return os.Truncate(path, 1<<40)
			},
			"missing": func(path string) error { return nil },
		} {
			dir := writePack(t, files)
			path := filepath.Join(dir, name)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := place(path); err != nil {
				t.Logf("%s: cannot be made here: %v", what, err)
				continue
			}
			began := time.Now()
			r := verifyDir(t, dir, Options{Now: builtAt})
			if r.ExitCode() != 2 || len(r.Findings) == 0 {
				t.Errorf("%s as %s: exit %d", name, what, r.ExitCode())
			}
			if strings.Contains(what, "link") && r.Findings[0].Code != manifest.CodePathEscape && !slices.ContainsFunc(r.Findings, func(f manifest.Finding) bool { return f.Code == manifest.CodePathEscape && f.Field == name }) {
				t.Errorf("%s as %s: %v, want %s", name, what, r.Findings, manifest.CodePathEscape)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("%s as %s: took %s", name, what, took)
			}
		}
	}
}

// TestAtk_P13_AFileThatIsSwappedMeanwhileIsJudgedAsOneOfItsVersions renames two versions of the receipts over
// each other while packs are verified. Judging a mixture could pass what neither version is.
func TestAtk_P13_AFileThatIsSwappedMeanwhileIsJudgedAsOneOfItsVersions(t *testing.T) {
	files := smallPack(t)
	dir := writePack(t, files)
	good := files[manifest.ReceiptsName]
	evil := bytes.Replace(good, []byte("3.0"), []byte("6.6"), 1)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			data, path := good, a
			if i%2 == 1 {
				data, path = evil, b
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				done <- err
				return
			}
			if err := os.Rename(path, filepath.Join(dir, manifest.ReceiptsName)); err != nil {
				done <- err
				return
			}
		}
	}()
	rounds, passed, failed := 3000, 0, 0
	if testing.Short() || racetest.Enabled {
		rounds = 300
	}
	for range rounds {
		r := verifyDir(t, dir, Options{Now: builtAt})
		switch {
		case r.ExitCode() == 0:
			passed++
		case r.ExitCode() == 2 && len(r.Findings) > 0:
			failed++
		default:
			t.Fatalf("exit %d: %v", r.ExitCode(), r.Findings)
		}
		for _, f := range r.Claims.Results {
			if r.Integrity == Pass && !f.Passed {
				t.Fatal("a claim of the other version")
			}
		}
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d passed, %d failed", passed, failed)
}
