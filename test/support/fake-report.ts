import type { ModuleScheme } from '../../src/modifiers/modifier.js';
import type { ComparedEvaluation } from '../../src/run/evaluate.js';
import { withQuality, type ModuleReport, type Report } from '../../src/run/report.js';
import type { FormatName, QuantizationArgs } from '../../src/schemes/args.js';

export interface FakeOptions {
  /** Default: 24. */
  readonly layers?: number;
  /** Experts per layer; 0 is a dense model. Default: 0. */
  readonly experts?: number;
  /** Default: int4. */
  readonly weights?: 'int4' | 'fp8' | 'fp4' | 'none';
  /** Default: true. */
  readonly squaredErrors?: boolean;
  /** How many of the worst modules have a histogram. Default: 8. */
  readonly histograms?: number;
  /** Whether it was evaluated, and where its hidden states leave the original's. Default: false. */
  readonly quality?: 'in layers 0-2' | 'everywhere' | 'equal' | false;
  /** Whether it answered questions and continued texts, too, where it was evaluated. Default: false. */
  readonly asked?: boolean;
  /** Renames modules. */
  readonly rename?: (module: string) => string;
}

const ARGS = {
  int4: { num_bits: 4, type: 'int', strategy: 'group', group_size: 128 },
  fp8: { num_bits: 8, type: 'float', strategy: 'channel', group_size: null },
  fp4: { num_bits: 4, type: 'float', strategy: 'tensor_group', group_size: 16 },
} as const;

const FORMATS: Record<keyof typeof ARGS, FormatName> = {
  int4: 'pack-quantized',
  fp8: 'float-quantized',
  fp4: 'nvfp4-pack-quantized',
};

/** Usual relMSE of round to nearest on weights of a trained model. */
const USUAL = { int4: 0.0088, fp8: 0.00071, fp4: 0.0105 };
const BITS = { int4: 4.125, fp8: 8.02, fp4: 4.5 };

/** A report as a run on a model like Qwen2.5-0.5B would write it; equal options, equal report. */
export function fakeReport(options: FakeOptions = {}): Report {
  const { layers = 24, experts = 0, weights = 'int4', squaredErrors = true, histograms = 8, asked, rename } = options;
  const random = generator(7);
  const scheme = weights === 'none' ? null : schemeOf(weights);
  const modules: ModuleReport[] = [dense('model.embed_tokens', 151936, 896)];
  for (let layer = 0; layer < layers; layer++) {
    for (const [name, rows, columns] of layerModules(experts)) {
      const module = `model.layers.${layer}.${name}`;
      if (weights === 'none' || scheme === null || name.endsWith('.gate')) {
        modules.push(dense(module, rows, columns));
        continue;
      }
      const relMSE =
        USUAL[weights] *
        outlier(name, layer, layers) *
        (name.includes('experts') ? 0.85 + 0.4 * random() ** 3 : 0.94 + 0.12 * random());
      const variance = 0.0006 * (1 + layer / layers) * (0.8 + 0.4 * random());
      const elements = rows * columns;
      modules.push({
        module,
        shape: [rows, columns],
        scheme,
        format: FORMATS[weights],
        bits_per_weight: BITS[weights],
        bytes: { before: elements * 2, after: Math.round((elements * BITS[weights]) / 8) },
        relMSE,
        sqnr_db: -10 * Math.log10(relMSE),
        max_error: Math.sqrt(variance * relMSE) * (5 + 3 * random()),
        ...(squaredErrors ? { squared_error: relMSE * variance * elements } : {}),
      });
    }
  }
  modules.push({ ...dense('lm_head', 151936, 896), bytes: { before: 0, after: 0 }, stored_with: 'model.embed_tokens' });
  const named = modules.map(m => (rename ? { ...m, module: rename(m.module) } : m));
  const report = reportOf(withHistograms(named, histograms, random), layers, weights);
  if (!options.quality) return report;
  const evaluation = fakeEvaluation(options.quality, layers);
  return withQuality(report, asked ? { ...evaluation, ...ANSWERS } : evaluation);
}

