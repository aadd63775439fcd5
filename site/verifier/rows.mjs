// The rows of a run: docs/spec/rows.md. They are made of receipts that were verified, and of nothing else.
import { isWhole } from './scalars.mjs';
import { outcomeOf } from './outcome.mjs';
import { tokensOf } from './own_checks.mjs';

const NAMES = ['model_id', 'tool_name', 'action'];
const SAYS = ['verdict', 'policy_verdict', 'outcome', 'finish_reason', 'status'];

const filled = (v) => (typeof v === 'string' && v !== '' ? v : null);

// first gives the first of the members that is a text with something in it (ROW-6, ROW-7).
function first(receipt, names) {
  for (const name of names) if (filled(receipt.get(name)) !== null) return receipt.get(name);
  return null;
}

const whole = (v) => (isWhole(v) ? v.value : null);

// rowsOf gives the row of each receipt, in the order of the pack (ROW-2).
export function rowsOf(receipts) {
  const numbers = new Map(receipts.map((receipt, number) => [receipt.get('receipt_id'), number]));
  return receipts.map((receipt, number) => rowOf(receipt, number, numbers));
}

function rowOf(receipt, number, numbers) {
  const parent = filled(receipt.get('parent_receipt_id'));
  return {
    number, id: receipt.get('receipt_id'), time: receipt.get('timestamp'), type: receipt.get('type'),
    name: first(receipt, NAMES), says: first(receipt, SAYS), outcome: outcomeOf(receipt),
    tokensIn: whole(receipt.get('input_tokens')), tokensOut: whole(receipt.get('output_tokens')), tokens: tokensOf(receipt) ?? null,
    parents: parent === null ? [] : [{ id: parent, number: numbers.get(parent) ?? null }],
  };
}

// An Intl.Segmenter would cut better, and not alike in every engine.
const MOST = 2000;

// visible shows what would not be seen, or would move what is seen, as \u{…}; a long text ends in words of ours (ROW-11).
export function visible(text) {
  const points = text.length > MOST ? Array.from(text) : null;
  const shown = points && points.length > MOST ? points.slice(0, MOST).join('') : text;
  const plain = shown.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  return shown === text ? plain : `${plain}… (${points.length - MOST} characters more)`;
}
