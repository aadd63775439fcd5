// Step 7: the claims are executed again: docs/spec/claims.md §4 and docs/spec/verify.md §10.
import { JSONError, bytesOf, canonical, parse } from './json.mjs';
import { H, same } from './hash.mjs';
import { BUILTIN } from './builtin.mjs';
import { looksBuiltIn, readCard } from './cards.mjs';
import { REFERENCE } from './checks.mjs';
import { OURS, Unknown, runOurs } from './own_checks.mjs';
import { DROPPED } from './receipts.mjs';
import { fingerprintOf, verdictOf } from './results.mjs';
import { evidence } from './scalars.mjs';
import { saysSame } from './spelling.mjs';

// evaluate gives the results of claims on receipts (claims.md §4); unknown is why one could not be told here.
export function evaluate(specs, receipts, options = {}) {
  const claims = specs.map(prepared).filter((c) => c.asked), state = { claims, at: 0 };
  return specs.map((spec) => resultOf(prepared(spec), receipts, options, state));
}

// prepared gives a claim as it is asked: its severity in lowercase, its parameters as C spells them (CLM-2).
function prepared(spec) {
  const [claim_id, , check, given, written] = [...spec.values()];
  const severity = written.replace(/[A-Z]/g, (c) => c.toLowerCase()), asked = severity === 'critical' || severity === 'warning';
  return { claim_id, check, written, severity, asked, params: parse(bytesOf(canonical(given)), { limit: 2 ** 30, depth: 512 }) };
}

function resultOf({ claim_id, check, params, written, severity, asked }, receipts, { asReference = false, coverage = null }, state) {
  const result = (passed, expected, actual, names = []) => ({
    claim_id, passed, expected: String(expected), actual: String(actual), severity, evidence_receipt_ids: evidence(names),
    same: (r) => saysSame(expected, r.expected) && saysSame(actual, r.actual),
  });
  if (!asked) {
    return { ...result(false, "severity in {'critical','warning'}", `invalid severity '${written}'`), severity: 'critical' };
  }
  const own = Object.hasOwn(OURS, check);
  if (!own && !Object.hasOwn(REFERENCE, check)) {
    state.at++;
    return { ...result(false, `check function '${check}' exists`, 'unknown check function'), unknown: 'unknown check' };
  }
  try {
    const found = own ? runOurs(check, params, receipts, state) : REFERENCE[check](params, receipts, { asReference, coverage });
    if (found.problem) return result(false, `valid params for check '${check}'`, found.problem);
    return result(found.passed, found.expected, found.actual, found.names);
  } catch (err) {
    if (!(err instanceof Unknown)) throw err;
    return { ...result(false, '', ''), unknown: err.message };
  } finally {
    state.at++;
  }
}

const agree = (r, s) => r.passed === s.passed && r.expected === s.expected && r.actual === s.actual && r.severity === s.severity;

// signersWord tells whether a result is taken from the report because it cannot be executed here (verify.md §10.2).
function signersWord(spec, ours, told, coverage) {
  const unknownThere = told.actual === 'unknown check function';
  if (spec.get('check') === 'coverage_contract' && coverage === null) return true;
  if (ours.unknown) return ours.unknown !== 'unknown check' || !unknownThere;
  if (agree(ours, told)) return false;
  if (spec.get('check') === 'coverage_contract') return true;
  return (!told.passed && unknownThere) || DROPPED.includes(spec.get('params').get('field_name'));
}

// execute gives results. word marks one that is the signer's; the two texts of one that says the same as the report in
// another spelling are those of the report (CLM-27).
function execute(cards, reading, told, options) {
  const specs = cards.flatMap((card) => card.claims);
  return evaluate(specs, reading.receipts, options).map((ours, i) => {
    const spec = specs[i], theirs = told[i];
    if (theirs?.claim_id !== ours.claim_id) return ours;
    const said = !ours.unknown && ours.same(theirs) ? { ...ours, expected: theirs.expected, actual: theirs.actual } : ours;
    return signersWord(spec, said, theirs, options.coverage) ? { ...theirs, word: true } : said;
  });
}

// seekClaims gives the cards of a pack before its receipts are read: those that travel with it, and the list that was
// signed, null if nobody here knows it.
export function seekClaims(pack, manifest, told, known) {
  const a = manifest.get('attestation'), hash = a.get('claim_set_hash');
  const none = a.get('claim_check') === 'N/A' && hash === H(a.get('claim_set_id'));
  if (none) return { none, packed: {}, found: null };
  const packed = readRunCards(pack.unsigned);
  return { none, packed, found: findCards(hash, known, packed.cards ?? [], told.results) };
}

// checkClaims is step 7. It gives the results, and whether all of them were executed again.
export function checkClaims({ manifest, reading, told, report, coverage }, { packed, none, found }, out) {
  const a = manifest.get('attestation'), nothing = { results: [], reexecuted: false };
  if (packed.problem) ignored(out, packed.problem);
  if (none) return nothing;
  if (!found) {
    if (packed.cards?.length) ignored(out, 'not the cards that were signed');
    return { results: told.results, reexecuted: false, sought: true };
  }
  if (!reading.whole) return nothing;
  tellLookalikes(found, out);
  if (reading.full) {
    out.warn('W_CLAIMS_NOT_REEXECUTED', 'claim_check', 'too many receipts for this verifier to execute claims on');
    return { results: told.results, reexecuted: false };
  }
  const ways = [{ coverage }, { coverage, asReference: true }].map((way) => execute(found, reading, told.results, way));
  const [ours] = ways;
  for (const r of ours) if (r.word) out.warn('W_CLAIMS_NOT_REEXECUTED', r.claim_id, 'this claim is not executed here');
  if (ours.some((r) => r.unknown && r.unknown !== 'unknown check')) {
    out.warn('W_CLAIMS_NOT_REEXECUTED', 'claim_check', 'a claim is not executed here, and the report does not tell it');
    return { results: told.results, reexecuted: false };
  }
  const results = compare(a, found, told, report, ways, out);
  return { results, reexecuted: !results.some((r) => r.word), cards: found };
}

