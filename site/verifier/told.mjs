// What is said of a verdict to a machine: docs/spec/verify.md §17.
import { SECOND, instant, spell } from './time.mjs';
import { nameText } from './x509.mjs';

export const COMMAND = 'verify-pack';

// told gives the members of verify.md §17 that this verifier can answer for.
export function told(dir, v) {
  const known = v.manifest !== null;
  return {
    command: COMMAND, status: v.status, exit_code: v.exit, path: dir, channels: v.channels,
    integrity_verdict: v.intact ? 'PASS' : 'TAMPERED', claim_verdict: claimVerdict(v),
    pack_id: known ? v.manifest.get('pack_id') : null, ids_verified: v.intact, claims_reexecuted: v.reexecuted,
    signer: known ? { id: v.manifest.get('signer_id'), fingerprint: v.fingerprint } : null,
    anchor: anchorOf(v.anchor), manifest_sha256: v.manifestDigest ?? undefined, not_checked_here: v.notChecked,
    ...(v.channels.coverage && { coverage: covered(v.coverage, v.asked.minCoverage) }),
    findings: [...v.out.errors, ...v.out.warnings],
  };
}

const covered = ({ share, covered: ids, uncovered, extra, complete, all }, least) => ({
  covered_ids: ids, uncovered_ids: uncovered, extra_ids: extra, extra_ids_complete: complete, coverage_pct: share, min_coverage: least,
  covered_count: ids.length, total_count: all,
});

// anchorOf is the member of that name.
function anchorOf({ word, log, time, errors, entry, index, checkpoint, token }) {
  const logged = log === 'PASS' && {
    log: checkpoint.origin, index: Number(index), tree_size: Number(checkpoint.size), submitted_at: spell(instant(entry.get('submitted_at'))),
    cosignatures: checkpoint.cosigned.map((c) => ({ name: c.called, time: spell(c.time * SECOND) })),
    timestamp: token ? { time: spell(token.time), accuracy: token.accuracy === null ? null : spellLength(token.accuracy), authority: nameText(token.signer) } : null,
  };
  return { verdict: word, log_verdict: log, time_verdict: time, ...(word === 'FAIL' && { errors }), ...logged };
}

// spellLength writes how long a time is, with its unit.
export function spellLength(ns) {
  const [unit, size] = ns >= SECOND ? ['s', 1e9] : ns >= 1_000_000n ? ['ms', 1e6] : ['\u00b5s', 1e3];
  return `${Number(ns) / size}${unit}`;
}

// claimVerdict is the word of claims in a report, where a failure is called an honest one.
const claimVerdict = (v) => ({ FAIL: 'HONEST_FAIL', PASS: 'PASS' })[v.channels.claims] ?? 'NOT_EVALUATED';

// escaped writes everything but printable ASCII and line feeds as escapes, so that no text of a pack acts on a terminal.
export const escaped = (json) => json.replace(/[^\x20-\x7e\n]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
export const safe = (text) => escaped(text).replaceAll('\n', '\\u000a');
