package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// A ledger admits what manifest.Verify has no finding about: it must see by itself everything that a
// manifest alone can show, whoever signed it.
// VFY-23
func TestAManifestAloneShowsWhatItsPackWould(t *testing.T) {
	files := smallPack(t)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	items := form.Get(text, "files").Items
	zeros := jcs.Str(strings.Repeat("0", 64))
	if m, findings := manifest.Verify(resign(t, files, text, otherSigner)[manifest.Name]); m == nil || len(findings) > 0 {
		t.Fatalf("the forger cannot forge: %v", findings)
	}
	for _, lie := range []struct {
		field, code string
		path        string
		to          jcs.Value
	}{
		{"pack_id", manifest.CodeManifestTamper, "pack_id", jcs.Str("pack_x")},                                                  // PCK-12
		{"suite_hash", manifest.CodeManifestTamper, "suite_hash", zeros},                                                        // PCK-12
		{"claim_set_id", manifest.CodeManifestTamper, "claim_set_id", jcs.Str("x")},                                             // PCK-12
		{"claim_set_hash", manifest.CodeManifestTamper, "attestation.claim_set_hash", zeros},                                    // PCK-12
		{"n_receipts", manifest.CodeManifestTamper, "attestation.n_receipts", jcs.Int(3)},                                       // PCK-13
		{"files", manifest.CodeManifestTamper, "files", jcs.Arr(items[1], items[1], items[2])},                                  // PCK-16
		{"files", manifest.CodeManifestTamper, "files", jcs.Arr(items[1], items[0], items[2])},                                  // PCK-16
		{"../x", manifest.CodePathEscape, "files", jcs.Arr(jcstest.Set(items[0], "path", jcs.Str("../x")), items[1], items[2])}, // VFY-13
		{"expected_files", manifest.CodeManifestTamper, "expected_files", jcs.Arr(jcs.Str("."))},                                // PCK-17
		{"/etc/passwd", manifest.CodePathEscape, "expected_files", jcs.Arr(jcs.Str("/etc/passwd"))},                             // VFY-13
		{"receipt_integrity", manifest.CodeManifestTamper, "attestation.receipt_integrity", jcs.Str("FAIL")},                    // PCK-22
		{"discrepancy_fingerprint", manifest.CodeManifestTamper, "attestation.claim_check", jcs.Str("N/A")},                     // PCK-23
		{"discrepancy_fingerprint", manifest.CodeManifestTamper, "attestation.discrepancy_fingerprint", jcs.Value{}},            // PCK-23
		{"attestation_sha256", manifest.CodeManifestTamper, "attestation_sha256", zeros},                                        // PCK-14
		{"pack_root_sha256", manifest.CodeManifestTamper, "pack_root_sha256", zeros},                                            // PCK-15
		{"signer_pubkey_sha256", manifest.CodePackSignature, "signer_pubkey_sha256", zeros},                                     // PCK-19, PCK-20
		{"signer_pubkey", manifest.CodePackSignature, "signer_pubkey", jcs.Str("")},                                             // PCK-19, PCK-20
		{"signer_pubkey", manifest.CodePackSignature, "signer_pubkey", form.Get(text, "signer_pubkey")},                         // another signer's
		{"signature", manifest.CodePackSignature, "signature", jcs.Str("")},                                                     // PCK-19
		{"signature", manifest.CodePackSignature, "signature", jcs.Str(form.Get(text, "signature").Text + "\n")},                // PCK-19
		{"signer_pubkey", manifest.CodePackSignature, "signature", form.Get(text, "signature")},                                 // of another key
	} {
		forged := resign(t, files, jcstest.Set(text, lie.path, lie.to), otherSigner, lie.path, strings.TrimPrefix(lie.path, "attestation."))
		m, findings := manifest.Verify(forged[manifest.Name])
		if m == nil || !slices.ContainsFunc(findings, func(f manifest.Finding) bool { return f.Field == lie.field && f.Code == lie.code }) {
			t.Errorf("%s: no %s about %s: %v", lie.path, lie.code, lie.field, findings)
		}
	}
}

