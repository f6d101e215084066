import type { EvaluateEvent, EvaluateTask, Evaluation } from './evaluate.js';
import { runEvaluation } from './evaluation.js';
import { serve } from './thread-side.js';

// The thread of an evaluation.
await serve<EvaluateTask, EvaluateEvent, Evaluation>(runEvaluation);
