// Step 4: the receipts, line by line, and what is attested of them: docs/spec/verify.md §7.
import { JSONError, Num, byPoints, bytesOf, canonical, parse } from './json.mjs';
import { H, same } from './hash.mjs';
import { readable } from './time.mjs';
import { compare, isObject, kindOf, str, truth } from './values.mjs';

const FILE = 'receipt_pack.jsonl';
const LINE = 1 << 20;
const LINES = 4_194_304;

const TYPES = new Set(['ai_workflow', 'capability_use', 'challenge', 'decision_v1', 'governance_posture_snapshot',
  'grace_check', 'guardian_check', 'guardian_verdict', 'mcp_tool_call', 'model_call', 'refusal', 'revocation',
  'session_metadata', 'supersession']);
const NAMESPACED = /^[a-z0-9_]+(\.[a-z0-9_]+)+(\/[a-z0-9_]+)?$/;

// admitted tells whether a pack may hold receipts of a type (RCP-3, RCP-4).
const admitted = (type) => TYPES.has(type) || (NAMESPACED.test(type) && !type.startsWith('loom.'));

export const DROPPED = ['signatures', 'signature', 'cose_signature', 'receipt_hash', 'anchor'];

// codeOf gives the finding code of a text that is no JSON (VFY-12).
export const codeOf = (err) =>
  err.cause === 'duplicate' || err.cause === 'number' ? 'E_CANON_MISMATCH' : 'E_MANIFEST_TAMPER';

// lines cuts bytes at line feeds; the last item is what stands behind the last one.
function* lines(bytes) {
  for (let start = 0; start < bytes.length; ) {
    const end = bytes.indexOf(0x0a, start);
    yield { line: bytes.subarray(start, end < 0 ? bytes.length : end), ended: end >= 0 };
    if (end < 0) return;
    start = end + 1;
  }
}

// Reading is what was found in the lines: the receipts, whether all were read, and whether one breaks the integrity.
class Reading {
  constructor(runID, out, converted) {
    Object.assign(this, { runID, out, converted, receipts: [], ids: new Set(), whole: true, broken: false, last: null, raw: false });
  }

  error(code, field, message) {
    this.out.error(code, field, message, this.receipts.length);
  }

  breaks(code, field, message) {
    this.broken = true;
    this.error(code, field, message);
  }

  // line judges one line; false ends the reading (VFY-18).
  line(bytes, ended) {
    const stop = (code, message) => {
      this.whole = false;
      this.error(code, FILE, message);
      return false;
    };
    if (this.receipts.length === LINES) return stop('E_MANIFEST_TAMPER', 'too many receipts');
    if (bytes.length > LINE) return stop('E_MANIFEST_TAMPER', 'a line that is too long');
    let receipt, short;
    try {
      receipt = parse(bytes);
      short = canonical(receipt);
    } catch (err) {
      if (!(err instanceof JSONError)) throw err;
      return stop(codeOf(err), err.message);
    }
    if (!isObject(receipt)) return stop('E_MANIFEST_TAMPER', 'a line that is no object');
    if (!ended) return stop('E_MANIFEST_TAMPER', 'the file ends without a line feed');
    this.receipt(receipt, bytes, bytesOf(short));
    return true;
  }

  receipt(receipt, bytes, short) {
    this.members(receipt);
    const tamper = (field, message) => this.error('E_MANIFEST_TAMPER', field, message);
    if (!this.converted) {
      if (DROPPED.some((name) => receipt.has(name))) tamper('canonical_line', 'a member that a builder drops');
      const long = bytesOf(canonical(receipt, true));
      if (!same(bytes, short) && !same(bytes, long)) tamper('canonical_line', 'the line is not canonical');
      else this.raw ||= !same(short, long) && same(bytes, short);
    }
    if (['_trace_id', 'run_id'].some((name) => receipt.has(name) && truth(receipt.get(name)) && str(receipt.get(name)) !== this.runID)) {
      tamper('run_id', 'another run than the attestation names');
    }
    const key = keyOf(receipt);
    if (this.key && !inOrder(this.key, key)) tamper('receipt_order', 'the receipts do not stand in their order');
    this.key = key;
    this.last = short;
    this.receipts.push(receipt);
  }

