// The flags of the command line: docs/spec/verify.md §18. All are read, and every file that they name, before a pack is
// touched (VFY-88), in the order in which what is wrong gives the exit code (VFY-89). A page asks with the same flags, of
// files that it was given.
import { BUILTIN } from './builtin.mjs';
import { readCard } from './cards.mjs';
import { readContract } from './contract.mjs';
import { keyPoint } from './ed25519.mjs';
import { H, base64 } from './hash.mjs';
import { JSONError, parse } from './json.mjs';
import { readLock } from './lock.mjs';
import { commit } from './form.mjs';
import { Bad, readPolicy } from './notes.mjs';
import { readNumeral } from './outcome.mjs';
import { fromClock, instant } from './time.mjs';
import { LIMITS, Unjudged } from './verify.mjs';
import { readRoots } from './x509.mjs';

const SWITCHES = {
  '--require-claim-pass': 'requireClaims', '--require-anchor': 'requireAnchor', '--require-pinned': 'requirePinned', '--strict': 'strict',
  '--check-expiry': 'checkExpiry', '--refuse-superseded': 'refuseSuperseded', '--require-ci-binding': 'requireCI', '--json': 'json',
  '--quiet': 'quiet', '--latest': 'latest',
};
const ONCE = ['--now', '--lock', '--policy', '--proof', '--tsa-roots', '--timestamp', '--max-age-hours', '--coverage-contract',
  '--min-coverage', '--expected-repo', '--expected-ref', '--expected-workflow', '--expected-commit-sha', '--expected-run'];
const OFTEN = ['--run-card', '--trusted-signer'];
const ELSEWHERE = ['--out', '--html', '--badge', '--csv']; // the program in Go writes files
const SHORT = { '-q': '--quiet', '-c': '--run-card' };
const CI = {
  '--expected-repo': 'repo', '--expected-ref': 'ref', '--expected-workflow': 'workflow_ref', '--expected-commit-sha': 'commit_sha',
  '--expected-run': 'run_id',
};

// askedBy gives the arguments that are no flags, in dirs, and what is asked of the packs. read(name, limit) gives the entry
// of a file that a flag names, null if there is none.
export async function askedBy(args, read) {
  const { dirs, given, asked } = readArgs(args);
  checkAlone(given, asked);
  await readTrust(given, asked, read);
  if (given.has('--lock')) asked.lock = await lockIn(given.get('--lock'), read);
  asked.cards = await cardsIn(given.get('--run-card') ?? [], read);
  if (given.has('--coverage-contract')) asked.contract = await contractIn(given.get('--coverage-contract'), read);
  asked.trusted = [];
  for (const key of given.get('--trusted-signer') ?? []) asked.trusted.push(await signerIn(key, read));
  if (asked.strict && !asked.lock && asked.trusted.length === 0) refuse('--strict', 'expected a lock or a trusted signer');
  asked.now = timeIn(given.get('--now'));
  if (dirs.length === 0 && !asked.latest) throw new Unjudged('expected a pack');
  return { dirs: dirs.length === 0 ? ['.'] : dirs, asked };
}

const refuse = (name, why, exit) => {
  throw Object.assign(new Unjudged(`${name}: ${why}`), exit && { exit });
};

// readArgs tells flags, their values and other arguments apart.
function readArgs(args) {
  const dirs = [], given = new Map(), asked = {};
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === '--') return { dirs: [...dirs, ...args.slice(i + 1)], given, asked };
    if (!arg.startsWith('-') || arg === '-') {
      dirs.push(arg);
      continue;
    }
    const { name, value } = split(arg);
    if (Object.hasOwn(SWITCHES, name)) asked[SWITCHES[name]] = value === undefined || switched(name, value);
    else if (ELSEWHERE.includes(name)) refuse(name, 'this verifier writes no files');
    else if (ONCE.includes(name) || OFTEN.includes(name)) give(given, name, value ?? args[++i]);
    else refuse(name, 'not a flag that is known here');
  }
  return { dirs, given, asked };
}

function split(arg) {
  const short = SHORT[arg.slice(0, 2)];
  if (short && !arg.startsWith('--')) return { name: short, value: arg.length > 2 ? arg.slice(2).replace(/^=/, '') : undefined };
  const at = arg.indexOf('=');
  return at < 0 ? { name: arg } : { name: arg.slice(0, at), value: arg.slice(at + 1) };
}

function switched(name, value) {
  if (/^(1|t|T|true|TRUE|True)$/.test(value)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(value) ? false : refuse(name, 'not a value that it takes');
}

function give(given, name, value) {
  if (value === undefined || value === '') refuse(name, 'expected a value');
  if (ONCE.includes(name) && given.has(name)) refuse(name, 'it is given twice');
  given.set(name, ONCE.includes(name) ? value : [...(given.get(name) ?? []), ...listed(name, value)]);
}

// listed cuts a list at its commas; an item in double quotes may hold some.
function listed(name, value) {
  const items = [];
  for (const [, quoted, plain] of `${value},`.matchAll(/(?:"((?:[^"]|"")*)"|([^",]*)),/g)) items.push(quoted?.replaceAll('""', '"') ?? plain);
  if (items.length === 0 || items.includes('')) refuse(name, 'not a list');
  return items;
}

