// A verdict in words, for people: those of the command line, which a test compares.
import { Num } from './json.mjs';
import { instant, spell } from './time.mjs';
import { spellLength } from './told.mjs';
import { nameText } from './x509.mjs';
import { isObject, numberOf, textOf } from './values.mjs';

// counted says how many there are of a thing.
const counted = (n, word) => `${n} ${n === 1 ? word : `${word}${word.endsWith('s') ? 'es' : 's'}`}`;

// The kinds of a word, by which it is coloured: good, an honest failure, bad, unmet, or nothing that was shown.
const KINDS = {
  integrity: { PASS: 'good', FAIL: 'bad' }, claims: { PASS: 'good', FAIL: 'honest' }, signer: { PINNED: 'good', UNTRUSTED: 'unmet' },
  coverage: { PASS: 'good', FAIL: 'honest' },
};

// channelsOf gives { name, label, word, kind, text } for each channel of a verdict, side by side.
export function channelsOf(v) {
  return Object.entries(v.channels).filter(([name]) => name !== 'expectations' || expectedText(v) !== '').map(([name, word]) => ({
    name, word, label: name === 'expectations' ? 'expected' : name, kind: (KINDS[name] ?? { PASS: 'good', FAIL: 'unmet' })[word] ?? 'none',
    text: SAYS[name]?.(v, word) ?? '',
  }));
}

const SAYS = {
  integrity: integrityText,
  claims: claimText,
  anchor: anchorText,
  lock: (v, word) => ({ PASS: 'the pack is what the lock says', FAIL: 'the pack drifts from the lock' })[word] ?? UNJUDGED,
  expectations: (v) => expectedText(v),
  signer: signerText,
};

const UNJUDGED = 'not judged: the evidence is not intact';

function integrityText(v) {
  if (!v.intact) return counted(v.out.errors.filter((f) => f.channel === 'integrity').length, 'finding');
  const { count, about } = v.reading;
  const part = about === 0 ? '' : about === count ? ', about the run itself' : `, ${about} of them about the run itself`;
  return `${counted(count, 'receipt')}${part}, hashes and signature hold`;
}

function claimText(v, word) {
  if (!v.intact) return UNJUDGED;
  if (v.manifest.get('attestation').get('claim_check') === 'N/A') return 'no checks were declared';
  if (v.reading.full) return 'the signer\'s word; not executed here: too many receipts for this verifier';
  if (word === 'NOT_EVALUATED') {
    return 'that they hold is the signer\'s word; not executed again, because what that takes is not here (--run-card, --coverage-contract)';
  }
  if (!v.reexecuted) return 'says the signer; not executed again, because the definitions are not here (--run-card)';
  const cards = (v.cards ?? []).map((card) => `${card.id} (${SOURCES[card.source] ?? card.source})`);
  return `${v.results.filter((r) => r.passed).length} of ${v.results.length} checks hold, executed again; cards: ${cards.join(', ')}${cannotFail(v) ? '; none of them can fail the claims' : ''}`;
}

// cannotFail tells whether the claims would pass whatever the receipts say (CLM-17).
function cannotFail({ cards, reexecuted }) {
  if (!reexecuted || !cards?.length) return false;
  return !cards.flatMap((card) => card.claims).some((claim) => claim.get('severity').toLowerCase() !== 'warning' && !passesAlways(claim));
}

function passesAlways(claim) {
  const check = claim.get('check'), p = claim.get('params'), number = (name, absent) => numberOf(p.get(name) ?? new Num(absent));
  if (check === 'receipt_count_ge') return number('min_count', '1') <= 0;
  if (check === 'coverage_contract') return number('min_coverage', '1') <= 0;
  return ['receipt_count_le', 'receipt_count_between'].includes(check) && number('min_count', '0') <= 0 && number('max_count', '0') >= 4_194_304;
}

const SOURCES = { builtin: 'built in', lock: 'pinned by the lock', given: 'given by the caller', signer: 'the signer\'s own' };

