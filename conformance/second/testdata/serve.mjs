// Answers questions of a test about the verifier in site/verifier, one line of JSON each: {"op", "items"} comes in, a list
// with an answer for each item goes out. Bytes travel as base64.
import fs from 'node:fs';
import readline from 'node:readline';
import { webcrypto } from 'node:crypto';
import { checkAnchor, readEntry, readProof } from '../../../site/verifier/anchor.mjs';
import { readCard } from '../../../site/verifier/cards.mjs';
import { evaluate } from '../../../site/verifier/claims.mjs';
import { run } from '../../../site/verifier/command.mjs';
import { readFile, readPack } from '../../../site/verifier/files.mjs';
import { askedBy } from '../../../site/verifier/flags.mjs';
import { JSONError, bytesOf, canonical, parse } from '../../../site/verifier/json.mjs';
import { FILES } from '../../../site/verifier/manifest.mjs';
import { keeper } from '../../../site/verifier/kept.mjs';
import { verify as verifyMLDSA } from '../../../site/verifier/mldsa.mjs';
import { Bad, NotHere, openCheckpoint, readNote, readPolicy } from '../../../site/verifier/notes.mjs';
import { Pattern } from '../../../site/verifier/re2.mjs';
import { PatternError } from '../../../site/verifier/re2_parse.mjs';
import { consistent, included } from '../../../site/verifier/tiles.mjs';
import { instant } from '../../../site/verifier/time.mjs';
import { readToken } from '../../../site/verifier/timestamp.mjs';
import { classNamed, folded } from '../../../site/verifier/unicode.mjs';
import { Findings, verify } from '../../../site/verifier/verify.mjs';
import { readRoots } from '../../../site/verifier/x509.mjs';

globalThis.crypto ??= webcrypto;
const bytes = (text) => new Uint8Array(Buffer.from(text ?? '', 'base64'));

// orBad gives what a function gives, or why it refuses: nothing else is thrown.
async function orBad(f) {
  try {
    return await f();
  } catch (err) {
    if (err instanceof NotHere) return { refused: `not here: ${err.message}` };
    if (!(err instanceof Bad)) throw err;
    return { refused: err.message };
  }
}

const judged = new Map();

function judge(dir) {
  const pack = readPack(dir);
  return verify(pack, { now: 0n }).finally(pack.close);
}

const entries = (files) => new Map(Object.entries(files).map(([name, text]) => [name, { kind: 'file', bytes: bytes(text) }]));

// taken tells whether a text is read, and not refused as bad.
async function taken(read) {
  try {
    await read();
    return true;
  } catch (err) {
    if (err instanceof Bad) return false;
    throw err;
  }
}

let policy; // of the page about ledgers

