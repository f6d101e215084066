/** The library: what the command line calls, and what authors of observers and modifiers build on. */
export { TensorpressError, type Diagnostic, type ErrorCode, type Place } from './errors.js';
export { apply, type Applied, type ApplyOptions } from './run/apply.js';
export { plan, type PlanOptions } from './run/prepare.js';
export { convert, type Converted, type ConvertOptions } from './run/convert.js';
export { evaluate, type EvaluateEvent, type EvaluateOptions, type Evaluation } from './run/evaluate.js';
export { answer, type Answered, type AnswerOptions } from './run/answer.js';
export { compareRuns, type RunComparison } from './run/compare.js';
export { inspect, type Inspection } from './run/inspect.js';
export { doctor, type Finding } from './run/doctor.js';
export type { OnEvent, RunEvent } from './run/events.js';
export type { ModuleSummary, PlanSummary } from './run/summary.js';
export type { ModuleReport, Report } from './run/report.js';
export { parseRecipe } from './recipe/parse.js';
export { readRecipe, validateRecipe } from './recipe/read.js';
export { printRecipe } from './recipe/print.js';
export type { ParsedRecipe, Recipe } from './recipe/recipe.js';
export {
  defineModifier,
  type Claims,
  type CodesEdit,
  type Compute,
  type DenseEdit,
  type Edit,
  type EditContext,
  type Modifier,
  type ModuleScheme,
  type Observation,
  type ParameterEdit,
  type ParameterSpec,
  type PartPlan,
  type Problem,
  type Remark,
  type Site,
  type Statistics,
} from './modifiers/modifier.js';
export { claimSchemes } from './modifiers/claims.js';
export type { SchemeOptions } from './modifiers/groups.js';
export { claimSelection, selectModules, type Selection } from './modifiers/selection.js';
export {
  defineObserver,
  type Observer,
  type Reduction,
  type RowChunk,
  type Seen,
  type ValueObserver,
  type ValueSpec,
  type WeightObservation,
  type WeightRows,
} from './observers/observer.js';
export type { Grid, Range } from './numerics/grid.js';
export { qparams } from './numerics/qparams.js';
export type { Random } from './numerics/random.js';
export type { Model, Module, Part, Weight, WeightedModule } from './runtime/model/model.js';
export type { QuantizationArgs, QuantizationScheme } from './schemes/args.js';
