// Generated from schema/ by `npm run schema`; do not edit.

/**
 * A preset for all targets, or a map from presets to their targets. Instead of config_groups.
 */
export type Scheme =
  | Preset
  | {
      [k: string]: Patterns;
    }
  | null;
/**
 * The name of a ready scheme, in any case. W4A16: 4-bit weights in groups of 128, 16-bit activations. W8A8: 8-bit weights and activations. FP8_DYNAMIC: fp8 weights per row, fp8 activations per token. NVFP4, MXFP4, MXFP8: microscaling formats (A16: weights only).
 */
export type Preset = string;
/**
 * A full module name (`model.layers.0.mlp.up_proj`), a class name (`Linear`), or `re:` and a regular expression that is matched from the start of the module name (`re:.*q_proj$`).
 */
export type Pattern = string;
/**
 * Module names, class names, or `re:` patterns. A single one may be written without the list.
 */
export type Patterns = Pattern[];
/**
 * Schemes written out, under names of your choice. Instead of scheme.
 */
export type ConfigGroups = {
  [k: string]: QuantizationScheme;
} | null;
/**
 * How one tensor is quantized: number format, and which values share a scale.
 */
export type QuantizationArgs = {
  /**
   * Bits per value: 1 to 8 for `type: int`, 4 or 8 for `type: float` (fp4 e2m1, fp8 e4m3).
   */
  num_bits?: number;
  /**
   * Integer codes, or small floats.
   */
  type?: 'int' | 'float';
  /**
   * Zero is represented without a zero point. Asymmetric schemes also store a zero point per scale.
   */
  symmetric?: boolean;
  /**
   * Consecutive columns that share a scale. -1 means one scale per row, the same as `strategy: channel`.
   */
  group_size?: number | null;
  /**
   * Which values share a scale. Without it: `group` where group_size is given, else `tensor`. `token` and `attn_head` are for activations and the KV cache.
   */
  strategy?: 'tensor' | 'channel' | 'group' | 'block' | 'token' | 'tensor_group' | 'attn_head';
  /**
   * Rows and columns of a block, for `strategy: block`: [128, 128], or "128x128".
   *
   * @minItems 2
   * @maxItems 2
   */
  block_structure?: [number, number] | null;
  /**
   * true: scales are computed at inference, per token or group. `local` (NVFP4 inputs): group scales at inference, one global scale from calibration.
   */
  dynamic?: boolean | 'local';
  actorder?: Actorder;
  /**
   * Type in which scales are stored; the model's own type without it. NVFP4 uses torch.float8_e4m3fn, the MX formats torch.uint8.
   */
  scale_dtype?: 'torch.float8_e4m3fn' | 'torch.uint8' | null;
  /**
   * Type of the zero points; it follows from the scheme.
   */
  zp_dtype?: 'torch.float8_e4m3fn' | 'torch.uint8' | 'torch.int8' | null;
  observer?: Observer;
  observer_kwargs?: ObserverOptions;
} | null;
/**
 * Order of the columns. `static` (also `weight`): by importance, groups stay where they are. `group` (also `dynamic`): groups follow the order, and a weight_g_idx tensor is stored. null: as they are.
 */
export type Actorder = 'static' | 'weight' | 'group' | 'dynamic' | null;
/**
 * How the range of the values of a scale is found. Weights are seen once, so there the memoryless, static and averaging forms agree.
 */
export type Observer = string | null;
/**
 * The three observer fields as one map. Instead of weight_observer, input_observer and output_observer.
 */
export type Observers = {
  weights?: Observer;
  input?: Observer;
  output?: Observer;
} | null;
/**
 * Let pass group sizes that do not divide the columns, for runtimes that can load them.
 */
export type QuantizationFieldsBypassDivisibilityChecks = boolean;
/**
 * `reference`: the arithmetic of compressed-tensors, byte for byte. `exact`: divisions in float32 and the nearest code; slightly more accurate for 8-bit codes of bfloat16 models.
 */
export type QuantizationFieldsArithmetic = 'reference' | 'exact';
/**
 * How much of the difficulty moves from activations to weights: 0 none, 1 all.
 */
export type SmoothingFieldsSmoothingStrength = number;
/**
 * Pairs of the layers to balance and the layer before them; found from the architecture where it is not given.
 */
