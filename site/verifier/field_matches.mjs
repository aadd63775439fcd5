// The check field_matches: docs/spec/claims.md §6.4. All its claims share what patterns and matches may cost, so they are
// asked together, receipt by receipt.
import { bytesOf } from './json.mjs';
import { Pattern } from './re2.mjs';
import { PatternError } from './re2_parse.mjs';
import { repr } from './values.mjs';
import { isWord, what } from './scalars.mjs';

const MOST = { elements: 8192, allElements: 1_048_576, cost: 2 ** 30, text: 65_536 };
const TOO_LARGE = "param 'pattern' is too large a pattern, or the patterns of all claims together are";

const read = new Map(); // what was read before, so that a card is not read for every pack

// patternOf gives the Pattern of a text, or null.
function patternOf(text) {
  if (!read.has(text)) {
    if (read.size > 1000) read.clear();
    try {
      read.set(text, new Pattern(text));
    } catch (err) {
      if (!(err instanceof PatternError)) throw err;
      read.set(text, null);
    }
  }
  return read.get(text);
}

// isPattern tells whether the check can use a pattern (CLM-22).
export function isPattern(v) {
  const pattern = isWord(v) ? patternOf(v) : null;
  return pattern !== null && pattern.elements <= MOST.elements;
}

// askPatterns gives for each of the claims, { params } in their order, what it comes to on the receipts.
export function askPatterns(claims, receipts, typesOf) {
  let elements = 0;
  const all = claims.map(({ params: p }) => {
    const pattern = patternOf(p.get('pattern')), type = p.get('receipt_type');
    elements += pattern.elements;
    return { p, pattern, type, tooMuch: elements > MOST.allElements, seen: 0, others: [], gaveUp: 0 };
  });
  const able = all.filter((claim) => !claim.tooMuch), left = { cost: MOST.cost };
  for (const receipt of receipts) {
    for (const claim of able) if (claim.type === undefined) ask(claim, receipt, left);
    const types = typesOf(receipt);
    for (const claim of able) if (claim.type !== undefined && types.includes(claim.type)) ask(claim, receipt, left);
  }
  return all.map(resultOf);
}

// ask shows a receipt to a claim; the match that costs too much fails, and all after it (CLM-23).
function ask(claim, receipt, left) {
  if (claim.gaveUp) return;
  claim.seen++;
  const text = receipt.get(claim.p.get('field_name')), bytes = typeof text === 'string' ? bytesOf(text).length : Infinity;
  let holds = false;
  if (bytes <= MOST.text) {
    if (left.cost >= 0) left.cost -= claim.pattern.instructions * (bytes + 1);
    if (left.cost >= 0) holds = claim.pattern.matches(text);
    else claim.gaveUp = claim.seen;
  }
  if (!holds) claim.others.push(receipt);
}

function resultOf({ p, type, tooMuch, seen, others, gaveUp }) {
  if (tooMuch) return { problem: TOO_LARGE };
  return {
    none: seen === 0, passed: others.length === 0, names: others,
    expected: `all ${what(type)}: ${p.get('field_name')} matches ${repr(p.get('pattern'))}`,
    actual: gaveUp ? `gave up after ${gaveUp}: patterns and texts are too large` : `${others.length} mismatches out of ${seen}`,
  };
}
