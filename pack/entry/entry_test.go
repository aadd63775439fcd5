package entry

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

var loggedAt = time.Date(2026, 1, 15, 12, 0, 1, 234567890, time.UTC)

func mustEntry(t testing.TB, m *manifest.Manifest, src Source, token []byte) Entry {
	t.Helper()
	e, err := New(m, src, loggedAt, token)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// sharedPacks is the folder of reference packs beside the repository.
const sharedPacks = "../../../shared/vectors/packs"

func needShared(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(sharedPacks); err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
}

// smallManifest is that of a pack of two receipts, as pack.Build wrote it.
func smallManifest(t testing.TB) *manifest.Manifest {
	t.Helper()
	text, err := os.ReadFile("testdata/pack_manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return m
}

// ENT-3, ENT-7
func TestAnEntryIsCanonicalJSONWithTheMembersOfTheLedger(t *testing.T) {
	m := smallManifest(t)
	e := mustEntry(t, m, Source{Repo: "acme/app", Workflow: "ci.yml", Commit: strings.Repeat("a", 40)}, []byte{1, 2, 3})
	leaf := e.Leaf()
	canonical, err := jcs.RFC8785(leaf, jcs.Limits{})
	if err != nil || !bytes.Equal(canonical, leaf) {
		t.Errorf("not RFC 8785: %v\n%s\n%s", err, leaf, canonical)
	}
	var got map[string]any
	if err := json.Unmarshal(leaf, &got); err != nil {
		t.Fatal(err)
	}
	digest := m.Digest()
	want := map[string]any{
		"schema_version": 2.0, "manifest_sha256": digest.String(), "pack_root_sha256": m.PackRoot.String(),
		"pack_id": m.PackID, "receipt_integrity": "PASS", "claim_check": "PASS", "n_receipts": 2.0, "mode": "shadow",
		"assurance_level": "L0", "timestamp_start": "2026-01-15T10:00:00.000000+00:00", "timestamp_end": "2026-01-15T10:00:01.000000+00:00",
		"verifier_version": "0.1.0", "signer_id": "test-signer", "signer_pubkey_sha256": m.SignerFingerprint().String(),
		"source_repo": "acme/app", "source_workflow": "ci.yml", "source_commit": strings.Repeat("a", 40), "source_attestation": "self",
		"witness_status": "signature_verified", "submitted_at": "2026-01-15T12:00:01.234Z", "timestamp_token": "AQID",
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d members, want %d", len(got), len(want))
	}
	back, err := Parse(leaf)
	if err != nil || !bytes.Equal(back.Leaf(), leaf) || !back.SubmittedAt.Equal(e.SubmittedAt) {
		t.Errorf("does not come back: %+v %v", back, err)
	}
}

// ENT-4
func TestWhatAnEntryHasNotIsAbsent(t *testing.T) {
	leaf := string(mustEntry(t, smallManifest(t), Source{}, nil).Leaf())
	if strings.Contains(leaf, "source") || strings.Contains(leaf, "token") || strings.Contains(leaf, "null") {
		t.Error(leaf)
	}
	if _, err := Parse([]byte(leaf)); err != nil {
		t.Error(err)
	}
}

// ENT-8
func TestTheSourceIsTheBestThatIsKnown(t *testing.T) {
	plain := smallManifest(t)
	builtBy := func(ci manifest.CIBinding) *manifest.Manifest {
		m := *plain
		m.Attestation.CIBinding = &ci
		return &m
	}
	bound := builtBy(manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("b", 40), Repo: "acme/app", WorkflowRef: "acme/app/.github/workflows/ci.yml@refs/heads/main"})
	odd := builtBy(manifest.CIBinding{Provider: "gitlab_ci", CommitSHA: strings.Repeat("b", 40), Repo: "group/sub/app"})
	noWorkflow := builtBy(manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("b", 40), Repo: "acme/app"})
	oddWorkflow := builtBy(manifest.CIBinding{Provider: "github_actions", CommitSHA: strings.Repeat("b", 40), Repo: "acme/app", WorkflowRef: "caf\u00e9"})
	ci := Source{"acme/app", "acme/app/.github/workflows/ci.yml@refs/heads/main", strings.Repeat("b", 40), "ci_binding"}
	said := Source{"other/repo", "", "", "self"}
	token := Source{"acme/app", "w", strings.Repeat("c", 40), "oidc"}
	for _, c := range []struct {
		m         *manifest.Manifest
		src, want Source
	}{
		{plain, Source{}, Source{}}, {plain, said, said}, {plain, Source{Repo: "other/repo", Attestation: "ci_binding"}, said},
		{bound, Source{}, ci}, {bound, said, ci}, {bound, token, token}, {plain, token, token},
		{odd, Source{}, Source{}}, {odd, said, said}, {oddWorkflow, Source{}, Source{}}, {oddWorkflow, said, said},
		{noWorkflow, said, Source{"acme/app", "", strings.Repeat("b", 40), "ci_binding"}},
	} {
		if got := mustEntry(t, c.m, c.src, nil).Source; got != c.want {
			t.Errorf("source %+v of %+v, want %+v", got, c.src, c.want)
		}
	}
	for _, bad := range []Source{{Workflow: "w"}, {Repo: "x"}, {Repo: "a/b", Commit: "HEAD"}, {Attestation: "oidc"}} {
		if e, err := New(plain, bad, loggedAt, nil); err == nil {
			t.Errorf("%+v made %+v", bad, e)
		}
	}
}

