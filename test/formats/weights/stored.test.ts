import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { WeightFormat } from '../../../src/formats/format.js';
import { layoutFile, type Planned } from '../../../src/formats/safetensors/layout.js';
import { openSafetensors } from '../../../src/formats/safetensors/source.js';
import type { Source } from '../../../src/formats/source.js';
import { openWeight, type StoredWeight } from '../../../src/formats/weights/stored.js';
import { weightFormat } from '../../../src/formats/weights/table.js';
import { TensorpressError } from '../../../src/errors.js';
import type { FormatName } from '../../../src/schemes/args.js';
import { goldenFolder, goldenList } from '../../support/golden.js';
import { tempFolder } from '../../support/temp.js';
import { refused } from '../refused.js';
import { argsOf } from './specs.js';

const args = argsOf({ num_bits: 4, strategy: 'group', group_size: 8, symmetric: false });
const packed: Planned[] = [
  { name: 'm.weight_packed', dtype: 'I32', shape: [3, 2] },
  { name: 'm.weight_scale', dtype: 'F16', shape: [3, 2] },
  { name: 'm.weight_zero_point', dtype: 'I32', shape: [1, 2] },
  { name: 'm.weight_shape', dtype: 'I64', shape: [2] },
];

/** A checkpoint of these tensors, all zero but for weight_shape. */
async function sourceOf(tensors: readonly Planned[], shape: readonly [bigint, bigint] = [3n, 16n]): Promise<Source> {
  const layout = layoutFile(tensors);
  const bytes = new Uint8Array(layout.bytes);
  bytes.set(layout.header);
  const at = layout.offsets.get('m.weight_shape')?.offset;
  if (at !== undefined) bytes.set(new Uint8Array(BigInt64Array.from(shape).buffer), at);
  const folder = tempFolder();
  writeFileSync(join(folder, 'model.safetensors'), bytes);
  return await openSafetensors(folder);
}

describe('openWeight', () => {
  const open = (source: Source, format: FormatName = 'pack-quantized') =>
    openWeight(source, 'm', weightFormat(format), { args, dtype: 'BF16' });

  it('takes the shape from weight_shape and T from the scales', async () => {
    const { spec, codes, parameters } = await open(await sourceOf(packed));
    assert.deepEqual(spec, { rows: 3, columns: 16, dtype: 'F16', args, module: 'm' });
    assert.equal(codes, 'm.weight_packed');
    assert.deepEqual(parameters.zeroPoint, new Int8Array(6).fill(-8));
  });

  it('names everything that is missing or has another dtype or shape', async () => {
    const [codes, scale, zeroPoint, shape] = packed as [Planned, Planned, Planned, Planned];
    const error = await refused(async () =>
      open(await sourceOf([codes, { ...scale, shape: [2, 3] }, { ...zeroPoint, dtype: 'I8' }, shape])),
    );
    assert.equal(error.message, 'm.weight_scale is F16 [2, 3] where F16 [3, 2] is expected');
    assert.deepEqual(error.place, { file: 'model.safetensors', tensor: 'm.weight_scale' });
    assert.deepEqual(
      error.diagnostics.map(({ message }) => message),
      [error.message, 'm.weight_zero_point is I8 [1, 2] where I32 [1, 2] is expected'],
    );
    const without = await refused(async () => open(await sourceOf([codes, scale, shape])));
    assert.equal(without.message, 'm.weight_zero_point is missing; it would be I32 [1, 2]');
    assert.equal((await refused(async () => open(await sourceOf([scale])))).message, 'm.weight_packed is missing');
    assert.equal(
      (await refused(async () => open(await sourceOf([codes, scale])))).message,
      'm.weight_shape is missing',
    );
  });

  it('refuses a weight_shape that the codes cannot have', async () => {
    assert.match(
      (await refused(async () => open(await sourceOf(packed, [4n, 16n])))).message,
      /weight_packed is I32 \[3, 2\] where I32 \[4, 2\]/,
    );
    assert.match(
      (await refused(async () => open(await sourceOf(packed, [3n, 2n ** 52n])))).message,
      /weight_packed is I32/,
    );
    assert.match(
      (await refused(async () => open(await sourceOf(packed, [3n, 15n])))).message,
      /m: 15 columns do not divide/,
    );
  });

  it('refuses an order of columns that the scheme does not tell of', async () => {
    const source = await sourceOf([...packed, { name: 'm.weight_g_idx', dtype: 'I32', shape: [16] }]);
    const error = await refused(() => open(source));
    assert.equal(error.place.tensor, 'm.weight_g_idx');
    assert.match(error.message, /actorder of their scheme is not group$/);
  });

  it('takes a number without a dimension for one of one dimension', async () => {
    const float = argsOf({ num_bits: 8, type: 'float', strategy: 'tensor' });
    const source = await sourceOf([
      { name: 'm.weight', dtype: 'F8_E4M3', shape: [2, 8] },
      { name: 'm.weight_scale', dtype: 'F32', shape: [] },
    ]);
    const { parameters } = await openWeight(source, 'm', weightFormat('float-quantized'), {
      args: float,
      dtype: 'F32',
    });
    assert.deepEqual(parameters.scale, new Float32Array(1));
  });

  it('refuses a scheme that the format does not hold', async () => {
    const source = await sourceOf([{ name: 'm.weight', dtype: 'F8_E4M3', shape: [2, 8] }]);
    const error = await refused(() => open(source, 'float-quantized'));
    assert.equal(error.message, 'm: float-quantized stores fp8 weights, not int4');
    assert.equal(error.place.module, 'm');
  });
});

