// Compares the SHA-256 of site/verifier with the one of Node: node sha256.mjs. It prints what does not agree, and at the
// end how many digests there were.
import { createHash } from 'node:crypto';
import { Sha256, sha256 } from '../../../site/verifier/sha256.mjs';

let count = 0;
const hex = (bytes) => Buffer.from(bytes).toString('hex');

function expect(what, got, want) {
  count++;
  if (hex(got) !== want) console.log(`${what}: ${hex(got)}; want ${want}`);
}

const theirs = (bytes) => createHash('sha256').update(bytes).digest('hex');
const message = Uint8Array.from({ length: 70_000 }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff);

// Every length around the blocks, and each message in two parts.
for (let n = 0; n <= 300; n++) {
  const bytes = message.subarray(n, 2 * n), want = theirs(bytes);
  expect(`${n} bytes`, sha256(bytes), want);
  for (const cut of [1, n >> 1, 63, 64, 65].filter((at) => at <= n)) {
    expect(`${n} bytes cut at ${cut}`, new Sha256().update(bytes.subarray(0, cut)).update(bytes.subarray(cut)).digest(), want);
  }
}

// Long messages in pieces of every small size; a clone goes on by itself.
for (let piece = 1; piece <= 130; piece += 3) {
  const sum = new Sha256();
  let other = null;
  for (let at = 0; at < message.length; at += piece) {
    if (at > message.length / 2) other ??= sum.clone().update(Uint8Array.of(1));
    sum.update(message.subarray(at, at + piece));
  }
  expect(`pieces of ${piece}`, sum.digest(), theirs(message));
  const half = Math.ceil((message.length / 2 + 1) / piece) * piece;
  expect(`a clone after pieces of ${piece}`, other.digest(), theirs(Buffer.concat([message.subarray(0, half), Uint8Array.of(1)])));
}

// The chain of NIST's Monte Carlo test: each digest is that of the three before it.
let [a, b, c] = [0, 1, 2].map(() => sha256(message.subarray(0, 32)));
for (let i = 0; i < 1000; i++) {
  const next = sha256(Buffer.concat([a, b, c])), want = theirs(Buffer.concat([a, b, c]));
  expect(`link ${i}`, next, want);
  [a, b, c] = [b, c, next];
}

expect('abc', sha256(new TextEncoder().encode('abc')), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
const million = new Sha256();
for (let i = 0; i < 1000; i++) million.update(new Uint8Array(1000).fill(0x61));
expect('a million letters', million.digest(), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0');

// More than 2^32 bits, where the length needs its upper half.
if (process.argv[2] === 'long') {
  const ours = new Sha256(), node = createHash('sha256'), piece = new Uint8Array(2 ** 20);
  for (let i = 0; i < 520; i++) ours.update(piece), node.update(piece);
  expect('520 MiB', ours.digest(), node.digest('hex'));
}
console.log(`${count} digests`);
