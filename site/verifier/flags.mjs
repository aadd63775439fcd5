// The flags of the command line: docs/spec/verify.md §18. All are read, and every file that they name, before a pack is
// touched (VFY-88).
import fs from 'node:fs';
import { Unjudged, readEntry } from './files.mjs';
import { readLock } from './lock.mjs';
import { commit } from './manifest.mjs';
import { Bad, readPolicy } from './notes.mjs';
import { fromClock, instant } from './time.mjs';
import { LIMITS } from './verify.mjs';

const SWITCHES = {
  '--require-claim-pass': 'requireClaims', '--require-anchor': 'requireAnchor', '--require-pinned': 'requirePinned',
  '--check-expiry': 'checkExpiry', '--refuse-superseded': 'refuseSuperseded', '--require-ci-binding': 'requireCI', '--json': 'json',
};
const VALUES = new Set(['--now', '--lock', '--trusted-signer', '--policy', '--proof', '--max-age-hours', '--run-card',
  '--expected-repo', '--expected-ref', '--expected-workflow', '--expected-commit-sha', '--expected-run']);

// askedBy gives the directory and what is asked of the pack in it.
export async function askedBy(args) {
  const asked = { now: fromClock(Date.now()), trusted: [] };
  const dirs = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i], at = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const name = at < 0 ? arg : arg.slice(0, at);
    if (!arg.startsWith('-')) dirs.push(arg);
    else if (Object.hasOwn(SWITCHES, arg)) asked[SWITCHES[arg]] = true;
    else if (VALUES.has(name)) await take(asked, name, at < 0 ? args[++i] : arg.slice(at + 1));
    else throw new Unjudged(`${name}: not a flag that is known here`);
  }
  if (dirs.length !== 1) throw new Unjudged('expected one pack');
  if (!asked.policy && (asked.requireAnchor || asked.proof !== undefined)) throw new Unjudged('an anchor without a --policy');
  if (asked.proof === null) throw new Unjudged('--proof: there is no such file');
  return { dir: dirs[0], asked };
}

const TEXTS = { '--expected-repo': 'repo', '--expected-ref': 'ref', '--expected-workflow': 'workflow_ref', '--expected-run': 'run_id' };

async function take(asked, name, value) {
  if (value === undefined || value === '') throw new Unjudged(`${name}: expected a value`);
  asked.ci ??= {};
  if (Object.hasOwn(TEXTS, name)) asked.ci[TEXTS[name]] = value;
  else if (name === '--expected-commit-sha') asked.ci.commit_sha = valid(name, value, commit(value));
  else if (name === '--now') asked.now = valid(name, instant(value), instant(value) !== null);
  else if (name === '--max-age-hours') asked.maxAgeHours = valid(name, Number(value), /^[0-9.]+$/.test(value) && Number(value) > 0);
  else if (name === '--trusted-signer') asked.trusted.push(valid(name, value, /^[0-9a-f]{64}$/.test(value)));
  else if (name === '--policy') asked.policy = await policyIn(value);
  else if (name === '--proof') asked.proof = readEntry(value, LIMITS['anchor.tlog-proof']);
  else if (name === '--lock') asked.lock = await lockIn(value);
  else throw new Unjudged(`${name}: not checked here`);
}

function valid(name, value, holds) {
  if (!holds) throw new Unjudged(`${name}: not a value that it takes`);
  return value;
}

// fileOf reads a file that the user names.
function fileOf(name, limit) {
  const { size } = fs.statSync(name);
  if (size > limit) throw new Error(`longer than ${limit} bytes`);
  return new Uint8Array(fs.readFileSync(name));
}

// lockIn gives the lock; one that is missing, or none, is exit 2 (VFY-89).
async function lockIn(name) {
  const refuse = (why) => Object.assign(new Unjudged(`--lock: ${why}`), { exit: 2 });
  let bytes;
  try {
    bytes = fileOf(name, 2 ** 20);
  } catch (err) {
    throw refuse(err.code ?? err.message);
  }
  const { lock, problem } = await readLock(bytes);
  if (problem) throw refuse(problem);
  return lock;
}

async function policyIn(name) {
  try {
    return await readPolicy(fileOf(name, 2 ** 20));
  } catch (err) {
    if (err instanceof Bad || err.code) throw new Unjudged(`--policy: ${err.code ?? err.message}`);
    throw err;
  }
}
