// Gives the examples of the pages to the verifier in site/verifier: node examples.mjs SPEC PACKS. It prints what does
// not agree, and at the end how many examples there were.
import fs from 'node:fs';
import path from 'node:path';
import { webcrypto } from 'node:crypto';
import { BUILTIN } from '../../../site/verifier/builtin.mjs';
import { hashOf } from '../../../site/verifier/cards.mjs';
import { evaluate } from '../../../site/verifier/claims.mjs';
import { readPack } from '../../../site/verifier/files.mjs';
import { bytesOf, canonical, parse } from '../../../site/verifier/json.mjs';
import { readLock } from '../../../site/verifier/lock.mjs';
import { readPolicy } from '../../../site/verifier/notes.mjs';
import { instant } from '../../../site/verifier/time.mjs';
import { verify } from '../../../site/verifier/verify.mjs';

globalThis.crypto ??= webcrypto;
const [spec, packs] = process.argv.slice(2);
let examples = 0;

// blocks gives the examples of a kind on a page.
const blocks = (page, kind) =>
  [...fs.readFileSync(path.join(spec, page), 'utf8').matchAll(/^```([^\n]+)\n([\s\S]*?)^```/gm)].filter((m) => m[1] === kind).map((m) => m[2]);

function expect(what, got, want) {
  examples++;
  if (got !== want) console.log(`${what}: ${got}; want ${want}`);
}

const inputs = blocks('jcs.md', 'json jcs-in'), outputs = blocks('jcs.md', 'json jcs-out');
inputs.forEach((text, i) => expect('canonical form', canonical(parse(bytesOf(text))), outputs[i].trim()));

for (const line of blocks('claims.md', 'jsonl claims').join('').trim().split('\n')) {
  const v = parse(bytesOf(line));
  const claim = new Map([['claim_id', 'c'], ['description', ''], ['check', v.get('check')], ['params', v.get('params')],
    ['severity', v.get('severity') ?? 'critical']]);
  const receipts = v.get('receipts').map((r, i) => new Map([['type', 'model_call'], ['timestamp', `2026-01-15T11:00:0${i}Z`], ...r]));
  const [r] = evaluate([claim], receipts);
  const shown = (...parts) => parts.map(String).join(' | ');
  expect(line, shown(r.passed, r.expected, r.actual, r.evidence_receipt_ids),
    shown(v.get('passed'), v.get('expected'), v.get('actual'), v.get('evidence')));
}

for (const line of blocks('claims.md', 'text claim-set-hashes')[0].trim().split('\n')) {
  const [ids, hash] = line.split(' ');
  expect(ids, await hashOf(ids.split(',').map((id) => BUILTIN.find((card) => card.id === id))), hash);
}

const taken = async (text) => ((await readLock(bytesOf(text))).lock ? 'taken' : 'refused');
expect('lock', await taken(blocks('lock.md', 'json lock')[0]), 'taken');
expect('lock', await taken(blocks('lock.md', 'json lock-refused')[0]), 'refused');

// anchor gives the word of the channel for the pack of the examples.
async function anchor(policy, proof) {
  const asked = { now: instant('2026-11-30T21:00:00Z'), policy: await readPolicy(bytesOf(policy)), proof: { kind: 'file', bytes: bytesOf(proof) } };
  return (await verify(readPack(path.join(packs, 'good_01')), asked)).channels.anchor;
}
const [policy] = blocks('ledger.md', 'text policy'), [proof] = blocks('ledger.md', 'text proof');
expect('proof', await anchor(policy, proof), 'PASS');
for (const [what, from, to] of [
  ['another index', 'index 1', 'index 2'], ['a witness less', /\u2014 w2[^\n]*\n/, ''], ['a forged cosignature', 'BrDeKGU2', 'BrDeKGU3'],
  ['a forged signature', 'hgVZShcNt', 'hgVZShcNu'], ['a hash less', /x5Mf[^\n]*\n/, ''], ['another size', '\n3\n', '\n4\n'],
]) expect(what, await anchor(policy, proof.replace(from, to)), 'FAIL');
console.log(`${examples} examples`);
