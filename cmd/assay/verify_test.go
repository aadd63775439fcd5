package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

const sharedVectors = "../../../shared/vectors"

func needVectors(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(sharedVectors)
	if err == nil {
		_, err = os.Stat(dir)
	}
	if err != nil {
		t.Skipf("SKIPPED: the reference packs are not here: %v", err)
	}
	return dir
}

// homeless runs the program in this process, without an environment.
func homeless(t *testing.T, args ...string) (code int, out, talk string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr, Env: func(string) string { return "" }})
	return code, stdout.String(), stderr.String()
}

// threeWays judges in text, JSON and quiet, which must agree, and returns the exit code and the object.
func threeWays(t *testing.T, args ...string) (int, map[string]any) {
	t.Helper()
	code, text, _ := homeless(t, args...)
	if code <= 2 && text != "" && !strings.Contains(text, fmt.Sprintf("\nverdict    exit %d: ", code)) {
		t.Errorf("%v: exit %d, and the text says %q", args, code, text)
	}
	asJSON, out, _ := homeless(t, append(args, "--json")...)
	var object map[string]any
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		t.Fatalf("%v: %v: %q", args, err, out)
	}
	quiet, nothing, _ := homeless(t, append(args, "--quiet")...)
	if asJSON != code || quiet != code || object["exit_code"] != float64(code) || nothing != "" {
		t.Errorf("%v: text %d, json %d, exit_code %v, quiet %d %q", args, code, asJSON, object["exit_code"], quiet, nothing)
	}
	return code, object
}

type manifestOf struct {
	ClaimSetHash string `json:"claim_set_hash"`
	Signer       string `json:"signer_pubkey_sha256"`
}