// PCK-4, PCK-5, PCK-10, PCK-11: patterns and limits that a signer could stretch by signing anew.
func TestEveryManifestPatternAndLimitHasTwoSides(t *testing.T) {
	s := smallSpec(t)
	s.CIBinding = &manifest.CIBinding{Provider: "local", CommitSHA: strings.Repeat("a", 40), Repo: "acme/app", Ref: "main", RunID: "1", RunAttempt: "1", WorkflowRef: "w", Actor: "bot"}
	files := mustBuild(t, s).FS().(memoryFS)
	text := jcstest.Parse(t, string(files[manifest.Name]))
	judge := func(path string, to jcs.Value) []manifest.Finding {
		top, _, _ := strings.Cut(path, ".")
		_, findings := manifest.Verify(resign(t, files, jcstest.Set(text, path, to), testSigner, top)[manifest.Name])
		return findings
	}
	// Refused for its form, so that nothing else is looked at: the one finding names the member.
	refused := func(path string, to jcs.Value) {
		t.Helper()
		if f := judge(path, to); len(f) != 1 || f[0].Code != manifest.CodeManifestTamper || !strings.HasPrefix(f[0].Message, path+": ") {
			t.Errorf("%s = %.80s: %v", path, jcstest.Plain(to), f)
		}
	}
	taken := func(path string, to jcs.Value) {
		t.Helper()
		if f := judge(path, to); slices.ContainsFunc(f, func(f manifest.Finding) bool { return f.Field == manifest.Name }) {
			t.Errorf("%s = %.80s: %v", path, jcstest.Plain(to), f)
		}
	}
	hashes := []string{"attestation_sha256", "suite_hash", "claim_set_hash", "signer_pubkey_sha256", "pack_root_sha256",
		"attestation.suite_hash", "attestation.policy_hash", "attestation.claim_set_hash", "attestation.discrepancy_fingerprint", "attestation.head_hash"}
	for _, path := range hashes {
		taken(path, jcs.Str(strings.Repeat("0f", 32)))
		for _, bad := range []string{strings.Repeat("0", 63), strings.Repeat("0", 65), strings.Repeat("A", 64), strings.Repeat("0", 63) + "g", strings.Repeat("0", 63) + "/", strings.Repeat("0", 63) + ":", strings.Repeat("0", 63) + "`"} {
			refused(path, jcs.Str(bad))
		}
	}
	for _, bad := range []string{strings.Repeat("a", 39), strings.Repeat("a", 41), strings.Repeat("A", 40), strings.Repeat("g", 40)} {
		refused("attestation.ci_binding.commit_sha", jcs.Str(bad))
	}
	for _, path := range []string{"pack_id", "signer_id", "attestation.pack_id", "attestation.run_id"} {
		taken(path, jcs.Str(" ~"+strings.Repeat("x", 254)))
		for _, bad := range []string{"", strings.Repeat("x", 257), "a\x7f", "a\x1f", "\u00e9"} {
			refused(path, jcs.Str(bad))
		}
	}
	taken("attestation.verifier_version", jcs.Str(strings.Repeat("1", 64)))
	for _, bad := range []string{"", strings.Repeat("1", 65), "1+2", "1 2", "1\n"} {
		refused("attestation.verifier_version", jcs.Str(bad))
	}
	number := func(s string) jcs.Value { return jcs.Value{Kind: jcs.Number, Text: s} }
	for _, path := range []string{"receipt_count_expected", "attestation.n_receipts"} {
		taken(path, number("0"))
		taken(path, number("9007199254740991"))
		for _, bad := range []string{"9007199254740992", "9999999999999999", "10000000000000000", "18446744073709551616", "-1", "1.0", "1e1"} {
			refused(path, number(bad))
		}
		refused(path, jcs.Str("1"))
	}
	for _, bad := range []string{"-0", "00", "+1", "01", ""} { // no writer of values writes these
		if n, ok := form.ReadCount(number(bad)); ok {
			t.Errorf("%q counts %d", bad, n)
		}
	}
	for _, bad := range []string{"0", "2", "1.0"} {
		refused("attestation.fingerprint_version", number(bad))
	}
	for _, path := range []string{"attestation.timestamp_start", "attestation.timestamp_end", "attestation.valid_until"} {
		taken(path, jcs.Str("2026-01-15T10:00:00."+strings.Repeat("1", 38)+"+00:00")) // 64 bytes
		for _, bad := range []string{"2026-01-15T10:00:00." + strings.Repeat("1", 39) + "+00:00", "2026-01-15t10:00:00Z", "2026-01-15T10:00:00z",
			"2026-01-15 10:00:00Z", "2026-01-15T10:00:60Z", "2026-01-15T24:00:00Z", "0000-01-15T10:00:00Z", "2026-02-29T10:00:00Z", "2026-01-15T10:00:00", "2026-01-15T10:00:00+24:00"} {
			refused(path, jcs.Str(bad))
		}
	}
	items := form.Get(text, "files").Items
	refused("files", jcs.Arr(items[0], items[1]))
	refused("files", items[0])
	refused("expected_files", jcs.Arr())
	refused("attestation", jcs.Str("x"))
	refused("attestation.ci_binding", jcs.Str("x"))
	for _, bad := range []jcs.Value{jcs.Str("0.1.1"), jcs.Int(1)} {
		refused("pack_version", bad)
		refused("manifest_version", bad)
		refused("signature_alg", bad)
		refused("signature_scope", bad)
		refused("hash_alg", bad)
		refused("attestation.canon_version", bad)
		refused("attestation.head_hash_algorithm", bad)
	}
	taken("signature_scope", jcs.Str(manifest.ScopeLegacy))
}

