// Files that somebody drops or chooses. The pack is the folder that holds files of a pack, or the loose files that are
// named as those are; what it is held to is believed only if it was given by itself, never out of the pack's folder.
import { FILES, PAYLOAD } from './manifest.mjs';
import { LIMITS, Unjudged } from './verify.mjs';

// MOST is how many files of a folder are looked at, and how deep.
const MOST = { files: 2000, depth: 4 };
const PIECE = 2 ** 20; // bytes of the receipts that are read at a time

// A found file is { path, file }: its path in what was dropped, with slashes, and a File.

// foundIn lists what was dropped, folders with all that is in them. All is asked for at once: behind the first wait the
// browser tells nothing more of what was dropped.
export async function foundIn(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file').map((item) => ({
    file: item.getAsFile(), entry: item.webkitGetAsEntry?.(), handle: item.getAsFileSystemHandle?.().catch(() => null),
  }));
  const found = [];
  for (const { file, entry, handle } of items) {
    const opened = entry?.isDirectory ? await handle : null;
    if (!entry?.isDirectory) found.push({ path: file.name, file });
    else if (opened) await walk(opened.name, opened, HANDLES, found); // Chromium reads no entries for a page from the disk
    else await walk(entry.name, entry, ENTRIES, found);
  }
  return found;
}

// HANDLES and ENTRIES are the two ways in which browsers show a folder: file gives a File, inner what is in a folder.
const HANDLES = {
  isFile: (handle) => handle.kind === 'file', file: (handle) => handle.getFile(),
  async* inner(handle) {
    for await (const one of handle.values()) yield one;
  },
};
const ENTRIES = {
  isFile: (entry) => entry.isFile, file: (entry) => new Promise((ok, bad) => entry.file(ok, bad)),
  async* inner(entry) {
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((ok, bad) => reader.readEntries(ok, bad)); // a hundred at a time
      if (some.length === 0) return;
      yield* some;
    }
  },
};

async function walk(path, one, way, found) {
  if (found.length >= MOST.files) throw new Unjudged(`more than ${MOST.files} files: open the folder of one pack`);
  try {
    if (way.isFile(one)) return void found.push({ path, file: await way.file(one) });
    if (path.split('/').length > MOST.depth) return void found.push({ path: `${path}/`, file: null });
    for await (const inner of way.inner(one)) await walk(`${path}/${inner.name}`, inner, way, found);
  } catch (err) {
    throw err instanceof Unjudged ? err : new Unjudged('the browser could not read what was dropped: choose it instead');
  }
}

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