export type SmoothingFieldsMappings = SmoothQuantMapping[] | null;
/**
 * [[balance layers], smooth layer].
 *
 * @minItems 2
 * @maxItems 2
 */
export type SmoothQuantMapping = [Patterns, Pattern];
/**
 * Layers that stay as they are.
 */
export type SmoothingFieldsIgnore = Pattern[] | null;
/**
 * Precision in which transforms are computed.
 */
export type Precision = 'torch.float64' | 'torch.float32' | 'torch.bfloat16' | 'torch.float16';
/**
 * Names of the layers of the architecture; found from it where it is not given.
 */
export type SpinQuantMapping = {
  embedding: Pattern;
  attn: Pattern;
  attn_q: Pattern;
  attn_k: Pattern;
  attn_v: Pattern;
  attn_o: Pattern;
  /**
   * Size of an attention head.
   */
  attn_head_dim?: number | null;
  mlp_in: Patterns;
  mlp_out: Patterns;
  lm_head: Pattern;
} | null;
/**
 * Transforms written out; used instead of what the other fields say.
 */
export type TransformConfig = {
  config_groups: TransformGroups;
} | null;
/**
 * `hadamard`: Sylvester's matrix. `random-hadamard`: a Hadamard matrix with random signs, of any order that has one. `random-matrix`: a random invertible matrix.
 */
export type TransformType = 'hadamard' | 'random-hadamard' | 'random-matrix';
/**
 * Fraction of weights to set to zero, 0 to 1; or one fraction per target.
 */
export type Sparsity = number | [number, ...number[]];
/**
 * `owl`: layers with more outliers keep more weights. Needs owl_m and owl_lmbda.
 */
export type PruningFieldsSparsityProfile = 'owl' | null;
/**
 * N:M keeps M - N of every M consecutive weights ("2:4" halves them); "0:0" is unstructured.
 */
export type PruningFieldsMaskStructure = string;
/**
 * How many times the mean an outlier is, for the owl profile.
 */
export type PruningFieldsOwlM = number | null;
/**
 * How far a layer's sparsity may stray from the mean, for the owl profile.
 */
export type PruningFieldsOwlLmbda = number | null;
/**
 * Deprecated: layers always see the edits of earlier ones.
 */
export type PruningFieldsSequentialUpdate = boolean | null;
/**
 * One thing to write.
 */
export type Output = CompressedTensorsOutput | GgufOutput;

/**
 * A recipe: what is done to a model, in order, and what is written.
 */
export interface NativeRecipe {
  /**
   * Version of the recipe language.
   */
  version: 1;
  /**
   * What is done to the model, in this order. Each item has one key, the class of the modifier.
   */
  modifiers: Modifiers[];
  calibration?: Calibration;
  /**
   * What is written; one compressed-tensors folder without it.
   *
   * @minItems 1
   */
  outputs?: [Output, ...Output[]];
  evaluation?: Evaluation;
  /**
   * TypeScript or JavaScript files with modifiers or observers of your own; relative to the recipe. They run when the recipe is applied.
   *
   * Items: Path of a plugin.
   */
  plugins?: string[];
  /**
   * Earlier recipes of the model, for the record; not applied.
   */
  history?: unknown[];
}
/**
 * The modifiers, by class.
 */
export interface Modifiers {
  QuantizationModifier?: QuantizationModifier;
  GPTQModifier?: GPTQModifier;
  AWQModifier?: AWQModifier;
  SmoothQuantModifier?: SmoothQuantModifier;
  LogarithmicEqualizationModifier?: LogarithmicEqualizationModifier;
  SpinQuantModifier?: SpinQuantModifier;
  QuIPModifier?: QuIPModifier;
  SparseGPTModifier?: SparseGPTModifier;
  WandaPruningModifier?: WandaPruningModifier;
  MagnitudePruningModifier?: MagnitudePruningModifier;
  ConstantPruningModifier?: ConstantPruningModifier;
  REAPPruningModifier?: REAPPruningModifier;
  AutoRoundModifier?: AutoRoundModifier;
}
/**
 * Rounds every value to the nearest code. Needs no data unless activations or the KV cache get static scales.
 */
