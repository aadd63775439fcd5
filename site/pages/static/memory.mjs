// What this browser remembers of the site, so that an older book, or another one, shows: the newest checkpoint that it has
// verified under each key, the keys and the policy that it first saw here, and a policy of the reader's own. It is all that is
// kept, it is never sent, and the page can forget it.

// Sites of one host share its storage, so the name of each thing begins with the path of the site.
const PREFIX = `assay-ledger ${new URL('../', import.meta.url).pathname} `;

function read(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // storage is blocked: nothing is remembered, and keep will say so
  }
}

function write(name, text) {
  try {
    localStorage.setItem(PREFIX + name, text);
    return true;
  } catch {
    return false;
  }
}

// readObject gives an object that was written here, null if there is none, and {} of what nobody can read: that is no first visit.
function readObject(name) {
  const text = read(name);
  if (text === null) return null;
  try {
    const kept = JSON.parse(text);
    return typeof kept?.at === 'string' && /^\d{4}-\d\d-\d\dT/.test(kept.at) ? kept : {};
  } catch {
    return {};
  }
}

// seen gives { note, at } of the newest checkpoint that was verified here under a key of a log, null if none was. What it
// gives is not believed: whoever can write into this browser's storage may have written it.
export function seen(origin, key) {
  const kept = readObject(`seen ${origin} ${key}`);
  return kept && { note: String(kept.note), at: String(kept.at) };
}

// keep remembers a checkpoint that was verified, and tells whether it could.
export function keep(origin, key, note) {
  return write(`seen ${origin} ${key}`, JSON.stringify({ note: new TextDecoder().decode(note), at: new Date().toISOString() }));
}

// compare gives what the site was when this browser was first here, { keys, policy, at, otherKeys, damaged }, if none of its keys
// signed now, if its policy was another, or if what was remembered cannot be read; else null. The first time it remembers.
export function compare(keys, policy) {
  const kept = readObject('log');
  if (kept === null) {
    write('log', JSON.stringify({ keys, policy, at: new Date().toISOString() }));
    return null;
  }
  const digest = /^[0-9a-f]{64}$/;
  if (!Array.isArray(kept.keys) || ![...kept.keys, kept.policy].every((one) => digest.test(one))) return { damaged: true };
  const otherKeys = !kept.keys.some((key) => keys.includes(key));
  return otherKeys || kept.policy !== policy ? { ...kept, otherKeys } : null;
}

// policy gives the bytes of the reader's own policy, or null.
export function policy() {
  const text = read('policy');
  return text === null ? null : new TextEncoder().encode(text);
}

export const keepPolicy = (text) => write('policy', text);

// remembers tells whether anything of this site is kept.
export function remembers() {
  try {
    return Object.keys(localStorage).some((name) => name.startsWith(PREFIX));
  } catch {
    return false;
  }
}

// forget drops all that is remembered of this site.
export function forget() {
  try {
    for (const name of Object.keys(localStorage)) if (name.startsWith(PREFIX)) localStorage.removeItem(name);
  } catch {
    // nothing is remembered
  }
}