function anchorText(v, word) {
  const { log, errors, checkpoint, index } = v.anchor, names = (checkpoint?.cosigned ?? []).map((c) => c.called);
  const where = log === 'PASS' &&
    `entry ${index} of ${checkpoint.origin}, tree size ${checkpoint.size}, cosigned by ${names.join(', ') || 'nobody (the policy asks for nobody)'}`;
  if (word === 'PASS') return `${where}; ${timeText(v)}`;
  if (word === 'FAIL') return log === 'PASS' ? 'logged, but not at a time that holds' : 'no proof that holds under the policy';
  if (errors.length > 0) return `not checked here: ${errors.at(-1)}`;
  return v.anchor.lacks === 'proof' ? 'there is no proof in the pack that a log holds it' : 'not checked against any log';
}

function timeText({ anchor: { token, entry } }) {
  if (!token) return entry.has('timestamp_token') ? 'its time was not checked (--tsa-roots)' : 'it has no timestamp';
  const within = token.accuracy === null ? '' : ` (within ${spellLength(token.accuracy)})`;
  return `timestamped ${spell(token.time)}${within} by ${nameText(token.signer)}`;
}

function expectedText(v) {
  const { expected } = v, list = (names, no) => names.map((n) => ({ expiry: `${no}expired`, superseded: `${no}superseded` })[n] ?? n).join(', ');
  const parts = unasked(v).map(([, text]) => text);
  if (expected.passed.length > 0) parts.unshift(`as expected: ${list(expected.passed, 'not ')}`);
  if (expected.failed.length > 0) parts.unshift(`not as expected: ${list(expected.failed, '')}`);
  return parts.join('; ');
}

// unasked are what an intact pack tells of its end though nobody asked, each with the gap that it leaves.
function unasked({ intact, manifest, asked }) {
  if (!intact) return [];
  const a = manifest.get('attestation'), until = a.get('valid_until') ?? null, by = a.get('superseded_by') ?? null, list = [];
  if (until === null && asked.checkExpiry) list.push(['its signer set no expiry date', 'no expiry date in the pack']);
  if (until !== null && !asked.checkExpiry && instant(until) < asked.now) list.push(['expired', `was valid until ${JSON.stringify(until)}, and nobody asked`]);
  if (by !== null && !asked.refuseSuperseded) list.push(['superseded', `superseded by ${JSON.stringify(by)}, says its signer, and nobody asked`]);
  return list;
}

// UNMET says what a pack is that is not the one that was expected.
const UNMET = { age: 'too old', ci_system: 'bound to no CI run', repository: 'of another repository', ref: 'of another ref', workflow: 'of another workflow',
  commit: 'of another commit', run: 'of another run' };
const BY_CODE = { E_TIMESTAMP_INVALID: 'from the future', E_CI_BINDING_MISSING: UNMET.ci_system };

function unmet({ expected, out }) {
  const found = out.errors.filter((f) => f.channel === 'expectations');
  return [...new Set(expected.failed.map((name, i) => BY_CODE[found[i]?.code] ?? UNMET[name]).filter(Boolean))].join(', ');
}

function signerText(v, word) {
  const id = v.manifest.get('signer_id'), who = `${id}, key ${v.fingerprint}`;
  return {
    UNVERIFIED: `says it is ${id}: unverified`, UNTRUSTED: `${who}: none of the keys that may sign`, PINNED: `${who}: one of the keys that may sign`,
  }[word] ?? `${who}: nobody here says whose key that is`;
}

// sentenceOf gives the verdict in one sentence. A verdict of 0 names what it leaves open.
export function sentenceOf(v) {
  if (v.status === 'ok') return [`intact${whole(v)}`, gaps(v).join(', ')].filter(Boolean).join('; ');
  if (v.status === 'claim_gate_failed' && v.channels.claims === 'SKIPPED') return 'honest failure: claims are required, and the pack declares none';
  if (v.status === 'claim_gate_failed' && !v.reexecuted) return 'honest failure: the required claims cannot be executed again here';
  if (v.status === 'witness_failed' && v.anchor.log === 'PASS' && v.channels.anchor === 'FAIL') {
    return 'the pack is intact and logged, but the time that was asked for does not hold';
  }
  if (v.status === 'witness_failed' && v.anchor.contradicts) return 'the pack is intact and logged, but its timestamp contradicts its own times';
  if (v.status === 'witness_failed' && v.channels.anchor !== 'FAIL') return 'the pack is intact, but not proven to be logged, as required';
  if (v.status === 'signer_untrusted' && v.channels.signer !== 'UNTRUSTED') return 'the signer must be pinned: name the key that may sign';
  if (v.status === 'expectation_failed') return `not the pack that was expected: it is intact, and ${unmet(v)}`;
  return SENTENCES[v.status] ?? SENTENCES.failed;
}

