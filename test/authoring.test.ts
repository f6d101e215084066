import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, mkdirSync, symlinkSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { execa } from 'execa';
import { cli, ROOT } from './support/run-cli.js';
import { tempFolder } from './support/temp.js';

/** A step of the page: a file that it shows, or commands with the output that it shows. */
type Step =
  | { readonly kind: 'file'; readonly name: string; readonly text: string }
  | { readonly kind: 'commands'; readonly commands: readonly string[]; readonly shown: readonly string[] };

/** A fence behind a line that is a file's name is that file; `sh` holds commands, and `text` right behind it what they print. */
function stepsOf(page: string): Step[] {
  const fences = [...page.matchAll(/(?:^`([\w.-]+)`:\n\n)?^```(\w+)\n(.*?)^```\n/gms)];
  return fences.flatMap(([whole, name, language, text = ''], i): Step[] => {
    if (name !== undefined) return [{ kind: 'file', name, text }];
    if (language !== 'sh') return [];
    const next = fences[i + 1];
    const follows = next !== undefined && next.index === fences[i]!.index + whole.length + 1;
    const shown = follows && next[2] === 'text' ? next[3]!.trimEnd().split('\n') : [];
    return [{ kind: 'commands', commands: text.trimEnd().split('\n'), shown }];
  });
}

describe('docs/authoring.md', () => {
  const steps = stepsOf(readFileSync(fileURLToPath(new URL('../docs/authoring.md', import.meta.url)), 'utf8'));
  const folder = tempFolder();
  const input_ids = Array.from({ length: 8 }, (_, i) =>
    Array.from({ length: 64 }, (_, t) => (37 * t + 101 * i) % 4096),
  );
  writeFileSync(join(folder, 'calibration.json'), JSON.stringify({ input_ids }));

  it('shows files and commands', () => {
    assert.deepEqual(
      steps.flatMap(step => (step.kind === 'file' ? [step.name] : [])),
      [
        'clip-outliers.ts',
        'clip-outliers.schema.json',
        'recipe.yaml',
        'clip-outliers.test.ts',
        'clip-with-data.ts',
        'with-data.yaml',
        'k-sigma.ts',
        'k-sigma.test.ts',
        'k-sigma.recipe.yaml',
        'broken.ts',
        'broken.yaml',
      ],
    );
  });

  for (const step of steps) {
    if (step.kind === 'file') {
      it(`has ${step.name}`, () => writeFileSync(join(folder, step.name), step.text));
      continue;
    }
    it(step.commands.join('; '), async () => {
      let printed = '';
      for (const command of step.commands) {
        const [, line = '', code = '0'] = /^tensorpress (.*?)(?:\s+# exit code (\d))?$/.exec(command)!;
        const { exitCode, stdout, stderr } = await cli(line.split(' '), { cwd: folder });
        assert.equal(exitCode, Number(code), `${command}\n${stdout}\n${stderr}`);
        printed += `${stdout}\n${stderr}\n`;
      }
      // columns are as wide as their widest cell
      const plain = (text: string) => text.trim().replace(/\s+/g, ' ');
      const lines = printed.split('\n').map(plain);
      for (const shown of step.shown) {
        const [begin = '', end = ''] = shown.split('…').map(plain);
        assert.ok(
          lines.some(line => line.startsWith(begin) && line.endsWith(end)),
          `${shown}\n\n${printed}`,
        );
      }
    });
  }

  it('gives the same bytes again', () => {
    const weights = ['out', 'again'].map(name => readFileSync(join(folder, name, 'model.safetensors')));
    assert.ok(weights[0]!.equals(weights[1]!));
    assert.ok(!existsSync(join(folder, 'broken', 'config.json')) && !existsSync(join(folder, 'broken', 'run.json')));
  });

  it('type-checks, beside an installed tensorpress', async () => {
    writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
    mkdirSync(join(folder, 'node_modules'));
    for (const name of ['typescript', '@types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
    symlinkSync(ROOT, join(folder, 'node_modules', 'tensorpress'));
    const files = steps.flatMap(step => (step.kind === 'file' && step.name.endsWith('.ts') ? [step.name] : []));
    const options = '--noEmit --strict --module nodenext --target es2023 --allowImportingTsExtensions --types node';
    const strict = '--skipLibCheck --noUncheckedIndexedAccess --exactOptionalPropertyTypes --verbatimModuleSyntax';
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = await execa(process.execPath, [tsc, ...options.split(' '), ...strict.split(' '), ...files], {
      cwd: folder,
      reject: false,
    });
    assert.equal(stdout, '');
  });
});