// ENT-9
func TestSourcesThatLeadAstrayAreRefused(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, repo := range []string{"acme/app", "a/b", "A-1/x._-", strings.Repeat("a", 39) + "/" + long} {
		if s, err := ParseSource(repo, "", ""); err != nil || s.Attestation != "self" {
			t.Errorf("%q: %v", repo, err)
		}
	}
	for _, repo := range []string{"", "acme", "acme/", "/app", "acme/app/x", "../..", "a/..", "a/.", "-a/b", "a.b/c", "acme/app\n", "acme /app",
		"\u043epenai/gpt", "acme/\u202eapp", "javascript:x/y", "acme/a?b", strings.Repeat("a", 40) + "/b", "a/" + long + "x", "acme/<b>"} {
		if _, err := ParseSource(repo, "w", ""); err == nil {
			t.Errorf("%q accepted", repo)
		}
	}
	for _, workflow := range []string{"a\nb", "\x1b[1m", "é", strings.Repeat("w", 513)} {
		if _, err := ParseSource("a/b", workflow, ""); err == nil {
			t.Errorf("workflow %q accepted", workflow)
		}
	}
	for _, commit := range []string{"abc", strings.Repeat("A", 40), strings.Repeat("a", 41), strings.Repeat("a", 39) + "\n"} {
		if _, err := ParseSource("a/b", "", commit); err == nil {
			t.Errorf("commit %q accepted", commit)
		}
	}
	if s, err := ParseSource("", "", ""); err != nil || s != (Source{}) {
		t.Errorf("no source: %+v %v", s, err)
	}
}

// ENT-3, ENT-10
func TestNoOtherSpellingOfAnEntryIsRead(t *testing.T) {
	e := mustEntry(t, smallManifest(t), Source{Repo: "acme/app"}, []byte{1, 2, 3})
	leaf := e.Leaf()
	v := jcstest.Parse(t, string(leaf))
	for _, path := range jcstest.MemberPaths(v, "") {
		for what, to := range map[string]jcs.Value{"null": {}, "number": jcs.Int(-1), "float": jcs.Float(2), "list": jcs.Arr(), "empty": jcs.Str(""),
			"newline": jcs.Str(form.Get(v, path).Text + "\n"), "bidi": jcs.Str(form.Get(v, path).Text + "\u202e"), "true": jcs.Boolean(true)} {
			if _, err := Parse(jcstest.Plain(jcstest.Set(v, path, to))); err == nil {
				t.Errorf("%s as %s accepted", path, what)
			}
		}
		without := jcstest.Edit(v, path, func(ms []jcs.Member, i int) []jcs.Member { return append(ms[:i], ms[i+1:]...) })
		_, err := Parse(jcstest.Plain(without))
		if optional := path == "timestamp_token"; (err == nil) != optional {
			t.Errorf("without %s: %v", path, err)
		}
	}
	for what, text := range map[string]string{
		"space": " " + string(leaf), "newline": string(leaf) + "\n", "tail": string(leaf) + "{}", "empty": "", "list": "[]", "null": "null",
		"extra":     strings.Replace(string(leaf), `"witness_status"`, `"x":1,"witness_status"`, 1),
		"pretty":    strings.ReplaceAll(string(leaf), ",", ", "),
		"escape":    strings.Replace(string(leaf), `"mode":"shadow"`, `"mode":"\u0073hadow"`, 1),
		"duplicate": strings.Replace(string(leaf), `"mode":"shadow"`, `"mode":"shadow","mode":"shadow"`, 1),
		"zone":      strings.Replace(string(leaf), `.234Z"`, `.234+00:00"`, 1),
		"seconds":   strings.Replace(string(leaf), `.234Z"`, `Z"`, 1),
		"unpadded":  strings.Replace(string(leaf), `"AQID"`, `"AQI"`, 1),
	} {
		if text == string(leaf) {
			t.Fatalf("%s changes nothing", what)
		}
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s accepted", what)
		}
	}
}

