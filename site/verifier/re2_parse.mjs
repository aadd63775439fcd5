// Reads a pattern of field_matches (docs/spec/claims.md §6.4) into the tree that Go's package regexp/syntax makes of it:
// its nodes and ranges are counted, and so is what is compiled of them.
import { classNamed, clean, folded, holds, LAST, negate, orbitOf } from './unicode.mjs';

// OP are the kinds of nodes. Their order matters where classes are joined.
export const OP = {
  NONE: 1, EMPTY: 2, LITERAL: 3, CLASS: 4, NOT_NL: 5, ANY: 6, BEGIN_LINE: 7, END_LINE: 8, BEGIN: 9, END: 10, WORD_EDGE: 11,
  NO_WORD_EDGE: 12, CAPTURE: 13, STAR: 14, PLUS: 15, QUEST: 16, REPEAT: 17, CONCAT: 18, ALTERNATE: 19,
};
const { NONE, EMPTY, LITERAL, CLASS, NOT_NL, ANY, CAPTURE, STAR, PLUS, QUEST, REPEAT, CONCAT, ALTERNATE } = OP;
const PAREN = 128, BAR = 129; // on the stack of the reader only

// A node is { op, flags, runes, subs, min, max }: runes are those of a literal, or the ranges of a class.
export const FLAG = { FOLD: 1, LAZY: 2 };
const { FOLD, LAZY } = FLAG, LINES = 4, DOT_NL = 8;

// PatternError says why a pattern was refused.
export class PatternError extends Error {}

const refuse = (why) => {
  throw new PatternError(why);
};

const node = (op, flags = 0, more = {}) => ({ op, flags, runes: [], subs: [], min: 0, max: 0, ...more });
const point = (c) => c.codePointAt(0);
const single = (n) => (n.op === LITERAL && n.runes.length === 1) || n.op === CLASS || n.op === NOT_NL || n.op === ANY;

// parsePattern gives the tree of a pattern, or throws a PatternError.
export function parsePattern(text) {
  return new Parser(Array.from(text)).pattern();
}

const GROUPS = { d: [48, 57], s: [9, 10, 12, 13, 32, 32], w: [48, 57, 65, 90, 95, 95, 97, 122] };
const NAMED = {
  alnum: [48, 57, 65, 90, 97, 122], alpha: [65, 90, 97, 122], ascii: [0, 127], blank: [9, 9, 32, 32], cntrl: [0, 31, 127, 127],
  digit: GROUPS.d, graph: [33, 126], lower: [97, 122], print: [32, 126], punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space: [9, 13, 32, 32], upper: [65, 90], word: GROUPS.w, xdigit: [48, 57, 65, 70, 97, 102],
};

class Parser {
  constructor(chars) {
    Object.assign(this, { chars, at: 0, flags: 0, stack: [] });
  }

  // take tells whether a text comes next, and takes it if so.
  take(text) {
    for (let i = 0; i < text.length; i++) if (this.chars[this.at + i] !== text[i]) return false;
    this.at += text.length;
    return true;
  }

  next(why) {
    return this.chars[this.at++] ?? refuse(why);
  }

  pattern() {
    let repeated = false; // a quantifier stands right before
    while (this.at < this.chars.length) repeated = this.item(repeated);
    this.alternatives();
    if (this.stack.length !== 1) refuse('a ( without its )');
    return this.stack[0];
  }

  // item reads what comes next; it tells whether that was a quantifier.
  item(repeated) {
    const c = this.chars[this.at++];
    switch (c) {
      case '(': return this.open(), false;
      case ')': return this.close(), false;
      case '|': return this.bar(), false;
      case '^': return this.push(node(this.flags & LINES ? OP.BEGIN_LINE : OP.BEGIN, this.flags)), false;
      case '$': return this.push(node(this.flags & LINES ? OP.END_LINE : OP.END, this.flags, { dollar: !(this.flags & LINES) })), false;
      case '.': return this.push(node(this.flags & DOT_NL ? ANY : NOT_NL, this.flags)), false;
      case '[': return this.bracket(), false;
      case '*': return this.repeat(STAR, 0, 0, repeated);
      case '+': return this.repeat(PLUS, 0, 0, repeated);
      case '?': return this.repeat(QUEST, 0, 0, repeated);
      case '{': return this.braces(repeated);
      case '\\': return this.backslash(), false;
      default: return this.literal(point(c)), false;
    }
  }

