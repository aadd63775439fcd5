// Step 10: a log that the user trusts holds the pack, at a time that holds: docs/spec/ledger.md §2, §3, §8 and §10.
import { JSONError, canonical, parse } from './json.mjs';
import { base64 } from './hash.mjs';
import { commit, count, dateTime, hex64, identifier, matches, one, tableProblems, version } from './form.mjs';
import { Bad, NotHere, decimal, hash32, must, openCheckpoint } from './notes.mjs';
import { included, leafHash } from './tiles.mjs';
import { HOURS_24, SECOND, instant } from './time.mjs';
import { readToken } from './timestamp.mjs';

const PROOF = '_unsigned/anchor.tlog-proof', TOKEN = 'timestamp_token';

// ENTRY is the form of an entry (docs/spec/ledger.md §2.1).
const ENTRY = {
  assurance_level: one('L0', 'L1', 'L2', 'L3'), claim_check: one('PASS', 'FAIL', 'N/A'), manifest_sha256: hex64,
  mode: one('shadow', 'enforced', 'breakglass'), n_receipts: count, pack_id: identifier, pack_root_sha256: hex64,
  receipt_integrity: one('PASS', 'FAIL'), schema_version: (v) => v?.token === '2', signer_id: identifier,
  signer_pubkey_sha256: hex64, 'source_attestation?': one('self', 'ci_binding', 'oidc'),
  'source_commit?': commit, 'source_repo?': (v) => isRepo(v),
  'source_workflow?': matches(/^[\x20-\x7e]{1,512}$/),
  submitted_at: (v) => dateTime(v) && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(v),
  timestamp_end: dateTime, timestamp_start: dateTime,
  'timestamp_token?': (v) => typeof v === 'string' && v !== '' && base64(v) !== null, verifier_version: version,
  witness_status: one('signature_verified', 'hash_verified', 'unwitnessed'),
};

const isRepo = (v) => matches(/^[A-Za-z0-9][A-Za-z0-9-]{0,38}\/[A-Za-z0-9._-]{1,100}$/)(v) && !/\/\.{1,2}$/.test(v);
const COPIED = ['assurance_level', 'claim_check', 'mode', 'receipt_integrity', 'timestamp_end', 'timestamp_start', 'verifier_version'];

// checkAnchor gives what is known: the words of the channel, of the log and of the time; where the log holds the pack the
// entry, its index, the tree and who cosigned; and the time, if one holds. What could not be told here goes to notChecked.
// Of a proof that stands alone (found.alone) it is the same about its entry, whatever pack that is about.
export async function checkAnchor(pack, found, asked, notChecked) {
  const { out } = found, inside = pack.unsigned instanceof Map ? pack.unsigned.get('anchor.tlog-proof') : undefined;
  const file = asked.proof ?? inside, anchor = { word: 'SKIPPED', log: 'SKIPPED', time: 'SKIPPED', errors: [] };
  out.channel = 'anchor';
  if (!asked.policy || !file) {
    if (!asked.policy && !file) return anchor;
    out.warn('W_ANCHOR_NOT_CHECKED', PROOF, file ? 'no policy was given' : 'there is no proof');
    return { ...anchor, lacks: file ? 'policy' : 'proof' };
  }
  const part = async (name, field, check) => {
    try {
      anchor[name] = anchor.word = await check();
    } catch (err) {
      if (!(err instanceof Bad || err instanceof NotHere)) throw err;
      anchor[name] = anchor.word = err instanceof Bad ? 'FAIL' : 'SKIPPED';
      anchor.errors.push(err.message);
      if (err instanceof Bad) return out.error('E_ANCHOR_INVALID', field, err.message);
      out.warn('W_ANCHOR_NOT_CHECKED', field, err.message);
      notChecked.push(`the anchor: ${err.message}`);
    }
  };
  await part('log', PROOF, async () => {
    must(file.kind === 'file', 'no regular file, or too long');
    must(found.manifest || found.alone, 'the manifest cannot be read');
    Object.assign(anchor, await checkProof(file.bytes, found, asked.policy));
    return 'PASS';
  });
  if (anchor.log !== 'PASS') return anchor;
  if (!asked.roots && anchor.entry.has(TOKEN)) notChecked.push('the timestamp token of the entry: no roots were given');
  if (asked.roots && !anchor.entry.has(TOKEN) && asked.timeOptional) out.warn('W_NO_TIMESTAMP', TOKEN, 'the entry has no token');
  else if (asked.roots) await part('time', TOKEN, () => checkTime(anchor, asked, out));
  return anchor;
}

// checkProof is docs/spec/ledger.md §10 up to the log, in its order.
async function checkProof(bytes, found, policy) {
  const proof = readProof(bytes), entry = readEntry(proof.extra);
  if (!found.alone) checkEntry(entry, found);
  const leaf = await leafHash(proof.extra), checkpoint = await openCheckpoint(proof.note, policy);
  must(await included(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root), 'the leaf is not in the tree');
  return { entry, index: proof.index, checkpoint };
}

// checkTime is the rest of §10. It adds the token, until when the log had the pack, and whether the pack says otherwise.
export async function checkTime(anchor, { roots, now }, out) {
  const { entry } = anchor;
  must(entry.has(TOKEN), 'the entry has no token, and a time was asked for');
  const manifest = Uint8Array.from(entry.get('manifest_sha256').match(/../g), (digits) => parseInt(digits, 16));
  const token = await readToken(base64(entry.get(TOKEN)), manifest, roots, now);
  const by = token.time + (token.accuracy > SECOND ? token.accuracy : SECOND), late = instant(entry.get('timestamp_end')) - by;
  must(late <= HOURS_24, 'the pack ends more than 24 hours after the token was made');
  if (late > 0n) out.warn('W_TIME_CONTRADICTION', TOKEN, 'the token is earlier than the end of the pack');
  Object.assign(anchor, { token, by, contradicts: late > 0n });
  return 'PASS';
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
