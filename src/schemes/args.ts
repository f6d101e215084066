import { isDeepStrictEqual } from 'node:util';
import { field, flag, map, nameField, orNull, readFields, wholeNumber, type Field, type Values } from './fields.js';
import { checkObserver, checkObserverKwargs, observerName, type OtherObservers } from './observer-names.js';
import { isRecord, oneOf, show, under, type Problem } from './problem.js';

const STRATEGIES = ['tensor', 'channel', 'group', 'block', 'token', 'tensor_group', 'attn_head'] as const;
const ACTORDERS = ['group', 'weight', 'static', 'dynamic'] as const;
const DYNAMIC_STRATEGIES: readonly Strategy[] = ['token', 'tensor', 'tensor_group', 'group'];
const DTYPES = ['torch.float8_e4m3fn', 'torch.uint8', 'torch.int8'] as const;

export type Strategy = (typeof STRATEGIES)[number];
export type ScaleDType = (typeof DTYPES)[number];

/** How one tensor is quantized: compressed-tensors' QuantizationArgs, same names, validated and complete (every key present). */
export interface QuantizationArgs {
  num_bits: number;
  type: 'int' | 'float';
  symmetric: boolean;
  group_size: number | null;
  strategy: Strategy;
  block_structure: [number, number] | null;
  dynamic: boolean | 'local';
  /** As it was spelt; compare through `actorderOf`. */
  actorder: (typeof ACTORDERS)[number] | null;
  scale_dtype: ScaleDType | null;
  zp_dtype: ScaleDType | null;
  observer: string | null;
  observer_kwargs: Record<string, unknown>;
}

export type FormatName =
  | 'dense'
  | 'pack-quantized'
  | 'int-quantized'
  | 'float-quantized'
  | 'naive-quantized'
  | 'nvfp4-pack-quantized'
  | 'mxfp4-pack-quantized'
  | 'mxfp8-quantized';

/** compressed-tensors' QuantizationScheme. */
export interface QuantizationScheme {
  targets: string[];
  weights: QuantizationArgs | null;
  input_activations: QuantizationArgs | null;
  output_activations: QuantizationArgs | null;
  format: FormatName | null;
}

/** The fields in compressed-tensors' order, with its defaults. */
const FIELDS = {
  num_bits: wholeNumber(8),
  type: nameField('int', ['int', 'float']),
  symmetric: flag(true),
  group_size: orNull(wholeNumber(-1, -1, 'a whole number above 0, or -1 for channel')),
  strategy: orNull(nameField('tensor', STRATEGIES)),
  block_structure: orNull(
    field<[number, number]>([1, 1], 'two whole numbers above 0, as in [128, 128]', blockStructure),
  ),
  dynamic: field<boolean | 'local'>(
    false,
    'true, false or local',
    value => flag(false).read(value) ?? nameField('local', ['local']).read(value),
  ),
  actorder: field<QuantizationArgs['actorder']>(null, `${ACTORDERS.join(', ')}, true, false or null`, actorder),
  scale_dtype: orNull(dtypeField(['torch.float8_e4m3fn', 'torch.uint8'])),
  zp_dtype: orNull(dtypeField(DTYPES)),
  observer: orNull(field('', 'the name of an observer', value => (typeof value === 'string' ? value : undefined))),
  observer_kwargs: map,
};

type Given = Values<typeof FIELDS>;

/** Either the complete args or everything that is wrong with the input. */
export type CheckedArgs = { args: QuantizationArgs; problems?: never } | { args?: never; problems: Problem[] };

/**
 * Validates and completes quantization args as compressed-tensors does, in tensorpress's ranges: integers of 1 to 8 bits, floats of 4 or 8
 * bits, floats symmetric. Names may be in any case, dtypes with or without `torch.`, `block_structure` also `"128x128"`.
 * @param options.observer observer of static args that name none (compressed-tensors' default unless given)
 * @param options.observers those of plugins
 */