// VFY-83
func TestReferencePacksGiveOneExitCodeInTextJSONAndQuiet(t *testing.T) {
	vectors := needVectors(t)
	text, err := os.ReadFile(filepath.Join(vectors, "packs-expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var expected struct {
		Packs map[string]struct {
			Exit    int `json:"exit"`
			Require int `json:"exit_require_claim_pass"`
		} `json:"packs"`
	}
	if err := json.Unmarshal(text, &expected); err != nil || len(expected.Packs) != 49 {
		t.Fatalf("%d packs, %v", len(expected.Packs), err)
	}
	for name, want := range expected.Packs {
		dir := filepath.Join(vectors, "packs", name)
		code, object := threeWays(t, "verify-pack", dir)
		if code != want.Exit {
			t.Errorf("%s: exit %d, want %d", name, code, want.Exit)
		}
		if code, _ := threeWays(t, "verify-pack", dir, "--require-claim-pass"); code != want.Require {
			t.Errorf("%s: exit %d with required claims, want %d", name, code, want.Require)
		}
		checkPublicReport(t, name, object)
		for _, format := range []string{"text", "md", "json"} {
			if code, out, talk := homeless(t, "explain", dir, "--format", format); code != want.Exit || out == "" {
				t.Errorf("%s: explain as %s: exit %d, %s", name, format, code, talk)
			}
		}
	}
}

// publicMembers are what verify.md §17 requires of assay.verify_report.v0.1.
var publicMembers = strings.Fields(`schema_version report_id pack_root_sha256 pack_manifest_sha256 integrity_verdict claim_verdict replay_verdict
	trust_verdict evaluation_profile required_channels optional_channels unevaluated_channels overall_verdict overall_reason blocking_channel
	verified_at verifier expectations evidence_refs checks errors warnings summary scope passed receipt_count head_hash`)

func checkPublicReport(t *testing.T, name string, object map[string]any) {
	t.Helper()
	for _, member := range publicMembers {
		if _, ok := object[member]; !ok {
			t.Errorf("%s: no member %s", name, member)
		}
	}
	channels := object["channels"].(map[string]any)
	intact := channels["integrity"] == "PASS"
	if object["passed"] != intact || (object["integrity_verdict"] == "PASS") != intact || (len(object["errors"].([]any)) == 0) != intact ||
		(object["verdict"] == "TAMPERED") == intact || (object["status"] == "failed") == intact {
		t.Errorf("%s: the integrity channel is %v, and the report disagrees: %v", name, channels, object)
	}
	failed := false
	for _, check := range object["checks"].([]any) {
		failed = failed || check.(map[string]any)["verdict"] == "TAMPERED"
	}
	if failed == intact {
		t.Errorf("%s: checks %v", name, object["checks"])
	}
	if v := object["verifier"].(map[string]any); v["version"] != manifest.Version || v["name"] != "assay verify-pack" {
		t.Errorf("%s: verifier %v", name, v)
	}
}

func TestEveryLockGivesOneExitCodeInTextJSONAndQuiet(t *testing.T) {
	vectors := needVectors(t)
	locks, err := filepath.Glob(filepath.Join(vectors, "locks", "*.lock"))
	if err != nil || len(locks) < 19 {
		t.Fatalf("%d locks, %v", len(locks), err)
	}
	for _, name := range []string{"pass_minimal", "pass_1500", "pass_noclaims", "claimfail_guardian", "tamper_receipt_byte"} {
		dir := filepath.Join(vectors, "packs", name)
		var m manifestOf
		readJSON(t, filepath.Join(dir, "pack_manifest.json"), &m)
		for _, path := range locks {
			lock := filepath.Base(path)
			want := 2
			if good := regexp.MustCompile(`^(rc|all)_`).MatchString(lock); good && !strings.HasPrefix(name, "tamper_") {
				var l struct {
					ClaimSetHash string `json:"claim_set_hash"`
					Policy       struct {
						Mode    string   `json:"mode"`
						Allowed []string `json:"allowed_fingerprints"`
					} `json:"signer_policy"`
				}
				readJSON(t, path, &l)
				if l.ClaimSetHash == m.ClaimSetHash && (l.Policy.Mode == "any" || slices.Contains(l.Policy.Allowed, m.Signer)) {
					want = 0
				}
			}
			if code, _ := threeWays(t, "verify-pack", dir, "--lock", path); code != want {
				t.Errorf("%s under %s: exit %d, want %d", name, lock, code, want)
			}
			if strings.HasPrefix(lock, "bad_") && lock != "bad_pack_format.lock" && lock != "bad_empty_allowlist.lock" {
				// DD-03: a lock is validated before any pack is looked at.
				if code, _, talk := homeless(t, "verify-pack", "nowhere", "--lock", path); code != 2 || !strings.Contains(talk, "lockfile: ") {
					t.Errorf("%s: exit %d, %q", lock, code, talk)
				}
			}
		}
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// DD-10: "same pack + same cards + same lock → byte-identical JSON verdict on two machines".
// VFY-84
func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	w := newWorld(t)
	w.mustPack("p")
	if code, _, talk := w.assay("lock", "write", "--cards", "receipt_completeness"); code != 0 {
		t.Fatal(talk)
	}
	for _, args := range [][]string{
		{"verify-pack", "p", "--json"}, {"verify-pack", "p"}, {"verify-pack", "p", "p", "--json"}, {"explain", "p"}, {"explain", "p", "--json"}, {"explain", "p", "-f", "md"},
		{"verify-pack", "p", "--lock", "assay.lock", "--json", "--html", "h", "--badge", "b", "--out", "o", "--csv", "c"},
	} {
		args = append(args, "--now", "2100-01-15T10:00:00Z")
		t.Setenv("TZ", "Asia/Kathmandu")
		_, first, _ := w.assay(args...)
		t.Setenv("TZ", "UTC")
		_, second, _ := homeless(t, args...)
		if first != second || first == "" {
			t.Errorf("%v:\n%s\n%s", args, first, second)
		}
	}
	var files [2][]byte
	for i := range files {
		w.assay("verify-pack", "p", "-q", "--html", "h", "--badge", "b", "--out", "o", "--csv", "c", "--now", "2100-01-15T10:00:00Z")
		for _, name := range []string{"h", "b", "o", "c"} {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[i] = append(files[i], text...)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the files differ")
	}
}

// PP-25: "no file outside the pack and arguments is read".
func TestVerifyPackOpensNothingButThePackAndItsArguments(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIPPED: strace is not here")
	}
	w := newWorld(t)
	w.mustPack("p")
	for _, args := range [][]string{{"lock", "write", "--cards", "receipt_completeness"}, {"cards", "new", "mine", "-o", "card.json"}} {
		if code, _, talk := w.assay(args...); code != 0 {
			t.Fatal(talk)
		}
	}
	// Things that a program could be tempted to read.
	for _, name := range []string{"home2/.assay/keys/x.key", "home2/.config/assay.yaml", "assay.yaml", ".env", ".assay/baseline.json", "assay.coverage.json", "pack_manifest.json"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(w.dir, "assay"), "github.com/Haserjian/assay-ledger/cmd/assay")
	build.Dir = sourceDir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, home := range []string{"HOME=" + filepath.Join(w.dir, "home2"), "HOME=/nonexistent", ""} {
		for _, args := range [][]string{
			{"verify-pack", "p"}, {"verify-pack", "p", "--json", "--lock", "assay.lock", "-c", "card.json", "--policy", "policy"}, {"explain", "p"},
		} {
			for _, line := range strangers(traceOf(t, strace, home, args), args) {
				t.Errorf("%s %v: %s", home, args, line)
			}
		}
	}
}

// traceOf is what ./assay asked of the system about files and the network. Where the process ended while a thread of it
// was entering a call, strace does not know which ("???"), so it is asked again.
func traceOf(t *testing.T, strace, home string, args []string) string {
	t.Helper()
	for range 20 {
		c := exec.Command(strace, append([]string{"-f", "-e", "trace=%file,%network", "-o", "trace", "./assay"}, args...)...)
		c.Env = []string{home}
		if out, err := c.CombinedOutput(); err != nil {
			if _, traced := os.ReadFile("trace"); traced != nil || strings.Contains(string(out), "ptrace") {
				t.Skipf("SKIPPED: strace does not run here: %s", out)
			}
			if len(args) == 2 { // a lock that does not fit is exit 2
				t.Errorf("%s %v: %v, %s", home, args, err, out)
			}
		}
		text, err := os.ReadFile("trace")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), " ???(") {
			return string(text)
		}
	}
	t.Fatal("strace never saw every call")
	return ""
}

