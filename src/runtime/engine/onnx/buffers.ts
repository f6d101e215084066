const KEPT = 16;

/** Arrays that were given back and wait for their next use: what a run returns has the size of what the run before it returned. */
export class Buffers {
  readonly #free: Float32Array[] = [];

  /** An array of this length; what it holds is left over. */
  take(length: number): Float32Array {
    const at = this.#free.findIndex(array => array.length === length);
    return at < 0 ? new Float32Array(length) : this.#free.splice(at, 1)[0]!;
  }

  give(array: Float32Array): void {
    this.#free.push(array);
    if (this.#free.length > KEPT) this.#free.shift();
  }

  clear(): void {
    this.#free.length = 0;
  }
}
