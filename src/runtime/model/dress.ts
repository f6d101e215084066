import { TensorpressError } from '../../errors.js';
import type { QuantizationArgs } from '../../schemes/args.js';
import type { Graph, Op, Value } from './graph.js';

/** What a reader's kernels do to the activations of a finished checkpoint. */
export interface Dress {
  /** Schemes of a Linear's input and output. */
  linear(module: string): Partial<Record<'input' | 'output', QuantizationArgs>>;
  /** Schemes of an attention module's queries, keys and values, after rope. */
  attention(module: string): Partial<Record<'q' | 'k' | 'v', QuantizationArgs>>;
  /** The rotations that act on a module's values while it runs, in order. */
  transforms(module: string, at: 'input' | 'output' | 'q' | 'k'): readonly Rotation[];
  /** Whether the checkpoint holds a tensor. */
  has(tensor: string): boolean;
}

/** x -> x M factor on blocks as long as M[n, n]. */
export interface Rotation {
  /** Name of the matrix among the weights of a graph, see `outside`. */
  readonly matrix: Value;
  readonly factor: number;
}

/** How a graph names a matrix that lies outside of its prefix: one that parts share; transposed if need be. */
export function outside(tensor: string, transposed: boolean): Value {
  return `/${tensor}${transposed ? 'ᵀ' : ''}`;
}

/** The tensor that a weight's name in a graph stands for. */
export function tensorOf(prefix: string, weight: Value): { tensor: string; transposed: boolean } {
  const transposed = weight.endsWith('ᵀ');
  const name = transposed ? weight.slice(0, -1) : weight;
  return { tensor: name.startsWith('/') ? name.slice(1) : prefix + name, transposed };
}

/**
 * A graph in which fake quantization stands where the checkpoint's schemes ask for it: before and after Linears, and on q, k and v as attention
 * reads them. Sites keep their names; an observer of a Linear's input sees it before its quantization.
 * @throws TensorpressError TENSOR when a static scheme has no scale in the checkpoint
 */
export function dress(graph: Graph, by: Dress): Graph {
  const weights = new Set(graph.weights);
  const ops = dressOps(graph.ops, graph.prefix, by, name => weights.add(name));
  return { ...graph, ops, weights: [...weights] };
}

function dressOps(ops: readonly Op[], prefix: string, by: Dress, needs: (weight: Value) => void): Op[] {
  const dressed: Op[] = [];
  const made = new Set<Value>();
  /** Adds the op that quantizes `x` and gives the name of what it makes; Linears that read the same under the same scheme share it. */
  const quantize = (x: Value, args: QuantizationArgs, stored: string, out?: Value): Value => {
    const parameters = args.dynamic === true ? {} : storedParameters(args, prefix, stored, by);
    const value = out ?? `${x}.as.${JSON.stringify([args, parameters])}`;
    if (made.has(value)) return value;
    made.add(value);
    for (const name of Object.values<Value>(parameters)) needs(name);
    dressed.push({ op: 'fake_quantize', out: value, in: { x, ...parameters }, with: { args } });
    return value;
  };

  /** Adds the rotations at a place and gives the name of the last one's result. */
  const rotate = (x: Value, module: string, at: 'input' | 'output' | 'q' | 'k'): Value =>
    by.transforms(prefix + module, at).reduce((from, { matrix, factor }) => {
      const value = `${from}.by.${matrix}`;
      if (!made.has(value)) {
        made.add(value);
        needs(matrix);
        dressed.push({ op: 'transform', out: value, in: { x: from, matrix }, with: { factor } });
      }
      return value;
    }, x);

  for (const op of ops) {
    switch (op.op) {
      case 'linear': {
        const module = op.in.weight.replace(/\.weight$/, '');
        const { input, output } = by.linear(prefix + module);
        const rotated = rotate(op.in.x, module, 'input');
        const x = input === undefined ? rotated : quantize(rotated, input, `${module}.input`);
        // what comes out at the end keeps its name, since it is what others read
        const plain = output === undefined && by.transforms(prefix + module, 'output').length === 0;
        dressed.push({ ...op, out: plain ? op.out : `${op.out}.plain`, in: { ...op.in, x } });
        if (plain) break;
        const turned = rotate(`${op.out}.plain`, module, 'output');
        if (output !== undefined) quantize(turned, output, `${module}.output`, op.out);
        else dressed.push({ op: 'scale', out: op.out, in: { x: turned }, with: { factor: 1 } });
        break;
      }
      case 'attention': {
        const module = 'self_attn';
        const schemes = by.attention(prefix + module);
        const read = { ...op.in };
        for (const side of ['q', 'k', 'v'] as const) {
          if (side !== 'v') read[side] = rotate(read[side], module, side);
          const args = schemes[side];
          if (args !== undefined) read[side] = quantize(read[side], args, `${module}.${side}`);
        }
        dressed.push({ ...op, in: read });
        break;
      }
      case 'experts':
        dressed.push({ ...op, with: { ...op.with, body: dressExpert(op, prefix, by) } });
        break;
      default:
        dressed.push(op);
    }
  }
  return dressed;
}

/** All experts of a layer run by one program, so they need one scheme. */
function dressExpert({ with: mixture }: Op<'experts'>, prefix: string, by: Dress): Op[] {
  const bodies = Array.from({ length: mixture.count }, (_, expert) =>
    dressOps(mixture.body, `${prefix}${mixture.prefix}.${expert}.`, by, () => {}),
  );
  const first = JSON.stringify(bodies[0]);
  const other = bodies.findIndex(body => JSON.stringify(body) !== first);
  if (other > 0) {
    throw new TensorpressError(
      'NOT_BUILT',
      `the experts of ${prefix}${mixture.prefix} have different activation schemes`,
      {
        place: { module: `${prefix}${mixture.prefix}.${other}` },
        hint: 'experts of a layer run with one scheme for their activations',
      },
    );
  }
  return bodies[0] ?? [];
}

/** Early checkpoints keep the scales of a cache as those of what the projections put out: `k_scale` as `k_proj.output_scale`. */
const earlyName = (name: string): string => name.replace(/\.([kv])_(scale|zero_point)$/, '.$1_proj.output_$2');

/** Names of the stored parameters of a static or `local` scheme, without the prefix. */
function storedParameters(args: QuantizationArgs, prefix: string, stored: string, by: Dress) {
  const need = (name: string): string => {
    const found = [name, earlyName(name)].find(candidate => by.has(prefix + candidate));
    if (found !== undefined) return found;
    throw new TensorpressError('TENSOR', `${prefix}${name} is missing, which its activation scheme needs`, {
      place: { tensor: prefix + name },
      hint: 'the checkpoint is incomplete, or its quantization_config does not fit it',
    });
  };
  if (args.dynamic === 'local') return { globalScale: need(`${stored}_global_scale`) };
  return {
    scale: need(`${stored}_scale`),
    ...(args.symmetric ? {} : { zeroPoint: need(`${stored}_zero_point`) }),
  };
}
