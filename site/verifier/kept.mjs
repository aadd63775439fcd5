// What is kept of the receipts for the claims: all of a small pack, and of a large one the members that its claims read.
import { Num } from './json.mjs';
import { outcomeOf } from './outcome.mjs';

const WHOLE = 2 ** 24; // bytes of receipts that are kept as they are
const MOST = 2 ** 20; // receipts of which parts are kept,
const CHARACTERS = 2 ** 28; // with so many characters

// READ are the members that claims read of every receipt, READ_BY those that one check reads without naming them
// (docs/spec/claims.md §5 and §6). The last ones of READ are for what is told about coverage and the run.
const READ = ['receipt_id', 'type', 'timestamp', 'callsite_id', 'recorded_by', 'child_exit_code', 'child_signal'];
const READ_BY = {
  model_allowlist: ['model_id'], token_max: ['total_tokens', 'input_tokens', 'output_tokens'], latency_p95_le: ['latency_ms'],
  no_gap_in_seq: ['seq'], every_has: ['parent_receipt_id'], posture_eligible: ['posture', 'evaluated_at'],
  proxy_completeness: ['requests_seen', 'receipts_written', 'receipts_failed', 'not_intercepted', 'env_overrides'],
};

// Part is a receipt of which only some members were kept. To ask it for another one is a bug of this program, and no verdict.
class Part extends Map {
  #names;

  constructor(receipt, names, outcome) {
    super();
    this.#names = names;
    this.characters = 64;
    for (const name of names) if (receipt.has(name)) super.set(name, this.#own(receipt.get(name)));
    if (outcome) this.outcome = outcomeOf(receipt);
  }

  // own gives a value that holds nothing else in memory: a part of a text may be kept as a place in it.
  #own(v) {
    if (v === null || typeof v === 'boolean') return v;
    this.characters += 16;
    if (Array.isArray(v)) return v.map((item) => this.#own(item));
    if (v instanceof Map) return new Map([...v].map(([name, item]) => [this.#own(name), this.#own(item)]));
    const text = own(v instanceof Num ? v.token : v);
    this.characters += text.length;
    return v instanceof Num ? new Num(text) : text;
  }

  get(name) {
    return this.#names.has(name) ? super.get(name) : lost(name);
  }

  has(name) {
    return this.#names.has(name) ? super.has(name) : lost(name);
  }

  [Symbol.iterator]() {
    return lost('all members');
  }
}

const lost = (name) => {
  throw new Error(`${name} of a receipt was not kept`);
};

// own gives a text that keeps no longer one alive.
export const own = (text) => (text.length < 13 ? text : ` ${text}`.slice(1));

// keeper gives what keeps receipts for the claims of cards, of a file of so many bytes; null is kept of none if there are
// no cards, nor behind the one at which it becomes too much: then full is true.
export function keeper(cards, size, { whole = WHOLE, most = MOST } = {}) {
  const claims = cards.flatMap((card) => card.claims), outcome = claims.some((claim) => claim.get('check') === 'error_rate_le');
  const named = (claim) => [...(READ_BY[claim.get('check')] ?? []), ...texts(claim.get('params'))];
  const names = new Set([...READ, ...claims.flatMap(named)]);
  let receipts = 0, characters = 0;
  const keep = (receipt) => {
    if (size <= whole) return receipt;
    if (keep.full || claims.length === 0) return null;
    const part = new Part(receipt, names, outcome);
    keep.full = ++receipts > most || (characters += part.characters) > CHARACTERS;
    return keep.full ? null : part;
  };
  return Object.assign(keep, { full: false });
}

// texts gives all texts in a value.
function texts(v) {
  if (typeof v === 'string') return [v];
  if (v instanceof Map) return texts([...v.values()]);
  return Array.isArray(v) ? v.flatMap(texts) : [];
}
