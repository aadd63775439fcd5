// A verdict in words, for people: those of the command line, which a test compares.
import { isObject, textOf } from './values.mjs';

// counted says how many there are of a thing.
const counted = (n, word) => `${n} ${n === 1 ? word : `${word}${word.endsWith('s') ? 'es' : 's'}`}`;

// aboutRun tells whether a receipt is about the run itself (RCP-15).
const aboutRun = (r) =>
  r.get('recorded_by') === 'assay run' && ['session_metadata', 'assay.breakglass/v1'].includes(r.get('type'));

// The kinds of a word, by which it is coloured: good, an honest failure, bad, unmet, or nothing that was shown.
const KINDS = {
  integrity: { PASS: 'good', FAIL: 'bad' }, claims: { PASS: 'good', FAIL: 'honest' }, signer: { PINNED: 'good', UNTRUSTED: 'unmet' },
  coverage: { PASS: 'good', FAIL: 'honest' },
};

// channelsOf gives { name, label, word, kind, text } for each channel of a verdict, side by side.
export function channelsOf(v) {
  return Object.entries(v.channels).filter(([name, word]) => name !== 'expectations' || word !== 'SKIPPED').map(([name, word]) => ({
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
  const { receipts } = v.reading, n = receipts.filter(aboutRun).length;
  const about = n === 0 ? '' : n === receipts.length ? ', about the run itself' : `, ${n} of them about the run itself`;
  return `${counted(receipts.length, 'receipt')}${about}, hashes and signature hold`;
}

function claimText(v, word) {
  if (!v.intact) return UNJUDGED;
  if (v.manifest.get('attestation').get('claim_check') === 'N/A') return 'no checks were declared';
  if (word === 'NOT_EVALUATED') return 'that they hold is the signer’s word; not executed again here';
  if (!v.reexecuted) return 'says the signer; not executed again here';
  const cards = (v.cards ?? []).map((card) => `${card.id} (${SOURCES[card.source] ?? card.source})`);
  return `${v.results.filter((r) => r.passed).length} of ${v.results.length} checks hold, executed again; cards: ${cards.join(', ')}`;
}

const SOURCES = { builtin: 'built in', lock: 'pinned by the lock', given: 'given by the caller', signer: 'the signer\'s own' };

function anchorText(v, word) {
  const log = v.logged && `entry ${v.logged.index} of ${v.logged.origin}, tree size ${v.logged.size}, cosigned by ${v.logged.witnesses.join(', ') || 'nobody (the policy asks for nobody)'}`;
  if (word === 'PASS') return log ?? 'a log that the policy trusts holds it';
  if (word === 'FAIL') return log ? 'logged, but not at a time that holds' : 'no proof that holds under the policy';
  return v.out.warnings.some((f) => f.code === 'W_ANCHOR_NOT_CHECKED' && f.message === 'there is no proof')
    ? 'there is no proof in the pack that a log holds it' : 'not checked against any log';
}

function expectedText({ expected }) {
  const list = (names, no) => names.map((n) => ({ expiry: `${no}expired`, superseded: `${no}superseded` })[n] ?? n).join(', ');
  const parts = [];
  if (expected.failed.length > 0) parts.push(`not as expected: ${list(expected.failed, '')}`);
  if (expected.passed.length > 0) parts.push(`as expected: ${list(expected.passed, 'not ')}`);
  return parts.join('; ');
}

function signerText(v, word) {
  const id = v.manifest.get('signer_id'), who = `${id}, key ${v.fingerprint}`;
  return {
    UNVERIFIED: `says it is ${id}: unverified`, UNTRUSTED: `${who}: none of the keys that may sign`, PINNED: `${who}: one of the keys that may sign`,
  }[word] ?? `${who}: nobody here says whose key that is`;
}

// sentenceOf gives the verdict in one sentence. A verdict of 0 names what it leaves open.
export function sentenceOf(v) {
  if (v.status === 'ok') return ['intact', gaps(v).join(', ')].filter(Boolean).join('; ');
  if (v.status === 'claim_gate_failed' && v.channels.claims === 'SKIPPED') return 'honest failure: claims are required, and the pack declares none';
  if (v.status === 'claim_gate_failed' && !v.reexecuted) return 'honest failure: the required claims cannot be executed again here';
  if (v.status === 'witness_failed' && v.channels.anchor !== 'FAIL') return 'the pack is intact, but not proven to be logged, as required';
  if (v.status === 'signer_untrusted' && v.channels.signer !== 'UNTRUSTED') return 'the signer must be pinned: name the key that may sign';
  return SENTENCES[v.status] ?? SENTENCES.failed;
}

const SENTENCES = {
  failed: 'tampered or malformed: do not rely on this pack',
  lock_mismatch: 'governance drift: the pack is not what the lock says',
  signer_untrusted: 'not signed by a key that may sign: do not rely on this pack',
  witness_failed: 'the pack is intact, but its proof of being logged does not hold',
  expectation_failed: 'not the pack that was expected: it is intact, and not of what was asked for',
  claim_gate_failed: 'honest failure: authentic evidence, and a required check does not hold',
  expired: 'honest failure: authentic evidence, and its time is over',
  superseded: 'honest failure: authentic evidence, and its signer names a pack that replaces it',
};

function gaps(v) {
  const failed = v.results.filter((r) => !r.passed).length, evidence = v.reading.receipts.filter((r) => !aboutRun(r)).length;
  const own = (v.reexecuted ? v.cards ?? [] : []).filter((card) => card.source === 'signer').length;
  const list = [
    [v.channels.claims === 'FAIL', `${counted(failed, 'claim')} failed and not required to pass`],
    [v.channels.claims === 'PASS' && failed > 0, counted(failed, 'failed warning')],
    [v.channels.signer !== 'PINNED', 'signer unpinned'],
    [v.channels.anchor === 'SKIPPED', 'not anchored'],
    [v.channels.anchor === 'PASS' && !v.logged?.time, 'anchored without a time that was checked'],
    [v.channels.claims === 'SKIPPED', 'no checks declared'],
    [v.channels.claims === 'NOT_EVALUATED', 'claims not executed here'],
    [own > 0, `${counted(own, 'card')} of the signer's own`],
    [evidence === 0, counted(evidence, 'receipt')],
  ].filter(([gap]) => gap).map(([, text]) => text);
  return list;
}

// factsOf gives what an intact pack says of itself, as [name, text].
export function factsOf(v) {
  if (!v.intact) return [];
  const a = v.manifest.get('attestation'), binding = a.get('ci_binding');
  const facts = [
    ['pack', a.get('pack_id')], ['run', a.get('run_id')], ['mode', a.get('mode')], ['receipts', String(v.reading.receipts.length)],
    ['first', a.get('timestamp_start')], ['last', a.get('timestamp_end')], ['valid until', a.get('valid_until')],
    ['superseded by', a.get('superseded_by')], ['signer', v.manifest.get('signer_id')], ['key', v.fingerprint],
    ['manifest SHA-256 (canonical form, as logged)', v.manifestDigest],
    ...(isObject(binding) ? [...binding.keys()].map((name) => [`CI ${name}`, textOf(binding, name)]) : []),
  ];
  return facts.filter(([, text]) => typeof text === 'string');
}
