// What to say of a checkpoint: who signed it, how old it is, and how it compares with what this browser saw before.
import { ago, count, element, entries, instant } from './dom.mjs';

// newest is the time of the newest cosignature, null without one.
export const newest = ({ cosigned }) => cosigned.reduce((last, { time }) => (last === null || time > last ? time : last), null);

// signedBy says who stands behind a checkpoint.
export function signedBy({ checkpoint, own }) {
  const names = checkpoint.cosigned.map(({ called }) => called).join(', ');
  return `The log signed its state at ${entries(checkpoint.size)}, and ${
    names === '' ? 'no witness cosigned it; the policy asks for none' : `${names} cosigned it`}. That is enough for ${
    own ? 'your policy' : 'the policy of this site'}.`;
}

// STALE is how long the newest cosignature may be ago before a page speaks of it.
const STALE = 3 * 86400;

// warnings gives what a reader must know of the state of a log before its entries.
export function warnings({ checkpoint, seen, note, key, wasKey }) {
  const list = [], time = newest(checkpoint);
  if (wasKey) {
    list.push(alarm('Another log.', ` On ${wasKey.at.slice(0, 10)} this site named a log with the key ${wasKey.key}; now it names one with the key ${key}. What is proved below is proved of the new one. Find out from elsewhere which is the right one.`, []));
  }
  if (seen.kind === 'forked' || seen.kind === 'broken') {
    const files = [['The state of then', 'checkpoint-then', new TextEncoder().encode(seen.before.note)], ['The state shown now', 'checkpoint-now', note]];
    list.push(seen.kind === 'forked'
      ? alarm('Two books under one name.', ` On ${day(seen)} this browser verified another state of ${entries(seen.size)}. The log signed both. Keep both files and publish them: together they prove that this ledger showed two histories.`, files)
      : alarm('Not shown to continue.', ` On ${day(seen)} this browser verified a state of ${entries(seen.size)}. The files of this site do not lead from it to the one shown now: either they are wrong, or the log has two histories. Keep both states, and check the log from elsewhere.`, files));
  } else if (seen.kind === 'older') {
    list.push(alarm('Older than what you have seen.', ` On ${day(seen)} this browser verified a state with ${entries(seen.size)}; this one has ${count(checkpoint.size)}. A copy of the site may lag for some minutes; one that stays behind is holding entries back.`, []));
  } else if (seen.kind === 'unchecked') {
    list.push(alarm('Not compared with what you have seen.', ` Whether this state continues the one of ${day(seen)} could not be checked: ${seen.why}.`, []));
  }
  if (time !== null && Date.now() / 1000 - Number(time) > STALE) {
    list.push(alarm('Not new.', ` The newest cosignature is of ${instant(time)}, ${ago(time)}. What was logged since then does not show here.`, []));
  }
  return list;
}

const day = ({ before }) => before.at.slice(0, 10);

function alarm(head, text, files) {
  const buttons = files.map(([name, file, bytes]) => element('a', {
    class: 'button plain', download: file, href: URL.createObjectURL(new Blob([bytes], { type: 'text/plain' })),
  }, name));
  return element('aside', { class: 'note alarm' }, element('p', {}, element('strong', {}, head), text),
    buttons.length > 0 ? element('p', { class: 'buttons' }, ...buttons) : null);
}

// showWarnings puts them above a place.
export function showWarnings(place, log) {
  for (const warning of warnings(log)) place.before(warning);
}