  // members judges what a receipt must have.
  members(receipt) {
    const filled = (name) => typeof receipt.get(name) === 'string' && receipt.get(name) !== '';
    const missing = ['receipt_id', 'type', 'timestamp'].find((name) => !filled(name));
    if (missing) this.breaks('E_SCHEMA_UNKNOWN', missing, 'missing, no text, or empty');
    if (filled('type') && !admitted(receipt.get('type'))) this.error('E_SCHEMA_UNKNOWN', 'type', 'a type that is not admitted');
    if (filled('timestamp') && !readable(receipt.get('timestamp'))) {
      this.breaks('E_TIMESTAMP_INVALID', 'timestamp', 'a timestamp that cannot be read');
    }
    const id = receipt.get('receipt_id');
    if (filled('receipt_id') && this.ids.has(id)) this.breaks('E_DUPLICATE_ID', 'receipt_id', 'a receipt before has this id');
    if (filled('receipt_id')) this.ids.add(id);
    if (!asciiNames(receipt)) this.breaks('E_CANON_MISMATCH', 'member_name', 'a name that is not ASCII');
  }
}

function asciiNames(v) {
  if (Array.isArray(v)) return v.every(asciiNames);
  return !isObject(v) || [...v].every(([name, value]) => /^[\x00-\x7f]*$/.test(name) && asciiNames(value));
}

// keyOf gives the three parts by which receipts are ordered (pack.md §3.1).
function keyOf(receipt) {
  const run = receipt.has('_trace_id') ? receipt.get('_trace_id') : receipt.get('run_id');
  return [run ?? '', receipt.has('seq') ? receipt.get('seq') : new Num('0'), receipt.get('receipt_id') ?? ''];
}

// inOrder tells whether key b may stand behind key a (PCK-7, PCK-8).
function inOrder(a, b) {
  const run = kindOf(a[0]) !== kindOf(b[0]) ? undefined : kindOf(a[0]) === 'text' ? byPoints(a[0], b[0]) : 0;
  if (run !== 0) return run !== undefined && run < 0;
  const seq = compare(a[1], b[1]);
  if (seq !== 0) return seq !== undefined && seq < 0;
  const id = compare(a[2], b[2]);
  return id !== undefined && id <= 0;
}

// checkReceipts judges the file: state is 'read', 'missing' or 'unread' (a link, no file). It gives the Reading.
export async function checkReceipts(manifest, state, bytes, converted, out) {
  const a = manifest.get('attestation');
  const reading = new Reading(a.get('run_id'), out, converted);
  if (state === 'read') {
    for (const { line, ended } of lines(bytes)) if (!reading.line(line, ended)) break;
  }
  if (reading.raw) out.warn('W_PORTABILITY', FILE, 'the reference verifier cuts lines at U+0085, U+2028 and U+2029');
  if (state === 'unread') return Object.assign(reading, { whole: false });
  const n = BigInt(reading.receipts.length);
  if (reading.whole && n !== manifest.get('receipt_count_expected').value) {
    out.error('E_PACK_OMISSION_DETECTED', 'receipt_count_expected', 'not the number of receipts');
  }
  const found = reading.broken || !reading.whole ? 'FAIL' : 'PASS';
  if (found !== a.get('receipt_integrity')) out.error('E_MANIFEST_TAMPER', 'receipt_integrity', `attested, and found ${found}`);
  reading.head = await H(reading.last ?? 'empty');
  if (reading.head !== a.get('head_hash')) out.error('E_MANIFEST_TAMPER', 'head_hash', 'not the digest of the last receipt');
  if (n > 0n && !rangeHolds(a, reading.receipts)) {
    out.error('E_MANIFEST_TAMPER', 'timestamp_range', 'not the timestamps of the receipts');
  }
  return reading;
}

// rangeHolds tells whether the attested times are the least and the greatest, or the first and the last (PCK-25).
function rangeHolds(a, receipts) {
  const times = receipts.map((r) => r.get('timestamp')).filter((t) => typeof t === 'string');
  if (times.length === 0) return false;
  let least = times[0], greatest = times[0];
  for (const t of times) {
    if (byPoints(t, least) < 0) least = t;
    if (byPoints(t, greatest) > 0) greatest = t;
  }
  const is = (start, end) => a.get('timestamp_start') === start && a.get('timestamp_end') === end;
  return is(least, greatest) || is(times[0], times.at(-1));
}