/** An evaluation of 51 windows, as such a model has it. */
export function fakeEvaluation(
  kind: Exclude<FakeOptions['quality'], false | undefined>,
  layers = 24,
  scale = 1,
): ComparedEvaluation {
  const about = {
    model: '/out',
    data: '/texts/wikitext2-test-excerpt.txt',
    protocol: 'windows',
    context: 512,
    windows: 51,
    tokens: 26112,
    notes: ['114 tokens of wikitext2-test-excerpt.txt at the end of 1 document fill no window of 512 and are left out'],
    seconds: 22,
    tokens_per_second: 1186.9,
    peak_memory_bytes: 1.2e9,
    engine: 'onnxruntime 1.30.0 on cpu, 2 threads',
    rows_sha256: '4c9f79877808443dd0622c2f189904cb5174536f79bbf5293c07d01ea9974197',
    logits: null,
  } as const;
  const around = (value: number, half: number) => ({ low: value - half, high: value + half });
  const loss = kind === 'equal' ? 0 : scale;
  const perplexity = {
    perplexity: 15.83 + 0.58 * loss,
    perplexity_error: 0.3,
    mean_nll: Math.log(15.83 + 0.58 * loss),
    scored: 26061,
  };
  const turn = (layer: number) =>
    kind === 'everywhere' ? (layer + 1) * 4e-4 : layer < 0 ? 0 : Math.min(3, layer + 1) * 3e-3 + layer * 2e-4;
  const kl = 0.0312 * loss;
  return {
    ...about,
    ...perplexity,
    base_perplexity: 15.83,
    base_perplexity_error: 0.29,
    base_mean_nll: Math.log(15.83),
    ln_ratio: Math.log(perplexity.perplexity / 15.83),
    ln_ratio_error: 0.002,
    kl: {
      mean: kl,
      error: kl / 100,
      median: kl / 2,
      p90: 2 * kl,
      p95: 4 * kl,
      p99: 10 * kl,
      p99_9: 30 * kl,
      max: 90 * kl,
    },
    same_top1: 1 - 0.076 * loss,
    same_top1_error: 0.002,
    rms_delta_p: 0.03 * loss,
    logit_rms: 0.2 * loss,
    intervals: {
      perplexity: around(perplexity.perplexity, 1.1),
      base_perplexity: around(15.83, 1.05),
      perplexity_difference: around(0.58 * loss, 0.09 * loss),
      ln_ratio: around(Math.log(perplexity.perplexity / 15.83), 0.004 * loss),
      kl_mean: around(kl, 0.002 * loss),
      same_top1: around(1 - 0.076 * loss, 0.003 * loss),
      rms_delta_p: around(0.03 * loss, 0.001 * loss),
    },
    layers: Array.from({ length: layers + 1 }, (_, i) => {
      const turned = turn(i - 1) * loss;
      return { layer: i - 1, rel_mse: 2 * turned, cosine: 1 - turned };
    }),
  };
}

/** As Qwen2.5-0.5B might go on before and after, and what it might know. */
const ANSWERS: Pick<ComparedEvaluation, 'generations' | 'task'> = {
  generations: [
    {
      prompt: 'The old bridge over the river was built in 1871 by',
      base: ' a company of engineers from Vienna, who had never seen the river in flood. It stood for ninety years, until a barge struck its second pier.\nAfter the war',
      model:
        ' a company of engineers from Vienna, who were asked to build it in stone. It stood for ninety years, until the winter of 1961.\nAfter the war',
      same_tokens: 10,
      tokens: 36,
    },
    {
      prompt: 'One, two, three,',
      base: ' four, five, six, seven',
      model: ' four, five, six, seven',
      same_tokens: 8,
      tokens: 8,
    },
    {
      prompt: 'def fib(n):',
      base: '\n    if n < 2: return n',
      model: '\n    return <script>alert(1)</script>',
      same_tokens: 0,
      tokens: 9,
    },
  ],
  task: {
    file: '/tasks/task.jsonl',
    questions: 80,
    accuracy: 0.7875,
    accuracy_error: 0.046,
    accuracy_norm: 0.7,
    accuracy_norm_error: 0.0515,
    base: { questions: 80, accuracy: 0.8, accuracy_error: 0.045, accuracy_norm: 0.7125, accuracy_norm_error: 0.0509 },
  },
};

