// Step 10: a log that the user trusts holds the pack: docs/spec/ledger.md §2, §3, §8 and §10. Timestamp tokens are not
// checked here.
import { JSONError, canonical, parse } from './json.mjs';
import { base64 } from './hash.mjs';
import { count, dateTime, hex64, identifier, tableProblems, version } from './manifest.mjs';
import { Bad, NotHere, decimal, hash32, openCheckpoint } from './notes.mjs';
import { included, leafHash } from './tiles.mjs';

const PROOF = '_unsigned/anchor.tlog-proof';

const must = (holds, message) => {
  if (!holds) throw new Bad(message);
};
const is = (...words) => (v) => words.includes(v);
const text = (pattern) => (v) => typeof v === 'string' && pattern.test(v);

// ENTRY is the form of an entry (docs/spec/ledger.md §2.1).
const ENTRY = {
  assurance_level: is('L0', 'L1', 'L2', 'L3'), claim_check: is('PASS', 'FAIL', 'N/A'), manifest_sha256: hex64,
  mode: is('shadow', 'enforced', 'breakglass'), n_receipts: count, pack_id: identifier, pack_root_sha256: hex64,
  receipt_integrity: is('PASS', 'FAIL'), schema_version: (v) => v?.token === '2', signer_id: identifier,
  signer_pubkey_sha256: hex64, 'source_attestation?': is('self', 'ci_binding', 'oidc'),
  'source_commit?': text(/^([0-9a-f]{40}|[0-9a-f]{64})$/), 'source_repo?': (v) => isRepo(v),
  'source_workflow?': text(/^[\x20-\x7e]{1,512}$/),
  submitted_at: (v) => dateTime(v) && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(v),
  timestamp_end: dateTime, timestamp_start: dateTime,
  'timestamp_token?': (v) => typeof v === 'string' && v !== '' && base64(v) !== null, verifier_version: version,
  witness_status: is('signature_verified', 'hash_verified', 'unwitnessed'),
};

const isRepo = (v) => text(/^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/[A-Za-z0-9._-]{1,100}$/)(v) && !/\/\.{1,2}$/.test(v);
const COPIED = ['assurance_level', 'claim_check', 'mode', 'receipt_integrity', 'timestamp_end', 'timestamp_start', 'verifier_version'];

// checkAnchor gives the word of the channel, and in notChecked what could not be told here.
export async function checkAnchor(pack, found, asked, notChecked) {
  const { out } = found, inside = pack.unsigned instanceof Map ? pack.unsigned.get('anchor.tlog-proof') : undefined;
  const entry = asked.proof ?? inside;
  out.channel = 'anchor';
  if (!asked.policy || !entry) {
    if (asked.policy || entry) out.warn('W_ANCHOR_NOT_CHECKED', PROOF, entry ? 'no policy was given' : 'there is no proof');
    return 'SKIPPED';
  }
  try {
    must(entry.kind === 'file', 'no regular file, or too long');
    must(found.manifest, 'the manifest cannot be read');
    await checkProof(entry.bytes, found, asked.policy, notChecked);
    return 'PASS';
  } catch (err) {
    if (err instanceof Bad) return out.error('E_ANCHOR_INVALID', PROOF, err.message), 'FAIL';
    if (!(err instanceof NotHere)) throw err;
    out.warn('W_ANCHOR_NOT_CHECKED', PROOF, err.message);
    notChecked.push(`the anchor: ${err.message}`);
    return 'SKIPPED';
  }
}

// checkProof is docs/spec/ledger.md §10, in its order.
async function checkProof(bytes, found, policy, notChecked) {
  const proof = readProof(bytes), entry = readEntry(proof.extra);
  checkEntry(entry, found);
  const leaf = await leafHash(proof.extra);
  const { size, root } = await openCheckpoint(proof.note, policy);
  must(await included(leaf, proof.index, size, proof.hashes, root), 'the leaf is not in the tree');
  if (entry.has('timestamp_token')) notChecked.push('the timestamp token of the entry');
}

// readProof reads a tlog-proof (ENT-43).
export function readProof(bytes) {
  let at = 0;
  const line = () => {
    const end = bytes.indexOf(0x0a, at);
    must(end >= 0, 'a proof without an end');
    const text = String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 65536)));
    must(end - at <= 65536, 'a line that is too long');
    at = end + 1;
    return text;
  };
  must(bytes.length <= 2 ** 20 && line() === 'c2sp.org/tlog-proof@v1', 'no proof');
  let next = line(), extra = null;
  if (next.startsWith('extra ')) {
    extra = base64(next.slice(6));
    must(extra, 'extra is no base64');
    next = line();
  }
  must(next.startsWith('index '), 'no index');
  const index = decimal(next.slice(6)), hashes = [];
  for (next = line(); next !== ''; next = line()) hashes.push(hash32(next));
  must(hashes.length <= 63, 'too many hashes');
  return { extra: extra ?? new Uint8Array(), index, hashes, note: bytes.subarray(at) };
}

// readEntry reads an entry in its one spelling (ENT-3 to ENT-5, ENT-9).
export function readEntry(bytes) {
  try {
    const entry = parse(bytes, { limit: 32768 }), [problem] = tableProblems(entry, ENTRY, 'entry');
    must(!problem, problem);
    must(canonical(entry) === new TextDecoder().decode(bytes), 'another spelling than the canonical one');
    const source = entry.has('source_repo');
    must(source === entry.has('source_attestation'), 'a source without its repository');
    must(source || !(entry.has('source_commit') || entry.has('source_workflow')), 'a source without its repository');
    return entry;
  } catch (err) {
    if (err instanceof JSONError) throw new Bad(`the entry: ${err.message}`);
    throw err;
  }
}

// checkEntry: ENT-61 to ENT-63.
function checkEntry(entry, { manifest, manifestDigest, fingerprint }) {
  const a = manifest.get('attestation'), binding = a.get('ci_binding') ?? new Map();
  must(entry.get('manifest_sha256') === manifestDigest, 'the entry is about another manifest');
  for (const name of COPIED) must(entry.get(name) === a.get(name), `${name} is not what the manifest says`);
  for (const name of ['pack_id', 'pack_root_sha256', 'signer_id']) {
    must(entry.get(name) === manifest.get(name), `${name} is not what the manifest says`);
  }
  must(entry.get('n_receipts').value === a.get('n_receipts').value, 'n_receipts is not what the manifest says');
  must(entry.get('signer_pubkey_sha256') === fingerprint, 'another key than that of the manifest');
  if (entry.get('source_attestation') !== 'ci_binding') return;
  const bound = { source_repo: 'repo', source_workflow: 'workflow_ref', source_commit: 'commit_sha' };
  for (const [name, from] of Object.entries(bound)) must(entry.get(name) === binding.get(from), 'another source than the pack binds');
}