export function normalizeArgs(
  input: unknown,
  { observer = 'memoryless_minmax', observers = {} }: { observer?: string; observers?: OtherObservers } = {},
): CheckedArgs {
  if (!isRecord(input)) {
    return { problems: [{ path: [], message: `quantization args must be a map, not ${show(input)}` }] };
  }
  const problems: Problem[] = [];
  const values = readFields(input, FIELDS, problems);
  const strategy = values.strategy === null ? inferStrategy(values.group_size) : values.strategy;
  const chosen = chooseObserver(values, observer);

  problems.push(...checkNumbers(values), ...checkStrategy(values, strategy), ...checkDynamic(values, strategy));
  if (values.observer != null) problems.push(...under('observer', checkObserver(values.observer, observers)));
  if (chosen && values.observer_kwargs !== undefined) {
    problems.push(...under('observer_kwargs', checkObserverKwargs(chosen, values.observer_kwargs, observers)));
  }
  if (problems.length > 0) return { problems };

  const complete = values as Required<Values<typeof FIELDS>>;
  return {
    args: {
      ...complete,
      strategy: strategy!,
      zp_dtype: complete.symmetric ? null : 'torch.int8',
      observer: complete.dynamic === true ? null : chosen!,
    },
  };
}

/** group_size alone says: none = tensor, -1 = channel, else group. */
function inferStrategy(groupSize: number | null | undefined): Strategy | undefined {
  if (groupSize === undefined || groupSize === 0) return undefined;
  return groupSize === null ? 'tensor' : groupSize === -1 ? 'channel' : 'group';
}

/** The observer named, else the one that runs by default; none for dynamic args. */
function chooseObserver({ observer, dynamic }: Given, fallback: string): string | null | undefined {
  if (observer !== null) return observer;
  return dynamic === false ? fallback : dynamic === 'local' ? 'minmax' : null;
}

function checkNumbers({ num_bits, type, symmetric, scale_dtype, zp_dtype }: Given): Problem[] {
  const problems: Problem[] = [];
  if (type === 'int' && num_bits !== undefined && (num_bits < 1 || num_bits > 8)) {
    problems.push({ path: ['num_bits'], message: `num_bits must be 1 to 8 for type int, not ${num_bits}` });
  }
  if (type === 'float' && num_bits !== undefined && num_bits !== 4 && num_bits !== 8) {
    problems.push({ path: ['num_bits'], message: `num_bits must be 4 or 8 for type float, not ${num_bits}` });
  }
  if (type === 'float' && symmetric === false) {
    problems.push({ path: ['symmetric'], message: 'float types have no zero point', hint: 'write symmetric: true' });
  }
  if (type === 'int' && scale_dtype === 'torch.uint8') {
    const hint = 'write type: float, or leave scale_dtype out';
    problems.push({ path: ['scale_dtype'], message: 'power-of-two scales (torch.uint8) belong to type float', hint });
  }
  if (type === 'int' && symmetric === false && zp_dtype && zp_dtype !== 'torch.int8') {
    const hint = 'write zp_dtype: torch.int8, or leave it out';
    problems.push({ path: ['zp_dtype'], message: `zero points of integers are torch.int8, not ${zp_dtype}`, hint });
  }
  return problems;
}

function checkStrategy(
  { group_size, block_structure, actorder, ...given }: Given,
  strategy: Strategy | undefined,
): Problem[] {
  const problems: Problem[] = [];
  const grouped = strategy === 'group' || strategy === 'tensor_group';
  if (given.strategy === null && group_size === 0) {
    problems.push({ path: ['group_size'], message: 'group_size must be above 0, or -1 for channel, not 0' });
  }
  if (strategy === undefined) return problems;
  if (grouped && group_size !== undefined && !(group_size! > 0)) {
    const path = group_size === null ? ['strategy'] : ['group_size'];
    problems.push({ path, message: `strategy ${strategy} needs a group_size above 0`, hint: 'add group_size: 128' });
  }
  if (!grouped && group_size != null && group_size > 0) {
    const hint = 'write strategy: group, or leave group_size out';
    problems.push({ path: ['group_size'], message: `strategy ${strategy} takes no group_size`, hint });
  }
  if (strategy === 'block' && block_structure === null) {
    const hint = 'add block_structure: [128, 128]';
    problems.push({ path: ['strategy'], message: 'strategy block needs a block_structure', hint });
  }
  if (strategy !== 'block' && block_structure != null) {
    const hint = 'write strategy: block, or leave block_structure out';
    problems.push({ path: ['block_structure'], message: `strategy ${strategy} takes no block_structure`, hint });
  }
  if (!grouped && actorder != null && alias(actorder) === 'group') {
    const hint = 'write actorder: static, or a group_size';
    problems.push({ path: ['actorder'], message: `actorder ${actorder} needs strategy group, not ${strategy}`, hint });
  }
  return problems;
}