// checkAlone judges the flags that need no file.
function checkAlone(given, asked) {
  if (asked.json && asked.quiet) refuse('--json', 'it excludes --quiet');
  const number = (name, holds) => {
    if (!given.has(name)) return undefined;
    const n = readNumeral(given.get(name));
    return n !== null && Number.isFinite(n) && holds(n) ? n : refuse(name, 'not a number that it takes');
  };
  asked.maxAgeHours = number('--max-age-hours', (n) => n > 0);
  asked.minCoverage = number('--min-coverage', (n) => n >= 0 && n <= 1);
  if (asked.minCoverage !== undefined && !given.has('--coverage-contract')) refuse('--min-coverage', 'it says nothing without a contract');
  asked.minCoverage ??= 0.8;
  asked.ci = {};
  for (const [name, member] of Object.entries(CI)) if (given.has(name)) asked.ci[member] = given.get(name);
  if ('commit_sha' in asked.ci && !commit(asked.ci.commit_sha)) refuse('--expected-commit-sha', 'not a commit');
}

// readTrust reads the policy, the roots and the proof.
async function readTrust(given, asked, read) {
  const policy = given.has('--policy');
  for (const name of ['--proof', '--tsa-roots']) if (given.has(name) && !policy) refuse(name, 'it says nothing without a --policy');
  if (asked.requireAnchor && !policy) refuse('--require-anchor', 'it says nothing without a --policy');
  if (given.has('--timestamp') && !given.has('--tsa-roots')) refuse('--timestamp', 'it says nothing without --tsa-roots');
  const optional = given.get('--timestamp') === 'optional';
  if (given.has('--timestamp') && !optional && given.get('--timestamp') !== 'required') refuse('--timestamp', 'expected required or optional');
  if (asked.strict && !(policy && given.has('--tsa-roots') && !optional)) refuse('--strict', 'expected a policy and the roots of a time');
  if (policy) asked.policy = await using('--policy', async () => readPolicy(await bytesIn(given.get('--policy'), 2 ** 20, read)));
  if (given.has('--tsa-roots')) asked.roots = await using('--tsa-roots', async () => readRoots(await bytesIn(given.get('--tsa-roots'), 2 ** 20, read)));
  asked.timeOptional = optional;
  if (!given.has('--proof')) return;
  const bytes = await using('--proof', () => bytesIn(given.get('--proof'), LIMITS['anchor.tlog-proof'], read));
  asked.proof = { kind: 'file', bytes };
}

// using gives what do gives; what is Bad in it is bad input of the flag, or has the exit code that is given.
async function using(name, what, exit) {
  try {
    return await what();
  } catch (err) {
    if (err instanceof Bad || err instanceof JSONError) refuse(name, err.message, exit);
    throw err;
  }
}

// bytesIn gives the bytes of a file that the user names.
async function bytesIn(name, limit, read) {
  const entry = await read(name, limit);
  if (entry && entry.kind !== 'file' && entry.kind !== 'long') throw new Unjudged(`${name} is no regular file`);
  if (entry?.kind !== 'file') throw new Bad(entry ? 'too long' : 'there is no such file');
  return entry.bytes;
}

// lockIn gives the lock; one that is missing, or none, is exit 2 (VFY-89).
function lockIn(name, read) {
  return using('--lock', async () => {
    const { lock, problem } = readLock(await bytesIn(name, 2 ** 20, read));
    if (problem) throw new Bad(problem);
    return lock;
  }, 2);
}

// cardsIn gives the cards, built in or of a file (claims.md §2).
function cardsIn(names, read) {
  return using('--run-card', async () => {
    const cards = [];
    for (const name of names) {
      const builtin = BUILTIN.find((card) => card.id === name);
      const card = builtin ?? readCard(parse(await bytesIn(name, 2 ** 18, read), { limit: 2 ** 18, depth: 32 }), 'caller');
      if (card === null) throw new Bad(`${name} is no card`);
      cards.push(card);
    }
    return cards;
  });
}

// contractIn gives the contract; one that was altered is exit 2 (VFY-89).
function contractIn(name, read) {
  return using('--coverage-contract', async () => {
    const found = readContract(parse(await bytesIn(name, 2 ** 25, read), { limit: 2 ** 25 }));
    if (found.altered) refuse('--coverage-contract', found.problem, 2);
    if (found.problem) throw new Bad(found.problem);
    return found.contract;
  });
}

// signerIn gives the fingerprint of a key: itself, or that of the key in a file.
function signerIn(key, read) {
  return using('--trusted-signer', async () => {
    if (/^[0-9a-f]{64}$/.test(key)) return key;
    if (/^[0-9A-Fa-f]{64}$/.test(key)) throw new Bad('a fingerprint is in lowercase');
    const bytes = await bytesIn(key, 4096, read);
    const raw = bytes.length === 32 ? bytes : base64(String.fromCharCode(...bytes).replace(/\n$/, ''));
    if (raw?.length !== 32 || keyPoint(raw) === null) throw new Bad('not a public key that may sign');
    return H(raw);
  });
}

function timeIn(text) {
  if (text === undefined) return fromClock(Date.now());
  const time = instant(text);
  return time === null || text === '0001-01-01T00:00:00Z' ? refuse('--now', 'not a time') : time;
}
