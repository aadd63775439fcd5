// Run cards: how they are read (docs/spec/claims.md §2) and hashed (§1), and ids that look like a built-in one
// (docs/spec/verify.md, Appendix A).
import { JSONError, bytesOf, canonical } from './json.mjs';
import { HC } from './hash.mjs';
import { BUILTIN } from './builtin.mjs';
import { OURS, usable } from './own_checks.mjs';
import { categoryOf } from './unicode.mjs';
import { isObject, printable } from './values.mjs';

// A card is { id, name, source, claims }: its claims as claim specifications, all five members written out.

const short = (v) => typeof v === 'string' && v !== '' && bytesOf(v).length <= 128 && printable(v);
const text = (v) => typeof v === 'string';
const onlyMembers = (v, ...names) => isObject(v) && [...v.keys()].every((name) => names.includes(name));

// specification gives a claim with its defaults, or null if a reader refuses it (CLM-3, CLM-6, CLM-7).
export function specification(claim) {
  if (!onlyMembers(claim, 'claim_id', 'description', 'check', 'params', 'severity', 'falsifier')) return null;
  const spec = new Map([['claim_id', claim.get('claim_id')], ['description', claim.has('description') ? claim.get('description') : ''],
    ['check', claim.get('check')], ['params', claim.has('params') ? claim.get('params') : new Map()],
    ['severity', claim.has('severity') ? claim.get('severity') : 'critical']]);
  const [id, description, check, params, severity] = [...spec.values()];
  if (!short(id) || !text(description) || !short(check) || !isObject(params) || !text(severity)) return null;
  if (check === 'coverage_contract' && leadsOut(params.get('contract_path'))) return null;
  const asked = ['critical', 'warning'].includes(severity.replace(/[A-Z]/g, (c) => c.toLowerCase()));
  if (asked && Object.hasOwn(OURS, check) && !usable(check, params)) return null;
  try {
    canonical(params);
  } catch (err) {
    if (err instanceof JSONError) return null;
    throw err;
  }
  return spec;
}

const leadsOut = (path) => typeof path === 'string' &&
  (/[\\:\0]/.test(path) || path.split('/').some((part) => part === '' || part === '.' || part === '..'));

// readCard gives a card, or null if a reader of cards refuses it. Fixtures are read over: no verdict depends on them.
export function readCard(v, source) {
  const known = ['card_id', 'name', 'description', 'rationale', 'control', 'claims', 'fixtures', 'stochastic', 'trials'];
  if (!onlyMembers(v, ...known) || !short(v.get('card_id')) || !short(v.get('name'))) return null;
  for (const name of ['description', 'rationale']) if (v.has(name) && !text(v.get(name))) return null;
  const control = v.get('control'), claims = v.get('claims');
  if (control !== undefined && !(Array.isArray(control) && control.length <= 256 && control.every(short))) return null;
  if (v.has('stochastic') && typeof v.get('stochastic') !== 'boolean') return null;
  if (v.has('trials') && !(v.get('trials')?.integer && v.get('trials').value >= 1n)) return null;
  if (v.get('stochastic') === true && v.get('trials')?.value > 1n) return null;
  if (!Array.isArray(claims) || claims.length < 1 || claims.length > 256) return null;
  const specs = claims.map(specification);
  if (specs.includes(null)) return null;
  const card = { id: v.get('card_id'), name: v.get('name'), source, claims: specs };
  const builtin = BUILTIN.find((b) => b.id === card.id);
  return builtin && hashOf([builtin]) !== hashOf([card]) ? null : card;
}

// hashOf gives the claim_set_hash of a list of cards (CLM-1).
export const hashOf = (cards) => HC(cards.flatMap((card) => card.claims));

const DRAWN = new Map(Object.entries({
  a: '\u0430\u0410\u03b1\u0391\u00e0\u00e1\u00e4', b: '\u0412\u0392', c: '\u0441\u0421\u00e7', d: '\u0501',
  e: '3\u0435\u0415\u0395\u00e8\u00e9\u00ea\u00eb', g: '\u0261', h: '\u04bb\u041d\u0397',
  i: '\u0456\u0406\u0131\u03b9\u0399\u00ec\u00ed\u00ef', j: '\u0458', k: '\u041a\u03ba\u039a', l: '1', m: '\u041c\u039c',
  n: '\u0578\u039d\u00f1', o: '0\u043e\u041e\u03bf\u039f\u0585\u00f2\u00f3\u00f6', p: '\u0440\u0420\u03c1\u03a1',
  s: '5\u0455\u0405', t: '7\u0422\u03c4\u03a4', u: '\u057d\u00f9\u00fa\u00fc', v: '\u03bd', x: '\u0445\u0425', y: '\u0443\u03a5',
}).flatMap(([letter, drawn]) => Array.from(drawn, (c) => [c, letter])));

function skeleton(id) {
  let out = '';
  for (let c of id) {
    const n = c.codePointAt(0);
    if (n >= 0xff21 && n <= 0xff3a) c = String.fromCharCode(n - 0xff21 + 97);
    else if (n >= 0xff41 && n <= 0xff5a) c = String.fromCharCode(n - 0xff41 + 97);
    else if (/[A-Z]/.test(c)) c = c.toLowerCase();
    c = DRAWN.get(c) ?? c;
    if (/^[0-9./]$/.test(c) || categoryOf(c.codePointAt(0))[0] === 'L') out += c;
  }
  return out.replace(/rn|vv|cl/g, (two) => ({ rn: 'm', vv: 'w', cl: 'd' })[two]);
}

// near tells whether two texts differ by at most one edit; two neighbours swapped are one.
function near(a, b) {
  const x = Array.from(a), y = Array.from(b);
  if (x.length > y.length) return near(b, a);
  let start = 0, end = 0;
  while (start < x.length && x[start] === y[start]) start++;
  while (end < x.length - start && x.at(-1 - end) === y.at(-1 - end)) end++;
  const [p, q] = [x.slice(start, x.length - end), y.slice(start, y.length - end)];
  if (q.length <= 1) return true;
  return p.length === 2 && q.length === 2 && p[0] === q[1] && p[1] === q[0];
}

const RESERVED = ['assay', 'builtin', 'core', 'standard', 'default', 'official', 'system'];

// looksBuiltIn tells whether an id looks like that of a built-in card, and is another.
export function looksBuiltIn(id) {
  if (BUILTIN.some((b) => b.id === id)) return false;
  const own = skeleton(id);
  return BUILTIN.some((b) => {
    const theirs = skeleton(b.id), at = own.indexOf(theirs);
    if (near(own, theirs)) return true;
    return at >= 0 && !namespace(own.slice(0, at));
  });
}

function namespace(before) {
  if (!/.[./]$/u.test(before)) return false;
  const name = before.slice(0, -1).replaceAll('/', '.');
  return !RESERVED.some((word) => near(name, skeleton(word)));
}
