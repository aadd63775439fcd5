// The way of an entry up the tree: as a drawing, as steps to read, and as a file.
import { base64Of, hex } from '../verifier/hash.mjs';
import { code, count, element, entries, plural, svg } from './dom.mjs';

const short = (bytes) => hex(bytes).slice(0, 8);

// spans gives for each step of a proof which entries the other hash stands for, as [first, last].
function spans(index, size) {
  const list = [];
  let start = 0n, end = size;
  while (end - start > 1n) {
    const middle = start + (1n << BigInt((end - start - 1n).toString(2).length - 1));
    if (index < middle) list.unshift([middle, end - 1n]), (end = middle);
    else list.unshift([start, middle - 1n]), (start = middle);
  }
  return list;
}

const named = ([first, last]) => (first === last ? `entry ${count(first)}` : `entries ${count(first)} to ${count(last)}`);

const STEP = 58, TOP = 34, MIDDLE = 160, ASIDE = 104, LEAF = 40;

// drawing is the path as a picture: the entry at the bottom, the root on top, beside each node the one it is hashed with.
export function drawing({ index, hash, steps }, size) {
  const height = TOP + steps.length * STEP + LEAF + 12, y = (k) => height - LEAF - 12 - k * STEP, around = spans(index, size);
  const title = svg('title', { id: 'tree-title' }, `The way of entry ${count(index)} up the tree, ${plural(steps.length, 'step')} to the root of ${entries(size)}`);
  const picture = svg('svg', { viewBox: `0 0 320 ${height}`, role: 'img', 'aria-labelledby': 'tree-title', class: 'tree', focusable: 'false' }, title);
  steps.forEach((step, k) => picture.append(beside(step, y(k), y(k + 1), around[k])));
  [hash, ...steps.map((s) => s.hash)].forEach((h, k) => picture.append(
    k === 0 ? leafNode(h, y(k), index) : k === steps.length ? rootNode(h, y(k)) : node(h, y(k), steps[k].left)));
  return picture;
}

// beside is one step: the line up, and the other hash with the entries that it stands for.
function beside({ left, other }, y, up, around) {
  const x = left ? MIDDLE - ASIDE : MIDDLE + ASIDE, third = (y - up) / 2;
  return svg('g', {},
    svg('path', { class: 'way', d: `M${MIDDLE} ${y}V${up}` }),
    svg('path', { d: `M${x} ${y}C${x} ${y - third} ${MIDDLE} ${up + third} ${MIDDLE} ${up}` }),
    svg('circle', { class: 'other', cx: x, cy: y, r: 5 }),
    svg('text', { class: 'hash', x, y: y + 19 }, short(other)),
    svg('text', { class: 'span', x, y: y + 32 }, brief(around)));
}

const leafNode = (hash, y, index) => svg('g', { class: 'tree-leaf' }, svg('circle', { cx: MIDDLE, cy: y, r: 9 }),
  svg('text', { class: 'hash', x: MIDDLE, y: y + 25 }, short(hash)), svg('text', { class: 'span', x: MIDDLE, y: y + 39 }, `entry ${count(index)}`));

const rootNode = (hash, y) => svg('g', { class: 'tree-root' }, svg('circle', { cx: MIDDLE, cy: y, r: 9 }),
  svg('text', { class: 'hash', x: MIDDLE, y: y - 16 }, `root ${short(hash)}`));

// node is a hash on the way, named on the side where nothing stands.
const node = (hash, y, left) => svg('g', {}, svg('circle', { cx: MIDDLE, cy: y, r: 5 }),
  svg('text', { class: `hash ${left ? 'to-right' : 'to-left'}`, x: left ? MIDDLE + 13 : MIDDLE - 13, y: y + 4 }, short(hash)));

const brief = ([first, last]) => (first === last ? count(first) : `${count(first)}–${count(last)}`);

// steps gives the same way in words, with every byte of it.
export function stepsOf({ index, leaf, hash, steps }, size, signers) {
  const list = [element('li', {}, element('p', {}, `The entry has ${count(leaf.length)} bytes. A zero byte is put before them, and SHA-256 of it all is the hash of the leaf:`), code(hex(hash)))];
  const around = spans(index, size);
  steps.forEach(({ left, other, hash: up }, k) => list.push(element('li', {},
    element('p', {}, `On its ${left ? 'left' : 'right'} stands the hash of ${named(around[k])}:`), code(hex(other)),
    element('p', {}, `A byte 1, the left one and the right one, hashed together:`), code(hex(up)))));
  const root = steps.length > 0 ? steps[steps.length - 1].hash : hash;
  list.push(element('li', { class: 'last' }, element('p', {}, `Byte for byte, that is the root in the checkpoint, which is signed by ${signers}. The checkpoint writes it so:`), code(base64Of(root))));
  return list;
}

// fileOf gives the bytes of a tlog-proof: the entry, the way up, the checkpoint.
export function fileOf({ index, leaf, proof }, note) {
  const head = ['c2sp.org/tlog-proof@v1', `extra ${base64Of(leaf)}`, `index ${index}`, ...proof.map(base64Of), '', ''].join('\n');
  return new Blob([head, note]);
}
