import { isDeepStrictEqual } from 'node:util';
import { normalizeArgs, sameArgs, type FormatName, type QuantizationArgs, type QuantizationScheme } from './args.js';
import { field, orNull, readFields, type Field } from './fields.js';
import type { OtherObservers } from './observer-names.js';
import { isRecord, oneOf, show, under, type Problem } from './problem.js';
import { compilePattern } from './targets.js';

/** Storage formats, in compressed-tensors' names. */
export const FORMATS: readonly FormatName[] = [
  'dense',
  'pack-quantized',
  'int-quantized',
  'float-quantized',
  'naive-quantized',
  'nvfp4-pack-quantized',
  'mxfp4-pack-quantized',
  'mxfp8-quantized',
];

const INPUT_STRATEGIES = ['token', 'tensor', 'group', 'tensor_group', 'attn_head'];
const POSITIONS = ['weights', 'input_activations', 'output_activations'] as const;
type Position = (typeof POSITIONS)[number];

const targetList: Field<string[]> = field(
  [''],
  'a list of module names, classes or re: patterns, as in [Linear]',
  value => (Array.isArray(value) && value.every(target => typeof target === 'string') ? value : undefined),
);

/** Args are checked by `normalizeArgs`, which says more. */
const anything: Field<unknown> = field<unknown>(null, 'quantization args', value => value);

const FIELDS = {
  targets: targetList,
  weights: anything,
  input_activations: anything,
  output_activations: anything,
  format: orNull(field<FormatName>('dense', oneOf(FORMATS), value => FORMATS.find(format => format === value))),
};

/** Either the complete scheme, with what is odd about it, or everything that is wrong with the input. */
export type CheckedScheme =
  | { scheme: QuantizationScheme; warnings: Problem[]; problems?: never }
  | { scheme?: never; warnings?: never; problems: Problem[] };

/**
 * Validates and completes a quantization scheme (an entry of `config_groups`). Static activations without an observer get `static_minmax`,
 * which sees every batch, where compressed-tensors would keep the last batch only.
 * @param options.observers those of plugins
 */
export function normalizeScheme(
  input: unknown,
  { observers = {} }: { observers?: OtherObservers } = {},
): CheckedScheme {
  if (!isRecord(input)) return { problems: [{ path: [], message: `a scheme must be a map, not ${show(input)}` }] };
  const problems: Problem[] = [];
  const { targets, format, ...given } = readFields(input, FIELDS, problems);
  if (!Object.hasOwn(input, 'targets')) {
    problems.push({ path: [], message: 'a scheme needs targets', hint: 'add targets: [Linear]' });
  }
  targets?.forEach((target, i) => {
    const { problem } = compilePattern(target);
    if (problem !== undefined) problems.push({ path: ['targets', i], message: problem });
  });

  const args: Partial<Record<Position, QuantizationArgs>> = {};
  for (const position of POSITIONS) {
    const observer = position === 'weights' ? 'memoryless_minmax' : 'static_minmax';
    if (given[position] === null) continue;
    const checked = normalizeArgs(given[position], { observer, observers });
    problems.push(...under(position, checked.problems ?? checkPosition(position, checked.args)));
    if (checked.args !== undefined) args[position] = checked.args;
  }
  if (problems.length > 0) return { problems };

  const { weights = null, input_activations = null, output_activations = null } = args;
  const scheme = { targets: targets!, weights, input_activations, output_activations, format: format! };
  return { scheme, warnings: oddities(scheme) };
}

function checkPosition(position: Position, args: QuantizationArgs): Problem[] {
  if (position === 'weights') return [];
  const problems: Problem[] = [];
  if (args.actorder !== null) {
    problems.push({ path: ['actorder'], message: 'actorder belongs to weights', hint: 'leave it out here' });
  }
  if (position === 'input_activations' && !INPUT_STRATEGIES.includes(args.strategy)) {
    const hint = `use ${oneOf(INPUT_STRATEGIES)}`;
    problems.push({ path: ['strategy'], message: `activations cannot use strategy ${args.strategy}`, hint });
  }
  return problems;
}

function oddities({ weights, input_activations: inputs }: QuantizationScheme): Problem[] {
  const [w, i] = [weights?.group_size ?? 0, inputs?.group_size ?? 0];
  if (!(w > 0 && i > 0 && w !== i)) return [];
  return [{ path: ['input_activations', 'group_size'], message: `inputs use groups of ${i}, weights of ${w}` }];
}

/** True for what an attention module can have: its queries, keys and values are its inputs, and it has no weight. */
export function quantizesInputsOnly(scheme: Omit<QuantizationScheme, 'targets' | 'format'>): boolean {
  return scheme.input_activations !== null && scheme.weights === null && scheme.output_activations === null;
}

/** True if both say the same: targets, args and format. */
export function sameScheme(a: QuantizationScheme, b: QuantizationScheme): boolean {
  return (
    a.format === b.format &&
    isDeepStrictEqual(a.targets, b.targets) &&
    POSITIONS.every(position => sameArgs(a[position], b[position]))
  );
}
