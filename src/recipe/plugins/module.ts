import { createHash } from 'node:crypto';
import * as promises from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { default as Typescript } from 'typescript';
import { TensorpressError } from '../../errors.js';
import { errnoOf } from '../../formats/files.js';

type Compiler = typeof Typescript;

/** What an import of the library itself means, wherever the file lies: this very package, so that its classes are the same. */
const LIBRARY: Readonly<Record<string, URL>> = {
  tensorpress: new URL('../../index.js', import.meta.url),
  'tensorpress/testing': new URL('../../testing.js', import.meta.url),
};

const CODE = ['.ts', '.mts', '.js', '.mjs'];

/** A file that was read, as it was. */
export interface SourceFile {
  /** Absolute. */
  readonly path: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
}

/** A module that a user wrote, and the files that it consists of: its own first, then those that it imports by a relative path. */
export interface UserModule {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly files: readonly SourceFile[];
}

export type ModuleFs = Pick<typeof promises, 'readFile'>;

/**
 * Loads a TypeScript or JavaScript module from a file, on every Node.js and from any folder: types are dropped by the TypeScript compiler, imports
 * of `tensorpress` lead to this package, relative ones to files beside it. What runs is exactly what was hashed, since the code is handed over as
 * a `data:` address; equal files are one module.
 *
 * @throws TensorpressError PLUGIN, naming the file, when it is missing, is no module or throws
 */
export async function importFile(path: string, { fs = promises }: { fs?: ModuleFs } = {}): Promise<UserModule> {
  const { default: compiler } = await import('typescript');
  const files = new Map<string, { file: SourceFile; address: string }>();
  const address = await addressOf(resolve(path), { compiler, fs, files, importing: [] });
  let exports: Record<string, unknown>;
  try {
    exports = (await import(address)) as Record<string, unknown>;
  } catch (cause) {
    const hint = 'this is an error of the plugin, which is an ES module: it imports and exports';
    throw failed(path, `fails while it is loaded: ${messageOf(cause)}`, { hint, cause });
  }
  const own = files.get(resolve(path))!;
  return { exports, files: [own.file, ...[...files.values()].filter(other => other !== own).map(({ file }) => file)] };
}

interface Loading {
  readonly compiler: Compiler;
  readonly fs: ModuleFs;
  readonly files: Map<string, { readonly file: SourceFile; readonly address: string }>;
  /** The files that led to this one. */
  readonly importing: readonly string[];
}

/** A `data:` address of the module in a file, its imports resolved. */
async function addressOf(path: string, loading: Loading): Promise<string> {
  const { files, importing, compiler } = loading;
  const known = files.get(path);
  if (known !== undefined) return known.address;
  if (importing.includes(path)) {
    const circle = [...importing.slice(importing.indexOf(path)), path].map(file =>
      file.slice(dirname(path).length + 1),
    );
    throw failed(path, `is part of a circle of imports: ${circle.join(' > ')}`, {
      hint: 'let no file import one that imports it',
    });
  }
  const { text, file } = await readSource(path, loading.fs);
  const isData = extname(path) === '.json';
  const code = isData ? text : await link(compiled(text, path, compiler), path, loading);
  const type = isData ? 'application/json' : 'text/javascript';
  const address = `data:${type};base64,${Buffer.from(code).toString('base64')}`;
  files.set(path, { file, address });
  return address;
}

/**
 * Reads and hashes a file.
 * @throws TensorpressError PLUGIN
 */
export async function readSource(path: string, fs: ModuleFs = promises): Promise<{ text: string; file: SourceFile }> {
  const data = await fs.readFile(path).catch((cause: unknown) => {
    const code = errnoOf(cause);
    throw code === 'ENOENT'
      ? failed(path, 'does not exist', { cause })
      : failed(path, `cannot be read (${code ?? 'unknown reason'})`, { cause });
  });
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { text: data.toString('utf8').replace(/^\uFEFF/, ''), file: { path, bytes: data.length, sha256 } };
}

/** JavaScript of a module. */
function compiled(text: string, path: string, ts: Compiler): string {
  if (!CODE.includes(extname(path)))
    throw failed(path, 'is no module', { hint: `name a file that ends in ${CODE.join(', ')}` });
  const { outputText, diagnostics = [] } = ts.transpileModule(text, {
    fileName: path,
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, allowJs: true },
  });
  const [first] = diagnostics;
  if (first === undefined) return outputText;
  const { line, character } = ts.getLineAndCharacterOfPosition(first.file!, first.start ?? 0);
  const message = ts.flattenDiagnosticMessageText(first.messageText, ' ').replace(/\.$/, '');
  throw new TensorpressError('PLUGIN', `${path}:${line + 1}:${character + 1}: ${message}`, {
    place: { file: path, line: line + 1, column: character + 1 },
  });
}

/** The code with every import led to where it is, and with its own name for `import.meta.url` and for stack traces. */
async function link(code: string, path: string, loading: Loading): Promise<string> {
  const inner = { ...loading, importing: [...loading.importing, path] };
  let linked = '';
  let at = 0;
  for (const { fileName, pos, end } of loading.compiler.preProcessFile(code, true, true).importedFiles) {
    // the beginning of a name that is put together when it runs
    if (/^\s*\+/.test(code.slice(end + 2))) continue;
    // `pos` is that of the quote
    linked += code.slice(at, pos) + JSON.stringify(await target(fileName, path, inner));
    at = end + 2;
  }
  const { href } = pathToFileURL(path);
  return `import.meta.url = ${JSON.stringify(href)}; ${linked}${code.slice(at)}\n//# sourceURL=${href}\n`;
}

/** Where an import leads. */
async function target(specifier: string, from: string, loading: Loading): Promise<string> {
  const library = Object.hasOwn(LIBRARY, specifier) ? LIBRARY[specifier] : undefined;
  if (library !== undefined) return library.href;
  if (isBuiltin(specifier) || specifier.startsWith('data:')) return specifier;
  if (/^\.{0,2}\/|^file:/.test(specifier)) {
    const path = fileURLToPath(new URL(specifier, pathToFileURL(from)));
    return addressOf(await standing(path, loading.fs), loading);
  }
  try {
    return pathToFileURL(createRequire(from).resolve(specifier)).href;
  } catch (cause) {
    throw failed(from, `imports ${specifier}, which is not there`, {
      hint: `npm install ${specifier} in the folder of the file`,
      cause,
    });
  }
}

/** TypeScript may call a file by the name that it would have as JavaScript. */
async function standing(path: string, fs: ModuleFs): Promise<string> {
  const typed = path.replace(/\.(m?)js$/, '.$1ts');
  if (typed === path) return path;
  const isThere = await fs.readFile(path).then(
    () => true,
    () => false,
  );
  return isThere ? path : typed;
}

/** An error of a plugin's file, in one sentence that begins with its path. */
export function failed(
  path: string,
  what: string,
  { hint, cause }: { hint?: string; cause?: unknown } = {},
): TensorpressError {
  return new TensorpressError('PLUGIN', `the plugin ${path} ${what}`, {
    place: { file: path },
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What a thrown value says, on one line. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return text.split('\n', 1)[0]!.slice(0, 300);
}
