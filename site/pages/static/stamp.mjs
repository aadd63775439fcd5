// The timestamp of an entry, judged as the verifier judges it (docs/spec/ledger.md §10), with the roots of this site and this
// device's clock. It is loaded for entries that have one.
import { checkTime as judge } from '../verifier/anchor.mjs';
import { Bad, NotHere } from '../verifier/notes.mjs';
import { get, why } from './log.mjs';
import { instant } from './dom.mjs';
import { readRoots } from '../verifier/x509.mjs';

const SECOND = 1_000_000_000n, NOT_HERE = 'on record, and not checked here';

// checkTime gives { kind, text, short }: text for the list of checks, short for the entry's own members.
export async function checkTime(entry, now = BigInt(Date.now()) * 1_000_000n) {
  let roots;
  try {
    roots = await get('tsa-roots.pem');
  } catch (err) {
    return { kind: 'unchecked', text: `The timestamp was not checked: ${why(err)}.`, short: NOT_HERE };
  }
  if (!roots) {
    return { kind: 'unchecked', text: 'The timestamp was not checked: this site names no roots that it could lead to.', short: NOT_HERE };
  }
  try {
    const anchor = { entry };
    await judge(anchor, { roots: readRoots(roots), now }, { warn() {} });
    // An earlier time would say more, so the fraction of a second is rounded up.
    const by = instant((anchor.by + SECOND - 1n) / SECOND);
    if (anchor.contradicts) {
      return { kind: 'unchecked', text: `An authority’s timestamp says that the pack existed by ${by}, and the pack says of itself that it ended later: one of the two clocks is wrong.`, short: `existed by ${by}, before its own end: one of the two clocks is wrong` };
    }
    return { kind: 'said', text: `An authority’s timestamp says that the pack existed by ${by}. Its signature leads to the roots that this site names, which are the site’s own word.`, short: `existed by ${by}, by the roots that this site names` };
  } catch (err) {
    if (err instanceof NotHere) return { kind: 'unchecked', text: `The timestamp was not checked here: ${err.message}.`, short: NOT_HERE };
    if (!(err instanceof Bad)) throw err;
    return { kind: 'bad', text: `The timestamp is not believed: ${err.message}.`, short: `not believed: ${err.message}` };
  }
}
