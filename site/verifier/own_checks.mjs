// The checks that the reference tool does not know, as docs/spec/claims.md §6 says.
import { Num, spell } from './json.mjs';
import { ofType } from './checks.mjs';
import { askPatterns, isPattern } from './field_matches.mjs';
import { outcomeOf } from './outcome.mjs';
import { TYPES, fractionOf, isWhole, linkOf, listText, sameScalar, what } from './scalars.mjs';
import { instant } from './time.mjs';
import { repr, reprDouble, truth } from './values.mjs';

// Unknown is thrown where what a claim comes to cannot be told here.
export class Unknown extends Error {}

const NONE = 'no such receipts found';

// about gives the receipts that a claim is about: all of them without a type.
const about = (p, receipts, reading, absent) => {
  const type = p.get('receipt_type') ?? absent;
  return [type === undefined ? receipts : ofType(receipts, type, reading), what(type)];
};

// each makes a check in which every receipt must hold (§6.3).
const each = (says, holds, field, type) => (p, receipts, reading) => {
  const [found, word] = about(p, receipts, reading, type), name = p.get('field_name') ?? field;
  const others = found.filter((r) => !holds(r.get(name), p));
  return {
    none: found.length === 0, passed: others.length === 0, expected: `all ${word}: ${name} ${says(p)}`,
    actual: `${others.length} mismatches out of ${found.length}`, names: others,
  };
};

const inList = (p) => `in ${listText(p.get('allowed'))}`;
const modelAllowed = (v, p) => typeof v === 'string' && p.get('allowed').some((word) =>
  word === v || (word.endsWith('*') && v.startsWith(word.slice(0, -1))));

function countWithin(p, receipts, reading) {
  const [found, word] = about(p, receipts, reading), n = BigInt(found.length);
  const least = p.get('min_count'), most = p.get('max_count');
  return {
    passed: n <= most.value && (!least || n >= least.value), actual: `found ${n}`, names: found.slice(Number(most.value)),
    expected: least ? `${least.token} to ${most.token} ${word}` : `at most ${most.token} ${word}`,
  };
}

// figures sorts receipts by whether they have a figure: read gives it, undefined if missing, null if malformed.
function figures(found, read) {
  const have = [], missing = new Set(), malformed = new Set();
  for (const r of found) {
    const figure = read(r);
    if (figure === undefined) missing.add(r);
    else if (figure === null) malformed.add(r);
    else have.push([r, figure]);
  }
  return { have, missing, malformed, without: (r) => missing.has(r) || malformed.has(r) };
}

// lacking gives the end of the actual of a check with figures (CLM-21), and whether the claim may pass.
function lacking({ missing, malformed }, allowMissing) {
  const [a, b] = allowMissing ? [missing.size, malformed.size] : [missing.size + malformed.size, 0];
  const end = (a ? `, ${a} without` : '') + (b ? `, ${b} malformed` : '');
  return { end, fits: malformed.size === 0 && (allowMissing || missing.size === 0) };
}

export function tokensOf(r) {
  const read = (name) => {
    const v = r.get(name) ?? null;
    return v === null ? undefined : isWhole(v) ? v.value : null;
  };
  const [total, input, output] = ['total_tokens', 'input_tokens', 'output_tokens'].map(read);
  if ([total, input, output].includes(null)) return null;
  if (total === undefined && (input === undefined || output === undefined)) return undefined;
  const sum = (input ?? 0n) + (output ?? 0n);
  return sum > (total ?? 0n) ? sum : total ?? 0n;
}

function tokenMax(p, receipts, reading) {
  const [found, word] = about(p, receipts, reading, 'model_call'), f = figures(found, tokensOf);
  const most = p.get('max_tokens').value, allow = p.get('allow_missing') === true, { end, fits } = lacking(f, allow);
  const sum = f.have.reduce((n, [, x]) => n + x, 0n), largest = f.have.reduce((n, [, x]) => (x > n ? x : n), 0n);
  const above = new Set(f.have.filter(([, x]) => x > most).map(([r]) => r)), single = p.get('per') === 'receipt';
  return {
    none: found.length === 0, passed: fits && (single ? above.size === 0 : sum <= most),
    expected: `at most ${most} tokens in ${single ? 'each of the' : 'all'} ${word}`,
    actual: (single ? `${above.size} of ${found.length} above, the largest ${largest}` : `${sum} tokens in ${found.length}`) + end,
    names: found.filter((r) => above.has(r) || f.malformed.has(r) || (!allow && f.missing.has(r))),
  };
}

