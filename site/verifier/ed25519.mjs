// Ed25519 with the strict rules of docs/spec/verify.md §11, in the integers of the language: WebCrypto's accepts keys
// and signatures that fit every message. Only public data is touched, so nothing here takes constant time.
import { digest, join, same } from './hash.mjs';

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (a, m = P) => ((a % m) + m) % m;

function power(base, exponent) {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = (b * b) % P) if (e & 1n) result = (result * b) % P;
  return result;
}

const D = mod(-121665n * power(121666n, P - 2n));
const ROOT = power(2n, (P - 1n) / 4n); // a square root of −1

// A point is [X, Y, Z, T] with x = X/Z, y = Y/Z and T = XY/Z.
const NEUTRAL = [0n, 1n, 1n, 0n];

function add([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = mod((y1 - x1) * (y2 - x2)), b = mod((y1 + x1) * (y2 + x2));
  const c = mod(2n * t1 * t2 * D), d = mod(2n * z1 * z2);
  const e = b - a, f = d - c, g = d + c, h = b + a;
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function times(n, point) {
  let result = NEUTRAL;
  for (let q = point; n > 0n; n >>= 1n, q = add(q, q)) if (n & 1n) result = add(result, q);
  return result;
}

const isNeutral = ([x, y, z]) => x === 0n && y === z;
const negative = ([x, y, z, t]) => [mod(-x), y, z, mod(-t)];

const little = (bytes) => bytes.reduceRight((n, b) => (n << 8n) | BigInt(b), 0n);

// decode gives the point that 32 bytes are the canonical encoding of, else null (VFY-52).
function decode(bytes) {
  const n = little(bytes), sign = n >> 255n, y = n & (2n ** 255n - 1n);
  if (y >= P) return null;
  const u = mod(y * y - 1n), v = mod(D * y * y + 1n);
  let x = mod(u * v ** 3n * power(u * v ** 7n, (P - 5n) / 8n));
  if (mod(v * x * x) === mod(-u)) x = mod(x * ROOT);
  if (mod(v * x * x) !== u) return null;
  if (x === 0n && sign === 1n) return null;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

function encode([x, y, z]) {
  const inverse = power(z, P - 2n), ax = mod(x * inverse);
  let n = mod(y * inverse) | ((ax & 1n) << 255n);
  return Uint8Array.from({ length: 32 }, () => {
    const b = Number(n & 255n);
    n >>= 8n;
    return b;
  });
}

const BASE = decode(Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x58 : 0x66)));

// keyPoint gives the point of a key that may sign, else null: canonical, and without a part of small order.
export function keyPoint(key) {
  const a = key.length === 32 ? decode(key) : null;
  if (!a || isNeutral(times(8n, a)) || !isNeutral(times(L, a))) return null; // VFY-53
  return a;
}

// verify tells whether a signature of 64 bytes is good (VFY-52 to VFY-56).
export async function verify(key, message, signature) {
  const a = keyPoint(key);
  if (!a || signature.length !== 64) return false;
  const r = signature.subarray(0, 32), s = little(signature.subarray(32));
  const point = decode(r);
  if (!point || isNeutral(times(8n, point)) || s >= L) return false;
  const k = mod(little(await digest('SHA-512', join(r, key, message))), L);
  return same(encode(add(times(s, BASE), negative(times(k, a)))), r);
}