const OPS = {
  // mldsa tells whether a signature is good.
  mldsa: (v) => verifyMLDSA(bytes(v.key), bytes(v.message), bytes(v.signature), bytes(v.context)),

  // token gives what a timestamp token says, or why it is refused; roots alone are only read.
  token: (v) => orBad(async () => {
    const roots = readRoots(bytes(v.roots));
    if (v.token === undefined) return {};
    const { time, accuracy } = await readToken(bytes(v.token), bytes(v.digest), roots, v.now && instant(v.now));
    return { time: String(time), accuracy: String(accuracy ?? 0n) };
  }),

  // anchor gives the words and the codes of the anchor of a pack, whose integrity is judged once.
  anchor: (v) => orBad(async () => {
    const asked = { now: instant(v.now), policy: await readPolicy(bytes(v.policy)), proof: { kind: 'file', bytes: bytes(v.proof) }, timeOptional: v.optional };
    if (v.roots) asked.roots = readRoots(bytes(v.roots));
    if (!judged.has(v.pack)) judged.set(v.pack, await judge(v.pack));
    const out = new Findings(), anchor = await checkAnchor({}, { ...judged.get(v.pack), out }, asked, []);
    const list = [...out.errors, ...out.warnings].map((f) => `${f.code} ${f.field}`);
    return { word: anchor.word, log: anchor.log, time: anchor.time, list, cosigned: (anchor.checkpoint?.cosigned ?? []).map((c) => c.called), why: anchor.errors };
  }),

  // class gives the ranges of \p{name}, and of that in any case.
  class: (name) => {
    const ranges = classNamed(name);
    return ranges && { ranges, folded: folded(ranges) };
  },

  // card gives what the claims of a card come to on receipts, whole or in the parts that are kept of them; null if the card
  // is refused.
  card: async ({ card, receipts }) => {
    let v;
    try {
      v = parse(bytesOf(card), { limit: 2 ** 18, depth: 32 });
    } catch (err) {
      if (err instanceof JSONError) return null;
      throw err;
    }
    const read = await readCard(v, 'caller');
    if (read === null) return null;
    const said = (list) => evaluate(read.claims, list).map((r) => [
      r.claim_id, String(r.passed), r.expected, r.actual, r.severity, ...r.evidence_receipt_ids,
    ]);
    const whole = receipts.map((r) => parse(bytesOf(r))), results = said(whole), parts = said(whole.map(keeper([read], 0, { whole: -1 })));
    return JSON.stringify(parts) === JSON.stringify(results) ? results : [['of parts of the receipts', JSON.stringify(parts), JSON.stringify(results)]];
  },

  // command gives the exit code and the output of a command line that is run in a directory.
  command: async ({ dir, args }) => {
    const out = [], here = process.cwd();
    process.chdir(dir);
    const exit = await run(args, (line) => out.push(line), () => {});
    process.chdir(here);
    return { exit, out: out.join('\n') };
  },

  // pack gives what a pack in memory is judged, on one line.
  pack: async ({ files, args, given }) => {
    const all = entries(files), named = entries(given), inside = (name) => name.replace('_unsigned/', '');
    const unsigned = [...all].filter(([name]) => name.startsWith('_unsigned/')).map(([name, entry]) => [inside(name), entry]);
    const pack = { files: new Map([...all].filter(([name]) => FILES.includes(name))), unsigned: new Map(unsigned) };
    pack.extra = [...all.keys()].filter((name) => !FILES.includes(name) && !name.startsWith('_unsigned/')).sort();
    if (pack.files.size === 0) return 'no pack';
    const { asked } = await askedBy(['pack', ...args], (name) => named.get(name) ?? null), v = await verify(pack, asked);
    const channels = Object.entries(v.channels).filter(([name]) => name !== 'signer').map(([name, word]) => `${name}:${word}`);
    const findings = [...v.out.errors, ...v.out.warnings].map((f) => `${f.code} ${f.field ?? ''}${f.receipt_index === undefined ? '' : ` ${f.receipt_index}`}`);
    return `${v.status} ${v.exit} ${channels.join(' ')} ${findings.sort().join('; ')}`;
  },

  // json gives the canonical forms of a text, or why it is refused.
  json: (text) => {
    try {
      const v = parse(bytes(text), { limit: 300, depth: 6 });
      return Buffer.from(`${canonical(v)}\n${canonical(v, true)}`).toString('base64');
    } catch (err) {
      if (err instanceof JSONError) return Buffer.from(`refused: ${err.cause}`).toString('base64');
      throw err;
    }
  },

  // tree tells whether a proof of inclusion or consistency holds.
  tree: ({ leaf, old, n, size, root, hashes }) => {
    const all = hashes.map(bytes);
    return leaf ? included(bytes(leaf), BigInt(n), BigInt(size), all, bytes(root)) : consistent(BigInt(n), bytes(old), BigInt(size), bytes(root), all);
  },

  policy: (text) => taken(() => readPolicy(bytes(text))),
  proof: (text) => taken(() => readNote(readProof(bytes(text)).note)),
  entry: (text) => taken(() => readEntry(bytes(text))),
  checkpoint: async (text) => {
    const page = () => fs.readFileSync(new URL('../../../docs/spec/ledger.md', import.meta.url), 'utf8');
    policy ??= await readPolicy(bytesOf(/```text policy\n([^`]*)```/.exec(page())[1]));
    return taken(() => openCheckpoint(bytes(text), policy));
  },

  // pattern gives what a pattern counts and which texts it matches, null if it is refused.
  pattern: ({ pattern, texts }) => {
    try {
      const p = new Pattern(pattern);
      return { elements: p.elements, instructions: p.instructions, matches: texts.map((text) => p.matches(text)) };
    } catch (err) {
      if (err instanceof PatternError) return null;
      throw err;
    }
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { op, items } = JSON.parse(line), answers = [];
  for (const item of items) answers.push(await OPS[op](item));
  process.stdout.write(`${JSON.stringify(answers)}\n`);
}
