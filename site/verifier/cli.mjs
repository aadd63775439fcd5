#!/usr/bin/env node
// The verifier on the command line: node site/verifier/cli.mjs verify PACK [flags]. Flags, exit codes and the words of
// the channels are those of docs/spec/verify.md §16 to §18; a flag that is not known here is bad input.
import { webcrypto } from 'node:crypto';
import { Unjudged, readPack } from './files.mjs';
import { askedBy } from './flags.mjs';
import { verify } from './verify.mjs';

globalThis.crypto ??= webcrypto; // Node 18 has it, and not under this name

const COMMAND = 'verify-pack';

// told gives the members of verify.md §17 that this verifier can answer for.
function told(dir, v) {
  const known = v.manifest !== null;
  return {
    command: COMMAND, status: v.status, exit_code: v.exit, path: dir, channels: v.channels,
    integrity_verdict: v.intact ? 'PASS' : 'TAMPERED', claim_verdict: claimVerdict(v),
    pack_id: known ? v.manifest.get('pack_id') : null, ids_verified: v.intact, claims_reexecuted: v.reexecuted,
    signer: known ? { id: v.manifest.get('signer_id'), fingerprint: v.fingerprint } : null,
    manifest_sha256: v.manifestDigest ?? undefined, not_checked_here: v.notChecked,
    findings: [...v.out.errors, ...v.out.warnings],
  };
}

// claimVerdict is the word of claims in a report, where a failure is called an honest one.
const claimVerdict = (v) => ({ FAIL: 'HONEST_FAIL', PASS: 'PASS' })[v.channels.claims] ?? 'NOT_EVALUATED';

// escaped writes everything but printable ASCII and line feeds as escapes, so that no text of a pack acts on a terminal.
const escaped = (json) => json.replace(/[^\x20-\x7e\n]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
const safe = (text) => escaped(JSON.stringify(text).slice(1, -1));

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
    const { dir, asked } = await askedBy(args);
    const v = await verify(readPack(dir), asked);
    if (json) console.log(escaped(JSON.stringify(told(dir, v), null, 2)));
    else print(v, dir);
    return v.exit;
  } catch (err) {
    return fail(err instanceof Unjudged ? err.exit ?? 3 : 70, err);
  }
}

process.exitCode = await main(process.argv.slice(2));
