// The log behind this site, opened in the reader's browser: files of the site are fetched, and believed only as far as
// signatures and proofs carry.
import { base64, base64Of, hex, missing, same, sha256 } from '../verifier/hash.mjs';
import { Bad, openCheckpoint, readPolicy } from '../verifier/notes.mjs';
import { Damaged, Missing, Tree, consistent, readItem } from '../verifier/tiles.mjs';
import * as memory from './memory.mjs';

const ROOT = new URL('../', import.meta.url);
const MOST = 32 * 2 ** 20; // bytes of a file: a bundle has at most half of that

// Unchecked is thrown where nothing can be told: nothing came back, or this browser cannot check it.
class Unchecked extends Error {}

// kindOf tells what an error means: 'bad' if something that was shown is wrong, 'unchecked' if nothing could be told.
export const kindOf = (err) => (err instanceof Bad || err instanceof Damaged ? 'bad' : 'unchecked');

// why says an error as a part of a sentence.
export function why(err) {
  if (err instanceof Missing) return `the site does not have the file ${err.message}`;
  return err.message;
}

const files = new Map();

// get gives the bytes of a file of the site, null if it is not there. What never changes is fetched once.
export function get(path) {
  if (!files.has(path)) {
    const file = fetchFile(path);
    files.set(path, file);
    file.catch(() => files.delete(path)); // so that it may be tried again
  }
  return files.get(path);
}

async function fetchFile(path) {
  const cache = /^tile\//.test(path) ? 'default' : 'no-cache';
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), { cache, credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer' });
  } catch {
    throw new Unchecked(`${path} could not be fetched`);
  }
  if ([403, 404, 410].includes(answer.status)) return null; // some hosts say 403 of what is not there
  if (!answer.ok) throw new Unchecked(`${path} could not be fetched: status ${answer.status}`);
  return readAll(answer, path);
}

async function readAll(answer, path) {
  const parts = [], reader = answer.body.getReader();
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MOST) {
      await reader.cancel();
      throw new Damaged(`${path} is too long`);
    }
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// openLog opens the newest checkpoint under the policy: the reader's own, or else the site's. What it gives is
// { checkpoint, note, policy, own, key, tree, seen, wasKey }; seen is what memory says of the checkpoint, and wasKey
// { key, at } if the site named another key of its log before.
export async function openLog() {
  if (missing()) throw new Unchecked('there is no WebCrypto in this browser, or not on a page that came without https');
  const own = memory.policy();
  const [text, note] = await Promise.all([own ?? get('policy'), get('checkpoint')]);
  if (!note) throw new Missing('checkpoint');
  if (!text) throw new Missing('policy');
  const policy = await readPolicy(text), checkpoint = await openCheckpoint(note, policy);
  const log = { checkpoint, note, policy, own: own !== null, key: await keyOf(policy, checkpoint.origin), tree: new Tree(checkpoint.size, get) };
  log.wasKey = log.own ? null : memory.otherKey(log.key);
  log.seen = await compare(log);
  return log;
}

// keyOf gives the SHA-256 of the vkey of a log, which is what people compare.
async function keyOf(policy, origin) {
  const { name, id, type, key } = policy.logs.find((log) => log.name === origin);
  return hex(await sha256(new TextEncoder().encode(`${name}+${hex(id)}+${base64Of([type, ...key])}`)));
}

// compare holds a log against the newest checkpoint that this browser has seen of it. kind is 'first', 'same', 'grown',
// 'older' (fewer entries than were shown before), 'forked' (two roots of one size, both signed), 'broken' (the tiles do not
// lead from one to the other: they are wrong, or the log forked), or 'unchecked'.
async function compare(log) {
  const { checkpoint, note, tree } = log, before = memory.checkpoint(checkpoint.origin);
  if (before === null) {
    memory.keep(checkpoint, note);
    return { kind: 'first' };
  }
  const root = base64(before.root), size = BigInt(before.size), seen = { before, size };
  if (size > checkpoint.size) return { ...seen, kind: 'older' };
  if (size === checkpoint.size) return { ...seen, kind: same(root, checkpoint.root) ? 'same' : 'forked' };
  try {
    const hashes = await tree.consistency(size);
    if (!(await consistent(size, root, checkpoint.size, checkpoint.root, hashes))) return { ...seen, kind: 'broken' };
  } catch (err) {
    return { ...seen, kind: 'unchecked', why: why(err) };
  }
  memory.keep(checkpoint, note);
  return { ...seen, kind: 'grown' };
}

// length gives how many checkpoints the history has.
export async function length() {
  const text = await get('checkpoints/count'), m = text && /^(0|[1-9][0-9]{0,18})\n$/.exec(new TextDecoder().decode(text));
  if (!m) throw new Missing('checkpoints/count');
  return BigInt(m[1]);
}

// openOld opens a checkpoint of the history, which has size of them. The log must have signed it; it was published under the
// policy of its time, so enough tells whether its witnesses are enough for today's.
export async function openOld(log, number, size) {
  const note = await readItem(get, 'checkpoints', number, size), old = await openCheckpoint(note, { ...log.policy, quorum: 'none' });
  try {
    await openCheckpoint(note, log.policy);
    return { ...old, enough: true };
  } catch (err) {
    if (!(err instanceof Bad)) throw err;
    return { ...old, enough: false };
  }
}
