import { createKernels } from '../numerics/wasm.js';
import { collectEvery } from './garbage.js';
import { runJob, type Job } from './jobs.js';

const kernels = createKernels();
/** For jobs with matrices that threads share. */
const collect = collectEvery(8);

/** What a thread of the pool does with a job. */
export default function work(job: Job): unknown {
  const result = runJob(job, kernels);
  if (job.kind === 'factor' || job.kind === 'columns') collect();
  return result;
}
