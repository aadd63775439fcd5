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