// sourceDir is the directory in which the tests start.
var sourceDir, _ = os.Getwd()

var traced = regexp.MustCompile(`^\d+ +(\w+)\(([^,"]*), "([^"]*)"|^\d+ +(\w+)\("([^"]*)"`)

// strangers are the system calls that touch anything but the arguments, the inside of a directory that is
// open already, and what the Go runtime wants to know of the machine.
func strangers(trace string, args []string) (lines []string) {
	runtime := []string{"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "/proc/self/cgroup", "/proc/self/mountinfo", "/sys/fs/cgroup/"}
	for line := range strings.Lines(trace) {
		if strings.Contains(line, "+++") || strings.Contains(line, "---") || strings.Contains(line, "resumed>") {
			continue
		}
		m := traced.FindStringSubmatch(line)
		if m == nil {
			lines = append(lines, "not understood: "+line) // socket, connect and so on
			continue
		}
		call, dir, path := m[1]+m[4], m[2], m[3]+m[5]
		switch {
		case call == "execve", slices.Contains(args, path), slices.ContainsFunc(runtime, func(known string) bool { return strings.HasPrefix(path, known) }):
		case dir != "" && dir != "AT_FDCWD" && !strings.HasPrefix(path, "/") && !strings.Contains(path, ".."):
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

// A shell that the explanation's script runs in must come to the same verdict about files and signature.
func TestTheScriptOfExplainChecksAPackWithoutUs(t *testing.T) {
	for _, program := range []string{"sh", "jq", "openssl", "sha256sum", "base64"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not here", program)
		}
	}
	w := newWorld(t)
	w.mustPack("p")
	dirs := []string{"p"}
	if vectors, err := filepath.Abs(filepath.Join(sourceDir, sharedVectors, "packs")); err == nil {
		for _, name := range []string{"pass_minimal", "pass_unicode_floats", "pass_ci_bound", "pass_empty", "claimfail_custom"} {
			if _, err := os.Stat(filepath.Join(vectors, name)); err == nil {
				dirs = append(dirs, filepath.Join(vectors, name))
			}
		}
	}
	for _, dir := range dirs {
		script := scriptOf(t, dir)
		if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified Successfully") {
			t.Errorf("%s: %v\n%s\n%s", dir, err, out, script)
		}
	}
	script := scriptOf(t, "p")
	for _, name := range []string{"receipt_pack.jsonl", "verify_report.json", "verify_transcript.md", "pack_manifest.json", "pack_signature.sig"} {
		path := filepath.Join("p", name)
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(was, []byte(`"mode": "shadow"`), []byte(`"mode": "enforced"`), 1)
		if bytes.Equal(changed, was) {
			changed[len(was)/2] ^= 1
		}
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err == nil {
			t.Errorf("%s was changed, and the script says %s", name, out)
		}
		if err := os.WriteFile(path, was, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type explainedPack struct {
	Explanation struct {
		Check struct{ Script string } `json:"check_without_us"`
	}
}

func scriptOf(t *testing.T, dir string, args ...string) string {
	t.Helper()
	_, out, talk := homeless(t, append([]string{"explain", dir, "--json"}, args...)...)
	var object explainedPack
	if err := json.Unmarshal([]byte(out), &object); err != nil {
		t.Fatalf("%v, %s", err, talk)
	}
	return object.Explanation.Check.Script
}

func TestRootsAreReadWholeByEveryCommandOrTheyAreBadInput(t *testing.T) {
	w := newWorld(t)
	w.mustPack("p")
	w.timestamped("p")
	read := func(path string) string {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	good := read("roots.pem")
	w.mustPack("other")
	w.timestamped("other")
	other := read("roots.pem") // of another authority
	block, _ := pem.Decode([]byte(good))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")}))
	for _, tt := range []struct{ name, text, err, hint string }{
		{"good", other + "# and ours\n" + good, "", ""},
		{"a key behind", good + key, `certificate 2: line`, ""},
		{"corrupt, another behind", strings.Replace(good, "MII", "!II", 1) + other, "certificate 1: line 2: no base64", ""},
		{"cut short, another behind", good[:300] + "\n" + other, "certificate 1: line", ""},
		{"byte order mark, another behind", "\ufeff" + good + other, "certificate 1: line 1: a byte order mark", "looks like text behind a byte order mark"},
		{"DER", string(block.Bytes), "a certificate in DER, want PEM", "openssl x509 -inform der"},
		{"zip", "PK\x03\x04 and so on", "no certificate in it", "looks like a zip archive"},
		{"a web page", "<!DOCTYPE html><html>", "no certificate in it", "looks like a web page"},
		{"empty", "", "it is empty", ""},
	} {
		if err := os.WriteFile("roots.pem", []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{
			{"verify-pack", "p"}, {"explain", "p"}, {"audit", "bundle", "p", "-o", filepath.Join(t.TempDir(), "b.tar.gz")},
			{"anchor", "p", "--ledger", "http://127.0.0.1:1"},
		} {
			if tt.err == "" && args[0] == "anchor" {
				continue // which would ask the ledger
			}
			code, _, stderr := homeless(t, append(args, "--policy", "policy", "--tsa-roots", "roots.pem")...)
			switch {
			case tt.err == "" && code != 0:
				t.Errorf("%s: %v: exit %d: %s", tt.name, args, code, stderr)
			case tt.err != "" && (code != 3 || !strings.Contains(stderr, "roots.pem: "+tt.err) || !strings.Contains(stderr, tt.hint) || strings.Contains(stderr, "secret")):
				t.Errorf("%s: %v: exit %d: %s", tt.name, args, code, stderr)
			}
		}
	}
	if code, _, stderr := homeless(t, "verify-pack", "p", "--policy", "policy", "--tsa-roots", "."); code != 3 || !strings.Contains(stderr, ". is a directory") {
		t.Errorf("a directory: exit %d: %s", code, stderr)
	}
}

func TestAnAnchoredPackIsExplainedWithItsLogWitnessAndTime(t *testing.T) {
	w := newWorld(t)
	w.mustPack("p")
	w.timestamped("p")
	flags := []string{"p", "--policy", "policy", "--tsa-roots", "roots.pem", "--require-anchor"}
	code, object := threeWays(t, append([]string{"verify-pack"}, flags...)...)
	anchor := object["anchor"].(map[string]any)
	stamp, _ := anchor["timestamp"].(map[string]any)
	if code != 0 || anchor["verdict"] != "PASS" || anchor["log"] != "ledger.example/test" || anchor["index"] != 0.0 ||
		len(anchor["cosignatures"].([]any)) != 1 || stamp["time"] == nil {
		t.Fatalf("exit %d, anchor %v", code, anchor)
	}
	genTime, err := time.Parse(time.RFC3339Nano, fmt.Sprint(stamp["time"]))
	if err != nil {
		t.Fatal(err)
	}
	_, out, _ := homeless(t, append([]string{"explain"}, flags...)...)
	for _, want := range []string{"time (narrowed): it existed by then: timestamped " + genTime.Format(time.RFC3339) + " (", "witness (narrowed): 1 witness of your policy saw the log", "holds this very manifest as entry 0", "completeness: a receipt"} {
		if !strings.Contains(out, want) {
			t.Errorf("explain does not say %q: %s", want, out)
		}
	}
	// What lies in the pack and was not checked narrows nothing.
	if _, out, _ := homeless(t, "explain", "p"); strings.Contains(out, "(narrowed)") || strings.Contains(out, "_unsigned/anchor.tlog-proof |") {
		t.Errorf("without a policy: %s", out)
	}
	for _, program := range []string{"sh", "jq", "openssl", "sha256sum", "base64"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not here", program)
		}
	}
	_, out, _ = homeless(t, append([]string{"explain", "--json"}, flags...)...)
	var explained explainedPack
	if err := json.Unmarshal([]byte(out), &explained); err != nil {
		t.Fatal(err)
	}
	check := func() (string, error) {
		c := exec.Command("sh", "-c", explained.Explanation.Check.Script)
		c.Env = append(os.Environ(), "ROOTS="+filepath.Join(w.dir, "roots.pem"))
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil || !strings.Contains(out, "Verification: OK") {
		t.Errorf("%v: %s\n%s", err, out, explained.Explanation.Check.Script)
	}
	// The proof and token of another pack.
	w.mustPack("q")
	w.timestamped("q")
	other, err := os.ReadFile(filepath.Join("q", proofPath))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("p", proofPath), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := check(); err == nil {
		t.Errorf("with the proof of another pack: %s", out)
	}
	if code, object := threeWays(t, append([]string{"verify-pack"}, flags...)...); code != 2 || object["status"] != "witness_failed" || object["verdict"] != "INSUFFICIENT_EVIDENCE" {
		t.Errorf("exit %d, %v %v", code, object["status"], object["verdict"])
	}
}

func TestWhoHasAProofAloneIsToldWhatChecksIt(t *testing.T) {
	proof := filepath.Join(t.TempDir(), "entry.tlog-proof")
	if err := os.WriteFile(proof, []byte("c2sp.org/tlog-proof@v1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify-pack", proof}, {"verify-pack", "--proof", proof}, {"explain", proof}, {"page", proof, "-o", proof + ".html"}} {
		code, _, talk := homeless(t, args...)
		if code != cli.ExitBadInput || !strings.Contains(talk, "alone by verify.html, which 'assay page -o verify.html' makes") {
			t.Errorf("%q: exit %d: %s", args, code, talk)
		}
	}
	if code, _, talk := homeless(t, "verify-pack"); code != cli.ExitBadInput || strings.Contains(talk, "verify.html") {
		t.Errorf("nothing at all: exit %d: %s", code, talk)
	}
}

func TestAPageThatWasWrittenIsNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, talk := homeless(t, "page", "-o", "verify.html")
	if _, err := os.Stat("verify.html"); err != nil || code != 0 || out != "" || talk != "wrote verify.html\n" {
		t.Errorf("exit %d: %q %q, %v", code, out, talk, err)
	}
}