const ignored = (out, why) => out.warn('W_RUN_CARDS_IGNORED', '_unsigned/run_cards.json', why);

// compare is docs/spec/verify.md §10.3, of the results in our reading and in that of the reference. It gives those that
// are shown.
function compare(a, cards, told, report, [ours, theirs], out) {
  const attested = a.get('discrepancy_fingerprint') ?? null;
  const right = (list) => verdictOf(list) === a.get('claim_check') && fingerprintOf(a, list) === attested;
  if (right(ours)) {
    checkNamed(cards, told, report, ours, out);
    return ours;
  }
  if (right(theirs)) {
    out.warn('W_BREAKGLASS', 'claim_check', 'the reference reads assay.breakglass/v1 as any type');
    checkNamed(cards, told, report, theirs, out);
    return verdictOf(ours) === 'FAIL' ? ours : theirs;
  }
  if (verdictOf(ours) !== a.get('claim_check')) out.error('E_MANIFEST_TAMPER', 'claim_check', 'the claims come to something else');
  else out.error('E_MANIFEST_TAMPER', 'discrepancy_fingerprint', 'the results of the claims have another one');
  return ours;
}

// checkNamed: the report names the same claims, and the receipts that were found here (VFY-46). Behind a place of another
// claim nothing is compared.
function checkNamed(cards, told, report, results, out) {
  if ((report?.get('claim_verification') ?? null) === null) return;
  const other = (message) => out.error('E_MANIFEST_TAMPER', 'verify_report.claim_verification.results', message);
  const specs = cards.flatMap((card) => card.claims);
  for (const [i, theirs] of told.results.slice(0, results.length).entries()) {
    const ours = results[i], ids = theirs.evidence_receipt_ids;
    if (theirs.claim_id !== ours.claim_id) return void other('another claim');
    const free = ours.word || specs[i].get('check') === 'coverage_contract' || ids === null;
    if (!free && !same(Array.isArray(ids) ? ids : [], ours.evidence_receipt_ids)) other('other evidence');
  }
}

function tellLookalikes(cards, out) {
  for (const card of cards) {
    if (card.source === 'builtin' || !(looksBuiltIn(card.id) || /[^A-Za-z0-9._-]/.test(card.id))) continue;
    out.warn('W_CARD_LOOKALIKE', '_unsigned/run_cards.json', 'the id of a card is drawn like that of another');
  }
}

// readRunCards gives the cards that travel with the pack, or the problem for which they are ignored (VFY-42).
function readRunCards(unsigned) {
  const entry = unsigned instanceof Map ? unsigned.get('run_cards.json') : undefined;
  if (!entry) return {};
  const refuse = (problem) => ({ problem });
  if (entry.kind !== 'file') return refuse('no regular file, or too long');
  let list;
  try {
    list = parse(entry.bytes, { limit: 2 ** 24 });
  } catch (err) {
    if (!(err instanceof JSONError)) throw err;
    return refuse(err.message);
  }
  if (!Array.isArray(list)) return refuse('no list of cards');
  const cards = [];
  for (const v of list) cards.push(readCard(v, 'signer'));
  if (cards.includes(null)) return refuse('a card that is none');
  return cards.flatMap((c) => c.claims).length > 1000 ? refuse('more than 1,000 claims') : { cards: cards.map(known) };
}

// known calls a card built in if its id is: readCard saw that its claims are.
const known = (card) => BUILTIN.find((b) => b.id === card.id) ?? card;

const MOST = { lists: 4096, claims: 1000, hashed: 2 ** 28 };

// findCards gives the first list of cards whose hash was signed (docs/spec/verify.md §10.1), null if there is none.
function findCards(hash, known, packed, told) {
  let lists = 0, hashed = 0;
  for (const list of candidates(known, packed, told)) {
    if (list.length === 0 || list.flatMap((c) => c.claims).length > MOST.claims) continue;
    if (lists++ === MOST.lists || hashed > MOST.hashed) return null;
    const text = canonical(list.flatMap((card) => card.claims));
    hashed += bytesOf(text).length;
    if (H(text) === hash) return list;
  }
  return null;
}

function* candidates({ locked, given }, packed, told) {
  yield locked;
  yield given;
  const pool = [...given, ...locked, ...BUILTIN];
  for (const card of pool) yield [card];
  yield* byIds(pool, told);
  yield packed;
  yield* byIds([...pool, ...packed], told);
  for (let n = 2; n <= BUILTIN.length; n++) yield* selections(BUILTIN, n);
}

// byIds puts cards together so that the ids of their claims are those of the results, in order.
function* byIds(cards, told) {
  const ids = told.map((r) => r.claim_id);
  let lists = 0, steps = 0;
  const fits = (card, at) => card.claims.every((c, i) => c.get('claim_id') === ids[at + i]);
  function* from(at, list) {
    if (at === ids.length) return lists++, yield list;
    for (const card of cards) {
      if (lists === 65 || ++steps > 4096) return;
      if (card.claims.length > 0 && fits(card, at)) yield* from(at + card.claims.length, [...list, card]);
    }
  }
  if (ids.length > 0 && ids.length <= 1000) yield* from(0, []);
}

function* selections(cards, n) {
  if (n === 0) return yield [];
  for (const card of cards) for (const rest of selections(cards.filter((c) => c !== card), n - 1)) yield [card, ...rest];
}
