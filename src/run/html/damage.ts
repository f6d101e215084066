import { median } from '../../evaluation/statistics.js';
import type { ModuleReport } from '../report.js';
import { alikeName } from '../places.js';

/** A module whose weight became codes, with its figures. */
export type CodedModule = ModuleReport & { readonly relMSE: number };

/** A module, or all experts of a layer that are alike: what people can decide about. */
export interface DamageGroup {
  readonly name: string;
  readonly modules: number;
  /** Share of the squared error of all coded weights, 0 to 1. */
  readonly share: number;
  /** Share of all coded weights, 0 to 1. */
  readonly weights: number;
}

/** Where the errors of a run are. */
export interface Damage {
  /** Coded modules, the one with the largest share of the squared error first; those stored with another are not counted again. */
  readonly modules: readonly CodedModule[];
  /** Share of the squared error, 0 to 1; undefined where it was not measured, or where nothing changed. */
  readonly share: (module: ModuleReport) => number | undefined;
  /** The one with the largest share first; empty where shares are undefined. */
  readonly groups: readonly DamageGroup[];
  /** Groups to look at: at most three of the first, each with at least twice its share of the weights. */
  readonly outliers: readonly DamageGroup[];
  /** Lowest and median SQNR in dB, null where nothing changed; undefined when nothing became codes. */
  readonly sqnr: { readonly worst: number | null; readonly median: number | null } | undefined;
}

const OUTLIERS = 3;

/** Ranks the coded modules of a report by their share of the squared error, or by relMSE where squared errors are missing. */
export function damageOf(reports: readonly ModuleReport[]): Damage {
  const coded = reports.filter((m): m is CodedModule => m.relMSE !== undefined && m.stored_with === undefined);
  const total = coded.reduce((sum, m) => sum + (m.squared_error ?? NaN), 0);
  const share = (m: ModuleReport) =>
    total > 0 && m.squared_error !== undefined && m.stored_with === undefined ? m.squared_error / total : undefined;
  const modules = coded.sort((a, b) => (share(b) ?? b.relMSE) - (share(a) ?? a.relMSE));
  const groups = total > 0 ? groupsOf(modules, share) : [];

  const ratios = modules.map(m => m.sqnr_db ?? Infinity);
  const finite = (value: number) => (value === Infinity ? null : value);
  const worst = ratios.reduce((a, b) => Math.min(a, b), Infinity);
  return {
    modules,
    share,
    groups,
    outliers: groups.slice(0, OUTLIERS).filter(group => group.share >= 2 * group.weights),
    sqnr: modules.length === 0 ? undefined : { worst: finite(worst), median: finite(median(ratios)) },
  };
}

function groupsOf(modules: readonly CodedModule[], share: Damage['share']): DamageGroup[] {
  const weights = modules.reduce((sum, m) => sum + elements(m), 0);
  const groups = new Map<string, CodedModule[]>();
  for (const module of modules) {
    const name = alikeName(module.module);
    const members = groups.get(name);
    if (members) members.push(module);
    else groups.set(name, [module]);
  }
  return [...groups]
    .map(([name, members]) => ({
      name: members.length === 1 ? members[0]!.module : name,
      modules: members.length,
      share: members.reduce((sum, m) => sum + share(m)!, 0),
      weights: members.reduce((sum, m) => sum + elements(m), 0) / weights,
    }))
    .sort((a, b) => b.share - a.share);
}

function elements({ shape: [rows, columns] }: ModuleReport): number {
  return rows * columns;
}