function latency(p, receipts, reading) {
  const [found, word] = about(p, receipts, reading, 'model_call'), name = p.get('field_name') ?? 'latency_ms';
  const f = figures(found, (r) => {
    const v = r.get(name) ?? null, x = v instanceof Num ? Number(v.token) : NaN;
    return v === null ? undefined : x >= 0 && x < 2 ** 53 ? x : null;
  });
  keep(reading, f.have.length);
  const sorted = f.have.map(([, x]) => x).sort((a, b) => a - b), m = sorted.length, at = sorted[Math.ceil((19 * m) / 20) - 1];
  const { end, fits } = lacking(f, p.get('allow_missing') === true), most = p.get('max_ms');
  const figure = m === 0 ? 'none' : Number.isInteger(at) ? String(at) : reprDouble(at);
  return {
    none: found.length === 0, passed: fits && m > 0 && at <= most.value, names: found.filter(f.without),
    expected: `95th percentile of ${name} in all ${word} <= ${spell(most)}`, actual: `${figure} in ${found.length}${end}`,
  };
}

function errorRate(p, receipts, reading) {
  const [found, word] = about(p, receipts, reading, 'model_call'), n = found.length;
  const failed = [], malformed = [];
  for (const r of found) ({ failed, malformed })[outcomeOf(r)]?.push(r);
  const [a, b] = fractionOf(p.get('max_rate'));
  return {
    none: n === 0, passed: malformed.length === 0 && BigInt(failed.length) * b <= a * BigInt(n),
    expected: `errors in at most ${spell(p.get('max_rate'))} of the ${word}`, names: [...failed, ...malformed],
    actual: `${failed.length} of ${n}${malformed.length ? `, ${malformed.length} malformed` : ''}`,
  };
}

function inOrder(p, receipts, reading) {
  const [found, word] = about(p, receipts, reading), f = figures(found, (r) => instant(r.get('timestamp'), 256));
  const back = new Set(f.have.filter(([, x], i) => i > 0 && x < f.have[i - 1][1]).map(([r]) => r)), { end, fits } = lacking(f, false);
  return {
    none: found.length === 0, passed: fits && back.size === 0, names: found.filter((r) => back.has(r) || f.without(r)),
    expected: `timestamps of all ${word} are instants that do not go back`, actual: `${back.size} go back in ${found.length}${end}`,
  };
}

function noGap(p, receipts, reading) {
  const [found, word] = about(p, receipts, reading), name = p.get('field_name') ?? 'seq';
  const start = p.has('start') ? p.get('start') : new Num('0');
  const f = figures(found, (r) => {
    const v = r.get(name) ?? null, fits = v instanceof Num && v.integer && BigInt.asIntN(64, v.value) === v.value;
    return v === null ? undefined : fits ? v.value : null;
  });
  keep(reading, f.have.length);
  const sorted = f.have.map(([, x]) => x).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const gaps = sorted.filter((x, i) => (i === 0 ? start !== null && x !== start.value : x - sorted[i - 1] > 1n));
  const { end, fits } = lacking(f, false), n = found.length;
  return {
    none: n === 0, passed: fits && gaps.length === 0, names: found.filter(f.without),
    expected: `${name} of all ${word}${start === null ? '' : ` from ${start.token}`} without a gap`,
    actual: (gaps.length === 0 ? `no gap in ${n}` : `${gaps.length} gaps in ${n}, the first before ${gaps[0]}`) + end,
  };
}

