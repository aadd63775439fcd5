// The form of a manifest and what it says twice: docs/spec/pack.md §4 to §6, docs/spec/verify.md §4, §5, §8 and §11.
import { Num, canonical, bytesOf } from './json.mjs';
import { base64, H, HC, same } from './hash.mjs';
import { verify as verifyEd25519 } from './ed25519.mjs';
import { commit, count, dateTime, filled, hex64, identifier, one, orNull, tableProblems, text, version } from './form.mjs';
import { isObject } from './values.mjs';

export const PAYLOAD = ['receipt_pack.jsonl', 'verify_report.json', 'verify_transcript.md'];
export const FILES = [...PAYLOAD, 'pack_manifest.json', 'pack_signature.sig'];

const CI = {
  provider: one('github_actions', 'gitlab_ci', 'circleci', 'jenkins', 'local'), commit_sha: commit,
  'repo?': filled, 'ref?': filled, 'run_id?': filled, 'run_attempt?': filled, 'workflow_ref?': text, 'actor?': text,
};

const ATTESTATION = {
  pack_format_version: one('0.1.0'), fingerprint_version: (v) => v instanceof Num && v.integer && v.value === 1n,
  pack_id: identifier, run_id: identifier, suite_id: filled, suite_hash: hex64, verifier_version: version,
  canon_version: one('jcs-rfc8785'), canon_impl: text, canon_impl_version: text, policy_hash: hex64, claim_set_id: filled,
  claim_set_hash: hex64, receipt_integrity: one('PASS', 'FAIL'), claim_check: one('PASS', 'FAIL', 'N/A'),
  'discrepancy_fingerprint?': orNull(hex64), assurance_level: one('L0', 'L1', 'L2', 'L3'),
  proof_tier: one('hash-only', 'signed-pack', 'signed-receipts'), mode: one('shadow', 'enforced', 'breakglass'),
  head_hash: hex64, head_hash_algorithm: one('last-receipt-digest-v0'), time_authority: text, n_receipts: count,
  timestamp_start: dateTime, timestamp_end: dateTime, 'ci_binding?': CI, 'valid_until?': orNull(dateTime),
  'superseded_by?': orNull(filled),
};

const FILE = { path: filled, sha256: hex64, bytes: count };

const MANIFEST = {
  pack_id: identifier, pack_version: one('0.1.0'), manifest_version: one('1.0.0'), hash_alg: one('sha256'),
  attestation: ATTESTATION, attestation_sha256: hex64, suite_hash: hex64, claim_set_id: filled, claim_set_hash: hex64,
  receipt_count_expected: count, files: (v) => Array.isArray(v) && v.length >= 3,
  expected_files: (v) => Array.isArray(v) && v.length >= 1 && v.every(text), signer_id: identifier, signer_pubkey: text,
  signer_pubkey_sha256: hex64, signature_alg: one('ed25519'),
  signature_scope: one('JCS(pack_manifest_excluding_signature_and_pack_root_sha256)', 'JCS(pack_manifest_without_signature)'),
  signature: text, pack_root_sha256: hex64, 'redaction_policy_sha256?': hex64,
};

// formProblems lists where the form of a manifest is broken (PCK-10, PCK-11).
export function formProblems(manifest) {
  const problems = tableProblems(manifest, MANIFEST, 'manifest');
  const files = isObject(manifest) ? manifest.get('files') : null;
  if (Array.isArray(files)) files.forEach((entry, i) => problems.push(...tableProblems(entry, FILE, `files[${i}]`)));
  return problems;
}

// leavesPack tells whether a path leads out of the pack (VFY-13).
const leavesPack = (path) =>
  path === '' || path.startsWith('/') || path.split('/').includes('..') || /[\\:\0]/.test(path);

// checkNames is the part of step 2 that looks at the manifest only.
export function checkNames(manifest, out) {
  const paths = manifest.get('files').map((entry) => entry.get('path'));
  const expected = manifest.get('expected_files');
  for (const path of [...paths, ...expected]) {
    if (leavesPack(path)) out.error('E_PATH_ESCAPE', path, 'the path leaves the pack');
  }
  if (!same(paths, PAYLOAD)) out.error('E_MANIFEST_TAMPER', 'files', 'expected the three files, each once');
  if (!same(expected, FILES)) out.error('E_MANIFEST_TAMPER', 'expected_files', 'expected the five files, each once');
  const ci = manifest.get('attestation').get('ci_binding');
  if (ci && ci.get('commit_sha').length === 64) {
    out.warn('W_PORTABILITY', 'ci_binding.commit_sha', 'the reference verifier reads 40 digits only');
  }
}

// checkAttestation is step 5.
export function checkAttestation(manifest, out) {
  const a = manifest.get('attestation');
  const tamper = (field, message) => out.error('E_MANIFEST_TAMPER', field, message);
  for (const name of ['pack_id', 'suite_hash', 'claim_set_id', 'claim_set_hash']) {
    if (manifest.get(name) !== a.get(name)) tamper(name, 'manifest and attestation differ');
  }
  if (a.get('n_receipts').value !== manifest.get('receipt_count_expected').value) {
    tamper('n_receipts', 'not receipt_count_expected');
  }
  if (a.get('receipt_integrity') !== 'PASS') tamper('receipt_integrity', 'the signer attests broken receipts');
  const fingerprint = a.get('discrepancy_fingerprint') ?? null;
  if ((a.get('claim_check') === 'N/A') !== (fingerprint === null)) {
    tamper('discrepancy_fingerprint', 'does not fit claim_check');
  }
  if (HC(a) !== manifest.get('attestation_sha256')) tamper('attestation_sha256', 'not the digest of the attestation');
}

// checkRoot is step 9.
export function checkRoot(manifest, out) {
  if (manifest.get('pack_root_sha256') !== manifest.get('attestation_sha256')) {
    out.error('E_MANIFEST_TAMPER', 'pack_root_sha256', 'not attestation_sha256');
  }
}

// checkSignature is step 8; file is the bytes of pack_signature.sig, null if there are none, undefined if it is not asked.
export async function checkSignature(manifest, file, out) {
  const bad = (field, message) => out.error('E_PACK_SIG_INVALID', field, message);
  const signature = sized(manifest.get('signature'), 64), key = sized(manifest.get('signer_pubkey'), 32);
  if (!signature) bad('signature', 'not the base64 of 64 bytes');
  if (!key) bad('signer_pubkey', 'not the base64 of 32 bytes');
  if (key && H(key) !== manifest.get('signer_pubkey_sha256')) bad('signer_pubkey_sha256', 'not the digest of the key');
  if (key && signature && !(await verifyEd25519(key, signedBytes(manifest), signature))) {
    bad('signer_pubkey', 'the key or the signature is refused');
  }
  if (signature && file !== undefined && !(file && same(file, signature))) bad('pack_signature.sig', 'missing, or other bytes than signature');
}

function sized(text, n) {
  const bytes = base64(text);
  return bytes && bytes.length === n ? bytes : null;
}

// signedBytes is what is signed (PCK-30).
function signedBytes(manifest) {
  const rest = new Map(manifest);
  rest.delete('signature');
  rest.delete('pack_root_sha256');
  return bytesOf(canonical(rest));
}

// fingerprintOf gives H of the key that the manifest holds, null without a usable one.
export function fingerprintOf(manifest) {
  const key = sized(manifest.get('signer_pubkey'), 32);
  return key ? H(key) : null;
}