const SENTENCES = {
  failed: 'tampered or malformed: do not rely on this pack',
  lock_mismatch: 'governance drift: the pack is not what the lock says',
  signer_untrusted: 'not signed by a key that may sign: do not rely on this pack',
  witness_failed: 'the pack is intact, but its proof of being logged does not hold',
  claim_gate_failed: 'honest failure: authentic evidence, and a required check does not hold',
  expired: 'honest failure: authentic evidence, and its time is over',
  superseded: 'honest failure: authentic evidence, and its signer names a pack that replaces it',
};

// whole is what more there is to say of a pack that shows all that one can show.
function whole(v) {
  const evidence = v.reading.count - v.reading.about, { channels } = v;
  const shown = channels.signer === 'PINNED' && channels.anchor === 'PASS' && v.anchor.token && channels.claims === 'PASS' && v.reexecuted && evidence > 0;
  return shown ? `, signer pinned, anchored with a time, claims hold, ${counted(evidence, 'receipt')}` : '';
}

function gaps(v) {
  const failed = v.results.filter((r) => !r.passed).length, evidence = v.reading.count - v.reading.about;
  const own = (v.reexecuted ? v.cards ?? [] : []).filter((card) => card.source === 'signer').length;
  const list = [
    [v.channels.claims === 'FAIL', `${counted(failed, 'claim')} failed and not required to pass`],
    [v.channels.claims === 'PASS' && failed > 0, counted(failed, 'failed warning')],
    ...unasked(v).map(([gap]) => [true, gap]),
    [v.channels.signer !== 'PINNED', 'signer unpinned'],
    [v.channels.anchor === 'SKIPPED', { proof: 'not anchored: there is no proof in it to check', policy: 'its proof not checked' }[v.anchor.lacks] ?? 'not anchored'],
    [v.channels.anchor === 'PASS' && !v.anchor.token, 'anchored without a time that was checked'],
    [v.anchor.contradicts, 'its timestamp contradicts its own times'],
    [v.channels.claims === 'SKIPPED', 'no checks declared'],
    [v.channels.claims === 'NOT_EVALUATED', 'claims not executed here'],
    [v.channels.claims === 'PASS' && cannotFail(v), 'no check that can fail'],
    [v.channels.coverage && v.coverage.all === 0, 'a coverage contract without call sites'],
    [own > 0, `${counted(own, 'card')} of the signer's own`],
    [evidence === 0, counted(evidence, 'receipt')],
  ].filter(([gap]) => gap).map(([, text]) => text);
  return list;
}

// claimsOf gives the results of the claims. Those of evidence that is not intact are nobody's.
export const claimsOf = (v) => (v.intact ? v.results : []);

// factsOf gives what an intact pack says of itself, as [name, text].
export function factsOf(v) {
  if (!v.intact) return [];
  const a = v.manifest.get('attestation'), binding = a.get('ci_binding');
  const facts = [
    ['pack', a.get('pack_id')], ['run', a.get('run_id')], ['mode', a.get('mode')], ['receipts', String(v.reading.count)],
    ['first', a.get('timestamp_start')], ['last', a.get('timestamp_end')], ['valid until', a.get('valid_until')],
    ['superseded by', a.get('superseded_by')], ['signer', v.manifest.get('signer_id')], ['key', v.fingerprint],
    ['manifest SHA-256 (canonical form, as logged)', v.manifestDigest],
    ...(isObject(binding) ? [...binding.keys()].map((name) => [`CI ${name}`, textOf(binding, name)]) : []),
  ];
  return facts.filter(([, text]) => typeof text === 'string');
}
