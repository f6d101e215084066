/** What a new modifier or observer is called, in every case that it is written in. */
export interface Names {
  /** `clip-outliers`: of its files. */
  readonly kebab: string;
  /** `clip_outliers`: of an observer, in recipes. */
  readonly snake: string;
  /** `clipOutliers` */
  readonly camel: string;
  /** `ClipOutliersModifier`: of a modifier, in recipes. */
  readonly type: string;
  /** `ClipOutliersOptions` */
  readonly options: string;
}

/** Names from a name in any case, with or without `Modifier` or `Observer` at its end; undefined when it is none. */
export function namesOf(name: string): Names | undefined {
  if (!/^[A-Za-z][A-Za-z0-9_-]*$/.test(name)) return undefined;
  const words = name
    .replace(/[_-]?(modifier|observer)$/i, '')
    .split(/[_-]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .filter(word => word !== '');
  if (words.length === 0) return undefined;
  const lower = words.map(word => word.toLowerCase());
  const pascal = words.map(word => word[0]!.toUpperCase() + word.slice(1)).join('');
  return {
    kebab: lower.join('-'),
    snake: lower.join('_'),
    camel: lower[0]! + pascal.slice(lower[0]!.length),
    type: `${pascal}Modifier`,
    options: `${pascal}Options`,
  };
}

/** The files of a new modifier, by name: one that works, to be changed. */
export function modifierFiles({ kebab, camel, type, options }: Names): Record<string, string> {
  return {
    [`${kebab}.ts`]: `import { claimSelection, defineModifier, selectModules, type Selection } from 'tensorpress';

/** What a recipe may say; ${kebab}.schema.json checks it and completes it in editors. */
export interface ${options} extends Selection {
  /** Default: 4. */
  limit?: number;
}

/**
 * Clamps the weights of each row r to \`limit\` times their root mean square:
 *
 *   w'[r, c] = min(max(w[r, c], -t[r]), t[r]),   t[r] = limit * sqrt(mean_c w[r, c]^2)
 */
export default defineModifier<${options}>({
  type: '${type}',
  schema: './${kebab}.schema.json',
  // later parts of the model see the new weights
  flows: true,

  // a target that matches nothing is an error of the plan
  schemes: claimSelection,

  // what happens to a part (the embedding, a layer, the head); called before any work, with names and shapes only
  plan: (options, part) => ({ dense: selectModules(options, part.modules).map(({ name }) => name) }),

  // does it, one edit per weight; the run checks and writes each
  async edit(part, { options, compute, emit, measure, signal }) {
    for (const module of selectModules(options, part.modules)) {
      signal.throwIfAborted();
      const { rows, columns } = module.weight;
      const weight = await compute.weight(module);
      let clamped = 0;
      for (let r = 0; r < rows; r++) {
        clamped += ${camel}(weight.subarray(r * columns, (r + 1) * columns), options.limit ?? 4);
      }
      await emit({ kind: 'dense', module: module.name, weight });
      measure(module.name, { clamped: clamped / weight.length });
    }
  },
});

/** The formula, on one row and in place. @returns how many weights it has changed */
export function ${camel}(row: Float32Array, limit: number): number {
  const t = limit * Math.sqrt(row.reduce((sum, w) => sum + w * w, 0) / row.length);
  let changed = 0;
  for (const [c, w] of row.entries()) {
    if (Math.abs(w) <= t) continue;
    row[c] = Math.sign(w) * t;
    changed++;
  }
  return changed;
}
`,
    [`${kebab}.schema.json`]: `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "${type}",
  "description": "Clamps the weights of each row to a multiple of their root mean square.",
  "type": "object",
  "properties": {
    "limit": {
      "description": "The largest weight that stays, in root mean squares of its row.",
      "type": "number",
      "exclusiveMinimum": 0,
      "default": 4
    },
    "targets": {
      "description": "What is edited: module names, class names, or \`re:\` patterns.",
      "$ref": "https://tensorpress.dev/schema/parts/patterns.schema.json#/$defs/patterns",
      "default": ["Linear"]
    },
    "ignore": {
      "description": "What stays as it is, though a target matches it.",
      "$ref": "https://tensorpress.dev/schema/parts/patterns.schema.json#/$defs/patterns",
      "default": []
    }
  },
  "additionalProperties": false
}
`,
    [`${kebab}.test.ts`]: `import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { optionErrors, tryModifier } from 'tensorpress/testing';
import modifier, { ${camel} } from './${kebab}.ts';

describe('${type}', () => {
  it('computes its formula', () => {
    const row = Float32Array.of(1, -1, 1, -7);
    assert.equal(${camel}(row, 1.5), 1);
    assert.deepEqual(row, Float32Array.of(1, -1, 1, -1.5 * Math.sqrt(13)));
  });

  it('edits the weights that it is meant for, and no others', async () => {
    const { edits, before, after } = await tryModifier(modifier, { options: { limit: 2, ignore: ['lm_head'] } });
    assert.equal(edits.length, 14);
    const name = 'model.layers.0.mlp.up_proj';
    const largest = (values: Float32Array) => Math.max(...values.map(Math.abs));
    assert.ok(largest(await after(name)) < largest(await before(name)));
    assert.deepEqual(await after('lm_head'), await before('lm_head'));
  });

  it('checks its options', async () => {
    const file = new URL('./${kebab}.ts', import.meta.url);
    assert.deepEqual(await optionErrors(file, { limit: 3 }), []);
    assert.match((await optionErrors(file, { limits: 3 }))[0]!, /unknown field "limits".*did you mean "limit"/);
  });
});
`,
    [`${kebab}.recipe.yaml`]: `# Try it: tensorpress apply ${kebab}.recipe.yaml --out ./out
version: 1
modifiers:
  - ${type}:
      limit: 4
      ignore: [lm_head]
  - QuantizationModifier:
      scheme: W4A16
      ignore: [lm_head]
plugins: [./${kebab}.ts]
`,
  };
}

/** The files of a new observer, by name: one that works, to be changed. */
export function observerFiles({ kebab, camel, snake }: Names): Record<string, string> {
  return {
    [`${kebab}.ts`]: `import { defineObserver, type Range } from 'tensorpress';

/** What is kept from batch to batch: for each scale, the smallest and largest value so far. */
interface State {
  min: Float64Array;
  max: Float64Array;
}

/**
 * The range of the values that share a scale, shrunk towards zero: [shrink * min, shrink * max].
 * A recipe gives it as \`observer: ${snake}\`, and \`shrink\` under observer_kwargs.
 */
export default defineObserver<State, Range>({
  names: ['${snake}'],
  kwargs: ['shrink'],

  // of a weight: one block per scale; weight.chunks() reads the rows themselves
  async weightRange({ weight, grid, args }) {
    return ${camel}(await weight.range(grid), args.observer_kwargs);
  },

  // of a value that flows through the model: [T, columns], \`size\` consecutive columns to a scale
  values: {
    // computed for every batch, where the model runs: minima, then maxima. With [] the values themselves come.
    reduce: ({ size }) => [{ op: 'range', with: { size } }],
    init({ columns, size }) {
      const scales = columns / size;
      return { min: new Float64Array(scales).fill(Infinity), max: new Float64Array(scales).fill(-Infinity) };
    },
    update({ min, max }, [range]) {
      for (let i = 0; i < min.length; i++) {
        min[i] = Math.min(min[i]!, range![i]!);
        max[i] = Math.max(max[i]!, range![min.length + i]!);
      }
    },
    finish: ({ min, max }, { options }) => ${camel}({ min: Float32Array.from(min), max: Float32Array.from(max) }, options),
  },
});

/** The formula. */
export function ${camel}({ min, max }: Range, options: Readonly<Record<string, unknown>>): Range {
  const shrink = Number(options['shrink'] ?? 0.95);
  if (!(shrink > 0 && shrink <= 1)) throw new RangeError('shrink is a number above 0, at most 1');
  return { min: min.map(v => v * shrink), max: max.map(v => v * shrink) };
}
`,
    [`${kebab}.test.ts`]: `import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { observe, observeWeight } from 'tensorpress/testing';
import observer from './${kebab}.ts';

describe('${snake}', () => {
  const values = [1, -2, 3, 0, 5, -6, 7, 8];
  const options = { shrink: 0.5 };

  it('shrinks the range of values', async () => {
    const range = await observe(observer, values, { columns: 2, options });
    assert.deepEqual(range, { min: Float32Array.of(-3), max: Float32Array.of(4) });
  });

  it('does not depend on how values are cut into batches', async () => {
    const whole = await observe(observer, values, { columns: 2 });
    for (const batches of [[1, 1, 1, 1], [3], [2, 2]]) {
      assert.deepEqual(await observe(observer, values, { columns: 2, batches }), whole);
    }
  });

  it('gives a weight one range per scale', async () => {
    const args = { num_bits: 4, strategy: 'channel', observer_kwargs: options };
    const range = await observeWeight(observer, Float32Array.from(values), { columns: 4, args });
    assert.deepEqual(range, { min: Float32Array.of(-1, -3), max: Float32Array.of(1.5, 4) });
  });
});
`,
    [`${kebab}.recipe.yaml`]: `# Try it: tensorpress apply ${kebab}.recipe.yaml --out ./out
version: 1
modifiers:
  - QuantizationModifier:
      config_groups:
        all:
          targets: [Linear]
          weights:
            { num_bits: 4, strategy: group, group_size: 128, observer: ${snake}, observer_kwargs: { shrink: 0.95 } }
      ignore: [lm_head]
plugins: [./${kebab}.ts]
`,
  };
}
