// What members of objects must be. A table gives the check of each member; a name with ? may be absent. A value that is an
// object is a table itself.
import { Num } from './json.mjs';
import { instant } from './time.mjs';
import { isObject } from './values.mjs';

export const text = (v) => typeof v === 'string';
export const filled = (v) => text(v) && v !== '';
export const matches = (pattern) => (v) => text(v) && pattern.test(v);
export const one = (...words) => (v) => words.includes(v);
export const orNull = (check) => (v) => v === null || check(v);
export const identifier = matches(/^[\x20-\x7e]{1,256}$/);
export const hex64 = matches(/^[0-9a-f]{64}$/);
export const commit = matches(/^([0-9a-f]{40}|[0-9a-f]{64})$/);
export const version = matches(/^[A-Za-z0-9._-]{1,64}$/);
export const dateTime = (v) => instant(v) !== null;
export const count = (v) => v instanceof Num && /^(0|[1-9][0-9]*)$/.test(v.token) && v.value < 2n ** 53n;

// tableProblems compares an object with a table of checks.
export function tableProblems(v, table, path) {
  if (!isObject(v)) return [`${path}: expected an object`];
  const problems = [], known = new Set();
  for (const [key, check] of Object.entries(table)) {
    const name = key.replace('?', ''), value = v.get(name);
    known.add(name);
    if (value === undefined) {
      if (name === key) problems.push(`${path}: no ${name}`);
    } else if (typeof check === 'function') {
      if (!check(value)) problems.push(`${path}.${name}: not of its form`);
    } else if (!(value === null && key.endsWith('?'))) {
      problems.push(...tableProblems(value, check, `${path}.${name}`));
    }
  }
  for (const name of v.keys()) if (!known.has(name)) problems.push(`${path}: a member that is not known`);
  return problems;
}
