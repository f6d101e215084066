/**
 * GPT-2's spelling of bytes as printable characters: bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and up,
 * in order (Radford et al. 2019).
 */
const CHARACTERS: readonly string[] = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(pointOf(byte)));
const BYTES: ReadonlyMap<string, number> = new Map(CHARACTERS.map((character, byte) => [character, byte]));

function isPlain(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

function pointOf(byte: number): number {
  if (isPlain(byte)) return byte;
  let others = 0;
  for (let lower = 0; lower < byte; lower += 1) if (!isPlain(lower)) others += 1;
  return 0x100 + others;
}

/** The UTF-8 bytes of a text, spelt as characters. */
export function spellBytes(text: string): string {
  let spelt = '';
  for (const byte of Buffer.from(text)) spelt += CHARACTERS[byte]!;
  return spelt;
}

/** The text whose bytes the tokens spell; a token that spells none (an added one) is taken as text. Bytes that are no UTF-8 give U+FFFD. */
export function readBytes(tokens: readonly string[]): string {
  const bytes: number[] = [];
  for (const token of tokens) {
    const spelt = Array.from(token, character => BYTES.get(character));
    if (spelt.every(byte => byte !== undefined)) for (const byte of spelt) bytes.push(byte);
    else for (const byte of Buffer.from(token)) bytes.push(byte);
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}
