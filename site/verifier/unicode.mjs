// What Unicode 15.0.0 says of code points, whatever the engine knows: general categories, scripts, and which letters are
// one another in another case. A class is a sorted list [lo, hi, lo, hi, …] of ranges that neither overlap nor touch.
import { ALIASES, CATEGORIES, CATEGORY_NAMES, ORBITS, SCRIPTS, SCRIPT_NAMES } from './unicode_tables.mjs';

export const LAST = 0x10ffff;
const number = (text) => parseInt(text, 36);

// runsOf reads a table: runs of code points, each its length (none is 1) and the code of a name; code 0 is no name.
function runsOf(text, pattern, index) {
  const starts = [], codes = [];
  let at = 0;
  for (const [, n, code] of text.matchAll(pattern)) {
    starts.push(at);
    codes.push(index(code));
    at += n === '' ? 1 : number(n);
  }
  return { starts, codes };
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ!#&%';
const categoryNames = CATEGORY_NAMES.split(' '), scriptNames = SCRIPT_NAMES.split(' ');
const categories = runsOf(CATEGORIES, /([0-9a-z]*)([^0-9a-z])/g, (c) => LETTERS.indexOf(c));
const scripts = runsOf(SCRIPTS, /([0-9a-z]*)([A-Z][0-9a-z])/g, (c) => LETTERS.indexOf(c[0]) * 36 + number(c[1]));

// categoryOf gives the general category of a code point, '' if none is assigned.
export function categoryOf(point) {
  const { starts, codes } = categories;
  let lo = 0, hi = starts.length;
  while (hi - lo > 1) {
    const middle = (lo + hi) >> 1;
    if (starts[middle] <= point) lo = middle;
    else hi = middle;
  }
  return categoryNames[codes[lo] - 1] ?? '';
}

const isASCII = (point) => point >= 0x20 && point < 0x7f;

// isPrintable: letters, marks, numbers, punctuation, symbols and the space (docs/spec/claims.md §2).
export const isPrintable = (point) => isASCII(point) || (point > 0x7e && 'LMNPS'.includes(categoryOf(point)[0] ?? '-'));

// clean sorts ranges and joins those that overlap or touch.
export function clean(ranges) {
  const pairs = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i], ranges[i + 1]]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [lo, hi] of pairs) {
    if (out.length > 0 && lo <= out.at(-1) + 1) out[out.length - 1] = Math.max(out.at(-1), hi);
    else out.push(lo, hi);
  }
  return out;
}

// negate gives the code points that a class does not hold.
export function negate(ranges) {
  const out = [];
  let next = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    if (next < ranges[i]) out.push(next, ranges[i] - 1);
    next = ranges[i + 1] + 1;
  }
  if (next <= LAST) out.push(next, LAST);
  return out;
}

// holds tells whether a class holds a code point.
export function holds(ranges, point) {
  let lo = 0, hi = ranges.length / 2;
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (ranges[2 * middle] > point) hi = middle;
    else if (ranges[2 * middle + 1] < point) lo = middle + 1;
    else return true;
  }
  return false;
}

// orbits are the lists of code points that are one another in another case, by each of their members.
const orbits = new Map();

function readOrbits() {
  const [pairs, more] = ORBITS.split(';'), add = (orbit) => orbit.forEach((point) => orbits.set(point, orbit));
  for (const run of pairs.split(',')) {
    const [lo, apart, n = 1, step = 1] = run.split(' ').map(number);
    for (let i = 0; i < n; i++) add([lo + i * step, lo + i * step + apart]);
  }
  for (const orbit of more.split(',')) add(orbit.split(' ').map(number));
}

// orbitOf gives the code points that are a letter in any case, itself first of all in their order.
export function orbitOf(point) {
  if (orbits.size === 0) readOrbits();
  return orbits.get(point) ?? [point];
}

// folded adds to a class what is one of its members in another case.
export function folded(ranges) {
  orbitOf(0);
  const out = [...ranges];
  for (const [point, orbit] of orbits) if (holds(ranges, point)) for (const other of orbit) out.push(other, other);
  return clean(out);
}

function classOf({ starts, codes }, wanted) {
  const out = [];
  codes.forEach((code, i) => wanted(code) && out.push(starts[i], (starts[i + 1] ?? LAST + 1) - 1));
  return clean(out);
}

const plain = (name) => {
  const bare = name.replace(/[_\- ]/g, '').replace(/[A-Z]/g, (c) => c.toLowerCase());
  return bare.replace(/^[a-z]/, (c) => c.toUpperCase());
};
const ALIAS = new Map(ALIASES.split(',').map((pair) => pair.split(' ')).map(([alias, name]) => [plain(alias), plain(name)]));
const classes = new Map();

// classNamed gives the class that \p{name} stands for, null if there is none of the name.
export function classNamed(name) {
  const key = plain(name);
  if (!classes.has(key)) classes.set(key, find(key));
  return classes.get(key);
}

function find(name) {
  const of = (test) => classOf(categories, (code) => test(categoryNames[code - 1] ?? 'Cn'));
  if (name === 'Any') return [0, LAST];
  if (name === 'Ascii') return [0, 0x7f];
  if (name === 'Assigned') return of((c) => c !== 'Cn');
  if (name === 'Lc') return of((c) => ['Lu', 'Ll', 'Lt'].includes(c));
  if (name === 'Cn' || categoryNames.includes(name)) return of((c) => c === name);
  if (/^[CLMNPSZ]$/.test(name)) return of((c) => c[0] === name);
  const script = scriptNames.indexOf(name); // names of two words are not found, as claims.md says
  if (script >= 0) return classOf(scripts, (code) => code === script + 1);
  return ALIAS.has(name) ? find(ALIAS.get(name)) : null;
}
