// Step 4: the receipts, line by line, and what is attested of them: docs/spec/verify.md §7.
//
// The file may have 4 GiB, so it is read once, in pieces, and what is found in it waits until its digest is known.
import { JSONError, Num, byPoints, canonical, decode, parse, parseText } from './json.mjs';
import { H, hex } from './hash.mjs';
import { own } from './kept.mjs';
import { Sha256 } from './sha256.mjs';
import { readable } from './time.mjs';
import { compare, isObject, kindOf, str, textOf, truth } from './values.mjs';

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

const LF = 0x0a, CR = 0x0d;
const EMPTY = new Uint8Array();
const LINE_ENDS = /[\u0085\u2028\u2029]/;
const ASCII = /^[\x00-\x7f]*$/;
const ZERO = new Num('0');

// Sum takes the digest of a file, and the one that it would have without the carriage returns before its line feeds.
class Sum {
  constructor() {
    Object.assign(this, { whole: new Sha256(), unix: null, held: false, length: 0 });
  }

  update(bytes) {
    this.length += bytes.length;
    if (this.unix === null && !bytes.includes(CR)) return void this.whole.update(bytes);
    this.unix ??= this.whole.clone();
    this.whole.update(bytes);
    const out = new Uint8Array(bytes.length + 1);
    let n = 0;
    for (const b of bytes) {
      if (this.held && b !== LF) out[n++] = CR;
      this.held = b === CR;
      if (!this.held) out[n++] = b;
    }
    this.unix.update(out.subarray(0, n));
  }

  // end gives both digests in hex; they are one where no carriage return was seen.
  end() {
    const whole = hex(this.whole.digest());
    if (this.unix && this.held) this.unix.update(Uint8Array.of(CR));
    return { whole, unix: this.unix ? hex(this.unix.digest()) : whole };
  }
}

// Reading is what was found in the lines: the receipts that were kept, how many there were, how many are about the run
// itself, whether all were read, and whether one breaks the integrity.
class Reading {
  constructor(runID, keep, each) {
    Object.assign(this, { runID, keep, each, receipts: [], count: 0, about: 0, whole: true, broken: false, last: null, raw: false });
    Object.assign(this, { ids: new Set(), rest: EMPTY, held: [], weights: { canonical_line: 0, other: 0 }, times: null });
  }

  // take reads the next bytes of the file, of which it keeps none.
  take(bytes) {
    let start = 0;
    for (let end; this.whole && (end = bytes.indexOf(LF, start)) >= 0; start = end + 1) {
      const line = this.rest.length === 0 ? bytes.subarray(start, end) : this.rested(bytes.subarray(start, end));
      this.rest = EMPTY;
      this.line(line, true);
    }
    if (!this.whole || start === bytes.length) return;
    this.rest = this.rested(bytes.subarray(start));
    if (this.rest.length > LINE) this.line(this.rest, false);
  }

  rested(bytes) {
    const line = new Uint8Array(this.rest.length + bytes.length);
    line.set(this.rest);
    line.set(bytes, this.rest.length);
    return line;
  }

  // end is told behind the last byte.
  end() {
    if (this.whole && this.rest.length > 0) this.line(this.rest, false);
    this.rest = EMPTY;
  }

  // error keeps a finding for tell. Of canonical_line, which may be left out, and of the others as many as can be told.
  error(code, field, message) {
    const weight = field === 'canonical_line' ? field : 'other';
    if (this.weights[weight]++ <= 100) this.held.push([code, field, message, this.count]);
  }

  // tell gives away what was found.
  tell(out, converted) {
    for (const finding of this.held) if (!converted || finding[1] !== 'canonical_line') out.error(...finding);
    if (this.raw && !converted) out.warn('W_PORTABILITY', FILE, 'the reference verifier cuts lines at U+0085, U+2028 and U+2029');
  }

  breaks(code, field, message) {
    this.broken = true;
    this.error(code, field, message);
  }

  // line judges one line; one that cannot be read ends the reading (VFY-18).
  line(bytes, ended) {
    const stop = (code, message) => {
      this.whole = false;
      this.error(code, FILE, message);
    };
    if (this.count === LINES) return stop('E_MANIFEST_TAMPER', 'too many receipts');
    if (bytes.length > LINE) return stop('E_MANIFEST_TAMPER', 'a line that is too long');
    if (!ended) return stop('E_MANIFEST_TAMPER', 'the file ends without a line feed');
    const text = decode(bytes);
    let receipt, short;
    try {
      receipt = text === null || text[0] === '\ufeff' ? parse(bytes) : parseText(text);
      short = canonical(receipt);
    } catch (err) {
      if (!(err instanceof JSONError)) throw err;
      return stop(codeOf(err), err.message);
    }
    if (!isObject(receipt)) return stop('E_MANIFEST_TAMPER', 'a line that is no object');
    this.receipt(receipt, text, short);
  }

  receipt(receipt, text, short) {
    this.members(receipt, short);
    const tamper = (field, message) => this.error('E_MANIFEST_TAMPER', field, message);
    if (DROPPED.some((name) => receipt.has(name))) tamper('canonical_line', 'a member that a builder drops');
    if (text === short) this.raw ||= LINE_ENDS.test(short);
    else if (text !== canonical(receipt, true)) tamper('canonical_line', 'the line is not canonical');
    if (['_trace_id', 'run_id'].some((name) => receipt.has(name) && truth(receipt.get(name)) && str(receipt.get(name)) !== this.runID)) {
      tamper('run_id', 'another run than the attestation names');
    }
    const key = keyOf(receipt);
    if (this.key && !inOrder(this.key, key)) tamper('receipt_order', 'the receipts do not stand in their order');
    this.key = key;
    this.last = short;
    if (filled(receipt.get('timestamp'))) this.time(own(receipt.get('timestamp')));
    const kept = this.keep(receipt);
    if (kept) this.receipts.push(kept);
    this.each?.(receipt, this.count);
    this.count++;
    if (aboutRun(receipt)) this.about++;
  }

