/** Where something went wrong, as precisely as it is known. */
export interface Place {
  file?: string;
  /** 1-based. */
  line?: number;
  /** 1-based. */
  column?: number;
  /** JSON pointer into the document. */
  path?: string;
  part?: string;
  module?: string;
  tensor?: string;
}

/** What happened, in a form that a caller can branch on. */
export type ErrorCode =
  | 'ARGUMENT' // a wrong command line or option
  | 'RECIPE' // the recipe is not valid; `diagnostics` holds every error
  | 'PLAN' // recipe and model do not fit each other
  | 'NOT_BUILT' // valid, but the work behind it does not exist yet
  | 'MODEL' // the model folder cannot be used: missing, no config.json, ...
  | 'FINISHED' // the output folder already holds something
  | 'TENSOR' // a tensor or its file is damaged, hostile or not finite
  | 'ENGINE' // the engine or device is missing, fails, or has not enough memory
  | 'NETWORK'
  | 'DISK'
  | 'PLUGIN'
  | 'INTERRUPTED'
  | 'INTERNAL';

const EXIT: Record<ErrorCode, 1 | 2 | 130> = {
  ARGUMENT: 2,
  RECIPE: 2,
  PLAN: 2,
  NOT_BUILT: 2,
  MODEL: 2,
  FINISHED: 2,
  TENSOR: 1,
  ENGINE: 1,
  NETWORK: 1,
  DISK: 1,
  PLUGIN: 1,
  INTERRUPTED: 130,
  INTERNAL: 1,
};

/** One finding in a document. `frame` is the caret frame, ready to print. */
export interface Diagnostic extends Place {
  code: string;
  message: string;
  hint?: string;
  frame?: string;
}

export interface ErrorOptions {
  place?: Place;
  /** The way out, as a sentence or a command. */
  hint?: string;
  /** All findings, where there is more than one. */
  diagnostics?: readonly Diagnostic[];
  cause?: unknown;
}

/** The only error that tensorpress throws on purpose: a sentence with a code, a place and a way out. */
export class TensorpressError extends Error {
  override readonly name = 'TensorpressError';
  readonly code: ErrorCode;
  readonly place: Place;
  readonly hint: string | undefined;
  readonly diagnostics: readonly Diagnostic[];

  constructor(code: ErrorCode, message: string, { place = {}, hint, diagnostics = [], cause }: ErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.place = place;
    this.hint = hint;
    this.diagnostics = diagnostics;
  }

  /** The exit code of the process: 2 nothing was written, 1 work failed, 130 interrupted. */
  get exitCode(): 1 | 2 | 130 {
    return EXIT[this.code];
  }
}
