import pc from 'picocolors';

/** Where a command writes: results on stdout, progress and errors on stderr, so that `--json` can be piped. */
export interface Screen {
  /** Text for the reader: stdout, or stderr when stdout is for JSON. Nothing when quiet. */
  say(text: string): void;
  /** The result itself: always stdout. */
  print(text: string): void;
  /** An error: always stderr. */
  fail(text: string): void;
  /** A line that replaces itself on a terminal, and appears whole, now and then, in a pipe. */
  progress(line: string, milestone: boolean): void;
  /** Room that a line of progress has. */
  readonly columns: number;
  readonly color: ReturnType<typeof pc.createColors>;
}

export interface ScreenOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** The screen of a command: `json` keeps stdout for the result, `quiet` is silent but for result and errors. */
export function createScreen({ json = false, quiet = false }: ScreenOptions): Screen {
  const out = json ? process.stderr : process.stdout;
  const tty = process.stderr.isTTY && process.env['TERM'] !== 'dumb';
  // some terminals say that they have no columns
  const columns = () => (tty ? (process.stderr.columns || 80) - 1 : 100);
  let drawn = false;
  const clear = () => {
    if (drawn) process.stderr.write('\r\x1b[K');
    drawn = false;
  };
  return {
    say(text) {
      if (quiet) return;
      clear();
      out.write(`${text}\n`);
    },
    print(text) {
      clear();
      process.stdout.write(`${text}\n`);
    },
    fail(text) {
      clear();
      process.stderr.write(`${text}\n`);
    },
    progress(line, milestone) {
      if (quiet) return;
      if (tty) {
        clear();
        process.stderr.write(line.slice(0, columns()));
        drawn = true;
      } else if (milestone) {
        process.stderr.write(`${line}\n`);
      }
    },
    get columns() {
      return columns();
    },
    color: pc.createColors(out.isTTY && pc.isColorSupported),
  };
}

/** Columns padded to their widest cell; numbers (`right`) to the right. */
export function table(
  rows: readonly (readonly string[])[],
  { right = [], gap = 2 }: { right?: readonly number[]; gap?: number } = {},
): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map(row =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join(' '.repeat(gap))
      .trimEnd(),
  );
}

/** `━━━━────` */
export function bar(share: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '━'.repeat(full) + '─'.repeat(width - full);
}
