// A verifier of proof packs, written from docs/spec alone. It shares no line and no author's habit with the one in Go:
// where the two differ, a page or a program is wrong.
//
// verify(pack, asked) takes what was read and what is asked, and gives a verdict. It opens nothing and asks no clock.
import { JSONError, parse } from './json.mjs';
import { H, HC, missing } from './hash.mjs';
import { PAYLOAD, checkAttestation, checkNames, checkRoot, checkSignature, fingerprintOf, formProblems } from './manifest.mjs';
import { checkAnchor } from './anchor.mjs';
import { checkClaims, seekClaims } from './claims.mjs';
import { Sites } from './contract.mjs';
import { checkExpectations, checkLockAndSigner } from './expect.mjs';
import { keeper } from './kept.mjs';
import { checkReceipts, codeOf, readReceipts } from './receipts.mjs';
import { checkReport } from './report.mjs';
import { readResults, verdictOf } from './results.mjs';
import { isObject } from './values.mjs';

// LIMITS are the longest files (docs/spec/pack.md §1); a signature file is read up to 16 MiB (VFY-15).
export const LIMITS = {
  'receipt_pack.jsonl': 2 ** 32, 'verify_report.json': 2 ** 24, 'verify_transcript.md': 2 ** 24,
  'pack_manifest.json': 2 ** 20, 'pack_signature.sig': 2 ** 24, 'run_cards.json': 2 ** 24, 'anchor.tlog-proof': 2 ** 20,
};

// A pack is { files: Map of name → entry, unsigned: Map of name → entry or an entry that is no directory, extra: names }.
// An entry is { kind: 'file', bytes } or { kind: 'link' | 'other' | 'long' }; what is not there has no entry. That of the
// receipts may be { kind: 'file', size, chunks }: an iterable of pieces, each good until the next one is asked for.

// Unjudged is thrown where nothing can be judged: exit 3, or the one that it carries.
export class Unjudged extends Error {}

const [RECEIPTS] = PAYLOAD;

// Findings is one list of findings and one of warnings, each ending after 100 (VFY-3).
export class Findings {
  constructor() {
    this.errors = [];
    this.warnings = [];
    this.channel = 'integrity';
  }

  error(code, field, message, receipt) {
    this.add(this.errors, 'error', code, field, message, receipt);
  }

  warn(code, field, message) {
    this.add(this.warnings, 'warning', code, field, message);
  }

  add(list, weight, code, field, message, receipt) {
    if (list.length > 100) return;
    const full = list.length === 100;
    list.push({
      channel: this.channel, weight, code: full ? 'W_MORE_FINDINGS' : code, message: full ? 'and more' : ascii(message),
      ...(receipt === undefined || full ? {} : { receipt_index: receipt }), ...(full ? {} : { field: ascii(field) }),
    });
  }
}

// ascii escapes what is not printable ASCII (VFY-2).
const ascii = (text) => text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

// verify judges a pack (docs/spec/verify.md §3).
export async function verify(pack, asked = {}) {
  if (missing()) throw new Unjudged(missing());
  const out = new Findings();
  const manifest = readManifest(pack, out);
  const found = { manifest, out, results: [], reexecuted: false };
  if (manifest) await checkIntegrity(pack, found, asked, out);
  found.intact = out.errors.length === 0;
  if (found.intact && found.sought && manifest.get('attestation').get('claim_check') !== 'N/A') {
    out.warn('W_CLAIMS_NOT_REEXECUTED', 'claim_check', 'nobody here knows these claims');
  }
  found.fingerprint = manifest ? fingerprintOf(manifest) : null;
  found.manifestDigest = manifest ? HC(manifest) : null;
  return verdict(pack, found, asked);
}

// judgeManifest gives the manifest of a pack if it verifies by itself, else null (VFY-23).
export async function judgeManifest(pack) {
  const out = new Findings(), manifest = readManifest(pack, out);
  if (manifest === null) return null;
  checkNames(manifest, out);
  checkAttestation(manifest, out);
  await checkSignature(manifest, undefined, out);
  checkRoot(manifest, out);
  return out.errors.length === 0 ? manifest : null;
}

