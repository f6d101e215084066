const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** True when a terminal, a log line and a UTF-8 file all show `text` as it is: no control or format characters, no lone surrogates. */
export function isPrintable(text: string): boolean {
  return text.search(UNPRINTABLE) === -1;
}

/** A name from a file that nobody vouches for, made fit for a message: cut to `length` characters, unprintable ones spelt `\u{1b}`. */
export function printable(text: string, length = 120): string {
  const cut = text.length > length ? `${text.slice(0, length - 3)}...` : text;
  return cut.replace(UNPRINTABLE, character => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
