// A QR code (ISO/IEC 18004) of an address: bytes, error correction M, versions 1 to 10. The address of a site is known
// only where it is shown, so the code is made there.

// BLOCKS are of level M, for each version: error words of a block, then [how many blocks, data words of each].
const BLOCKS = [null, [10, [1, 16]], [16, [1, 28]], [26, [1, 44]], [18, [2, 32]], [24, [2, 43]], [16, [4, 27]], [18, [4, 31]],
  [22, [2, 38], [2, 39]], [22, [3, 36], [2, 37]], [26, [4, 43], [1, 44]]];
const ALIGNED = [null, [], [6, 18], [6, 22], [6, 26], [6, 30], [6, 34], [6, 22, 38], [6, 24, 42], [6, 26, 46], [6, 28, 50]];
const MASKS = [
  (x, y) => (x + y) % 2 === 0, (x, y) => y % 2 === 0, (x) => x % 3 === 0, (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0, (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0, (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

// EXP and LOG are of the field of 256 elements.
const EXP = [1], LOG = [];
for (let i = 0; i < 255; i++) {
  LOG[EXP[i]] = i;
  EXP[i + 1] = (EXP[i] << 1) ^ (EXP[i] > 127 ? 0x11d : 0);
}
const times = (a, b) => (a && b ? EXP[(LOG[a] + LOG[b]) % 255] : 0);

// errorWords gives n Reed-Solomon words of data.
function errorWords(data, n) {
  let divisor = [1];
  for (let i = 0; i < n; i++) divisor = [...divisor, 0].map((c, k) => c ^ times(divisor[k - 1] ?? 0, EXP[i]));
  const rest = [...data, ...Array(n).fill(0)];
  for (let i = 0; i < data.length; i++) {
    const factor = rest[i];
    divisor.forEach((c, k) => (rest[i + k] ^= times(c, factor)));
  }
  return rest.slice(data.length);
}

// encode gives the words of a text in their order, and the version; null if the text is too long.
function encode(bytes) {
  const version = BLOCKS.findIndex((b, v) => b && bytes.length + (v < 10 ? 2 : 3) <= dataWords(b));
  if (version < 0) return null;
  const bits = [[4, 4], [bytes.length, version < 10 ? 8 : 16], ...Array.from(bytes, (b) => [b, 8]), [0, 4]]
    .map(([value, width]) => value.toString(2).padStart(width, '0')).join('');
  const words = bits.slice(0, 8 * dataWords(BLOCKS[version])).match(/.{1,8}/g).map((w) => parseInt(w.padEnd(8, '0'), 2));
  for (let pad = 0xec; words.length < dataWords(BLOCKS[version]); pad ^= 0xec ^ 0x11) words.push(pad);
  const [n, ...groups] = BLOCKS[version], blocks = [];
  for (const [many, length] of groups) for (let i = 0; i < many; i++) blocks.push(words.splice(0, length));
  return { version, words: [...woven(blocks), ...woven(blocks.map((b) => errorWords(b, n)))] };
}

const dataWords = ([, ...groups]) => groups.reduce((sum, [many, length]) => sum + many * length, 0);

function woven(blocks) {
  const out = [];
  for (let i = 0; i < Math.max(...blocks.map((b) => b.length)); i++) for (const b of blocks) if (i < b.length) out.push(b[i]);
  return out;
}

// checked gives value followed by its check bits.
function checked(value, bits, divisor) {
  let rest = value << bits;
  for (let i = 31; i >= bits; i--) if (rest & (1 << i)) rest ^= divisor << (i - bits);
  return (value << bits) | rest;
}

// matrix gives rows of booleans, dark ones true; null for a text that is too long.
export function matrix(text) {
  const code = encode(new TextEncoder().encode(text));
  if (!code) return null;
  const size = 17 + 4 * code.version, fixed = frame(code.version, size), free = path(fixed, size);
  const bits = code.words.flatMap((w) => Array.from({ length: 8 }, (_, i) => (w >> (7 - i)) & 1));
  const all = MASKS.map((mask, m) => {
    const rows = fixed.map((row) => row.map((cell) => cell === true));
    free.forEach(([x, y], i) => (rows[y][x] = (bits[i] === 1) !== mask(x, y)));
    format(rows, size, m);
    return rows;
  });
  return all.reduce((best, rows) => (penalty(rows) < penalty(best) ? rows : best));
}

// frame holds what does not depend on the text: true and false are fixed, null is free. Format bits are fixed and still light.
function frame(version, size) {
  const rows = Array.from({ length: size }, () => Array(size).fill(null));
  const square = (x, y, r, dark) => {
    for (let dy = -r; dy <= r; dy++) for (let dx = -r; dx <= r; dx++) {
      if (rows[y + dy]?.[x + dx] !== undefined) rows[y + dy][x + dx] = dark(Math.max(Math.abs(dx), Math.abs(dy)));
    }
  };
  for (let i = 0; i < size; i++) rows[6][i] = rows[i][6] = i % 2 === 0;
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, (d) => d !== 2 && d !== 4);
  const at = ALIGNED[version], last = at[at.length - 1];
  for (const x of at) for (const y of at) {
    if (!((x === 6 && (y === 6 || y === last)) || (x === last && y === 6))) square(x, y, 2, (d) => d !== 1);
  }
  for (let i = 0; i < 9; i++) (rows[8][i] ??= false), (rows[i][8] ??= false);
  for (let i = size - 8; i < size; i++) rows[8][i] = rows[i][8] = false;
  rows[size - 8][8] = true;
  if (version >= 7) {
    const word = checked(version, 12, 0x1f25);
    for (let i = 0; i < 18; i++) rows[Math.floor(i / 3)][size - 11 + (i % 3)] = rows[size - 11 + (i % 3)][Math.floor(i / 3)] = ((word >> i) & 1) === 1;
  }
  return rows;
}

// path gives the free cells in the order of the bits: in columns of two, up and down.
function path(fixed, size) {
  const cells = [];
  for (let right = size - 1, up = true; right >= 1; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let i = 0; i < size; i++) {
      for (const x of [right, right - 1]) {
        const y = up ? size - 1 - i : i;
        if (fixed[y][x] === null) cells.push([x, y]);
      }
    }
  }
  return cells;
}

// format writes level M and the mask, twice.
function format(rows, size, mask) {
  const word = checked(mask, 10, 0x537) ^ 0x5412;
  const first = [[8, 0], [8, 1], [8, 2], [8, 3], [8, 4], [8, 5], [8, 7], [8, 8], [7, 8], [5, 8], [4, 8], [3, 8], [2, 8], [1, 8], [0, 8]];
  for (let i = 0; i < 15; i++) {
    const dark = ((word >> i) & 1) === 1, [x, y] = first[i];
    rows[y][x] = dark;
    if (i < 8) rows[8][size - 1 - i] = dark;
    else rows[size - 15 + i][8] = dark;
  }
}

// penalty is how hard a code would be to read.
function penalty(rows) {
  const lines = [...rows, ...rows[0].map((_, x) => rows.map((row) => row[x]))].map((line) => line.map(Number).join(''));
  let sum = 0, dark = 0;
  for (const line of lines) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
    sum += 40 * ((line.match(/(?=00001011101)/g) ?? []).length + (line.match(/(?=10111010000)/g) ?? []).length);
  }
  rows.forEach((row, y) => row.forEach((cell, x) => {
    if (cell) dark++;
    if (y > 0 && x > 0 && [row[x - 1], rows[y - 1][x], rows[y - 1][x - 1]].every((c) => c === cell)) sum += 3;
  }));
  return sum + 10 * Math.floor(Math.abs((20 * dark) / rows.length ** 2 - 10));
}

// outline gives the dark cells as the path of a drawing, in a box with a margin of four.
export function outline(rows) {
  return rows.map((row, y) => row.map((cell, x) => (cell ? `M${x + 4} ${y + 4}h1v1h-1z` : '')).join('')).join('');
}
