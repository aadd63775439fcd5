// The two kinds of times: date-times of a manifest (docs/spec/pack.md §2), which are instants, and timestamps of
// receipts (docs/spec/receipts.md §3), which need only be readable.
import { bytesOf } from './json.mjs';

const DATETIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/;
export const SECOND = 1_000_000_000n;

// daysOf gives the days since 1970 of a day that is real, else null.
function daysOf(year, month, day) {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return year >= 1 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() / 86_400_000 : null;
}

// instant gives the nanoseconds since 1970 of a date-time (PCK-4), as a BigInt, else null.
export function instant(text, limit = 64) {
  const m = typeof text === 'string' && bytesOf(text).length <= limit ? DATETIME.exec(text) : null;
  if (!m) return null;
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number);
  const days = daysOf(year, month, day);
  if (days === null || hour > 23 || minute > 59 || second > 59) return null;
  let offset = 0;
  if (m[8] !== 'Z') {
    const [h, min] = [Number(m[8].slice(1, 3)), Number(m[8].slice(4))];
    if (h > 23 || min > 59) return null;
    offset = (m[8][0] === '-' ? -1 : 1) * (h * 3600 + min * 60);
  }
  const seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
  return BigInt(seconds) * SECOND + BigInt((m[7] ?? '').padEnd(9, '0').slice(0, 9));
}

// spell writes an instant as a date-time, with as much of a fraction as it has.
export function spell(instant) {
  const text = new Date(Number((instant - (((instant % SECOND) + SECOND) % SECOND)) / 1_000_000n)).toISOString().slice(0, 19);
  const fraction = String(((instant % SECOND) + SECOND) % SECOND).padStart(9, '0').replace(/0+$/, '');
  return `${text}${fraction && `.${fraction}`}Z`;
}

// fromClock gives the instant of a moment of the machine's clock, in milliseconds.
export const fromClock = (ms) => BigInt(ms) * 1_000_000n;

export const HOURS_24 = 86_400n * SECOND;

// hours gives so many hours in nanoseconds.
export const hours = (h) => BigInt(Math.round(h * 3600e3)) * 1_000_000n;

const digits = (chars, from, n) => {
  const text = chars.slice(from, from + n).join('');
  return text.length === n && /^[0-9]+$/.test(text) ? Number(text) : null;
};

const USUAL = /^(\d{4}-\d\d-\d\d)T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
let day = ''; // the last day that was real: most receipts of a run are of one

// readable tells whether a timestamp of a receipt can be read (RCP-7).
export function readable(text) {
  const usual = USUAL.exec(text);
  if (usual) return usual[1] === day || (realDate(usual[1]) && ((day = usual[1]), true));
  if (bytesOf(text).length > 256 || text.includes('\0')) return false;
  const chars = Array.from(text.replaceAll('Z', '+00:00'));
  if (chars.length < 7) return false;
  const n = dateLength(chars);
  if (!realDate(chars.slice(0, n).join(''))) return false;
  const clock = bytesOf(chars.slice(n + 1).join(''));
  return chars.length === n || realClock(Array.from(clock, (b) => String.fromCharCode(b)));
}

function dateLength(c) {
  const isDigit = (x) => x !== undefined && /^[0-9]$/.test(x);
  if (c.length === 7) return 7;
  if (c[4] === '-') {
    if (c[5] !== 'W') return 10;
    return c.length === 8 || c[8] !== '-' || (c.length > 10 && isDigit(c[10])) ? 8 : 10;
  }
  if (c[4] !== 'W') return 8;
  let e = 7;
  while (isDigit(c[e])) e++;
  return e < 9 ? e : 7 + (e % 2);
}

function realDate(text) {
  const plain = /^(\d{4})-(\d\d)-(\d\d)$|^(\d{4})(\d\d)(\d\d)$/.exec(text);
  if (plain) {
    const [year, month, day] = plain.slice(1).filter((x) => x !== undefined).map(Number);
    return daysOf(year, month, day) !== null;
  }
  const week = /^(\d{4})(?:-W(\d\d)(?:-(\d))?|W(\d\d)(\d)?)$/.exec(text);
  if (!week) return false;
  return realWeek(Number(week[1]), Number(week[2] ?? week[4]), Number(week[3] ?? week[5] ?? 1));
}

// realWeek tells whether there is such a day of ISO 8601; week 1 is the one with January 4th.
function realWeek(year, week, day) {
  if (year < 1 || week < 1 || week > 53 || day < 1 || day > 7) return false;
  const monday = (y) => {
    const fourth = new Date(0);
    fourth.setUTCFullYear(y, 0, 4);
    const days = fourth.getTime() / 86_400_000;
    return days - ((fourth.getUTCDay() + 6) % 7);
  };
  const first = monday(year), here = first + (week - 1) * 7 + day - 1;
  if (first + (week - 1) * 7 >= monday(year + 1)) return false;
  const found = new Date(here * 86_400_000).getUTCFullYear();
  return found >= 1 && found <= 9999;
}

function realClock(chars) {
  const sign = chars.findIndex((c) => c === '+' || c === '-');
  const clock = fields(sign < 0 ? chars : chars.slice(0, sign));
  if (!clock || clock.hour > 23 || clock.minute > 59 || clock.second > 59) return false;
  if (sign < 0) return clock.left === 0;
  const offset = fields(chars.slice(sign + 1));
  return offset !== null && offset.left === 0 && offset.hour * 3600 + offset.minute * 60 + offset.second < 86_400;
}

// fields reads hour, minute, second and fraction (RCP-7, 6 and 7); left is how many characters are left over.
function fields(c) {
  const found = { hour: 0, minute: 0, second: 0, left: 0 };
  let at = 0, colon = false;
  for (const name of ['hour', 'minute', 'second']) {
    const value = digits(c, at, 2);
    if (value === null) return null;
    found[name] = value;
    at += 2;
    found.left = c.length - at;
    if (found.left <= 1) return found;
    if (name === 'hour') colon = c[at] === ':';
    if (c[at] === '.' || c[at] === ',') {
      at++;
      break;
    }
    if (colon && c[at] !== ':') return null;
    if (colon) at++;
  }
  const fraction = Math.min(6, c.length - at);
  if (digits(c, at, fraction) === null) return null;
  for (at += fraction; digits(c, at, 1) !== null; ) at++;
  found.left = c.length - at;
  return found;
}
