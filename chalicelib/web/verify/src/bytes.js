// Bytes, hex, and the two hashes: SHA-256 from the browser, Keccak-256 written out, for no browser has it.

export const fromHex = (text) => {
  const digits = String(text).replace(/^0x/, '');
  if (digits.length % 2 || /[^0-9a-f]/i.test(digits)) throw new Error(`${text} is not hex`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
};

export const toHex = (bytes) => '0x' + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export const utf8 = (text) => new TextEncoder().encode(text);

export const concat = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
};

/** A number or bigint as a 32-byte word. */
export const word = (value) => fromHex(BigInt(value).toString(16).padStart(64, '0'));

export const toNumber = (bytes) => BigInt(toHex(bytes) === '0x' ? 0 : toHex(bytes));

export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

const RATE = 136; // bytes a block, of a state of 200
const MASK = (1n << 64n) - 1n;
const rotate = (value, by) => (by ? ((value << BigInt(by)) | (value >> BigInt(64 - by))) & MASK : value);

// Round constants come from a shift register and rotations from a walk over the lanes, as FIPS 202 defines both.
const ROUNDS = [];
for (let round = 0, register = 1; round < 24; round++) {
  let constant = 0n;
  for (let bit = 0; bit < 7; bit++) {
    if (register & 1) constant |= 1n << BigInt((1 << bit) - 1);
    register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
  }
  ROUNDS.push(constant);
}
const WALK = [];
for (let step = 0, x = 1, y = 0; step < 24; step++) {
  WALK.push([x + 5 * y, (((step + 1) * (step + 2)) / 2) % 64]);
  [x, y] = [y, (2 * x + 3 * y) % 5];
}

const permute = (lanes) => {
  for (const constant of ROUNDS) {
    const columns = [0, 1, 2, 3, 4].map((x) => lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]);
    for (let at = 0; at < 25; at++) lanes[at] ^= columns[(at + 4) % 5] ^ rotate(columns[(at + 1) % 5], 1);
    let carried = lanes[1];
    for (const [from, by] of WALK) {
      const x = from % 5;
      const y = (from - x) / 5;
      const to = y + 5 * ((2 * x + 3 * y) % 5);
      [lanes[to], carried] = [rotate(carried, by), lanes[to]];
    }
    for (let row = 0; row < 25; row += 5) {
      const old = lanes.slice(row, row + 5);
      for (let x = 0; x < 5; x++) lanes[row + x] = old[x] ^ (~old[(x + 1) % 5] & MASK & old[(x + 2) % 5]);
    }
    lanes[0] ^= constant;
  }
};

export const keccak256 = (bytes) => {
  const padded = new Uint8Array((Math.floor(bytes.length / RATE) + 1) * RATE);
  padded.set(bytes);
  padded[bytes.length] ^= 0x01;
  padded[padded.length - 1] ^= 0x80;
  const view = new DataView(padded.buffer);
  const lanes = new Array(25).fill(0n);
  for (let block = 0; block < padded.length; block += RATE) {
    for (let lane = 0; lane < RATE / 8; lane++) lanes[lane] ^= view.getBigUint64(block + lane * 8, true);
    permute(lanes);
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (let lane = 0; lane < 4; lane++) digest.setBigUint64(lane * 8, lanes[lane], true);
  return new Uint8Array(digest.buffer);
};
