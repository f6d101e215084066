import assert from 'node:assert/strict';
import { join } from 'node:path';
import { tokenFile } from '../support/evaluation.js';
import { cli, ROOT } from '../support/run-cli.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');
const DATA = () => tokenFile([[1, 2, 3, 4, 5, 6, 7, 8]]);

describe('eval --generate', () => {
  it('gives how both models continue prompts in the JSON', async () => {
    const args = ['eval', EXAMPLE, '--against', EXAMPLE, '--data', DATA(), '--threads', '1', '--generate', '4'];
    const { exitCode, stdout, stderr } = await cli([...args, '--prompt', 'The king', '--prompt', 'She', '--json']);
    assert.equal(exitCode, 0, stderr);
    const { generations } = JSON.parse(stdout) as { generations: Record<string, unknown>[] };
    assert.deepEqual(
      generations.map(({ prompt }) => prompt),
      ['The king', 'She'],
    );
    for (const { base, model, same_tokens, tokens } of generations) {
      assert.equal(typeof base, 'string');
      assert.deepEqual([model, same_tokens, tokens], [base, 4, 4]);
    }
  });

  it('shows them side by side to people', async () => {
    const [model, base] = [await writeModel(tinyLlama({ sigma: 0.3 })), await writeModel(tinyLlama({ sigma: 0.2 }))];
    const args = ['eval', model, '--against', base, '--data', DATA(), '--threads', '1', '--generate', '6'];
    const { exitCode, stdout, stderr } = await cli(args);
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^ {2}1 2 3 4 5 6 7 8\n {2}base {5}(\d+ ?){6}\n {2}model {4}(\d+ ?){6}\n {2}the(y| first)/m);
    assert.match(stdout, /^ {2}KL, mean/m);
  });

  for (const [what, args, sentence] of [
    ['without a base', ['--generate', '3'], /side by side with a base, and there is none\n +add --against MODEL/],
    ['of nothing', ['--against', EXAMPLE, '--generate', '0'], /generate is 0, expected a whole number from 1 on/],
    ['of many', ['--against', EXAMPLE, '--generate', 'many'], /--generate <n>.*'many' is invalid/],
    ['that is only a prompt', ['--against', EXAMPLE, '--prompt', 'a'], /there is a prompt, but nothing.*\n +add --gen/],
    ['from an empty prompt', ['--against', EXAMPLE, '--generate', '2', '--prompt', ''], /a prompt is empty/],
  ] as const) {
    it(`refuses one ${what}`, async () => {
      const { exitCode, stdout, stderr } = await cli(['eval', EXAMPLE, '--data', DATA(), ...args]);
      assert.deepEqual([exitCode, stdout], [2, '']);
      assert.match(stderr, sentence);
    });
  }
});