export interface QuantizationModifier {
  scheme?: Scheme;
  config_groups?: ConfigGroups;
  targets?: Patterns;
  ignore?: Patterns;
  kv_cache_scheme?: QuantizationArgs;
  weight_observer?: Observer;
  input_observer?: Observer;
  output_observer?: Observer;
  observer?: Observers;
  bypass_divisibility_checks?: QuantizationFieldsBypassDivisibilityChecks;
  arithmetic?: QuantizationFieldsArithmetic;
}
/**
 * One group: which modules, and how their weights, inputs and outputs are quantized.
 */
export interface QuantizationScheme {
  targets: Patterns;
  weights?: QuantizationArgs;
  input_activations?: QuantizationArgs;
  output_activations?: QuantizationArgs;
  /**
   * How the codes are stored; chosen from the scheme where it is not given.
   */
  format?:
    | 'dense'
    | 'pack-quantized'
    | 'int-quantized'
    | 'float-quantized'
    | 'naive-quantized'
    | 'nvfp4-pack-quantized'
    | 'mxfp4-pack-quantized'
    | 'mxfp8-quantized'
    | null;
}
/**
 * Options of the observer; which ones depends on the observer.
 */
export interface ObserverOptions {
  /**
   * Weight of a new batch in the moving average (minmax, mse).
   */
  averaging_constant?: number;
  /**
   * How far the range may shrink in the search, as a fraction (mse family).
   */
  maxshrink?: number;
  /**
   * Steps of the search: the range shrinks by 1/grid per step (mse family).
   */
  grid?: number;
  /**
   * Steps without improvement after which the search ends (mse family).
   */
  patience?: number;
  /**
   * Exponent of the error that the search minimises (mse family).
   */
  norm?: number;
  /**
   * Factor on the range before the search begins (mse family).
   */
  expand?: number;
  /**
   * Share of the values that the range must hold, in percent (percentile).
   */
  percentile?: number;
  /**
   * imatrix_mse: fail where no importance is known, instead of weighting all columns equally.
   */
  strict?: boolean;
}
/**
 * GPTQ: rounds column by column and lets the columns to come make up for the error. Needs calibration data. Without a scheme of its own it takes those of an earlier modifier.
 */
export interface GPTQModifier {
  scheme?: Scheme;
  config_groups?: ConfigGroups;
  targets?: Patterns;
  ignore?: Patterns;
  kv_cache_scheme?: QuantizationArgs;
  weight_observer?: Observer;
  input_observer?: Observer;
  output_observer?: Observer;
  observer?: Observers;
  bypass_divisibility_checks?: QuantizationFieldsBypassDivisibilityChecks;
  /**
   * Columns that are processed before the rest of the weight is updated. Changes speed, hardly the result.
   */
  block_size?: number;
  /**
   * What is added to the diagonal of the Hessian, as a fraction of its mean.
   */
  dampening_frac?: number;
  actorder?: Actorder;
  /**
   * Accepted for compatibility; memory is bounded by the plan.
   */
  offload_hessians?: boolean;
  arithmetic?: QuantizationFieldsArithmetic;
}
/**
 * AWQ: scales input channels so that the important ones lose less in rounding. Changes no size by itself: a quantization modifier must follow. Needs calibration data.
 */
export interface AWQModifier {
  /**
   * Which layers are scaled against each other; found from the architecture where it is not given.
   */
  mappings?: AwqMapping[] | null;
  /**
   * Let the size of the weights count too: true, false, or `both` to try either.
   */
  duo_scaling?: boolean | 'both';
  /**
   * Points of the search for the best scale.
   */
  n_grid?: number;
  /**
   * Accepted for compatibility; memory is bounded by the plan.
   */
  offload_device?: string | null;
}
/**
 * One smooth layer and the layers that its outputs feed.
 */
export interface AwqMapping {
  smooth_layer: Pattern;
  balance_layers: Patterns;
  /**
   * Submodule whose input is observed, relative to the common parent of the balance layers.
   */
  activation_hook_target?: string | null;
}
/**
 * SmoothQuant: moves outliers from activations into weights, exactly. Needs calibration data.
 */
