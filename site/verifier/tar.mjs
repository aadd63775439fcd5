// An archive as tar reads it (ustar), for a page that gives back what it holds.
import { bytesOf } from './json.mjs';

const BLOCK = 512;

// archive gives a Blob of files, each [name, bytes]; names are ours, and have at most 100 characters of ASCII.
export function archive(files) {
  const parts = files.flatMap(([name, bytes]) => [header(name, bytes.length), bytes, new Uint8Array(-bytes.length & (BLOCK - 1))]);
  return new Blob([...parts, new Uint8Array(2 * BLOCK)], { type: 'application/x-tar' });
}

function header(name, size) {
  const block = new Uint8Array(BLOCK);
  const put = (at, text) => block.set(bytesOf(text), at), octal = (n, digits) => `${n.toString(8).padStart(digits, '0')}\0`;
  put(0, name);
  put(100, octal(0o644, 7)); // mode, owner, group, size, time
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(size, 11));
  put(136, octal(0, 11));
  put(148, '        '); // the sum counts itself as spaces
  put(156, '0');
  put(257, 'ustar\x0000');
  put(148, `${octal(block.reduce((sum, b) => sum + b, 0), 6)} `);
  return block;
}
