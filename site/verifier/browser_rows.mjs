// The rows of a run as a table: a page of them at a time on a screen, all that fit the filter on paper.
import { byId, element, fill, said } from './browser_dom.mjs';
import { Rows } from './rows.mjs';

const PAGE = 50;
const PRINTED = 5000; // rows that a sheet of paper is made of at most

let all = new Rows(), fitting = [], at = 0;

// showRows takes the rows of receipts that were verified; of none nothing is shown.
export function showRows(rows = new Rows()) {
  all = rows;
  const types = [...new Set(rows.list.map((row) => row.type))].sort();
  byId('type').replaceChildren(element('option', { value: '' }, 'all types'), ...types.map((type) => element('option', { value: type }, said(type))));
  byId('words').value = '';
  byId('outcomes').value = '';
  byId('rows').hidden = rows.count === 0;
  filter();
}

// listen makes the filter and the pager work.
export function listenToRows() {
  for (const id of ['words', 'type', 'outcomes']) byId(id).addEventListener('input', filter);
  byId('earlier').addEventListener('click', () => turn(at - PAGE));
  byId('later').addEventListener('click', () => turn(at + PAGE));
  addEventListener('beforeprint', () => draw(0, PRINTED));
  addEventListener('afterprint', () => draw(at, PAGE));
}

function filter() {
  const words = byId('words').value.toLowerCase(), type = byId('type').value, outcome = byId('outcomes').value;
  const has = (text) => text !== null && text.toLowerCase().includes(words);
  fitting = all.list.filter((row) => (type === '' || row.type === type) && (outcome === '' || row.outcome === outcome) &&
    (words === '' || [row.id, row.time, row.type, row.name, row.says, row.parent].some(has)));
  turn(0);
}

function turn(to) {
  at = Math.max(0, Math.min(to, Math.floor((fitting.length - 1) / PAGE) * PAGE));
  draw(at, PAGE);
}

function draw(from, most) {
  const some = fitting.slice(from, from + most), to = from + some.length;
  fill('table', ...some.map(line));
  const of = fitting.length === all.list.length ? '' : ` ${fitting.length} that fit, of`, left = all.count - all.list.length;
  byId('range').textContent = (some.length === 0 ? `none fits of ${all.list.length} rows` : `${from + 1} to ${to} of${of} ${all.list.length} rows`) +
    (left > 0 ? `; ${left} more are not shown here` : '');
  byId('earlier').disabled = from === 0;
  byId('later').disabled = to >= fitting.length;
}

// OUTCOMES are the words of what a receipt says of its end; most say nothing that is bad.
const OUTCOMES = { failed: 'failed', malformed: 'unclear', fine: '' };

const number = (n) => (n === null ? '' : String(n));

function line(row) {
  const cell = (label, ...children) => element('td', { 'data-label': label }, ...children.filter((child) => child !== ''));
  const outcome = OUTCOMES[row.outcome];
  return element('tr', { class: row.outcome },
    element('th', { scope: 'row' }, String(row.number)),
    cell('time', said(row.time)), cell('type', said(row.type)), cell('model or tool', said(row.name ?? '')),
    cell('outcome', outcome ? element('b', {}, outcome) : null, outcome && row.says ? ': ' : '', said(row.says ?? '')),
    cell('tokens', tokens(row)),
    cell('parents', ...all.parents(row).map((p) => (p.number === null ? element('span', {}, said(p.id), ' (not in this pack)') : `row ${p.number}`))));
}

const tokens = (row) => row.tokensIn === null && row.tokensOut === null ? number(row.tokens) : `${number(row.tokensIn)} → ${number(row.tokensOut)}`;
