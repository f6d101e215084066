import type { Compute } from '../../src/modifiers/modifier.js';
import { gptqColumns } from '../../src/numerics/columns.js';
import { gptqFactor } from '../../src/numerics/gptq.js';
import { weightInMemory } from '../../src/observers/memory.js';
import { weightObserver } from '../../src/observers/table.js';
import { weightGrid } from '../../src/schemes/grids.js';

/** What a run lends to modifiers, in this thread and over weights in memory, by module. */
export function plainCompute(weights: ReadonlyMap<string, Float32Array>): Compute {
  return {
    weightObserver: args => weightObserver(args.observer)!,
    weight: ({ name }) => Promise.resolve(weights.get(name)!.slice()),
    weightRange({ name, weight }, args, importance) {
      const { rows, columns, dtype } = weight!;
      return weightObserver(args.observer)!.weightRange!({
        weight: weightInMemory(weights.get(name)!, columns, dtype),
        grid: weightGrid(args, rows, columns),
        args,
        ...(importance && { importance }),
      });
    },
    gptqFactor: (hessian, options) => Promise.resolve(gptqFactor(hessian, options)),
    gptqColumns: problem => Promise.resolve(gptqColumns(problem)),
  };
}
