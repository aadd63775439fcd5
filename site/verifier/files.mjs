// Reads a pack from a directory of this machine, as docs/spec/verify.md §2 says: each file once, no link followed, no
// FIFO waited for. In a browser the files come from whoever drops them, and this module is not used.
import fs from 'node:fs';
import path from 'node:path';
import { FILES, PAYLOAD } from './manifest.mjs';
import { LIMITS, Unjudged } from './verify.mjs';

const [RECEIPTS] = PAYLOAD;
const PIECE = 2 ** 20; // bytes that are read of the receipts at once

// readPack gives the pack in a directory. Its receipts are read when they are judged, and close must be called behind that.
export function readPack(dir) {
  let names;
  try {
    names = fs.readdirSync(dir);
  } catch (err) {
    throw new Unjudged(`cannot read the directory: ${err.code}`);
  }
  if (!FILES.some((name) => names.includes(name))) throw new Unjudged('there is no pack');
  const files = new Map();
  for (const name of FILES) addEntry(files, dir, name, name === RECEIPTS ? readPieces : readAll);
  const extra = names.filter((name) => !FILES.includes(name) && name !== '_unsigned').sort();
  const close = () => files.get(RECEIPTS)?.close?.();
  try {
    return { files, extra, unsigned: readUnsigned(path.join(dir, '_unsigned')), close };
  } catch (err) {
    close();
    throw err;
  }
}

function readUnsigned(dir) {
  const stat = statOf(dir);
  if (!stat) return new Map();
  if (!stat.isDirectory()) return { kind: stat.isSymbolicLink() ? 'link' : 'other' };
  const files = new Map();
  for (const name of ['run_cards.json', 'anchor.tlog-proof']) addEntry(files, dir, name, readAll);
  return files;
}

function addEntry(files, dir, name, read) {
  const entry = readEntry(path.join(dir, name), LIMITS[name], read);
  if (entry) files.set(name, entry);
}

function statOf(file) {
  try {
    return fs.lstatSync(file);
  } catch (err) {
    if (err.code === 'ENOENT' || err.code === 'ENOTDIR') return null;
    throw new Unjudged(`cannot read ${path.basename(file)}: ${err.code}`);
  }
}

// readFile gives the entry of a file that the user names: there a link is followed.
export function readFile(name, limit) {
  try {
    return readEntry(fs.realpathSync(name), limit, readAll);
  } catch (err) {
    if (err.code === 'ENOENT' || err.code === 'ENOTDIR') return null;
    throw err instanceof Unjudged ? err : new Unjudged(`cannot read ${path.basename(name)}: ${err.code}`);
  }
}

// readEntry gives what read finds in a file of at most limit bytes, or what it is instead; null if there is none.
function readEntry(file, limit, read) {
  const stat = statOf(file);
  if (!stat) return null;
  if (stat.isSymbolicLink()) return { kind: 'link' };
  if (!stat.isFile()) return { kind: 'other' };
  let handle, entry;
  try {
    handle = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
    const opened = fs.fstatSync(handle);
    if (!opened.isFile()) return { kind: 'other' };
    if (opened.size > limit) return { kind: 'long' };
    return (entry = read(handle, opened.size, limit, path.basename(file)));
  } catch (err) {
    if (err instanceof Unjudged) throw err;
    if (err.code === 'ELOOP') return { kind: 'link' };
    throw new Unjudged(`cannot read ${path.basename(file)}: ${err.code ?? err.message}`);
  } finally {
    if (handle !== undefined && !entry?.close) fs.closeSync(handle);
  }
}

// readAll reads to the end, which may be further than the size that was told.
function readAll(handle, size, limit) {
  let bytes = new Uint8Array(size + 1), at = 0;
  for (;;) {
    const n = fs.readSync(handle, bytes, at, bytes.length - at, null);
    if (n === 0) return { kind: 'file', bytes: bytes.subarray(0, at) };
    at += n;
    if (at > limit) return { kind: 'long' };
    if (at === bytes.length) {
      const more = new Uint8Array(at * 2);
      more.set(bytes);
      bytes = more;
    }
  }
}

// readPieces leaves the file open: each piece is read when it is asked for, into the place of the one before.
function readPieces(handle, size, limit, name) {
  const piece = new Uint8Array(PIECE);
  function* chunks() {
    for (;;) {
      let n;
      try {
        n = fs.readSync(handle, piece, 0, PIECE, null);
      } catch (err) {
        throw new Unjudged(`cannot read ${name}: ${err.code}`);
      }
      if (n === 0) return;
      yield piece.subarray(0, n);
    }
  }
  return { kind: 'file', size, chunks: chunks(), close: () => fs.closeSync(handle) };
}
