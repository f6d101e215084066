// Compiles kernels/ to WebAssembly and writes it into src/numerics/kernels.generated.ts, so that nobody but us needs the compiler. With
// --check it only says whether that file is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import asc from 'assemblyscript/asc';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = new URL('../src/numerics/kernels.generated.ts', import.meta.url);
const FLAGS = ['--enable', 'simd', '--runtime', 'stub', '-O3', '--noAssert'];

/** kernels/index.ts as the text of a module. */
export async function generateKernels(): Promise<string> {
  let binary: Uint8Array | undefined;
  const { error } = await asc.main(['kernels/index.ts', '--baseDir', ROOT, '--outFile', 'kernels.wasm', ...FLAGS], {
    writeFile: (_name, contents) => void (binary = contents as Uint8Array),
  });
  if (error !== null || binary === undefined) throw error ?? new Error('the compiler wrote nothing');
  const lines = Buffer.from(binary)
    .toString('base64')
    .match(/.{1,112}/g)!;
  return [
    '// Generated from kernels/ by `npm run kernels`; do not edit.',
    'export const KERNELS_WASM =',
    lines.map(line => `  '${line}'`).join(' +\n') + ';',
    '',
  ].join('\n');
}

async function main(): Promise<void> {
  const text = await generateKernels();
  if (!process.argv.includes('--check')) return writeFileSync(TARGET, text);
  if (readFileSync(TARGET, 'utf8') === text) return;
  process.stderr.write('src/numerics/kernels.generated.ts does not match kernels/: run `npm run kernels`\n');
  process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