  literal(rune) {
    this.push(node(LITERAL, this.flags, { runes: [this.flags & FOLD ? orbitOf(rune)[0] : rune] }));
  }

  // push puts a node on the stack; a class of one letter, in one case or both, is a literal.
  push(n) {
    const [a, b, c, d] = n.runes, pair = (x, y) => orbitOf(x).length === 2 && orbitOf(x)[0] === x && orbitOf(x)[1] === y;
    let flags = null;
    if (n.op === CLASS && n.runes.length === 2 && a === b) flags = this.flags & ~FOLD;
    else if (n.op === CLASS && n.runes.length === 4 && a === b && c === d && pair(a, c)) flags = this.flags | FOLD;
    else if (n.op === CLASS && n.runes.length === 2 && a + 1 === b && pair(a, b)) flags = this.flags | FOLD;
    if (flags !== null) Object.assign(n, { op: LITERAL, runes: [a], flags });
    this.join();
    this.stack.push(n);
  }

  // join makes one literal of the two on top of the stack.
  join() {
    const b = this.stack.at(-1), a = this.stack.at(-2);
    if (!a || a.op !== LITERAL || b.op !== LITERAL || (a.flags & FOLD) !== (b.flags & FOLD)) return;
    a.runes = [...a.runes, ...b.runes];
    this.stack.pop();
  }

  repeat(op, min, max, repeated) {
    let { flags } = this;
    if (this.take('?')) flags ^= LAZY;
    if (repeated) refuse('a quantifier behind a quantifier');
    const sub = this.stack.at(-1);
    if (!sub || sub.op >= PAREN) refuse('a quantifier of nothing');
    const n = node(op, flags, { min, max, subs: [sub] });
    this.stack[this.stack.length - 1] = n;
    if (op === REPEAT && (min >= 2 || max >= 2) && !countable(n, 1000)) refuse('too many repetitions');
    return true;
  }

