import assert from 'node:assert/strict';
import type { Modifier, ModuleScheme, PartPlan } from '../../src/modifiers/modifier.js';
import { planParts } from '../../src/recipe/parts.js';
import type { Step } from '../../src/recipe/plan.js';
import { loadModel } from '../../src/runtime/model/load.js';
import type { Model, Part } from '../../src/runtime/model/model.js';
import { normalizeArgs } from '../../src/schemes/args.js';
import { tinyLlama, writeModel } from '../support/tiny-model.js';

const DOWN = /\.down_proj$/;
const scheme: ModuleScheme = {
  ...{ weights: normalizeArgs({}).args!, input_activations: null, output_activations: null },
  ...{ format: 'pack-quantized', targets: ['Linear'], target: 'Linear' },
};

/** A modifier that does the same to every part that has a down_proj. */
function stepOf(
  index: number,
  plan: (names: string[], part: Part) => PartPlan,
  schemes = new Map<string, ModuleScheme>(),
): Step {
  const modifier: Modifier = {
    type: `Modifier${index}`,
    schema: '',
    plan: (_options, part) =>
      plan(
        part.modules.map(({ name }) => name).filter(name => DOWN.test(name)),
        part,
      ),
    edit: () => Promise.resolve(),
  };
  return { index, modifier, options: {}, schemes, patterns: [], flows: false };
}

describe('planParts', () => {
  let model: Model;
  before(async () => {
    model = await loadModel(await writeModel(tinyLlama()));
  });

  const planned = (steps: Step[], coders = new Map<string, Step>()) =>
    planParts(model, steps, coders, { joined: new Map() });

  it('keeps what a modifier does where it does something, and copies what becomes no codes', () => {
    const dense = stepOf(0, names => ({ dense: names }));
    const coded = stepOf(1, names => ({ codes: names }));
    const { parts, problems } = planned([dense, coded]);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      parts.map(({ steps }) => steps.length),
      [0, 2, 2, 0],
    );
    const copied = (steps: Step[]) => planned(steps).parts[1]!.copies.some(({ tensor }) => /down_proj/.test(tensor));
    assert.deepEqual([copied([dense]), copied([dense, coded])], [true, false]);
  });

  it('shows a modifier the weights of those schemes whose codes it makes', () => {
    const seen: (boolean | undefined)[] = [];
    const name = 'model.layers.1.mlp.down_proj';
    const schemes = new Map([[name, scheme]]);
    const steps = [0, 1].map(index => ({
      ...stepOf(index, () => ({}), schemes),
      modifier: {
        ...stepOf(index, () => ({})).modifier,
        plan: (_: never, part: Part, own: ReadonlyMap<string, ModuleScheme>) => {
          if (part.id === 'layers.1') seen.push(own.get(name)!.weights !== null);
          else assert.equal(own.size, 0);
          return {};
        },
      },
    }));
    planned(steps, new Map([[name, steps[1]!]]));
    assert.deepEqual(seen, [false, true]);
  });

  it('refuses to edit what is codes already, once for all modules', () => {
    const { problems } = planned([stepOf(0, names => ({ codes: names })), stepOf(1, names => ({ dense: names }))]);
    assert.deepEqual(problems, [
      {
        level: 'error',
        path: ['modifiers', 1, 'Modifier1'],
        message:
          'model.layers.*.mlp.down_proj: modifier 1 (Modifier0) has made codes of its weight, which cannot be edited any more',
        hint: 'put Modifier1 before it',
      },
    ]);
  });

  it('repeats what a modifier refuses, once for all layers', () => {
    const { problems } = planned([
      stepOf(0, ([name]) => (name === undefined ? {} : { refuse: `${name} is too wide` })),
    ]);
    assert.deepEqual(problems, [
      { level: 'error', path: ['modifiers', 0, 'Modifier0'], message: 'model.layers.*.mlp.down_proj is too wide' },
    ]);
  });
});
