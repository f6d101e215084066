import { firstNonFinite, widen } from '../numerics/dtypes.js';
import { TensorpressError } from '../errors.js';
import type { Source } from '../formats/source.js';
import type { Compute, Remark } from '../modifiers/modifier.js';
import type { Observer } from '../observers/observer.js';
import { weightObserver } from '../observers/table.js';
import type { QuantizationArgs } from '../schemes/args.js';
import { weightGrid } from '../schemes/grids.js';
import { gptqColumnsOn } from './columns.js';
import type { Jobs } from './pool.js';
import { weightRows, type Buffers } from './weights.js';

interface Lent {
  readonly jobs: Jobs;
  readonly buffers: Buffers;
  readonly report: (remark: Remark) => void;
  /** Those of plugins. */
  readonly observers?: readonly Observer[];
}

/** The heavy functions that a modifier is lent, over the weights of a source. */
export function computeOn(source: Source, { jobs, buffers, report, observers = [] }: Lent): Compute {
  const observer = (args: QuantizationArgs) => weightObserver(args.observer, observers)!;
  return {
    async weight({ weight }) {
      const { tensor, dtype, columns } = weight!;
      const x = widen(await source.read(tensor), dtype);
      const at = firstNonFinite(x);
      if (at < 0) return x;
      throw new TensorpressError(
        'TENSOR',
        `${tensor} is not finite at [${Math.floor(at / columns)}, ${at % columns}]`,
        {
          place: { file: source.tensors.get(tensor)!.file, tensor },
          hint: 'the model is damaged: download it again, or leave this module out with ignore',
        },
      );
    },
    weightObserver: observer,
    weightRange({ name, weight }, args, importance) {
      const { rows, columns } = weight!;
      return observer(args).weightRange({
        weight: weightRows(source, weight!, jobs, buffers),
        grid: weightGrid(args, rows, columns),
        args,
        ...(importance && { importance }),
        remark: message => report({ module: name, message }),
      });
    },
    gptqFactor: (hessian, options) => jobs.run({ kind: 'factor', hessian, options }),
    gptqColumns: problem => gptqColumnsOn(jobs, problem),
  };
}
