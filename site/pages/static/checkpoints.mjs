// Two checkpoints of the history, and whether the later one continues the earlier one: proved here, from tiles.
import { byId, code, count, element, entries, instant, plural, say } from './dom.mjs';
import { again, kindOf, length, openLog, openOld, why } from './log.mjs';
import { newest, showWarnings, standing } from './seen.mjs';
import { consistent } from '../verifier/tiles.mjs';
import { base64Of, hex, same } from '../verifier/hash.mjs';
import { showBelief, tellKey } from './belief.mjs';

const form = byId('compare'), status = byId('status'), steps = byId('steps');
let opened;

async function compare(a, b) {
  say(status, 'busy', 'Fetching both, and the hashes between them…');
  steps.replaceChildren();
  try {
    const first = opened === undefined;
    opened ??= openLog();
    const log = await opened, size = await length();
    if (first) {
      for (const old of document.querySelectorAll('[data-warning]')) old.remove();
      showWarnings(form, log);
      tellKey(log);
    }
    if (a >= size || b >= size) return say(status, 'unchecked', `The history has ${plural(size, 'checkpoint')}, numbered from 0.`);
    const [from, to] = await Promise.all((a < b ? [a, b] : [b, a]).map((n) => openOld(log, n, size)));
    if (to.size > log.checkpoint.size) return say(status, 'unchecked', 'The later one is newer than the state of this site: load the page again.');
    await tell(log, from, to, a === b);
  } catch (err) {
    opened = undefined;
    again();
    say(status, kindOf(err), kindOf(err) === 'bad' ? `It does not hold: ${why(err)}.` : `Not checked here: ${why(err)}.`);
  }
}

async function tell(log, from, to, one) {
  const hashes = from.size <= to.size ? await log.tree.consistency(from.size, to.size) : [];
  const holds = await consistent(from.size, from.root, to.size, to.root, hashes), known = standing(log);
  steps.replaceChildren(...[from, to].map(describe), element('li', {}, element('p', {},
    hashes.length === 0 ? 'No hash is needed between them.' : `${plural(hashes.length, 'hash', 'hashes')} of the tree ${hashes.length === 1 ? 'leads' : 'lead'} from the one to both:`), ...hashes.map((h) => code(hex(h)))));
  if (holds && from.size === to.size && !one) {
    say(status, 'bad', 'One state of the book under two numbers. A ledger publishes each once: the history of this site is not as it was published.');
  } else if (holds) {
    const under = log.own ? '' : ' By the keys that this site names, which is its own word.';
    const question = known === 'bad' || known === 'unchecked' ? ' The log as it is shown now is in question: read what stands above.' : under;
    say(status, known, one ? 'One checkpoint: give two numbers to compare.'
      : from.size === 0n ? `The earlier one is empty, and any book continues that.${question}`
      : `${question === under ? 'Yes. ' : ''}The later one has all ${entries(from.size)} of the earlier one, unchanged and in their order, and ${count(to.size - from.size)} more.${question}`);
  } else if (from.size === to.size && !same(from.root, to.root)) {
    const both = from.keys.some((key) => to.keys.includes(key));
    say(status, 'bad', both ? 'Two books under one name: one size, two roots, and one key of the log signed both. Keep both, and publish them.'
      : 'One size and two roots, signed with two keys of one name: that proves no two histories of one log, and one of the keys is not the one that you want.');
  } else if (from.size > to.size) {
    say(status, 'bad', 'The later one is smaller than the earlier one: the history of this site is not in the order of its publication.');
  } else {
    say(status, 'bad', 'It was not shown. Either files of this site are wrong, or the log has two histories: check it from elsewhere.');
  }
}

function describe({ size, root, cosigned, enough }) {
  const time = newest({ cosigned });
  return element('li', {}, element('p', {}, `${entries(size)}${time === null ? '' : `, last cosigned ${instant(time)}`}, by ${
    cosigned.map(({ called }) => called).join(', ') || 'nobody of today’s policy'}${enough ? '' : ', which is not enough for today’s policy'}; root`), code(base64Of(root)));
}

if (form) {
  form.hidden = false;
  const last = Number(form.dataset.count) - 1;
  byId('to').value = last;
  byId('from').value = Math.max(0, last - 1);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    compare(BigInt(byId('from').value), BigInt(byId('to').value));
  });
}
showBelief();
