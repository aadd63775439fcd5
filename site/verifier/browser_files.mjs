// Files that somebody drops or chooses. The pack is the folder that holds files of a pack, or the loose files that are
// named as those are; what it is held to is believed only if it was given by itself, never out of the pack's folder.
import { FILES, PAYLOAD } from './manifest.mjs';
import { LIMITS, Unjudged } from './verify.mjs';

// MOST is how many files of a folder are looked at, and how deep.
const MOST = { files: 2000, depth: 4 };
const PIECE = 2 ** 20; // bytes of the receipts that are read at a time

// A found file is { path, file }: its path in what was dropped, with slashes, and a File.

// foundIn lists what was dropped, folders with all that is in them.
export async function foundIn(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files].map((file) => ({ path: file.name, file }));
  const found = [];
  for (const entry of entries) await walk(entry, '', found);
  return found;
}

async function walk(entry, above, found) {
  const path = above + entry.name;
  if (found.length >= MOST.files) throw new Unjudged(`more than ${MOST.files} files: open the folder of one pack`);
  if (entry.isFile) return found.push({ path, file: await called((ok, bad) => entry.file(ok, bad)) });
  if (path.split('/').length > MOST.depth) return found.push({ path: `${path}/`, file: null });
  const reader = entry.createReader();
  for (;;) {
    const some = await called((ok, bad) => reader.readEntries(ok, bad)); // a hundred at a time
    if (some.length === 0) return undefined;
    for (const inner of some) await walk(inner, `${path}/`, found);
  }
}

const called = (ask) => new Promise((ok, bad) => {
  ask(ok, () => bad(new Unjudged('the browser could not read what was dropped')));
});

// chosenIn lists the files of an input.
export const chosenIn = (input) => [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

const folderOf = (path) => path.slice(0, path.lastIndexOf('/') + 1);

// KINDS tells by its name what a loose file is that is no file of a pack.
const KINDS = [['--proof', /\.tlog-proof$/], ['--tsa-roots', /\.(pem|crt|cer)$/], ['--lock', /\.lock$/], ['--policy', /^(tlog-)?policy(\.txt)?$|\.policy$/],
  ['page', /\.html?$/]];

// sorted gives { pack, flags, page }: pack is null if there is none among them.
export async function sorted(found) {
  const folders = new Set(found.filter(({ path }) => FILES.includes(path.slice(folderOf(path).length))).map(({ path }) => folderOf(path)));
  if (folders.size > 1) throw new Unjudged(`${folders.size} packs: open one at a time`);
  const [folder] = folders, flags = new Map();
  let page = null, rest = found;
  if (folder === undefined || folder === '') {
    rest = [];
    for (const one of found) {
      const kind = one.path.includes('/') ? undefined : KINDS.find(([, pattern]) => pattern.test(one.path))?.[0];
      if (kind === 'page') page = one.file;
      else if (kind) flags.set(kind, one.file);
      else rest.push(one);
    }
  }
  return { pack: folder === undefined ? null : await packOf(folder, rest), flags, page };
}

async function packOf(folder, found) {
  const inside = found.filter(({ path }) => path.startsWith(folder)).map(({ path, file }) => [path.slice(folder.length), file]);
  const pack = { files: new Map(), unsigned: new Map(), extra: [] };
  for (const [path, file] of inside) {
    const name = path.replace(/^_unsigned\//, '');
    if (path === '_unsigned') pack.unsigned = { kind: 'other' };
    else if (FILES.includes(path)) pack.files.set(path, await entryOf(file, path, LIMITS[path]));
    else if (name !== path || (folder === '' && name === 'run_cards.json')) {
      if (Object.hasOwn(LIMITS, name) && pack.unsigned instanceof Map) pack.unsigned.set(name, await entryOf(file, name, LIMITS[name]));
    } else pack.extra.push(path.split('/')[0]);
  }
  pack.extra = [...new Set(pack.extra)].sort();
  return pack;
}

// entryOf reads a file. Receipts are read in pieces when they are judged, and again when they are judged again.
export async function entryOf(file, name, limit) {
  if (file === null || file.size > limit) return { kind: file === null ? 'other' : 'long' };
  if (name === PAYLOAD[0]) return { kind: 'file', size: file.size, chunks: { [Symbol.asyncIterator]: () => piecesOf(file, name) } };
  return { kind: 'file', bytes: await bytesOf(file, name) };
}

async function* piecesOf(file, name) {
  for (let at = 0; at < file.size; at += PIECE) yield bytesOf(file.slice(at, at + PIECE), name);
}

async function bytesOf(file, name) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Unjudged(`cannot read ${name}: open it again`);
  }
}
