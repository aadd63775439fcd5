// How a receipt says that what it records ended: docs/spec/claims.md §6.7.
import { Num, bytesOf } from './json.mjs';
import { isObject, truth } from './values.mjs';

const set = (text) => new Set(text.split(' '));
const NO = set('false no none null 0 f n off nil undefined unsuccessful');
const YES = set('true yes ok okay 1 t y on success successful succeeded pass passed done complete completed');
const BAD = set('error errors errored err failed failure fail exception timeout timedout crashed aborted fatal panic panicked unsuccessful');
const ENDS = [...set('error errors failed failure exception timeout timedout')];
const FLAGS = set('error errors errormessage errortype errorcode exception iserror haserror resultiserror failed');
const STATUS = set('finishreason outcome status');
const CODES = set('statuscode httpstatus httpstatuscode httpcode responsecode responsestatus');
const GOOD = set('success succeeded successful ok');
const SPACE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const AROUND = new RegExp(`^${SPACE}+|${SPACE}+$`, 'g');

const lower = (text) => text.replace(/[A-Z]/g, (c) => c.toLowerCase());

// plainWord: see the page. More than 32 bytes are no word; a unit of UTF-16 has at most three.
function plainWord(text) {
  const word = lower(text.replace(/[_\-. \t-\r]/g, ''));
  return word.length > 32 || (word.length > 10 && bytesOf(word).length > 32) ? '' : word;
}

// The names of members come again in each receipt, so their words are kept.
const words = new Map();

function wordOf(name) {
  let word = words.get(name);
  if (word === undefined) {
    word = plainWord(name);
    if (words.size < 1000) words.set(name, word);
  }
  return word;
}

// outcomeOf gives 'failed', 'malformed' or 'fine' for a receipt: the gravest that a member says. One of which parts were
// kept has it with it.
export function outcomeOf(receipt) {
  if (receipt.outcome) return receipt.outcome;
  const said = [];
  for (const [name, value] of receipt) said.push(saidBy(name, value));
  return gravest(said);
}

const gravest = (list) => (list.includes('failed') ? 'failed' : list.includes('malformed') ? 'malformed' : 'fine');

function saidBy(name, v) {
  if (name === 'error' && truth(v)) return 'failed';
  const word = wordOf(name), no = () => typeof v === 'string' && NO.has(plainWord(v));
  if (FLAGS.has(word)) return name !== 'error' && truth(v) && !no() ? 'failed' : 'fine';
  if (STATUS.has(word)) return statusOf(v, 'fine', 1);
  if (CODES.has(word)) return statusOf(v, 'malformed', 1);
  if (!GOOD.has(word) || v === null) return 'fine';
  if (!truth(v) || no() || (typeof v === 'string' && statusOf(v, 'fine', 1) === 'failed')) return 'failed';
  const yes = v === true || (v instanceof Num && v.value > 0) || (typeof v === 'string' && YES.has(plainWord(v)));
  return yes ? 'fine' : 'malformed';
}

// statusOf reads a status or a status code; otherwise is what says nothing known.
function statusOf(v, otherwise, level) {
  if (v === null || v === true) return 'fine';
  if (v === false) return 'failed';
  if (v instanceof Num) return ofNumber(v.value, otherwise);
  if (isObject(v)) return v.size > 0 ? 'malformed' : 'fine';
  if (!Array.isArray(v)) return ofText(v, otherwise);
  if (level > 3) return v.length > 0 ? 'malformed' : 'fine';
  return gravest(v.map((item) => statusOf(item, otherwise, level + 1)));
}

const ofNumber = (n, otherwise) => (n >= 400 ? 'failed' : n < 0 ? otherwise : 'fine');

function ofText(text, otherwise) {
  const word = plainWord(text), first = lower(/^[\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]*([A-Za-z]+)/.exec(text)?.[1] ?? '');
  const ends = ENDS.some((end) => word.endsWith(end)) && !word.startsWith('no') && first !== 'no' && first !== 'not';
  if (BAD.has(word) || BAD.has(first) || ends) return 'failed';
  const inner = text.replace(AROUND, '');
  if (inner === '') return otherwise;
  const n = bytesOf(text).length <= 64 ? readNumeral(inner) : null;
  if (n !== null) return Number.isNaN(n) ? 'failed' : ofNumber(n, otherwise);
  const head = lower(String.fromCharCode(...bytesOf(text).subarray(0, 64)));
  const digits = /^[ \t\r\n+(["']*(?:http\/1\.1|http)?[/:_\- ]*([0-9]{3,})/.exec(head);
  if (digits) return BigInt(digits[1]) >= 400n ? 'failed' : 'fine';
  return YES.has(word) ? 'fine' : otherwise;
}

const DIGITS = '[0-9](?:_?[0-9])*', HEX = '[0-9a-f](?:_?[0-9a-f])*';
const DECIMAL = new RegExp(`^[+-]?(?:${DIGITS}\\.?(?:${DIGITS})?|\\.${DIGITS})(?:e[+-]?${DIGITS})?$`);
const HEXADECIMAL = new RegExp(`^([+-]?)0x_?(${HEX})?(?:\\.(${HEX})?)?p([+-]?${DIGITS})$`);

// readNumeral gives the value of a numeral, null of another text.
export function readNumeral(text) {
  const word = lower(text), plain = word.replaceAll('_', '');
  if (/^[+-]?inf(inity)?$/.test(word)) return word[0] === '-' ? -Infinity : Infinity;
  if (word === 'nan') return NaN;
  if (DECIMAL.test(word)) return Number(plain);
  if (!HEXADECIMAL.test(word)) return null;
  const [, sign, whole = '', part = '', exponent] = HEXADECIMAL.exec(plain);
  if (whole + part === '') return null;
  return Number(BigInt(`0x${whole}${part}`)) * 2 ** (Number(exponent) - 4 * part.length) * (sign === '-' ? -1 : 1);
}