function reportOf(modules: readonly ModuleReport[], layers: number, weights: keyof typeof ARGS | 'none'): Report {
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const parameters = sum(modules.filter(m => m.stored_with === undefined).map(m => m.shape[0] * m.shape[1]));
  const size = { before: sum(modules.map(m => m.bytes.before)), after: sum(modules.map(m => m.bytes.after)) };
  const coded = modules.filter(m => m.relMSE !== undefined);
  const worst = coded.reduce<ModuleReport | undefined>((a, b) => (a && a.relMSE! >= b.relMSE! ? a : b), undefined);
  const bits = weights === 'none' ? null : BITS[weights];
  const share = Math.round((100 * size.after) / size.before);
  return {
    version: 1,
    title: `Qwen2.5-0.5B at ${(bits ?? 16).toFixed(2)} bits`,
    verdict: worst
      ? `${share} % of the original size; the weight with the largest relative error is ${worst.module} (SQNR ${worst.sqnr_db!.toFixed(1)} dB).`
      : `${share} % of the original size; no weight was changed.`,
    date: '2026-11-24T10:31:05.123Z',
    tensorpress: '0.1.0',
    plan: {
      recipe: 'w4a16.yaml',
      model: {
        name: 'Qwen/Qwen2.5-0.5B',
        folder: '/models/Qwen2.5-0.5B',
        architecture: 'Qwen2ForCausalLM',
        known: true,
        layers,
        parameters,
        dtype: 'BF16',
        tied_embeddings: true,
        notes: ['49 norms and 72 biases have no scheme and are copied'],
      },
      plugins: [],
      steps: [
        {
          modifier: 'QuantizationModifier',
          modules: coded.length,
          patterns: [
            { pattern: 'Linear', role: 'target', matched: coded.length + 1, decided: coded.length },
            { pattern: 'lm_head', role: 'ignore', matched: 1, decided: 1 },
          ],
        },
      ],
      attention: [],
      observed: {},
      passes: [],
      size,
      bits_per_weight: (size.after * 8) / parameters,
      bits_per_quantized_weight: bits,
      outputs: [
        {
          format: 'compressed-tensors',
          folder: '/out',
          files: [{ name: 'model.safetensors', bytes: size.after + 31000 }],
        },
      ],
      estimate: { seconds: 9.1, memory_bytes: 260e6, disk_bytes: size.after + 31000 },
      runtimes: [
        { runtime: 'transformers', version: '5.18', checked: true, loads: true },
        {
          runtime: 'vLLM',
          version: '0.21',
          checked: false,
          loads: false,
          reason: 'has kernels for groups of 32, 64 and 128, not of 152',
        },
      ],
      warnings: [
        {
          code: 'IGNORE_NOTHING',
          message: 're:.*mlp\\.gate$ in ignore matches nothing',
          line: 8,
          hint: 'leave it out',
        },
      ],
    },
    size,
    bits_per_weight: (size.after * 8) / parameters,
    bits_per_quantized_weight: bits,
    exact_arithmetic: null,
    modules,
    remarks: coded.slice(0, 6).map(({ module }) => ({ module, message: 'one group is all zeros; its scale is 1' })),
    seconds: 641.4,
    peak_memory_bytes: 402e6,
  };
}

