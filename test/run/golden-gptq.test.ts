import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Modifier, Observation } from '../../src/modifiers/modifier.js';
import type { Gram } from '../../src/observers/gram.js';
import { runSession } from '../../src/run/session.js';
import { createOnnxEngine } from '../../src/runtime/engine/onnx/engine.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Part } from '../../src/runtime/model/model.js';
import { assertSameCheckpoint } from '../support/checkpoint.js';
import { decodeCheckpoint } from '../support/decode.js';
import { logits, tokenFile } from '../support/evaluation.js';
import { goldenFolder, goldenJson, goldenList } from '../support/golden.js';
import { modified } from '../support/modified.js';
import { tempFolder } from '../support/temp.js';

const ROOT = 'compressed-tensors';

/** What quantized Linears read in the model as it is, by module. */
async function hessians(folder: string, rows: readonly (readonly number[])[]): Promise<Map<string, Gram>> {
  const found = new Map<string, Gram>();
  const observe = ({ id, modules }: Part): Observation[] =>
    modules.flatMap(({ name, classes }) =>
      id.startsWith('layers.') && classes[0] === 'Linear' ? [{ site: `${name}.input`, observer: 'hessian' }] : [],
    );
  const looker: Modifier = {
    type: 'Looker',
    schema: 'none',
    plan: (_options, part) => ({ observe: observe(part) }),
    async edit(part, { statistics }) {
      for (const one of observe(part)) found.set(one.site.replace(/\.input$/, ''), await statistics.take(one));
    },
  };
  const [model, engine] = [await loadModel(folder), await createOnnxEngine({ device: 'cpu', threads: 1 })];
  try {
    await modified({ model, engine, rows, modifiers: [[looker]] });
  } finally {
    await engine.close();
    await model.source.close();
  }
  return found;
}

/** tr(ΔW H ΔWᵀ), of which H holds the upper triangle. */
function proxyLoss({ n, values: H }: Gram, w: Float64Array, wHat: Float64Array): number {
  let sum = 0;
  for (let r = 0; r < w.length; r += n)
    for (let i = 0; i < n; i++) {
      const d = w[r + i]! - wHat[r + i]!;
      for (let j = i; j < n; j++) sum += (i === j ? 1 : 2) * d * H[i * n + j]! * (w[r + j]! - wHat[r + j]!);
    }
  return sum;
}

/** Mean KL(a || b) of logits, [tokens, vocabulary] each. */
function divergence(a: readonly Float32Array[], b: readonly Float32Array[], vocabulary: number): number {
  const logSoftmax = (x: Float32Array) => {
    const most = x.reduce((m, v) => Math.max(m, v), -Infinity);
    const sum = x.reduce((s, v) => s + Math.exp(v - most), 0);
    return Float64Array.from(x, v => v - most - Math.log(sum));
  };
  let [total, tokens] = [0, 0];
  for (const [i, rows] of a.entries()) {
    for (let t = 0; t < rows.length; t += vocabulary, tokens++) {
      const [p, q] = [rows, b[i]!].map(x => logSoftmax(x.subarray(t, t + vocabulary))) as [Float64Array, Float64Array];
      p.forEach((v, c) => (total += Math.exp(v) * (v - q[c]!)));
    }
  }
  return total / tokens;
}

/**
 * Codes of GPTQ over a forward pass in 16 bits: so many differ from those over one in float32 that they are not compared, but how good they are.
 * Where the reference did the same in float32 too, as <case>_f32fwd, that checkpoint is compared by bytes (golden-checkpoints).
 */
describe('golden GPTQ', () => {
  const all = goldenList(`${ROOT}/checkpoints`);
  const cases = all.filter(name => all.includes(`${name}_f32fwd`));
  const calibration = goldenJson<{ batch_size: number; input_ids: number[][] }>(`${ROOT}/calibration.json`);
  const prompts = goldenJson<{ prompts: number[][] }>(`${ROOT}/prompts.json`)?.prompts;
  if (cases.length === 0 || calibration === undefined || prompts === undefined) {
    it('golden GPTQ', function () {
      this.skip();
    });
    return;
  }
  for (const name of cases) {
    it(`golden ${name}: equal scales, a proxy loss within 2 % and a divergence within 20 % or better`, async () => {
      const source = goldenFolder(`${ROOT}/tiny_source`)!;
      const expected = goldenFolder(`${ROOT}/checkpoints/${name}`)!;
      const out = join(tempFolder(), 'out');
      const { input_ids: rows, batch_size } = calibration;
      const set = [`calibration={dataset: "${tokenFile(rows)}", shuffle: false, batch_size: ${batch_size}}`];
      await runSession({ threads: 0, recipe: join(expected, 'recipe.input.yaml'), model: source, out, set });

      const differ: string[] = [];
      await assertSameCheckpoint(out, expected, tensor =>
        tensor.name.endsWith('.weight_packed')
          ? (ours, theirs) => {
              if (!Buffer.from(ours).equals(theirs)) differ.push(tensor.name.replace(/\.weight_packed$/, ''));
            }
          : undefined,
      );
      assert.ok(differ.length > 0);

      const [w, ours, theirs] = [source, out, expected].map(decodeCheckpoint) as [Weights, Weights, Weights];
      const H = await hessians(source, rows);
      for (const module of differ) {
        const loss = (other: Weights) => {
          const [a, b] = [w, other].map(weights => weights.get(`${module}.weight`)!.values) as Numbers;
          return proxyLoss(H.get(module)!, a, b);
        };
        assert.ok(loss(ours) <= 1.02 * loss(theirs), `${module}: ${loss(ours)}, theirs ${loss(theirs)}`);
      }

      const data = tokenFile(prompts);
      const [a, b, c] = await Promise.all(
        [source, out, expected].map(async model => (await logits({ model, data })).rows),
      );
      const vocabulary = a![0]!.length / prompts[0]!.length;
      const [we, they] = [divergence(a!, b!, vocabulary), divergence(a!, c!, vocabulary)];
      assert.ok(we <= 1.2 * they, `${we}, theirs ${they}`);
    });
  }
});

type Weights = ReturnType<typeof decodeCheckpoint>;
type Numbers = [Float64Array, Float64Array];
