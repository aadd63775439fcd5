// What values are to Python, whose words enter hashes: docs/spec/claims.md §4.1.
import { Num, byPoints } from './json.mjs';
import { isPrintable } from './unicode.mjs';

// text gives a member of an object that is a text, else undefined.
export const textOf = (object, name) => (typeof object.get(name) === 'string' ? object.get(name) : undefined);

export const isObject = (v) => v instanceof Map;

// truth tells whether v is true.
export function truth(v) {
  if (v instanceof Num) return v.value != 0;
  if (isObject(v)) return v.size > 0;
  if (typeof v === 'string' || Array.isArray(v)) return v.length > 0;
  return v === true;
}

// numberOf gives the exact value of a number, true and false among them, else undefined.
export function numberOf(v) {
  if (v instanceof Num) return v.value;
  return typeof v === 'boolean' ? BigInt(v) : undefined;
}

// equals tells whether v equals w: numbers by value, objects in any order.
export function equals(v, w) {
  const x = numberOf(v), y = numberOf(w);
  if (x !== undefined || y !== undefined) return x !== undefined && y !== undefined && x == y;
  if (Array.isArray(v)) return Array.isArray(w) && v.length === w.length && v.every((item, i) => equals(item, w[i]));
  if (isObject(v)) {
    return isObject(w) && v.size === w.size && [...v].every(([name, value]) => w.has(name) && equals(value, w.get(name)));
  }
  return v === w;
}

// printable tells whether a text may stand in a card: docs/spec/claims.md §2.
export const printable = (text) => Array.from(text).every((c) => isPrintable(c.codePointAt(0)) && c !== '\ufffd');

// repr and str spell a value as Python does.
export function repr(v) {
  if (v === null || v === undefined) return 'None';
  if (v === true) return 'True';
  if (v === false) return 'False';
  if (v instanceof Num) return reprNumber(v);
  if (typeof v === 'string') return reprText(v);
  if (Array.isArray(v)) return `[${v.map(repr).join(', ')}]`;
  return `{${[...v].map(([name, value]) => `${reprText(name)}: ${repr(value)}`).join(', ')}}`;
}

export const str = (v) => (typeof v === 'string' ? v : repr(v));

function reprNumber(n) {
  if (n.integer) return n.token === '-0' ? '0' : n.token;
  return reprDouble(n.value);
}

// reprDouble spells a double: shortest digits, positional where the exponent is from −4 to 15.
export function reprDouble(x) {
  if (!Number.isFinite(x)) return x > 0 ? 'inf' : x < 0 ? '-inf' : 'nan';
  const sign = x < 0 || Object.is(x, -0) ? '-' : '';
  const [mantissa, exponent] = Math.abs(x).toExponential().split('e');
  const e = Number(exponent), ds = mantissa.replace('.', '');
  if (e < -4 || e > 15) return `${sign}${mantissa}e${e < 0 ? '-' : '+'}${String(Math.abs(e)).padStart(2, '0')}`;
  if (e < 0) return `${sign}0.${'0'.repeat(-e - 1)}${ds}`;
  const padded = ds.padEnd(e + 1, '0');
  return `${sign}${padded.slice(0, e + 1)}.${padded.slice(e + 1) || '0'}`;
}

function reprText(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let out = '';
  for (const c of text) {
    const n = c.codePointAt(0);
    if (c === quote || c === '\\') out += `\\${c}`;
    else if (c === '\n') out += '\\n';
    else if (c === '\r') out += '\\r';
    else if (c === '\t') out += '\\t';
    else if (isPrintable(n)) out += c;
    else if (n <= 0xff) out += `\\x${n.toString(16).padStart(2, '0')}`;
    else if (n <= 0xffff) out += `\\u${n.toString(16).padStart(4, '0')}`;
    else out += `\\U${n.toString(16).padStart(8, '0')}`;
  }
  return quote + out + quote;
}

// kindOf gives what values are compared within: numbers and Booleans are one kind (PCK-8).
export function kindOf(v) {
  if (numberOf(v) !== undefined) return 'number';
  if (v === null) return 'null';
  return typeof v === 'string' ? 'text' : Array.isArray(v) ? 'list' : 'object';
}

// compare orders two values, or gives undefined where they have no order.
export function compare(v, w) {
  const kind = kindOf(v);
  if (kind !== kindOf(w)) return undefined;
  if (kind === 'text') return byPoints(v, w);
  if (kind !== 'number') return undefined;
  const x = numberOf(v), y = numberOf(w);
  return x < y ? -1 : x > y ? 1 : x == y ? 0 : undefined;
}