function everyHas(p, receipts, reading) {
  const [type, has] = [p.get('receipt_type'), p.get('has_type')], order = p.get('order') ?? 'any';
  const field = p.get('link_field') ?? 'receipt_id', answer = p.get('has_link_field') ?? 'parent_receipt_id';
  const needs = new Set(ofType(receipts, type, reading)), offers = new Set(ofType(receipts, has, reading));
  const seen = new Set(), waiting = new Map(), left = new Set(), named = new Set();
  for (const r of receipts) {
    const link = needs.has(r) ? linkOf(r.get(field)) : null;
    if (needs.has(r) && (link === null || order === 'after' || !seen.has(link))) {
      left.add(r);
      if (named.size < 1024 && typeof r.get('receipt_id') === 'string') named.add(r);
      if (link !== null && order !== 'before') {
        if (!waiting.has(link)) waiting.set(link, []);
        waiting.get(link).push(r);
      }
    }
    const offered = offers.has(r) ? linkOf(r.get(answer)) : null;
    if (offered === null) continue;
    seen.add(offered);
    for (const answered of waiting.get(offered) ?? []) left.delete(answered), named.delete(answered);
    waiting.delete(offered);
  }
  keep(reading, 8 * (seen.size + left.size));
  const where = { any: '', before: ' before it', after: ' after it' }[order];
  return {
    none: needs.size === 0, passed: left.size === 0, names: [...named], actual: `${left.size} without out of ${needs.size}`,
    expected: `every ${repr(type)} receipt has a ${repr(has)} receipt${where} whose ${answer} is its ${field}`,
  };
}

// keep counts what the claims keep of the receipts (CLM-24). Which claim gives up depends on an order that is not kept
// here, so none is told.
function keep(reading, units) {
  reading.kept = (reading.kept ?? 0) + units;
  if (reading.kept > 33_554_432) throw new Unknown('the claims keep too much of the receipts');
}

function ratio(p, receipts, reading) {
  const [type, of, field] = ['receipt_type', 'of_type', 'field_name'].map((n) => p.get(n)), value = p.get('expected_value');
  const counted = ofType(receipts, type, reading).filter((r) => field === undefined || sameScalar(r.get(field), value));
  const c = BigInt(counted.length), t = BigInt(ofType(receipts, of, reading).length);
  const [least, most] = [p.get('min_ratio'), p.get('max_ratio')], within = (bound, sign) => {
    const [a, b] = fractionOf(bound);
    return sign * Number(c * b - a * t) >= 0;
  };
  const bounds = [least && `>= ${spell(least)}`, most && `<= ${spell(most)}`].filter(Boolean).join(' and ');
  const with_ = field === undefined ? '' : ` with ${field}=${repr(value)}`;
  return {
    passed: t === 0n ? p.get('allow_none') === true && c === 0n : (!least || within(least, 1)) && (!most || within(most, -1)),
    expected: `ratio of ${repr(type)} receipts${with_} to ${repr(of)} receipts ${bounds}`, actual: `${c} to ${t}`, names: [],
  };
}

function proxy(p, receipts, reading) {
  const type = p.get('receipt_type') ?? 'session_metadata', counted = p.get('counted_types');
  const found = ofType(receipts, type, reading).filter((r) => r.has('requests_seen') || r.has('receipts_written'));
  let seen = 0n, written = 0n, unequal = 0, bypasses = 0, without = 0;
  const names = [];
  for (const r of found) {
    const [a, b] = [r.get('requests_seen'), r.get('receipts_written')];
    if (!isWhole(a) || !isWhole(b)) {
      without++, names.push(r);
      continue;
    }
    (seen += a.value), (written += b.value);
    for (const n of ['receipts_failed', 'not_intercepted', 'env_overrides']) if (truth(r.get(n))) bypasses++, names.push(r);
    if (a.value !== b.value) unequal++, names.push(r);
  }
  const there = counted && new Set(counted.flatMap((t) => ofType(receipts, t, reading))).size;
  return {
    none: found.length === 0, passed: unequal + bypasses + without === 0 && (!counted || BigInt(there) === written),
    expected: `requests_seen = receipts_written and no bypass in ${what(type)}` +
      (counted ? `, as many as receipts of types ${listText(counted)}` : ''),
    actual: `seen ${seen}, written ${written}, ${unequal} of ${found.length} unequal, ${bypasses} bypasses` +
      (without ? `, ${without} without numbers` : '') + (counted ? `, in the pack ${there}` : ''),
    names: names.slice(0, 5).filter((r, i) => r !== names[i - 1]),
  };
}

