package pack

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// doesNotProve is what no pack shows, whatever its verdicts (pack.md §7).
var doesNotProve = []string{"output_correctness", "output_safety", "business_policy_fitness", "legal_compliance",
	"instrumentation_completeness", "signer_authority_beyond_configured_trust"}

const (
	reportSchema = "assay.verify_report.v0.1"
	verifyPolicy = "assay.verify_policy.v0.1"
)

// writeReport writes verify_report.json and verify_transcript.md. They are hashed into the manifest,
// so they are written before anything is signed, and say no more than what was checked by then.
func (b *builder) writeReport() error {
	j := judgementOf(b.attested, b.root)
	claimWord := claimWords[b.attested.ClaimCheck]
	evaluated := len(b.results) > 0
	null := jcs.Value{}
	// Verifiers compare every member that they can compute, in this order of writing: verify.md §9.
	members := []jcs.Member{
		jcs.M("schema_version", jcs.Str(reportSchema)),
		jcs.M("report_id", jcs.Str(reportID(b.root, b.now(), claimWord, manifest.Version))),
		jcs.M("pack_id", jcs.Str(b.PackID)),
		jcs.M("run_id", jcs.Str(b.RunID)),
	}
	members = append(members, j.members...)
	members = append(members,
		jcs.M("verified_at", jcs.Str(b.now())),
		jcs.M("verifier", form.Strs("name", "assay", "version", manifest.Version, "policy_id", verifyPolicy)),
		jcs.M("expectations", form.Strs("policy_id", verifyPolicy, "policy_sha256", b.PolicyHash,
			"claim_set_id", b.ClaimSetID, "claim_set_hash", b.attested.ClaimSetHash)),
		jcs.M("verification_inputs_sha256", jcs.Str(b.root)),
		jcs.M("verifier_config_sha256", null),
		jcs.M("provenance", jcs.Obj()),
		jcs.M("evidence_refs", jcs.Arr(
			// The manifest holds the digest of this report, so the report cannot hold that of the manifest.
			jcs.Obj(jcs.M("kind", jcs.Str("pack_manifest")), jcs.M("path", jcs.Str(manifest.Name)), jcs.M("sha256", null)),
			form.Strs("kind", "receipt_pack", "path", manifest.ReceiptsName, "sha256", b.lines.sum))),
		jcs.M("checks", jcs.Arr(
			form.Strs("name", "receipt_pack_integrity", "verdict", "PASS"), form.Strs("name", "claim_check", "verdict", claimWord),
			form.Strs("name", "replay", "verdict", "NOT_RUN"), form.Strs("name", "trust", "verdict", "NOT_EVALUATED"))),
		jcs.M("summary", form.Strs(
			"integrity", "The receipts were checked before they were packed. Hashes and signature are made after this report: only a verifier can check them.",
			"claim", claimSentences[b.attested.ClaimCheck], "replay", "Replay was not run.", "trust", "Trust in the signer was not evaluated.")),
		jcs.M("scope", b.scope(j)),
		jcs.M("errors", jcs.Arr()),
		jcs.M("warnings", jcs.Arr()),
		jcs.M("passed", jcs.Boolean(true)),
		jcs.M("receipt_count", jcs.Int(b.attested.NReceipts)),
		jcs.M("head_hash", b.reportedHead()))
	if evaluated {
		members = append(members, jcs.M("claim_verification", b.claimValue()))
	}
	var err error
	if b.report, err = jcs.AppendPretty(nil, jcs.Obj(members...)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	b.transcript = b.transcriptText()
	return nil
}

var claimSentences = map[manifest.ClaimCheck]string{
	manifest.ClaimsPass: "The receipts satisfy the claim set.",
	manifest.ClaimsFail: "The receipts do not satisfy the claim set.",
	manifest.ClaimsNone: "No claim set was evaluated.",
}

// reportedHead is null for a pack without receipts: the head of nothing is a constant, and no receipt's.
func (b *builder) reportedHead() jcs.Value {
	if b.lines.count == 0 {
		return jcs.Value{}
	}
	return jcs.Str(b.lines.head)
}

// scope says what was looked at and what it shows, in the closed words that verify.md §9 computes again.
func (b *builder) scope(j judgement) jcs.Value {
	return jcs.Obj(
		jcs.M("schema", jcs.Str("assay.verify.scope.v1")),
		jcs.M("channels", j.ran),
		jcs.M("extensions", jcs.Obj()),
		// PCK-33: a builder's list "MUST NOT hold pack_integrity or signature_validity", the first two: hashes and
		// signature are made after this report, so it does not vouch for them.
		jcs.M("proves", form.Texts(j.proves[2:])),
		jcs.M("does_not_prove", form.Texts(doesNotProve)),
		jcs.M("note", jcs.Str("Written by the builder before signing. Integrity of the pack and validity of the signature are for the reader to verify.")))
}

// claimValue is claim_verification of pack.md §7: what discrepancy_fingerprint can be computed from again without the
// definitions of the claims. Falsifiers are not evaluated, so none is ever required.
func (b *builder) claimValue() jcs.Value {
	passed := 0
	items := make([]jcs.Value, len(b.results))
	for i, r := range b.results {
		if r.Passed {
			passed++
		}
		items[i] = jcs.Obj(
			jcs.M("claim_id", jcs.Str(r.ClaimID)),
			jcs.M("passed", jcs.Boolean(r.Passed)),
			jcs.M("expected", jcs.Str(r.Expected)),
			jcs.M("actual", jcs.Str(r.Actual)),
			jcs.M("severity", jcs.Str(string(r.Severity))),
			jcs.M("evidence_receipt_ids", form.Texts(r.Evidence)),
			jcs.M("falsifier_status", jcs.Str("not_required")))
	}
	return jcs.Obj(
		jcs.M("passed", jcs.Boolean(b.attested.ClaimCheck == manifest.ClaimsPass)),
		jcs.M("n_claims", jcs.Int(int64(len(items)))),
		jcs.M("n_passed", jcs.Int(int64(passed))),
		jcs.M("n_failed", jcs.Int(int64(len(items)-passed))),
		jcs.M("discrepancy_fingerprint", jcs.Str(b.attested.DiscrepancyFingerprint)),
		jcs.M("results", jcs.Arr(items...)))
}

// transcriptText is verify_transcript.md: the report for people.
func (b *builder) transcriptText() []byte {
	var w strings.Builder
	w.WriteString("# Proof pack: what the builder checked\n\n")
	b.facts(&w)
	w.WriteString("\n## Claims\n\n")
	b.claimList(&w)
	w.WriteString("\n## Scope\n\n" +
		"The builder checked the receipts and evaluated the claims, then wrote this file, then signed.\n" +
		"Whether the pack is still what was signed, and by whom, is for the reader to verify:\n\n" +
		"    assay verify-pack <pack directory>\n\n" +
		"A pack does not prove: " + strings.ReplaceAll(strings.Join(doesNotProve, ", "), "_", " ") + ".\n\n" +
		"Written by assay " + manifest.Version + " at " + b.now() + ".\n")
	return []byte(w.String())
}

// summary is _unsigned/PACK_SUMMARY.md. Nothing signed covers it, and it says so.
func (b *builder) summary() []byte {
	var w strings.Builder
	w.WriteString("# Proof pack\n\nThis file is not covered by the signature: read it, then verify the pack.\n\n")
	b.facts(&w)
	key := b.Signer.Public()
	rows := [][2]string{
		{"Built", b.now()}, {"Signer", b.Signer.ID()}, {"Key (SHA-256)", form.HexSum(key)},
		{"Valid until", b.ValidUntil}, {"Superseded by", b.SupersededBy}, {"Pack root", b.root}, {"Receipts (SHA-256)", b.lines.sum},
	}
	if ci := b.CIBinding; ci != nil {
		rows = append(rows, [2]string{"CI", ci.Provider}, [2]string{"Commit", ci.CommitSHA}, [2]string{"Repository", ci.Repo}, [2]string{"CI run", ci.RunID})
	}
	for _, row := range rows {
		if row[1] != "" {
			fmt.Fprintf(&w, "| %s | %s |\n", row[0], Markdown(row[1]))
		}
	}
	w.WriteString("\n## Receipts\n\n")
	b.kindList(&w)
	w.WriteString("\n## Claims\n\n")
	b.claimList(&w)
	w.WriteString("\n## What it does not prove\n\n" +
		"That what the receipts say is true or complete, or who holds the key: whoever can run a builder can\n" +
		"make and sign a pack. Compare the key above with one that you have from the signer. Not proved either:\n" +
		strings.ReplaceAll(strings.Join(doesNotProve, ", "), "_", " ") + ".\n" +
		"\n## Verify\n\n    assay verify-pack <pack directory>\n" +
		"\nWithout this tool, in the pack directory (the hashes must be those of `files` in pack_manifest.json):\n\n" +
		"    sha256sum receipt_pack.jsonl verify_report.json verify_transcript.md\n" +
		"    python3 - <<'EOF'       # pip install pynacl\n" + verifyByHand + "    EOF\n")
	return []byte(w.String())
}

// verifyByHand checks the hashes and the signature of a pack. A manifest holds no floats and only ASCII names, so
// Python's own sorted JSON is its canonical form.
const verifyByHand = `    import base64, hashlib, json
    from nacl.signing import VerifyKey
    m = json.load(open("pack_manifest.json"))
    signature = base64.b64decode(m.pop("signature")); m.pop("pack_root_sha256")
    for f in m["files"]:
        assert hashlib.sha256(open(f["path"], "rb").read()).hexdigest() == f["sha256"], f["path"]
    signed = json.dumps(m, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    VerifyKey(base64.b64decode(m["signer_pubkey"])).verify(signed, signature)
    print("signed by", m["signer_id"], m["signer_pubkey_sha256"])
`

// facts are the rows that transcript and summary share. Texts that others chose go through Markdown.
func (b *builder) facts(w *strings.Builder) {
	w.WriteString("| Field | Value |\n|---|---|\n")
	for _, row := range [][2]string{
		{"Pack", b.PackID}, {"Run", b.RunID}, {"Receipts", fmt.Sprint(b.lines.count)},
		{"From", b.lines.min.at}, {"To", b.lines.max.at}, {"Mode", string(b.Mode)}, {"Suite", b.SuiteID},
		{"Claim check", string(b.attested.ClaimCheck)}, {"Head hash", b.lines.head}, {"Policy hash", b.PolicyHash},
	} {
		fmt.Fprintf(w, "| %s | %s |\n", row[0], Markdown(row[1]))
	}
}

// kindList counts the receipts by type. Types that anybody may make up are one row: there may be a million.
func (b *builder) kindList(w *strings.Builder) {
	if b.lines.count == 0 {
		w.WriteString("None.\n")
		return
	}
	w.WriteString("| Type | Receipts |\n|---|---|\n")
	for _, kind := range slices.Sorted(maps.Keys(b.lines.kinds)) {
		if kind != "" {
			fmt.Fprintf(w, "| %s | %d |\n", Markdown(kind), b.lines.kinds[kind])
		}
	}
	if n := b.lines.kinds[""]; n > 0 {
		fmt.Fprintf(w, "| other namespaced types | %d |\n", n)
	}
}

func (b *builder) claimList(w *strings.Builder) {
	if len(b.results) == 0 {
		w.WriteString("No claims were evaluated.\n")
		return
	}
	for _, r := range b.results {
		word := "FAIL"
		if r.Passed {
			word = "PASS"
		}
		fmt.Fprintf(w, "- %s %s (%s): expected %s; actual %s\n", word, Markdown(r.ClaimID), Markdown(string(r.Severity)), Markdown(r.Expected), Markdown(r.Actual))
	}
}
