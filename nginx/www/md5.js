// MD5 (RFC 1321) of bytes that come in pieces.

const SINES = Int32Array.from({ length: 64 }, (_, step) => Math.floor(Math.abs(Math.sin(step + 1)) * 2 ** 32) | 0);
const BLOCK_BYTES = 64;

/** A sum turned to the left, and another added. */
function rotated(sum, count, more) {
  const word = sum | 0;
  return (((word << count) | (word >>> (32 - count))) + more) | 0;
}

export class MD5 {
  #state = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]);
  #rest = new Uint8Array(BLOCK_BYTES);
  #restCount = 0;
  #count = 0;

  /** @param {Uint8Array} bytes */
  update(bytes) {
    this.#count += bytes.length;
    let offset = 0;
    if (this.#restCount > 0) {
      offset = Math.min(BLOCK_BYTES - this.#restCount, bytes.length);
      this.#rest.set(bytes.subarray(0, offset), this.#restCount);
      this.#restCount += offset;
      if (this.#restCount < BLOCK_BYTES) return;
      this.#blocks(this.#rest, 0, BLOCK_BYTES);
      this.#restCount = 0;
    }
    const end = bytes.length - ((bytes.length - offset) % BLOCK_BYTES);
    this.#blocks(bytes, offset, end);
    this.#rest.set(bytes.subarray(end));
    this.#restCount = bytes.length - end;
  }

  /** @returns {string} 32 lower-case hexadecimal digits */
  finish() {
    const count = this.#count;
    const padding = new Uint8Array(((this.#restCount < 56 ? 56 : 120) - this.#restCount) + 8);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, (count * 8) >>> 0, true);
    view.setUint32(padding.length - 4, Math.floor(count / 2 ** 29), true);
    this.update(padding);
    return Array.from(new Uint8Array(this.#state.buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  #blocks(bytes, start, end) {
    const words = new Int32Array(16);
    const state = this.#state;
    for (let block = start; block < end; block += BLOCK_BYTES) {
      for (let word = 0, at = block; word < 16; word++, at += 4) {
        words[word] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
      }
      let a = state[0];
      let b = state[1];
      let c = state[2];
      let d = state[3];
      // Four steps at a time, after which the words are in their places again.
      for (let step = 0; step < 16; step += 4) {
        a = rotated(a + (d ^ (b & (c ^ d))) + SINES[step] + words[step], 7, b);
        d = rotated(d + (c ^ (a & (b ^ c))) + SINES[step + 1] + words[step + 1], 12, a);
        c = rotated(c + (b ^ (d & (a ^ b))) + SINES[step + 2] + words[step + 2], 17, d);
        b = rotated(b + (a ^ (c & (d ^ a))) + SINES[step + 3] + words[step + 3], 22, c);
      }
      for (let step = 16; step < 32; step += 4) {
        const word = 5 * step + 1;
        a = rotated(a + (c ^ (d & (b ^ c))) + SINES[step] + words[word & 15], 5, b);
        d = rotated(d + (b ^ (c & (a ^ b))) + SINES[step + 1] + words[(word + 5) & 15], 9, a);
        c = rotated(c + (a ^ (b & (d ^ a))) + SINES[step + 2] + words[(word + 10) & 15], 14, d);
        b = rotated(b + (d ^ (a & (c ^ d))) + SINES[step + 3] + words[(word + 15) & 15], 20, c);
      }
      for (let step = 32; step < 48; step += 4) {
        const word = 3 * step + 5;
        a = rotated(a + (b ^ c ^ d) + SINES[step] + words[word & 15], 4, b);
        d = rotated(d + (a ^ b ^ c) + SINES[step + 1] + words[(word + 3) & 15], 11, a);
        c = rotated(c + (d ^ a ^ b) + SINES[step + 2] + words[(word + 6) & 15], 16, d);
        b = rotated(b + (c ^ d ^ a) + SINES[step + 3] + words[(word + 9) & 15], 23, c);
      }
      for (let step = 48; step < 64; step += 4) {
        const word = 7 * step;
        a = rotated(a + (c ^ (b | ~d)) + SINES[step] + words[word & 15], 6, b);
        d = rotated(d + (b ^ (a | ~c)) + SINES[step + 1] + words[(word + 7) & 15], 10, a);
        c = rotated(c + (a ^ (d | ~b)) + SINES[step + 2] + words[(word + 14) & 15], 15, d);
        b = rotated(b + (d ^ (c | ~a)) + SINES[step + 3] + words[(word + 21) & 15], 21, c);
      }
      state[0] = (state[0] + a) | 0;
      state[1] = (state[1] + b) | 0;
      state[2] = (state[2] + c) | 0;
      state[3] = (state[3] + d) | 0;
    }
  }
}