function checkDynamic({ dynamic }: Given, strategy: Strategy | undefined): Problem[] {
  if (strategy === undefined || dynamic === undefined) return [];
  if (dynamic === 'local' && strategy !== 'tensor_group') {
    const hint = 'write dynamic: true, or strategy: tensor_group';
    return [{ path: ['dynamic'], message: `dynamic: local needs strategy tensor_group, not ${strategy}`, hint }];
  }
  if (dynamic === true && !DYNAMIC_STRATEGIES.includes(strategy)) {
    const hint = `use ${oneOf(DYNAMIC_STRATEGIES)}`;
    return [{ path: ['dynamic'], message: `strategy ${strategy} cannot be dynamic`, hint }];
  }
  if (dynamic !== true && strategy === 'token') {
    return [{ path: ['strategy'], message: 'strategy token needs dynamic: true', hint: 'add dynamic: true' }];
  }
  return [];
}

/** Order of columns under GPTQ: `static` is another name of `weight`, `dynamic` of `group`. */
export function actorderOf({ actorder }: QuantizationArgs): 'group' | 'weight' | null {
  return actorder && alias(actorder);
}

function alias(actorder: NonNullable<QuantizationArgs['actorder']>): 'group' | 'weight' {
  return actorder === 'group' || actorder === 'dynamic' ? 'group' : 'weight';
}

/** The 12 keys as config.json holds them, in compressed-tensors' order; a fresh object. */
export function serializeArgs(args: QuantizationArgs): Record<string, unknown> {
  const keys = Object.keys(FIELDS) as (keyof QuantizationArgs)[];
  return structuredClone({
    ...Object.fromEntries(keys.map(key => [key, args[key]])),
    zp_dtype: args.symmetric ? null : args.zp_dtype,
  });
}

/** True if both say the same, however they spell an actorder or an observer. */
export function sameArgs(a: QuantizationArgs | null, b: QuantizationArgs | null): boolean {
  if (a === null || b === null) return a === b;
  const plain = (args: QuantizationArgs) => {
    const { observer } = args;
    return { ...args, actorder: actorderOf(args), observer: observer && (observerName(observer) ?? observer) };
  };
  return isDeepStrictEqual(plain(a), plain(b));
}

function dtypeField<D extends ScaleDType>(dtypes: readonly D[]): Field<D> {
  const read = (value: unknown): D | undefined =>
    dtypes.find(dtype => value === dtype || `torch.${String(value)}` === dtype);
  return { absent: dtypes[0]!, expected: oneOf(dtypes), candidates: dtypes, read };
}

/** `[rows, columns]` or its older form `"128x128"`. */
function blockStructure(value: unknown): [number, number] | undefined {
  const sides = typeof value === 'string' ? /^\s*(\d+)\s*x\s*(\d+)\s*$/.exec(value)?.slice(1).map(Number) : value;
  if (!Array.isArray(sides) || sides.length !== 2) return undefined;
  const valid = sides.every(side => Number.isInteger(side) && (side as number) > 0);
  return valid ? [sides[0] as number, sides[1] as number] : undefined;
}

/** True is `group`, false and null are none. */
function actorder(value: unknown): QuantizationArgs['actorder'] | undefined {
  if (value === null || value === false) return null;
  return value === true ? 'group' : nameField('group', ACTORDERS).read(value);
}
