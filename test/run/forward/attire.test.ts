import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { widen } from '../../../src/numerics/dtypes.js';
import { runnable } from '../../../src/run/forward/runnable.js';
import { runSession } from '../../../src/run/session.js';
import type { Op } from '../../../src/runtime/model/graph.js';
import { loadModel } from '../../../src/runtime/model/load.js';
import { largestError, logits, tokenFile } from '../../support/evaluation.js';
import { tempFolder } from '../../support/temp.js';
import {
  matrix,
  tinyLlama,
  writeModel,
  writeRecipe,
  type TinyModel,
  type TinyTensor,
} from '../../support/tiny-model.js';

const ROWS = [
  [1, 5, 9, 2, 7],
  [3, 3, 8, 1, 0],
  [4, 6, 2],
];

/** Sylvester's matrix of ±1. */
const hadamard = (n: number) =>
  Float32Array.from({ length: n * n }, (_, i) => {
    let bits = Math.floor(i / n) & (i % n);
    let sign = 1;
    for (; bits > 0; bits &= bits - 1) sign = -sign;
    return sign;
  });

const stored = (n: number): TinyTensor => {
  const values = Float64Array.from(hadamard(n));
  return { shape: [n, n], dtype: 'F64', bytes: new Uint8Array(values.buffer) };
};

/** W H / sqrt(n) on blocks of n columns: what the input rotation by H undoes, H being symmetric. */
function foldInput({ shape, bytes, dtype }: TinyTensor, n: number): TinyTensor {
  const w = widen(bytes, dtype);
  const h = hadamard(n);
  const out = new Float32Array(w.length);
  for (let at = 0; at < w.length; at += n) {
    for (let c = 0; c < n; c++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += w[at + k]! * h[k * n + c]!;
      out[at + c] = sum / Math.sqrt(n);
    }
  }
  return matrix(shape, out, 'F32');
}

const model = () => tinyLlama({ dtype: 'F32', sigma: 0.3, intermediate: 128 });

const group = (apply: object[], more: object = {}) => ({ type: 'hadamard', apply, head_dim: null, ...more });

function checkpoint({ config, tensors }: TinyModel, quantization: object, more: Record<string, TinyTensor> = {}) {
  const quantization_config = {
    quant_method: 'compressed-tensors',
    format: 'dense',
    config_groups: {},
    ...quantization,
  };
  return writeModel({ config: { ...config, quantization_config }, tensors: { ...tensors, ...more } });
}

/** Logits differ from those of the model as it was before it was rotated by rounding only. */
async function assertSame(folder: string, tolerance = 1e-4): Promise<void> {
  const data = tokenFile(ROWS);
  const plain = await logits({ model: await writeModel(model()), data });
  const { rows } = await logits({ model: folder, data });
  rows.forEach((row, i) => assert.ok(largestError(row, plain.rows[i]!) < tolerance, `row ${i}`));
}

describe('transform_config', () => {
  const folded = (n: number | null) => {
    const { config, tensors } = model();
    return {
      config,
      tensors: Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) =>
          /_proj/.test(name) ? [name, foldInput(tensor, n ?? tensor.shape[1]!)] : [name, tensor],
        ),
      ),
    };
  };
  const input = { targets: ['Linear'], ignore: ['lm_head'], inverse: false, location: 'input' };
  const record = { targets: ['Linear'], ignore: ['lm_head'], inverse: true, location: 'weight_input' };

  it('rotates inputs in blocks by a matrix that is stored once', async () => {
    const config_groups = { v: group([input, record], { head_dim: 32 }) };
    const shared = { 'model.layers.0.self_attn.q_proj.v_input.weight': stored(32) };
    await assertSame(await checkpoint(folded(32), { transform_config: { config_groups } }, shared));
  });

  it('rotates inputs as a whole, each by the matrix of its size', async () => {
    const config_groups = { v: group([input, record]) };
    const shared = {
      'model.layers.0.self_attn.q_proj.v_input.weight': stored(64),
      'model.layers.0.mlp.down_proj.v_input.weight': stored(128),
    };
    await assertSame(await checkpoint(folded(null), { transform_config: { config_groups } }, shared));
  });

  it('rotates queries and keys, which changes nothing', async () => {
    const at = (location: string) => ({ targets: ['re:.*self_attn$'], location });
    const config_groups = { R3: group([at('q_attn'), at('k_cache')], { head_dim: 16 }) };
    const matrices = {
      'model.layers.0.self_attn.R3_q_attn.weight': stored(16),
      'model.layers.0.self_attn.R3_k_cache.weight': stored(16),
    };
    const folder = await checkpoint(model(), { transform_config: { config_groups } }, matrices);
    await assertSame(folder);
    const loaded = await loadModel(folder);
    const { decoder } = await runnable(loaded);
    for (const { ops } of decoder.layers) assert.equal(ops.filter(({ op }) => op === 'transform').length, 2);
    await loaded.source.close();
  });

  it('refuses what it does not understand or cannot do', async () => {
    const wrong: [group: object, error: object][] = [
      [{ type: 'hadamard' }, { code: 'MODEL', message: /transform_config\.config_groups\.v is not understood/ }],
      [group([{ ...input, location: 'somewhere' }]), { code: 'MODEL', message: /somewhere is no place/ }],
      [
        group([{ ...input, inverse: true }], { type: 'random-matrix' }),
        { code: 'NOT_BUILT', message: /type random-matrix is inverted/ },
      ],
      [group([input]), { code: 'TENSOR', message: /q_proj\.v_input\.weight is missing/ }],
    ];
    for (const [v, error] of wrong) {
      const loaded = await loadModel(await checkpoint(model(), { transform_config: { config_groups: { v } } }));
      await assert.rejects(runnable(loaded), error);
      await loaded.source.close();
    }
  });
});

