import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRecipe } from '../../src/recipe/read.js';
import type { ModifierEntry } from '../../src/recipe/recipe.js';

/** A line of a table: what is done to the example model. */
export interface Row {
  readonly name: string;
  readonly modifiers: readonly ModifierEntry[];
  /** Rows of calibration data; undefined where none is needed. */
  readonly samples: number | undefined;
}

const RECIPES = fileURLToPath(new URL('../../recipes', import.meta.url));

/** 16384 tokens, for matrices of at most 768 columns; the recipes themselves take what they say. */
const SAMPLES = 32;
/** Where llm-compressor does the same, which takes it long. */
const PEER_SAMPLES = 16;

/** All tables, in their order. */
export async function sections(): Promise<{ title: string; rows: readonly Row[] }[]> {
  return [
    { title: 'The recipes', rows: await recipes() },
    { title: 'W8A8', rows: eightBits() },
    { title: '4 bits in groups of 64', rows: against(4) },
    { title: '3 bits in groups of 64', rows: against(3) },
    { title: '2 bits in groups of 64', rows: against(2).filter(({ name }) => !/imatrix|damping|group/.test(name)) },
  ];
}

/** What both programs do: the recipes that need data, and GPTQ at 4 and 3 bits. */
export async function peerRows(): Promise<readonly Row[]> {
  const files = (await recipes()).filter(({ samples }) => samples !== undefined);
  const gptq = [4, 3].flatMap(bits =>
    against(bits)
      .filter(({ name }) => name === 'GPTQ')
      .map(row => ({ ...row, name: `GPTQ, ${bits} bits in groups of 64` })),
  );
  return [...files, ...gptq].map(row => ({ ...row, samples: PEER_SAMPLES }));
}

/** Every file of recipes/, as it is. */
async function recipes(): Promise<Row[]> {
  const names = (await readdir(RECIPES)).filter(name => name.endsWith('.yaml')).sort();
  return Promise.all(
    names.map(async name => {
      const { modifiers, calibration } = (await readRecipe(join(RECIPES, name))).recipe;
      return { name: name.replace('.yaml', ''), modifiers, samples: calibration?.samples };
    }),
  );
}

/** What GPTQ is worth where 8 bits are enough anyway. */
function eightBits(): Row[] {
  const options = { scheme: 'W8A8', targets: ['Linear'], ignore: ['lm_head'] };
  return [
    { name: 'round to nearest', modifiers: [{ QuantizationModifier: options }], samples: undefined },
    { name: 'GPTQ', modifiers: [{ GPTQModifier: options }], samples: SAMPLES },
  ];
}

/** GPTQ and rounding to nearest with the same schemes, and what each of GPTQ's options changes. */
function against(bits: number): Row[] {
  const row = (
    name: string,
    type: 'QuantizationModifier' | 'GPTQModifier',
    { weights = {}, ...options }: Record<string, unknown> & { weights?: Record<string, unknown> } = {},
  ): Row => ({
    name,
    modifiers: [
      {
        [type]: {
          config_groups: {
            all: { targets: ['Linear'], weights: { num_bits: bits, strategy: 'group', group_size: 64, ...weights } },
          },
          ignore: ['lm_head'],
          ...options,
        },
      },
    ],
    samples: type === 'GPTQModifier' || weights['observer'] === 'imatrix_mse' ? SAMPLES : undefined,
  });
  const observer = (name: string) => ({ weights: { observer: name } });
  return [
    row('round to nearest', 'QuantizationModifier'),
    row('round to nearest, mse', 'QuantizationModifier', observer('mse')),
    row('round to nearest, imatrix_mse', 'QuantizationModifier', observer('imatrix_mse')),
    row('GPTQ', 'GPTQModifier'),
    row('GPTQ, actorder group', 'GPTQModifier', { actorder: 'group' }),
    row('GPTQ, no actorder', 'GPTQModifier', { actorder: null }),
    row('GPTQ, mse', 'GPTQModifier', observer('mse')),
    row('GPTQ, imatrix_mse', 'GPTQModifier', observer('imatrix_mse')),
    row('GPTQ, damping 0.1', 'GPTQModifier', { dampening_frac: 0.1 }),
  ];
}
