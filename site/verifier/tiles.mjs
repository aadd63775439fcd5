// A log that is a folder of files (C2SP tlog-tiles): paths, bundles, and the proofs that can be made of its tiles. Nothing
// that is read here is believed: a proof made of wrong tiles does not lead to a signed root (docs/spec/ledger.md §3).
import { join, same, sha256 } from './hash.mjs';

// WIDTH is how many hashes a whole tile has, and how many items a whole bundle.
const WIDTH = 256n;

// Missing is thrown for a file that the log does not have, Damaged for one that is not what its path says.
export class Missing extends Error {}
export class Damaged extends Error {}

// pathOf is the path of number n of a kind ('tile/0', 'tile/entries', 'checkpoints'), whole or with its first items only.
export function pathOf(kind, n, width = WIDTH) {
  const groups = n.toString().padStart(Math.ceil(n.toString().length / 3) * 3, '0').match(/.../g);
  const path = groups.map((g, i) => (i < groups.length - 1 ? `x${g}` : g)).join('/');
  return `${kind}/${path}${width < WIDTH ? `.p/${width}` : ''}`;
}

// splitBundle gives the items of a bundle: each behind its length in two bytes. There must be exactly count of them, or at
// least as many if more may follow.
export function splitBundle(bytes, count, more = false) {
  const items = [];
  let at = 0;
  while (items.length < count) {
    const end = at + 2 + ((bytes[at] << 8) | bytes[at + 1]);
    if (at + 2 > bytes.length || end > bytes.length) throw new Damaged(`a bundle with ${items.length} of its ${count} items`);
    items.push(bytes.subarray(at + 2, end));
    at = end;
  }
  if (!more && at !== bytes.length) throw new Damaged('a bundle with something behind its items');
  return items;
}

// readItem gives item i of a list in bundles that has size items, such as the entries. get reads a file by its path and
// gives null if it is not there. The last bundle grows: while a log is published, only the longer one may be there.
export async function readItem(get, kind, i, size) {
  const n = i / WIDTH, width = least(size - n * WIDTH);
  const part = await get(pathOf(kind, n, width));
  if (part) return splitBundle(part, Number(width))[Number(i % WIDTH)];
  const whole = width < WIDTH ? await get(pathOf(kind, n)) : null;
  if (!whole) throw new Missing(pathOf(kind, n, width));
  return splitBundle(whole, Number(width), true)[Number(i % WIDTH)];
}

const least = (n) => (n < WIDTH ? n : WIDTH);

export const leafHash = (leaf) => sha256(join(Uint8Array.of(0), leaf));
const nodeHash = (left, right) => sha256(join(Uint8Array.of(1), left, right));

// Tree makes proofs of the tiles of a log of the given size.
export class Tree {
  constructor(size, get) {
    this.size = size;
    this.get = get;
  }

  // inclusion gives the hashes that prove the leaf at an index, its sibling first.
  inclusion(index, size = this.size) {
    const ranges = [];
    let start = 0n, end = size;
    while (end - start > 1n) {
      const middle = start + below(end - start);
      if (index < middle) ranges.unshift([middle, end]), (end = middle);
      else ranges.unshift([start, middle]), (start = middle);
    }
    return Promise.all(ranges.map(([a, b]) => this.hash(a, b)));
  }

  // consistency gives the hashes that prove that the tree of a size continues the one of an older size; none if it cannot.
  consistency(old, size = this.size) {
    if (old === 0n || old >= size) return Promise.resolve([]);
    const ranges = [];
    let start = 0n, end = size, whole = true; // whole: the old tree's root is a node on the way so far
    while (end !== old) {
      const middle = start + below(end - start);
      if (old <= middle) ranges.unshift([middle, end]), (end = middle);
      else ranges.unshift([start, middle]), (start = middle), (whole = false);
    }
    if (!whole) ranges.unshift([start, end]);
    return Promise.all(ranges.map(([a, b]) => this.hash(a, b)));
  }

