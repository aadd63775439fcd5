// Certificates of timestamp authorities, as far as docs/spec/ledger.md §9 asks: RFC 5280 without names and revocation.
// Signatures are those of WebCrypto; what it cannot check is not checked here.
import { Bad, NotHere, must } from './notes.mjs';
import { BITS, BOOLEAN, GENERAL_TIME, INTEGER, NULL, OCTETS, OID, SEQUENCE, SET, UTC_TIME } from './der.mjs';
import { Fields, bits, context, dateTime, elements, integer, oid, only, truth } from './der.mjs';
import { base64, join, same } from './hash.mjs';
import { byteText, decode } from './json.mjs';
import { verify as verifyEd25519 } from './ed25519.mjs';
import { instant } from './time.mjs';

export const HASHES = { '2.16.840.1.101.3.4.2.1': 'SHA-256', '2.16.840.1.101.3.4.2.2': 'SHA-384', '2.16.840.1.101.3.4.2.3': 'SHA-512' };
const SIZES = { 'SHA-1': 20, 'SHA-256': 32, 'SHA-384': 48, 'SHA-512': 64 };
export const RSA = '1.2.840.113549.1.1.1';
export const PSS = '1.2.840.113549.1.1.10';

// SIGNATURES are the algorithms that name their hash.
export const SIGNATURES = {
  '1.2.840.113549.1.1.11': ['RSA', 'SHA-256'], '1.2.840.113549.1.1.12': ['RSA', 'SHA-384'], '1.2.840.113549.1.1.13': ['RSA', 'SHA-512'],
  '1.2.840.10045.4.3.2': ['ECDSA', 'SHA-256'], '1.2.840.10045.4.3.3': ['ECDSA', 'SHA-384'], '1.2.840.10045.4.3.4': ['ECDSA', 'SHA-512'],
  '1.3.101.112': ['Ed25519', 'SHA-512'],
};
const CURVES = { '1.2.840.10045.3.1.7': ['P-256', 32], '1.3.132.0.34': ['P-384', 48], '1.3.132.0.35': ['P-521', 66] };

// algorithm reads an AlgorithmIdentifier: its identifier, and its parameters as an element or null.
export function algorithm(fields) {
  const id = oid(fields.take(OID)), parameters = fields.rest.shift() ?? null;
  fields.end();
  return { id, parameters };
}

// plain reads an AlgorithmIdentifier whose parameters, if there are any, are NULL.
export function plain(fields) {
  const { id, parameters } = algorithm(fields);
  must(parameters === null || (parameters.tag === NULL && parameters.body.length === 0), 'parameters that an algorithm does not have');
  return id;
}

// readKey reads a SubjectPublicKeyInfo; kind is null for a key of which nothing more is known here.
function readKey(element) {
  const fields = new Fields(element.body), { id, parameters } = algorithm(fields.in(SEQUENCE)), value = bits(fields.take(BITS));
  fields.end();
  const key = { kind: null, spki: element.bytes, size: 0, length: 0, value: value.bytes };
  if (id === RSA) {
    must(parameters?.tag === NULL && parameters.body.length === 0, 'an RSA key without its NULL');
    const numbers = new Fields(only(value.bytes, SEQUENCE).body), n = numbers.take(INTEGER), e = integer(numbers.take(INTEGER));
    numbers.end();
    must(integer(n) > 0n && e > 0n, 'an RSA key that is none');
    const whole = n.body[0] === 0 ? n.body.subarray(1) : n.body;
    Object.assign(key, { kind: 'RSA', size: 8 * whole.length - Math.clz32(whole[0]) + 24 });
  } else if (id === '1.2.840.10045.2.1' && parameters?.tag === OID) {
    const [curve, length] = CURVES[oid(parameters)] ?? [];
    if (curve) {
      must(value.bytes.length === 1 + 2 * length && value.bytes[0] === 4, 'a point of another form');
      Object.assign(key, { kind: 'ECDSA', curve, length, size: 8 * length });
    }
  } else if (id === '1.3.101.112' && value.bytes.length === 32) key.kind = 'Ed25519';
  return key;
}