interface Group {
  readonly format: FormatName;
  readonly weights: object | null;
}

describe('golden: reference checkpoints', () => {
  const root = 'compressed-tensors/checkpoints';
  const folders = goldenList(root);
  if (folders.length === 0) {
    it('golden: checkpoints', function () {
      this.skip();
    });
  }
  for (const name of folders) {
    it(`golden: ${name} decompresses and compresses to the same bytes`, async () => {
      const folder = goldenFolder(`${root}/${name}`)!;
      try {
        const { quantization_config: quantization } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as {
          quantization_config?: { config_groups?: Record<string, Group> };
        };
        const groups = Object.values(quantization?.config_groups ?? {}).filter(group => group.weights);
        const source = await openSafetensors(folder);
        const modules = [...source.tensors.keys()].flatMap(tensor => /^(.*)\.weight_scale$/.exec(tensor)?.[1] ?? []);
        assert.equal(modules.length > 0, groups.length > 0);
        for (const module of modules) await recompress(source, module, groups);
      } finally {
        rmSync(dirname(folder), { recursive: true });
      }
    });
  }
});

/** Both directions over one module, under the first group whose tensors these are. */
async function recompress(source: Source, module: string, groups: readonly Group[]): Promise<void> {
  let found: { format: WeightFormat; weight: StoredWeight } | undefined;
  let why: unknown;
  for (const { format: name, weights } of groups) {
    const format = weightFormat(name);
    try {
      found ??= { format, weight: await openWeight(source, module, format, { args: argsOf(weights!), dtype: 'BF16' }) };
    } catch (error) {
      if (!(error instanceof TensorpressError)) throw error;
      why = error;
    }
  }
  assert.ok(found, String(why));
  const { format, weight } = found;
  const { spec, codes, parameters } = weight;
  const again = format.compressParameters(parameters, spec);
  again.set(format.codes, format.compress(format.decompress(await source.read(codes), spec), spec));
  const stored = [...source.tensors.keys()].filter(tensor => tensor.startsWith(`${module}.weight`));
  assert.deepEqual(stored.sort(), [...again.keys()].map(suffix => `${module}.${suffix}`).sort());
  for (const [suffix, bytes] of again)
    assert.ok(Buffer.from(bytes).equals(await source.read(`${module}.${suffix}`)), `${module}.${suffix}`);
}
