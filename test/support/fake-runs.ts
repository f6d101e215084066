import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withQuality, type Report } from '../../src/run/report.js';
import { fakeEvaluation, fakeReport } from './fake-report.js';
import { tempFolder } from './temp.js';

export interface FakeRun {
  readonly name: string;
  /** Of all tensors, in MB. */
  readonly size: number;
  /** How many times the usual loss it has. */
  readonly loss: number;
  readonly bits: number;
}

export const FAKE_RUNS: readonly FakeRun[] = [
  { name: 'w4-minmax', size: 457, loss: 1, bits: 4 },
  { name: 'w4-mse', size: 457, loss: 0.7, bits: 4 },
  { name: 'w4-mse-g32', size: 478, loss: 0.45, bits: 4 },
  { name: 'nvfp4', size: 470, loss: 0.9, bits: 4 },
  { name: 'w6', size: 560, loss: 0.12, bits: 6 },
  { name: 'fp8', size: 630, loss: 0.25, bits: 8 },
  { name: 'w8', size: 632, loss: 0.04, bits: 8 },
];

/** Run folders as far as `compare` reads them; the folder that holds them. */
export function fakeRuns(runs: readonly FakeRun[], change: (report: Report, run: FakeRun) => Report = r => r): string {
  const folder = tempFolder();
  for (const run of runs) {
    const at = join(folder, run.name);
    const report = fakeReport({ layers: 2 });
    const sized = {
      ...report,
      size: { ...report.size, after: run.size * 1e6 },
      bits_per_weight: (run.size / 988) * 16,
    };
    mkdirSync(at);
    const judged = change(withQuality(sized, fakeEvaluation('everywhere', 2, run.loss)), run);
    writeFileSync(join(at, 'report.json'), JSON.stringify(judged));
    writeFileSync(join(at, 'run.json'), '{}');
    const modifier = `{targets: [Linear], scheme: {num_bits: ${run.bits}, strategy: group}, ignore: [lm_head]}`;
    writeFileSync(join(at, 'recipe.yaml'), `version: 1\nmodifiers:\n  - QuantizationModifier: ${modifier}\n`);
  }
  return folder;
}
