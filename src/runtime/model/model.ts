import type { ModelDType } from '../../numerics/dtypes.js';
import type { Source } from '../../formats/source.js';

/** A named node of the Hugging Face model, in declaration order (depth first). Containers (`model.layers.0.mlp`) are modules too. */
export interface Module {
  readonly name: string;
  /** Its class, then the base classes it can be matched by, `Module` last: `['Linear', 'Module']`. */
  readonly classes: readonly string[];
  /**
   * Present on modules with a 2-D weight that may be quantized: class exactly Linear or Embedding, F32, F16 or BF16, inside the language model.
   * A Linear without it (in a vision tower, in FP8) is never quantized, but readers must be told to ignore it.
   */
  readonly weight?: Weight;
  /** Tensor name of the bias. */
  readonly bias?: string;
  /** Modules with the same family share one NVFP4 global scale: `model.layers.0.self_attn.qkv`. */
  readonly family?: string;
}

export interface Weight {
  /** Tensor name in the source. A tied lm_head names the embedding's tensor. */
  readonly tensor: string;
  readonly rows: number;
  readonly columns: number;
  readonly dtype: ModelDType;
  /** The module that owns the tensor, when it is not this one (tied embeddings). */
  readonly tiedTo?: string;
}

/** What is loaded, edited, written and forgotten together: the embedding, one decoder layer, the head. */
export interface Part {
  /** `embedding`, `layers.0` ..., `head`, or `other` for what belongs to none of them (vision towers, ...). */
  readonly id: string;
  readonly modules: readonly Module[];
  /**
   * Every source tensor that is stored under a module of the part: each tensor is in one part only, the weight of a tied head in the
   * embedding's. A tied head's own copy of that weight is in none.
   */
  readonly tensors: readonly string[];
}

export interface Model {
  /** Absolute path of the folder. */
  readonly folder: string;
  /** The folder's name, or `org/name` when it was downloaded. */
  readonly name: string;
  /** config.json as it is. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Its text, where numbers are spelt as they have to be written again. */
  readonly configText: string;
  /** `architectures[0]`. */
  readonly architecture: string;
  /** False: modules were inferred from the tensors. */
  readonly known: boolean;
  /** One sentence each: what was inferred, and what passes through untouched because no rule covers it. */
  readonly notes: readonly string[];
  readonly dtype: ModelDType;
  /** The head reads the embedding's tensor, whatever config.json says. */
  readonly tied: boolean;
  /** What readers believe of that, where there is a head: `tie_word_embeddings` of config.json, or the family's default. */
  readonly tiedByConfig: boolean;
  /** config.json holds a `quantization_config`: the weights are codes already, and modules of such weights have no `weight`. */
  readonly quantized: boolean;
  readonly source: Source;
  /** Tree order. */
  readonly modules: readonly Module[];
  readonly parts: readonly Part[];
  /** Files beside config.json and the weights that an output carries over (tokenizer, generation_config.json, *.py, ...), relative names. */
  readonly companions: readonly string[];
}

/** A module with a weight. */
export type WeightedModule = Module & { readonly weight: Weight };

/** Modules with a weight that may be quantized, in tree order. */
export function weightedModules(model: Model): WeightedModule[] {
  return model.modules.filter((module): module is WeightedModule => module.weight !== undefined);
}