// matches asks the claims with patterns together, once (§6.4).
function matches(p, receipts, reading) {
  const typesOf = (r) => (r.get('type') === 'assay.breakglass/v1' ? ['breakglass', r.get('type')] : [r.get('type')]);
  reading.patterns ??= askPatterns(reading.claims.filter((c) => c.check === 'field_matches'), receipts, typesOf);
  return reading.patterns[reading.claims.slice(0, reading.at).filter((c) => c.check === 'field_matches').length];
}

const present = (v) => v !== undefined && v !== null;
const T = (text) => Object.fromEntries(text.split(' ').map((item) => item.split(':')));

// OURS gives each check its function and the types of its parameters; ? marks one that may be absent.
export const OURS = {
  receipt_count_le: [countWithin, T('receipt_type:word? max_count:whole')],
  receipt_count_between: [countWithin, T('receipt_type:word? min_count:whole max_count:whole')],
  field_present: [each(() => 'present', present), T('receipt_type:word? allow_none:flag? field_name:word')],
  field_in: [each(inList, (v, p) => p.get('allowed').some((w) => sameScalar(v, w))),
    T('receipt_type:word? allow_none:flag? allowed:scalars field_name:word')],
  numeric_ge: [each((p) => `>= ${spell(p.get('min'))}`, (v, p) => v instanceof Num && v.value >= p.get('min').value),
    T('receipt_type:word? allow_none:flag? min:number field_name:word')],
  numeric_le: [each((p) => `<= ${spell(p.get('max'))}`, (v, p) => v instanceof Num && v.value <= p.get('max').value),
    T('receipt_type:word? allow_none:flag? max:number field_name:word')],
  model_allowlist: [each(inList, modelAllowed, 'model_id', 'model_call'),
    T('receipt_type:word? allow_none:flag? allowed:models field_name:word?')],
  field_matches: [matches, T('pattern:pattern field_name:word receipt_type:word? allow_none:flag?')],
  token_max: [tokenMax, T('receipt_type:word? max_tokens:whole allow_missing:flag? allow_none:flag? per:per?')],
  latency_p95_le: [latency, T('receipt_type:word? max_ms:number field_name:word? allow_missing:flag? allow_none:flag?')],
  error_rate_le: [errorRate, T('receipt_type:word? allow_none:flag? max_rate:rate')],
  timestamps_in_order: [inOrder, T('receipt_type:word? allow_none:flag?')],
  no_gap_in_seq: [noGap, T('receipt_type:word? field_name:word? allow_none:flag? start:start?')],
  every_has: [everyHas, T('receipt_type:word has_type:word link_field:word? has_link_field:word? allow_none:flag? order:order?')],
  ratio: [ratio, T('receipt_type:word of_type:word allow_none:flag? min_ratio:fraction? max_ratio:fraction? field_name:word? ' +
    'expected_value:scalar?')],
  proxy_completeness: [proxy, T('receipt_type:word? counted_types:words?')],
};

// usable tells whether a check of ours can use parameters (CLM-7).
export function usable(check, p) {
  const types = OURS[check][1];
  for (const [name, type] of Object.entries(types)) {
    const holds = type === 'pattern' ? isPattern : TYPES[type.replace('?', '')];
    if (!p.has(name) ? !type.endsWith('?') : !holds(p.get(name))) return false;
  }
  if ([...p.keys()].some((name) => !Object.hasOwn(types, name))) return false;
  if (check === 'receipt_count_between') return p.get('min_count').value <= p.get('max_count').value;
  if (check === 'every_has') {
    const fields = (p.get('link_field') ?? 'receipt_id') === (p.get('has_link_field') ?? 'parent_receipt_id');
    return !(fields && p.get('receipt_type') === p.get('has_type'));
  }
  if (check !== 'ratio') return true;
  const [least, most] = [p.get('min_ratio'), p.get('max_ratio')], both = p.has('field_name') === p.has('expected_value');
  return both && Boolean(least || most) && !(least && most && least.value > most.value) &&
    (p.get('receipt_type') !== p.get('of_type') || p.has('field_name'));
}

// runOurs gives what a check of ours comes to (CLM-20).
export function runOurs(check, p, receipts, reading) {
  const found = OURS[check][0](p, receipts, reading);
  if (found.problem) return found;
  return found.none ? { ...found, passed: p.get('allow_none') === true, actual: NONE, names: [] } : found;
}