describe('kv_cache_scheme', () => {
  it('is refused where no scales are stored', async () => {
    const kv_cache_scheme = { num_bits: 8, type: 'float', strategy: 'tensor', dynamic: true };
    const loaded = await loadModel(await checkpoint(model(), { kv_cache_scheme }));
    await assert.rejects(runnable(loaded), { code: 'NOT_BUILT', message: /dynamic kv_cache_scheme/ });
    await loaded.source.close();
  });

  it('is refused where it cannot be read', async () => {
    const loaded = await loadModel(await checkpoint(model(), { kv_cache_scheme: { num_bits: 77 } }));
    await assert.rejects(runnable(loaded), { code: 'MODEL', message: /kv_cache_scheme/ });
    await loaded.source.close();
  });

  it('is refused where scales are missing', async () => {
    const kv_cache_scheme = { num_bits: 8, type: 'float', strategy: 'tensor', dynamic: false };
    const loaded = await loadModel(await checkpoint(model(), { kv_cache_scheme }));
    await assert.rejects(runnable(loaded), { code: 'TENSOR', message: /layers\.0\.self_attn\.k_scale is missing/ });
    await loaded.source.close();
  });
});

describe('kv_cache_scheme with stored scales', () => {
  const scale = (value: number): TinyTensor => matrix([1], Float32Array.of(value), 'F32');
  const cached = (key: string, value: string) => {
    const kv_cache_scheme = { num_bits: 8, type: 'float', strategy: 'tensor', dynamic: false };
    const scales = [0, 1].flatMap(layer => {
      const at = `model.layers.${layer}.self_attn`;
      return [[`${at}.${key}`, scale(0.01)] as const, [`${at}.${value}`, scale(0.02)] as const];
    });
    return checkpoint(model(), { kv_cache_scheme }, Object.fromEntries(scales));
  };

  it('means the same by the names that early checkpoints have', async () => {
    const data = tokenFile(ROWS);
    const now = await logits({ model: await cached('k_scale', 'v_scale'), data });
    const early = await logits({ model: await cached('k_proj.output_scale', 'v_proj.output_scale'), data });
    assert.deepEqual(early.rows, now.rows);
    const plain = await logits({ model: await writeModel(model()), data });
    assert.notDeepEqual(now.rows, plain.rows);
  });
});

describe('activation schemes', () => {
  const compressed = async (options: string, tied?: 'absent') => {
    const out = join(tempFolder(), 'out');
    const source = await writeModel(tinyLlama({ sigma: 0.3, ...(tied === undefined ? {} : { tied }) }));
    await runSession({ threads: 0, recipe: writeRecipe(options), model: source, out });
    return out;
  };
  const quantized = async (folder: string) => {
    const loaded = await loadModel(folder);
    const { decoder, alone } = await runnable(loaded);
    await loaded.source.close();
    const found = [...decoder.layers, decoder.head].map(
      ({ ops }) => ops.filter((op): op is Op<'fake_quantize'> => op.op === 'fake_quantize').length,
    );
    return { found, alone };
  };

  it('act on the inputs of the Linears that have them', async () => {
    const { found, alone } = await quantized(await compressed('{scheme: FP8_DYNAMIC, ignore: [lm_head]}'));
    assert.deepEqual(found, [4, 4, 0]); // of q, k, v; of o; of gate, up; of down
    assert.equal(alone, false);
  });

  it('do not act where the weight that they belong to is stored without codes', async () => {
    const folder = await compressed('{scheme: FP8_DYNAMIC, ignore: [lm_head]}');
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    config.quantization_config.ignore = [];
    writeFileSync(path, JSON.stringify(config));
    await assert.rejects(quantized(folder), {
      ...{ code: 'MODEL', message: 'lm_head.weight holds no codes, but quantization_config has a scheme for lm_head' },
    });
  });

  it('of an embedding are not those of a head that shares its weight', async () => {
    const options = '{scheme: FP8_DYNAMIC, targets: [Embedding, Linear], ignore: ["re:.*layers.*"]}';
    assert.deepEqual((await quantized(await compressed(options, 'absent'))).found, [0, 0, 1]);
    const embedding = '{scheme: FP8_DYNAMIC, targets: [Embedding]}';
    assert.deepEqual((await quantized(await compressed(embedding, 'absent'))).found, [0, 0, 0]);
  });

  it('with one scale for everything do not depend on what runs together', async () => {
    const original = await compressed('{scheme: FP8_DYNAMIC, ignore: [lm_head]}');
    const folder = join(tempFolder(), 'model');
    cpSync(original, folder, { recursive: true });
    const path = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(path, 'utf8'));
    for (const scheme of Object.values<{ input_activations: { strategy: string } }>(
      config.quantization_config.config_groups,
    )) {
      scheme.input_activations.strategy = 'tensor';
    }
    writeFileSync(path, JSON.stringify(config));
    assert.equal((await quantized(folder)).alone, true);
    const all = await logits({ model: folder, data: tokenFile(ROWS) });
    for (const [i, row] of ROWS.entries()) {
      assert.deepEqual((await logits({ model: folder, data: tokenFile([row]) })).rows[0], all.rows[i]);
    }
  });
});
