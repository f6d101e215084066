import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TensorpressError } from '../../src/errors.js';
import type { RunEvent } from '../../src/run/events.js';
import { runSession } from '../../src/run/session.js';
import { assertUnfinished, recipeFile, snapshot } from '../support/run-folder.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const RECIPE = recipeFile(
  '{format: compressed-tensors, max_shard_size: 40kB}',
  '{format: compressed-tensors, name: second}',
);

/** The last file of weights: the head lies in it, so that it is read last. */
const lastShard = (model: string) =>
  join(
    model,
    readdirSync(model)
      .filter(name => name.endsWith('.safetensors'))
      .sort()
      .at(-1)!,
  );

/** What another program does to a model while a run works on it, and what the run says. */
const CHANGES: Record<string, [change: (model: string) => void, sentence: RegExp]> = {
  'weights grow': [model => appendFileSync(lastShard(model), 'x'), /has changed since it was opened/],
  'weights are cut off': [
    model => truncateSync(lastShard(model), statSync(lastShard(model)).size - 10),
    /has changed since it was opened/,
  ],
  'weights are written again in the same size': [
    model => {
      const bytes = readFileSync(lastShard(model));
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(lastShard(model), bytes);
      utimesSync(lastShard(model), new Date(), new Date(Date.now() + 5000));
    },
    /has changed since it was opened/,
  ],
  'weights are replaced by a file with another time': [
    model => {
      const path = lastShard(model);
      copyFileSync(path, `${path}.new`);
      utimesSync(`${path}.new`, new Date(), new Date(2001, 1, 1));
      renameSync(`${path}.new`, path);
    },
    /has changed since it was opened/,
  ],
  'weights disappear': [model => rmSync(lastShard(model)), /^model-\d+-of-\d+\.safetensors does not exist$/],
  'the model disappears': [model => rmSync(model, { recursive: true }), /does not exist$/],
  'the tokenizer changes': [
    model => writeFileSync(join(model, 'tokenizer.json'), '{"b": 2}'),
    /tokenizer\.json has changed since this run began$/,
  ],
  'the tokenizer disappears': [model => rmSync(join(model, 'tokenizer.json')), /tokenizer\.json does not exist$/],
};

describe('a model that changes while a run works on it', () => {
  let original: string;
  let expected: Record<string, string>;

  before(async () => {
    original = await writeModel(tinyLlama({ layers: 2 }), {
      maxShardSize: 60_000,
      files: { 'tokenizer.json': '{"a": 1}' },
    });
    const whole = join(tempFolder(), 'whole');
    await runSession({ recipe: RECIPE, model: original, out: whole, threads: 0 });
    expected = snapshot(whole);
  });

  /** A copy of the model with its times, which are a part of what a run goes on from. */
  const copy = (to = join(tempFolder(), 'tiny')) => (
    cpSync(original, to, { recursive: true, preserveTimestamps: true }),
    to
  );

  const applyWhile = async (model: string, out: string, part: string, change: () => void) => {
    let isChanged = false;
    const onEvent = (event: RunEvent) => {
      if (event.type !== 'progress' || event.part !== part || isChanged) return;
      isChanged = true;
      change();
    };
    const error: unknown = await runSession({ recipe: RECIPE, model, out, threads: 0, onEvent }).then(
      () => assert.fail('it did not fail'),
      (reason: unknown) => reason,
    );
    assert.ok(isChanged && error instanceof TensorpressError, String((error as Error).stack));
    return error;
  };

  for (const [what, [change, sentence]] of Object.entries(CHANGES)) {
    it(`${what}: a sentence; the same command goes on with what was there`, async () => {
      const [model, out] = [copy(), join(tempFolder(), 'out')];
      const error = await applyWhile(model, out, 'layers.1', () => change(model));
      assert.deepEqual([error.code, error.exitCode], ['TENSOR', 1], error.message);
      assert.match(error.message.split(';')[0]!, sentence);
      assert.ok(error.hint !== undefined && !error.message.includes('\n'));
      assertUnfinished(out);
      rmSync(model, { recursive: true, force: true });
      await runSession({ recipe: RECIPE, model: copy(model), out, threads: 0 });
      assert.deepEqual(snapshot(out), expected);
    });
  }

  it('an unfinished run is not gone on with from other weights', async () => {
    const [model, out] = [copy(), join(tempFolder(), 'out')];
    await applyWhile(model, out, 'layers.1', () => utimesSync(lastShard(model), new Date(), new Date(2001, 1, 1)));
    const before = snapshot(out);
    await assert.rejects(runSession({ recipe: RECIPE, model, out, threads: 0 }), {
      code: 'FINISHED',
      message: /holds an unfinished run of something else; what differs: model-\d+-of-\d+\.safetensors$/,
      hint: /--force/,
    });
    assert.deepEqual(snapshot(out), before);
  });

  it('in the first part: nothing is left, and what was to be replaced stands', async () => {
    const [model, out] = [copy(), join(tempFolder(), 'out')];
    const cut = () => CHANGES['weights are cut off']![0](model);
    // every shard is cut off, whichever the first part is in
    const cutAll = () => {
      for (const name of readdirSync(model).filter(file => file.endsWith('.safetensors')))
        truncateSync(join(model, name), statSync(join(model, name)).size - 10);
    };
    assert.match((await applyWhile(model, out, 'embedding', cutAll)).message, /has changed/);
    assert.ok(!existsSync(out));
    rmSync(model, { recursive: true });
    await runSession({ recipe: recipeFile(), model: copy(model), out, threads: 0 });
    const before = snapshot(out);
    let isChanged = false;
    const onEvent = ({ type }: RunEvent) => {
      if (type === 'progress' && !isChanged) cut();
      isChanged ||= type === 'progress';
    };
    const work = runSession({ recipe: RECIPE, model, out, threads: 0, force: true, onEvent });
    await assert.rejects(work, { code: 'TENSOR', message: /has changed/ });
    const files = Object.entries(snapshot(out)).filter(([path]) => !/^\.tensorpress|\.partial$/.test(path));
    assert.deepEqual(Object.fromEntries(files), before);
  });
});
