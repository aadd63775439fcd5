// RFC 3161 tokens: docs/spec/ledger.md §9. What a token says is told only of one that is believed.
import { must } from './notes.mjs';
import { BOOLEAN, GENERAL_TIME, INTEGER, OCTETS, OID, SEQUENCE, SET } from './der.mjs';
import { Fields, context, dateTime, elements, integer, oid, only, truth } from './der.mjs';
import { digest, join, same } from './hash.mjs';
import { HASHES, PSS, RSA, SIGNATURES, SIGNS, STAMPS, algorithm, chains, maybeCertificate, plain, signed, strong } from './x509.mjs';
import { instant } from './time.mjs';

const SIGNED_DATA = '1.2.840.113549.1.7.2', TST_INFO = '1.2.840.113549.1.9.16.1.4';
const CONTENT_TYPE = '1.2.840.113549.1.9.3', MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const CERTIFICATE_V1 = '1.2.840.113549.1.9.16.2.12', CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';
const MINUTES_5 = 300_000_000_000n;

// readToken gives { time, accuracy, signer } of a token that is believed, the first two in nanoseconds; accuracy is null if
// the token says none. now is the time of the user, undefined if none is known.
export async function readToken(der, imprint, roots, now) {
  must(der.length <= 65536, 'a token that is too long');
  const token = readSignedData(der), info = readInfo(token.content);
  must(same(info.imprint, imprint), 'a token of another digest');
  const certificate = signersCertificate(token);
  await checkAttributes(token, certificate);
  checkSigner(certificate);
  const set = join(Uint8Array.of(SET), token.attributes.bytes.subarray(1));
  must(await signed(certificate.key, signatureOf(token, certificate.key), set, token.signature), 'a token whose signature is wrong');
  must(now === undefined || info.time <= now + MINUTES_5, 'a token of the future');
  must(await chains(certificate, token.certificates, roots, info.time), 'a token whose certificate leads to none of the roots, or was not valid then');
  return { time: info.time, accuracy: info.accuracy, signer: certificate.subject };
}

// readSignedData reads the CMS structure (ENT-47, ENT-48).
function readSignedData(der) {
  const outer = new Fields(only(der, SEQUENCE).body);
  must(oid(outer.take(OID)) === SIGNED_DATA, 'no signed data');
  const data = new Fields(only(outer.take(context(0)).body, SEQUENCE).body), t = {};
  outer.end();
  version(data, 1n, 5n);
  t.digests = elements(data.take(SET).body).map((e) => plain(new Fields(sequence(e).body)));
  const content = data.in(SEQUENCE);
  must(oid(content.take(OID)) === TST_INFO, 'signed data about something else than a time');
  t.content = only(content.take(context(0)).body, OCTETS).body;
  content.end();
  const certificates = elements(data.maybe(context(0))?.body ?? new Uint8Array());
  must(certificates.length <= 16, 'too many certificates');
  t.certificates = certificates.map((e) => maybeCertificate(sequence(e).bytes)).filter((c) => c !== null); // others are not used
  data.maybe(context(1));
  const signers = elements(data.take(SET).body);
  data.end();
  must(signers.length === 1, 'not exactly one signer');
  return readSigner(new Fields(sequence(signers[0]).body), t);
}

function sequence(element) {
  must(element.tag === SEQUENCE, 'another element than the structure has');
  return element;
}

function version(fields, least, most) {
  const n = integer(fields.take(INTEGER));
  must(n >= least && n <= most, 'another version');
  return n;
}

function readSigner(fields, t) {
  const v = version(fields, 1n, 3n), id = fields.take(SEQUENCE, context(0, false));
  must(v === (id.tag === SEQUENCE ? 1n : 3n), 'a version that does not go with the identifier of the signer');
  if (id.tag === SEQUENCE) {
    const parts = new Fields(id.body), issuer = parts.take(SEQUENCE).bytes, serial = integer(parts.take(INTEGER));
    parts.end();
    t.is = (c) => same(c.issuer, issuer) && c.serial === serial;
  } else t.is = (c) => same(keyIdentifier(c), id.body);
  t.digest = plain(fields.in(SEQUENCE));
  t.attributes = fields.take(context(0));
  t.algorithm = algorithm(fields.in(SEQUENCE));
  t.signature = fields.take(OCTETS).body;
  fields.maybe(context(1));
  fields.end();
  return t;
}

function keyIdentifier(c) {
  const value = c.extensions.get('2.5.29.14')?.value;
  return value ? only(value, OCTETS).body : new Uint8Array();
}

function signersCertificate({ certificates, is }) {
  const found = certificates.find((c) => is(c));
  must(found, 'a token without the certificate of its signer');
  return found;
}

