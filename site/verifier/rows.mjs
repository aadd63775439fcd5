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

// MOST is how many rows are made. A page of more would hold nothing else.
const MOST = 500_000;

// Rows takes the receipts of a pack in their order, and makes the row of each (ROW-2).
export class Rows {
  constructor() {
    Object.assign(this, { list: [], count: 0, numbers: new Map() });
  }

  add(receipt) {
    const number = this.count++;
    if (number >= MOST) return;
    this.numbers.set(receipt.get('receipt_id'), number);
    this.list.push({
      number, id: receipt.get('receipt_id'), time: receipt.get('timestamp'), type: receipt.get('type'),
      name: first(receipt, NAMES), says: first(receipt, SAYS), outcome: outcomeOf(receipt),
      tokensIn: whole(receipt.get('input_tokens')), tokensOut: whole(receipt.get('output_tokens')), tokens: tokensOf(receipt) ?? null,
      parent: filled(receipt.get('parent_receipt_id')),
    });
  }

  // parents gives those of a row, each with the number of its row, null if that is not here.
  parents(row) {
    return row.parent === null ? [] : [{ id: row.parent, number: this.numbers.get(row.parent) ?? null }];
  }
}

const LONGEST = 2000; // characters of a text

// visible shows what would not be seen, or would move what is seen, as \u{…}; a long text ends in words of ours (ROW-11).
export function visible(text) {
  const points = text.length > LONGEST ? Array.from(text) : null;
  const shown = points && points.length > LONGEST ? points.slice(0, LONGEST).join('') : text;
  const plain = shown.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  return shown === text ? plain : `${plain}… (${points.length - LONGEST} characters more)`;
}
