/**
 * Integer codes as compressed-tensors stores them: offset binary u = q + 2^(b-1), each row one little-endian stream of b-bit fields in int32
 * words, zero bits at its end. Fields of 3, 5, 6 and 7 bits straddle words.
 */

/** int32 words that hold `count` fields of `bits` bits. */
export function packedWords(count: number, bits: number): number {
  return Math.ceil((count * bits) / 32);
}

/** Codes [rows, columns] of 1...8 bits -> words [rows, packedWords(columns, bits)], in `words` where they are given. */
export function packBits(
  values: Int8Array,
  rows: number,
  columns: number,
  bits: number,
  words: Int32Array = new Int32Array(rows * packedWords(columns, bits)),
): Int32Array {
  const stride = packedWords(columns, bits);
  if (bits === 8 && columns % 4 === 0) packBytes(wordsOf(values), words);
  else if (bits === 4 && columns % 8 === 0) packHalfBytes(wordsOf(values), words);
  else packStream(values, columns, bits, stride, words);
  return words;
}

/** The inverse of `packBits`. */
export function unpackBits(words: Int32Array, rows: number, columns: number, bits: number): Int8Array {
  const stride = packedWords(columns, bits);
  const values = new Int8Array(rows * columns);
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  if (bits === 8) unpackBytes(bytes, columns, stride * 4, values);
  else if (bits === 4) unpackHalfBytes(bytes, columns, stride * 4, values);
  else unpackStream(words, columns, bits, stride, values);
  return values;
}

/** Packing along the first dimension, as zero points are stored: [rows, columns] -> [packedWords(rows, bits), columns]. */
export function packBitsRows(values: Int8Array, rows: number, columns: number, bits: number): Int32Array {
  const across = transpose(values, new Int8Array(values.length), rows, columns);
  const words = packBits(across, columns, rows, bits);
  return transpose(words, new Int32Array(words.length), columns, packedWords(rows, bits));
}

/** The inverse of `packBitsRows`. */
export function unpackBitsRows(words: Int32Array, rows: number, columns: number, bits: number): Int8Array {
  const across = transpose(words, new Int32Array(words.length), packedWords(rows, bits), columns);
  const values = unpackBits(across, columns, rows, bits);
  return transpose(values, new Int8Array(values.length), columns, rows);
}

/** fp4 codes 0...15, an even number -> half as many bytes, the even element in the low nibble; in `bytes` where they are given. */
export function packNibbles(codes: Uint8Array, bytes: Uint8Array = new Uint8Array(codes.length / 2)): Uint8Array {
  const four = wordsOf(codes);
  const eight = new Int32Array(bytes.buffer, bytes.byteOffset, four.length >>> 1);
  for (let i = 0; i < eight.length; i++) eight[i] = joinNibbles(four[2 * i]!) | (joinNibbles(four[2 * i + 1]!) << 16);
  for (let i = eight.length * 4; i < bytes.length; i++) bytes[i] = codes[2 * i]! | (codes[2 * i + 1]! << 4);
  return bytes;
}

/** The inverse of `packNibbles`. */
export function unpackNibbles(bytes: Uint8Array): Uint8Array {
  const codes = new Uint8Array(bytes.length * 2);
  for (let i = 0; i < bytes.length; i++) {
    codes[2 * i] = bytes[i]! & 15;
    codes[2 * i + 1] = bytes[i]! >>> 4;
  }
  return codes;
}

function packStream(values: Int8Array, columns: number, bits: number, stride: number, words: Int32Array): void {
  const offset = 1 << (bits - 1);
  for (let i = 0, rowWord = 0; i < values.length; rowWord += stride) {
    let word = 0;
    let filled = 0;
    let w = rowWord;
    for (const end = i + columns; i < end; i++) {
      const u = values[i]! + offset;
      word |= u << filled;
      filled += bits;
      if (filled >= 32) {
        words[w++] = word;
        filled -= 32;
        word = filled > 0 ? u >>> (bits - filled) : 0;
      }
    }
    if (filled > 0) words[w] = word;
  }
}

function unpackStream(words: Int32Array, columns: number, bits: number, stride: number, values: Int8Array): void {
  const offset = 1 << (bits - 1);
  const mask = (1 << bits) - 1;
  for (let i = 0, rowWord = 0; i < values.length; rowWord += stride) {
    for (let bit = 0, end = i + columns; i < end; i++, bit += bits) {
      const w = rowWord + (bit >>> 5);
      const shift = bit & 31;
      let u = words[w]! >>> shift;
      if (shift + bits > 32) u |= words[w + 1]! << (32 - shift);
      values[i] = (u & mask) - offset;
    }
  }
}

/** Four codes at a time; they fill their words, whatever the row. */
function packBytes(codes: Uint32Array, words: Int32Array): void {
  for (let i = 0; i < words.length; i++) words[i] = codes[i]! ^ 0x80808080; // adds 128 to each
}

/** Eight codes at a time; they fill their words, whatever the row. */
function packHalfBytes(codes: Uint32Array, words: Int32Array): void {
  for (let i = 0; i < words.length; i++) {
    const low = joinNibbles((codes[2 * i]! & 0x0f0f0f0f) ^ 0x08080808); // adds 8 to each
    const high = joinNibbles((codes[2 * i + 1]! & 0x0f0f0f0f) ^ 0x08080808);
    words[i] = low | (high << 16);
  }
}

/** Four bytes 0...15 -> 16 bits. */
function joinNibbles(four: number): number {
  const two = (four | (four >>> 4)) & 0x00ff00ff;
  return (two | (two >>> 8)) & 0xffff;
}

/** Four codes in each; what is left over is not seen. */
function wordsOf(codes: Int8Array | Uint8Array): Uint32Array {
  const { buffer, byteOffset, length } = codes.byteOffset % 4 === 0 ? codes : codes.slice();
  return new Uint32Array(buffer, byteOffset, length >>> 2);
}

function unpackBytes(bytes: Uint8Array, columns: number, stride: number, values: Int8Array): void {
  for (let i = 0, row = 0; i < values.length; row += stride) {
    for (let c = 0; c < columns; c++) values[i++] = bytes[row + c]! - 128;
  }
}

function unpackHalfBytes(bytes: Uint8Array, columns: number, stride: number, values: Int8Array): void {
  for (let i = 0, row = 0; i < values.length; row += stride) {
    for (let c = 0; c < columns; c++) values[i++] = ((bytes[row + (c >>> 1)]! >>> ((c & 1) << 2)) & 15) - 8;
  }
}

function transpose<A extends Int8Array | Int32Array>(from: A, to: A, rows: number, columns: number): A {
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c]!;
  }
  return to;
}
