// Compares the rows of docs/spec/rows.md with those of site/verifier: node rows.mjs PAGE. It prints what does not agree, and
// at the end how many examples there were.
import fs from 'node:fs';
import { bytesOf, parse } from '../../../site/verifier/json.mjs';
import { Rows, visible } from '../../../site/verifier/rows.mjs';

let examples = 0;

function expect(what, got, want) {
  examples++;
  if (got !== want) console.log(`${what}: ${got}; want ${want}`);
}

const number = (n) => (n === null ? null : Number(n));

// shown gives rows with the names of the page. JSON.stringify keeps the order of members, which is that of the page.
const shown = (rows) => rows.list.map((r) => ({
  number: r.number, time: r.time, type: r.type, name: r.name, says: r.says, outcome: r.outcome, tokens_in: number(r.tokensIn),
  tokens_out: number(r.tokensOut), tokens: number(r.tokens), parents: rows.parents(r),
}));

const text = fs.readFileSync(process.argv[2], 'utf8');
for (const line of /^```jsonl rows\n([\s\S]*?)^```/m.exec(text)[1].trim().split('\n')) {
  const rows = new Rows();
  for (const receipt of parse(bytesOf(line)).get('receipts')) rows.add(receipt);
  expect(line, JSON.stringify(shown(rows)), JSON.stringify(JSON.parse(line).rows));
}

expect('a line feed and a mark', visible('a\n\u202eb\u00a0c\u0007'), 'a\\u{a}\\u{202e}b\\u{a0}c\\u{7}');
expect('letters of all kinds', visible('é 漢 <b>=1+1 😀'), 'é 漢 <b>=1+1 😀');
expect('half of a pair', visible('\ud800'), '\\u{d800}');
expect('2,000 characters', visible('😀'.repeat(2000)), '😀'.repeat(2000));
expect('one more', visible('😀'.repeat(2001)), `${'😀'.repeat(2000)}… (1 characters more)`);
console.log(`${examples} examples`);
