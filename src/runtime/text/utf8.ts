/**
 * Offset of the first byte that is not well-formed UTF-8 (Unicode, table 3-7), or -1. Only called to say where: `buffer.isUtf8` tells whether.
 */
export function firstInvalidByte(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at]!;
    const length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0; // prettier-ignore
    if (length === 0) return at;
    for (let i = 1; i < length; i += 1) {
      const [low, high] = i === 1 ? secondByte(lead) : [0x80, 0xbf];
      const byte = bytes[at + i];
      if (byte === undefined || byte < low || byte > high) return at;
    }
    at += length;
  }
  return -1;
}

/** Overlong forms, surrogates and points beyond U+10FFFF show in the second byte. */
function secondByte(lead: number): readonly [number, number] {
  if (lead === 0xe0) return [0xa0, 0xbf];
  if (lead === 0xed) return [0x80, 0x9f];
  if (lead === 0xf0) return [0x90, 0xbf];
  if (lead === 0xf4) return [0x80, 0x8f];
  return [0x80, 0xbf];
}