// readManifest is step 1; null ends the judgement of integrity (VFY-11).
function readManifest(pack, out) {
  const name = 'pack_manifest.json', entry = pack.files.get(name);
  if (!present(entry, name, out)) return null;
  try {
    const manifest = parse(entry.bytes);
    const problems = formProblems(manifest);
    for (const problem of problems) out.error('E_MANIFEST_TAMPER', name, problem);
    return problems.length === 0 ? manifest : null;
  } catch (err) {
    if (!(err instanceof JSONError)) throw err;
    out.error(codeOf(err), name, err.message);
    return null;
  }
}

// present tells whether a file could be read, and adds the finding if not.
function present(entry, name, out) {
  if (entry?.kind === 'file') return true;
  if (entry?.kind === 'link') out.error('E_PATH_ESCAPE', name, 'a symbolic link');
  else out.error('E_MANIFEST_TAMPER', name, entry ? 'no regular file, or too long' : 'missing');
  return false;
}

// checkIntegrity is steps 2 to 9.
async function checkIntegrity(pack, found, asked, out) {
  const { manifest } = found;
  checkDirectory(pack, out);
  checkNames(manifest, out);
  const entry = pack.files.get(RECEIPTS), { report, code, problem } = readReport(pack), told = report ? readResults(report) : { results: [], bad: false };
  const sought = seekClaims(pack, manifest, told, { locked: asked.lock?.cards ?? [], given: asked.cards ?? [] });
  const sites = asked.contract ? new Sites(asked.contract) : null, each = (receipt, i) => (sites?.see(receipt), asked.each?.(receipt, i));
  const keep = keeper(sought.found ?? [], entry?.size ?? entry?.bytes?.length, asked.keep);
  const reading = await readReceipts(entry, manifest.get('attestation').get('run_id'), LIMITS[RECEIPTS], keep, each);
  reading.full = keep.full;
  const converted = checkFiles(pack, manifest, reading, out);
  if (problem) out.error(code, 'verify_report.json', problem);
  if (told.bad) out.error('E_MANIFEST_TAMPER', 'verify_report.json', 'a claim result that is none');
  checkReceipts(manifest, reading, converted, out);
  checkAttestation(manifest, out);
  if (report) checkReport(manifest, report, told, out);
  Object.assign(found, { report, told, reading, coverage: sites?.result() ?? null });
  Object.assign(found, checkClaims(found, sought, out));
  await checkSignature(manifest, pack.files.get('pack_signature.sig')?.bytes ?? null, out);
  checkRoot(manifest, out);
}

// checkDirectory is the part of step 2 that looks at the directory.
function checkDirectory(pack, out) {
  const kind = pack.unsigned?.kind;
  if (kind === 'link') out.error('E_PATH_ESCAPE', '_unsigned', 'a symbolic link');
  else if (kind) out.error('E_MANIFEST_TAMPER', '_unsigned', 'no directory');
  for (const name of pack.extra.slice(0, 1000)) out.warn('W_EXTRA_FILE', name, 'nothing signed covers this file');
}

// checkFiles is step 3; it tells whether the receipts would be right with other line ends (VFY-17).
function checkFiles(pack, manifest, reading, out) {
  let converted = false;
  for (const name of PAYLOAD) {
    const entry = pack.files.get(name);
    if (!present(name === RECEIPTS && reading.long ? { kind: 'long' } : entry, name, out)) continue;
    const { length, digests } = name === RECEIPTS ? reading : { length: entry.bytes.length, digests: { whole: H(entry.bytes) } };
    const holds = (f) => f.get('sha256') === digests.whole && f.get('bytes').value === BigInt(length);
    const signed = manifest.get('files').find((f) => f.get('path') === name && !holds(f));
    if (!signed) continue;
    if (digests.whole !== signed.get('sha256')) {
      converted ||= digests.unix === signed.get('sha256');
      out.error('E_MANIFEST_TAMPER', name, digests.unix === signed.get('sha256') ? 'its line ends were converted' : 'not the digest that was signed');
    } else {
      out.error('E_MANIFEST_TAMPER', name, 'not the length that was signed');
    }
  }
  present(pack.files.get('pack_signature.sig'), 'pack_signature.sig', out);
  return converted;
}

