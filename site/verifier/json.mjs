// Strict JSON in, canonical JSON out: docs/spec/jcs.md.
//
// A value is null, true, false, a string, an Array, a Map (an object, its members in the order of the text) or a Num.

// A number keeps the characters of its token. value is a BigInt for an integer token and a Number for a double;
// JavaScript compares the two exactly. It is read when it is asked for: most are only written again.
export class Num {
  #value;

  constructor(token) {
    this.token = token;
    this.integer = !/[.eE]/.test(token);
  }

  get value() {
    return (this.#value ??= this.integer ? BigInt(this.token) : Number(this.token));
  }
}

// JSONError says why a text was refused; cause is one of the six words of jcs.md §1.6.
export class JSONError extends Error {
  constructor(cause, message) {
    super(message);
    this.cause = cause;
  }
}

const utf8 = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const bytesOf = (text) => utf8.encode(text);

// parse reads one value from bytes, or throws a JSONError.
export function parse(bytes, { limit = 1 << 20, depth = 64 } = {}) {
  if (bytes.length > limit) throw new JSONError('size', `longer than ${limit} bytes`);
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) throw new JSONError('encoding', 'a byte order mark');
  const text = decode(bytes);
  return parseText(text ?? byteText(bytes), { depth, raw: text === null });
}

