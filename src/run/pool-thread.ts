import { move, transferableSymbol, valueSymbol } from 'piscina';
import { createKernels } from '../numerics/wasm.js';
import { runJob, type Job } from './jobs.js';

const kernels = createKernels();

/** What a thread of the pool does with a job. Bytes of the result change hands instead of being copied. */
export default function work(job: Job): unknown {
  const result = runJob(job, kernels);
  if (!('encoded' in result)) return result;
  const buffers = new Set(result.encoded.map(({ buffer }) => buffer));
  return move({ [transferableSymbol]: [...buffers], [valueSymbol]: result });
}
