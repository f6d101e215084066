import { availableParallelism } from 'node:os';
import type { Model } from '../runtime/model/model.js';

/** Starting a thread takes longer than this many bytes of weights take to compute. */
const BYTES_PER_THREAD = 64e6;

/** Threads that compute beside the run's own: one per core, fewer for a small model. */
export function threadsFor({ source }: Model): number {
  const bytes = [...source.tensors.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  return Math.min(availableParallelism(), Math.floor(bytes / BYTES_PER_THREAD));
}
