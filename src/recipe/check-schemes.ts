import { weightFormat } from '../formats/weights/table.js';
import type { Claims, ModuleScheme, OptionPath, Problem } from '../modifiers/modifier.js';
import type { Observer } from '../observers/observer.js';
import { valueObserver, weightObserver } from '../observers/table.js';
import { weightedModules, type Model, type Module, type Weight } from '../runtime/model/model.js';
import { patterns } from '../runtime/model/untouched.js';
import type { QuantizationArgs } from '../schemes/args.js';
import { divisibilityProblem, weightArgsProblem } from '../schemes/grids.js';
import { observerName } from '../schemes/observer-names.js';

/** A problem of one module's scheme; `path` leads on from its group. */
type Found = Omit<Problem, 'level'> & {
  readonly level?: Problem['level'];
  /** Where the path starts when that is not the group. */
  readonly from?: OptionPath;
};

/**
 * What each scheme demands of the weight it is laid over, of the format that stores it, and of work that exists. One problem for all modules
 * that have it.
 * @param own observers of plugins
 */
export function checkSchemes({ schemes, places }: Claims, model: Model, own: readonly Observer[] = []): Problem[] {
  const grouped = new Map<string, Found & { path: OptionPath; modules: string[] }>();
  for (const module of model.modules) {
    const { name, weight } = module;
    const scheme = schemes.get(name);
    if (scheme === undefined) continue;
    const ofModule =
      weight === undefined
        ? attentionProblems(scheme, own)
        : [...weightProblems(weight, scheme, own), ...activationProblems(module, weight, scheme, own)];
    for (const found of ofModule) {
      const place = found.from ?? places.get(name)!;
      // a preset is one word: there is nothing inside it to point at
      const path = place[0] === 'scheme' ? place : [...place, ...found.path];
      const key = JSON.stringify([path, found.message]);
      const known = grouped.get(key) ?? { ...found, path, modules: [] };
      grouped.set(key, known);
      known.modules.push(name);
    }
  }
  const perModule = [...grouped.values()].map(
    ({ modules, level = 'error', path, hint, notBuilt, ...found }): Problem => {
      const count = modules.length === 1 ? '' : ` (${modules.length} modules)`;
      const message = notBuilt ? found.message : `${patterns(modules)}${count}: ${found.message}`;
      return { level, path, message, ...(hint !== undefined && { hint }), ...(notBuilt && { notBuilt }) };
    },
  );
  return [...perModule, ...familyProblems(schemes, places, model)];
}

function weightProblems(
  { rows, columns, dtype }: Weight,
  { weights: args, format, ...scheme }: ModuleScheme,
  own: readonly Observer[],
): Found[] {
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
  if (weightObserver(args.observer, own) === undefined)
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

function activationProblems(
  { classes }: Module,
  { rows, columns }: Weight,
  scheme: ModuleScheme,
  own: readonly Observer[],
): Found[] {
  const { input_activations: inputs, output_activations: outputs } = scheme;
  const found: Found[] = [];
  for (const [slot, args, width, stored] of [
    ['input', inputs, columns, ['tensor', 'local']],
    ['output', outputs, rows, ['tensor']],
  ] as const) {
    if (args === null) continue;
    const at = `${slot}_activations`;
    const indivisible = divisibilityProblem(args, rows, width);
    if (indivisible !== undefined) {
      found.push({
        path: [at],
        message: `${slot} activations: ${indivisible.message}, so no runtime could run it`,
        hint: `quantize the ${slot}s by token, leave them out of the scheme, or leave these modules out with ignore`,
      });
    }
    if (args.dynamic !== true && classes[0] === 'Embedding') {
      const hint = 'give embeddings a group of their own, with weights only';
      found.push({ path: [at], message: `an embedding has no ${slot} activations with a scale`, hint });
    } else found.push(...storedProblems(args, at, `static ${slot} activations`, stored, own));
  }
  return found;
}

/** Queries come with their group; keys and values with `kv_cache_scheme`, unless the group implies them. */
function attentionProblems({ input_activations: queries, attention }: ModuleScheme, own: readonly Observer[]): Found[] {
  const [q, kv] = [queries, attention?.cache ?? null];
  const found: Found[] = [];
  if (q !== null) found.push(...storedProblems(q, 'input_activations', 'queries', PER_HEAD, own));
  if (kv === null || kv === q) return found;
  const from = ['kv_cache_scheme'];
  for (const { path, ...problem } of storedProblems(kv, '', 'keys and values', PER_HEAD, own))
    found.push({ ...problem, from, path: path.slice(1) });
  return found;
}

const PER_HEAD = ['tensor', 'attn_head'] as const;

/** What is wrong with args whose scales would be stored, and what is odd about them. */
function storedProblems(
  args: QuantizationArgs,
  at: string,
  what: string,
  strategies: readonly string[],
  own: readonly Observer[],
): Found[] {
  const { dynamic, strategy, symmetric, observer } = args;
  const found: Found[] = [];
  if (!symmetric && strategies === PER_HEAD) {
    const message = `${what} are asymmetric, and vLLM does not load their zero points`;
    found.push({ level: 'warning', path: [at, 'symmetric'], message, hint: 'write symmetric: true' });
  }
  if (dynamic === true) return found;
  if (!strategies.includes(dynamic === 'local' ? 'local' : strategy)) {
    const [given, field] = dynamic === 'local' ? ['dynamic: local', 'dynamic'] : [`strategy ${strategy}`, 'strategy'];
    const choices = strategies.filter(name => name !== 'local').join(' or ');
    const hint = `write strategy: ${choices}, or dynamic: true`;
    return [...found, { path: [at, field], message: `${what} cannot use ${given}`, hint }];
  }
  const name = observerName(observer!) ?? observer!;
  if (valueObserver(name, own) === undefined) {
    const hint = 'static_minmax sees every batch; minmax takes a moving average';
    found.push({ path: [at, 'observer'], message: `the observer ${name} is for weights, not for ${what}`, hint });
  } else if (name.startsWith('memoryless_')) {
    const message = `${name} forgets: of ${what} only the last batch counts`;
    found.push({ level: 'warning', path: [at, 'observer'], message, hint: 'write observer: static_minmax' });
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
