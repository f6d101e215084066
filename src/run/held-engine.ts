import type { Engine } from '../runtime/engine/engine.js';
import { openEngine, type OpenEngine } from '../runtime/engine/open.js';
import type { Stopping } from './stopping.js';

/**
 * Opens an engine. Its native code computes in this thread until it is closed; ending the thread from outside would end the process, so the thread
 * holds until then.
 * @returns `close` does nothing a second time
 */
export async function holdEngine(
  options: OpenEngine,
  stopping: Stopping,
): Promise<{ readonly engine: Engine; close(): Promise<void> }> {
  stopping.hold();
  const engine = await openEngine(options).catch((error: unknown) => {
    stopping.release();
    throw error;
  });
  let open = true;
  return {
    engine,
    async close() {
      if (!open) return;
      open = false;
      try {
        await engine.close();
      } finally {
        stopping.release();
      }
    },
  };
}

/** Opens an engine for some work. */
export async function withEngine<T>(
  options: OpenEngine,
  stopping: Stopping,
  work: (engine: Engine) => Promise<T>,
): Promise<T> {
  const { engine, close } = await holdEngine(options, stopping);
  try {
    return await work(engine);
  } finally {
    await close();
  }
}
