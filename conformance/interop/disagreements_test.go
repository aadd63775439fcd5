package interop

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// disagreement is one case in which the Python tool and ours do not say the same, and why.
type disagreement struct{ python, ours, reason string }

// disagreements is complete: what is not here is a failure, and so is what is here and no longer so.
var disagreements = listed()

// listed writes the table in families: cases with one reason.
func listed() map[string]disagreement {
	table := map[string]disagreement{}
	list := func(python, ours, reason string, cases ...string) {
		for _, name := range cases {
			if _, twice := table[name]; twice {
				panic(name + " is listed twice")
			}
			table[name] = disagreement{python, ours, reason}
		}
	}
	// both lists a pack that is judged without and with --require-claim-pass.
	both := func(python, required, ours, oursRequired, reason string, packs ...string) {
		for _, name := range packs {
			list(python, ours, reason, name)
			list(required, oursRequired, reason, name+" --require-claim-pass")
		}
	}
	const (
		separators = "it splits lines at U+0085, U+2028 and U+2029 inside strings, and so refuses a pack that it built itself; we escape them when we build, and accept them with a warning"
		attested   = "a signer that attests its own receipts as FAIL is believed and passes there; broken receipts are no evidence here, whatever was attested"
		malformed  = "a manifest that is missing, no JSON or of another form exits 1 there, which reads as an honest failure"
		inJSON     = "it exits with another code under --json"
		unseen     = "it compares neither copies of a member nor the report, the order and the definitions with what was signed"
		notBuilt   = "it builds what no verifier should accept, or what not every JSON reader reads alike"
		noNaN      = "NaN is not a number of hours; it passes every comparison there"
		notHere    = "the definitions of custom claims are not in its packs: with --run-card they are executed again, without it the signer's word does not meet --require-claim-pass"
	)
	const (
		tampered   = "exit 2, failed TAMPERED"
		unexpected = "exit 2, expectation_failed INSUFFICIENT_EVIDENCE"
		intact     = "too old, too young, or of another CI run is not tampered: our integrity speaks of bytes only, and the claims of such a pack are judged"
	)
	exit1JSON2, exit2JSON1 := "exit 1 (2 with --json)", "exit 2 (1 with --json)"

	// Packs that we built.
	list("exit 0", "exit 3", noNaN, "go/minimal --max-age-hours NaN", "go/ci binding --max-age-hours NaN",
		"python/minimal --max-age-hours NaN", "python/ci binding --max-age-hours NaN")

	// What is expected of a pack beyond its bytes.
	sha := func(b string) string { return " --expected-commit-sha " + strings.Repeat(b, 20) }
	for _, by := range []string{"go", "python"} {
		list(tampered, unexpected, intact, by+"/minimal --require-ci-binding", by+"/minimal --require-ci-binding --require-claim-pass",
			by+"/minimal"+sha("0a"), by+"/minimal"+sha("0b"), by+"/minimal --max-age-hours 1", by+"/ci binding"+sha("0b"), by+"/ci binding --max-age-hours 1")
	}
	both(tampered, tampered, unexpected, unexpected, intact, "python/a timestamp of next century")
	list("exit 1", "exit 0", "a commit of a SHA-256 repository has 64 digits, and its schema wants 40; we warn of it when we build and verify", "go/a commit of 64 digits")

	// Packs that the Python tool built.
	list("exit 0", "exit 1", "it asks claims of receipts before it drops what is not packed; nobody can ask them again, so they are the signer's word",
		"python/a claim about what is not packed --require-claim-pass", "python/a claim about what is not packed --require-claim-pass, with the definitions")
	list("builds", "refuses to build", notBuilt, "python/a run id that Python takes for none, built", "python/Type beside type, built", "python/__proto__, built", "python/a number as id, built",
		"python/a seq that is a float, built", "python/a seq that is text, built", "python/a timestamp of next century, built",
		"python/a type that is not admitted, built", "python/a type with a newline, built", "python/an id twice, built",
		"python/integers beyond 2^53, built", "python/no id, built", "python/receipt_type alone, built")
	both("exit 0", "exit 1", "exit 2", "exit 2", attested, "python/an id twice", "python/no id")
	both("exit 0", "exit 1", "exit 2", "exit 2", "the three core members must be non-empty strings; it takes a number for an id", "python/a number as id")
	both("exit 0", "exit 1", "exit 2", "exit 2", "its pattern for types lets a newline at the end pass", "python/a type with a newline")
	both("exit 0", "exit 1", "exit 2", "exit 2", "receipt_type does not stand in for a missing type, and it attests the FAIL itself", "python/receipt_type alone")
	both("exit 2", "exit 2", "exit 0", "exit 0", separators, "python/line separators")
	const glass = "assay.breakglass/v1 is what we record of a broken glass, since it refuses every pack with a bare breakglass; our no_breakglass counts it, its own cannot fail"
	list("exit 0, ok PASS", "exit 0, ok HONEST_FAIL", glass, "python/breakglass")
	list("exit 0", "exit 1", glass, "python/breakglass --require-claim-pass")
	list("exit 0", "exit 1", notHere, "python/custom card --require-claim-pass", "python/custom card with floats --require-claim-pass",
		"python/claims that nobody means --require-claim-pass")
	list("exit 0, ok PASS", "exit 0, ok INSUFFICIENT_EVIDENCE", "it repeats the attested verdict; no word of ours says PASS of claims that were not executed here",
		"python/custom card", "python/custom card with floats", "python/claims that nobody means", "python/a claim about what is not packed")

	// Bytes.
	list("its own", "our own", "each names the program that built the pack", "bytes/attestation.verifier_version", "bytes/attestation.canon_impl", "bytes/attestation.canon_impl_version")
	list("equal", "differs", separators, "bytes/receipt_pack.jsonl of line separators")
	list("equal", "differs in claim_check, discrepancy_fingerprint", "our no_breakglass counts assay.breakglass/v1", "bytes/attestation of breakglass")
	list("equal", "differs in discrepancy_fingerprint", "a card's hash does not tell 1.0 from 1, so neither do our texts of its claims; packs whose texts tell them apart still verify", "bytes/attestation of custom card with floats")

	// Running a program.
	list("exit 0", "exit 1", "it builds the pack and leaves the claims to whoever verifies; our run says what a later verify-pack would", "run/a check fails")
	list("exit 7 (0 with --json)", "exit 7", "its --json always exits 0", "run/emits with both, then fails")
	list("exit 1", "exit 3", "1 is for an honest failure, which these are not", "run/no such card", "run/no such mode", "run/nothing was recorded")
	list("exit 1", "exit 127", "the code of every shell for a program that is not there", "run/no such program")

	// Keys.
	list("exit 0", "exit 3", "it leaves exported private keys readable by everybody; we import none that others may have read", "keys/exported by python, imported by ours as it is")

	// Locks.
	list(exit1JSON2, "exit 2", inJSON+"; from two cards it writes a lock that it refuses itself", "lock/init from two cards, by python, checked")
	list(exit1JSON2, "exit 0", "it knows built-in cards only, so what holds packs to custom claims cannot be checked there; it fails closed", "lock/custom card, by ours, checked")
	list(exit2JSON1, "exit 0", "the same", "lock/custom card, by ours, on custom card")
	list(exit2JSON1, "exit 2", inJSON, "lock/custom card, by ours, on one card", "lock/every card, by ours, on one card", "lock/every card, by python, on one card",
		"lock/init from two cards, by ours, on one card", "lock/init from two cards, by python, on one card",
		"lock/one card, one signer, by ours, on mallory's pack", "lock/one card, one signer, by python, on mallory's pack",
		"lock/two cards, by ours, on one card", "lock/two cards, by python, on one card")
	for _, bad := range []string{"card_hash", "composite", "flat", "json", "lock_version", "max_version", "min_version", "missing_exit_contract", "missing_signer_policy", "mode", "unknown_card"} {
		list(exit1JSON2, "exit 2", inJSON, "locks/bad_"+bad+", checked")
		list(exit2JSON1, "exit 2", inJSON, "locks/bad_"+bad+", on pass_custom_ids")
	}
	list("exit 0", "exit 2", "a lock without cards skips both of its hash checks there: any claim_set_hash is accepted", "locks/weak_empty_run_cards, checked")
	list(exit2JSON1, "exit 2", inJSON, "locks/weak_empty_run_cards, on pass_custom_ids", "locks/bad_pack_format, on pass_custom_ids", "locks/bad_empty_allowlist, on pass_custom_ids",
		"locks/rc_mallory, on pass_custom_ids", "locks/rc_ge_alice, on pass_custom_ids", "locks/all_any, on pass_custom_ids",
		"locks/rc_any, on claimfail_guardian", "locks/rc_any, on pass_noclaims")
	list(exit2JSON1, "exit 0", "1.23.0 is below the lowest version that the lock admits; we count as 1.24.0", "locks/as 1.24.0 wrote it, on pass_custom_ids")

	// Packs of the specification.
	both("exit 0", "exit 1", "exit 2", "exit 2", attested, "vector/div_bad_timestamp_attested_fail", "vector/div_dup_receipt_id")
	both("exit 2", "exit 2", "exit 0", "exit 1", separators, "vector/div_u2028_literal")
	both("exit 0", "exit 0", "exit 2", "exit 2", "it believes the attested claim_check; we execute the claims again", "vector/lie_claim_check_pass")
	both("exit 0", "exit 0", "exit 2", "exit 2", "of a name that is there twice it reads the last, others read the first", "vector/lie_dup_key_in_receipt")
	both("exit 0", "exit 1", "exit 2", "exit 2", unseen, "vector/lie_files_omit_receipts", "vector/lie_n_receipts")
	both("exit 0", "exit 0", "exit 2", "exit 2", unseen, "vector/lie_unsorted_lines")
	both("exit 1", "exit 1", "exit 2", "exit 2", malformed, "vector/tamper_manifest_extra_field", "vector/tamper_manifest_truncated", "vector/tamper_missing_pack_manifest")
	return table
}

