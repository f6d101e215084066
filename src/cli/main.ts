import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { existsSync, readFileSync } from 'node:fs';
import { TensorpressError } from '../errors.js';
import { errorJson, showError } from './errors.js';
import { DEVICES, ENGINES, type Device, type EngineName } from '../runtime/engine/engine.js';
import { createScreen, type Screen } from './screen.js';
import { endsTheProcess, neverEnds, UNSETTLED } from '../recipe/plugins/ended.js';

interface Common {
  json?: boolean;
  quiet?: boolean;
  debug?: boolean;
  engine?: EngineName;
  device?: Device | 'auto';
  threads?: number;
}

interface Evaluating {
  data?: string;
  against?: string;
  context?: number;
  stride?: number;
  windows?: number;
  protocol?: 'windows' | 'llama';
  logits?: string;
  generate?: number;
  prompt?: string[];
  task?: string;
  force?: boolean;
}

/** Commands that have a name but no work behind it yet. */
const UNBUILT = ['bench'];

/** More threads than any machine has cores. */
const MAX_THREADS = 1024;

/** Runs the command line and gives the exit code. Commands are imported when they are called, so that the light ones start at once. */
async function main(argv: readonly string[]): Promise<number> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const program = new Command('tensorpress')
    .description('Compresses language models from a recipe.')
    .version(version)
    .showHelpAfterError(`(${HELP})`)
    .exitOverride()
    .configureHelp({ sortSubcommands: false });

  let exitCode = 0;
  /** Whether the command has given its result, or its error. */
  let ended = false;
  // a reader that goes away (`| head`) is not an error, and no reason for a run to end
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') return;
      process.stderr.write(`the output cannot be written: ${error.message}\n`);
      ended = true;
      process.exit(1);
    });
  }
  const abort = new AbortController();
  const stop = () => abort.abort();
  /** For commands that leave things in order when they are stopped; the others end as the system ends them. */
  const stoppable = () => {
    process.on('SIGINT', stop).on('SIGTERM', stop);
    return abort.signal;
  };

  const command = <Options extends Common>(
    usage: string,
    description: string,
    run: (context: { args: string[]; options: Options; json: boolean; screen: Screen }) => Promise<number | void>,
    { hidden = false }: { hidden?: boolean } = {},
  ) =>
    program
      .command(usage, { hidden })
      .description(description)
      .option('--json', 'exactly one JSON document on stdout')
      .option('--quiet', 'say nothing but the result and errors')
      .option('--debug', 'show stack traces')
      // common to all commands: how a model would be run, which is nothing to those that do not run one
      .addOption(new Option('--engine <engine>', 'what runs a model').choices([...ENGINES]))
      .addOption(new Option('--device <device>', 'where a model runs').choices(['auto', ...DEVICES]))
      .addOption(new Option('--threads <n>', 'threads that compute').argParser(threadCount))
      .action(async (...values: unknown[]) => {
        const self = values.at(-1) as Command;
        const options = self.opts<Options>();
        const json = options.json ?? false;
        const screen = createScreen({ json, quiet: options.quiet ?? false });
        const fail = (error: unknown) => showError(error, screen, { json, debug: options.debug ?? false });
        // Node.js would end without a word, or with a stack
        process.once('exit', code => {
          if (!ended) process.exitCode = fail(process.exitCode === UNSETTLED ? neverEnds() : endsTheProcess(code));
        });
        process.once('uncaughtException', error => {
          ended = true;
          process.exit(fail(error));
        });
        try {
          exitCode = (await run({ args: self.args, options, json, screen })) ?? 0;
        } catch (error) {
          exitCode = fail(error);
        } finally {
          ended = true;
          process.off('SIGINT', stop).off('SIGTERM', stop);
        }
      });

  const model = [
    '--model <dir>',
    'model folder, or org/name[@revision] on the Hugging Face hub (default: the bundled example model)',
  ] as const;
  const set = ['--set <path=value>', 'override a field of the recipe in native form (repeatable)', oneMore] as const;

  command<Common & { model?: string; out?: string; set?: string[]; force?: boolean }>(
    'apply <recipe>',
    'compress a model by a recipe',
    async ({ args, options, json, screen }) => {
      const { out, force = false } = options;
      if (out === undefined) throw misuse('apply needs a folder for the checkpoint and the report', 'add --out DIR');
      const signal = stoppable();
      const { applyCommand } = await import('./apply.js');
      const how = pick(options, ['model', 'set', 'threads', 'engine', 'device']);
      await applyCommand({ recipe: args[0]!, out, force, signal, ...how }, screen, { json });
    },
  )
    .option(...model)
    .option('--out <dir>', 'folder for the checkpoint and the report')
    .option(...set)
    .option('--force', 'replace what the folder holds');

  command<Common & { model?: string; set?: string[] }>(
    'plan <recipe>',
    'show what apply would do; nothing is written',
    async ({ args, options, json, screen }) => {
      // nothing is to be left in order but a download, and a plugin that hangs can be ended by the system only
      const signal = options.model === undefined || existsSync(options.model) ? abort.signal : stoppable();
      const { plan } = await import('../run/prepare.js');
      const what = pick(options, ['model', 'set']);
      const summary = await plan({ recipe: args[0]!, signal, ...what });
      const { moduleLines, planLines } = await import('./plan-view.js');
      screen.print(
        json
          ? JSON.stringify(summary, null, 2)
          : ['', ...planLines(summary, screen), '', ...moduleLines(summary, screen), ''].join('\n'),
      );
    },
  )
    .option(...model)
    .option(...set);

  command<Common & { set?: string[] }>(
    'validate <recipe>',
    'check a recipe without a model',
    async ({ args, options, json, screen }) => {
      const { validateCommand } = await import('./validate.js');
      await validateCommand(args[0]!, options.set ?? [], screen, { json });
    },
  ).option(...set);

  command<Common & { set?: string[] }>(
    'normalize <recipe>',
    'print a recipe in native form',
    async ({ args, options, json, screen }) => {
      const { readRecipe } = await import('../recipe/read.js');
      const { printRecipe } = await import('../recipe/print.js');
      const { recipe } = await readRecipe(args[0]!, { overrides: options.set ?? [] });
      screen.print(json ? JSON.stringify(recipe, null, 2) : printRecipe(recipe).trimEnd());
    },
  ).option(...set);

  command('inspect <path>', 'what a file, checkpoint or run folder holds', async ({ args, json, screen }) => {
    const { inspectCommand } = await import('./inspect.js');
    await inspectCommand(args[0]!, screen, { json });
  });

  command<Common & { to: string; out?: string; dtype?: 'float32' | 'float16' | 'bfloat16'; force?: boolean }>(
    'convert <dir>',
    'decompress a compressed-tensors checkpoint',
    async ({ args, options, json, screen }) => {
      const { out, to, force = false } = options;
      if (out === undefined) throw misuse('convert needs a folder for the result', 'add --out DIR');
      if (to !== 'dense') throw misuse(`there is no conversion to ${to}`, 'the one that is there is --to dense');
      const signal = stoppable();
      const { convertCommand } = await import('./convert.js');
      const how = pick(options, ['dtype']);
      await convertCommand({ model: args[0]!, to, out, force, signal, ...how }, screen, { json });
    },
  )
    .requiredOption('--to <format>', 'dense')
    .option('--out <dir>', 'folder for the result')
    .addOption(new Option('--dtype <dtype>', 'default: that of the source').choices(['float32', 'float16', 'bfloat16']))
    .option('--force', 'replace what the folder holds');

  command<Common & Evaluating>(
    'eval <model>',
    'how well a model predicts a text',
    async ({ args, options, json, screen }) => {
      const { data, task, prompt: prompts } = options;
      const common = pick(options, ['against', 'threads', 'engine', 'device']);
      const ofText = pick(options, ['context', 'stride', 'windows', 'protocol', 'logits', 'generate', 'force']);
      if (data === undefined) {
        const [without] = [...Object.keys(ofText), ...(prompts === undefined ? [] : ['prompt'])];
        const hint = 'add --data FILE';
        if (task === undefined)
          throw misuse('eval needs a text, or token ids', `${hint}, or --task FILE for questions`);
        if (without !== undefined) throw misuse(`--${without} is about a text, and there is none`, hint);
      }
      const signal = stoppable();
      const { answerCommand, evalCommand } = await import('./eval.js');
      if (data === undefined) {
        return answerCommand({ model: args[0]!, task: task!, signal, ...common }, screen, { json });
      }
      const more = { ...(prompts === undefined ? {} : { prompts }), ...(task === undefined ? {} : { task }) };
      await evalCommand({ model: args[0]!, data, signal, ...common, ...ofText, ...more }, screen, { json });
    },
  )
    .option('--data <file>', '.txt, .jsonl, or .json with {"input_ids": [[...]]}')
    .option('--against <model>', 'compare it with the model that it was made from')
    .option('--context <n>', 'tokens of a window (default: 512)', count)
    .option('--stride <n>', 'tokens between the beginnings of two windows (default: the context)', count)
    .option('--windows <n>', 'windows at most (default: all)', count)
    .addOption(new Option('--protocol <name>', 'how windows are scored').choices(['windows', 'llama']))
    .option('--logits <file>', 'write the logits of every row to a safetensors file')
    .option('--generate <n>', 'continue texts by n tokens, side by side with the base', count)
    .option('--prompt <text>', 'a text to continue (repeatable; default: the beginnings of three windows)', oneMore)
    .option('--task <file>', 'multiple-choice questions, .jsonl with {"context", "choices", "answer"}')
    .option('--force', 'measure a perplexity that is known already once more');

  command<Common & { out?: string }>(
    'compare <runs...>',
    'several runs side by side: size, loss, recipes',
    async ({ args, options, json, screen }) => {
      const { compareCommand } = await import('./compare.js');
      await compareCommand(args, pick(options, ['out']), screen, { json });
    },
  ).option('--out <file.html>', 'write one page: size against loss, the table, the difference of the recipes');

  command('doctor', 'what this machine has, what is missing and how to get it', async ({ json, screen }) => {
    const { doctorCommand } = await import('./doctor.js');
    return doctorCommand(screen, { json });
  });

  command<Common & { out?: string }>(
    'new <kind> <name>',
    'begin a modifier or an observer of your own',
    async ({ args, options, json, screen }) => {
      const { newCommand } = await import('./new.js');
      await newCommand(args, pick(options, ['out']), screen, { json });
    },
  ).option('--out <dir>', 'folder for its files (default: the working directory)');

  command('test <files...>', 'run tests of modifiers and observers of your own', async ({ args, json, screen }) => {
    const { testCommand } = await import('./test.js');
    await testCommand(args);
    // they run from here on
    if (json) process.on('exit', () => screen.print(JSON.stringify({ ok: !process.exitCode })));
    return undefined;
  });

  command<Common & { out?: string; plugin?: string[] }>(
    'schema',
    'print or write the JSON Schema of recipes',
    async ({ options: { out, plugin: plugins }, screen }) => {
      const { schemaCommand } = await import('./schema.js');
      await schemaCommand(pick({ out, plugins }, ['out', 'plugins']), screen);
    },
  )
    .option('--out <file>', 'write it to a file')
    .option('--plugin <file>', 'with what a plugin brings (repeatable)', oneMore);

  for (const name of UNBUILT) {
    const sentence = `\`tensorpress ${name}\` does not exist yet: this version compresses, converts and judges`;
    const refuse = () => Promise.reject(new TensorpressError('NOT_BUILT', sentence, { hint: HELP }));
    command(`${name} [arguments...]`, '', refuse, { hidden: true }).allowUnknownOption();
  }

  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    // commander has said it on stderr
    if (argv.includes('--json')) process.stdout.write(`${errorJson(misuse(error.message.replace(/^error: /, '')))}\n`);
    return 2;
  }
  return exitCode;
}

const HELP = 'tensorpress --help lists the commands';

function misuse(sentence: string, hint: string = HELP): TensorpressError {
  return new TensorpressError('ARGUMENT', sentence, { hint });
}

/** Of an option that may be repeated. */
function oneMore(text: string, all: string[] = []): string[] {
  return [...all, text];
}

function count(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number.');
}

function threadCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= MAX_THREADS) return count;
  throw new InvalidArgumentError(`It is a number from 0 to ${MAX_THREADS}.`);
}

/** Those of the options that were given. */
function pick<T extends object, K extends keyof T>(options: T, keys: readonly K[]) {
  const given = keys.filter(key => options[key] !== undefined).map(key => [key, options[key]]);
  return Object.fromEntries(given) as { [P in K]?: NonNullable<T[P]> };
}

const exitCode = await main(process.argv);
// a test of a plugin that fails has set one
process.exitCode ||= exitCode;
