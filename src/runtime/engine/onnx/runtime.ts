import { createRequire } from 'node:module';
import type * as Ort from 'onnxruntime-node';
import { TensorpressError } from '../../../errors.js';
import type { Device } from '../engine.js';

export type Onnxruntime = typeof Ort;

/** Where onnxruntime computes. */
export type OnnxDevice = 'cpu' | 'webgpu' | 'cuda';

const FATAL = 4;

/**
 * onnxruntime, loaded when it is first needed, and silent: it prints nothing and sends nothing.
 * @throws TensorpressError ENGINE where it is not installed or does not load
 */
export async function loadOnnxruntime(): Promise<Onnxruntime> {
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1'; // else the library reports to its makers what it runs
  try {
    const module = (await import('onnxruntime-node')) as Onnxruntime & { default?: Onnxruntime };
    const ort = module.default ?? module;
    ort.env.logLevel = 'fatal';
    return ort;
  } catch (cause) {
    throw new TensorpressError('ENGINE', 'onnxruntime does not load on this machine', {
      hint: `install onnxruntime-node for ${process.platform} ${process.arch}, or use --engine reference`,
      cause,
    });
  }
}

/** The version of onnxruntime that is installed. */
export function onnxruntimeVersion(): string {
  return (createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }).version;
}

/** Options that all sessions share. Threads that wait do not spin: a machine has other work to do between runs. */
export function sessionOptions(threads: number): Ort.InferenceSession.SessionOptions {
  return {
    graphOptimizationLevel: 'disabled',
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: FATAL,
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

/** An error of onnxruntime as a sentence. */
export function engineError(cause: unknown, device: Device): TensorpressError {
  if (cause instanceof TensorpressError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  const [line = ''] = message.trim().split('\n');
  const memory = /alloc|out of memory|bad_alloc/i.test(message);
  const sentence = memory ? `not enough memory on ${device}` : `onnxruntime fails on ${device}: ${line}`;
  const hint = memory ? 'use a smaller --context, or another device' : 'try another device or engine';
  return new TensorpressError('ENGINE', sentence, { hint, cause });
}
