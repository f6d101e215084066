import type { Answered, AnswerTask } from './answer.js';
import type { EvaluateEvent } from './evaluate.js';
import { checkPair, withModels } from './evaluation.js';
import { runnable } from './forward/runnable.js';
import { withEngine } from './held-engine.js';
import { sharedTokenizer } from './shared-tokenizer.js';
import { judgeTask, readTask } from './task.js';
import { serve } from './thread-side.js';

// The thread of `answer`.
await serve<AnswerTask, EvaluateEvent, Answered>((options, onEvent, stopping) =>
  withModels(options, onEvent, async (model, base) => {
    const own = await runnable(model);
    const other = base && (await runnable(base));
    if (other !== undefined) checkPair(own, other, base!);
    const task = await readTask(options.task, sharedTokenizer(model.folder, own.decoder.vocabulary));
    return withEngine(options, stopping, async engine => {
      const tokens = task.rows.reduce((sum, { ids }) => sum + ids.length, 0);
      onEvent({ type: 'questions', engine: engine.description, questions: task.questions.length, tokens });
      const began = performance.now();
      const tell = (event: EvaluateEvent) => {
        stopping.check();
        onEvent(event);
      };
      const found = await judgeTask(task, { engine, model: own, base: other, tell });
      return {
        model: model.name,
        task: found,
        seconds: (performance.now() - began) / 1000,
        peak_memory_bytes: process.resourceUsage().maxRSS * 1024,
        engine: engine.description,
      };
    });
  }),
);
