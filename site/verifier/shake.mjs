// SHAKE128 and SHAKE256 (FIPS 202): no browser has them. A lane of 64 bits is two numbers of 32, the lower one first.

// CONSTANTS are those of the 24 rounds, each of two numbers; ROTATIONS and PLACES those of the steps ρ and π.
const CONSTANTS = new Int32Array(48);
for (let round = 0, r = 1; round < 24; round++) {
  for (let j = 0; j < 7; j++) {
    r = ((r << 1) ^ ((r >> 7) * 0x71)) & 0xff;
    const bit = 2 ** j - 1;
    if (r & 2) CONSTANTS[2 * round + (bit >> 5)] ^= 1 << (bit & 31);
  }
}

const ROTATIONS = [], PLACES = [];
for (let t = 0, x = 1, y = 0; t < 24; t++) {
  [x, y] = [y, (2 * x + 3 * y) % 5];
  PLACES.push(x + 5 * y);
  ROTATIONS.push((((t + 1) * (t + 2)) / 2) % 64);
}

const C = new Int32Array(10), ROW = new Int32Array(10);

// permute is Keccak-f[1600].
function permute(s) {
  for (let round = 0; round < 24; round++) {
    for (let i = 0; i < 10; i++) C[i] = s[i] ^ s[i + 10] ^ s[i + 20] ^ s[i + 30] ^ s[i + 40];
    for (let x = 0; x < 10; x += 2) {
      const before = (x + 8) % 10, behind = (x + 2) % 10;
      const low = C[before] ^ ((C[behind] << 1) | (C[behind + 1] >>> 31));
      const high = C[before + 1] ^ ((C[behind + 1] << 1) | (C[behind] >>> 31));
      for (let at = x; at < 50; at += 10) (s[at] ^= low), (s[at + 1] ^= high);
    }
    let low = s[2], high = s[3];
    for (let t = 0; t < 24; t++) {
      const at = 2 * PLACES[t], n = ROTATIONS[t] & 31, swap = ROTATIONS[t] > 31;
      const a = swap ? high : low, b = swap ? low : high;
      (low = s[at]), (high = s[at + 1]);
      s[at] = n ? (a << n) | (b >>> (32 - n)) : a;
      s[at + 1] = n ? (b << n) | (a >>> (32 - n)) : b;
    }
    for (let y = 0; y < 50; y += 10) {
      for (let i = 0; i < 10; i++) ROW[i] = s[y + i];
      for (let i = 0; i < 10; i++) s[y + i] ^= ~ROW[(i + 2) % 10] & ROW[(i + 4) % 10];
    }
    s[0] ^= CONSTANTS[2 * round];
    s[1] ^= CONSTANTS[2 * round + 1];
  }
}

// Shake takes bytes with update, and then gives as many as are asked for.
class Shake {
  constructor(rate) {
    Object.assign(this, { rate, state: new Int32Array(50), at: 0, squeezing: false });
  }

  xor(at, b) {
    this.state[at >> 2] ^= b << (8 * (at & 3));
  }

  update(bytes) {
    for (let i = 0; i < bytes.length; i++) {
      this.xor(this.at++, bytes[i]);
      if (this.at === this.rate) permute(this.state), (this.at = 0);
    }
    return this;
  }

  read(n) {
    if (!this.squeezing) {
      this.xor(this.at, 0x1f);
      this.xor(this.rate - 1, 0x80);
      (this.at = this.rate), (this.squeezing = true);
    }
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      if (this.at === this.rate) permute(this.state), (this.at = 0);
      out[i] = this.state[this.at >> 2] >>> (8 * (this.at & 3));
      this.at++;
    }
    return out;
  }
}

export const shake128 = () => new Shake(168);
export const shake256 = () => new Shake(136);