// decode gives the text that bytes are the UTF-8 of, else null.
export function decode(bytes) {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

// byteText gives a text with one character for each byte.
export function byteText(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

// parseText reads one value from a text. In a raw one each character is a byte, and its strings are decoded where they
// stand: what is no UTF-8 is told in the order of the text (jcs.md §1.6).
export function parseText(text, { depth = 64, raw = false } = {}) {
  const reader = new Reader(text, depth, raw), value = reader.value(0);
  if (!Number.isNaN(reader.space())) throw reader.syntax('something behind the value');
  return value;
}

const QUOTE = 0x22, BACKSLASH = 0x5c, COMMA = 0x2c, COLON = 0x3a;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const TOKEN = /[-+.0-9eE]*/y;

class Reader {
  constructor(text, depth, raw) {
    Object.assign(this, { text, depth, raw, at: 0 });
  }

  syntax(message) {
    return new JSONError('syntax', `${message} at character ${this.at}`);
  }

  // space skips white space and gives the code behind it, NaN at the end.
  space() {
    for (;; this.at++) {
      const c = this.text.charCodeAt(this.at);
      if (c !== 0x20 && c !== 0x09 && c !== 0x0a && c !== 0x0d) return c;
    }
  }

  value(level) {
    switch (this.space()) {
      case 0x7b: return this.object(level + 1);
      case 0x5b: return this.array(level + 1);
      case QUOTE: return this.string();
      case 0x6e: return this.word('null', null);
      case 0x74: return this.word('true', true);
      case 0x66: return this.word('false', false);
      default: return this.number();
    }
  }

  word(text, value) {
    if (!this.text.startsWith(text, this.at)) throw this.syntax(`expected ${text}`);
    this.at += text.length;
    return value;
  }

  number() {
    TOKEN.lastIndex = this.at;
    const [token] = TOKEN.exec(this.text);
    if (!NUMBER.test(token)) throw this.syntax('no value');
    this.at += token.length;
    const n = new Num(token);
    if (n.integer && token.length > 4300 && token.replace('-', '').length > 4300) throw new JSONError('number', 'more than 4300 digits');
    return n;
  }

  deeper(level) {
    if (level > this.depth) throw new JSONError('depth', `deeper than ${this.depth}`);
    this.at++;
  }

  array(level) {
    this.deeper(level);
    const items = [];
    if (this.space() === 0x5d) return this.at++, items;
    for (;;) {
      items.push(this.value(level));
      const c = this.space();
      if (c !== COMMA && c !== 0x5d) throw this.syntax('expected , or ]');
      this.at++;
      if (c === 0x5d) return items;
    }
  }

  // object gives the first of two members of one name an error where it closes (JCS-10).
  object(level) {
    this.deeper(level);
    const members = new Map();
    let n = 0;
    if (this.space() === 0x7d) return this.at++, members;
    for (;;) {
      if (this.space() !== QUOTE) throw this.syntax('expected a name');
      const name = this.string();
      if (this.space() !== COLON) throw this.syntax('expected :');
      this.at++;
      members.set(name, this.value(level));
      n++;
      const c = this.space();
      if (c !== COMMA && c !== 0x7d) throw this.syntax('expected , or }');
      this.at++;
      if (c === 0x7d) break;
    }
    if (members.size !== n) throw new JSONError('duplicate', 'a name stands twice in an object');
    return members;
  }

  string() {
    this.at++;
    let text = '';
    for (let start = this.at; ; ) {
      const c = this.text.charCodeAt(this.at);
      if (c >= 0x20 && c !== QUOTE && c !== BACKSLASH) {
        this.at++;
        continue;
      }
      text += this.plain(start, this.at);
      if (c === QUOTE) return this.at++, text;
      if (c !== BACKSLASH) throw this.syntax('a string without an end, or a control character in it');
      this.at++;
      text += this.escape();
      start = this.at;
    }
  }

  plain(start, end) {
    const text = this.text.slice(start, end);
    const plain = this.raw ? decode(Uint8Array.from(text, (c) => c.charCodeAt(0))) : text;
    if (plain === null) throw new JSONError('encoding', 'a string that is no UTF-8');
    return plain;
  }

  escape() {
    const c = this.text.charAt(this.at++);
    if (Object.hasOwn(ESCAPES, c)) return ESCAPES[c];
    if (c !== 'u') throw this.syntax('an unknown escape');
    const high = this.hex4();
    if (high < 0xd800 || high > 0xdfff) return String.fromCharCode(high);
    if (high > 0xdbff || !this.text.startsWith('\\u', this.at)) throw new JSONError('encoding', 'half of a surrogate pair');
    const low = this.text.slice(this.at + 2, this.at + 6);
    if (!/^[dD][c-fC-F][0-9a-fA-F]{2}$/.test(low)) throw new JSONError('encoding', 'half of a surrogate pair');
    this.at += 6;
    return String.fromCharCode(high, parseInt(low, 16));
  }

  hex4() {
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.syntax('expected four hex digits');
    this.at += 4;
    return parseInt(digits, 16);
  }
}

// canonical gives the text of C(v); lines: that of L(v) (jcs.md §3 and §4). A double that is not finite is an error.
export function canonical(v, lines = false) {
  if (v === null || v === true || v === false) return String(v);
  if (typeof v === 'string') return quote(v, lines);
  if (typeof v === 'number') return String(v); // counts that this program made
  if (v instanceof Num) return spell(v);
  if (Array.isArray(v)) return `[${v.map((item) => canonical(item, lines)).join(',')}]`;
  let out = '';
  for (const [name, value] of inOrder(v)) out += `${out && ','}${quote(name, lines)}:${canonical(value, lines)}`;
  return `{${out}}`;
}

// inOrder gives the members of an object in the order of their names, in which they mostly stand.
function inOrder(v) {
  let last = '';
  for (const name of v.keys()) {
    if (name < last) return [...v].sort(([a], [b]) => byUnits(a, b));
    last = name;
  }
  return v;
}

// byUnits is the order of UTF-16 code units (JCS-14), which is that of JavaScript.
const byUnits = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

// byPoints is the order of code points, which is that of UTF-8 bytes: surrogates stand above U+E000 to U+FFFF.
export function byPoints(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x === y) continue;
    const high = (c) => c >= 0xd800 && c <= 0xdfff;
    return high(x) === high(y) ? x - y : high(x) ? 1 : -1;
  }
  return a.length - b.length;
}

const SHORT = { '"': '\\"', '\\': '\\\\', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\f': '\\f', '\r': '\\r' };
const SPECIAL = /["\\\u0000-\u001f]/;
const u4 = (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;

function quote(text, lines) {
  const out = SPECIAL.test(text) ? text.replace(/["\\\u0000-\u001f]/g, (c) => SHORT[c] ?? u4(c)) : text;
  return `"${lines ? out.replace(/[\u0085\u2028\u2029]/g, u4) : out}"`;
}

// spell writes a number as JCS-16 and JCS-17 say.
export function spell(n) {
  if (n.integer) return n.token === '-0' ? '0' : n.token;
  if (!Number.isFinite(n.value)) throw new JSONError('number', 'a number that is too large');
  return String(n.value).replace('e+', 'E').replace('e-', 'E-');
}

// object makes a Map of a plain object of values, for what this program hashes itself.
export const object = (members) => new Map(Object.entries(members));
