import type { KlFigures } from '../evaluation/scores.js';
import type { ComparedEvaluation } from './evaluate.js';
import type { PartResult } from './execute.js';
import { codeHistogram } from './histogram.js';
import type { Quality } from './quality.js';
import type { ModuleSummary, PlanSummary } from './summary.js';
import { qualityVerdict } from './verdict.js';

export interface ModuleReport extends ModuleSummary {
  /** Squared error of the weight relative to its squares; absent where the weight is untouched. */
  readonly relMSE?: number;
  /** -10 log10 relMSE; null when nothing changed. */
  readonly sqnr_db?: number | null;
  readonly max_error?: number;
  /** Sum of (w - ŵ)^2; what its share of the damage is computed from. */
  readonly squared_error?: number;
  /** What the modifier minimised, where it tells: GPTQ's sum of ((w - q) / U_jj)² / 2. */
  readonly loss?: number;
  /** With `arithmetic: exact`: the squared error that the reference's arithmetic would have left. */
  readonly reference_squared_error?: number;
  /** How often each code is used, from the lowest value to the highest (fp8: per exponent); of the worst modules only. */
  readonly histogram?: { readonly labels: readonly string[]; readonly counts: readonly number[] };
}

/** report.json: every figure in it was measured in this run. The Markdown and HTML pages are pure functions of it. */
export interface Report {
  readonly version: 1;
  readonly title: string;
  readonly verdict: string;
  readonly date: string;
  readonly tensorpress: string;
  readonly plan: Omit<PlanSummary, 'modules'>;
  readonly size: { readonly before: number; readonly after: number };
  readonly bits_per_weight: number;
  readonly bits_per_quantized_weight: number | null;
  /** What `arithmetic: exact` was worth; null where no module has it. */
  readonly exact_arithmetic: ExactArithmetic | null;
  readonly modules: readonly ModuleReport[];
  readonly remarks: readonly { readonly module?: string; readonly message: string }[];
  readonly seconds: number;
  readonly peak_memory_bytes: number;
  /** What flowed through the model while it was edited; absent where nothing did. */
  readonly calibration?: CalibrationReport;
  /** Of the first output, where the recipe has an `evaluation`. Its main figures stand beside it, under the names that `eval --json` has. */
  readonly quality?: Quality;
  readonly perplexity?: number;
  readonly base_perplexity?: number;
  /** KL(base || model) in nats. */
  readonly kl?: KlFigures;
  readonly same_top1?: number;
  readonly tokens?: number;
  readonly tokens_per_second?: number;
}

/** The data of a calibrated run. */
export interface CalibrationReport {
  readonly sequences: number;
  readonly tokens: number;
  readonly rows_sha256: string;
  readonly engine: string;
  readonly notes: readonly string[];
}

/** Mean squared errors over all weights with `arithmetic: exact`. */
export interface ExactArithmetic {
  readonly modules: number;
  readonly mse: number;
  /** What the reference's arithmetic would have left. */
  readonly reference_mse: number;
}

export interface ReportInput {
  readonly plan: PlanSummary;
  readonly results: readonly PartResult[];
  readonly version: string;
  readonly date: Date;
  readonly seconds: number;
  readonly peakMemory: number;
  readonly calibration?: CalibrationReport;
}

/** Modules whose use of codes is shown. */
const HISTOGRAMS = 8;

