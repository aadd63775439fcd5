// One entry of the log, proved in the reader's browser before anything of it is shown.
import { Missing, climb, leafHash, readItem } from '../verifier/tiles.mjs';
import { Bad } from '../verifier/notes.mjs';
import { get } from './log.mjs';
import { readEntry } from '../verifier/anchor.mjs';
import { same } from '../verifier/hash.mjs';

// prove fetches the entry at an index and proves it in the checkpoint: { index, leaf, hash, proof, steps, entry, problem }.
// entry is null, and problem says why, for a leaf that is proved and is no entry.
export async function prove(log, index) {
  const { size, root } = log.checkpoint;
  if (index >= size) throw new Missing(`of entry ${index}: the checkpoint has ${size}`);
  const [leaf, proof] = await Promise.all([readItem(get, 'tile/entries', index, size), log.tree.inclusion(index)]);
  const hash = await leafHash(leaf), way = await climb(hash, index, size, proof);
  if (!way || !same(way.root, root)) {
    throw new Bad(`the bytes that this site gives as entry ${index} are not in the log: they do not lead to the root that was signed`);
  }
  try {
    return { index, leaf, hash, proof, steps: way.steps, entry: readEntry(leaf), problem: null };
  } catch (err) {
    if (!(err instanceof Bad)) throw err;
    return { index, leaf, hash, proof, steps: way.steps, entry: null, problem: err.message };
  }
}

const MEMBERS = { m: 'manifest_sha256', r: 'pack_root_sha256', p: 'pack_id' };
const MOST = 10;

// proveHints proves what hints lead to, and leaves out what is not what was looked for. A manifest's own digest goes before a
// pack root that is the same. Of many it takes the first ten and the last ten: anybody can bury an entry under others of its
// name, and nobody can come before it. It gives { found, listed, cut }, found with the newest first.
export async function proveHints(log, hints, wanted) {
  const own = hints.filter(({ kind }) => kind === 'm'), list = own.length > 0 ? own : hints;
  const some = list.length > 2 * MOST ? [...list.slice(0, MOST), ...list.slice(-MOST)] : list;
  const all = await Promise.all([...some].reverse().map(async ({ kind, index }) => ({ kind, ...(await prove(log, index)) })));
  return { found: all.filter(({ kind, entry }) => entry?.get(MEMBERS[kind]) === wanted), listed: list.length, cut: hints.cut === true };
}
