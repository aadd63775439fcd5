// Digests, and base64 and hex in their one spelling. SHA-256 is our own; other hashes are those of WebCrypto.
import { bytesOf, canonical } from './json.mjs';
import { sha256 as ownSHA256 } from './sha256.mjs';

export const sha256 = ownSHA256;

// missing says what this browser or page lacks, null if nothing. Where there is no WebCrypto (an old browser, a page from
// plain http) nothing is checked, not even what our own code could: whoever altered such a page on its way wrote its
// verdict as well.
export const missing = () => (globalThis.crypto?.subtle ? null : 'this browser or page has no WebCrypto: not checked here');

// digest gives the bytes of a hash of WebCrypto.
export async function digest(name, bytes) {
  if (missing()) throw new Error(missing());
  return new Uint8Array(await globalThis.crypto.subtle.digest(name, bytes));
}

export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

// H is H(x) of the specification, of bytes or of a text.
export const H = (x) => hex(sha256(typeof x === 'string' ? bytesOf(x) : x));

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

// base64Of writes bytes, of any number, in that spelling.
export const base64Of = (bytes) => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''));

export const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

export function join(...parts) {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) out.set(p, at), (at += p.length);
  return out;
}
