// Results of claims and what they come to: docs/spec/claims.md §4.5.
import { HC } from './hash.mjs';
import { byPoints, object } from './json.mjs';

// A result is { claim_id, passed, expected, actual, severity, evidence_receipt_ids }.

// verdictOf gives what results come to (CLM-15).
export function verdictOf(results) {
  if (results.length === 0) return 'N/A';
  return results.some((r) => r.severity === 'critical' && !r.passed) ? 'FAIL' : 'PASS';
}

// fingerprintOf gives the discrepancy_fingerprint (CLM-16), null without results.
export function fingerprintOf(attestation, results) {
  if (results.length === 0) return null;
  const sorted = results.map((r, i) => [r, i]).sort(([r, i], [s, j]) => byPoints(r.claim_id, s.claim_id) || i - j);
  return HC(object({
    policy_hash: attestation.get('policy_hash'), suite_hash: attestation.get('suite_hash'),
    results: sorted.map(([{ claim_id, passed, expected, actual, severity }]) =>
      object({ claim_id, passed, expected, actual, severity })),
  }));
}

// readResults gives the results that a report tells; bad is true if one of them is none (VFY-25).
export function readResults(report) {
  const told = report.get('claim_verification');
  const list = told instanceof Map ? told.get('results') : null;
  const results = [];
  for (const item of Array.isArray(list) ? list : []) {
    const texts = ['claim_id', 'expected', 'actual', 'severity'];
    if (!(item instanceof Map) || !texts.every((n) => typeof item.get(n) === 'string') || typeof item.get('passed') !== 'boolean') {
      return { results, bad: true };
    }
    results.push({
      claim_id: item.get('claim_id'), passed: item.get('passed'), expected: item.get('expected'), actual: item.get('actual'),
      severity: item.get('severity'), evidence_receipt_ids: item.get('evidence_receipt_ids') ?? null,
    });
  }
  return { results, bad: false };
}
