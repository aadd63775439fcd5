#!/usr/bin/env node
// The verifier on the command line: node site/verifier/cli.mjs verify PACK [flags]. Flags, exit codes and the words of
// the channels are those of docs/spec/verify.md §16 to §18; a flag that is not known here is bad input.
import { webcrypto } from 'node:crypto';
import { readFile, readPack } from './files.mjs';
import { askedBy } from './flags.mjs';
import { COMMAND, escaped, safe, told } from './told.mjs';
import { Unjudged, verify } from './verify.mjs';

globalThis.crypto ??= webcrypto; // Node 18 has it, and not under this name

function print(v, dir) {
  const line = (name, word) => console.log(`${name.padEnd(10)} ${word}`);
  for (const [name, word] of Object.entries(v.channels)) line(name, word);
  for (const f of [...v.out.errors, ...v.out.warnings]) line(f.weight, `${f.code} ${safe(f.field ?? '')}: ${safe(f.message)}`);
  for (const text of v.notChecked) line('not here', text);
  line('verdict', `exit ${v.exit}: ${v.status}`);
}

// main gives the exit code. Whatever goes wrong is never a verdict (VFY-81).
async function main([verb, ...args]) {
  const json = args.includes('--json');
  const fail = (exit, err) => {
    const text = safe(String(err?.message ?? err));
    if (json) console.log(JSON.stringify({ command: COMMAND, status: 'error', exit_code: exit, error: text }, null, 2));
    else console.error(`error: ${text}`);
    return exit;
  };
  try {
    if (verb !== 'verify' && verb !== 'verify-pack') throw new Unjudged('expected: verify PACK [flags]');
    const { dir, asked } = await askedBy(args, readFile);
    const pack = readPack(dir), v = await verify(pack, asked).finally(pack.close);
    if (json) console.log(escaped(JSON.stringify(told(dir, v), null, 2)));
    else print(v, dir);
    return v.exit;
  } catch (err) {
    return fail(err instanceof Unjudged ? err.exit ?? 3 : 70, err);
  }
}

process.exitCode = await main(process.argv.slice(2));
