// Texts of results that say the same in another spelling: docs/spec/claims.md §8.
import { Num } from './json.mjs';
import { isObject, repr, str } from './values.mjs';

// Said is a text of a result with the values that it shows.
class Said {
  constructor(literals, values) {
    Object.assign(this, { literals, values });
  }

  toString() {
    return this.literals.reduce((text, literal, i) => text + this.values[i - 1].shown + literal);
  }
}

// say makes one: say`>= ${shown(v)} receipts`; a text in it stands for itself.
export const say = (literals, ...values) =>
  new Said(literals, values.map((v) => (typeof v === 'string' ? { shown: v } : v)));

// asRepr and asStr show a value; the str of a text is that text, in one spelling.
export const asRepr = (value) => ({ shown: repr(value), value });
export const asStr = (value) => (typeof value === 'string' ? { shown: value } : { shown: str(value), value });

// saysSame tells whether a text says the same as said, which may be a plain text.
export function saysSame(said, text) {
  if (String(said) === text) return true;
  if (!(said instanceof Said)) return false;
  let at = 0;
  const skip = (part) => {
    const there = text.startsWith(part, at);
    at += part.length;
    return there;
  };
  for (let i = 0; ; i++) {
    if (!skip(said.literals[i])) return false;
    if (i === said.values.length) return at === text.length;
    const { shown, value } = said.values[i];
    if (value === undefined) {
      if (!skip(shown)) return false;
      continue;
    }
    const read = readValue(text, at, 0);
    if (!read || !alike(read.value, value)) return false;
    at = read.end;
  }
}

// alike is equality in which true is not 1.
function alike(v, w) {
  if (v instanceof Num) return w instanceof Num && v.value == w.value;
  if (Array.isArray(v)) return Array.isArray(w) && v.length === w.length && v.every((item, i) => alike(item, w[i]));
  if (!isObject(v)) return v === w;
  return isObject(w) && v.size === w.size && [...v].every(([name, item]) => w.has(name) && alike(item, w.get(name)));
}

const WORDS = [['None', null], ['True', true], ['False', false]];

// readValue reads what repr writes, at a place of a text; it gives { value, end } or null.
function readValue(text, at, depth) {
  if (depth > 512) return null;
  for (const [word, value] of WORDS) if (text.startsWith(word, at)) return { value, end: at + word.length };
  if (text[at] === "'" || text[at] === '"') return readText(text, at);
  if (text[at] === '[') return readList(text, at, depth);
  if (text[at] === '{') return readObject(text, at, depth);
  const number = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/.exec(text.slice(at, at + 5000));
  return number && { value: new Num(number[0]), end: at + number[0].length };
}

function readList(text, at, depth) {
  const items = [];
  for (at++; text[at] !== ']'; ) {
    if (items.length > 0) {
      if (!text.startsWith(', ', at)) return null;
      at += 2;
    }
    const read = readValue(text, at, depth + 1);
    if (!read) return null;
    items.push(read.value);
    at = read.end;
  }
  return { value: items, end: at + 1 };
}

function readObject(text, at, depth) {
  const members = new Map();
  for (at++; text[at] !== '}'; ) {
    if (members.size > 0) {
      if (!text.startsWith(', ', at)) return null;
      at += 2;
    }
    const name = readText(text, at);
    if (!name || members.has(name.value) || !text.startsWith(': ', name.end)) return null;
    const read = readValue(text, name.end + 2, depth + 1);
    if (!read) return null;
    members.set(name.value, read.value);
    at = read.end;
  }
  return { value: members, end: at + 1 };
}

const ESCAPES = { '\\': '\\', "'": "'", '"': '"', n: '\n', r: '\r', t: '\t' };

function readText(text, at) {
  const quote = text[at];
  if (quote !== "'" && quote !== '"') return null;
  let value = '';
  for (at++; at < text.length; at++) {
    if (text[at] === quote) return { value, end: at + 1 };
    if (text[at] !== '\\') {
      value += text[at];
      continue;
    }
    const escape = /^\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([\\'"nrt]))/.exec(text.slice(at, at + 10));
    const code = escape && parseInt(escape[1] ?? escape[2] ?? escape[3] ?? '0', 16);
    if (!escape || code > 0x10ffff) return null;
    value += escape[4] ? ESCAPES[escape[4]] : String.fromCodePoint(code);
    at += escape[0].length - 1;
  }
  return null;
}
