import type { WeightSpec } from '../formats/format.js';
import type { ModuleScheme, ParameterSpec } from '../modifiers/modifier.js';
import type { QParams } from '../numerics/grid.js';
import type { Model, Part } from '../runtime/model/model.js';
import type { FormatName, QuantizationArgs } from '../schemes/args.js';

/** What outputs are laid out from: how the model leaves the run. A compiled plan is one. */
export interface Blueprint {
  readonly model: Model;
  readonly outcome: {
    readonly schemes: ReadonlyMap<string, ModuleScheme>;
    /** `kv_cache_scheme` of the result. */
    readonly cache: QuantizationArgs | null;
    /** `tie_word_embeddings` of the result. */
    readonly tied: boolean;
  };
  readonly parts: readonly {
    readonly part: Part;
    /** Modules that become codes, and tensors that are added. */
    readonly steps: readonly {
      readonly codes: readonly string[];
      readonly parameters: readonly ParameterSpec[];
    }[];
    /** Tensors that are written as weights, and under which name. */
    readonly copies: readonly { readonly tensor: string; readonly as: string }[];
  }[];
}

/** How the codes of a module become bytes of a tensor: data, so that any thread can do it, rows at a time. */
export interface Encoding {
  readonly tensor: string;
  readonly format: FormatName;
  readonly spec: WeightSpec;
  /** Bytes of a row in the tensor. */
  readonly rowBytes: number;
}

/** A file that an output will write, known from the plan. */
export interface PlannedFile {
  readonly name: string;
  readonly bytes: number;
}

/** One target of a run: lays its files out from the plan, then takes bytes of tensors in any order and puts them at their place. */
export interface Output {
  readonly format: string;
  /** Where it writes, absolute. */
  readonly folder: string;
  readonly files: readonly PlannedFile[];
  /** Bytes of all tensors. */
  readonly tensorBytes: number;
  /** Bytes of the stored tensors of a module, once it has codes. */
  moduleBytes(module: string): number;
  /** How it stores the codes of a module. */
  encoding(module: string): Encoding;
  /** Everything around the codes, by tensor name. */
  encodeParameters(
    module: string,
    parameters: QParams & { readonly groupIndex?: Int32Array | null },
  ): Map<string, Uint8Array>;
  /** Creates `*.partial` files of their final size, or goes on with those of an earlier attempt that had stored these tensors. */
  open(stored: ReadonlySet<string>): Promise<void>;
  write(tensor: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** SHA-256 in hex of a tensor as it lies in its file. */
  hash(tensor: string): Promise<string>;
  /** Everything written so far is on the disk when it resolves. */
  sync(): Promise<void>;
  /** Flushes the files and gives them their names. */
  finish(): Promise<void>;
  /** Closes the files; they stay as they are. */
  close(): Promise<void>;
  /** Closes the files and removes those that are not finished. */
  discard(): Promise<void>;
}