// ENT-5, ENT-10
func TestAnEntryThatIsTooLargeOrUnfitHasNoLeaf(t *testing.T) {
	m := smallManifest(t)
	if _, err := New(m, Source{}, loggedAt, make([]byte, maxEntry)); err == nil {
		t.Error("a token of 32 KiB was accepted")
	}
	good := mustEntry(t, m, Source{}, make([]byte, 20000))
	if len(good.Leaf()) == 0 || len(good.Leaf()) > maxEntry {
		t.Error("a token of 20,000 bytes has no leaf")
	}
	for what, spoil := range map[string]func(*Entry){
		"id": func(e *Entry) { e.PackID = "\u202e" }, "receipts": func(e *Entry) { e.NReceipts = -1 }, "check": func(e *Entry) { e.ClaimCheck = "yes" },
		"time": func(e *Entry) { e.SubmittedAt = e.SubmittedAt.Add(1) }, "year": func(e *Entry) { e.SubmittedAt = e.SubmittedAt.AddDate(9000, 0, 0) },
		"source": func(e *Entry) { e.Source.Attestation = "self" }, "token": func(e *Entry) { e.TimestampToken = []byte{} },
		"utf-8": func(e *Entry) { e.SignerID = "\xff" }, "status": func(e *Entry) { e.WitnessStatus = "" }, "start": func(e *Entry) { e.TimestampStart = "x" },
	} {
		e := good
		spoil(&e)
		if leaf := e.Leaf(); leaf != nil {
			t.Errorf("%s: %s", what, leaf)
		}
	}
}

func TestReferencePacksHaveEntries(t *testing.T) {
	needShared(t)
	dirs, _ := filepath.Glob(filepath.Join(sharedPacks, "pass_*"))
	seen := map[string]bool{}
	for _, dir := range dirs {
		text, err := os.ReadFile(filepath.Join(dir, manifest.Name))
		if err != nil {
			t.Fatal(err)
		}
		m, findings := manifest.Verify(text)
		if len(findings) > 0 {
			t.Fatalf("%s: %v", dir, findings)
		}
		leaf := mustEntry(t, m, Source{}, nil).Leaf()
		if e, err := Parse(leaf); err != nil || e.ManifestSHA256 != m.Digest() {
			t.Errorf("%s: %v", dir, err)
		}
		if strings.HasSuffix(dir, "pass_ci_bound") != strings.Contains(string(leaf), `"source_attestation":"ci_binding"`) {
			t.Errorf("%s: %s", dir, leaf)
		}
		seen[string(leaf)] = true
	}
	if len(seen) != len(dirs) || len(dirs) < 10 {
		t.Errorf("%d entries of %d packs", len(seen), len(dirs))
	}
}

func FuzzParseEntry(f *testing.F) {
	m := smallManifest(f)
	f.Add(mustEntry(f, m, Source{}, nil).Leaf())
	f.Add(mustEntry(f, m, Source{Repo: "acme/app", Workflow: "w", Commit: strings.Repeat("0", 40)}, []byte{1}).Leaf())
	f.Add([]byte(`{"schema_version":2}`))
	f.Fuzz(func(t *testing.T, leaf []byte) {
		e, err := Parse(leaf)
		if err == nil && !bytes.Equal(e.Leaf(), leaf) {
			t.Fatalf("read %q, writes %q", leaf, e.Leaf())
		}
	})
}

func BenchmarkParseEntry(b *testing.B) {
	leaf := mustEntry(b, smallManifest(b), Source{Repo: "acme/app"}, nil).Leaf()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(leaf); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzParseSource: what is read is shown by ledgers as it is, so it says nothing that leads astray.
func FuzzParseSource(f *testing.F) {
	f.Add("acme/app", "acme/app/.github/workflows/ci.yml@refs/heads/main", "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1")
	f.Add("", "", "")
	f.Add("../..", "x", "y")
	f.Fuzz(func(t *testing.T, repo, workflow, commit string) {
		s, err := ParseSource(repo, workflow, commit)
		if err != nil {
			return
		}
		if s.Repo != repo || s.Workflow != workflow || s.Commit != commit {
			t.Fatalf("%q %q %q is read as %+v", repo, workflow, commit, s)
		}
		if s != (Source{}) && s.check() != nil || !form.IsPrintableASCII(s.Repo+s.Workflow+s.Commit) {
			t.Fatalf("%+v is admitted", s)
		}
	})
}
