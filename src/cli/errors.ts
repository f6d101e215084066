import { TensorpressError, type Diagnostic } from '../errors.js';
import { formatDiagnostics } from '../recipe/findings.js';
import type { Screen } from './screen.js';

/** Shows an error as a sentence with a place and a way out, and gives the exit code. A stack trace only when asked for. */
export function showError(error: unknown, screen: Screen, { json, debug }: { json: boolean; debug: boolean }): number {
  const known = error instanceof TensorpressError ? error : unexpected(error);
  if (json) screen.print(errorJson(known));
  screen.fail(errorText(known));
  if (debug) screen.fail(`\n${(error as Error).stack ?? String(error)}`);
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

/** The one document that a command with --json prints when it fails: the error, and the same as a list of findings. */
export function errorJson({ code, message, place, hint, diagnostics }: TensorpressError): string {
  const error = { code, message, ...place, ...(hint === undefined ? {} : { hint }) };
  const errors = (diagnostics.length > 0 ? diagnostics : [error]).map(finding);
  return JSON.stringify({ ok: false, error, errors }, null, 2);
}

/** Every key is there, whether anything is known or not. */
function finding({ code, message, hint, ...place }: Diagnostic) {
  const { file = null, line = null, column = null, path = null } = place;
  return { code, message, file, line, column, path, hint: hint ?? null };
}

function unexpected(error: unknown): TensorpressError {
  const message = error instanceof Error ? error.message : String(error);
  return new TensorpressError('INTERNAL', `something unexpected happened: ${message}`, {
    cause: error,
    hint: 'this is a defect of tensorpress; run again with --debug and report what it prints',
  });
}
