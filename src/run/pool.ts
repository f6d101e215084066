import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { createKernels } from '../numerics/wasm.js';
import { runJob, type Job, type JobResult } from './jobs.js';

/** Where jobs run. Results do not depend on it. */
export interface Jobs {
  /** Jobs that are worth having under way at once. */
  readonly parallel: number;
  run<J extends Job>(job: J): Promise<JobResult<J>>;
  close(): Promise<void>;
}

/** One after the other, in this thread. */
function inlineJobs(): Jobs {
  const kernels = createKernels();
  return {
    parallel: 1,
    run: job => Promise.resolve().then(() => runJob(job, kernels)),
    close: () => Promise.resolve(),
  };
}

/**
 * Threads that carry jobs out. Bytes in shared memory are passed on without a copy.
 * @param threads 0: no thread but the caller's
 * @param signal ends jobs that are under way, and their threads
 */
export function createJobs(threads: number, signal?: AbortSignal): Jobs {
  if (threads === 0) return inlineJobs();
  const pool = new Piscina({
    filename: fileURLToPath(new URL('./pool-thread.js', import.meta.url)),
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Infinity,
    concurrentTasksPerWorker: 1,
    // they make next to no garbage; a larger nursery would only grow for as long as they run
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  return {
    // one more per thread, so that none waits for the next chunk to be read
    parallel: threads * 2,
    run: <J extends Job>(job: J) => pool.run(job, signal && { signal }) as Promise<JobResult<J>>,
    close: () => pool.destroy(),
  };
}
