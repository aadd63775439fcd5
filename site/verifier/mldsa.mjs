// ML-DSA-44 signatures are verified here as FIPS 204 says (Algorithms 3 and 8): no browser does. Only public data is
// touched, so nothing takes constant time.
import { join, same } from './hash.mjs';
import { shake128, shake256 } from './shake.mjs';

const Q = 8380417, N = 256, D = 13, K = 4, L = 4; // ring, dropped bits, rows and columns
const TAU = 39, BETA = 78, OMEGA = 80; // ones of a challenge, what they can add up to, ones of a hint
const GAMMA1 = 2 ** 17, ALPHA = (Q - 1) / 44; // α is 2γ2

const KEY = 32 + K * 320, SIGNATURE = 32 + L * 576 + OMEGA + K;

const times = (a, b) => (a * b) % Q; // below 2^46, so exact

// ZETAS are the powers of 1753, a 512th root of unity, in the order of their bits reversed.
const ZETAS = Int32Array.from({ length: N }, (_, k) => {
  let power = 1, exponent = 0;
  for (let i = 0; i < 8; i++) exponent |= ((k >> i) & 1) << (7 - i);
  while (exponent-- > 0) power = times(power, 1753);
  return power;
});

// toNTT and fromNTT change a polynomial with coefficients from 0 to Q − 1 in its place (Algorithms 41 and 42).
function toNTT(w) {
  for (let length = 128, k = 1; length >= 1; length >>= 1) {
    for (let start = 0; start < N; start += 2 * length, k++) {
      for (let j = start; j < start + length; j++) {
        const t = times(ZETAS[k], w[j + length]), u = w[j];
        w[j + length] = u < t ? u - t + Q : u - t;
        w[j] = u + t >= Q ? u + t - Q : u + t;
      }
    }
  }
  return w;
}

function fromNTT(w) {
  for (let length = 1, k = N - 1; length < N; length <<= 1) {
    for (let start = 0; start < N; start += 2 * length, k--) {
      for (let j = start; j < start + length; j++) {
        const t = w[j], u = w[j + length];
        w[j] = (t + u) % Q;
        w[j + length] = times(Q - ZETAS[k], (t - u + Q) % Q);
      }
    }
  }
  return w.map((x) => times(8347681, x)); // 1/256
}

// unpack reads N numbers of some bits each, the lowest first.
function unpack(bytes, bits) {
  const out = new Int32Array(N);
  for (let i = 0, at = 0, have = 0, value = 0; i < N; i++) {
    for (; have < bits; have += 8) value |= bytes[at++] << have; // at most 18 + 7 bits
    out[i] = value & ((1 << bits) - 1);
    (value >>>= bits), (have -= bits);
  }
  return out;
}

// packHigh writes numbers of 6 bits.
function packHigh(w) {
  const out = new Uint8Array(N * 6 / 8);
  for (let i = 0, at = 0; i < N; i += 4) {
    const v = w[i] | (w[i + 1] << 6) | (w[i + 2] << 12) | (w[i + 3] << 18);
    (out[at++] = v), (out[at++] = v >> 8), (out[at++] = v >> 16);
  }
  return out;
}

// expandEntry gives the entry of the matrix in a row and a column (Algorithms 30 and 32).
function expandEntry(rho, row, column) {
  const stream = shake128().update(rho).update(Uint8Array.of(column, row)), out = new Int32Array(N);
  for (let n = 0; n < N; ) {
    const [a, b, c] = stream.read(3), value = a | (b << 8) | ((c & 0x7f) << 16);
    if (value < Q) out[n++] = value;
  }
  return out;
}

// challengeOf gives the polynomial with TAU coefficients 1 or −1 that a seed stands for (Algorithm 29).
function challengeOf(seed) {
  const stream = shake256().update(seed), signs = stream.read(8), c = new Int32Array(N);
  for (let i = N - TAU; i < N; i++) {
    let [j] = stream.read(1);
    while (j > i) [j] = stream.read(1);
    const bit = i + TAU - N;
    c[i] = c[j];
    c[j] = (signs[bit >> 3] >> (bit & 7)) & 1 ? Q - 1 : 1;
  }
  return c;
}

// readHint gives K lists of ones, null if they are spelled in another way than the one (Algorithm 21).
function readHint(y) {
  const rows = [];
  let at = 0;
  for (let i = 0; i < K; i++) {
    const end = y[OMEGA + i], row = new Uint8Array(N), first = at;
    if (end < at || end > OMEGA) return null;
    for (; at < end; at++) {
      if (at > first && y[at - 1] >= y[at]) return null;
      row[y[at]] = 1;
    }
    rows.push(row);
  }
  return y.subarray(at, OMEGA).some((b) => b !== 0) ? null : rows;
}

// highBits is UseHint (Algorithm 40): the upper part of r, or the one beside it that a hint means.
function highBits(r, hint) {
  let low = r % ALPHA, high;
  if (low > ALPHA / 2) low -= ALPHA;
  if (r - low === Q - 1) (high = 0), low--;
  else high = (r - low) / ALPHA;
  return hint ? (high + (low > 0 ? 1 : 43)) % 44 : high;
}

// verify tells whether a signature of a message is good, with a context of at most 255 bytes.
export function verify(key, message, signature, context = new Uint8Array()) {
  if (key.length !== KEY || signature.length !== SIGNATURE || context.length > 255) return false;
  const rho = key.subarray(0, 32), seed = signature.subarray(0, 32), hint = readHint(signature.subarray(32 + L * 576));
  if (hint === null) return false;
  const z = [];
  for (let i = 0; i < L; i++) {
    const part = unpack(signature.subarray(32 + i * 576, 32 + (i + 1) * 576), 18).map((x) => GAMMA1 - x);
    if (part.some((x) => Math.abs(x) >= GAMMA1 - BETA)) return false;
    z.push(toNTT(part.map((x) => (x < 0 ? x + Q : x))));
  }
  const c = toNTT(challengeOf(seed)), high = [];
  for (let row = 0; row < K; row++) {
    const t = toNTT(unpack(key.subarray(32 + row * 320, 32 + (row + 1) * 320), 10).map((x) => x << D)), w = new Int32Array(N);
    for (let column = 0; column < L; column++) {
      const a = expandEntry(rho, row, column);
      for (let i = 0; i < N; i++) w[i] = (w[i] + times(a[i], z[column][i])) % Q;
    }
    for (let i = 0; i < N; i++) w[i] = (w[i] + times(Q - c[i], t[i])) % Q;
    high.push(packHigh(fromNTT(w).map((r, i) => highBits(r, hint[row][i]))));
  }
  const tr = shake256().update(key).read(64);
  const mu = shake256().update(join(tr, Uint8Array.of(0, context.length), context, message)).read(64);
  return same(shake256().update(join(mu, ...high)).read(32), seed);
}
