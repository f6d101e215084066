import { TensorpressError, type Diagnostic } from '../errors.js';
import { frameOf } from './frame.js';
import { placeOf, type At } from './source.js';

/** Something wrong with a recipe. */
export interface Finding {
  /** Stable name of the kind of error, in kebab case. */
  readonly code: string;
  readonly message: string;
  /** What was expected, or the way out. */
  readonly hint?: string | undefined;
  readonly at: At;
}

export type Report = (finding: Finding) => void;

/** More would not be read, and a hostile recipe has tens of thousands. */
const SHOWN = 100;

/** One error that holds all findings, sorted by place, without repetitions. */
export function recipeError(file: string, findings: readonly Finding[]): TensorpressError {
  const seen = new Set<string>();
  const distinct = [...findings]
    .sort((a, b) => Number(a.at.source.file !== file) - Number(b.at.source.file !== file) || a.at.from - b.at.from)
    .filter(({ at, message }) => {
      const key = JSON.stringify([at.source.file, at.from, message]);
      return !seen.has(key) && seen.add(key);
    });
  const count = distinct.length;
  const more = count > SHOWN ? `, the first ${SHOWN} are shown` : '';
  const diagnostics = distinct.slice(0, SHOWN).map(diagnosticOf);
  const { file: where, line, column, path } = diagnostics[0] ?? {};
  return new TensorpressError('RECIPE', `${file}: ${count} ${count === 1 ? 'error' : 'errors'}${more}`, {
    diagnostics,
    place: {
      ...(where === undefined ? { file } : { file: where }),
      ...(line && column ? { line, column } : {}),
      ...(path === undefined ? {} : { path }),
    },
  });
}

function diagnosticOf({ code, message, hint, at }: Finding): Diagnostic {
  return {
    code,
    message: sentence(message),
    ...placeOf(at),
    ...(hint === undefined ? {} : { hint: sentence(hint) }),
    frame: frameOf(at),
  };
}

/** The findings of a recipe error as they are shown in a terminal (without colours): place and sentence, caret frame, hint. */
export function formatDiagnostics(error: TensorpressError): string {
  const blocks = error.diagnostics.map(({ file, line, column, message, frame, hint }) => {
    const foreign = file !== undefined && !error.message.startsWith(`${file}: `) ? `${file} ` : '';
    const place = line === undefined ? '' : `${foreign}${line}:${column}  `;
    const lines = [`  ${place}${message}`];
    if (frame !== undefined) lines.push(frame);
    if (hint !== undefined) lines.push(`       ${hint}`);
    return lines.join('\n');
  });
  return [error.message, ...blocks].join('\n\n');
}

/** A value as it can stand in a sentence: short, on one line, texts in quotes. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return quote(value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : 'a map';
}

/** A text in quotes, shortened. */
export function quote(text: string): string {
  return `"${text.length > 60 ? `${text.slice(0, 59)}\u2026` : text}"`;
}

/** Whatever of a recipe a sentence repeats, it stays one line of sane length and cannot disturb a terminal. */
function sentence(text: string): string {
  const short = text.length > 500 ? `${text.slice(0, 499)}\u2026` : text;
  return short.replace(/[\p{C}\u2028\u2029]/gu, '\u00b7');
}

/** `did you mean "x"?` and the choices, as far as there are any; beside a suggestion a long list would only be in the way. */
export function choices(suggestion: string | undefined, all: readonly string[] = []): string | undefined {
  const list =
    all.length === 0 || (suggestion !== undefined && all.length > 10)
      ? undefined
      : all.length === 1
        ? `the only choice is ${all[0]}`
        : `one of ${all.join(', ')}`;
  const parts = [suggestion === undefined ? undefined : `did you mean "${suggestion}"?`, list];
  const text = parts.filter(part => part !== undefined).join(' ');
  return text === '' ? undefined : text;
}