export interface SmoothQuantModifier {
  smoothing_strength?: SmoothingFieldsSmoothingStrength;
  mappings?: SmoothingFieldsMappings;
  ignore?: SmoothingFieldsIgnore;
  /**
   * `log_equalization` computes the scales as LogarithmicEqualizationModifier does.
   */
  algorithm?: 'smoothquant' | 'log_equalization';
}
/**
 * SmoothQuant with scales from the logarithm of the activation range. Needs calibration data.
 */
export interface LogarithmicEqualizationModifier {
  smoothing_strength?: SmoothingFieldsSmoothingStrength;
  mappings?: SmoothingFieldsMappings;
  ignore?: SmoothingFieldsIgnore;
  /**
   * Always log_equalization here.
   */
  algorithm?: 'log_equalization';
}
/**
 * SpinQuant: rotates hidden states (R1), values (R2), queries and keys (R3) and the input of the down projection (R4), so that outliers spread out. R1 and R2 are folded into the weights; R3 and R4 run online. Needs no data.
 */
export interface SpinQuantModifier {
  /**
   * Which rotations, in any case.
   *
   * @minItems 1
   *
   * Items: R1 hidden states, R2 values, R3 queries and keys, R4 input of the down projection.
   */
  rotations?: ['R1' | 'R2' | 'R3' | 'R4', ...('R1' | 'R2' | 'R3' | 'R4')[]];
  /**
   * Kind of matrix.
   */
  transform_type?: 'hadamard' | 'random-hadamard' | 'random-matrix';
  /**
   * Size of the blocks of the matrix; the full width without it.
   */
  transform_block_size?: number | null;
  /**
   * Another matrix for every weight; not supported, so only false is valid.
   */
  randomize?: false;
  /**
   * Learn the matrices; not supported, so only false is valid.
   */
  learnable?: false;
  precision?: Precision;
  mappings?: SpinQuantMapping;
  /**
   * Which Linear layers each norm feeds; found from the architecture where it is not given.
   */
  norm_mappings?: NormMapping[] | null;
  transform_config?: TransformConfig;
}
/**
 * A norm and the layers that it feeds.
 */
export interface NormMapping {
  norm: Pattern;
  linears: Patterns;
}
/**
 * One transform per name; its matrix is shared by everything in `apply`.
 */
export interface TransformGroups {
  [k: string]: TransformScheme;
}
/**
 * One transform: its matrix, and where it is applied.
 */
export interface TransformScheme {
  type: TransformType;
  /**
   * Where the matrix is applied, in this order.
   */
  apply?: TransformArgs[];
  /**
   * Another matrix for every weight; not supported.
   */
  randomize?: boolean;
  /**
   * Marks the matrix as learned; not supported.
   */
  requires_grad?: boolean;
  /**
   * Size of the blocks of a block-diagonal matrix; the full width without it.
   */
  head_dim?: number | null;
  precision?: Precision;
}
/**
 * One place where the matrix is applied.
 */
export interface TransformArgs {
  targets: Patterns;
  /**
   * weight_input and weight_output are folded into the weight; the others run online.
   */
  location: 'input' | 'weight_input' | 'weight_output' | 'output' | 'k_cache' | 'q_attn';
  /**
   * Apply the inverse.
   */
  inverse?: boolean;
  ignore?: Patterns;
}
/**
 * QuIP: rotates the input (v) or output (u) of every targeted layer, online, and the weight by the inverse. Needs no data.
 */
export interface QuIPModifier {
  /**
   * v: inputs, u: outputs.
   *
   * @minItems 1
   *
   * Items: v: input side, u: output side.
   */
  rotations?: ['v' | 'u', ...('v' | 'u')[]];
  /**
   * Kind of matrix.
   */
  transform_type?: 'hadamard' | 'random-hadamard' | 'random-matrix';
  targets?: Patterns;
  ignore?: Patterns;
  /**
   * Size of the blocks of the matrix; the full width without it.
   */
  transform_block_size?: number | null;
  /**
   * Another matrix for every weight; not supported, so only false is valid.
   */
  randomize?: false;
  /**
   * Learn the matrices; not supported, so only false is valid.
   */
  learnable?: false;
  precision?: Precision;
  transform_config?: TransformConfig;
}
/**
 * SparseGPT: sets weights to zero column by column and lets the others make up for the error. Needs calibration data.
 */
