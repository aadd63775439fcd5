// Judges every pack of a directory as it is, with its receipts in pieces, and with only parts of them kept: node streams.mjs
// PACKS STEP, every STEPth of them. It prints where the verdicts differ, and at the end how many verdicts there were.
import path from 'node:path';
import fs from 'node:fs';
import { webcrypto } from 'node:crypto';
import { readPack } from '../../../site/verifier/files.mjs';
import { instant } from '../../../site/verifier/time.mjs';
import { Unjudged, verify } from '../../../site/verifier/verify.mjs';

globalThis.crypto ??= webcrypto;
const [packs, step] = process.argv.slice(2);
let verdicts = 0;

// judge gives all that a verdict says.
async function judge(pack, asked) {
  const v = await verify(pack, { now: instant('2026-01-15T12:00:00Z'), requireClaims: true, ...asked });
  const results = v.results.map(({ claim_id, passed, expected, actual, evidence_receipt_ids }) => [claim_id, passed, expected, actual, evidence_receipt_ids]);
  verdicts++;
  return JSON.stringify([v.channels, v.status, v.exit, v.reexecuted, results, v.reading?.count, v.reading?.head, v.out.errors, v.out.warnings]);
}

// inPieces gives the pack with its receipts in pieces of n bytes, each in the place of the one before.
function inPieces(pack, bytes, n) {
  function* chunks() {
    const piece = new Uint8Array(n);
    for (let at = 0; at < bytes.length; at += n) {
      piece.set(bytes.subarray(at, at + n));
      yield piece.subarray(0, Math.min(n, bytes.length - at));
    }
  }
  return { ...pack, files: new Map([...pack.files, ['receipt_pack.jsonl', { kind: 'file', size: bytes.length, chunks: chunks() }]]) };
}

const has = (name) => fs.existsSync(path.join(packs, name, 'receipt_pack.jsonl'));
for (const [i, name] of fs.readdirSync(packs).filter(has).entries()) {
  if (i % step !== 0) continue;
  const pack = readPack(path.join(packs, name)), entry = pack.files.get('receipt_pack.jsonl');
  if (entry?.kind !== 'file') continue; // a link
  const bytes = new Uint8Array(Buffer.concat([...entry.chunks].map((piece) => Buffer.from(piece))));
  pack.close();
  const variants = { 'as it is': bytes };
  if (i % 3 === 0) { // some of them damaged as well
    variants['with other line ends'] = Uint8Array.from(Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll('\n', '\r\n'), 'latin1'));
    variants['cut short'] = bytes.subarray(0, -1);
    variants['with a line that is too long'] = Buffer.concat([bytes, Buffer.alloc(2 ** 20 + 1, 0x61)]);
    variants['with returns'] = Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll('"', '\r"\r\r\n'), 'latin1');
  }
  for (const [what, file] of Object.entries(variants)) {
    const whole = { ...pack, files: new Map([...pack.files, ['receipt_pack.jsonl', { kind: 'file', bytes: file }]]) }, want = await judge(whole);
    const check = (how, got) => got === want || console.log(`${name} ${what}, ${how}: ${got}; want ${want}`);
    check('parts kept', await judge(whole, { keep: { whole: -1 } }));
    const few = await verify(whole, { now: instant('2026-01-15T12:00:00Z'), requireClaims: true, keep: { whole: -1, most: 0 } });
    if (few.reading?.count > 0 && few.cards !== undefined) console.log(`${name} ${what}: claims were executed on receipts that were not kept`);
    if (few.reading?.count > 0 && few.exit === 0) console.log(`${name} ${what}: passes without claims`);
    for (const n of file.length > 2 ** 16 ? [4096, 65_536] : [1, 7, 4096]) check(`pieces of ${n}`, await judge(inPieces(pack, file, n)));
  }
}

// Where there is no WebCrypto nothing is judged, although hashes could be taken.
const [name] = fs.readdirSync(packs).filter(has), pack = readPack(path.join(packs, name));
Object.defineProperty(globalThis, 'crypto', { value: undefined, configurable: true });
await verify(pack, { now: 0n }).then((v) => console.log(`without WebCrypto: ${v.status}`), (err) => {
  if (!(err instanceof Unjudged && /not checked here/.test(err.message))) console.log(`without WebCrypto: ${err.stack}`);
});
pack.close();
console.log(`${verdicts} verdicts`);
