// One entry in a list. That it is in the log was proved before; what it says is its signer's word.
import { clock, count, element, here } from './dom.mjs';

const CLAIMS = { PASS: ['pass', 'pass'], FAIL: ['honest', 'honest failure'], 'N/A': ['none', 'none made'] };

export function row({ index, entry, problem }) {
  const link = element('a', { href: `${here('entry/index.html')}?i=${index}` },
    element('span', { class: 'no' }, count(index)), ' ', element('span', { class: 'id' }, entry ? entry.get('pack_id') : 'not an entry'));
  if (!entry) return element('li', {}, link, element('span', { class: 'facts' }, element('span', { class: 'word bad' }, 'unread'), ` ${problem}`));
  const [kind, word] = CLAIMS[entry.get('claim_check')];
  return element('li', {}, link, element('span', { class: 'facts' },
    'claims, signer says: ', element('span', { class: `word ${kind}` }, word), ` ${clock(entry.get('submitted_at'))}`));
}
