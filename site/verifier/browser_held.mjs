// What a page holds of a pack: blocks of data that no browser runs, written by "assay page".
//
//   script type="application/json" id="held"                          {"args":["--require-anchor"],"extra":[],"unsigned":"folder"}
//   script type="text/plain" data-name="pack/NAME" data-kind="file"    base64 of the file
import { LIMITS, Unjudged } from './verify.mjs';

// heldIn gives what the page at hand holds, null if that is nothing.
export function heldIn(document) {
  const head = document.getElementById('held');
  if (!head) return null;
  const blocks = document.querySelectorAll('script[type="text/plain"][data-name]');
  return held(head.textContent, Array.from(blocks, (block) => [block.dataset.name, block.dataset.kind, block.textContent]));
}

const HEAD = /<script type="application\/json" id="held">([^<]*)<\/script>/;
const BLOCK = /<script type="text\/plain" data-name="([A-Za-z0-9_./-]+)" data-kind="([a-z]+)">([A-Za-z0-9+/=]*)<\/script>/g;

// heldInText reads another page as text: nothing of it runs, and no markup of it is used.
export function heldInText(text) {
  const head = HEAD.exec(text);
  if (!head) throw new Unjudged('a page that holds no pack');
  try {
    return held(head[1], [...text.matchAll(BLOCK)].map((m) => m.slice(1)));
  } catch {
    throw new Unjudged('a page whose pack is not of its form');
  }
}

// held gives { pack, files, args }: files by the names that args have for them.
function held(head, blocks) {
  const { args, extra, unsigned } = JSON.parse(head), files = new Map(), texts = (v) => Array.isArray(v) && v.every((x) => typeof x === 'string');
  if (!texts(args) || !texts(extra) || !['folder', 'link', 'other', ''].includes(unsigned)) throw new Error('not of its form');
  const pack = { files: new Map(), unsigned: unsigned === 'folder' ? new Map() : unsigned ? { kind: unsigned } : null, extra };
  for (const [name, kind, text] of blocks) {
    const [place, inner] = [name.slice(0, name.indexOf('/')), name.slice(name.indexOf('/') + 1)];
    const into = { pack: pack.files, unsigned: pack.unsigned, given: files }[place];
    if (into instanceof Map) into.set(inner, kind === 'file' ? entryOf(bytesOf(text), LIMITS[inner]) : { kind });
  }
  return { pack, files, args };
}

// entryOf gives an entry as a reader of files would: one that is too long is not read.
const entryOf = (bytes, limit) => (bytes.length > limit ? { kind: 'long' } : { kind: 'file', bytes });

// packIn gives the files of the pack that a page holds, and its proof, as [name, bytes].
export function packIn({ pack, files }) {
  const unsigned = new Map(pack.unsigned instanceof Map ? pack.unsigned : []), list = [];
  if (files.has('--proof')) unsigned.set('anchor.tlog-proof', files.get('--proof'));
  for (const [folder, entries] of [['pack/', pack.files], ['pack/_unsigned/', unsigned]]) {
    for (const [name, entry] of entries) if (entry.kind === 'file') list.push([folder + name, entry.bytes]);
  }
  return list;
}

// bytesOf reads base64 in pieces of whole bytes: a page may hold many megabytes of it.
function bytesOf(text) {
  const piece = 2 ** 16, bytes = new Uint8Array((text.length / 4) * 3 - (/=*$/.exec(text.slice(-2))[0].length));
  for (let from = 0, at = 0; from < text.length; from += piece) {
    const raw = atob(text.slice(from, from + piece));
    for (let i = 0; i < raw.length; i++) bytes[at++] = raw.charCodeAt(i);
  }
  return bytes;
}
