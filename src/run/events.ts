import type { Report } from './report.js';
import type { PlanSummary } from './summary.js';

/** What a run tells while it works; the command line draws from these and from nothing else. */
export type RunEvent =
  | { readonly type: 'download'; readonly file: string; readonly bytes: number; readonly total: number }
  | { readonly type: 'plan'; readonly plan: PlanSummary }
  | {
      readonly type: 'progress';
      /** Part in work. */
      readonly part: string;
      /** Source bytes done and in all. */
      readonly done: number;
      readonly total: number;
      readonly elapsedMs: number;
      /** Undefined until it can be told. */
      readonly remainingMs?: number;
      /** Resident memory now. */
      readonly rss: number;
    }
  | {
      /** The result is being judged. */
      readonly type: 'evaluation';
      readonly part: string;
      readonly done: number;
      readonly total: number;
    }
  | {
      /** A modifier begins to edit a part. */
      readonly type: 'step';
      readonly part: string;
      readonly modifier: string;
    }
  | { readonly type: 'remark'; readonly module?: string; readonly message: string }
  | {
      /** What a modifier measured of a module: its loss. */
      readonly type: 'figures';
      readonly module: string;
      readonly figures: Readonly<Record<string, number>>;
    }
  | { readonly type: 'done'; readonly report: Report; readonly folder: string };

export type OnEvent = (event: RunEvent) => void;
