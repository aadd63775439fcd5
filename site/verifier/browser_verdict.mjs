// A verdict as a page shows it: the channels side by side, what was found, what was not checked, what the pack says.
import { byId, element, fill, said } from './browser_dom.mjs';
import { channelsOf, claimsOf, factsOf, sentenceOf } from './words.mjs';

// MARKS are for who sees no colours.
const MARKS = { 0: '✓', 1: '!', 2: '✗' };

// showVerdict fills the page with a verdict.
export function showVerdict(v) {
  const open = v.exit === 0 && v.notChecked.length > 0;
  const [, head, rest] = /^([^;:]*)([^]*)$/.exec(open ? `${sentenceOf(v)}; not everything was checked here` : sentenceOf(v));
  outcome(open ? 'none' : `exit${v.exit}`, open ? '?' : MARKS[v.exit], head, rest, `exit ${v.exit}`);
  showFound(v, factsOf(v));
  fill('claims', ...claimsOf(v).map((r) => claim(r, v.reexecuted)));
}

// showProof tells of a proof that stands alone. It is never green: what the entry is about is not here.
export function showProof(v) {
  showNothing('proof', '');
  if (v.channels.anchor === 'PASS') outcome('none', '?', 'proof', ': a log holds this entry; the pack that it is about is not here, and nothing of it was checked');
  else if (v.channels.anchor === 'FAIL') outcome('exit2', MARKS[2], 'the proof does not hold', '', 'exit 2');
  else outcome('none', '?', 'proof', ': not checked here');
  const names = ['pack_id', 'signer_id', 'signer_pubkey_sha256', 'manifest_sha256', 'pack_root_sha256', 'claim_check', 'source_repo', 'submitted_at'];
  showFound(v, v.anchor.log === 'PASS' ? names.filter((name) => v.anchor.entry.has(name)).map((name) => [name, v.anchor.entry.get(name)]) : []);
}

function showFound(v, facts) {
  fill('channels', ...channelsOf(v).map(channel));
  fill('findings', ...v.out.errors.map(finding));
  fill('warnings', ...v.out.warnings.map(finding));
  fill('unchecked', ...v.notChecked.map((text) => element('li', {}, said(text))));
  fill('facts', ...facts.flatMap(([name, text]) => [element('dt', {}, name), element('dd', { class: 'mono' }, said(text))]));
}

// showNothing says that nothing was judged, and why. It is never green.
export function showNothing(word, sentence) {
  outcome('none', '?', word, `: ${sentence}`);
  for (const id of ['channels', 'findings', 'warnings', 'unchecked', 'claims', 'facts']) fill(id);
}

// outcome says it with a headline, the rest of its sentence, and an exit code, which is for scripts and stands smaller.
function outcome(kind, mark, head, rest, code = '') {
  const box = byId('outcome');
  box.className = `outcome ${kind}`;
  box.replaceChildren(element('span', { class: 'mark', 'aria-hidden': 'true' }, mark), element('b', {}, said(head)), said(rest),
    ...(code ? [' ', element('span', { class: 'code' }, code)] : []));
}

const channel = (c) => element('li', { class: `channel ${c.kind} ${c.name}` },
  element('div', { class: 'name' }, c.label), element('div', { class: 'word' }, c.word), element('p', {}, said(c.text)));

const finding = (f) => element('li', { class: 'mono' }, element('b', {}, f.code), ' ',
  said(`${f.receipt_index === undefined ? '' : `receipt ${f.receipt_index}, `}${f.field ? `${f.field}: ` : ''}${f.message}`));

function claim(r, reexecuted) {
  const [word, kind] = !r.passed ? ['FAIL', 'honest'] : reexecuted ? ['PASS', 'good'] : ['NOT EVALUATED', 'none'];
  return element('tr', {}, element('td', { class: `result ${kind}` }, word),
    element('td', { class: 'mono' }, said(r.claim_id), ' ', element('span', { class: 'tag' }, said(r.severity))),
    element('td', { 'data-label': 'expected' }, said(r.expected)), element('td', { 'data-label': 'found' }, said(r.actual)));
}
