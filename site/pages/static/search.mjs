// From what a reader types to entries, by files of hints: lookup/ and heads/ (docs/spec/site.md). A hint proves nothing, so
// each entry is proved before it is shown; and what no hint names may be in the log all the same.
import { hex, sha256 } from '../verifier/hash.mjs';
import { get } from './log.mjs';

const INDEX = /^(0|[1-9][0-9]{0,18})$/;
const DIGEST = /^[0-9a-f]{64}$/;
const REPO = /^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/[A-Za-z0-9._-]{1,100}$/;

// asked reads the query of an entry page: { index }, { digest }, { name }, or { wrong } with the reason why it names no entry.
// A number that somebody typed is { index, name }: a pack may be called so.
export function asked(query) {
  const i = query.get('i') ?? '', h = (query.get('h') ?? '').toLowerCase(), q = (query.get('q') ?? '').trim();
  if (INDEX.test(i)) return { index: BigInt(i) };
  if (DIGEST.test(h)) return { digest: h };
  if (i !== '') return { wrong: `“${i}” in the address of this page is not the number of an entry` };
  if (h !== '') return { wrong: `“${h}” in the address of this page is not a digest of 64 hex digits` };
  if (INDEX.test(q.replaceAll(',', ''))) return { index: BigInt(q.replaceAll(',', '')), name: q };
  if (DIGEST.test(q.toLowerCase())) return { digest: q.toLowerCase() };
  if (q !== '') return { name: q };
  return { wrong: 'the address of this page names no entry' };
}

export const isRepo = (text) => REPO.test(text);

// digitsFor is how many digits name a file of hints in a log of that size.
function digitsFor(size) {
  let digits = 3;
  for (let limit = 2n ** 20n; size > limit && digits < 8; limit *= 16n) digits++;
  return digits;
}

const digestOf = async (text) => hex(await sha256(new TextEncoder().encode(text)));

const FULL = 4096; // lines of a file: what comes behind is in another
const MOST = 8; // files that are read for one answer

// lines gives those of the files of a digest, file by file, and cut: whether there are more files than are read.
async function* lines(folder, digest, size) {
  for (let n = 0; ; n++) {
    const text = await get(`${folder}/${digest.slice(0, digitsFor(size))}${n > 0 ? `-${n}` : ''}`);
    if (!text) return;
    if (n === MOST) {
      yield { list: [], cut: true };
      return;
    }
    const list = new TextDecoder().decode(text).split('\n');
    yield { list: list.slice(0, FULL), cut: false };
    if (list.length <= FULL) return;
  }
}

// TooMany is thrown where nothing was found, and a list was not read to its end: anybody can log entries whose digests begin alike.
class TooMany extends Error {
  constructor() {
    super('this site lists more entries whose digests begin like that than are read here');
  }
}

// lookup gives the indexes of entries whose manifest ('m'), pack root ('r') or name ('p') has a digest, oldest first. Its
// member cut tells that there may be more.
export async function lookup(kinds, digest, size) {
  const found = Object.assign([], { cut: false });
  for await (const { list, cut } of lines('lookup', digest, size)) {
    found.cut = cut;
    for (const line of list) {
      const m = /^([mrp]) ([0-9a-f]{20}) (0|[1-9][0-9]{0,18})$/.exec(line);
      if (m && kinds.includes(m[1]) && digest.startsWith(m[2]) && BigInt(m[3]) < size) found.push({ kind: m[1], index: BigInt(m[3]) });
    }
  }
  if (found.cut && found.length === 0) throw new TooMany();
  return found;
}

export const lookupName = async (name, size) => lookup('p', await digestOf(name), size);

// heads gives { count, newest } of a signer ('s', by its fingerprint) or a repository ('r', by its name), or null.
export async function heads(kind, key, size) {
  const digest = kind === 's' ? key : await digestOf(key);
  for await (const { list, cut } of lines('heads', digest, size)) {
    for (const line of list) {
      const m = /^([sr]) ([0-9a-f]{20}) ([1-9][0-9]{0,18}) ([0-9,]+)$/.exec(line);
      if (m && m[1] === kind && digest.startsWith(m[2])) return { count: BigInt(m[3]), newest: indexes(m[4], size) };
    }
    if (cut) throw new TooMany();
  }
  return null;
}

// indexes reads falling numbers, "40,39,31", and leaves out what a checkpoint of that size does not have yet.
export function indexes(text, size) {
  const list = [];
  for (const word of text.split(',')) {
    if (!INDEX.test(word)) break;
    const n = BigInt(word);
    if (list.length > 0 && n >= list[list.length - 1]) break;
    list.push(n);
  }
  return list.filter((n) => n < size);
}