/** The report of a run that has not been evaluated. */
export function buildReport(input: ReportInput): Report {
  const { plan, results, version, date, seconds, peakMemory, calibration } = input;
  const { modules, ...rest } = plan;
  const figures = new Map(results.flatMap(({ record }) => Object.entries(record.modules)));
  const reports = modules.map((module): ModuleReport => {
    const measured = figures.get(module.stored_with ?? module.module);
    if (measured === undefined) return module;
    const { relMSE, sqnr, maxError, squaredError, referenceError, figures: found } = measured;
    return {
      ...module,
      relMSE,
      sqnr_db: sqnr,
      max_error: maxError,
      squared_error: squaredError,
      ...(found?.['loss'] !== undefined && { loss: found['loss'] }),
      ...(referenceError !== undefined && { reference_squared_error: referenceError }),
    };
  });
  const worst = new Set(worstModules(reports, HISTOGRAMS).map(({ module }) => module));
  const shown = reports.map(report => {
    const args = report.scheme?.weights;
    return worst.has(report.module) && args
      ? { ...report, histogram: codeHistogram(args, figures.get(report.module)!.usage) }
      : report;
  });
  const bits = plan.bits_per_quantized_weight;
  return {
    version: 1,
    title: `${plan.model.name} at ${(bits ?? plan.bits_per_weight).toFixed(2)} bits`,
    verdict: verdict(plan, worstModules(reports, 3)),
    date: date.toISOString(),
    tensorpress: version,
    plan: rest,
    size: plan.size,
    bits_per_weight: plan.bits_per_weight,
    bits_per_quantized_weight: bits,
    exact_arithmetic: exactArithmetic(reports),
    modules: shown,
    remarks: results.flatMap(({ record }) => record.remarks),
    seconds,
    peak_memory_bytes: peakMemory,
    ...(calibration && { calibration }),
  };
}

/** The report of a run whose first output has been evaluated, with a verdict that knows of it. */
export function withQuality(report: Report, evaluation: ComparedEvaluation): Report {
  const { model: _, logits: __, ...quality } = evaluation;
  const { perplexity, base_perplexity, kl, same_top1, tokens, tokens_per_second } = quality;
  const judged = { ...report, perplexity, base_perplexity, kl, same_top1, tokens, tokens_per_second, quality };
  return { ...judged, verdict: qualityVerdict(judged, quality) };
}

function exactArithmetic(modules: readonly ModuleReport[]): ExactArithmetic | null {
  const exact = modules.filter(m => m.reference_squared_error !== undefined && m.stored_with === undefined);
  if (exact.length === 0) return null;
  const sum = (of: (module: ModuleReport) => number) => exact.reduce((total, module) => total + of(module), 0);
  const weights = sum(({ shape: [rows, columns] }) => rows * columns);
  return {
    modules: exact.length,
    mse: sum(m => m.squared_error!) / weights,
    reference_mse: sum(m => m.reference_squared_error!) / weights,
  };
}

/** What `arithmetic: exact` was worth, as a sentence. */
export function exactSentence({ modules, mse, reference_mse: reference }: ExactArithmetic): string {
  const where = modules === 1 ? 'one module' : `${modules} modules`;
  if (mse === reference) {
    return `arithmetic: exact leaves the error of the reference's arithmetic as it is in ${where} (mean squared error ${mse.toExponential(2)}).`;
  }
  const gain = 100 * (1 - mse / reference);
  const change = `${Math.abs(gain).toPrecision(2)} % ${gain > 0 ? 'less' : 'more'}`;
  return `arithmetic: exact leaves a mean squared error of ${mse.toExponential(2)} in ${where}; the reference's arithmetic would leave ${reference.toExponential(2)}. That is ${change}.`;
}

/** Modules with the largest relative error, worst first. */
export function worstModules(modules: readonly ModuleReport[], count: number): ModuleReport[] {
  return modules
    .filter(m => (m.relMSE ?? 0) > 0 && m.stored_with === undefined)
    .sort((a, b) => b.relMSE! - a.relMSE!)
    .slice(0, count);
}

function verdict(plan: PlanSummary, worst: readonly ModuleReport[]): string {
  const share = Math.round((100 * plan.size.after) / plan.size.before);
  const size = `${share} % of the original size`;
  const [first] = worst;
  if (first === undefined) return `${size}; no weight was changed.`;
  return `${size}; the weight with the largest relative error is ${first.module} (SQNR ${(first.sqnr_db ?? 0).toFixed(1)} dB).`;
}
