/** The bytes of a typed array, shared. */
export function asBytes({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Little-endian int32 elements; shared unless the bytes are not aligned. */
export function asInt32(bytes: Uint8Array): Int32Array {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Int32Array(buffer, byteOffset, byteLength / 4);
}

/** Little-endian int64 elements; copied when the bytes are not aligned. */
export function asInt64(bytes: Uint8Array): BigInt64Array {
  const { buffer, byteOffset, byteLength } = bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
  return new BigInt64Array(buffer, byteOffset, byteLength / 8);
}
