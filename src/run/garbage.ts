import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Looks for memory that nothing refers to any more, every so many calls. V8 does not count what threads share, so left to itself it keeps the matrices
 * of many layers before it looks.
 */
export function garbageCollector(every = 1): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let calls = 0;
  return () => {
    if (++calls % every === 0) collect();
  };
}