  // braces reads {n}, {n,} or {n,m}; anything else is a literal {.
  braces(repeated) {
    const m = /^(0|[1-9][0-9]*)(?:(,)(0|[1-9][0-9]*)?)?\}/.exec(this.chars.slice(this.at, this.at + 300).join(''));
    if (!m) return this.literal(0x7b), false;
    this.at += m[0].length;
    const min = Number(m[1]), max = m[3] !== undefined ? Number(m[3]) : m[2] ? -1 : min;
    if (min > 1000 || max > 1000 || (max >= 0 && min > max)) refuse('a count that is too large, or counts in the wrong order');
    return this.repeat(REPEAT, min, max, repeated);
  }

  // pop takes the nodes behind the last ( or | from the stack.
  pop() {
    let i = this.stack.length;
    while (i > 0 && this.stack[i - 1].op < PAREN) i--;
    return this.stack.splice(i);
  }

  concat() {
    this.join();
    const subs = this.pop();
    this.push(subs.length === 0 ? node(EMPTY) : collapse(subs, CONCAT));
  }

  bar() {
    this.concat();
    if (!this.swap()) this.push(node(BAR, this.flags));
  }

  // swap keeps a | above the alternatives that were read; two that are classes become one.
  swap() {
    const { stack } = this, n = stack.length;
    if (n >= 3 && stack[n - 2].op === BAR && single(stack[n - 1]) && single(stack[n - 3])) {
      let small = stack[n - 1], large = stack[n - 3];
      if (small.op > large.op) [small, large] = [large, small];
      stack[n - 3] = large;
      merge(large, small);
      stack.pop();
      return true;
    }
    if (n < 2 || stack[n - 2].op !== BAR) return false;
    if (n >= 3) tidy(stack[n - 3]);
    [stack[n - 2], stack[n - 1]] = [stack[n - 1], stack[n - 2]];
    return true;
  }

  alternatives() {
    this.concat();
    if (this.swap()) this.stack.pop();
    const subs = this.pop();
    if (subs.length > 0) tidy(subs.at(-1));
    this.push(subs.length === 0 ? node(NONE) : collapse(subs, ALTERNATE));
  }

  close() {
    this.alternatives();
    const inner = this.stack.pop(), paren = this.stack.pop();
    if (paren?.op !== PAREN) refuse('a ) without its (');
    this.flags = paren.flags;
    this.push(paren.capture === undefined ? inner : node(CAPTURE, paren.flags, { subs: [inner], capture: paren.capture }));
  }

  open() {
    let capture = '';
    if (this.take('?P<') || this.take('?<')) {
      const end = this.chars.indexOf('>', this.at);
      capture = end < 0 ? '' : this.chars.slice(this.at, end).join('');
      if (!/^[A-Za-z0-9_]+$/.test(capture)) refuse('a name of a group that is none');
      this.at = end + 1;
    } else if (this.take('?')) {
      return this.options();
    }
    this.captures = (this.captures ?? 0) + 1;
    this.push(node(PAREN, this.flags, { capture: `${this.captures} ${capture}` }));
  }

  // options reads what stands behind (?, as in (?i) and (?s-i:x).
  options() {
    const BITS = { i: FOLD, m: LINES, s: DOT_NL, U: LAZY };
    let { flags } = this, off = false, some = false;
    for (;;) {
      const c = this.next('a group without its end');
      if (Object.hasOwn(BITS, c)) {
        flags = off ? flags & ~BITS[c] : flags | BITS[c];
        some = true;
      } else if (c === '-' && !off) {
        off = true;
        some = false;
      } else {
        if ((c !== ':' && c !== ')') || (off && !some)) refuse('a group of a kind that is not known');
        if (c === ':') this.push(node(PAREN, this.flags));
        this.flags = flags;
        return;
      }
    }
  }

  backslash() {
    const c = this.chars[this.at];
    const edges = { A: OP.BEGIN, z: OP.END, b: OP.WORD_EDGE, B: OP.NO_WORD_EDGE };
    if (c !== undefined && Object.hasOwn(edges, c)) return this.at++, this.push(node(edges[c], this.flags));
    if (c === 'Q') return this.at++, this.quoted();
    const ranges = this.classEscape();
    if (ranges) this.push(node(CLASS, this.flags, { runes: ranges }));
    else this.literal(this.escape());
  }

  // quoted reads literals up to \E, which must be there.
  quoted() {
    while (!this.take('\\E')) this.literal(point(this.next('a \\Q without its \\E')));
  }

  // classEscape reads what stands behind a backslash, if it stands for a class.
  classEscape() {
    const c = this.chars[this.at];
    if (c === undefined || !'dDsSwWpP'.includes(c)) return null;
    this.at++;
    if (c === 'p' || c === 'P') return this.property(c === 'P');
    const ranges = this.inCase(GROUPS[c.toLowerCase()]);
    return c === c.toLowerCase() ? ranges : negate(ranges);
  }

  inCase(ranges) {
    return this.flags & FOLD ? folded(ranges) : ranges;
  }

  property(negated) {
    let name = this.next('a class without a name');
    if (name === '{') {
      const end = this.chars.indexOf('}', this.at);
      if (end < 0) refuse('a class whose name has no end');
      name = this.chars.slice(this.at, end).join('');
      this.at = end + 1;
    }
    const found = classNamed(name.replace(/^\^/, '')) ?? refuse('a class that is not known');
    const ranges = found === classNamed('LC') ? found : this.inCase(found);
    return negated !== name.startsWith('^') ? negate(ranges) : ranges;
  }

  // escape reads what stands behind a backslash, which is one character.
  escape() {
    const c = this.next('a backslash at the end'), plain = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11 };
    if (c < '\x80' && !/[A-Za-z0-9]/.test(c)) return point(c);
    if (Object.hasOwn(plain, c)) return plain[c];
    if (c === '0' || (/[1-7]/.test(c) && /[0-7]/.test(this.chars[this.at] ?? ''))) {
      let digits = c;
      while (digits.length < 3 && /^[0-7]$/.test(this.chars[this.at] ?? '')) digits += this.chars[this.at++];
      return parseInt(digits, 8);
    }
    if (c === 'x') {
      const m = /^(?:\{([0-9A-Fa-f]+)\}|([0-9A-Fa-f]{2}))/.exec(this.chars.slice(this.at, this.at + 300).join(''));
      const rune = m ? parseInt(m[1] ?? m[2], 16) : Infinity;
      if (rune <= LAST) return (this.at += m[0].length), rune;
    }
    return refuse('an escape that is not known');
  }

  bracket() {
    const negated = this.take('^');
    let ranges = [], first = true;
    for (; first || this.chars[this.at] !== ']'; first = false) {
      const named = this.namedClass() ?? (this.chars[this.at] === '\\' ? this.classIn() : null);
      if (named) {
        ranges.push(...named);
        continue;
      }
      const lo = this.classChar();
      let hi = lo;
      if (this.chars[this.at] === '-' && this.at + 1 < this.chars.length && this.chars[this.at + 1] !== ']') {
        this.at++;
        hi = this.classChar();
        if (hi < lo) refuse('a range in the wrong order');
      }
      ranges.push(...this.inCase([lo, hi]));
    }
    this.at++;
    ranges = clean(ranges);
    this.push(node(CLASS, this.flags, { runes: negated ? negate(ranges) : ranges }));
  }

  classIn() {
    this.at++;
    const ranges = this.classEscape();
    if (!ranges) this.at--;
    return ranges;
  }

  classChar() {
    const c = this.next('a [ without its ]');
    return c === '\\' ? this.escape() : point(c);
  }

  // namedClass reads [:name:].
  namedClass() {
    if (this.chars[this.at] !== '[' || this.chars[this.at + 1] !== ':') return null;
    const rest = this.chars.slice(this.at + 2).join(''), end = rest.indexOf(':]');
    if (end < 0) return null;
    const name = rest.slice(0, end), bare = name.replace(/^\^/, '');
    if (!Object.hasOwn(NAMED, bare)) refuse('a class that is not known');
    this.at += 4 + Array.from(name).length;
    const ranges = this.inCase(NAMED[bare]);
    return name === bare ? ranges : negate(ranges);
  }
}

