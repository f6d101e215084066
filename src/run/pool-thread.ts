import { createKernels } from '../numerics/wasm.js';
import { runJob, type Job } from './jobs.js';

const kernels = createKernels();

/** What a thread of the pool does with a job. */
export default function work(job: Job): unknown {
  return runJob(job, kernels);
}