// signed tells whether a key signed a message, by an algorithm of SIGNATURES or RSASSA-PSS.
export async function signed(key, [kind, hash], message, signature) {
  if (key.kind === null) throw new NotHere('a key that is not known here');
  if (key.kind !== (kind === 'PSS' ? 'RSA' : kind)) return false;
  if (kind === 'Ed25519') return verifyEd25519(key.value, message, signature);
  const name = { RSA: 'RSASSA-PKCS1-v1_5', PSS: 'RSA-PSS', ECDSA: 'ECDSA' }[kind];
  const raw = kind === 'ECDSA' ? fixed(signature, key.length) : signature;
  if (raw === null) return false;
  const { subtle } = globalThis.crypto;
  let imported;
  try {
    imported = await subtle.importKey('spki', key.spki, { name, hash, namedCurve: key.curve }, false, ['verify']);
  } catch (err) {
    if (err.name === 'DataError') return false; // a key that is none, such as a point that is not on its curve
    throw new NotHere(`this browser does not know ${name} with such a key`);
  }
  return subtle.verify({ name, hash, saltLength: SIZES[hash] }, imported, raw, message);
}

// fixed gives the two numbers of an ECDSA signature in so many bytes each, null if they are not in DER.
function fixed(signature, length) {
  try {
    const numbers = new Fields(only(signature, SEQUENCE).body), out = [numbers.take(INTEGER), numbers.take(INTEGER)].map((element) => {
      must(integer(element) > 0n, 'a number that is not positive');
      const body = element.body[0] === 0 ? element.body.subarray(1) : element.body;
      must(body.length <= length, 'a number that is too large');
      return join(new Uint8Array(length - body.length), body);
    });
    numbers.end();
    return join(...out);
  } catch (err) {
    if (err instanceof Bad) return null;
    throw err;
  }
}

// maybeCertificate gives null where readCertificate throws.
export function maybeCertificate(der) {
  try {
    return readCertificate(der);
  } catch (err) {
    if (err instanceof Bad) return null;
    throw err;
  }
}

// readCertificate reads what is asked of a certificate.
function readCertificate(der) {
  const outer = new Fields(only(der, SEQUENCE).body), tbs = outer.take(SEQUENCE), by = outer.take(SEQUENCE), signature = bits(outer.take(BITS));
  outer.end();
  const inner = new Fields(tbs.body), version = inner.maybe(context(0));
  const c = { der, tbs: tbs.bytes, version: version ? Number(integer(only(version.body, INTEGER))) + 1 : 1, extensions: new Map(), signature: signature.bytes };
  c.serial = integer(inner.take(INTEGER));
  must(same(inner.take(SEQUENCE).bytes, by.bytes) && signature.unused === 0, 'a certificate with two signature algorithms');
  c.algorithm = algorithm(new Fields(by.body));
  c.issuer = readName(inner.take(SEQUENCE));
  const validity = inner.in(SEQUENCE), [start, end] = [0, 1].map(() => instant(dateTime(validity.take(UTC_TIME, GENERAL_TIME))));
  validity.end();
  must(start !== null && end !== null, 'a certificate without its times');
  c.subject = readName(inner.take(SEQUENCE));
  c.key = readKey(inner.take(SEQUENCE));
  for (const n of [1, 2]) inner.maybe(context(n, false));
  const extensions = inner.maybe(context(3));
  inner.end();
  must(c.version >= 1 && c.version <= 3 && (c.version === 3 || !extensions), 'a certificate of another version');
  for (const element of extensions ? elements(only(extensions.body, SEQUENCE).body) : []) readExtension(c, element);
  return Object.assign(c, { start, end }, known(c));
}

// readName gives the bytes of a name, which are all that is compared.
function readName({ body, bytes }) {
  for (const set of elements(body)) {
    must(set.tag === SET, 'a name that is none');
    for (const part of elements(set.body)) {
      const fields = new Fields(part.body);
      must(part.tag === SEQUENCE, 'a name that is none');
      oid(fields.take(OID));
      must(fields.rest.length === 1, 'a name that is none');
    }
  }
  return bytes;
}

function readExtension(c, element) {
  must(element.tag === SEQUENCE, 'an extension that is none');
  const fields = new Fields(element.body), id = oid(fields.take(OID)), critical = truth(fields.maybe(BOOLEAN)), value = fields.take(OCTETS).body;
  fields.end();
  must(!c.extensions.has(id), 'an extension that stands twice');
  c.extensions.set(id, { critical, value });
}

