// The lockfile: docs/spec/lock.md §1.
import { JSONError, bytesOf, parse } from './json.mjs';
import { H, HC } from './hash.mjs';
import { BUILTIN } from './builtin.mjs';
import { hashOf, looksBuiltIn, specification } from './cards.mjs';
import { dateTime, filled, hex64, matches, one, tableProblems, version } from './form.mjs';
import { isObject, printable } from './values.mjs';

const RELEASE = /^(\d{1,6}(?:\.\d{1,6}){0,4})(?:(a|b|rc)(\d{1,6}))?(?:\.post(\d{1,6}))?(?:\.dev(\d{1,6}))?$/;
const release = (v) => typeof v === 'string' && v.length <= 64 && RELEASE.test(v);

const LOCK = {
  lock_version: one('1.0'), assay_version_min: release, assay_version_max: release,
  pack_format_version: matches(/^\d{1,6}\.\d{1,6}\.\d{1,6}$/), receipt_schema_version: one('3.0'),
  run_cards: (v) => Array.isArray(v) && v.length >= 1, run_cards_composite_hash: hex64, claim_set_hash: hex64,
  exit_contract: {
    0: one('integrity_pass AND claims_pass'), 1: one('integrity_pass AND claims_fail'), 2: one('integrity_fail'),
  },
  signer_policy: { mode: one('any', 'allowlist'), allowed_fingerprints: (v) => Array.isArray(v) && v.every(hex64) },
  'coverage_contract_hash?': hex64, locked_at: dateTime, locked_by_assay_version: version,
};

const CARD = { id: matches(/^[A-Za-z0-9._-]{1,128}$/), name: filled, claim_set_hash: hex64 };
const OWN_CARD = {
  ...CARD, name: (v) => filled(v) && bytesOf(v).length <= 128 && printable(v),
  claims: (v) => Array.isArray(v) && v.length >= 1 && v.length <= 256,
};

const SMALL_ORDER = ['00'.repeat(32), `01${'00'.repeat(31)}`, `ec${'ff'.repeat(30)}7f`, `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`, '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'];

// readLock gives { lock } with what a pack is held to, or { problem }.
export function readLock(bytes) {
  let v;
  try {
    v = parse(bytes);
  } catch (err) {
    if (!(err instanceof JSONError)) throw err;
    return { problem: err.message };
  }
  const [problem] = tableProblems(v, LOCK, 'lock');
  if (problem) return { problem };
  const cards = [];
  for (const entry of v.get('run_cards')) {
    const card = readEntry(entry);
    if (card.problem) return card;
    cards.push(card);
  }
  const wrong = hashProblem(v, cards) ?? windowProblem(v) ?? signerProblem(v.get('signer_policy'));
  if (wrong) return { problem: wrong };
  const policy = v.get('signer_policy');
  return {
    lock: {
      cards, packFormat: v.get('pack_format_version'), claimSetHash: v.get('claim_set_hash'),
      allowlist: policy.get('mode') === 'allowlist' ? policy.get('allowed_fingerprints') : null,
      coverageContract: v.get('coverage_contract_hash') ?? null,
    },
  };
}

// readEntry gives a card of the lock, or its problem (LCK-4 to LCK-7).
function readEntry(entry) {
  const id = isObject(entry) ? entry.get('id') : null, builtin = BUILTIN.find((b) => b.id === id);
  const [problem] = tableProblems(entry, builtin ? CARD : OWN_CARD, 'run_cards');
  if (problem) return { problem };
  if (builtin && entry.get('name') !== builtin.name) return { problem: 'a built-in card under another name' };
  if (!builtin && looksBuiltIn(id)) return { problem: 'an id that looks like that of a built-in card' };
  const claims = builtin ? builtin.claims : entry.get('claims');
  for (const claim of claims) {
    const whole = isObject(claim) && claim.size === 5 && !claim.has('falsifier');
    if (!whole || specification(claim) === null) return { problem: 'a claim that is no claim specification' };
  }
  const card = builtin ?? { id, name: entry.get('name'), source: 'lock', claims };
  return hashOf([card]) === entry.get('claim_set_hash') ? card : { problem: 'a card of another hash' };
}

// hashProblem: LCK-4, LCK-8, LCK-9.
function hashProblem(v, cards) {
  const hashes = v.get('run_cards').map((entry) => entry.get('claim_set_hash')), byID = new Map();
  for (const [i, card] of cards.entries()) {
    if ((byID.get(card.id) ?? hashes[i]) !== hashes[i]) return 'one id for two sets of claims';
    byID.set(card.id, hashes[i]);
  }
  if (cards.flatMap((c) => c.claims).length > 1000) return 'more than 1,000 claims';
  if (HC(hashes) !== v.get('run_cards_composite_hash')) return 'run_cards_composite_hash is wrong';
  return hashOf(cards) === v.get('claim_set_hash') ? undefined : 'claim_set_hash is wrong';
}

// windowProblem: LCK-10. This verifier counts as 1.24.0 of the reference tool.
function windowProblem(v) {
  const holds = order(v.get('assay_version_min'), '1.24.0') <= 0 && order('1.24.0', v.get('assay_version_max')) < 0;
  return holds ? undefined : 'the window of versions does not hold 1.24.0';
}

// order compares two releases as PEP 440 does.
function order(a, b) {
  const [x, y] = [releaseKey(a), releaseKey(b)];
  const at = x.findIndex((n, i) => n !== y[i]);
  return at < 0 ? 0 : x[at] - y[at];
}

function releaseKey(release) {
  const [, numbers, pre, n, post, dev] = RELEASE.exec(release);
  const key = [...numbers.split('.').map(Number), 0, 0, 0, 0].slice(0, 5), none = post === undefined && dev !== undefined ? -1 : 4;
  return [...key, pre ? { a: 1, b: 2, rc: 3 }[pre] : none, Number(n ?? 0), Number(post ?? -1), dev === undefined ? Infinity : Number(dev)];
}

// signerProblem: LCK-11 to LCK-13.
function signerProblem(policy) {
  const list = policy.get('allowed_fingerprints');
  if (policy.get('mode') === 'any' && list.length > 0) return 'mode any with a list of fingerprints';
  if (new Set(list).size !== list.length) return 'a fingerprint stands twice';
  for (const key of SMALL_ORDER) {
    const bytes = Uint8Array.from(key.match(/../g), (h) => parseInt(h, 16));
    for (const top of [0, 0x80]) {
      bytes[31] = (bytes[31] & 0x7f) | top;
      if (list.includes(H(bytes))) return 'the fingerprint of a key of small order';
    }
  }
  return undefined;
}
