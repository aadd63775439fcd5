// Answers questions of a test about the verifier in site/verifier, one line of JSON each: {"op", "items"} comes in, a list
// with an answer for each item goes out. Bytes travel as base64.
import readline from 'node:readline';
import { webcrypto } from 'node:crypto';
import { readCard } from '../../../site/verifier/cards.mjs';
import { evaluate } from '../../../site/verifier/claims.mjs';
import { run } from '../../../site/verifier/command.mjs';
import { JSONError, bytesOf, parse } from '../../../site/verifier/json.mjs';
import { Pattern } from '../../../site/verifier/re2.mjs';
import { PatternError } from '../../../site/verifier/re2_parse.mjs';
import { classNamed, folded } from '../../../site/verifier/unicode.mjs';

globalThis.crypto ??= webcrypto;

const OPS = {
  // class gives the ranges of \p{name}, and of that in any case.
  class: (name) => {
    const ranges = classNamed(name);
    return ranges && { ranges, folded: folded(ranges) };
  },

  // card gives what the claims of a card come to on receipts, null if the card is refused.
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
    return evaluate(read.claims, receipts.map((r) => parse(bytesOf(r)))).map((r) => [
      r.claim_id, String(r.passed), r.expected, r.actual, r.severity, ...r.evidence_receipt_ids,
    ]);
  },

  // command gives the exit code and the output of a command line that is run in a directory.
  command: async ({ dir, args }) => {
    const out = [], here = process.cwd();
    process.chdir(dir);
    const exit = await run(args, (line) => out.push(line), () => {});
    process.chdir(here);
    return { exit, out: out.join('\n') };
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