const SUBJECTS = '2.5.29.17'; // other names of the subject
const CONSTRAINTS = '2.5.29.19', USAGE = '2.5.29.15', PURPOSE = '2.5.29.37', NAMES = '2.5.29.30';
// KNOWN are the extensions that may be critical: those that are read here, and those that say nothing of the chain.
const KNOWN = [CONSTRAINTS, USAGE, PURPOSE, '2.5.29.14', '2.5.29.35', '2.5.29.31', '2.5.29.32', '1.3.6.1.5.5.7.1.1', NAMES];
const POLICIES = ['2.5.29.33', '2.5.29.36', '2.5.29.54'];

// known reads the extensions that count.
function known({ extensions }) {
  const value = (id) => extensions.get(id)?.value, out = { ca: false, constrained: extensions.has(CONSTRAINTS), path: null, usage: null, purposes: null };
  if (out.constrained) {
    const fields = new Fields(only(value(CONSTRAINTS), SEQUENCE).body), ca = truth(fields.maybe(BOOLEAN)), path = fields.maybe(INTEGER);
    fields.end();
    Object.assign(out, { ca, path: path && integer(path) });
  }
  // The first bit of a key usage is the highest one of its first byte.
  if (extensions.has(USAGE)) out.usage = bits(only(value(USAGE), BITS)).bytes.reduce((sum, b, i) => sum | (reversed(b) << (8 * i)), 0);
  if (extensions.has(PURPOSE)) {
    out.purposes = elements(only(value(PURPOSE), SEQUENCE).body).map((e) => oid(e.tag === OID ? e : only(new Uint8Array(), OID)));
    must(out.purposes.length > 0, 'a key usage that is empty');
  }
  return out;
}

const reversed = (b) => Array.from({ length: 8 }, (_, i) => ((b >> i) & 1) << (7 - i)).reduce((sum, bit) => sum | bit, 0);

export const SIGNS = 1 | 2; // digitalSignature and nonRepudiation
const SIGNS_CERTIFICATES = 1 << 5;
export const STAMPS = '1.3.6.1.5.5.7.3.8';

// strong tells whether a key may be used (ENT-53).
export const strong = ({ kind, size }) => (kind === 'RSA' && size >= 2048 && size <= 8192) || (kind === 'ECDSA' && size >= 256);

// chains tells whether a certificate leads to a root over others, all of them valid at a time (ENT-54).
export async function chains(leaf, others, roots, at) {
  const search = { others: others.filter((c) => strong(c.key)), roots, at, left: 100, notHere: null };
  if (await leads([leaf], search)) return true;
  if (search.notHere) throw search.notHere;
  return false;
}

async function leads(chain, search) {
  const c = chain.at(-1);
  if (!usable(c, chain, search)) return false;
  if (search.roots.some((root) => same(root.der, c.der))) return whole(chain, search);
  for (const parent of [...search.roots, ...search.others]) {
    if (!same(parent.subject, c.issuer) || chain.some((x) => same(x.der, parent.der)) || search.left-- <= 0) continue;
    if (!mayIssue(parent, search) || !(await issued(parent, c, search))) continue;
    if (await leads([...chain, parent], search)) return true;
  }
  return false;
}

// usable tells whether a certificate may stand where it stands in a chain.
function usable(c, chain, { at }) {
  if (at < c.start || at > c.end) return false;
  if ([...c.extensions].some(([id, { critical, value }]) => critical && !understood(id, value))) return false;
  return chain.length === 1 || c.path === null || BigInt(chain.length - 2) <= c.path;
}

// understood tells whether a critical extension is; other names are if one of them is of a kind that is usual.
function understood(id, value) {
  if (id === SUBJECTS) return elements(only(value, SEQUENCE).body).some(({ tag }) => [0x81, 0x82, 0x86, 0x87].includes(tag));
  return KNOWN.includes(id) || POLICIES.includes(id);
}

// mayIssue tells whether a certificate is of a CA; one of version 1 cannot say so.
const mayIssue = (c, { roots }) => (c.ca || (c.version < 3 && roots.includes(c))) && (c.usage === null || (c.usage & SIGNS_CERTIFICATES) !== 0);