  // time keeps the first, the last, the least and the greatest timestamp.
  time(t) {
    const times = (this.times ??= { first: t, last: t, least: t, greatest: t });
    times.last = t;
    if (byPoints(t, times.least) < 0) times.least = t;
    if (byPoints(t, times.greatest) > 0) times.greatest = t;
  }

  // members judges what a receipt must have.
  members(receipt, short) {
    const missing = ['receipt_id', 'type', 'timestamp'].find((name) => !filled(receipt.get(name)));
    if (missing) this.breaks('E_SCHEMA_UNKNOWN', missing, 'missing, no text, or empty');
    const [id, type, timestamp] = [receipt.get('receipt_id'), receipt.get('type'), receipt.get('timestamp')];
    if (filled(type) && !admitted(type)) this.error('E_SCHEMA_UNKNOWN', 'type', 'a type that is not admitted');
    if (filled(timestamp) && !readable(timestamp)) {
      this.breaks('E_TIMESTAMP_INVALID', 'timestamp', 'a timestamp that cannot be read');
    }
    if (filled(id)) {
      const known = this.ids.size;
      this.ids.add(id.length <= 64 ? own(id) : `#${H(id)}`);
      if (this.ids.size === known) this.breaks('E_DUPLICATE_ID', 'receipt_id', 'a receipt before has this id');
    }
    if (!ASCII.test(short) && !asciiNames(receipt)) this.breaks('E_CANON_MISMATCH', 'member_name', 'a name that is not ASCII');
  }
}

// aboutRun tells whether a receipt is about the run itself (RCP-15).
const aboutRun = (r) => r.get('recorded_by') === 'assay run' && ['session_metadata', 'assay.breakglass/v1'].includes(r.get('type'));

const filled = (v) => typeof v === 'string' && v !== '';

function asciiNames(v) {
  if (Array.isArray(v)) return v.every(asciiNames);
  return !isObject(v) || [...v].every(([name, value]) => ASCII.test(name) && asciiNames(value));
}

// keyOf gives the three parts by which receipts are ordered (pack.md §3.1).
function keyOf(receipt) {
  const run = receipt.has('_trace_id') ? receipt.get('_trace_id') : receipt.get('run_id');
  return [run ?? '', receipt.has('seq') ? receipt.get('seq') : ZERO, textOf(receipt, 'receipt_id') ?? ''];
}

// inOrder tells whether key b may stand behind key a (PCK-7, PCK-8).
function inOrder(a, b) {
  const kind = (v) => (typeof v === 'boolean' ? 'boolean' : kindOf(v)); // of a first part, where true is no number
  const run = kind(a[0]) !== kind(b[0]) ? undefined : kind(a[0]) === 'text' ? byPoints(a[0], b[0]) : 0;
  if (run !== 0) return run !== undefined && run < 0;
  const seq = compare(a[1], b[1]);
  if (seq !== 0) return seq !== undefined && seq < 0;
  const id = compare(a[2], b[2]);
  return id !== undefined && id <= 0;
}

// readReceipts reads the file of an entry. keep gives what is kept of a receipt for its claims, null for nothing; each is
// told every receipt, before anything is known to be good.
export async function readReceipts(entry, runID, limit, keep, each) {
  const reading = new Reading(runID, keep, each), unread = () => Object.assign(new Reading(runID), { whole: false });
  if (entry?.kind !== 'file') return entry ? unread() : reading;
  const sum = new Sum();
  for await (const bytes of entry.chunks ?? [entry.bytes]) {
    sum.update(bytes);
    if (sum.length > limit) return Object.assign(unread(), { long: true });
    reading.take(bytes);
  }
  reading.end();
  return Object.assign(reading, { length: sum.length, digests: sum.end() });
}

// checkReceipts tells what was found, and judges what is attested of it.
export function checkReceipts(manifest, reading, converted, out) {
  const a = manifest.get('attestation');
  reading.tell(out, converted && reading.whole);
  reading.head = H(reading.last ?? 'empty');
  const n = BigInt(reading.count);
  if (reading.whole && n !== manifest.get('receipt_count_expected').value) {
    out.error('E_PACK_OMISSION_DETECTED', 'receipt_count_expected', 'not the number of receipts');
  }
  const found = reading.broken || !reading.whole ? 'FAIL' : 'PASS';
  if (found !== a.get('receipt_integrity')) out.error('E_MANIFEST_TAMPER', 'receipt_integrity', `attested, and found ${found}`);
  if (reading.head !== a.get('head_hash')) out.error('E_MANIFEST_TAMPER', 'head_hash', 'not the digest of the last receipt');
  if (n > 0n && !rangeHolds(a, reading.times)) {
    out.error('E_MANIFEST_TAMPER', 'timestamp_range', 'not the timestamps of the receipts');
  }
}

// rangeHolds tells whether the attested times are the least and the greatest, or the first and the last (PCK-25).
function rangeHolds(a, times) {
  const is = (start, end) => a.get('timestamp_start') === start && a.get('timestamp_end') === end;
  return times !== null && (is(times.least, times.greatest) || is(times.first, times.last));
}
