// The checks of the reference tool, as docs/spec/claims.md §5 says. A check gets the parameters as C spells them, the
// receipts, and how a type is read; it gives { passed, expected, actual, names } or { problem }.
import { percent } from './contract.mjs';
import { Num, byPoints, spell } from './json.mjs';
import { asRepr, asStr, say } from './spelling.mjs';
import { equals, isObject, numberOf, str, truth } from './values.mjs';

// ofType gives the receipts of a type; breakglass has two names (CLM-10), but not for the reference.
export function ofType(receipts, type, reading) {
  const also = type === 'breakglass' && !reading.asReference ? 'assay.breakglass/v1' : type;
  return receipts.filter((r) => typeof type === 'string' && (r.get('type') === type || r.get('type') === also));
}

const missing = (params, ...names) => {
  const name = names.find((n) => !params.has(n));
  return name && { problem: `missing param '${name}'` };
};

function typePresent(params, receipts, reading) {
  const type = params.get('receipt_type'), found = ofType(receipts, type, reading);
  return missing(params, 'receipt_type') ?? {
    passed: found.length > 0, expected: say`at least 1 receipt of type '${asStr(type)}'`, actual: `found ${found.length}`, names: found,
  };
}

function typeAbsent(params, receipts, reading) {
  const type = params.get('receipt_type'), found = ofType(receipts, type, reading);
  return missing(params, 'receipt_type') ?? {
    passed: found.length === 0, expected: say`0 receipts of type '${asStr(type)}'`, actual: `found ${found.length}`, names: found,
  };
}

function countAtLeast(params, receipts) {
  const least = params.get('min_count'), n = receipts.length;
  if (params.has('min_count') && numberOf(least) === undefined) return { problem: "param 'min_count' is not a number" };
  return missing(params, 'min_count') ?? {
    passed: BigInt(n) >= numberOf(least), expected: say`>= ${asRepr(least)} receipts`, actual: `${n} receipts`, names: [],
  };
}

// monotonic passes over timestamps that are not true, and names receipts by their places without those, as the reference
// does; only a pack that is not intact has any.
function monotonic(params, receipts) {
  const times = receipts.map((r) => r.get('timestamp') ?? null).filter(truth).map(str);
  const back = receipts.filter((_, i) => i > 0 && i < times.length && byPoints(times[i], times[i - 1]) < 0);
  return {
    passed: back.length === 0, expected: 'timestamps non-decreasing',
    actual: back.length === 0 ? 'monotonic' : `${back.length} violations`, names: back,
  };
}

function fieldMatches(params, receipts, reading) {
  const problem = missing(params, 'receipt_type', 'field_name', 'expected_value');
  if (problem) return problem;
  const [type, field, value] = ['receipt_type', 'field_name', 'expected_value'].map((n) => params.get(n));
  const found = ofType(receipts, type, reading);
  const [kind, name, shown] = [asStr(type), asStr(field), asRepr(value)];
  if (found.length === 0) {
    return {
      passed: false, expected: say`receipts of type '${kind}' with ${name}=${shown}`, actual: 'no receipts of that type found', names: [],
    };
  }
  const holds = (r) => {
    if (Array.isArray(field) || isObject(field)) return false;
    return equals((typeof field === 'string' ? r.get(field) : null) ?? null, value);
  };
  const others = found.filter((r) => !holds(r));
  return {
    passed: others.length === 0, expected: say`all '${kind}' receipts: ${name}=${shown}`,
    actual: `${others.length} mismatches out of ${found.length}`, names: others,
  };
}

// coverage asks the contract that the user gave, whatever the path is called.
function coverage(params, receipts, { coverage: found }) {
  const path = params.has('contract_path') ? params.get('contract_path') : 'assay.coverage.json';
  const least = params.has('min_coverage') ? numberOf(params.get('min_coverage')) : 0.8;
  if (typeof path !== 'string') return { problem: "param 'contract_path' is not a string" };
  if (least === undefined) return { problem: "param 'min_coverage' is not a number" };
  if (!found) return { passed: false, expected: `valid coverage contract at ${path}`, actual: `file not found: ${path}`, names: [] };
  return {
    passed: found.share >= Number(least), expected: `>= ${percent(Number(least))} call site coverage`,
    actual: `${percent(found.share)} (${found.covered.length}/${found.all})`, names: found.covered,
  };
}

const RANKS = new Map([['CLEAN', 3], ['DEBT_OUTSTANDING', 2], ['DEBT_OVERDUE', 1], ['UNKNOWN', 0], ['UNAVAILABLE', 0]]);

function posture(params, receipts, reading) {
  const required = params.has('required_posture') ? params.get('required_posture') : 'CLEAN';
  const when = (r) => {
    const at = r.get('evaluated_at');
    return typeof at === 'string' ? at : at instanceof Num ? spell(at) : '';
  };
  let last = null;
  for (const r of ofType(receipts, 'governance_posture_snapshot', reading)) {
    if (last === null || byPoints(when(r), when(last)) >= 0) last = r;
  }
  const found = last && (last.has('posture') ? last.get('posture') : 'UNKNOWN');
  if (found === null) {
    return {
      passed: false, expected: say`governance posture ${asStr(required)} (embedded in pack)`,
      actual: 'no governance_posture_snapshot found (pack predates posture embedding)', names: [],
    };
  }
  return {
    passed: (RANKS.get(found) ?? 0) >= (RANKS.get(required) ?? 3), expected: say`governance posture >= ${asStr(required)}`,
    actual: say`governance posture ${asStr(found)}`, names: [last],
  };
}

export const REFERENCE = {
  receipt_type_present: typePresent, no_receipt_type: typeAbsent, receipt_count_ge: countAtLeast,
  timestamps_monotonic: monotonic, field_value_matches: fieldMatches, coverage_contract: coverage, posture_eligible: posture,
};
