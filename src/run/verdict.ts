import { median } from '../evaluation/statistics.js';
import { placeOf } from './places.js';
import { damagedLayers, klEstimate, layerNames, type Quality } from './quality.js';
import type { ModuleReport, Report } from './report.js';
import { formatBytes } from './units.js';

/** Below this mean KL in nats a model predicts as its original does, as 8-bit weights of a good format do. */
const NEAR = 0.002;
/** Weights with a smaller relative error, that of 8 bits, are not where a loss is. */
const NEARLY_EXACT = 1e-3;

/**
 * The report in one sentence that a person can act on: what it costs and what it loses, where, and what to try. Every word of it follows from
 * figures of the report.
 */
export function qualityVerdict({ bits_per_weight, modules }: Report, quality: Quality): string {
  const bits = `${bits_per_weight.toFixed(2)} bits per weight`;
  const figures = `${bits}, KL ${klEstimate(quality)}`;
  if (quality.kl.max === 0) return `${figures}: it predicts exactly as the original does.`;
  if (quality.kl.mean < NEAR) {
    return `${figures}: nothing to do, it predicts as the original does; fewer bits may do as well.`;
  }
  const coded = modules.filter(m => (m.relMSE ?? 0) > 0);
  if (coded.length === 0) return `${figures}: no weight was changed; the loss is in what is done to activations.`;
  const { where, remedy } = diagnosis(quality, coded);
  return `${figures}: ${where}; try ${remedy}.`;
}

/** How many times the median error of a layer's weights one of them has to have to be named. */
const OUTLIER = 1.25;

interface Diagnosis {
  readonly where: string;
  readonly remedy: string;
}

function diagnosis(quality: Quality, coded: readonly ModuleReport[]): Diagnosis {
  const { layers = [] } = quality;
  const weights = coded.filter(m => m.stored_with === undefined);
  if (weights.every(({ relMSE }) => relMSE! < NEARLY_EXACT) && weights.some(m => m.scheme?.input_activations)) {
    return { where: 'the weights are nearly exact, the loss is in the inputs', remedy: 'inputs in 16 bits' };
  }
  const head = coded.find(({ module }) => /(^|\.)lm_head$/.test(module));
  const last = layers.at(-1);
  // of two errors that know nothing of each other, the relative squares add up; of a small turn they are 2 (1 - cos)
  if (head && last && head.relMSE! > 2 * (1 - last.cosine)) {
    return { where: `the damage is in ${head.module}`, remedy: better([head], head.module) };
  }
  const range = damagedLayers(layers);
  const within = coded.filter(({ module }) => {
    const layer = placeOf(module)?.layer ?? (/embed/.test(module) ? -1 : NaN);
    return range !== undefined && layer >= range.from && layer <= range.to;
  });
  const worst = worstOf(within);
  if (range === undefined || worst === undefined) {
    return { where: 'the damage is spread over the layers', remedy: everywhere(weights) };
  }
  const where = `the damage is in ${layerNames(range)}`;
  if (worst.relMSE! < OUTLIER * median(within.map(({ relMSE }) => relMSE!))) {
    return { where, remedy: better(within, range.from < 0 ? 'these weights' : layerNames(range)) };
  }
  const place = placeOf(worst.module)?.place;
  const name = place?.split('.').at(-1) ?? worst.module;
  const kind = within.filter(({ module }) => placeOf(module)?.place === place);
  return { where: `${where}, most in ${name}`, remedy: better(kind, `${name} there`) };
}

function worstOf(modules: readonly ModuleReport[]): ModuleReport | undefined {
  return modules.reduce<ModuleReport | undefined>((a, b) => (a && a.relMSE! >= b.relMSE! ? a : b), undefined);
}

/** For the weights of few modules: more bits where they have few, else none of it. */
function better(modules: readonly ModuleReport[], name: string): string {
  const few = modules.filter(m => (m.scheme?.weights?.num_bits ?? 16) < 8);
  const more = few.reduce((sum, { shape: [rows, columns], scheme }) => {
    return sum + (rows * columns * (8 - scheme!.weights!.num_bits)) / 8;
  }, 0);
  if (few.length > 0) return `8 bits for ${name} (+${formatBytes(more)})`;
  const whole = modules.reduce((sum, { bytes: { before, after } }) => sum + Math.max(0, before - after), 0);
  return `to leave ${name} as it is (ignore, +${formatBytes(whole)})`;
}

/** For all weights: what costs least of what may help, by the scheme that most of them have. */
function everywhere(modules: readonly ModuleReport[]): string {
  const counts = new Map<string, { weights: number; module: ModuleReport }>();
  for (const module of modules) {
    const key = JSON.stringify(module.scheme?.weights ?? null);
    const weights = (counts.get(key)?.weights ?? 0) + module.shape[0] * module.shape[1];
    counts.set(key, { weights, module });
  }
  const most = [...counts.values()].reduce((a, b) => (b.weights > a.weights ? b : a));
  const args = most.module.scheme?.weights;
  if (args == null) return 'to leave the worst of them as they are (ignore)';
  const { num_bits: bits, type, strategy, group_size: size, observer } = args;
  if (type === 'int' && bits <= 4 && /minmax$/.test(observer ?? 'minmax')) {
    return 'the observer memoryless_mse, which costs no bytes';
  }
  if (bits < 8 && (strategy === 'channel' || strategy === 'tensor')) return 'groups of 128 (+0.13 bits per weight)';
  if (bits < 8 && size !== null && size >= 64) {
    return `groups of ${size / 2} (+${(16 / size).toFixed(2)} bits per weight)`;
  }
  if (bits < 8) return '8 bits';
  return `to leave ${worstOf(modules)!.module} and its like as they are (ignore)`;
}
