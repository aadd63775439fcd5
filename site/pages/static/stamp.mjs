// The timestamp of an entry, checked with the roots of this site. It is loaded for entries that have one.
import { Bad } from '../verifier/notes.mjs';
import { base64 } from '../verifier/hash.mjs';
import { get } from './log.mjs';
import { instant } from './dom.mjs';
import { readRoots } from '../verifier/x509.mjs';
import { readToken } from '../verifier/timestamp.mjs';

const SECOND = 1_000_000_000n;

// checkTime gives { kind, text, short }: text for the list of checks, short for the entry's own members.
export async function checkTime(entry) {
  const roots = await get('tsa-roots.pem');
  if (!roots) {
    return { kind: 'unchecked', text: 'The timestamp was not checked: this site names no roots that it could lead to.', short: 'on record, and not checked here' };
  }
  const digest = Uint8Array.from(entry.get('manifest_sha256').match(/../g), (d) => parseInt(d, 16));
  try {
    const token = await readToken(base64(entry.get('timestamp_token')), digest, readRoots(roots));
    const at = instant(token.time / SECOND), within = token.accuracy ? `, within ${spell(token.accuracy)}` : '';
    return { kind: 'good', text: `An authority’s timestamp says that the pack existed by ${at}${within}. Its signature leads to the roots that this site names, which are the site’s own word.`, short: `existed by ${at}${within}` };
  } catch (err) {
    if (!(err instanceof Bad)) return { kind: 'unchecked', text: `The timestamp was not checked here: ${err.message}.`, short: 'on record, and not checked here' };
    return { kind: 'bad', text: `The timestamp is not believed: ${err.message}.`, short: `not believed: ${err.message}` };
  }
}

// spell writes nanoseconds as a reader would say them.
function spell(n) {
  if (n % SECOND === 0n) return n === SECOND ? 'one second' : `${n / SECOND} seconds`;
  return `${Number(n) / 1e6} milliseconds`;
}
