import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Report } from '../../src/run/report.js';
import { runSession } from '../../src/run/session.js';
import { BIN, cli, ROOT } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const ROWS = JSON.stringify({
  input_ids: Array.from({ length: 6 }, (_, i) => [1, 5, 9, 2, 7, 3, 3, 8].map(t => t + i)),
});
const W8 = '  - QuantizationModifier: {scheme: FP8_DYNAMIC, targets: [Linear], ignore: [lm_head]}';

/** A recipe with a text beside it, and a place for its result. */
function task({ modifiers = W8, evaluation = '{data: ./rows.json}', rows = ROWS as string | null } = {}) {
  const folder = tempFolder();
  const recipe = join(folder, 'recipe.yaml');
  writeFileSync(
    recipe,
    `version: 1\nmodifiers:${modifiers === '' ? ' []' : `\n${modifiers}`}\nevaluation: ${evaluation}\n`,
  );
  if (modifiers === '')
    writeFileSync(recipe, `${readFileSync(recipe, 'utf8')}outputs: [{format: compressed-tensors}]\n`);
  if (rows !== null) writeFileSync(join(folder, 'rows.json'), rows);
  return { recipe, out: join(folder, 'out') };
}

const reportOf = (out: string) => JSON.parse(readFileSync(join(out, 'report.json'), 'utf8')) as Report;

