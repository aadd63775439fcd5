// The command line: verify PACK… [flags]. Flags, exit codes and the words of the channels are those of docs/spec/verify.md
// §16 to §18; a flag that is not known here is bad input.
import fs from 'node:fs';
import { readFile, readPack } from './files.mjs';
import { askedBy } from './flags.mjs';
import { namesOf } from './glob.mjs';
import { newestIn } from './latest.mjs';
import { COMMAND, escaped, safe, told } from './told.mjs';
import { Unjudged, verify } from './verify.mjs';
import { channelsOf, claimsOf, sentenceOf } from './words.mjs';

// print tells of a verdict in the words that a page has too.
function print(v, say) {
  const line = (name, text) => say(`${name.padEnd(10)} ${text}`);
  for (const { name, label, word, text } of channelsOf(v)) {
    line(label, safe(text ? `${word}  ${text}` : word));
    if (name !== 'claims') continue;
    for (const r of claimsOf(v)) if (!r.passed) line('', safe(`${r.claim_id} (${r.severity}): expected ${r.expected}; ${r.actual}`));
  }
  for (const f of [...v.out.errors, ...v.out.warnings]) line(f.weight, `${f.code} ${safe(f.field ?? '')}: ${safe(f.message)}`);
  for (const text of v.notChecked) line('not here', text);
  line('verdict', safe(`exit ${v.exit}: ${sentenceOf(v)}`));
}

const GRAVITY = [70, 2, 3, 4, 1, 0];

// judged gives what is printed of a pack, and its exit code (VFY-81).
async function judged(dir, asked) {
  let pack;
  try {
    pack = readPack(dir);
    const v = await verify(pack, asked);
    return { dir, v, exit: v.exit };
  } catch (err) {
    return { dir, err, exit: err instanceof Unjudged ? err.exit ?? 3 : 70 };
  } finally {
    pack?.close();
  }
}

const failed = (exit, err, dir) => ({ command: COMMAND, status: 'error', exit_code: exit, ...(dir && { path: dir }), error: String(err?.message ?? err) });

// show prints the verdicts of all packs.
function show(all, exit, { json, quiet }, say, talk) {
  const write = (value) => say(escaped(JSON.stringify(value, null, 2)));
  const value = ({ dir, v, err, exit: code }) => (err ? failed(code, err, all.length > 1 && dir) : told(dir, v));
  if (quiet) return;
  if (json && all.length === 1) return void write(value(all[0]));
  if (json) {
    const status = exit === 0 ? 'ok' : exit <= 2 ? 'failed' : 'error';
    return void write({ command: COMMAND, status, exit_code: exit, packs: all.map(value) });
  }
  for (const { dir, v, err } of all) {
    if (all.length > 1) say(`${safe(dir)}`);
    if (err) talk(`error: ${safe(String(err.message))}`);
    else print(v, say);
  }
  if (all.length === 1) return;
  const codes = [...new Set(all.map((one) => one.exit))].sort((a, b) => a - b), has = (code) => all.filter((one) => one.exit === code).length;
  say(`verdict    exit ${exit}: of the whole run: ${all.length} packs: ${codes.map((code) => `${has(code)} with exit ${code}`).join(', ')}`);
}

// named gives the packs that an argument stands for (docs/spec/verify.md §18).
async function named(arg, { latest }) {
  const there = fs.existsSync(arg), names = there || !/[*?[]/.test(arg) ? [arg] : namesOf(arg);
  if (names.length === 0) throw new Unjudged(`nothing matches ${arg}`);
  return latest ? (await Promise.all(names.map(newestIn))).flat() : names;
}

// run gives the exit code; say prints results, talk what is said about them. Whatever goes wrong is never a verdict.
export async function run([verb, ...args], say, talk) {
  try {
    if (verb !== 'verify' && verb !== 'verify-pack') throw new Unjudged('expected: verify PACK ... [flags]');
    const { dirs, asked } = await askedBy(args, readFile), packs = [];
    for (const dir of dirs) packs.push(...(await named(dir, asked)));
    const all = [];
    for (const pack of packs) all.push(await judged(pack, asked));
    const exit = GRAVITY.find((code) => all.some((one) => one.exit === code));
    show(all, exit, asked, say, talk);
    return exit;
  } catch (err) {
    const exit = err instanceof Unjudged ? err.exit ?? 3 : 70;
    if (args.includes('--json')) say(escaped(JSON.stringify(failed(exit, err), null, 2)));
    else talk(`error: ${safe(String(err?.message ?? err))}`);
    return exit;
  }
}
