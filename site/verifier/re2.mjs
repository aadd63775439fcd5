// Matches patterns in time that grows with the pattern times the text, whatever the two: all ways through a pattern are
// followed at once. What a pattern counts, docs/spec/claims.md §6.4 says in the words of Go's package regexp/syntax.
import { FLAG, OP, parsePattern } from './re2_parse.mjs';
import { holds, orbitOf } from './unicode.mjs';

// Instructions, each with where it leads: out, and for two ways other.
const FAIL = 0, SPLIT = 1, SKIP = 2, EDGE = 3, RUNE = 4, MATCH = 5;

// A Pattern can be asked what it counts and whether it matches the whole of a text. What is counted is the pattern between
// the two ends of the text, which are nodes and instructions themselves.
export class Pattern {
  constructor(text) {
    this.tree = parsePattern(text);
    this.elements = elementsOf(this.tree) + (this.tree.op === OP.CONCAT ? 2 : 3);
  }

  get program() {
    this.compiled ??= new Program(simplify(this.tree));
    return this.compiled;
  }

  get instructions() {
    return this.program.list.length + 2;
  }

  matches(text) {
    return this.program.matches(text);
  }
}

const elementsOf = (n) => {
  const inner = n.subs.reduce((sum, sub) => sum + elementsOf(sub), 1 + n.runes.length);
  return n.op === OP.REPEAT ? inner * Math.max(n.min, n.max, 1) : inner;
};

// simplify writes counts out: x{2,4} is xx(x(x)?)?.
function simplify(n) {
  if (n.op === OP.STAR || n.op === OP.PLUS || n.op === OP.QUEST) return unary(n.op, n.flags, simplify(n.subs[0]));
  if (n.op !== OP.REPEAT) return { ...n, subs: n.subs.map(simplify) };
  const { min, max, flags } = n;
  if (min === 0 && max === 0) return { ...n, op: OP.EMPTY, subs: [] };
  const sub = simplify(n.subs[0]), concat = (subs) => ({ ...n, op: OP.CONCAT, subs });
  if (max === -1) {
    if (min < 2) return unary(min === 0 ? OP.STAR : OP.PLUS, flags, sub);
    return concat([...Array(min - 1).fill(sub), unary(OP.PLUS, flags, sub)]);
  }
  if (min === 1 && max === 1) return sub;
  const parts = Array(min).fill(sub);
  if (max > min) {
    let rest = unary(OP.QUEST, flags, sub);
    for (let i = min + 1; i < max; i++) rest = unary(OP.QUEST, flags, concat([sub, rest]));
    if (min === 0) return rest;
    parts.push(rest);
  }
  return concat(parts);
}

function unary(op, flags, sub) {
  if (sub.op === OP.EMPTY || (sub.op === op && (sub.flags & FLAG.LAZY) === (flags & FLAG.LAZY))) return sub;
  return { op, flags, runes: [], subs: [sub], min: 0, max: 0 };
}

const KINDS = new Map([[OP.BEGIN_LINE, 'line begins'], [OP.END_LINE, 'line ends'], [OP.BEGIN, 'begins'], [OP.END, 'ends'],
  [OP.WORD_EDGE, 'edge'], [OP.NO_WORD_EDGE, 'no edge']]);

// Program is the list of instructions of a tree. A fragment of it is { first, ends, nullable }, where ends are the
// places that lead on; a first of 0 leads nowhere.
class Program {
  constructor(tree) {
    this.list = [];
    this.add(FAIL);
    const whole = this.fragment(tree);
    this.patch(whole.ends, this.add(MATCH));
    this.start = whole.first;
    this.mark = new Int32Array(this.list.length).fill(-1);
  }

  add(kind, more = {}) {
    return this.list.push({ kind, out: 0, other: 0, ...more }) - 1;
  }

  patch(ends, to) {
    for (const [at, name] of ends) this.list[at][name] = to;
  }

  step(kind, more, nullable = true) {
    const first = this.add(kind, more);
    return { first, ends: [[first, 'out']], nullable };
  }

