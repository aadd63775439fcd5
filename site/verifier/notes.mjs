// Policies, signed notes and checkpoints: docs/spec/ledger.md §4 to §7.
import { byteText, bytesOf, decode } from './json.mjs';
import { base64, join, same, sha256 } from './hash.mjs';
import { keyPoint, verify as verifyEd25519 } from './ed25519.mjs';
import { verify as verifyMLDSA } from './mldsa.mjs';

// Bad is thrown for what is wrong, NotHere for what nobody can check with this program, or in this browser.
export class Bad extends Error {}
export class NotHere extends Error {}

export const must = (holds, message) => {
  if (!holds) throw new Bad(message);
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// textOf decodes UTF-8 without the control characters that a pattern names.
export function textOf(bytes, controls) {
  let text;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Bad('no UTF-8');
  }
  must(bytes.length <= 2 ** 20 && !controls.test(text), 'too long, or a control character');
  return text;
}

// decimal reads a number as ENT-2 spells it.
export function decimal(text) {
  must(/^(0|[1-9][0-9]{0,18})$/.test(text) && BigInt(text) < 2n ** 63n, 'not a number of its spelling');
  return BigInt(text);
}

// hash32 reads the base64 of 32 bytes.
export function hash32(text) {
  const bytes = base64(text);
  must(bytes?.length === 32, 'not the base64 of 32 bytes');
  return bytes;
}

