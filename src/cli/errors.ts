import { TensorpressError } from '../errors.js';
import { formatDiagnostics } from '../recipe/findings.js';
import type { Screen } from './screen.js';

/** Shows an error as a sentence with a place and a way out, and gives the exit code. A stack trace only when asked for. */
export function showError(error: unknown, screen: Screen, { json, debug }: { json: boolean; debug: boolean }): number {
  const known = error instanceof TensorpressError ? error : unexpected(error);
  if (json) screen.print(JSON.stringify({ ok: false, error: errorJson(known) }, null, 2));
  process.stderr.write(`${errorText(known)}\n`);
  if (debug) process.stderr.write(`\n${(error as Error).stack ?? String(error)}\n`);
  return known.exitCode;
}

function errorText(error: TensorpressError): string {
  if (error.diagnostics.length > 0) return formatDiagnostics(error);
  const { file, line, column, tensor, module } = error.place;
  const where = [file, line, column].filter(x => x !== undefined).join(':');
  const what = [tensor ?? module].filter(name => name !== undefined && !error.message.includes(name));
  const prefix = [where === '' || error.message.includes(where) ? undefined : where, ...what]
    .filter(Boolean)
    .join(', ');
  return [
    `${prefix === '' ? '' : `${prefix}: `}${error.message}`,
    ...(error.hint === undefined ? [] : [`  ${error.hint}`]),
  ].join('\n');
}

function errorJson({ code, message, place, hint, diagnostics }: TensorpressError) {
  return { code, message, ...place, ...(hint === undefined ? {} : { hint }), errors: diagnostics };
}

function unexpected(error: unknown): TensorpressError {
  const message = error instanceof Error ? error.message : String(error);
  return new TensorpressError('INTERNAL', `something unexpected happened: ${message}`, {
    cause: error,
    hint: 'this is a defect of tensorpress; run again with --debug and report what it prints',
  });
}