// checkTable finds entries that no case of their group met.
func (w *reference) checkTable(t *testing.T) {
	t.Helper()
	if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		return // somebody runs a part
	}
	for _, name := range slices.Sorted(maps.Keys(disagreements)) {
		group, _, _ := strings.Cut(name, "/")
		if w.whole[group] && !w.compared[name] {
			t.Errorf("%s is listed as a disagreement, and nothing compares it", name)
		}
	}
	t.Logf("%d cases compared, %d disagreements listed", len(w.compared), len(disagreements))
}

// TestDISAGREEMENTSIsTheTable keeps the page that people read.
func TestDISAGREEMENTSIsTheTable(t *testing.T) {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Where assay and the Python tool disagree\n\nassay-ai %s and this tool judge the same packs, locks, stores and keys in `make interop`. These are all\ncases in which they do not say the same. `go test -update` writes this page from the table in\ndisagreements_test.go; a disagreement that is not listed fails that test, and so does one that is gone.\nWhere the exit codes agree, a row shows the status and verdict of --json that do not. Beyond the cases: of a pack that is not\nintact its --json repeats the claims as attested, ours says that they were not evaluated.\n", referenceVersion)
	group := ""
	for _, name := range slices.Sorted(maps.Keys(disagreements)) {
		d := disagreements[name]
		g, rest, _ := strings.Cut(name, "/")
		if g != group {
			group = g
			title, ok := groups[g]
			if !ok {
				t.Fatalf("group %s of %s has no title", g, name)
			}
			fmt.Fprintf(&page, "\n## %s\n\n| case | Python | ours | why |\n|---|---|---|---|\n", title)
		}
		if d.reason == "" || d.python == d.ours {
			t.Errorf("%s: a disagreement has two sides and a reason", name)
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", rest, d.python, d.ours, d.reason)
	}
	if *update {
		if err := os.WriteFile("DISAGREEMENTS.md", page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(page.Bytes(), must(os.ReadFile("DISAGREEMENTS.md"))(t)) {
		t.Error("DISAGREEMENTS.md is not the table: run go test -update")
	}
}

var groups = map[string]string{
	"go":     "Packs that we built",
	"python": "Packs that the Python tool built",
	"bytes":  "Bytes of packs built of the same receipts with the same key",
	"run":    "Running a program",
	"store":  "Receipt stores",
	"keys":   "Keys",
	"lock":   "Locks that either wrote",
	"vector": "Packs of the specification",
	"locks":  "Locks of the specification",
}
