// Policies, signed notes and checkpoints: docs/spec/ledger.md §4 to §7. ML-DSA-44 is not checked here.
import { bytesOf } from './json.mjs';
import { base64, join, same, sha256 } from './hash.mjs';
import { keyPoint, verify } from './ed25519.mjs';

// Bad is thrown for what is wrong, NotHere for what nobody can check with this program.
export class Bad extends Error {}
export class NotHere extends Error {}

const must = (holds, message) => {
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
const NAME = /^[^+\s\u0085\u0000-\u001f]+$/u;

// readKey reads a vkey (ENT-14, ENT-15) of one of the types that may stand in its place.
async function readKey(vkey, types) {
  const m = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/u.exec(vkey), bytes = m && base64(m[3]);
  must(m && NAME.test(m[1]) && bytes, 'not a vkey');
  const type = bytes[0], key = bytes.subarray(1), id = (await sha256(join(bytesOf(`${m[1]}\n`), bytes))).subarray(0, 4);
  must(types.includes(type) && key.length === SIZES[type], 'not a key of its place');
  must(Array.from(id, (b) => b.toString(16).padStart(2, '0')).join('') === m[2], 'not the ID of the key');
  must(type === 6 ? bytesOf(m[1]).length <= 255 : keyPoint(key) !== null, 'a key that nobody may use');
  return { name: m[1], id, type, key };
}

function checkURL(text) {
  must(URL.canParse(text) && /^https?:\/\/[^/]/.test(text) && !/[?#@]/.test(text), 'not a URL of a log or witness');
}

// readPolicy gives { logs, witnesses, groups, quorum } (docs/spec/ledger.md §7).
export async function readPolicy(bytes) {
  const text = textOf(bytes, /[\u0000-\u0008\u000b-\u001f\u007f]/);
  must(text === '' || text.endsWith('\n'), 'a line without its end');
  const policy = { logs: [], witnesses: [], names: new Map([['none', { none: true }]]), used: new Set(), quorum: null };
  for (const line of text.split('\n')) {
    const items = line.split(/[ \t]+/).filter((item) => item !== '');
    if (items.length > 0 && !items[0].startsWith('#')) await readLine(policy, items);
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

async function readLine(policy, [word, ...items]) {
  if (word === 'log') {
    must(items.length === 1 || items.length === 2, 'not a log line');
    if (items[1] !== undefined) checkURL(items[1]);
    policy.logs.push(await readKey(items[0], [1, 6]));
  } else if (word === 'witness') {
    must(items.length === 2 || items.length === 3, 'not a witness line');
    if (items[2] !== undefined) checkURL(items[2]);
    const key = await readKey(items[1], [4, 6]);
    define(policy, items[0], { witness: key });
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
function holds(policy, name, keys) {
  const { none, witness, k, members } = policy.names.get(name);
  if (none) return true;
  return witness ? keys.has(witness) : members.filter((m) => holds(policy, m, keys)).length >= k;
}

// readNote splits a note into its text and its signature lines (ENT-18, ENT-19).
function readNote(bytes) {
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

// openCheckpoint gives { origin, size, root, cosigned } of a note that a log of the policy signed, and with a quorum of
// witnesses; cosigned lists { name, time } of the cosignatures that verify.
export async function openCheckpoint(bytes, policy) {
  const { text, signatures } = readNote(bytes), origin = text.slice(0, text.indexOf('\n'));
  must(policy.logs.some((log) => log.name === origin), 'a log that the policy does not name');
  const selects = (s, key) => s.name === key.name && same(s.id, key.id);
  let signed = false;
  for (const s of signatures) {
    const log = policy.logs.find((key) => selects(s, key));
    if (!log) continue;
    if (log.type === 6) throw new NotHere('a log signs with ML-DSA-44');
    must(await verify(log.key, bytesOf(text), s.signature), 'a signature of the log is wrong');
    signed ||= log.name === origin;
  }
  must(signed, 'the log did not sign');
  const checkpoint = await readCheckpoint(text);
  checkpoint.cosigned = await checkQuorum(policy, text, signatures, selects);
  return checkpoint;
}

// readCheckpoint reads the text of a checkpoint (ENT-20, ENT-21).
async function readCheckpoint(text) {
  const lines = text.split('\n').slice(0, -1);
  must(lines.length >= 3 && !lines.includes(''), 'no checkpoint');
  const size = decimal(lines[1]), root = hash32(lines[2]);
  must(size > 0n || same(root, await sha256(new Uint8Array())), 'an empty tree with a root');
  return { origin: lines[0], size, root };
}

// checkQuorum counts the cosignatures that verify (ENT-28 to ENT-33, ENT-41).
async function checkQuorum(policy, text, signatures, selects) {
  const counted = new Map(), unchecked = new Set();
  for (const s of signatures) {
    const witness = policy.witnesses.find((key) => selects(s, key));
    if (!witness || counted.has(witness)) continue;
    const time = witness.type === 6 ? null : await cosigned(witness, text, s.signature);
    if (witness.type === 6) unchecked.add(witness);
    else if (time !== null) counted.set(witness, time);
  }
  if (holds(policy, policy.quorum, counted)) return [...counted].map(([{ name }, time]) => ({ name, time }));
  if (holds(policy, policy.quorum, new Set([...counted.keys(), ...unchecked]))) throw new NotHere('a witness signs with ML-DSA-44');
  throw new Bad('the quorum of the policy does not hold');
}

// cosigned gives the time of a cosignature that verifies, else null.
async function cosigned(witness, text, signature) {
  if (signature.length !== 72) return null;
  const time = signature.subarray(0, 8).reduce((n, b) => (n << 8n) | BigInt(b), 0n);
  if (time === 0n || time >= 2n ** 63n) return null;
  return (await verify(witness.key, bytesOf(`cosignature/v1\ntime ${time}\n${text}`), signature.subarray(8))) ? time : null;
}