// readInfo reads what is signed (ENT-46, ENT-51).
function readInfo(der) {
  const fields = new Fields(only(der, SEQUENCE).body);
  version(fields, 1n, 1n);
  oid(fields.take(OID));
  const imprint = fields.in(SEQUENCE), hash = plain(imprint.in(SEQUENCE)), sum = imprint.take(OCTETS).body;
  imprint.end();
  must(HASHES[hash] === 'SHA-256', 'an imprint that is not by SHA-256');
  integer(fields.take(INTEGER));
  const time = instant(dateTime(fields.take(GENERAL_TIME)));
  must(time !== null && time >= 0n, 'a time that is none, or before 1970');
  const accuracy = readAccuracy(fields.maybe(SEQUENCE));
  truth(fields.maybe(BOOLEAN));
  const nonce = fields.maybe(INTEGER);
  if (nonce) integer(nonce);
  const name = fields.maybe(context(0));
  if (name) must(elements(name.body).length === 1, 'a name that is none');
  const extensions = fields.maybe(context(1));
  fields.end();
  for (const element of extensions ? elements(extensions.body) : []) {
    const extension = new Fields(sequence(element).body);
    oid(extension.take(OID));
    must(!truth(extension.maybe(BOOLEAN)), 'a critical extension');
    extension.take(OCTETS);
    extension.end();
  }
  return { imprint: sum, time, accuracy };
}

function readAccuracy(element) {
  if (element === null) return null;
  const fields = new Fields(element.body), part = (tag, least, most) => {
    const e = fields.maybe(tag), n = e ? integer(e) : 0n;
    must(e === null || (n >= least && n <= most), 'an accuracy that is none');
    return n;
  };
  const seconds = part(INTEGER, 0n, 2n ** 31n - 1n), millis = part(context(0, false), 0n, 999n), micros = part(context(1, false), 0n, 999n);
  fields.end();
  return seconds * 1_000_000_000n + millis * 1_000_000n + micros * 1000n;
}

// signatureOf gives kind and hash of the signature (ENT-50).
function signatureOf({ digests, digest: named, algorithm: { id, parameters } }, key) {
  const hash = HASHES[named];
  must(hash && digests.includes(named), 'a digest algorithm that is not admitted or not listed');
  if (id === PSS) return must(parameters?.tag === SEQUENCE, 'RSASSA-PSS without parameters'), ['PSS', hash];
  must(parameters === null || (parameters.tag === 0x05 && parameters.body.length === 0), 'parameters that an algorithm does not have');
  if (id === RSA) return ['RSA', hash];
  const by = SIGNATURES[id];
  must(by && by[0] === key.kind && by[1] === hash && key.kind !== 'Ed25519', 'a signature algorithm that does not go with key and digest');
  return by;
}

// checkAttributes: ENT-49.
async function checkAttributes(token, certificate) {
  const found = new Map();
  for (const element of elements(token.attributes.body)) {
    const fields = new Fields(sequence(element).body), type = oid(fields.take(OID)), values = elements(fields.take(SET).body);
    fields.end();
    if (![CONTENT_TYPE, MESSAGE_DIGEST, CERTIFICATE_V1, CERTIFICATE_V2].includes(type)) continue;
    must(values.length === 1 && !found.has(type), 'an attribute that stands twice, or has not one value');
    found.set(type, values[0]);
  }
  const type = found.get(CONTENT_TYPE), sum = found.get(MESSAGE_DIGEST), hash = HASHES[token.digest];
  must(type?.tag === OID && oid(type) === TST_INFO, 'no content-type of a time');
  must(hash && sum?.tag === OCTETS && same(sum.body, await digest(hash, token.content)), 'a message-digest of something else');
  must(found.has(CERTIFICATE_V1) || found.has(CERTIFICATE_V2), 'no signing-certificate');
  for (const name of [CERTIFICATE_V1, CERTIFICATE_V2]) if (found.has(name)) await checkNamed(found.get(name), name === CERTIFICATE_V2, certificate);
}

// checkNamed tells whether a signing-certificate attribute names the certificate first.
async function checkNamed(value, second, certificate) {
  const fields = new Fields(sequence(value).body), ids = elements(fields.take(SEQUENCE).body);
  fields.maybe(SEQUENCE);
  fields.end();
  must(ids.length > 0, 'a signing-certificate that names none');
  const all = ids.map((e) => readID(sequence(e), second)), [{ hash, sum, issuer, serial }] = all;
  must(hash && same(sum, await digest(hash, certificate.der)), 'a signing-certificate of another one');
  must(serial === null || (serial === certificate.serial && same(issuer, certificate.issuer)), 'a signing-certificate of another one');
}

function readID(element, second) {
  const fields = new Fields(element.body), named = second ? fields.maybe(SEQUENCE) : null, out = { issuer: null, serial: null };
  out.hash = second ? (named ? HASHES[plain(new Fields(named.body))] : 'SHA-256') : 'SHA-1';
  out.sum = fields.take(OCTETS).body;
  const by = fields.maybe(SEQUENCE);
  fields.end();
  if (!by) return out;
  const parts = new Fields(by.body), names = elements(parts.take(SEQUENCE).body);
  out.serial = integer(parts.take(INTEGER));
  parts.end();
  out.issuer = names.length === 1 && names[0].tag === context(4) ? names[0].body : new Uint8Array();
  return out;
}

// checkSigner: ENT-52, ENT-53.
function checkSigner(c) {
  must(!c.ca, 'a signer that is a CA');
  must(c.purposes?.length === 1 && c.purposes[0] === STAMPS && c.extensions.get('2.5.29.37').critical, 'a certificate that is not for timestamps alone');
  must(c.usage === null || ((c.usage & SIGNS) !== 0 && (c.usage & ~SIGNS) === 0), 'a certificate for other uses');
  must(strong(c.key), 'a key that is too weak, or not known');
}
