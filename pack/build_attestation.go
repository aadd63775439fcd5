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

// makeAttestation says, in one object, what was packed and what was found. Its hash is the pack root, which the
// report, the manifest and the ledger name.
//
// The order of its members is that of the file for people; what is hashed is sorted. Members that say the same in every
// pack ("L0", "local_clock") are there because the verifiers in use refuse an attestation without them (pack.md §5).
func (b *builder) makeAttestation() error {
	// Without claims the hash is that of the id, and not of an empty list (claims.md §1): so a pack says that it has none.
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
		jcs.M("receipt_integrity", jcs.Str("PASS")), // PCK-22: a pack of broken receipts is not built
		jcs.M("claim_check", jcs.Str(string(claimCheck(b.results)))),
		jcs.M("discrepancy_fingerprint", fingerprintValue),
		jcs.M("assurance_level", jcs.Str("L0")),
		jcs.M("proof_tier", jcs.Str("signed-pack")),
		jcs.M("mode", jcs.Str(string(b.Mode))),
		jcs.M("head_hash", jcs.Str(b.lines.head)),
		jcs.M("head_hash_algorithm", jcs.Str(manifest.HeadAlgorithm)),
		jcs.M("time_authority", jcs.Str("local_clock")),
		jcs.M("n_receipts", jcs.Int(int64(b.lines.count))),
		// PCK-25: "the least and the greatest timestamp of all receipts, … taken over as they stand there".
		jcs.M("timestamp_start", jcs.Str(b.lines.min.at)),
		jcs.M("timestamp_end", jcs.Str(b.lines.max.at)),
	}
	if !b.OldShape { // PCK-44: verifiers before 1.15 and 1.16.1 refuse a member that they do not know
		members = append(members,
			jcs.M("ci_binding", b.CIBinding.Value()),
			jcs.M("valid_until", form.StrOrNull(b.ValidUntil)),
			jcs.M("superseded_by", form.StrOrNull(b.SupersededBy)))
	}
	b.attestation = jcs.Obj(members...)
	// Read back, as a verifier reads it: what it refuses is not signed.
	var err error
	if b.attested, err = manifest.AttestationOf(b.attestation); err != nil {
		return err
	}
	canonical, err := jcs.AppendPack(nil, b.attestation)
	if err != nil {
		return fmt.Errorf("attestation: %w", err)
	}
	b.root = form.HexSum(canonical)
	return nil
}

// derivePackID makes the id of all that goes into the pack, for a caller who wants the same pack again and so cannot
// have a random one.
//
// PCK-26: "pack_deterministic_ and the first 8 hex digits of H(s), where s is the 64 characters of H(C(v))". It is the
// hash of a hash in hex because the reference tool makes it so.
func (b *builder) derivePackID(suiteHash, claimSetHash string) (string, error) {
	seed, err := jcs.AppendPack(nil, jcs.Obj(
		jcs.M("pack_format_version", jcs.Str(manifest.PackFormat)),
		jcs.M("run_id", jcs.Str(b.RunID)),
		jcs.M("receipt_pack_sha256", jcs.Str(b.lines.sum)),
		jcs.M("policy_hash", jcs.Str(b.PolicyHash)),
		jcs.M("suite_hash", jcs.Str(suiteHash)),
		jcs.M("claim_set_id", jcs.Str(b.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(claimSetHash)),
		jcs.M("mode", jcs.Str(string(b.Mode))),
		jcs.M("ci_binding", b.CIBinding.Value()),
		jcs.M("valid_until", form.StrOrNull(b.ValidUntil)),
		jcs.M("superseded_by", form.StrOrNull(b.SupersededBy))))
	if err != nil {
		return "", fmt.Errorf("deriving the pack id: %w", err)
	}
	return "pack_deterministic_" + form.HexSum([]byte(form.HexSum(seed)))[:8], nil
}

// signManifest makes the two files that come last: the manifest (pack.md §4), which holds the digests of all others,
// and its signature.
//
// PCK-30: "Ed25519 … over C of the manifest without its members signature and pack_root_sha256". So these two are added
// when the rest is signed, and both repeat what is signed.
func (b *builder) signManifest() error {
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
		jcs.M("suite_hash", jcs.Str(b.attested.SuiteHash)),
		jcs.M("claim_set_id", jcs.Str(b.attested.ClaimSetID)),
		jcs.M("claim_set_hash", jcs.Str(b.attested.ClaimSetHash)),
		jcs.M("receipt_count_expected", jcs.Int(b.attested.NReceipts)),
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
	// PCK-40: refuse "a signature that does not verify with that key, whoever made it": signers are also programs of others.
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
