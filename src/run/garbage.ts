import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Looks for memory that nothing refers to any more, every so many calls. V8 does not count what threads share, so left to itself it keeps the matrices
 * of many layers before it looks.
 */
export function collectEvery(most = 1): () => void {
  const collect = collector();
  let calls = 0;
  return () => {
    if (++calls % most === 0) collect();
  };
}

/**
 * The same, whenever the arrays of this thread have grown by so many bytes since it looked last: V8 waits until they are much larger than its own
 * heap, so a deep model would take more memory than a flat one. Looking takes about 10 ms.
 */
export function collectGrown(bytes = 1 << 25): () => void {
  const collect = collector();
  const arrays = () => getHeapStatistics().external_memory;
  let kept = arrays();
  return () => {
    const now = arrays();
    kept = Math.min(kept, now); // V8 has looked itself
    if (now < kept + bytes) return;
    collect();
    kept = arrays();
  };
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
