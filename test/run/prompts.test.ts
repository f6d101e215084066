import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel } from '../../src/runtime/model/load.js';
import { loadTokenizer } from '../../src/runtime/text/tokenizer.js';
import { promptsOf, readPrompts } from '../../src/run/prompts.js';
import { sharedTokenizer } from '../../src/run/shared-tokenizer.js';
import { textFile } from '../support/evaluation.js';
import { ROOT } from '../support/run-cli.js';
import { tempFolder } from '../support/temp.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const EXAMPLE = join(ROOT, 'examples/tiny-llama');

describe('readPrompts', () => {
  it('takes one text of each line, whatever ends the lines, and skips empty ones', async () => {
    assert.deepEqual(await readPrompts(textFile('prompts.txt', '\ufeffThe king\r\n\n  of the \r\n \nlast')), [
      'The king',
      '  of the ',
      'last',
    ]);
  });

  it('refuses a file without any, and one that is not there', async () => {
    const message = 'prompts.txt holds no prompts';
    for (const text of ['', '\n \r\n']) {
      await assert.rejects(readPrompts(textFile('prompts.txt', text)), { code: 'ARGUMENT', message });
    }
    await assert.rejects(readPrompts('nowhere.txt'), { code: 'ARGUMENT', message: /nowhere\.txt does not exist/ });
  });
});

describe('promptsOf', () => {
  const window = { ids: Int32Array.from([5, 6, 7]) };
  const withModel = async <T>(folder: string, work: (model: Awaited<ReturnType<typeof loadModel>>) => Promise<T>) => {
    const model = await loadModel(folder);
    return work(model).finally(() => model.source.close());
  };

  it('refuses a text without tokens, and texts without a tokenizer', () =>
    withModel(EXAMPLE, async model => {
      const where = sharedTokenizer(EXAMPLE, 4096);
      await assert.rejects(promptsOf([''], [window], model, where), { code: 'ARGUMENT', message: /a prompt is empty/ });
      const folder = await writeModel(tinyLlama());
      await assert.rejects(promptsOf(['a'], [window], model, sharedTokenizer(folder, 80)), { code: 'MODEL' });
    }));

  it('puts BOS before a text where the tokenizer does, and no EOS behind it', () =>
    withModel(EXAMPLE, async model => {
      const folder = join(tempFolder(), 'model');
      cpSync(EXAMPLE, folder, { recursive: true });
      const file = join(folder, 'tokenizer_config.json');
      const config = JSON.parse(readFileSync(file, 'utf8')) as object;
      writeFileSync(
        file,
        JSON.stringify({ ...config, bos_token: 'a', eos_token: 'b', add_bos_token: true, add_eos_token: true }),
      );
      const { bos, encode, encodeWithSpecials, eos } = await loadTokenizer(folder);
      const prompts = await promptsOf(['The king'], [window], model, sharedTokenizer(folder, 4096));
      assert.deepEqual(prompts.ids, [[bos, ...encode('The king')]]);
      assert.deepEqual(encodeWithSpecials('The king').slice(0, -1), prompts.ids[0]);
      assert.deepEqual(prompts.eos, eos);
      rmSync(folder, { recursive: true });
    }));
});

describe('sharedTokenizer', () => {
  it('is read once, and only when it is needed', async () => {
    const folder = join(tempFolder(), 'model');
    cpSync(EXAMPLE, folder, { recursive: true });
    const shared = sharedTokenizer(folder, 4096);
    assert.equal(await shared.exists(), true);
    const first = await shared.load();
    rmSync(folder, { recursive: true });
    assert.equal(await shared.load(), first);
    const missing = sharedTokenizer(await writeModel(tinyLlama()), 80);
    assert.equal(await missing.exists(), false);
    await assert.rejects(missing.load(), { code: 'MODEL' });
  });
});