// What the signed attestation says of its CI run may stand in the entry, and only that.
func TestAnEntryNamesTheCIRunOfItsManifestOrNone(t *testing.T) {
	w := newAnchored(t)
	s := smallSpec(t)
	s.CIBinding = &manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("b", 40), Repo: "acme/app"}
	p := mustBuild(t, s)
	w.files, w.m = p.FS().(memoryFS), p.Manifest
	bound := mustEntry(t, w.m, entry.Source{}, nil)
	if bound.Source.Attestation != "ci_binding" {
		t.Fatalf("%+v", bound.Source)
	}
	other := bound
	other.Source.Commit = strings.Repeat("c", 40)
	for what, c := range map[string]struct {
		e    entry.Entry
		exit int
	}{"its own": {bound, 0}, "another": {other, 2}} {
		r := mustVerify(t, w.files, Options{Now: builtAt, Policy: w.policy, RequireAnchor: true, Proof: w.logEntry(c.e)})
		if r.ExitCode() != c.exit {
			t.Errorf("%s: exit %d: %v", what, r.ExitCode(), r.Findings)
		}
	}
	if src, err := entry.ParseSource("", "", strings.Repeat("c", 40)); err == nil {
		t.Errorf("a commit of no repository: %+v", src)
	}
	if src, err := entry.ParseSource("acme/app", strings.Repeat("w", 512), ""); err != nil {
		t.Errorf("%+v: %v", src, err)
	}
	if src, err := entry.ParseSource("acme/app", strings.Repeat("w", 513), ""); err == nil {
		t.Errorf("a workflow of %d bytes", len(src.Workflow))
	}
}

func TestAProofThatIsTooLargeOrOfNoManifestIsNone(t *testing.T) {
	w := newAnchored(t)
	o := Options{Now: builtAt, Policy: trusttest.Policy(w.log, nil, 0), Proof: make([]byte, maxProof+1)}
	r := mustVerify(t, w.files, o)
	if r.ExitCode() != 2 || r.Anchor.Verdict != Fail || !strings.Contains(r.Findings[0].Message, "too large") {
		t.Errorf("exit %d, anchor %s: %v", r.ExitCode(), r.Anchor.Verdict, r.Findings)
	}
	large := maps.Clone(w.files)
	large[manifest.ProofName], o.Proof = o.Proof, nil
	r = mustVerify(t, large, o)
	if r.ExitCode() != 2 || r.Anchor.Verdict != Fail || !strings.Contains(r.Findings[0].Message, "too large") {
		t.Errorf("in the pack: exit %d, anchor %s: %v", r.ExitCode(), r.Anchor.Verdict, r.Findings)
	}
	o.Proof = w.logEntry(mustEntry(t, w.m, entry.Source{}, nil))
	if r := mustVerify(t, memoryFS{manifest.SignatureName: nil}, o); r.ExitCode() != 2 || r.Anchor.Verdict != Fail || r.Anchor.Entry != nil {
		t.Errorf("no manifest: exit %d, anchor %s", r.ExitCode(), r.Anchor.Verdict)
	}
}

