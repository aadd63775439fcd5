// The log behind this site, opened in the reader's browser: files of the site are fetched, and believed only as far as
// signatures and proofs carry.
import { base64Of, hex, missing, same, sha256 } from '../verifier/hash.mjs';
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

// known passes over errors that say something of the site or of this browser. Another one is a mistake of this program,
// and no answer about the log may be made of it.
function known(err) {
  if (!(err instanceof Bad || err instanceof Damaged || err instanceof Missing || err instanceof Unchecked)) throw err;
}

const KEEP = 256; // tiles and bundles that stay in memory
const files = new Map();
let cached = 'default';

// get gives the bytes of a file of the site, null if it is not there. Tiles and bundles never change, so those that were
// fetched last are kept; what was not there, or is no tile, is asked for each time.
export function get(path) {
  if (!/^tile\//.test(path)) return fetchFile(path);
  const file = files.get(path) ?? fetchFile(path);
  files.delete(path); // so that it becomes the newest
  files.set(path, file);
  if (files.size > KEEP) files.delete(files.keys().next().value);
  file.then((bytes) => bytes ?? files.delete(path), () => files.delete(path));
  return file;
}

// again drops what was fetched, here and in the browser: who tries again may meet other files.
export function again() {
  files.clear();
  cached = 'reload';
}

async function fetchFile(path) {
  const cache = /^tile\//.test(path) ? cached : 'no-cache';
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
    let part;
    try {
      part = await reader.read();
    } catch {
      throw new Unchecked(`${path} broke off`);
    }
    if (part.done) break;
    size += part.value.length;
    if (size > MOST) {
      await reader.cancel();
      throw new Damaged(`${path} is too long`);
    }
    parts.push(part.value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// openLog opens the newest checkpoint under the policy: the reader's own, or else the site's. What it gives is
// { checkpoint, note, policy, policyDigest, own, keys, named, tree, seen, was }. keys are those that verified, by the SHA-256 of
// their vkeys, and named those that the policy names for this log; seen is what memory says of the checkpoint; was is
// { keys, policy, at } if the site was with other keys, or another policy, when this browser was first here.
export async function openLog() {
  if (missing()) throw new Unchecked('there is no WebCrypto in this browser, or not on a page that came without https');
  const own = memory.policy();
  const [text, note] = await Promise.all([own ?? get('policy'), get('checkpoint')]);
  if (!note) throw new Missing('checkpoint');
  if (!text) throw new Missing('policy');
  const policy = readPolicy(text), checkpoint = await openCheckpoint(note, policy);
  const log = {
    checkpoint, note, policy, policyDigest: hex(sha256(text)), own: own !== null, keys: checkpoint.keys.map(digestOf),
    named: policy.logs.filter(({ name }) => name === checkpoint.origin).map(digestOf), tree: new Tree(checkpoint.size, get),
  };
  log.was = log.own ? null : memory.compare(log.keys, log.policyDigest);
  log.seen = await compareAll(log);
  return log;
}

// digestOf gives the SHA-256 of the vkey of a log, which is what people compare.
const digestOf = ({ name, id, type, key }) => hex(sha256(new TextEncoder().encode(`${name}+${hex(id)}+${base64Of([type, ...key])}`)));

// WORST is what compare may say, the worst first.
const WORST = ['forked', 'broken', 'damaged', 'older', 'unchecked', 'nowhere', 'first', 'grown', 'same'];

// compareAll holds a log against what was seen under each key that signed it, and gives the worst of the answers.
async function compareAll(log) {
  const answers = await Promise.all(log.checkpoint.keys.map((key) => compare(log, key)));
  return answers.sort((a, b) => WORST.indexOf(a.kind) - WORST.indexOf(b.kind))[0];
}

// compare holds a log against the newest checkpoint that this browser has seen under a key. kind is 'first', 'same', 'grown',
// 'older' (fewer entries than were shown before), 'forked' (two roots of one size, both signed with the key), 'broken' (the tiles
// do not lead from one to the other: they are wrong, or the log forked), 'unchecked', 'damaged' (what is remembered is not what
// a page of this site wrote), or 'nowhere' (this browser remembers nothing for this site).
async function compare({ checkpoint, note, tree, policy }, key) {
  const { origin } = checkpoint, digest = digestOf(key), kept = memory.seen(origin, digest);
  const keep = () => memory.keep(origin, digest, note);
  if (kept === null) return { kind: keep() ? 'first' : 'nowhere' };
  let before;
  try {
    // It is opened again with this one key: what it signed then is all that can be held against what it signs now.
    before = { ...kept, ...await openCheckpoint(new TextEncoder().encode(kept.note), { ...policy, logs: [key], quorum: 'none' }) };
    if (before.origin !== origin) throw new Bad('it is of another log');
  } catch (err) {
    known(err);
    return { kind: 'damaged' };
  }
  const { size } = before, seen = { before, size };
  if (size > checkpoint.size) return { ...seen, kind: 'older' };
  if (size === checkpoint.size) return { ...seen, kind: same(before.root, checkpoint.root) ? 'same' : 'forked' };
  try {
    const hashes = await tree.consistency(size);
    if (!(await consistent(size, before.root, checkpoint.size, checkpoint.root, hashes))) return { ...seen, kind: 'broken' };
  } catch (err) {
    known(err);
    return { ...seen, kind: kindOf(err) === 'bad' ? 'broken' : 'unchecked', why: why(err) };
  }
  return { ...seen, kind: 'grown', kept: keep() };
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
    return { ...old, note, enough: true };
  } catch (err) {
    if (!(err instanceof Bad)) throw err;
    return { ...old, note, enough: false };
  }
}
