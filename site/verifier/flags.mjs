// The flags of the command line: docs/spec/verify.md §18. All are read, and every file that they name, before a pack is
// touched (VFY-88). A page asks with the same flags, of files that it was given.
import { readLock } from './lock.mjs';
import { commit } from './manifest.mjs';
import { Bad, readPolicy } from './notes.mjs';
import { fromClock, instant } from './time.mjs';
import { LIMITS, Unjudged } from './verify.mjs';

const SWITCHES = {
  '--require-claim-pass': 'requireClaims', '--require-anchor': 'requireAnchor', '--require-pinned': 'requirePinned',
  '--check-expiry': 'checkExpiry', '--refuse-superseded': 'refuseSuperseded', '--require-ci-binding': 'requireCI', '--json': 'json',
};
const VALUES = new Set(['--now', '--lock', '--trusted-signer', '--policy', '--proof', '--max-age-hours', '--run-card',
  '--expected-repo', '--expected-ref', '--expected-workflow', '--expected-commit-sha', '--expected-run']);

// askedBy gives the directory and what is asked of the pack in it. read(name, limit) gives the entry of a file that a
// flag names, null if there is none.
export async function askedBy(args, read) {
  const asked = { now: fromClock(Date.now()), trusted: [] };
  const dirs = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i], at = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const name = at < 0 ? arg : arg.slice(0, at);
    if (!arg.startsWith('-')) dirs.push(arg);
    else if (Object.hasOwn(SWITCHES, arg)) asked[SWITCHES[arg]] = true;
    else if (VALUES.has(name)) await take(asked, name, at < 0 ? args[++i] : arg.slice(at + 1), read);
    else throw new Unjudged(`${name}: not a flag that is known here`);
  }
  if (dirs.length !== 1) throw new Unjudged('expected one pack');
  if (!asked.policy && (asked.requireAnchor || asked.proof !== undefined)) throw new Unjudged('an anchor without a --policy');
  if (asked.proof === null) throw new Unjudged('--proof: there is no such file');
  return { dir: dirs[0], asked };
}

const TEXTS = { '--expected-repo': 'repo', '--expected-ref': 'ref', '--expected-workflow': 'workflow_ref', '--expected-run': 'run_id' };

async function take(asked, name, value, read) {
  if (value === undefined || value === '') throw new Unjudged(`${name}: expected a value`);
  asked.ci ??= {};
  if (Object.hasOwn(TEXTS, name)) asked.ci[TEXTS[name]] = value;
  else if (name === '--expected-commit-sha') asked.ci.commit_sha = valid(name, value, commit(value));
  else if (name === '--now') asked.now = valid(name, instant(value), instant(value) !== null);
  else if (name === '--max-age-hours') asked.maxAgeHours = valid(name, Number(value), /^[0-9.]+$/.test(value) && Number(value) > 0);
  else if (name === '--trusted-signer') asked.trusted.push(valid(name, value, /^[0-9a-f]{64}$/.test(value)));
  else if (name === '--policy') asked.policy = await policyIn(value, read);
  else if (name === '--proof') asked.proof = await read(value, LIMITS['anchor.tlog-proof']);
  else if (name === '--lock') asked.lock = await lockIn(value, read);
  else throw new Unjudged(`${name}: not checked here`);
}

function valid(name, value, holds) {
  if (!holds) throw new Unjudged(`${name}: not a value that it takes`);
  return value;
}

// bytesIn gives the bytes of a file that the user names.
async function bytesIn(name, limit, read) {
  const entry = await read(name, limit);
  if (entry?.kind !== 'file') throw new Bad(entry ? 'no regular file, or too long' : 'there is no such file');
  return entry.bytes;
}

// lockIn gives the lock; one that is missing, or none, is exit 2 (VFY-89).
async function lockIn(name, read) {
  const refuse = (why) => Object.assign(new Unjudged(`--lock: ${why}`), { exit: 2 });
  let bytes;
  try {
    bytes = await bytesIn(name, 2 ** 20, read);
  } catch (err) {
    throw err instanceof Bad || err instanceof Unjudged ? refuse(err.message) : err;
  }
  const { lock, problem } = await readLock(bytes);
  if (problem) throw refuse(problem);
  return lock;
}

async function policyIn(name, read) {
  try {
    return await readPolicy(await bytesIn(name, 2 ** 20, read));
  } catch (err) {
    if (err instanceof Bad) throw new Unjudged(`--policy: ${err.message}`);
    throw err;
  }
}