// readReport gives the report if it is an object, else the code and the problem of a finding; nothing of one that is no file.
function readReport(pack) {
  const name = 'verify_report.json', entry = pack.files.get(name);
  if (entry?.kind !== 'file') return {};
  try {
    const report = parse(entry.bytes, { limit: LIMITS[name] });
    return isObject(report) ? { report } : { code: 'E_MANIFEST_TAMPER', problem: 'no object' };
  } catch (err) {
    if (!(err instanceof JSONError)) throw err;
    return { code: codeOf(err), problem: err.message };
  }
}

// claimsWord is the word of the channel (VFY-49, VFY-51).
function claimsWord({ manifest, intact, reexecuted, results }) {
  if (!intact) return 'SKIPPED';
  const word = manifest.get('attestation').get('claim_check');
  if (word === 'N/A') return 'SKIPPED';
  if (reexecuted && verdictOf(results) === 'FAIL') return 'FAIL';
  return word === 'PASS' && !reexecuted ? 'NOT_EVALUATED' : word;
}

// verdict is steps 10 to 12, the status and the exit code (docs/spec/verify.md §12 to §16).
async function verdict(pack, found, asked) {
  const { out, intact, manifest } = found;
  const notChecked = unexecuted(found), anchor = await checkAnchor(pack, found, asked, notChecked);
  out.channel = 'expectations';
  found.anchor = anchor;
  const expected = checkExpectations(found, asked);
  out.channel = 'lock';
  const { lock, signer, distrusted } = checkLockAndSigner(found, asked);
  const channels = {
    integrity: intact ? 'PASS' : 'FAIL', claims: claimsWord(found), anchor: anchor.word, ...(lock && { lock }),
    expectations: expected.word, ...(intact && asked.contract && { coverage: found.coverage.share >= (asked.minCoverage ?? 0.8) ? 'PASS' : 'FAIL' }),
    ...(manifest && { signer }),
  };
  const [status, exit] = statusOf({ ...found, channels, failed: expected.failed, distrusted }, asked.strict ? { ...asked, ...STRICT } : asked);
  return { ...found, asked, channels, expected, status, exit, notChecked };
}

// STRICT is what is asked for at once (VFY-80), beside what the rows of strict ask.
const STRICT = { requirePinned: true, requireAnchor: true, requireClaims: true };

// statusOf is the table of VFY-79: the first row that holds.
function statusOf({ intact, channels, failed, distrusted, reexecuted, reading, results, anchor }, asked) {
  const late = (name) => name === 'expiry' || name === 'superseded';
  if (!intact) return ['failed', 2];
  if (channels.lock && channels.lock !== 'PASS') return ['lock_mismatch', 2];
  if (distrusted || (asked.requirePinned && channels.signer !== 'PINNED')) return ['signer_untrusted', 2];
  if (channels.anchor === 'FAIL' || (asked.requireAnchor && channels.anchor !== 'PASS')) return ['witness_failed', 2];
  if (asked.strict && (!anchor.token || anchor.contradicts)) return ['witness_failed', 2];
  if (failed.some((name) => !late(name))) return ['expectation_failed', 2];
  if (asked.requireClaims && !(channels.claims === 'PASS' && reexecuted)) return ['claim_gate_failed', 1];
  if (asked.strict && !results.some((r) => r.passed)) return ['claim_gate_failed', 1];
  if (asked.strict && reading.count === reading.about) return ['no_evidence', 1];
  if (failed.includes('expiry')) return ['expired', 1];
  if (failed.includes('superseded')) return ['superseded', 1];
  if (channels.coverage === 'FAIL') return ['coverage_below_threshold', 1];
  return ['ok', 0];
}

// unexecuted names the claims, if they were not executed here.
function unexecuted({ intact, reexecuted, manifest }) {
  const list = [];
  if (intact && !reexecuted && manifest.get('attestation').get('claim_check') !== 'N/A') list.push('the claims were not executed again');
  return list;
}
