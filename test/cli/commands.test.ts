import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cli, ROOT } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';

const QUICKSTART = join(ROOT, 'recipes/quickstart.yaml');

/** A recipe file in a folder of its own. */
function recipe(text: string): string {
  const path = join(tempFolder(), 'recipe.yaml');
  writeFileSync(path, text);
  return path;
}

const quantize = (options: string) => recipe(`version: 1\nmodifiers:\n  - QuantizationModifier: {${options}}\n`);

describe('tensorpress', () => {
  it('lists its commands', async () => {
    const { exitCode, stdout } = await cli(['--help']);
    assert.equal(exitCode, 0);
    for (const command of ['apply', 'plan', 'validate', 'normalize', 'inspect', 'convert', 'doctor', 'schema']) {
      assert.match(stdout, new RegExp(`^  ${command}\\b`, 'm'));
    }
  });

  it('refuses what it does not know with exit code 2', async () => {
    for (const args of [
      ['aply'],
      ['apply'],
      ['plan', QUICKSTART, '--modle', 'x'],
      ['convert', '.', '--to', 'gguf', '--out', 'x'],
    ]) {
      const { exitCode, stderr } = await cli(args);
      assert.equal(exitCode, 2, args.join(' '));
      assert.notEqual(stderr, '');
      assert.doesNotMatch(stderr, /^\s+at /m, 'no stack trace');
    }
  });

  it('says of commands to come that they are not there yet', async () => {
    for (const command of ['bench']) {
      const { exitCode, stderr } = await cli([command, 'x']);
      assert.equal(exitCode, 2);
      assert.match(stderr, new RegExp(command));
    }
  });
});

describe('apply', () => {
  it('makes a checkpoint, a report and a record, and says so', async () => {
    const out = join(tempFolder(), 'out');
    const { exitCode, stdout, stderr } = await cli(['apply', QUICKSTART, '--out', out]);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /size +11\.5 MB +4\.54 MB +39 %/);
    assert.match(stdout, /report +.*report\.html/);
    assert.deepEqual(readdirSync(out).sort(), [
      'README.md',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'recipe.yaml',
      'report.html',
      'report.json',
      'report.md',
      'run.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('writes one JSON document to stdout with --json, the rest to stderr', async () => {
    const out = join(tempFolder(), 'out');
    const { exitCode, stdout, stderr } = await cli([
      'apply',
      QUICKSTART,
      '--out',
      out,
      '--json',
      '--threads',
      '1',
      '--device',
      'cpu',
    ]);
    assert.equal(exitCode, 0, stderr);
    const report = JSON.parse(stdout);
    assert.ok(report.size.before > 11e6 && report.size.after < 5e6);
    assert.ok(report.bits_per_weight > 4 && report.bits_per_weight < 16);
    assert.notEqual(stderr, '');
  });

  it('says nothing with --quiet', async () => {
    const { exitCode, stdout, stderr } = await cli([
      'apply',
      QUICKSTART,
      '--out',
      join(tempFolder(), 'out'),
      '--quiet',
    ]);
    assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: '', stderr: '' });
  });

  it('bakes overrides into the saved recipe', async () => {
    const out = join(tempFolder(), 'out');
    const set = 'modifiers.0.QuantizationModifier.scheme=W8A16';
    assert.equal((await cli(['apply', QUICKSTART, '--out', out, '--quiet', '--set', set])).exitCode, 0);
    assert.match(readFileSync(join(out, 'recipe.yaml'), 'utf8'), /scheme: W8A16/);
    assert.deepEqual(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')).options.set, [set]);
  });

  it('needs --out', async () => {
    const { exitCode, stderr } = await cli(['apply', QUICKSTART]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /--out/);
  });

  it('leaves alone what is there, unless --force', async () => {
    const out = join(tempFolder(), 'out');
    mkdirSync(out);
    writeFileSync(join(out, 'mine.txt'), 'mine');
    const refused = await cli(['apply', QUICKSTART, '--out', out]);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stderr, /not empty/);
    assert.deepEqual(readdirSync(out), ['mine.txt']);
    assert.equal((await cli(['apply', QUICKSTART, '--out', out, '--force', '--quiet'])).exitCode, 0);
    assert.equal(readFileSync(join(out, 'mine.txt'), 'utf8'), 'mine');
    const again = await cli(['apply', QUICKSTART, '--out', out]);
    assert.equal(again.exitCode, 2);
    assert.match(again.stderr, /finished run/);
  });

  it('writes nothing when recipe and model do not fit', async () => {
    const out = join(tempFolder(), 'out');
    const path = quantize("scheme: W4A16, targets: ['re:.*q_porj'], ignore: [lm_haed]");
    const { exitCode, stdout, stderr } = await cli(['apply', path, '--out', out, '--json']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /3:\d+ +"re:\.\*q_porj" matches no module/);
    assert.match(stderr, /"lm_haed" in ignore/);
    assert.equal(JSON.parse(stdout).ok, false);
    assert.ok(!existsSync(out));
  });

  it('says what it does not carry out yet', async () => {
    const path = recipe('version: 1\nmodifiers:\n  - SparseGPTModifier: {sparsity: 0.5, targets: [Linear]}\n');
    for (const args of [
      ['plan', path],
      ['apply', path, '--out', join(tempFolder(), 'out')],
    ]) {
      const { exitCode, stderr } = await cli(args);
      assert.equal(exitCode, 2);
      assert.match(stderr, /valid.*SparseGPTModifier/s);
    }
  });

  it('names a model that is not there', async () => {
    const { exitCode, stderr } = await cli([
      'apply',
      QUICKSTART,
      '--model',
      './nowhere',
      '--out',
      join(tempFolder(), 'out'),
    ]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /nowhere/);
  });
});