  // hash is that of the leaves from start to before end, as RFC 6962 makes it.
  async hash(start, end) {
    const n = end - start;
    if ((n & (n - 1n)) === 0n) return this.node(start, n);
    const middle = start + below(n);
    return nodeHash(...(await Promise.all([this.node(start, middle - start), this.hash(middle, end)])));
  }

  // node is the hash of n leaves, a power of two, from the tile that holds it or the hashes under it.
  async node(start, n) {
    let level = 0n;
    for (; n >= WIDTH; n /= WIDTH) (level += 1n), (start /= WIDTH);
    const tile = await this.tile(level, start / WIDTH), at = Number(start % WIDTH) * 32;
    let hashes = Array.from({ length: Number(n) }, (_, i) => tile.subarray(at + 32 * i, at + 32 * i + 32));
    while (hashes.length > 1) {
      const pairs = hashes.filter((_, i) => i % 2 === 0).map((left, i) => nodeHash(left, hashes[2 * i + 1]));
      hashes = await Promise.all(pairs);
    }
    return hashes[0];
  }

  async tile(level, n) {
    const width = least((this.size >> (8n * level)) - n * WIDTH), kind = `tile/${level}`;
    const bytes = (await this.get(pathOf(kind, n, width))) ?? (width < WIDTH ? await this.get(pathOf(kind, n)) : null);
    if (!bytes) throw new Missing(pathOf(kind, n, width));
    if (bytes.length !== 32 * Number(width) && bytes.length !== 32 * Number(WIDTH)) {
      throw new Damaged(`${pathOf(kind, n, width)} has ${bytes.length} bytes`);
    }
    return bytes;
  }
}

// below is the largest power of two that is less than n.
const below = (n) => 1n << BigInt((n - 1n).toString(2).length - 1);

// climb leads from a leaf's hash up to a root (RFC 9162 §2.1.3.2): { steps, root }, a step being { left, other, hash } with
// left telling whether the other hash stands on the left. It is null if the hashes are too many or too few.
export async function climb(leaf, index, size, hashes) {
  if (index < 0n || index >= size) return null;
  const steps = [];
  let at = index, last = size - 1n, hash = leaf;
  for (const other of hashes) {
    if (last === 0n) return null;
    const left = (at & 1n) === 1n || at === last;
    hash = left ? await nodeHash(other, hash) : await nodeHash(hash, other);
    steps.push({ left, other, hash });
    if (left) while (!(at & 1n) && at !== 0n) (at >>= 1n), (last >>= 1n);
    (at >>= 1n), (last >>= 1n);
  }
  return last === 0n ? { steps, root: hash } : null;
}

// included tells whether the hashes lead from a leaf to the root (ENT-12).
export async function included(leaf, index, size, hashes, root) {
  const way = await climb(leaf, index, size, hashes);
  return way !== null && same(way.root, root);
}

// consistent tells whether the hashes show that one tree continues another (ENT-13; RFC 9162 §2.1.4.2).
export async function consistent(old, oldRoot, size, root, hashes) {
  if (old > size) return false;
  if (old === 0n) return hashes.length === 0 && same(oldRoot, await sha256(new Uint8Array())) && (size > 0n || same(root, oldRoot));
  if (old === size) return hashes.length === 0 && same(oldRoot, root);
  let at = old - 1n, last = size - 1n;
  while (at & 1n) (at >>= 1n), (last >>= 1n);
  const rest = at === 0n ? [oldRoot, ...hashes] : hashes; // a whole tree stands in the new one as it is
  if (rest.length === 0) return false;
  let before = rest[0], now = rest[0];
  for (const other of rest.slice(1)) {
    if (last === 0n) return false;
    if (at & 1n || at === last) {
      [before, now] = await Promise.all([nodeHash(other, before), nodeHash(other, now)]);
      while (!(at & 1n) && at !== 0n) (at >>= 1n), (last >>= 1n);
    } else {
      now = await nodeHash(now, other);
    }
    (at >>= 1n), (last >>= 1n);
  }
  return last === 0n && same(before, oldRoot) && same(now, root);
}
