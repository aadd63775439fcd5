// SHA-256 (FIPS 180-4) in steps: WebCrypto's wants all bytes at once, and an asynchronous call for each of the many
// small hashes of a tree. All arithmetic is of 32 bits, and nothing is allocated for a block.

// primes gives the first n primes.
function primes(n) {
  const found = [];
  for (let p = 2; found.length < n; p++) if (found.every((q) => p % q !== 0)) found.push(p);
  return found;
}

// root gives the first 32 bits of the fraction of the k-th root of p, by integers only.
function root(p, k) {
  const wanted = BigInt(p) << BigInt(32 * k);
  let low = 0n, high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle ** BigInt(k) <= wanted) low = middle;
    else high = middle;
  }
  return Number(low & 0xffffffffn) | 0;
}

const K = Int32Array.from(primes(64), (p) => root(p, 3));
const START = Int32Array.from(primes(8), (p) => root(p, 2));
const W = new Int32Array(64); // the schedule of the block at hand; nothing waits while it is in use

// compress works 64 bytes from a place into a state.
function compress(state, bytes, at) {
  for (let t = 0; t < 16; t++, at += 4) {
    W[t] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let t = 16; t < 64; t++) {
    const x = W[t - 15], y = W[t - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[t] = (W[t - 16] + s0 + W[t - 7] + s1) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let t = 0; t < 64; t++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + W[t]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    (h = g), (g = f), (f = e), (e = (d + t1) | 0), (d = c), (c = b), (b = a), (a = (t1 + t2) | 0);
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

export class Sha256 {
  constructor() {
    this.state = START.slice();
    this.block = new Uint8Array(64);
    this.filled = 0;
    this.length = 0; // exact: no file has 2^53 bytes
  }

  // update takes the next bytes; it keeps none that it was given.
  update(bytes) {
    let at = 0;
    this.length += bytes.length;
    if (this.filled > 0) {
      at = Math.min(64 - this.filled, bytes.length);
      this.block.set(bytes.subarray(0, at), this.filled);
      this.filled += at;
      if (this.filled < 64) return this;
      compress(this.state, this.block, 0);
      this.filled = 0;
    }
    for (; at + 64 <= bytes.length; at += 64) compress(this.state, bytes, at);
    for (; at < bytes.length; at++) this.block[this.filled++] = bytes[at];
    return this;
  }

  // clone gives another one that has taken the same bytes.
  clone() {
    const { state, block, filled, length } = this;
    return Object.assign(new Sha256(), { state: state.slice(), block: block.slice(), filled, length });
  }

  // digest gives the 32 bytes, and ends the use of this object.
  digest() {
    const { block } = this;
    block[this.filled++] = 0x80;
    if (this.filled > 56) {
      block.fill(0, this.filled);
      compress(this.state, block, 0);
      this.filled = 0;
    }
    block.fill(0, this.filled);
    const view = new DataView(block.buffer);
    view.setUint32(56, Math.floor(this.length / 2 ** 29));
    view.setUint32(60, (this.length * 8) % 2 ** 32);
    compress(this.state, block, 0);
    const out = new Uint8Array(32), words = new DataView(out.buffer);
    this.state.forEach((word, i) => words.setInt32(4 * i, word));
    return out;
  }
}

// sha256 gives the digest of bytes that are all there.
export const sha256 = (bytes) => new Sha256().update(bytes).digest();