describe('apply with evaluation', () => {
  let model: string;
  before(async () => (model = await writeModel(tinyLlama({ sigma: 0.3 }))));

  it('ends with figures against the source, the same as eval --against finds', async () => {
    const { recipe, out } = task();
    await runSession({ recipe, model, out });
    const report = reportOf(out);
    const { stdout } = await cli([
      'eval',
      out,
      '--against',
      model,
      '--data',
      join(out, 'inputs', 'rows.json'),
      '--json',
    ]);
    const found = JSON.parse(stdout) as Record<string, unknown>;
    for (const key of ['perplexity', 'base_perplexity', 'kl', 'same_top1', 'tokens'] as const) {
      assert.deepEqual(report[key], found[key], key);
      assert.ok(report[key] !== undefined);
    }
    assert.ok(report.kl!.mean > 0);
    assert.ok(readFileSync(join(out, 'README.md'), 'utf8').includes('erplexity'));
  });

  it('continues texts and answers questions that the recipe names, and takes their files along', async () => {
    const { recipe, out } = task({
      evaluation:
        '{data: ./text.txt, context: 16, windows: 2, generate: 3, prompts: ./texts/text.txt, task: ./task.jsonl}',
    });
    const folder = join(recipe, '..');
    mkdirSync(join(folder, 'texts'));
    writeFileSync(join(folder, 'texts/text.txt'), 'The king of the\nShe opened\n');
    writeFileSync(join(folder, 'text.txt'), 'a history of the example of the text '.repeat(5));
    const example = join(ROOT, 'examples/tiny-llama');
    copyFileSync(join(ROOT, 'examples/data/task.jsonl'), join(folder, 'task.jsonl'));
    await runSession({ recipe, model: example, out });
    const { generations, task: answered } = reportOf(out).quality!;
    assert.deepEqual(
      generations!.map(({ prompt, tokens }) => [prompt, tokens]),
      [
        ['The king of the', 3],
        ['She opened', 3],
      ],
    );
    assert.deepEqual([answered!.questions, answered!.base!.accuracy], [80, 0.8]);
    assert.ok(answered!.accuracy > 0.5);
    const files = ['evaluation-text.txt', 'task.jsonl', 'text.txt'];
    assert.deepEqual(readdirSync(join(out, 'inputs')).sort(), files);
    const { inputs } = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')) as { inputs: { path: string }[] };
    for (const file of ['./text.txt', './texts/text.txt', './task.jsonl']) {
      assert.ok(
        inputs.some(({ path }) => path === file),
        file,
      );
    }

    const again = join(tempFolder(), 'again');
    await runSession({ recipe: join(out, 'recipe.yaml'), model: example, out: again });
    assert.deepEqual(reportOf(again).quality!.generations, generations);
    assert.deepEqual(readFileSync(join(again, 'recipe.yaml')), readFileSync(join(out, 'recipe.yaml')));
  });

  it('finds no difference where nothing was changed, and says so', async () => {
    const { recipe, out } = task({ modifiers: '' });
    await runSession({ recipe, model, out });
    const { kl, same_top1, quality } = reportOf(out);
    assert.deepEqual([kl!.max, same_top1], [0, 1]);
    assert.ok(quality!.notes.some(note => /KL is exactly 0/.test(note)));
  });

  it('does the same from the recipe and the text that it saved', async () => {
    const { recipe, out } = task();
    await runSession({ recipe, model, out });
    const again = join(tempFolder(), 'again');
    await runSession({ recipe: join(out, 'recipe.yaml'), model, out: again });
    assert.deepEqual(reportOf(again).kl, reportOf(out).kl);
    assert.deepEqual(readFileSync(join(again, 'recipe.yaml')), readFileSync(join(out, 'recipe.yaml')));
  });

  const refusals: [what: string, options: Parameters<typeof task>[0], message: RegExp][] = [
    ['a text that is not there', { rows: null }, /evaluation\.data: there is no file/],
    ['a text that is too short', { rows: '{"input_ids": [[1]]}' }, /rows\.json/],
    ['ids that the model does not know', { rows: '{"input_ids": [[1, 80]]}' }, /80/],
    [
      'questions that are not there',
      { evaluation: '{data: ./rows.json, task: ./t.jsonl}' },
      /evaluation\.task: there is no/,
    ],
    [
      'questions without a tokenizer',
      { evaluation: '{data: ./rows.json, task: ./rows.json}' },
      /tokenizer|rows\.json:1/,
    ],
    [
      'prompts without a tokenizer',
      { evaluation: '{data: ./rows.json, generate: 2, prompts: ./rows.json}' },
      /tokenizer/,
    ],
    ['a protocol that cannot read it', { evaluation: '{data: ./rows.json, protocol: llama}' }, /\.txt/],
  ];
  for (const [what, options, message] of refusals) {
    it(`refuses ${what} before it begins`, async () => {
      const { recipe, out } = task(options);
      await assert.rejects(runSession({ recipe, model, out }), { exitCode: 2, message });
      assert.ok(!existsSync(out));
    });
  }

  it('refuses a model that cannot be run in the plan, where the recipe asks for it', async () => {
    const { config, tensors } = tinyLlama();
    const strange = await writeModel({ config: { ...config, architectures: ['MambaForCausalLM'] }, tensors });
    const { recipe, out } = task();
    await assert.rejects(runSession({ recipe, model: strange, out }), error => {
      const [found] = (error as { diagnostics: { message: string; line: number }[] }).diagnostics;
      assert.match(found!.message, /MambaForCausalLM cannot be run/);
      assert.equal(found!.line, 4);
      return true;
    });
    assert.ok(!existsSync(out));
  });

  it('is judged again when it was killed while it was judged, with the same weights', async function () {
    this.timeout(120_000);
    const folder = tempFolder();
    const [recipe, out] = [join(folder, 'recipe.yaml'), join(folder, 'out')];
    const text = join(import.meta.dirname, '../../examples/data/wikitext2-test-excerpt.txt');
    writeFileSync(
      recipe,
      `version: 1\nmodifiers:\n${W8}\nevaluation: {data: ${JSON.stringify(text)}, context: 256, windows: 12}\n`,
    );
    const run = execa(process.execPath, [BIN, 'apply', recipe, '--out', out], { reject: false });
    let seen = '';
    run.stderr.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      if (seen.includes('evaluation')) run.kill('SIGKILL');
    });
    await run;
    assert.match(seen, /evaluation/);
    assert.ok(!existsSync(join(out, 'run.json')) && !existsSync(join(out, 'config.json')));
    const killed = readFileSync(join(out, 'model.safetensors'));
    const { exitCode } = await cli(['apply', recipe, '--out', out, '--set', 'evaluation.windows=2', '--quiet']);
    assert.equal(exitCode, 2, 'another recipe does not go on with it');
    const { stderr, exitCode: done } = await cli(['apply', recipe, '--out', out]);
    assert.equal(done, 0, stderr);
    assert.deepEqual(readFileSync(join(out, 'model.safetensors')), killed);
    assert.ok(reportOf(out).kl!.mean > 0);
    assert.ok(!readdirSync(out).some(name => name.endsWith('.partial') || name === '.tensorpress'));
  });
});
