// DER, strictly (ENT-47): a tag of one byte, a length in its shortest form, and every byte is of some element.
import { hex } from './hash.mjs';
import { Bad, must } from './notes.mjs';

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BITS = 0x03;
export const OCTETS = 0x04;
export const NULL = 0x05;
export const OID = 0x06;
export const UTC_TIME = 0x17;
export const GENERAL_TIME = 0x18;
export const SEQUENCE = 0x30;
export const SET = 0x31;

// context gives the tag of [n]; constructed: it holds elements.
export const context = (n, constructed = true) => 0x80 | (constructed ? 0x20 : 0) | n;

// An element is { tag, body, bytes }: bytes are all of it.

// elementAt reads the element that begins at a place.
function elementAt(bytes, at) {
  const tag = bytes[at], first = bytes[at + 1];
  must(first !== undefined && (tag & 0x1f) !== 0x1f, 'an element that is cut short, or of a long tag');
  let start = at + 2, length = first;
  if (first >= 0x80) {
    const n = first & 0x7f;
    must(n >= 1 && n <= 3 && start + n <= bytes.length, 'a length that is none');
    length = bytes.subarray(start, start + n).reduce((sum, b) => sum * 256 + b, 0);
    must(length >= (n === 1 ? 0x80 : 256 ** (n - 1)), 'a length that is not in its shortest form');
    start += n;
  }
  must(start + length <= bytes.length, 'an element that is cut short');
  return { tag, body: bytes.subarray(start, start + length), bytes: bytes.subarray(at, start + length) };
}

// elements reads one element after another, to the end.
export function elements(bytes) {
  const list = [];
  for (let at = 0; at < bytes.length; at += list.at(-1).bytes.length) list.push(elementAt(bytes, at));
  return list;
}

// only gives the one element that bytes are, which must have a tag.
export function only(bytes, tag) {
  const list = elements(bytes);
  must(list.length === 1, 'not exactly one element');
  return tagged(list[0], tag);
}

function tagged(element, tag) {
  must(element?.tag === tag, 'another element than the structure has');
  return element;
}

// Fields gives the elements of a structure in their order. end must be called behind the last one.
export class Fields {
  constructor(body) {
    this.rest = elements(body);
  }

  // take gives the next element, which has one of the tags.
  take(...tags) {
    const element = this.rest.shift();
    must(element && tags.includes(element.tag), 'another element than the structure has');
    return element;
  }

  // maybe gives the next element if it has the tag, else null.
  maybe(tag) {
    return this.rest[0]?.tag === tag ? this.rest.shift() : null;
  }

  // in gives the fields of the next element.
  in(tag) {
    return new Fields(this.take(tag).body);
  }

  end() {
    must(this.rest.length === 0, 'an element that the structure does not have');
  }
}

// integer gives the value of an INTEGER, or of one with another tag.
export function integer({ body }) {
  must(body.length >= 1, 'an empty integer');
  must(!(body.length > 1 && (body[0] === 0 ? body[1] < 0x80 : body[0] === 0xff && body[1] >= 0x80)), 'an integer that is not in its shortest form');
  return BigInt.asIntN(8 * body.length, BigInt(`0x${hex(body)}`));
}

// oid gives an object identifier with points between its arcs.
export function oid({ body }) {
  const arcs = [];
  let arc = 0;
  body.forEach((b, i) => {
    must(!(b === 0x80 && (i === 0 || body[i - 1] < 0x80)), 'an identifier that is not in its shortest form');
    arc = arc * 128 + (b & 0x7f);
    must(arc < 2 ** 31, 'an identifier with an arc that is too large');
    if (b < 0x80) arcs.push(arc), (arc = 0);
  });
  must(body.length > 0 && body.at(-1) < 0x80, 'an identifier that is cut short');
  const [first] = arcs, head = Math.min(2, Math.floor(first / 40));
  return [head, first - 40 * head, ...arcs.slice(1)].join('.');
}

// truth reads a BOOLEAN whose default is false, and which is therefore true where it stands.
export function truth(element) {
  must(element === null || (element.body.length === 1 && element.body[0] === 0xff), 'a flag that is not true');
  return element !== null;
}

// bits gives the bytes of a BIT STRING, and how many bits of the last one are not used.
export function bits({ body }) {
  const unused = body[0], bytes = body.subarray(1);
  must(unused < 8 && (bytes.length > 0 || unused === 0), 'no string of bits');
  must(unused === 0 || (bytes.at(-1) & ((1 << unused) - 1)) === 0, 'a string of bits with more bits than it has');
  return { bytes, unused };
}

const TIMES = { [UTC_TIME]: /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, [GENERAL_TIME]: /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{0,8}[1-9])?Z$/ };

// dateTime gives a time in the spelling of a date-time.
export function dateTime({ tag, body }) {
  const m = TIMES[tag]?.exec(String.fromCharCode(...body));
  if (!m) throw new Bad('a time of another form');
  const year = tag === UTC_TIME ? (m[1] < '50' ? '20' : '19') + m[1] : m[1];
  return `${year}-${m[2]}-${m[3]}T${m[4]}:${m[5]}:${m[6]}${m[7] ?? ''}Z`;
}
