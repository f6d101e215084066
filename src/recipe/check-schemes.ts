import { weightFormat } from '../formats/weights/table.js';
import type { Claims, ModuleScheme, OptionPath, Problem } from '../modifiers/modifier.js';
import { weightObserver } from '../observers/table.js';
import { weightedModules, type Model, type Module, type Weight } from '../runtime/model/model.js';
import { patterns } from '../runtime/model/untouched.js';
import { divisibilityProblem, weightArgsProblem } from '../schemes/grids.js';

/** A problem of one module's scheme; `path` leads on from its group. */
type Found = Omit<Problem, 'level'> & { readonly level?: Problem['level'] };

/**
 * What each scheme demands of the weight it is laid over, of the format that stores it, and of work that exists. One problem for all modules
 * that have it.
 */
export function checkSchemes({ schemes, places }: Claims, model: Model): Problem[] {
  const grouped = new Map<string, Found & { path: OptionPath; modules: string[] }>();
  for (const { name, weight } of weightedModules(model)) {
    const scheme = schemes.get(name);
    if (scheme === undefined) continue;
    for (const found of [...weightProblems(weight, scheme), ...activationProblems(weight, scheme)]) {
      const place = places.get(name)!;
      // a preset is one word: there is nothing inside it to point at
      const path = place[0] === 'config_groups' ? [...place, ...found.path] : place;
      const key = JSON.stringify([path, found.message]);
      const known = grouped.get(key) ?? { ...found, path, modules: [] };
      grouped.set(key, known);
      known.modules.push(name);
    }
  }
  const perModule = [...grouped.values()].map(({ modules, ...found }): Problem => {
    const count = modules.length === 1 ? '' : ` (${modules.length} modules)`;
    const message = found.notBuilt ? found.message : `${patterns(modules)}${count}: ${found.message}`;
    return { level: 'error', ...found, message };
  });
  return [...perModule, ...familyProblems(schemes, places, model)];
}

function weightProblems({ rows, columns, dtype }: Weight, { weights: args, format, ...scheme }: ModuleScheme): Found[] {
  if (args === null) return [];
  const impossible = weightArgsProblem(args);
  if (impossible !== undefined) return [{ path: ['weights'], message: impossible }];
  if (format === 'dense') {
    const message = 'format: dense stores no codes, so the scheme of the weights would be lost';
    return [{ path: ['format'], message, hint: 'leave format out' }];
  }
  const indivisible = divisibilityProblem(args, rows, columns);
  if (indivisible !== undefined) {
    const { message, divisors } = indivisible;
    const hint =
      divisors.length > 0
        ? `groups of ${nearest(divisors, args.group_size!)} do; or strategy: channel`
        : 'this number format has one group size only: leave these modules out with ignore, or give them another scheme';
    return [{ path: ['weights', 'group_size'], message, hint }];
  }
  const refused = weightFormat(format).refuses({ rows, columns, dtype, args });
  if (refused !== undefined) {
    const isFp4 = args.type === 'float' && args.num_bits === 4;
    const hint = isFp4
      ? 'the presets NVFP4A16 and MXFP4A16 have all fields right'
      : 'leave format out: the scheme decides';
    return [{ path: ['weights'], message: refused, hint }];
  }

  const found: Found[] = [];
  if (weightObserver(args.observer ?? 'memoryless_minmax') === undefined)
    found.push(unbuilt(['weights', 'observer'], `the weight observer ${args.observer}`));
  if (format === 'int-quantized' && args.num_bits < 8 && scheme.input_activations !== null) {
    found.push({
      level: 'warning',
      path: [],
      message: `${args.num_bits}-bit weights are stored in whole bytes, because int-quantized is what readers expect where inputs are quantized`,
      hint: 'W4A16 stores 4 bits in 4 bits; so does format: pack-quantized in config_groups, which fewer runtimes load',
    });
  }
  return found;
}

function activationProblems({ rows, columns }: Weight, scheme: ModuleScheme): Found[] {
  const { input_activations: inputs, output_activations: outputs } = scheme;
  const found: Found[] = [];
  if (outputs !== null) found.push(unbuilt(['output_activations'], 'output activations (they need calibration)'));
  if (inputs === null) return found;
  if (inputs.dynamic !== true)
    found.push(unbuilt(['input_activations'], 'static input activations (they need calibration)'));
  const indivisible = divisibilityProblem(inputs, rows, columns);
  if (indivisible !== undefined) {
    found.push({
      path: ['input_activations'],
      message: `input activations: ${indivisible.message}, so no runtime could run it`,
      hint: 'quantize the inputs by token, leave them out of the scheme, or leave these modules out with ignore',
    });
  }
  return found;
}

const unbuilt = (path: OptionPath, message: string): Found => ({ path, message, notBuilt: true });

/** At most six divisors, those nearest to the size that was wanted, ascending. */
function nearest(divisors: readonly number[], wanted: number): string {
  const distance = (d: number) => Math.abs(Math.log(d / wanted));
  const near = [...divisors].sort((a, b) => distance(a) - distance(b)).slice(0, 6);
  return near.sort((a, b) => a - b).join(', ');
}

/** NVFP4 shares one global scale over the modules that runtimes fuse; one warning for each kind of family that is torn apart. */
function familyProblems(schemes: Claims['schemes'], places: Claims['places'], model: Model): Problem[] {
  const families = new Map<string, Module[]>();
  for (const module of weightedModules(model)) {
    if (module.family !== undefined) families.set(module.family, [...(families.get(module.family) ?? []), module]);
  }
  const inside = ({ name }: Module) => schemes.get(name)?.weights?.strategy === 'tensor_group';
  const torn = new Map<string, { members: Module[]; families: string[] }>();
  for (const [family, members] of families) {
    if (!members.some(inside) || members.every(inside)) continue;
    const kind = members.map(member => `${lastOf(member.name)} ${inside(member)}`).join();
    const known = torn.get(kind) ?? { members, families: [] };
    torn.set(kind, known);
    known.families.push(family.slice(0, family.lastIndexOf('.')));
  }
  return [...torn.values()].map(({ members, families: parents }) => {
    const first = members.find(inside)!;
    const names = (list: readonly Module[]) => list.map(({ name }) => lastOf(name)).join(' and ');
    const others = members.filter(member => !inside(member));
    return {
      level: 'warning',
      path: places.get(first.name)!,
      message: `${patterns(parents)}: ${names(members.filter(inside))} cannot share a global scale with ${names(others)}, with which runtimes fuse them`,
      hint: `give ${names(members)} the same scheme; vLLM loads nothing else`,
    };
  });
}

const lastOf = (name: string) => name.slice(name.lastIndexOf('.') + 1);
