package second

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheCommandLinesAgree: VFY-79 to VFY-90 of what is asked, what is bad input, and which packs are meant, by both
// programs in one directory: exit codes, and of each pack the status and the words of the channels.
func TestTheCommandLinesAgree(t *testing.T) {
	dir, assay := t.TempDir(), filepath.Join(t.TempDir(), "assay")
	if out, err := exec.Command("go", "build", "-o", assay, "github.com/Haserjian/assay-ledger/cmd/assay").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fillWorld(t, dir)
	type line struct {
		Dir  string   `json:"dir"`
		Args []string `json:"args"`
	}
	var lines []line
	for i, args := range commandLines() {
		if long || i%4 == 0 || strings.Contains(strings.Join(args, " "), "--tsa-roots") {
			lines = append(lines, line{dir, append([]string{"verify", "--json"}, args...)})
		}
	}
	for i, theirs := range askSecond[answer](t, serve(t), "command", lines) {
		c := exec.CommandContext(t.Context(), assay, lines[i].Args...)
		var out bytes.Buffer
		c.Dir, c.Stdout = dir, &out
		if err := c.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		ours := answer{c.ProcessState.ExitCode(), out.String()}
		if said := ours.told(t); said != theirs.told(t) {
			t.Errorf("%q: %s, and the other verifier %s", lines[i].Args, said, theirs.told(t))
		}
	}
	// What is said to people, but for which flag would help: a page has none.
	var single []line
	for _, l := range lines {
		if args := l.Args[2:]; !slices.Contains(args, "--strict") {
			single = append(single, line{dir, append([]string{"verify"}, args...)})
		}
	}
	flag, said, whole := regexp.MustCompile(` \(--[a-z, -]+\)`), 0, false
	spoken := func(text string) (list []string) {
		for l := range strings.Lines(text) {
			if strings.HasPrefix(l, "anchor ") || strings.HasPrefix(l, "claims ") || strings.HasPrefix(l, "verdict ") || strings.HasPrefix(l, "           ") {
				list = append(list, flag.ReplaceAllString(strings.TrimSuffix(l, "\n"), ""))
			}
		}
		return list
	}
	for i, theirs := range askSecond[answer](t, serve(t), "command", single) {
		c := exec.CommandContext(t.Context(), assay, single[i].Args...)
		c.Dir = dir
		out, _ := c.Output()
		if ours, theirs := spoken(string(out)), spoken(theirs.Out); !slices.Equal(ours, theirs) {
			t.Errorf("%q:\n%s\nand the other verifier\n%s", single[i].Args, strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
		} else {
			said += len(theirs)
			whole = whole || strings.Contains(strings.Join(theirs, "\n"), "exit 0: intact, signer pinned, anchored with a time, claims hold, ")
		}
	}
	t.Logf("%d command lines, %d lines about them", len(lines), said)
	if said < 100 || !whole {
		t.Error("little was said, or of no pack that all of it holds")
	}
}

type answer struct {
	Exit int    `json:"exit"`
	Out  string `json:"out"`
}

// told gives the exit code, and what the output tells of each pack.
func (a answer) told(t *testing.T) string {
	t.Helper()
	type one struct {
		Status   string            `json:"status"`
		Exit     int               `json:"exit_code"`
		Path     string            `json:"path"`
		Channels map[string]string `json:"channels"`
		Coverage any               `json:"coverage"`
		Anchor   struct {
			Verdict string `json:"verdict"`
			Log     string `json:"log_verdict"`
			Time    string `json:"time_verdict"`
			Origin  string `json:"log"`
			Index   int    `json:"index"`
			Size    int    `json:"tree_size"`
			At      string `json:"submitted_at"`
			Names   any    `json:"cosignatures"`
			Stamp   any    `json:"timestamp"`
		} `json:"anchor"`
	}
	var said struct {
		one
		Packs []one `json:"packs"`
	}
	if a.Out != "" {
		if err := json.Unmarshal([]byte(a.Out), &said); err != nil || said.Exit != a.Exit {
			t.Errorf("exit %d (%v): %s", a.Exit, err, a.Out)
		}
	}
	return fmt.Sprint(a.Exit, said.one, said.Packs)
}

// fillWorld writes packs and files for the command lines.
func fillWorld(t *testing.T, dir string) {
	t.Helper()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{"good": "good_01", "bad": "tampered_02", "failing": "claimfail_01", "many/a": "good_01", "many/b": "good_01",
		"many/c": "claimfail_01", "broken/a": "good_01", "broken/proof_pack_b": "good_01", ".hidden/x": "good_01", "many/.d": "claimfail_01"} {
		if err := os.CopyFS(filepath.Join(dir, to), os.DirFS(filepath.Join("..", "corpus", "packs", from))); err != nil {
			t.Fatal(err)
		}
	}
	write("broken/proof_pack_b/pack_manifest.json", "{}")
	for _, name := range []string{"empty", "broken/proof_pack_c", "nothing/x"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../many/c", filepath.Join(dir, "broken", "z")); err != nil {
		t.Fatal(err)
	}
	policy, err := os.ReadFile("../corpus/policy")
	if err != nil {
		t.Fatal(err)
	}
	write("policy", string(policy))
	write("no_policy", "quorum nobody\n")
	write("proof", "c2sp.org/tlog-proof@v1\n")
	fillAnchors(t, dir)
	locks, err := filepath.Glob("../corpus/locks/*")
	if err != nil || len(locks) == 0 {
		t.Fatal(err, locks)
	}
	for _, name := range locks {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join("locks", filepath.Base(name)), string(text))
	}
	write("card", `{"card_id":"my.card","name":"x","claims":[{"claim_id":"c","check":"field_matches","params":{"field_name":"type","pattern":"[a-z_]+"}}]}`)
	write("a,b", `{"card_id":"my.card","name":"x","claims":[{"claim_id":"c","check":"receipt_count_ge","params":{"min_count":9}}]}`)
	write("no_card", `{"card_id":"receipt_completeness","name":"x","claims":[{"claim_id":"c","check":"receipt_count_ge","params":{"min_count":9}}]}`)
	manifest, err := os.ReadFile("../corpus/packs/good_01/pack_manifest.json")
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Key string `json:"signer_pubkey"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		t.Fatal(err)
	}
	write("key", m.Key)
	write("key_line", m.Key+"\n")
	write("key_lines", m.Key+"\n\n")
	write("zero", strings.Repeat("\x00", 32))
	site := `{"callsite_id":"s","path":"p","line":1,"call":"c","confidence":"low","instrumented":true,"framework":null}`
	contract := `{"contract_version":"1.0","generated_at":"","generated_by":"","project_root":"","call_sites":%s,` +
		`"summary":{"total_sites":%d,"high":0,"medium":0,"low":1},"contract_hash":"%s"%s}`
	sites, none := "["+site+"]", "[]"
	write("contract", fmt.Sprintf(contract, sites, 1, hashOf(t, sites), ""))
	write("contract_empty", fmt.Sprintf(contract, none, 0, hashOf(t, none), ""))
	write("contract_hash", fmt.Sprintf(contract, sites, 1, hashOf(t, none), ""))
	write("contract_total", fmt.Sprintf(contract, sites, 2, hashOf(t, sites), ""))
	write("contract_member", fmt.Sprintf(contract, sites, 1, hashOf(t, none), `,"x":1`))
}

// commandLines are arguments, each line by itself judged at the same time unless it says another one.
func commandLines() (lines [][]string) {
	fingerprint := "4ef13b6fdefd55edb639666149b57a693591a31b5eb60fba3aed2495738862b1"
	for _, line := range strings.Split(strings.ReplaceAll(`
good
bad
failing
nothere
empty
card
good bad
failing good --require-claim-pass
failing nothere bad
bad nothere
many/a many/nothere
good --require-claim-pass --require-claim-pass
good --require-claim-pass=false
good --require-claim-pass=x
good -q
good --quiet --json
good --nope
good -x
good -- x
failing --require-claim-pass=0
many/*
ma?y/[ab]
many/[^ab]
many/[a-b]/
many/x*
many/[
nothing/*
*/a
many/\a*
m*y/a --latest
--latest many
--latest
--latest broken
--latest nothing
--latest good
--latest nothere
--latest many broken
--latest .hidden
good --now 2026-01-15T12:00:00+00:00
good --now 0001-01-01T00:00:00Z
good --now 2026-01-15
good --now
good --now=
good --now 2026-01-15T12:00:00Z --now 2026-01-15T12:00:00Z
good --now 2026-01-14T10:59:59Z
good --now 2026-01-14T11:00:00Z
good --max-age-hours 1 --now 2026-01-15T12:00:00Z
good --max-age-hours 0.99 --now 2026-01-15T12:00:00Z
good --max-age-hours 1e-300
good --max-age-hours 1e300
good --max-age-hours 1e999
good --max-age-hours 0
good --max-age-hours -1
good --max-age-hours inf
good --max-age-hours nan
good --max-age-hours x
good --max-age-hours 0x1p10
bad --max-age-hours 1
good --check-expiry --refuse-superseded
good --require-ci-binding
good --expected-repo acme/app
good --expected-run=7
good --expected-commit-sha x
good --expected-commit-sha 0123456789abcdef0123456789abcdef01234567
good --expected-commit-sha 0123456789ABCDEF0123456789abcdef01234567
good --trusted-signer FINGERPRINT
good --trusted-signer FINGERPRINT --require-pinned
good --trusted-signer 0000000000000000000000000000000000000000000000000000000000000000,FINGERPRINT
good --trusted-signer 0000000000000000000000000000000000000000000000000000000000000000
bad --trusted-signer 0000000000000000000000000000000000000000000000000000000000000000
good --trusted-signer 000000000000000000000000000000000000000000000000000000000000000A
good --trusted-signer key --require-pinned
good --trusted-signer key_line
good --trusted-signer key_lines
good --trusted-signer zero
good --trusted-signer nothere
good --trusted-signer many
good --trusted-signer ,
good --require-pinned
good --run-card card
good --run-card card --run-card receipt_completeness
good -c receipt_completeness,card
good -creceipt_completeness
good -c=receipt_completeness
good -c nope
good -c no_card
good -c a,b
good -c "a,b"
good -c many
good -c ""
good --lock locks/nothere
good --lock card
good --lock many
good --lock nothere --run-card nope
good --run-card nope --coverage-contract contract_hash
good --coverage-contract contract
good --coverage-contract contract --min-coverage 0
good --coverage-contract contract --min-coverage 1.5
good --coverage-contract contract --min-coverage nan
good --min-coverage 0.5
good --coverage-contract contract_empty
bad --coverage-contract contract
failing --coverage-contract contract --require-claim-pass
good --coverage-contract contract_hash
good --coverage-contract contract_total
good --coverage-contract contract_member
good --coverage-contract nothere
good --policy policy
good --policy policy --require-anchor
good --policy nothere
good --policy no_policy
good --policy policy --proof proof
good --policy policy --proof nothere
good --policy policy --proof many
good --proof proof
good --require-anchor
good --tsa-roots key
good --timestamp required
good --strict
good --strict --policy policy
good --strict --policy policy --tsa-roots nothere
logged --policy believed
logged --policy believed --tsa-roots roots
logged --policy believed --tsa-roots roots --trusted-signer FINGERPRINT
logged --policy believed --tsa-roots roots --trusted-signer FINGERPRINT --run-card receipt_completeness
logged --policy believed --tsa-roots roots --require-anchor --max-age-hours 1 --now 2026-01-15T12:59:59Z
logged --policy believed --tsa-roots roots --max-age-hours 1 --now 2026-01-15T13:00:01Z
logged --policy believed --tsa-roots roots --now 2026-01-15T11:54:59Z
logged --policy believed --tsa-roots roots --now 2026-01-15T11:55:00Z
logged --policy believed --tsa-roots stranger
logged --policy believed --tsa-roots stranger --timestamp optional
logged --policy believed --tsa-roots many
logged --policy believed --tsa-roots no_policy
logged --policy believed --tsa-roots roots --tsa-roots stranger
logged --policy believed --timestamp optional
logged --policy believed --tsa-roots roots --timestamp later
logged --policy policy --tsa-roots roots
logged --tsa-roots roots
logged good --policy believed --tsa-roots roots
bare --policy believed
bare --policy believed --tsa-roots roots
bare --policy believed --tsa-roots roots --timestamp required
bare --policy believed --tsa-roots roots --timestamp optional --require-anchor
early --policy believed --tsa-roots roots
early --policy believed --tsa-roots roots --max-age-hours 1.01 --now 2026-01-15T12:00:00Z
early --policy believed --tsa-roots roots --strict --trusted-signer FINGERPRINT
old --policy believed --tsa-roots stranger
old --policy believed --tsa-roots roots
logged --policy believed --tsa-roots roots --strict --trusted-signer FINGERPRINT
logged --policy believed --tsa-roots roots --strict --trusted-signer FINGERPRINT --run-card receipt_completeness
logged --policy believed --tsa-roots roots --strict --timestamp optional --trusted-signer FINGERPRINT
logged --policy believed --tsa-roots roots --strict
bare --policy believed --tsa-roots roots --strict --trusted-signer FINGERPRINT
nothere --lock locks/nothere
nothere --run-card nope`, "FINGERPRINT", fingerprint), "\n") {
		args := strings.Fields(line)
		if len(args) == 0 && line == "" {
			continue
		}
		if !strings.Contains(line, "--now") {
			args = append([]string{"--now", "2026-01-15T12:00:00Z"}, args...)
		}
		lines = append(lines, args)
	}
	locks, _ := filepath.Glob("../corpus/locks/*")
	for _, name := range locks {
		for _, pack := range []string{"good", "failing", "bad"} {
			lines = append(lines, []string{"--now", "2026-01-15T12:00:00Z", pack, "--lock", "locks/" + filepath.Base(name)})
		}
	}
	return lines
}

// TestTheCommandLineSaysHowItIsCalled: who names no pack is told in letters that every terminal has.
func TestTheCommandLineSaysHowItIsCalled(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), findNode(t), "../../site/verifier/cli.mjs").CombinedOutput()
	if exited, ok := errors.AsType[*exec.ExitError](err); !ok || exited.ExitCode() != 3 || string(out) != "error: expected: verify PACK ... [flags]\n" {
		t.Errorf("%v: %q", err, out)
	}
}