describe('plan', () => {
  it('shows every kind of module and writes nothing', async () => {
    const cwd = tempFolder();
    const { exitCode, stdout } = await cli(['plan', QUICKSTART], { cwd });
    assert.equal(exitCode, 0);
    assert.match(stdout, /model\.layers\.\*\.mlp\.down_proj +6 x +256 x 768 +int4 group 128 symmetric/);
    assert.deepEqual(readdirSync(cwd), []);
  });

  it('is data with --json', async () => {
    const { stdout } = await cli(['plan', QUICKSTART, '--json']);
    const plan = JSON.parse(stdout);
    assert.equal(plan.modules.length, 44);
    assert.equal(plan.modules.filter((m: { scheme: unknown }) => m.scheme !== null).length, 42);
    assert.ok(plan.estimate.memory_bytes > 0 && plan.estimate.disk_bytes > 4e6);
  });
});

describe('validate', () => {
  it('accepts a valid recipe', async () => {
    const { exitCode, stdout } = await cli(['validate', QUICKSTART, '--json']);
    assert.equal(exitCode, 0);
    assert.deepEqual(JSON.parse(stdout), { ok: true, errors: [] });
  });

  it('gives every error a code, a sentence and a place', async () => {
    const path = quantize('shceme: W4A16, targets: 3');
    const { exitCode, stdout } = await cli(['validate', path, '--json']);
    assert.equal(exitCode, 2);
    const { ok, errors } = JSON.parse(stdout);
    assert.equal(ok, false);
    assert.ok(errors.length >= 2);
    for (const error of errors) {
      assert.deepEqual(Object.keys(error), ['code', 'message', 'file', 'line', 'column', 'path', 'hint']);
      assert.equal(error.file, path);
      assert.equal(error.line, 3);
    }
    assert.match(errors[0].hint, /scheme/);
  });

  it('shows them with the line and a caret', async () => {
    const { exitCode, stderr } = await cli(['validate', quantize('shceme: W4A16')]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /3:28 .*shceme.*\n.*\n +3 \|.*\n +\| +\^{6}\n.*did you mean "scheme"/);
  });

  it('says when there is no such file', async () => {
    const { exitCode, stderr } = await cli(['validate', 'nowhere.yaml']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /nowhere\.yaml/);
  });
});

describe('normalize', () => {
  it('turns the form of llm-compressor into the native one, once and for all', async () => {
    const path = recipe(
      'quant_stage:\n  quant_modifiers:\n    QuantizationModifier: {targets: Linear, scheme: w4a16}\n',
    );
    const once = await cli(['normalize', path]);
    assert.equal(once.exitCode, 0);
    assert.match(once.stdout, /^version: 1\nmodifiers:/);
    const twice = await cli(['normalize', recipe(`${once.stdout}\n`)]);
    assert.equal(twice.stdout, once.stdout);
  });
});

describe('inspect and convert', () => {
  it('read what apply wrote', async () => {
    const folder = tempFolder();
    const [out, dense] = [join(folder, 'out'), join(folder, 'dense')];
    await cli(['apply', QUICKSTART, '--out', out, '--quiet']);
    const inspected = JSON.parse((await cli(['inspect', out, '--json'])).stdout);
    assert.equal(inspected.kind, 'run');
    assert.ok(
      inspected.tensors.some(
        (t: { name: string; dtype: string }) => t.name.endsWith('weight_packed') && t.dtype === 'I32',
      ),
    );
    const file = JSON.parse((await cli(['inspect', join(out, 'model.safetensors'), '--json'])).stdout);
    assert.deepEqual(file.tensors, inspected.tensors);

    const { exitCode, stdout } = await cli(['convert', out, '--to', 'dense', '--out', dense]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /42 modules/);
    const shapes = (list: { name: string; dtype: string; shape: number[] }[]) =>
      list.map(t => `${t.name} ${t.dtype} ${t.shape.join('x')}`).sort();
    const source = JSON.parse((await cli(['inspect', join(ROOT, 'examples/tiny-llama'), '--json'])).stdout);
    const converted = JSON.parse((await cli(['inspect', dense, '--json'])).stdout);
    assert.deepEqual(shapes(converted.tensors), shapes(source.tensors));
    assert.ok(!('quantization_config' in JSON.parse(readFileSync(join(dense, 'config.json'), 'utf8'))));
  });

  it('say what is wrong with a damaged file', async () => {
    const path = join(tempFolder(), 'model.safetensors');
    writeFileSync(path, Buffer.from([255, 255, 255, 255, 255, 255, 255, 127, 0]));
    const { exitCode, stderr } = await cli(['inspect', path]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /model\.safetensors/);
    assert.doesNotMatch(stderr, /^\s+at /m);
  });
});

describe('doctor and schema', () => {
  it('tell what is here', async () => {
    const { exitCode, stdout } = await cli(['doctor', '--json']);
    assert.equal(exitCode, 0);
    assert.ok(JSON.parse(stdout).findings.some((f: { name: string }) => f.name === 'Node.js'));
    const schema = JSON.parse((await cli(['schema'])).stdout);
    assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema');
  });
});
