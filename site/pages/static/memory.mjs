// What this browser remembers of the site, so that an older book, or another one, shows: the newest checkpoint that it has
// verified, the key of the log, and a policy of the reader's own. It is all that is kept, it is never sent, and the page can forget it.

// Sites of one host share its storage, so the name of each thing begins with the path of the site.
const PREFIX = `assay-ledger ${new URL('../', import.meta.url).pathname} `;

function read(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null; // storage is blocked: nothing is remembered
  }
}

function write(name, text) {
  try {
    if (text === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, text);
    return true;
  } catch {
    return false;
  }
}

// checkpoint gives { size, root, note, at } of the newest checkpoint of a log that was verified here, or null.
export function checkpoint(origin) {
  try {
    const kept = JSON.parse(read(`seen ${origin}`));
    const whole = kept && /^(0|[1-9][0-9]{0,18})$/.test(kept.size) && /^[A-Za-z0-9+/]{43}=$/.test(kept.root);
    return whole && typeof kept.note === 'string' && typeof kept.at === 'string' ? kept : null;
  } catch {
    return null;
  }
}

// keep remembers a checkpoint that was verified.
export function keep({ origin, size, root }, note) {
  write(`seen ${origin}`, JSON.stringify({
    size: size.toString(), root: btoa(String.fromCharCode(...root)), note: new TextDecoder().decode(note), at: new Date().toISOString(),
  }));
}

// otherKey gives { key, at } if the site named another key of its log when this browser was first here, else null.
export function otherKey(key) {
  try {
    const kept = JSON.parse(read('key'));
    if (kept && /^[0-9a-f]{64}$/.test(kept.key) && typeof kept.at === 'string') return kept.key === key ? null : kept;
  } catch {
    // what cannot be read is written anew
  }
  write('key', JSON.stringify({ key, at: new Date().toISOString() }));
  return null;
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
