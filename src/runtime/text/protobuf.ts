/** A field of a protocol buffer message: an integer, the bits of a float, or bytes (text, message). */
export interface Field {
  readonly number: number;
  readonly int: number;
  readonly float: number;
  readonly bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/**
 * The fields of a protocol buffer message in their order.
 * @throws RangeError when the bytes are no such message
 */
export function* readFields(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  /** The lowest 32 bits, as a signed number: enough for every integer of a SentencePiece model. */
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = view.getUint8(at++);
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new RangeError('a number is too long');
  };
  const take = (length: number) => {
    if (length < 0 || length > message.length - at) throw new RangeError('the message ends too early');
    at += length;
    return at - length;
  };

  while (at < message.length) {
    const tag = varint();
    const number = tag >>> 3;
    if (number === 0) throw new RangeError('a field has no number');
    const empty = { number, int: 0, float: 0, bytes: NO_BYTES };
    switch (tag & 7) {
      case 0:
        yield { ...empty, int: varint() };
        break;
      case 1:
        yield { ...empty, float: view.getFloat64(take(8), true) };
        break;
      case 2: {
        const length = varint();
        const start = take(length);
        yield { ...empty, bytes: message.subarray(start, start + length) };
        break;
      }
      case 5:
        yield { ...empty, float: view.getFloat32(take(4), true) };
        break;
      default:
        throw new RangeError('a field has an unknown type');
    }
  }
}
