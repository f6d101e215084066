import { TensorpressError } from '../../../errors.js';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import { readsOf, type Value } from '../../model/graph.js';
import type { Slice } from '../../model/slice.js';
import type { HostArray, Tensor } from '../engine.js';
import type { Backend } from './backend.js';
import { lower } from './lower.js';
import { TfjsTensor, upload } from './tensor.js';

/** Computes a slice on the active backend. An array is on the device from its first use to its last. */
export function runSlice(
  slice: Slice,
  inputs: Readonly<Record<Value, Tensor>>,
  backend: Backend,
): (readonly [Value, TfTensor])[] {
  const given = new Map(slice.inputs.map(value => [value, tensorOf(value, inputs[value])]));
  const arrays = new RunArrays(given, backend);
  const done = lastReads(slice);
  try {
    slice.ops.forEach((op, i) => {
      arrays.set(
        op.out,
        backend.tf.tidy(() => lower(op, arrays)),
      );
      done[i]!.forEach(value => arrays.free(value));
    });
    return slice.outputs.map(value => [value, arrays.own(value)] as const);
  } finally {
    arrays.freeAll();
  }
}

/** The arrays of a run: those that are given, and those that are on the device now. */
export class RunArrays {
  private readonly live = new Map<Value, TfTensor>();

  constructor(
    private readonly given: ReadonlyMap<Value, TfjsTensor>,
    readonly backend: Backend,
  ) {}

  /** On the device; freed by the run. */
  readonly at = (value: Value): TfTensor => {
    const there = this.live.get(value);
    if (there !== undefined) return there;
    const { tf } = this.backend;
    const { device, host, shape } = this.given.get(value)!;
    const array = tf.keep(device === undefined ? upload(tf, host!, shape) : tf.clone(device));
    this.live.set(value, array);
    return array;
  };

  /** On the host. */
  readonly host = (value: Value): HostArray => this.given.get(value)?.host ?? this.at(value).dataSync();

  readonly onDevice = (value: Value): boolean => this.live.has(value) || this.given.get(value)?.host === undefined;

  readonly shape = (value: Value): readonly number[] => (this.live.get(value) ?? this.given.get(value)!).shape;

  set(value: Value, array: TfTensor): void {
    this.live.set(value, array);
  }

  /** The caller's own: also where an array of the caller passes through a backend that does not copy it. */
  own(value: Value): TfTensor {
    const { tf } = this.backend;
    const through = this.given.get(value);
    return through?.host ? upload(tf, through.host.slice(), through.shape) : tf.clone(this.at(value));
  }

  free(value: Value): void {
    this.live.get(value)?.dispose();
    this.live.delete(value);
  }

  freeAll(): void {
    for (const value of this.live.keys()) this.free(value);
  }
}

function tensorOf(value: Value, tensor: Tensor | undefined): TfjsTensor {
  if (tensor instanceof TfjsTensor) return tensor;
  const sentence = tensor === undefined ? `nothing is given for ${value}` : `${value} is an array of another engine`;
  throw new TensorpressError('INTERNAL', sentence);
}

/** For each op, the values that nothing reads after it. */
function lastReads({ ops, outputs }: Slice): Value[][] {
  const later = new Set<Value>(outputs);
  const found = [...ops].reverse().map(op => {
    const last = [...new Set([op.out, ...readsOf(op)])].filter(value => !later.has(value));
    last.forEach(value => later.add(value));
    return last;
  });
  return found.reverse();
}
