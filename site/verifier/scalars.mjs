// What the checks of docs/spec/claims.md §6 have in common: types of parameters, scalars, fractions.
import { Num, bytesOf, spell } from './json.mjs';
import { repr } from './values.mjs';

const bytes = (text) => bytesOf(text).length;
const among = (list, item) => Array.isArray(list) && list.length >= 1 && list.length <= 1024 && list.every(item);

export const isWord = (v) => typeof v === 'string' && v !== '' && bytes(v) <= 256;
export const isWhole = (v) => v instanceof Num && v.integer && v.value >= 0n && v.value < 2n ** 53n;
const isNumber = (v) => v instanceof Num && Number.isFinite(Number(v.value)) && spell(v).length <= 64;
const isScalar = (v) => typeof v === 'string' || typeof v === 'boolean' || v instanceof Num;

// TYPES are those of claims.md §6.1.
export const TYPES = {
  word: isWord, words: (v) => among(v, isWord), whole: isWhole, number: isNumber,
  fraction: (v) => isNumber(v) && v.value >= 0, scalar: isScalar, scalars: (v) => among(v, isScalar),
  flag: (v) => typeof v === 'boolean', start: (v) => v === null || isWhole(v),
  models: (v) => among(v, isWord) && !v.includes('*'), rate: (v) => isNumber(v) && v.value >= 0 && v.value <= 1,
  per: (v) => v === 'pack' || v === 'receipt', order: (v) => v === 'any' || v === 'before' || v === 'after',
};

// sameScalar tells whether two scalars are the same: 1 is 1.0, and neither true nor "1".
export function sameScalar(v, w) {
  if (v instanceof Num) return w instanceof Num && v.value == w.value;
  return (typeof v === 'string' || typeof v === 'boolean') && v === w;
}

// fractionOf gives numerator and denominator of the decimal fraction that a number spells.
export function fractionOf(n) {
  const [, whole, part = '', exponent = '0'] = /^([0-9]+)(?:\.([0-9]+))?(?:E(-?[0-9]+))?$/.exec(spell(n));
  const e = Number(exponent) - part.length, digits = BigInt(whole + part);
  return e >= 0 ? [digits * 10n ** BigInt(e), 1n] : [digits, 10n ** BigInt(-e)];
}

// listText is <list> of claims.md §6.1.
export function listText(list) {
  if (list.length <= 8) return repr(list);
  return `${repr(list.slice(0, 8)).slice(0, -1)}, ... ${list.length} values]`;
}

// what is <what> of claims.md §6.1.
export const what = (type) => (type === undefined ? 'receipts' : `${repr(type)} receipts`);

// linkOf gives a text that two members have in common if they link, else null (claims.md §6.10).
export function linkOf(v) {
  if (typeof v === 'string') return v === '' ? null : `t${v}`;
  if (!(v instanceof Num)) return null;
  return `n${Number.isInteger(v.value) ? BigInt(v.value) : v.value}`;
}

// evidence gives the ids that a check names: the first five, long ones cut (CLM-14).
export function evidence(receipts) {
  const ids = [];
  for (const r of receipts) {
    const id = typeof r === 'string' ? r : r.get('receipt_id');
    if (typeof id === 'string') ids.push(cut(id));
    if (ids.length === 5) break;
  }
  return ids;
}

function cut(id) {
  if (bytes(id) <= 256) return id;
  let out = '';
  for (const c of id) {
    if (bytes(out) + bytes(c) > 256) break;
    out += c;
  }
  return `${out}...`;
}