// countable tells whether counts within counts come to at most n.
function countable(tree, n) {
  if (tree.op === REPEAT) {
    const m = tree.max < 0 ? tree.min : tree.max;
    if (tree.max === 0) return true;
    if (m > n) return false;
    if (m > 0) n = Math.floor(n / m);
  }
  return tree.subs.every((sub) => countable(sub, n));
}

// collapse makes one node of several; alternatives that begin alike are factored.
function collapse(subs, op) {
  if (subs.length === 1) return subs[0];
  const n = node(op, 0, { subs: subs.flatMap((sub) => (sub.op === op ? sub.subs : [sub])) });
  if (op === ALTERNATE) n.subs = factor(n.subs);
  return n.subs.length === 1 ? n.subs[0] : n;
}

// factor takes out what alternatives that are neighbours have in common at their beginning: ab|ac is a(?:b|c).
function factor(list) {
  if (list.length < 2) return list;
  return withoutTwins(joinSingles(factorFirst(factorStrings(list))));
}

function factorStrings(list) {
  const out = [];
  let start = 0, common = [], flags = 0;
  for (let i = 0; i <= list.length; i++) {
    const head = i < list.length ? leading(list[i]) : { runes: [], flags: 0 };
    if (i < list.length && head.flags === flags) {
      let same = 0;
      while (same < common.length && common[same] === head.runes[same]) same++;
      if (same > 0) {
        common = common.slice(0, same);
        continue;
      }
    }
    if (i === start + 1) out.push(list[start]);
    else if (i > start) {
      const rest = list.slice(start, i).map((n) => withoutString(n, common.length));
      out.push(node(CONCAT, 0, { subs: [node(LITERAL, flags, { runes: common }), collapse(rest, ALTERNATE)] }));
    }
    start = i;
    ({ runes: common, flags } = head);
  }
  return out;
}

function leading(n) {
  const head = n.op === CONCAT && n.subs.length > 0 ? n.subs[0] : n;
  return head.op === LITERAL ? { runes: head.runes, flags: head.flags & FOLD } : { runes: [], flags: 0 };
}

function withoutString(n, length) {
  if (n.op === CONCAT && n.subs.length > 0) {
    const head = withoutString(n.subs[0], length);
    if (head.op !== EMPTY) return { ...n, subs: [head, ...n.subs.slice(1)] };
    if (n.subs.length === 2) return n.subs[1];
    return n.subs.length < 2 ? node(EMPTY) : { ...n, subs: n.subs.slice(1) };
  }
  const runes = n.runes.slice(length);
  return runes.length === 0 ? { ...n, op: EMPTY, runes } : { ...n, runes };
}

