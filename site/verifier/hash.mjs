// Digests by WebCrypto, and base64 and hex in their one spelling.
import { bytesOf, canonical } from './json.mjs';

// digest gives the bytes of a hash. Where there is no WebCrypto (an old browser, a page from plain http) nothing can be
// checked, and nothing is.
export async function digest(name, bytes) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) throw new Error('this browser or page has no WebCrypto: not checked here');
  return new Uint8Array(await subtle.digest(name, bytes));
}

export const sha256 = (bytes) => digest('SHA-256', bytes);

export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

// H is H(x) of the specification, of bytes or of a text.
export const H = async (x) => hex(await sha256(typeof x === 'string' ? bytesOf(x) : x));

// HC is H(C(v)).
export const HC = (v) => H(canonical(v));

// base64 gives the bytes of a text that is the one base64 of them, else null (PCK-19).
export function base64(text) {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  try {
    const raw = atob(text);
    return btoa(raw) === text ? Uint8Array.from(raw, (c) => c.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}

export const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

export function join(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) out.set(p, at), (at += p.length);
  return out;
}
