import type { Source } from '../../formats/source.js';
import { narrow, widen } from '../../numerics/dtypes.js';
import { dequantize, quantize } from '../../numerics/quantize.js';
import type { CodesEdit, DenseEdit } from '../../modifiers/modifier.js';
import type { Module, Weight } from '../../runtime/model/model.js';
import type { QuantizationArgs } from '../../schemes/args.js';
import { weightGrid } from '../../schemes/grids.js';

interface Edited {
  readonly step: number;
  /** Bytes of the rows [from, to) in the weight's dtype; `before` are those that were edited. */
  rows(from: number, to: number, before: () => Promise<Uint8Array>): Promise<Uint8Array>;
}

/**
 * The weights of the part in work as its modifiers have left them. Codes are kept as codes, a quarter of the weight in float32, and dequantized
 * when they are read: as the weight's dtype holds them, for that is what GPTQ's error is formed with.
 */
export class PartEdits {
  readonly #source: Source;
  readonly #modules: ReadonlyMap<string, Module>;
  readonly #edits = new Map<string, Edited[]>();

  constructor(source: Source, modules: readonly Module[]) {
    this.#source = source;
    this.#modules = new Map(modules.map(module => [module.name, module]));
  }

  /** @param args of the codes */
  addCodes(step: number, edit: CodesEdit, args: QuantizationArgs): void {
    const weight = this.#weightOf(edit.module);
    const { rows, columns, dtype } = weight;
    const grid = weightGrid(args, rows, columns);
    const groupIndex = edit.groupIndex ?? null;
    this.#add(weight, {
      step,
      async rows(from, to, before) {
        const codes =
          edit.codes === 'nearest'
            ? quantize(widen(await before(), dtype), from, grid, edit, args, dtype, { arithmetic: edit.arithmetic })
            : edit.codes.subarray(from * columns, to * columns);
        return narrow(dequantize(codes, from, grid, edit, args, groupIndex), dtype);
      },
    });
  }

  addDense(step: number, { module, weight: values }: DenseEdit): void {
    const weight = this.#weightOf(module);
    const bytes = narrow(values, weight.dtype);
    const rowBytes = bytes.length / weight.rows;
    this.#add(weight, { step, rows: (from, to) => Promise.resolve(bytes.slice(from * rowBytes, to * rowBytes)) });
  }

  /** Whether one of these steps has edited a tensor. */
  has(tensor: string, steps: (step: number) => boolean): boolean {
    return (this.#edits.get(tensor) ?? []).some(({ step }) => steps(step));
  }

  /** The source with the edits of these steps. */
  view(steps: (step: number) => boolean): Source {
    const source = this.#source;
    const read = async (
      edits: readonly Edited[],
      tensor: string,
      rows: { from: number; to: number },
      memory?: (bytes: number) => Uint8Array,
    ): Promise<Uint8Array> => {
      const last = edits.at(-1);
      if (last === undefined) return source.read(tensor, rows, memory);
      const bytes = await last.rows(rows.from, rows.to, () => read(edits.slice(0, -1), tensor, rows));
      if (memory === undefined) return bytes;
      const into = memory(bytes.length);
      into.set(bytes);
      return into;
    };
    return {
      ...source,
      read: (tensor, rows, memory) => {
        const edits = (this.#edits.get(tensor) ?? []).filter(({ step }) => steps(step));
        if (edits.length === 0) return source.read(tensor, rows, memory);
        return read(edits, tensor, rows ?? { from: 0, to: source.tensors.get(tensor)!.shape[0]! }, memory);
      },
    };
  }

  #add({ tensor }: Weight, edited: Edited): void {
    const edits = [...(this.#edits.get(tensor) ?? []), edited];
    this.#edits.set(
      tensor,
      edits.sort((a, b) => a.step - b.step),
    );
  }

  #weightOf(module: string): Weight {
    const weight = this.#modules.get(module)?.weight;
    if (weight === undefined) throw new Error(`${module} is no weight of this part`);
    return weight;
  }
}
