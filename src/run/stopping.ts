/** The work was stopped. */
export class Stopped extends Error {}

/** How often a thread that holds looks whether it was stopped, in milliseconds. */
const LOOK = 100;

const FREE = 0;
const HELD = 1;
const STOPPED = 2;

/**
 * How two threads agree on the end of one: it is ended at once while it is free. Native code that computes for it does not survive that, so
 * from `hold` to `release` it ends itself where it looks. Lies in shared memory; both sides make theirs of it.
 */
export class Stopping {
  readonly #state: Int32Array;

  constructor(readonly memory: SharedArrayBuffer = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.#state = new Int32Array(memory);
  }

  /** For the thread that works. @throws Stopped when it was stopped before */
  hold(): void {
    if (Atomics.compareExchange(this.#state, 0, FREE, HELD) === STOPPED) throw new Stopped();
  }

  /** For the thread that works. @throws Stopped when it was stopped while it held */
  release(): void {
    if (Atomics.compareExchange(this.#state, 0, HELD, FREE) === STOPPED) throw new Stopped();
  }

  /** For the thread that works. @throws Stopped when it was stopped */
  check(): void {
    if (Atomics.load(this.#state, 0) === STOPPED) throw new Stopped();
  }

  /**
   * For the thread that works: a signal that aborts when it was stopped, for work that other threads do for it. It looks until `end` is called,
   * and keeps no thread alive that has nothing else to wait for.
   */
  watch(): { readonly signal: AbortSignal; end(): void } {
    const controller = new AbortController();
    const timer = setInterval(() => {
      if (Atomics.load(this.#state, 0) === STOPPED) controller.abort(new Stopped());
    }, LOOK).unref();
    return { signal: controller.signal, end: () => clearInterval(timer) };
  }

  /** For the other one: whether the thread may be ended at once. */
  stop(): boolean {
    return Atomics.exchange(this.#state, 0, STOPPED) !== HELD;
  }
}
