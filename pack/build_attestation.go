package pack

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
)

// attest makes the attestation of pack.md §5.
func (b *build) attest() error {
	claimSetHash, fingerprintValue := form.HexSum([]byte(b.ClaimSetID)), jcs.Value{}
	suiteHash := form.HexSum([]byte(b.SuiteID))
	if len(b.claims) > 0 {
		if claimSetHash = claim.SetHash(b.Cards); claimSetHash == "" {
			return errors.New("a run card has no canonical form")
		}
		fingerprintValue = jcs.Str(claim.Fingerprint(b.PolicyHash, suiteHash, b.results))
	}
	if b.PackID == "" {
		id, err := b.derivePackID(suiteHash, claimSetHash)
		if err != nil {
			return err
		}
		b.PackID = id
	}
	members := []jcs.Member{
		jcs.M("pack_format_version", jcs.Str(manifest.PackFormat)),
		jcs.M("fingerprint_version", jcs.Int(1)),
		jcs.M("pack_id", jcs.Str(b.PackID)),
		jcs.M("run_id", jcs.Str(b.RunID)),
		jcs.M("suite_id", jcs.Str(b.SuiteID)),
		jcs.M("suite_hash", jcs.Str(suiteHash)),
		jcs.M("verifier_version", jcs.Str(manifest.Version)),
		jcs.M("canon_version", jcs.Str(manifest.CanonVersion)),
		jcs.M("canon_impl", jcs.Str("assay-ledger/pack/jcs")),
		jcs.M("canon_impl_version", jcs.Str(manifest.Version)),
		jcs.M("policy_hash", jcs.Str(b.PolicyHash)),
		jcs.M("claim_set_id", jcs.Str(b.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(claimSetHash)),
		jcs.M("receipt_integrity", jcs.Str("PASS")),
		jcs.M("claim_check", jcs.Str(claim.Verdict(b.results))),
		jcs.M("discrepancy_fingerprint", fingerprintValue),
		jcs.M("assurance_level", jcs.Str("L0")),
		jcs.M("proof_tier", jcs.Str("signed-pack")),
		jcs.M("mode", jcs.Str(b.Mode)),
		jcs.M("head_hash", jcs.Str(b.lines.head)),
		jcs.M("head_hash_algorithm", jcs.Str(manifest.HeadAlgorithm)),
		jcs.M("time_authority", jcs.Str("local_clock")),
		jcs.M("n_receipts", jcs.Int(int64(b.lines.count))),
		jcs.M("timestamp_start", jcs.Str(b.lines.min.at)),
		jcs.M("timestamp_end", jcs.Str(b.lines.max.at)),
	}
	if !b.OldShape {
		members = append(members,
			jcs.M("ci_binding", b.CIBinding.Value()),
			jcs.M("valid_until", form.StrOrNull(b.ValidUntil)),
			jcs.M("superseded_by", form.StrOrNull(b.SupersededBy)))
	}
	b.attestation = jcs.Obj(members...)
	var err error
	if b.a, err = manifest.AttestationOf(b.attestation); err != nil {
		return err
	}
	canonical, err := jcs.AppendPack(nil, b.attestation)
	if err != nil {
		return fmt.Errorf("attestation: %w", err)
	}
	b.root = form.HexSum(canonical)
	return nil
}

// derivePackID is the deterministic id of PCK-26.
func (b *build) derivePackID(suiteHash, claimSetHash string) (string, error) {
	seed, err := jcs.AppendPack(nil, jcs.Obj(
		jcs.M("pack_format_version", jcs.Str(manifest.PackFormat)),
		jcs.M("run_id", jcs.Str(b.RunID)),
		jcs.M("receipt_pack_sha256", jcs.Str(b.lines.sum)),
		jcs.M("policy_hash", jcs.Str(b.PolicyHash)),
		jcs.M("suite_hash", jcs.Str(suiteHash)),
		jcs.M("claim_set_id", jcs.Str(b.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(claimSetHash)),
		jcs.M("mode", jcs.Str(b.Mode)),
		jcs.M("ci_binding", b.CIBinding.Value()),
		jcs.M("valid_until", form.StrOrNull(b.ValidUntil)),
		jcs.M("superseded_by", form.StrOrNull(b.SupersededBy))))
	if err != nil {
		return "", fmt.Errorf("deriving the pack id: %w", err)
	}
	return "pack_deterministic_" + form.HexSum([]byte(form.HexSum(seed)))[:8], nil
}

// sign makes the manifest of pack.md §4, signs it (PCK-30) and writes both files.
func (b *build) sign() error {
	key := b.Signer.Public()
	scopeWord := manifest.Scope
	if b.OldShape {
		scopeWord = manifest.ScopeLegacy
	}
	members := []jcs.Member{
		jcs.M("pack_id", jcs.Str(b.PackID)),
		jcs.M("pack_version", jcs.Str(manifest.PackFormat)),
		jcs.M("manifest_version", jcs.Str(manifest.FormVersion)),
		jcs.M("hash_alg", jcs.Str("sha256")),
		jcs.M("attestation", b.attestation),
		jcs.M("attestation_sha256", jcs.Str(b.root)),
		jcs.M("suite_hash", jcs.Str(b.a.SuiteHash)),
		jcs.M("claim_set_id", jcs.Str(b.a.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(b.a.ClaimSetHash)),
		jcs.M("receipt_count_expected", jcs.Int(b.a.NReceipts)),
		jcs.M("files", jcs.Arr(
			fileEntry(manifest.ReceiptsName, b.lines.sum, b.lines.size), fileValue(manifest.ReportName, b.report), fileValue(manifest.TranscriptName, b.transcript))),
		jcs.M("expected_files", form.Texts(manifest.FileNames())),
		jcs.M("signer_id", jcs.Str(b.Signer.ID())),
		jcs.M("signer_pubkey", jcs.Str(base64.StdEncoding.EncodeToString(key))),
		jcs.M("signer_pubkey_sha256", jcs.Str(form.HexSum(key))),
		jcs.M("signature_alg", jcs.Str("ed25519")),
		jcs.M("signature_scope", jcs.Str(scopeWord)),
	}
	message, err := jcs.AppendPack(nil, jcs.Obj(members...))
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if b.signature, err = b.Signer.Sign(message); err != nil {
		return fmt.Errorf("signing as %s: %w", b.Signer.ID(), err)
	}
	if !trust.VerifyEd25519(key, message, b.signature) {
		return fmt.Errorf("signing as %s: the signature does not verify with the signer's own public key", b.Signer.ID())
	}
	members = append(members,
		jcs.M("signature", jcs.Str(base64.StdEncoding.EncodeToString(b.signature))),
		jcs.M("pack_root_sha256", jcs.Str(b.root)))
	if b.manifest, err = jcs.AppendPretty(nil, jcs.Obj(members...)); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if len(b.manifest) > manifest.MaxSize {
		return fmt.Errorf("the manifest has %d bytes, at most %d", len(b.manifest), manifest.MaxSize)
	}
	return nil
}

func fileValue(name string, data []byte) jcs.Value {
	return fileEntry(name, form.HexSum(data), int64(len(data)))
}

func fileEntry(name, sum string, size int64) jcs.Value {
	return jcs.Obj(jcs.M("path", jcs.Str(name)), jcs.M("sha256", jcs.Str(sum)), jcs.M("bytes", jcs.Int(size)))
}