// Whoever writes to the directory may put another file in the place of one that was looked at.
func TestAFileThatIsSwappedAfterTheLookIsNotRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	d := &dirFS{root}
	for what, swap := range map[string]func() error{
		"another file": func() error { return os.WriteFile(at("new"), []byte("x"), 0o600) },
		"a FIFO":       func() error { return mkfifo(at("new")) },
		"a directory":  func() error { return os.Mkdir(at("new"), 0o700) },
	} {
		if err := os.WriteFile(at("file"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := d.lstat("file")
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.openSame("file", before)
		if err != nil {
			t.Fatalf("the same file: %v", err)
		}
		f.Close()
		if err := swap(); err != nil {
			t.Logf("%s: not made here: %v", what, err)
			continue
		}
		if err := errors.Join(os.Rename(at("file"), at("old")), os.Rename(at("new"), at("file"))); err != nil {
			t.Fatal(err)
		}
		if f, err := d.openSame("file", before); !errors.Is(err, errNotRegular) || f != nil {
			t.Errorf("%s: opened, %v", what, err)
		}
		if err := errors.Join(os.Remove(at("file")), os.Remove(at("old"))); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := d.openSame("file", nil); !errors.Is(err, fs.ErrNotExist) || f != nil {
		t.Errorf("gone: %v", err)
	}
}

// DirFS says of itself: regular files only, no symlink followed, never blocks on a FIFO.
func TestDirFSOpensRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	for _, step := range []error{
		os.Mkdir(filepath.Join(dir, "real"), 0o755),
		os.WriteFile(filepath.Join(dir, "real", "file"), []byte("x"), 0o644),
		os.Symlink("real", filepath.Join(dir, "linked")),
		os.Symlink(filepath.Join("real", "file"), filepath.Join(dir, "link")),
		os.Symlink("/dev/zero", filepath.Join(dir, "device")),
	} {
		if step != nil {
			t.Skipf("SKIPPED: cannot be made here: %v", step)
		}
	}
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Logf("no FIFO: %v", err)
	}
	fsys, done, err := DirFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if text, err := fs.ReadFile(fsys, "real/file"); err != nil || string(text) != "x" {
		t.Errorf("a regular file: %q, %v", text, err)
	}
	for _, name := range []string{"link", "linked", "linked/file", "device", "fifo", "../x", "/etc/passwd", "real/../real/file", "./real/file", "", "real/file/x", "nowhere"} {
		if f, err := fsys.Open(name); err == nil {
			t.Errorf("%q was opened", name)
			f.Close()
		}
		if name == "link" || name == "linked" || name == "device" || name == "fifo" {
			continue // Lstat and ReadDir look at these, they do not follow them
		}
		if info, err := fs.Lstat(fsys, name); err == nil {
			t.Errorf("%q is %v", name, info.Mode())
		}
	}
	for _, name := range []string{"linked", "link", "real/file", "fifo", ".."} {
		if entries, err := fs.ReadDir(fsys, name); err == nil {
			t.Errorf("%q was listed: %v", name, entries)
		}
	}
	for name, want := range map[string]fs.FileMode{"link": fs.ModeSymlink, "linked": fs.ModeSymlink, "real": fs.ModeDir} {
		if info, err := fs.Lstat(fsys, name); err != nil || info.Mode().Type() != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	for i := range maxListing + 10 {
		if err := os.WriteFile(filepath.Join(dir, "real", fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := fs.ReadDir(fsys, "real")
	if err != nil || len(entries) != maxListing || !slices.IsSortedFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) }) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}

func TestFilesThatGrowAreReadToTheirLimit(t *testing.T) {
	if text, err := readRegular(memoryFS{"x": make([]byte, 10)}, "x", 10); err != nil || len(text) != 10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := readRegular(memoryFS{"x": make([]byte, 11)}, "x", 10); err == nil {
		t.Error("a file over the limit")
	}
	// Its size says 10 when it is opened.
	if text, err := readRegular(growingFS{memoryFS{"x": make([]byte, 10)}}, "x", 10); err == nil {
		t.Errorf("a file that grew was read: %d bytes", len(text))
	}
}

type growingFS struct{ memoryFS }

func (g growingFS) Open(name string) (fs.File, error) {
	f, err := g.memoryFS.Open(name)
	return &growingFile{f}, err
}

type growingFile struct{ fs.File }

func (f *growingFile) Read(p []byte) (int, error) { return len(p), nil }