const SIZES = { 1: 32, 4: 32, 6: 1312 };
const NAME = /^[^+\u0000-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/u;

// readKey reads a vkey (ENT-14, ENT-15) of one of the types that may stand in its place.
function readKey(vkey, types) {
  const m = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/u.exec(vkey), bytes = m && base64(m[3]);
  must(m && NAME.test(m[1]) && bytes, 'not a vkey');
  const type = bytes[0], key = bytes.subarray(1), id = sha256(join(bytesOf(`${m[1]}\n`), bytes)).subarray(0, 4);
  must(types.includes(type) && key.length === SIZES[type], 'not a key of its place');
  must(Array.from(id, (b) => b.toString(16).padStart(2, '0')).join('') === m[2], 'not the ID of the key');
  must(type === 6 ? bytesOf(m[1]).length <= 255 : keyPoint(key) !== null, 'a key that nobody may use');
  return { name: m[1], id, type, key };
}

const HOST = /^(?:[A-Za-z0-9\-_.~!$&'()*+,;=<>"\]\x80-\xff]|%25|%[89A-Fa-f][0-9A-Fa-f])+$/;
const PATH = /^(?:[^%]|%[0-9A-Fa-f]{2})*$/;

// checkURL: ENT-39.
function checkURL(text) {
  const m = /^https?:\/\/(\[[0-9A-Fa-f:.]+\]|[^/:[]+)(?::[0-9]*)?(\/.*)?$/i.exec(text);
  const host = m && (m[1].startsWith('[') ? URL.canParse(['http:', '', m[1], ''].join('/')) : HOST.test(m[1]));
  must(host && PATH.test(m[2] ?? '') && !/[?#]/.test(text), 'not a URL of a log or witness');
}

// A policy is read as a text of one character for each byte: it may hold any above 0x7f in comments, names and URLs.
const bytesFrom = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));

// readPolicy gives { logs, witnesses, groups, quorum } (docs/spec/ledger.md §7).
export function readPolicy(bytes) {
  must(bytes.length <= 2 ** 20, 'a policy that is too long');
  const text = byteText(bytes);
  must(!/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text), 'a control character');
  must(text === '' || text.endsWith('\n'), 'a line without its end');
  const policy = { logs: [], witnesses: [], names: new Map([['none', { none: true }]]), used: new Set(), quorum: null };
  for (const line of text.split('\n')) {
    const items = line.split(/[ \t]+/).filter((item) => item !== '');
    if (items.length > 0 && !items[0].startsWith('#')) readLine(policy, items);
  }
  must(policy.quorum !== null, 'no quorum line');
  const groups = [...policy.names.values()].filter((n) => n.members);
  must(Math.max(policy.logs.length, policy.witnesses.length, groups.length) <= 256, 'too many lines');
  for (const list of [policy.logs, policy.witnesses]) different(list, (a, b) => same(a.key, b.key));
  different([...policy.logs, ...policy.witnesses], (a, b) => a.name === b.name && same(a.id, b.id));
  return policy;
}

function different(keys, alike) {
  keys.forEach((a, i) => must(!keys.slice(0, i).some((b) => alike(a, b)), 'two keys that are one'));
}

function readLine(policy, [word, ...items]) {
  if (word === 'log') {
    must(items.length === 1 || items.length === 2, 'not a log line');
    if (items[1] !== undefined) checkURL(items[1]);
    policy.logs.push(readKey(textOf(bytesFrom(items[0]), /\0/), [1, 6]));
  } else if (word === 'witness') {
    must(items.length === 2 || items.length === 3, 'not a witness line');
    if (items[2] !== undefined) checkURL(items[2]);
    const key = readKey(textOf(bytesFrom(items[1]), /\0/), [4, 6]);
    define(policy, items[0], { witness: key });
    key.called = decode(bytesFrom(items[0])) ?? items[0];
    policy.witnesses.push(key);
  } else if (word === 'group') {
    const [name, wanted, ...members] = items, n = members.length;
    must(n >= 1 && new Set(members).size === n, 'not a group line');
    const k = wanted === 'any' ? 1n : wanted === 'all' ? BigInt(n) : decimal(wanted);
    must(k >= 1n && k <= BigInt(n), 'a group that wants too few or too many');
    for (const m of members) {
      must(m !== 'none' && policy.names.has(m) && !policy.used.has(m), 'a member that may not be one');
      policy.used.add(m);
    }
    define(policy, name, { k: Number(k), members });
  } else {
    must(word === 'quorum' && items.length === 1 && policy.quorum === null && policy.names.has(items[0]), 'not a line of a policy');
    policy.quorum = items[0];
  }
}

function define(policy, name, meaning) {
  must(!policy.names.has(name), 'a name that stands twice');
  policy.names.set(name, meaning);
}

// holds tells whether a name of the policy holds, given the keys that cosigned (ENT-41).
export function holds(policy, name, keys) {
  const { none, witness, k, members } = policy.names.get(name);
  if (none) return true;
  return witness ? keys.has(witness) : members.filter((m) => holds(policy, m, keys)).length >= k;
}

// readNote splits a note into its text and its signature lines (ENT-18, ENT-19).
export function readNote(bytes) {
  const note = textOf(bytes, /[\u0000-\u0009\u000b-\u001f]/), at = note.lastIndexOf('\n\n');
  must(at >= 0 && note.endsWith('\n'), 'no note');
  const lines = note.slice(at + 2).split('\n').slice(0, -1);
  must(lines.length >= 1 && lines.length <= 64, 'no or too many signature lines');
  const signatures = lines.map((line) => {
    const m = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line), value = m && base64(m[2]);
    must(m && NAME.test(m[1]) && value && value.length >= 5, 'a line that is no signature');
    return { name: m[1], id: value.subarray(0, 4), signature: value.subarray(4) };
  });
  return { text: note.slice(0, at + 1), signatures };
}

// openCheckpoint gives { origin, size, root, keys, cosigned } of a note that a log of the policy signed, and with a quorum of
// witnesses: keys are those of the log whose signatures verify, cosigned lists { name, time } of the cosignatures that do.
export async function openCheckpoint(bytes, policy) {
  const { text, signatures } = readNote(bytes), origin = text.slice(0, text.indexOf('\n'));
  must(policy.logs.some((log) => log.name === origin), 'a log that the policy does not name');
  const selects = (s, key) => s.name === key.name && same(s.id, key.id);
  const keys = new Set();
  for (const s of signatures) {
    const log = policy.logs.find((key) => selects(s, key));
    if (!log) continue;
    must(await signed(log, text, s.signature), 'a signature of the log is wrong');
    if (log.name === origin) keys.add(log);
  }
  must(keys.size > 0, 'the log did not sign');
  return { ...readCheckpoint(text), keys: policy.logs.filter((log) => keys.has(log)), cosigned: await checkQuorum(policy, text, signatures, selects) };
}

// signed tells whether a log signed a text. An ML-DSA-44 signature does not cover extension lines, and may have no time
// (ENT-27).
async function signed(log, text, signature) {
  if (log.type === 1) return verifyEd25519(log.key, bytesOf(text), signature);
  return text.split('\n').length === 4 && cosigned(log, text, signature, 0n);
}

// readCheckpoint reads the text of a checkpoint (ENT-20, ENT-21).
function readCheckpoint(text) {
  const lines = text.split('\n').slice(0, -1);
  must(lines.length >= 3 && !lines.includes(''), 'no checkpoint');
  const size = decimal(lines[1]), root = hash32(lines[2]);
  must(size > 0n || same(root, sha256(new Uint8Array())), 'an empty tree with a root');
  return { origin: lines[0], size, root };
}

// checkQuorum gives the cosignatures that verify, in the order of the policy: called is what the policy calls a witness (ENT-28 to ENT-33, ENT-41).
async function checkQuorum(policy, text, signatures, selects) {
  const counted = new Map();
  for (const s of signatures) {
    const witness = policy.witnesses.find((key) => selects(s, key));
    if (!witness || counted.has(witness) || !(await cosigned(witness, text, s.signature))) continue;
    counted.set(witness, { name: witness.name, called: witness.called, time: number(s.signature.subarray(0, 8)) });
  }
  must(holds(policy, policy.quorum, counted), 'the quorum of the policy does not hold');
  return policy.witnesses.filter((key) => counted.has(key)).map((key) => counted.get(key));
}

// cosigned tells whether a key cosigned the checkpoint of a text, not before a time (ENT-28 to ENT-30).
async function cosigned({ type, name, key }, text, signature, earliest = 1n) {
  if (signature.length !== (type === 6 ? 8 + 2420 : 8 + 64)) return false;
  const seconds = signature.subarray(0, 8), time = number(seconds), rest = signature.subarray(8);
  if (time < earliest || time >= 2n ** 63n) return false;
  if (type === 4) return verifyEd25519(key, bytesOf(`cosignature/v1\ntime ${time}\n${text}`), rest);
  const { origin, size, root } = readCheckpoint(text), names = [name, origin].map(bytesOf);
  if (names.some((bytes) => bytes.length > 255)) return false;
  const [own, theirs] = names.map((bytes) => join(Uint8Array.of(bytes.length), bytes));
  return verifyMLDSA(key, join(bytesOf('subtree/v1\n\0'), own, seconds, theirs, new Uint8Array(8), big64(size), root), rest);
}

const number = (bytes) => bytes.reduce((n, b) => (n << 8n) | BigInt(b), 0n);

function big64(n) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, n);
  return out;
}