  fragment(n) {
    switch (n.op) {
      case OP.NONE: return { first: 0, ends: [], nullable: false };
      case OP.EMPTY: return this.step(SKIP);
      case OP.LITERAL: return this.chain(n.runes.map((r) => () => this.step(RUNE, { holds: literal(r, n.flags) }, false)));
      case OP.CLASS: return this.step(RUNE, { holds: (c) => holds(n.runes, c) }, false);
      case OP.NOT_NL: return this.step(RUNE, { holds: (c) => c !== 10 }, false);
      case OP.ANY: return this.step(RUNE, { holds: () => true }, false);
      case OP.CAPTURE: return this.chain([() => this.step(SKIP), () => this.fragment(n.subs[0]), () => this.step(SKIP)]);
      case OP.STAR: return this.star(this.fragment(n.subs[0]));
      case OP.PLUS: return this.plus(this.fragment(n.subs[0]));
      case OP.QUEST: return this.quest(this.fragment(n.subs[0]));
      case OP.CONCAT: return this.chain(n.subs.map((sub) => () => this.fragment(sub)));
      case OP.ALTERNATE: return n.subs.reduce((all, sub) => this.either(all, this.fragment(sub)), { first: 0, ends: [] });
      default: return this.step(EDGE, { edge: KINDS.get(n.op) });
    }
  }

  chain(makers) {
    if (makers.length === 0) return this.step(SKIP);
    return makers.slice(1).reduce((before, make) => {
      const behind = make();
      if (before.first === 0 || behind.first === 0) return { first: 0, ends: [], nullable: false };
      this.patch(before.ends, behind.first);
      return { first: before.first, ends: behind.ends, nullable: before.nullable && behind.nullable };
    }, makers[0]());
  }

  either(a, b) {
    if (a.first === 0) return b;
    if (b.first === 0) return a;
    const first = this.add(SPLIT, { out: a.first, other: b.first });
    return { first, ends: [...a.ends, ...b.ends], nullable: a.nullable || b.nullable };
  }

  // quest and loop are alike for who asks only whether there is a match: greed does not matter.
  quest(f) {
    const first = this.add(SPLIT, { out: f.first });
    return { first, ends: [[first, 'other'], ...f.ends], nullable: true };
  }

  loop(f) {
    const first = this.add(SPLIT, { out: f.first });
    this.patch(f.ends, first);
    return { first, ends: [[first, 'other']], nullable: true };
  }

  plus(f) {
    return { ...this.loop(f), first: f.first, nullable: f.nullable };
  }

  star(f) {
    return f.nullable ? this.quest(this.plus(f)) : this.loop(f);
  }

  matches(text) {
    let now = [], next = [], before = -1, step = 0;
    this.mark.fill(-1);
    const points = Array.from(text, (c) => c.codePointAt(0));
    const stack = [this.start];
    for (let i = 0; i <= points.length; i++, step++) {
      const c = i < points.length ? points[i] : -1;
      this.follow(stack, now, step, before, c);
      if (c === -1) return now.some((at) => this.list[at].kind === MATCH);
      if (now.length === 0) return false;
      for (const at of now) {
        const instruction = this.list[at];
        if (instruction.kind === RUNE && instruction.holds(c)) next.push(instruction.out);
      }
      stack.length = 0;
      for (let j = next.length - 1; j >= 0; j--) stack.push(next[j]);
      next.length = now.length = 0;
      before = c;
    }
    return false;
  }

  // follow gives the instructions that can be reached without a character from those on the stack.
  follow(stack, found, step, before, c) {
    while (stack.length > 0) {
      const at = stack.pop();
      if (this.mark[at] === step) continue;
      this.mark[at] = step;
      const { kind, out, other, edge } = this.list[at];
      if (kind === SPLIT) stack.push(other, out);
      else if (kind === SKIP || (kind === EDGE && edges(edge, before, c))) stack.push(out);
      else if (kind === RUNE || kind === MATCH) found.push(at);
    }
  }
}

function literal(rune, flags) {
  if (!(flags & FLAG.FOLD)) return (c) => c === rune;
  const orbit = orbitOf(rune);
  return (c) => orbit.includes(c);
}

const isWord = (c) => (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122);

function edges(edge, before, c) {
  switch (edge) {
    case 'begins': return before === -1;
    case 'ends': return c === -1;
    case 'line begins': return before === -1 || before === 10;
    case 'line ends': return c === -1 || c === 10;
    default: return (isWord(before) !== isWord(c)) === (edge === 'edge');
  }
}