function factorFirst(list) {
  const out = [];
  let start = 0, first = null;
  for (let i = 0; i <= list.length; i++) {
    const head = i < list.length ? leadingNode(list[i]) : null;
    const simple = first && (single(first) || (first.op === REPEAT && first.min === first.max && single(first.subs[0])));
    if (i < list.length && simple && head && equal(first, head)) continue;
    if (i === start + 1) out.push(list[start]);
    else if (i > start) {
      out.push(node(CONCAT, 0, { subs: [first, collapse(list.slice(start, i).map(withoutFirst), ALTERNATE)] }));
    }
    start = i;
    first = head;
  }
  return out;
}

function leadingNode(n) {
  const head = n.op === CONCAT && n.subs.length > 0 ? n.subs[0] : n;
  return head.op === EMPTY ? null : head;
}

function withoutFirst(n) {
  if (n.op !== CONCAT || n.subs.length === 0) return node(EMPTY);
  if (n.subs.length === 2) return n.subs[1];
  return n.subs.length < 2 ? node(EMPTY) : { ...n, subs: n.subs.slice(1) };
}

// equal compares trees.
function equal(a, b) {
  if (a.op !== b.op || a.runes.length !== b.runes.length || a.subs.length !== b.subs.length) return false;
  if ((a.op === LITERAL || a.op === CLASS) && (a.flags & FOLD) !== (b.flags & FOLD)) return false;
  const lazy = [STAR, PLUS, QUEST, REPEAT].includes(a.op) && (a.flags & LAZY) !== (b.flags & LAZY);
  if (lazy || a.min !== b.min || a.max !== b.max || a.capture !== b.capture || a.dollar !== b.dollar) return false;
  return a.runes.every((r, i) => r === b.runes[i]) && a.subs.every((s, i) => equal(s, b.subs[i]));
}

// joinSingles makes one class of neighbours that match one character.
function joinSingles(list) {
  const out = [];
  for (let i = 0; i < list.length; ) {
    let end = i;
    while (end < list.length && single(list[end])) end++;
    if (end - i > 1) {
      let most = i;
      for (let j = i + 1; j < end; j++) {
        const [a, b] = [list[most], list[j]];
        if (a.op < b.op || (a.op === b.op && a.runes.length < b.runes.length)) most = j;
      }
      [list[i], list[most]] = [list[most], list[i]];
      for (let j = i + 1; j < end; j++) merge(list[i], list[j]);
      tidy(list[i]);
      out.push(list[i]);
    } else if (end > i) out.push(list[i]);
    if (end < list.length) out.push(list[end]);
    i = end + 1;
  }
  return out;
}

const withoutTwins = (list) => list.filter((n, i) => !(n.op === EMPTY && list[i + 1]?.op === EMPTY));

// merge adds the characters of a node to those of one of no smaller kind.
function merge(into, n) {
  const literal = ({ runes: [r], flags }) => (flags & FOLD ? orbitOf(r).flatMap((x) => [x, x]) : [r, r]);
  if (into.op === NOT_NL) {
    const newline = n.op === ANY || (n.op === LITERAL ? n.runes[0] === 10 : n.op === CLASS && holds(n.runes, 10));
    if (newline) into.op = ANY;
  } else if (into.op === CLASS) {
    into.runes = clean([...into.runes, ...(n.op === LITERAL ? literal(n) : n.runes)]);
  } else if (into.op === LITERAL && !(n.runes[0] === into.runes[0] && n.flags === into.flags)) {
    Object.assign(into, { op: CLASS, runes: clean([...literal(into), ...literal(n)]) });
  }
}

// tidy gives a class that is everything, or everything but the line feed, its own kind.
function tidy(n) {
  if (n.op !== CLASS) return;
  const text = n.runes.join(' ');
  if (text === `0 ${LAST}`) Object.assign(n, { op: ANY, runes: [] });
  else if (text === `0 9 11 ${LAST}`) Object.assign(n, { op: NOT_NL, runes: [] });
}