function layerModules(experts: number): [string, number, number][] {
  const attention: [string, number, number][] = [
    ['self_attn.q_proj', 896, 896],
    ['self_attn.k_proj', 128, 896],
    ['self_attn.v_proj', 128, 896],
    ['self_attn.o_proj', 896, 896],
  ];
  const mlp = (at: string, wide: number): [string, number, number][] => [
    [`${at}.gate_proj`, wide, 896],
    [`${at}.up_proj`, wide, 896],
    [`${at}.down_proj`, 896, wide],
  ];
  if (experts === 0) return [...attention, ...mlp('mlp', 4864)];
  const each = Array.from({ length: experts }, (_, i) => mlp(`mlp.experts.${i}`, 768));
  return [...attention, ['mlp.gate', experts, 896], ...each.flat()];
}

/** Down projections of the first and last layers and the first keys are worse than the rest, as in real models. */
function outlier(name: string, layer: number, layers: number): number {
  if (name.endsWith('down_proj')) {
    const end = layers - 1 - layer;
    return 1 + 1.9 * Math.exp(-layer / 1.2) + 1.2 * Math.exp(-end / 1.5);
  }
  if (name.endsWith('k_proj')) return 1.25 + 0.7 * Math.exp(-layer / 2);
  if (name.endsWith('o_proj')) return 1.1 + 0.25 * Math.sin(layer / 2.5);
  return name.endsWith('v_proj') ? 0.93 : 1;
}

function withHistograms(modules: readonly ModuleReport[], count: number, random: () => number): ModuleReport[] {
  const worst = new Set(
    [...modules]
      .filter(m => m.relMSE)
      .sort((a, b) => b.relMSE! - a.relMSE!)
      .slice(0, count),
  );
  return modules.map(m => (worst.has(m) ? { ...m, histogram: histogramOf(m, random) } : m));
}

/** Codes of normal weights whose largest value, a few standard deviations away, sets the scale. */
function histogramOf({ scheme }: ModuleReport, random: () => number): NonNullable<ModuleReport['histogram']> {
  const { num_bits, type } = scheme!.weights!;
  const labels = type === 'int' ? integers(num_bits) : num_bits === 4 ? FP4 : FP8;
  const middle = type === 'int' ? labels.length / 2 : (labels.length - 1) / 2;
  const deviation = labels.length / (5.5 + 4 * random());
  const density = (i: number) => Math.exp(-(((i - middle) / deviation) ** 2) / 2);
  return { labels, counts: labels.map((_, i) => Math.round(1e6 * density(i) * (0.98 + 0.04 * random()))) };
}

const FP4 = [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6].map(String);
const POWERS = Array.from({ length: 15 }, (_, i) => `${2 ** (i - 6)}`);
const FP8 = [...POWERS.toReversed().map(power => `-${power}`), '-0', '0', ...POWERS];

function integers(bits: number): string[] {
  return Array.from({ length: 2 ** bits }, (_, i) => `${i - 2 ** (bits - 1)}`);
}

function dense(module: string, rows: number, columns: number): ModuleReport {
  const bytes = { before: rows * columns * 2, after: rows * columns * 2 };
  return { module, shape: [rows, columns], scheme: null, format: 'dense', bits_per_weight: 16, bytes };
}

function schemeOf(weights: keyof typeof ARGS): ModuleScheme {
  const common = {
    symmetric: true,
    block_structure: null,
    dynamic: false,
    actorder: null,
    scale_dtype: null,
    zp_dtype: null,
    observer: 'memoryless_minmax',
    observer_kwargs: {},
  } as const;
  const args: QuantizationArgs = { ...ARGS[weights], ...common };
  const token: QuantizationArgs = { ...args, strategy: 'token', dynamic: true, observer: null };
  return {
    weights: args,
    input_activations: weights === 'fp8' ? token : null,
    output_activations: null,
    format: FORMATS[weights],
    targets: ['Linear'],
    target: 'Linear',
  };
}

/** Mulberry32: numbers in [0, 1), the same everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
