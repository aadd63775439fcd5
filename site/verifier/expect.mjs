// Steps 11 and 12: what the user expects of a pack, its lock and its signer: docs/spec/verify.md §13 and §14.
import { HOURS_24, hours, instant } from './time.mjs';

// EXPECTED gives for each member of ci_binding the name of its expectation.
const EXPECTED = { repo: 'repository', ref: 'ref', workflow_ref: 'workflow', commit_sha: 'commit', run_id: 'run' };

// checkExpectations gives the names that fail and those that pass, and the word of the channel.
export function checkExpectations({ manifest, intact, anchor, out }, asked) {
  const failed = [], passed = [];
  const word = () => (failed.length > 0 ? 'FAIL' : passed.length > 0 ? 'PASS' : 'SKIPPED');
  if (!manifest || !intact) return { failed, passed, word: 'SKIPPED' };
  const a = manifest.get('attestation');
  const judge = (name, holds, code, field) => {
    (holds ? passed : failed).push(name);
    if (!holds) out.error(code, field, `${name} is not as expected`);
  };
  checkAge(a, anchor, asked, judge);
  const until = a.get('valid_until') ?? null;
  if ((asked.checkExpiry || asked.strict) && until !== null) judge('expiry', instant(until) >= asked.now, 'E_PACK_EXPIRED', 'valid_until');
  if (asked.refuseSuperseded || asked.strict) judge('superseded', (a.get('superseded_by') ?? null) === null, 'E_PACK_SUPERSEDED', 'superseded_by');
  const binding = a.get('ci_binding') ?? null;
  if (asked.requireCI) judge('ci_system', binding !== null, 'E_CI_BINDING_MISSING', 'ci_binding');
  for (const [member, name] of Object.entries(EXPECTED)) {
    const value = asked.ci?.[member];
    if (value === undefined) continue;
    if (binding === null) judge(name, false, 'E_CI_BINDING_MISSING', 'ci_binding');
    else judge(name, binding.get(member) === value, 'E_CI_BINDING_MISMATCH', `ci_binding.${member}`);
  }
  return { failed, passed, word: word() };
}

// checkAge: docs/spec/verify.md §13.1. A time that holds ends the pack, if it is before what its signer says.
function checkAge(a, { by }, { now, maxAgeHours }, judge) {
  const told = instant(a.get('timestamp_end')), [end, field] = by < told ? [by, 'timestamp_token'] : [told, 'timestamp_end'];
  if (told - now > HOURS_24) judge('age', false, 'E_TIMESTAMP_INVALID', 'timestamp_end');
  else if (maxAgeHours !== undefined) judge('age', now - end <= hours(maxAgeHours), 'E_PACK_STALE', field);
}

// checkLockAndSigner gives the words of the channels lock (undefined without one) and signer.
export function checkLockAndSigner({ manifest, intact, fingerprint, out }, asked) {
  if (!manifest) return { lock: asked.lock ? 'SKIPPED' : undefined };
  const a = manifest.get('attestation'), { lock, trusted = [] } = asked;
  let mismatch = false, distrusted = false;
  const row = (holds, code, field, message) => {
    if (!holds) out.error(code, field, message);
    return !holds;
  };
  if (lock) {
    const rows = [
      [a.get('pack_format_version') === lock.packFormat, 'pack_format_version'],
      [manifest.get('claim_set_hash') === lock.claimSetHash, 'claim_set_hash'],
      [a.get('claim_set_hash') === lock.claimSetHash, 'attestation.claim_set_hash'],
    ];
    for (const [holds, field] of rows) mismatch = row(holds, 'E_LOCK_MISMATCH', field, 'not what the lock says') || mismatch;
    const admitted = !lock.allowlist || lock.allowlist.includes(fingerprint);
    distrusted = row(admitted, 'E_SIGNER_UNTRUSTED', 'signer_pubkey_sha256', 'the lock does not admit the key');
    const covered = !lock.coverageContract || lock.coverageContract === asked.contract?.hash;
    mismatch = row(covered, 'E_LOCK_MISMATCH', 'coverage_contract_hash', 'no contract was given, or another one') || mismatch || distrusted;
  }
  const named = trusted.length === 0 || trusted.includes(fingerprint);
  distrusted = row(named, 'E_SIGNER_UNTRUSTED', 'signer_pubkey_sha256', 'none of the trusted signers') || distrusted;
  const pinned = intact && !distrusted && (trusted.length > 0 || Boolean(lock?.allowlist));
  return {
    lock: lock && (mismatch ? 'FAIL' : intact ? 'PASS' : 'SKIPPED'),
    signer: pinned ? 'PINNED' : !intact ? 'UNVERIFIED' : distrusted ? 'UNTRUSTED' : 'UNPINNED', distrusted,
  };
}