async function issued(parent, c, search) {
  const by = c.algorithm.id === PSS ? pssOf(c.algorithm.parameters) : SIGNATURES[c.algorithm.id];
  try {
    return by !== undefined && (await signed(parent.key, by, c.tbs, c.signature));
  } catch (err) {
    if (!(err instanceof NotHere)) throw err;
    search.notHere = err;
    return false;
  }
}

// pssOf gives the hash of RSASSA-PSS whose parameters say the same hash everywhere, and a salt of its length.
function pssOf(parameters) {
  try {
    const inside = (bytes) => new Fields(only(bytes, SEQUENCE).body), fields = inside(parameters?.bytes ?? new Uint8Array());
    const hash = HASHES[plain(inside(fields.take(context(0)).body))], mask = algorithm(inside(fields.take(context(1)).body));
    must(mask.id === '1.2.840.113549.1.1.8' && HASHES[plain(new Fields(mask.parameters?.body ?? new Uint8Array()))] === hash, 'another mask');
    must(integer(only(fields.take(context(2)).body, INTEGER)) === BigInt(SIZES[hash] ?? -1), 'another salt');
    const trailer = fields.maybe(context(3));
    must(trailer === null || integer(only(trailer.body, INTEGER)) === 1n, 'another trailer');
    fields.end();
    return ['PSS', hash];
  } catch (err) {
    if (err instanceof Bad) return undefined;
    throw err;
  }
}

// whole tells whether all of a chain may be for timestamps; constraints of names and policies are not checked here.
function whole(chain, search) {
  if (!chain.every((c) => c.purposes === null || c.purposes.includes(STAMPS) || c.purposes.includes('2.5.29.37.0'))) return false;
  if (chain.some((c) => c.extensions.has(NAMES) || POLICIES.some((id) => c.extensions.get(id)?.critical))) {
    search.notHere = new NotHere('a certificate constrains names or policies');
    return false;
  }
  return true;
}

const NAMED = { '2.5.4.3': 'CN', '2.5.4.5': 'SERIALNUMBER', '2.5.4.6': 'C', '2.5.4.7': 'L', '2.5.4.8': 'ST', '2.5.4.9': 'STREET', '2.5.4.10': 'O',
  '2.5.4.11': 'OU', '2.5.4.17': 'POSTALCODE' };

// nameText writes a name for people, its last part first.
export function nameText(name) {
  const part = (element) => {
    const [type, value] = elements(element.body), text = decode(value.body) ?? '';
    return `${NAMED[oid(type)] ?? oid(type)}=${text.replace(/[,+"\\<>;]|^[# ]| $/g, '\\$&')}`;
  };
  return elements(only(name, SEQUENCE).body).map((set) => elements(set.body).map(part).join('+')).reverse().join(',');
}

const BEGIN = '-----BEGIN CERTIFICATE-----', END = '-----END CERTIFICATE-----';

// readRoots reads a file of roots whole, or not at all (ENT-56).
export function readRoots(bytes) {
  must(bytes.length <= 2 ** 20 && !bytes.includes(0), 'too long, or a NUL byte');
  const roots = [];
  let block = null;
  for (const line of byteText(bytes).split('\n').map((line) => line.replace(/[ \t\r]+$/, ''))) {
    if (block === null) {
      must(!line.startsWith('\u00ef\u00bb\u00bf'), 'a byte order mark');
      if (line === BEGIN) block = '';
      else must(!edge(line), 'a line that is nearly the edge of a block, or another block');
    } else if (line === END) {
      const der = base64(block);
      must(der?.length > 0, 'a block that is no base64');
      must(!roots.some((root) => same(root.der, der)), 'a certificate that stands twice');
      roots.push(readRoot(der));
      block = null;
    } else {
      must(line !== '' && /^[A-Za-z0-9+/]+={0,2}$/.test(line) && !block.endsWith('='), 'a line that is no base64');
      block += line;
    }
  }
  must(block === null, 'a block that is cut short');
  must(roots.length > 0, 'no certificate');
  return roots;
}

function readRoot(der) {
  try {
    return readCertificate(der);
  } catch (err) {
    throw err instanceof Bad ? new Bad(`no certificate: ${err.message}`) : err;
  }
}

// edge tells whether a line of free text is nearly the edge of a block.
const edge = (line) => /-----(BEGIN|END)/i.test(line) || /(BEGIN|END) CERTIFICATE/.test(line);
