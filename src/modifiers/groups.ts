import type { QuantizationScheme } from '../schemes/args.js';
import { preset } from '../schemes/presets.js';
import { normalizeScheme } from '../schemes/scheme.js';
import { compilePattern, type Pattern } from '../schemes/targets.js';
import type { OptionPath, Problem } from './modifier.js';

/** The fields by which QuantizationModifier and GPTQModifier say which module gets which scheme, in native form. */
export interface SchemeOptions {
  scheme?: string | Readonly<Record<string, readonly string[]>>;
  config_groups?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  targets?: readonly string[];
  ignore?: readonly string[];
  kv_cache_scheme?: Readonly<Record<string, unknown>>;
  weight_observer?: string;
  input_observer?: string;
  output_observer?: string;
  observer?: Readonly<{ weights?: string; input?: string; output?: string }>;
}

/** One target of a group. */
export interface Target {
  readonly pattern: Pattern;
  readonly scheme: QuantizationScheme;
  /** Of the target itself. */
  readonly path: OptionPath;
  /** Of the group. */
  readonly group: OptionPath;
}

/** True when the options say nothing about schemes: llm-compressor then takes those of an earlier modifier. */
export function isUnconfigured({ scheme, config_groups, targets, ignore, kv_cache_scheme }: SchemeOptions): boolean {
  return [scheme, config_groups, targets, ignore, kv_cache_scheme].every(field => field === undefined);
}

/** Every target of the options, whichever of the three ways they are written in; and what is odd about their groups. */
export function readTargets(options: SchemeOptions): { targets: Target[]; problems: Problem[] } {
  const { scheme, config_groups = {} } = options;
  const targets: Target[] = [];
  const problems: Problem[] = [];
  const add = (given: QuantizationScheme | undefined, group: OptionPath, list: OptionPath) => {
    if (given === undefined) return; // the recipe's validation knows no such preset
    const complete = withObservers(given, options);
    given.targets.forEach((text, i) => {
      targets.push({ pattern: compilePattern(text), scheme: complete, path: [...list, i], group });
    });
  };

  if (typeof scheme === 'string') {
    add(preset(scheme, options.targets ?? ['Linear']), ['scheme'], ['targets']);
  } else {
    for (const [name, list] of Object.entries(scheme ?? {}))
      add(preset(name, list), ['scheme', name], ['scheme', name]);
  }
  for (const [name, given] of Object.entries(config_groups)) {
    const group = ['config_groups', name];
    const checked = normalizeScheme(given, { observers: 'any' });
    const level = checked.scheme === undefined ? 'error' : 'warning';
    for (const { path, message, hint } of checked.problems ?? checked.warnings) {
      problems.push({ level, path: [...group, ...path], message, ...(hint !== undefined && { hint }) });
    }
    add(checked.scheme, group, [...group, 'targets']);
  }
  return { targets, problems };
}

/** The scheme with the observers that the modifier names for all groups. */
function withObservers(scheme: QuantizationScheme, options: SchemeOptions): QuantizationScheme {
  const override = (slot: 'weights' | 'input_activations' | 'output_activations', observer: string | undefined) => {
    const args = scheme[slot];
    // a fully dynamic slot has no observer to override
    return args === null || observer === undefined || args.dynamic === true ? args : { ...args, observer };
  };
  const { weight_observer, input_observer, output_observer, observer } = options;
  return {
    ...scheme,
    weights: override('weights', weight_observer ?? observer?.weights),
    input_activations: override('input_activations', input_observer ?? observer?.input),
    output_activations: override('output_activations', output_observer ?? observer?.output),
  };
}