export interface SparseGPTModifier {
  sparsity: Sparsity;
  sparsity_profile?: PruningFieldsSparsityProfile;
  mask_structure?: PruningFieldsMaskStructure;
  owl_m?: PruningFieldsOwlM;
  owl_lmbda?: PruningFieldsOwlLmbda;
  sequential_update?: PruningFieldsSequentialUpdate;
  targets?: Patterns;
  ignore?: Patterns;
  /**
   * Columns that are processed before the rest of the weight is updated. Changes speed, hardly the result.
   */
  block_size?: number;
  /**
   * What is added to the diagonal of the Hessian, as a fraction of its mean.
   */
  dampening_frac?: number;
  /**
   * Keep the zeros that the model already has.
   */
  preserve_sparsity_mask?: boolean;
  /**
   * Accepted for compatibility; memory is bounded by the plan.
   */
  offload_hessians?: boolean;
}
/**
 * Wanda: sets to zero what is smallest in weight times input norm. Needs calibration data.
 */
export interface WandaPruningModifier {
  sparsity: Sparsity;
  sparsity_profile?: PruningFieldsSparsityProfile;
  mask_structure?: PruningFieldsMaskStructure;
  owl_m?: PruningFieldsOwlM;
  owl_lmbda?: PruningFieldsOwlLmbda;
  sequential_update?: PruningFieldsSequentialUpdate;
  targets?: Patterns;
  ignore?: Patterns;
}
/**
 * Sets the smallest weights to zero. A schedule for training in llm-compressor.
 */
export interface MagnitudePruningModifier {
  targets: Patterns;
  /**
   * Sparsity at the start of the schedule.
   */
  init_sparsity: number;
  /**
   * Sparsity at its end.
   */
  final_sparsity: number;
  /**
   * How sparsity grows from start to end.
   */
  update_scheduler?: string;
  scheduler_args?: SchedulerArgs;
  /**
   * `unstructured`, or N:M.
   */
  mask_structure?: string;
  /**
   * Keep the mask after the last epoch.
   */
  leave_enabled?: boolean;
  /**
   * One threshold for all targets instead of one each.
   */
  apply_globally?: boolean;
  /**
   * First epoch of the schedule.
   */
  start?: number | null;
  /**
   * Last epoch of the schedule.
   */
  end?: number | null;
  /**
   * Epochs from one step of the schedule to the next.
   */
  update?: number | null;
}
/**
 * Options of the scheduler.
 */
export interface SchedulerArgs {
  [k: string]: unknown;
}
/**
 * Keeps zeros zero during training. A schedule for training in llm-compressor.
 */
export interface ConstantPruningModifier {
  targets: Patterns;
  /**
   * First epoch of the schedule.
   */
  start?: number | null;
  /**
   * Last epoch of the schedule.
   */
  end?: number | null;
  /**
   * Epochs from one step of the schedule to the next.
   */
  update?: number | null;
}
/**
 * REAP: removes the experts of a mixture of experts that contribute least. Needs calibration data.
 */
export interface REAPPruningModifier {
  /**
   * Fraction of experts to remove, between 0 and 1.
   */
  sparsity: number;
  ignore?: Patterns;
  /**
   * A .json file for the scores of the experts.
   */
  report_path?: string | null;
}
/**
 * AutoRound: learns which way to round each weight, block by block. Needs calibration data.
 */
export interface AutoRoundModifier {
  scheme?: Scheme;
  config_groups?: ConfigGroups;
  targets?: Patterns;
  ignore?: Patterns;
  kv_cache_scheme?: QuantizationArgs;
  weight_observer?: Observer;
  input_observer?: Observer;
  output_observer?: Observer;
  observer?: Observers;
  bypass_divisibility_checks?: QuantizationFieldsBypassDivisibilityChecks;
  /**
   * Steps of the optimisation per block.
   */
  iters?: number;
  /**
   * Rows per step.
   */
  batch_size?: number;
  /**
   * Learning rate; 1/iters without it.
   */
  lr?: number | null;
  /**
   * Accepted for compatibility; without effect here.
   */
  enable_torch_compile?: boolean;
  /**
   * Accepted for compatibility; without effect here.
   */
  device_ids?: string | null;
  /**
   * Leave out the improved start from round to nearest.
   */
  disable_opt_rtn?: boolean;
}
/**
 * The text that runs through the model while statistics are collected.
 */
export interface Calibration {
  /**
   * A .txt, .jsonl or .json file (text, documents, or token ids); relative to the recipe.
   */
  dataset?: string;
  /**
   * Rows to use, at most.
   */
  samples?: number;
  /**
   * Tokens per row; longer rows are cut, which the report says.
   */
  sequence_length?: number;
  /**
   * Rows that run through the model together.
   */
  batch_size?: number;
  /**
   * Seed of the shuffle; the same seed gives the same bytes.
   */
  seed?: number;
  /**
   * Draw rows in random order instead of the order of the file.
   */
  shuffle?: boolean;
  /**
   * `compressed`: later layers see the edits of earlier ones. `original`: each modifier observes the model without its own edits.
   */
  propagate?: 'compressed' | 'original';
}
/**
 * A folder that vLLM and transformers load.
 */
export interface CompressedTensorsOutput {
  /**
   * A folder of safetensors files in the compressed-tensors layout.
   */
  format: 'compressed-tensors';
  /**
   * Largest size of one weight file: a number of bytes, or a text such as 5GB.
   */
  max_shard_size?: string | number;
  /**
   * Name of the folder inside the output folder; needed by every output of this format but the first.
   */
  name?: string;
}
/**
 * A file for llama.cpp and the programs built on it.
 */
export interface GgufOutput {
  /**
   * One GGUF file.
   */
  format: 'gguf';
  /**
   * The file type, as llama-quantize names it; the mixtures end in _S, _M or _L.
   */
  type:
    | 'F32'
    | 'F16'
    | 'BF16'
    | 'Q8_0'
    | 'Q4_0'
    | 'Q4_1'
    | 'Q5_0'
    | 'Q5_1'
    | 'Q2_K'
    | 'Q2_K_S'
    | 'Q3_K_S'
    | 'Q3_K_M'
    | 'Q3_K_L'
    | 'Q4_K_S'
    | 'Q4_K_M'
    | 'Q5_K_S'
    | 'Q5_K_M'
    | 'Q6_K'
    | 'IQ1_S'
    | 'IQ1_M'
    | 'IQ2_XXS'
    | 'IQ2_XS'
    | 'IQ2_S'
    | 'IQ2_M'
    | 'IQ3_XXS'
    | 'IQ3_XS'
    | 'IQ3_S'
    | 'IQ3_M'
    | 'IQ4_NL'
    | 'IQ4_XS'
    | 'TQ1_0'
    | 'TQ2_0'
    | 'MXFP4'
    | 'MXFP4_MOE'
    | 'NVFP4';
  /**
   * `auto`: collect an importance matrix from the calibration data. `none`: do without. Else the path of an importance matrix in GGUF format.
   */
  imatrix?: string;
  /**
   * Types of single tensors, as PATTERN=TYPE; the first pattern found in a tensor's name decides.
   *
   * Items: A regular expression that is searched in the tensor name, an equals sign, a type.
   */
  tensor_types?: string[];
  /**
   * Name of the file, before the type; the model folder's name without it.
   */
  name?: string;
  /**
   * Largest size of one file; one file without it.
   */
  split?: string | number;
  /**
   * Write into the file by what and from what it was made. Off, the file has the bytes of llama-quantize.
   */
  provenance?: boolean;
}
/**
 * How the result is judged against the source model; applies to every output.
 */
export interface Evaluation {
  /**
   * A .txt, .jsonl or .json file (text, documents, or token ids); relative to the recipe.
   */
  data: string;
  /**
   * Tokens per window.
   */
  context?: number;
  /**
   * Tokens from one window to the next; the context without it.
   */
  stride?: number;
  /**
   * Windows to use, at most; all without it.
   */
  windows?: number;
  /**
   * `windows`: consecutive windows, the first token of each not scored. `llama`: the arithmetic of llama-perplexity.
   */
  protocol?: 'windows' | 'llama';
  /**
   * Continue texts by so many tokens, the result and its source side by side.
   */
  generate?: number;
  /**
   * A .txt file of texts to continue, one on a line; relative to the recipe. Without it the beginnings of three windows.
   */
  prompts?: string;
  /**
   * A .jsonl file of multiple-choice questions to answer, {context, choices, answer} on a line; relative to the recipe.
   */
  task?: string;
}
